use super::*;
use crate::base::Seed;
use crate::campaign::Campaign;
use crate::faults::At;
use crate::injection::{PointKind, Recurrence};
use crate::minimise::Shrink as _;
use crate::scenario::Bias;

/// A generated world with a weakness planted.
fn weakened(seed: u64, weakness: &str) -> Scenario {
    let mut scenario = Scenario::generate(Seed(seed), &Bias::default());
    scenario.configuration.weaknesses = vec![weakness.to_owned()];
    scenario
}

/// The first generated world in which this weakness shows by itself, and its least form.
fn least(weakness: &str) -> (Scenario, Counterexample) {
    let found = (0..40).map(|seed| weakened(seed, weakness)).find_map(|start| {
        minimised(&start, &Registries::default(), TRIALS_MAX).map(|least| (start, least))
    });
    found.unwrap_or_else(|| panic!("{weakness} shows in none of these worlds"))
}

/// What a scenario violates when it is read from its own text and run.
fn violated(scenario: &Scenario) -> Vec<Shown> {
    let again = Scenario::from_bytes(scenario.to_toml().as_bytes()).expect("it can be kept");
    let mut trial = Trial::new(&again, &Registries::default()).expect("a world");
    let outcome = trial.run(&again.plan).expect("a plan");
    shown(&trial, &outcome)
}

fn size(scenario: &Scenario) -> (usize, usize) {
    let components = &scenario.configuration.components;
    (components.len(), components.iter().map(|one| one.actions.len()).sum())
}

/// Weaknesses that show without a fault, and how many components and actions show them.
const SIZES: &[(&str, usize, usize)] = &[
    ("handles-leak", 2, 1),
    ("frames-leak", 1, 0),
    ("wrong-table", 5, 4),
    ("dma-stays", 2, 2),
    ("early-free", 1, 3),
];

#[test]
fn the_least_is_small_and_violates_the_same_when_it_is_read_again() {
    for &(weakness, components, actions) in SIZES {
        let (start, least) = least(weakness);

        let (found, before) = (size(&least.scenario), size(&start));
        assert!(found.0 <= components && found.1 <= actions, "{weakness}: {found:?}");
        assert!(found.0 < before.0 && found.1 < before.1, "{weakness}: {before:?}");
        assert_eq!(violated(&start)[0], least.shown, "{weakness}");
        assert!(violated(&least.scenario).contains(&least.shown), "{weakness}");
        assert_eq!(least.extent, Extent::OneMinimal, "{weakness}");
        assert_eq!(least.scenario.configuration.weaknesses, [weakness]);
    }
}

#[test]
fn nothing_more_can_be_left_out_or_simplified() {
    let (_, least) = least("wrong-table");
    let case = Case(least.scenario);
    let still = |form: &Case| {
        let is_kept = form.0.check(&Vocabulary::default()).is_empty();
        is_kept && violated(&form.0).contains(&least.shown)
    };
    assert!(still(&case));

    for (sequence, length) in case.lengths().into_iter().enumerate() {
        for left_out in 0..length {
            let kept: Vec<usize> = (0..length).filter(|&index| index != left_out).collect();
            assert!(!still(&case.keeping(sequence, &kept)), "{left_out} of sequence {sequence}");
        }
    }
    for form in case.simpler() {
        assert!(!still(&form), "{}", form.0.to_toml());
    }
}

#[test]
fn the_same_start_comes_to_the_same_and_a_spent_budget_to_a_violation() {
    let start = weakened(0, "wrong-table");
    let within = |trials| minimised(&start, &Registries::default(), trials).expect("it violates");
    let whole = within(TRIALS_MAX);

    assert_eq!(within(TRIALS_MAX), whole);
    for trials in [1, 2, 7, 20] {
        let cut = within(trials);
        assert_eq!((cut.trials, cut.extent), (trials, Extent::BudgetHit));
        assert!(violated(&cut.scenario).contains(&whole.shown), "after {trials} runs");
    }
}

