//! Time-outs of user-mode drivers, and when their failures are forgotten.
//!
//! Expected behaviour is from "Host Process Timeouts in UMDF", "How UMDF Handles Application Failures" and
//! "Using Device Pooling in UMDF Drivers".

use ringfence::base::{Event, EventKind, PhysAddr, Structure, VirtAddr, Witness};
use ringfence::campaign::Trial;
use ringfence::campaign::trial::Registries;
use ringfence::kernel::host::header;
use ringfence::kernel::host_time_out::critical;
use ringfence::kernel::layout::{address, device_object, kernel_data};
use ringfence::kernel::{service, status};
use ringfence::machine::{Flow, Processor, Reg, Routine, Trap, routine};
use ringfence::scenario::Scenario;
use ringfence::world::components::windows_api::API_CALL;
use ringfence::world::driver::{Drivers, HostDefinition};
use ringfence::world::{Action, Component, Configuration, Home, Rest, World};

/// What happened that the outside can tell, in order, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Note {
    /// A process saw the status of its request to a device.
    Status(u8, u64),
    /// A process ended with a status.
    Ended(u8, u64),
    /// A host was made again.
    Restarted(u8),
    /// A device was given up.
    Disabled(u64),
}

#[derive(Default)]
struct Notes(Vec<Note>);

impl Witness for Notes {
    fn event(&mut self, event: &Event) {
        self.0.push(match event.kind {
            // Of a job whose open fails, that is the status.
            EventKind::Observe if event.value >> 8 == service::OPEN_FILE && event.old != 0 => {
                Note::Status(event.context.0, event.old)
            }
            EventKind::Observe if event.value >> 8 == service::DEVICE_CONTROL => match event.old {
                status::INVALID_HANDLE => return,
                status => Note::Status(event.context.0, status),
            },
            EventKind::ProcessEnded => Note::Ended(event.subject.0, event.value),
            EventKind::HostRestarted => Note::Restarted(event.subject.0),
            EventKind::DeviceDisabled => Note::Disabled(event.value),
            EventKind::BugCheck => panic!("a user-mode driver never stops the machine"),
            _ => return,
        });
    }
}

const PAGE: u64 = address::USER_BUFFERS;
const DATA: Structure = Structure::UserData;
/// Requests that send this make the driver crash; hang; wait for good; smaller ones take as many steps.
const CRASH: u64 = 0x1_0000_0000;
const HANG: u64 = 0x2_0000_0000;
const WAIT: u64 = 0x3_0000_0000;
/// The word of the host's page with the time from which on hosts hang before they ask for work.
const BROKEN_FROM: u64 = 0x800;

fn enter(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    p.set_stack(address::USER_STACK_TOP - 64);
    p.put(Reg::Rbp, address::USER_STACK_TOP - 16);
    Ok(Flow::Next)
}

routine! {
    /// The loop of a host whose driver takes as long as it is told.
    static SLEEPER = "sleeper-host", frame 4;
    // Locals: 0 when the request came.
    enter => enter,
    start => |p| {
        let broken_from = p.load_at(PAGE + BROKEN_FROM, DATA)?;
        let is_broken = broken_from != 0 && p.time_stamp() > broken_from;
        Ok(if is_broken { Flow::Stay } else { Flow::Next })
    },
    ask, call API_CALL => |p| {
        p.put(Reg::Rax, service::HOST_WAIT);
        p.pass([0, 0, 0, 0, PAGE, 256 + header::BYTES]);
        Ok(Flow::Call)
    },
    got => |p| {
        let now = p.time_stamp();
        p.set_local(0, now)?;
        Ok(Flow::Next)
    },
    work, call API_CALL => |p| {
        let told = p.load_at(PAGE + header::BYTES, DATA)?;
        match told {
            CRASH => {
                p.load_at(0, DATA)?;
            }
            HANG => return Ok(Flow::Stay),
            WAIT => {
                p.put(Reg::Rax, service::WAIT);
                return Ok(Flow::Call);
            }
            _ if p.time_stamp().wrapping_sub(p.local(0)?) < told => return Ok(Flow::Stay),
            _ => {}
        }
        Ok(Flow::Next)
    },
    answer, call API_CALL => |p| {
        p.put(Reg::Rax, service::HOST_COMPLETE);
        p.pass([0, 0, PAGE, 8]);
        Ok(Flow::Call)
    },
    again => |_| Ok(Flow::To(At::ask as u8)),
}

