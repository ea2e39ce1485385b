//! What the judge sees: memory as it was after each event, and what was asked.

use std::collections::BTreeSet;

use super::breach::{Breach, Check};
use super::checks::request::requested;
use super::checks::{entries, frames, invalidation, isolation, marks, stores};
use super::flat::Flat;
use super::format::{Format, index};
use super::may_hold::{MayHold, Stamp, overwritten};
use super::memory::{DATA_FRAMES, Event, Memory, POOL_FRAMES, StoreKind};
use super::operation::{Call, Region};
use super::tables::{Change, Leaf, Listing, TableWords};
use crate::base::{FRAME_BYTES, Frame, PhysAddr, VirtAddr};

/// What of the surroundings relaxes which check.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Relaxed {
    /// Bits of tables were flipped: only translation, stores and totality are judged.
    pub(crate) altered: bool,
    /// The instance is being dropped: its tables are no longer loaded anywhere.
    pub(crate) dropping: bool,
    /// It reports no invalidations.
    pub(crate) uninvalidated: bool,
}

/// The judge's own copy of memory and books, moved on event by event.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) format: &'static dyn Format,
    pub(crate) root: PhysAddr,
    /// Entries of the root that the code keeps for itself.
    pub(crate) reserved: Vec<u64>,
    shadow: Vec<u64>,
    pub(crate) owned: Vec<bool>,
    /// Frames that were allocated together with others: the code may share them out itself.
    lots: BTreeSet<Frame>,
    pub(crate) listing: Listing,
    pub(crate) flat: Flat,
    pub(crate) may_hold: MayHold,
    /// Frames with stores that no barrier has followed.
    unordered: BTreeSet<Frame>,
    /// Where pages led when the call began.
    pub(crate) before: Flat,
    /// Where they are to lead when it is done.
    pub(crate) requested: Flat,
    pub(crate) region: Region,
    pub(crate) relaxed: Relaxed,
    /// The allocator had nothing during this call.
    pub(crate) had_no_frame: bool,
    pub(crate) invalidations: u32,
    /// The page that a processor used during this call.
    pub(crate) used: Option<Leaf>,
}

/// What was asked for, while a call is made within it.
pub(crate) struct Outer {
    pub(crate) before: Flat,
    pub(crate) requested: Flat,
    region: Region,
    had_no_frame: bool,
}

impl Scene {
    /// A call begins.
    pub(crate) fn begin(&mut self, call: &Call) {
        self.before = self.flat.clone();
        self.requested = requested(&self.before, call);
        self.region = call.region();
        self.had_no_frame = false;
        self.used = None;
    }

    /// A call begins within the one under way.
    pub(crate) fn enter(&mut self, call: &Call) -> Outer {
        let (region, had_no_frame) = (self.region, self.had_no_frame);
        let (before, requested) = (core::mem::take(&mut self.before), self.requested.clone());
        self.begin(call);
        Outer { before, requested, region, had_no_frame }
    }

    /// It is over, and what it did is no doing of the outer one.
    pub(crate) fn leave(&mut self, outer: Outer) {
        let Region { first, pages } = self.region;
        let Outer { before, requested, region, had_no_frame } = outer;
        (self.before, self.requested) = (before, requested);
        self.before.take_over(&self.flat, first, pages);
        self.requested.take_over(&self.flat, first, pages);
        (self.region, self.had_no_frame) = (region, had_no_frame);
    }

    pub(crate) fn new(format: &'static dyn Format, reserved: &[u64]) -> Self {
        let frames = usize::try_from(POOL_FRAMES + DATA_FRAMES).unwrap_or(0);
        let mut scene = Self {
            format,
            root: PhysAddr::default(),
            reserved: reserved.to_vec(),
            shadow: vec![0; frames * 512],
            owned: vec![false; usize::try_from(POOL_FRAMES).unwrap_or(0)],
            lots: BTreeSet::new(),
            listing: Listing::default(),
            flat: Flat::default(),
            may_hold: MayHold::default(),
            unordered: BTreeSet::new(),
            before: Flat::default(),
            requested: Flat::default(),
            region: Region::NOTHING,
            relaxed: Relaxed::default(),
            had_no_frame: false,
            invalidations: 0,
            used: None,
        };
        for number in 0..frames {
            scene.fill(number, |index| Memory::spoilt_word(format, index));
        }
        scene
    }

    fn fill(&mut self, number: usize, word: impl Fn(u64) -> u64) {
        let words = self.shadow.get_mut(number * 512..number * 512 + 512);
        for (index, slot) in (0u64..).zip(words.into_iter().flatten()) {
            *slot = word(index);
        }
    }

    /// From now on invalidations count only between barriers, and stores are ordered by barriers.
    pub(crate) fn heed_barriers(&mut self) {
        self.may_hold.waits = true;
    }

