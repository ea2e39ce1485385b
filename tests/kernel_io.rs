//! Requests from an application to a driver and back, in whole worlds.

use ringfence::base::{Event, EventKind, Principal, PrincipalKind, Ring, Structure, Witness};
use ringfence::kernel::bug_check::code;
use ringfence::kernel::layout::{address, request_packet};
use ringfence::kernel::loader::Dispatch;
use ringfence::kernel::request::{IO_COMPLETE_REQUEST, control_code};
use ringfence::kernel::{service, status};
use ringfence::machine::processor::mix;
use ringfence::machine::{Flow, Routine, routine};
use ringfence::world::components::{self, filter_driver, parser, transfer_driver};
use ringfence::world::{Action, Component, Configuration, DriverDefinition, Home, Rest, World};

/// What applications saw: principal, service, status, hash of the bytes they got.
#[derive(Default)]
struct Notes {
    seen: Vec<(u8, u64, u64, u64)>,
    kinds: Vec<EventKind>,
    foreign_user_stores: usize,
    system_stores_through_user_pointers: usize,
    refused: usize,
}

impl Witness for Notes {
    fn event(&mut self, event: &Event) {
        match event.kind {
            EventKind::Observe => {
                self.seen.push((event.context.0, event.value >> 8, event.old, event.virt));
            }
            EventKind::HostRestarted | EventKind::DeviceDisabled | EventKind::BugCheck => {
                self.kinds.push(event.kind);
            }
            EventKind::DmaRefused => self.refused += 1,
            EventKind::Store if event.structure == Structure::UserData && event.actor.0 > 1 => {
                self.foreign_user_stores += usize::from(event.actor != event.context);
                self.system_stores_through_user_pointers += usize::from(event.virt >> 63 == 1);
            }
            _ => {}
        }
    }
}

impl Notes {
    /// Statuses of one principal's requests for a service.
    fn statuses(&self, principal: u8, service: u64) -> Vec<u64> {
        self.of(principal, service).map(|(status, _)| status).collect()
    }

    fn of(&self, principal: u8, service: u64) -> impl Iterator<Item = (u64, u64)> {
        self.seen
            .iter()
            .filter(move |&&(who, what, ..)| who == principal && what == service)
            .map(|&(.., status, hash)| (status, hash))
    }

    fn count(&self, kind: EventKind) -> usize {
        self.kinds.iter().filter(|&&known| known == kind).count()
    }
}

fn component(name: &str, home: Home, driver: Option<&str>, above: Option<&str>) -> Component {
    let (driver, above) = (driver.map(Into::into), above.map(Into::into));
    Component { driver, above, ..Component::new(name, home) }
}

fn application(name: &str, actions: Vec<Action>) -> Component {
    Component { actions, ..component(name, Home::Application, None, None) }
}

fn open(device: &str) -> Action {
    Action::Open { device: device.into(), file: 0, access: 3, slot: 0 }
}

/// The first application is principal 2, the second principal 3; drivers follow.
fn run(
    components: Vec<Component>,
    change: impl FnOnce(&mut Configuration),
) -> (Rest, Notes, World) {
    let mut configuration = Configuration { components, ..Configuration::default() };
    change(&mut configuration);
    let mut world = World::build(&configuration).expect("a sound configuration");
    let mut notes = Notes::default();
    let rest = world.run(&mut notes, u64::MAX);
    (rest, notes, world)
}

fn hash(words: impl IntoIterator<Item = u64>) -> u64 {
    words.into_iter().fold(0, mix)
}

/// The words an action with this pattern sends.
fn pattern(value: u64, words: u64) -> impl Iterator<Item = u64> {
    (0..words).map(move |word| value + word * 8)
}

routine! {
    /// Completes each request with a word for a status: an address of the kernel's, or success with something
    /// above it.
    static TELLS = "TellerTells", frame 0;
    complete, call IO_COMPLETE_REQUEST => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        let is_plain = p.load(packet, request_packet::LENGTH_IN)? == 8;
        p.pass([packet, if is_plain { 1 << 32 } else { device }, 0]);
        Ok(Flow::Call)
    },
    done => |p| Ok(p.give_back(status::SUCCESS)),
}

