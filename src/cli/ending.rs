//! What asks the program to end: Ctrl-C and, on Unix, the signals TERM and HUP.
//!
//! Whatever runs stops at once and what there is is printed, so that who ends a sweep of hours by `kill`, by
//! `timeout` or by closing the terminal has what it found. A program that was started with hang-ups ignored, as
//! `nohup` starts one, goes on ignoring them.

use std::time::{Duration, Instant};

use crate::campaign::Interrupt;

use super::Failure;

/// Signals that come within this time of the first are the same press: `timeout` sends one to its child and
/// one to the child's group.
const ONE_PRESS: Duration = Duration::from_millis(300);

/// Raised when the program is asked to end; asked again it ends at once.
#[allow(clippy::disallowed_methods, reason = "how long somebody pressed a key is the host's time")]
pub(super) fn stopped_when_asked() -> Result<Interrupt, Failure> {
    let stop = Interrupt::default();
    let pressed = stop.clone();
    let mut first: Option<Instant> = None;
    listen(move || {
        pressed.raise();
        if first.get_or_insert_with(Instant::now).elapsed() >= ONE_PRESS {
            std::process::exit(130);
        }
    })
    .map_err(|error| Failure::mistake(format!("can't listen for Ctrl-C: {error}"), "try again"))?;
    Ok(stop)
}

/// Calls it, in a thread of its own, each time that the program is asked to end.
#[cfg(unix)]
fn listen(mut asked: impl FnMut() + Send + 'static) -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    let mut signals = vec![SIGINT, SIGTERM];
    // What is ignored at the start is not for this program to hear.
    if !is_ignored(SIGHUP) {
        signals.push(SIGHUP);
    }
    let mut signals = signal_hook::iterator::Signals::new(signals)?;
    std::thread::Builder::new().spawn(move || signals.forever().for_each(|_| asked()))?;
    Ok(())
}

/// As on Unix, for the one way that there is.
#[cfg(not(unix))]
fn listen(asked: impl FnMut() + Send + 'static) -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(asked)
}

/// Whether this process ignores a signal; where nobody says it, that it does.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    is_in("SigIgn:", signal, &status)
}

/// Whether a signal is in a set of those that the status of a process lists.
#[cfg(unix)]
fn is_in(set: &str, signal: i32, status: &str) -> bool {
    let listed = status.lines().find_map(|line| line.strip_prefix(set));
    let listed = listed.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    listed.is_none_or(|set| set >> (signal - 1) & 1 != 0)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_signal_is_known_by_its_bit_and_an_unknown_set_has_all() {
        let status = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n";

        assert!(is_in("SigIgn:", 1, status) && is_in("SigIgn:", 13, status));
        assert!(!is_in("SigIgn:", 2, status) && !is_in("SigIgn:", 15, status));
        assert!(is_in("SigIgn:", 1, "") && is_in("SigIgn:", 1, "SigIgn:\tnone\n"));
    }
}
