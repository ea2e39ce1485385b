//! A walker with raw pointers is told what one with an accessor is, and may be led anywhere.

#![allow(unsafe_code, reason = "raw pointers are what is tested")]

use ringfence::base::PhysAddr;
use ringfence::conformance::{self, Attempt, Mapping, Memory, Observed, Report, Walker};

const P: u64 = 1;
const ADDRESS: u64 = ((1 << 52) - 1) & !0xfff;

/// Pages of 4 KiB only; it goes on through entries that are not present above the last level.
struct Walk {
    memory: Memory,
    root: PhysAddr,
    load: fn(&Memory, PhysAddr) -> u64,
}

impl Walker for Walk {
    fn translate(&mut self, attempt: &Attempt) -> Option<Mapping> {
        let virt = attempt.virt.0;
        let mut table = self.root.raw();
        for level in (1..=4).rev() {
            let index = virt >> (3 + 9 * level) & 511;
            let entry = (self.load)(&self.memory, PhysAddr::truncated(table + 8 * index));
            if level == 1 && entry & P == 0 {
                return None;
            }
            table = entry & ADDRESS;
        }
        let address = PhysAddr::truncated(table | virt & 0xfff);
        Some(Mapping { address, size: None, rights: None })
    }
}

fn by_pointer(memory: &Memory, at: PhysAddr) -> u64 {
    // SAFETY: memory at its pointers, or the access is trapped.
    unsafe { memory.pointer_to(at).cast::<u64>().read_volatile() }
}

fn run(observed: Option<Observed>) -> Report {
    let load = if observed.is_some() { by_pointer } else { Memory::load };
    let suite = conformance::walker(move |memory, root| Walk { memory, root, load }).cases(40);
    match observed {
        Some(observed) => suite.trapping(observed).run(),
        None => suite.run(),
    }
}

#[test]
fn a_walker_with_raw_pointers_is_told_what_one_with_an_accessor_is() {
    let accessed = run(None);

    for observed in [Observed::Accesses, Observed::Stores] {
        let trapped = run(Some(observed));

        let kinds = |report: &Report| -> Vec<String> {
            report.findings().iter().map(|finding| finding.kind().to_owned()).collect()
        };
        assert!(!trapped.findings().is_empty(), "{trapped}");
        // The window has an end and the accessor has none, so that some tables differ.
        let common = kinds(&trapped).iter().filter(|kind| kinds(&accessed).contains(kind)).count();
        assert!(common > 1, "{observed:?}\n{trapped}\n{accessed}");
    }
}
