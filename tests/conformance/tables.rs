//! A mapper of these tests' own: correct, or with one bug.

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::{Capabilities, Capability, Mapper, Mapping, Memory, Refusal, Rights};
use ringfence::machine::paging::PageSize;

use crate::bug::Bug;

const P: u64 = 1;
const RW: u64 = 2;
const US: u64 = 4;
const PS: u64 = 1 << 7;
const A: u64 = 1 << 5;
const D: u64 = 1 << 6;
const G: u64 = 1 << 8;
const SOFTWARE: u64 = 0b111 << 9;
const CACHES: u64 = 0b11 << 3;
const XD: u64 = 1 << 63;
const ADDRESS: u64 = ((1 << 52) - 1) & !0xfff;
const RIGHTS: u64 = RW | US | XD;

/// How the mapper reaches the words of its tables.
pub(crate) trait Words {
    fn of(memory: &Memory) -> Self;
    fn load(&self, at: PhysAddr) -> u64;
    fn store(&self, at: PhysAddr, value: u64);
    /// As an ordinary assignment does.
    fn store_plain(&self, at: PhysAddr, value: u64);
    /// The low half first.
    fn store_in_halves(&self, at: PhysAddr, value: u64);
    fn swap(&self, at: PhysAddr, value: u64) -> u64;
    fn compare_exchange(&self, at: PhysAddr, expected: u64, new: u64) -> Result<u64, u64>;
}

/// By the accessor.
impl Words for Memory {
    fn of(memory: &Memory) -> Self {
        memory.clone()
    }

    fn load(&self, at: PhysAddr) -> u64 {
        Self::load(self, at)
    }

    fn store(&self, at: PhysAddr, value: u64) {
        Self::store(self, at, value);
    }

    fn store_plain(&self, at: PhysAddr, value: u64) {
        Self::store_plain(self, at, value);
    }

    fn store_in_halves(&self, at: PhysAddr, value: u64) {
        const LOW: u64 = 0xffff_ffff;
        let half = Self::load(self, at) & !LOW | value & LOW;
        Self::store(self, at, half);
        Self::store(self, at, value);
    }

    fn swap(&self, at: PhysAddr, value: u64) -> u64 {
        Self::swap(self, at, value)
    }

    fn compare_exchange(&self, at: PhysAddr, expected: u64, new: u64) -> Result<u64, u64> {
        Self::compare_exchange(self, at, expected, new)
    }
}

/// x86-64 tables of four levels, or of five.
pub(crate) struct Tables<W: Words = Memory> {
    memory: Memory,
    words: W,
    root: PhysAddr,
    bug: Option<Bug>,
    /// Its drop frees the tables.
    is_owner: bool,
    pub(crate) levels: u32,
    /// Nobody is told to forget anything.
    pub(crate) is_silent: bool,
    /// What is to be invalidated is remembered for later.
    is_batched: bool,
}

/// Where a walk ended.
struct Slot {
    at: PhysAddr,
    entry: u64,
    level: u32,
    limit: u64,
}

fn shift(level: u32) -> u32 {
    12 + 9 * (level - 1)
}

fn level_of(size: PageSize) -> u32 {
    match size {
        PageSize::Kib4 => 1,
        PageSize::Mib2 => 2,
        PageSize::Gib1 => 3,
    }
}

fn size_of(level: u32) -> PageSize {
    match level {
        1 => PageSize::Kib4,
        2 => PageSize::Mib2,
        _ => PageSize::Gib1,
    }
}

fn bits_of(rights: Rights) -> u64 {
    let write = if rights.has(Rights::WRITE) { RW } else { 0 };
    let user = if rights.has(Rights::USER) { US } else { 0 };
    let execute = if rights.has(Rights::EXECUTE) { 0 } else { XD };
    write | user | execute
}

