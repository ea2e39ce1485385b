//! Every way to every table, counted and not followed one by one.
//!
//! A table that thousands of entries name (Linux maps one page 2,048 times for its espfix stacks) is
//! one table as long as the rights above it are the same: what differs is only the address. So a
//! *way* is kept once for each table, level, rights and half of address space, with its first address
//! and with how many addresses lead there. The halves are kept apart because an entry of the lower half
//! may name a table of the kernel's, and what user mode may do there is judged by the address.

use std::collections::BTreeMap;

use crate::base::{Frame, PhysAddr, VirtAddr};
use crate::machine::paging::x86_64::{Controls, Entry, Found, Level, Reach, Rights, TableUse};

use super::image::{Image, slot_of};

/// Ways to one table that are alike in level, rights and half of address space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Way {
    /// Where the table is in the image.
    pub table: usize,
    /// As what it is read, with what rights, and its first address on the first way.
    pub using: TableUse,
    /// How many ways there are; `u64::MAX` when more.
    pub count: u64,
}

/// A page, on every way that is alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// The leaf entry.
    pub at: PhysAddr,
    /// The first address.
    pub first: VirtAddr,
    /// What it leads to.
    pub reach: Reach,
    /// How many addresses lead there this way; `u64::MAX` when more.
    pub count: u64,
}

/// A table that an entry names and the image does not hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Missing {
    /// The frame that is named.
    pub frame: Frame,
    /// The entry that names it.
    pub at: PhysAddr,
    /// As what it would be read.
    pub level: Level,
    /// The first address that leads there.
    pub first: VirtAddr,
}

/// All ways from the root.
#[derive(Clone, Debug)]
pub struct Ways {
    /// From the root down; below that by place in the image, rights and half.
    pub all: Vec<Way>,
    /// Tables that are named and not held, each once, by frame.
    pub missing: Vec<Missing>,
}

impl Ways {
    /// The ways of an image. `without` is an entry to be taken as not present.
    #[must_use]
    pub fn new(image: &Image, controls: &Controls, without: Option<PhysAddr>) -> Self {
        let mut ways = Self { all: Vec::new(), missing: Vec::new() };
        let mut missing: BTreeMap<Frame, Missing> = BTreeMap::new();
        let root = TableUse::root(controls);
        // A root has its entries in both halves, and none of them is a page.
        let mut here: BTreeMap<(usize, Rights, bool), (TableUse, u64)> = BTreeMap::new();
        match image.index_of(root.at.frame()) {
            Some(index) => {
                here.insert((index, root.rights, false), (root, 1));
            }
            None => {
                let (frame, at) = (root.at.frame(), root.at);
                missing.insert(frame, Missing { frame, at, level: root.level, first: root.first });
            }
        }
        while !here.is_empty() {
            let mut below = BTreeMap::new();
            for ((table, ..), (using, count)) in here {
                ways.all.push(Way { table, using, count });
                for (index, &entry) in (0u64..).zip(image.table(table)) {
                    let at = using.at.plus(8 * index);
                    if entry & Entry::P == 0 || Some(at) == without {
                        continue;
                    }
                    let found = using.found(controls, index, Entry(entry));
                    let Some(Found::Table(named)) = found else { continue };
                    let frame = named.at.frame();
                    let Some(index) = image.index_of(frame) else {
                        let (level, first) = (named.level, named.first);
                        let told = Missing { frame, at, level, first };
                        let kept = missing.entry(frame).or_insert(told);
                        if first < kept.first {
                            *kept = told;
                        }
                        continue;
                    };
                    let key = (index, named.rights, named.first.is_system());
                    let (kept, ways) = below.entry(key).or_insert_with(|| (named, 0u64));
                    if named.first < kept.first {
                        kept.first = named.first;
                    }
                    *ways = ways.saturating_add(count);
                }
            }
            here = below;
        }
        ways.missing = missing.into_values().collect();
        ways
    }

    /// Whether each table of the image is reached.
    #[must_use]
    pub fn reached(&self, image: &Image) -> Vec<bool> {
        let mut reached = vec![false; image.frames().len()];
        for way in &self.all {
            reached[way.table] = true;
        }
        reached
    }

    /// Every page on every way, in no particular order of addresses.
    pub fn mappings<'a>(
        &'a self,
        image: &'a Image,
        controls: &'a Controls,
    ) -> impl Iterator<Item = Mapping> + 'a {
        self.all.iter().flat_map(move |way| {
            let table = image.table(way.table);
            (0u64..).zip(table).filter_map(move |(index, &entry)| {
                if entry & Entry::P == 0 {
                    return None;
                }
                match way.using.found(controls, index, Entry(entry)) {
                    Some(Found::Leaf { first, reach }) => {
                        let at = way.using.at.plus(8 * index);
                        Some(Mapping { at, first, reach, count: way.count })
                    }
                    _ => None,
                }
            })
        })
    }
}

/// The 4 KiB frames that a page covers: the first one's number and how many.
#[must_use]
pub(super) fn frames_of(reach: &Reach) -> (u64, u64) {
    (reach.page.frame().0, reach.size.frames())
}

/// Whether a walk for `virt` reads the entry at `at`.
#[must_use]
pub(super) fn walk_reads(image: &Image, controls: &Controls, virt: VirtAddr, at: PhysAddr) -> bool {
    let path = crate::machine::paging::x86_64::path(image, controls, virt);
    path.steps().iter().any(|step| step.at.frame() == at.frame() && slot_of(step.at) == slot_of(at))
}
