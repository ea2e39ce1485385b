//! A store: what it removes and adds, and whether it may.

use super::books::index;
use super::checker::{Checker, Delta, lock_breach};
use super::finding::Change;
use crate::base::{Frame, PhysAddr, VirtAddr};
use crate::conformance::breach::{Breach, Check, INTERFACE};
use crate::conformance::checks::entries;
use crate::conformance::format::regime::Root;
use crate::conformance::format::{Decoded, Format, Rule};
use crate::conformance::may_hold::{Space, Spanning as _, grants, met_leaf, met_table};
use crate::conformance::permissions::Permissions;
use crate::conformance::tables::{Leaf, TableUse, leaf_in};

/// Ways to one table at most; a table that names itself several times has any number.
const USES_MAX: usize = 64;

impl Checker {
    pub(super) fn store(&mut self, at: u64, value: u64, is_release: bool) {
        self.tally.stores += 1;
        let at = PhysAddr::truncated(at);
        let frame = at.frame();
        if self.books.is_freed(frame) {
            let what =
                format!("stores {value:#x} at {:#x}, in a frame that was given back", at.raw());
            let kind = "store to a frame that was given back".to_owned();
            let (check, virt) = (Check::Stores, None);
            self.report(Breach { check, kind, what, virt, rule: INTERFACE }, None, None, None);
            self.books.hand_out(frame);
        }
        let now = self.now;
        let Some(table) = self.books.frame(frame) else {
            self.is_full = true;
            return;
        };
        let old = table.word(index(at));
        table.set(index(at), value);
        table.stored = Some(now);
        let uses = table.uses.len();
        self.overwrite(at, [old, value]);
        if uses == 0 {
            self.judge_unlinked(at, old, value);
            return;
        }
        self.tally.table_stores += 1;
        self.judge_lock(at);
        for number in 0..uses {
            let of_table = self.books.get(frame).and_then(|table| table.uses.get(number).copied());
            if let Some((space, way)) = of_table {
                self.entry(space, way, at, [old, value], is_release);
            }
        }
    }

    /// One entry on one way.
    fn entry(
        &mut self,
        space: Space,
        way: TableUse,
        at: PhysAddr,
        [old, new]: [u64; 2],
        is_release: bool,
    ) {
        let Some(held) = self.spaces.get(space) else { return };
        let (format, had_entries) = (std::rc::Rc::clone(&held.format), held.had_entries);
        let format = &*format;
        let slot = at.offset() / 8;
        if old == new || slot >= format.entries(way.level) {
            return;
        }
        let first = format.first_of(way.level, way.first, slot);
        let change = Change {
            at: at.raw(),
            level: format.level_name(way.level),
            first,
            before: old,
            after: new,
            before_told: String::new(),
            after_told: String::new(),
        };
        self.note_set(space, format, way, at, [old, new]);
        let findings = self.findings.len();
        if let Some(breach) = entries::stored(format, way.level, first, old, new) {
            self.report(breach, Some(change.clone()), None, Some(format.name()));
        }
        let (mut removed, mut added) =
            (core::mem::take(&mut self.removed), core::mem::take(&mut self.added));
        if !leads_the_same(format, way.level, old, new) {
            self.unlink(space, way, at, old, &mut removed);
            self.link(space, way, at, new, &mut added, Some(is_release));
            if !had_entries {
                self.judge_first_entry(space);
            }
        }
        self.judge_made(space, format, &added, &change);
        self.withdraw(space, format, &removed, &added);
        for list in [&mut removed, &mut added] {
            list.leaves.clear();
            list.tables.clear();
        }
        (self.removed, self.added) = (removed, added);
        for finding in self.findings.iter_mut().skip(findings) {
            let change = finding.change.get_or_insert_with(|| change.clone());
            change.before_told = format.describe(way.level, old);
            change.after_told = format.describe(way.level, new);
        }
    }

