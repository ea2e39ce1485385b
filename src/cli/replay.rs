//! `ringfence replay`: a stored case again, compared with what it expects.

use std::io::Write;

use super::arguments::ReplayArguments;
use super::{Ended, Failure, load, run};

/// Runs a stored case. What no longer resolves is a mistake that says so; a fault that no longer
/// strikes is said and counts as missed, for then nothing was replayed.
pub(super) fn replay(arguments: &ReplayArguments, out: &mut impl Write) -> Result<Ended, Failure> {
    let scenario = load::scenario(&arguments.case)?;
    run::told(&scenario, arguments.json, false, out)
}