const SLEEPERS: &[&Routine] = &[&SLEEPER];

fn prepare(placement: &ringfence::world::Placement) -> Vec<(u64, u64)> {
    if placement.content == 0 { vec![] } else { vec![(BROKEN_FROM, placement.content)] }
}

fn drivers() -> Drivers {
    let mut drivers = ringfence::world::components::drivers();
    drivers.hosted.push(HostDefinition { name: "sleeper", routines: SLEEPERS, prepare });
    drivers
}

fn component(name: &str, home: Home, driver: Option<&str>, above: Option<&str>) -> Component {
    let (driver, above) = (driver.map(Into::into), above.map(Into::into));
    Component { driver, above, ..Component::new(name, home) }
}

fn ask(value: u64) -> Action {
    Action::Control { slot: 0, code: 0x22_0000, length: 8, value }
}

fn open(device: &str) -> Action {
    Action::Open { device: device.into(), file: 0, access: 3, slot: 0 }
}

/// Each job with a handle of its own: one to a device whose host is lost is of no use any more.
fn each(device: &str, jobs: Vec<Action>) -> Vec<Action> {
    let each = jobs.into_iter().map(|job| match job {
        Action::Control { .. } => vec![open(device), job, Action::Close { slot: 0 }],
        _ => vec![job],
    });
    each.flatten().collect()
}

/// Has the patient ask another device.
fn ask_other(configuration: &mut Configuration, other: &str) {
    for action in &mut configuration.components[1].actions {
        if let Action::Open { device, .. } = action {
            *device = other.into();
        }
    }
}

fn pause(number: usize) -> Vec<Action> {
    vec![Action::Yield; number]
}

/// Creates `victim`, which does what comes behind the parent's `Wait`, lets it run and ends it.
fn parent(number: usize, of_victim: Vec<Action>) -> Vec<Action> {
    let first = u8::try_from(number + 3).expect("few actions");
    let create = Action::CreateProcess { process: "victim".into(), first, inherit: false, slot: 1 };
    let end = Action::Terminate { slot: 1, status: 77 };
    [vec![create], pause(number), vec![end, Action::Exit { status: 0 }], of_victim].concat()
}

// Principals by place.
const PATIENT: u8 = 3;
const VICTIM: u8 = 4;
const HOST: u8 = 6;
const TIME_OUT: u32 = 2_000;
/// A time-out that stands for a minute, so that half an hour is not long.
const MINUTE: u32 = 1_500;

/// A parent that ends its child, somebody else, and a device with a driver in a host of its own.
fn world(of_parent: Vec<Action>, of_patient: Vec<Action>, time_out: u32) -> Configuration {
    let mut configuration = Configuration {
        components: vec![
            Component { actions: of_parent, ..component("parent", Home::Application, None, None) },
            Component {
                actions: each("device", of_patient),
                ..component("patient", Home::Application, None, None)
            },
            Component { spawned: true, ..component("victim", Home::Application, None, None) },
            component("device", Home::KernelDriver, Some("reflector"), None),
            component("host", Home::DriverHost, Some("sleeper"), Some("device")),
        ],
        steps_max: 200_000,
        ..Configuration::default()
    };
    configuration.machine.host_time_out = time_out;
    configuration
}

fn run(configuration: &Configuration) -> (Rest, Vec<Note>, u64) {
    let mut world = World::build_with(configuration, &drivers()).expect("a sound configuration");
    let mut notes = Notes::default();
    let rest = world.run(&mut notes, u64::MAX);
    (rest, notes.0, world.machine.clock)
}

fn statuses(notes: &[Note], of: u8) -> Vec<u64> {
    let of = notes.iter().filter_map(|note| match note {
        Note::Status(who, status) if *who == of => Some(*status),
        _ => None,
    });
    of.collect()
}

fn ends(notes: &[Note], of: u8) -> Vec<u64> {
    let of = notes.iter().filter_map(|note| match note {
        Note::Ended(who, status) if *who == of => Some(*status),
        _ => None,
    });
    of.collect()
}

fn restarts(notes: &[Note]) -> usize {
    notes.iter().filter(|note| matches!(note, Note::Restarted(_))).count()
}