#[test]
fn a_status_has_32_bits_whatever_a_driver_gives_for_one() {
    let mut drivers = components::drivers();
    drivers.kernel.push(DriverDefinition {
        name: "teller",
        kind: PrincipalKind::KernelDriver,
        routines: TELLER,
        pageable: &[],
        dispatch: Dispatch { control: Some(&TELLS), ..Dispatch::default() },
        prepare: |_| Vec::new(),
        owns: &[],
        section: &[],
    });
    let control = |length| Action::Control { slot: 0, code: 0, length, value: 1 };
    let components = vec![
        application("app", vec![open("teller"), control(16), control(8)]),
        component("teller", Home::KernelDriver, Some("teller"), None),
    ];
    let configuration = Configuration { components, ..Configuration::default() };
    let mut world = World::build_with(&configuration, &drivers).expect("a sound configuration");
    let mut notes = Notes::default();

    assert_eq!(world.run(&mut notes, u64::MAX), Rest::Quiescent);

    // "IO_STATUS_BLOCK structure": Status is an NTSTATUS of 32 bits, in a union with a pointer.
    let statuses = notes.statuses(2, service::DEVICE_CONTROL);
    let device = address::IO_OBJECTS & 0xffff_f000;
    assert_eq!((statuses[0] & !0xfff, statuses[1]), (device, 0), "{statuses:x?}");
}

const TELLER: &[&Routine] = &[&TELLS];

const KEY: u64 = 0x5a5a_0f0f_3c3c_a5a5;

#[test]
fn the_transfer_device_gives_back_what_was_sent_combined_with_the_key() {
    for iommu in [false, true] {
        let actions = vec![
            open("nic"),
            Action::Control { slot: 0, code: 0, length: 64, value: 0x1000 },
            Action::Control { slot: 0, code: 0, length: 13, value: 0x2000 },
            Action::Write { slot: 0, offset: 0, length: 32, value: 0x3000 },
            Action::Read { slot: 0, offset: 0, length: 16 },
        ];
        let (rest, notes, _) = run(
            vec![
                application("app", actions),
                component("nic", Home::KernelDriver, Some("transfer"), None),
            ],
            |configuration| configuration.machine.iommu = iommu,
        );

        assert_eq!(rest, Rest::Quiescent);
        assert_eq!(notes.statuses(2, service::OPEN_FILE), [0]);
        let controls: Vec<_> = notes.of(2, service::DEVICE_CONTROL).collect();
        assert_eq!(controls[0], (0, hash(pattern(0x1000, 8).map(|word| word ^ KEY))));
        let tail = (0x2008 ^ KEY) & 0xff_ffff_ffff;
        assert_eq!(controls[1], (0, hash([0x2000 ^ KEY, tail])));
        assert_eq!(notes.statuses(2, service::WRITE_FILE), [0]);
        let read: Vec<_> = notes.of(2, service::READ_FILE).collect();
        assert_eq!(read, [(0, hash([3, 64 + 13 + 32]))], "statistics of three transfers");
        assert_eq!(notes.refused, 0);
    }
}

#[test]
fn requests_that_come_while_the_device_is_busy_wait_their_turn() {
    let actions = |value: u64| {
        let mut list = vec![open("nic")];
        list.extend((0..6).map(|number| Action::Control {
            slot: 0,
            code: 0,
            length: 64,
            value: value + number * 0x100,
        }));
        list
    };
    let (rest, notes, _) = run(
        vec![
            application("one", actions(0x10000)),
            application("two", actions(0x20000)),
            application("three", actions(0x30000)),
            component("nic", Home::KernelDriver, Some("transfer"), None),
        ],
        |configuration| configuration.machine.transfer_delay = 300,
    );

    assert_eq!(rest, Rest::Quiescent);
    for (principal, value) in [(2, 0x10000), (3, 0x20000), (4, 0x30000)] {
        let expected: Vec<_> = (0..6)
            .map(|number| (0, hash(pattern(value + number * 0x100, 8).map(|word| word ^ KEY))))
            .collect();
        let got: Vec<_> = notes.of(principal, service::DEVICE_CONTROL).collect();
        assert_eq!(got, expected, "application {principal}");
    }
}

