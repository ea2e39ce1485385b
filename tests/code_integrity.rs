//! Driver Verifier's code integrity checks: a driver that asks for pool which can be executed, in each pool.
//!
//! Expected codes and parameters are written out, from the page of bug check 0xC4.

mod worlds;

use ringfence::base::{PhysAddr, PrincipalKind, Seed, Structure, VirtAddr};
use ringfence::kernel::layout::{address, crash_block, kernel_data, request_packet};
use ringfence::kernel::loader::Dispatch;
use ringfence::kernel::mdl::{IO_ALLOCATE_MDL, IO_FREE_MDL};
use ringfence::kernel::pool::{EX_ALLOCATE_POOL, EX_FREE_POOL};
use ringfence::kernel::pools::PoolKind;
use ringfence::kernel::pools::state::PAGED;
use ringfence::kernel::request::{IO_COMPLETE_REQUEST, METHOD_NEITHER, control_code, function};
use ringfence::kernel::status;
use ringfence::machine::{Flow, Routine, routine};
use ringfence::scenario::{Bias, Scenario};
use ringfence::world::components::buffer_driver;
use ringfence::world::{
    Action, Component, Configuration, DriverDefinition, Drivers, Home, Placement, Rest, World,
    components,
};

const OPTION: &str = "code-integrity-checks";

/// Asks for nonpaged pool and for paged pool, as many bytes as it is told, and gives it back.
const NONPAGED: u32 = 1;
const PAGED_POOL: u32 = 2;
/// Has the kernel allocate a list.
const LIST: u32 = 3;

const TAG: u64 = 0x656c_7572;

routine! {
    /// Device control. Arguments: device object, packet.
    static ASKING_CONTROL = "AskingControl", frame 2;
    // Locals: 0 packet; 1 block.
    sort => |p| {
        let packet = p.argument(1);
        p.set_local(0, packet)?;
        let function = function(p.load(packet, request_packet::CODE)?);
        let is_list = function == u64::from(LIST);
        Ok(if is_list { Flow::To(At::describe as u8) } else { Flow::Next })
    },
    allocate, call EX_ALLOCATE_POOL, of DriverData => |p| {
        let packet = p.local(0)?;
        let buffer = p.load(packet, request_packet::BUFFER)?;
        let bytes = p.load_at(buffer, Structure::SystemBuffer)?;
        let function = function(p.load(packet, request_packet::CODE)?);
        p.pass([bytes, TAG, if function == u64::from(PAGED_POOL) { PAGED } else { 0 }]);
        Ok(Flow::Call)
    },
    free, call EX_FREE_POOL => |p| {
        let block = p.result();
        if block == 0 {
            return Ok(Flow::To(At::complete as u8));
        }
        p.pass([block, TAG]);
        Ok(Flow::Call)
    },
    freed => |_| Ok(Flow::To(At::complete as u8)),
    describe, call IO_ALLOCATE_MDL => |p| {
        p.pass([address::USER_BUFFERS, 64]);
        Ok(Flow::Call)
    },
    forget, call IO_FREE_MDL => |p| {
        let list = p.result();
        p.pass([list]);
        Ok(Flow::Call)
    },
    complete, call IO_COMPLETE_REQUEST => |p| {
        let packet = p.local(0)?;
        p.pass([packet, status::SUCCESS, 0]);
        Ok(Flow::Call)
    },
    done => |p| Ok(p.give_back(status::SUCCESS)),
}

const ROUTINES: &[&Routine] = &[&ASKING_CONTROL];
/// Behind the call.
const AT: u64 = address::DRIVER_CODE + 16 * 2;

fn drivers() -> Drivers {
    let mut drivers = components::drivers();
    drivers.kernel.push(DriverDefinition {
        name: "asking",
        kind: PrincipalKind::KernelDriver,
        routines: ROUTINES,
        pageable: &[],
        dispatch: Dispatch {
            read: None,
            write: None,
            control: Some(&ASKING_CONTROL),
            flush: None,
            entry: None,
            deferred: None,
        },
        prepare: |_: &Placement| Vec::new(),
        owns: &[],
        section: &[],
    });
    drivers
}

/// A machine with this pool, in which an application asks the driver for one thing; executable or not.
fn world(pool: PoolKind, option: Option<&str>, (function, bytes): (u32, u64)) -> Configuration {
    let open = Action::Open { device: "asking".into(), file: 0, access: 3, slot: 0 };
    let code = u64::from(0x22_0000 | function << 2);
    let ask = Action::Control { slot: 0, code, length: 8, value: bytes };
    let mut configuration = Configuration {
        components: vec![
            Component { actions: vec![open, ask], ..Component::new("app", Home::Application) },
            Component {
                driver: Some("asking".into()),
                ..Component::new("asking", Home::KernelDriver)
            },
        ],
        steps_max: 20_000,
        ..Configuration::default()
    };
    let machine = &mut configuration.machine;
    (machine.pool, machine.no_execute_pool) = (pool, false);
    machine.verifier.extend(option.map(str::to_owned));
    if pool == PoolKind::Special {
        machine.pool = PoolKind::Classes;
        machine.verifier.push("special-pool".to_owned());
    }
    configuration
}

