//! stub
use crate::machine::Routine;
/// stub
pub const ROUTINES: &[&Routine] = &[];
