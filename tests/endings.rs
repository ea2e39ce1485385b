//! How a process ends is something that others can see: where it is not as in the golden run, the
//! fault has reached that process, whatever it saw before.

mod worlds;

use ringfence::authority::{Observations, Seen};
use ringfence::base::Seed;
use ringfence::campaign::{Registries, Series, SeriesOptions, Trial};
use ringfence::counterexample::Story;
use ringfence::injection::PointKind;
use ringfence::outcome::{Availability, Class, Integrity};
use ringfence::scenario::Scenario;
use ringfence::world::{Action, Component, CrashKind, Home};

use worlds::{ending, fault, named, neighbours, reached, trial, with_editor};

/// Status of an application that ends with an access violation (MS-ERREF, "NTSTATUS").
const ACCESS_VIOLATION: u64 = 0xc000_0005;

/// Whether somebody made the observations of the golden run, however it ended.
fn saw_the_same(trial: &Trial, name: &str) -> bool {
    let who = named(trial, name);
    let golden = trial.golden.observations.of(who).expect("somebody of the world");
    let seen = trial.judge.authority.observations().of(who).expect("somebody of the world");
    (seen.count(), seen.digest()) == (golden.count(), golden.digest())
}

#[test]
fn a_neighbour_who_runs_into_damaged_shared_code_on_its_way_out_was_reached() {
    // Both run the system call stubs of one page; the shell's last call is the one that ends it.
    let scenario = neighbours();
    let mut trial = trial(&scenario);
    let shell = named(&trial, "shell");
    assert_eq!(ending(&trial, "shell"), (1, 0));

    // Which bit makes a byte of them nothing that runs depends on where they lie.
    let flip = |nth, bit| {
        let parameters = format!("bit = {bit}");
        fault("corrupted-code-byte", "editor", PointKind::Step, nth, &parameters)
    };
    let mut plans = (1..=reached(&trial, "editor", PointKind::Step))
        .rev()
        .flat_map(|nth| (0..8).map(move |bit| flip(nth, bit)));
    let (plan, outcome) = plans
        .find_map(|plan| {
            let outcome = trial.run(std::slice::from_ref(&plan)).expect("it can be made");
            let (times, status) = trial.judge.authority.observations().ending(shell);
            let is_killed = times == 1 && status == ACCESS_VIOLATION;
            (is_killed && saw_the_same(&trial, "shell")).then_some((plan, outcome))
        })
        .expect("the stubs are damaged after the shell's last look at anything");

    assert!(outcome.deviated.iter().any(|name| name == "shell"), "{outcome:?}");
    assert_eq!((outcome.class(), outcome.integrity), (Class::Deviated, Integrity::Deviated));
    let told = Story::of(&Scenario { plan: vec![plan], ..scenario }, &Registries::default());
    let told = told.expect("it ran before").to_string();
    assert!(told.contains("shell with status 0xc0000005"), "{told}");
}

#[test]
fn whoever_ends_otherwise_is_named_unless_it_may_be_influenced() {
    let kinds = vec!["corrupted-code-byte".to_owned()];
    let options = SeriesOptions { experiments: 400, seed: Seed(7), kinds, errors: 1, only: None };
    let scenario = neighbours();
    let series = Series::new(&scenario, &options, &Registries::default()).expect("it is sound");

    let (mut named, mut only_by_end) = (0, 0);
    series
        .in_full()
        .run(|trial, case| {
            let roster = trial.roster();
            let books = &trial.judge.authority;
            let is_stopped = matches!(
                case.outcome.availability,
                Availability::Hang
                    | Availability::ProcessHung
                    | Availability::BugCheck { .. }
                    | Availability::BootLoop { .. }
                    | Availability::Reset
            );
            let in_user_mode = trial.judge.struck().iter().all(|one| roster.kind(one).is_process());
            if is_stopped || in_user_mode && !trial.judge.was_poked_elsewhere() {
                return;
            }
            for (process, entry) in roster.iter().filter(|(_, entry)| entry.kind.is_process()) {
                let ended = books.observations().ending(process);
                let before = trial.golden.observations.ending(process);
                if ended == before || trial.judge.struck().contains(process) {
                    continue;
                }
                let deviated = &case.outcome.deviated;
                assert!(deviated.contains(&entry.name), "{}: {:?}", entry.name, case.plan);
                named += 1;
                only_by_end += u32::from(saw_the_same(trial, &entry.name));
            }
        })
        .expect("the faults are made");

    assert!(named > 0 && only_by_end > 0, "{named}, {only_by_end} of them only by their end");
}

