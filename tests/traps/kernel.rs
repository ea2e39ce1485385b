//! A mapper as kernels write it: raw pointers at an offset, at physical addresses or through the tables
//! themselves, `invlpg`, a new root by `mov` to CR3.

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
    /// Reloads CR3 with bit 63, with CR4.PCIDE or without.
    Keeps {
        pcids: bool,
    },
    /// Loads the frame behind the root, and perhaps the root again.
    Elsewhere {
        comes_back: bool,
    },
}

/// How it reaches a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// All physical memory lies at an offset.
    Offset,
    /// The offset is 0.
    Identity,
    /// Entry 510 of the root names the root.
    Recursive,
}

/// The entry that names the root.
const RECURSIVE: u64 = 510;

/// Single pages of 4 KiB. It knows nothing of the suite but its allocator.
struct Kernel {
    place: Place,
    memory: Memory,
    offset: u64,
    root: u64,
    flush: Flush,
}

impl Kernel {
    fn new(memory: Memory, place: Place, flush: Flush) -> Self {
        let offset = memory.offset();
        let root = memory.allocate_zeroed().expect("a frame for the root").raw();
        if place == Place::Recursive {
            memory.store(PhysAddr::truncated(root + 8 * RECURSIVE), root | 3);
        }
        Self { place, memory, offset, root, flush }
    }

