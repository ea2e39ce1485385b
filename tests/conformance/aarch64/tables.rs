//! Stage 1 tables of EL1&0 below one root, with break-before-make.

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::{
    Barrier, Capabilities, Capability, Mapper, Mapping, Memory, Refusal, Rights,
};
use ringfence::machine::paging::PageSize;

use super::bug::Bug;

const VALID: u64 = 1;
const TABLE: u64 = 0b11;
const AP_EL0: u64 = 1 << 6;
const AP_RO: u64 = 1 << 7;
const SH_INNER: u64 = 0b11 << 8;
const AF: u64 = 1 << 10;
const NG: u64 = 1 << 11;
const ATTR_INDEX: u64 = 0b111 << 2;
const DBM: u64 = 1 << 51;
const CONTIGUOUS: u64 = 1 << 52;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;
const PXN_TABLE: u64 = 1 << 59;
const UXN_TABLE: u64 = 1 << 60;
const AP_TABLE_NO_EL0: u64 = 1 << 61;
const AP_TABLE_RO: u64 = 1 << 62;
const ADDRESS: u64 = ((1 << 48) - 1) & !0xfff;
const RIGHTS: u64 = AP_EL0 | AP_RO | DBM | PXN | UXN;

/// How the registers are set up.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    /// The level of the root: 0 or 1.
    pub(crate) first_level: u32,
    /// Bits of an input address.
    pub(crate) input_bits: u32,
    /// Bits above them are ones.
    pub(crate) is_upper: bool,
    /// TCR.HA and TCR.HD.
    pub(crate) hardware_flags: bool,
}

pub(crate) struct Tables {
    memory: Memory,
    root: PhysAddr,
    setup: Setup,
    bug: Option<Bug>,
    /// Its drop frees the tables.
    is_owner: bool,
}

struct Slot {
    at: PhysAddr,
    entry: u64,
    level: u32,
    /// What the tables above have set, all together.
    above: u64,
}

fn shift(level: u32) -> u32 {
    39 - 9 * level
}

fn level_of(size: PageSize) -> u32 {
    match size {
        PageSize::Kib4 => 3,
        PageSize::Mib2 => 2,
        PageSize::Gib1 => 1,
    }
}

fn size_of(level: u32) -> PageSize {
    match level {
        3 => PageSize::Kib4,
        2 => PageSize::Mib2,
        _ => PageSize::Gib1,
    }
}

fn is_table(entry: u64, level: u32) -> bool {
    entry & 0b11 == TABLE && level < 3
}

fn is_leaf(entry: u64, level: u32) -> bool {
    match level {
        3 => entry & 0b11 == 0b11,
        1 | 2 => entry & 0b11 == 0b01,
        _ => false,
    }
}

fn is_malformed(entry: u64, level: u32) -> bool {
    entry & VALID != 0 && !is_table(entry, level) && !is_leaf(entry, level)
}

fn page_of(entry: u64, level: u32) -> u64 {
    entry & ADDRESS & !((1 << shift(level)) - 1)
}