fn rights_of(entry: u64) -> Rights {
    let write = if entry & RW != 0 { Rights::WRITE } else { Rights::READ };
    let user = if entry & US != 0 { Rights::USER } else { Rights::READ };
    let execute = if entry & XD != 0 { Rights::READ } else { Rights::EXECUTE };
    write.and(user).and(execute)
}

fn is_leaf(entry: u64, level: u32) -> bool {
    entry & P != 0 && (level == 1 || entry & PS != 0)
}

fn is_malformed(entry: u64, level: u32) -> bool {
    let low = match level {
        4 | 5 => PS,
        3 | 2 if entry & PS != 0 => ((1 << shift(level)) - 1) & !0x1fff,
        _ => 0,
    };
    entry & P != 0 && entry & low != 0
}

fn is_canonical(virt: VirtAddr, levels: u32) -> bool {
    let sign = shift(levels) + 8;
    let high = virt.0 >> sign;
    high == 0 || high == u64::MAX >> sign
}

fn page_of(entry: u64, level: u32) -> u64 {
    entry & ADDRESS & !((1 << shift(level)) - 1)
}

impl Tables {
    pub(crate) fn new(memory: Memory, bug: Option<Bug>) -> Self {
        Self::reached(memory, bug)
    }
}

impl<W: Words> Tables<W> {
    pub(crate) fn reached(memory: Memory, bug: Option<Bug>) -> Self {
        let root = memory.allocate_zeroed().expect("a frame for the root");
        let (is_owner, is_silent, is_batched) = (true, false, false);
        Self {
            words: W::of(&memory),
            memory,
            root,
            bug,
            is_owner,
            levels: 4,
            is_silent,
            is_batched,
        }
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn at(table: PhysAddr, level: u32, virt: VirtAddr) -> PhysAddr {
        table.plus(8 * (virt.0 >> shift(level) & 511))
    }

    /// Descends to the first entry that names no table, or to `lowest`.
    fn find(&self, virt: VirtAddr, lowest: u32) -> Slot {
        let mut table = self.root;
        let mut level = self.levels;
        let mut limit = RW | US;
        loop {
            let at = Self::at(table, level, virt);
            let entry = self.words.load(at);
            let ends = entry & P == 0 || is_leaf(entry, level) || is_malformed(entry, level);
            if ends || level == lowest {
                return Slot { at, entry, level, limit };
            }
            limit = limit & entry | (limit | entry) & XD;
            table = PhysAddr::truncated(entry & ADDRESS);
            level -= 1;
        }
    }

    fn write(&self, at: PhysAddr, entry: u64) {
        if self.has(Bug::WritesPlainly) {
            self.words.store_plain(at, entry);
        } else if self.has(Bug::WritesInHalves) {
            self.words.store_in_halves(at, entry);
        } else {
            self.words.store(at, entry);
        }
    }

    fn invalidate(&self, page: VirtAddr) {
        if self.is_silent || self.is_batched {
            return;
        }
        if self.has(Bug::InvalidatesWrongPage) {
            self.memory.invalidate_page(VirtAddr(page.0 & 0xffff_ffff));
        } else {
            self.memory.invalidate_page(page);
        }
    }

    /// A table, cleared and linked at `slot`; `None` when something else lies there by now.
    fn extend(&self, slot: &Slot, rights: Rights) -> Result<Option<PhysAddr>, Refusal> {
        let Some(table) = self.memory.allocate() else { return Err(Refusal::OutOfFrames) };
        if !self.has(Bug::LinksOverWhatCameMeanwhile) && self.words.load(slot.at) != slot.entry {
            if !self.has(Bug::KeepsUnneededTable) {
                self.memory.free(table);
            }
            return Ok(None);
        }
        let limit = if self.has(Bug::LimitsByFirstPage) { bits_of(rights) } else { RW | US };
        if self.has(Bug::LinksBeforeClearing) {
            self.write(slot.at, table.raw() | P | limit);
        }
        for index in 0..512 {
            self.words.store(table.plus(8 * index), 0);
        }
        if !self.has(Bug::LinksBeforeClearing) {
            self.write(slot.at, table.raw() | P | limit);
        }
        Ok(Some(table))
    }

    /// Replaces a large page by a table that maps the same.
    fn split(&self, slot: &Slot, page: VirtAddr) -> Result<(), Refusal> {
        let Some(table) = self.memory.allocate() else {
            if self.has(Bug::LosesPageWhenASplitHasNoFrame) {
                self.words.store(slot.at, 0);
                self.invalidate(page);
            }
            return Err(Refusal::OutOfFrames);
        };
        let below = slot.level - 1;
        let pat = slot.entry & 1 << 12 != 0;
        loop {
            let entry = self.words.load(slot.at);
            let is_split = !is_leaf(entry, slot.level);
            if is_split && !self.has(Bug::SplitsWhatIsSplit) {
                self.memory.free(table);
                return Ok(());
            }
            let is_large = below > 1 || self.has(Bug::SplitKeepsPs);
            let kept = entry & !(ADDRESS | PS) | if is_large { PS } else { 0 };
            let kept = match self.bug {
                Some(Bug::SplitDropsDirtyFlag) => kept & !D,
                Some(Bug::SplitDropsSoftwareBits) => kept & !SOFTWARE,
                Some(Bug::SplitSetsGlobal) => kept | G,
                _ => kept,
            };
            let pat = pat && !self.has(Bug::SplitDropsMemoryType);
            let kept = kept | if pat { if below > 1 { 1 << 12 } else { PS } } else { 0 };
            let start = page_of(entry, slot.level);
            for index in 0..512 {
                let stride = if self.has(Bug::SplitsWithWrongStride) && index > 500 {
                    1 << shift(below + 1)
                } else {
                    1 << shift(below)
                };
                self.words.store(table.plus(8 * index), (start + index * stride) | kept);
            }
            let link = table.raw() | P | RW | US;
            if self.has(Bug::SplitLosesDirtyFlag) {
                self.words.store(slot.at, link);
                break;
            }
            if self.words.compare_exchange(slot.at, entry, link).is_ok() {
                break;
            }
        }
        self.invalidate(page);
        Ok(())
    }

    /// The leaf of exactly this size.
    fn leaf(&self, page: VirtAddr, size: PageSize) -> Result<Slot, Refusal> {
        let slot = self.find(page, level_of(size));
        if is_malformed(slot.entry, slot.level) {
            return Err(Refusal::Declined("a malformed entry"));
        }
        if slot.level == level_of(size) && is_leaf(slot.entry, slot.level) {
            let takes_pat_for_size = self.has(Bug::TakesPatForSize) && slot.level == 1;
            if takes_pat_for_size && slot.entry & PS != 0 {
                return Err(Refusal::OtherSize);
            }
            return Ok(slot);
        }
        if slot.entry & P == 0 { Err(Refusal::NotMapped) } else { Err(Refusal::OtherSize) }
    }

    fn free_below(&self, table: PhysAddr, level: u32) {
        for index in 0..512 {
            let entry = self.words.load(table.plus(8 * index));
            let is_large = is_leaf(entry, level) && !self.has(Bug::DropWalksLeaves);
            if entry & P == 0 || level == 1 || is_large || is_malformed(entry, level) {
                continue;
            }
            let below = PhysAddr::truncated(entry & ADDRESS);
            self.free_below(below, level - 1);
            if !(self.has(Bug::LeaksOneLevel) && level == 3) {
                self.memory.free(below);
            }
        }
    }

    /// Frees empty tables below; whether this one is empty then.
    fn clean(&self, table: PhysAddr, level: u32, first: VirtAddr) -> bool {
        let mut is_empty = true;
        for index in 0..512 {
            let at = table.plus(8 * index);
            let entry = self.words.load(at);
            let mut virt = VirtAddr(first.0 | index << shift(level));
            if level == self.levels && index >= 256 {
                virt = VirtAddr(virt.0 | u64::MAX << (shift(level) + 9));
                if self.has(Bug::CleanUpOverflows) && entry & P != 0 {
                    let end = (0xffff_u64 << 48).checked_add(index << 55);
                    end.expect("attempt to add with overflow");
                }
            }
            let names_table = entry & P != 0 && !is_leaf(entry, level) && level > 1;
            if !names_table || is_malformed(entry, level) {
                is_empty &= entry == 0;
                continue;
            }
            let below = PhysAddr::truncated(entry & ADDRESS);
            let is_kept =
                self.has(Bug::CleansNothing) || (self.has(Bug::CleansLastLevel) && level > 2);
            if !self.clean(below, level - 1, virt) || is_kept {
                is_empty = false;
            } else if self.has(Bug::FreesReachable) {
                self.memory.free(below);
                self.words.store(at, 0);
            } else if self.has(Bug::FreesBeforeInvalidating) {
                self.words.store(at, 0);
                self.memory.free(below);
                self.invalidate(virt);
            } else {
                self.words.store(at, 0);
                self.memory.invalidate_page(virt);
                self.memory.free(below);
            }
        }
        is_empty
    }

    /// Does `each` to every leaf of a range, large pages that lie in it whole, others split.
    fn over_range(
        &mut self,
        first: VirtAddr,
        bytes: u64,
        mut each: impl FnMut(&mut Self, VirtAddr, PageSize) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let last = first.plus(bytes - 1);
        let mut page = first;
        let mut has_large = false;
        loop {
            let slot = self.find(page, 1);
            if is_malformed(slot.entry, slot.level) {
                return Err(Refusal::Declined("a malformed entry"));
            }
            let span = 1u64 << shift(slot.level);
            let is_whole = page.0 & (span - 1) == 0 && last.0 - page.0 >= span - 1;
            let touches_block = self.has(Bug::ProtectsWholeBlock)
                || (self.has(Bug::RangeTouchesNeighbour) && page != first);
            let step = if !is_leaf(slot.entry, slot.level) {
                if self.has(Bug::LoopsOnHole) && page != first {
                    0
                } else {
                    span - (page.0 & (span - 1))
                }
            } else if is_whole || touches_block {
                let start = VirtAddr(page.0 & !(span - 1));
                self.is_silent = has_large && self.has(Bug::InvalidatesFirstLargePageOnly);
                let done = each(self, start, size_of(slot.level));
                self.is_silent = false;
                done?;
                has_large |= slot.level > 1;
                span - (page.0 & (span - 1))
            } else {
                self.split(&slot, page)?;
                0
            };
            match page.0.checked_add(step) {
                Some(next) if next <= last.0 => page = VirtAddr(next),
                _ => return Ok(()),
            }
        }
    }
}

impl<W: Words + 'static> Mapper for Tables<W> {
    fn reentry(&self) -> Option<Box<dyn Mapper>> {
        let (memory, words) = (self.memory.clone(), W::of(&self.memory));
        Some(Box::new(Self { memory, words, is_owner: false, ..*self }))
    }

