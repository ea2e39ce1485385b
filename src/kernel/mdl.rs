//! Memory descriptor lists: pages of a process that stay where they are while a driver uses them.
//!
//! A list names a range of one process's memory and, once its pages are locked, the frames behind it.
//! Locked frames are counted in the frame database and in the process; they are not given back before
//! they are unlocked, whatever becomes of the mapping ("Using MDLs", "MmProbeAndLockPages"). What the
//! pages hold stays shared with the process, which may change it at any time. A driver sees them
//! through a mapping of the system's own ("MmGetSystemAddressForMdlSafe").
//!
//! Three mistakes have their bug checks: a process that ends with locked pages (0x76, first parameter
//! 0), pages unlocked that its process has not locked (0x76, 1), and a frame unlocked once too often
//! (0x4E, 7). Which of the last two is found first is inferred: the process's count is compared before
//! any frame's ("Bug Check 0x76: PROCESS_HAS_LOCKED_PAGES", "Bug Check 0x4E: PFN_LIST_CORRUPT").
//!
//! In this model a list covers two pages at most, as many as the longest request's buffer touches.

use crate::base::{EventKind, Principal, Rule, Structure};
use crate::machine::{Flow, Processor, Trap, routine};

use super::bug_check::{KE_BUG_CHECK, bug_checks};
use super::frames::{ANY_ENTRY, MM_FREE_FRAME};
use super::layout::{
    MDL_BYTES, address, element, frame_entry, kernel_data, mdl, process, switches,
};
use super::object::current_process;
use super::paging::{
    ADDRESS, MM_REPLACE_ENTRY, PRESENT, SYSTEM_RW, USER, WRITABLE, entry_address, global_bit,
};
use super::pool::{EX_ALLOCATE_POOL, EX_FREE_POOL};
use super::previous_mode;
use super::status;
use super::user_buffer::{is_in_user_half, user_structure};
use super::verified::{self, verified_routine};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "locked-pages-stay",
        "Locked pages are not given back before they are unlocked; the process may change them.",
        "Using MDLs; MmProbeAndLockPages",
    ),
    Rule::documented(
        "locked-pages-counted",
        "A process counts its locked pages; unlocking more than are locked is 0x76.",
        "Bug Check 0x76: PROCESS_HAS_LOCKED_PAGES",
    ),
    Rule::inferred(
        "unlock-process-first",
        "The process's count is compared before a frame's, so that only then 0x4E is found.",
        "Bug Check 0x76: PROCESS_HAS_LOCKED_PAGES; Bug Check 0x4E: PFN_LIST_CORRUPT",
    ),
    Rule::chosen(
        "two-pages-a-list",
        "A list covers two pages and eight lists are mapped at once.",
        "this model: requests of 256 bytes",
    ),
];

bug_checks! {
    UNLOCKED_UNLOCKED: PROCESS_HAS_LOCKED_PAGES, parameter 1 = 1,
    when "pages are unlocked of a process that has not as many locked",
    parameters "what: unlock of pages not locked", "memory descriptor list", "pages locked", "tracking",
    source "Bug Check 0x76: PROCESS_HAS_LOCKED_PAGES" documented;

    UNLOCKED_TOO_OFTEN: PFN_LIST_CORRUPT, parameter 1 = 7,
    when "a frame is unlocked more often than it was locked",
    parameters "what: unlocked too often", "frame", "share count", "reserved",
    source "Bug Check 0x4E: PFN_LIST_CORRUPT" documented;
}

/// The pool tag of lists: "Mdl ".
pub const MDL_TAG: u64 = u32::from_le_bytes(*b"Mdl ") as u64;
/// Pages that one list covers at most.
pub const PAGES_MAX: u64 = 2;
/// Lists whose pages the system can map at once.
pub const MAPPINGS_MAX: u64 = 8;
/// One lock in a frame's word of the frame database, above its references.
pub const LOCK: u64 = 1 << 32;

/// [`mdl::FLAGS`]: the pages are locked.
pub const LOCKED: u64 = 1;
/// [`mdl::FLAGS`]: the pages may be written through the list.
pub const WRITES: u64 = 2;

/// What is wanted of locked pages: to read them.
pub const READ_ACCESS: u64 = 0;
/// To write them.
pub const WRITE_ACCESS: u64 = 1;

/// Pages that a range touches.
const fn pages_of(start: u64, bytes: u64) -> u64 {
    if bytes == 0 { 0 } else { (start % 4096 + bytes).div_ceil(4096) }
}

/// Where the system maps the pages of the list that has this mapping.
#[must_use]
pub const fn mapping_address(number: u64) -> u64 {
    address::MDL_MAPPINGS.wrapping_add(number.wrapping_mul(PAGES_MAX * 4096))
}