    /// Whether something was made that some processor may meet beside what it replaces.
    fn judge_made(&mut self, space: Space, format: &dyn Format, added: &Delta, change: &Change) {
        if !format.has_barriers() || self.may_hold.is_empty() {
            return;
        }
        let of_tables =
            added.tables.iter().map(|way| (way.first, way.bytes(), met_table(format, way)));
        let of_leaves = added.leaves.iter().map(|leaf| (leaf.first, leaf.bytes(), met_leaf(leaf)));
        let meeting = of_tables
            .chain(of_leaves)
            .find_map(|(first, bytes, is)| self.may_hold.meets(format, space, first, bytes, is));
        if let Some(meeting) = meeting {
            let breach = entries::met(format, &meeting);
            let since = Some(meeting.stored);
            self.report(breach, Some(change.clone()), since, Some(format.name()));
        }
    }

    /// What was removed and is not granted anew may still be held.
    fn withdraw(&mut self, space: Space, format: &dyn Format, removed: &Delta, added: &Delta) {
        let Some(held) = self.spaces.get(space) else { return };
        if removed.leaves.is_empty() && removed.tables.is_empty() {
            return;
        }
        let holders = [self.holders(held, false), self.holders(held, true)];
        let is_common = held.is_common;
        let is_visible = !self.may_hold.waits;
        let mut anew = added.leaves.iter().peekable();
        for leaf in &removed.leaves {
            while anew.next_if(|other| other.first < leaf.first).is_some() {}
            if !anew.peek().is_some_and(|other| grants(format, other, leaf)) {
                let holders = holders[usize::from(leaf.global || is_common)];
                self.may_hold.leaves.insert(space, *leaf, self.now, is_visible, holders);
            }
        }
        for way in &removed.tables {
            // Under other limits a table grants something else.
            let is_kept = |other: &TableUse| is_same_way(other, way) && other.limit.has(way.limit);
            if !added.tables.iter().any(is_kept) {
                self.told.remove(&(space, *way));
                let holders = holders[usize::from(is_common)];
                self.may_hold.ways.insert(space, *way, self.now, is_visible, holders);
            }
        }
    }

    /// Takes what the entry with these bits leads to out of use.
    fn unlink(
        &mut self,
        space: Space,
        way: TableUse,
        at: PhysAddr,
        bits: u64,
        removed: &mut Delta,
    ) {
        let Some(format) = self.spaces.get(space).map(|held| std::rc::Rc::clone(&held.format))
        else {
            return;
        };
        match below(&*format, way, at, bits) {
            Below::Nothing => {}
            Below::Leaf(leaf) => removed.leaves.push(leaf),
            Below::Table(table) => {
                let Some(words) = self.books.get_mut(table.frame) else { return };
                let uses = words.uses.len();
                words.uses.retain(|held| *held != (space, table));
                if words.uses.len() == uses {
                    return;
                }
                removed.tables.push(table);
                for slot in 0..format.entries(table.level) {
                    let at = table.frame.start().plus(8 * slot);
                    let bits = self.books.word(at);
                    if bits != 0 {
                        self.unlink(space, table, at, bits, removed);
                    }
                }
            }
        }
    }

    /// Takes what the entry with these bits leads to into use. `is_release`: how it was stored, if it
    /// was.
    fn link(
        &mut self,
        space: Space,
        way: TableUse,
        at: PhysAddr,
        bits: u64,
        added: &mut Delta,
        is_release: Option<bool>,
    ) {
        let Some(held) = self.spaces.get_mut(space) else { return };
        let format = std::rc::Rc::clone(&held.format);
        match below(&*format, way, at, bits) {
            Below::Nothing => {}
            Below::Leaf(leaf) => {
                held.had_entries = true;
                added.leaves.push(leaf);
            }
            Below::Table(table) => {
                held.had_entries = true;
                self.link_table(space, &*format, table, added, is_release);
            }
        }
    }

    pub(super) fn link_root(&mut self, space: Space) {
        let Some(held) = self.spaces.get(space) else { return };
        let (format, frame) = (std::rc::Rc::clone(&held.format), held.root.frame());
        if let Some(table) = self.books.get_mut(frame) {
            // Read anew with other sizes.
            table.uses.retain(|(other, way)| *other != space || way.level != format.levels());
        }
        let (level, first) = (format.levels(), VirtAddr(0));
        let root = TableUse { frame, level, first, limit: Permissions::ALL };
        let mut added = Delta::default();
        self.link_table(space, &*format, root, &mut added, None);
    }