    fn capabilities(&self) -> Capabilities {
        let is_entered = self.bug.is_none_or(Bug::is_of_reentry);
        let all = Capabilities::all().without(Capability::UnmapFrees);
        if is_entered { all } else { all.without(Capability::Reentry) }
    }

    fn root(&self) -> PhysAddr {
        self.root
    }

    fn map(
        &mut self,
        page: VirtAddr,
        to: PhysAddr,
        size: PageSize,
        rights: Rights,
    ) -> Result<(), Refusal> {
        let wanted = level_of(size);
        let mut slot = self.find(page, wanted);
        let mut made: Vec<(PhysAddr, PhysAddr)> = Vec::new();
        loop {
            if is_malformed(slot.entry, slot.level) {
                return Err(Refusal::Declined("a malformed entry"));
            }
            if slot.entry & P != 0 {
                let overwrites = self.has(Bug::OverwritesSilently) && slot.level == wanted;
                if !(overwrites && is_leaf(slot.entry, slot.level)) {
                    return Err(Refusal::AlreadyMapped);
                }
            }
            if slot.level == wanted {
                break;
            }
            match self.extend(&slot, rights) {
                Ok(table) => made.extend(table.map(|table| (slot.at, table))),
                Err(refusal) => {
                    if self.has(Bug::LeaksWhenOutOfFrames)
                        && let Some((at, _)) = made.first()
                    {
                        self.words.store(*at, 0);
                        self.memory.invalidate_page(page);
                    }
                    return Err(refusal);
                }
            }
            slot = self.find(page, wanted);
        }
        let large = if wanted > 1 { PS } else { 0 };
        let mut bits = bits_of(rights);
        if self.has(Bug::ForgetsExecuteNever) {
            bits &= !XD;
        }
        self.write(slot.at, to.raw() | P | large | bits);
        if self.has(Bug::CountsInNextEntry) {
            let next = VirtAddr(page.0.wrapping_add(PageSize::Mib2.bytes()));
            let slot = self.find(next, 2);
            if slot.level == 2 && slot.entry & (P | PS) == P {
                self.words.store(slot.at, slot.entry | 1 << 9);
            }
        }
        Ok(())
    }

