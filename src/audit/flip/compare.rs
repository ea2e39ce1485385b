//! What differs between two views of the same addresses.
//!
//! Both are descended side by side, one entry at a time, down to where both are pages or nothing.
//! A pair that was compared once is remembered, so that a direct map is descended once and not for
//! each bit of the entry above it. What is remembered is of the tables as they are; a view that
//! leads back to the flipped entry is compared afresh.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::audit::frames::{FrameMap, FrameUse};
use crate::audit::permits::Accesses;
use crate::base::Frame;
use crate::machine::paging::x86_64::{EntryKind, Level, Rights};

use super::class::{Class, KernelGain};
use super::view::{Decoder, Patch, View};
use super::writers::first_within;

/// An access given, at a distance in bytes from where the views start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Given {
    pub(super) offset: u64,
    pub(super) frame: u64,
    pub(super) gained: Accesses,
}

/// What differs.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Change {
    /// The worst that user mode is given, and the first place.
    pub(super) user: Option<(Class, Given)>,
    pub(super) user_faults: bool,
    /// In the order of [`KernelGain::ALL`], the first place of each.
    pub(super) kernel: [Option<Given>; 3],
    pub(super) kernel_faults: bool,
}

impl Change {
    /// Takes in what differs `offset` bytes further on. Places must come in ascending order.
    fn absorb(&mut self, other: &Self, offset: u64) {
        let moved = |given: Given| Given { offset: given.offset + offset, ..given };
        if let Some((class, given)) = other.user
            && self.user.is_none_or(|(worst, _)| class < worst)
        {
            self.user = Some((class, moved(given)));
        }
        self.user_faults |= other.user_faults;
        for (own, other) in self.kernel.iter_mut().zip(other.kernel) {
            *own = own.or(other.map(moved));
        }
        self.kernel_faults |= other.kernel_faults;
    }

    fn user(&mut self, class: Class, given: Given) {
        if self.user.is_none_or(|(worst, _)| class < worst) {
            self.user = Some((class, given));
        }
    }
}

/// What a table leads to, whatever the rights.
#[derive(Clone, Default, Debug)]
pub(super) struct Below {
    /// The tables of the image that are read, the table itself included, ascending.
    reads: Vec<u32>,
    /// Frames that are no page tables and would be read as such, ascending.
    pub(super) made: Vec<u64>,
}

impl Below {
    pub(super) fn reads(&self, table: usize) -> bool {
        u32::try_from(table).is_ok_and(|table| self.reads.binary_search(&table).is_ok())
    }

    fn take_in(&mut self, other: &Self, tables: usize) {
        self.reads.extend(&other.reads);
        self.made.extend(&other.made);
        // Many may lead to the same tables.
        if self.reads.len() > 2 * tables {
            self.sort();
        }
    }

    fn sort(&mut self) {
        self.reads.sort_unstable();
        self.reads.dedup();
        self.made.sort_unstable();
        self.made.dedup();
    }
}

/// Comparisons that a worker remembers at most, of some 300 bytes each.
const REMEMBERED_MAX: usize = 1 << 17;

/// One worker's memory of what was compared. Remembering changes no answer.
pub(super) struct Comparer<'a> {
    pub(super) decoder: Decoder<'a>,
    pub(super) frames: &'a FrameMap,
    compared: BTreeMap<(View, View, Level), Change>,
    /// Of the flip under way only.
    patched: BTreeMap<(View, View, Level), Change>,
    below: BTreeMap<(usize, Level), Rc<Below>>,
}

impl<'a> Comparer<'a> {
    pub(super) fn new(decoder: Decoder<'a>, frames: &'a FrameMap) -> Self {
        let (compared, patched, below) = Default::default();
        Self { decoder, frames, compared, patched, below }
    }

    /// Forgets the flip before.
    pub(super) fn next_flip(&mut self) {
        self.patched.clear();
    }

