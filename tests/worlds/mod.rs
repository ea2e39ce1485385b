//! Worlds, plans and runs that several test binaries share.

#![allow(dead_code, reason = "each test binary uses its own part")]

use ringfence::base::{Access, Principal};
use ringfence::campaign::Trial;
use ringfence::campaign::trial::Registries;
use ringfence::faults::{At, PlannedFault, Registry};
use ringfence::injection::{PointKind, Recurrence};
use ringfence::outcome::Outcome;
use ringfence::scenario::{Scenario, Vocabulary, library};
use ringfence::world::{Action, Component, Configuration, Home};

/// A scenario that is built in.
pub(crate) fn built_in(name: &str) -> Scenario {
    let file = library::find(name).expect("it is built in");
    Scenario::from_toml(name, file.text, &Vocabulary::default()).expect("it is sound")
}

/// A component that is not an application.
pub(crate) fn driver(name: &str, home: Home, driver: &str, above: Option<&str>) -> Component {
    Component {
        driver: Some(driver.to_owned()),
        above: above.map(str::to_owned),
        ..Component::new(name, home)
    }
}

/// An application.
pub(crate) fn application(name: &str, actions: Vec<Action>) -> Component {
    Component { driver: None, actions, ..driver(name, Home::Application, "", None) }
}

/// Work with private memory and every driver of [`neighbours`].
pub(crate) fn work(value: u64) -> Vec<Action> {
    let open =
        |device: &str, slot, file| Action::Open { device: device.into(), file, access: 3, slot };
    let file = u8::try_from(value % 8).expect("below 8");
    vec![
        Action::Store { word: 0, value },
        open("filter", 0, 0),
        Action::Write { slot: 0, offset: 0, length: 64, value: value + 1 },
        open("reflector", 1, 0),
        Action::Control { slot: 1, code: 0x22_0000, length: 32, value: value + 2 },
        open("files", 2, file),
        Action::Write { slot: 2, offset: 0, length: 32, value: value + 3 },
        Action::Read { slot: 2, offset: 0, length: 32 },
        Action::Allocate { slot: 3 },
        Action::StoreThrough { slot: 3, word: 5, value: value + 4 },
        Action::LoadThrough { slot: 3, word: 5 },
        Action::Control { slot: 1, code: 0x22_0000, length: 16, value: value + 5 },
        Action::Load { word: 0 },
    ]
}

/// Two applications that share nothing but drivers, and a driver of every sort.
pub(crate) fn neighbours() -> Scenario {
    with_editor(work(0x1000))
}

/// As [`neighbours`], where the editor does this.
pub(crate) fn with_editor(actions: Vec<Action>) -> Scenario {
    let components = vec![
        application("editor", actions),
        application("shell", work(0x2001)),
        driver("nic", Home::KernelDriver, "transfer", None),
        driver("filter", Home::KernelDriver, "filter", Some("nic")),
        driver("reflector", Home::KernelDriver, "reflector", None),
        driver("sensor", Home::DriverHost, "sensor", Some("reflector")),
        driver("files", Home::FileSystem, "file-system", None),
    ];
    let configuration = Configuration { components, ..Configuration::default() };
    Scenario { name: "neighbours".into(), configuration, ..Scenario::default() }
}

/// The trial of a scenario with what this crate brings.
pub(crate) fn trial(scenario: &Scenario) -> Trial {
    Trial::new(scenario, &Registries::default()).expect("a sound scenario")
}

/// A planned fault, its parameters as TOML.
pub(crate) fn fault(
    kind: &str,
    who: &str,
    point: PointKind,
    nth: u64,
    parameters: &str,
) -> PlannedFault {
    let kinds = Registry::default();
    let recurrence = kinds.get(kind).map_or(Recurrence::Once, |kind| kind.recurrence);
    PlannedFault {
        kind: kind.to_owned(),
        who: who.to_owned(),
        at: At { point, routine: None, caller: None, nth },
        recurrence,
        parameters: toml::from_str(parameters).expect("parameters"),
    }
}

/// Runs one fault.
pub(crate) fn struck(trial: &mut Trial, fault: PlannedFault) -> Outcome {
    let outcome = trial.run(std::slice::from_ref(&fault)).expect("a fault that can be made");
    assert!(outcome.activation.strikes > 0, "it never struck: {fault:?}");
    outcome
}

/// The number of who is called so.
pub(crate) fn named(trial: &Trial, name: &str) -> Principal {
    trial.roster().named(name).expect("somebody of the world")
}

/// Whether somebody saw in the last run just what they see in the golden run.
pub(crate) fn sees_the_same(trial: &Trial, name: &str) -> bool {
    let who = named(trial, name);
    let golden = trial.golden.observations.of(who).expect("somebody of the world");
    trial.judge.authority.observations().of(who).is_some_and(|seen| seen.agrees(golden, false))
}

/// How often a point was reached in the golden run.
pub(crate) fn reached(trial: &Trial, who: &str, point: PointKind) -> u64 {
    let who = named(trial, who);
    let here =
        trial.golden.points.iter().filter(|record| record.principal == who && record.kind == point);
    here.count() as u64
}

/// How a process ended in the golden run.
pub(crate) fn ending(trial: &Trial, who: &str) -> (u8, u64) {
    trial.golden.observations.ending(named(trial, who))
}

/// What the shell sees beside an editor that does this; the editor must end with this status.
pub(crate) fn refused(action: Action, wanted: u64) {
    let peaceful = trial(&with_editor(Vec::new()));
    let daring = trial(&with_editor(vec![action.clone()]));

    assert_eq!(ending(&daring, "editor"), (1, wanted), "{action:?}");
    for other in ["shell", "sensor", "nic", "files", "kernel"] {
        let who = named(&daring, other);
        let (seen, before) =
            (daring.golden.observations.of(who), peaceful.golden.observations.of(who));
        assert_eq!(seen, before, "{other} noticed {action:?}");
        assert_eq!(ending(&daring, other), ending(&peaceful, other), "{other} at {action:?}");
    }
}

pub(crate) fn access(address: u64, access: Access) -> Action {
    Action::Access { address, access }
}
