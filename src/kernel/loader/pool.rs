//! The pool at boot: its pages, its variables, the first blocks.

use crate::base::{Principal, Seed, Structure};
use crate::kernel::layout::{POOL_HEADER_BYTES, address, kernel_data, pool_header};
use crate::kernel::paging::SYSTEM_RW;
use crate::kernel::pools::PoolKind;
use crate::kernel::pools::header::{self, FREE, Header, LISTED_MIN, UNIT};
use crate::kernel::pools::state::{
    Arena, HEADS, KEY, LISTS, PAGED_PAGES, PAGED_POOL, SLOT_BYTES, SPECIAL_POOL, SPECIAL_SLOTS,
    STATE, STATE_WORDS, list_of, page,
};

use super::Loader;

/// Sizes of blocks with their headers in the pool of four classes.
const CLASSES: [u64; 4] = [64, 128, 256, 512];
const IN_USE: u64 = 1 << 32;

/// Which pool, and what it draws at boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PoolSetup {
    /// Which one.
    pub kind: PoolKind,
    /// What headers are encoded with; 0: they are not.
    pub key: u64,
}

impl PoolSetup {
    /// A pool of this kind, with what it draws from the world's seed.
    #[must_use]
    pub fn of(kind: PoolKind, seed: u64) -> Self {
        let key = if kind.is_encoded() { Seed(seed).stream("pool-key", 0).word() | 1 } else { 0 };
        Self { kind, key }
    }
}

impl Loader<'_> {
    /// The pages and variables that a generation of the pool has beside the usual ones.
    pub(super) fn make_pool(&mut self) {
        if self.pool.kind.is_usual() {
            return;
        }
        self.map_pages(STATE, 1, Structure::KernelData, SYSTEM_RW);
        self.claim(STATE, STATE_WORDS, Structure::PoolFreeList, Principal::KERNEL);
        self.map_pages(PAGED_POOL, PAGED_PAGES, Structure::Free, SYSTEM_RW);
        if self.pool.kind == PoolKind::Special {
            // The tables are there; of the pages none is, until a block needs it.
            for page in 0..SPECIAL_SLOTS * SLOT_BYTES / 4096 {
                self.map_absent(SPECIAL_POOL + page * 4096);
            }
        }
        let key = self.pool.key;
        self.put(STATE, KEY, key);
        for list in 0..2 * LISTS {
            let head = STATE + HEADS.offset + list * 16;
            self.write(head, header::link(key, head, head));
            self.write(head + 8, header::link(key, head + 8, head));
        }
    }

    /// Carves a pool block.
    ///
    /// # Panics
    ///
    /// When it is too large for the pool.
    pub fn pool_block(&mut self, bytes: u64, tag: u64) -> u64 {
        if !self.pool.kind.is_usual() {
            return self.generation_block(bytes, tag);
        }
        let size = class_of(bytes);
        let next = self.pool_next;
        let start = if next % 4096 + size > 4096 { (next | 0xfff) + 1 } else { next };
        let before = if start.is_multiple_of(4096) { 0 } else { self.last_carved };
        if start != next {
            self.claim(next, 2, Structure::PoolHeader, Principal::KERNEL);
            self.put(next, pool_header::SIZES, (start - next) | self.last_carved << 16);
        }
        self.pool_next = start + size;
        self.last_carved = size;
        self.claim(start, 2, Structure::PoolHeader, Principal::KERNEL);
        self.put(start, pool_header::SIZES, size | before << 16 | IN_USE);
        self.put(start, pool_header::TAG, tag);
        start + POOL_HEADER_BYTES
    }

    /// Words of the block that this many bytes get.
    pub(super) fn pool_words(&self, bytes: u64) -> u64 {
        let size = if self.pool.kind.is_usual() { class_of(bytes) } else { size_of(bytes) };
        (size - POOL_HEADER_BYTES) / 8
    }

    fn generation_block(&mut self, bytes: u64, tag: u64) -> u64 {
        let size = size_of(bytes);
        if self.pool_next % 4096 + size > 4096 {
            self.close_page();
        }
        let start = self.pool_next;
        let before = if start.is_multiple_of(4096) { 0 } else { self.last_carved };
        self.put_pool_header(start, &Header { before, size, kind: header::IN_USE, tag });
        self.pool_next = start + size;
        self.last_carved = size;
        start + header::BYTES
    }

    fn put_pool_header(&mut self, at: u64, header: &Header) {
        self.claim(at, 2, Structure::PoolHeader, Principal::KERNEL);
        let (first, second) = header::seal(self.pool.key, at, header);
        self.write(at, first);
        if let Some(second) = second {
            self.write(at + 8, second);
        }
        self.write(Arena::NONPAGED.descriptor(at), page::SMALL);
    }

    /// What is left of the page becomes a free block.
    fn close_page(&mut self) {
        let (at, key) = (self.pool_next, self.pool.key);
        let size = at.next_multiple_of(4096) - at;
        self.pool_next = at + size;
        if size < UNIT {
            return;
        }
        let before = self.last_carved;
        self.put_pool_header(at, &Header { before, size, kind: FREE, tag: 0 });
        if size < LISTED_MIN {
            return;
        }
        let (head, entry) = (Arena::NONPAGED.head(list_of(size)), at + header::BYTES);
        self.claim(entry, 2, Structure::PoolFreeList, Principal::KERNEL);
        let read = |loader: &Self, at| header::link(key, at, loader.word(at));
        let first = read(self, head);
        for (at, to) in [(entry, first), (entry + 8, head), (first + 8, entry), (head, entry)] {
            self.write(at, header::link(key, at, to));
        }
    }

    /// Closes the pool's books.
    pub(super) fn close_pool(&mut self) {
        if !self.pool.kind.is_usual() {
            self.close_page();
            return;
        }
        let (next, last) = (self.pool_next, self.last_carved);
        self.put(address::KERNEL_DATA, kernel_data::POOL_NEXT, next);
        self.write(address::KERNEL_DATA + 0x620, last);
    }
}

fn class_of(bytes: u64) -> u64 {
    *CLASSES
        .iter()
        .find(|&&size| bytes + POOL_HEADER_BYTES <= size)
        .expect("boot objects fit a pool block")
}

const fn size_of(bytes: u64) -> u64 {
    bytes.next_multiple_of(UNIT) + header::BYTES
}
