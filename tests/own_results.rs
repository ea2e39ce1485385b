//! Nothing came of a fault only where everybody saw and left what they do without it: those in whom it struck
//! and those whom they may influence too.

mod worlds;

use std::collections::BTreeSet;

use ringfence::authority::{Observations, Seen};
use ringfence::base::{PhysAddr, Seed, Structure};
use ringfence::campaign::{Origin, Registries, Series, SeriesOptions, Trial};
use ringfence::counterexample::Story;
use ringfence::faults::PlannedFault;
use ringfence::injection::PointKind;
use ringfence::outcome::{Availability, Class, Integrity};
use ringfence::scenario::{Bias, Scenario};
use ringfence::world::{Action, Configuration, Rest};

use worlds::{application, fault, reached, sees_the_same, trial, with_editor};

const WORLDS: u64 = 12;

/// The first of the editor's points at which a fault ends so.
fn first(
    scenario: &Scenario,
    (kind, point): (&str, PointKind),
    is_wanted: impl Fn(&Trial, &ringfence::outcome::Outcome) -> bool,
) -> Story {
    let mut trial = trial(scenario);
    let plan = |nth| fault(kind, "editor", point, nth, "");
    let ends_so = |trial: &mut Trial, plan: PlannedFault| {
        let outcome = trial.run(&[plan]).expect("a fault that can be made");
        outcome.activation.strikes > 0 && is_wanted(trial, &outcome)
    };
    let all = 1..=reached(&trial, "editor", point);
    let nth = all.into_iter().find(|&nth| ends_so(&mut trial, plan(nth))).expect("one ends so");
    let scenario = Scenario { plan: vec![plan(nth)], ..scenario.clone() };
    Story::of(&scenario, &Registries::default()).expect("it runs")
}

