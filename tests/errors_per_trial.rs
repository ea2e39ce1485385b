//! Several faults in one experiment, as published loads have errors in a trial.

use ringfence::base::Seed;
use ringfence::campaign::{Campaign, Case, Registries, Series, SeriesOptions, Trial};
use ringfence::faults::{At, PlannedFault};
use ringfence::outcome::Class;
use ringfence::scenario::{Bias, Scenario, library};

fn standard() -> Scenario {
    let standard = library::find("standard").expect("it is built in");
    Scenario::from_bytes(standard.text.as_bytes()).expect("it is sound")
}

fn options(errors: u32, seed: u64) -> SeriesOptions {
    SeriesOptions { experiments: 24, seed: Seed(seed), kinds: Vec::new(), errors, only: None }
}

fn cases(scenario: &Scenario, options: &SeriesOptions, in_full: bool) -> Vec<Case> {
    let series = Series::new(scenario, options, &Registries::default()).expect("it is sound");
    let series = if in_full { series.in_full() } else { series };
    let mut cases = Vec::new();
    series.run(|_, case| cases.push(case)).expect("the faults are made");
    cases.sort_by_key(|case| case.number);
    cases
}

#[test]
fn the_first_fault_is_the_one_that_would_be_alone_and_the_others_are_elsewhere_in_its_component() {
    let alone = cases(&standard(), &options(1, 3), false);
    let together = cases(&standard(), &options(5, 3), false);

    assert_eq!(alone.len(), together.len());
    let mut kinds = 0;
    for (one, five) in alone.iter().zip(&together) {
        assert!(one.further.is_empty());
        assert_eq!((one.number, &one.plan), (five.number, &five.plan));
        let plans = five.plans();
        assert!(plans.iter().all(|plan| plan.who == five.plan.who), "{plans:#?}");
        for (number, plan) in plans.iter().enumerate() {
            assert!(plans[..number].iter().all(|other| other.at != plan.at), "{plans:#?}");
        }
        kinds += usize::from(plans.iter().any(|plan| plan.kind != five.plan.kind));
    }
    let full = together.iter().filter(|case| case.further.len() == 4).count();
    assert!(full * 10 > together.len() * 9, "{full} of {} have five", together.len());
    assert!(kinds * 2 > together.len(), "{kinds} of {} are of several kinds", together.len());
}

/// A run that stands again where the golden run stood goes on if a fault is still to strike; and one that
/// forks before the first strike is the whole run.
#[test]
fn what_comes_of_them_is_what_the_whole_run_comes_to() {
    let generated = (0..4).map(|seed| Scenario::generate(Seed(seed), &Bias::default()));
    let (mut struck, mut later) = (0, 0);
    for (seed, world) in (0..).zip([standard()].into_iter().chain(generated)) {
        let forked = cases(&world, &options(3, seed), false);
        let followed = cases(&world, &options(3, seed), true);
        assert_eq!(forked.len(), followed.len());

        let mut trial = Trial::new(&world, &Registries::default()).expect("it is sound");
        for (one, other) in forked.iter().zip(&followed) {
            let told = || format!("world {seed}, {:#?}", one.plans());
            assert_eq!(one.outcome, other.outcome, "{}", told());
            assert_eq!(trial.run(&one.plans()).expect("a plan"), one.outcome, "{}", told());
            struck += usize::from(one.outcome.activation.strikes > 0);
            later += usize::from(one.outcome.activation.strikes > 1);
        }
    }
    assert!(later > 20 && struck > later, "{later} of {struck} struck more than once");
}

/// A campaign boots again after a stop where a fault can strike again, as a single run does.
#[test]
fn a_mistake_that_stops_every_boot_is_a_boot_loop_in_a_series_too() {
    let mut loops = 0;
    for seed in [0, 1] {
        let world = Scenario::generate(Seed(seed), &Bias::default());
        let kinds = ["missing-lock", "skipped-probe", "unreleased-lock"].map(str::to_owned);
        let options = SeriesOptions { experiments: 60, kinds: kinds.to_vec(), ..options(1, seed) };
        let mut trial = Trial::new(&world, &Registries::default()).expect("it is sound");
        for case in cases(&world, &options, false) {
            let alone = trial.run(&case.plans()).expect("a plan");
            assert_eq!(case.outcome, alone, "world {seed}, {:#?}", case.plan);
            loops += usize::from(case.class() == Class::BootLoop);
        }
    }
    assert!(loops > 0, "no machine stopped at each boot");
}

/// Two faults at one point would be one that strikes and one that can't.
#[test]
fn no_two_of_them_are_due_at_one_point() {
    let kinds = ["missing-lock", "skipped-probe"].map(str::to_owned).to_vec();
    let options = SeriesOptions { kinds, ..options(100, 2) };
    let mut most = 0;
    for case in cases(&standard(), &options, false) {
        let plans = case.plans();
        let place = |plan: &PlannedFault| At { nth: 0, ..plan.at.clone() };
        for (number, plan) in plans.iter().enumerate() {
            assert!(plans[..number].iter().all(|other| place(other) != place(plan)), "{plans:#?}");
        }
        most = most.max(plans.len());
    }
    assert!((2..100).contains(&most), "{most}: there is room for some, and not for all");
}

#[test]
fn each_kind_is_counted_by_its_own_strikes_whatever_the_number_of_workers() {
    let campaign = || Campaign::on_builtin("standard").with_mix("nooks").experiments(30).errors(5);

    let report = campaign().run(|_| {}).expect("runs");
    let again = campaign().workers(3).run(|_| {}).expect("runs");

    assert_eq!(report.digest, again.digest);
    let total = &report.total;
    assert!(total.faults() > 120 && total.faults() <= 150, "{}", total.faults());
    let struck: u64 = total.kinds.values().map(|(_, struck)| struck).sum();
    assert!(struck > total.activated && struck < total.faults(), "{struck}");
    assert_eq!(total.experiments, 30);
}
