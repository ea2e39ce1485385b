//! Allocations of a page and more: whole pages, told by descriptors out of band.
//!
//! A large allocation begins a page and has no header. In the legacy pool what its last page has left
//! is a block like any other, so that what lies behind a large allocation may be somebody else's
//! ("ExAllocatePoolWithTag function": the tail of the last page may hold another allocation); when
//! the large one is freed, the header there is looked at. The segment heap leaves the tail alone.

use crate::base::{EventKind, Principal, Structure};
use crate::machine::{Processor, Trap};

use super::super::pool::hand_out;
use super::blocks::{Generation, Ruling, local};
use super::damage::{Damage, Request};
use super::header::UNIT;
use super::state::{Arena, KEY, STATE, page};
use super::tail;

const PAGE: u64 = 4096;
/// Bytes of a large allocation at most: what a descriptor can tell.
const BYTES_MAX: u64 = 0xffff;

/// Takes pages side by side and hands them out. Result: their address, 0 when there are none.
pub(super) fn give(p: &mut Processor<'_>) -> Result<u64, Trap> {
    let (bytes, tag) = (p.local(local::SIZE)?, p.local(local::TAG)?);
    let flags = p.local(local::FLAGS)?;
    let arena = Arena::with_flags(flags);
    let pages = bytes.div_ceil(PAGE);
    if bytes > BYTES_MAX {
        return Ok(0);
    }
    let Some(at) = arena.free_pages(p, pages)? else { return Ok(0) };
    arena.set_page(p, at, page::LARGE | pages << 8 | bytes << 16 | tag << 32)?;
    for number in 1..pages {
        arena.set_page(p, at + number * PAGE, page::LARGE_REST)?;
    }
    if p.load(STATE, KEY)? == 0 {
        tail::make(p, at + bytes.next_multiple_of(UNIT))?;
    }
    hand_out(p, at, bytes.div_ceil(8), flags)?;
    Ok(at)
}

/// Looks at a large allocation that is freed.
pub(super) fn inspect<G: Generation>(p: &mut Processor<'_>) -> Result<Ruling, Trap> {
    let (at, given) = (p.local(local::BLOCK)?, p.local(local::TAG)?);
    let stop = |damage| Ok(Ruling::Stop(G::stops_with(damage)));
    let Some(arena) = Arena::holding(at) else {
        return stop(Damage::Request(Request::NotPool(at)));
    };
    let descriptor = arena.page(p, at)?;
    let (bytes, tag) = (descriptor >> 16 & 0xffff, descriptor >> 32);
    if descriptor & 0xff != page::LARGE || bytes == 0 {
        return stop(Damage::Untracked(at));
    }
    if tag != given {
        return stop(Damage::Request(Request::WrongTag(at, tag, given)));
    }
    if p.load(STATE, KEY)? == 0
        && let Some(value) = tail::changed(p, at.wrapping_add(bytes.next_multiple_of(UNIT)))?
    {
        return stop(Damage::Tail(at, bytes, value));
    }
    p.set_local(local::SIZE, bytes)?;
    Ok(Ruling::On)
}

/// Gives its pages back; the last one stays as long as its tail is in use.
pub(super) fn take_back<G: Generation>(p: &mut Processor<'_>) -> Result<Ruling, Trap> {
    let (at, bytes) = (p.local(local::BLOCK)?, p.local(local::SIZE)?);
    let Some(arena) = Arena::holding(at) else { return Ok(Ruling::On) };
    // It was read back from the stack.
    let bytes = bytes.min(BYTES_MAX);
    let pages = bytes.div_ceil(PAGE);
    let words = bytes.div_ceil(8);
    p.announce_range(EventKind::Release, Principal::KERNEL, Structure::PoolFreeList, at, words);
    for number in 0..pages {
        arena.set_page(p, at.wrapping_add(number * PAGE), page::FREE)?;
    }
    if p.load(STATE, KEY)? == 0 {
        let tail = at.wrapping_add(bytes.next_multiple_of(UNIT));
        if let Some(stop) = tail::outlive::<G>(p, arena, tail)? {
            return Ok(Ruling::Stop(stop));
        }
    }
    Ok(Ruling::On)
}
