//! Frames that change hands, operations that return, and words that are looked at.

use super::books::{frames, index};
use super::checker::Checker;
use crate::base::{FRAME_BYTES, Frame, PhysAddr, VirtAddr};
use crate::conformance::breach::{Breach, Check, INTERFACE};
use crate::conformance::checks::invalidation;
use crate::conformance::flat::Place;
use crate::conformance::format::{Format, Rule, covers};
use crate::conformance::may_hold::{Member, Space, Stamp};
use crate::conformance::tables::{Leaf, TableUse};

impl Checker {
    /// Memory holds zeros: it was cleared before any processor could walk it.
    pub(super) fn initialise(&mut self, at: u64, bytes: u64) {
        let (first, end) = frames(at, bytes);
        for frame in (first.0..end.0).map(Frame) {
            self.books.hand_out(frame);
            if self.is_table(frame) {
                let what = format!(
                    "initialises {:#x} while an entry names it as a table",
                    frame.start().raw()
                );
                let kind = "a table in use is initialised".to_owned();
                let (check, virt) = (Check::Stores, None);
                self.report(Breach { check, kind, what, virt, rule: INTERFACE }, None, None, None);
                continue;
            }
            let Some(table) = self.books.frame(frame) else {
                self.is_full = true;
                return;
            };
            let start = frame.0 * FRAME_BYTES;
            let end = at.saturating_add(bytes).min(start.saturating_add(FRAME_BYTES));
            for word in (at.max(start)..end).step_by(8) {
                table.set(index(PhysAddr::truncated(word)), 0);
            }
            table.stored = None;
        }
    }

    /// A word is what the stores made it, but for flags that hardware sets.
    pub(super) fn load(&mut self, at: u64, value: u64) {
        let at = PhysAddr::truncated(at);
        let Some(table) = self.books.get(at.frame()).filter(|table| table.is_known(index(at)))
        else {
            return;
        };
        let kept = table.word(index(at));
        if kept == value {
            return;
        }
        let way = table.uses.first().copied();
        let format = way.and_then(|(space, way)| Some((self.spaces.get(space)?, way)));
        let is_marked = format.as_ref().is_some_and(|(space, way)| {
            let marked = |bits| space.format.marked(way.level, bits, true);
            marked(value) == marked(kept)
        });
        if !is_marked {
            let what = format!(
                "finds {value:#x} at {:#x}, where the last store that was told left {kept:#x}",
                at.raw()
            );
            let kind = "a word changed and no store was told".to_owned();
            let (check, virt) = (Check::Stores, None);
            self.report(Breach { check, kind, what, virt, rule: INTERFACE }, None, None, None);
        }
        if let Some(table) = self.books.get_mut(at.frame()).filter(|_| is_marked) {
            table.set(index(at), value);
        }
    }

    /// A frame is a table of its owner no longer.
    pub(super) fn release(&mut self, frame: Frame, occasion: &'static str) {
        let at = frame.start();
        self.sets.retain(|set| set.2.frame != frame);
        for space in self.spaces.rooted_at(at) {
            self.retire(space, occasion);
        }
        if let Some((space, way)) =
            self.books.get(frame).and_then(|table| table.uses.first().copied())
            && let Some(held) = self.spaces.get(space)
            && held.root != at
        {
            let what = format!(
                "{occasion} {:#x} while an entry still names it as the table for {}",
                at.raw(),
                way.first
            );
            let rule = held.format.rule(Rule::Translation);
            let kind = "frees a reachable table".to_owned();
            let name = held.format.name();
            let breach = Breach { check: Check::Frames, kind, what, virt: Some(way.first), rule };
            self.report(breach, None, None, Some(name));
        }
        self.judge_walked(frame, frame, occasion);
    }

    /// Ways to frames of a range, both ends included, that some processor may still take.
    fn judge_walked(&mut self, first: Frame, last: Frame, occasion: &str) {
        let is_meant = |held: &Member<TableUse>| (first..=last).contains(&held.what.frame);
        self.may_hold.ways.reuse(is_meant);
        let found = self.may_hold.ways.iter().find(|(_, held)| is_meant(held));
        let Some((space, held)) = found else { return };
        let Some(format) = self.spaces.get(space).map(|space| std::rc::Rc::clone(&space.format))
        else {
            return;
        };
        let breach = invalidation::walked(&*format, occasion, held);
        let since = Some(held.stored);
        // What they lead to from now on is what somebody else writes.
        let ways = self.may_hold.ways.iter().filter(|(_, held)| is_meant(held));
        self.told.extend(ways.map(|(space, held)| (space, held.what)));
        self.report(breach, None, since, Some(format.name()));
    }

    /// The root of a space is given back.
    fn retire(&mut self, space: Space, occasion: &str) {
        let Some(held) = self.spaces.get_mut(space) else { return };
        let root = held.root;
        if let Some(processor) = held.loaded.first() {
            let what = format!(
                "{occasion} {:#x}, which is the root in {} of processor {processor}",
                root.raw(),
                held.register
            );
            let (rule, name) = (held.format.rule(Rule::Translation), held.format.name());
            let kind = "frees a root in use".to_owned();
            let breach = Breach { check: Check::Frames, kind, what, virt: None, rule };
            self.report(breach, None, None, Some(name));
            return;
        }
        held.is_retired = true;
        let is_held = !held.active.is_empty();
        self.books.take_out(space);
        self.may_hold.leaves.retain(|of, _| of != space);
        self.may_hold.ways.retain(|of, _| of != space);
        self.locks.unguard(root);
        if !is_held {
            self.spaces.remove(space);
        }
    }

