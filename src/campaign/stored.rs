//! What is on the disk at rest, beside what the golden run left there?
//!
//! A run that came to rest by itself must have left in each sector what the golden run left there. A
//! run that was cut short may also have left what the golden run had there earlier, but nothing older
//! than what lay there when the fault first struck: a sector goes to the disk whole, so what else lies
//! there was never to be stored.
//!
//! Not told: a sector that the golden run wrote only after the cut, and one whose loss was reported.

use std::collections::{BTreeMap, BTreeSet};

use crate::machine::disk::{Disk, SECTOR_WORDS};

/// What a sector held from one event on.
#[derive(Clone, Debug)]
struct Version {
    /// Events before it was written.
    events: u64,
    words: [u64; SECTOR_WORDS],
}

/// How the disk of a golden run came to hold what it holds.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The disk as the run found it.
    start: usize,
    seen: usize,
    versions: BTreeMap<u32, Vec<Version>>,
}

impl Stored {
    /// Of a run that has not begun.
    #[must_use]
    pub fn from(disk: &Disk) -> Self {
        Self { start: disk.mark(), seen: disk.mark(), versions: BTreeMap::new() }
    }

    /// Takes note of what was written since it looked last; `events` have passed.
    #[inline]
    pub fn look(&mut self, disk: &Disk, events: u64) {
        if disk.mark() != self.seen {
            self.take(disk, events);
        }
    }

    #[cold]
    fn take(&mut self, disk: &Disk, events: u64) {
        let written: BTreeSet<u32> = disk.sectors_changed_since(self.seen).collect();
        for sector in written {
            let words = disk.sectors()[sector as usize];
            self.versions.entry(sector).or_default().push(Version { events, words });
        }
        self.seen = disk.mark();
    }

    /// The sectors in which a run left something else, in order. `cut_after` are the events before the
    /// first strike, of a run that was cut short.
    #[must_use]
    pub fn differing(&self, disk: &Disk, cut_after: Option<u64>) -> Vec<u32> {
        let changed: BTreeSet<u32> =
            disk.changed_since(self.start).keys().map(|&(sector, _)| sector).collect();
        let mut sectors: BTreeSet<u32> = changed.clone();
        sectors.extend(self.versions.keys());
        let is_other = |sector: &u32| {
            let found = &disk.sectors()[*sector as usize];
            let versions = self.versions.get(sector).map_or(&[][..], Vec::as_slice);
            let oldest = match cut_after {
                Some(events) => versions.partition_point(|version| version.events <= events),
                None => versions.len(),
            };
            // The last before the strike, or the start, and whatever came later.
            let is_as_before = match oldest.checked_sub(1) {
                Some(last) => versions[last].words == *found,
                None => !changed.contains(sector),
            };
            let mut later = versions[oldest..].iter();
            !is_as_before && !later.any(|version| version.words == *found)
        };
        sectors.into_iter().filter(is_other).collect()
    }
}

impl Stored {
    /// The first word of a sector in which a run left something else than the golden run left at last: its
    /// number there, what it is and what that left.
    #[must_use]
    pub fn first_difference(&self, disk: &Disk, sector: u32) -> Option<(usize, u64, u64)> {
        let found = disk.sectors().get(sector as usize)?;
        let golden = match self.versions.get(&sector).and_then(|versions| versions.last()) {
            Some(version) => version.words,
            None => {
                let mut words = *found;
                for ((at, word), before) in disk.changed_since(self.start) {
                    if at == sector {
                        words[usize::from(word)] = before;
                    }
                }
                words
            }
        };
        let word = found.iter().zip(&golden).position(|(found, golden)| found != golden)?;
        Some((word, found[word], golden[word]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk on which the golden run wrote 1, then 2 into sector 3, after 10 and 20 events.
    fn golden() -> (Disk, Stored, usize) {
        let mut disk = Disk::new(8);
        disk.write(3, 0, 7);
        let start = disk.mark();
        let mut stored = Stored::from(&disk);
        for (value, events) in [(1, 10), (2, 20)] {
            disk.write(3, 0, value);
            stored.look(&disk, events);
        }
        (disk, stored, start)
    }

    #[test]
    fn what_a_run_left_is_compared_with_what_the_golden_run_left() {
        let (mut disk, stored, start) = golden();
        let left = |disk: &Disk| stored.differing(disk, None);

        assert!(left(&disk).is_empty(), "the golden run's own disk");
        disk.restore(start);
        assert_eq!(left(&disk), [3], "nothing was written");
        assert_eq!(stored.first_difference(&disk, 3), Some((0, 7, 2)));
        disk.write(3, 0, 2);
        assert!(left(&disk).is_empty(), "the same by another way");
        disk.write(5, 63, 1);
        assert_eq!(left(&disk), [5], "where the golden run wrote nothing");
        assert_eq!(stored.first_difference(&disk, 5), Some((63, 1, 0)));
        disk.write(5, 63, 0);
        assert!(left(&disk).is_empty(), "changed back");
    }

    #[test]
    fn a_run_that_was_cut_may_have_left_what_the_golden_run_had_since_the_strike() {
        let (mut disk, stored, start) = golden();
        disk.restore(start);
        let cut = |disk: &Disk, events| stored.differing(disk, Some(events));

        assert!(cut(&disk, 5).is_empty(), "cut before the first was written");
        assert_eq!(cut(&disk, 10), [3], "the first lay there when it struck");
        disk.write(3, 0, 1);
        assert!(cut(&disk, 5).is_empty() && cut(&disk, 19).is_empty());
        assert_eq!(cut(&disk, 20), [3], "older than what lay there");
        disk.write(3, 1, 9);
        assert_eq!(cut(&disk, 5), [3], "never there");
    }
}
