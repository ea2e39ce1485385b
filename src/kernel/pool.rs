//! Nonpaged pool: blocks with inline headers, in four size classes.
//!
//! A block's header tells its size and the size of the block before it; freeing compares with the
//! neighbour ("The Windows Kernel Pool" legacy layout as the debugger documentation of bug check
//! 0x19 describes it: neighbours that disagree). Free blocks are linked through their first word,
//! plain, so that a wild write to a free block is a wild allocation later.

use crate::base::{EventKind, Principal, Rule, Structure};
use crate::injection::{PointKind, Verdict};
use crate::kernel::configured::configured;
use crate::machine::{Flow, Processor, Routine, Trap, routine};

use super::bug_check::{KE_BUG_CHECK, bug_checks};
use super::code_integrity::of_allocation;
use super::layout::{
    POOL_HEADER_BYTES, address, element, kernel_data, pool_header, pool_lists, switches,
};
use super::pools;
use super::verified::verified_routine;
use super::verifier;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "pool-header-inline",
        "A legacy pool block has a header in front that tells its size, its neighbour's and its tag.",
        "Bug Check 0x19: BAD_POOL_HEADER",
    ),
    Rule::documented(
        "pool-checked-at-free",
        "A damaged header is found when a block is freed, not when it is damaged.",
        "Bug Check 0x19: BAD_POOL_HEADER",
    ),
    Rule::documented(
        "pool-tag-compared",
        "Freeing with another tag is 0xC2 with 0xA.",
        "Bug Check 0xC2: BAD_POOL_CALLER",
    ),
    Rule::documented(
        "pool-double-free-stops",
        "Freeing a free block is 0xC2 with 7.",
        "Bug Check 0xC2: BAD_POOL_CALLER",
    ),
    Rule::documented(
        "pool-memory-zeroed",
        "Memory comes zeroed unless it is asked for uninitialised.",
        "ExAllocatePool2",
    ),
    Rule::chosen(
        "pool-size-classes",
        "Blocks come in four sizes and headers have 16 bytes.",
        "this model: the header's size is in no public page",
    ),
];

bug_checks! {
    NEIGHBOURS_DISAGREE: BAD_POOL_HEADER, parameter 1 = 5,
    when "a block is freed and the next one's header tells another size of it",
    parameters "what: neighbours disagree", "block", "reserved", "next block",
    source "Bug Check 0x19: BAD_POOL_HEADER" documented;

    SIZE_UNKNOWN: BAD_POOL_HEADER, parameter 1 = 0x20,
    when "a block is freed and its header tells a size that no block has",
    parameters "what: size and next block", "block", "next block by its size", "reserved",
    source "Bug Check 0x19: BAD_POOL_HEADER" documented;

    ALREADY_FREE: BAD_POOL_CALLER, parameter 1 = 7,
    when "a block is freed that is free",
    parameters "what: double free", "reserved", "header", "block",
    source "Bug Check 0xC2: BAD_POOL_CALLER" documented;

    WRONG_TAG: BAD_POOL_CALLER, parameter 1 = 0xa,
    when "a block is freed with another tag than it was allocated with",
    parameters "what: wrong tag", "block", "its tag", "tag given",
    source "Bug Check 0xC2: BAD_POOL_CALLER" documented;
}

/// Whether a routine is the pool's own: a fault in one is blamed on who damaged the pool.
#[must_use]
pub fn is_pool(routine: &'static Routine) -> bool {
    let usual: [&Routine; 3] = [&EX_ALLOCATE_POOL, &EX_ALLOCATE_POOL_VERIFIED, &EX_FREE_POOL];
    usual.into_iter().chain(pools::routines()).any(|own| core::ptr::eq(own, routine))
}

/// Flag of an allocation: memory as it is, what was freed before still in it (`POOL_FLAG_UNINITIALIZED`; what
/// `ExAllocatePoolWithTag` always gave).
pub const UNINITIALISED: u64 = 1 << 33;