#[test]
fn a_filter_sums_what_passes_and_answers_for_itself() {
    let actions = vec![
        open("filter"),
        Action::Control { slot: 0, code: 0, length: 16, value: 0x1000 },
        Action::Control {
            slot: 0,
            code: control_code(filter_driver::CHECKSUM, 0, 1),
            length: 8,
            value: 0,
        },
    ];
    let (rest, notes, _) = run(
        vec![
            application("app", actions),
            component("nic", Home::KernelDriver, Some("transfer"), None),
            component("filter", Home::KernelDriver, Some("filter"), Some("nic")),
        ],
        |_| {},
    );

    assert_eq!(rest, Rest::Quiescent);
    let sum = 0x1000u64.rotate_left(7) + 0x1008 + 0x0f11_7e40;
    let controls: Vec<_> = notes.of(2, service::DEVICE_CONTROL).collect();
    assert_eq!(controls[0], (0, hash(pattern(0x1000, 2).map(|word| word ^ KEY))));
    assert_eq!(controls[1], (0, hash([sum])));
}

#[test]
fn files_keep_what_was_written_and_flushing_brings_it_to_the_disk() {
    let mut actions = vec![
        Action::Open { device: "fs".into(), file: 3, access: 3, slot: 0 },
        Action::Write { slot: 0, offset: 64, length: 16, value: 0x4000 },
        Action::Read { slot: 0, offset: 56, length: 32 },
        Action::Flush { slot: 0 },
        Action::Write { slot: 0, offset: 0, length: 8, value: 0x5000 },
        Action::Read { slot: 0, offset: 500, length: 16 },
        Action::Open { device: "fs".into(), file: 16, access: 3, slot: 1 },
        Action::Read { slot: 1, offset: 0, length: 16 },
    ];
    // Enough other files to push file 3 out of the cache, with its newest word.
    for file in 4..12 {
        actions.push(Action::Open { device: "fs".into(), file, access: 3, slot: 2 });
        actions.push(Action::Read { slot: 2, offset: 0, length: 8 });
        actions.push(Action::Close { slot: 2 });
    }
    for iommu in [false, true] {
        let (rest, notes, world) = run(
            vec![
                application("app", actions.clone()),
                component("fs", Home::FileSystem, Some("file-system"), None),
            ],
            |configuration| configuration.machine.iommu_internal = iommu,
        );

        assert_eq!(rest, Rest::Quiescent);
        let reads: Vec<_> = notes.of(2, service::READ_FILE).collect();
        assert_eq!(reads[0], (0, hash([0, 0x4000, 0x4008, 0])));
        assert_eq!(reads[1].0, status::INVALID_PARAMETER);
        assert_eq!(reads[2].0, status::NO_SUCH_FILE);
        assert_eq!(world.machine.disk.read(8 + 3, 8), Some(0x4000));
        assert_eq!(world.machine.disk.read(8 + 3, 9), Some(0x4008));
        assert_eq!(world.machine.disk.read(8 + 3, 0), Some(0x5000), "written back when evicted");
        assert_eq!(notes.refused, 0);
    }
}

#[test]
fn rights_are_those_of_the_handle() {
    let actions = vec![
        Action::Open { device: "nic".into(), file: 0, access: 1, slot: 0 },
        Action::Write { slot: 0, offset: 0, length: 8, value: 1 },
        Action::Control { slot: 0, code: control_code(0, 0, 2), length: 8, value: 1 },
        Action::Control { slot: 0, code: control_code(0, 0, 1), length: 8, value: 1 },
        Action::Control { slot: 5, code: 0, length: 8, value: 1 },
        Action::SystemCall { service: 14, arguments: vec![9, 0, 1] },
    ];
    let (_, notes, _) = run(
        vec![
            application("app", actions),
            component("nic", Home::KernelDriver, Some("transfer"), None),
        ],
        |_| {},
    );

    assert_eq!(notes.statuses(2, service::WRITE_FILE), [status::ACCESS_DENIED]);
    assert_eq!(
        notes.statuses(2, service::DEVICE_CONTROL),
        [status::ACCESS_DENIED, status::SUCCESS, status::INVALID_HANDLE]
    );
    assert_eq!(notes.statuses(2, service::OPEN_FILE), [0, status::NO_SUCH_DEVICE]);
}

