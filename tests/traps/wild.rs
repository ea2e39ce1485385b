//! Code that follows raw pointers out of its memory takes its process with it: told by an isolated run.

#![allow(unsafe_code, reason = "raw pointers are what is tested")]

use std::time::Duration;

use ringfence::base::PhysAddr;
use ringfence::conformance::{
    self, Attempt, Check, Finding, Mapping, Memory, Observed, Report, Walker,
};

/// Longer than any case takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A walker that takes more than the address bits of an entry for an address.
struct Wild {
    memory: Memory,
    root: PhysAddr,
    /// What is left of an entry.
    mask: u64,
    /// How far what is left is shifted.
    shift: u32,
}

/// A walker by the book for 4 levels.
struct Book {
    memory: Memory,
    root: PhysAddr,
}

impl Walker for Book {
    fn judges_rights(&self) -> bool {
        false
    }

    fn translate(&mut self, attempt: &Attempt) -> Option<Mapping> {
        let (virt, mut table) = (attempt.virt.0, self.root.raw());
        if (virt << 16).cast_signed() >> 16 != virt.cast_signed() {
            return None;
        }
        for level in (0..4).rev() {
            let index = virt >> (12 + 9 * level) & 0x1ff;
            let pointer = self.memory.pointer_to(PhysAddr::truncated(table + 8 * index));
            // SAFETY: as safe as what is tested here: whatever the tables say.
            let entry = unsafe { pointer.cast::<u64>().read_volatile() };
            let is_leaf = level == 0 || entry >> 7 & 1 == 1;
            let page = (1_u64 << (12 + 9 * level)) - 1;
            // Bits that are reserved in this kind of entry; bit 12 of a large page is its memory type.
            let reserved = match level {
                1 | 2 if is_leaf => page & !0x1fff,
                3 => 1 << 7,
                _ => 0,
            };
            if entry & 1 == 0 || entry & reserved != 0 {
                return None;
            }
            table = entry & 0x000f_ffff_ffff_f000;
            if is_leaf {
                let address = PhysAddr::truncated(table & !page | virt & page);
                return Some(Mapping { address, size: None, rights: None });
            }
        }
        None
    }
}

impl Walker for Wild {
    fn translate(&mut self, attempt: &Attempt) -> Option<Mapping> {
        let mut table = self.root.raw();
        for level in (0..4).rev() {
            let at = table.wrapping_add(8 * (attempt.virt.0 >> (12 + 9 * level) & 0x1ff));
            let pointer = self.memory.offset().wrapping_add(at) as *const u64;
            // SAFETY: as safe as what is tested here: whatever the tables say.
            let entry = unsafe { pointer.read_volatile() };
            if entry & 1 == 0 {
                return None;
            }
            table = (entry & self.mask) << self.shift;
        }
        None
    }
}

fn run(mask: u64, shift: u32) -> Report {
    let own = move |memory: Memory, root| Wild { memory, root, mask, shift };
    conformance::walker(own)
        .trapping(Observed::Accesses)
        .isolated(PATIENCE)
        .findings_max(1000)
        .cases(20)
        .run()
}

#[test]
fn a_walker_that_follows_an_entry_beyond_all_memory_is_told_with_the_physical_address() {
    // Memory lies from 4 GiB on: what its entries name becomes 16 TiB and more.
    let report = run(0x000f_ffff_ffff_f000, 12);

    let told = report.to_string();
    assert!(report.has(Check::Totality), "{told}");
    for part in ["the process dies", "SIGSEGV", "physical address 0x1000", "RINGFENCE_SEED="] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

#[test]
fn what_is_told_of_a_process_that_dies_is_the_same_in_each_run() {
    let run = || run(0x000f_ffff_ffff_f000, 12).to_string();

    assert_eq!(run(), run());
}

#[test]
fn a_walker_that_makes_an_address_of_all_bits_of_an_entry_is_told_so() {
    let report = run(0xffff_ffff_ffff_f000, 0);

    let told = report.to_string();
    assert!(report.has(Check::Totality), "{told}");
    assert!(told.contains("to no physical address"), "{told}");
}

#[test]
fn a_walker_that_follows_nothing_but_addresses_of_entries_does_not_end_its_process() {
    let report = run(0x000f_ffff_ffff_f000, 0);

    let is_death = |finding: &Finding| finding.kind() == "the process dies";
    assert!(!report.findings().iter().any(is_death), "{report}");
    assert_eq!(report.cases(), 20, "all of them were run here");
}

#[test]
fn a_walker_by_the_book_with_pointers_is_led_out_of_memory_by_no_table() {
    let book = |memory: Memory, root| Book { memory, root };
    let untrapped = conformance::walker(book).isolated(PATIENCE).cases(500).run();
    let trapped = conformance::walker(book).isolated(PATIENCE).cases(100);
    let trapped = trapped.trapping(Observed::Accesses).run();

    for report in [untrapped, trapped] {
        assert!(report.findings().is_empty(), "{report}");
    }
}