/// Sizes of blocks with their headers, smallest first.
const CLASSES: [u64; 4] = [64, 128, 256, 512];
const IN_USE: u64 = 1 << 32;
/// The word the size of the last carved block is kept in, behind the free lists.
const LAST_CARVED: crate::base::Field =
    crate::base::Field::new(Structure::PoolFreeList, 0x620, "last carved pool block size");

/// Announces words as what the allocator was called for, and zeroes them unless the flags say otherwise. Where
/// the stack doesn't say what that was, it's the kernel's.
pub(super) fn hand_out(
    p: &mut Processor<'_>,
    block: u64,
    words: u64,
    flags: u64,
) -> Result<(), Trap> {
    let (structure, caller) = p
        .called_for()
        .map_or((Structure::PoolBlock, Principal::KERNEL), |call| (call.structure, call.caller));
    p.announce_range(EventKind::Grant, Principal::KERNEL, structure, block, words);
    if flags & UNINITIALISED == 0 {
        p.fill(block, structure, 0, words)?;
    }
    if caller != Principal::KERNEL {
        p.announce_range(EventKind::Grant, caller, structure, block, words);
    }
    Ok(())
}

verified_routine! {
    /// Hands out a block of what it is called for, to its caller. Arguments: bytes, tag, flags. Result: its
    /// address, 0 when there is none.
    EX_ALLOCATE_POOL, EX_ALLOCATE_POOL_VERIFIED = "ExAllocatePool2", frame 4, by of_allocation;
    start => |p| {
        let (bytes, tag, flags) = (p.argument(0), p.argument(1), p.argument(2));
        let (operation, verdict) = p.pass_point(PointKind::Allocate, tag, bytes)?;
        if verdict == Verdict::Skip || verifier::refuses_allocation(p)? {
            return Ok(p.give_back(0));
        }
        let class_of = |bytes| CLASSES.iter().position(|&size| bytes <= size - POOL_HEADER_BYTES);
        let Some(class) = class_of(operation.value) else {
            return Ok(p.give_back(0));
        };
        p.set_local_for(0, class as u64, class_of(bytes).map_or(u64::MAX, |class| class as u64))?;
        p.set_local_for(1, tag, tag)?;
        p.set_local_for(2, flags, flags)?;
        Ok(Flow::Next)
    },
    unlink => |p| {
        let class = p.local(0)? & 3;
        let list = element(address::KERNEL_DATA, class);
        let block = p.load(list, pool_lists::FREE_64)?;
        if block == 0 {
            return Ok(Flow::To(At::carve as u8));
        }
        let next = p.load_at(block, Structure::PoolFreeList)?;
        p.store(list, pool_lists::FREE_64, next)?;
        p.set_local(3, block)?;
        Ok(Flow::To(At::mark as u8))
    },
    carve => |p| {
        let size = CLASSES[(p.local(0)? & 3) as usize];
        let next = p.load(address::KERNEL_DATA, kernel_data::POOL_NEXT)?;
        // A block lies within one page.
        let start = if next % 4096 + size > 4096 { (next | 0xfff).wrapping_add(1) } else { next };
        let end = start.wrapping_add(size);
        if end > address::POOL + address::POOL_PAGES * 4096 {
            return Ok(p.give_back(0));
        }
        let last = p.load(address::KERNEL_DATA, LAST_CARVED)?;
        let before = if start % 4096 == 0 { 0 } else { last };
        if start != next {
            // What is left of the page is a block that is never handed out, so that the last block's
            // neighbour has a header to compare with.
            p.announce_range(EventKind::Grant, Principal::KERNEL, Structure::PoolHeader, next, 2);
            p.store(next, pool_header::SIZES, start.wrapping_sub(next) | last << 16)?;
        }
        p.store(address::KERNEL_DATA, kernel_data::POOL_NEXT, end)?;
        p.store(address::KERNEL_DATA, LAST_CARVED, size)?;
        p.announce_range(EventKind::Grant, Principal::KERNEL, Structure::PoolHeader, start, 2);
        p.store(start, pool_header::SIZES, size | before << 16)?;
        p.set_local(3, start.wrapping_add(POOL_HEADER_BYTES))?;
        Ok(Flow::Next)
    },
    mark => |p| {
        let block = p.local(3)?;
        let tag = p.local(1)?;
        let header = block.wrapping_sub(POOL_HEADER_BYTES);
        let sizes = p.load(header, pool_header::SIZES)?;
        p.store(header, pool_header::SIZES, sizes | IN_USE)?;
        p.store(header, pool_header::TAG, tag)?;
        Ok(Flow::Next)
    },
    give => |p| {
        let block = p.local(3)?;
        let size = CLASSES[(p.local(0)? & 3) as usize];
        let flags = p.local(2)?;
        hand_out(p, block, (size - POOL_HEADER_BYTES) / 8, flags)?;
        Ok(p.give_back(block))
    },
}