    /// Whether something was stored to a frame and no barrier has followed.
    pub(crate) fn is_unordered(&self, frame: Frame) -> bool {
        self.unordered.contains(&frame)
    }

    fn index(at: PhysAddr) -> Option<usize> {
        let number = Memory::number(at.frame())?;
        Some(number * 512 + usize::try_from(at.offset() / 8).ok()?)
    }

    pub(crate) fn word(&self, at: PhysAddr) -> u64 {
        Self::index(at).and_then(|index| self.shadow.get(index)).copied().unwrap_or(0)
    }

    pub(crate) fn set(&mut self, at: PhysAddr, value: u64) {
        if let Some(word) = Self::index(at).and_then(|index| self.shadow.get_mut(index)) {
            *word = value;
        }
    }

    pub(crate) fn table(&self, frame: Frame) -> Option<TableWords> {
        let start = Memory::number(frame)? * 512;
        self.shadow.get(start..start + 512)?.try_into().ok()
    }

    fn list(&self) -> Listing {
        Listing::of(self.format, self.root, &self.reserved, &|frame| self.table(frame))
    }

    /// Reads the tables anew, and takes what they say as given.
    pub(crate) fn relist(&mut self) {
        self.listing = self.list();
        self.flat = Flat::of(&self.listing.leaves);
    }

    pub(crate) fn is_owned(&self, frame: Frame) -> bool {
        Memory::number(frame).and_then(|number| self.owned.get(number)) == Some(&true)
    }

    /// Whether the frame was allocated together with others.
    pub(crate) fn is_of_a_lot(&self, frame: Frame) -> bool {
        self.lots.contains(&frame)
    }

    fn own(&mut self, frame: Frame, is_owned: bool) {
        if let Some(owned) = Memory::number(frame).and_then(|number| self.owned.get_mut(number)) {
            *owned = is_owned;
        }
    }

    /// Moves on by what happened during one call and judges every instant of it.
    pub(crate) fn follow(&mut self, events: &[Event]) -> Vec<Breach> {
        let mut breaches = Vec::new();
        let mut rest = events;
        while !rest.is_empty() {
            rest = self.next(rest, &mut breaches);
        }
        breaches
    }

