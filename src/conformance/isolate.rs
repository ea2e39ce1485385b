//! The same run in a child process first, for code that may crash its process or loop without ever
//! touching memory.
//!
//! The child is this test binary with this test alone. It writes the seed of each case to a file before
//! it begins; a child that is ended by a signal, or makes no progress for too long, died in that case.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use std::{env, process};

use super::options::test_name;

/// Set in a child: the file it writes its progress to.
const PROGRESS: &str = "RINGFENCE_CONFORMANCE_PROGRESS";

/// Memory that a child may take, in KiB: 2 GiB, many times what the suite itself needs.
const MEMORY_KIB_MAX: u64 = 2 * 1024 * 1024;

/// How often a parent looks at its child.
const LOOK: Duration = Duration::from_millis(20);

/// How a child died.
pub(super) struct Death {
    /// In the case with this seed; `None` before the first.
    pub(super) seed: Option<u64>,
    pub(super) how: String,
}

/// Whether this process is such a child.
pub(super) fn is_child() -> bool {
    env::var_os(PROGRESS).is_some()
}

/// A child says which case it begins.
pub(super) fn begins(seed: Option<u64>) {
    if let (Some(path), Some(seed)) = (env::var_os(PROGRESS), seed) {
        // A parent that misses it tells of an earlier case: no reason to end here.
        let _ = fs::write(path, seed.to_string());
    }
}

/// Runs this test in a child; `None` when the child ended by itself, whatever it found.
///
/// # Panics
///
/// When no child can be started.
pub(super) fn trial(patience: Duration) -> Option<Death> {
    let name = test_name();
    let label = name.as_deref().unwrap_or("main").replace("::", "-");
    let path = env::temp_dir().join(format!("ringfence-{}-{label}", process::id()));
    let mut command = Command::new(env::current_exe().expect("the path of this test binary"));
    match &name {
        Some(name) => command.args([name.as_str(), "--exact"]),
        None => command.args(env::args_os().skip(1)),
    };
    command.env(PROGRESS, &path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().expect("a child process for an isolated run");
    let death = watch(child, patience, &path);
    let _ = fs::remove_file(PathBuf::from(&path));
    death
}

/// Memory of the child's that is in use, in KiB; `None` where the host does not say.
fn resident_kib(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn seed_in(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.parse().ok()
}

fn watch(mut child: Child, patience: Duration, path: &Path) -> Option<Death> {
    let mut waited = Duration::ZERO;
    let mut last = None;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.code().is_some() => return None,
            Ok(Some(status)) => {
                let how = format!("ends the process: {status}");
                return Some(Death { seed: seed_in(path), how });
            }
            Ok(None) => {}
            Err(error) => panic!("the child process can't be watched: {error}"),
        }
        let seed = seed_in(path);
        if seed != last {
            last = seed;
            waited = Duration::ZERO;
        }
        let how = if resident_kib(&child).is_some_and(|taken| taken > MEMORY_KIB_MAX) {
            Some("takes more than 2 GiB of memory".to_owned())
        } else if waited >= patience {
            Some(format!("makes no progress for {} s", patience.as_secs()))
        } else {
            None
        };
        if let Some(how) = how {
            // It may have ended meanwhile; either way it is gone then.
            let _ = child.kill();
            let _ = child.wait();
            return Some(Death { seed, how });
        }
        sleep(LOOK);
        waited += LOOK;
    }
}
