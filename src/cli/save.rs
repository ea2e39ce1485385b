//! Files that are there whole or not at all.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::Failure;

/// A folder that files can be written to.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder if need be and tries whether it takes files, before any work is done for it.
    pub(super) fn prepare(path: &Path) -> Result<Self, Failure> {
        let folder = Self(path.to_owned());
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
            return Err(self.unwritable(&error));
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

fn put(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
