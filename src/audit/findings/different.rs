//! Frames that pages with different rights lead to.
//!
//! Told in ranges that begin and end where a page does. Mappings are gone through again and again rather
//! than kept: an image may have a hundred million.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::edges::Edges;
use crate::audit::space::Space;
use crate::audit::ways::{Mapping, frames_of};
use crate::base::{Frame, VirtAddr};

use super::{Example, Finding, Kind, rights_text, shown};

/// Ranges with different rights, each begun and ended where some page is.
#[derive(Default)]
struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// What two kinds of rights or more lie over.
    fn of(edges: Edges) -> Self {
        let mut found = Vec::new();
        edges.between(|from, end, depth| {
            if depth.iter().filter(|count| **count > 0).count() > 1 {
                found.push((from, end));
            }
        });
        Self(found)
    }

    /// Those that share frames with this one.
    fn over(&self, first: u64, count: u64) -> &[(u64, u64)] {
        let from = self.0.partition_point(|(_, end)| *end <= first);
        let rest = &self.0[from..];
        &rest[..rest.partition_point(|(start, _)| *start < first + count)]
    }
}

/// Counts them, and gives the first so many, by address.
pub(super) fn different_rights(space: &Space, examples_max: usize) -> Finding {
    let mappings = || space.ways.mappings(&space.image, &space.controls);
    let tag = |mapping: &Mapping| shown(mapping.reach.rights).bits();
    let mut all = Edges::default();
    for mapping in mappings() {
        let (first, count) = frames_of(&mapping.reach);
        all.extend(first, count, tag(&mapping));
    }
    let roughly = Ranges::of(all);
    let mut edges = Edges::default();
    for mapping in mappings().filter(|_| !roughly.0.is_empty()) {
        let (first, count) = frames_of(&mapping.reach);
        if !roughly.over(first, count).is_empty() {
            edges.push(first, count, tag(&mapping));
        }
    }
    drop(roughly);
    let ranges = Ranges::of(edges);
    let frames = ranges.0.iter().map(|(from, end)| end - from).sum();
    let instances = ranges.0.len() as u64;
    let kind = Kind::DifferentRights;
    let mut finding = Finding { kind, count: frames, instances, examples: Vec::new() };
    if instances == 0 || examples_max == 0 {
        return finding;
    }
    let mut first = Firsts { max: examples_max, ..Firsts::default() };
    for mapping in mappings() {
        let (start, count) = frames_of(&mapping.reach);
        for &(from, _) in ranges.over(start, count) {
            first.offer(mapping.first.plus((from - start) << 12), from);
        }
    }
    let chosen = Ranges(
        ranges.0.into_iter().filter(|(from, _)| first.by_range.contains_key(from)).collect(),
    );
    let mut told: BTreeMap<u64, Told> = BTreeMap::new();
    for mapping in mappings() {
        let (start, count) = frames_of(&mapping.reach);
        for &(from, end) in chosen.over(start, count) {
            let told =
                told.entry(from).or_insert_with(|| Told { frames: end - from, ..Told::default() });
            told.take(mapping.first.plus((from - start) << 12), &mapping);
        }
    }
    finding.examples = told.into_iter().map(|(from, told)| told.example(Frame(from))).collect();
    finding.examples.sort_by_key(|example| (example.virt, example.frame));
    finding
}

/// The ranges with the lowest addresses, by the lowest address of each known so far.
#[derive(Default)]
struct Firsts {
    max: usize,
    by_range: BTreeMap<u64, VirtAddr>,
    by_address: BTreeSet<(VirtAddr, u64)>,
}

impl Firsts {
    fn offer(&mut self, virt: VirtAddr, range: u64) {
        let last = self.by_address.last().copied();
        if self.by_address.len() >= self.max && last.is_some_and(|last| last < (virt, range)) {
            return;
        }
        match self.by_range.get_mut(&range) {
            Some(known) if *known <= virt => return,
            Some(known) => {
                self.by_address.remove(&(*known, range));
                *known = virt;
            }
            None => {
                self.by_range.insert(range, virt);
            }
        }
        self.by_address.insert((virt, range));
        // What goes has as many before it as are wanted, and these only move further to the front.
        if self.by_address.len() > self.max
            && let Some((_, range)) = self.by_address.pop_last()
        {
            self.by_range.remove(&range);
        }
    }
}

/// What is told of a range: for each kind of rights the first address.
#[derive(Default)]
struct Told {
    frames: u64,
    addresses: u64,
    by_rights: BTreeMap<u8, (VirtAddr, Mapping)>,
}

impl Told {
    fn take(&mut self, virt: VirtAddr, mapping: &Mapping) {
        self.addresses = self.addresses.saturating_add(mapping.count);
        let rights = shown(mapping.reach.rights).bits();
        let known = self.by_rights.entry(rights).or_insert((virt, *mapping));
        if (virt, mapping.at) < (known.0, known.1.at) {
            *known = (virt, *mapping);
        }
    }

    fn example(self, frame: Frame) -> Example {
        let mut told: Vec<(VirtAddr, Mapping)> = self.by_rights.into_values().collect();
        told.sort_by_key(|(virt, _)| *virt);
        let rights: Vec<String> = told
            .iter()
            .map(|(virt, mapping)| format!("{} at {virt}", rights_text(mapping.reach.rights)))
            .collect();
        Example {
            virt: told[0].0,
            frame,
            frames: self.frames,
            at: told[0].1.at,
            addresses: self.addresses,
            rights: rights.join(", "),
        }
    }
}
