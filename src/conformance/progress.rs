//! How a child says how far it came: a file that it keeps open, with one text that each later one overwrites.
//!
//! A child says so at every call of the code under test. To open, empty and close a file each time costs a thousand
//! times as much as the call: some file systems write out what such a file held before.

use core::fmt::Display;
use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Where a text ends: what was there before may be longer. It is in no text.
const END: u8 = 0;

/// The file of this process, and room to put a text together.
pub(super) struct Progress(Mutex<(Option<File>, Vec<u8>)>);

/// `None` in a process that is no child: `variable` names the file of one.
pub(super) fn of_this_child(variable: &str) -> Option<&'static Progress> {
    static PROGRESS: OnceLock<Option<Progress>> = OnceLock::new();
    let open = || Some(Progress::at(Path::new(&env::var_os(variable)?)));
    PROGRESS.get_or_init(open).as_ref()
}

impl Progress {
    fn at(path: &Path) -> Self {
        // A parent that reads nothing tells of no case: no reason to end here.
        Self(Mutex::new((File::create(path).ok(), Vec::new())))
    }

    /// Says this instead of what was said before.
    pub(super) fn write(&self, text: &dyn Display) {
        let mut both = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, bytes) = &mut *both;
        let Some(file) = file else { return };
        bytes.clear();
        // To memory, and a parent that misses it tells of an earlier case.
        let _ = write!(bytes, "{text}");
        bytes.push(END);
        overwrite(file, bytes);
    }
}

#[cfg(unix)]
fn overwrite(file: &mut File, bytes: &[u8]) {
    use std::os::unix::fs::FileExt as _;
    let _ = file.write_all_at(bytes, 0);
}

#[cfg(not(unix))]
fn overwrite(file: &mut File, bytes: &[u8]) {
    use std::io::{Seek as _, SeekFrom};
    let _ = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(bytes));
}

/// What was said last in this file; empty when nothing was.
pub(super) fn read(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = bytes.split(|byte| *byte == END).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_a_longer_text_that_was_said_before() {
        let path = env::temp_dir().join(format!("ringfence-progress-{}", std::process::id()));
        let progress = Progress::at(&path);
        let before = read(&path);

        progress.write(&"17 3 0 2 map 4 KiB page 0x1000");
        let longer = read(&path);
        progress.write(&"over");
        let shorter = read(&path);

        fs::remove_file(&path).expect("it was there");
        assert_eq!([before, longer, shorter], ["", "17 3 0 2 map 4 KiB page 0x1000", "over"]);
    }
}
