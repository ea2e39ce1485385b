//! Damaged code is told as damage to who runs it: the driver, or the processes that share the page.

mod worlds;

use ringfence::base::{Principal, PrincipalKind, Seed, Structure};
use ringfence::campaign::{Registries, Series, SeriesOptions, Trial};
use ringfence::counterexample::Story;
use ringfence::injection::PointKind;
use ringfence::outcome::{Outcome, Victim};
use ringfence::scenario::{Bias, Scenario};

use worlds::{fault, named, neighbours, reached, struck, trial};

/// What comes of a bit of the code that somebody is about to run, for the first steps at which nothing
/// but that is damaged.
fn damaged(who: &str, mut told: impl FnMut(&Trial, &Outcome, &str)) {
    let scenario = neighbours();
    let mut trial = trial(&scenario);
    let mut seen = 0;
    for nth in (1..=reached(&trial, who, PointKind::Step).min(30)).step_by(3) {
        let plan = fault("corrupted-code-byte", who, PointKind::Step, nth, "bit = 40");
        let outcome = struck(&mut trial, plan.clone());
        if trial.judge.authority.corruptions().iter().all(|one| one.structure == Structure::Code) {
            let scenario = Scenario { plan: vec![plan], ..scenario.clone() };
            let story = Story::of(&scenario, &Registries::default()).expect("it ran before");
            told(&trial, &outcome, &story.to_string());
            seen += 1;
        }
    }
    assert!(seen > 0, "no step of {who} leaves it at that");
}

fn owners(trial: &Trial) -> Vec<Principal> {
    trial.judge.authority.corruptions()[0].owners.iter().collect()
}

#[test]
fn code_of_a_driver_is_the_drivers() {
    damaged("nic", |trial, outcome, story| {
        assert_eq!(owners(trial), [named(trial, "nic")]);
        assert_eq!(outcome.victims, [Victim::OwnDomain], "{story}");
        assert!(!trial.judge.was_poked_elsewhere(), "{story}");
        assert!(
            story.contains("code of nic in frame") && !story.contains("code of kernel"),
            "{story}"
        );
        assert!(story.contains("struck in kernel mode (nic)"), "{story}");
    });
}

#[test]
fn code_that_processes_share_is_all_of_theirs_and_none_of_the_kernels() {
    damaged("editor", |trial, outcome, story| {
        let owners = owners(trial);
        assert!(
            owners.contains(&named(trial, "editor")) && owners.contains(&named(trial, "shell"))
        );
        assert_eq!(outcome.victims, [Victim::OwnDomain, Victim::AnotherProcess], "{story}");
        assert!(trial.judge.was_poked_elsewhere(), "others run it too: {story}");
        assert!(story.contains("code of editor and ") && !story.contains("of kernel"), "{story}");
        assert!(!story.contains("into kernel mode"), "{story}");
    });
}

#[test]
fn code_that_one_process_runs_alone_is_its_own() {
    let mut alone = 0;
    damaged("sensor", |trial, outcome, story| {
        if owners(trial) == [named(trial, "sensor")] {
            alone += 1;
            assert_eq!(outcome.victims, [Victim::OwnDomain], "{story}");
            assert!(
                story.contains("struck in user mode (sensor), which must contain it"),
                "{story}"
            );
            assert_eq!(outcome.guarantees, Vec::<String>::new(), "{story}");
        }
    });
    assert!(alone > 0);
}

#[test]
fn a_strike_is_in_the_routine_that_the_plan_names_though_images_share_addresses() {
    // A plan names the routine that the golden run reached its place in, from the code in memory.
    let (mut in_hosts, mut at_devices) = (0, 0);
    for seed in [11, 97, 105] {
        let scenario = Scenario::generate(Seed(seed), &Bias::default());
        let options = SeriesOptions {
            experiments: 200,
            seed: Seed(seed),
            kinds: Vec::new(),
            errors: 1,
            only: None,
        };
        let series = Series::new(&scenario, &options, &Registries::default()).expect("it is sound");
        let run = series.run(|trial, case| {
            let Some(by) = &case.outcome.activation.by else { return };
            let kind = trial.roster().kind(trial.roster().named(by).expect("somebody"));
            let named = case.plan.at.routine.as_deref();
            let named = named.map(|name| name.split_once('!').map_or(name, |(_, name)| name));
            let expected = named.filter(|_| kind != PrincipalKind::Device);
            let found = case.outcome.activation.routine.as_deref();

            assert_eq!(found, expected, "seed {seed}, experiment {}: {:?}", case.number, case.plan);
            in_hosts += u32::from(kind == PrincipalKind::DriverHost);
            at_devices += u32::from(kind == PrincipalKind::Device);
        });
        run.expect("nobody interrupts it");
    }
    assert!(in_hosts > 10 && at_devices > 10, "{in_hosts} in hosts, {at_devices} at devices");
}

#[test]
fn what_strikes_while_an_interrupt_is_delivered_is_in_no_step_that_is_over() {
    let mut told = Vec::new();
    for nth in (1..=reached(&trial(&neighbours()), "kernel", PointKind::Store)).step_by(7) {
        let plan = fault("lost-store", "kernel", PointKind::Store, nth, "");
        let scenario = Scenario { plan: vec![plan], ..neighbours() };
        let story = Story::of(&scenario, &Registries::default()).expect("it runs");
        let struck = story.parts().iter().find(|part| part.0 == "struck").map(|part| &*part.1);
        let Some(struck) = struck else { continue };
        let (_, delivered) = struck.split_once(" while vector 0x").unwrap_or_default();
        if !delivered.is_empty() {
            let routine = story.outcome.activation.routine.as_deref().unwrap_or_default();
            assert!(delivered.contains(&format!(" is delivered in {routine}.")), "{struck}");
            told.push(struck.to_owned());
        }
    }
    assert!(told.len() > 3, "{told:?}");
}
