//! Special pool: each block at the end of a page of its own, the page behind it absent.
//!
//! An access behind the block meets the absent page and stops the machine at once; so does an access
//! to a block that was freed, whose page is absent then too. In front of the block the page holds a
//! pattern that is looked at when the block is freed. A block costs a frame and two pages of address
//! space; where there is no slot or no frame left, or the block is too large, it comes from the normal
//! pool and nobody is told ("Special pool memory corruption detection in Driver Verifier").
//!
//! Here every allocation after boot is from special pool, paged and nonpaged, as if each driver were
//! verified; the page of a paged block may be trimmed like any of paged pool. Freed slots are used again
//! last, longest-freed first. Blocks are aligned at the end of their page (*Verify End*), to 16 bytes; the
//! bytes between block and page end hold the pattern too.
//!
//! | where | what |
//! |---|---|
//! | a slot's first word in the pool's variables | 0 never used; 1: free, next free slot + 1 in bits 63..32; 2: in use, [`IS_PAGED`] where it is paged, bytes in bits 31..16, tag above |
//! | its second word | the block's address |
//! | page-table entry of a freed block | [`FREED`]: not present, but not 0 |

use crate::base::{EventKind, Principal, Structure};
use crate::injection::{PointKind, Verdict};
use crate::kernel::bug_check::{BugCheck, KE_BUG_CHECK, bug_checks};
use crate::kernel::code_integrity::of_allocation;
use crate::kernel::frames::{ANY_ENTRY, MM_ALLOCATE_FRAME, MM_FREE_FRAME, NO_ENTRY};
use crate::kernel::layout::verifier as options;
use crate::kernel::paging::{
    ADDRESS, GLOBAL, MM_REPLACE_ENTRY, PRESENT, SYSTEM_RW, TRIMMED, entry_address, is_valid,
};
use crate::kernel::verified::verified_routine;
use crate::kernel::verifier;
use crate::machine::{Flow, Processor, Trap, routine};

use super::super::pool::hand_out;
use super::damage::{self, Request};
use super::legacy::{EX_ALLOCATE_LEGACY, EX_FREE_LEGACY};
use super::state::{
    Arena, NEWEST_FREE, OLDEST_FREE, PAGED, SLOT_BYTES, SLOTS, SLOTS_USED, SPECIAL_POOL,
    SPECIAL_SLOTS, STATE,
};

bug_checks! {
    NOT_ALLOCATED: SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION, parameter 4 = 0x20,
    when "a block of special pool is freed that is not allocated",
    parameters "freed", "reserved", "reserved", "what: block not allocated",
    source "Bug Check 0xC1: SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION" documented;

    BAD_ADDRESS: SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION, parameter 4 = 0x21,
    when "an address within special pool is freed at which no block begins",
    parameters "freed", "bytes asked for", "bytes given", "what: no block begins there",
    source "Bug Check 0xC1: SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION" documented;

    NEARBY: SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION, parameter 4 = 0x23,
    when "a block of special pool is freed and the pattern in front of it was changed",
    parameters "freed", "changed at", "reserved", "what: bytes in front changed",
    source "Bug Check 0xC1: SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION" documented;

    BEHIND: SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION, parameter 4 = 0x24,
    when "a block of special pool is freed and the pattern between its end and the page's was changed",
    parameters "freed", "changed at", "reserved", "what: bytes behind changed",
    source "Bug Check 0xC1: SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION" documented;

    LEVEL_ASKED: SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION, parameter 4 = 0x30,
    when "a block of special pool is asked for above dispatch level, a paged one at it",
    parameters "level", "pool", "bytes", "what: bad level at allocation",
    source "Bug Check 0xC1: SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION" documented;

    LEVEL: SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION, parameter 4 = 0x31,
    when "a block of special pool is freed above dispatch level, a paged one at it",
    parameters "level", "pool", "freed", "what: bad level at free",
    source "Bug Check 0xC1: SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION" documented;

    NEARBY_BIT: SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION, parameter 4 = 0x32,
    when "a block of special pool is freed and a single bit of the pattern in front of it was changed",
    parameters "freed", "changed at", "reserved", "what: one bit in front changed",
    source "Bug Check 0xC1: SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION" documented;

    FREED_BLOCK: PAGE_FAULT_IN_FREED_SPECIAL_POOL,
    when "Windows's own code references a block of special pool that was freed",
    parameters "referenced", "access", "by the code at", "reserved",
    source "Bug Check 0xCC: PAGE_FAULT_IN_FREED_SPECIAL_POOL" inferred;

    BEYOND_END: PAGE_FAULT_BEYOND_END_OF_ALLOCATION,
    when "Windows's own code references the page behind a block of special pool",
    parameters "referenced", "access", "by the code at", "reserved",
    source "Bug Check 0xCD: PAGE_FAULT_BEYOND_END_OF_ALLOCATION" inferred;

    DRIVER_FREED_BLOCK: DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL,
    when "a driver's code references a block of special pool that was freed",
    parameters "referenced", "access", "by the code at", "reserved",
    source "Bug Check 0xD5: DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL" inferred;

    DRIVER_BEYOND_END: DRIVER_PAGE_FAULT_BEYOND_END_OF_ALLOCATION,
    when "a driver's code references the page behind a block of special pool",
    parameters "referenced", "access", "by the code at", "reserved",
    source "Bug Check 0xD6: DRIVER_PAGE_FAULT_BEYOND_END_OF_ALLOCATION" inferred;
}