    fn unmap(&mut self, page: VirtAddr, size: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        if self.has(Bug::TakesDataForTable) {
            let slot = self.find(page, level_of(size));
            if is_leaf(slot.entry, slot.level) && slot.level == 2 && size == PageSize::Kib4 {
                let data = PhysAddr::truncated(page_of(slot.entry, slot.level));
                self.words.store(Self::at(data, 1, page), 0);
                self.invalidate(page);
                return Ok(None);
            }
        }
        let slot = match self.leaf(page, size) {
            Err(Refusal::NotMapped) if self.has(Bug::UnmapsNothing) => {
                return Ok(Some(PhysAddr::default()));
            }
            Err(Refusal::OtherSize) if self.has(Bug::RefusesFalsely) => {
                return Err(Refusal::OutOfFrames);
            }
            other => other?,
        };
        let old = self.words.swap(slot.at, 0);
        let beside = PhysAddr::truncated(slot.at.raw() ^ 8);
        if self.has(Bug::ClearsHiddenNeighbour) && self.words.load(beside) & P == 0 {
            self.words.store(beside, 0);
        }
        if !self.has(Bug::ForgetsToInvalidateUnmap) {
            self.invalidate(page);
        }
        Ok(Some(PhysAddr::truncated(page_of(old, slot.level))))
    }

