//! What is said of a run is what it left: on the disk, in memory, and in what everybody saw until the
//! machine stopped.

mod worlds;

use ringfence::base::{PhysAddr, Seed};
use ringfence::campaign::experiment::CONTAINED;
use ringfence::campaign::{Case, Origin, Registries, Series, SeriesOptions, Sweep, Trial};
use ringfence::counterexample::Story;
use ringfence::injection::PointKind;
use ringfence::kernel::layout::address;
use ringfence::outcome::{Availability, Class, Integrity, Outcome, Victim};
use ringfence::scenario::{Scenario, library};
use ringfence::world::action::place;
use ringfence::world::{Action, Component, Configuration, Rest};

use worlds::{
    application, built_in, fault, named, neighbours, reached, struck, trial, with_editor,
};

type Sectors = Vec<[u64; 64]>;

fn disk(trial: &Trial) -> Sectors {
    trial.world.machine.disk.sectors().to_vec()
}

fn golden_disk(trial: &mut Trial) -> Sectors {
    trial.run(&[]).expect("nothing is planned");
    disk(trial)
}

fn stops(outcome: &Outcome) -> bool {
    matches!(
        outcome.availability,
        Availability::BugCheck { .. } | Availability::Reset | Availability::BootLoop { .. }
    )
}

/// An application that writes its file, and whatever else, before it flushes.
fn writer(between: &[Action]) -> Scenario {
    let mut actions = vec![
        Action::Open { device: "files".into(), file: 1, access: 3, slot: 0 },
        Action::Write { slot: 0, offset: 0, length: 64, value: 0x5005 },
        Action::Load { word: 0 },
        Action::Flush { slot: 0 },
    ];
    actions.extend_from_slice(between);
    with_editor(actions)
}

#[test]
fn a_block_that_was_never_written_is_durable_damage() {
    let mut trial = trial(&writer(&[]));
    let golden = golden_disk(&mut trial);
    let transfers = reached(&trial, "disk-controller", PointKind::Dma);

    let mut lost = 0;
    for nth in 1..=transfers {
        let plan = fault("lost-transfer", "disk-controller", PointKind::Dma, nth, "");
        // A block of what is there already is not lost.
        let outcome = trial.run(&[plan]).expect("a fault that can be made");
        let is_other = disk(&trial) != golden;

        assert_eq!(
            outcome.integrity == Integrity::Durable,
            is_other,
            "transfer {nth}: {outcome:?}"
        );
        assert!(!is_other || outcome.class() == Class::Durable, "transfer {nth}");
        assert!(!is_other || outcome.activation.strikes > 0, "transfer {nth}");
        lost += u32::from(is_other);
    }

    assert!(lost > 0, "none of {transfers} transfers mattered");
}

#[test]
fn damage_on_the_disk_that_is_written_over_is_not_durable() {
    let again = [
        Action::Write { slot: 0, offset: 0, length: 64, value: 0x5005 },
        Action::Flush { slot: 0 },
    ];
    for (afterwards, is_mended) in [(&[][..], false), (&again[..], true)] {
        let mut trial = trial(&writer(afterwards));
        let golden = golden_disk(&mut trial);
        let controller = named(&trial, "disk-controller");
        // In the page from which the disk is written.
        let spoilt = "target = 'kernel/dma-buffer:514'\nbit = 3";

        let mut mended = 0;
        for nth in (1..=reached(&trial, "hal", PointKind::Step)).step_by(3) {
            let flip = fault("bit-flip", "hal", PointKind::Step, nth, spoilt);
            let outcome = struck(&mut trial, flip);
            let is_other = disk(&trial) != golden;
            let mut readers = trial.judge.authority.consumptions().iter();
            let was_written = readers.any(|one| one.reader == controller);

            assert_eq!(
                outcome.integrity == Integrity::Durable,
                is_other,
                "step {nth}: {outcome:?}"
            );
            mended += u32::from(was_written && !is_other);
        }

        assert_eq!(mended > 0, is_mended, "{mended} times");
    }
}

#[test]
fn what_a_crashed_application_did_not_write_any_more_is_no_damage() {
    let mut trial = trial(&writer(&[]));
    let golden = golden_disk(&mut trial);
    let steps = reached(&trial, "editor", PointKind::Step);

    let mut unwritten = 0;
    for nth in 1..=steps {
        let plan = fault("crash", "editor", PointKind::Step, nth, "how = 'abort'");
        let outcome = struck(&mut trial, plan);

        assert_eq!(outcome.guarantees, [""; 0], "step {nth}");
        assert_ne!(outcome.integrity, Integrity::Durable, "step {nth}: {outcome:?}");
        unwritten += u32::from(disk(&trial) != golden);
    }

    assert!(unwritten > 0, "the file was on the disk before each of {steps} steps");
}