#[test]
fn of_several_violations_the_gravest_is_kept_and_those_that_are_lost_are_named() {
    let seen_first = |scenario: &Scenario| {
        let mut trial = Trial::new(scenario, &Registries::default()).expect("a world");
        trial.run(&[]).expect("nothing is planned");
        trial.watch.violations().first().map(|found| found.invariant)
    };
    let leak = "exit-closes-all-handles";
    let start = (0..40)
        .map(|seed| {
            let mut start = weakened(seed, "handles-leak");
            start.configuration.weaknesses.push("wrong-table".to_owned());
            start.about = "probe".to_owned();
            start
        })
        .find(|start| seen_first(start) == Some(leak) && violated(start)[0].guarantee != leak)
        .expect("a world in which a handle leaks before something graver happens");

    let least = minimised(&start, &Registries::default(), TRIALS_MAX).expect("it violates");

    assert_eq!(least.shown.guarantee, "handles-are-private");
    assert_eq!(least.scenario.configuration.weaknesses, ["wrong-table"]);
    assert!(least.lost.iter().any(|lost| lost == leak), "{:?}", least.lost);
    assert!(!least.outcome.guarantees.iter().any(|one| least.lost.contains(one)));
    let story = crate::counterexample::Story::of(&least.scenario, &Registries::default());
    let story = story.expect("it ran before").to_string();
    let told = story.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = format!("probe. Also violated in the unminimised run: {}.", least.lost.join(", "));
    assert!(told.contains(&said), "{story}");
    assert!(told.contains("Minimised. Of the whole world it was said: probe."), "{story}");
    assert!(least.scenario.to_toml().contains(&said), "{}", least.scenario.to_toml());
}

#[test]
fn what_violates_nothing_has_no_least() {
    let start = Scenario::generate(Seed(3), &Bias::default());

    assert_eq!(minimised(&start, &Registries::default(), TRIALS_MAX), None);
}

/// An application that does ten things before it asks for an event's state, in a kernel that does
/// not probe, and one that does nothing with it.
fn unprobed() -> Scenario {
    let turns = "{ do = \"yield\" }, ".repeat(10);
    let text = format!(
        r#"format = 1
name = "unprobed"
schedule = "0x77"
weaknesses = ["no-zeroing", "no-probe"]

[[component]]
name = "other"
home = "application"
actions = [{turns}]

[[component]]
name = "asker"
home = "application"
actions = [
    {{ do = "create-event", slot = 7 }},
    {turns}
    {{ do = "query-event", slot = 7 }},
    {{ do = "query-event", slot = 7 }},
]
"#
    );
    Scenario::from_bytes(text.as_bytes()).expect("a scenario")
}

/// The last strike in that world that violates a guarantee.
fn struck_late() -> Scenario {
    let mut scenario = unprobed();
    let mut trial = Trial::new(&scenario, &Registries::default()).expect("a world");
    let planned = |nth| PlannedFault {
        kind: "kernel-address-as-argument".to_owned(),
        who: "asker".to_owned(),
        at: At { point: PointKind::ModeSwitch, routine: None, caller: None, nth },
        recurrence: Recurrence::Once,
        parameters: toml::from_str("target = \"kernel/file-cache:900\"").expect("parameters"),
    };
    let reached = reached(&trial, 0, &planned(1));
    let last = (1..=reached).rev().map(planned).find(|fault| {
        let outcome = trial.run(core::slice::from_ref(fault)).expect("a fault");
        !outcome.guarantees.is_empty()
    });
    scenario.plan = vec![last.expect("one of them is not probed")];
    scenario
}