    fn link_table(
        &mut self,
        space: Space,
        format: &dyn Format,
        table: TableUse,
        added: &mut Delta,
        is_release: Option<bool>,
    ) {
        let (now, ordered) = (self.now, self.ordered.get(&self.now.by).copied().unwrap_or(0));
        let is_freed = self.books.is_freed(table.frame);
        let Some(words) = self.books.frame(table.frame) else {
            self.is_full = true;
            return;
        };
        if words.uses.len() >= USES_MAX || words.uses.contains(&(space, table)) {
            return;
        }
        words.uses.push((space, table));
        added.tables.push(table);
        let unknown = words.unknown(format.entries(table.level));
        let is_unordered = words.stored.is_some_and(|stored| {
            stored.by == now.by && stored.time > ordered && stored.time < now.time
        });
        let at = table.frame.start().raw();
        let virt = Some(table.first);
        if is_freed || unknown > 0 {
            let kind = if is_freed {
                "a frame that was given back becomes a table"
            } else {
                "a table has words that nobody wrote"
            };
            let what = if is_freed {
                format!("makes {at:#x} the table for {}, and it was given back", table.first)
            } else {
                format!(
                    "makes {at:#x} the table for {}, and the trace never told {unknown} of its words \
                     (`init`, `word` or `store`)",
                    table.first
                )
            };
            let check = if is_freed { Check::Frames } else { Check::Entries };
            let rule = format.rule(Rule::Translation);
            let breach = Breach { check, kind: kind.to_owned(), what, virt, rule };
            self.report(breach, None, None, Some(format.name()));
        }
        if is_release == Some(false) && is_unordered && format.has_barriers() {
            self.report(entries::unordered(format, &table), None, None, Some(format.name()));
        }
        self.judge_shared(space, format, &table);
        for slot in 0..format.entries(table.level) {
            let at = table.frame.start().plus(8 * slot);
            let bits = self.books.word(at);
            if bits == 0 {
                continue;
            }
            if let Decoded::Malformed = format.decode(table.level, bits) {
                let first = format.first_of(table.level, table.first, slot);
                if let Some(breach) = entries::stored(format, table.level, first, 0, bits) {
                    self.report(breach, None, None, Some(format.name()));
                }
            }
            self.note_set(space, format, table, at, [bits, bits]);
            self.link(space, table, at, bits, added, is_release);
        }
    }

    /// A table that another address space may still walk is used again.
    fn judge_shared(&mut self, space: Space, format: &dyn Format, table: &TableUse) {
        // There it may be in use still, under other limits.
        let uses = self.books.get(table.frame).map_or(&[][..], |words| &words.uses);
        let is_in_use = |other: Space, held: &TableUse| {
            uses.iter().any(|(of, way)| *of == other && is_same_way(way, held))
        };
        let is_other = |other: Space, held: &TableUse| {
            other != space && held.frame == table.frame && !is_in_use(other, held)
        };
        let ways = &self.may_hold.ways;
        let other = ways.iter().find(|(other, held)| is_other(*other, &held.what));
        let Some((other, held)) = other else { return };
        let tag = self.spaces.get(other).map_or(0, |other| other.tag);
        let what = format!(
            "makes {:#x} the table for {} while a processor may still walk it as the table for {} \
             under the identifier {tag}; {}",
            table.frame.start().raw(),
            table.first,
            held.what.first,
            held.missing()
        );
        let since = Some(held.stored);
        let kind = "table used again may still be walked".to_owned();
        let rule = format.rule(Rule::Invalidation);
        let virt = Some(held.what.first);
        let breach = Breach { check: Check::Invalidation, kind, what, virt, rule };
        self.report(breach, None, since, Some(format.name()));
    }

