//! What Driver Verifier finds where drivers call: a driver that makes each mistake, with the option on and off.
//!
//! Expected codes and parameters are written out, from the pages of bug checks 0xC4, 0xC9 and 0x1ED.

use std::collections::{BTreeMap, BTreeSet};

use ringfence::base::{Event, EventKind, PrincipalKind, Seed, Structure, Witness};
use ringfence::campaign::{Registries, Trial};
use ringfence::kernel::event::KE_SET_EVENT;
use ringfence::kernel::handle::{KERNEL_HANDLE, OB_REFERENCE_BY_HANDLE};
use ringfence::kernel::irql::{
    KE_ACQUIRE_SPIN_LOCK, KE_LOWER_IRQL, KE_RAISE_IRQL, KE_RELEASE_SPIN_LOCK,
};
use ringfence::kernel::layout::{
    address, crash_block, device_object, driver_object, put_off, request_packet,
};
use ringfence::kernel::loader::Dispatch;
use ringfence::kernel::mdl::{
    IO_ALLOCATE_MDL, IO_FREE_MDL, MM_MAP_LOCKED_PAGES, MM_PROBE_AND_LOCK_PAGES, MM_UNLOCK_PAGES,
    WRITE_ACCESS,
};
use ringfence::kernel::pools::PoolKind;
use ringfence::kernel::pools::state::PAGED_POOL;
use ringfence::kernel::previous_mode::{USER, ZW_CLOSE};
use ringfence::kernel::request::{
    IO_BUILD_REQUEST, IO_CALL_DRIVER, IO_COMPLETE_REQUEST, IO_FREE_REQUEST, METHOD_IN_DIRECT,
    METHOD_OUT_DIRECT, control_code, function,
};
use ringfence::kernel::service::DEVICE_CONTROL;
use ringfence::kernel::status;
use ringfence::kernel::video::KE_DELAY_EXECUTION;
use ringfence::machine::{Flow, Processor, Routine, Trap, routine};
use ringfence::scenario::library::ALL;
use ringfence::scenario::{Bias, Scenario};
use ringfence::world::{
    Action, Component, Configuration, DriverDefinition, Drivers, Home, Placement, Rest, World,
    components, verifier_options,
};

// What the driver does, by the function of a control code; the word sent says at which level, and what.
const RAISE: u32 = 1;
const LOWER: u32 = 2;
const ACQUIRE: u32 = 3;
const RELEASE: u32 = 4;
const COMPLETE: u32 = 5;
const LOCK: u32 = 7;
const UNLOCK: u32 = 8;
const CALL: u32 = 9;
/// Returns at the level it was told.
const RETURN: u32 = 10;
/// Hands its request over in the system's own name.
const DISOWN: u32 = 11;
/// Locks, unlocks or completes what lies where it is told.
const LOCK_THERE: u32 = 12;
const UNLOCK_THERE: u32 = 13;
const COMPLETE_THERE: u32 = 14;
/// Unlocks pages that it has not locked.
const UNLOCK_TWICE: u32 = 15;
/// Takes spin locks and gives them back, one after the other: a byte for each, see [`take`] and [`give`].
const SEQUENCE: u32 = 16;
/// Looks a handle up, makes a request, sets an event or lets time pass.
const LOOK_UP: u32 = 17;
const BUILD: u32 = 18;
const SET_EVENT: u32 = 19;
const PASS_TIME: u32 = 20;
/// Returns with a spin lock held.
const KEEP: u32 = 21;
/// Changes what it is handed to be read; hands the request to itself; changes it back, and completes it.
const SPOIL: u32 = 22;
/// Hands its request on to itself, which completes it, and looks into it, whatever comes back.
const HAND_ON: u32 = 23;
/// Changes what it is handed, and completes the request.
const DEFACE: u32 = 24;
/// Completes its request twice.
const TWICE: u32 = 25;
/// Closes a handle in the kernel's own name.
const CLOSE: u32 = 26;
/// Hands its request on to itself, which completes it, and says that all went well whatever came back.
const WISHFUL: u32 = 27;
/// Changes the first byte behind the 24 that it is handed, or the last of them.
const BEHIND: u32 = 28;
const LAST_BYTE: u32 = 29;

const PAGE: u64 = address::DRIVER_CODE + address::DRIVER_DATA_OFFSET;
/// The driver's spin lock.
const SPIN_LOCK: u64 = PAGE + 0x40;
/// Not 0 when the driver uses a kernel handle at boot.
const AT_BOOT: u64 = 0x48;
/// How often what it was handed to be read was changed.
const SPOILT: u64 = PAGE + 0x80;
/// The status it saw when it had handed its request on.
const SEEN: u64 = PAGE + 0x88;

/// Sets the level that the driver was told; what else it was told.
fn level(p: &mut Processor<'_>) -> Result<u64, Trap> {
    let told = p.local(2)?;
    p.set_irql(told & 0xff)?;
    // Of an address the highest bits are all the same.
    Ok((told.cast_signed() >> 8).cast_unsigned())
}