    pub(super) fn free(&mut self, at: u64, bytes: u64) {
        for frame in self.books.freed_within(at, bytes) {
            let what = format!("frees {:#x}, which it has freed before", frame.start().raw());
            let kind = "frees what is not its own".to_owned();
            let (check, virt) = (Check::Frames, None);
            self.report(Breach { check, kind, what, virt, rule: INTERFACE }, None, None, None);
        }
        for frame in self.books.within(at, bytes) {
            self.release(frame, "frees");
            self.books.give_back(frame);
        }
    }

    /// Frames have a new owner: nobody may still use or walk them as what they were.
    pub(super) fn allocate(&mut self, at: u64, bytes: u64) {
        let (first, end) = frames(at, bytes);
        let last = Frame(end.0.saturating_sub(1));
        for frame in self.books.freed_within(at, bytes) {
            self.books.hand_out(frame);
        }
        if let Some(frame) =
            self.books.within(at, bytes).into_iter().find(|frame| self.is_table(*frame))
        {
            let what =
                format!("hands out {:#x}, which an entry names as a table", frame.start().raw());
            let kind = "a reachable table is handed out".to_owned();
            let (check, virt) = (Check::Frames, None);
            self.report(Breach { check, kind, what, virt, rule: INTERFACE }, None, None, None);
        }
        self.judge_walked(first, last, "hands out");
        let overlaps = |leaf: &Leaf| {
            let (start, frames) = (leaf.page.frame(), leaf.size.frames());
            start <= last && first.0 < start.0 + frames
        };
        self.may_hold.leaves.reuse(|held| overlaps(&held.what));
        let stale = self.may_hold.leaves.iter().find_map(|(space, held)| {
            let leaf = held.what;
            let held = overlaps(&leaf).then_some(held)?;
            let frame = first.max(leaf.page.frame());
            let distance = (frame.0 - leaf.page.frame().0) * FRAME_BYTES;
            self.stale(space, held, leaf.first.plus(distance), "hands out its frame")
        });
        if let Some((breach, since, name)) = stale {
            self.report(breach, None, Some(since), Some(name));
        } else {
            self.judge_behind("hands out its frame", &|_| true, Some((first, last)));
        }
    }

    /// What is wrong if the page of `virt` is still used as it was, and no longer granted.
    pub(super) fn stale(
        &self,
        space: Space,
        held: &Member<Leaf>,
        virt: VirtAddr,
        occasion: &str,
    ) -> Option<(Breach, Stamp, &'static str)> {
        let format = &*self.spaces.get(space)?.format;
        let now = self.ungranted(space, &held.what, virt)?;
        let breach = invalidation::stale(format, occasion, held, virt.page(), now);
        Some((breach, held.stored, format.name()))
    }

    /// The same of the first such page of so many bytes from its start on.
    pub(super) fn stale_within(
        &self,
        space: Space,
        held: &Member<Leaf>,
        bytes: u64,
        occasion: &str,
    ) -> Option<(Breach, Stamp, &'static str)> {
        let mut virt = held.what.first;
        while virt.0.wrapping_sub(held.what.first.0) < bytes {
            if let Some(stale) = self.stale(space, held, virt, occasion) {
                return Some(stale);
            }
            virt = self.behind_page(space, virt)?;
        }
        None
    }

    /// Where the page of `virt` leads now, if the tables don't grant what `leaf` does.
    pub(super) fn ungranted(
        &self,
        space: Space,
        leaf: &Leaf,
        virt: VirtAddr,
    ) -> Option<Option<Place>> {
        let space = self.spaces.get(space)?;
        let format: &dyn Format = &*space.format;
        let now = format.translate(&|at| self.books.word(at), space.root, virt);
        let now = now.map(|now| (now.address.frame(), now.rights));
        let was = leaf.page.plus(virt.0.wrapping_sub(leaf.first.0)).frame();
        let is_granted =
            now.is_some_and(|(to, rights)| to == was && covers(format, rights, leaf.rights));
        (!is_granted).then_some(now)
    }

    /// The first address behind the page that is now at `virt`.
    pub(super) fn behind_page(&self, space: Space, virt: VirtAddr) -> Option<VirtAddr> {
        let space = self.spaces.get(space)?;
        let now = space.format.translate(&|at| self.books.word(at), space.root, virt)?;
        Some(VirtAddr((virt.0 | (now.size.bytes() - 1)).wrapping_add(1)))
    }

    /// An operation returned: what it withdrew binds from now on.
    pub(super) fn done(&mut self) {
        let by = self.now.by;
        self.judge_sets();
        let before = self.returned.insert(by, self.now.time).unwrap_or(0);
        let stale = self.may_hold.leaves.iter().find_map(|(space, held)| {
            let held = (held.stored.by == by).then_some(held)?;
            // All of a page is looked at once: what the tables grant of it then, and later no longer, was
            // withdrawn by itself.
            let bytes = if held.stored.time > before { held.what.size.bytes() } else { 1 };
            self.stale_within(space, held, bytes, "returns")
        });
        if let Some((breach, since, name)) = stale {
            self.report(breach, None, Some(since), Some(name));
            // Told once.
            self.may_hold.leaves.retain(|_, held| held.stored.by != by);
        } else {
            self.judge_behind("returns", &|stored| stored.by == by, None);
        }
    }
}
