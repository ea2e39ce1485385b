//! Things that were withdrawn, with who may still hold them, found by address.

use std::collections::BTreeMap;

use super::processors::Processors;
use crate::base::VirtAddr;

/// Something with a range of addresses.
pub(crate) trait Spanning: Copy + PartialEq {
    fn first(&self) -> VirtAddr;
    fn bytes(&self) -> u64;
}

/// Who did something, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Stamp {
    pub(crate) by: u16,
    pub(crate) time: u64,
}

/// An address space: which one is whoever holds the set's own business.
pub(crate) type Space = u32;

/// What an invalidation is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Parts {
    /// What was read from the tables.
    pub(crate) entry: bool,
    /// What another stage made of it: a translation by both stages of what this one withdrew.
    pub(crate) combined: bool,
}

impl Parts {
    pub(crate) const BOTH: Self = Self { entry: true, combined: true };
}

/// An invalidation that was issued.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notice {
    pub(crate) by: u16,
    pub(crate) whom: Processors,
    pub(crate) parts: Parts,
}

/// One withdrawn thing.
#[derive(Clone, Debug)]
pub(crate) struct Member<T> {
    pub(crate) what: T,
    /// The store that withdrew it.
    pub(crate) stored: Stamp,
    /// Whose walks see that store from now on.
    pub(crate) seen_by: Processors,
    /// Who may hold it as it was read.
    pub(crate) entry: Processors,
    /// Who may hold a translation that another stage made of it.
    pub(crate) combined: Processors,
    /// Who may hold it under an identifier that is not the current one, and uses it when that is current again.
    pub(crate) dormant: Processors,
    /// Its frame has another owner by now.
    pub(crate) is_reused: bool,
    /// Invalidations that wait for a barrier.
    told: Vec<Notice>,
}

/// Who may hold something, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holders {
    pub(crate) entry: Processors,
    pub(crate) combined: Processors,
    pub(crate) dormant: Processors,
}

impl<T> Member<T> {
    fn is_usable(&self) -> bool {
        !self.entry.is_empty() || !self.combined.is_empty()
    }

    fn is_held(&self) -> bool {
        self.is_usable() || !self.dormant.is_empty()
    }

    pub(crate) const fn holders(&self) -> Holders {
        Holders { entry: self.entry, combined: self.combined, dormant: self.dormant }
    }

    fn forget(&mut self, notice: &Notice) {
        if notice.parts.entry {
            self.entry = self.entry.without(notice.whom);
            self.dormant = self.dormant.without(notice.whom);
        }
        // A combined translation may be made anew as long as the entry is held.
        if notice.parts.combined {
            self.combined = self.combined.without(notice.whom.without(self.entry));
        }
    }

    /// Whether an invalidation of it waits for a barrier.
    pub(crate) fn is_told(&self) -> bool {
        !self.told.is_empty()
    }

    /// What an invalidation still has to wait for, in words for a finding.
    pub(crate) fn missing(&self) -> &'static str {
        if self.seen_by.is_empty() {
            "no barrier since the store makes walks see it"
        } else if self.told.is_empty() && !self.entry.is_empty() {
            "no invalidation since then covers it"
        } else if self.told.is_empty() {
            "translations combined with stage 1 were not invalidated after it"
        } else {
            "the invalidation is not completed by a barrier of the processor that issued it"
        }
    }
}

type Key = (u64, Space);

/// The withdrawn things of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Members<T> {
    by_first: BTreeMap<Key, Vec<Member<T>>>,
    /// Stores that no barrier has followed, with the keys of what they withdrew.
    unseen: Vec<(Stamp, Key)>,
    /// Processors with invalidations that wait for a barrier.
    waiting: Vec<(u16, Key)>,
}

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self { by_first: BTreeMap::new(), unseen: Vec::new(), waiting: Vec::new() }
    }
}

/// Where something that covers an address may begin: sizes of pages, and of what tables span.
const SHIFTS: [u32; 5] = [12, 21, 30, 39, 48];

