//! One flip after the other, judged.

use std::collections::BTreeMap;

use crate::audit::frames::FrameUse;
use crate::audit::image::slot_of;
use crate::audit::permits::Accesses;
use crate::audit::space::Space;
use crate::audit::ways::{Way, Ways};
use crate::base::{Frame, PhysAddr, VirtAddr};
use crate::machine::paging::x86_64::{Entry, Level, lookup};

use super::class::{Class, Flip, Gain, TableIs, Verdict};
use super::compare::{Comparer, Given, first_write};
use super::view::{Decoder, Patch, View};
use super::writers::Writers;

/// What all judges of an address space share.
#[derive(Clone, Debug)]
pub(super) struct Court<'a> {
    pub(super) space: &'a Space,
    pub(super) ways: Vec<Vec<Way>>,
    writers: Writers<'a>,
}

impl<'a> Court<'a> {
    pub(super) fn new(space: &'a Space) -> Self {
        Self { space, ways: space.ways_by_table(), writers: Writers::new(space) }
    }
}

/// A worker that judges flips, in any order: its memory changes no verdict.
pub(super) struct Judge<'a> {
    court: &'a Court<'a>,
    comparer: Comparer<'a>,
    /// The ways to a table that don't read one of its entries, for entries that lead back to it.
    around: BTreeMap<PhysAddr, Vec<Way>>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(court: &'a Court<'a>) -> Self {
        let space = court.space;
        let decoder = Decoder::new(space);
        let comparer = Comparer::new(decoder, &space.frames);
        Self { court, comparer, around: BTreeMap::new() }
    }

    /// What a flip does; `None` when there is no such entry in the image.
    pub(super) fn judge(&mut self, flip: Flip) -> Option<Verdict> {
        let space = self.court.space;
        let table = space.image.index_of(flip.at.frame())?;
        let slot = slot_of(flip.at);
        let entry = space.image.table(table)[slot];
        Some(self.judge_entry(flip, table, slot, entry))
    }

    pub(super) fn judge_entry(
        &mut self,
        flip: Flip,
        table: usize,
        slot: usize,
        entry: u64,
    ) -> Verdict {
        let court = self.court;
        let mut verdict = Verdict {
            flip,
            level: court.ways[table].first().map_or(Level::Pt, |way| way.using.level),
            class: Class::Nothing,
            gain: None,
            table: None,
            kernel: [None; 3],
            kernel_faults: false,
        };
        let flipped = entry ^ (1 << flip.bit);
        if (entry | flipped) & Entry::P == 0 {
            return verdict;
        }
        self.comparer.next_flip();
        let around = if self.leads_back(table, entry) {
            let around = self.around.entry(flip.at).or_insert_with(|| {
                let space = court.space;
                let ways = Ways::new(&space.image, &space.controls, Some(flip.at)).all;
                ways.into_iter().filter(|way| way.table == table).collect()
            });
            Some(around.clone())
        } else {
            None
        };
        let ways = around.as_ref().unwrap_or(&court.ways[table]);
        let patch = Patch { table, slot, entry: flipped };
        let mut user_faults = false;
        for way in ways {
            let (level, rights) = (way.using.level, way.using.rights);
            let before = self.comparer.decoder.view(entry, level, rights);
            let after = self.comparer.decoder.view(flipped, level, rights);
            let change = self.comparer.compare(before, after, level, Some(&patch));
            let first = way.using.first_of(&court.space.controls, slot as u64);
            if let Some((class, given)) = change.user {
                let gain = gain_at(first, given);
                let is_worse = class < verdict.class
                    || (class == verdict.class
                        && verdict.gain.is_some_and(|known| gain.virt < known.virt));
                if is_worse {
                    (verdict.class, verdict.gain, verdict.level) = (class, Some(gain), level);
                }
            }
            user_faults |= change.user_faults;
            verdict.kernel_faults |= change.kernel_faults;
            for (known, given) in verdict.kernel.iter_mut().zip(change.kernel) {
                let gain = given.map(|given| gain_at(first, given));
                if gain.is_some_and(|gain| known.is_none_or(|known| gain.virt < known.virt)) {
                    *known = gain;
                }
            }
        }
        if verdict.class == Class::TableWrite {
            verdict.table = Some(TableIs::There);
        } else if let Some((table, level, gain)) = self.table_made(ways, &patch, entry, flip.at) {
            verdict.table = Some(table);
            (verdict.class, verdict.gain, verdict.level) = (Class::TableWrite, Some(gain), level);
        }
        if verdict.class == Class::Nothing && user_faults {
            verdict.class = Class::Fault;
        }
        verdict
    }

    /// Whether a walk that reads `entry` of `table` may come back to that table.
    fn leads_back(&mut self, table: usize, entry: u64) -> bool {
        let court = self.court;
        if entry & Entry::P == 0 {
            return false;
        }
        court.ways[table].iter().any(|way| {
            let level = way.using.level;
            match self.comparer.decoder.view(entry, level, way.using.rights) {
                View::Table { table: next, .. } => {
                    self.comparer.below(next, level.below()).reads(table)
                }
                _ => false,
            }
        })
    }

    /// The first address at which user mode writes, after the flip or else before it, a frame that the
    /// flip turns into a page table.
    fn table_made(
        &mut self,
        ways: &[Way],
        patch: &Patch,
        entry: u64,
        at: PhysAddr,
    ) -> Option<(TableIs, Level, Gain)> {
        let space = self.court.space;
        let mut made: Vec<(u64, Level)> = Vec::new();
        for way in ways {
            let level = way.using.level;
            let after = self.comparer.decoder.view(patch.entry, level, way.using.rights);
            match after {
                View::Nothing | View::Page { .. } => {}
                View::Unknown { frame, .. } => {
                    if !space.frames.of(Frame(frame)).has(FrameUse::TABLE) {
                        made.push((frame, level));
                    }
                }
                View::Table { table, .. } => {
                    let below = self.comparer.below(table, level.below());
                    if below.reads(patch.table) {
                        let below = self.comparer.below_patched(table, level.below(), patch);
                        made.extend(below.made.iter().map(|&frame| (frame, level)));
                    } else {
                        made.extend(below.made.iter().map(|&frame| (frame, level)));
                    }
                }
            }
        }
        if made.is_empty() || entry == patch.entry {
            return None;
        }
        made.sort_unstable();
        made.dedup_by_key(|(frame, _)| *frame);
        let frames: Vec<u64> = made.iter().map(|(frame, _)| *frame).collect();
        let mut first: Option<(Level, Gain)> = None;
        let is_written = |frame| space.frames.of(Frame(frame)).has(FrameUse::USER_WRITABLE);
        let was_written = frames.iter().any(|&frame| is_written(frame));
        let nothing_gained = |(virt, frame)| {
            let level = made.iter().find(|(own, _)| *own == frame)?.1;
            Some((level, Gain { virt, frame: Frame(frame), gained: Accesses::NONE }))
        };
        if was_written {
            first = self.court.writers.without(&frames, at).and_then(nothing_gained);
        }
        for way in ways {
            let (level, rights) = (way.using.level, way.using.rights);
            let after = self.comparer.decoder.view(patch.entry, level, rights);
            let found =
                first_write(&self.comparer.decoder, after, level, patch, &frames, &mut Vec::new());
            if let Some((offset, frame, can)) = found {
                let virt = way.using.first_of(&space.controls, patch.slot as u64).plus(offset);
                if first.is_none_or(|(_, known)| virt < known.virt) {
                    let gained = can.without(self.could(virt, frame));
                    first = Some((level, Gain { virt, frame, gained }));
                }
            }
        }
        if let Some((level, gain)) = first {
            return Some((TableIs::Made, level, gain));
        }
        let before = self.court.writers.first(&frames).filter(|_| was_written);
        let (level, gain) = before.and_then(nothing_gained)?;
        Some((TableIs::Filled, level, gain))
    }

    /// What was permitted at an address before the flip, if it led to this frame.
    fn could(&self, virt: VirtAddr, frame: Frame) -> Accesses {
        let space = self.court.space;
        let led = lookup(&space.image, &space.controls, virt).filter(|reach| {
            let within = virt.0 & (reach.size.bytes() - 1);
            reach.page.plus(within).frame() == frame
        });
        led.map_or(Accesses::NONE, |reach| space.at_will.of(reach.rights, reach.leaf.key()))
    }
}

fn gain_at(first: VirtAddr, given: Given) -> Gain {
    Gain { virt: first.plus(given.offset), frame: Frame(given.frame), gained: given.gained }
}