fn disabled(notes: &[Note]) -> usize {
    notes.iter().filter(|note| matches!(note, Note::Disabled(_))).count()
}

const LOST: u64 = status::DRIVER_PROCESS_TERMINATED;
const GONE: u64 = status::DEVICE_REMOVED;

/// The victim asks for something that never ends.
fn hung() -> Vec<Action> {
    vec![open("device"), ask(HANG)]
}

#[test]
fn an_ordinary_request_has_no_time_out() {
    let (rest, notes, _) = run(&world(vec![], vec![ask(HANG)], TIME_OUT));

    assert_eq!(rest, Rest::OutOfSteps, "whoever asked waits");
    assert_eq!((statuses(&notes, PATIENT), ends(&notes, HOST)), (vec![], vec![]));
}

#[test]
fn a_host_that_does_not_answer_a_cancellation_in_time_is_ended() {
    let later = [pause(12), vec![ask(8), ask(8)]].concat();
    let (rest, notes, _) = run(&world(parent(8, hung()), later, TIME_OUT));

    assert_eq!(rest, Rest::Quiescent);
    assert_eq!(ends(&notes, HOST), [status::IO_TIMEOUT]);
    assert_eq!(ends(&notes, VICTIM), [77], "it ends as it was ended, when its request is over");
    assert_eq!(statuses(&notes, PATIENT), [LOST, 0], "who waited is told, and the device works");
    assert_eq!((restarts(&notes), disabled(&notes)), (1, 0));
}

#[test]
fn without_time_outs_the_ended_process_stays_for_ever() {
    let (rest, notes, _) = run(&world(parent(8, hung()), vec![], 0));

    assert_eq!(rest, Rest::OutOfSteps);
    assert_eq!((ends(&notes, VICTIM), ends(&notes, HOST)), (vec![], vec![]));
}

/// The time at which the host of the first device has had its time, as the kernel keeps it; 0 for none.
fn deadline(world: &World) -> u64 {
    let word = |virt: u64| {
        let at = world.machine.locate(0, VirtAddr(virt)).expect("mapped");
        world.machine.memory.read(PhysAddr::new(at).expect("in memory"))
    };
    let device = word(address::KERNEL_DATA + kernel_data::DEVICES.offset);
    word(word(device + device_object::EXTENSION.offset) + critical::DEADLINE.offset)
}

#[test]
fn the_host_has_its_time_and_not_much_more() {
    for time_out in [1_000, 5_000] {
        let configuration = world(parent(8, hung()), vec![], time_out);
        let mut world = World::build_with(&configuration, &drivers()).expect("sound");
        let (mut notes, mut since, mut until) = (Notes::default(), 0, 0);
        while ends(&notes.0, HOST).is_empty() {
            assert_eq!(world.step(&mut notes), None, "the host was not ended");
            let clock = world.machine.clock;
            // Until it is over; then the host is told again and again.
            if until == 0 || clock < until {
                let now = deadline(&world);
                since = if now == until { since } else { clock };
                until = now;
            }
        }

        assert_eq!(until - since, u64::from(time_out));
        // It runs, and ends when it is interrupted: two turns of the clock at most.
        let turns = 2 * u64::from(configuration.machine.clock_interval);
        assert!((until..until + turns).contains(&world.machine.clock), "{}", world.machine.clock);
    }
}

#[test]
fn a_driver_that_answers_late_but_in_time_is_not_ended() {
    let of_victim = vec![open("device"), ask(u64::from(TIME_OUT))];
    let next = [pause(4), vec![ask(8), ask(u64::from(TIME_OUT) * 2)]].concat();
    let (rest, notes, _) = run(&world(parent(8, of_victim), next, TIME_OUT));

    assert_eq!(rest, Rest::Quiescent);
    assert_eq!((ends(&notes, VICTIM), ends(&notes, HOST)), (vec![77], vec![]));
    // An ordinary request behind it may take longer than the time-out.
    assert_eq!(statuses(&notes, PATIENT), [0, 0]);
}

