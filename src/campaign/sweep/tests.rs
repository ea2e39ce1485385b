use super::*;
use crate::base::{Event, EventKind, Structure, Witness};
use crate::injection::PointKind;

fn small() -> Scenario {
    Scenario::from_bytes(
        br#"
format = 1
name = "small"

[machine]
processors = 1
clock-interval = 0

[[component]]
name = "editor"
home = "application"
actions = [
    { do = "store", word = 0, value = "0x7" },
    { do = "load", word = 0 },
]
"#,
    )
    .expect("a scenario")
}

fn sweep(kinds: &[&str]) -> Sweep {
    let kinds = kinds.iter().map(|&kind| kind.to_owned()).collect();
    Sweep { kinds, ..Sweep::of(small()) }
}

/// Stores of what was there. That into the task-state segment passes no point.
struct Needless(u64);

impl Witness for Needless {
    fn event(&mut self, event: &Event) {
        let is_passed = event.kind == EventKind::Store && event.structure != Structure::TaskState;
        self.0 += u64::from(is_passed && event.value == event.old);
    }
}

#[test]
fn every_point_of_the_golden_run_is_tried_once() {
    let sweep = sweep(&["lost-store"]);
    let mut trial = sweep.trial().expect("a sound world");
    let stores = trial
        .golden
        .points
        .iter()
        .filter(|point| matches!(point.kind, PointKind::Store | PointKind::TableStore));
    let stores = stores.count() as u64;

    let swept = sweep.run(|_| {}).expect("a sound world");

    assert_eq!((swept.faults, swept.run, swept.points), (stores, stores, stores));
    assert_eq!(swept.total.experiments, stores);
    // What memory holds anyway can't be lost.
    let mut needless = Needless(0);
    while trial.world.step(&mut needless).is_none() {}
    assert!(needless.0 > 0);
    assert_eq!(swept.total.activated, stores - needless.0);
    assert_eq!(swept.total.violations, 0);
}

#[test]
fn a_fault_has_its_number_whether_it_is_asked_for_or_met() {
    let sweep = sweep(&["lost-store", "crash", "torn-store"]);
    let trial = sweep.trial().expect("a sound world");
    let space = Space::new(&trial, sweep.chosen());

    let met: Vec<_> = (0..space.points().len()).flat_map(|point| space.at(point)).collect();

    assert_eq!(met.len() as u64, space.total());
    for (number, single) in met.iter().enumerate().step_by(97) {
        let asked = sweep.fault(number as u64).expect("a sound world");
        assert_eq!((single.number, Some(single.plan())), (number as u64, asked));
    }
    assert_eq!(sweep.fault(space.total()), Ok(None));
}

#[test]
fn a_fault_that_has_no_place_did_not_strike() {
    let sweep = sweep(&["lost-store"]);
    let trial = sweep.trial().expect("a sound world");
    let space = Space::new(&trial, sweep.chosen());
    let single = space.single(0).expect("there are some");
    let nowhere = super::blocks::never_struck(&single, crate::base::PrincipalKind::Application);
    let mut tally = Tally::default();

    tally.add(&nowhere);

    assert_eq!((tally.activated, tally.kinds["lost-store"]), (0, (1, 0)));
}

#[test]
fn the_number_of_workers_changes_nothing() {
    let alone = sweep(&["skipped-probe", "lost-store"]);
    let together = Sweep { workers: 3, ..alone.clone() };

    let [alone, together] = [alone, together].map(|sweep| sweep.run(|_| {}).expect("sound"));

    assert_eq!(alone.digest, together.digest);
    assert_eq!(alone.total.cells, together.total.cells);
    assert_eq!(alone.examples, together.examples);
}

#[test]
fn a_flip_comes_to_what_the_one_that_stands_for_it_comes_to() {
    let sweep = Sweep { check_one_in: 400, ..sweep(&["corrupted-dispatch-entry"]) };

    let swept = sweep.run(|_| {}).expect("a sound world");

    assert!(swept.alike > 10 * swept.run, "{} alike, {} run", swept.alike, swept.run);
    assert_eq!(swept.run + swept.alike + swept.nowhere, swept.faults);
    assert_eq!(swept.total.experiments, swept.faults);
    assert!(swept.checked > 50, "{} checked", swept.checked);
    assert_eq!(swept.disagreements_total, 0, "{:?}", swept.disagreements);
}

#[test]
fn a_world_that_crashes_by_itself_is_swept_like_any_other() {
    let mut scenario = small();
    scenario.configuration.components[0].actions.push(crate::world::Action::Crash {
        how: crate::world::action::CrashKind::NullDereference,
    });
    let kinds = vec!["corrupted-dispatch-entry".to_owned()];
    let sweep = Sweep { kinds, check_one_in: 100, ..Sweep::of(scenario) };

    let swept = sweep.run(|_| {}).expect("a sound world");

    assert!(swept.checked > 50, "{} checked", swept.checked);
    assert_eq!(swept.disagreements_total, 0, "{:?}", swept.disagreements);
}

#[test]
fn flips_across_a_use_that_was_overlooked_are_told() {
    let sweep = Sweep { check_one_in: 400, ..sweep(&["corrupted-dispatch-entry"]) };
    let mut trial = sweep.trial().expect("a sound world");
    let space = Space::new(&trial, sweep.chosen());
    let is_seen = |event: &Event| event.kind != EventKind::Load;
    let fates = uses::fates(&mut trial, &space, &sweep.registries.interrupt, is_seen);

    let swept = blocks::run(&sweep, trial, &space, &fates.expect("no interrupt"), |_| {});

    let swept = swept.expect("a sound world");
    assert!(swept.disagreements_total > 0, "{} checked", swept.checked);
    assert!(swept.disagreements.iter().all(|one| one.number != one.stands));
}

#[test]
fn an_interrupt_ends_it_and_says_so() {
    let sweep = sweep(&["lost-store"]);
    let stop = sweep.registries.interrupt.clone();

    let swept = sweep.run(|progress| {
        if progress.faults > 0 {
            stop.raise();
        }
    });

    let swept = swept.expect("what was found so far");
    assert!(swept.is_partial && swept.reached < swept.faults && swept.reached > 0);
}