impl Tables {
    pub(crate) fn new(memory: Memory, setup: Setup, bug: Option<Bug>) -> Self {
        let root = memory.allocate_zeroed().expect("a frame for the root");
        Self { memory, root, setup, bug, is_owner: true }
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn at(&self, table: PhysAddr, level: u32, virt: VirtAddr) -> PhysAddr {
        let inside = virt.0 & ((1 << self.setup.input_bits) - 1);
        table.plus(8 * (inside >> shift(level) & 511))
    }

    fn is_in_range(&self, virt: VirtAddr) -> bool {
        let above = virt.0 >> self.setup.input_bits;
        above == if self.setup.is_upper { u64::MAX >> self.setup.input_bits } else { 0 }
    }

    fn bits_of(&self, rights: Rights) -> u64 {
        let has = |right| rights.has(right);
        let when = |is_set, bits| if is_set { bits } else { 0 };
        let writable = if self.setup.hardware_flags { DBM | AP_RO } else { 0 };
        let data =
            when(has(Rights::USER), AP_EL0) | if has(Rights::WRITE) { writable } else { AP_RO };
        let (own, other) = if has(Rights::USER) { (UXN, PXN) } else { (PXN, UXN) };
        let (own, other) =
            if self.has(Bug::WrongExecuteNever) { (other, own) } else { (own, other) };
        let other = when(!(self.has(Bug::LeavesUserPagesToKernel) && has(Rights::USER)), other);
        data | other | when(!has(Rights::EXECUTE), own)
    }

    fn rights_of(&self, entry: u64, above: u64) -> Rights {
        let is_dirty_managed = self.setup.hardware_flags && entry & DBM != 0;
        let is_read_only = entry & AP_RO != 0 && !is_dirty_managed || above & AP_TABLE_RO != 0;
        let is_user = entry & AP_EL0 != 0 && above & AP_TABLE_NO_EL0 == 0;
        let by_user = entry & UXN == 0 && above & UXN_TABLE == 0;
        let is_user_writable = is_user && !is_read_only;
        let by_kernel = entry & PXN == 0 && above & PXN_TABLE == 0 && !is_user_writable;
        let (own, across) = if is_user { (by_user, by_kernel) } else { (by_kernel, by_user) };
        let mut rights = Rights::READ;
        for (is_given, right) in [
            (!is_read_only, Rights::WRITE),
            (is_user, Rights::USER),
            (own, Rights::EXECUTE),
            (across, Rights::ACROSS),
        ] {
            if is_given {
                rights = rights.and(right);
            }
        }
        rights
    }

    fn find(&self, virt: VirtAddr, lowest: u32) -> Slot {
        let mut table = self.root;
        let mut above = 0;
        for level in self.setup.first_level..=lowest {
            let at = self.at(table, level, virt);
            let entry = self.memory.load(at);
            if !is_table(entry, level) || level == lowest {
                return Slot { at, entry, level, above };
            }
            above |= entry & (0b1111 << 59);
            table = PhysAddr::truncated(entry & ADDRESS);
        }
        unreachable!("the loop ends at the lowest level");
    }

    /// DSB ISHST, TLBI VAE1IS, DSB ISH.
    fn forget(&self, page: VirtAddr) {
        if !self.has(Bug::NoBarrierBeforeInvalidating) {
            self.memory.barrier(Barrier::Stores);
        }
        let operand = if self.has(Bug::InvalidatesWrongPage) { page.0 >> 12 } else { page.0 };
        self.memory.invalidate_page(VirtAddr(operand));
        let is_weak = self.has(Bug::WeakBarrierAfterInvalidating);
        self.memory.barrier(if is_weak { Barrier::Stores } else { Barrier::All });
    }

    /// Orders the stores that filled a table before the one that links it.
    fn order(&self) {
        if !self.has(Bug::LinksWithoutBarrier) {
            self.memory.barrier(Barrier::Order);
        }
    }

    fn extend(&self, slot: &Slot, rights: Rights) -> Result<(), Refusal> {
        let Some(table) = self.frame_for(slot)? else { return Ok(()) };
        let is_limited = self.has(Bug::LimitsByFirstPage) && !rights.has(Rights::WRITE);
        let link = table.raw() | TABLE | if is_limited { AP_TABLE_RO } else { 0 };
        if self.has(Bug::LinksBeforeClearing) {
            self.memory.store(slot.at, link);
        }
        for index in 0..512 {
            self.memory.store(table.plus(8 * index), 0);
        }
        self.order();
        if !self.has(Bug::LinksBeforeClearing) {
            self.memory.store(slot.at, link);
        }
        Ok(())
    }

    /// A frame for a table at `slot`; `None` when something else lies there by now.
    fn frame_for(&self, slot: &Slot) -> Result<Option<PhysAddr>, Refusal> {
        let Some(frame) = self.memory.allocate() else { return Err(Refusal::OutOfFrames) };
        let is_same = self.memory.load(slot.at) == slot.entry;
        if is_same || self.has(Bug::LinksOverWhatCameMeanwhile) {
            return Ok(Some(frame));
        }
        self.memory.free(frame);
        Ok(None)
    }

    /// Replaces a block by a table that maps the same: break, then make.
    fn split(&self, slot: &Slot, page: VirtAddr) -> Result<(), Refusal> {
        let Some(table) = self.frame_for(slot)? else { return Ok(()) };
        let below = slot.level + 1;
        let breaks = !self.has(Bug::SplitsWithoutBreak);
        let old = if breaks { self.memory.swap(slot.at, 0) } else { self.memory.load(slot.at) };
        if self.has(Bug::SplitsBeforeComplete) {
            self.memory.barrier(Barrier::Stores);
            self.memory.invalidate_page(page);
        } else if breaks && !self.has(Bug::SplitsWithoutInvalidating) {
            self.forget(page);
        }
        let kind = if below == 3 { 0b11 } else { 0b01 };
        let start = page_of(old, slot.level);
        let kept = old & !(ADDRESS | 0b11) | kind;
        let kept = match self.bug {
            Some(Bug::SplitDropsMemoryType) => kept & !ATTR_INDEX,
            Some(Bug::SplitDropsDirtyState) if kept & DBM != 0 => kept | AP_RO,
            _ => kept,
        };
        for index in 0..512 {
            self.memory.store(table.plus(8 * index), (start + (index << shift(below))) | kept);
        }
        self.order();
        self.memory.store(slot.at, table.raw() | TABLE);
        self.forget(page);
        Ok(())
    }

    fn leaf(&self, page: VirtAddr, size: PageSize) -> Result<Slot, Refusal> {
        let slot = self.find(page, level_of(size));
        if is_malformed(slot.entry, slot.level) {
            return Err(Refusal::Declined("a malformed entry"));
        }
        if slot.level == level_of(size) && is_leaf(slot.entry, slot.level) {
            return Ok(slot);
        }
        if slot.entry & VALID == 0 { Err(Refusal::NotMapped) } else { Err(Refusal::OtherSize) }
    }

    fn free_below(&self, table: PhysAddr, level: u32) {
        for index in 0..512 {
            let entry = self.memory.load(table.plus(8 * index));
            if is_table(entry, level) {
                let below = PhysAddr::truncated(entry & ADDRESS);
                self.free_below(below, level + 1);
                self.memory.free(below);
            }
        }
    }

    fn clean(&self, table: PhysAddr, level: u32, first: VirtAddr) -> bool {
        let mut is_empty = true;
        for index in 0..512 {
            let at = table.plus(8 * index);
            let entry = self.memory.load(at);
            if !is_table(entry, level) {
                is_empty &= entry == 0;
                continue;
            }
            let virt = VirtAddr(first.0 | index << shift(level));
            let below = PhysAddr::truncated(entry & ADDRESS);
            if !self.clean(below, level + 1, virt) || self.has(Bug::CleansNothing) {
                is_empty = false;
            } else if self.has(Bug::FreesBeforeInvalidating) {
                self.memory.store(at, 0);
                self.memory.free(below);
                self.forget(virt);
            } else {
                self.memory.store(at, 0);
                self.forget(virt);
                self.memory.free(below);
            }
        }
        is_empty
    }

    fn over_range(
        &mut self,
        first: VirtAddr,
        bytes: u64,
        mut each: impl FnMut(&mut Self, VirtAddr, PageSize) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let last = first.plus(bytes - 1);
        let mut page = first;
        loop {
            let slot = self.find(page, 3);
            if is_malformed(slot.entry, slot.level) {
                return Err(Refusal::Declined("a malformed entry"));
            }
            let span = 1u64 << shift(slot.level);
            let is_whole = page.0 & (span - 1) == 0 && last.0 - page.0 >= span - 1;
            let step = if !is_leaf(slot.entry, slot.level) {
                span - (page.0 & (span - 1))
            } else if is_whole || self.has(Bug::ChangesNeighbour) {
                each(self, VirtAddr(page.0 & !(span - 1)), size_of(slot.level))?;
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

impl Mapper for Tables {
    fn reentry(&self) -> Option<Box<dyn Mapper>> {
        Some(Box::new(Self { memory: self.memory.clone(), is_owner: false, ..*self }))
    }

    fn capabilities(&self) -> Capabilities {
        let is_entered = |bug| bug == Bug::LinksOverWhatCameMeanwhile;
        let all = Capabilities::all().without(Capability::UnmapFrees);
        if self.bug.is_none_or(is_entered) { all } else { all.without(Capability::Reentry) }
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
        loop {
            if is_malformed(slot.entry, slot.level) {
                return Err(Refusal::Declined("a malformed entry"));
            }
            let overwrites = self.has(Bug::RemapsWithoutBreak) && is_leaf(slot.entry, wanted);
            if slot.entry & VALID != 0 && !(overwrites && slot.level == wanted) {
                return Err(Refusal::AlreadyMapped);
            }
            let is_border = self.has(Bug::BlockAtLevelZero) && page.0 << 25 == 0;
            if slot.level == wanted || (wanted == 1 && slot.level == 0 && is_border) {
                break;
            }
            self.extend(&slot, rights)?;
            slot = self.find(page, wanted);
        }
        let is_page = wanted == 3 && !self.has(Bug::PageAsBlock);
        let kind = if is_page { 0b11 } else { 0b01 };
        let flag = if self.has(Bug::ForgetsAccessFlag) { 0 } else { AF };
        let is_set = is_page && self.has(Bug::ContiguousAlone);
        let kind = if is_set { kind | CONTIGUOUS } else { kind };
        let entry = to.raw() | kind | flag | SH_INNER | NG | self.bits_of(rights);
        self.memory.store(slot.at, entry);
        if self.has(Bug::RemapsWithoutBreak) {
            self.forget(page);
        }
        Ok(())
    }

    fn unmap(&mut self, page: VirtAddr, size: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        let slot = self.leaf(page, size)?;
        let old = self.memory.swap(slot.at, 0);
        if !self.has(Bug::ForgetsToInvalidateUnmap) {
            self.forget(page);
        }
        Ok(Some(PhysAddr::truncated(page_of(old, slot.level))))
    }

    /// Rights may change in place.
    fn protect(&mut self, page: VirtAddr, size: PageSize, rights: Rights) -> Result<(), Refusal> {
        let slot = self.leaf(page, size)?;
        let bits = self.bits_of(rights);
        let changed = |entry: u64| {
            let keeps = !self.has(Bug::ProtectThrowsDirtyStateAway);
            let is_dirty = keeps && bits & DBM != 0 && entry & (DBM | AP_RO) == DBM;
            entry & !RIGHTS | if is_dirty { bits & !AP_RO } else { bits }
        };
        if self.has(Bug::LosesDirtyState) {
            self.memory.store(slot.at, changed(slot.entry));
        } else {
            let mut entry = slot.entry;
            while let Err(now) = self.memory.compare_exchange(slot.at, entry, changed(entry)) {
                entry = now;
            }
        }
        if !self.has(Bug::ForgetsToInvalidateProtect) {
            self.forget(page);
        }
        Ok(())
    }

    fn query(&mut self, virt: VirtAddr) -> Result<Option<Mapping>, Refusal> {
        if !self.is_in_range(virt) {
            return Ok(None);
        }
        let slot = self.find(virt, 3);
        let is_hidden = slot.level == 3 && slot.entry & 0b11 == 0b10;
        let is_taken = is_hidden && self.has(Bug::QueryTakesInvalid);
        let is_accessed = slot.entry & AF != 0
            || self.setup.hardware_flags
            || self.has(Bug::QueryIgnoresAccessFlag);
        if !(is_leaf(slot.entry, slot.level) || is_taken) || !is_accessed {
            return Ok(None);
        }
        let offset = virt.0 & ((1 << shift(slot.level)) - 1);
        let above = if self.has(Bug::QueryIgnoresApTable) {
            slot.above & (PXN_TABLE | UXN_TABLE)
        } else {
            slot.above
        };
        Ok(Some(Mapping {
            address: PhysAddr::truncated(page_of(slot.entry, slot.level) + offset),
            size: Some(size_of(slot.level)),
            rights: Some(self.rights_of(slot.entry, above)),
        }))
    }

    fn map_range(
        &mut self,
        first: VirtAddr,
        to: PhysAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        let mut done = 0;
        while done < bytes {
            let (page, frame) = (first.plus(done), to.plus(done));
            let fits = |size: PageSize| {
                page.0.is_multiple_of(size.bytes())
                    && frame.raw().is_multiple_of(size.bytes())
                    && bytes - done >= size.bytes()
            };
            // A table of small pages may lie where the block would have to be.
            let is_free = !is_table(self.find(page, 2).entry, 2);
            let is_large = fits(PageSize::Mib2) && is_free;
            let size = if is_large { PageSize::Mib2 } else { PageSize::Kib4 };
            self.map(page, frame, size, rights)?;
            done += size.bytes();
        }
        Ok(())
    }

    fn unmap_range(&mut self, first: VirtAddr, bytes: u64) -> Result<(), Refusal> {
        self.over_range(first, bytes, |tables, page, size| tables.unmap(page, size).map(|_| ()))
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
        let above = if self.setup.is_upper { u64::MAX << self.setup.input_bits } else { 0 };
        self.clean(self.root, self.setup.first_level, VirtAddr(above));
        Ok(())
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        if self.is_owner {
            self.free_below(self.root, self.setup.first_level);
            self.memory.free(self.root);
        }
    }
}
