//! What memory is meant as is no word that a fault could hit: allocators and copies are told by nobody.

mod worlds;

use ringfence::faults::{At, PlannedFault};
use ringfence::injection::PointKind;

use worlds::{fault, neighbours, trial};

/// The callee finds something else in the fourth argument, at every call of the kernel's routine of this name.
fn dropped_at(routine: &'static str, nth: u64) -> PlannedFault {
    let plan = fault("dropped-argument", "kernel", PointKind::Call, nth, "index = 3");
    PlannedFault { at: At { routine: Some(routine.to_owned()), ..plan.at }, ..plan }
}

#[test]
fn no_argument_of_a_copy_says_whose_the_bytes_are() {
    let mut trial = trial(&neighbours());
    let mut strikes = 0;
    for routine in ["IopSynchronousServiceTail", "NtWaitForDriverRequest"] {
        for nth in 1..=40 {
            let plan = dropped_at(routine, nth);
            let outcome = trial.run(std::slice::from_ref(&plan)).expect("it can be made");
            strikes += outcome.activation.strikes;
            let disclosed = trial.judge.authority.disclosures();

            assert!(disclosed.is_empty(), "call {nth} of {routine}: {disclosed:?}");
        }
    }
    assert!(strikes > 20, "{strikes}");
}