#[test]
fn buffers_are_probed_and_a_raw_pointer_is_not() {
    let kernel = 0xffff_f800_0010_0700;
    let code = control_code(transfer_driver::STATISTICS, 3, 0);
    let direct = |out| Action::SystemCall { service: 17, arguments: vec![4, code, 0, 0, out, 16] };
    let actions = vec![
        open("nic"),
        Action::SystemCall { service: 15, arguments: vec![4, 0, 0, 0, kernel, 16] },
        Action::SystemCall { service: 16, arguments: vec![4, 0, kernel, 16] },
        Action::SystemCall { service: 15, arguments: vec![4, 0, 0, 0, 0x7777_0000, 16] },
        Action::SystemCall { service: 15, arguments: vec![4, 0, 0, 0, 0x7777_0000, 300] },
        Action::SystemCall { service: 17, arguments: vec![4, 3, 0x501000, 16, 0x501100, 16] },
        direct(0x7777_0000),
        direct(0x50_1200),
        direct(kernel),
    ];
    for smap in [false, true] {
        let (rest, notes, _) = run(
            vec![
                application("app", actions.clone()),
                component("nic", Home::KernelDriver, Some("transfer"), None),
            ],
            |configuration| configuration.machine.smap = smap,
        );

        assert_eq!(rest, Rest::Quiescent);
        assert_eq!(
            notes.statuses(2, service::READ_FILE),
            [status::ACCESS_VIOLATION, status::ACCESS_VIOLATION, status::INVALID_PARAMETER]
        );
        assert_eq!(notes.statuses(2, service::WRITE_FILE), [status::ACCESS_VIOLATION]);
        assert_eq!(
            notes.statuses(2, service::DEVICE_CONTROL),
            [status::INVALID_DEVICE_REQUEST, status::ACCESS_VIOLATION, 0],
            "after the last one the application looks at the buffer itself, and ends"
        );
        assert_eq!(notes.system_stores_through_user_pointers, 2, "two words, wherever it is told");
    }
}

fn hosted(extra: Vec<Action>) -> Vec<Component> {
    let mut actions = vec![
        open("reflector"),
        Action::Control { slot: 0, code: 0, length: 16, value: 0x1000 },
        Action::Close { slot: 0 },
        open("reflector"),
        Action::Control { slot: 0, code: 0, length: 16, value: 0x2000 },
        Action::Close { slot: 0 },
        open("reflector"),
        Action::Read { slot: 0, offset: 0, length: 8 },
    ];
    actions.extend(extra);
    vec![
        application("app", actions),
        component("reflector", Home::KernelDriver, Some("reflector"), None),
        component("sensor", Home::DriverHost, Some("sensor"), Some("reflector")),
    ]
}

#[test]
fn a_user_mode_driver_answers_through_its_reflector() {
    let neither = Action::Control { slot: 0, code: 3, length: 8, value: 1 };
    let (rest, notes, _) = run(hosted(vec![neither]), |_| {});

    assert_eq!(rest, Rest::Quiescent);
    let controls: Vec<_> = notes.of(2, service::DEVICE_CONTROL).collect();
    assert_eq!(controls[0], (0, hash([0x1000 + 0x1000, 0x1008 + 0x2008])));
    assert_eq!(controls[1], (0, hash([0x2000 + 0x4008, 0x2008 + 0x6010])));
    assert_eq!(controls[2].0, status::INVALID_DEVICE_REQUEST);
    assert_eq!(notes.of(2, service::READ_FILE).collect::<Vec<_>>(), [(0, hash([0x6010]))]);
}

fn parsing(content: u64, in_kernel: bool, requests: usize) -> Vec<Component> {
    let device = open(if in_kernel { "parser" } else { "reflector" });
    let ask = Action::Control { slot: 0, code: 0, length: 8, value: 5 };
    let actions = vec![[device, ask, Action::Close { slot: 0 }]; requests].concat();
    let mut list = vec![application("app", actions)];
    if in_kernel {
        let driver = component("parser", Home::KernelDriver, Some("parser"), None);
        list.push(Component { content: Some(content), ..driver });
    } else {
        list.push(component("reflector", Home::KernelDriver, Some("reflector"), None));
        let host = component("host", Home::DriverHost, Some("parser"), Some("reflector"));
        list.push(Component { content: Some(content), ..host });
    }
    list
}

