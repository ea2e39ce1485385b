//! What a user's `cargo test` does with the library: campaigns, a fault, a driver, a snapshot.

mod review;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::{Arc, Mutex};

use ringfence::base::PrincipalKind;
use ringfence::campaign::trial::Registries;
use ringfence::campaign::{Campaign, Seeds, Trial};
use ringfence::counterexample::Story;
use ringfence::faults::{Family, Kind, Model, Parameters};
use ringfence::injection::{Fault, Operation, PointKind, PointKinds, Recurrence, Scene, Verdict};
use ringfence::invariants::{End, Evidence, Findings, Invariant, Kinds, Registry};
use ringfence::kernel::loader::Dispatch;
use ringfence::kernel::request::IO_COMPLETE_REQUEST;
use ringfence::kernel::status;
use ringfence::machine::{Flow, Routine, routine};
use ringfence::outcome::{Availability, Integrity};
use ringfence::scenario::{Scenario, library};
use ringfence::world::{Action, Component, Configuration, DriverDefinition, Drivers, Home};

use review::snapshots;

/// A store that writes the complement of what it was asked to.
struct Inverted;

impl Fault for Inverted {
    fn name(&self) -> &'static str {
        "inverted-store"
    }

    fn strike(&mut self, operation: &mut Operation, _: &mut dyn Scene) -> Option<Verdict> {
        operation.value = !operation.value;
        Some(Verdict::Proceed)
    }
}

const INVERTED: Kind = Kind {
    name: "inverted-store",
    family: Family::Defect,
    model: Model::Edfi,
    points: PointKinds::of(&[PointKind::Store]),
    fits: |_, _| true,
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "a store writes the complement of its value",
    source: "this test",
    build: |_, _| Ok(Box::new(Inverted)),
    draw: |_, _, _| Parameters::default(),
    every: |_, _| vec![Parameters::default()],
    flips_target: false,
};

routine! {
    /// Answers every request at once with nothing. Arguments: device object, packet.
    static NULL_DISPATCH = "NullDispatch", frame 0;
    complete, call IO_COMPLETE_REQUEST => |p| {
        let packet = p.argument(1);
        p.pass([packet, status::SUCCESS, 0]);
        Ok(Flow::Call)
    },
    done => |p| Ok(p.give_back(status::SUCCESS)),
}

static NULL_ROUTINES: &[&Routine] = &[&NULL_DISPATCH];

fn null_driver() -> Drivers {
    let dispatch = Dispatch {
        read: Some(&NULL_DISPATCH),
        write: Some(&NULL_DISPATCH),
        control: Some(&NULL_DISPATCH),
        ..Dispatch::default()
    };
    let null = DriverDefinition {
        name: "null",
        kind: PrincipalKind::KernelDriver,
        routines: NULL_ROUTINES,
        pageable: &[],
        dispatch,
        prepare: |_| Vec::new(),
        owns: &[],
        section: &[],
    };
    Drivers { kernel: vec![null], hosted: Vec::new() }
}

fn component(name: &str, home: Home, driver: Option<&str>, actions: Vec<Action>) -> Component {
    Component { driver: driver.map(str::to_owned), actions, ..Component::new(name, home) }
}

fn world_with_the_null_driver() -> Scenario {
    let actions = vec![
        Action::Store { word: 0, value: 7 },
        Action::Open { device: "sink".to_owned(), file: 0, access: 3, slot: 0 },
        Action::Write { slot: 0, offset: 0, length: 32, value: 9 },
        Action::Load { word: 0 },
    ];
    let components = vec![
        component("editor", Home::Application, None, actions.clone()),
        component("shell", Home::Application, None, actions),
        component("sink", Home::KernelDriver, Some("null"), Vec::new()),
    ];
    Scenario {
        name: "null-driver".to_owned(),
        configuration: Configuration { components, ..Configuration::default() },
        ..Scenario::default()
    }
}

#[test]
fn a_fault_of_mine_strikes_and_keeps_the_guarantees() {
    let results =
        Campaign::on_builtin("standard").with_my_fault(INVERTED).experiments(60).run_all();

    assert!(results.report.total.activated > 0);
    results.assert_guarantees_hold();
}

/// Always broken, to see that it is asked.
struct AlwaysBroken;

impl Invariant for AlwaysBroken {
    fn name(&self) -> &'static str {
        "always-broken"
    }

    fn sentence(&self) -> &'static str {
        "no run comes to rest"
    }

    fn source(&self) -> &'static str {
        "this test"
    }

    fn kinds(&self) -> Kinds {
        Kinds::NONE
    }

    fn check(&self, _: &Evidence<'_>, _: &mut Findings) {}

    fn check_at_rest(&self, _: &Evidence<'_>, _: &End<'_>, findings: &mut Findings) {
        findings.add(None, None, 0, 0, || "planted".to_owned());
    }
}

