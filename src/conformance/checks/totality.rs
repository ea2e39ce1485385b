//! No panic, no endless loop, whatever is asked and whatever the tables hold.
//!
//! Overflow is a panic in a debug build and silence in a release build: run both, and compare the
//! digests that the reports print. Code that loops without touching memory, or that crashes the
//! process, is told by a run in a child process.

use crate::conformance::breach::{Breach, Check, INTERFACE};
use crate::conformance::stop::Stop;

/// An instance is being made.
pub(crate) const MAKING: &str = "making it";
/// An instance is asked for its root, as soon as it is made.
pub(crate) const ROOT: &str = "root";
/// An instance is dropped.
pub(crate) const DROP: &str = "drop";

/// `during` is what was called, or one of those above.
pub(crate) fn stopped(stop: &Stop, during: &str, accesses_max: u32) -> Option<Breach> {
    let when = match during {
        MAKING => "when it is made".to_owned(),
        DROP => "when it is dropped".to_owned(),
        call => format!("in {call}"),
    };
    let (kind, what) = match stop {
        Stop::Abandoned => return None,
        Stop::Endless => (
            format!("{during} does not end"),
            format!(
                "makes {accesses_max} accesses to memory {when}, and has not returned; code that needs more is \
                 given them by `accesses_max`"
            ),
        ),
        Stop::Panicked(text, place) => {
            let words: Vec<&str> = text.split_whitespace().take(6).collect();
            // Numbers differ between cases of one bug.
            let words = words.join(" ").replace(|letter: char| letter.is_ascii_digit(), "#");
            let at = if place.is_empty() { String::new() } else { format!(" at {place}") };
            (format!("{during} panics: {words}"), format!("panics {when}{at}: {text}"))
        }
    };
    Some(Breach { check: Check::Totality, kind, what, virt: None, rule: INTERFACE })
}