#[test]
fn a_request_that_still_waits_is_cancelled_at_once() {
    let of_victim = vec![open("device"), ask(8)];
    let busy = vec![ask(u64::from(TIME_OUT) * 3), ask(8)];
    let (rest, notes, _) = run(&world(parent(12, of_victim), busy, TIME_OUT));

    assert_eq!(rest, Rest::Quiescent);
    let end = notes.iter().position(|note| *note == Note::Ended(VICTIM, 77));
    let answer = notes.iter().position(|note| *note == Note::Status(PATIENT, 0));
    assert!(end.is_some() && end < answer, "{notes:x?}");
    assert_eq!((ends(&notes, HOST), statuses(&notes, PATIENT)), (vec![], vec![0, 0]));
}

#[test]
fn a_host_that_waits_for_something_else_is_ended_too() {
    let of_victim = vec![open("device"), ask(WAIT)];
    let later = [pause(12), vec![ask(8), ask(8)]].concat();
    let (rest, notes, _) = run(&world(parent(8, of_victim), later, TIME_OUT));

    assert_eq!(rest, Rest::Quiescent);
    assert_eq!((ends(&notes, HOST), ends(&notes, VICTIM)), (vec![status::IO_TIMEOUT], vec![77]));
    assert_eq!(statuses(&notes, PATIENT), [LOST, 0]);
}

#[test]
fn a_host_that_does_not_start_in_time_is_ended_and_in_the_end_given_up() {
    let mut configuration = world(vec![], [vec![ask(CRASH)], vec![ask(8); 7]].concat(), 500);

    // It works until it was seen to.
    let healthy_until = {
        let mut world = World::build_with(&world(vec![], vec![ask(CRASH)], 500), &drivers())
            .expect("a sound configuration");
        let mut notes = Notes::default();
        while ends(&notes.0, HOST).is_empty() {
            assert_eq!(world.step(&mut notes), None, "it never crashed");
        }
        world.machine.clock - 10
    };
    configuration.components[4].content = Some(healthy_until);
    let (rest, notes, _) = run(&configuration);

    assert_eq!(rest, Rest::Quiescent);
    let ended = ends(&notes, HOST);
    assert_eq!(ended[0], status::ACCESS_VIOLATION);
    assert_eq!(ended[1..], [status::IO_TIMEOUT; 5], "each start is a failure more");
    assert_eq!((restarts(&notes), disabled(&notes)), (5, 1));
    assert_eq!(statuses(&notes, PATIENT), [LOST, LOST, LOST, LOST, LOST, LOST, GONE, GONE]);
}

#[test]
fn a_start_has_its_time_in_whatever_order_a_host_is_made_again_and_requests_completed() {
    for schedule in 0..12 {
        // Hosts that are made once the first has crashed hang before they ask for anything.
        let world = || Configuration { schedule, ..world(vec![], vec![ask(CRASH)], 500) };
        let mut first = World::build_with(&world(), &drivers()).expect("a sound configuration");
        let mut notes = Notes::default();
        while ends(&notes.0, HOST).is_empty() {
            assert_eq!(first.step(&mut notes), None, "it never crashed");
        }
        let mut configuration = world();
        configuration.components[4].content = Some(first.machine.clock - 10);

        let (rest, notes, _) = run(&configuration);

        assert_eq!(rest, Rest::Quiescent, "{schedule}: nobody times the start");
        assert_eq!((restarts(&notes), disabled(&notes)), (5, 1), "{schedule}");
    }
}

#[test]
fn failures_are_counted_up_to_five_restarts() {
    let (rest, notes, _) = run(&world(vec![], vec![ask(CRASH); 7], MINUTE));

    assert_eq!(rest, Rest::Quiescent);
    assert_eq!(statuses(&notes, PATIENT), [LOST, LOST, LOST, LOST, LOST, LOST, GONE]);
    assert_eq!((restarts(&notes), disabled(&notes)), (5, 1));
}

#[test]
fn half_an_hour_without_a_failure_makes_the_next_one_the_first() {
    let after = |steps: u64| {
        let twice = [vec![ask(CRASH); 5], vec![ask(steps)], vec![ask(CRASH); 6]].concat();
        let (rest, notes, _) = run(&world(vec![], twice, MINUTE));
        assert_eq!(rest, Rest::Quiescent);
        let lost = statuses(&notes, PATIENT).iter().filter(|status| **status == LOST).count();
        (lost, restarts(&notes), disabled(&notes))
    };

    assert_eq!(
        after(30 * u64::from(MINUTE)),
        (11, 10, 1),
        "the sixth of the second time is one too many"
    );
    assert_eq!(after(28 * u64::from(MINUTE)), (6, 5, 1), "too early: it is the sixth");
}

