//! Blocks within a page: cut, handed out, taken back, merged.
//!
//! A page is a row of blocks, each with a [`header`]; free blocks of 32 bytes and more are on one of
//! eight lists, linked both ways through the first two words of their bodies. What is found wrong is
//! said in the words of the generation ([`Generation`]); where it is looked for is the same in both:
//! an allocation looks at the blocks it passes on the list and at the links of the one it takes, a
//! free at the block's own header and both neighbours'. Nothing looks at anything else.

use crate::base::{EventKind, Principal, Structure};
use crate::injection::{PointKind, Verdict};
use crate::kernel::configured::configured;
use crate::machine::{Flow, Processor, Trap};

use super::super::layout::{switches, verifier as options};
use super::super::pool::hand_out;
use super::super::verifier;
use super::damage::{self, Damage, Request};
use super::header::{self, BLOCK_MAX, BYTES, Header, LISTED_MIN, UNIT};
use super::lists::{
    announce_header, key, put_header, put_on_list, read_link, tell_next, unlink, words_at,
};
use super::state::{Arena, LISTS, list_of, page};

/// A way of saying what is wrong.
pub trait Generation {
    /// Code and parameters.
    fn stops_with(damage: Damage) -> [u64; 5];
}

/// What a step of the allocator comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ruling {
    /// On with the step behind it.
    On,
    /// The same step again.
    Again,
    /// It is another case: the step for that.
    Aside,
    /// The machine stops: code and parameters.
    Stop([u64; 5]),
}

/// Where a ruling leads: the step for "on", the step for another case.
pub(super) fn go(p: &mut Processor<'_>, ruling: Ruling, on: u8, aside: u8) -> Flow {
    match ruling {
        Ruling::On => Flow::To(on),
        Ruling::Again => Flow::Stay,
        Ruling::Aside => Flow::To(aside),
        Ruling::Stop(parameters) => {
            p.pass(parameters);
            Flow::Call
        }
    }
}

/// Levels from which on paged pool must not be touched, and from above which no pool.
const APC_LEVEL: u64 = 1;
const DISPATCH_LEVEL: u64 = 2;

/// Locals of both routines.
pub(super) mod local {
    pub(in super::super) const SIZE: u64 = 0;
    pub(in super::super) const TAG: u64 = 1;
    pub(in super::super) const FLAGS: u64 = 2;
    pub(in super::super) const BLOCK: u64 = 3;
    pub(in super::super) const LIST: u64 = 4;
    pub(in super::super) const ENTRY: u64 = 5;
    pub(in super::super) const PASSED: u64 = 6;
}

/// Blocks that one search passes at most: all that the pool's pages can hold. A list that leads in a
/// circle past its head ends there, as an allocation that fails.
const PASSED_MAX: u64 = 24 * 4096 / LISTED_MIN;

/// Touches each page of a pool that may be away, so that no step is made twice that has written before.
/// Too high a level is found by what comes next.
fn bring_in(p: &mut Processor<'_>, arena: Arena) -> Result<(), Trap> {
    if arena.kind == Arena::NONPAGED.kind
        || configured(p)? & switches::PAGEABLE == 0
        || p.irql()? > APC_LEVEL
    {
        return Ok(());
    }
    for page in 0..arena.pages {
        p.load_at(arena.base + page * 4096, Structure::PoolHeader)?;
    }
    Ok(())
}

/// The machine stops over a bad request: as Driver Verifier has it, where that looks, or the pool.
fn refused<G: Generation>(p: &mut Processor<'_>, request: Request) -> Result<Option<Ruling>, Trap> {
    let level = p.irql()?;
    let found = verifier::is_on(p, options::AUTOMATIC)?.then(|| damage::verified(request, level));
    let parameters = found.flatten().unwrap_or_else(|| G::stops_with(Damage::Request(request)));
    Ok(Some(Ruling::Stop(parameters)))
}

