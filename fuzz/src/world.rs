//! Whatever strikes user mode, every guarantee holds, and nothing panics.
//!
//! What the bytes mean is said in `ringfence::scenario::fuzz_input`; `ringfence explain` shows it.

use ringfence::campaign::{Registries, Trial};
use ringfence::scenario::fuzz_input;

/// One case.
///
/// # Panics
///
/// When a guarantee is violated.
pub fn run(data: &[u8]) {
    let outcome = outcome(data);
    assert!(
        outcome.is_none_or(|violated| violated.is_empty()),
        "violated: see `ringfence explain`"
    );
}

/// The guarantees violated; `None` for a plan whose fault can't be made in this world.
fn outcome(data: &[u8]) -> Option<Vec<String>> {
    let scenario = fuzz_input::scenario(data);
    let mut trial =
        Trial::new(&scenario, &Registries::default()).expect("what is generated builds");
    trial.run(&scenario.plan).ok().map(|outcome| outcome.guarantees)
}