#[test]
fn in_every_run_that_ends_by_itself_durable_is_what_the_disk_says() {
    let scenario = built_in("standard");
    let options =
        SeriesOptions { experiments: 240, seed: Seed(3), kinds: Vec::new(), errors: 1, only: None };
    let golden = golden_disk(&mut trial(&scenario));
    let series = Series::new(&scenario, &options, &Registries::default()).expect("it is sound");

    let (mut other, mut same, mut by_leave) = (0, 0, 0);
    series
        .in_full()
        .run(|trial, case| {
            let outcome = &case.outcome;
            let roster = trial.roster();
            let struck = trial.judge.struck();
            let is_cut =
                matches!(outcome.availability, Availability::Hang | Availability::ProcessHung)
                    || stops(outcome);
            if outcome.activation.strikes == 0 || is_cut {
                return;
            }
            let is_durable = outcome.integrity == Integrity::Durable;
            let differs = disk(trial) != golden;
            let is_user_mode = struck.iter().all(|one| roster.kind(one).is_process());
            if is_user_mode && !trial.judge.was_poked_elsewhere() {
                assert!(!is_durable || differs, "{:?}", case.plan);
                by_leave += u32::from(differs && !is_durable);
                return;
            }
            assert_eq!(is_durable, differs, "{:?}: {outcome:?}", case.plan);
            other += u32::from(differs);
            same += u32::from(!differs);
        })
        .expect("the faults are made");

    assert!(
        other > 0 && same > 0 && by_leave > 0,
        "{other} other, {same} same, {by_leave} by leave"
    );
}

#[test]
fn what_others_saw_before_the_machine_stopped_is_kept() {
    let mut looks = vec![Action::Store { word: 0, value: 1 }];
    looks.extend(vec![Action::Load { word: 0 }; 20]);
    looks.extend([
        Action::Open { device: "filter".into(), file: 0, access: 3, slot: 0 },
        Action::Write { slot: 0, offset: 0, length: 64, value: 1 },
    ]);
    let mut trial = trial(&with_editor(looks));
    let steps = reached(&trial, "nic", PointKind::Step);
    let crash = fault("crash", "nic", PointKind::Step, steps, "how = 'null-dereference'");
    let alone = struck(&mut trial, crash.clone());
    let place = "target = 'process:editor/private-word:0'\nbit = 3";

    let stopped = stops(&alone);
    let damaged = (1..=reached(&trial, "shell", PointKind::Step)).find_map(|nth| {
        let flip = fault("bit-flip", "shell", PointKind::Step, nth, place);
        let outcome = trial.run(&[flip, crash.clone()]).expect("faults that can be made");
        (!outcome.deviated.is_empty()).then_some(outcome)
    });

    assert!(stopped && alone.deviated.is_empty(), "{alone:?}");
    let damaged = damaged.expect("the editor looks at its word before the machine stops");
    assert!(stops(&damaged));
    assert_eq!(damaged.deviated, ["editor"]);
    assert_eq!(damaged.integrity, Integrity::Deviated);
    assert_eq!(damaged.class(), Class::BugCheck);
}

/// A critical process that gives memory back, and a stranger who gets it; the critical one goes on.
fn critical_and_stranger(weaknesses: &[&str]) -> Scenario {
    let mut gives = vec![
        Action::Allocate { slot: 0 },
        Action::StoreThrough { slot: 0, word: 0, value: 9 },
        Action::Free { slot: 0 },
    ];
    gives.extend(vec![Action::Yield; 50]);
    let mut takes = vec![Action::Yield; 6];
    takes.extend((1..9).map(|slot| Action::Allocate { slot }));
    takes.extend((1..9).map(|slot| Action::LoadThrough { slot, word: 0 }));
    let critical = Component { critical: true, ..application("critical", gives) };
    let configuration = Configuration {
        components: vec![critical, application("stranger", takes)],
        weaknesses: weaknesses.iter().map(|&name| name.to_owned()).collect(),
        ..Configuration::default()
    };
    Scenario { name: "critical-and-stranger".into(), configuration, ..Scenario::default() }
}

