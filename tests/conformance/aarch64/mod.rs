//! AArch64: a mapper of these tests' own, silent when it is correct, and each planted bug is found.

pub(crate) use tables::{Setup, Tables};

mod bug;
mod margins;
mod planted;
mod tables;
mod walkers;
mod ways;
