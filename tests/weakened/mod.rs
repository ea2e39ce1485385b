//! The alarm beside each sentence of the mission: the same world, the protection weakened.

use ringfence::base::Access;
use ringfence::campaign::Trial;
use ringfence::campaign::experiment::{CONTAINED, SURVIVES};
use ringfence::injection::PointKind;
use ringfence::kernel::layout::address;
use ringfence::kernel::status;
use ringfence::outcome::{Availability, Integrity};
use ringfence::scenario::Scenario;
use ringfence::world::{Action, Component, Configuration, World};

use super::worlds::{
    application, fault, named, neighbours, reached, sees_the_same, struck, trial, with_editor,
};
use super::{EDITOR, Log, SHELL, WORD, access, ending};

/// Where the data page of the first driver, `nic`, is.
const NIC_DATA: u64 = address::DRIVER_CODE + address::DRIVER_DATA_OFFSET;

/// The same scenario with this weakness.
fn weakened(mut scenario: Scenario, weakness: &str) -> Scenario {
    scenario.configuration.weaknesses = vec![weakness.to_owned()];
    scenario
}

/// A world of these applications, which have no driver.
fn alone(components: Vec<Component>) -> Scenario {
    let configuration = Configuration { components, ..Configuration::default() };
    Scenario { name: "alone".into(), configuration, ..Scenario::default() }
}

/// What is violated in a run without any fault.
fn violated(scenario: &Scenario) -> Vec<String> {
    trial(scenario).run(&[]).expect("nothing is planned").guarantees
}

/// Whether this is violated with the weakness, and nothing at all without.
#[track_caller]
fn assert_alarm(scenario: &Scenario, weakness: &str, invariant: &str) {
    assert_eq!(violated(scenario), [""; 0], "silence without {weakness}");
    let found = violated(&weakened(scenario.clone(), weakness));
    assert!(found.iter().any(|name| name == invariant), "{weakness}: {found:?}");
}

/// A parent that looks again at what it stored, after its child stored in the same place.
fn family() -> Scenario {
    let mut actions = vec![
        Action::Store { word: 0, value: 1 },
        Action::CreateProcess { process: "child".into(), first: 44, inherit: false, slot: 1 },
    ];
    actions.extend(vec![Action::Yield; 40]);
    actions.extend([
        Action::Load { word: 0 },
        Action::Exit { status: 0 },
        Action::Store { word: 0, value: 9 },
    ]);
    let child = Component { spawned: true, ..application("child", Vec::new()) };
    alone(vec![application("parent", actions), child])
}

/// What the parent saw last.
fn seen_by_the_parent(scenario: &Scenario) -> u64 {
    let trial = trial(scenario);
    let seen = trial.golden.observations.of(named(&trial, "parent")).expect("the parent");
    seen.first().last().expect("it looked").bytes
}

#[test]
fn where_an_address_space_is_not_private_two_words_are_one() {
    let places = |scenario: &Scenario| {
        let mut world = World::build(&scenario.configuration).expect("a sound configuration");
        let mut log = Log::default();
        world.run(&mut log, u64::MAX);
        [EDITOR, SHELL].map(|who| log.private[&who])
    };

    let [parent, child] = places(&family());
    assert_ne!(parent, child);
    let [parent, child] = places(&weakened(family(), "shared-private-page"));
    assert_eq!(parent, child, "both stored at {WORD:#x}");
}

#[test]
fn where_a_handle_table_is_not_private_another_ones_handles_are_used() {
    assert_alarm(&neighbours(), "wrong-table", "handles-are-private");
}

#[test]
fn where_data_is_not_private_one_application_changes_anothers() {
    assert_eq!(seen_by_the_parent(&family()), 1);
    assert_eq!(seen_by_the_parent(&weakened(family(), "shared-private-page")), 9);

    assert_alarm(&family(), "shared-private-page", "private-memory-is-private");
}

#[test]
fn where_the_system_is_not_reserved_an_application_touches_it() {
    for (place, weakness) in
        [(address::table_entry(0x1ed, WORD), "user-bit-in-system"), (NIC_DATA, "driver-data-open")]
    {
        let daring = with_editor(vec![access(place, Access::Read)]);

        assert_eq!(ending(&trial(&daring), "editor").1, status::ACCESS_VIOLATION);
        let weak = weakened(daring.clone(), weakness);
        assert_eq!(ending(&trial(&weak), "editor").1, status::SUCCESS, "{weakness}");
        assert_alarm(&daring, weakness, "user-mode-never-reaches-system-space");
    }
}

