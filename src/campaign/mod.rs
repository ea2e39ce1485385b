//! What did we find? Wires world, judge, plan and evidence together, many times.
//!
//! | module | answers |
//! |---|---|
//! | [`judge`] | who watches a run, and what do they write down? |
//! | [`alarm`] | what noticed a fault first? |
//! | [`watch`] | which invariants are asked, and when? |
//! | [`golden`] | what does the undisturbed run come to? |
//! | [`golden_accesses`] | what does it load and store in each step? |
//! | [`sleep`] | how long does damage lie there before anybody reads it? |
//! | [`stored`] | what did it leave on the disk? |
//! | [`left_in_memory`] | what did it leave in memory in use? |
//! | [`milestones`] | where did it stand, for a run that stands there again? |
//! | [`experiment`] | what became of one plan? |
//! | `availability` | what became of service? |
//! | `forks` | how do many experiments share one golden run? |
//! | [`interrupt`] | is it to end? |
//! | [`trial`] | how is a stored scenario run? |
//! | [`seeds`] | which worlds, and which plans? |
//! | [`series`] | how are many plans run in one world? |
//! | [`comparison`] | what do the same faults come to under several configurations? |
//! | [`sweep`] | what does every single fault of one world come to? |
//! | [`damage`] | what did a fault damage, beside what its world does to itself? |
//! | [`told_by`] | at whose word did kernel mode write where it should not? |
//! | [`verdict`] | is that what was expected? |
//! | [`tally`] | what do all outcomes come to? |
//! | [`wild_writes`] | how many of those hit memory, and what came of them? |
//! | [`findings`] | what did a campaign find? |
//! | [`replay`] | which command runs one experiment again? |
//! | [`sentence`] | how is a campaign said in a test? |
//! | [`difference`] | where do two runs part? |
//! | [`live_bytes`](mod@live_bytes) | which bytes of the kernel does anybody look at? |
//! | [`workers`] | how is that spread over threads without changing it? |

pub mod alarm;
pub(crate) mod availability;
pub mod comparison;
pub mod damage;
pub mod difference;
pub mod experiment;
pub mod findings;
mod forks;
pub mod golden;
pub mod golden_accesses;
pub mod interrupt;
pub mod judge;
pub mod left_in_memory;
pub mod live_bytes;
pub mod milestones;
pub mod replay;
pub mod seeds;
pub mod sentence;
pub mod series;
pub mod sleep;
mod standing;
pub mod stored;
pub mod suspects;
pub mod sweep;
pub mod tally;
pub mod told_by;
pub mod trial;
mod under_way;
pub mod verdict;
pub mod watch;
pub mod wild_writes;
pub mod workers;

pub use comparison::{Compared, Comparison};
pub use difference::{Difference, first_difference};
pub use findings::{Cut, GoldenStop, GoldenViolation, Report};
pub use golden::Golden;
pub use interrupt::{Interrupt, Interrupted};
pub use judge::Judge;
pub use live_bytes::{Flips, LiveBytes, LiveBytesOptions, Share, Shares, live_bytes};
pub use seeds::Seeds;
pub use series::{Case, ERRORS_MAX, Series, SeriesError, SeriesOptions};
pub use sweep::{Disagreement, OfKind, Sweep, SweepProgress, Swept};
pub use tally::{Origin, Tally};
pub use trial::{Registries, Trial, TrialError};
pub use verdict::{Judged, missed};
pub use watch::Watch;
pub use wild_writes::WildWrites;
pub use workers::{Campaign, Progress};
