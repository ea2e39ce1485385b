//! Memory that changes by itself is nobody's doing: what is said of it does not depend on who was about to
//! act at that moment.

mod worlds;

use ringfence::campaign::{Registries, Trial};
use ringfence::counterexample::Story;
use ringfence::injection::PointKind;
use ringfence::outcome::{Availability, Integrity, Outcome};
use ringfence::scenario::Scenario;

use worlds::{built_in, fault, struck, trial};

/// Steps one right after the other of which the second is another's, each as its actor and its place among
/// the steps of that one.
fn turns(trial: &Trial) -> Vec<[(String, u64); 2]> {
    let mut before = [0; 64];
    let steps = trial.golden.points.iter().filter(|one| one.kind == PointKind::Step);
    let steps: Vec<_> = steps
        .map(|one| {
            let count = &mut before[usize::from(one.principal.0)];
            *count += 1;
            (trial.roster().name(one.principal).to_owned(), *count)
        })
        .collect();
    let pairs = steps.windows(2).filter(|pair| pair[0].0 != pair[1].0);
    pairs.map(|pair| [pair[0].clone(), pair[1].clone()]).collect()
}

/// All that is said of a run, but when it was and who was about to act.
fn said(mut outcome: Outcome) -> Outcome {
    outcome.activation.first = None;
    outcome.activation.by = None;
    outcome.activation.routine = None;
    outcome.sleep = None;
    if let Some(detection) = &mut outcome.detection {
        detection.events = 0;
    }
    outcome
}

#[test]
fn whose_results_differ_and_what_is_promised_is_asked_without_an_actor() {
    let mut trial = trial(&built_in("standard"));
    let turns = turns(&trial);
    let (mut compared, mut deviated) = (0, 0);
    for target in [
        "process:shell/private-word:0",
        "process:shell/control-block:0",
        "process:editor/handle-rights:1",
        // Nothing is mapped there; an entry that is used may be read in between.
        "process:editor/page-map-entry:77",
        "driver:files/write-dispatch",
        "driver:nic/data:0",
    ] {
        for pair in turns.iter().step_by(29) {
            let which = format!("target = '{target}'\nbit = 1");
            let [one, other] = pair.clone().map(|(who, nth)| {
                let flip = fault("bit-flip", &who, PointKind::Step, nth, &which);
                said(trial.run(&[flip]).expect("a fault that can be made"))
            });
            assert_eq!(one, other, "{target} before {pair:?}");
            assert_eq!(one.guarantees, [""; 0], "{target} before {pair:?}");
            compared += u32::from(one.activation.strikes > 0);
            deviated += u32::from(one.integrity >= Integrity::Deviated);
        }
    }
    assert!(compared > 60 && deviated > 5, "{compared} compared, {deviated} deviated");
}

#[test]
fn who_was_about_to_act_did_not_strike() {
    let scenario = built_in("standard");
    let mut trial = trial(&scenario);
    let word = "target = 'process:shell/private-word:0'\nbit = 3";
    let shells = fault("bit-flip", "shell", PointKind::Step, 60, word);

    let outcome = struck(&mut trial, shells.clone());

    // Its own results differ for no fault of its own.
    assert_eq!(outcome.deviated, ["shell"]);
    assert!(trial.judge.struck().is_empty(), "{:?}", trial.judge.struck());
    assert!(trial.judge.was_poked_elsewhere());
    let told = Scenario { plan: vec![shells], ..scenario };
    let story = Story::of(&told, &Registries::default()).expect("it ran before");
    let picture = story.picture().join("\n");
    assert!(picture.contains("[ shell !") && !picture.contains('⚡'), "{picture}");
}

/// Intel SDM volume 2B, "MOV—Move to/from Control Registers": a load of CR3 with a bit set from MAXPHYADDR up
/// (40 here) is a general protection, but for bit 63 while CR4.PCIDE is set. Without that the low bits are
/// caching hints or ignored.
#[test]
fn a_root_with_a_reserved_bit_is_not_loaded_and_no_memory_is_written_under_it() {
    for (pcid, ignored) in [(false, vec![0, 3, 5, 11]), (true, vec![63])] {
        let mut scenario = built_in("standard");
        scenario.configuration.machine.pcid = pcid;
        let mut trial = trial(&scenario);
        // Below MAXPHYADDR and beyond memory: nothing is mapped there, not even a stack.
        let beyond = [30, 39];
        for bit in ignored.iter().copied().chain(beyond).chain(40..63 + u32::from(!pcid)) {
            let which = format!("target = 'process:shell/root'\nbit = {bit}");
            let flip = fault("bit-flip", "editor", PointKind::Step, 6, &which);

            let outcome = struck(&mut trial, flip);

            let told = format!("bit {bit}, identifiers {pcid}: {outcome:?}");
            assert!(outcome.exposures.is_empty() && outcome.guarantees.is_empty(), "{told}");
            assert_eq!(outcome.deviated, [""; 0], "{told}");
            let by = outcome.detection.as_ref().map(|detection| &*detection.by);
            let is_right = if ignored.contains(&bit) {
                outcome.availability == Availability::Unaffected && by.is_none()
            } else if beyond.contains(&bit) {
                outcome.availability == Availability::Reset && by == Some("page fault")
            } else {
                // An access violation that nobody handles, outside a system service.
                let code = 0xffff_ffff_c000_0005;
                by == Some("general protection")
                    && matches!(outcome.availability, Availability::BugCheck { code: 0x1e, parameters }
                        if parameters[0] == code)
            };
            assert!(is_right, "{told}");
        }
    }
}