    /// What a table leads to when its entries are read at `level`.
    pub(super) fn below(&mut self, table: usize, level: Level) -> Rc<Below> {
        if let Some(known) = self.below.get(&(table, level)) {
            return Rc::clone(known);
        }
        let found = Rc::new(self.below_by(table, level, None, &mut BTreeMap::new()));
        self.below.insert((table, level), Rc::clone(&found));
        found
    }

    /// The same with an entry flipped.
    pub(super) fn below_patched(&mut self, table: usize, level: Level, patch: &Patch) -> Below {
        self.below_by(table, level, Some(patch), &mut BTreeMap::new())
    }

    fn below_by(
        &mut self,
        table: usize,
        level: Level,
        patch: Option<&Patch>,
        known: &mut BTreeMap<(usize, Level), Below>,
    ) -> Below {
        let tables = self.decoder.image.frames().len();
        let mut found = Below { reads: vec![u32::try_from(table).unwrap_or(0)], made: vec![] };
        for slot in 0..512 {
            let own = patch.filter(|patch| patch.table == table && patch.slot == slot);
            let entry = own.map_or(self.decoder.image.table(table)[slot], |patch| patch.entry);
            let EntryKind::Table(at) = self.decoder.kind(entry, level) else { continue };
            match self.decoder.image.index_of(at.frame()) {
                Some(next) if patch.is_none() => {
                    let next = self.below(next, level.below());
                    found.take_in(&next, tables);
                }
                Some(next) => {
                    let key = (next, level.below());
                    if let Some(next) = known.get(&key) {
                        found.take_in(next, tables);
                        continue;
                    }
                    let next = self.below_by(next, level.below(), patch, known);
                    found.take_in(&next, tables);
                    known.insert(key, next);
                }
                None if !self.frames.of(at.frame()).has(FrameUse::TABLE) => {
                    found.made.push(at.frame().0);
                }
                None => {}
            }
        }
        found.sort();
        found
    }

    /// What differs when `after` takes the place of `before` in a slot of this level.
    pub(super) fn compare(
        &mut self,
        before: View,
        after: View,
        level: Level,
        patch: Option<&Patch>,
    ) -> Change {
        let patch = match after {
            View::Table { table, .. } => {
                patch.filter(|patch| self.below(table, level.below()).reads(patch.table))
            }
            _ => None,
        };
        if before == after && patch.is_none() {
            return Change::default();
        }
        match (before, after) {
            (View::Unknown { frame: known, rights: had }, View::Unknown { frame, .. })
                if known == frame && had.has(Rights::USER) =>
            {
                Change::default()
            }
            (View::Unknown { .. }, _) => self.compare(View::Nothing, after, level, patch),
            (_, View::Unknown { frame, rights }) => {
                let mut change = self.compare(before, View::Nothing, level, None);
                if rights.has(Rights::USER) {
                    let given = Given { offset: 0, frame, gained: Accesses::NONE };
                    change.user(Class::Outside, given);
                }
                change
            }
            (View::Table { .. }, _) | (_, View::Table { .. }) => {
                self.side_by_side(before, after, level, patch)
            }
            _ => self.pages(before, after, level),
        }
    }

    fn side_by_side(
        &mut self,
        before: View,
        after: View,
        level: Level,
        patch: Option<&Patch>,
    ) -> Change {
        let key = (before, after, level);
        let memory = if patch.is_some() { &self.patched } else { &self.compared };
        if let Some(known) = memory.get(&key) {
            return *known;
        }
        let part = level.below();
        let mut change = Change::default();
        for slot in 0..512 {
            let before = self.decoder.part(before, slot, part, None);
            let after = self.decoder.part(after, slot, part, patch);
            if before == View::Nothing && after == View::Nothing {
                continue;
            }
            let found = self.compare(before, after, part, patch);
            change.absorb(&found, slot as u64 * part.span());
        }
        let memory = if patch.is_some() { &mut self.patched } else { &mut self.compared };
        if memory.len() >= REMEMBERED_MAX {
            memory.clear();
        }
        memory.insert(key, change);
        change
    }

