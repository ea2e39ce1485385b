//! Was this load, store or transfer granted?
//!
//! A store is granted when the actor may write the region *and* meant what is there: a kernel that
//! writes a handle into a page table is wrong although both are its own. Bytes changed by a store
//! that was not granted, or by one that a fault altered, are corrupt until a granted store replaces
//! them or the memory is handed back. A store of what was there anyway makes nothing corrupt; of a
//! fill it is only known whether it changed anything.

use crate::base::{Domain, Event, EventKind, Principal, Ring, Structure};

use super::record::{Consumption, Corruption, TableStore, Trespass, Withdrawal};
use super::region::{Region, Rights};
use super::{Authority, RECORDS_MAX, keep};

impl Authority {
    // ---- what passes --------------------------------------------------------------------------
    //
    // Nearly every access is granted and changes nothing else in the books. These take in such an
    // event as `event` does, in few instructions; or they say no and leave the books as they were.

    #[inline(always)]
    fn rights_at(&self, event: &Event) -> Option<(usize, &Rights)> {
        #[allow(clippy::cast_possible_truncation, reason = "an address has 52 bits")]
        let word = (event.phys / 8) as usize;
        let number = self.words.get(word)?;
        Some((word, &self.regions.rights[usize::from(*number)]))
    }

    #[inline(always)]
    fn is_sound(&self, word: usize) -> bool {
        self.state.corrupt_words == 0 || self.corrupt[word] == 0
    }

    /// Takes in a load that is granted and reads no corrupt byte.
    #[inline(always)]
    pub fn load_passes(&mut self, event: &Event) -> bool {
        let Some((word, rights)) = self.rights_at(event) else { return false };
        let passes = rights.plain_readers.contains(event.actor) && self.is_sound(word);
        if passes {
            self.state.ordinal += 1;
            self.state.last_load.takes(word, event);
        }
        passes
    }

    /// Takes in a store that is granted and has no consequences.
    #[inline(always)]
    pub fn store_passes(&mut self, event: &Event) -> bool {
        let Some((word, rights)) = self.rights_at(event) else { return false };
        let passes = rights.writers.contains(event.actor)
            & (rights.plainly == event.structure as u8)
            & !event.struck
            && self.is_sound(word);
        self.state.ordinal += u64::from(passes);
        passes
    }

    /// Takes in a step that its actor may fetch, of sound bytes, with nothing being delivered.
    #[inline(always)]
    pub fn step_passes(&mut self, event: &Event) -> bool {
        let Some((word, rights)) = self.rights_at(event) else { return false };
        let passes = rights.readers.contains(event.actor)
            && self.state.is_ordinary()
            && (self.state.corrupt_words == 0
                || self.corrupt[word] | self.corrupt.get(word + 1).unwrap_or(&0) == 0);
        self.state.ordinal += u64::from(passes);
        passes
    }

    /// Takes in a push, which is the store before it.
    #[inline(always)]
    pub fn push_passes(&mut self) -> bool {
        self.state.ordinal += 1;
        true
    }

    // ---- what is looked at closely ------------------------------------------------------------

    pub(super) fn step(&mut self, event: &Event) {
        if !self.state.is_ordinary() {
            self.state.runs(event.processor);
        }
        let Some(word) = self.word_of(event.phys) else { return };
        let rights = &self.regions.rights[usize::from(self.words[word])];
        if !rights.readers.contains(event.actor) {
            self.read_trespass(event, word, 2);
        }
        if self.state.corrupt_words != 0 {
            self.consume_run(event, word, 2);
        }
    }

    pub(super) fn load(&mut self, event: &Event) {
        let Some(word) = self.word_of(event.phys) else { return };
        let rights = &self.regions.rights[usize::from(self.words[word])];
        self.state.last_load.takes(word, event);
        if !rights.plain_readers.contains(event.actor) {
            if rights.readers.contains(event.actor) {
                self.learn(event, word);
            } else {
                self.read_trespass(event, word, 1);
            }
        }
        if self.state.corrupt_words != 0 && self.corrupt[word] & event.mask != 0 {
            self.consume(event, word);
        }
    }

    pub(super) fn store(&mut self, event: &Event) {
        let Some(word) = self.word_of(event.phys) else { return };
        let rights = &self.regions.rights[usize::from(self.words[word])];
        let is_plain = rights.writers.contains(event.actor)
            & (rights.plainly == event.structure as u8)
            & !event.struck;
        if !is_plain {
            self.unusual_store(event, word);
        } else if self.state.corrupt_words != 0 && self.corrupt[word] & event.mask != 0 {
            self.clear_corrupt(word, event.mask);
        }
    }

