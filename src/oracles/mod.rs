//! Who else says so? Second opinions about what the machine does.
//!
//! A second opinion shares no deciding code with what it judges, only addresses and the plain data
//! that say what is asked.

pub mod by_the_book;
mod comparison;
#[cfg(all(feature = "kvm", target_os = "linux", target_arch = "x86_64"))]
pub mod kvm;
pub mod recorded;

pub use comparison::{Disagreement, compare};
