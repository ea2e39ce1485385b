//! One question to the page walk, and the tables it is asked about.

use super::{Bytes, words};
use crate::base::{Access, PhysAddr, Ring, VirtAddr};
use crate::machine::paging::TableMemory;
use crate::machine::paging::x86_64::{ControlFlags, Controls, Entry, Request, Vendor, walk};

/// A question to the page walk, with the tables it is asked about.
pub struct Translation {
    /// Control registers.
    pub controls: Controls,
    /// The access.
    pub request: Request,
    /// Eight entries that repeat over all of physical memory.
    pub entries: [u64; 8],
}

impl TableMemory for Translation {
    fn entry(&self, at: PhysAddr) -> u64 {
        // The entry's number and its frame's both count, so that tables differ.
        let number = (at.raw() / 8 + at.raw() / 4096) % 8;
        self.entries[usize::try_from(number).unwrap_or(0)]
    }
}

/// A translation. Input, little endian: CR3 (8 bytes), control flags (2), MAXPHYADDR (1), vendor and
/// access (1), PKRU (4), PKRS (4), linear address (8), then eight table entries of 8 bytes that repeat
/// over all of physical memory.
///
/// The highest bit of vendor and access makes it likely that the address leads somewhere: the linear
/// address is made canonical, and in each entry P, R/W and U/S are inverted and what lies beyond
/// MAXPHYADDR is cleared.
#[must_use]
pub fn translation(data: &[u8]) -> Translation {
    let mut bytes = Bytes(data);
    let cr3 = bytes.u64();
    let flags = ControlFlags::from_bits(bytes.u16());
    let maxphyaddr = bytes.u8();
    let kind = bytes.u8();
    let controls = Controls {
        cr3,
        flags,
        maxphyaddr,
        vendor: if kind & 1 == 0 { Vendor::Intel } else { Vendor::Amd },
        pkru: bytes.u32(),
        pkrs: bytes.u32(),
    };
    let is_likely = kind & 128 != 0;
    let unused = match (is_likely, flags.has(ControlFlags::LA57)) {
        (false, _) => 0,
        (true, true) => 7,
        (true, false) => 16,
    };
    let virt = (bytes.u64().cast_signed() << unused >> unused).cast_unsigned();
    let request = Request {
        virt: VirtAddr(virt),
        access: [Access::Read, Access::Write, Access::Execute, Access::Write]
            [usize::from(kind >> 1 & 3)],
        ring: if kind & 8 == 0 { Ring::Kernel } else { Ring::User },
        ac: kind & 16 != 0,
        implicit: kind & 32 != 0,
        shadow_stack: kind & 64 != 0,
    };
    let beyond = Entry::ADDRESS & !((1 << maxphyaddr.clamp(36, 52)) - 1);
    let entries = core::array::from_fn(|_| match bytes.u64() {
        raw if is_likely => (raw ^ (Entry::P | Entry::RW | Entry::US)) & !beyond,
        raw => raw,
    });
    Translation { controls, request, entries }
}

/// A translation in words, one line each.
#[must_use]
pub fn translation_in_words(data: &[u8]) -> Vec<String> {
    let case = translation(data);
    let mut lines = vec![
        format!("controls  {}", words::controls(&case.controls)),
        format!("access    {}", words::request(&case.request)),
    ];
    for (number, entry) in case.entries.iter().enumerate() {
        lines.push(format!("entry {number}   {entry:#018x}"));
    }
    let answer = walk(&case, &case.controls, &case.request);
    lines.push(format!("answer    {}", words::answer(&answer)));
    lines
}
