//! Does a recorded trace of page-table code hold?
//!
//! For code that can't be linked into a test: a kernel in C, a hypervisor under an emulator. It prints
//! one line for each store to its tables, barrier, invalidation and translation register, and this
//! module judges them store by store with the rules of the suite. `docs/trace.md` describes the format;
//! traces of casemate are read as well.
//!
//! ```
//! use ringfence::conformance::trace::{Checker, Language};
//!
//! let trace = "trace 1 aarch64
//!     init 0x1000 0x2000
//!     set 0 ttbr0_el2 0x1000
//!     store 0 0x1000 0x2003
//!     store 0 0x1000 0x3003";
//! let mut checker = Checker::new(Language::Own);
//! let mut findings = Vec::new();
//! for line in trace.lines() {
//!     findings.extend(checker.line(line).expect("a line of a trace").iter().cloned());
//! }
//!
//! assert_eq!(findings[0].kind(), "made without break: another table takes its place");
//! ```
//!
//! | part | answers |
//! |---|---|
//! | `own`, `casemate` | what does a line say? |
//! | `books`, `spaces`, `locks` | what is true before it? |
//! | `checker`, `store`, `owners`, `roots`, `dormant`, `sets`, `ways` | does it hold? |

mod books;
mod casemate;
mod checker;
mod dormant;
mod event;
mod finding;
mod locks;
mod own;
mod owners;
mod roots;
mod sets;
mod spaces;
mod store;
mod ways;

pub use checker::{Checker, Discipline, Language, Tally};
pub use event::{Action, Event, Mistake};
pub use finding::{Change, Finding};