#[test]
fn who_waits_for_good_after_its_work_and_now_within_it_never_finished() {
    // A service: in the golden run it waits for good once it has read. The interrupt that says so is lost.
    let mut actions = worlds::work(0x1000);
    actions.push(Action::Wait);
    let mut trial = trial(&with_editor(actions));
    let editor = named(&trial, "editor");
    assert!(trial.golden.alive.contains(editor) && ending(&trial, "editor") == (0, 0));
    let seen = |books: &Observations| books.of(editor).map(Seen::count);

    let outcome = (1..=reached(&trial, "nic", PointKind::Step)).find_map(|nth| {
        let hang = fault("lost-request", "kernel", PointKind::Handover, nth, "");
        let outcome = trial.run(&[hang]).expect("it can be made");
        let observations = trial.judge.authority.observations();
        let is_behind = seen(observations) < seen(&trial.golden.observations);
        (is_behind && trial.judge.authority.alive().contains(editor)).then_some(outcome)
    });

    let outcome = outcome.expect("the editor waits for what was lost");
    assert_eq!((outcome.class(), outcome.availability), (Class::Hang, Availability::Hang));
    assert_eq!(outcome.deviated, ["editor"]);
}

#[test]
fn who_crashes_before_the_crash_of_the_golden_run_is_lost_before_its_work_was_done() {
    // By itself it reads through a null pointer once it has done its work, and ends with the same status.
    let mut actions = worlds::work(0x1000);
    actions.push(Action::Crash { how: CrashKind::NullDereference });
    let mut trial = trial(&with_editor(actions));
    assert_eq!(ending(&trial, "editor"), (1, ACCESS_VIOLATION));
    let steps = reached(&trial, "editor", PointKind::Step);
    let crash = |nth| fault("crash", "editor", PointKind::Step, nth, "how = \"null-dereference\"");

    let before = trial.run(&[crash(steps / 2)]).expect("it can be made");
    assert_eq!(ending(&trial, "editor"), (1, ACCESS_VIOLATION));
    assert_eq!(before.class(), Class::ProcessLost);

    let last = trial.run(&[crash(steps)]).expect("it can be made");
    assert_ne!(last.class(), Class::ProcessLost, "it had done all that it does");
    assert!(saw_the_same(&trial, "editor"));
}

/// A world whose steps-max comes before it is at rest.
fn cut_off(steps_max: u64, fault: &str) -> Story {
    let text = include_str!("../scenarios/standard.toml");
    assert!(text.contains("steps-max = 60000"));
    let text = text.replace("steps-max = 60000", &format!("steps-max = {steps_max}"));
    let scenario = Scenario::from_bytes(format!("{text}\n{fault}").as_bytes()).expect("sound");
    Story::of(&scenario, &Registries::default()).expect("it runs")
}

/// What a story tells after a word.
fn all<'a>(story: &'a Story, head: &str) -> Vec<&'a str> {
    story.parts().iter().filter(|part| part.0 == head).map(|part| &*part.1).collect()
}

#[test]
fn of_a_world_that_is_cut_off_nothing_is_invented_that_comes_later() {
    // The editor and the shell end by themselves, at steps 6718 and 7621.
    for steps_max in [1000, 3000, 6000, 7000, 7600] {
        let story = cut_off(steps_max, "");

        assert_eq!(story.class, Class::NoEffect, "{steps_max}: {story}");
        assert_eq!(story.outcome.availability, Availability::Unaffected, "{steps_max}: {story}");
        let [cut] = all(&story, "cut off")[..] else { panic!("{steps_max}: {story}") };
        assert!(cut.starts_with(&format!("step {steps_max}: steps-max cuts it off")), "{cut}");
        let unfinished = all(&story, "unfinished");
        assert!(unfinished.iter().any(|one| one.starts_with("shell, after ")), "{story}");
    }
    let whole = cut_off(60_000, "");
    assert_eq!((all(&whole, "cut off"), all(&whole, "unfinished")), (vec![], vec![]), "{whole}");
}