    fn protect(&mut self, page: VirtAddr, size: PageSize, rights: Rights) -> Result<(), Refusal> {
        let slot = self.leaf(page, size)?;
        let dropped = match self.bug {
            Some(Bug::ProtectDropsMemoryType) => CACHES,
            Some(Bug::ProtectDropsSoftwareBits) => SOFTWARE,
            Some(Bug::ProtectThrowsDirtyFlagAway) => A | D,
            _ => 0,
        };
        let changed = |entry: u64| entry & !(RIGHTS | dropped) | bits_of(rights);
        if self.has(Bug::LosesDirtyFlag) {
            self.words.store(slot.at, changed(slot.entry));
        } else {
            let mut entry = slot.entry;
            while let Err(now) = self.words.compare_exchange(slot.at, entry, changed(entry)) {
                entry = now;
            }
        }
        if !self.has(Bug::ForgetsToInvalidateProtect) {
            self.invalidate(page);
        }
        Ok(())
    }

    fn query(&mut self, virt: VirtAddr) -> Result<Option<Mapping>, Refusal> {
        if !is_canonical(virt, self.levels) {
            return Ok(None);
        }
        let mut slot = self.find(virt, 1);
        if self.has(Bug::PanicsAtLargeRootEntry) && slot.level == 4 {
            assert!(slot.entry & PS == 0, "level 4 entry has huge page bit set");
        }
        if self.has(Bug::WalksThroughNotPresent)
            && slot.entry & (P | PS) == 0
            && slot.entry != 0
            && slot.level == 2
        {
            let table = PhysAddr::truncated(slot.entry & ADDRESS);
            let at = Self::at(table, 1, virt);
            slot = Slot { at, entry: self.words.load(at), level: 1, limit: slot.limit };
        }
        let is_hidden = slot.level == 1 && slot.entry & ADDRESS != 0;
        let is_taken = self.has(Bug::TranslatesHiddenLeaf) && is_hidden;
        if !is_taken && !is_leaf(slot.entry, slot.level) || is_malformed(slot.entry, slot.level) {
            return Ok(None);
        }
        let mut page = page_of(slot.entry, slot.level);
        if self.has(Bug::TakesPatForAddress) {
            page = slot.entry & ADDRESS;
        }
        let offset = virt.0 & ((1 << shift(slot.level)) - 1);
        let both = slot.entry & slot.limit & (RW | US) | (slot.entry | slot.limit) & XD;
        Ok(Some(Mapping {
            address: PhysAddr::truncated(page + offset),
            size: Some(size_of(slot.level)),
            rights: Some(rights_of(both)),
        }))
    }