/// The entry of the page of a freed block.
pub const FREED: u64 = 1 << 11;
/// What a page holds beside its block.
pub const PATTERN: u64 = 0xa5a5_a5a5_a5a5_a5a5;
/// Blocks begin at multiples of this.
const ALIGNMENT: u64 = 16;
const PAGE: u64 = 4096;

const FREE: u64 = 1;
const IN_USE: u64 = 2;
/// Bit of a slot's first word: its block is of paged pool.
pub const IS_PAGED: u64 = 1 << 8;
/// The level above which a block of this kind, 0 nonpaged or 1 paged, is neither asked for nor given back.
const fn level_max(kind: u64) -> u64 {
    if kind == 0 { 2 } else { 1 }
}

/// What an address within special pool is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Not special pool, or a slot that was never used.
    Elsewhere,
    /// The page of a block that was freed.
    Freed,
    /// The page behind a block.
    BeyondEnd,
}

/// What the address of a page fault is.
///
/// # Errors
///
/// What reading the page-table entry raises.
pub fn place(p: &mut Processor<'_>, virt: u64) -> Result<Place, Trap> {
    let offset = virt.wrapping_sub(SPECIAL_POOL);
    if offset >= SPECIAL_SLOTS * SLOT_BYTES {
        return Ok(Place::Elsewhere);
    }
    let block_page = virt & !(SLOT_BYTES - 1);
    let at = entry_address(p, block_page)?;
    let entry = p.load_at(at, Structure::PageTable)?;
    Ok(match (entry, offset & PAGE != 0) {
        (FREED, false) => Place::Freed,
        (0, _) => Place::Elsewhere,
        (_, true) => Place::BeyondEnd,
        _ => Place::Elsewhere,
    })
}

/// What is said of an access to a page of special pool that is not there: a code that names a driver
/// where the faulting code is a driver's (inferred: the pages differ in nothing else).
#[must_use]
pub fn absent(place: Place, in_driver: bool) -> Option<&'static BugCheck> {
    match (place, in_driver) {
        (Place::Elsewhere, _) => None,
        (Place::Freed, false) => Some(&FREED_BLOCK),
        (Place::Freed, true) => Some(&DRIVER_FREED_BLOCK),
        (Place::BeyondEnd, false) => Some(&BEYOND_END),
        (Place::BeyondEnd, true) => Some(&DRIVER_BEYOND_END),
    }
}

const _: () = assert!(SPECIAL_POOL.is_multiple_of(SLOT_BYTES));

/// Whether an address lies in the page of a block of paged pool.
///
/// # Errors
///
/// What reading the slot raises.
pub fn is_paged(p: &mut Processor<'_>, virt: u64) -> Result<bool, Trap> {
    let offset = virt.wrapping_sub(SPECIAL_POOL);
    let slot = offset / SLOT_BYTES;
    if slot >= SPECIAL_SLOTS || offset & PAGE != 0 {
        return Ok(false);
    }
    Ok(paged_from(p, slot)?.is_some_and(|(found, _)| found == slot))
}

