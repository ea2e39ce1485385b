//! Pageable memory at boot: which pages may be away, and which of them are.

use crate::base::{PhysAddr, Seed, Structure};
use crate::kernel::layout::switches::PAGEABLE;
use crate::kernel::layout::{address, element, residency};
use crate::kernel::paging::{ADDRESS, PRESENT, SYSTEM_RW, TRIMMED};
use crate::kernel::pools::state::{PAGED_PAGES, PAGED_POOL};
use crate::kernel::residency::PAGES_MAX;
use crate::machine::Machine;

use super::Loader;

impl Loader<'_> {
    /// Notes pages that may be away.
    pub(super) fn may_be_away(&mut self, base: u64, pages: u64) {
        self.pageable.extend((0..pages).map(|page| base + page * 4096));
    }

    /// Writes down which pages may be away, in a world in which any may.
    ///
    /// # Panics
    ///
    /// When there are more than there is room for: the drivers of a world have fewer.
    pub(super) fn make_residency(&mut self) {
        if self.switches & PAGEABLE == 0 {
            return;
        }
        if !self.pool.kind.is_usual() {
            self.may_be_away(PAGED_POOL, PAGED_PAGES);
        }
        let pages = core::mem::take(&mut self.pageable);
        assert!(pages.len() as u64 <= PAGES_MAX, "{} pageable pages", pages.len());
        self.map_pages(address::RESIDENCY, 1, Structure::KernelData, SYSTEM_RW);
        self.put(address::RESIDENCY, residency::COUNT, pages.len() as u64);
        for (number, page) in (0..).zip(pages) {
            self.put(element(address::RESIDENCY, number), residency::PAGES, page);
        }
    }
}

/// Draws which pageable pages are away when the machine starts, and where the drawing goes on: a stream
/// of its own, so that nothing else of a seed moves.
pub fn draw_residency(machine: &mut Machine, seed: u64) {
    let root = machine.processors[0].controls.cr3;
    let Some(state) = page_entry(machine, root, address::RESIDENCY) else { return };
    let state = machine.memory.read(state) & ADDRESS;
    let word = |machine: &Machine, offset| machine.memory.read(PhysAddr::truncated(state + offset));
    let mut stream = Seed(seed).stream("residency", 0);
    for number in 0..word(machine, residency::COUNT.offset) {
        let page = word(machine, residency::PAGES.offset + number * 8);
        let at = page_entry(machine, root, page).expect("it was mapped");
        let entry = machine.memory.read(at);
        if stream.word() & 1 == 1 {
            machine.memory.write(at, entry & !PRESENT | TRIMMED);
        }
    }
    let next = stream.word() | 1;
    machine.memory.write(PhysAddr::truncated(state + residency::RANDOM.offset), next);
}

/// Where the lowest-level entry of a system address lies; `None` where nothing is mapped.
fn page_entry(machine: &Machine, root: u64, virt: u64) -> Option<PhysAddr> {
    let mut table = root;
    for shift in [39, 30, 21] {
        let at = PhysAddr::truncated((table & ADDRESS) + (virt >> shift & 511) * 8);
        table = machine.memory.read(at);
        if table & PRESENT == 0 {
            return None;
        }
    }
    let at = PhysAddr::truncated((table & ADDRESS) + (virt >> 12 & 511) * 8);
    (machine.memory.read(at) & PRESENT != 0).then_some(at)
}