fn told(story: &Story) -> String {
    story.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_wrong_result_of_the_one_that_was_struck_is_its_own_damage() {
    let actions = vec![Action::Store { word: 0, value: 5 }, Action::Load { word: 0 }];
    let scenario = with_editor(actions);

    let story = first(&scenario, ("off-by-one", PointKind::Load), |trial, outcome| {
        let editor = worlds::named(trial, "editor");
        let count = |all: &Observations| all.of(editor).map(Seen::count);
        let books = &trial.judge.authority;
        outcome.integrity == Integrity::Untouched
            && count(books.observations()) == count(&trial.golden.observations)
            && !sees_the_same(trial, "editor")
    });

    assert_eq!(story.class, Class::OwnDamage, "{story}");
    assert_eq!(story.outcome.by_leave, ["editor"], "{story}");
    let differs = "differs editor: operation 2, load: 0x6, without the fault 0x5";
    assert!(told(&story).contains(differs), "{story}");
}

#[test]
fn what_another_reads_in_a_section_for_want_of_a_store_is_no_less_an_effect() {
    let open = Action::OpenSection { section: 0, access: 3, slot: 2 };
    let view = Action::MapView { slot: 2, view: 3 };
    let mut looks = vec![open.clone(), view.clone()];
    looks.extend(vec![Action::Yield; 12]);
    looks.push(Action::LoadThrough { slot: 3, word: 0 });
    let stores = vec![open, view, Action::StoreThrough { slot: 3, word: 0, value: 77 }];
    let components = vec![application("editor", stores), application("shell", looks)];
    let configuration = Configuration { components, ..Configuration::default() };
    let scenario = Scenario { name: "shared".into(), configuration, ..Scenario::default() };

    let story = first(&scenario, ("lost-store", PointKind::Store), |trial, _| {
        sees_the_same(trial, "editor") && !sees_the_same(trial, "shell")
    });

    assert_eq!((story.class, story.outcome.integrity), (Class::OwnDamage, Integrity::Untouched));
    assert!(story.outcome.deviated.is_empty() && story.outcome.by_leave == ["shell"], "{story}");
    assert!(told(&story).contains(", load: 0x0, without the fault 0x4d"), "{story}");
}

#[test]
fn what_is_left_on_the_disk_by_leave_is_no_less_an_effect() {
    let scenario = with_editor(vec![
        Action::Open { device: "files".into(), file: 1, access: 3, slot: 0 },
        Action::Write { slot: 0, offset: 0, length: 64, value: 0x5005 },
        Action::Flush { slot: 0 },
    ]);

    let story = first(&scenario, ("lost-store", PointKind::Store), |trial, outcome| {
        let is_as_before =
            trial.golden.stored.differing(&trial.world.machine.disk, None).is_empty();
        outcome.availability == Availability::Unaffected
            && sees_the_same(trial, "editor")
            && !is_as_before
    });

    assert_eq!((story.class, story.outcome.integrity), (Class::OwnDamage, Integrity::Untouched));
    assert!(told(&story).contains("differs sector "), "{story}");
}

#[test]
fn nothing_came_of_a_fault_only_where_everything_is_as_without_it() {
    let (mut own, mut nothing, mut latent) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for world in 0..WORLDS {
        let scenario = Scenario::generate(Seed(world), &Bias::default());
        let undisturbed = golden_memory(&scenario);
        let options = SeriesOptions {
            experiments: 60,
            seed: Seed(world),
            kinds: Vec::new(),
            errors: 1,
            only: None,
        };
        let series = Series::new(&scenario, &options, &Registries::default()).expect("sound");
        let run = series.in_full().run(|trial, case| {
            if trial.golden.rest != Rest::Quiescent || case.outcome.activation.strikes == 0 {
                return;
            }
            let roster = trial.roster();
            let is_same = roster.iter().all(|(_, entry)| sees_the_same(trial, &entry.name));
            let differing = trial.golden.stored.differing(&trial.world.machine.disk, None);
            let is_as_before = is_same && differing.is_empty();
            match case.class() {
                Class::NoEffect => {
                    let other = left_in_use(trial, &undisturbed);
                    assert!(is_as_before, "world {world}: {:?}", case.plan);
                    assert_eq!(other, [0; 0], "world {world}: {:?}", case.plan);
                    nothing.insert(case.origin);
                }
                Class::Latent => {
                    let other = left_in_use(trial, &undisturbed);
                    assert!(is_as_before, "world {world}: {:?}", case.plan);
                    assert_ne!(other, [0; 0], "world {world}: {:?}", case.plan);
                    latent.insert(case.origin);
                }
                Class::Overwritten => {
                    assert!(is_as_before, "world {world}: {:?}", case.plan);
                    nothing.insert(case.origin);
                }
                Class::OwnDamage => {
                    let is_there = case.outcome.integrity >= Integrity::Dormant;
                    assert!(!is_as_before || is_there, "world {world}: {:?}", case.plan);
                    own.insert((case.origin, is_as_before));
                }
                _ => {}
            }
        });
        run.expect("faults that can be made");
    }
    assert!(own.contains(&(Origin::Application, false)), "{own:?}");
    assert!(nothing.len() == Origin::ALL.len(), "{nothing:?}");
    assert!(latent.contains(&Origin::Kernel) && latent.contains(&Origin::KernelModeDriver));
}

/// All of memory as the golden run of a scenario leaves it.
fn golden_memory(scenario: &Scenario) -> Vec<u64> {
    let mut trial = trial(scenario);
    trial.run(&[]).expect("nothing is planned");
    trial.world.machine.memory.words().to_vec()
}

/// The addresses of words in use, stacks apart, that a run left other than that; of a page table's entries without
/// what processors mark in them (bits 5 and 6).
fn left_in_use(trial: &Trial, undisturbed: &[u64]) -> Vec<u64> {
    let books = &trial.judge.authority;
    let words = (0..).zip(trial.world.machine.memory.words().iter().zip(undisturbed));
    let is_other = |(word, (now, before)): (u64, (&u64, &u64))| {
        let told = match books.structure_of(PhysAddr::truncated(word * 8)) {
            Structure::Free | Structure::KernelStack | Structure::UserStack => 0,
            Structure::PageTable => !0x60,
            _ => u64::MAX,
        };
        ((now ^ before) & told != 0).then_some(word * 8)
    };
    words.filter_map(is_other).collect()
}

#[test]
fn a_store_that_is_missed_by_nobody_is_latent_and_told_with_what_is_there() {
    let scenario = with_editor(worlds::work(0x1000));
    let mut told_words = 0;
    for nth in 1..=reached(&trial(&scenario), "nic", PointKind::Store) {
        let plan = vec![fault("lost-store", "nic", PointKind::Store, nth, "")];
        let scenario = Scenario { plan, ..scenario.clone() };
        let story = Story::of(&scenario, &Registries::default()).expect("it runs");
        let text = told(&story);
        if story.class == Class::Latent {
            assert!(text.contains(", without the fault 0x"), "{story}");
            assert!(text.contains("no byte is corrupt"), "{story}");
            told_words += u32::from(text.contains("differs driver data of nic in frame "));
        } else {
            assert!(story.class != Class::NoEffect || !text.contains("differs"), "{story}");
        }
    }
    assert!(told_words > 0, "nothing of nic's is unread");
}

#[test]
fn a_result_that_is_no_status_is_told_as_another_value() {
    let scenario = with_editor(vec![
        Action::Open { device: "nic".into(), file: 0, access: 3, slot: 1 },
        Action::Load { word: 0 },
    ]);
    let came_of = |value: &str| {
        let mut trial = trial(&scenario);
        let plan = |nth| {
            let value = format!("value = '{value}'");
            vec![fault("wrong-result", "editor", PointKind::Return, nth, &value)]
        };
        let nth = (1..=reached(&trial, "editor", PointKind::Return))
            .find(|&nth| {
                let outcome = trial.run(&plan(nth)).expect("a fault that can be made");
                outcome.activation.strikes > 0 && !sees_the_same(&trial, "editor")
            })
            .expect("one is a result of the open");
        let scenario = Scenario { plan: plan(nth), ..scenario.clone() };
        let story = Story::of(&scenario, &Registries::default()).expect("it runs");
        (story.class, told(&story))
    };

    let (class, story) = came_of("0xc000000d");
    assert_eq!(class, Class::RequestFailed, "{story}");
    assert!(story.contains("status 0xc000000d, without the fault status 0x0"), "{story}");
    // Bit 28 of a status is reserved and clear ("NTSTATUS", [MS-ERREF]).
    let (class, story) = came_of("0xffffffffffffffff");
    assert_eq!(class, Class::OwnDamage, "{story}");
    let differs = "0xffffffff, which is no status, without the fault status 0x0";
    assert!(story.contains(differs) && !story.contains("failed with status"), "{story}");
}

#[test]
fn nobody_is_charged_with_what_the_world_did_before_the_strike() {
    // The attacker writes a page table of its own; whether it goes to the kernel after that is the fault's doing.
    let scenario = Scenario { expect: None, ..worlds::built_in("self-map-user-bit") };
    let mut trial = trial(&scenario);
    for nth in 1..=reached(&trial, "attacker", PointKind::Step) {
        let plan = [fault("hang", "attacker", PointKind::Step, nth, "")];
        let outcome = trial.run(&plan).expect("a fault that can be made");
        assert!(outcome.guarantees.is_empty(), "step {nth}: {:?}", outcome.guarantees);
    }
}