/// The first slot from this one on that holds a block of paged pool, and its page; none where there is no
/// special pool.
///
/// # Errors
///
/// What reading the slots raises.
pub fn paged_from(p: &mut Processor<'_>, first: u64) -> Result<Option<(u64, u64)>, Trap> {
    if !is_valid(p, STATE)? {
        return Ok(None);
    }
    for slot in first..p.load(STATE, SLOTS_USED)?.min(SPECIAL_SLOTS) {
        let word = p.load_at(slot_at(slot), Structure::PoolFreeList)?;
        if word & 0xff == IN_USE && word & IS_PAGED != 0 {
            return Ok(Some((slot, slot_page(slot))));
        }
    }
    Ok(None)
}

fn slot_at(number: u64) -> u64 {
    STATE + SLOTS.offset + number % SPECIAL_SLOTS * 16
}

fn slot_page(number: u64) -> u64 {
    SPECIAL_POOL + number % SPECIAL_SLOTS * SLOT_BYTES
}

/// Takes a slot: one that was never used, or else the one that has been free longest.
fn take_slot(p: &mut Processor<'_>) -> Result<Option<u64>, Trap> {
    let used = p.load(STATE, SLOTS_USED)?;
    if used < SPECIAL_SLOTS {
        p.store(STATE, SLOTS_USED, used + 1)?;
        return Ok(Some(used));
    }
    let oldest = p.load(STATE, OLDEST_FREE)?;
    if oldest == 0 {
        return Ok(None);
    }
    let number = oldest - 1;
    let next = p.load_at(slot_at(number), Structure::PoolFreeList)? >> 32;
    p.store(STATE, OLDEST_FREE, next)?;
    if next == 0 {
        p.store(STATE, NEWEST_FREE, 0)?;
    }
    Ok(Some(number))
}

/// Puts a slot behind all that are free.
fn give_slot(p: &mut Processor<'_>, number: u64) -> Result<(), Trap> {
    p.store_at(slot_at(number), Structure::PoolFreeList, FREE)?;
    let newest = p.load(STATE, NEWEST_FREE)?;
    if newest == 0 {
        p.store(STATE, OLDEST_FREE, number + 1)?;
    } else {
        let link = FREE | (number + 1) << 32;
        p.store_at(slot_at(newest - 1), Structure::PoolFreeList, link)?;
    }
    p.store(STATE, NEWEST_FREE, number + 1)
}

