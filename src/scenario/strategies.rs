//! Strategies for proptest: worlds and plans that are valid by construction.

use proptest::prelude::*;

use super::{Bias, Expectation, Guarantees, Scenario};
use crate::base::{PrincipalKind, Ratio, Seed};
use crate::faults::Family;

/// Any valid scenario: a generated world with up to `faults` faults.
pub fn scenarios(faults: u64) -> impl Strategy<Value = Scenario> {
    let texts = (
        "\\PC{0,40}",
        proptest::collection::vec("\\PC{0,30}", 0..3),
        proptest::option::of("(?s).{0,60}"),
    );
    (any::<u64>(), biases(faults), texts, proptest::option::of(expectations())).prop_map(
        |(seed, bias, (about, sources, published), expect)| Scenario {
            about,
            sources,
            published,
            expect,
            ..Scenario::generate(Seed(seed), &bias)
        },
    )
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
        proptest::option::of(any::<u64>()),
        proptest::option::of(guarantees),
        proptest::collection::vec("[a-z][a-z-]{0,20}", 0..3),
    )
        .prop_map(|(class, bug_check, guarantees, violated)| Expectation {
            class,
            bug_check,
            guarantees,
            violated,
        })
}
