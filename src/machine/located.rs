//! Where pages lead, as the tables said when somebody asked before.
//!
//! An answer follows from the controls, the page and the entries that were read on the way. It is
//! remembered with them and good for as long as each entry still holds what it held: that is looked
//! up at each use, so nothing has to be told when tables change.

use core::cell::{Cell, RefCell};

use crate::base::{Page, PhysAddr, VirtAddr};

use super::memory::Memory;
use super::paging::TableMemory;
use super::paging::x86_64::{self, Controls};

/// Answers that are remembered.
const ANSWERS: usize = 256;

/// Entries that are read for one answer at most: levels of tables.
const READS: usize = 5;

#[derive(Clone, Copy)]
struct Answer {
    controls: Controls,
    page: Page,
    /// Where the entries are, and what they held.
    reads: [(PhysAddr, u64); READS],
    count: usize,
    /// Where the page leads.
    to: Option<PhysAddr>,
}

impl Answer {
    /// Whether it still answers for this page.
    #[inline(always)]
    fn holds(&self, memory: &Memory, controls: &Controls, page: Page) -> bool {
        let mut reads = self.reads[..self.count].iter();
        self.page == page
            && self.controls == *controls
            && reads.all(|&(at, entry)| memory.read(at) == entry)
    }

    /// The answer of the tables. It is not to be remembered where they took more reads than there is
    /// room for.
    #[cold]
    fn find(memory: &Memory, controls: &Controls, page: Page) -> (Option<Self>, Option<PhysAddr>) {
        let nothing = [(PhysAddr::default(), 0); READS];
        let read = Read { memory, reads: Cell::new(nothing), count: Cell::new(0) };
        let start = page.start();
        let to = x86_64::lookup(&read, controls, start)
            .map(|reach| reach.page.plus(start.0 & (reach.size.bytes() - 1)));
        let (reads, count) = (read.reads.get(), read.count.get());
        let answer = Self { controls: *controls, page, reads, count, to };
        ((count <= READS).then_some(answer), to)
    }
}

/// Answers, each in the place that its page and its root choose.
pub(super) struct Located {
    answers: RefCell<[Option<Answer>; ANSWERS]>,
}

impl Default for Located {
    fn default() -> Self {
        Self { answers: RefCell::new([None; ANSWERS]) }
    }
}

/// Memory that writes down what was read.
struct Read<'a> {
    memory: &'a Memory,
    reads: Cell<[(PhysAddr, u64); READS]>,
    count: Cell<usize>,
}

impl TableMemory for Read<'_> {
    fn entry(&self, at: PhysAddr) -> u64 {
        let entry = self.memory.entry(at);
        let mut reads = self.reads.get();
        if let Some(read) = reads.get_mut(self.count.get()) {
            *read = (at, entry);
        }
        self.reads.set(reads);
        self.count.set(self.count.get() + 1);
        entry
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a remainder")]
const fn place_of(page: Page, controls: &Controls) -> usize {
    // Processes have different things in the same pages.
    let key = page.0 ^ controls.cr3.rotate_left(20);
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % ANSWERS
}

impl Located {
    /// Where the tables lead, rights aside.
    pub(super) fn find(
        &self,
        memory: &Memory,
        controls: &Controls,
        virt: VirtAddr,
    ) -> Option<PhysAddr> {
        let page = virt.page();
        let mut answers = self.answers.borrow_mut();
        let answer = &mut answers[place_of(page, controls)];
        let known = answer.as_ref().filter(|known| known.holds(memory, controls, page));
        let to = match known {
            Some(known) => known.to,
            None => {
                let (found, to) = Answer::find(memory, controls, page);
                *answer = found;
                to
            }
        };
        to.map(|to| to.plus(virt.offset()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(raw: u64) -> PhysAddr {
        PhysAddr::truncated(raw)
    }

    #[test]
    fn an_answer_is_forgotten_with_the_entry_it_came_from() {
        let mut memory = Memory::new(8);
        memory.write(at(1 << 12), 2 << 12 | 7);
        memory.write(at(2 << 12), 3 << 12 | 7);
        memory.write(at(3 << 12), 4 << 12 | 7);
        memory.write(at(4 << 12), 5 << 12 | 7);
        let controls = Controls { cr3: 1 << 12, ..Controls::default() };
        let other = Controls { cr3: 6 << 12, ..controls };
        let located = Located::default();
        let virt = VirtAddr(0x128);

        let first = located.find(&memory, &controls, virt);
        let again = located.find(&memory, &controls, VirtAddr(0x130));
        let elsewhere = located.find(&memory, &other, virt);
        memory.write(at(4 << 12), 7 << 12 | 7);
        let moved = located.find(&memory, &controls, virt);
        memory.write(at(2 << 12), 0);
        let gone = located.find(&memory, &controls, virt);

        assert_eq!(first, Some(at(5 << 12 | 0x128)));
        assert_eq!(again, Some(at(5 << 12 | 0x130)));
        assert_eq!(elsewhere, None);
        assert_eq!(moved, Some(at(7 << 12 | 0x128)));
        assert_eq!(gone, None);
    }

    #[test]
    fn what_is_remembered_is_what_the_tables_say() {
        let mut memory = Memory::new(64);
        let mut stream = crate::base::Seed(1).stream("located", 0);
        let located = Located::default();
        let mut leads = 0;
        for _ in 0..20_000 {
            let present = u64::from(stream.below(8) != 0) * 7;
            let large = u64::from(stream.below(8) == 0) << 7;
            let entry = stream.below(8) << 12 | present | large;
            memory.write(at(stream.below(8) << 12 | stream.below(2) << 3), entry);
            let controls = Controls { cr3: stream.below(8) << 12, ..Controls::default() };
            let slot =
                |level: u64, stream: &mut crate::base::Stream| stream.below(2) << (12 + 9 * level);
            let virt = VirtAddr((0..4).map(|level| slot(level, &mut stream)).sum());

            let found = located.find(&memory, &controls, virt);

            let reach = x86_64::lookup(&memory, &controls, virt);
            let expected = reach.map(|reach| reach.page.plus(virt.0 & (reach.size.bytes() - 1)));
            assert_eq!(found, expected);
            leads += u32::from(found.is_some());
        }
        assert!(leads > 500, "{leads} lead anywhere");
    }
}
