//! A shell that outlives this process: where nobody hears of an abort, it says what was under way.
//!
//! Without `unsafe` no code of ours runs any more once a process aborts, overflows its stack or is killed for its
//! memory, and the test harness tells nothing but the signal. So, on Unix, one `/bin/sh` a process waits for the other
//! end of a pipe to be closed, which the kernel does whatever this process dies of. It prints the lines of a file in
//! the directory for temporary files, one for each run under way, and removes it. A run that is over has taken its line
//! out, so a process that ends well has none. Where there is no such shell, nobody tells.

use core::fmt::Display;
use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::process::{self, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Bytes of a line at most, its end among them.
const LINE_BYTES: usize = 512;

/// A signal to the whole group, as from a terminal, ends this process first and the shell after it has spoken.
const SCRIPT: &str = r#"trap '' HUP INT QUIT TERM; read -r end; grep . "$1" >&2; rm -f -- "$1""#;

/// The shell of this process.
struct Shell {
    file: File,
    /// Closed when this process ends.
    _pipe: ChildStdin,
    /// Which lines are taken.
    taken: Mutex<Vec<bool>>,
}

impl Shell {
    fn start() -> Option<Self> {
        if !cfg!(unix) {
            return None;
        }
        let path = env::temp_dir().join(format!("ringfence-{}-under-way", process::id()));
        // Of a process with the same number.
        let _ = fs::remove_file(&path);
        let file = File::options().write(true).create_new(true).open(&path).ok()?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "ringfence"]).arg(&path);
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        match spawned.ok().and_then(|mut child| child.stdin.take()) {
            Some(pipe) => Some(Self { file, _pipe: pipe, taken: Mutex::default() }),
            None => {
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    #[cfg(unix)]
    fn write(&self, line: &[u8], at: usize) {
        use std::os::unix::fs::FileExt as _;
        // Who can't be told is no reason to end here.
        let _ = self.file.write_all_at(line, (at * LINE_BYTES) as u64);
    }

    #[cfg(not(unix))]
    fn write(&self, line: &[u8], _: usize) {
        let _ = (&self.file).write_all(line);
    }
}

/// The line of one run.
pub(super) struct Line {
    shell: &'static Shell,
    number: usize,
}

impl Line {
    /// `None` where nobody tells.
    pub(super) fn take() -> Option<Self> {
        static SHELL: OnceLock<Option<Shell>> = OnceLock::new();
        let shell = SHELL.get_or_init(Shell::start).as_ref()?;
        let mut taken = shell.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let free = taken.iter().position(|is_taken| !is_taken);
        let number = free.unwrap_or(taken.len());
        match taken.get_mut(number) {
            Some(is_taken) => *is_taken = true,
            None => taken.push(true),
        }
        drop(taken);
        let line = Self { shell, number };
        line.clear();
        Some(line)
    }

    /// What is told if this process ends now.
    pub(super) fn say(&self, text: &dyn Display) {
        let mut line = [b'\n'; LINE_BYTES];
        let mut rest = line.get_mut(..LINE_BYTES - 1).unwrap_or_default();
        // A longer one is cut.
        let _ = write!(rest, "{text}");
        self.shell.write(&line, self.number);
    }

    /// Nothing is under way, or somebody else tells.
    pub(super) fn clear(&self) {
        self.shell.write(&[b'\n'; LINE_BYTES], self.number);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.clear();
        let mut taken = self.shell.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(is_taken) = taken.get_mut(self.number) {
            *is_taken = false;
        }
    }
}