#[test]
fn a_fault_in_a_world_that_is_cut_off_is_followed_to_where_that_is() {
    let hang = "[[fault]]\nkind = \"hang\"\nwho = \"editor\"\nrecurrence = \"always\"\n\
                at = { point = \"step\", routine = \"main\", nth = 4 }\n";
    let crash = "[[fault]]\nkind = \"crash\"\nwho = \"editor\"\n\
                 at = { point = \"step\", routine = \"main\", nth = 4 }\n";

    let (hung, lost) = (cut_off(3000, hang), cut_off(3000, crash));

    // Nobody has ended by then without it either.
    assert_eq!(hung.outcome.availability, Availability::Unaffected, "{hung}");
    for story in [&hung, &lost] {
        let [cut] = all(story, "cut off")[..] else { panic!("{story}") };
        assert!(cut.starts_with("step 3000: ") && cut.ends_with(", as without the fault"), "{cut}");
        assert_eq!(story.outcome.guarantees, [""; 0], "{story}");
    }
    // The child that the editor makes has not begun by then; its beginning sooner is no end that is missing.
    let spins = "[[fault]]\nkind = \"hang\"\nwho = \"service\"\nrecurrence = \"always\"\n\
                 at = { point = \"step\", routine = \"main\", nth = 19 }\n";
    let sooner = cut_off(3000, spins);
    assert!(all(&sooner, "given").len() == 1, "{sooner}");
    assert_eq!(sooner.outcome.availability, Availability::Unaffected, "{sooner}");
    assert!(matches!(lost.outcome.availability, Availability::ProcessLost { .. }), "{lost}");
}

#[test]
fn service_is_not_unaffected_where_a_process_was_never_made() {
    let create =
        Action::CreateProcess { process: "child".into(), first: 2, inherit: false, slot: 1 };
    let mut scenario = with_editor(vec![
        create,
        Action::Exit { status: 0 },
        Action::Store { word: 0, value: 7 },
        Action::Load { word: 0 },
    ]);
    let child = Component { spawned: true, ..Component::new("child", Home::Application) };
    scenario.configuration.components.push(child);
    let mut trial = trial(&scenario);
    assert_eq!(ending(&trial, "child"), (1, 0));
    let child = named(&trial, "child");

    let mut missing = 0;
    for index in 0..24 {
        let parameters = format!("index = {index}");
        let plan = vec![fault("wrong-service", "editor", PointKind::ModeSwitch, 1, &parameters)];
        let outcome = trial.run(&plan).expect("a fault that can be made");
        let books = &trial.judge.authority;
        let is_there = books.alive().contains(child) || books.observations().ending(child).0 > 0;
        if is_there || outcome.activation.strikes == 0 {
            continue;
        }
        assert_ne!(outcome.availability, Availability::Unaffected, "{index}: {outcome:?}");
        if outcome.availability == Availability::ProcessMissing {
            assert_eq!((outcome.class(), &*outcome.guarantees), (Class::ProcessLost, &[][..]));
            let story = Story::of(&Scenario { plan, ..scenario.clone() }, &Registries::default());
            let told = story.expect("it runs").to_string();
            assert!(told.contains("never made child, without the fault it does 2 operations"));
            missing += 1;
        }
    }
    assert!(missing > 0, "it was always made, or worse came of it");
}

#[test]
fn who_ends_as_late_with_another_status_that_is_no_error_is_not_lost() {
    let mut trial = trial(&neighbours());
    let switches = reached(&trial, "editor", PointKind::ModeSwitch);
    let mut said = 0;
    for nth in 1..=switches {
        let parameters = "index = 0\nvalue = '0xffff'";
        let kind = "boundary-value-as-argument";
        let other = fault(kind, "editor", PointKind::ModeSwitch, nth, parameters);
        let outcome = trial.run(&[other]).expect("a fault that can be made");
        let editor = named(&trial, "editor");
        if trial.judge.authority.observations().ending(editor).1 != 0xffff {
            continue;
        }
        assert_eq!(outcome.availability, Availability::Unaffected, "switch {nth}: {outcome:?}");
        assert_eq!(outcome.class(), Class::OwnDamage, "switch {nth}: {outcome:?}");
        said += 1;
    }
    assert_eq!(said, 1, "of {switches} calls one ends it");
}
