//! Whatever strikes user mode, every guarantee holds, and nothing panics.
//!
//! What the bytes mean is said in `ringfence::scenario::fuzz_input`; `ringfence explain` shows it.

use ringfence::campaign::{Registries, Trial};
use ringfence::outcome::Outcome;
use ringfence::scenario::fuzz_input;

/// One case.
///
/// # Panics
///
/// When a guarantee is violated.
pub fn run(data: &[u8]) {
    let (_, outcome) = outcome(data);
    assert!(
        outcome.is_none_or(|outcome| outcome.guarantees.is_empty()),
        "violated: see `ringfence explain`"
    );
}

/// The kinds of fault that were planned, and what became of it; `None` for a plan whose fault can't be
/// made in this world.
///
/// # Panics
///
/// When the world can't be built.
#[must_use]
pub fn outcome(data: &[u8]) -> (Vec<String>, Option<Outcome>) {
    let scenario = fuzz_input::scenario(data);
    let mut trial =
        Trial::new(&scenario, &Registries::default()).expect("what is generated builds");
    let kinds = scenario.plan.iter().map(|fault| fault.kind.clone()).collect();
    (kinds, trial.run(&scenario.plan).ok())
}
