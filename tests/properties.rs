//! Properties of any generated world.
//!
//! A few cases each time; `PROPTEST_CASES=2000 cargo test --release --test properties` hunts.

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use ringfence::base::{Principal, PrincipalKind, Ratio, Seed};
use ringfence::campaign::Trial;
use ringfence::campaign::trial::Registries;
use ringfence::counterexample::{minimised, shown};
use ringfence::faults::{Family, PlannedFault, Reached, Registry, Wanted, plan_at};
use ringfence::outcome::{Availability, Integrity};
use ringfence::scenario::{Bias, Scenario, Vocabulary};
use ringfence::world::WEAKNESSES;

/// Cases that failed once are tried first.
fn config(cases: u32) -> ProptestConfig {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proptest-regressions/properties.txt");
    let usual = ProptestConfig::default();
    let is_asked = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig {
        cases: if is_asked { usual.cases } else { cases },
        max_shrink_iters: 200,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(file))),
        ..usual
    }
}

/// What a generated world is like.
fn biases() -> impl Strategy<Value = Bias> {
    (1u64..=4, 4u64..=24, 0u32..=6).prop_map(|(applications, actions, invalid)| Bias {
        applications: (1, applications),
        actions: (2, actions),
        invalid: Ratio::new(invalid, 20),
        ..Bias::default()
    })
}

fn world(seed: u64, bias: &Bias) -> (Scenario, Trial) {
    let scenario = Scenario::generate(Seed(seed), bias);
    let trial = Trial::new(&scenario, &Registries::default()).expect("generated worlds are sound");
    (scenario, trial)
}

/// A plan whose faults each strike in this world, if they strike first.
fn plan(trial: &Trial, draws: &[u64], wanted: Wanted) -> Vec<PlannedFault> {
    let routines = trial.world.machine.program.routines();
    let name = |number: u16| routines.get(usize::from(number)).map(|it| it.routine.name.to_owned());
    let kinds = Registry::default();
    let reached = Reached::new(&trial.golden.points);
    let draw = |&draw: &u64| {
        let mut stream = Seed(draw).stream("plan", 0);
        plan_at(&mut stream, &kinds, &trial.directory, &reached, &name, wanted)
    };
    draws.iter().filter_map(draw).collect()
}

/// A scenario with this plan, to be printed: it can be kept in a file and run again.
fn case(scenario: &Scenario, plan: &[PlannedFault]) -> String {
    Scenario { plan: plan.to_vec(), ..scenario.clone() }.to_toml()
}

