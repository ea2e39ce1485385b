//! Why? What happened, step by step, and the least that still shows it.
//!
//! | module | answers |
//! |---|---|
//! | [`story`] | what happened, in which order, to whose bytes? |
//! | `traced`, `altered`, `beside` | the same run once more: what did each strike alter, or do beside that? |
//! | `doing`, `adjacent` | how is what was about to happen, and what happened to many words, told? |
//! | `differs` | how does what was seen and stored differ from the golden run? |
//! | [`recorder`] | which events of a run are its turning points? |
//! | `victims` | whose bytes were corrupted, and what became of them? |
//! | `frames` | which return address or cookie was overwritten before it was used, and by whom? |
//! | `standing` | where do processors stand when a run is cut off? |
//! | `recovery` | what is done about a lost host, and who is told? |
//! | [`incident`] | how is an incident told to a room? |
//! | [`bug_check`] | what do a bug check's code and parameters say? |
//! | [`case`](mod@case) | what is the least that still shows it? |
//! | `smaller` | what of a scenario can be left out? |
//! | `simpler`, `simpler_action` | which parameters can be simpler? |
//! | [`test_text`] | how is it kept: as TOML, as a test, as a command? |

mod adjacent;
mod altered;
mod beside;
pub mod bug_check;
pub mod case;
mod decisive;
mod differs;
mod disclosed;
mod doing;
mod ending;
mod frames;
mod happened;
pub mod incident;
mod mode_line;
mod picture;
pub mod recorder;
mod recovery;
mod simpler;
mod simpler_action;
mod smaller;
mod standing;
pub mod story;
pub mod test_text;
mod traced;
mod victims;

pub use case::{Counterexample, Shown, minimised, shown};
pub use incident::IncidentStory;
pub use recorder::Recorder;
pub use story::Story;
