//! x86-64 with 4 or 5 levels. Intel SDM volume 3A, chapter "Paging".

mod registers;
mod words;

pub use registers::Registers;

use super::{Attributes, Decoded, Format, Met, Reached, Rule, WaysForgotten, Words, shift};
use crate::base::{Access, PhysAddr, Ring, VirtAddr};
use crate::conformance::permissions::Permissions;
use crate::conformance::rights::Rights;
use crate::machine::paging::PageSize;
use crate::machine::paging::x86_64::{
    ControlFlags, Controls, Entry, EntryKind, Level, Request, Reserved,
};
use crate::oracles::by_the_book::{self, Answer};

/// x86-64 paging with execute-disable and global pages on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct X86_64 {
    /// CR4.LA57 or not.
    levels: u8,
    /// MAXPHYADDR in bits.
    physical_bits: u8,
}

impl X86_64 {
    /// 4-level paging, 52 bits of physical address.
    pub const FOUR_LEVELS: &'static Self = &Self { levels: 4, physical_bits: 52 };
    /// 5-level paging, 52 bits of physical address.
    pub const FIVE_LEVELS: &'static Self = &Self { levels: 5, physical_bits: 52 };
    /// 4-level paging, 40 bits of physical address: bits 51:40 of an entry are reserved.
    pub const NARROW: &'static Self = &Self { levels: 4, physical_bits: 40 };

    fn controls(&self, root: PhysAddr) -> Controls {
        let flags = ControlFlags::WP | ControlFlags::NXE | ControlFlags::PGE;
        Controls {
            cr3: root.raw(),
            flags: if self.levels == 5 { flags | ControlFlags::LA57 } else { flags },
            maxphyaddr: self.physical_bits,
            ..Controls::default()
        }
    }
}

fn level_of(level: u8) -> Level {
    match level {
        1 => Level::Pt,
        2 => Level::Pd,
        3 => Level::Pdpt,
        4 => Level::Pml4,
        _ => Level::Pml5,
    }
}

fn permissions_of(entry: Entry) -> Permissions {
    let user = Permissions::USER_READ.and(Permissions::USER_WRITE).and(Permissions::USER_EXECUTE);
    Permissions::ALL
        .without_if(!entry.has(Entry::RW), Permissions::WRITE)
        .without_if(!entry.has(Entry::US), user)
        .without_if(entry.has(Entry::XD), Permissions::EXECUTE)
}

