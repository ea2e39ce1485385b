//! The folder that cases are saved in, and which files are one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::report::saved::{self, NotSaved};
use crate::scenario::Scenario;

use super::Failure;

/// A folder that files can be written to.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder if need be and tries whether it takes files, before any work is done for it. The
    /// scenario that is read, where it is a file, must not be one that a case could take the place of.
    pub(super) fn prepare(path: &Path, read: Option<&str>) -> Result<Self, Failure> {
        let folder = Self(path.to_owned());
        // Of what is in the way the system only says that it exists.
        if path.exists() && !path.is_dir() {
            return Err(folder.unwritable(&io::Error::from(io::ErrorKind::NotADirectory)));
        }
        if let Some(read) = read.filter(|read| is_of_a_case(path, Path::new(read))) {
            return Err(Failure::mistake(
                format!("{read} is read, and a case that is saved could take its place"),
                "give --save another folder",
            ));
        }
        if let Some(taken) = taken(path) {
            return Err(in_the_way(&taken));
        }
        let probe = path.join(format!(".ringfence-probe-{}", std::process::id()));
        let tried = fs::create_dir_all(path)
            .and_then(|()| saved::put_new(&probe, "?").and_then(|()| fs::remove_file(&probe)));
        tried.map_err(|error| folder.unwritable(&error))?;
        Ok(folder)
    }

    /// Writes a case into a file of this name.
    pub(super) fn write(&self, name: &str, case: &Scenario) -> Result<PathBuf, Failure> {
        saved::save(&self.0, name, case).map_err(|error| match error {
            NotSaved::Taken(place) => in_the_way(&place),
            NotSaved::Refused(place, error) => Failure::mistake(
                format!("can't write {}: {error}", place.display()),
                "give --save a folder in which that can be a file and which has room",
            ),
        })
    }

    fn unwritable(&self, error: &io::Error) -> Failure {
        let path = self.0.display();
        Failure::mistake(
            format!("can't write to the folder {path}: {error}"),
            "give --save a folder that can be written to and has room",
        )
    }
}

/// How the names of cases begin.
const CASES: [&str; 3] = ["violation-", "golden-", "pair-"];

/// Whether this is how a case is called: one of these, then numbers.
fn is_name_of_a_case(name: &str) -> bool {
    let number = CASES.iter().find_map(|case| name.strip_prefix(case)?.strip_suffix(".toml"));
    number.is_some_and(|all| all.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'))
}

/// A file in a folder that has the name of a case and is none: whose place a case must not take.
fn taken(folder: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(folder).ok()?.flatten();
    let named = files.filter(|file| file.file_name().to_str().is_some_and(is_name_of_a_case));
    named.map(|file| file.path()).filter(|path| saved::is_taken(path)).min()
}

fn in_the_way(place: &Path) -> Failure {
    Failure::mistake(
        format!("{} has the name of a case, and ringfence did not save it", place.display()),
        "give --save another folder, or move that file elsewhere",
    )
}

/// Whether a file is in a folder and has the name of a case, also by way of links.
fn is_of_a_case(folder: &Path, file: &Path) -> bool {
    let (Ok(folder), Ok(file)) = (fs::canonicalize(folder), fs::canonicalize(file)) else {
        return false;
    };
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    file.parent() == Some(&*folder) && CASES.iter().any(|case| name.starts_with(case))
}

/// Whether two paths lead to one file, by way of links of either sort.
pub(super) fn is_same_file(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(first), Ok(second)) => first == second || is_linked(&first, &second),
        _ => false,
    }
}

/// Whether two paths are names of one file.
#[cfg(unix)]
fn is_linked(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    matches!((identity(one), identity(other)), (Ok(first), Ok(second)) if first == second)
}

/// Elsewhere a name by which a file is also known can't be told from another file.
#[cfg(not(unix))]
fn is_linked(_: &Path, _: &Path) -> bool {
    false
}
