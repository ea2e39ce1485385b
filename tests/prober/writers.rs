//! The same wild access by each writer: an application, a driver, a device.

use ringfence::base::Access;
use ringfence::kernel::layout::address;
use ringfence::kernel::service;
use ringfence::world::{Action, Configuration, Rest, World};

use super::{Do, Ended, NEIGHBOUR, SECTION, To, Where};

/// What became of a wild access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// It did what it wanted, and nobody took note.
    Silent,
    /// The machine stopped with this code at the access, before anything was changed.
    Stopped(u64),
    /// It did what it wanted, and the machine stopped with this code later.
    Late(u64),
    /// The device was refused.
    Refused,
    /// The process that did it ended.
    ProcessEnded,
}

/// The word that is aimed at, and what it becomes.
pub(crate) const VALUE: u64 = 0x5eed_0000_0000_0077;

pub(crate) fn outcome(world: &World, ended: &Ended, target: u64, before: u64) -> Outcome {
    let is_changed = super::word(world, target) != before;
    match (ended.rest, is_changed) {
        (Rest::BugCheck(code), false) => Outcome::Stopped(code),
        (Rest::BugCheck(code), true) => Outcome::Late(code),
        (_, true) => Outcome::Silent,
        (_, false) if ended.seen.refused > 0 => Outcome::Refused,
        (_, false) => Outcome::ProcessEnded,
    }
}

/// The world of the tests with some switches.
pub(crate) fn with(change: impl FnOnce(&mut Configuration)) -> Configuration {
    let mut configuration = super::configuration();
    change(&mut configuration);
    configuration
}

/// A driver does this in a service; `target` is what it aims at.
pub(crate) fn by_driver(
    configuration: &Configuration,
    target: u64,
    script: impl FnOnce(&World) -> Vec<Do>,
) -> Outcome {
    let mut world = super::built(configuration);
    // What the transfer device has to give.
    world.machine.devices[0].held[0] = VALUE;
    let before = super::word(&world, target);
    let script = script(&world);
    super::script(&mut world, Where::Service, &script);
    let ended = super::run(&mut world);
    outcome(&world, &ended, target, before)
}

/// A driver writes to the target.
pub(crate) fn driver_writes(configuration: &Configuration, target: u64) -> Outcome {
    by_driver(configuration, target, |_| vec![Do::Write(To::Plain(target), VALUE)])
}

/// The script of a driver that first makes the entry of a page allow what it wants.
pub(crate) fn after_editing(world: &World, target: u64, set: u64, clear: u64, last: Do) -> Vec<Do> {
    let at = super::entry_of(world.configuration(), target);
    let entry = super::word(world, at);
    vec![Do::Write(To::Plain(at), entry & !clear | set), Do::Invalidate(To::Plain(target)), last]
}

/// A driver makes a read-only page writable and writes to it.
pub(crate) fn driver_edits_and_writes(configuration: &Configuration, target: u64) -> Outcome {
    by_driver(configuration, target, |world| {
        after_editing(world, target, 2, 0, Do::Write(To::Plain(target), VALUE))
    })
}

/// The transfer device writes to the target's frame, whose leave the driver gets by the tables of the
/// IOMMU when `is_mapped`.
pub(crate) fn device_writes(
    configuration: &Configuration,
    target: u64,
    is_mapped: bool,
) -> Outcome {
    by_driver(configuration, target, |world| {
        let bus = super::physical(world, target);
        let entry = address::IOMMU_TABLES + 4096 + (bus >> 12) * 8;
        let leave = Do::Write(To::Plain(entry), bus & !0xfff | 3);
        let start = Do::Transfer(To::Plain(bus));
        if is_mapped { vec![leave, start] } else { vec![start] }
    })
}

/// The application writes to the target.
pub(crate) fn application_writes(configuration: &Configuration, target: u64) -> Outcome {
    let mut configuration = configuration.clone();
    let access = Action::Access { address: target, access: Access::Write };
    configuration.components[0].actions.insert(1, access);
    by_driver(&configuration, target, |_| Vec::new())
}

/// A word of a neighbour's data page that nobody uses, one of kernel data, one behind the code of the
/// prober, one of the service table behind the services, one of a service that nobody asks for.
pub(crate) const NEIGHBOUR_WORD: u64 = NEIGHBOUR + 0xf00;
pub(crate) const KERNEL_WORD: u64 = address::FILE_CACHE + 0x1f00;
pub(crate) const CODE_WORD: u64 = address::DRIVER_CODE + 0xff8;
pub(crate) const TABLE_WORD: u64 = address::SERVICE_TABLE + 0xf00;
pub(crate) const WATCHED_WORD: u64 = address::SERVICE_TABLE + service::WAIT * 8;
/// A word of the section of a driver's image that is set up once.
pub(crate) const SECTION_WORD: u64 = SECTION + 0xf00;
/// A page of the pool that nobody uses.
pub(crate) const POOL_WORD: u64 = address::POOL + (address::POOL_PAGES - 1) * 4096 + 0x100;