#[test]
fn a_critical_process_that_stops_the_machine_answers_for_what_others_saw_before() {
    for (weaknesses, is_seen) in [(&[][..], false), (&["no-zeroing"][..], true)] {
        let mut trial = trial(&critical_and_stranger(weaknesses));
        // What it stores in the page that it gives back.
        let critical = named(&trial, "critical");
        let points = trial.golden.points.iter();
        let stores = points.filter(|one| one.principal == critical && one.kind == PointKind::Store);
        let stores = (1..).zip(stores).filter(|(_, one)| one.argument % 4096 == 0);
        let stores: Vec<u64> = stores.map(|(nth, _)| nth).collect();
        let steps = reached(&trial, "critical", PointKind::Step);

        let mut found = Vec::new();
        for &nth in &stores {
            let lost = fault("lost-store", "critical", PointKind::Store, nth, "");
            let crash = fault("crash", "critical", PointKind::Step, steps - 8, "how = 'abort'");
            let outcome = trial.run(&[lost, crash]).expect("faults that can be made");
            let is_contained = outcome.guarantees.iter().all(|name| name != CONTAINED);
            if stops(&outcome) {
                found.push((is_contained, outcome.deviated));
            }
        }

        assert!(!found.is_empty(), "{stores:?}: the machine never stopped");
        let seen = found.iter().find(|(is_contained, _)| !is_contained);
        assert_eq!(seen.is_some(), is_seen, "{weaknesses:?}: {found:?}");
        assert!(seen.is_none_or(|(_, deviated)| deviated == &["stranger"]), "{found:?}");
    }
}

#[test]
fn a_store_of_what_was_there_anyway_corrupts_nothing() {
    // What the editor stores second, or third, becomes what it stored first.
    let store = |value: u64| Action::Store { word: 0, value };
    let actions = vec![store(0x77), store(0x78), store(0x79)];
    let mut trial = trial(&with_editor(actions));
    let places = stores_to(&trial, address::USER_BUFFERS + place::PRIVATE);
    let mut wrong = |nth: u64| {
        let plan = fault("wrong-value-stored", "editor", PointKind::Store, nth, "value = '0x77'");
        let outcome = struck(&mut trial, plan);
        (outcome.integrity, outcome.class())
    };

    assert_eq!(wrong(places[1]), (Integrity::Untouched, Class::NoEffect), "0x77 is there");
    assert_eq!(wrong(places[2]), (Integrity::Overwritten, Class::Overwritten), "0x78 is there");
}

#[test]
fn a_store_whose_missing_bytes_are_there_is_not_torn() {
    // Of the first store the upper half is there already; of the second it is not; of the third nothing is new.
    let store = |value: u64| Action::Store { word: 0, value };
    let actions = vec![store(0x77), store(0x5_0000_0078), store(0x5_0000_0078), store(1)];
    let mut trial = trial(&with_editor(actions));
    let places = stores_to(&trial, address::USER_BUFFERS + place::PRIVATE);

    let mut torn = |nth: u64| {
        let plan = fault("torn-store", "editor", PointKind::Store, nth, "bytes = 4");
        let outcome = trial.run(&[plan]).expect("a fault that can be made");
        (outcome.activation.strikes, outcome.integrity)
    };
    let found: Vec<(u64, Integrity)> = places[..3].iter().map(|&nth| torn(nth)).collect();

    let expected =
        [(0, Integrity::Untouched), (1, Integrity::Overwritten), (0, Integrity::Untouched)];
    assert_eq!(found, expected);
}

/// Which stores of the editor go to this address.
fn stores_to(trial: &Trial, word: u64) -> Vec<u64> {
    let editor = named(trial, "editor");
    let points = trial.golden.points.iter();
    let stores = points.filter(|one| one.principal == editor && one.kind == PointKind::Store);
    (1..).zip(stores).filter(|(_, one)| one.argument == word).map(|(nth, _)| nth).collect()
}