routine! {
    /// Takes a block back. Arguments: its address, the tag it was allocated with.
    pub static EX_FREE_POOL = "ExFreePoolWithTag", frame 2;
    start => |p| {
        let (block, tag) = (p.argument(0), p.argument(1));
        let (operation, verdict) = p.pass_point(PointKind::Free, block, tag)?;
        if verdict == Verdict::Skip {
            return Ok(Flow::Return);
        }
        p.set_local_for(0, operation.virt, block)?;
        p.set_local_for(1, operation.value, tag)?;
        Ok(Flow::Next)
    },
    check, call KE_BUG_CHECK => |p| {
        let block = p.local(0)?;
        let tag = p.local(1)?;
        let header = block.wrapping_sub(POOL_HEADER_BYTES);
        let sizes = p.load(header, pool_header::SIZES)?;
        let found = p.load(header, pool_header::TAG)?;
        let size = sizes & 0xffff;
        if configured(p)? & switches::POOL_CHECKS == 0 {
            return Ok(Flow::To(At::unmark as u8));
        }
        if !CLASSES.contains(&size) {
            p.pass(SIZE_UNKNOWN.with([0x20, header, header.wrapping_add(size), 0]));
            return Ok(Flow::Call);
        }
        if sizes & IN_USE == 0 {
            p.pass(ALREADY_FREE.with([7, 0, sizes, block]));
            return Ok(Flow::Call);
        }
        if found != tag {
            p.pass(WRONG_TAG.with([0xa, block, found, tag]));
            return Ok(Flow::Call);
        }
        let neighbour = header.wrapping_add(size);
        let end = p.load(address::KERNEL_DATA, kernel_data::POOL_NEXT)?;
        if neighbour < end && neighbour % 4096 != 0 && p.load(neighbour, pool_header::SIZES)? >> 16 & 0xffff != size {
            p.pass(NEIGHBOURS_DISAGREE.with([5, header, 0, neighbour]));
            return Ok(Flow::Call);
        }
        Ok(Flow::To(At::unmark as u8))
    },
    stopped => |_| Ok(Flow::Stay),
    unmark => |p| {
        let block = p.local(0)?;
        let header = block.wrapping_sub(POOL_HEADER_BYTES);
        let sizes = p.load(header, pool_header::SIZES)?;
        p.store(header, pool_header::SIZES, sizes & !IN_USE)?;
        Ok(Flow::Next)
    },
    link => |p| {
        let block = p.local(0)?;
        let header = block.wrapping_sub(POOL_HEADER_BYTES);
        let size = p.load(header, pool_header::SIZES)? & 0xffff;
        let class = CLASSES.iter().position(|&known| known == size).unwrap_or(0);
        let words = (CLASSES[class] - POOL_HEADER_BYTES) / 8;
        p.announce_range(EventKind::Release, Principal::KERNEL, Structure::PoolFreeList, block, words);
        p.announce_range(EventKind::Grant, Principal::KERNEL, Structure::PoolFreeList, block, 1);
        let list = element(address::KERNEL_DATA, class as u64);
        let first = p.load(list, pool_lists::FREE_64)?;
        p.store_at(block, Structure::PoolFreeList, first)?;
        p.store(list, pool_lists::FREE_64, block)?;
        Ok(Flow::Return)
    },
}
