//! Which protection stops which writer by where the address leads: to another process, to nothing, into
//! the hole between the halves, behind a block of special pool.
//!
//! The rows are those of the table of `protections.rs`: for each writer whether it is stopped, and with which
//! bug check. A device sends past the processors' tables, so that nothing here stops one.

mod prober;

use prober::{Do, Ended, NEIGHBOUR, To, Where};
use ringfence::base::{Access, PhysAddr};
use ringfence::kernel::layout::address;
use ringfence::kernel::pools::PoolKind;
use ringfence::kernel::pools::state::SPECIAL_POOL;
use ringfence::machine::Machine;
use ringfence::world::{Action, Component, Configuration, Home, Rest};

/// What is written, and what was there.
const VALUE: u64 = 0x5eed_0000_0000_0077;
const BEFORE: u64 = 0x0b0b_0b0b;
/// A private word of a process.
const PRIVATE: u64 = address::USER_BUFFERS + 0x400;
/// A system address without tables, and one that a driver's data page ends before.
const NO_TABLE: u64 = 0xffff_9000_0000_0018;
const ABSENT: u64 = prober::DATA + 4096;
/// The first and the last address of the hole.
const HOLE: [u64; 2] = [0x0000_8000_0000_0000, 0xffff_7fff_ffff_fff8];
/// The entry of a page of the system that may be written.
const SYSTEM_PAGE: u64 = 1 << 63 | 0b11;

/// Where an address of a process leads, by its own tables; nothing as long as they aren't there.
fn private_frame(machine: &Machine, principal: u8, virt: u64) -> Option<u64> {
    let (root, _) = machine.roots().iter().find(|(_, owner)| owner.0 == principal)?;
    let mut table = *root;
    for shift in [39, 30, 21, 12] {
        let at = (table & 0x000f_ffff_ffff_f000) + (virt >> shift & 511) * 8;
        table = machine.memory.read(PhysAddr::truncated(at));
        if table & 1 == 0 {
            return None;
        }
    }
    Some(table & 0x000f_ffff_ffff_f000)
}

fn read(machine: &Machine, phys: u64) -> u64 {
    machine.memory.read(PhysAddr::truncated(phys))
}

/// The world of the prober with another process, which keeps a word and waits.
fn with_another() -> Configuration {
    let mut configuration = prober::configuration();
    let actions = vec![Action::Store { word: 0, value: BEFORE }, Action::Wait];
    let other = Component { actions, ..Component::new("other", Home::Application) };
    configuration.components.push(other);
    configuration
}

/// Where the other's word lies once it is there. It lies there in every run of this world, for the
/// processes are made before any script is run.
fn place_of_the_other_s(configuration: &Configuration) -> u64 {
    let mut world = prober::built(configuration);
    let principal = world.roster().named("other").expect("it is there").0;
    loop {
        assert!(world.step(&mut ()).is_none(), "the word is stored");
        let place = private_frame(&world.machine, principal, PRIVATE);
        let place = place.map(|frame| frame + PRIVATE % 4096);
        if let Some(place) = place.filter(|place| read(&world.machine, *place) == BEFORE) {
            return place;
        }
    }
}

/// Runs a script of the driver, and what the other's word is then.
fn the_other_s_after(configuration: &Configuration, place: u64, script: &[Do]) -> (Rest, u64) {
    let mut world = prober::built(configuration);
    world.machine.devices[0].held[0] = VALUE;
    prober::script(&mut world, Where::Service, script);
    let ended = prober::run(&mut world);
    (ended.rest, read(&world.machine, place))
}

#[test]
fn tables_of_its_own_keep_an_application_out_of_another_process_and_nobody_else() {
    let usual = with_another();
    let place = place_of_the_other_s(&usual);
    let mut writing = usual.clone();
    let access = Action::Access { address: PRIVATE, access: Access::Write };
    writing.components[0].actions.push(access);

    // The same address is another word: the write succeeds, and the other's is as it was.
    assert_eq!(the_other_s_after(&writing, place, &[]), (Rest::Quiescent, BEFORE));
    assert_eq!(application_ends_with(PRIVATE), [0]);
    // A driver maps what it wants.
    let entry = prober::entry_of(&usual, NEIGHBOUR);
    let map = Do::Write(To::Plain(entry), place & !0xfff | SYSTEM_PAGE);
    let at = To::Plain(NEIGHBOUR + place % 4096);
    let script = [map, Do::Invalidate(To::Plain(NEIGHBOUR)), Do::Write(at, VALUE)];
    assert_eq!(the_other_s_after(&usual, place, &script), (Rest::Quiescent, VALUE));
    // A device asks no table.
    let script = [Do::Transfer(To::Plain(place))];
    assert_eq!(the_other_s_after(&usual, place, &script), (Rest::Quiescent, VALUE));
}

/// The driver does this; how it ended.
fn by_driver(configuration: &Configuration, place: Where, script: &[Do]) -> Ended {
    let mut world = prober::built(configuration);
    if place == Where::Deferred {
        prober::script(&mut world, Where::Service, &[Do::Interrupt]);
    }
    prober::script(&mut world, place, script);
    prober::run(&mut world)
}

/// The application writes there; the status it ended with.
fn application_ends_with(target: u64) -> Vec<u64> {
    let mut configuration = prober::configuration();
    let access = Action::Access { address: target, access: Access::Write };
    configuration.components[0].actions.insert(1, access);
    let ended = prober::run(&mut prober::built(&configuration));
    assert_eq!(ended.rest, Rest::Quiescent, "{target:#x}");
    ended.seen.ended
}

