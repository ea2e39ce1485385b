//! The machine's page walk, the walk by the book, and what real implementations did.

mod random;
mod recorded;
mod small_scope;
mod sparse;