#[test]
fn a_parser_with_sound_content_answers_the_same_in_both_modes() {
    let expected = (0, hash([5 + (parser::input(19) ^ 19 << 48)]));
    for in_kernel in [true, false] {
        let (rest, notes, _) = run(parsing(19, in_kernel, 2), |_| {});
        assert_eq!(rest, Rest::Quiescent);
        let controls: Vec<_> = notes.of(2, service::DEVICE_CONTROL).collect();
        assert_eq!(controls, [expected, expected], "in kernel mode: {in_kernel}");
    }
}

#[test]
fn bad_content_stops_the_machine_at_every_boot_in_kernel_mode() {
    let (rest, _, mut world) = run(parsing(20, true, 1), |_| {});
    assert_eq!(rest, Rest::BugCheck(code::PAGE_FAULT_IN_NONPAGED_AREA));
    for _ in 0..2 {
        world.reboot();
        let rest = world.run(&mut Notes::default(), u64::MAX);
        assert_eq!(rest, Rest::BugCheck(code::PAGE_FAULT_IN_NONPAGED_AREA));
    }
}

#[test]
fn bad_content_costs_the_host_in_user_mode_and_in_the_end_the_device() {
    let (rest, notes, _) = run(parsing(20, false, 8), |_| {});

    assert_eq!(rest, Rest::Quiescent);
    let lost = status::DRIVER_PROCESS_TERMINATED;
    let (gone, none) = (status::DEVICE_REMOVED, status::INVALID_HANDLE);
    let opened = notes.statuses(2, service::OPEN_FILE);
    assert_eq!(opened, [0, 0, 0, 0, 0, 0, gone, gone]);
    let asked = notes.statuses(2, service::DEVICE_CONTROL);
    assert_eq!(asked, [lost, lost, lost, lost, lost, lost, none, none]);
    assert_eq!(notes.count(EventKind::HostRestarted), 5);
    assert_eq!(notes.count(EventKind::DeviceDisabled), 1);
    assert_eq!(notes.count(EventKind::BugCheck), 0);
}

#[test]
fn a_new_host_works_and_remembers_nothing() {
    let components = hosted(vec![]);
    let configuration = Configuration { components, ..Configuration::default() };
    let mut world = World::build(&configuration).expect("a sound configuration");
    let mut notes = Notes::default();
    // Until the first request is answered and the host runs again.
    let host = loop {
        assert_eq!(world.step(&mut notes), None);
        let running = world.machine.processors.iter().position(|processor| {
            processor.registers.context == Principal(4) && processor.registers.ring == Ring::User
        });
        if let (Some(host), 1) = (running, notes.of(2, service::DEVICE_CONTROL).count()) {
            break host;
        }
    };
    world.machine.processors[host].registers.rip = 0;
    let rest = world.run(&mut notes, u64::MAX);

    assert_eq!(rest, Rest::Quiescent);
    assert_eq!(notes.count(EventKind::HostRestarted), 1);
    let controls: Vec<_> = notes.of(2, service::DEVICE_CONTROL).collect();
    assert_eq!(controls[0], (0, hash([0x1000 + 0x1000, 0x1008 + 0x2008])));
    let (after, read) = (controls[1], notes.of(2, service::READ_FILE).next().unwrap());
    if after.0 == status::DRIVER_PROCESS_TERMINATED {
        assert_eq!(read, (0, hash([0])), "the sums began anew");
    } else {
        assert_eq!(after, (0, hash([0x2000 + 0x2000, 0x2008 + 0x4008])), "the sums began anew");
        assert_eq!(read, (0, hash([0x4008])));
    }
}

