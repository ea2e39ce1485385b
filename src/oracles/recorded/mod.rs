//! What real implementations did: cases anybody can record, and what became of them.
//!
//! A case is one access, the registers it meets and the five entries it may walk. All cases of a
//! file share one small machine; what its memory holds follows from the case, so a row of a CSV file
//! says everything. `ringfence translate` reads such files, and `tests/fixtures/PROVENANCE.md` says
//! where the rows came from that are stored here.
//!
//! | module | answers |
//! |---|---|
//! | [`case`] | what is asked? |
//! | [`machine`] | in which memory? what becomes of it? |
//! | [`outcome`] | what became of it? |
//! | [`expectation`] | is that what somebody saw? |
//! | [`explanation`] | which rule decided? |
//! | [`csv`] | what is a line of the file? |
//! | [`columns`] | what do its cells say? |
//! | [`fuzz_input`] | what do a fuzzer's bytes mean? |

pub mod case;
pub mod columns;
pub mod csv;
pub mod expectation;
pub mod explanation;
pub mod fuzz_input;
pub mod machine;
pub mod outcome;

pub use case::{CaseAccess, Mode, TranslationCase};
pub use columns::{Columns, Mistake, Row, Wanted};
pub use csv::{Fields, Malformed, Scanned};
pub use expectation::{AccessedRange, Aspect, Expectation};
pub use explanation::{Explanation, explain};
pub use machine::{AccessedOnFault, CaseMemory, PLACED_BY_BITS, RecordedMachine, Walker};
pub use outcome::{CaseAnswer, CaseOutcome, LevelMask, NamedCode};

#[cfg(test)]
mod tests;
