//! Late integrity checks: from time to time one region of the kernel is compared with what it was.
//!
//! A wild write to a watched region succeeds and is found later, by whoever comes by then; what is
//! not watched is never found ("Bug Check 0x109: CRITICAL_STRUCTURE_CORRUPTION", whose fourth
//! parameter tells the type of the region). The real checks are kept secret; which regions are
//! watched here and how often is this model's choice.

use crate::base::{Rule, Structure};
use crate::machine::{Flow, Processor, Trap, processor::mix, routine};

use super::bug_check::{KE_BUG_CHECK, bug_checks};
use super::layout::{address, integrity};
use super::service;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "late-integrity-checks",
        "A changed region of the kernel is found by a later check, not by the write.",
        "Bug Check 0x109: CRITICAL_STRUCTURE_CORRUPTION",
    ),
    Rule::chosen(
        "watched-regions",
        "Watched in turn: service table, interrupt table, first page of kernel code, driver objects.",
        "Bug Check 0x109: CRITICAL_STRUCTURE_CORRUPTION (names more types of region)",
    ),
];

bug_checks! {
    DATA_CHANGED: CRITICAL_STRUCTURE_CORRUPTION, parameter 4 = 0,
    when "a periodic check finds the service table changed",
    parameters "reserved", "reserved", "region", "type: data",
    source "Bug Check 0x109: CRITICAL_STRUCTURE_CORRUPTION" documented;

    FUNCTION_CHANGED: CRITICAL_STRUCTURE_CORRUPTION, parameter 4 = 1,
    when "a periodic check finds kernel code changed",
    parameters "reserved", "reserved", "region", "type: function",
    source "Bug Check 0x109: CRITICAL_STRUCTURE_CORRUPTION" documented;

    INTERRUPT_TABLE_CHANGED: CRITICAL_STRUCTURE_CORRUPTION, parameter 4 = 2,
    when "a periodic check finds the interrupt table changed",
    parameters "reserved", "reserved", "region", "type: interrupt table",
    source "Bug Check 0x109: CRITICAL_STRUCTURE_CORRUPTION" documented;

    DRIVER_OBJECT_CHANGED: CRITICAL_STRUCTURE_CORRUPTION, parameter 4 = 0x1c,
    when "a periodic check finds a driver object changed",
    parameters "reserved", "reserved", "region", "type: driver object",
    source "Bug Check 0x109: CRITICAL_STRUCTURE_CORRUPTION" documented;
}

/// A region that is watched: where, how many bytes, what it is.
#[derive(Clone, Copy)]
pub(super) struct Region {
    pub(super) start: u64,
    pub(super) bytes: u64,
    structure: Structure,
    kind: u64,
}

/// Regions besides driver objects.
const FIXED: [Region; 3] = [
    Region {
        start: address::SERVICE_TABLE,
        bytes: service::COUNT * 8,
        structure: Structure::ServiceTable,
        kind: 0,
    },
    Region { start: address::KERNEL_CODE, bytes: 4096, structure: Structure::Code, kind: 1 },
    Region {
        start: address::INTERRUPT_TABLE,
        bytes: 64 * 16,
        structure: Structure::InterruptTable,
        kind: 2,
    },
];

/// Regions there can be.
pub(crate) const REGIONS: u64 = FIXED.len() as u64 + address::DRIVERS_MAX;

/// The region with this number; every number means one.
pub(super) fn region(number: u64) -> Region {
    let number = number % REGIONS;
    let fixed = usize::try_from(number).ok().and_then(|number| FIXED.get(number));
    fixed.copied().unwrap_or_else(|| Region {
        start: address::IO_OBJECTS + (number - FIXED.len() as u64) * 0x80,
        bytes: 0x40,
        structure: Structure::DriverObject,
        kind: 0x1c,
    })
}

/// The sum of a region's words, as [`inspect`](Processor::inspect) makes it.
#[must_use]
pub(super) fn sum_of(words: impl Iterator<Item = u64>) -> u64 {
    words.fold(0, mix)
}

fn changed(p: &mut Processor<'_>, region: Region) -> Result<Flow, Trap> {
    let row = match region.kind {
        0 => &DATA_CHANGED,
        1 => &FUNCTION_CHANGED,
        2 => &INTERRUPT_TABLE_CHANGED,
        _ => &DRIVER_OBJECT_CHANGED,
    };
    p.pass(row.with([0, 0, region.start, region.kind]));
    Ok(Flow::Call)
}

routine! {
    /// Compares the next region, when it is time; stops the machine when it changed.
    pub(super) static KI_CHECK_INTEGRITY = "KiCheckIntegrity", frame 0;
    count => |p| {
        let left = p.load(address::KERNEL_DATA, integrity::COUNTDOWN)?;
        if left > 1 {
            p.store(address::KERNEL_DATA, integrity::COUNTDOWN, left.wrapping_sub(1))?;
            return Ok(Flow::Return);
        }
        let period = p.load(address::KERNEL_DATA, integrity::PERIOD)?;
        p.store(address::KERNEL_DATA, integrity::COUNTDOWN, period)?;
        Ok(Flow::Next)
    },
    compare, call KE_BUG_CHECK => |p| {
        let number = p.load(address::KERNEL_DATA, integrity::NEXT)? % REGIONS;
        p.store(address::KERNEL_DATA, integrity::NEXT, number.wrapping_add(1))?;
        let region = region(number);
        let sum = p.inspect(region.start, region.structure, region.bytes)?;
        let expected = p.load(address::KERNEL_DATA.wrapping_add(number.wrapping_mul(8)), integrity::SUMS)?;
        if sum == expected {
            return Ok(Flow::Return);
        }
        changed(p, region)
    },
    stopped => |_| Ok(Flow::Stay),
}
