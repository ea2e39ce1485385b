//! What is left of the last page of a large allocation of the legacy pool.

use crate::base::{EventKind, Structure};
use crate::machine::{Processor, Trap};

use super::blocks::Generation;
use super::header::{self, BYTES, Header, LISTED_MIN};
use super::lists::{announce_header, key, put_header, put_on_list, tell_next, unlink, words_at};
use super::state::{Arena, page};

/// Makes a free block of it.
pub(super) fn make(p: &mut Processor<'_>, at: u64) -> Result<(), Trap> {
    let size = at.next_multiple_of(4096) - at;
    if size < BYTES {
        return Ok(());
    }
    announce_header(p, EventKind::Grant, at);
    put_header(p, at, &Header { before: 0, size, kind: header::FREE, tag: 0 })?;
    put_on_list(p, at, size)
}

/// The first word there, where it can't be that of a page's first block.
pub(super) fn changed(p: &mut Processor<'_>, at: u64) -> Result<Option<u64>, Trap> {
    let room = at.next_multiple_of(4096) - at;
    if room < BYTES {
        return Ok(None);
    }
    let word = p.load_at(at, Structure::PoolHeader)?;
    let good = header::open(0, at, (word, 0)).is_ok_and(|header| {
        let is_kind = header.kind == header::FREE || header.is_in_use();
        header.before == 0 && is_kind && (BYTES..=room).contains(&header.size)
    });
    Ok((!good).then_some(word))
}

/// The large allocation before it is no more: if the tail is free the page is, otherwise what was
/// in front of it becomes a free block.
pub(super) fn outlive<G: Generation>(
    p: &mut Processor<'_>,
    arena: Arena,
    at: u64,
) -> Result<Option<[u64; 5]>, Trap> {
    let start = at & !0xfff;
    let (front, room) = (at - start, at.next_multiple_of(4096) - at);
    if room < BYTES {
        return Ok(None);
    }
    let key = key(p)?;
    let words = words_at(p, at, key)?;
    if let Ok(header) = header::open(key, at, words)
        && header.kind == header::FREE
        && header.size == room
    {
        if room >= LISTED_MIN
            && let Some(stop) = unlink::<G>(p, at)?
        {
            return Ok(Some(stop));
        }
        announce_header(p, EventKind::Release, at);
        return Ok(None);
    }
    arena.set_page(p, start, page::SMALL)?;
    announce_header(p, EventKind::Grant, start);
    put_header(p, start, &Header { before: 0, size: front, kind: header::FREE, tag: 0 })?;
    put_on_list(p, start, front)?;
    tell_next(p, at, front)?;
    Ok(None)
}
