//! Page frames: the free list, zeroing, and the frame database.

use crate::base::{EventKind, Principal, Rule, Structure};
use crate::injection::{PointKind, Verdict};
use crate::kernel::configured::configured;
use crate::machine::{Flow, Processor, routine};

use super::bug_check::{KE_BUG_CHECK, bug_checks};
use super::layout::{address, frame_entry, kernel_data, switches};
use super::paging::{SYSTEM_RW, map_window, window};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::inferred(
        "frames-are-zeroed",
        "A frame is zeroed before it is handed out.",
        "VirtualAlloc (memory is initialised to zero)",
    ),
    Rule::inferred(
        "frame-list-checked",
        "A free frame that counts references, or one released too often, is 0x4E.",
        "Bug Check 0x4E: PFN_LIST_CORRUPT",
    ),
    Rule::inferred(
        "mapped-page-compared-with-frame",
        "A user page that goes is 0x1A, 0x403 where the frame database says another entry maps it.",
        "Bug Check 0x1A: MEMORY_MANAGEMENT; ReactOS, MiDeletePte (the same comparison, as 0x401)",
    ),
];

/// What [`MM_FREE_FRAME`] compares where it makes no difference what maps the frame.
pub const ANY_ENTRY: u64 = u64::MAX;
/// What the frame database says of a frame that no entry of a process maps, or that several do.
pub(super) const NO_ENTRY: u64 = 0;

bug_checks! {
    OUT_OF_STEP: MEMORY_MANAGEMENT, parameter 1 = 0x403,
    when "a user page goes, and by the frame database another entry maps the frame that its entry names",
    parameters "what: entry and frame database out of step", "entry at", "entry", "mapped by",
    source "Bug Check 0x1A: MEMORY_MANAGEMENT" inferred;

    FREE_FRAME_IN_USE: PFN_LIST_CORRUPT, parameter 1 = 2,
    when "the first frame of the free list is in use by its own entry",
    parameters "what: entry of a list", "frame removed", "highest frame", "its references",
    source "Bug Check 0x4E: PFN_LIST_CORRUPT" documented;

    UNREFERENCED_FRAME: PFN_LIST_CORRUPT, parameter 1 = 7,
    when "a reference is dropped from a frame that has none left",
    parameters "what: unlocked too often", "frame", "share count", "reserved",
    source "Bug Check 0x4E: PFN_LIST_CORRUPT" inferred;
}

/// Says whose a frame is from now on, and as what.
pub(super) fn grant(p: &mut Processor<'_>, owner: Principal, structure: Structure, frame: u64) {
    p.announce(EventKind::Grant, owner, structure, [frame << 12, 0, 512, 0]);
}

/// What a frame is wanted for. Where the stack doesn't say any more: the kernel's use.
fn called_for(p: &Processor<'_>) -> Structure {
    p.called_for().map_or(Structure::PoolBlock, |call| call.structure)
}