#[test]
fn without_time_outs_failures_are_never_forgotten() {
    let twice = [vec![ask(CRASH); 5], vec![ask(80_000)], vec![ask(CRASH); 6]].concat();
    let (_, notes, _) = run(&world(vec![], twice, 0));

    assert_eq!((restarts(&notes), disabled(&notes)), (5, 1));
}

#[test]
fn a_process_that_runs_on_in_user_mode_is_ended_by_an_interrupt() {
    let spins = vec![Action::Spin];
    let (rest, notes, _) = run(&world(parent(4, spins.clone()), vec![], TIME_OUT));

    assert_eq!((rest, ends(&notes, VICTIM)), (Rest::Quiescent, vec![77]));

    let (rest, notes, _) = run(&world(parent(4, spins), vec![], 0));

    assert_eq!((rest, ends(&notes, VICTIM)), (Rest::OutOfSteps, vec![]), "as before: on return");
}

// Places in the world with a shared host.
const SHARED: u8 = 7;
const OWN: u8 = 8;

/// As [`world`], with a second device; the drivers of both share a host.
fn shared_world(of_parent: Vec<Action>, of_patient: Vec<Action>, time_out: u32) -> Configuration {
    let mut configuration = world(of_parent, of_patient, time_out);
    configuration.components.truncate(4);
    ask_other(&mut configuration, "other");
    configuration.components.extend([
        component("other", Home::KernelDriver, Some("reflector"), None),
        component("shared", Home::SharedHost, Some("sleeper"), None),
        component("own", Home::SharedDriver, Some("sleeper"), Some("device")),
        component("own-other", Home::SharedDriver, Some("sleeper"), Some("other")),
        component("manager", Home::DriverManager, None, None),
    ]);
    configuration
}

#[test]
fn a_driver_that_hangs_takes_those_along_that_share_its_host() {
    for schedule in 0..6 {
        let later = [pause(12), vec![ask(8), ask(8)]].concat();
        let mut configuration = shared_world(parent(8, hung()), later, TIME_OUT);
        configuration.schedule = schedule;
        let (rest, notes, _) = run(&configuration);

        assert_eq!(rest, Rest::Quiescent, "{schedule}");
        assert_eq!(ends(&notes, SHARED), [status::IO_TIMEOUT], "{schedule}");
        assert_eq!(ends(&notes, VICTIM), [77], "{schedule}");
        assert_eq!(statuses(&notes, PATIENT), [LOST, 0], "{schedule}: another device's");
        assert_eq!((restarts(&notes), disabled(&notes)), (1, 0), "{schedule}");
    }
}

#[test]
fn a_host_that_hangs_at_boot_is_ended_and_in_the_end_given_up() {
    let mut configuration = world(vec![], vec![ask(8); 8], 500);
    configuration.components[4].content = Some(1);

    let (rest, notes, _) = run(&configuration);

    assert_eq!(rest, Rest::Quiescent);
    assert_eq!(ends(&notes, HOST), [status::IO_TIMEOUT; 6], "the boot's and five more");
    assert_eq!((restarts(&notes), disabled(&notes)), (5, 1));
    let seen = statuses(&notes, PATIENT);
    assert!(seen.contains(&LOST) && seen.ends_with(&[GONE]), "{seen:x?}");

    configuration.machine.host_time_out = 0;
    let (rest, notes, _) = run(&configuration);

    assert_eq!((rest, ends(&notes, HOST)), (Rest::OutOfSteps, vec![]), "nobody times it");
}

/// A driver that shares its host crashes, hosts made from then on hang, and so many others are ready that
/// the manager comes to decide after the time-out.
fn late_manager() -> Configuration {
    let mut configuration = shared_world(vec![], vec![ask(CRASH), ask(8)], 1_100);
    configuration.machine.processors = 1;
    ask_other(&mut configuration, "device");
    configuration.components.extend((0..6).map(|number| Component {
        actions: vec![Action::Spin],
        ..component(&format!("busy-{number}"), Home::Application, None, None)
    }));
    let mut world = World::build_with(&configuration, &drivers()).expect("sound");
    let mut notes = Notes::default();
    while ends(&notes.0, SHARED).is_empty() {
        assert_eq!(world.step(&mut notes), None, "it never crashed");
    }
    configuration.components[5].content = Some(world.machine.clock - 10);
    configuration
}

