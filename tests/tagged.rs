//! Translations that carry the number of their process and outlive a change of the address space.

mod worlds;

use ringfence::base::Seed;
use ringfence::campaign::trial::Registries;
use ringfence::campaign::{Series, SeriesOptions};
use ringfence::faults::{Family, Registry};
use ringfence::injection::PointKind;
use ringfence::outcome::{Class, Outcome};
use ringfence::scenario::{Bias, Scenario};
use ringfence::world::{Action, Configuration};

use worlds::{application, fault, trial};

/// Generated worlds, and experiments in each.
const WORLDS: u64 = 4;
const EXPERIMENTS: u32 = 60;

/// What becomes of plans of these kinds in a generated world.
fn outcomes(seed: u64, kinds: Vec<String>) -> Vec<Outcome> {
    let mut scenario = Scenario::generate(Seed(seed), &Bias::default());
    scenario.configuration.machine.pcid = true;
    let options =
        SeriesOptions { experiments: EXPERIMENTS, seed: Seed(seed), kinds, errors: 1, only: None };
    let series = Series::new(&scenario, &options, &Registries::default()).expect("a sound world");
    let mut outcomes = Vec::new();
    series.run(|_, case| outcomes.push(case.outcome)).expect("faults that can be made");
    outcomes
}

#[test]
fn no_defect_breaks_a_guarantee_where_translations_are_tagged() {
    for seed in 0..WORLDS {
        for outcome in outcomes(seed, Vec::new()) {
            assert_eq!(outcome.guarantees, [""; 0], "seed {seed}: {outcome:?}");
        }
    }
}

#[test]
fn no_stress_raises_an_alarm_where_translations_are_tagged() {
    let all = Registry::default();
    let stress = all.kinds().iter().filter(|kind| kind.family == Family::Stress);
    let stress: Vec<String> = stress.map(|kind| kind.name.to_owned()).collect();
    let mut strikes = 0;
    for seed in 0..WORLDS {
        for outcome in outcomes(seed, stress.clone()) {
            strikes += outcome.activation.strikes;
            assert!(outcome.guarantees.is_empty() && outcome.exposures.is_empty(), "{outcome:?}");
            // In another order, allocations leave memory in another order.
            let class = outcome.class();
            assert!(matches!(class, Class::NoEffect | Class::Latent | Class::NotActivated));
        }
    }
    assert!(strikes > 0);
}

/// One who moves from processor to processor, and gives pages back.
fn wanderer(pcid: bool) -> Scenario {
    let pause = || vec![Action::Yield; 5];
    let mut actions = vec![Action::Allocate { slot: 1 }];
    actions.extend(pause());
    actions.extend([Action::Free { slot: 1 }, Action::Allocate { slot: 1 }]);
    actions.extend(pause());
    actions.push(Action::Free { slot: 1 });
    let mut components = vec![application("wanderer", actions)];
    components.extend(["one", "other"].map(|name| application(name, vec![Action::Yield; 12])));
    let mut configuration = Configuration { components, ..Configuration::default() };
    configuration.machine.pcid = pcid;
    Scenario { name: "wanderer".into(), configuration, ..Scenario::default() }
}

/// Lost invalidations, out of all of this world, after which something stays in reach.
fn dangerous(scenario: &Scenario) -> usize {
    let mut trial = trial(scenario);
    let count = trial
        .golden
        .points
        .iter()
        .filter(|record| record.kind == PointKind::Invalidate)
        .filter(|record| trial.roster().name(record.principal) == "kernel")
        .count() as u64;
    let lost = (1..=count).filter(|&nth| {
        let lost = fault("lost-invalidation", "kernel", PointKind::Invalidate, nth, "");
        let outcome = trial.run(&[lost]).expect("a fault that can be made");
        outcome.exposures.iter().any(|name| name == "cached-translations-are-granted")
    });
    lost.count()
}

#[test]
fn a_lost_shootdown_matters_where_translations_outlive_a_switch() {
    let (plain, tagged) = (dangerous(&wanderer(false)), dangerous(&wanderer(true)));

    // Without tags only the processor that gives the page back can still use it.
    assert!(plain > 0 && tagged > plain, "{plain} without tags, {tagged} with");
}