routine! {
    /// Device control. Arguments: device object, packet.
    static CARELESS_CONTROL = "CarelessControl", frame 5;
    // Locals: 0 device; 1 packet; 2 what it is told; 3 the status it completes with; 4 list.
    sort => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        let buffer = p.load(packet, request_packet::BUFFER)?;
        let told = if buffer == 0 { 0 } else { p.load_at(buffer, Structure::SystemBuffer)? };
        for (local, word) in [device, packet, told, status::SUCCESS, 0].into_iter().enumerate() {
            p.set_local(local as u64, word)?;
        }
        let function = function(p.load(packet, request_packet::CODE)?);
        Ok(Flow::To(match u32::try_from(function).unwrap_or(0) {
            RAISE => At::raise as u8,
            LOWER => At::lower as u8,
            ACQUIRE => At::acquire as u8,
            RELEASE => At::release as u8,
            LOCK | UNLOCK => At::describe as u8,
            CALL => At::pass_on as u8,
            COMPLETE => At::told as u8,
            RETURN => At::complete as u8,
            DISOWN => At::disown as u8,
            LOCK_THERE => At::lock_there as u8,
            UNLOCK_THERE => At::unlock_there as u8,
            COMPLETE_THERE => At::complete_there as u8,
            UNLOCK_TWICE => At::describe as u8,
            SEQUENCE => At::next as u8,
            LOOK_UP => At::look_up as u8,
            BUILD => At::build as u8,
            SET_EVENT => At::set as u8,
            PASS_TIME => At::pass_time as u8,
            KEEP => At::take_one as u8,
            SPOIL | DEFACE | BEHIND | LAST_BYTE => At::map as u8,
            HAND_ON => At::hand_on as u8,
            TWICE => At::twice as u8,
            CLOSE => At::close as u8,
            WISHFUL => At::pass_to_itself as u8,
            _ => At::done as u8,
        }))
    },
    raise, call KE_RAISE_IRQL => |p| {
        let to = level(p)?;
        p.pass([to]);
        Ok(Flow::Call)
    },
    raised => |_| Ok(Flow::To(At::calm as u8)),
    lower, call KE_LOWER_IRQL => |p| {
        let to = level(p)?;
        p.pass([to]);
        Ok(Flow::Call)
    },
    lowered => |_| Ok(Flow::To(At::calm as u8)),
    acquire, call KE_ACQUIRE_SPIN_LOCK => |p| {
        let lock = level(p)?;
        p.pass([lock]);
        Ok(Flow::Call)
    },
    acquired => |p| {
        let lock = level(p)?;
        p.store_at(lock, Structure::DriverData, 0)?;
        Ok(Flow::To(At::calm as u8))
    },
    release, call KE_RELEASE_SPIN_LOCK => |p| {
        let lock = level(p)?;
        p.pass([lock, 0]);
        Ok(Flow::Call)
    },
    released => |_| Ok(Flow::To(At::calm as u8)),
    describe, call IO_ALLOCATE_MDL => |p| {
        p.pass([address::USER_BUFFERS, 64]);
        Ok(Flow::Call)
    },
    lock, call MM_PROBE_AND_LOCK_PAGES => |p| {
        let list = p.result();
        p.set_local(4, list)?;
        let packet = p.local(1)?;
        match function(p.load(packet, request_packet::CODE)?) {
            function if function == u64::from(LOCK) => {
                level(p)?;
            }
            function if function == u64::from(UNLOCK_TWICE) => {
                return Ok(Flow::To(At::unlock as u8));
            }
            _ => {}
        }
        p.pass([list, USER, WRITE_ACCESS]);
        Ok(Flow::Call)
    },
    unlock, call MM_UNLOCK_PAGES => |p| {
        level(p)?;
        let list = p.local(4)?;
        p.pass([list]);
        Ok(Flow::Call)
    },
    free, call IO_FREE_MDL => |p| {
        let list = p.local(4)?;
        p.pass([list]);
        Ok(Flow::Call)
    },
    freed => |_| Ok(Flow::To(At::calm as u8)),
    // To where there is no device: what is handed over comes back as an error.
    pass_on, call IO_CALL_DRIVER => |p| {
        level(p)?;
        let (device, packet) = (p.local(0)?, p.local(1)?);
        p.store(device, device_object::STATE, 1)?;
        p.pass([device, packet]);
        Ok(Flow::Call)
    },
    passed_on => |p| {
        p.set_irql(0)?;
        Ok(Flow::To(At::done as u8))
    },
    disown => |p| {
        let packet = p.local(1)?;
        p.store(packet, request_packet::REQUESTOR, 0)?;
        Ok(Flow::To(At::pass_on as u8))
    },
    lock_there, call MM_PROBE_AND_LOCK_PAGES => |p| {
        let list = level(p)?;
        p.pass([list, USER, WRITE_ACCESS]);
        Ok(Flow::Call)
    },
    locked_there => |_| Ok(Flow::To(At::calm as u8)),
    unlock_there, call MM_UNLOCK_PAGES => |p| {
        let list = level(p)?;
        p.pass([list]);
        Ok(Flow::Call)
    },
    unlocked_there => |_| Ok(Flow::To(At::calm as u8)),
    complete_there, call IO_COMPLETE_REQUEST => |p| {
        let packet = level(p)?;
        p.pass([packet, status::SUCCESS, 0]);
        Ok(Flow::Call)
    },
    completed_there => |_| Ok(Flow::To(At::calm as u8)),
    next => |p| {
        let rest = p.local(2)?;
        p.set_local(2, rest >> 8)?;
        p.set_local(4, SPIN_LOCK + (rest & 7) * 8)?;
        Ok(match rest & 0xf0 {
            0 => Flow::To(At::calm as u8),
            0x10 => Flow::To(At::take_next as u8),
            _ => Flow::To(At::give_next as u8),
        })
    },
    take_next, call KE_ACQUIRE_SPIN_LOCK => |p| {
        let lock = p.local(4)?;
        p.pass([lock]);
        Ok(Flow::Call)
    },
    taken => |_| Ok(Flow::To(At::next as u8)),
    give_next, call KE_RELEASE_SPIN_LOCK => |p| {
        let lock = p.local(4)?;
        p.pass([lock, 2]);
        Ok(Flow::Call)
    },
    given => |_| Ok(Flow::To(At::next as u8)),
    look_up, call OB_REFERENCE_BY_HANDLE => |p| {
        level(p)?;
        p.pass([0, 0, 0, USER, 0]);
        Ok(Flow::Call)
    },
    looked_up => |_| Ok(Flow::To(At::calm as u8)),
    build, call IO_BUILD_REQUEST => |p| {
        level(p)?;
        let device = p.local(0)?;
        p.pass([device, driver_object::CONTROL.offset, 0, 0, 0, 0]);
        Ok(Flow::Call)
    },
    drop_it, call IO_FREE_REQUEST => |p| {
        let packet = p.result();
        p.pass([packet]);
        Ok(Flow::Call)
    },
    dropped => |_| Ok(Flow::To(At::calm as u8)),
    set, call KE_SET_EVENT => |p| {
        level(p)?;
        p.pass([PAGE + 0x90]);
        Ok(Flow::Call)
    },
    set_it => |_| Ok(Flow::To(At::calm as u8)),
    pass_time, call KE_DELAY_EXECUTION => |p| {
        level(p)?;
        Ok(Flow::Call)
    },
    passed_time => |_| Ok(Flow::To(At::calm as u8)),
    take_one, call KE_ACQUIRE_SPIN_LOCK => |p| {
        p.pass([SPIN_LOCK]);
        Ok(Flow::Call)
    },
    kept => |_| Ok(Flow::To(At::calm as u8)),
    map, call MM_MAP_LOCKED_PAGES => |p| {
        let packet = p.local(1)?;
        let list = p.load(packet, request_packet::USER_BUFFER)?;
        p.pass([list]);
        Ok(Flow::Call)
    },
    spoil, call IO_CALL_DRIVER => |p| {
        let at = p.result();
        let (device, packet) = (p.local(0)?, p.local(1)?);
        let function = function(p.load(packet, request_packet::CODE)?);
        if function == u64::from(BEHIND) || function == u64::from(LAST_BYTE) {
            let offset = if function == u64::from(BEHIND) { 24 } else { 23 };
            p.store_bytes(at + offset, Structure::UserData, 0xff, 1)?;
            return Ok(Flow::To(At::complete as u8));
        }
        let word = p.load_at(at, Structure::UserData)?;
        p.store_at(at, Structure::UserData, !word)?;
        let times = p.load_at(SPOILT, Structure::DriverData)?;
        p.store_at(SPOILT, Structure::DriverData, times + 1)?;
        if times % 2 == 1 || function == u64::from(DEFACE) {
            return Ok(Flow::To(At::complete as u8));
        }
        p.pass([device, packet]);
        Ok(Flow::Call)
    },
    spoilt => |p| {
        let outcome = p.result();
        Ok(p.give_back(outcome))
    },
    // To itself, which completes it.
    hand_on, call IO_CALL_DRIVER => |p| {
        let times = p.load_at(SPOILT, Structure::DriverData)?;
        p.store_at(SPOILT, Structure::DriverData, times + 1)?;
        if times % 2 == 1 {
            p.set_local(3, status::DATA_ERROR)?;
            return Ok(Flow::To(At::complete as u8));
        }
        let (device, packet) = (p.local(0)?, p.local(1)?);
        p.pass([device, packet]);
        Ok(Flow::Call)
    },
    handed_on => |p| {
        let (outcome, packet) = (p.result(), p.local(1)?);
        let seen = p.load(packet, request_packet::STATUS)?;
        p.store_at(SEEN, Structure::DriverData, seen)?;
        Ok(p.give_back(outcome))
    },
    twice, call IO_COMPLETE_REQUEST => |p| {
        let packet = p.local(1)?;
        p.pass([packet, status::SUCCESS, 0]);
        Ok(Flow::Call)
    },
    once_more => |_| Ok(Flow::To(At::complete as u8)),
    close, call ZW_CLOSE => |p| {
        level(p)?;
        // The application's, which needs it no more.
        p.pass([4]);
        Ok(Flow::Call)
    },
    closed => |_| Ok(Flow::To(At::calm as u8)),
    pass_to_itself, call IO_CALL_DRIVER => |p| {
        let times = p.load_at(SPOILT, Structure::DriverData)?;
        p.store_at(SPOILT, Structure::DriverData, times + 1)?;
        if times % 2 == 1 {
            return Ok(Flow::To(At::complete as u8));
        }
        let (device, packet) = (p.local(0)?, p.local(1)?);
        p.pass([device, packet]);
        Ok(Flow::Call)
    },
    wished => |p| Ok(p.give_back(status::SUCCESS)),
    told => |p| {
        let status = level(p)?;
        p.set_local(3, status)?;
        Ok(Flow::To(At::complete as u8))
    },
    calm => |p| {
        p.set_irql(0)?;
        p.set_local(2, 0)?;
        Ok(Flow::Next)
    },
    complete, call IO_COMPLETE_REQUEST => |p| {
        level(p)?;
        let (packet, outcome) = (p.local(1)?, p.local(3)?);
        p.pass([packet, outcome, 0]);
        Ok(Flow::Call)
    },
    completed => |p| {
        let packet = p.local(1)?;
        if function(p.load(packet, request_packet::CODE)?) != u64::from(RETURN) {
            p.set_irql(0)?;
        }
        Ok(Flow::Next)
    },
    done => |p| Ok(p.give_back(status::SUCCESS)),
}