    /// Moves on to the next instant and judges it; returns the events behind it.
    pub(crate) fn next<'e>(
        &mut self,
        events: &'e [Event],
        breaches: &mut Vec<Breach>,
    ) -> &'e [Event] {
        let mut rest = events;
        if let [event, after @ ..] = rest {
            rest = after;
            match *event {
                Event::Store { kind: StoreKind::Found, .. } => {
                    let is_found = |event: &&Event| {
                        matches!(event, Event::Store { kind: StoreKind::Found, .. })
                    };
                    let more = rest.iter().take_while(is_found).count();
                    let (together, after) = events
                        .get(events.len() - rest.len() - 1..)
                        .unwrap_or_default()
                        .split_at(more + 1);
                    rest = after;
                    self.stores(together, breaches);
                }
                Event::Store { at, old, new, kind: StoreKind::Plain } => {
                    isolation::torn(self, at, old, new, breaches);
                    self.stores(core::slice::from_ref(event), breaches);
                }
                Event::Store { .. } => self.stores(core::slice::from_ref(event), breaches),
                Event::StrayStore { at, new } => breaches.extend(stores::outside(self, at, new)),
                Event::StrayLoad { at } => breaches.extend(stores::load(self, at)),
                Event::LostMark { at, bits } => breaches.push(marks::lost(self, at, bits)),
                Event::Allocate { first, frames, zeroed } => {
                    self.had_no_frame |= first.is_none();
                    for frame in
                        first.into_iter().flat_map(|first| (first.0..first.0 + frames).map(Frame))
                    {
                        self.own(frame, true);
                        if frames > 1 {
                            self.lots.insert(frame);
                        }
                        self.unordered.remove(&frame);
                        if let (true, Some(number)) = (zeroed, Memory::number(frame)) {
                            self.fill(number, |_| 0);
                        }
                    }
                }
                Event::Free { at } => {
                    breaches.extend(frames::freed(self, at));
                    breaches.extend(invalidation::freed(self, at));
                    self.may_hold.give_back(at.frame());
                    if self.is_owned(at.frame()) {
                        self.own(at.frame(), false);
                        self.lots.remove(&at.frame());
                        let format = self.format;
                        if let Some(number) = Memory::number(at.frame()) {
                            self.fill(number, |index| Memory::spoilt_word(format, index));
                        }
                        if !self.relaxed.dropping && self.listing.use_of(at.frame()).is_some() {
                            self.relist();
                        }
                    }
                }
                // Who follows a call tells it from those within.
                Event::CallsBack | Event::CalledBack => {}
                Event::Barrier { barrier } => {
                    self.unordered.clear();
                    self.may_hold.barrier(barrier);
                }
                Event::Invalidate { what, is_lost } => {
                    self.invalidations += 1;
                    if !is_lost {
                        self.may_hold.invalidate(self.format, what);
                    }
                }
            }
        }
        rest
    }

    /// Some stores that become visible at once.
    fn stores(&mut self, events: &[Event], breaches: &mut Vec<Breach>) {
        let mut changes_tables = false;
        for event in events {
            let Event::Store { at, old, new, kind } = *event else { continue };
            if kind == StoreKind::Hardware {
                self.used = self.listing.leaves.iter().find(|leaf| leaf.at == at).copied();
            } else {
                breaches.extend(stores::judge(self, at, old, new));
            }
            let (format, held) = (self.format, &mut self.may_hold);
            held.overwrite(at.frame(), Stamp::default(), &|_, way| {
                overwritten(format, way, at, [old, new])
            });
            self.set(at, new);
            changes_tables |= self.listing.ways_to(at.frame()).any(|way| {
                self.format.decode(way.level, old) != self.format.decode(way.level, new)
            });
        }
        let change = self.change(events);
        if let Some(change) = &change {
            self.listing.take_in(change);
        }
        if !changes_tables {
            self.order(events);
            self.entries(events, breaches);
            return;
        }
        let (before, now) = match change {
            Some(change) => {
                self.flat.take_in(&change);
                let of = |leaves| Listing { leaves, ..Listing::default() };
                (of(change.before), Some(of(change.after)))
            }
            None => {
                let before = core::mem::take(&mut self.listing);
                self.relist();
                (before, None)
            }
        };
        // Of a table in which one entry changed, that entry.
        let now = now.as_ref().unwrap_or(&self.listing);
        let is_judged = !self.relaxed.altered && !self.relaxed.dropping;
        if is_judged {
            if !self.relaxed.uninvalidated {
                breaches.extend(entries::made(self, &before, now));
            }
            let is_release = matches!(events, [Event::Store { kind: StoreKind::Release, .. }]);
            if self.may_hold.waits && !is_release {
                breaches.extend(entries::linked(self, &before, now));
            }
        }
        self.may_hold.change(self.format, &before, now);
        self.order(events);
        if !is_judged {
            return;
        }
        self.entries(events, breaches);
        let wrong = isolation::meanwhile(self, &self.flat);
        let is_order_known = !matches!(events, [Event::Store { kind: StoreKind::Found, .. }, ..]);
        breaches.extend(wrong.filter(|_| is_order_known));
    }

    /// What one store changes where it is the only one, and everything needn't be read anew for it.
    fn change(&self, events: &[Event]) -> Option<Change> {
        match *events {
            [Event::Store { at, old, new, .. }] if !self.is_reserved(at) => {
                self.listing.change(self.format, at, [old, new])
            }
            _ => None,
        }
    }

    /// Notes which frames were stored to since the last barrier.
    fn order(&mut self, events: &[Event]) {
        if !self.may_hold.waits {
            return;
        }
        for event in events {
            if let Event::Store { at, kind, .. } = event
                && *kind != StoreKind::Hardware
            {
                self.unordered.insert(at.frame());
            }
        }
    }

    fn entries(&self, events: &[Event], breaches: &mut Vec<Breach>) {
        if self.relaxed.altered || self.relaxed.dropping {
            return;
        }
        for event in events {
            if let Event::Store { at, old, new, kind } = *event
                && kind != StoreKind::Hardware
                && let Some(table) = self.listing.use_of(at.frame())
            {
                breaches.extend(entries::judge(self, table, at, old, new));
            }
        }
    }

    /// Where pages would lead if the word at `at` were `value`.
    pub(crate) fn flat_with(&mut self, at: PhysAddr, value: u64) -> Flat {
        let old = self.word(at);
        if !self.is_reserved(at)
            && let Some(change) = self.listing.change(self.format, at, [old, value])
        {
            let mut flat = self.flat.clone();
            flat.take_in(&change);
            return flat;
        }
        self.set(at, value);
        let flat = Flat::of(&self.list().leaves);
        self.set(at, old);
        flat
    }

    /// Whether the entry is one of the root's that the code keeps for itself.
    pub(crate) fn is_reserved(&self, at: PhysAddr) -> bool {
        at.frame() == self.root.frame() && self.reserved.contains(&(at.offset() / 8))
    }

    /// Whether such an entry decides where the address leads: it is one, and in the part that the code keeps.
    pub(crate) fn is_below_reserved(&self, virt: VirtAddr) -> bool {
        let page = VirtAddr(virt.0 & !(FRAME_BYTES - 1));
        let is_one = self.format.first_of(1, page, 0) == page;
        is_one && self.reserved.contains(&index(self.format, self.format.levels(), virt))
    }

    pub(crate) fn breach(
        &self,
        check: Check,
        kind: impl Into<String>,
        what: String,
        rule: &'static str,
    ) -> Breach {
        Breach { check, kind: kind.into(), what, virt: None, rule }
    }
}