#[test]
fn what_is_not_mapped_stops_applications_and_drivers_at_any_level() {
    let usual = prober::configuration();

    for target in [0x10_0000, ABSENT, NO_TABLE] {
        assert_eq!(application_ends_with(target), [0xc000_0005], "{target:#x}");
    }
    for target in [ABSENT, NO_TABLE] {
        let script = [Do::Write(To::Plain(target), VALUE)];
        let [code, at, access, ..] = by_driver(&usual, Where::Service, &script).crash;
        assert_eq!((code, at, access), (0x50, target, 2));
        let [code, at, level, access, _] = by_driver(&usual, Where::Deferred, &script).crash;
        assert_eq!((code, at, level, access), (0xd1, target, 2, 1));
    }
}

#[test]
fn a_page_that_is_not_there_is_there_for_a_device() {
    // The neighbour's page is taken out of the tables; its frame is written all the same.
    let usual = prober::configuration();
    let word = NEIGHBOUR + 0xf00;
    let entry = To::Plain(prober::entry_of(&usual, NEIGHBOUR));
    let away = [Do::Write(entry, 0), Do::Invalidate(To::Plain(NEIGHBOUR))];
    let run = |last: Do| {
        let mut world = prober::built(&usual);
        world.machine.devices[0].held[0] = VALUE;
        let place = prober::physical(&world, word);
        prober::script(&mut world, Where::Service, &[&away[..], &[last]].concat());
        let rest = prober::run(&mut world).rest;
        (rest, read(&world.machine, place) == VALUE)
    };
    let bus = prober::physical(&prober::built(&usual), word);

    assert_eq!(run(Do::Transfer(To::Plain(bus))), (Rest::Quiescent, true));
    assert_eq!(run(Do::Write(To::Plain(word), VALUE)), (Rest::BugCheck(0x50), false));
}

#[test]
fn the_hole_stops_applications_and_drivers() {
    for target in HOLE {
        assert_eq!(application_ends_with(target), [0xc000_0005], "{target:#x}");
        let script = [Do::Write(To::Plain(target), VALUE)];
        let usual = prober::configuration();
        let [code, at, access, _, why] = by_driver(&usual, Where::Service, &script).crash;
        assert_eq!((code, at, access, why), (0x50, target, 2, 4));
        let read = [Do::Read(To::Plain(target))];
        let [code, at, access, _, why] = by_driver(&usual, Where::Service, &read).crash;
        assert_eq!((code, at, access, why), (0x50, target, 0, 4));
        let [code, at, level, access, _] = by_driver(&usual, Where::Deferred, &script).crash;
        assert_eq!((code, at, level, access), (0xd1, target, 2, 1));
        // Where such kernels are older it is a general protection, which tells no address: nobody handles the
        // exception that it is, at any level.
        let mut older = prober::configuration();
        older.machine.early_access_codes = true;
        let [code, status, ..] = by_driver(&older, Where::Service, &script).crash;
        assert_eq!((code, status), (0x3b, 0xc000_0005));
        let [code, status, _, access, at] = by_driver(&older, Where::Deferred, &script).crash;
        assert_eq!((code, status), (0x1e, 0xffff_ffff_c000_0005));
        assert_eq!((access, at), (0, u64::MAX));
        // A jump there is no reference, in any kernel.
        let jump = [Do::Execute(To::Plain(target))];
        let [code, status, ..] = by_driver(&usual, Where::Service, &jump).crash;
        assert_eq!((code, status), (0x3b, 0xc000_0005));
    }
}

#[test]
fn special_pool_stops_a_driver_behind_its_block_and_no_device() {
    let with = |pool| {
        let mut configuration = prober::configuration();
        configuration.machine.pool = pool;
        configuration
    };
    let overrun = [Do::Allocate, Do::Write(To::Block(48), VALUE)];

    let [code, at, access, ..] =
        by_driver(&with(PoolKind::Special), Where::Service, &overrun).crash;
    assert_eq!((code, at % 4096, access), (0xd6, 0, 1));
    for pool in [PoolKind::Classes, PoolKind::Legacy, PoolKind::Segment] {
        let ended = by_driver(&with(pool), Where::Service, &overrun);
        assert_eq!(ended.rest, Rest::Quiescent, "{pool:?}: {:x?}", ended.crash);
    }
    // An application is kept out by the user bit, whichever the pool.
    assert_eq!(application_ends_with(SPECIAL_POOL + 4096), [0xc000_0005]);
    // A device writes in front of the block, where the pattern is: nothing stops it, and the free finds it.
    let special = with(PoolKind::Special);
    let mut world = prober::built(&special);
    prober::script(&mut world, Where::Service, &[Do::Allocate, Do::Hang]);
    while world.machine.locate(0, ringfence::base::VirtAddr(SPECIAL_POOL)).is_none() {
        assert!(world.step(&mut ()).is_none(), "the block is allocated");
    }
    let page = prober::physical(&world, SPECIAL_POOL);
    let mut world = prober::built(&special);
    world.machine.devices[0].held[0] = VALUE;
    prober::script(&mut world, Where::Service, &[Do::Allocate, Do::Transfer(To::Plain(page))]);
    let ended = prober::run(&mut world);
    let [code, _, at, _, what] = ended.crash;
    assert_eq!((code, at, what), (0xc1, SPECIAL_POOL, 0x23));
    assert_eq!(read(&world.machine, page), VALUE);
}
