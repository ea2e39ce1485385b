//! What memory in use holds at rest, beside what the golden run left there.
//!
//! A store that was lost, a transfer that ended early, or a count that is off by one corrupts no byte: nobody wrote
//! where he may not. If nobody reads it either, what memory holds is all that is other.
//!
//! Not told: stacks, where calls that are over leave what they used; free memory; and the accessed and dirty flags
//! of page tables, which say what was used and not what is there (Intel SDM volume 3A, "Accessed and Dirty Flags"); and
//! words that say how far a sequence of drawings is, which are this model's own and nobody's data.

use std::collections::BTreeMap;

use crate::authority::Authority;
use crate::base::{PhysAddr, Structure};
use crate::machine::memory::{Mark, Memory};

/// The flags of an entry that a processor sets by itself: accessed is bit 5, dirty bit 6.
const MARKS: u64 = 1 << 5 | 1 << 6;

/// What a golden run left in memory.
#[derive(Clone, Debug)]
pub struct LeftInMemory {
    /// Memory as the run found it.
    start: Mark,
    hash: u64,
    /// The words it wrote, in order, as it left them.
    words: Vec<(u32, u64)>,
    /// A bit for each word of memory up to the last of these: whether it is one of them.
    is_written: Box<[u64]>,
    /// Where sequences of drawings are.
    sequences: Vec<PhysAddr>,
}

/// A word of memory in use that was left other than in the golden run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Word {
    /// Where it is.
    pub at: PhysAddr,
    /// What it holds.
    pub found: u64,
    /// What the golden run left there.
    pub golden: u64,
}

/// The address of the word at an index.
fn address(index: u32) -> PhysAddr {
    PhysAddr::truncated(u64::from(index) * 8)
}

impl LeftInMemory {
    /// Of a run that began at this mark and is at rest.
    #[must_use]
    pub fn by(memory: &Memory, start: Mark) -> Self {
        let mut written: Vec<u32> = memory.written_since(start).collect();
        written.sort_unstable();
        written.dedup();
        let bits = written.last().map_or(0, |last| *last as usize / 64 + 1);
        let mut is_written = vec![0; bits].into_boxed_slice();
        for &index in &written {
            is_written[index as usize / 64] |= 1 << (index % 64);
        }
        let words = written.into_iter().map(|index| (index, memory.read(address(index))));
        Self {
            start,
            hash: memory.hash(),
            words: words.collect(),
            is_written,
            sequences: Vec::new(),
        }
    }

    /// The same, with words in which the model keeps how far a sequence of drawings is.
    #[must_use]
    pub fn with_sequences(self, sequences: Vec<PhysAddr>) -> Self {
        Self { sequences, ..self }
    }

    /// The words in use that a run left other than the golden run did.
    pub fn differing(&self, memory: &Memory, books: &Authority) -> impl Iterator<Item = Word> {
        let is_other = memory.hash() != self.hash;
        let own = self.words.iter().filter(move |_| is_other).copied();
        // Looked for only where those of the golden run's own words are not enough.
        let others = core::iter::once_with(move || {
            let is_own = |index: u32| {
                let bits = self.is_written.get(index as usize / 64);
                bits.is_some_and(|bits| bits >> (index % 64) & 1 == 1)
            };
            match is_other {
                true => memory.changed_since(self.start, |index| !is_own(index)),
                false => BTreeMap::new(),
            }
        });
        own.chain(others.flatten()).filter_map(move |(index, golden)| {
            let at = address(index);
            let found = memory.read(at);
            if found == golden {
                return None;
            }
            if self.sequences.contains(&at) {
                return None;
            }
            let apart = match books.structure_of(at) {
                Structure::Free | Structure::KernelStack | Structure::UserStack => u64::MAX,
                Structure::PageTable => MARKS,
                _ => 0,
            };
            ((found ^ golden) & !apart != 0).then_some(Word { at, found, golden })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Event, EventKind, Principal, PrincipalKind, Roster, Witness};

    const AT: [u64; 5] = [0x1000, 0x2000, 0x3000, 0x4000, 0x5000];

    /// Books in which a frame is each of these, from the second on.
    fn books() -> Authority {
        let mut roster = Roster::default();
        roster.add("kernel", PrincipalKind::Kernel, false);
        let mut books = Authority::new(6 * 512, roster);
        let structures = [
            Structure::KernelData,
            Structure::PageTable,
            Structure::KernelStack,
            Structure::UserStack,
        ];
        let boot = Event {
            kind: EventKind::Boot,
            actor: Principal::KERNEL,
            context: Principal::KERNEL,
            subject: Principal::KERNEL,
            structure: Structure::Free,
            mask: 0xff,
            processor: 0,
            struck: false,
            phys: 0,
            virt: 0,
            value: 0,
            old: 0,
        };
        books.event(&boot);
        for (phys, structure) in AT.into_iter().zip(structures) {
            books.event(&Event { kind: EventKind::Grant, phys, structure, value: 512, ..boot });
        }
        books
    }

    #[test]
    fn words_in_use_are_told_wherever_either_run_wrote() {
        let books = books();
        let mut memory = Memory::new(6);
        let start = memory.mark();
        for at in AT {
            memory.write(PhysAddr::truncated(at), 0x100);
        }
        let golden = LeftInMemory::by(&memory, start);
        assert_eq!(golden.differing(&memory, &books).count(), 0, "the golden run's own");

        memory.restore(start);
        let told = |memory: &Memory| {
            let words = golden.differing(memory, &books);
            words.map(|one| (one.at.raw(), one.found, one.golden)).collect::<Vec<_>>()
        };
        assert_eq!(told(&memory), [(0x1000, 0, 0x100), (0x2000, 0, 0x100)], "nothing was stored");
        for at in AT {
            memory.write(PhysAddr::truncated(at), 0x160);
            memory.write(PhysAddr::truncated(at + 8), 0x60);
        }
        assert_eq!(told(&memory), [(0x1000, 0x160, 0x100), (0x1008, 0x60, 0)]);
        let apart = golden.clone().with_sequences(vec![PhysAddr::truncated(0x1000)]);
        let told_apart: Vec<_> = apart.differing(&memory, &books).map(|one| one.at.raw()).collect();
        assert_eq!(told_apart, [0x1008], "how far drawings are");
        memory.write(PhysAddr::truncated(0x1000), 0x100);
        memory.write(PhysAddr::truncated(0x1008), 0);
        assert_eq!(told(&memory), [], "mended");
    }
}
