//! A run that stands again where the golden run stood is given up. What is said of it then must be
//! what following it to its end says.

use ringfence::base::Seed;
use ringfence::campaign::{Case, Registries, Series, SeriesOptions};
use ringfence::scenario::{Bias, Scenario, library};

/// All cases, and the events watched.
fn cases(scenario: &Scenario, seed: u64, in_full: bool) -> (Vec<Case>, u64) {
    let options = SeriesOptions {
        experiments: 60,
        seed: Seed(seed),
        kinds: Vec::new(),
        errors: 1,
        only: None,
    };
    let mut series =
        Series::new(scenario, &options, &Registries::default()).expect("the world is sound");
    if in_full {
        series = series.in_full();
    }
    let (mut cases, mut events) = (Vec::new(), 0);
    series
        .run(|trial, case| {
            events += trial.judge.events();
            cases.push(case);
        })
        .expect("the faults are made");
    (cases, events)
}

fn worlds() -> Vec<Scenario> {
    let standard = library::find("standard").expect("it is built in");
    let standard = Scenario::from_bytes(standard.text.as_bytes()).expect("it is sound");
    let generated = (0..10).map(|seed| Scenario::generate(Seed(seed), &Bias::default()));
    let mut shadowed = standard.clone();
    (shadowed.configuration.machine.kva_shadow, shadowed.configuration.machine.pcid) = (true, true);
    [standard, shadowed].into_iter().chain(generated).collect()
}

#[test]
fn what_is_said_of_a_run_that_joined_the_golden_run_is_what_its_end_says() {
    let (mut short, mut full) = (0, 0);
    for (seed, world) in (0..).zip(worlds()) {
        let (cut, events) = cases(&world, seed, false);
        let (followed, all_events) = cases(&world, seed, true);

        for (one, other) in cut.iter().zip(&followed) {
            assert_eq!(one.plan, other.plan);
            assert_eq!(one.origin, other.origin);
            assert_eq!(one.outcome, other.outcome, "world {seed}, {:?}", one.plan);
        }
        assert_eq!(cut.len(), followed.len());
        short += events;
        full += all_events;
    }

    assert!(short * 20 < full * 19, "{short} of {full} events: hardly a run joined");
}