routine! {
    /// Run at boot, in the system process: refers to a kernel handle in user mode's name.
    static CARELESS_ENTRY = "CarelessEntry", frame 0;
    refer, call OB_REFERENCE_BY_HANDLE => |p| {
        let device = p.argument(0);
        let driver = p.load(device, device_object::DRIVER)?;
        let data = p.load(driver, driver_object::DATA)?;
        if p.load_at(data + AT_BOOT, Structure::DriverData)? == 0 {
            return Ok(p.give_back(0));
        }
        p.pass([KERNEL_HANDLE | 4, 0, 3, USER, 0]);
        Ok(Flow::Call)
    },
    done => |p| Ok(p.give_back(0)),
}

const ROUTINES: &[&Routine] = &[&CARELESS_CONTROL, &CARELESS_ENTRY];

fn drivers() -> Drivers {
    let mut drivers = components::drivers();
    drivers.kernel.push(DriverDefinition {
        name: "careless",
        kind: PrincipalKind::KernelDriver,
        routines: ROUTINES,
        pageable: &[],
        dispatch: Dispatch {
            read: None,
            write: None,
            control: Some(&CARELESS_CONTROL),
            flush: None,
            entry: Some(&CARELESS_ENTRY),
            deferred: None,
        },
        prepare: |placement: &Placement| vec![(AT_BOOT, placement.content)],
        owns: &[],
        section: &[],
    });
    drivers
}

