//! What this oracle is not asked, and why.

use core::fmt;

use super::feature::Feature;
use super::layout::AGENT_BYTES;
use crate::base::PhysAddr;
use crate::machine::paging::TableMemory as _;
use crate::machine::paging::x86_64::{Entry, Level};
use crate::oracles::recorded::{RecordedMachine, TranslationCase};

/// Why there is no answer to a case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Abstention {
    /// The case has another MAXPHYADDR than this guest.
    OtherWidth,
    /// It needs what this guest does not have; see
    /// [`Oracle::left_out`](super::Oracle::left_out).
    Feature(Feature),
    /// Supervisor protection keys: no guest here is set up for them.
    SupervisorKeys,
    /// The first entry of the top table maps the guest's own program.
    ProgramsEntry,
    /// The walk could read the memory of the guest's own program.
    ProgramsMemory,
    /// The page is not in data memory.
    OutsideData,
    /// The address is not a multiple of 8, so that the access could reach two pages.
    Unaligned,
    /// The guest stopped for another reason than the end of its batch.
    Astray(String),
}

impl fmt::Display for Abstention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherWidth => f.write_str("another MAXPHYADDR"),
            Self::Feature(feature) => write!(f, "{feature}"),
            Self::SupervisorKeys => f.write_str("supervisor protection keys"),
            Self::ProgramsEntry => f.write_str("top-level entry 0, which maps the guest's program"),
            Self::ProgramsMemory => f.write_str("tables in the memory of the guest's program"),
            Self::OutsideData => f.write_str("a page outside data memory"),
            Self::Unaligned => f.write_str("an address that is no multiple of 8"),
            Self::Astray(what) => write!(f, "the guest went astray: {what}"),
        }
    }
}

/// Where the tables of a case lead if nothing forbids it: the byte in data memory, if there is one.
///
/// Only the structure is followed, not rights: what a case is asked for is not judged here. For the
/// same reason it errs towards abstaining.
///
/// # Errors
///
/// Why the case can't be asked of a guest that is like `machine` but lacks the features `lacks`
/// says.
pub(super) fn reach(
    case: &TranslationCase,
    machine: &RecordedMachine,
    lacks: &dyn Fn(Feature) -> bool,
) -> Result<Option<PhysAddr>, Abstention> {
    let controls = machine.controls(case);
    if controls.maxphyaddr != machine.maxphyaddr {
        return Err(Abstention::OtherWidth);
    }
    if case.mode.bits() & 1 << 9 != 0 {
        return Err(Abstention::SupervisorKeys);
    }
    let is_left_out = |one: &Feature| one.is_used(case, &controls) && lacks(*one);
    if let Some(feature) = Feature::ALL.into_iter().find(is_left_out) {
        return Err(Abstention::Feature(feature));
    }
    if !case.virt.0.is_multiple_of(8) {
        return Err(Abstention::Unaligned);
    }
    let memory = machine.memory(case);
    let address_bits = (1 << controls.physical_bits()) - 1;
    let mut table = controls.root().raw();
    let mut level = Level::top(&controls);
    if level.index(case.virt) == 0 {
        return Err(Abstention::ProgramsEntry);
    }
    loop {
        let at = table + 8 * level.index(case.virt);
        if at < AGENT_BYTES || [machine.cr3, machine.cr3_la57].contains(&at) {
            return Err(Abstention::ProgramsMemory);
        }
        let entry = memory.entry(PhysAddr::truncated(at));
        if entry & Entry::P == 0 {
            return Ok(None);
        }
        let is_large = matches!(level, Level::Pd | Level::Pdpt) && entry & Entry::PS != 0;
        if level == Level::Pt || is_large {
            let offset_bits = (1 << (12 + 9 * (level as u32 - 1))) - 1;
            let address = entry & address_bits & !0xfff & !offset_bits | case.virt.0 & offset_bits;
            let is_data = machine.data.iter().any(|range| range.contains(&address));
            let address = is_data.then_some(PhysAddr::truncated(address));
            return address.map(Some).ok_or(Abstention::OutsideData);
        }
        table = entry & address_bits & !0xfff;
        level = level.below();
    }
}