/// Whether in the last run another process could influence it, or it another process.
fn shares(trial: &Trial, who: Principal) -> bool {
    let books = &trial.judge.authority;
    let processes = trial.roster().iter().filter(|(_, entry)| entry.kind.is_process());
    let mut others = processes.map(|(other, _)| other).filter(|&other| other != who);
    others
        .any(|other| books.influences(other).contains(who) || books.influences(who).contains(other))
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn a_scenario_survives_its_text_form(
        seed: u64,
        bias in biases(),
        blind in 0u64..4,
        draws in proptest::collection::vec(any::<u64>(), 0..4),
    ) {
        let (mut scenario, trial) = world(seed, &Bias { faults: blind, ..bias });
        scenario.plan.extend(plan(&trial, &draws, Wanted::default()));
        let text = scenario.to_toml();

        let again = Scenario::from_toml("again.toml", &text, &Vocabulary::default());

        prop_assert_eq!(again.as_ref(), Ok(&scenario), "{}", text);
        prop_assert_eq!(again.expect("read").to_toml(), text);
    }
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn faults_in_user_mode_leave_every_guarantee_standing(
        seed in 0u64..1 << 32,
        bias in biases(),
        draws in proptest::collection::vec(any::<u64>(), 1..4),
        hosted: bool,
    ) {
        let origin = if hosted { PrincipalKind::DriverHost } else { PrincipalKind::Application };
        let wanted = Wanted { origin: Some(origin), family: Some(Family::Defect) };
        let (scenario, mut trial) = world(seed, &bias);
        let plan = plan(&trial, &draws, wanted);

        let outcome = trial.run(&plan).expect("faults that can be made");

        prop_assert!(outcome.guarantees.is_empty(), "{}\n{outcome:?}", case(&scenario, &plan));
    }

    #[test]
    fn a_scenario_without_defects_raises_no_alarm_under_any_stress(
        seed in 0u64..1 << 32,
        bias in biases(),
        draws in proptest::collection::vec(any::<u64>(), 0..4),
    ) {
        let wanted = Wanted { origin: None, family: Some(Family::Stress) };
        let (scenario, mut trial) = world(seed, &bias);
        let plan = plan(&trial, &draws, wanted);
        trial.run(&[]).expect("nothing to make");
        let everybody: Vec<Principal> = trial.roster().iter().map(|(one, _)| one).collect();
        let shared_before: Vec<bool> = everybody.iter().map(|&who| shares(&trial, who)).collect();

        let outcome = trial.run(&plan).expect("faults that can be made");

        // Others may run first now: who shares something with another process may tell, nobody else.
        let (seen, golden) = (trial.judge.authority.observations(), &trial.golden.observations);
        let mut tells = everybody.iter().zip(shared_before).filter(|&(&who, shared_before)| {
            let is_the_same = match (seen.of(who), golden.of(who)) {
                (Some(seen), Some(golden)) => seen.agrees(golden, false),
                _ => true,
            };
            !is_the_same && !shared_before && !shares(&trial, who)
        });
        let is_quiet = outcome.guarantees.is_empty()
            && outcome.exposures.is_empty()
            && outcome.integrity == Integrity::Untouched
            && outcome.disclosed == 0
            && matches!(
                outcome.availability,
                Availability::Unaffected | Availability::RequestFailed { .. }
            )
            && tells.next().is_none();
        prop_assert!(is_quiet, "{}\n{outcome:?}", case(&scenario, &plan));
    }
}

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn minimising_keeps_the_violation(
        seed in 0u64..1 << 32,
        bias in biases(),
        weakness in 0..WEAKNESSES.len(),
        draws in proptest::collection::vec(any::<u64>(), 0..3),
        trials in 1u32..60,
    ) {
        let mut scenario = Scenario::generate(Seed(seed), &bias);
        scenario.configuration.weaknesses = vec![WEAKNESSES[weakness].name.to_owned()];
        let registries = Registries::default();
        let mut trial = Trial::new(&scenario, &registries).expect("generated worlds are sound");
        let wanted =
            Wanted { origin: Some(PrincipalKind::Application), family: Some(Family::Defect) };
        scenario.plan = plan(&trial, &draws, wanted);
        let outcome = trial.run(&scenario.plan).expect("faults that can be made");
        let before = shown(&trial, &outcome);

        let least = minimised(&scenario, &registries, trials);

        prop_assert_eq!(least.is_some(), !before.is_empty(), "{}", scenario.to_toml());
        if let Some(least) = least {
            let text = least.scenario.to_toml();
            let again = Scenario::from_bytes(text.as_bytes()).expect("it can be kept");
            let mut trial = Trial::new(&again, &registries).expect("it was run before");
            let outcome = trial.run(&again.plan).expect("it was run before");
            prop_assert_eq!(&least.shown, &before[0]);
            prop_assert!(shown(&trial, &outcome).contains(&least.shown), "{text}");
            prop_assert_eq!(outcome, least.outcome);
            prop_assert!(least.trials <= trials);
        }
    }
}

/// Found by the properties above: the books did not know that who looks a process up by its number is
/// told whether it is there.
#[test]
fn who_looks_a_crashed_process_up_may_see_it_gone_and_who_does_not_sees_nothing() {
    let text = |looked_up: &str| {
        let turns = "{ do = \"yield\" }, ".repeat(8);
        format!(
            r#"format = 1
name = "look"
machine = {{ processors = 1, clock-interval = 0 }}

[[component]]
name = "editor"
home = "application"
actions = [{turns}{{ do = "load", word = 1 }}]

[[component]]
name = "shell"
home = "application"
actions = [
    {{ do = "yield" }},
    {{ do = "yield" }},
    {{ do = "open-process", process = "{looked_up}", access = 8, slot = 1 }},
]

[[component]]
name = "bystander"
home = "application"
actions = [{turns}]

[[fault]]
kind = "crash"
who = "editor"
at = {{ point = "step", nth = 12 }}
"#
        )
    };
    let differs = |looked_up: &str| {
        let scenario = Scenario::from_bytes(text(looked_up).as_bytes()).expect("a scenario");
        let mut trial = Trial::new(&scenario, &Registries::default()).expect("a world");

        let outcome = trial.run(&scenario.plan).expect("a fault");

        assert_eq!(outcome.guarantees, Vec::<String>::new(), "{outcome:?}");
        let shell = trial.roster().named("shell").expect("a process");
        let seen = trial.judge.authority.observations().of(shell).expect("it looked");
        !seen.agrees(trial.golden.observations.of(shell).expect("it looked"), false)
    };
    assert!(differs("editor"));
    assert!(!differs("bystander"));
}
