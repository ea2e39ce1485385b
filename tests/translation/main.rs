//! The machine's page walk, the walk by the book, and what real implementations did.

mod exhaustive;
mod may_hold;
mod random;
mod recorded;
mod requests;
mod small_scope;
mod sparse;
