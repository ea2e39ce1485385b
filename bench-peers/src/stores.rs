//! This crate while tables are being changed: one store after every 64th translation, and whatever it
//! takes to stay right.

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::machine::paging::x86_64::Walker;
use ringfence::machine::tlb::{Invalidation, PagingStructureCache};

use crate::ours::{Cached, CachedBelow, Words, controls, raw, walker};
use crate::subject::{Subject, Translate, single};
use crate::tables::Tables;

/// Translations between two stores.
const BETWEEN: u32 = 64;

/// Which entry is stored to: the shift of its index in a linear address.
const PDE: u32 = 18;
const PTE: u32 = 9;

pub(crate) fn all(tables: Tables) -> Vec<Box<dyn Subject>> {
    let upper_levels = |shift| UpperLevels {
        changing: Changing::new(tables, shift),
        walker: walker(),
        cache: PagingStructureCache::new(),
    };
    let translations = Translations { changing: Changing::new(tables, PTE), cached: Cached::new() };
    let below = Below { changing: Changing::new(tables, PTE), cached: CachedBelow::new() };
    vec![
        single("ours: upper, PTE stores", upper_levels(PTE)),
        single("ours: upper, PDE stores", upper_levels(PDE)),
        single("ours: Tlb, PTE stores", translations),
        single("ours: Tlb, upper, PTE stores", below),
    ]
}

/// The word at which the walk for an address reads its entry.
fn word_of(memory: &[u64], virt: u64, shift: u32) -> usize {
    let mut table = Tables::ROOT;
    let mut level = 36;
    loop {
        let word = ((table & ((1 << 52) - 1) & !0xfff) / 8 + (virt >> (level + 3) & 511)) as usize;
        let entry = memory[word];
        if level == shift || entry & 0x80 != 0 {
            return word;
        }
        table = entry;
        level -= 9;
    }
}

/// Memory of its own, and the words to store to, in turn. What is stored is what was there: the
/// answers stay as they are, and nobody who is told of the store knows.
struct Changing {
    memory: Vec<u64>,
    words: Vec<(usize, u64)>,
    translations: u32,
}

impl Changing {
    fn new(tables: Tables, shift: u32) -> Self {
        let memory = tables.words().to_vec();
        let some = tables.virts.iter().step_by(tables.virts.len() / 256);
        let words = some.map(|&virt| (word_of(&memory, virt, shift), virt)).collect();
        Self { memory, words, translations: 0 }
    }

    /// The store that is due, after every so many translations: where, and an address that it is on
    /// the way to.
    #[inline(always)]
    fn due(&mut self) -> Option<(PhysAddr, VirtAddr)> {
        self.translations += 1;
        if self.translations.is_multiple_of(BETWEEN) { Some(self.store()) } else { None }
    }

    #[inline(never)]
    fn store(&mut self) -> (PhysAddr, VirtAddr) {
        let number = (self.translations / BETWEEN) as usize % self.words.len();
        let (word, virt) = self.words[number];
        self.memory[word] = std::hint::black_box(self.memory[word]);
        (PhysAddr::truncated(8 * word as u64), VirtAddr(virt))
    }
}

struct UpperLevels {
    changing: Changing,
    walker: Walker,
    cache: PagingStructureCache<1024>,
}

impl Translate for UpperLevels {
    #[inline(always)]
    fn translate(&mut self, virt: u64) -> u64 {
        if let Some((at, _)) = self.changing.due() {
            self.cache.table_store(at);
        }
        raw(self.cache.address(&self.walker, &Words(&self.changing.memory), VirtAddr(virt)))
    }
}

/// After a store the page is invalidated, as INVLPG does.
struct Translations {
    changing: Changing,
    cached: Cached<4096, 12>,
}

impl Translate for Translations {
    #[inline(always)]
    fn translate(&mut self, virt: u64) -> u64 {
        if let Some((_, page)) = self.changing.due() {
            self.cached.tlb.invalidate(Invalidation::page(&controls(), page));
        }
        self.cached.translate(&Words(&self.changing.memory), VirtAddr(virt))
    }
}

/// The same, with upper levels that are told of the store.
struct Below {
    changing: Changing,
    cached: CachedBelow,
}

impl Translate for Below {
    #[inline(always)]
    fn translate(&mut self, virt: u64) -> u64 {
        if let Some((at, page)) = self.changing.due() {
            self.cached.upper_levels.table_store(at);
            self.cached.tlb.invalidate(Invalidation::page(&controls(), page));
        }
        self.cached.translate(&Words(&self.changing.memory), VirtAddr(virt))
    }
}