fn component(name: &str, home: Home, driver: Option<&str>, actions: Vec<Action>) -> Component {
    Component { driver: driver.map(Into::into), actions, ..Component::new(name, home) }
}

/// An application that asks the driver for one thing.
fn world(option: Option<&str>, function: u32, told: u64) -> Configuration {
    let open = Action::Open { device: "careless".into(), file: 0, access: 3, slot: 0 };
    let code = u64::from(0x22_0000 | function << 2);
    let ask = Action::Control { slot: 0, code, length: 8, value: told };
    let mut configuration = Configuration {
        components: vec![
            component("app", Home::Application, None, vec![open, ask]),
            component("careless", Home::KernelDriver, Some("careless"), vec![]),
        ],
        steps_max: 20_000,
        ..Configuration::default()
    };
    configuration.machine.verifier = option.map(str::to_owned).into_iter().collect();
    configuration
}

/// How it ends: the code and its parameters, all 0 when nothing stopped.
fn end(configuration: &Configuration) -> (Rest, [u64; 5]) {
    let mut world = World::build_with(configuration, &drivers()).expect("a sound configuration");
    let rest = world.run(&mut (), u64::MAX);
    let word = |field: &ringfence::base::Field| {
        let virt = ringfence::base::VirtAddr(address::KERNEL_DATA + field.offset);
        let phys = world.machine.locate(0, virt).expect("it is mapped");
        world.machine.memory.read(ringfence::base::PhysAddr::truncated(phys))
    };
    let words: Vec<u64> = crash_block::FIELDS.iter().take(5).map(word).collect();
    (rest, words.try_into().expect("five words"))
}

/// Not compared: a packet or list, wherever it is.
const ANY: u64 = 0xdead;

const AUTOMATIC: &str = "automatic-checks";
const COMPLIANCE: &str = "ddi-compliance-checking";
const ADDITIONAL: &str = "ddi-compliance-checking-additional";
const FOR_STACK: &str = "invariant-mdl-checking-for-stack";
const FOR_DRIVER: &str = "invariant-mdl-checking-for-driver";
const PENDING: &str = "force-pending-io";
const DELAYS: &str = "kernel-synchronization-delay-fuzzing";

/// Where there is no structure of the kernel's.
const THERE: u64 = address::USER_BUFFERS + 0x600;