#[test]
fn a_late_strike_comes_earlier_as_what_went_before_is_left_out() {
    let start = struck_late();
    assert!(start.plan[0].at.nth > 10, "{}", start.to_toml());

    let least = minimised(&start, &Registries::default(), TRIALS_MAX).expect("it violates");

    let text = least.scenario.to_toml();
    assert_eq!(least.scenario.plan.len(), 1, "{text}");
    assert!(least.scenario.plan[0].at.nth <= 4, "{text}");
    assert_eq!(least.scenario.configuration.weaknesses, ["no-probe"], "{text}");
    let (components, actions) = size(&least.scenario);
    assert!(components == 1 && actions <= 2, "{text}");
    assert_eq!(least.outcome.activation.by.as_deref(), Some("asker"));
    assert!(violated(&least.scenario).contains(&least.shown), "{text}");
}

/// A world that shares a page by itself is struck so that it shares another: the least of that is not what
/// the world does anyway.
#[test]
fn what_the_world_violates_by_itself_is_not_what_a_fault_made_it_violate() {
    let weak = |seed| {
        let mut scenario = Scenario::generate(Seed(seed), &Bias::default());
        scenario.configuration.weaknesses = vec!["shared-private-page".to_owned()];
        scenario
    };
    let mut looked_at = 0;
    for seed in 0..12 {
        let start = weak(seed);
        let by_itself = violated(&start);
        let report = Campaign::on(start)
            .seeds(0..1)
            .experiments(60)
            .workers(1)
            .run(|_| {})
            .expect("a sound world");
        for found in &report.violations {
            let plan = vec![found.case.plan.clone()];
            let struck = Scenario { plan, ..found.scenario.clone() };
            if by_itself.is_empty() || looked_at == 4 {
                continue;
            }
            looked_at += 1;

            let least = minimised(&struck, &Registries::default(), 200).expect("it violates");

            let text = least.scenario.to_toml();
            assert!(!by_itself.contains(&least.shown), "{:?}: {text}", least.shown);
            assert!(violated(&least.scenario).contains(&least.shown), "{text}");
        }
    }
    assert_eq!(looked_at, 4);
}

#[test]
fn any_number_of_workers_leads_to_the_same_least() {
    let found = |workers| {
        let campaign = Campaign::on(unprobed())
            .with_faults(["kernel-address-as-argument"])
            .seeds(0..4)
            .experiments(24)
            .workers(workers);
        let report = campaign.run(|_| {}).expect("a sound world");
        let first = report.violations.first().expect("an argument that is not probed");
        let plan = vec![first.case.plan.clone()];
        let start = Scenario { plan, ..first.scenario.clone() };
        minimised(&start, &campaign.registries, TRIALS_MAX).expect("it violates").scenario
    };
    let one = found(1);

    assert_eq!(found(2).to_toml(), one.to_toml());
    assert_eq!(found(7).to_toml(), one.to_toml());
}

#[test]
fn forms_become_simpler_until_there_are_none() {
    let mut drawn = 0;
    for seed in 0..12 {
        let bias = Bias { faults: 3, actions: (4, 8), ..Bias::default() };
        let mut case = Case(Scenario::generate(Seed(seed), &bias));
        let mut stream = Seed(seed).stream("way", 0);
        loop {
            let forms: Vec<Case> = case.simpler().collect();
            assert!(forms.iter().all(|form| form.lengths() == case.lengths()), "seed {seed}");
            let Some(next) = stream.pick(&forms) else { break };
            case = next.clone();
            drawn += 1;
            assert!(drawn < 200_000, "seed {seed} goes round in a circle");
        }
    }
    assert!(drawn > 100);
}

#[test]
fn a_component_takes_along_what_names_it() {
    let mut scenario = Scenario::generate(Seed(0), &Bias { faults: 12, ..Bias::default() });
    let names: Vec<String> =
        scenario.configuration.components.iter().map(|one| one.name.clone()).collect();
    scenario.expect = None;
    let case = Case(scenario);
    for left_out in 0..names.len() {
        let kept: Vec<usize> = (0..names.len()).filter(|&index| index != left_out).collect();

        let smaller = case.keeping(2, &kept).0;

        let problems = smaller.check(&Vocabulary::default());
        assert!(problems.is_empty(), "without {}: {problems:?}", names[left_out]);
    }
}
