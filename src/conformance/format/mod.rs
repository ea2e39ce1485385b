//! What is particular to one table format. Nothing outside this folder knows any.
//!
//! To add a format: one folder here with a type that implements [`Format`], from the sentences of its
//! manual. Every format so far has 512 entries of 8 bytes in a 4 KiB table; levels count from 1 (its
//! leaves map 4 KiB) up to the root. [`Format::translate`] must be a walk written by itself, not by
//! way of [`Format::decode`]: the suite's own tests compare the two over arbitrary tables.

pub mod x86_64;

pub use x86_64::X86_64;

use core::fmt;

use super::rights::Rights;
use crate::base::{PhysAddr, VirtAddr};
use crate::machine::paging::PageSize;

/// What an entry is at its level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decoded {
    /// It translates nothing; its other bits belong to software.
    Invalid,
    /// It claims to translate, and the architecture raises a fault for how it does.
    Malformed,
    /// It names a table of the next level, and limits what is below it.
    Table {
        /// Where the table starts.
        at: PhysAddr,
        /// What it leaves of the rights below.
        limit: Rights,
    },
    /// It maps a page.
    Leaf {
        /// The first byte of the page.
        page: PhysAddr,
        /// Its size.
        size: PageSize,
        /// What it grants by itself.
        rights: Rights,
        /// Good for every address space.
        global: bool,
    },
}

/// Where an address leads, by the book, whoever asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reached {
    /// The physical address of the byte.
    pub address: PhysAddr,
    /// How much its leaf maps.
    pub size: PageSize,
    /// What every entry on the way grants.
    pub rights: Rights,
}

/// Which remembered ways to tables an invalidation by address forgets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaysForgotten {
    /// All of the address space, whatever the address.
    All,
    /// Those that lead to the address.
    OfAddress,
}

/// Something a finding rests on; each format gives the manual's title for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// How an address is translated.
    Translation,
    /// Which bits must have which value.
    Entries,
    /// What a processor remembers and when it must be told to forget.
    Invalidation,
    /// In which order a live entry may change.
    Order,
    /// Accessed and dirty flags.
    Marks,
}

/// One table format.
pub trait Format: fmt::Debug + Sync {
    /// Its name, as in a report.
    fn name(&self) -> &'static str;

    /// The level of the root.
    fn levels(&self) -> u8;

    /// The first address that an entry at `index` below `first` translates, as software writes it.
    fn first_of(&self, level: u8, first: VirtAddr, index: u64) -> VirtAddr;

    /// What `bits` are at `level`.
    fn decode(&self, level: u8, bits: u64) -> Decoded;

    /// The walk by the book. `None` when the address leads nowhere.
    fn translate(
        &self,
        entry_at: &dyn Fn(PhysAddr) -> u64,
        root: PhysAddr,
        virt: VirtAddr,
    ) -> Option<Reached>;

    /// The bits of an entry in words: names of those that are set, and where it leads.
    fn describe(&self, level: u8, bits: u64) -> String;

    /// The entry with the accessed flag, and the dirty flag if `writes`, as hardware sets them in a
    /// leaf or, without `writes`, in an entry that names a table. Unchanged where there are none.
    fn marked(&self, level: u8, bits: u64, writes: bool) -> u64;

    /// Bits of a live leaf that others may set without changing what it translates: memory types,
    /// what the architecture leaves to software.
    fn decorations(&self, level: u8) -> u64;

    /// The bit that makes an entry translate.
    fn valid_bit(&self) -> u64;

    /// A leaf for tables that the suite builds itself.
    fn leaf(&self, level: u8, page: PhysAddr, rights: Rights) -> u64;

    /// An entry that names a table and limits nothing.
    fn table(&self, at: PhysAddr) -> u64;

    /// Whether the change of a live entry breaks an order the architecture demands; if so, what is
    /// wrong.
    fn wrong_order(&self, level: u8, before: u64, after: u64) -> Option<&'static str>;

    /// What an invalidation by address does to remembered ways to tables.
    fn ways_forgotten(&self) -> WaysForgotten;

    /// Addresses at which implementations go wrong: ends of halves, borders of tables.
    fn edges(&self) -> &'static [u64];

    /// Where the manual says so, by title.
    fn rule(&self, rule: Rule) -> &'static str;
}

#[cfg(test)]
mod tests;

/// The lowest bit of an address that selects an entry at `level`.
#[must_use]
pub const fn shift(level: u8) -> u32 {
    12 + 9 * (level as u32 - 1)
}

/// The entry that translates `virt` in a table at `level`.
#[must_use]
pub const fn index(level: u8, virt: VirtAddr) -> u64 {
    (virt.0 >> shift(level)) & 511
}

/// The size that a leaf at `level` maps, if there is one.
#[must_use]
pub const fn size_at(level: u8) -> Option<PageSize> {
    match level {
        1 => Some(PageSize::Kib4),
        2 => Some(PageSize::Mib2),
        3 => Some(PageSize::Gib1),
        _ => None,
    }
}