/// First of all: what is asked for, and whether it is a block. `Aside`: it is whole pages.
pub(super) fn ask<G: Generation>(p: &mut Processor<'_>) -> Result<Option<Ruling>, Trap> {
    let (asked, tag, flags) = (p.argument(0), p.argument(1), p.argument(2));
    bring_in(p, Arena::with_flags(flags))?;
    let (operation, verdict) = p.pass_point(PointKind::Allocate, tag, asked)?;
    if verdict == Verdict::Skip || verifier::refuses_allocation(p)? {
        return Ok(None);
    }
    let bytes = operation.value;
    let arena = Arena::with_flags(flags);
    if bytes == 0 {
        return refused::<G>(p, Request::NoBytes(arena.kind, tag));
    }
    let level = p.irql()?;
    if level > if arena.kind == 1 { APC_LEVEL } else { DISPATCH_LEVEL } {
        return refused::<G>(p, Request::LevelAtAllocation(level, arena.kind, bytes));
    }
    let as_meant = [
        (local::TAG, tag & 0xffff_ffff),
        (local::FLAGS, flags),
        (local::ENTRY, 0),
        (local::PASSED, 0),
    ];
    for (local, value) in as_meant {
        p.set_local_for(local, value, value)?;
    }
    let (size, meant) = (size_for(bytes), size_for(asked));
    p.set_local_for(local::SIZE, size, meant)?;
    if bytes > BLOCK_MAX - BYTES {
        return Ok(Some(Ruling::Aside));
    }
    p.set_local_for(local::LIST, list_of(size), list_of(meant))?;
    Ok(Some(Ruling::On))
}

/// What is looked for when these bytes are asked for: a block with its header, or whole pages.
fn size_for(bytes: u64) -> u64 {
    if bytes > BLOCK_MAX - BYTES {
        return bytes;
    }
    (bytes.next_multiple_of(UNIT) + BYTES).max(LISTED_MIN)
}

/// Looks at one block of a list, or goes to the next list. `On`: it is taken. `Aside`: no list has
/// one.
pub(super) fn look<G: Generation>(p: &mut Processor<'_>) -> Result<Ruling, Trap> {
    let (list, size) = (p.local(local::LIST)?, p.local(local::SIZE)?);
    let arena = Arena::with_flags(p.local(local::FLAGS)?);
    if list >= LISTS {
        return Ok(Ruling::Aside);
    }
    let head = arena.head(list);
    let last = p.local(local::ENTRY)?;
    let from = if last == 0 { head } else { last };
    let entry = read_link(p, from)?;
    let passed = p.local(local::PASSED)?;
    p.set_local(local::PASSED, passed.wrapping_add(1))?;
    if entry == head || passed >= PASSED_MAX {
        p.set_local(local::LIST, if passed >= PASSED_MAX { LISTS } else { list + 1 })?;
        p.set_local(local::ENTRY, 0)?;
        return Ok(Ruling::Again);
    }
    // An encoded link that was overwritten leads nowhere; a plain one is followed.
    let key = key(p)?;
    if key != 0 && Arena::holding(entry).is_none() {
        return Ok(Ruling::Stop(G::stops_with(Damage::FreeList(from, entry, 0, last != 0))));
    }
    let at = entry.wrapping_sub(BYTES);
    let words = words_at(p, at, key)?;
    let header = match header::open(key, at, words) {
        Ok(header) => header,
        Err(which) => {
            return Ok(Ruling::Stop(G::stops_with(Damage::Undecodable(at, which, false))));
        }
    };
    if header.kind != header::FREE || header.size < LISTED_MIN {
        return Ok(Ruling::Stop(G::stops_with(Damage::FreeHeader(at))));
    }
    p.set_local(local::ENTRY, entry)?;
    if header.size < size {
        return Ok(Ruling::Again);
    }
    p.set_local(local::BLOCK, at)?;
    Ok(Ruling::On)
}

/// Takes the block that was found; what is left of it becomes a free block.
pub(super) fn cut<G: Generation>(p: &mut Processor<'_>) -> Result<Ruling, Trap> {
    let (at, size, tag) = (p.local(local::BLOCK)?, p.local(local::SIZE)?, p.local(local::TAG)?);
    if let Some(stop) = unlink::<G>(p, at)? {
        return Ok(Ruling::Stop(stop));
    }
    let key = key(p)?;
    let words = words_at(p, at, key)?;
    let Ok(found) = header::open(key, at, words) else { return Ok(Ruling::Again) };
    let arena = Arena::with_flags(p.local(local::FLAGS)?);
    let in_use = Header { size, kind: header::IN_USE + arena.kind, tag, ..found };
    split(p, at, found.size, in_use)?;
    Ok(Ruling::On)
}

