//! What the framework keeps of user-mode drivers across a boot.
//!
//! A device that has failed in a host of its own is not put into the pool again when the system is booted
//! ("Using Device Pooling in UMDF Drivers"); nothing else of its failures is said to last, and the restart counters
//! begin again ("How UMDF Handles Driver Failures" has that of new instances of a device). So there is one word, a
//! bit for each device, on a page of its own and in the disk's last sector:
//!
//! | when | what |
//! |---|---|
//! | the manager is told that a device failed in a host of its own | its bit is set, and the sector written |
//! | the system boots again | the loader reads the sector, as it reads the registry's system hive; a device whose bit is set is left out of the pool, and the manager is told to start a host for it |
//!
//! Where the framework keeps this is not documented; a word on the disk stands for the registry. What is
//! written there survives whoever writes it: a bit that a wild write sets keeps a device out of the pool. Only in
//! worlds with a driver manager, and not where `host-record = false`: there each boot shares hosts as the first.

use crate::base::{EventKind, Field, Principal, Rule, Structure};
use crate::machine::{Flow, Processor, Reg, Routine, Substitute, Trap, routine};

use super::hal::HAL_DISK_WRITE;
use super::host::{NT_HOST_WAIT, extension};
use super::host_pool::{DEVICES_MAX, extension_of, is_manager, shared};
use super::host_service::NT_SHARED_HOST_WAIT;
use super::layout::{address, element, kernel_data, process};
use super::object::current_process;
use super::service::answer;
use super::status;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "reboot-repools",
        "After a reboot devices share their host again, except those that failed in one of their own.",
        "Using Device Pooling in UMDF Drivers",
    ),
    Rule::inferred(
        "reboot-resets-restarts",
        "A reboot makes new instances of devices, so that their restart counters begin again.",
        "How UMDF Handles Driver Failures (says it of disabling and of unplugging a device)",
    ),
    Rule::chosen(
        "record-on-disk",
        "Which devices failed by themselves is in the disk's last sector, once the manager was told.",
        "this model: where the framework keeps it is not documented",
    ),
];

/// The sector with the record: the disk's last.
pub const SECTOR: u64 = 63;
/// Bit set of the devices that failed in a host of their own, at [`address::HOST_RECORD`].
pub const FAILED_ALONE: Field = Field::new(Structure::DmaBuffer, 0, "devices that failed alone");

/// The routines of this file.
pub const ROUTINES: &[&Routine] = &[&NT_SHARED_HOST_WAIT_RECORDED, &NT_SHARED_HOST_WAIT_UNRECORDED];

/// What takes the place of that which keeps nothing; before any other that takes its place.
pub const SUBSTITUTES: &[Substitute] = &[(&NT_HOST_WAIT, &NT_SHARED_HOST_WAIT_RECORDED)];

/// [`NT_SHARED_HOST_WAIT`] by itself: its place is taken wherever it is called.
pub static NT_SHARED_HOST_WAIT_UNRECORDED: Routine =
    Routine { name: "NtWaitForFrameworkRequestUnrecorded", ..NT_SHARED_HOST_WAIT };

/// Notes the device of which the caller is told that it failed by itself, if it is told that and is the
/// manager; whether there is anything new to write.
fn note(p: &mut Processor<'_>, outcome: u64, told: u64) -> Result<bool, Trap> {
    let (number, how) = (told & 0xff, told >> 8);
    if outcome != status::SUCCESS || how != shared::FAILED_ALONE || number >= DEVICES_MAX {
        return Ok(false);
    }
    let caller = current_process(p)?;
    let home = p.load(caller, process::HOSTED_DEVICE)?;
    if home == 0 {
        return Ok(false);
    }
    let its = extension_of(p, home)?;
    if !is_manager(p, its)? {
        return Ok(false);
    }
    let failed = p.load(address::HOST_RECORD, FAILED_ALONE)?;
    if failed >> number & 1 == 1 {
        return Ok(false);
    }
    p.store(address::HOST_RECORD, FAILED_ALONE, failed | 1 << number)?;
    let device = p.load(element(address::KERNEL_DATA, number), kernel_data::DEVICES)?;
    let its = extension_of(p, device)?;
    let host = Principal((p.load(its, extension::HOST)? & 63) as u8);
    p.announce(EventKind::HostRecorded, host, Structure::DmaBuffer, [0, device, number, 0]);
    Ok(true)
}

routine! {
    /// As [`NT_SHARED_HOST_WAIT`]: of which failures the manager is told is kept on the disk.
    pub static NT_SHARED_HOST_WAIT_RECORDED = "NtWaitForFrameworkRequestRecorded", frame 2;
    // Locals: 0 and 1 what the service gives back.
    wait, call NT_SHARED_HOST_WAIT_UNRECORDED => |_| Ok(Flow::Call),
    note => |p| {
        let (outcome, told) = (p.result(), p.get(Reg::Rdx));
        p.set_local(0, outcome)?;
        p.set_local(1, told)?;
        Ok(if note(p, outcome, told)? { Flow::Next } else { Flow::To(At::done as u8) })
    },
    write, call HAL_DISK_WRITE => |p| {
        p.pass([SECTOR, address::HOST_RECORD]);
        Ok(Flow::Call)
    },
    done => |p| {
        let (outcome, told) = (p.local(0)?, p.local(1)?);
        Ok(answer(p, outcome, told))
    },
}