/// Announces that somebody may, or may no longer, write what a list covers.
///
/// # Errors
///
/// What reading the list raises.
pub(super) fn announce_loan(
    p: &mut Processor<'_>,
    kind: EventKind,
    borrower: Principal,
    list: u64,
) -> Result<(), Trap> {
    let (start, bytes) = (p.load(list, mdl::START)?, p.load(list, mdl::BYTES)?);
    let end = start.saturating_add(bytes.min(PAGES_MAX * 4096)).saturating_add(7) & !7;
    let mut at = start & !7;
    let mut page = 0;
    while at < end && page < PAGES_MAX {
        let stop = end.min((at | 0xfff).saturating_add(1));
        let frame = p.load(element(list, page), mdl::FRAMES)?;
        let phys = frame << 12 | at & 0xfff;
        p.announce(kind, borrower, user_structure(at), [phys, at, (stop - at) / 8, 0]);
        at = stop;
        page += 1;
    }
    Ok(())
}

routine! {
    /// Makes a list for a range of the running process's memory. Arguments: address, bytes. Result: the
    /// list, 0 when there is no pool or the range is too long.
    pub static IO_ALLOCATE_MDL = "IoAllocateMdl", frame 2;
    allocate, call EX_ALLOCATE_POOL, of Mdl => |p| {
        let (start, bytes) = (p.argument(0), p.argument(1));
        p.set_local(0, start)?;
        p.set_local(1, bytes)?;
        if bytes > PAGES_MAX * 4096 || pages_of(start, bytes) > PAGES_MAX {
            return Ok(p.give_back(0));
        }
        p.pass([MDL_BYTES, MDL_TAG, 0]);
        Ok(Flow::Call)
    },
    fill => |p| {
        let list = p.result();
        if list == 0 {
            return Ok(p.give_back(0));
        }
        let (start, bytes) = (p.local(0)?, p.local(1)?);
        let owner = current_process(p)?;
        for (field, value) in [
            (mdl::PROCESS, owner),
            (mdl::START, start),
            (mdl::BYTES, bytes),
            (mdl::PAGES, pages_of(start, bytes)),
        ] {
            p.store(list, field, value)?;
        }
        Ok(p.give_back(list))
    },
}

/// Whether pages that are locked in this mode's name are compared with the user half.
fn compares(p: &Processor<'_>, mode: u64) -> bool {
    mode != previous_mode::KERNEL && p.defects() & switches::LOCK_UNPROBED == 0
}

/// Whether frames are counted as locked, so that they stay.
fn holds(p: &Processor<'_>) -> bool {
    p.defects() & switches::LOCK_NOT_HELD == 0
}

verified_routine! {
    /// Locks the pages of a list, of the running process. Arguments: list, mode, wanted access. Result:
    /// success, or access violation when a page is not there or does not allow the access; nothing is
    /// locked then. In kernel mode's name the range is not compared with the user half.
    MM_PROBE_AND_LOCK_PAGES, MM_PROBE_AND_LOCK_PAGES_VERIFIED = "MmProbeAndLockPages", frame 5, by verified::of_lock_pages;
    // Locals: 0 list; 1 wanted access; 2 page; 3 the page's address; 4 mode.
    start => |p| {
        let (list, mode, access) = (p.argument(0), p.argument(1), p.argument(2));
        for (number, value) in [list, access, 0, 0, mode].into_iter().enumerate() {
            p.set_local(number as u64, value)?;
        }
        let (start, bytes) = (p.load(list, mdl::START)?, p.load(list, mdl::BYTES)?);
        let is_compared = compares(p, mode);
        if is_compared && !is_in_user_half(p, start, bytes)? {
            return Ok(p.give_back(status::ACCESS_VIOLATION));
        }
        Ok(Flow::Next)
    },
    // Every page is looked at before any is locked, so that there is nothing to undo.
    touch, on_fault missing => |p| {
        let (list, page) = (p.local(0)?, p.local(2)?);
        if page >= p.load(list, mdl::PAGES)?.min(PAGES_MAX) {
            p.set_local(2, 0)?;
            return Ok(Flow::To(At::lock as u8));
        }
        let start = p.load(list, mdl::START)? & !0xfff;
        let virt = start.wrapping_add(page.wrapping_mul(4096));
        p.set_local(3, virt)?;
        p.allow_user_access(true)?;
        p.load_at(virt, user_structure(virt))?;
        p.allow_user_access(false)?;
        Ok(Flow::Next)
    },
    entry => |p| {
        let (page, virt) = (p.local(2)?, p.local(3)?);
        let at = entry_address(p, virt)?;
        let entry = p.load_at(at, Structure::PageTable)?;
        let mode = p.local(4)?;
        let is_users = entry & USER != 0 || !compares(p, mode);
        let is_weak = p.defects() & switches::LOCK_READ_ONLY != 0;
        let allows = p.local(1)? == READ_ACCESS || entry & WRITABLE != 0 || is_weak;
        if entry & PRESENT == 0 || !is_users || !allows {
            return Ok(p.give_back(status::ACCESS_VIOLATION));
        }
        let list = p.local(0)?;
        p.store(element(list, page), mdl::FRAMES, (entry & ADDRESS) >> 12)?;
        p.set_local(2, page.wrapping_add(1))?;
        Ok(Flow::To(At::touch as u8))
    },
    lock => |p| {
        let (list, page) = (p.local(0)?, p.local(2)?);
        if page >= p.load(list, mdl::PAGES)?.min(PAGES_MAX) {
            return Ok(Flow::Next);
        }
        let frame = p.load(element(list, page), mdl::FRAMES)?;
        let entry = address::FRAME_DATABASE.wrapping_add(frame.wrapping_mul(16));
        let count = p.load(entry, frame_entry::COUNT)?;
        let held = if holds(p) { LOCK + 1 } else { 0 };
        p.store(entry, frame_entry::COUNT, count.wrapping_add(held))?;
        p.set_local(2, page.wrapping_add(1))?;
        Ok(Flow::Stay)
    },
    count => |p| {
        let list = p.local(0)?;
        let writes = if p.local(1)? == READ_ACCESS { 0 } else { WRITES };
        p.store(list, mdl::FLAGS, LOCKED | writes)?;
        let pages = p.load(list, mdl::PAGES)?;
        let owner = p.load(list, mdl::PROCESS)?;
        let locked = p.load(owner, process::LOCKED_PAGES)?;
        p.store(owner, process::LOCKED_PAGES, locked.wrapping_add(pages))?;
        let before = p.load(owner, process::LOCKED_LIST)?;
        p.store(list, mdl::NEXT, before)?;
        p.store(owner, process::LOCKED_LIST, list)?;
        Ok(p.give_back(status::SUCCESS))
    },
    missing => |p| {
        p.allow_user_access(false)?;
        Ok(p.give_back(status::ACCESS_VIOLATION))
    },
}

