//! Strategies for proptest: worlds and plans that are valid by construction.
//!
//! With the feature `proptest`. A world that comes out of a failed test is as small as proptest could
//! make its numbers; written as TOML it is a scenario for the command line.
//!
//! ```
//! use proptest::prelude::*;
//! use ringfence::campaign::{Registries, Trial};
//! use ringfence::scenario::strategies::user_mode;
//!
//! proptest!(ProptestConfig::with_cases(8), |(scenario in user_mode(2))| {
//!     let mut trial = Trial::new(&scenario, &Registries::default())?;
//!
//!     let outcome = trial.run(&scenario.plan)?;
//!
//!     prop_assert!(outcome.guarantees.is_empty(), "{outcome:?}\n{}", scenario.to_toml());
//! });
//! ```

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Bias, Contrast, Expectation, Fields, Guarantees, Incident, Plain, Scenario};
use crate::base::{PrincipalKind, Ratio, Seed};
use crate::faults::Family;

/// Any valid scenario: a generated world with up to `faults` faults.
pub fn scenarios(faults: u64) -> impl Strategy<Value = Scenario> {
    let texts = (
        "\\PC{0,40}",
        proptest::collection::vec("\\PC{0,30}", 0..3),
        proptest::option::of("(?s).{0,60}"),
    );
    let incident = proptest::option::of(("\\PC{0,20}", "\\PC{0,10}"));
    let rest = (proptest::option::of(expectations()), incident, contrasts());
    (any::<u64>(), biases(faults), texts, rest).prop_map(
        |(seed, bias, (about, sources, published), (expect, incident, contrasts))| {
            let scenario = Scenario {
                about,
                sources,
                published,
                expect,
                ..Scenario::generate(Seed(seed), &bias)
            };
            let mut names = scenario.configuration.components.iter().map(|one| one.name.clone());
            let last = names.next_back();
            let beside: Vec<String> = last.iter().cloned().collect();
            let incident = incident.map(|(what, date)| Incident {
                stays: Some(format!("{what} \"stays\"")),
                what,
                date,
                component: last,
                beside,
                decided_by: Some("debug-trap-checked".to_owned()),
                came_with: Some("kva-shadow".to_owned()),
            });
            Scenario { incident, contrasts, ..scenario }
        },
    )
}

/// Contrasts of any world: switches that every machine has, and the whole plan.
fn contrasts() -> impl Strategy<Value = Vec<Contrast>> {
    let machine = (any::<bool>(), 1i64..=100).prop_map(|(smap, delay)| {
        Fields::from([
            ("smap".to_owned(), Plain::Flag(smap)),
            ("transfer-delay".to_owned(), Plain::Whole(delay)),
        ])
    });
    let machine = prop_oneof![Just(BTreeMap::new()), machine];
    let weaknesses = proptest::option::of(Just(vec!["no-probe".to_owned()]));
    let plan = proptest::option::of(Just(Vec::new()));
    let schedule = proptest::option::of(proptest::num::u64::ANY);
    let one = (machine, weaknesses, plan, schedule, expectations());
    proptest::collection::vec(one, 0..3).prop_map(|some| {
        let numbered = some.into_iter().enumerate();
        let contrast =
            numbered.map(|(number, (machine, weaknesses, fault, schedule, expect))| Contrast {
                name: format!("contrast \"{number}\""),
                source: schedule.map(|seed| format!("source \"{seed}\"")),
                schedule,
                machine,
                weaknesses,
                component: Vec::new(),
                fault,
                parameters: None,
                expect,
            });
        contrast.collect()
    })
}

/// Any valid scenario whose faults are stress: no alarm may be raised.
pub fn stressed(faults: u64) -> impl Strategy<Value = Scenario> {
    generated(faults, |bias| bias.wanted.family = Some(Family::Stress))
}

/// Any valid scenario whose faults start in an application: every guarantee must hold.
pub fn user_mode(faults: u64) -> impl Strategy<Value = Scenario> {
    generated(faults, |bias| bias.wanted.origin = Some(PrincipalKind::Application))
}

fn generated(faults: u64, change: fn(&mut Bias)) -> impl Strategy<Value = Scenario> {
    (any::<u64>(), biases(faults)).prop_map(move |(seed, mut bias)| {
        change(&mut bias);
        Scenario::generate(Seed(seed), &bias)
    })
}

/// Any bias: how many applications, actions and faults.
pub fn biases(faults: u64) -> impl Strategy<Value = Bias> {
    (1u64..=5, 1u64..=40, 0u32..=10, 0..=faults).prop_map(
        |(applications, actions, invalid, faults)| Bias {
            applications: (1, applications),
            actions: (1, actions),
            invalid: Ratio::new(invalid, 20),
            faults,
            ..Bias::default()
        },
    )
}

fn expectations() -> impl Strategy<Value = Expectation> {
    let guarantees = prop_oneof![Just(Guarantees::Held), Just(Guarantees::Violated)];
    (
        proptest::option::of("[a-z][a-z -]{0,20}"),
        proptest::array::uniform5(proptest::option::of(any::<u64>())),
        proptest::option::of("[a-z]{1,9}"),
        proptest::option::of(guarantees),
        proptest::collection::vec("[a-z][a-z-]{0,20}", 0..3),
    )
        .prop_map(|(class, numbers, axis, guarantees, violated)| Expectation {
            class,
            bug_check: numbers[0],
            devices_lost: numbers[0].map(|number| number % 17),
            parameter_1: numbers[1],
            parameter_2: numbers[2],
            parameter_3: numbers[3],
            parameter_4: numbers[4],
            integrity: axis.clone(),
            availability: axis,
            guarantees,
            violated,
        })
        .prop_filter("something is expected", |expected| *expected != Expectation::default())
}