impl<T: Spanning> Members<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_first.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// What somebody may use as things are.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Space, &Member<T>)> {
        self.all().filter(|(_, member)| member.is_usable())
    }

    /// The same, and what somebody may hold and can't use.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Space, &Member<T>)> {
        self.by_first
            .iter()
            .flat_map(|((_, space), members)| members.iter().map(move |member| (*space, member)))
    }

    /// Takes something in. `is_visible`: no barrier is needed before an invalidation.
    pub(crate) fn insert(
        &mut self,
        space: Space,
        what: T,
        stored: Stamp,
        is_visible: bool,
        holders: Holders,
    ) {
        let Holders { entry, combined, dormant } = holders;
        if entry.is_empty() && combined.is_empty() && dormant.is_empty() {
            return;
        }
        let key = (what.first().0, space);
        let members = self.by_first.entry(key).or_default();
        // Withdrawn once more: what was told about it before counts no longer.
        members.retain(|member| member.what != what);
        let seen_by = if is_visible { Processors::ALL } else { Processors::NONE };
        let (is_reused, told) = (false, Vec::new());
        members.push(Member { what, stored, seen_by, entry, combined, dormant, is_reused, told });
        if !is_visible {
            self.unseen.push((stored, key));
        }
    }

    /// The keys of all that overlaps a range.
    fn overlapping_keys(&self, first: VirtAddr, bytes: u64) -> Vec<Key> {
        let mut starts: Vec<u64> =
            SHIFTS.iter().map(|shift| first.0 & !((1 << shift) - 1)).collect();
        starts.dedup();
        let mut keys = Vec::new();
        for start in starts.into_iter().filter(|&start| start != first.0) {
            let at = self.by_first.range((start, 0)..=(start, Space::MAX));
            keys.extend(
                at.filter(|(_, members)| {
                    members.iter().any(|member| covers(start, member.what.bytes(), first.0))
                })
                .map(|(key, _)| *key),
            );
        }
        let last = first.0.saturating_add(bytes.saturating_sub(1));
        keys.extend(self.by_first.range((first.0, 0)..=(last, Space::MAX)).map(|(key, _)| *key));
        keys
    }

    /// All of one space that overlaps a range.
    pub(crate) fn overlapping(
        &self,
        space: Space,
        first: VirtAddr,
        bytes: u64,
    ) -> impl Iterator<Item = &Member<T>> {
        let keys = self.overlapping_keys(first, bytes);
        keys.into_iter()
            .filter(move |key| key.1 == space)
            .filter_map(|key| self.by_first.get(&key))
            .flatten()
    }

    /// Somebody is told to forget: all, or what overlaps `range`. What is not yet visible is read
    /// again by whoever forgets it, so it stays.
    pub(crate) fn tell(
        &mut self,
        notice: Notice,
        range: Option<(VirtAddr, u64)>,
        is_meant: &dyn Fn(Space, &T) -> bool,
        waits: bool,
    ) {
        let keys = match range {
            Some((first, bytes)) => self.overlapping_keys(first, bytes),
            None => self.by_first.keys().copied().collect(),
        };
        for key in keys {
            let Some(members) = self.by_first.get_mut(&key) else { continue };
            let is_in = |what: &T| {
                range.is_none_or(|(first, bytes)| {
                    covers(what.first().0, what.bytes(), first.0)
                        || covers(first.0, bytes, what.first().0)
                })
            };
            let mut is_waiting = false;
            for member in members.iter_mut() {
                if !is_in(&member.what) || !is_meant(key.1, &member.what) {
                    continue;
                }
                // Whoever does not see the store yet would read the old entry again.
                let notice = Notice { whom: notice.whom.within(member.seen_by), ..notice };
                // Before the entry is gone, only what forgets both counts.
                let is_early = !notice.parts.entry && !member.entry.within(notice.whom).is_empty();
                if notice.whom.is_empty() || is_early {
                    continue;
                }
                if waits {
                    member.told.push(notice);
                    is_waiting = true;
                } else {
                    member.forget(&notice);
                }
            }
            if is_waiting {
                self.waiting.push((notice.by, key));
            }
            if !waits {
                members.retain(Member::is_held);
                if members.is_empty() {
                    self.by_first.remove(&key);
                }
            }
        }
    }

    /// Stores that `is_known` holds of are seen by the walks of `whom` from now on.
    pub(crate) fn show(&mut self, is_known: &dyn Fn(Stamp) -> bool, whom: Processors) {
        let by_first = &mut self.by_first;
        self.unseen.retain(|(stamp, key)| {
            if !is_known(*stamp) {
                return true;
            }
            for member in by_first.get_mut(key).into_iter().flatten() {
                if member.stored == *stamp {
                    member.seen_by = member.seen_by.and(whom);
                }
            }
            whom != Processors::ALL
        });
    }

    /// What `by` issued is complete on the processors `whom`.
    pub(crate) fn complete(&mut self, by: u16, whom: Processors) {
        let by_first = &mut self.by_first;
        self.waiting.retain(|(who, key)| {
            if *who != by {
                return true;
            }
            let Some(members) = by_first.get_mut(key) else { return false };
            let mut is_left = false;
            for member in members.iter_mut() {
                for notice in core::mem::take(&mut member.told) {
                    if notice.by != by {
                        member.told.push(notice);
                        continue;
                    }
                    member.forget(&Notice { whom: notice.whom.within(whom), ..notice });
                    let rest = notice.whom.without(whom);
                    if !rest.is_empty() {
                        is_left = true;
                        member.told.push(Notice { whom: rest, ..notice });
                    }
                }
            }
            members.retain(Member::is_held);
            if members.is_empty() {
                by_first.remove(key);
            }
            is_left
        });
    }

    /// What `is_meant` has another owner.
    pub(crate) fn reuse(&mut self, is_meant: impl Fn(&Member<T>) -> bool) {
        for member in self.by_first.values_mut().flatten() {
            member.is_reused |= is_meant(member);
        }
    }

    /// A processor uses from now on what it holds of spaces that are `is_current`, and nothing of others, unless it is
    /// `is_common` to all. What it could not use until now is given.
    pub(crate) fn attend(
        &mut self,
        processor: u16,
        is_current: &dyn Fn(Space) -> bool,
        is_common: &dyn Fn(&T) -> bool,
    ) -> Vec<(Space, Member<T>)> {
        let own = Processors::one(processor);
        let mut woken = Vec::new();
        for ((_, space), members) in &mut self.by_first {
            for member in members {
                if !is_current(*space) {
                    if member.entry.has(processor) && !is_common(&member.what) {
                        member.entry = member.entry.without(own);
                        member.dormant = member.dormant.and(own);
                    }
                } else if member.dormant.has(processor) {
                    member.dormant = member.dormant.without(own);
                    member.entry = member.entry.and(own);
                    woken.push((*space, member.clone()));
                }
            }
        }
        woken
    }

    /// Keeps what `is_kept`.
    pub(crate) fn retain(&mut self, mut is_kept: impl FnMut(Space, &Member<T>) -> bool) {
        self.by_first.retain(|(_, space), members| {
            members.retain(|member| is_kept(*space, member));
            !members.is_empty()
        });
    }
}

const fn covers(first: u64, bytes: u64, address: u64) -> bool {
    address.wrapping_sub(first) < bytes
}