/// Writes the header of a block that is handed out and makes a free block of what is left.
fn split(p: &mut Processor<'_>, at: u64, whole: u64, taken: Header) -> Result<(), Trap> {
    let left = whole.saturating_sub(taken.size);
    if left == 0 {
        return put_header(p, at, &taken);
    }
    let rest = at.wrapping_add(taken.size);
    put_header(p, at, &taken)?;
    announce_header(p, EventKind::Grant, rest);
    let header = Header { before: taken.size, size: left, kind: header::FREE, tag: 0 };
    put_header(p, rest, &header)?;
    put_on_list(p, rest, left)?;
    tell_next(p, rest.wrapping_add(left), left)
}

/// Cuts the block from a page that was in no use. `Aside`: there is no such page.
pub(super) fn grow(p: &mut Processor<'_>) -> Result<Ruling, Trap> {
    let (size, tag) = (p.local(local::SIZE)?, p.local(local::TAG)?);
    let arena = Arena::with_flags(p.local(local::FLAGS)?);
    let Some(at) = arena.free_pages(p, 1)? else { return Ok(Ruling::Aside) };
    arena.set_page(p, at, page::SMALL)?;
    announce_header(p, EventKind::Grant, at);
    split(p, at, 4096, Header { before: 0, size, kind: header::IN_USE + arena.kind, tag })?;
    p.set_local(local::BLOCK, at)?;
    Ok(Ruling::On)
}

/// Hands the block out, zeroed. Result: its address.
pub(super) fn give(p: &mut Processor<'_>) -> Result<u64, Trap> {
    let (at, flags) = (p.local(local::BLOCK)?, p.local(local::FLAGS)?);
    let block = at.wrapping_add(BYTES);
    let key = key(p)?;
    let words = words_at(p, at, key)?;
    let size = header::open(key, at, words).map_or(BYTES, |header| header.size);
    let count = size.saturating_sub(BYTES) / 8;
    hand_out(p, block, count, flags)?;
    Ok(block)
}

/// First of all: what is freed. `Aside`: it begins a page, so it is a large allocation.
pub(super) fn ask_back<G: Generation>(p: &mut Processor<'_>) -> Result<Option<Ruling>, Trap> {
    let (asked, meant) = (p.argument(0), p.argument(1));
    bring_in(p, Arena::holding(asked).unwrap_or(Arena::NONPAGED))?;
    let (operation, verdict) = p.pass_point(PointKind::Free, asked, meant)?;
    if verdict == Verdict::Skip {
        return Ok(None);
    }
    let (block, tag) = (operation.virt, operation.value);
    if block >> 63 == 0 {
        return refused::<G>(p, Request::UserAddress(block));
    }
    let Some(arena) = Arena::holding(block) else {
        return refused::<G>(p, Request::NotPool(block));
    };
    let level = p.irql()?;
    if level > if arena.kind == 1 { APC_LEVEL } else { DISPATCH_LEVEL } {
        return refused::<G>(p, Request::LevelAtFree(level, arena.kind, block));
    }
    p.set_local_for(local::TAG, tag & 0xffff_ffff, meant & 0xffff_ffff)?;
    p.set_local_for(local::BLOCK, block.wrapping_sub(BYTES), asked.wrapping_sub(BYTES))?;
    if block.is_multiple_of(4096) {
        p.set_local_for(local::BLOCK, block, asked)?;
        return Ok(Some(Ruling::Aside));
    }
    Ok(Some(Ruling::On))
}