#[test]
fn the_weaknesses_show() {
    let lost =
        |configuration: &mut Configuration| configuration.weaknesses = vec!["requests-lost".into()];
    let (rest, notes, _) = run(parsing(20, false, 1), lost);
    assert_eq!(rest, Rest::Quiescent);
    assert!(notes.statuses(2, service::DEVICE_CONTROL).is_empty(), "the request never ends");

    let actions =
        vec![open("nic"), Action::Control { slot: 0, code: 0, length: 64, value: 0x1000 }];
    let busy = application("busy", vec![Action::Spin]);
    let components = vec![
        application("app", actions),
        busy,
        component("nic", Home::KernelDriver, Some("transfer"), None),
    ];
    let (_, notes, _) = run(components.clone(), |configuration| {
        configuration.machine.processors = 1;
        configuration.steps_max = 6000;
    });
    assert_eq!(notes.foreign_user_stores, 0);
    let (_, notes, _) = run(components, |configuration| {
        configuration.machine.processors = 1;
        configuration.steps_max = 6000;
        configuration.weaknesses = vec!["wrong-context".into()];
    });
    assert!(notes.foreign_user_stores > 0, "the driver wrote into a process's memory");

    // The statistics are two words; the service shows what the buffer held before as well.
    let actions = vec![
        Action::Open { device: "fs".into(), file: 0, access: 3, slot: 0 },
        Action::Open { device: "nic".into(), file: 0, access: 3, slot: 1 },
        Action::Write { slot: 0, offset: 0, length: 64, value: 0x9000 },
        Action::Read { slot: 1, offset: 0, length: 64 },
    ];
    let components = vec![
        application("app", actions),
        component("fs", Home::FileSystem, Some("file-system"), None),
        component("nic", Home::KernelDriver, Some("transfer"), None),
    ];
    let read = |weaknesses: Vec<String>| {
        let (_, notes, _) =
            run(components.clone(), |configuration| configuration.weaknesses = weaknesses);
        notes.of(2, service::READ_FILE).collect::<Vec<_>>()
    };
    assert_eq!(read(vec![]), [(0, hash([0; 8]))]);
    let stale = hash([0, 0].into_iter().chain(pattern(0x9000, 8).skip(2)));
    assert_eq!(read(vec!["stale-output".into()]), [(0, stale)]);
}

/// Two applications, every sort of driver.
fn everything() -> Vec<Component> {
    let mut components = hosted(vec![]);
    components.extend([
        component("nic", Home::KernelDriver, Some("transfer"), None),
        component("filter", Home::KernelDriver, Some("filter"), Some("nic")),
        component("fs", Home::FileSystem, Some("file-system"), None),
        application(
            "other",
            vec![
                open("filter"),
                Action::Control { slot: 0, code: 0, length: 64, value: 0x1000 },
                Action::Open { device: "fs".into(), file: 1, access: 3, slot: 1 },
                Action::Write { slot: 1, offset: 8, length: 64, value: 0x2000 },
                Action::Flush { slot: 1 },
            ],
        ),
    ]);
    components
}

#[test]
fn what_an_application_sees_does_not_depend_on_the_schedule() {
    let seen = |schedule, processors| {
        let (rest, notes, _) = run(everything(), |configuration| {
            configuration.schedule = schedule;
            configuration.machine.processors = processors;
            configuration.machine.clock_interval = 150;
        });
        assert_eq!(rest, Rest::Quiescent);
        let of = |principal| {
            notes
                .seen
                .iter()
                .copied()
                .filter(move |&(who, ..)| who == principal)
                .collect::<Vec<_>>()
        };
        (of(2), of(8))
    };
    let expected = seen(0, 1);
    assert_eq!((expected.0.len(), expected.1.len()), (8, 5));
    for schedule in 0..64 {
        assert_eq!(seen(schedule, 1 + (schedule % 4) as u8), expected, "schedule {schedule}");
    }
}

#[test]
fn drivers_and_hosts_keep_nothing_outside_the_machine() {
    let configuration = Configuration { components: everything(), ..Configuration::default() };
    let drivers = ringfence::world::components::drivers();
    let mut kept = World::build(&configuration).expect("a sound configuration");
    let mut forgetful = World::build(&configuration).expect("a sound configuration");
    let (mut kept_notes, mut forgetful_notes) = (Notes::default(), Notes::default());
    loop {
        forgetful = forgetful.rebuilt(&drivers);
        let rest = kept.step(&mut kept_notes);
        assert_eq!(forgetful.step(&mut forgetful_notes), rest);
        if rest.is_some() {
            assert_eq!(rest, Some(Rest::Quiescent));
            break;
        }
    }
    assert_eq!(forgetful_notes.seen, kept_notes.seen);
    assert_eq!(kept_notes.seen.len(), 13);
    assert_eq!(
        forgetful.machine.state_hash().digest(),
        kept.machine.state_hash().digest(),
        "the same state in the end"
    );
}
