//! A processor may use any translation that it may hold. A kernel that invalidates what it withdraws
//! does not notice; where an invalidation is lost, what was possible happens.

mod worlds;

use ringfence::faults::PlannedFault;
use ringfence::injection::PointKind;
use ringfence::outcome::{Class, Outcome};
use ringfence::scenario::Scenario;
use ringfence::world::{Action, Configuration};

use worlds::{application, fault, trial};

/// One who gives a page back that nobody ever touched and then looks at it, beside another.
fn scenario(pcid: bool) -> Scenario {
    let giving = vec![
        Action::Allocate { slot: 1 },
        Action::Free { slot: 1 },
        Action::LoadThrough { slot: 1, word: 5 },
    ];
    let mut getting = vec![Action::Yield; 3];
    for slot in 1..5 {
        getting.extend([
            Action::Allocate { slot },
            Action::StoreThrough { slot, word: 5, value: 0x005e_c2e7 },
        ]);
    }
    let components = vec![application("giver", giving), application("getter", getting)];
    let mut configuration = Configuration { components, ..Configuration::default() };
    configuration.machine.pcid = pcid;
    Scenario { name: "giver".into(), configuration, ..Scenario::default() }
}

fn held(who: &str, point: PointKind, number: u16) -> PlannedFault {
    fault("held-translation", who, point, 1, &format!("index = {number}"))
}

fn is_quiet(outcome: &Outcome) -> bool {
    outcome.guarantees.is_empty()
        && outcome.exposures.is_empty()
        && outcome.deviated.is_empty()
        && outcome.class() == Class::NoEffect
}

#[test]
fn whatever_is_used_of_what_may_be_held_nobody_can_tell() {
    for pcid in [false, true] {
        let mut trial = trial(&scenario(pcid));
        for who in ["kernel", "giver", "getter"] {
            for point in [PointKind::Step, PointKind::Load, PointKind::Store] {
                for number in 0..4 {
                    let outcome = trial.run(&[held(who, point, number)]).expect("a fault");

                    assert!(outcome.activation.strikes > 0, "{who} {point} {number}");
                    assert!(is_quiet(&outcome), "{pcid} {who} {point} {number}: {outcome:?}");
                }
            }
        }
    }
}

#[test]
fn where_an_invalidation_was_lost_what_was_possible_happens_and_the_loss_is_blamed() {
    for pcid in [false, true] {
        let mut trial = trial(&scenario(pcid));
        let mut run = |plan: &[PlannedFault]| trial.run(plan).expect("faults that can be made");
        let lost = |nth| fault("lost-invalidation", "kernel", PointKind::Invalidate, nth, "");
        let is_possible = |outcome: &Outcome| {
            outcome.exposures.iter().any(|name| name == "cached-translations-are-granted")
        };

        let nth = (1..=40).find(|&nth| is_possible(&run(&[lost(nth)]))).expect("one matters");
        let alone = run(&[lost(nth)]);
        let used = run(&[lost(nth), held("giver", PointKind::Load, 0)]);

        // This run's cache never had the translation, so without the stress nothing comes of it.
        assert_eq!((alone.class(), alone.deviated.len()), (Class::NoEffect, 0), "{alone:?}");
        let reads_what_was_taken = |outcome: &Outcome| {
            outcome.exposures.iter().any(|name| name == "nobody-reads-what-it-may-not")
        };
        assert!(reads_what_was_taken(&used) && !reads_what_was_taken(&alone), "{used:?}");
        // Only what kernel mode did is told as done by it: no guarantee covers a lost invalidation.
        assert_eq!(used.guarantees, [""; 0]);
        assert!(is_possible(&used), "what was lost is still what is told first");
    }
}
