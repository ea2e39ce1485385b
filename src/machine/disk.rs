//! A small persistent disk: what is written there survives a reboot.

use crate::base::Rule;
use std::collections::BTreeMap;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[Rule::inferred(
    "disk-survives-reboot",
    "What is on the disk survives a reboot.",
    "Varieties of Kernel-Mode Dump Files (a dump is written before the reboot, and read after it)",
)];

/// Words of 8 bytes in a sector of 512 bytes.
pub const SECTOR_WORDS: usize = 64;

/// Sectors of 512 bytes, with a journal for going back.
#[derive(Clone, Debug)]
pub struct Disk {
    sectors: Vec<[u64; SECTOR_WORDS]>,
    journal: Vec<(u32, u8, u64)>,
    hash: u64,
}

/// What a word's content adds to the hash.
#[allow(clippy::cast_possible_truncation, reason = "a sector has 64 words")]
const fn mixed(sector: u32, word: u8, value: u64) -> u64 {
    super::memory::mixed(sector * SECTOR_WORDS as u32 + word as u32, value)
}

impl Disk {
    /// A disk of `sectors` sectors of zeros.
    #[must_use]
    pub fn new(sectors: usize) -> Self {
        Self { sectors: vec![[0; SECTOR_WORDS]; sectors], journal: Vec::new(), hash: 0 }
    }

    /// Number of sectors.
    #[must_use]
    pub fn sector_count(&self) -> u64 {
        self.sectors.len() as u64
    }

    /// A word of a sector; `None` beyond the end.
    #[must_use]
    pub fn read(&self, sector: u64, word: usize) -> Option<u64> {
        self.sectors.get(usize::try_from(sector).ok()?)?.get(word).copied()
    }

    /// Replaces a word of a sector; `None` beyond the end.
    pub fn write(&mut self, sector: u64, word: usize, value: u64) -> Option<u64> {
        let index = usize::try_from(sector).ok()?;
        let slot = self.sectors.get_mut(index)?.get_mut(word)?;
        let old = core::mem::replace(slot, value);
        if old != value {
            let (sector, word) = (u32::try_from(index).ok()?, u8::try_from(word).ok()?);
            self.hash ^= mixed(sector, word, old) ^ mixed(sector, word, value);
            self.journal.push((sector, word, old));
        }
        Some(old)
    }

    /// A place to go back to.
    #[must_use]
    pub fn mark(&self) -> usize {
        self.journal.len()
    }

    /// Undoes every change made since `mark`.
    pub fn restore(&mut self, mark: usize) {
        while self.journal.len() > mark {
            let (sector, word, old) = self.journal.pop().expect("longer than the mark");
            let slot = &mut self.sectors[sector as usize][usize::from(word)];
            self.hash ^= mixed(sector, word, *slot) ^ mixed(sector, word, old);
            *slot = old;
        }
    }

    /// The fingerprint of the whole content.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Which words differ from what they were at `mark`, with their values then.
    #[must_use]
    pub fn changed_since(&self, mark: usize) -> BTreeMap<(u32, u8), u64> {
        let mut before = BTreeMap::new();
        for &(sector, word, old) in self.journal[mark..].iter().rev() {
            before.insert((sector, word), old);
        }
        before.retain(|&(sector, word), old| {
            self.sectors[sector as usize][usize::from(word)] != *old
        });
        before
    }

    /// In which sectors something changed since `mark`, in order of the changes, also where it was
    /// changed back.
    pub fn sectors_changed_since(&self, mark: usize) -> impl Iterator<Item = u32> {
        self.journal[mark..].iter().map(|&(sector, _, _)| sector)
    }

    /// All sectors, for whoever reads the whole of it.
    #[must_use]
    pub fn sectors(&self) -> &[[u64; SECTOR_WORDS]] {
        &self.sectors
    }
}
