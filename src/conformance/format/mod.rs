//! What is particular to one table format. Nothing outside this folder knows any.
//!
//! To add a format: one folder here with a type that implements [`Format`], from the sentences of its
//! manual. A table is 4 KiB of entries of 8 bytes; levels count from 1 (its leaves map 4 KiB) up to the
//! root, and [`Format::level_name`] says how the manual numbers them. [`Format::translate`] must be a
//! walk written by itself, not by way of [`Format::decode`]: the suite's own tests compare the two over
//! arbitrary tables.

pub mod aarch64;
pub mod regime;
pub mod x86_64;

pub use aarch64::AArch64;
pub use x86_64::X86_64;

use core::fmt;

use super::permissions::Permissions;
use super::rights::Rights;
use crate::base::{Access, PhysAddr, Ring, VirtAddr};
use crate::machine::paging::PageSize;

/// What an entry is at its level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decoded {
    /// It translates nothing; its other bits belong to software.
    Invalid,
    /// It claims to translate, and the architecture raises a fault for how it does.
    Malformed,
    /// It maps a page, and an access raises a fault until somebody sets its accessed flag: no processor
    /// remembers it.
    Inaccessible,
    /// It names a table of the next level, and limits what is below it.
    Table {
        /// Where the table starts.
        at: PhysAddr,
        /// What it leaves of the permissions below.
        limit: Permissions,
    },
    /// It maps a page.
    Leaf {
        /// The first byte of the page.
        page: PhysAddr,
        /// Its size.
        size: PageSize,
        /// What it grants by itself.
        permissions: Permissions,
        /// Good for every address space.
        global: bool,
    },
}

/// What of an entry is reserved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reserved {
    /// The bits that have a value which they must not have.
    pub bits: u64,
    /// Which they are and what they must be, in words.
    pub what: &'static str,
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

/// What a leaf says beside where it leads and what it grants, so that leaves of any size can be compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attributes {
    /// What decides how memory is accessed: its type, its shareability. A number of the format's own.
    pub memory: u64,
    /// Good for every address space.
    pub global: bool,
    /// Bits that the architecture leaves to software, where they are in the entry.
    pub software: u64,
    /// Whether a processor wrote to the page; `None` where the entry can't say.
    pub dirty: Option<bool>,
}

/// Which remembered ways to tables an invalidation by address forgets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaysForgotten {
    /// All of the address space, whatever the address.
    All,
    /// Those that lead to the address.
    OfAddress,
}

/// An entry that a processor may remember, or one that it may meet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Met {
    /// Its level.
    pub level: u8,
    /// Its bits.
    pub bits: u64,
}

/// How a format's manual calls what translates nothing, after "an entry" or "an address".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Words {
    /// An address that no entry translates.
    pub outside: &'static str,
    /// An entry that is [`Decoded::Invalid`].
    pub invalid: &'static str,
    /// What makes an entry [`Decoded::Malformed`].
    pub malformed: &'static str,
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
    /// When a store to a table is seen by a walk, and an invalidation is complete.
    Barriers,
    /// Entries beside each other that one remembered translation may stand for.
    Sets,
}

/// One table format.
pub trait Format: fmt::Debug + Sync {
    /// Its name, as in a report.
    fn name(&self) -> &'static str;

    /// The level of the root.
    fn levels(&self) -> u8;

    /// Entries of a table at `level`: 512, but for a root that translates fewer bits.
    fn entries(&self, level: u8) -> u64 {
        let _ = level;
        512
    }

    /// The number of `level` in the manual.
    fn level_name(&self, level: u8) -> u8;

    /// The manual's words for what translates nothing.
    fn words(&self) -> Words;

    /// The first address that an entry at `index` below `first` translates, as software writes it.
    fn first_of(&self, level: u8, first: VirtAddr, index: u64) -> VirtAddr;

    /// What `bits` are at `level`.
    fn decode(&self, level: u8, bits: u64) -> Decoded;

    /// What a mapping comes to that has these permissions after every entry on the way.
    fn rights(&self, permissions: Permissions) -> Rights;

    /// Whether a mapping with these rights permits an access, with no restriction switched on that
    /// keeps the kernel out of pages of the user.
    fn permits(&self, rights: Rights, access: Access, ring: Ring) -> bool;

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

    /// What a leaf says beside where it leads and what it grants; `None` of any other entry.
    fn attributes(&self, level: u8, bits: u64) -> Option<Attributes>;

    /// How many leaves beside each other, aligned, a processor may remember as one because of this one: all of them
    /// must then lead to consecutive addresses and say the same otherwise.
    fn set_of(&self, level: u8, bits: u64) -> Option<u64> {
        let _ = (level, bits);
        None
    }

    /// What is reserved of a valid entry that a processor translates all the same.
    fn reserved(&self, level: u8, bits: u64) -> Option<Reserved> {
        let _ = (level, bits);
        None
    }

    /// Bits of a live leaf that others may set without changing what it translates: memory types,
    /// what the architecture leaves to software.
    fn decorations(&self, level: u8) -> u64;

    /// The bit that makes an entry translate.
    fn valid_bit(&self) -> u64;

    /// Where in an entry an address may be.
    fn address_bits(&self) -> u64;

    /// A leaf for tables that the suite builds itself.
    fn leaf(&self, level: u8, page: PhysAddr, rights: Rights) -> u64;

    /// An entry that names a table and limits nothing.
    fn table(&self, at: PhysAddr) -> u64;

    /// What is wrong, if anything, when a processor that may still remember `was` meets `is` for the
    /// same address: the change that the architecture demands to be broken before it is made.
    fn conflict(&self, was: Met, is: Met) -> Option<&'static str>;

    /// Whether an invalidation takes effect only between barriers.
    fn has_barriers(&self) -> bool;

    /// What an invalidation by address does to remembered ways to tables.
    fn ways_forgotten(&self) -> WaysForgotten;

    /// Addresses at which implementations go wrong: ends of halves, borders of tables.
    fn edges(&self) -> &'static [u64];

    /// The walk by the book as Rust, for tests that reproduce a finding without this crate: a function
    /// `walk(root: u64, virt: u64) -> Option<(u64, [bool; 3])>` that reads entries with
    /// `word(at: u64) -> u64`, and gives where the address leads and whether it may be written to, used
    /// from user mode and executed. Such a test is printed only where there is one.
    fn spelled_walk(&self) -> Option<String> {
        None
    }

    /// Where the manual says so, by title.
    fn rule(&self, rule: Rule) -> &'static str;
}

#[cfg(test)]
mod tests;

/// Whether a mapping with these rights permits every access that one with `others` permits. That is no matter of
/// single rights: what the kernel fetches from its own page it may not fetch from one of the user.
pub(crate) fn covers(format: &dyn Format, rights: Rights, others: Rights) -> bool {
    let permits = |of, access, ring| format.permits(of, access, ring);
    let is_kept = |access, ring| !permits(others, access, ring) || permits(rights, access, ring);
    let accesses = [Access::Read, Access::Write, Access::Execute];
    rights == others
        || accesses
            .into_iter()
            .all(|access| is_kept(access, Ring::Kernel) && is_kept(access, Ring::User))
}

/// The lowest bit of an address that selects an entry at `level`.
#[must_use]
pub const fn shift(level: u8) -> u32 {
    12 + 9 * (level as u32 - 1)
}

/// The entry that translates `virt` in a table at `level`.
#[must_use]
pub fn index(format: &dyn Format, level: u8, virt: VirtAddr) -> u64 {
    (virt.0 >> shift(level)) & (format.entries(level) - 1)
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
