//! What a fuzzer's bytes mean: any bytes are a case, so that every one of them counts.
//!
//! A case is read front to back, and past its end there are zeros. The fuzz targets and
//! `ringfence explain` read it here, so that what is explained is what was run.

use crate::base::{Access, PhysAddr, PrincipalKind, Ratio, Ring, Seed, VirtAddr};
use crate::faults::{Family, Wanted};
use crate::machine::paging::TableMemory;
use crate::machine::paging::x86_64::{ControlFlags, Controls, Request, Vendor, walk};

use super::{Bias, Scenario};

pub mod tlb;
mod words;

/// Numbers out of bytes that never run out: past the end there are zeros.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        let len = N.min(self.0.len());
        let (head, rest) = self.0.split_at(len);
        taken[..len].copy_from_slice(head);
        self.0 = rest;
        taken
    }

    fn u8(&mut self) -> u8 {
        let [byte] = self.take();
        byte
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}

/// A world with a plan that strikes user mode only. Input, little endian: seed (8 bytes), who is
/// struck and faults (1), applications (1), actions (1), crash in 16ths (1).
#[must_use]
pub fn scenario(data: &[u8]) -> Scenario {
    let mut bytes = Bytes(data);
    let seed = Seed(bytes.u64());
    let choice = bytes.u8();
    let origin =
        if choice & 1 == 0 { PrincipalKind::Application } else { PrincipalKind::DriverHost };
    let applications = 1 + u64::from(bytes.u8() % 4);
    let actions = 1 + u64::from(bytes.u8() % 24);
    let bias = Bias {
        applications: (1, applications),
        actions: (1, actions),
        crash: Ratio::new(u32::from(bytes.u8() % 16), 16),
        faults: 1 + u64::from(choice >> 1 & 3),
        wanted: Wanted { origin: Some(origin), family: Some(Family::Defect) },
        ..Bias::default()
    };
    Scenario::generate(seed, &bias)
}

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
    let request = Request {
        virt: VirtAddr(bytes.u64()),
        access: [Access::Read, Access::Write, Access::Execute, Access::Write]
            [usize::from(kind >> 1 & 3)],
        ring: if kind & 8 == 0 { Ring::Kernel } else { Ring::User },
        ac: kind & 16 != 0,
        implicit: kind & 32 != 0,
        shadow_stack: kind & 64 != 0,
    };
    let entries = core::array::from_fn(|_| bytes.u64());
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
