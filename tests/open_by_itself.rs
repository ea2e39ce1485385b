//! What a world lets happen by itself is charged to no fault: the page-table self-map in reach of user mode.

mod worlds;

use ringfence::faults::{At, PlannedFault};
use ringfence::injection::PointKind;

use worlds::{built_in, fault, struck, trial};

/// The same in a routine.
fn within(routine: &str, plan: PlannedFault) -> PlannedFault {
    PlannedFault { at: At { routine: Some(routine.to_owned()), ..plan.at }, ..plan }
}

/// From the bystander's private word to an entry of its root, through the self-map.
const THROUGH_SELF_MAP: &str = "operator = 'offset'\noffset = '-0x904829141d8'";

#[test]
fn faults_of_processes_whose_tables_are_open_to_them_violate_nothing_more() {
    let mut trial = trial(&built_in("self-map-user-bit"));
    let golden: Vec<&str> = trial.golden.violations.iter().map(|one| one.invariant).collect();
    assert!(golden.contains(&"tables-are-out-of-user-reach"), "{golden:?}");

    let plans = [
        // It stores to its self-map entry; a processor remembers what that entry granted.
        within("main", fault("dropped-step", "attacker", PointKind::Step, 6, "")),
        // It waits for ever, and the entry that it forged stands at the end of the run.
        within(
            "NtApiCall",
            fault("wrong-service", "attacker", PointKind::ModeSwitch, 1, "index = 21"),
        ),
        // Its wild store goes through the same door.
        within("main", fault("wild-write", "bystander", PointKind::Store, 4, THROUGH_SELF_MAP)),
    ];
    for plan in plans {
        let told = format!("{plan:?}");
        let outcome = struck(&mut trial, plan);

        assert_eq!(outcome.guarantees, [""; 0], "{told}");
    }
}
