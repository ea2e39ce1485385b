//! Watchdogs: which hang ends in which bug check, and which in none.
//!
//! Expected parameters are from the pages of bug checks 0x133 and 0x101.

mod prober;

use prober::{Do, Ended, Where};
use ringfence::campaign::{Registries, Trial};
use ringfence::kernel::layout::address;
use ringfence::scenario::{Scenario, Vocabulary, library};
use ringfence::world::{Action, Configuration, Rest};

/// Ticks that a single deferred call may take, that dispatch level may last, that may stay unanswered.
const LIMITS: [u32; 3] = [5, 20, 12];
/// Steps between two ticks.
const INTERVAL: u32 = 100;

/// The world of the tests with watchdogs.
fn watched(processors: u8, [call, raised, silence]: [u32; 3]) -> Configuration {
    let mut configuration = prober::configuration();
    let machine = &mut configuration.machine;
    (machine.processors, machine.clock_interval) = (processors, INTERVAL);
    (machine.dpc_timeout, machine.dpc_watchdog_period) = (call, raised);
    machine.clock_watchdog = silence;
    // A second application that has something to do all the while.
    let mut other = configuration.components[0].clone();
    other.name = "other".into();
    other.actions = vec![Action::Spin];
    configuration.components.push(other);
    configuration
}

fn run(configuration: &Configuration, place: Where, script: &[Do]) -> Ended {
    let mut world = prober::built(configuration);
    if place == Where::Deferred {
        prober::script(&mut world, Where::Service, &[Do::Interrupt]);
    }
    prober::script(&mut world, place, script);
    prober::run(&mut world)
}

#[test]
fn a_deferred_call_that_never_ends_is_0x133_with_0() {
    for processors in 1..=3 {
        let ended = run(&watched(processors, LIMITS), Where::Deferred, &[Do::Hang]);

        // 0; ticks taken; ticks allowed.
        assert_eq!(ended.crash, [0x133, 0, 6, 5, 0], "{processors} processors");
        assert_eq!(ended.rest, Rest::BugCheck(0x133));
    }
}

#[test]
fn dispatch_level_that_never_ends_is_0x133_with_1() {
    for level in [2, 5, 12] {
        let script = [Do::Level(level), Do::Hang];

        let ended = run(&watched(2, LIMITS), Where::Service, &script);

        // 1; the period.
        assert_eq!(ended.crash, [0x133, 1, 20, 0, 0], "level {level}");
    }
}

#[test]
fn a_deferred_call_counts_towards_both_limits() {
    let mut watched = watched(2, [0, 20, 12]);
    // The tick has a stack of its own, which has a shadow like any other.
    watched.machine.shadow_stacks = true;

    let ended = run(&watched, Where::Deferred, &[Do::Hang]);

    assert_eq!(ended.crash, [0x133, 1, 20, 0, 0]);
}

#[test]
fn a_processor_that_takes_no_clock_interrupt_is_0x101_by_another_s_count() {
    for level in [13, 14, 15] {
        for place in [Where::Service, Where::Deferred] {
            let ended = run(&watched(2, LIMITS), place, &[Do::Level(level), Do::Hang]);

            let [code, ticks, zero, block, processor] = ended.crash;
            assert_eq!((code, ticks, zero), (0x101, 12, 0), "level {level}, {place:?}");
            assert!(processor < 2, "{processor}");
            assert_eq!(block, address::PROCESSOR_BLOCKS + processor * 4096);
        }
    }
}

#[test]
fn a_processor_alone_has_nobody_to_notice() {
    for level in [13, 15] {
        let ended = run(&watched(1, LIMITS), Where::Service, &[Do::Level(level), Do::Hang]);

        assert_eq!(ended.rest, Rest::OutOfSteps, "level {level}: {:x?}", ended.crash);
    }
}

#[test]
fn a_hang_below_dispatch_level_or_in_user_mode_is_none_of_theirs() {
    for processors in 1..=3 {
        for level in [0, 1] {
            // With an interrupt under way, whose routine waits for the kernel's lock meanwhile.
            let script = [Do::Interrupt, Do::Level(level), Do::Hang];

            let ended = run(&watched(processors, LIMITS), Where::Service, &script);

            assert_eq!(ended.rest, Rest::OutOfSteps, "level {level}: {:x?}", ended.crash);
        }
        let ended = run(&watched(processors, LIMITS), Where::Service, &[]);

        assert_eq!(ended.rest, Rest::OutOfSteps, "{:x?}", ended.crash);
    }
}

#[test]
fn what_takes_its_time_and_ends_is_let_be() {
    // Some deferred calls one behind the other.
    let mut configuration = watched(2, [2, 3, 4]);
    configuration.components.pop();
    for _ in 0..8 {
        let control = configuration.components[0].actions[4].clone();
        configuration.components[0].actions.push(control);
    }

    let ended = run(&configuration, Where::Deferred, &[Do::Allocate]);

    assert_eq!(ended.rest, Rest::Quiescent, "{:x?}", ended.crash);
}

#[test]
fn without_watchdogs_every_hang_is_one() {
    for (place, script) in [
        (Where::Deferred, vec![Do::Hang]),
        (Where::Service, vec![Do::Level(2), Do::Hang]),
        (Where::Service, vec![Do::Level(15), Do::Hang]),
    ] {
        let ended = run(&watched(2, [0, 0, 0]), place, &script);

        assert_eq!(ended.rest, Rest::OutOfSteps, "{place:?}: {:x?}", ended.crash);
    }
}

/// The scenario to begin with, watched.
fn standard() -> Scenario {
    let text = library::find("standard").expect("it is built in").text;
    let mut scenario = Scenario::from_bytes(text.as_bytes()).expect("it is sound");
    scenario.plan.clear();
    scenario.expect = None;
    let machine = &mut scenario.configuration.machine;
    (machine.dpc_timeout, machine.dpc_watchdog_period, machine.clock_watchdog) = (5, 20, 12);
    scenario
}

#[test]
fn watchdogs_without_a_clock_are_a_mistake_that_is_told() {
    let mut scenario = standard();
    scenario.configuration.machine.clock_interval = 0;

    let problems = scenario.check(&Vocabulary::default());

    let told: Vec<&str> = problems.iter().map(|problem| problem.what.as_str()).collect();
    assert!(told.iter().any(|what| what.contains("there is no clock")), "{told:?}");
}

#[test]
fn processors_that_answer_every_tick_are_not_silent() {
    for (processors, interval) in [(2, 60), (2, 200), (4, 60), (4, 200)] {
        let mut scenario = standard();
        let machine = &mut scenario.configuration.machine;
        (machine.processors, machine.clock_interval) = (processors, interval);
        (machine.dpc_timeout, machine.dpc_watchdog_period, machine.clock_watchdog) = (0, 0, 1);

        let trial = Trial::new(&scenario, &Registries::default()).expect("a sound world");

        assert_eq!(trial.golden.rest, Rest::Quiescent, "{processors} processors, every {interval}");
    }
}

#[test]
fn watchdogs_disturb_nobody() {
    let scenario = standard();

    let trial = Trial::new(&scenario, &Registries::default()).expect("a sound world");

    assert_eq!(trial.golden.violations, []);
    assert_eq!(trial.golden.rest, Rest::Quiescent);
}