#[test]
fn a_request_that_succeeds_where_it_failed_has_not_failed() {
    // The file is opened to be read only, and written.
    let mut trial = trial(&with_editor(vec![
        Action::Open { device: "files".into(), file: 1, access: 1, slot: 0 },
        Action::Load { word: 0 },
        Action::Write { slot: 0, offset: 0, length: 16, value: 1 },
        Action::Load { word: 0 },
    ]));
    let editor = named(&trial, "editor");
    let statuses = |observations: &ringfence::authority::Observations| -> Vec<u64> {
        let seen = observations.of(editor).expect("the editor").first();
        seen.iter().map(|one| one.status).collect()
    };
    let before = statuses(&trial.golden.observations);

    let mut allowed = 0;
    for nth in 1..=reached(&trial, "editor", PointKind::Step) {
        let right = "target = 'process:editor/handle-rights:0'\nbit = 1";
        let plan = fault("bit-flip", "editor", PointKind::Step, nth, right);
        let outcome = trial.run(&[plan]).expect("a fault that can be made");
        let after = statuses(trial.judge.authority.observations());
        let succeeds = after.len() == before.len()
            && after.iter().zip(&before).all(|(after, before)| *after == 0 || after == before)
            && after != before;
        if succeeds {
            assert_eq!(outcome.availability, Availability::Unaffected, "step {nth}");
        }
        allowed += u32::from(succeeds);
    }

    assert!(before.iter().any(|&status| status != 0), "the write is refused: {before:x?}");
    assert!(allowed > 0, "the right was never there in time");
}

#[test]
fn a_wild_write_is_counted_with_who_wrote() {
    let scenario = built_in("standard");
    let kinds = vec!["wild-write".to_owned()];
    let options = SeriesOptions { experiments: 400, seed: Seed(5), kinds, errors: 1, only: None };
    let registries = Registries::default();
    let series = Series::new(&scenario, &options, &registries).expect("it is sound");

    let mut cases: Vec<Case> = Vec::new();
    series.run(|_, case| cases.push(case)).expect("the faults are made");

    assert!(cases.iter().any(|case| case.outcome.activation.strikes > 0));
    for case in cases {
        assert_ne!(case.origin, Origin::Hardware, "{:?}", case.plan);
    }
}

#[test]
fn a_store_under_another_root_is_told_at_its_address() {
    let scenario = neighbours();
    let mut trial = trial(&scenario);
    let kernel = named(&trial, "kernel");
    let points = trial.golden.points.iter();
    let stores = points.filter(|one| one.principal == kernel && one.kind == PointKind::Store);
    let to_users = (1..).zip(stores).filter(|(_, one)| one.argument >> 63 == 0);
    let to_users: Vec<(u64, u64)> = to_users.map(|(nth, one)| (nth, one.argument)).collect();

    let (plan, place) = to_users
        .into_iter()
        .find_map(|(nth, place)| {
            let wild = fault("wild-write", "kernel", PointKind::Store, nth, "operator = 'context'");
            let outcome =
                trial.run(core::slice::from_ref(&wild)).expect("a fault that can be made");
            (outcome.activation.strikes > 0).then_some((wild, place))
        })
        .expect("the kernel answers where both processes have something");

    assert!(!trial.judge.was_poked_elsewhere(), "it is the kernel's own store");
    let told = Scenario { plan: vec![plan], ..scenario };
    let story = Story::of(&told, &Registries::default()).expect("it ran before").to_string();
    assert!(story.contains("struck in kernel mode (kernel)"), "{story}");
    let instead = story.lines().find(|line| line.starts_with("instead")).expect("a store");
    assert!(instead.contains(&format!(" at {:#x}", place & !7)), "{instead}");
}

#[test]
fn a_flipped_bit_is_memorys_own_whoever_runs() {
    let kinds = vec!["bit-flip".to_owned()];
    let options = SeriesOptions { experiments: 40, seed: Seed(5), kinds, errors: 1, only: None };
    let scenario = neighbours();
    let series = Series::new(&scenario, &options, &Registries::default()).expect("it is sound");

    let mut below = 0;
    series
        .run(|_, case| {
            let has_flipped = case.outcome.activation.strikes > 0;
            assert_eq!(case.origin == Origin::Hardware, has_flipped, "{:?}", case.plan);
            below += u32::from(has_flipped);
        })
        .expect("the faults are made");

    assert!(below > 0);
}

#[test]
fn damage_to_free_memory_waits_for_whoever_gets_it() {
    let scenario = neighbours();
    let mut trial = trial(&scenario);
    let last = trial.world.machine.memory.bytes() - 4096;
    let flip = format!("target = 'physical:{last:#x}'\nbit = 3");

    let outcome = struck(&mut trial, fault("bit-flip", "nic", PointKind::Step, 1, &flip));

    assert_eq!(trial.judge.authority.owner_of(PhysAddr::truncated(last)), None);
    assert_eq!((outcome.integrity, outcome.class()), (Integrity::Dormant, Class::Dormant));
    assert_eq!(outcome.victims, [Victim::FreeMemory]);
}