    fn map_range(
        &mut self,
        first: VirtAddr,
        to: PhysAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        if self.has(Bug::WrapsAtTop) {
            let end = first.0.wrapping_add(bytes);
            let mut page = first;
            while page.0 < end {
                self.map(page, to.plus(page.0 - first.0), PageSize::Kib4, rights)?;
                page = page.plus(4096);
            }
            return Ok(());
        }
        let mut done = 0;
        let forgotten = if self.has(Bug::ForgetsLastPage) && bytes > 4 * 4096 { 4096 } else { 0 };
        while done < bytes - forgotten {
            let (page, mut frame) = (first.plus(done), to.plus(done));
            let large = PageSize::Mib2.bytes();
            let is_large = page.0 % large == 0 && frame.raw() % large == 0 && bytes - done >= large;
            let mut size = if is_large { PageSize::Mib2 } else { PageSize::Kib4 };
            if is_large && self.find(page, 2).entry & P != 0 {
                size = PageSize::Kib4;
            }
            if size == PageSize::Mib2 && self.has(Bug::SecondLargePageLeadsToFirst) {
                frame = PhysAddr::truncated(to.raw().next_multiple_of(large));
            }
            self.map(page, frame, size, rights)?;
            done += size.bytes();
        }
        Ok(())
    }

    fn unmap_range(&mut self, first: VirtAddr, bytes: u64) -> Result<(), Refusal> {
        if !self.has(Bug::ForgetsPendingWhenShort) {
            return self.over_range(first, bytes, |tables, page, size| {
                tables.unmap(page, size).map(|_| ())
            });
        }
        let mut pending = Vec::new();
        self.is_batched = true;
        let done = self.over_range(first, bytes, |tables, page, size| {
            tables.unmap(page, size)?;
            pending.push(page);
            Ok(())
        });
        self.is_batched = false;
        done?;
        pending.into_iter().for_each(|page| self.invalidate(page));
        Ok(())
    }

    fn protect_range(
        &mut self,
        first: VirtAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.over_range(first, bytes, |tables, page, size| tables.protect(page, size, rights))
    }

    fn clean_up(&mut self) -> Result<(), Refusal> {
        self.clean(self.root, self.levels, VirtAddr(0));
        Ok(())
    }
}

impl<W: Words> Drop for Tables<W> {
    fn drop(&mut self) {
        if self.is_owner && !self.has(Bug::LeaksEverything) {
            self.free_below(self.root, self.levels);
            self.memory.free(self.root);
        }
    }
}
