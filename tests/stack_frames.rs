//! Any code of kernel mode runs on the stack of whatever thread calls it. What it keeps there while it
//! runs is its own: damage to it has reached nobody else.

mod worlds;

use ringfence::base::PrincipalSet;
use ringfence::campaign::{Registries, Trial};
use ringfence::counterexample::Story;
use ringfence::injection::PointKind;
use ringfence::kernel::layout::address;
use ringfence::outcome::Victim;
use ringfence::scenario::Scenario;

use worlds::{fault, named, neighbours, struck, trial};

/// The stores of somebody that go to where kernel stacks are: number and address.
fn stores_to_stacks(trial: &Trial, who: &str) -> Vec<(u64, u64)> {
    let who = named(trial, who);
    let points = trial.golden.points.iter();
    let stores = points.filter(|one| one.principal == who && one.kind == PointKind::Store);
    let stores = (1..).zip(stores).map(|(nth, one)| (nth, one.argument));
    stores.filter(|(_, at)| (address::KERNEL_STACKS..).contains(at)).collect()
}

#[test]
fn a_driver_that_damages_its_own_frame_has_reached_nobody_else() {
    let mut trial = trial(&neighbours());
    for who in ["nic", "filter", "files", "hal"] {
        let principal = named(&trial, who);
        let stores = stores_to_stacks(&trial, who);
        let mut damaged = 0;
        for &(nth, _) in stores.iter().take(12) {
            let torn = fault("torn-store", who, PointKind::Store, nth, "bytes = 1");
            let outcome = trial.run(&[torn]).expect("a fault that can be made");
            let Some(first) = trial.judge.authority.corruptions().first() else { continue };
            assert_eq!(first.owners, PrincipalSet::of(principal), "store {nth} of {who}");
            assert!(outcome.victims.contains(&Victim::OwnDomain), "{outcome:?}");
            damaged += 1;
        }
        assert!(damaged > 0, "none of {} stores of {who} changed anything", stores.len());
    }
}

#[test]
fn up_the_stack_are_the_frames_of_those_who_called() {
    // The editor asks the kernel, which calls the filter, which has the kernel call the driver below.
    let mut trial = trial(&neighbours());
    let stores = stores_to_stacks(&trial, "nic");

    let (nth, at) = stores[0];
    let mut owners: Vec<String> = Vec::new();
    for words in 1..(4096 - at % 4096) / 8 {
        let by = format!("operator = 'offset'\noffset = '{:#x}'", 8 * words);
        let wild = fault("wild-write", "nic", PointKind::Store, nth, &by);
        let outcome = trial.run(&[wild]).expect("a fault that can be made");
        let Some(first) = trial.judge.authority.corruptions().first() else { continue };
        let name = trial.roster().name(first.owner.expect("stacks are somebody's"));
        let victim = match name {
            "nic" => Victim::OwnDomain,
            "filter" => Victim::AnotherDriver,
            _ => Victim::Kernel,
        };
        assert!(outcome.victims.contains(&victim), "{name}: {outcome:?}");
        if owners.last().is_none_or(|last| last != name) {
            owners.push(name.to_owned());
        }
    }

    assert_eq!(owners, ["nic", "kernel", "filter", "kernel"]);
}

#[test]
fn what_memory_itself_does_to_a_stack_hits_the_kernel_who_keeps_it() {
    let mut trial = trial(&neighbours());
    let flip = "target = 'process:editor/kernel-stack:500'\nbit = 3";

    let outcome = struck(&mut trial, fault("bit-flip", "nic", PointKind::Step, 1, flip));

    assert_eq!(outcome.victims, [Victim::Kernel]);
}

#[test]
fn a_story_calls_a_word_of_a_frame_the_same_where_it_is_written_and_where_it_is_corrupt() {
    let world = neighbours();
    let told = |kind: &str, who: &str, point: PointKind, nth: u64, parameters: &str| {
        let plan = vec![fault(kind, who, point, nth, parameters)];
        let scenario = Scenario { plan, ..world.clone() };
        Story::of(&scenario, &Registries::default()).expect("it runs").to_string()
    };
    let words = |story: &str| story.split_whitespace().collect::<Vec<_>>().join(" ");

    let (nth, _) = stores_to_stacks(&trial(&world), "filter")[0];
    let torn = words(&told("torn-store", "filter", PointKind::Store, nth, "bytes = 1"));
    assert!(torn.contains("meant as stack frame"), "{torn}");
    assert!(torn.contains("stack frame of filter in frame"), "{torn}");
    assert!(!torn.contains("kernel stack"), "{torn}");

    // What the kernel has there is on its own stack.
    let (nth, _) = stores_to_stacks(&trial(&world), "kernel")[0];
    let torn = words(&told("torn-store", "kernel", PointKind::Store, nth, "bytes = 1"));
    assert!(torn.contains("meant as kernel stack"), "{torn}");
    assert!(!torn.contains("stack frame"), "{torn}");
}