#[test]
fn the_time_of_a_start_begins_when_a_late_manager_has_made_the_host() {
    let configuration = late_manager();
    let mut world = World::build_with(&configuration, &drivers()).expect("sound");
    let (mut notes, mut lost, mut made) = (Notes::default(), 0, 0);
    while ends(&notes.0, SHARED).len() < 2 {
        assert_eq!(world.step(&mut notes), None, "nobody ends the host that hangs");
        let clock = world.machine.clock;
        lost = if ends(&notes.0, SHARED).is_empty() { clock } else { lost };
        made = if restarts(&notes.0) == 0 { clock } else { made };
    }
    let ended = world.machine.clock;

    assert_eq!(ends(&notes.0, SHARED), [status::ACCESS_VIOLATION, status::IO_TIMEOUT]);
    assert!(made - lost > 1_100, "the manager is late: {lost} {made}");
    assert!((1_000..1_500).contains(&(ended - made)), "{made} {ended}");
}

#[test]
fn the_manager_forgets_failures_in_a_host_of_its_own_too() {
    let after = |steps: u64| {
        let many = [vec![ask(CRASH); 7], vec![ask(steps)], vec![ask(CRASH); 6]].concat();
        let mut configuration = shared_world(vec![], many, MINUTE);
        ask_other(&mut configuration, "device");
        let (rest, notes, _) = run(&configuration);
        assert_eq!(rest, Rest::Quiescent);
        assert_eq!(ends(&notes, SHARED).len(), 2, "the second gives it a host of its own");
        (ends(&notes, OWN).len(), disabled(&notes))
    };

    assert_eq!(after(30 * u64::from(MINUTE)), (11, 1));
    assert_eq!(after(28 * u64::from(MINUTE)), (6, 1));
}

#[test]
fn the_timer_is_quiet_where_nothing_is_critical() {
    let (rest, notes, clock) = run(&world(vec![], vec![ask(8), ask(CRASH), ask(8)], 20_000));

    assert_eq!((rest, statuses(&notes, PATIENT)), (Rest::Quiescent, vec![0, LOST, 0]));
    assert!(
        clock < 20_000,
        "the world rests at {clock}, and nobody waited for the start's deadline"
    );
}

/// Worlds in which hosts are ended: one that hangs, one that waits, one that others share.
fn overdue_worlds() -> Vec<Configuration> {
    let later = || [pause(12), vec![ask(8), ask(CRASH), ask(8)]].concat();
    let waits = vec![open("device"), ask(WAIT)];
    vec![
        world(parent(8, hung()), later(), 1_500),
        world(parent(8, waits), later(), 1_500),
        shared_world(parent(8, hung()), later(), 1_500),
    ]
}

#[test]
fn what_the_kernel_does_about_a_host_that_is_late_is_within_its_books() {
    let registries = Registries { drivers: Some(drivers()), ..Registries::default() };
    for configuration in overdue_worlds() {
        let scenario = Scenario { name: "late".into(), configuration, ..Scenario::default() };

        let trial = Trial::new(&scenario, &registries).expect("a sound world");

        assert_eq!(trial.golden.violations, []);
        assert_eq!(trial.golden.rest, Rest::Quiescent);
    }
}

#[test]
fn a_world_with_time_outs_forgotten_now_and_then_goes_on_the_same() {
    for configuration in overdue_worlds() {
        let (rest, notes, clock) = run(&configuration);
        let mut world = World::build_with(&configuration, &drivers()).expect("sound");
        let mut seen = Notes::default();
        let mut steps = 0_u64;

        let forgetful = loop {
            if let Some(rest) = world.step(&mut seen) {
                break rest;
            }
            steps += 1;
            if steps.is_multiple_of(97) && ends(&seen.0, VICTIM).is_empty() {
                world = world.rebuilt(&drivers());
            }
        };

        assert_eq!((forgetful, seen.0, world.machine.clock), (rest, notes, clock));
    }
}