impl Format for X86_64 {
    fn name(&self) -> &'static str {
        if self.levels == 5 { "x86-64, 5 levels" } else { "x86-64, 4 levels" }
    }

    fn levels(&self) -> u8 {
        self.levels
    }

    fn level_name(&self, level: u8) -> u8 {
        level
    }

    fn words(&self) -> Words {
        Words { outside: "not canonical", invalid: "not present", malformed: "a reserved bit" }
    }

    fn first_of(&self, level: u8, first: VirtAddr, index: u64) -> VirtAddr {
        let virt = first.0.wrapping_add((index & 511) << shift(level));
        let unused = if self.levels == 5 { 7 } else { 16 };
        VirtAddr(((virt << unused).cast_signed() >> unused).cast_unsigned())
    }

    fn decode(&self, level: u8, bits: u64) -> Decoded {
        let entry = Entry(bits);
        let reserved = Reserved::new(&self.controls(PhysAddr::default()));
        match entry.kind(level_of(level), reserved) {
            EntryKind::NotPresent => Decoded::Invalid,
            EntryKind::Reserved => Decoded::Malformed,
            EntryKind::Table(at) => Decoded::Table { at, limit: permissions_of(entry) },
            EntryKind::Leaf(page, size) => {
                let (permissions, global) = (permissions_of(entry), entry.has(Entry::G));
                Decoded::Leaf { page, size, permissions, global }
            }
        }
    }

    /// One bit forbids fetches by both sides, so whose page it is decides nothing.
    fn rights(&self, permissions: Permissions) -> Rights {
        let given = [
            (permissions.has(Permissions::KERNEL_WRITE), Rights::WRITE),
            (permissions.has(Permissions::USER_READ), Rights::USER),
            (permissions.has(Permissions::KERNEL_EXECUTE), Rights::EXECUTE),
        ];
        let given = given.into_iter().filter(|(is_given, _)| *is_given);
        given.fold(Rights::READ, |all, (_, right)| all.and(right))
    }

    /// With write protection for the kernel and without SMEP and SMAP.
    fn permits(&self, rights: Rights, access: Access, ring: Ring) -> bool {
        let needed = match access {
            Access::Read => Rights::READ,
            Access::Write => Rights::WRITE,
            Access::Execute => Rights::EXECUTE,
        };
        rights.has(needed) && (ring == Ring::Kernel || rights.has(Rights::USER))
    }

    fn translate(
        &self,
        entry_at: &dyn Fn(PhysAddr) -> u64,
        root: PhysAddr,
        virt: VirtAddr,
    ) -> Option<Reached> {
        let request = Request::new(virt, Access::Read, Ring::Kernel);
        match by_the_book::translate(entry_at, &self.controls(root), &request) {
            Answer::Translated(found) => {
                let size = match found.page_bytes {
                    bytes if bytes == PageSize::Kib4.bytes() => PageSize::Kib4,
                    bytes if bytes == PageSize::Mib2.bytes() => PageSize::Mib2,
                    _ => PageSize::Gib1,
                };
                let given = [
                    (found.writable, Rights::WRITE),
                    (found.user, Rights::USER),
                    (found.executable, Rights::EXECUTE),
                ];
                let rights = given
                    .into_iter()
                    .filter(|(is_given, _)| *is_given)
                    .fold(Rights::READ, |all, (_, right)| all.and(right));
                Some(Reached { address: found.address, size, rights })
            }
            Answer::PageFault(_) | Answer::GeneralProtection => None,
        }
    }

    fn describe(&self, level: u8, bits: u64) -> String {
        words::describe(self, level, bits)
    }

    fn marked(&self, level: u8, bits: u64, writes: bool) -> u64 {
        match self.decode(level, bits) {
            Decoded::Invalid | Decoded::Malformed | Decoded::Inaccessible => bits,
            Decoded::Table { .. } => bits | Entry::A,
            Decoded::Leaf { .. } if writes && Entry(bits).has(Entry::RW) => {
                bits | Entry::A | Entry::D
            }
            Decoded::Leaf { .. } => bits | Entry::A,
        }
    }

    /// The dirty flag stays where it is when a page becomes read-only.
    fn attributes(&self, level: u8, bits: u64) -> Option<Attributes> {
        let Decoded::Leaf { global, .. } = self.decode(level, bits) else { return None };
        let pat = bits >> if level == 1 { 7 } else { 12 } & 1;
        Some(Attributes {
            memory: pat << 2 | bits >> 3 & 0b11,
            global,
            software: bits & (0b111 << 9 | 0x7ff << 52),
            dirty: Some(bits & Entry::D != 0),
        })
    }

    /// PAT, PCD, PWT, the bits that are ignored, and bits 62:52.
    fn decorations(&self, level: u8) -> u64 {
        let pat = if level == 1 { 1 << 7 } else { 1 << 12 };
        pat | 0b11 << 3 | 0b111 << 9 | 0x7ff << 52
    }

    fn valid_bit(&self) -> u64 {
        Entry::P
    }

    fn address_bits(&self) -> u64 {
        ((1 << 52) - 1) & !0xfff
    }

    fn leaf(&self, level: u8, page: PhysAddr, rights: Rights) -> u64 {
        let write = if rights.has(Rights::WRITE) { Entry::RW } else { 0 };
        let user = if rights.has(Rights::USER) { Entry::US } else { 0 };
        let execute = if rights.has(Rights::EXECUTE) { 0 } else { Entry::XD };
        let size = if level > 1 { Entry::PS } else { 0 };
        page.raw() | Entry::P | write | user | execute | size
    }

    fn table(&self, at: PhysAddr) -> u64 {
        at.raw() | Entry::P | Entry::RW | Entry::US
    }

    /// Any change is allowed if it is followed by an invalidation; a change of page size without
    /// clearing P first leaves open which of the two is used, which the translations themselves show.
    fn conflict(&self, _: Met, _: Met) -> Option<&'static str> {
        None
    }

    /// INVLPG and moves to CR3 are serializing.
    fn has_barriers(&self) -> bool {
        false
    }

    /// INVLPG "also invalidates all entries in all paging-structure caches associated with the
    /// current PCID, regardless of the linear addresses to which they correspond".
    fn ways_forgotten(&self) -> WaysForgotten {
        WaysForgotten::All
    }

    fn edges(&self) -> &'static [u64] {
        if self.levels == 5 {
            &[
                0,
                0x20_0000,
                0x4000_0000,
                0x80_0000_0000,
                1 << 48,
                0x00ff_ffff_ffff_f000,
                0xff00_0000_0000_0000,
                0xffff_ffff_8000_0000,
                0xffff_ffff_ffff_f000,
            ]
        } else {
            &[
                0,
                0x20_0000,
                0x4000_0000,
                0x80_0000_0000,
                0x7fff_ffff_f000,
                0xffff_8000_0000_0000,
                0xffff_ffff_8000_0000,
                0xffff_ffff_ffff_f000,
            ]
        }
    }

    fn spelled_walk(&self) -> Option<String> {
        let Self { levels, physical_bits } = self;
        let bits = format!("const PHYSICAL_BITS: u64 = {physical_bits};");
        Some(format!("const LEVELS: u64 = {levels};\n{bits}\n{}", include_str!("walk.in")))
    }

    fn rule(&self, rule: Rule) -> &'static str {
        match rule {
            Rule::Translation => "Intel SDM volume 3A, \"4-Level Paging and 5-Level Paging\"",
            Rule::Entries => {
                "Intel SDM volume 3A, \"4-Level Paging and 5-Level Paging\", formats of entries; \
                 \"Page-Fault Exceptions\", RSVD"
            }
            Rule::Invalidation => {
                "Intel SDM volume 3A, \"Recommended Invalidation\" and \"Paging-Structure Caches\""
            }
            Rule::Order => "Intel SDM volume 3A, \"Propagation of Paging-Structure Changes\"",
            Rule::Marks => "Intel SDM volume 3A, \"Accessed and Dirty Flags\"",
            Rule::Sets => "Intel SDM volume 3A, \"Caching Translation Information\"",
            Rule::Barriers => "Intel SDM volume 3A, \"Serializing Instructions\"",
        }
    }
}
