//! The conformance suite on a mapper of its own: silent on the correct one, and each planted bug is
//! found by the check that is there for it.

mod bug;
mod planted;
mod tables;