/// Option, function, what is told beyond the level and the level; code and parameters.
type Case = (&'static str, u32, u64, u64, [u64; 5]);

const CASES: &[Case] = &[
    (AUTOMATIC, RAISE, 1, 2, [0xc4, 0x30, 2, 1, 0]),
    (AUTOMATIC, RAISE, 16, 0, [0xc4, 0x30, 0, 16, 0]),
    (AUTOMATIC, LOWER, 3, 2, [0xc4, 0x31, 2, 3, 0]),
    (AUTOMATIC, RELEASE, SPIN_LOCK, 0, [0xc4, 0x32, 0, SPIN_LOCK, 0]),
    (AUTOMATIC, RELEASE, SPIN_LOCK, 3, [0xc4, 0x32, 3, SPIN_LOCK, 0]),
    (AUTOMATIC, ACQUIRE, SPIN_LOCK, 3, [0xc4, 0x42, 3, SPIN_LOCK, 0]),
    (AUTOMATIC, LOCK, 0, 3, [0xc4, 0x70, 3, ANY, 1]),
    (AUTOMATIC, UNLOCK, 0, 3, [0xc4, 0x78, 3, ANY, 0]),
    (
        "security",
        ACQUIRE,
        address::USER_BUFFERS + 0x600,
        0,
        [0xc4, 0xe1, address::USER_BUFFERS + 0x600, 0, 0],
    ),
    (AUTOMATIC, UNLOCK_TWICE, 0, 0, [0xc4, 0x7c, ANY, 0, 0]),
    ("security", LOCK_THERE, THERE, 0, [0xc4, 0xe0, THERE, 0x48, 0]),
    ("security", UNLOCK_THERE, THERE, 0, [0xc4, 0xe0, THERE, 0x48, 0]),
    ("security", COMPLETE_THERE, THERE, 0, [0xc4, 0xe0, THERE, 0x70, 0]),
    ("security", DISOWN, 0, 0, [0xc4, 0xe2, ANY, ANY, 0]),
    ("io", COMPLETE, status::PENDING, 0, [0xc9, 6, status::PENDING, ANY, 0]),
    ("io", COMPLETE, 0xffff_ffff, 0, [0xc9, 6, 0xffff_ffff, ANY, 0]),
    ("io", COMPLETE, status::SUCCESS, 3, [0xc9, 0xe, 3, ANY, 0]),
    ("io", CALL, 0, 3, [0xc9, 0x10, 3, 0, 0]),
    ("io", RETURN, 0, 2, [0xc9, 5, ANY, 0, 2]),
    (COMPLIANCE, LOOK_UP, 0, 1, [0xc4, 0x2001b, 0, 0, 0]),
    (COMPLIANCE, BUILD, 0, 2, [0xc4, 0x2000a, 0, 0, 0]),
    (COMPLIANCE, CLOSE, 0, 1, [0xc4, 0x2001f, 0, 0, 0]),
    (COMPLIANCE, SET_EVENT, 0, 3, [0xc4, 0x20016, 0, 0, 0]),
    (COMPLIANCE, PASS_TIME, 0, 2, [0xc4, 0x2000f, 0, 0, 0]),
    (COMPLIANCE, ACQUIRE, SPIN_LOCK, 3, [0xc4, 0x20011, 0, 0, 0]),
    (COMPLIANCE, RELEASE, SPIN_LOCK, 0, [0xc4, 0x20015, 0, 0, 0]),
    (COMPLIANCE, RETURN, 0, 2, [0xc4, 0x2001d, 0, 0, 0]),
    (COMPLIANCE, KEEP, 0, 0, [0xc4, 0x40009, 0, 0, 0]),
    (ADDITIONAL, RELEASE, SPIN_LOCK, 2, [0xc4, 0x4000a, 0, 0, 0]),
];

const fn told(value: u64, level: u64) -> u64 {
    value << 8 | level
}

#[test]
fn each_mistake_stops_the_machine_with_its_code_and_parameters() {
    for &(option, function, value, level, expected) in CASES {
        let (rest, found) = end(&world(Some(option), function, told(value, level)));

        let what = format!("{option} {function} {value:#x} at {level}: {found:x?}");
        assert_eq!(rest, Rest::BugCheck(expected[0]), "{what}");
        let mut pairs = found.iter().zip(expected);
        assert!(pairs.all(|(found, expected)| expected == ANY || *found == expected), "{what}");
    }
}

#[test]
fn levels_that_go_the_wrong_way_are_fatal_without_options() {
    // KeRaiseIrql, KeRaiseIrqlToDpcLevel: "a bug check occurs"; KeLowerIrql: "a fatal error".
    let wrong = [
        (RAISE, 1, 2, [0x9, 2, 1, 0, 0]),
        (RAISE, 0, 15, [0x9, 15, 0, 0, 0]),
        (ACQUIRE, SPIN_LOCK, 3, [0x9, 3, 2, 0, 0]),
        (LOWER, 3, 2, [0xa, 2, 3, 0, 1]),
        (LOWER, 1, 0, [0xa, 0, 1, 0, 1]),
    ];
    for option in [None, Some("io")] {
        for (function, value, level, expected) in wrong {
            let (rest, found) = end(&world(option, function, told(value, level)));

            assert_eq!(rest, Rest::BugCheck(expected[0]), "{function} {value} at {level}");
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn without_its_option_nothing_is_found() {
    for &(option, function, value, level, _) in CASES {
        // What is fatal in any case is told above.
        let is_fatal = matches!((function, level), (RAISE | LOWER, 2) | (ACQUIRE, 3));
        if is_fatal {
            continue;
        }
        // A level that stays raised, or a status that says pending, is another matter.
        // And what is no list or packet may do anything.
        if (RETURN..=UNLOCK_TWICE).contains(&function) && function != DISOWN
            || value == status::PENDING
        {
            continue;
        }
        for other in [None, Some("pool-tracking"), Some("miscellaneous")] {
            let (rest, found) = end(&world(other, function, told(value, level)));

            assert_eq!(rest, Rest::Quiescent, "{option} {function} at {level}: {found:x?}");
        }
    }
}

#[test]
fn what_is_right_goes_on_with_every_option() {
    let right = [
        (RAISE, 2, 0),
        (RAISE, 2, 2),
        (RAISE, 15, 0),
        (LOWER, 0, 2),
        (LOWER, 2, 2),
        (ACQUIRE, SPIN_LOCK, 0),
        (ACQUIRE, SPIN_LOCK, 2),
        (RELEASE, SPIN_LOCK, 2),
        (LOCK, 0, 2),
        (UNLOCK, 0, 2),
        (COMPLETE, status::SUCCESS, 2),
        (COMPLETE, status::DATA_ERROR, 0),
        (CALL, 0, 2),
        (RETURN, 0, 0),
        (LOOK_UP, 0, 0),
        (BUILD, 0, 1),
        (SET_EVENT, 0, 2),
        (PASS_TIME, 0, 0),
        (HAND_ON, 0, 0),
        (SEQUENCE, sequence(&[take(1), take(0), give(0), give(1)]) >> 8, take(1)),
    ];
    let options = [
        AUTOMATIC,
        COMPLIANCE,
        FOR_STACK,
        FOR_DRIVER,
        PENDING,
        DELAYS,
        "security",
        "io",
        "miscellaneous",
    ];
    for option in options {
        for (function, value, level) in right {
            // The lock is taken and never given back.
            if option == COMPLIANCE && function == ACQUIRE {
                continue;
            }
            let (rest, found) = end(&world(Some(option), function, told(value, level)));

            assert_eq!(rest, Rest::Quiescent, "{option} {function} at {level}: {found:x?}");
        }
    }
}

#[test]
fn a_kernel_handle_in_user_modes_name_is_found_in_the_system_process() {
    let at_boot = |option, is_used| {
        let mut configuration = world(option, 0, 0);
        configuration.components[1].content = Some(is_used);
        end(&configuration)
    };

    let (rest, found) = at_boot(Some("miscellaneous"), 1);

    assert_eq!(rest, Rest::BugCheck(0xc4));
    // Handle, type, access mode.
    assert_eq!(found, [0xc4, 0xf7, KERNEL_HANDLE | 4, 3, 1]);
    assert_ne!(at_boot(Some("miscellaneous"), 0).0, Rest::BugCheck(0xc4));
    assert_ne!(at_boot(Some("io"), 1).0, Rest::BugCheck(0xc4));
    assert_ne!(at_boot(None, 1).0, Rest::BugCheck(0xc4));
}

#[test]
fn a_handle_that_is_none_on_a_critical_thread_is_0x1ed_with_strict_checks_only() {
    let run = |is_critical: bool, is_strict: bool| {
        let strict = is_strict.then_some(Action::StrictHandles);
        let bad = Action::SystemCall { service: 8, arguments: vec![40] };
        let actions = strict.into_iter().chain([bad, Action::Load { word: 0 }]).collect();
        let app = component("service", Home::Application, None, actions);
        let components = vec![Component { critical: is_critical, ..app }];
        end(&Configuration { components, ..Configuration::default() })
    };

    assert_eq!(run(true, true), (Rest::BugCheck(0x1ed), [0x1ed, 0, 0, 0, 0]));
    assert_eq!(run(true, false).1[0], 0xef, "it ends of its own, as each does at the end");
    assert_eq!(run(false, true).0, Rest::Quiescent);
}

#[test]
fn who_ends_with_the_status_of_a_bad_handle_has_used_none() {
    // The service 0 ends a process, its caller where the handle is 0.
    let end_itself = |status| Action::SystemCall { service: 0, arguments: vec![status, 0] };
    for status in [status::INVALID_HANDLE, 1 << 33 | status::INVALID_HANDLE] {
        let app = component(
            "service",
            Home::Application,
            None,
            vec![Action::StrictHandles, end_itself(status)],
        );
        let components = vec![Component { critical: true, ..app }];
        let mut configuration = Configuration { components, ..Configuration::default() };
        // Where hosts have time-outs another routine ends processes.
        for time_out in [0, 5_000] {
            configuration.machine.host_time_out = time_out;

            let (rest, found) = end(&configuration);

            assert_eq!((rest, found[0]), (Rest::BugCheck(0xef), 0xef), "{status:#x} {time_out}");
        }
    }
}

#[test]
fn a_lock_that_is_nowhere_is_found_before_it_is_touched() {
    let nowhere = 0xffff_ee00_0000_0000;

    let (rest, found) = end(&world(Some("security"), ACQUIRE, told(nowhere, 0)));
    let (without, _) = end(&world(None, ACQUIRE, told(nowhere, 0)));

    assert_eq!((rest, found), (Rest::BugCheck(0xc4), [0xc4, 0xe1, nowhere, 0, 0]));
    assert_eq!(without, Rest::BugCheck(0xa), "the kernel touches it at dispatch level");
}

/// Takes a lock, by its number.
const fn take(lock: u64) -> u64 {
    0x10 | lock
}

/// Gives a lock back.
const fn give(lock: u64) -> u64 {
    0x20 | lock
}

/// What to ask a driver that takes and gives these locks.
fn sequence(of: &[u64]) -> u64 {
    of.iter().rev().fold(0, |word, byte| word << 8 | byte)
}

const A: u64 = SPIN_LOCK;
const B: u64 = SPIN_LOCK + 8;
const C: u64 = SPIN_LOCK + 16;

/// What is taken and given back in three requests, and the bug check.
type Order<'a> = (&'a [u64], &'a [u64], &'a [u64], [u64; 5]);

#[test]
fn an_order_of_locks_that_can_deadlock_is_found_before_it_does() {
    let (a, b, c) = (0, 1, 2);
    let both = [take(a), take(b), give(b), give(a)];
    let [second, third] = [[take(b), take(c), give(c), give(b)], [take(c), take(a), 0, 0]];
    let cases: [Order<'_>; 6] = [
        (&both, &[take(b), take(a)], &[], [0xc4, 0x1001, A, 0, 0]),
        (&both, &second, &third, [0xc4, 0x1001, A, 0, 0]),
        (&[take(c), take(c)], &[], &[], [0xc4, 0x1000, C, 0, 0]),
        (&[take(a), take(b), give(a)], &[], &[], [0xc4, 0x1003, A, B, 0]),
        (&[take(a), give(a), give(a)], &[], &[], [0xc4, 0x1007, A, 0, 0]),
        (&[give(b)], &[], &[], [0xc4, 0x1007, B, 0, 0]),
    ];
    for (first, second, third, expected) in cases {
        let run = |option: Option<&str>| {
            let mut configuration = world(option, SEQUENCE, sequence(first));
            let code = u64::from(0x22_0000 | SEQUENCE << 2);
            let more = [second, third].into_iter().filter(|more| !more.is_empty());
            let more =
                more.map(|of| Action::Control { slot: 0, code, length: 8, value: sequence(of) });
            configuration.components[0].actions.extend(more);
            end(&configuration)
        };

        let (rest, found) = run(Some("deadlock-detection"));

        assert_eq!((rest, found), (Rest::BugCheck(0xc4), expected), "{first:x?}");
        let (without, found) = run(Some(AUTOMATIC));
        let hangs = first == [take(c), take(c)];
        let expected = if hangs { Rest::OutOfSteps } else { Rest::Quiescent };
        // A lock that is given back too often is given back below dispatch level the second time.
        assert!(without == expected || found[1] == 0x32, "{first:x?}: {without:?} {found:x?}");
    }
}

#[test]
fn locks_taken_in_one_order_are_never_found() {
    let (a, b, c) = (0, 1, 2);
    let orders: [&[u64]; 4] = [
        &[take(a), take(b), take(c), give(c), give(b), give(a)],
        &[take(a), take(c), give(c), take(b), give(b), give(a)],
        &[take(b), take(c), give(c), give(b), take(a), give(a)],
        &[take(c), give(c), take(b), give(b), take(a), give(a)],
    ];
    for first in orders {
        for second in orders {
            let mut configuration = world(Some("deadlock-detection"), SEQUENCE, sequence(first));
            let code = u64::from(0x22_0000 | SEQUENCE << 2);
            let again = Action::Control { slot: 0, code, length: 8, value: sequence(second) };
            configuration.components[0].actions.push(again);

            let (rest, found) = end(&configuration);

            assert_eq!(rest, Rest::Quiescent, "{first:x?} {second:x?}: {found:x?}");
        }
    }
}

#[test]
fn a_lock_that_another_processor_s_thread_holds_is_not_given_back() {
    let mut configuration = world(Some("deadlock-detection"), SEQUENCE, sequence(&[take(0)]));
    configuration.components[0].actions.push(Action::Spin);
    let code = u64::from(0x22_0000 | SEQUENCE << 2);
    let open = Action::Open { device: "careless".into(), file: 0, access: 3, slot: 0 };
    let give = Action::Control { slot: 0, code, length: 8, value: sequence(&[give(0)]) };
    let actions = [vec![Action::Yield; 6], vec![open, give]].concat();
    configuration.components.push(component("other", Home::Application, None, actions));

    let (rest, [code, what, lock, holder, current]) = end(&configuration);

    assert_eq!((rest, [code, what, lock]), (Rest::BugCheck(0xc4), [0xc4, 0x1004, A]));
    assert!(holder != 0 && current != 0 && holder != current, "{holder:x} {current:x}");
}

#[test]
fn a_lock_in_paged_pool_is_found_where_it_would_go_unseen() {
    let paged = PAGED_POOL + 0x800;
    let run = |option| {
        let mut configuration = world(option, ACQUIRE, told(paged, 0));
        configuration.machine.pool = PoolKind::Legacy;
        end(&configuration)
    };

    assert_eq!(run(Some("security")), (Rest::BugCheck(0xc4), [0xc4, 0xe1, paged, 0, 0]));
    assert_eq!(run(None).0, Rest::Quiescent, "it is there: nobody notices");
}

#[test]
fn a_lock_that_its_holder_takes_again_is_found_by_its_rule() {
    let (a, b) = (0, 1);
    let cases: [(&[u64], [u64; 5]); 3] = [
        (&[take(a), take(a)], [0xc4, 0x40009, 0, 0, 0]),
        (&[take(a), take(b), take(a)], [0xc4, 0x40009, 0, 0, 0]),
        (&[take(a), take(b), give(a), give(b)], [0; 5]),
    ];
    for (told, expected) in cases {
        let (rest, found) = end(&world(Some(COMPLIANCE), SEQUENCE, sequence(told)));

        assert_eq!(found, expected, "{told:x?} {rest:?}");
    }
    let twice = [take(a), take(b), give(a), give(b), give(b)];
    let (_, found) = end(&world(Some(ADDITIONAL), SEQUENCE, sequence(&twice)));
    assert_eq!(found, [0xc4, 0x4000a, 0, 0, 0], "in any order, but once each");
}

#[test]
fn who_finds_what_two_options_look_at_is_told_by_the_older_one() {
    let both = |older: &str, function, level| {
        let mut configuration = world(Some(COMPLIANCE), function, told(SPIN_LOCK, level));
        configuration.machine.verifier.push(older.to_owned());
        end(&configuration).1[1]
    };

    assert_eq!(both(AUTOMATIC, ACQUIRE, 3), 0x42);
    assert_eq!(both(AUTOMATIC, RELEASE, 0), 0x32);
    assert_eq!(both("io", RETURN, 2), 5);
    let twice = [take(0), take(0)];
    let mut configuration = world(Some(COMPLIANCE), SEQUENCE, sequence(&twice));
    configuration.machine.verifier.push("deadlock-detection".to_owned());
    assert_eq!(end(&configuration).1[1], 0x40009, "but for deadlock detection, which comes after");
}

/// An application that hands the driver 24 bytes of its memory, from `start` on.
fn handed(option: Option<&str>, function: u32, method: u64, start: u64) -> Configuration {
    let mut configuration = world(option, function, 0);
    let code = control_code(u64::from(function), method, 0);
    let arguments = vec![4, code, 0, 0, start, 24];
    let ask =
        Action::SystemCall { service: u8::try_from(DEVICE_CONTROL).expect("a service"), arguments };
    configuration.components[0].actions.truncate(1);
    configuration.components[0].actions.push(ask);
    configuration
}

#[test]
fn what_is_changed_and_changed_back_is_found_where_it_is_handed_on() {
    for start in
        [address::USER_BUFFERS, address::USER_BUFFERS + 0x13, address::USER_BUFFERS + 0xfe5]
    {
        let (rest, found) = end(&handed(Some(FOR_DRIVER), SPOIL, METHOD_IN_DIRECT, start));
        let [code, what, device, packet, at] = found;

        assert_eq!((rest, [code, what]), (Rest::BugCheck(0xc4), [0xc4, 0x1010]), "{start:x}");
        assert!(device != 0 && packet != 0, "{found:x?}");
        assert_eq!(at % 4096, start % 4096, "the system's address of the buffer");
        for option in [None, Some("io"), Some(FOR_STACK)] {
            let (rest, found) = end(&handed(option, SPOIL, METHOD_IN_DIRECT, start));
            assert_eq!(rest, Rest::Quiescent, "{option:?}: {found:x?}");
        }
    }
}

#[test]
fn what_is_handed_over_to_be_read_and_is_changed_is_found_when_the_request_is_complete() {
    let start = address::USER_BUFFERS + 8;
    for option in [FOR_STACK, FOR_DRIVER] {
        let (rest, found) = end(&handed(Some(option), DEFACE, METHOD_IN_DIRECT, start));
        assert_eq!((rest, found[1]), (Rest::BugCheck(0xc4), 0x1010), "{option}");

        let (rest, found) = end(&handed(Some(option), DEFACE, METHOD_OUT_DIRECT, start));
        assert_eq!(
            rest,
            Rest::Quiescent,
            "{option}: what is to be written is the driver's {found:x?}"
        );
    }
    let (rest, found) = end(&handed(Some("io"), DEFACE, METHOD_IN_DIRECT, start));
    assert_eq!(rest, Rest::Quiescent, "nobody sees it: {found:x?}");
}

/// The word that the driver keeps at an address, when all has come to rest, and how many steps that took.
fn kept(configuration: &Configuration, at: u64) -> (u64, u64) {
    let mut world = World::build_with(configuration, &drivers()).expect("a sound configuration");
    assert_eq!(world.run(&mut (), u64::MAX), Rest::Quiescent);
    let phys = world.machine.locate(0, ringfence::base::VirtAddr(at)).expect("it is mapped");
    let word = world.machine.memory.read(ringfence::base::PhysAddr::truncated(phys));
    (word, world.machine.clock)
}

#[test]
fn who_looks_into_a_request_that_it_has_handed_on_sees_it_when_it_happens_to_be_complete() {
    let seen = |option, schedule| {
        let mut configuration = world(option, HAND_ON, 0);
        configuration.schedule = schedule;
        kept(&configuration, SEEN).0
    };

    let forced: Vec<u64> = (0..40).map(|schedule| seen(Some(PENDING), schedule)).collect();

    let complete = forced.iter().filter(|&&seen| seen == status::DATA_ERROR).count();
    let not_yet = forced.iter().filter(|&&seen| seen == 0).count();
    assert_eq!(complete + not_yet, 40, "{forced:x?}");
    assert!((10..31).contains(&complete), "half of them: {complete}");
    for option in [None, Some("io")] {
        assert!((0..40).all(|schedule| seen(option, schedule) == status::DATA_ERROR));
    }
}

#[test]
fn what_lies_beside_a_buffer_is_not_compared_with_it() {
    for start in [address::USER_BUFFERS + 8, address::USER_BUFFERS + 12, address::USER_BUFFERS + 15]
    {
        let (rest, found) = end(&handed(Some(FOR_STACK), BEHIND, METHOD_IN_DIRECT, start));
        assert_eq!(rest, Rest::Quiescent, "{start:x}: {found:x?}");

        let (rest, found) = end(&handed(Some(FOR_STACK), LAST_BYTE, METHOD_IN_DIRECT, start));
        assert_eq!((rest, found[1]), (Rest::BugCheck(0xc4), 0x1010), "{start:x}");
    }
}

#[test]
fn what_is_to_be_written_is_not_changed_before_it_is_handed_on() {
    let start = address::USER_BUFFERS + 8;

    let (rest, found) = end(&handed(Some(FOR_DRIVER), SPOIL, METHOD_OUT_DIRECT, start));

    assert_eq!((rest, [found[0], found[1]]), (Rest::BugCheck(0xc4), [0xc4, 0x1011]));
    for option in [None, Some(FOR_STACK)] {
        let (rest, found) = end(&handed(option, SPOIL, METHOD_OUT_DIRECT, start));
        assert_eq!(rest, Rest::Quiescent, "{option:?}: {found:x?}");
    }
}

#[test]
fn who_completes_twice_is_found_when_the_first_time_is_put_off_too() {
    for option in [None, Some("io"), Some(PENDING)] {
        for schedule in 0..20 {
            let mut configuration = world(option, TWICE, 0);
            configuration.schedule = schedule;

            assert_eq!(end(&configuration).1[0], 0x44, "{option:?} {schedule}");
        }
    }
}

#[test]
fn who_takes_a_pending_request_for_complete_is_not_corrected_further_up() {
    // Nobody waits then: what was put off is never completed.
    let left = |option, function| {
        let each = (0..20).map(|schedule| {
            let mut configuration = world(option, function, 0);
            configuration.schedule = schedule;
            kept(&configuration, address::KERNEL_DATA + put_off::PACKET.offset).0
        });
        each.filter(|&packet| packet != 0).count()
    };

    assert!((4..17).contains(&left(Some(PENDING), WISHFUL)), "{}", left(Some(PENDING), WISHFUL));
    assert_eq!(left(Some(PENDING), HAND_ON), 0, "who tells what came back is waited for");
    assert_eq!(left(Some("io"), WISHFUL), 0);
}

#[test]
fn calls_take_as_long_as_the_seed_has_it() {
    let steps = |option, schedule| {
        let mut configuration = world(option, ACQUIRE, told(SPIN_LOCK, 0));
        configuration.machine.processors = 1;
        configuration.machine.clock_interval = 0;
        configuration.schedule = schedule;
        kept(&configuration, SPIN_LOCK).1
    };
    let all = |option| (0..20).map(|schedule| steps(option, schedule)).collect::<BTreeSet<_>>();

    let plain = all(None);
    let delayed = all(Some(DELAYS));

    assert_eq!(plain.len(), 1, "one processor, no clock: {plain:?}");
    assert!(delayed.len() > 10, "{delayed:?}");
    assert!(delayed.first() > plain.first(), "{plain:?} {delayed:?}");
    assert_eq!(steps(Some(DELAYS), 7), steps(Some(DELAYS), 7));
}

/// How often each principal ended a process, and that it came to an end.
#[derive(Default, PartialEq, Debug)]
struct Ends(BTreeMap<u8, u64>);

impl Witness for Ends {
    fn event(&mut self, event: &Event) {
        if event.kind == EventKind::ProcessEnded {
            *self.0.entry(event.subject.0).or_default() += 1;
        }
    }
}

#[test]
fn in_a_healthy_world_nothing_is_found_and_everybody_is_answered() {
    for seed in 0..12 {
        let plain = Scenario::generate(Seed(seed), &Bias::default()).configuration;
        let rest = |configuration: &Configuration| {
            let mut world = World::build(configuration).expect("a sound configuration");
            let mut ends = Ends::default();
            (world.run(&mut ends, u64::MAX), ends.0)
        };
        let expected = rest(&plain);
        for option in [COMPLIANCE, ADDITIONAL, FOR_STACK, FOR_DRIVER, PENDING, DELAYS] {
            let mut configuration = plain.clone();
            configuration.machine.verifier = vec![option.to_owned()];

            assert_eq!(rest(&configuration), expected, "{seed} {option}");
        }
    }
}

#[test]
fn whatever_options_are_on_a_healthy_world_violates_nothing() {
    let standard = ALL.iter().find(|file| file.name == "standard").expect("it is built in");
    let standard = Scenario::from_bytes(standard.text.as_bytes()).expect("it is sound");
    let violated = |options: &[&str]| {
        let mut scenario = standard.clone();
        scenario.configuration.machine.verifier = options.iter().map(ToString::to_string).collect();
        let trial = Trial::new(&scenario, &Registries::default()).expect("its world builds");
        trial.golden.violations.len()
    };
    let options = verifier_options();
    for (number, one) in options.iter().enumerate() {
        for other in &options[number..] {
            assert_eq!(violated(&[one, other]), 0, "{one} {other}");
        }
    }
    assert_eq!(violated(&options), 0, "all of them");
}