#[test]
fn an_invariant_of_mine_is_asked() {
    let results = Campaign::on_builtin("content-parser-host")
        .held_to(Registry::none().with(AlwaysBroken))
        .with_faults(["crash"])
        .experiments(4)
        .run_all();

    let failure = results.failure().expect("it is always broken");
    assert!(failure.contains("violated   always-broken"), "{failure}");
}

#[test]
fn a_driver_of_mine_answers_requests() {
    let registries = Registries {
        drivers: Some({
            let mut drivers = ringfence::world::components::drivers();
            drivers.kernel.extend(null_driver().kernel);
            drivers
        }),
        ..Registries::default()
    };

    let trial = Trial::new(&world_with_the_null_driver(), &registries).expect("the world builds");

    assert_eq!(trial.golden.rest, ringfence::world::Rest::Quiescent);
}

#[test]
fn a_campaign_on_a_driver_of_mine_keeps_the_guarantees() {
    Campaign::on(world_with_the_null_driver())
        .with_my_drivers(null_driver())
        .with_faults(["wild-write", "crash", "dropped-step"])
        .experiments(60)
        .run_all()
        .assert_guarantees_hold();
}

#[test]
fn an_unknown_kind_of_fault_is_refused_with_the_nearest_name() {
    let campaign = Campaign::on_builtin("standard").with_faults(["wild-wite"]);

    let refusal = catch_unwind(AssertUnwindSafe(|| campaign.run_all().report));

    let refusal = refusal.expect_err("no such kind");
    let message = refusal.downcast_ref::<String>().expect("a message");
    assert!(message.contains("did you mean `wild-write`?"), "{message}");
}

#[test]
fn a_campaign_that_cannot_run_says_so_at_the_line_of_the_test_with_the_seed() {
    const ME: &str = "a_campaign_that_cannot_run_says_so_at_the_line_of_the_test_with_the_seed";
    let at = Arc::new(Mutex::new(None));
    let (seen, before) = (Arc::clone(&at), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() == Some(ME) {
            let place = panic.location().map(|place| (place.file().to_owned(), place.line()));
            *seen.lock().expect("nobody panics here") = place;
        } else {
            before(panic);
        }
    }));
    let mut world =
        Scenario::from_bytes(library::find("standard").expect("built in").text.as_bytes())
            .expect("it is sound");
    world.configuration.machine.processors = 0;
    let campaign = Campaign::on(world).experiments(1).seeds(7..8);

    let line = line!() + 1;
    let refusal = catch_unwind(AssertUnwindSafe(|| campaign.run_all().report));

    let refusal = refusal.expect_err("its world can't be built");
    let message = refusal.downcast_ref::<String>().expect("a message");
    assert!(message.contains("seed 7") && message.contains("RINGFENCE_SEED=7"), "{message}");
    let place = at.lock().expect("nobody panicked there").clone();
    assert_eq!(place, Some((file!().to_owned(), line)));
}

#[test]
fn any_number_of_workers_finds_the_same() {
    let digest = |workers| {
        let campaign = Campaign::on_generated_worlds(0..3).experiments(20).workers(workers);
        campaign.run_all().report.digest
    };

    assert_eq!(digest(1), digest(2));
    assert_eq!(digest(1), digest(7));
}

#[test]
fn seeds_are_ranges_with_or_without_their_end() {
    let ran = |seeds: Seeds| {
        let report = Campaign::on_builtin("standard").seeds(seeds).experiments(1).run_all().report;
        (report.worlds.len(), report.digest)
    };

    assert_eq!(ran((0..2).into()), ran((0..=1).into()));
    let last = Campaign::on_builtin("standard").seeds(u64::MAX..=u64::MAX).experiments(1);
    assert_eq!(last.run_all().report.worlds.len(), 1);
    assert_eq!(ran(Seeds::one(u64::MAX)).0, 1);
}

/// The built-in world with a weakness planted: faults of user mode then reach others.
fn weak_world() -> Scenario {
    let text = library::find("standard").expect("it is built in").text;
    let mut scenario = Scenario::from_bytes(text.as_bytes()).expect("it is sound");
    scenario.configuration.weaknesses = vec!["no-probe".to_owned()];
    scenario.name = "weak".to_owned();
    scenario
}