    /// Who acts: the processor for itself and the kernel while it delivers.
    fn acting(&self, event: &Event) -> Principal {
        if self.state.is_delivering(event.processor) { Principal::KERNEL } else { event.actor }
    }

    #[cold]
    fn read_trespass(&mut self, event: &Event, word: usize, words: u64) {
        if self.acting(event) != event.actor {
            return;
        }
        self.trespass(event, word, words);
        let is_user_mode = self.state.ring(event.processor) == Some(Ring::User);
        if event.kind == EventKind::Load && is_user_mode {
            self.reached(event, word);
        }
    }

    fn trespass(&mut self, event: &Event, word: usize, words: u64) {
        let region = *self.regions.get(self.words[word]);
        let from = (!event.is_by_memory()).then_some(event.actor);
        let domain = Domain::of(&self.roster, from, region.owner, region.structure);
        let trespass = Trespass {
            event: *event,
            ring: self.state.ring(event.processor),
            owner: region.owner,
            structure: region.structure,
            is_in_frame: event.subject != Principal::KERNEL && self.is_framed(event, &region),
            domain,
            ordinal: self.state.ordinal,
            words,
        };
        keep(&mut self.trespasses, trespass);
    }

    #[cold]
    fn consume_run(&mut self, event: &Event, first: usize, len: usize) {
        for word in first..(first + len).min(self.words.len()) {
            if self.corrupt[word] != 0 {
                self.consume(event, word);
            }
        }
    }

    #[cold]
    fn consume(&mut self, event: &Event, word: usize) {
        self.state.consumed += 1;
        self.state.noted = self.state.noted.wrapping_add(1);
        let consumption = Consumption {
            reader: self.acting(event),
            context: event.context,
            structure: self.regions.get(self.words[word]).structure,
            phys: word as u64 * 8,
            ordinal: self.state.ordinal,
            corruption: usize::from(self.origins[word]),
        };
        keep(&mut self.consumptions, consumption);
    }

    /// Whether an altered store hit the frame of the code that it names.
    fn is_framed(&self, event: &Event, region: &Region) -> bool {
        self.roster.kind(event.subject).is_kernel_mode() && may_be_in_a_frame(event, region)
    }

    /// Writes a corruption down and returns its number; beyond the bound, that of the last.
    fn corruption(&mut self, event: &Event, region: &Region, phys: u64, words: u64) -> u16 {
        // Any code runs on any thread's stack; what it keeps there while it runs is its own.
        let framed = Region { owner: Some(event.subject), ..*region };
        let region = if self.is_framed(event, region) { &framed } else { region };
        let from = (!event.is_by_memory()).then_some(event.actor);
        let corruption = Corruption {
            culprit: event.actor,
            struck: event.struck,
            is_by_nobody: event.is_by_nobody(),
            is_by_memory: event.is_by_memory(),
            owner: region.owner,
            owners: region.owners(),
            structure: region.structure,
            domain: Domain::of(&self.roster, from, region.owner, region.structure),
            phys,
            words,
            ordinal: self.state.ordinal,
        };
        const { assert!(RECORDS_MAX <= u16::MAX as usize) };
        keep(&mut self.corruptions, corruption);
        u16::try_from(self.corruptions.len() - 1).expect("few corruptions are kept")
    }

    /// A store that is not plainly granted, or that may replace corrupt bytes.
    #[inline(never)]
    fn unusual_store(&mut self, event: &Event, word: usize) {
        let number = self.words[word];
        let region = *self.regions.get(number);
        let actor = self.acting(event);
        let may_write = self.regions.rights[usize::from(number)].writers.contains(actor);
        let is_granted = may_write && region.is_meant(event.structure);
        if region.structure == Structure::PageTable {
            let phys = word as u64 * 8;
            let store =
                TableStore { phys, words: 1, old: event.old, value: event.value, is_fill: false };
            keep(&mut self.table_stores, store);
        }
        if is_granted {
            self.disclose(event, word, &region);
        } else {
            self.trespass(event, word, 1);
        }
        if is_granted && !event.struck {
            if self.state.corrupt_words != 0 {
                self.clear_corrupt(word, event.mask);
            }
        } else {
            // What was there anyway is no damage, whoever writes it again.
            let changed = event.mask & bytes_of(event.value ^ event.old);
            if changed != 0 {
                let origin = self.corruption(event, &region, word as u64 * 8, 1);
                self.set_corrupt(word, self.corrupt[word] | changed, origin);
            }
        }
        if region.residue.is_some() {
            self.put(word, 1, number, Region { residue: None, ..region });
        }
    }

