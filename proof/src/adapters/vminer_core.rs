//! Adapters for the crate `vminer-core`: `Architecture::virtual_to_physical` of x86-64 and of AArch64.
//!
//! It keeps nothing between two calls and tells where an address leads, nothing else. Who sets the Access flag of
//! AArch64 nobody tells it.

use ringfence::base::PhysAddr;
use ringfence::conformance::format::{AArch64, Format, X86_64};
use ringfence::conformance::{Attempt, Mapping, Memory, Report, Walker};
use vminer_core::arch::{self, Architecture};
use vminer_core::mem::MemoryMap;
use vminer_core::{MemoryAccessResult, PhysicalAddress, VirtualAddress};

use crate::Plan;

/// All of memory.
struct Guest(Memory);

impl vminer_core::Memory for Guest {
    fn memory_mappings(&self) -> &[MemoryMap] {
        &[]
    }

    fn read_physical(&self, at: PhysicalAddress, bytes: &mut [u8]) -> MemoryAccessResult<()> {
        self.0.read(PhysAddr::truncated(at.0), bytes);
        Ok(())
    }
}

struct Adapter<A> {
    arch: A,
    guest: Guest,
    root: PhysicalAddress,
}

fn run<A: Architecture + Copy>(plan: &Plan, format: &'static dyn Format, arch: A) -> Report {
    plan.walker(format, move |memory, root| {
        let root = PhysicalAddress(root.raw());
        Adapter { arch, guest: Guest(memory), root }
    })
}

/// `X86_64`, with 4 levels.
pub(crate) fn x86_64(plan: &Plan) -> Report {
    run(plan, X86_64::FOUR_LEVELS, arch::X86_64)
}

/// `Aarch64`, stage 1 with 4 KiB granule.
pub(crate) fn aarch64(plan: &Plan) -> Report {
    const FORMAT: &AArch64 = &AArch64 { sets_accessed: true, ..*AArch64::LOWER };
    run(plan, FORMAT, arch::Aarch64)
}

impl<A: Architecture> Walker for Adapter<A> {
    fn translate(&mut self, attempt: &Attempt) -> Option<Mapping> {
        let virt = VirtualAddress(attempt.virt.0);
        let found = self.arch.virtual_to_physical(&self.guest, self.root, virt).ok()?;
        Some(Mapping { address: PhysAddr::truncated(found.0), size: None, rights: None })
    }
}
