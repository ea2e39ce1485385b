//! Who else says so? Second opinions about what the machine does.
//!
//! A second opinion shares no deciding code with what it judges, only addresses and the plain data
//! that say what is asked.

pub mod by_the_book;
mod comparison;
pub mod recorded;

pub use comparison::{Disagreement, compare};