#[test]
#[ignore = "fails on purpose: the test below runs it and reads what it says"]
fn a_campaign_that_fails() {
    Campaign::on(weak_world())
        .with_faults(["kernel-address-as-argument"])
        .seeds(1..4)
        .experiments(30)
        .run_all()
        .assert_guarantees_hold();
}

/// What the failing test says when it is run as cargo runs it.
fn failure(seed: Option<&str>) -> String {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "a_campaign_that_fails", "--ignored"]);
    command.env("RINGFENCE_SAVE", concat!(env!("CARGO_TARGET_TMPDIR"), "/failing-cases"));
    command.env_remove("RINGFENCE_SEED");
    if let Some(seed) = seed {
        command.env("RINGFENCE_SEED", seed);
    }
    let output = command.output().expect("it starts");
    assert!(!output.status.success(), "the campaign finds a violation");
    String::from_utf8(output.stdout).expect("text")
}

#[track_caller]
fn after<'a>(text: &'a str, head: &str) -> &'a str {
    let found = text.lines().find_map(|line| line.strip_prefix(head));
    found.unwrap_or_else(|| panic!("no line begins with {head:?}:\n{text}"))
}

#[test]
fn the_line_of_a_failure_runs_the_same_experiment_again() {
    let first = failure(None);

    let line = after(&first, "replay     RINGFENCE_SEED=");
    let (seed, line) = line.split_once(' ').expect("a variable and a command");
    assert_eq!(line, "cargo test --test library a_campaign_that_fails");
    let again = failure(Some(seed));

    assert!(again.contains("1 of 1 experiments violated a guarantee"), "{again}");
    for head in ["violated   ", "because    ", "seed       "] {
        assert_eq!(after(&again, head), after(&first, head));
    }
    assert!(!first.contains("of 1 experiments"), "the first run was of more: {first}");
}

#[test]
fn a_failure_saves_the_least_case_which_still_shows_it() {
    let failure = failure(None);

    let bytes = std::fs::read(after(&failure, "least case ")).expect("it is saved");
    let least = Scenario::from_bytes(&bytes).expect("it is sound");
    let story = Story::of(&least, &Registries::default()).expect("it runs");

    assert_eq!(story.outcome.guarantees.join(", "), after(&failure, "violated   "));
    assert!(failure.contains(&story.to_string()), "{failure}");
    assert!(least.configuration.components.len() < weak_world().configuration.components.len());
}

#[test]
fn what_a_fault_reaches_in_the_standard_world() {
    let _settings = snapshots();
    let kinds = ["wild-write", "crash", "corrupted-return-address", "bit-flip"];
    let results = Campaign::on_builtin("standard").with_faults(kinds).experiments(240).run_all();

    let origins: BTreeSet<_> = results.report.total.struck.keys().collect();
    assert!(origins.len() > 3, "{origins:?}");
    insta::assert_snapshot!("cells-standard", results.cells_text());
}

#[test]
fn what_becomes_of_the_scenarios_built_in() {
    let _settings = snapshots();
    let mut text = String::new();
    for builtin in library::ALL {
        let scenario = Scenario::from_bytes(builtin.text.as_bytes()).expect("it is sound");
        let story = Story::of(&scenario, &Registries::default()).expect("its world builds");
        assert_eq!(story.missed, Vec::<String>::new(), "{}", builtin.name);
        text += &format!("{}\n", builtin.name);
        let told = story.to_string();
        let ending = told.lines().skip_while(|line| !line.starts_with("outcome"));
        for line in ending.take_while(|line| !line.starts_with("published")) {
            text += &format!("    {line}\n");
        }
    }
    insta::assert_snapshot!("outcomes-built-in", text);
}

#[test]
fn the_scenario_in_the_readme_strikes_and_somebody_else_is_blamed() {
    let readme = include_str!("../README.md");
    let from = readme.find("format = 1").expect("a scenario");
    let text = readme[from..].split("```").next().expect("its end");
    let scenario = Scenario::from_bytes(text.as_bytes()).expect("it is sound");

    let outcome = Trial::new(&scenario, &Registries::default())
        .expect("it builds")
        .run(&scenario.plan)
        .expect("its fault can be made");

    assert_eq!((outcome.activation.strikes, outcome.integrity), (1, Integrity::Deviated));
    assert!(
        matches!(outcome.availability, Availability::BugCheck { code: 0x3b, .. }),
        "{outcome:?}"
    );
    let detection = outcome.detection.expect("the bug check");
    assert_eq!((detection.blamed.as_str(), detection.did.as_str()), ("kernel", "nic"));
    assert_eq!(detection.events, 1673);
}