verified_routine! {
    /// Hands out a block of what it is called for, to its caller. Arguments: bytes, tag, flags. Result: its
    /// address, 0 when there is none.
    MM_ALLOCATE_SPECIAL, MM_ALLOCATE_SPECIAL_VERIFIED = "MmAllocateSpecialPool", frame 5, by of_allocation;
    // Locals: 0 bytes; 1 tag; 2 flags; 3 slot; 4 frame.
    ask => |p| {
        for number in 0..3 {
            let value = p.argument(number);
            p.set_local(number as u64, value)?;
        }
        let (bytes, flags) = (p.argument(0), p.argument(2));
        if bytes == 0 || bytes >= PAGE {
            return Ok(Flow::To(At::normal as u8));
        }
        let kind = Arena::with_flags(flags).kind;
        Ok(if p.irql()? > level_max(kind) { Flow::To(At::too_high as u8) } else { Flow::Next })
    },
    slot => |p| {
        let (bytes, tag) = (p.local(0)?, p.local(1)?);
        let Some(number) = take_slot(p)? else { return Ok(Flow::To(At::normal as u8)) };
        p.set_local(3, number)?;
        let (operation, verdict) = p.pass_point(PointKind::Allocate, tag, bytes)?;
        if verdict == Verdict::Skip || verifier::refuses_allocation(p)? {
            give_slot(p, number)?;
            return Ok(p.give_back(0));
        }
        // A request that came out larger than a page is for the page it gets.
        p.set_local_for(0, operation.value.clamp(1, PAGE), bytes.clamp(1, PAGE))?;
        Ok(Flow::Next)
    },
    frame, call MM_ALLOCATE_FRAME, of PoolBlock => |p| {
        p.pass([NO_ENTRY]);
        Ok(Flow::Call)
    },
    map, call MM_REPLACE_ENTRY => |p| {
        let (frame, number) = (p.result(), p.local(3)?);
        if frame == 0 {
            give_slot(p, number)?;
            return Ok(Flow::To(At::normal as u8));
        }
        p.set_local(4, frame)?;
        p.pass([slot_page(number), frame << 12 | SYSTEM_RW | GLOBAL]);
        Ok(Flow::Call)
    },
    pattern => |p| {
        let number = p.local(3)?;
        p.fill(slot_page(number), Structure::PoolBlock, PATTERN, PAGE / 8)?;
        Ok(Flow::Next)
    },
    give => |p| {
        let (bytes, tag, flags, number) = (p.local(0)?, p.local(1)?, p.local(2)?, p.local(3)?);
        // A page that was trimmed meanwhile is back before anything is written.
        if flags & PAGED != 0 {
            p.load_at(slot_page(number), Structure::PoolBlock)?;
        }
        let block = slot_page(number).wrapping_add(PAGE).wrapping_sub(bytes) & !(ALIGNMENT - 1);
        let paged = if flags & PAGED == 0 { 0 } else { IS_PAGED };
        let word = IN_USE | paged | (bytes & 0xffff) << 16 | tag << 32;
        p.store_at(slot_at(number), Structure::PoolFreeList, word)?;
        p.store_at(slot_at(number).wrapping_add(8), Structure::PoolFreeList, block)?;
        hand_out(p, block, bytes.div_ceil(8), flags)?;
        Ok(p.give_back(block))
    },
    normal, call EX_ALLOCATE_LEGACY => |p| {
        let (bytes, tag, flags) = (p.local(0)?, p.local(1)?, p.local(2)?);
        p.pass([bytes, tag, flags]);
        Ok(Flow::Call)
    },
    done => |_| Ok(Flow::Return),
    too_high, call KE_BUG_CHECK => |p| {
        let (level, bytes) = (p.irql()?, p.local(0)?);
        let kind = Arena::with_flags(p.local(2)?).kind;
        let own = LEVEL_ASKED.with([level, kind, bytes, 0x30]);
        let stop = in_words_of_verifier(p, Request::LevelAtAllocation(level, kind, bytes))?;
        p.pass(stop.unwrap_or(own));
        Ok(Flow::Call)
    },
    stopped => |_| Ok(Flow::Stay),
}

/// What Driver Verifier's automatic checks say of a bad request, where they are made.
fn in_words_of_verifier(p: &mut Processor<'_>, request: Request) -> Result<Option<[u64; 5]>, Trap> {
    let level = p.irql()?;
    let is_on = verifier::is_on(p, options::AUTOMATIC)?;
    Ok(is_on.then(|| damage::verified(request, level)).flatten())
}

/// What is wrong with a block that is freed; `None`: nothing.
fn examine(p: &mut Processor<'_>, block: u64, tag: u64) -> Result<Option<[u64; 5]>, Trap> {
    let number = block.wrapping_sub(SPECIAL_POOL) / SLOT_BYTES;
    let word = p.load_at(slot_at(number), Structure::PoolFreeList)?;
    let (bytes, its_tag) = (word >> 16 & 0xffff, word >> 32);
    if word & 0xff != IN_USE || block & PAGE != 0 {
        return Ok(Some(NOT_ALLOCATED.with([block, 0, 0, 0x20])));
    }
    let given = p.load_at(slot_at(number).wrapping_add(8), Structure::PoolFreeList)?;
    if block != given {
        let room = slot_page(number).wrapping_add(PAGE).wrapping_sub(given);
        return Ok(Some(BAD_ADDRESS.with([block, bytes, room, 0x21])));
    }
    if its_tag != tag & 0xffff_ffff {
        return Ok(Some(damage::TAG.with([0xa, block, its_tag, tag])));
    }
    let (level, kind) = (p.irql()?, u64::from(word & IS_PAGED != 0));
    if level > level_max(kind) {
        let stop = in_words_of_verifier(p, Request::LevelAtFree(level, kind, block))?;
        return Ok(Some(stop.unwrap_or(LEVEL.with([level, kind, block, 0x31]))));
    }
    let page = slot_page(number);
    for at in (page..block).step_by(8) {
        let found = p.load_at(at, Structure::PoolBlock)?;
        if found != PATTERN {
            let is_bit = (found ^ PATTERN).is_power_of_two();
            return Ok(Some(if is_bit {
                NEARBY_BIT.with([block, at, 0, 0x32])
            } else {
                NEARBY.with([block, at, 0, 0x23])
            }));
        }
    }
    // The block ends within a word, and that within 16 bytes of the page's end.
    let end = block.wrapping_add(bytes.div_ceil(8) * 8);
    for at in (end..page.wrapping_add(PAGE)).step_by(8) {
        if p.load_at(at, Structure::PoolBlock)? != PATTERN {
            return Ok(Some(BEHIND.with([block, at, 0, 0x24])));
        }
    }
    Ok(None)
}

