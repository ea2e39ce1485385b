//! Deterministic fault injection for the boundary between user mode and kernel mode.
//!
//! | module | answers |
//! |---|---|
//! | [`base`] | what are the words? |
//! | [`injection`] | where may a fault step in, and what may it answer there? |
//! | [`machine`] | what does the hardware do? |
//! | [`oracles`] | who else says so? |
//! | [`authority`] | who owns which bytes as what, who may influence whom? |
//! | [`kernel`] | what does the operating system do when asked? |
//! | [`world`] | what happens when one acts in the other? |
//! | [`faults`] | what can go wrong? |
//! | [`invariants`] | what must stay true? |
//! | [`scenario`] | what shall we try? |
//! | [`outcome`] | what became of it? |
//! | [`minimise`] | what is the least that still shows it? |
//! | [`campaign`] | what did we find? |
//! | [`counterexample`] | why? |
//! | [`conformance`] | does *your* page-table code hold? |
//! | [`audit`] | what does this image of page tables allow? |
//! | [`report`] | how is it told? |
//! | `cli` | how is it asked? (feature `cli`) |
//!
//! A row uses rows above it and none below; which ones, `CONTRIBUTING.md` says, and a test holds it.
//!
//! Most users need one sentence, in a `#[test]`:
//!
//! ```
//! use ringfence::campaign::Campaign;
//!
//! Campaign::on_builtin("standard")
//!     .with_faults(["wild-write"])
//!     .experiments(20)
//!     .run_all()
//!     .assert_guarantees_hold();
//! ```
//!
//! The same scenario and seed give the same outcome, byte for byte, on every machine and with any
//! number of workers.

#![cfg_attr(
    not(any(feature = "kvm", feature = "store-trap", feature = "privileged-shim")),
    forbid(unsafe_code)
)]

pub mod audit;
pub mod authority;
pub mod base;
pub mod campaign;
#[cfg(feature = "cli")]
pub mod cli;
pub mod conformance;
pub mod counterexample;
pub mod faults;
pub mod injection;
pub mod invariants;
pub mod kernel;
pub mod machine;
pub mod minimise;
pub mod oracles;
pub mod outcome;
pub mod report;
pub mod scenario;
pub mod world;
