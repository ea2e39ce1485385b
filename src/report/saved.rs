//! Cases as files: there whole or not at all, and never in the place of a file that is somebody else's.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::scenario::Scenario;

/// How a file begins that was saved here. One that begins otherwise is somebody else's.
const HEAD: &str = "# Saved by ringfence, which may replace this file.\n";

/// Why a case was not saved.
#[derive(Debug)]
pub(crate) enum NotSaved {
    /// There is a file of somebody else's.
    Taken(PathBuf),
    /// The system refuses it.
    Refused(PathBuf, io::Error),
}

impl core::fmt::Display for NotSaved {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Taken(place) => {
                write!(f, "{}: a file that ringfence did not save is there", place.display())
            }
            Self::Refused(place, error) => write!(f, "{}: {error}", place.display()),
        }
    }
}

/// Whether a file is there that was not saved here. One that can't be read is.
pub(crate) fn is_taken(place: &Path) -> bool {
    if !place.is_file() {
        return false;
    }
    let mut found = Vec::new();
    let read =
        fs::File::open(place).and_then(|file| file.take(HEAD.len() as u64).read_to_end(&mut found));
    read.is_err() || found != HEAD.as_bytes()
}

/// Writes a case: beside its place first, then moved there.
pub(crate) fn save(folder: &Path, name: &str, case: &Scenario) -> Result<PathBuf, NotSaved> {
    let place = folder.join(name);
    if is_taken(&place) {
        return Err(NotSaved::Taken(place));
    }
    let beside = folder.join(format!(".{name}.{}.partial", std::process::id()));
    let text = format!("{HEAD}{}", case.to_toml());
    let written = put_new(&beside, &text).and_then(|()| {
        fs::rename(&beside, &place).inspect_err(|_| {
            let _ = fs::remove_file(&beside);
        })
    });
    match written {
        Ok(()) => Ok(place),
        Err(error) => Err(NotSaved::Refused(place, error)),
    }
}

/// Makes a file where there is none; where it can't be written to its end, there is none afterwards.
pub(crate) fn put_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::File::create_new(path)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).inspect_err(|_| {
        let _ = fs::remove_file(path);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_that_was_saved_here_is_replaced() {
        let folder = std::env::temp_dir().join(format!("ringfence-saved-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let text = include_bytes!("../../scenarios/standard.toml");
        let case = Scenario::from_bytes(text).expect("it is built in");
        let mine = folder.join("mine.toml");
        let saved = |name: &str| save(&folder, name, &case).map(|_| ());

        assert!(saved("case.toml").is_ok() && saved("case.toml").is_ok(), "twice");
        let text = fs::read(folder.join("case.toml")).expect("it is there");
        assert_eq!(Scenario::from_bytes(&text).as_ref(), Ok(&case), "it is read");
        for foreign in ["", "# Saved by ringf", "format = 1\n"] {
            fs::write(&mine, foreign).expect("written");
            assert!(matches!(saved("mine.toml"), Err(NotSaved::Taken(_))), "{foreign:?}");
            assert_eq!(fs::read(&mine).expect("it is there"), foreign.as_bytes());
        }
        let count = fs::read_dir(&folder).expect("a folder").count();
        fs::remove_dir_all(&folder).expect("it was made here");
        assert_eq!(count, 2, "nothing is left beside them");
    }
}
