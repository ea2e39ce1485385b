//! How much work each part of a sweep is, so that what is told of its progress says when it ends.
//!
//! To judge the flips of an entry takes about as long for any entry that is present, but for one thing:
//! the first flips of an entry that names a table go through all that lies below, and what they found
//! is remembered for the entries down there. So the root's entries, which may come first, are most
//! of the work in some images.

use std::collections::BTreeSet;

use crate::audit::space::Space;
use crate::audit::ways::Way;
use crate::machine::paging::x86_64::{EntryKind, Level};

use super::view::Decoder;

/// The flips of an entry that is present, judged one way; of one that is not, 1. Measured, as the next,
/// on images of a thousand to eight thousand tables.
const PRESENT: u64 = 40;

/// To go through an entry that lies below one that is flipped, for all of its bits together.
const BELOW: u64 = 4;

/// Work, run by run.
pub(super) struct Work {
    /// Of all runs up to this one and with it.
    done: Vec<u64>,
}

impl Work {
    /// Of runs of so many entries, in the order of a sweep.
    pub(super) fn new(space: &Space, ways: &[Vec<Way>], run: usize) -> Self {
        let decoder = Decoder::new(space);
        let mut passed = BTreeSet::new();
        let (mut sum, mut done) = (0, Vec::new());
        for (index, ways) in ways.iter().enumerate() {
            for entries in space.image.table(index).chunks(run) {
                for &entry in entries {
                    sum += 1;
                    for way in ways.iter().filter(|_| entry & 1 == 1) {
                        sum += PRESENT;
                        sum += below(&decoder, entry, way.using.level, &mut passed);
                    }
                }
                done.push(sum);
            }
        }
        Self { done }
    }

    /// After so many runs, and in all.
    pub(super) fn after(&self, runs: usize) -> (u64, u64) {
        let of = |runs: usize| runs.checked_sub(1).and_then(|last| self.done.get(last)).copied();
        (of(runs).unwrap_or(0), self.done.last().copied().unwrap_or(0))
    }
}

/// What lies below an entry of this level and was not gone through before.
fn below(
    decoder: &Decoder<'_>,
    entry: u64,
    level: Level,
    passed: &mut BTreeSet<(usize, Level)>,
) -> u64 {
    let EntryKind::Table(at) = decoder.kind(entry, level) else { return 0 };
    let Some(table) = decoder.image.index_of(at.frame()) else { return 0 };
    let level = level.below();
    if !passed.insert((table, level)) {
        return 0;
    }
    let present = decoder.image.table(table).iter().filter(|entry| *entry & 1 == 1);
    present.map(|&entry| BELOW + below(decoder, entry, level, passed)).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::audit::image::{Image, Levels};
    use crate::base::Frame;
    use crate::machine::paging::x86_64::Controls;

    #[test]
    fn what_lies_below_is_counted_once_and_where_it_is_reached_first() {
        // Two entries of the root and one of the table below lead to the same pages.
        let tables: [(u64, &[(usize, u64)]); 4] = [
            (1, &[(0, 0x2007), (3, 0x2007), (100, 0)]),
            (2, &[(9, 0x3007)]),
            (3, &[(0, 0x4007), (511, 0x4007)]),
            (4, &[(0, 0x8007), (64, 0x9007), (65, 0xa007)]),
        ];
        let held = tables.map(|(frame, entries)| {
            let mut table = Box::new([0; 512]);
            entries.iter().for_each(|&(slot, entry)| table[slot] = entry);
            (Frame(frame), table)
        });
        let image = Image::new(0x1000, Levels::Four, BTreeMap::from(held));
        let space = Space::new(image, Controls::default()).expect("it is whole");

        let work = Work::new(&space, &space.ways_by_table(), 64);

        let of = |run: usize| work.after(run + 1).0 - work.after(run).0;
        // One entry of the PDPT, two of the page directory, three pages.
        assert_eq!(of(0), 64 + 2 * PRESENT + (1 + 2 + 3) * BELOW);
        assert_eq!(of(1), 64);
        let present = [of(8), of(16), of(23), of(24), of(25)].map(|work| (work - 64) / PRESENT);
        assert_eq!(present, [1, 1, 1, 1, 2]);
        assert_eq!((work.after(0).0, work.after(32).0), (0, work.after(0).1));
    }
}