    pub(super) fn load_run(&mut self, event: &Event) {
        let Some((first, len)) = self.range_within(event) else { return };
        let mut runs = self.runs(first, len);
        while let Some((first, len, number)) = runs.next(self) {
            if !self.regions.rights[usize::from(number)].readers.contains(event.actor) {
                self.read_trespass(event, first, len as u64);
            }
        }
        if self.state.corrupt_words != 0 {
            self.consume_run(event, first, len);
        }
    }

    /// The words of a run as far as they are in memory.
    fn range_within(&self, event: &Event) -> Option<(usize, usize)> {
        let first = self.word_of(event.phys)?;
        let len = usize::try_from(event.value).unwrap_or(usize::MAX);
        Some((first, len.min(self.words.len() - first)))
    }

    pub(super) fn store_run(&mut self, event: &Event) {
        let Some((first, len)) = self.range_within(event) else { return };
        let actor = self.acting(event);
        let mut runs = self.runs(first, len);
        while let Some((first, len, number)) = runs.next(self) {
            let region = *self.regions.get(number);
            let (phys, words) = (first as u64 * 8, len as u64);
            let is_granted = self.regions.rights[usize::from(number)].writers.contains(actor)
                && region.is_meant(event.structure);
            if region.structure == Structure::PageTable {
                let store = TableStore { phys, words, old: 0, value: 0, is_fill: true };
                keep(&mut self.table_stores, store);
            }
            if !is_granted {
                self.trespass(event, first, words);
            }
            if is_granted && !event.struck {
                self.clear_corrupt_run(first, len);
            } else if event.mask != 0 {
                let origin = self.corruption(event, &region, phys, words);
                for word in first..first + len {
                    self.set_corrupt(word, 0xff, origin);
                }
            }
            if region.residue.is_some() {
                self.put(first, len, number, Region { residue: None, ..region });
            }
        }
    }

    pub(super) fn dma_write(&mut self, event: &Event) {
        let Some(word) = self.word_of(event.phys) else { return };
        let rights = &self.regions.rights[usize::from(self.words[word])];
        if !rights.writers.contains(event.actor) || rights.is_watched() || event.struck {
            self.unusual_store(event, word);
        } else if self.state.corrupt_words != 0 {
            self.clear_corrupt(word, event.mask);
        }
    }

    pub(super) fn dma_read(&mut self, event: &Event) {
        let Some(word) = self.word_of(event.phys) else { return };
        let rights = &self.regions.rights[usize::from(self.words[word])];
        if !rights.readers.contains(event.actor) {
            self.trespass(event, word, 1);
            self.reached(event, word);
        }
        if Some(event.actor) == self.disk
            && let Some(owner) = self.regions.get(self.words[word]).owner
        {
            self.state.disk_sources = self.state.disk_sources.with(owner);
        }
        if self.corrupt[word] & event.mask != 0 {
            self.consume(event, word);
        }
    }

    /// A processor read an entry on a walk, or set a mark in it: whoever wrote it before is still its author.
    pub(super) fn table_read(&mut self, event: &Event) {
        let Some(word) = self.word_of(event.phys) else { return };
        if self.corrupt[word] != 0 {
            self.consume(event, word);
        }
    }

    pub(super) fn mode_switch(&mut self, event: &Event) {
        self.state.switches(event.processor, event.value);
        let is_return = event.value == 3 && event.old == Event::BY_SYSRET;
        if !is_return || event.kind != EventKind::ModeSwitch {
            return;
        }
        let thread = self.state.thread_on(event.context, event.processor);
        let since = self.state.returned(event.context, thread);
        let newly =
            self.withdrawals.iter().rev().take_while(|withdrawal| withdrawal.ordinal > since);
        let is_by = |one: &&Withdrawal| one.context == event.context && one.thread == thread;
        let newly: Vec<_> = newly.filter(is_by).collect();
        for withdrawal in newly.into_iter().rev() {
            keep(&mut self.bound, *withdrawal);
        }
        *self.state.returned_mut(event.context, thread) = self.state.ordinal;
        self.state.asking_mut(event.context, thread).is_open = false;
        self.blocks_outlive(event.context, thread);
    }
}

/// Whether an altered store says whose frame it hit: on a stack of kernel mode, by a processor.
fn may_be_in_a_frame(event: &Event, region: &Region) -> bool {
    region.structure == Structure::KernelStack
        && event.kind == EventKind::Store
        && event.struck
        && event.processor != Event::NO_PROCESSOR
}

/// The bytes in which these bits are, as a mask.
pub(super) const fn bytes_of(bits: u64) -> u8 {
    let mut mask = 0;
    let mut byte = 0;
    while byte < 8 {
        if bits >> (8 * byte) & 0xff != 0 {
            mask |= 1 << byte;
        }
        byte += 1;
    }
    mask
}