    fn entry(&self, table: u64, level: u32, page: VirtAddr) -> *mut u64 {
        let index = page.0 >> (12 + 9 * (level - 1)) & 511;
        let address = if self.place == Place::Recursive {
            // Each time round the walk ends one level higher.
            let once = |at: u64, _| RECURSIVE << 39 | at >> 9 & ((1 << 39) - 1);
            0xffff << 48 | (0..level).fold(page.0, once) & !7
        } else {
            self.offset.wrapping_add(table + 8 * index)
        };
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
                Flush::Keeps { pcids } => {
                    if pcids {
                        asm!("mov {0}, cr4", "bts {0}, 17", "mov cr4, {0}", out(reg) _);
                    }
                    asm!("mov {0}, cr3", "bts {0}, 63", "mov cr3, {0}", out(reg) _);
                }
                Flush::Elsewhere { comes_back } => {
                    asm!("mov cr3, {}", in(reg) self.root + 0x1000);
                    if comes_back {
                        asm!("mov cr3, {}", in(reg) self.root);
                    }
                }
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
                    let below = if self.place == Place::Recursive {
                        // Until it is linked it has no address.
                        self.memory.allocate_zeroed().ok_or(Refusal::OutOfFrames)?.raw()
                    } else {
                        let below = self.memory.allocate().ok_or(Refusal::OutOfFrames)?.raw();
                        let start = self.entry(below, 1, VirtAddr(0));
                        start.write_bytes(0, 512);
                        below
                    };
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
    let suite = conformance::mapper(move |memory| Kernel::new(memory, Place::Offset, flush));
    let suite = suite.cases(30).privileged();
    if is_trapped { suite.trapping(Observed::Stores).run() } else { suite.run() }
}

fn run_at(place: Place, flush: Flush) -> Report {
    let suite = conformance::mapper(move |memory| Kernel::new(memory, place, flush));
    let suite = suite.cases(20).privileged();
    match place {
        Place::Offset => suite.trapping(Observed::Stores).run(),
        Place::Identity => suite.identity_mapped().run(),
        Place::Recursive => suite.recursive(RECURSIVE).run(),
    }
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

#[test]
fn kernel_code_that_takes_physical_addresses_for_pointers_holds_and_its_bug_is_found() {
    conformance::mapper(|memory: Memory| {
        assert_eq!(memory.offset(), 0);
        assert_eq!(memory.pointer().expose_provenance() as u64, memory.base().raw());
        Kernel::new(memory, Place::Identity, Flush::Page)
    })
    .cases(1)
    .privileged()
    .identity_mapped()
    .check();

    // Two threads: the second waits until the place is free.
    let [held, found] = [Flush::Page, Flush::Never]
        .map(|flush| std::thread::spawn(move || run_at(Place::Identity, flush)))
        .map(|thread| thread.join().expect("a report"));

    assert!(held.findings().is_empty(), "{held}");
    assert!(found.has(Check::Invalidation), "{found}");
}

#[test]
fn kernel_code_that_reaches_its_tables_through_themselves_holds_and_its_bug_is_found() {
    let held = run_at(Place::Recursive, Flush::Space);
    let found = run_at(Place::Recursive, Flush::Never);

    assert!(held.findings().is_empty(), "{held}");
    let line = "what entries [510] of the root lead to: reserved";
    assert!(held.skipped().iter().any(|skipped| skipped == line), "{held}");
    assert!(found.has(Check::Invalidation), "{found}");
}

/// Reads, changes and compares words through the tables by instructions that are executed and not made in the
/// code's stead.
#[test]
fn an_instruction_that_reaches_tables_through_themselves_leaves_its_registers_as_they_were() {
    let report = conformance::mapper(|memory: Memory| {
        let kernel = Kernel::new(memory, Place::Recursive, Flush::Page);
        // SAFETY: emulated; the last word of the root, by itself.
        unsafe {
            asm!("mov cr3, {}", in(reg) kernel.root);
            let last = kernel.entry(kernel.root, 4, VirtAddr(0xffff_ff80_0000_0000));
            let (mut at, mut byte, mut low) = (last, 0x3300_u64, 0x4455_u64);
            asm!(
                "lock or qword ptr [{at}], 0x200",
                "add qword ptr [{at}], 0x400",
                "movzx {byte}, byte ptr [{at} + 1]",
                "mov {low:l}, byte ptr [{at} + 1]",
                at = inout(reg) at, byte = inout(reg) byte, low = inout(reg_abcd) low,
            );
            assert_eq!((at, byte, low, last.read()), (last, 6, 0x4406, 0x600));
            last.write(0);
        }
        kernel
    })
    .cases(3)
    .privileged()
    .recursive(RECURSIVE)
    .run();

    assert!(report.findings().is_empty(), "{report}");
}

#[test]
fn what_a_processor_refuses_to_take_for_a_root_is_found_and_what_it_takes_is_a_flush_or_none() {
    let kinds = |flush| {
        let own = move |memory: Memory| Kernel::new(memory, Place::Offset, flush);
        let report = conformance::mapper(own).privileged().cases(60).run();
        let kinds = report.findings().iter().map(|found| (found.check(), found.kind().to_owned()));
        (kinds.collect::<Vec<_>>(), report.to_string())
    };
    let has = |kinds: &[(Check, String)], check, kind: &str| {
        kinds.iter().any(|(of, own)| *of == check && own == kind)
    };

    // Intel SDM volume 2B, "MOV—Move to/from Control Registers": #GP(0) if CR4.PCIDE is 0 and bit 63 is 1.
    let (refused, told) = kinds(Flush::Keeps { pcids: false });
    assert!(has(&refused, Check::Totality, "reserved bits are moved to CR3"), "{told}");
    assert!(told.contains("because    it moves 0x8000000100000000 to CR3"), "{told}");
    // With it nothing is forgotten.
    let (kept, told) = kinds(Flush::Keeps { pcids: true });
    assert!(!has(&kept, Check::Totality, "reserved bits are moved to CR3"), "{told}");
    assert!(has(&kept, Check::Invalidation, "unmapped page stays reachable"), "{told}");
    let (left, told) = kinds(Flush::Elsewhere { comes_back: false });
    assert!(has(&left, Check::Isolation, "another root is left in CR3"), "{told}");
    let (back, told) = kinds(Flush::Elsewhere { comes_back: true });
    assert!(back.is_empty(), "{told}");
}
