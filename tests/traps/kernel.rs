//! A mapper as kernels write it: raw pointers at an offset, `invlpg`, a new root by `mov` to CR3.

#![allow(unsafe_code, reason = "privileged instructions are what is tested")]

use core::arch::asm;

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::{
    self, Capabilities, Capability, Check, Mapper, Memory, Observed, Refusal, Report, Rights,
};
use ringfence::machine::paging::PageSize;

const P: u64 = 1;
const ADDRESS: u64 = ((1 << 52) - 1) & !0xfff;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flush {
    Page,
    Space,
    WithPcids,
    Never,
}

/// Single pages of 4 KiB. It knows nothing of the suite but its allocator.
struct Kernel {
    memory: Memory,
    offset: u64,
    root: u64,
    flush: Flush,
}

impl Kernel {
    fn new(memory: Memory, flush: Flush) -> Self {
        let offset = memory.offset();
        let root = memory.allocate_zeroed().expect("a frame for the root").raw();
        Self { memory, offset, root, flush }
    }

    fn entry(&self, table: u64, level: u32, page: VirtAddr) -> *mut u64 {
        let index = page.0 >> (12 + 9 * (level - 1)) & 511;
        let address = self.offset.wrapping_add(table + 8 * index);
        core::ptr::with_exposed_provenance_mut(usize::try_from(address).expect("64 bits"))
    }

    fn forget(&self, page: VirtAddr) {
        // SAFETY: emulated by the suite.
        unsafe {
            match self.flush {
                Flush::Page => asm!("invlpg [{}]", in(reg) page.0, options(nostack)),
                Flush::Space => asm!("mov {0}, cr3", "mov cr3, {0}", out(reg) _),
                Flush::WithPcids => {
                    let descriptor = [0_u64, page.0];
                    asm!("invpcid {}, [{}]", in(reg) 0_u64, in(reg) &raw const descriptor);
                }
                Flush::Never => asm!("cli", "sti", "wbinvd"),
            }
        }
    }
}

impl Mapper for Kernel {
    fn capabilities(&self) -> Capabilities {
        Capabilities::PLAIN.with(Capability::Invalidates).with(Capability::UpperHalf)
    }

    fn root(&self) -> PhysAddr {
        PhysAddr::truncated(self.root)
    }

    fn map(
        &mut self,
        page: VirtAddr,
        to: PhysAddr,
        size: PageSize,
        rights: Rights,
    ) -> Result<(), Refusal> {
        if size != PageSize::Kib4 {
            return Err(Refusal::Unsupported);
        }
        let mut table = self.root;
        for level in (2..=4).rev() {
            let entry = self.entry(table, level, page);
            // SAFETY: the entries of a table that is in use.
            unsafe {
                if entry.read() & P == 0 {
                    let below = self.memory.allocate().ok_or(Refusal::OutOfFrames)?.raw();
                    let start = self.entry(below, 1, VirtAddr(0));
                    start.write_bytes(0, 512);
                    entry.write_volatile(below | P | 6);
                }
                table = entry.read() & ADDRESS;
            }
        }
        let entry = self.entry(table, 1, page);
        let write = if rights.has(Rights::WRITE) { 2 } else { 0 };
        let user = if rights.has(Rights::USER) { 4 } else { 0 };
        let execute = if rights.has(Rights::EXECUTE) { 0 } else { 1 << 63 };
        // SAFETY: as above.
        unsafe {
            if entry.read() & P != 0 {
                return Err(Refusal::AlreadyMapped);
            }
            entry.write_volatile(to.raw() | P | write | user | execute);
        }
        Ok(())
    }

    fn unmap(&mut self, page: VirtAddr, _: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        let mut table = self.root;
        for level in (2..=4).rev() {
            // SAFETY: as above.
            let entry = unsafe { self.entry(table, level, page).read() };
            if entry & P == 0 {
                return Err(Refusal::NotMapped);
            }
            table = entry & ADDRESS;
        }
        let entry = self.entry(table, 1, page);
        // SAFETY: as above.
        let old = unsafe {
            let old = entry.read();
            if old & P == 0 {
                return Err(Refusal::NotMapped);
            }
            entry.write_volatile(0);
            old
        };
        self.forget(page);
        Ok(Some(PhysAddr::truncated(old & ADDRESS)))
    }
}

fn run(flush: Flush, is_trapped: bool) -> Report {
    let suite = conformance::mapper(move |memory| Kernel::new(memory, flush));
    let suite = suite.cases(30).privileged();
    if is_trapped { suite.trapping(Observed::Stores).run() } else { suite.run() }
}

#[test]
fn kernel_code_runs_unmodified_and_holds() {
    for flush in [Flush::Page, Flush::Space, Flush::WithPcids] {
        for is_trapped in [true, false] {
            let report = run(flush, is_trapped);

            assert!(report.findings().is_empty(), "{flush:?} {is_trapped}\n{report}");
        }
    }
}

#[test]
fn kernel_code_that_forgets_to_invalidate_is_found_though_its_other_instructions_run() {
    for is_trapped in [true, false] {
        let report = run(Flush::Never, is_trapped);

        assert!(report.has(Check::Invalidation), "{report}");
    }
}
