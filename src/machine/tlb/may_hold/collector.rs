//! What one change of the tables withdraws.

use super::withdrawn::{Withdrawn, WithdrawnKind};
use super::{MEMBERS_MAX, READS_MAX};
use crate::base::VirtAddr;
use crate::machine::paging::TableMemory;
use crate::machine::paging::x86_64::{
    ControlFlags, Controls, Extent, Found, Next, Reach, Rights, TableUse, leaves, lookup,
};

/// What was withdrawn so far, consecutive pages in one member.
pub(super) struct Collector {
    controls: Controls,
    /// Empty for the change of one leaf, which therefore allocates nothing here.
    runs: Vec<Withdrawn>,
    pending: Option<Withdrawn>,
    cut: bool,
}

impl Collector {
    pub(super) fn new(controls: &Controls) -> Self {
        Self { controls: *controls, runs: Vec::new(), pending: None, cut: false }
    }

    /// The members found, and whether all of them are there.
    pub(super) fn finish(self) -> (impl Iterator<Item = Withdrawn>, Extent) {
        let extent = if self.cut { Extent::Cut } else { Extent::Complete };
        (self.runs.into_iter().chain(self.pending), extent)
    }

    fn push(&mut self, member: Withdrawn) {
        if self.pending.as_mut().is_some_and(|pending| pending.extend(&member)) {
            return;
        }
        self.runs.extend(self.pending.replace(member));
        if self.runs.len() > MEMBERS_MAX {
            self.cut = true;
            self.runs.clear();
        }
    }

    pub(super) fn push_leaf(&mut self, first: VirtAddr, reach: &Reach) {
        self.push(Withdrawn {
            pcid: self.controls.pcid(),
            first: first.page(),
            pages: reach.size.frames(),
            frame: reach.page.frame(),
            rights: rights_that_count(&self.controls, reach.rights),
            global: reach.is_global(&self.controls),
            key: reach.leaf.key(),
            kind: WithdrawnKind::Leaf(reach.size),
        });
    }

    pub(super) fn table(&mut self, table: &TableUse) {
        self.push(Withdrawn {
            pcid: self.controls.pcid(),
            first: table.first.page(),
            // A table covers 512 times what one of its entries does.
            pages: table.level.span() / 8,
            frame: table.at.frame(),
            rights: table.rights,
            global: false,
            key: 0,
            kind: WithdrawnKind::Table(table.level),
        });
    }

    /// A leaf that was granted, unless the tables still grant it.
    pub(super) fn leaf(&mut self, after: &impl TableMemory, first: VirtAddr, reach: &Reach) {
        let now = lookup(after, &self.controls, first);
        if !now.is_some_and(|now| still_grants(&self.controls, reach, &now)) {
            self.push_leaf(first, reach);
        }
    }

    /// A way to a table that was granted, and everything below it that no longer is.
    pub(super) fn below(
        &mut self,
        before: &impl TableMemory,
        after: &impl TableMemory,
        table: &TableUse,
    ) {
        let controls = self.controls;
        self.table(table);
        let extent = leaves(before, &controls, table, READS_MAX, &mut |found| {
            match found {
                Found::Table(table) => self.table(&table),
                Found::Leaf { first, reach } => self.leaf(after, first, &reach),
            }
            Next::Into
        });
        self.cut |= extent == Extent::Cut;
    }
}

/// Shadow-stack pages are such only with CR4.CET.
fn rights_that_count(controls: &Controls, rights: Rights) -> Rights {
    if controls.flags.has(ControlFlags::CET) {
        rights
    } else {
        Rights::from_bits(rights.bits() & !Rights::SHADOW_STACK.bits())
    }
}

/// Whether `now` permits all that `was` did, for as long. Sizes must be alike: the large translation
/// may be remembered as such after the tables were split. A global translation outlives one that is
/// not, but not everywhere: with CR4.PCIDE, which may be set later, INVLPG under another identifier
/// drops it and leaves the one that is not global.
pub(super) fn still_grants(controls: &Controls, was: &Reach, now: &Reach) -> bool {
    let keys_count = controls.flags.has(ControlFlags::PKE) || controls.flags.has(ControlFlags::PKS);
    now.page == was.page
        && now.size == was.size
        && now.rights.has(rights_that_count(controls, was.rights))
        && (now.leaf.key() == was.leaf.key() || !keys_count)
        && now.is_global(controls) == was.is_global(controls)
}
