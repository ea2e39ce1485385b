//! Why? What happened, step by step, and the least that still shows it.
//!
//! | module | answers |
//! |---|---|
//! | [`story`] | what happened, in which order, to whose bytes? |
//! | [`recorder`] | which events of a run are its turning points? |
//! | [`bug_check`] | what do a bug check's code and parameters say? |
//! | [`case`](mod@case) | what is the least that still shows it? |
//! | [`test_text`] | how is it kept: as TOML, as a test, as a command? |

pub mod bug_check;
pub mod case;
mod ending;
pub mod recorder;
pub mod story;
pub mod test_text;

pub use case::{Counterexample, minimised};
pub use recorder::Recorder;
pub use story::Story;