    /// Neither is a table.
    fn pages(&self, before: View, after: View, level: Level) -> Change {
        let page = |view| match view {
            View::Page { frame, accesses, now } => (Some(frame), accesses, now),
            _ => (None, Accesses::NONE, Accesses::NONE),
        };
        let (frame_before, could, could_now) = page(before);
        let (frame_after, can, can_now) = page(after);
        let mut change = Change::default();
        let lost = could_now.without(can_now);
        change.user_faults = lost.any(Accesses::USER);
        change.kernel_faults = lost.any(Accesses::KERNEL);
        let is_same = frame_before == frame_after;
        let gained = if is_same { can.without(could) } else { can };
        let Some(first) = frame_after else { return change };
        if gained.is_empty() {
            return change;
        }
        let own = is_same && could.any(Accesses::USER);
        let frames = level.span() >> 12;
        for (range, told) in self.frames.over(first..first.saturating_add(frames)) {
            let offset = (range.start - first) << 12;
            let given = Given { offset, frame: range.start, gained };
            if let Some(class) = class_of(gained, told, own) {
                change.user(class, given);
            }
            for (place, kind) in change.kernel.iter_mut().zip(KernelGain::ALL) {
                if place.is_none() && gained.any(helps(kind, told)) {
                    *place = Some(given);
                }
            }
        }
        change
    }
}

/// What a gained access is worth on such a frame; `own`: user mode could access it at this address.
pub(super) fn class_of(gained: Accesses, told: FrameUse, own: bool) -> Option<Class> {
    if !gained.any(Accesses::USER) {
        return None;
    }
    let writes = gained.any(Accesses::USER_WRITE);
    let class = if told.has(FrameUse::TABLE) {
        if writes { Class::TableWrite } else { Class::KernelRead }
    } else if told.has(FrameUse::USER) {
        if own { Class::WiderRight } else { Class::OtherMapping }
    } else if told.has(FrameUse::MAPPED) {
        if writes { Class::KernelWrite } else { Class::KernelRead }
    } else {
        Class::Outside
    };
    Some(class)
}

/// The accesses of kernel mode that are of this kind on such a frame.
pub(in crate::audit) fn helps(kind: KernelGain, told: FrameUse) -> Accesses {
    let user_writable = told.has(FrameUse::USER_WRITABLE);
    match kind {
        KernelGain::Execute if user_writable => Accesses::KERNEL_EXECUTE,
        KernelGain::Data if user_writable => Accesses::KERNEL_READ.with(Accesses::KERNEL_WRITE),
        KernelGain::TableWrite if told.has(FrameUse::TABLE) => Accesses::KERNEL_WRITE,
        _ => Accesses::NONE,
    }
}

/// The first page in `view` through which user mode writes one of `frames`, which ascend; at what
/// distance, which frame, and what is permitted there.
pub(super) fn first_write(
    decoder: &Decoder<'_>,
    view: View,
    level: Level,
    patch: &Patch,
    frames: &[u64],
    vain: &mut Vec<(View, Level)>,
) -> Option<(u64, Frame, Accesses)> {
    match view {
        View::Nothing | View::Unknown { .. } => None,
        View::Page { frame, accesses, .. } => {
            if !accesses.any(Accesses::USER_WRITE) {
                return None;
            }
            let found = first_within(frames, frame, level.span() >> 12)?;
            Some(((found - frame) << 12, Frame(found), accesses))
        }
        View::Table { rights, .. } => {
            let wanted = Rights::from_bits(Rights::USER.bits() | Rights::WRITABLE.bits());
            if !rights.has(wanted) || vain.contains(&(view, level)) {
                return None;
            }
            let below = level.below();
            for slot in 0..512 {
                let part = decoder.part(view, slot, below, Some(patch));
                if let Some((offset, frame, accesses)) =
                    first_write(decoder, part, below, patch, frames, vain)
                {
                    return Some((slot as u64 * below.span() + offset, frame, accesses));
                }
            }
            vain.push((view, level));
            None
        }
    }
}