routine! {
    /// Maps the locked pages of a list into system space. Argument: the list. Result: the address of
    /// the range's first byte there, 0 when nothing is locked or there is no room.
    pub static MM_MAP_LOCKED_PAGES = "MmGetSystemAddressForMdlSafe", frame 3;
    // Locals: 0 list; 1 where it is mapped; 2 page.
    start => |p| {
        let list = p.argument(0);
        p.set_local(0, list)?;
        p.set_local(2, 0)?;
        if p.load(list, mdl::FLAGS)? & LOCKED == 0 {
            return Ok(p.give_back(0));
        }
        let mapped = p.load(list, mdl::SYSTEM)?;
        if mapped != 0 {
            return Ok(p.give_back(mapped));
        }
        let used = p.load(address::KERNEL_DATA, kernel_data::MDL_MAPPINGS)?;
        let number = u64::from((!used).trailing_zeros());
        if number >= MAPPINGS_MAX {
            return Ok(p.give_back(0));
        }
        p.store(address::KERNEL_DATA, kernel_data::MDL_MAPPINGS, used | 1 << number)?;
        p.set_local(1, mapping_address(number))?;
        Ok(Flow::Next)
    },
    map, call MM_REPLACE_ENTRY => |p| {
        let (list, page) = (p.local(0)?, p.local(2)?);
        if page >= p.load(list, mdl::PAGES)?.min(PAGES_MAX) {
            return Ok(Flow::To(At::done as u8));
        }
        p.set_local(2, page.wrapping_add(1))?;
        let frame = p.load(element(list, page), mdl::FRAMES)?;
        let virt = p.local(1)?.wrapping_add(page.wrapping_mul(4096));
        let global = global_bit(p)?;
        p.pass([virt, frame << 12 | SYSTEM_RW | global]);
        Ok(Flow::Call)
    },
    mapped => |_| Ok(Flow::To(At::map as u8)),
    done => |p| {
        let (list, base) = (p.local(0)?, p.local(1)?);
        let at = base | p.load(list, mdl::START)? & 0xfff;
        p.store(list, mdl::SYSTEM, at)?;
        Ok(p.give_back(at))
    },
}

