//! Deterministic fault injection for the boundary between user mode and kernel mode.

pub mod authority;
pub mod base;
pub mod campaign;
#[cfg(feature = "cli")]
pub mod cli;
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