/// Looks at the header of the block that is freed and at its neighbours'.
pub(super) fn inspect<G: Generation>(p: &mut Processor<'_>) -> Result<Ruling, Trap> {
    let (at, given) = (p.local(local::BLOCK)?, p.local(local::TAG)?);
    let block = at.wrapping_add(BYTES);
    let stop = |damage| Ok(Ruling::Stop(G::stops_with(damage)));
    let key = key(p)?;
    let words = words_at(p, at, key)?;
    let header = match header::open(key, at, words) {
        Ok(header) => header,
        Err(which) => {
            let another = another_is_bad(p, at, key)?;
            return stop(Damage::Undecodable(at, which, another));
        }
    };
    if header.kind == header::FREE {
        return stop(Damage::AlreadyFree(block, words.0));
    }
    if !header.is_in_use() {
        return stop(Damage::Header(at, words.0));
    }
    if header.tag != given {
        return stop(Damage::Request(Request::WrongTag(block, header.tag, given)));
    }
    let within = at % 4096;
    if header.before > within {
        return stop(Damage::BeforeTooLarge(at));
    }
    if header.size == 0 {
        return stop(Damage::NoSize(at));
    }
    if within + header.size > 4096 {
        return stop(Damage::TooLarge(at));
    }
    if header.before != 0 {
        let before = at - header.before;
        let words = words_at(p, before, key)?;
        match header::open(key, before, words) {
            Ok(other) if other.size == header.before => {}
            Ok(_) => return stop(Damage::BeforeDisagrees(at, before)),
            Err(which) => return stop(Damage::Undecodable(before, which, false)),
        }
    }
    let next = at.wrapping_add(header.size);
    if !next.is_multiple_of(4096) {
        let words = words_at(p, next, key)?;
        let tells = header::open(key, next, words).map(|next| next.before);
        if tells != Ok(header.size) {
            return stop(Damage::NextDisagrees(at, next));
        }
    }
    p.set_local(local::SIZE, header.size)?;
    Ok(Ruling::On)
}

/// Whether a header before this one in its page does not decode either.
fn another_is_bad(p: &mut Processor<'_>, at: u64, key: u64) -> Result<bool, Trap> {
    let mut other = at & !0xfff;
    while other < at {
        let words = words_at(p, other, key)?;
        match header::open(key, other, words) {
            Ok(header) if header.size > 0 => other += header.size,
            _ => return Ok(true),
        }
    }
    Ok(false)
}

/// Frees a block that was looked at: merges it with free neighbours and puts it on its list. A page
/// that is one free block is in no use any more.
pub(super) fn merge<G: Generation>(p: &mut Processor<'_>) -> Result<Ruling, Trap> {
    let (mut at, mut size) = (p.local(local::BLOCK)?, p.local(local::SIZE)?);
    let key = key(p)?;
    let body = at.wrapping_add(BYTES);
    let next = at.wrapping_add(size);
    if !next.is_multiple_of(4096) {
        let words = words_at(p, next, key)?;
        if let Ok(header) = header::open(key, next, words)
            && header.kind == header::FREE
            && header.size > 0
        {
            if header.size >= LISTED_MIN
                && let Some(stop) = unlink::<G>(p, next)?
            {
                return Ok(Ruling::Stop(stop));
            }
            announce_header(p, EventKind::Release, next);
            size = size.wrapping_add(header.size);
        }
    }
    let words = words_at(p, at, key)?;
    let own = header::open(key, at, words).unwrap_or(Header { before: 0, size, kind: 0, tag: 0 });
    let mut before = own.before;
    let freed = (own.size.saturating_sub(BYTES)) / 8;
    if own.before != 0 {
        let previous = at.wrapping_sub(own.before);
        let words = words_at(p, previous, key)?;
        if let Ok(header) = header::open(key, previous, words)
            && header.kind == header::FREE
        {
            if header.size >= LISTED_MIN
                && let Some(stop) = unlink::<G>(p, previous)?
            {
                return Ok(Ruling::Stop(stop));
            }
            announce_header(p, EventKind::Release, at);
            (at, size, before) = (previous, size.wrapping_add(own.before), header.before);
        }
    }
    p.announce_range(EventKind::Release, Principal::KERNEL, Structure::PoolFreeList, body, freed);
    if size >= 4096
        && let Some(arena) = Arena::holding(at)
    {
        announce_header(p, EventKind::Release, at);
        arena.set_page(p, at, page::FREE)?;
        return Ok(Ruling::On);
    }
    put_header(p, at, &Header { before, size, kind: header::FREE, tag: 0 })?;
    put_on_list(p, at, size)?;
    tell_next(p, at.wrapping_add(size), size)?;
    Ok(Ruling::On)
}