    /// A store to a frame that no table names, and that some processor may still walk.
    fn judge_unlinked(&mut self, at: PhysAddr, old: u64, new: u64) {
        if self.may_hold.ways.is_empty() || old == new {
            return;
        }
        let frame = at.frame();
        let held = self.may_hold.ways.iter().find(|(_, held)| held.what.frame == frame);
        let Some((space, held)) = held else { return };
        let (way, since) = (held.what, Some(held.stored));
        let Some(space) = self.spaces.get(space) else { return };
        let format = std::rc::Rc::clone(&space.format);
        if matches!(format.decode(way.level, new), Decoded::Invalid) {
            return;
        }
        let first = format.first_of(way.level, way.first, at.offset() / 8);
        let what = format!(
            "makes an entry for {first} in the table at {:#x}, which was taken out of use and which a \
             processor may still walk: {}; {}",
            frame.start().raw(),
            format.describe(way.level, new),
            held.missing()
        );
        let kind = "entry made in a table that may still be walked".to_owned();
        let (rule, virt) = (format.rule(Rule::Order), Some(first));
        let breach = Breach { check: Check::Entries, kind, what, virt, rule };
        self.report(breach, None, since, Some(format.name()));
    }

    /// The lock that guards the table is held.
    fn judge_lock(&mut self, at: PhysAddr) {
        let by = self.now.by;
        let Some(table) = self.books.get(at.frame()) else { return };
        let Some((space, _)) = table.uses.first().copied() else { return };
        let number = u16::try_from(index(at)).unwrap_or(0);
        if let Some(&owner) = table.owned.get(&number) {
            if owner != by {
                let what = format!(
                    "stores to {:#x}, which processor {owner} owns without any lock",
                    at.raw()
                );
                self.report(lock_breach("a word is written by another", what), None, None, None);
            }
            return;
        }
        let Some(root) = self.spaces.get(space).map(|space| space.root) else { return };
        match self.locks.guard_of(root) {
            Some(lock) if self.locks.is_held(lock, by) => {}
            Some(lock) => {
                let what = format!(
                    "stores to {:#x} without the lock {lock:#x}, which guards the tables below {:#x}",
                    at.raw(),
                    root.raw()
                );
                self.report(
                    lock_breach("a table is written without its lock", what),
                    None,
                    None,
                    None,
                );
            }
            None if self.discipline.wants_locks => {
                let what = format!(
                    "stores to {:#x}, and no lock is named for the tables below {:#x}",
                    at.raw(),
                    root.raw()
                );
                self.report(lock_breach("a table has no lock", what), None, None, None);
            }
            None => {}
        }
    }

    /// Whether the tables of a root have any entry that can be remembered.
    pub(super) fn has_entries(&self, root: &Root) -> bool {
        let level = root.format.levels();
        (0..root.format.entries(level)).any(|slot| {
            let bits = self.books.word(root.at.plus(8 * slot));
            matches!(root.format.decode(level, bits), Decoded::Table { .. } | Decoded::Leaf { .. })
        })
    }

    pub(super) fn is_table(&self, frame: Frame) -> bool {
        self.books.get(frame).is_some_and(|table| !table.uses.is_empty())
    }
}

/// What an entry leads to.
enum Below {
    Nothing,
    Leaf(Leaf),
    Table(TableUse),
}

fn below(format: &dyn Format, way: TableUse, at: PhysAddr, bits: u64) -> Below {
    let first = format.first_of(way.level, way.first, at.offset() / 8);
    match format.decode(way.level, bits) {
        Decoded::Invalid | Decoded::Malformed | Decoded::Inaccessible => Below::Nothing,
        Decoded::Table { at, limit } => Below::Table(TableUse {
            frame: at.frame(),
            level: way.level - 1,
            first,
            limit: way.limit.within(limit),
        }),
        Decoded::Leaf { .. } => {
            leaf_in(format, &way, at.offset() / 8, bits).map_or(Below::Nothing, Below::Leaf)
        }
    }
}

/// Whether two values of one entry lead to the same table with the same limits: only flags differ.
fn leads_the_same(format: &dyn Format, level: u8, old: u64, new: u64) -> bool {
    match (format.decode(level, old), format.decode(level, new)) {
        (Decoded::Table { at, limit }, Decoded::Table { at: to, limit: then }) => {
            at == to && limit == then
        }
        _ => false,
    }
}

fn is_same_way(one: &TableUse, other: &TableUse) -> bool {
    (one.frame, one.level, one.first) == (other.frame, other.level, other.first)
}