#[test]
fn where_a_crash_leaves_something_behind_somebody_notices() {
    let mut looks = vec![Action::Yield; 20];
    looks.extend((1..9).map(|slot| Action::Allocate { slot }));
    looks.extend((1..9).map(|slot| Action::LoadThrough { slot, word: 0 }));
    let editor = application("editor", vec![Action::Store { word: 0, value: 1 }, Action::Wait]);
    let scenario = alone(vec![editor, application("shell", looks)]);

    for (weakness, is_noticed) in [(None, false), (Some("no-zeroing"), true)] {
        let mut scenario = scenario.clone();
        scenario.configuration.weaknesses = weakness.map(str::to_owned).into_iter().collect();
        let mut trial = trial(&scenario);

        let outcome =
            struck(&mut trial, fault("crash", "editor", PointKind::Step, 6, "how = 'abort'"));

        assert_eq!(sees_the_same(&trial, "shell"), !is_noticed);
        // The one is told by the books, the other by what the shell saw.
        for guarantee in ["a-crash-is-contained", CONTAINED] {
            let alarm = outcome.guarantees.iter().any(|name| name == guarantee);
            assert_eq!(alarm, is_noticed, "{guarantee}: {:?}", outcome.guarantees);
        }
    }
}

#[test]
fn where_output_buffers_are_not_probed_an_application_stops_the_system() {
    for (weakness, stops) in [(None, false), (Some("no-probe"), true)] {
        let mut scenario = neighbours();
        scenario.configuration.weaknesses = weakness.map(str::to_owned).into_iter().collect();
        let mut trial = trial(&scenario);
        let (mut strikes, mut alarms) = (0, 0);

        for nth in 1..=reached(&trial, "editor", PointKind::ModeSwitch) {
            let nowhere = "value = '0xffff900000000000'";
            let argument = "kernel-address-as-argument";
            let plan = fault(argument, "editor", PointKind::ModeSwitch, nth, nowhere);
            let outcome = trial.run(&[plan]).expect("a fault that can be made");
            strikes += outcome.activation.strikes;
            alarms += u32::from(outcome.guarantees.iter().any(|name| name == SURVIVES));
        }

        assert!(strikes > 0, "no call has a buffer");
        assert_eq!(alarms > 0, stops);
    }
}

#[test]
fn where_address_spaces_differ_kernel_mode_does_not_share_one() {
    assert_alarm(&family(), "kernel-half-differs", "kernel-half-is-one");
}

#[test]
fn a_driver_that_writes_where_it_should_damages_nobody() {
    let outcome = trial(&neighbours()).run(&[]).expect("nothing is planned");

    assert_eq!((outcome.integrity, outcome.victims), (Integrity::Untouched, Vec::new()));
}

#[test]
fn where_one_processor_is_not_told_part_of_the_system_survives_a_drivers_crash() {
    for (weakness, goes_on) in [(None, false), (Some("runs-on"), true)] {
        let mut scenario = neighbours();
        scenario.configuration.steps_max = 8000;
        scenario.configuration.weaknesses = weakness.map(str::to_owned).into_iter().collect();
        let mut trial: Trial = trial(&scenario);

        let crash = fault("crash", "nic", PointKind::Step, 3, "how = 'null-dereference'");
        let outcome = struck(&mut trial, crash);

        let alarm = outcome.guarantees.iter().any(|name| name == "nothing-runs-after-a-bug-check");
        assert_eq!(alarm, goes_on, "{:?}", outcome.guarantees);
    }
}

#[test]
fn where_a_hosts_requests_are_forgotten_its_crash_is_not_contained() {
    for (weakness, waits) in [(None, false), (Some("requests-lost"), true)] {
        let mut scenario = neighbours();
        scenario.configuration.weaknesses = weakness.map(str::to_owned).into_iter().collect();
        let mut trial = trial(&scenario);
        assert!(reached(&trial, "sensor", PointKind::Step) > 0);
        let mut crash = fault("crash", "sensor", PointKind::Step, 2, "how = 'abort'");
        crash.at.routine = Some("SensorProcess".to_owned());

        let outcome = struck(&mut trial, crash);

        let alarm = outcome.guarantees.iter().any(|name| name == "requests-are-conserved");
        assert_eq!(alarm, waits, "{:?}", outcome.guarantees);
        assert_eq!(outcome.availability == Availability::HostLost { restarted: true }, !waits);
    }
}

#[test]
fn where_user_mode_has_the_io_privilege_an_application_reaches_the_hardware() {
    for action in [Action::PortIn { port: 4 }, Action::PortOut { port: 2, value: 1 }] {
        let daring = with_editor(vec![action]);

        assert_eq!(ending(&trial(&daring), "editor").1, status::PRIVILEGED_INSTRUCTION);
        let weak = weakened(daring, "io-ports-open");
        assert_eq!(ending(&trial(&weak), "editor").1, status::SUCCESS);
    }
}