fn word(world: &World, field: &ringfence::base::Field) -> u64 {
    let virt = VirtAddr(address::KERNEL_DATA + field.offset);
    let phys = world.machine.locate(0, virt).expect("it is mapped");
    world.machine.memory.read(PhysAddr::truncated(phys))
}

/// How it ends: the code and its parameters, all 0 when nothing stopped.
fn end(configuration: &Configuration) -> (Rest, [u64; 5]) {
    let mut world = World::build_with(configuration, &drivers()).expect("a sound configuration");
    let rest = world.run(&mut (), u64::MAX);
    let words: Vec<u64> =
        crash_block::FIELDS.iter().take(5).map(|field| word(&world, field)).collect();
    (rest, words.try_into().expect("five words"))
}

const POOLS: [PoolKind; 4] =
    [PoolKind::Classes, PoolKind::Legacy, PoolKind::Segment, PoolKind::Special];

#[test]
fn a_driver_that_asks_for_pool_that_can_be_executed_is_found_in_each_pool() {
    for pool in POOLS {
        // Of a page and more special pool has none: it comes from another.
        for bytes in [40, 4096] {
            let what = (NONPAGED, bytes);

            let (rest, found) = end(&world(pool, Some(OPTION), what));

            let expected = [0xc4, 0x2000, AT, 0, TAG];
            assert_eq!((rest, found), (Rest::BugCheck(0xc4), expected), "{pool:?}: {found:x?}");
            for other in [None, Some("miscellaneous"), Some("dma-checking")] {
                let (rest, found) = end(&world(pool, other, what));
                assert_eq!(rest, Rest::Quiescent, "{pool:?} {other:?}: {found:x?}");
            }
            let mut configuration = world(pool, Some(OPTION), what);
            configuration.machine.no_execute_pool = true;
            let (rest, found) = end(&configuration);
            assert_eq!(rest, Rest::Quiescent, "{pool:?}, not executable: {found:x?}");
        }
    }
}

#[test]
fn what_the_kernel_asks_for_and_paged_pool_are_none_of_it() {
    for pool in POOLS {
        // The request itself is the kernel's, and so is the list that a driver has it make.
        let (rest, found) = end(&world(pool, Some(OPTION), (LIST, 0)));
        assert_eq!(rest, Rest::Quiescent, "{pool:?}: {found:x?}");
    }
    for pool in [PoolKind::Legacy, PoolKind::Segment, PoolKind::Special] {
        let (rest, found) = end(&world(pool, Some(OPTION), (PAGED_POOL, 40)));
        assert_eq!(rest, Rest::Quiescent, "{pool:?}: {found:x?}");
    }
}

#[test]
fn the_code_that_looks_is_the_pool_s() {
    // A fault in it is blamed on who damaged the pool.
    for pool in POOLS {
        let configuration = world(pool, Some(OPTION), (LIST, 0));
        let world = World::build_with(&configuration, &drivers()).expect("a sound configuration");
        let bounds =
            word(&world, &kernel_data::POOL_CODE)..word(&world, &kernel_data::POOL_CODE_END);
        let allocating: Vec<_> = world
            .machine
            .program
            .routines()
            .iter()
            .filter(|linked| linked.image == "nt" && linked.routine.steps[0].name == "verify")
            .collect();

        // With special pool there is the legacy one too.
        let count = if pool == PoolKind::Special { 2 } else { 1 };
        assert_eq!(allocating.len(), count, "{pool:?}");
        for linked in allocating {
            assert!(bounds.contains(&linked.entry.0), "{pool:?} {}", linked.routine.name);
        }
    }
}

/// How a world without faults ends.
fn ends(world: &Scenario, option: Option<&str>, no_execute: bool) -> Rest {
    let mut configuration = world.configuration.clone();
    configuration.machine.verifier.extend(option.map(str::to_owned));
    configuration.machine.no_execute_pool = no_execute;
    let scenario = Scenario { configuration, plan: Vec::new(), ..world.clone() };
    worlds::trial(&scenario).golden.rest
}

#[test]
fn worlds_whose_drivers_ask_for_no_pool_end_as_they_do_without() {
    for seed in (0..20).map(Seed) {
        let world = Scenario::generate(seed, &Bias::default());

        for no_execute in [true, false] {
            let without = ends(&world, None, no_execute);
            assert_eq!(ends(&world, Some(OPTION), no_execute), without, "{seed:?}");
        }
    }
}

#[test]
fn a_driver_that_was_not_built_for_it_is_found_at_its_first_request() {
    let open = Action::Open { device: "buffers".into(), file: 0, access: 3, slot: 0 };
    let code = control_code(buffer_driver::COPY, METHOD_NEITHER, 0);
    let job = Action::Control { slot: 0, code, length: 64, value: 8 };
    let mut world = worlds::with_editor(vec![open, job]);
    let buffers = worlds::driver("buffers", Home::KernelDriver, "buffers", None);
    world.configuration.components.push(buffers);

    assert_eq!(ends(&world, Some(OPTION), false), Rest::BugCheck(0xc4));
    assert_eq!(ends(&world, Some(OPTION), true), Rest::Quiescent);
    assert_eq!(ends(&world, None, false), Rest::Quiescent);
}
