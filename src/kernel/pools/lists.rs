//! Headers and links as they stand in memory: read, written, taken off a list and put on one.

use crate::base::{EventKind, Principal, Structure};
use crate::machine::{Processor, Trap};

use super::blocks::Generation;
use super::damage::Damage;
use super::header::{self, BYTES, Header, LISTED_MIN};
use super::state::{Arena, KEY, STATE, list_of};

/// What headers and links are encoded with.
pub(super) fn key(p: &mut Processor<'_>) -> Result<u64, Trap> {
    p.load(STATE, KEY)
}

/// The words of a header.
pub(super) fn words_at(p: &mut Processor<'_>, at: u64, key: u64) -> Result<(u64, u64), Trap> {
    let first = p.load_at(at, Structure::PoolHeader)?;
    let second = if key == 0 { 0 } else { p.load_at(at.wrapping_add(8), Structure::PoolHeader)? };
    Ok((first, second))
}

/// Writes a header.
pub(super) fn put_header(p: &mut Processor<'_>, at: u64, header: &Header) -> Result<(), Trap> {
    let key = key(p)?;
    let (first, second) = header::seal(key, at, header);
    p.store_at(at, Structure::PoolHeader, first)?;
    match second {
        Some(second) => p.store_at(at.wrapping_add(8), Structure::PoolHeader, second),
        None => Ok(()),
    }
}

/// Where a link leads.
pub(super) fn read_link(p: &mut Processor<'_>, at: u64) -> Result<u64, Trap> {
    let key = key(p)?;
    let value = p.load_at(at, Structure::PoolFreeList)?;
    Ok(header::link(key, at, value))
}

/// Lets a link lead somewhere.
pub(super) fn write_link(p: &mut Processor<'_>, at: u64, to: u64) -> Result<(), Trap> {
    let key = key(p)?;
    p.store_at(at, Structure::PoolFreeList, header::link(key, at, to))
}

/// Announces a header.
pub(super) fn announce_header(p: &mut Processor<'_>, kind: EventKind, at: u64) {
    p.announce_range(kind, Principal::KERNEL, Structure::PoolHeader, at, BYTES / 8);
}

/// Announces the links of a free block.
pub(super) fn announce_links(p: &mut Processor<'_>, kind: EventKind, at: u64) {
    p.announce_range(kind, Principal::KERNEL, Structure::PoolFreeList, at, 2);
}

/// Takes a free block off its list, or says what is wrong with the list.
pub(super) fn unlink<G: Generation>(
    p: &mut Processor<'_>,
    at: u64,
) -> Result<Option<[u64; 5]>, Trap> {
    let key = key(p)?;
    let entry = at.wrapping_add(BYTES);
    let next = read_link(p, entry)?;
    let previous = read_link(p, entry.wrapping_add(8))?;
    let is_place =
        |at: u64| key == 0 || Arena::holding(at).is_some() || at.wrapping_sub(STATE) < 4096;
    if !is_place(next) || !is_place(previous) {
        return Ok(Some(G::stops_with(Damage::FreeList(entry, next, previous, true))));
    }
    let back = read_link(p, next.wrapping_add(8))?;
    let forward = read_link(p, previous)?;
    if back != entry || forward != entry {
        return Ok(Some(G::stops_with(Damage::FreeList(entry, forward, back, true))));
    }
    write_link(p, previous, next)?;
    write_link(p, next.wrapping_add(8), previous)?;
    announce_links(p, EventKind::Release, entry);
    Ok(None)
}

/// Puts a free block whose header is written on its list.
pub(super) fn put_on_list(p: &mut Processor<'_>, at: u64, size: u64) -> Result<(), Trap> {
    if size < LISTED_MIN {
        return Ok(());
    }
    let Some(arena) = Arena::holding(at) else { return Ok(()) };
    let (head, entry) = (arena.head(list_of(size)), at.wrapping_add(BYTES));
    let first = read_link(p, head)?;
    announce_links(p, EventKind::Grant, entry);
    write_link(p, entry, first)?;
    write_link(p, entry.wrapping_add(8), head)?;
    write_link(p, first.wrapping_add(8), entry)?;
    write_link(p, head, entry)
}

/// Tells the block behind one that ends at `next` how large that is, if there is a block behind.
pub(super) fn tell_next(p: &mut Processor<'_>, next: u64, size: u64) -> Result<(), Trap> {
    if next.is_multiple_of(4096) {
        return Ok(());
    }
    let key = key(p)?;
    let words = words_at(p, next, key)?;
    match header::open(key, next, words) {
        Ok(header) => put_header(p, next, &Header { before: size, ..header }),
        // Nobody looked at it yet; whoever does will find it.
        Err(_) => Ok(()),
    }
}
