//! Over any memory, registers and access the machine's walk and the one by the book say the same,
//! and neither panics. What the cache then answers is what the walk answered.
//!
//! Input, little endian: CR3 (8 bytes), control flags (2), MAXPHYADDR (1), vendor and access (1),
//! PKRU (4), PKRS (4), linear address (8), then eight table entries of 8 bytes that repeat over all
//! of physical memory.

use ringfence::base::{Access, PhysAddr, Ring, VirtAddr};
use ringfence::machine::paging::TableMemory;
use ringfence::machine::paging::x86_64::{ControlFlags, Controls, Request, Vendor, lookup, walk};
use ringfence::machine::tlb::Tlb;
use ringfence::oracles::by_the_book::Answer;
use ringfence::oracles::compare;

use crate::bytes::Bytes;

struct Words([u64; 8]);

impl TableMemory for Words {
    fn entry(&self, at: PhysAddr) -> u64 {
        // The entry's number and its frame's both count, so that tables differ.
        let number = (at.raw() / 8 + at.raw() / 4096) % 8;
        self.0[usize::try_from(number).expect("below 8")]
    }
}

/// What `data` asks, and of which machine.
fn case(data: &[u8]) -> (Words, Controls, Request) {
    let mut bytes = Bytes::new(data);
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
    let words = Words(core::array::from_fn(|_| bytes.u64()));
    (words, controls, request)
}

/// One case.
///
/// # Panics
///
/// When the two walkers disagree, or the cache gives another answer than the walk that filled it.
pub fn run(data: &[u8]) {
    let (words, controls, request) = case(data);

    let answer = match compare(&words, &controls, &request) {
        Ok(answer) => answer,
        Err(disagreement) => panic!("{disagreement}"),
    };

    let reach = lookup(&words, &controls, request.virt);
    let Answer::Translated(translated) = answer else { return };
    let reach = reach.expect("what permits an access is mapped");
    assert_eq!(reach.size.bytes(), translated.page_bytes);
    let walk = walk(&words, &controls, &request).expect("both walkers translated");
    let mut tlb = Tlb::default();
    tlb.fill(&controls, &request, &walk);
    assert_eq!(tlb.lookup(&controls, &request), Some(walk.address));
}

/// How the case ends: which part of the behaviour it reaches.
#[must_use]
pub fn outcome(data: &[u8]) -> String {
    let (words, controls, request) = case(data);
    match compare(&words, &controls, &request) {
        Ok(Answer::Translated(found)) => format!("translated, {} bytes", found.page_bytes),
        Ok(Answer::PageFault(code)) => format!("page fault {code:#x}"),
        Ok(Answer::GeneralProtection) => "general protection".to_owned(),
        Err(disagreement) => disagreement.to_string(),
    }
}
