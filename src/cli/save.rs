//! Files that are there whole or not at all.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

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
        let probe = path.join(format!(".ringfence-probe-{}", std::process::id()));
        let tried = fs::create_dir_all(path).and_then(|()| {
            let written = put(&probe, "?");
            // On a full disk the file is there without its content.
            let removed = fs::remove_file(&probe);
            written.and(removed)
        });
        tried.map_err(|error| folder.unwritable(&error))?;
        Ok(folder)
    }

    /// Writes a file: beside its place first, then moved there.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, Failure> {
        let (place, beside) = (self.0.join(name), self.0.join(format!(".{name}.partial")));
        let written = put(&beside, text).and_then(|()| fs::rename(&beside, &place));
        if let Err(error) = written {
            let _ = fs::remove_file(&beside);
            return Err(Failure::mistake(
                format!("can't write {}: {error}", place.display()),
                "give --save a folder in which that can be a file and which has room",
            ));
        }
        Ok(place)
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

fn put(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