routine! {
    /// Takes a block back. Arguments: its address, the tag it was allocated with.
    pub static MM_FREE_SPECIAL = "MmFreeSpecialPool", frame 3;
    // Locals: 0 block; 1 tag; 2 frame.
    sort, call EX_FREE_LEGACY => |p| {
        let (block, tag) = (p.argument(0), p.argument(1));
        if block.wrapping_sub(SPECIAL_POOL) >= SPECIAL_SLOTS * SLOT_BYTES {
            return Ok(Flow::Call);
        }
        let (operation, verdict) = p.pass_point(PointKind::Free, block, tag)?;
        if verdict == Verdict::Skip {
            return Ok(Flow::Return);
        }
        p.set_local_for(0, operation.virt, block)?;
        p.set_local_for(1, operation.value, tag)?;
        Ok(Flow::To(At::examine as u8))
    },
    normal => |_| Ok(Flow::Return),
    examine, call KE_BUG_CHECK => |p| {
        let (block, tag) = (p.local(0)?, p.local(1)?);
        if block.wrapping_sub(SPECIAL_POOL) >= SPECIAL_SLOTS * SLOT_BYTES {
            return Ok(Flow::To(At::astray as u8));
        }
        match examine(p, block, tag)? {
            None => Ok(Flow::To(At::unmap as u8)),
            Some(parameters) => {
                p.pass(parameters);
                Ok(Flow::Call)
            }
        }
    },
    stopped => |_| Ok(Flow::Stay),
    // The injected address leads out of special pool.
    astray, call EX_FREE_LEGACY => |p| {
        let (block, tag) = (p.local(0)?, p.local(1)?);
        p.pass([block, tag]);
        Ok(Flow::Call)
    },
    astray_done => |_| Ok(Flow::Return),
    unmap, call MM_REPLACE_ENTRY => |p| {
        let block = p.local(0)?;
        let number = block.wrapping_sub(SPECIAL_POOL) / SLOT_BYTES;
        let word = p.load_at(slot_at(number), Structure::PoolFreeList)?;
        let words = (word >> 16 & 0xffff).div_ceil(8);
        // As above: what is announced has to be there.
        if word & IS_PAGED != 0 {
            p.load_at(block, Structure::PoolBlock)?;
        }
        // The frame is the pool's again before it is nobody's.
        for kind in [EventKind::Release, EventKind::Grant] {
            p.announce_range(kind, Principal::KERNEL, Structure::PoolBlock, block, words);
        }
        p.pass([slot_page(number), FREED]);
        Ok(Flow::Call)
    },
    slot, call MM_FREE_FRAME => |p| {
        let (entry, block) = (p.result(), p.local(0)?);
        give_slot(p, block.wrapping_sub(SPECIAL_POOL) / SLOT_BYTES)?;
        // Trimmed since, it still names its frame.
        if entry & (PRESENT | TRIMMED) == 0 {
            return Ok(Flow::Return);
        }
        p.pass([(entry & ADDRESS) >> 12, ANY_ENTRY, 0]);
        Ok(Flow::Call)
    },
    done => |_| Ok(Flow::Return),
}
