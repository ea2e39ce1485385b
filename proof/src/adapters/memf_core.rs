//! Adapters for the crate `memf-core`: `VirtualAddressSpace::virt_to_phys` of x86-64, with 4 and 5 levels, and of
//! AArch64.
//!
//! It reads the memory of an image that never changes, so what it has translated it keeps for good: another
//! space is made when the adapter is told to invalidate. A page in transition, which Windows has taken from a
//! process and not yet reused, is read like one that is present, as its documentation says: the bit that marks
//! it is the crate's own. Who sets the Access flag of AArch64 nobody tells it.

use memf_core::vas::{TranslationMode, VirtualAddressSpace};
use memf_format::{PhysicalMemoryProvider, PhysicalRange};
use ringfence::base::PhysAddr;
use ringfence::conformance::format::{AArch64, Format, X86_64};
use ringfence::conformance::{self, Attempt, Invalidation, Mapping, Memory, Report, Walker};

use crate::Plan;

/// Bit 11 of an entry of x86-64 that is not present.
const TRANSITION: u64 = 1 << 11;

/// All of memory. It has to be `Send`, so it is asked for where it is needed.
struct Image;

impl PhysicalMemoryProvider for Image {
    fn read_phys(&self, at: u64, bytes: &mut [u8]) -> memf_format::Result<usize> {
        conformance::current().read(PhysAddr::truncated(at), bytes);
        Ok(bytes.len())
    }

    fn ranges(&self) -> &[PhysicalRange] {
        &[]
    }

    fn format_name(&self) -> &str {
        "memory of the suite"
    }
}

struct Adapter {
    space: VirtualAddressSpace<Image>,
    root: u64,
}

fn run(plan: &Plan, format: &'static dyn Format, mode: TranslationMode) -> Report {
    plan.walker(format, move |_: Memory, root| {
        let root = root.raw();
        Adapter { space: VirtualAddressSpace::new(Image, root, mode), root }
    })
}

/// With 4 levels.
pub(crate) fn four_levels(plan: &Plan) -> Report {
    run(plan, X86_64::FOUR_LEVELS, TranslationMode::X86_64FourLevel)
}

/// With 5 levels.
pub(crate) fn five_levels(plan: &Plan) -> Report {
    run(plan, X86_64::FIVE_LEVELS, TranslationMode::X86_645Level)
}

/// Stage 1 of AArch64 with 4 KiB granule.
pub(crate) fn aarch64(plan: &Plan) -> Report {
    const FORMAT: &AArch64 = &AArch64 { sets_accessed: true, ..*AArch64::LOWER };
    run(plan, FORMAT, TranslationMode::AArch64FourLevel)
}

impl Walker for Adapter {
    fn own_bits(&self) -> u64 {
        match self.space.mode() {
            TranslationMode::AArch64FourLevel => 0,
            _ => TRANSITION,
        }
    }

    fn translate(&mut self, attempt: &Attempt) -> Option<Mapping> {
        let address = PhysAddr::truncated(self.space.virt_to_phys(attempt.virt.0).ok()?);
        Some(Mapping { address, size: None, rights: None })
    }

    fn invalidate(&mut self, _: Invalidation) {
        self.space = VirtualAddressSpace::new(Image, self.root, self.space.mode());
    }
}
