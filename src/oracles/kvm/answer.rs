//! What the guest says became of a case.

use core::fmt;

use super::abstention::Abstention;
use crate::oracles::recorded::Expectation;

/// The answer to one case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// What was seen. The address of an access that was carried out is by what it brought and what
    /// is in data memory afterwards; it is not computed.
    Observed(Expectation),
    /// What no manual allows, in words: the access was carried out elsewhere than the tables lead,
    /// or an entry changed in another bit than accessed and dirty.
    Impossible(String),
    /// It was not run, or nothing can be concluded.
    Abstained(Abstention),
}

/// Why there is no oracle. It says so in the words that a test prints; such a test has not passed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Skipped {
    /// The reason.
    pub reason: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SKIPPED: KVM oracle not run: {}", self.reason)
    }
}

impl core::error::Error for Skipped {}