routine! {
    /// Takes a frame off the free list and zeroes it, for what it is called for. Argument: where the one entry
    /// will be that maps it, or `NO_ENTRY`. Result: its number, 0 when there is none; whose it is then, the
    /// caller says.
    pub static MM_ALLOCATE_FRAME = "MiRemoveAnyPage", frame 1;
    // Local: 0 what will map it, then the frame.
    start => |p| {
        let mapped_by = p.argument(0);
        let (_, verdict) = p.pass_point(PointKind::Allocate, called_for(p) as u64, 4096)?;
        if verdict == Verdict::Skip {
            return Ok(p.give_back(0));
        }
        p.set_local_for(0, mapped_by, mapped_by)?;
        Ok(Flow::Next)
    },
    unlink, call KE_BUG_CHECK => |p| {
        let frame = p.load(address::KERNEL_DATA, kernel_data::FREE_FRAMES)?;
        if frame == 0 {
            return Ok(p.give_back(0));
        }
        let entry = address::FRAME_DATABASE.wrapping_add(frame.wrapping_mul(16));
        let count = p.load(entry, frame_entry::COUNT)?;
        if count != 0 {
            let highest = p.load(address::KERNEL_DATA, kernel_data::HIGHEST_FRAME)?;
            p.pass(FREE_FRAME_IN_USE.with([2, frame, highest, count]));
            return Ok(Flow::Call);
        }
        let next = p.load(entry, frame_entry::NEXT)?;
        p.store(address::KERNEL_DATA, kernel_data::FREE_FRAMES, next)?;
        p.store(entry, frame_entry::COUNT, 1)?;
        let mapped_by = p.local(0)?;
        p.store(entry, frame_entry::NEXT, mapped_by)?;
        p.set_local(0, frame)?;
        let left = p.load(address::KERNEL_DATA, kernel_data::FREE_FRAME_COUNT)?;
        p.store(address::KERNEL_DATA, kernel_data::FREE_FRAME_COUNT, left.wrapping_sub(1))?;
        Ok(Flow::To(At::zero as u8))
    },
    stopped => |_| Ok(Flow::Stay),
    zero => |p| {
        let frame = p.local(0)?;
        let structure = called_for(p);
        grant(p, Principal::KERNEL, structure, frame);
        if configured(p)? & switches::NO_ZEROING != 0 {
            return Ok(Flow::Next);
        }
        map_window(p, frame << 12 | SYSTEM_RW)?;
        let window = window(p);
        p.fill(window, structure, 0, 512)?;
        Ok(Flow::Next)
    },
    give => |p| {
        let frame = p.local(0)?;
        Ok(p.give_back(frame))
    },
}

routine! {
    /// Drops one reference to a frame; the last one puts it on the free list. Arguments: its number;
    /// where the entry was that named it, compared with the frame database, or `ANY_ENTRY`; that entry.
    pub static MM_FREE_FRAME = "MiDecrementShareCount", frame 1;
    start, call KE_BUG_CHECK => |p| {
        let (named, mapped_by, by_entry) = (p.argument(0), p.argument(1), p.argument(2));
        if mapped_by != ANY_ENTRY {
            let entry = address::FRAME_DATABASE.wrapping_add(named.wrapping_mul(16));
            let said = p.load(entry, frame_entry::NEXT)?;
            if said != mapped_by {
                p.pass(OUT_OF_STEP.with([0x403, mapped_by, by_entry, said]));
                return Ok(Flow::Call);
            }
        }
        let (operation, verdict) = p.pass_point(PointKind::Free, named, 4096)?;
        if verdict == Verdict::Skip {
            return Ok(Flow::Return);
        }
        let frame = operation.virt;
        p.set_local(0, frame)?;
        let entry = address::FRAME_DATABASE.wrapping_add(frame.wrapping_mul(16));
        let count = p.load(entry, frame_entry::COUNT)?;
        if count == 0 {
            p.pass(UNREFERENCED_FRAME.with([7, frame, count, 0]));
            return Ok(Flow::Call);
        }
        p.store(entry, frame_entry::COUNT, count.wrapping_sub(1))?;
        if count > 1 {
            return Ok(Flow::Return);
        }
        Ok(Flow::To(At::link as u8))
    },
    stopped => |_| Ok(Flow::Stay),
    link => |p| {
        let frame = p.local(0)?;
        let entry = address::FRAME_DATABASE.wrapping_add(frame.wrapping_mul(16));
        p.announce(EventKind::Release, Principal::KERNEL, Structure::Free, [frame << 12, 0, 512, 0]);
        let first = p.load(address::KERNEL_DATA, kernel_data::FREE_FRAMES)?;
        p.store(entry, frame_entry::NEXT, first)?;
        p.store(address::KERNEL_DATA, kernel_data::FREE_FRAMES, frame)?;
        let left = p.load(address::KERNEL_DATA, kernel_data::FREE_FRAME_COUNT)?;
        p.store(address::KERNEL_DATA, kernel_data::FREE_FRAME_COUNT, left.wrapping_add(1))?;
        Ok(Flow::Return)
    },
}