#[test]
fn what_a_world_does_to_itself_before_the_strike_is_no_sleep_of_the_fault() {
    let file = library::find("incidents/I05-memory-driver").expect("built in");
    let scenario = Scenario::from_bytes(file.text.as_bytes()).expect("sound");
    let sweep = Sweep { kinds: vec!["crash".into()], ..Sweep::of(scenario.clone()) };
    let last = sweep.faults().expect("a sound world") - 1;
    let plan = sweep.fault(last).expect("a sound world").expect("the last one");
    let mut trial = Trial::new(&scenario, &Registries::default()).expect("a sound world");

    let outcome = trial.run(&[plan]).expect("a fault that can be made");

    assert_eq!(outcome.activation.strikes, 1);
    assert_eq!(outcome.sleep, None);
}

#[test]
fn a_crash_that_comes_without_the_fault_has_not_noticed_it() {
    let kinds = vec!["evicted-translations".to_owned()];
    let options = SeriesOptions { experiments: 20, seed: Seed(1), kinds, errors: 1, only: None };
    let scenario = built_in("incidents/I01-content-parser");
    let series = Series::new(&scenario, &options, &Registries::default()).expect("it is sound");

    let mut looped = 0;
    series
        .run(|_, case| {
            let outcome = &case.outcome;
            assert_eq!(outcome.detection, None, "{:?}", case.plan);
            let is_loop = matches!(outcome.availability, Availability::BootLoop { .. });
            looped += u64::from(is_loop) * outcome.activation.strikes;
        })
        .expect("the faults are made");

    assert!(looped > 0, "nothing struck before the crash");
}

#[test]
fn what_others_do_in_a_machine_that_would_have_stopped_is_no_interference() {
    // By itself the attacker stops the machine; where it crashes before that, everybody else goes on.
    let mut trial = trial(&built_in("incidents/I04-null-dereference"));
    assert!(matches!(trial.golden.rest, Rest::BugCheck(_)), "{:?}", trial.golden.rest);

    let outcome = struck(&mut trial, fault("crash", "attacker", PointKind::Step, 1, ""));

    assert!(outcome.guarantees.is_empty(), "{:?}", outcome.guarantees);
    assert_eq!((outcome.class(), outcome.deviated), (Class::ProcessLost, vec![]));
}

#[test]
fn a_buffer_that_a_fault_moved_before_the_call_is_the_buffer_that_was_asked_for() {
    let scenario = with_editor(vec![
        Action::Open { device: "files".into(), file: 1, access: 3, slot: 0 },
        Action::Write { slot: 0, offset: 0, length: 64, value: 0x5005 },
        Action::Read { slot: 0, offset: 0, length: 64 },
        Action::Load { word: 0 },
    ]);
    let mut trial = trial(&scenario);
    let calls = reached(&trial, "editor", PointKind::ModeSwitch);

    let mut failed = 0;
    for nth in 1..=calls {
        // One byte is left of the page in which the buffer is.
        let moved = "index = 4\nbytes = 1";
        let plan = fault("boundary-value-as-argument", "editor", PointKind::ModeSwitch, nth, moved);
        let outcome = trial.run(&[plan]).expect("a fault that can be made");

        assert_eq!(outcome.guarantees, [""; 0], "call {nth}");
        failed += u32::from(matches!(outcome.availability, Availability::RequestFailed { .. }));
        trial.rewind();
    }

    assert!(failed > 0, "no answer went across the end of the page");
}

#[test]
fn of_the_task_state_segment_only_the_bytes_of_a_stack_pointer_are_read() {
    let file = library::find("standard").expect("built in");
    let mut trial = trial(&Scenario::from_bytes(file.text.as_bytes()).expect("sound"));
    let mut read = |word: u64, bit: u64| {
        let which = format!("target = 'kernel/task-state:{word}'\nbit = {bit}");
        let flip = |nth| fault("bit-flip", "service", PointKind::Step, nth, &which);
        (1..30).step_by(3).filter(|nth| !struck(&mut trial, flip(*nth)).read.is_empty()).count()
    };

    // Reserved; RSP1, which no gate here leads to (Intel SDM volume 3A, "64-Bit Task State Segment").
    for (word, bit) in [(0, 0), (0, 31), (1, 32), (1, 63)] {
        assert_eq!(read(word, bit), 0, "word {word}, bit {bit}");
    }
    // RSP0.
    for (word, bit) in [(0, 32), (0, 63), (1, 0), (1, 31)] {
        assert!(read(word, bit) > 0, "word {word}, bit {bit}");
    }
}
