//! The shape of the crate is tested too: layers, prohibited imports, the form of the sources.
//!
//! Each rule is a pure function from sources to breaches. One test applies it to the crate, and
//! beside it stand tests that plant a breach and see it found: a rule that cannot fail holds nothing.

mod command;
mod findings;
mod forgotten;
mod forms;
mod layers;
mod names;
mod registries;
mod sources;