verified_routine! {
    /// Unlocks the pages of a list and unmaps them. Argument: the list, which is believed to be one whose
    /// pages are locked.
    MM_UNLOCK_PAGES, MM_UNLOCK_PAGES_VERIFIED = "MmUnlockPages", frame 4, by verified::of_unlock_pages;
    // Locals: 0 list; 1 page; 2 where it is mapped; 3 the frame in hand.
    count, call KE_BUG_CHECK => |p| {
        let list = p.argument(0);
        p.set_local(0, list)?;
        p.set_local(1, 0)?;
        let owner = p.load(list, mdl::PROCESS)?;
        let locked = p.load(owner, process::LOCKED_PAGES)?;
        let pages = p.load(list, mdl::PAGES)?;
        if locked < pages {
            p.pass(UNLOCKED_UNLOCKED.with([1, list, locked, 0]));
            return Ok(Flow::Call);
        }
        p.store(owner, process::LOCKED_PAGES, locked.wrapping_sub(pages))?;
        Ok(Flow::To(At::forget as u8))
    },
    stopped => |_| Ok(Flow::Stay),
    // Out of its process's lists: mostly it is the first.
    forget => |p| {
        let list = p.local(0)?;
        let owner = p.load(list, mdl::PROCESS)?;
        let behind = p.load(list, mdl::NEXT)?;
        let mut before = p.load(owner, process::LOCKED_LIST)?;
        if before == list {
            p.store(owner, process::LOCKED_LIST, behind)?;
            return Ok(Flow::Next);
        }
        for _ in 0..MAPPINGS_MAX {
            if before == 0 {
                break;
            }
            let next = p.load(before, mdl::NEXT)?;
            if next == list {
                p.store(before, mdl::NEXT, behind)?;
                break;
            }
            before = next;
        }
        Ok(Flow::Next)
    },
    unmap, call MM_REPLACE_ENTRY => |p| {
        let (list, page) = (p.local(0)?, p.local(1)?);
        let mapped = p.load(list, mdl::SYSTEM)? & !0xfff;
        p.set_local(2, mapped)?;
        if mapped == 0 || page >= p.load(list, mdl::PAGES)?.min(PAGES_MAX) {
            return Ok(Flow::To(At::unmapped as u8));
        }
        p.set_local(1, page.wrapping_add(1))?;
        p.pass([mapped.wrapping_add(page.wrapping_mul(4096)), 0]);
        Ok(Flow::Call)
    },
    again => |_| Ok(Flow::To(At::unmap as u8)),
    unmapped => |p| {
        let (list, mapped) = (p.local(0)?, p.local(2)?);
        p.set_local(1, 0)?;
        p.store(list, mdl::FLAGS, 0)?;
        if mapped != 0 {
            let number = (mapped.wrapping_sub(address::MDL_MAPPINGS) / (PAGES_MAX * 4096)) & 63;
            let used = p.load(address::KERNEL_DATA, kernel_data::MDL_MAPPINGS)?;
            p.store(address::KERNEL_DATA, kernel_data::MDL_MAPPINGS, used & !(1 << number))?;
            p.store(list, mdl::SYSTEM, 0)?;
        }
        Ok(Flow::Next)
    },
    unlock, call KE_BUG_CHECK => |p| {
        let (list, page) = (p.local(0)?, p.local(1)?);
        if page >= p.load(list, mdl::PAGES)?.min(PAGES_MAX) {
            return Ok(Flow::Return);
        }
        p.set_local(1, page.wrapping_add(1))?;
        let frame = p.load(element(list, page), mdl::FRAMES)?;
        p.set_local(3, frame)?;
        let entry = address::FRAME_DATABASE.wrapping_add(frame.wrapping_mul(16));
        let count = p.load(entry, frame_entry::COUNT)?;
        let lock = if holds(p) { LOCK } else { 0 };
        if count < lock {
            p.pass(UNLOCKED_TOO_OFTEN.with([7, frame, count, 0]));
            return Ok(Flow::Call);
        }
        p.store(entry, frame_entry::COUNT, count.wrapping_sub(lock))?;
        Ok(Flow::To(At::drop_reference as u8))
    },
    corrupt => |_| Ok(Flow::Stay),
    drop_reference, call MM_FREE_FRAME => |p| {
        if !holds(p) {
            return Ok(Flow::Next);
        }
        let frame = p.local(3)?;
        p.pass([frame, ANY_ENTRY, 0]);
        Ok(Flow::Call)
    },
    next => |_| Ok(Flow::To(At::unlock as u8)),
}

routine! {
    /// Gives a list back. Argument: the list; its pages stay as they are.
    pub static IO_FREE_MDL = "IoFreeMdl", frame 0;
    free, call EX_FREE_POOL => |p| {
        let list = p.argument(0);
        p.pass([list, MDL_TAG]);
        Ok(Flow::Call)
    },
    done => |_| Ok(Flow::Return),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_touches_the_pages_from_its_first_to_its_last_byte() {
        assert_eq!(pages_of(0x1000, 0), 0);
        assert_eq!(pages_of(0x1000, 4096), 1);
        assert_eq!(pages_of(0x1fff, 1), 1);
        assert_eq!(pages_of(0x1fff, 2), 2);
    }
}
