//! No panic, no endless loop, whatever is asked and whatever the tables hold.
//!
//! Overflow is a panic in a debug build and silence in a release build: run both, and compare the
//! digests that the reports print. Code that loops without touching memory, or that crashes the
//! process, is told by a run in a child process.

use crate::conformance::breach::{Breach, Check, INTERFACE};
use crate::conformance::stop::Stop;

/// `during` is what was called; `None` is its drop.
pub(crate) fn stopped(stop: &Stop, during: &str, accesses_max: u32) -> Option<Breach> {
    let (kind, what) = match stop {
        Stop::Abandoned => return None,
        Stop::Endless => (
            format!("{during} does not end"),
            format!("{during} has not returned after {accesses_max} accesses to memory"),
        ),
        Stop::Panicked(text, place) => {
            let words: Vec<&str> = text.split_whitespace().take(6).collect();
            // Numbers differ between cases of one bug.
            let words = words.join(" ").replace(|letter: char| letter.is_ascii_digit(), "#");
            (format!("{during} panics: {words}"), format!("{during} panics at {place}: {text}"))
        }
    };
    Some(Breach { check: Check::Totality, kind, what, virt: None, rule: INTERFACE })
}
