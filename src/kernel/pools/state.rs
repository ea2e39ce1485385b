//! Where the generations of the pool keep what they know: a page of heads and page descriptors, mapped
//! only where one of them is used.

use crate::base::{Field, Structure};
use crate::kernel::layout::address;
use crate::machine::{Processor, Trap};

/// The page with the pool's own variables.
pub const STATE: u64 = address::SYSTEM + 0x16_0000;
/// Paged pool. Its pages are resident unless somebody takes them away.
pub const PAGED_POOL: u64 = address::POOL + 0x1000_0000;
/// Pages of paged pool.
pub const PAGED_PAGES: u64 = 4;
/// Special pool: of each slot the first page is for a block, the second always absent.
pub const SPECIAL_POOL: u64 = address::POOL + 0x2000_0000;
/// Slots of special pool.
pub const SPECIAL_SLOTS: u64 = 64;
/// Bytes of a slot.
pub const SLOT_BYTES: u64 = 2 * 4096;

/// Flag of an allocation: from paged pool (`POOL_FLAG_PAGED`).
pub const PAGED: u64 = 1 << 32;

/// Lists of free blocks in each pool.
pub const LISTS: u64 = 8;

const fn word(offset: u64, name: &'static str) -> Field {
    Field::new(Structure::PoolFreeList, offset, name)
}

/// What headers and links are encoded with, drawn at boot; 0: they are plain.
pub const KEY: Field = word(0x00, "pool heap key");
/// Special slots that were used at least once.
pub const SLOTS_USED: Field = word(0x10, "special slots used");
/// The special slot that has been free longest, as its number + 1; 0: none.
pub const OLDEST_FREE: Field = word(0x18, "oldest free special slot");
/// The special slot that was freed last, as its number + 1; 0: none.
pub const NEWEST_FREE: Field = word(0x20, "newest free special slot");
/// First head of the lists of free blocks: eight of nonpaged, then eight of paged pool.
pub const HEADS: Field = word(0x40, "pool list heads");
/// First descriptor of the pages: those of nonpaged, then those of paged pool.
pub const PAGES: Field = word(0x200, "pool page descriptors");
/// First of the special slots, two words each.
pub const SLOTS: Field = word(0x400, "special slots");

/// All fields, in order of their offsets.
pub const FIELDS: &[Field] = &[KEY, SLOTS_USED, OLDEST_FREE, NEWEST_FREE, HEADS, PAGES, SLOTS];
/// Words of the page that are in use.
pub const STATE_WORDS: u64 = (SLOTS.offset + SPECIAL_SLOTS * 16) / 8;

/// What a page of the pool is, in the low byte of its descriptor.
pub mod page {
    /// In no use.
    pub const FREE: u64 = 0;
    /// Cut into blocks.
    pub const SMALL: u64 = 1;
    /// First page of a large allocation: bits 15..8 its pages, 31..16 its bytes, 63..32 its tag.
    pub const LARGE: u64 = 2;
    /// Another page of a large allocation.
    pub const LARGE_REST: u64 = 3;
}

/// One of the two pools by which blocks are addressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arena {
    /// Its first address.
    pub base: u64,
    /// Its pages.
    pub pages: u64,
    /// Its `POOL_TYPE`: 0 nonpaged, 1 paged.
    pub kind: u64,
}

impl Arena {
    /// Nonpaged pool.
    pub const NONPAGED: Self = Self { base: address::POOL, pages: address::POOL_PAGES, kind: 0 };
    /// Paged pool.
    pub const PAGED: Self = Self { base: PAGED_POOL, pages: PAGED_PAGES, kind: 1 };

    /// The one an allocation with these flags is from.
    #[must_use]
    pub const fn with_flags(flags: u64) -> Self {
        if flags & PAGED == 0 { Self::NONPAGED } else { Self::PAGED }
    }

    /// The one an address lies in.
    #[must_use]
    pub fn holding(virt: u64) -> Option<Self> {
        [Self::NONPAGED, Self::PAGED]
            .into_iter()
            .find(|arena| virt.wrapping_sub(arena.base) < arena.pages * 4096)
    }

    /// Where the head of one of its lists is.
    #[must_use]
    pub const fn head(&self, list: u64) -> u64 {
        STATE + HEADS.offset + (self.kind * LISTS + (list & 7)) * 16
    }

    /// Where the descriptor of the page is that an address within it lies in.
    #[must_use]
    pub const fn descriptor(&self, virt: u64) -> u64 {
        let number = virt.wrapping_sub(self.base) / 4096 % self.pages;
        STATE + PAGES.offset + (self.kind * address::POOL_PAGES + number) * 8
    }

    /// The descriptor of a page.
    ///
    /// # Errors
    ///
    /// What the load raises.
    pub fn page(&self, p: &mut Processor<'_>, virt: u64) -> Result<u64, Trap> {
        p.load_at(self.descriptor(virt), Structure::PoolFreeList)
    }

    /// Changes the descriptor of a page.
    ///
    /// # Errors
    ///
    /// What the store raises.
    pub fn set_page(&self, p: &mut Processor<'_>, virt: u64, to: u64) -> Result<(), Trap> {
        p.store_at(self.descriptor(virt), Structure::PoolFreeList, to)
    }

    /// The first of `count` free pages side by side; `None` when there are none.
    ///
    /// # Errors
    ///
    /// What a load raises.
    pub fn free_pages(&self, p: &mut Processor<'_>, count: u64) -> Result<Option<u64>, Trap> {
        let mut run = 0;
        for number in 0..self.pages {
            let virt = self.base + number * 4096;
            run = if self.page(p, virt)? & 0xff == page::FREE { run + 1 } else { 0 };
            if run == count {
                return Ok(Some(virt - (count - 1) * 4096));
            }
        }
        Ok(None)
    }
}

/// The list that free blocks of this size are on: powers of two from 32 bytes.
#[must_use]
pub const fn list_of(size: u64) -> u64 {
    let mut list = 0;
    while list < LISTS - 1 && size > 32 << list {
        list += 1;
    }
    list
}
