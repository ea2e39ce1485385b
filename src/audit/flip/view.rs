//! One slot of address space, as an entry makes it.

use crate::base::PhysAddr;
use crate::machine::paging::x86_64::{Entry, EntryKind, Level, Reserved, Rights};

use crate::audit::image::Image;
use crate::audit::permits::{Accesses, Permits};
use crate::audit::space::Space;

/// What is in the slot of an entry. Two views that are equal permit the same, unless a table that
/// both name holds a flipped entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum View {
    /// No access is permitted.
    Nothing,
    /// A page, or the part of a larger one that falls into the slot.
    Page {
        /// The first frame.
        frame: u64,
        /// What is permitted whatever PKRU denies.
        accesses: Accesses,
        /// What of it is permitted with that register as it is.
        now: Accesses,
    },
    /// A table of the image.
    Table {
        /// Its place in the image.
        table: usize,
        /// What every entry above allows.
        rights: Rights,
    },
    /// A table that the image does not hold: anything may be below it, as far as these rights go.
    Unknown {
        /// Its frame.
        frame: u64,
        /// What every entry above allows.
        rights: Rights,
    },
}

/// An entry that is to be read as something else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Patch {
    pub(super) table: usize,
    pub(super) slot: usize,
    pub(super) entry: u64,
}

/// How entries are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decoder<'a> {
    pub(super) image: &'a Image,
    at_will: &'a Permits,
    now: &'a Permits,
    reserved: Reserved,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(space: &'a Space) -> Self {
        let Space { image, controls, permits, at_will, .. } = space;
        Self { image, at_will, now: permits, reserved: Reserved::new(controls) }
    }

    /// The kind of an entry.
    pub(super) fn kind(&self, entry: u64, level: Level) -> EntryKind {
        Entry(entry).kind(level, self.reserved)
    }

    /// What `entry` makes of its slot in a table of this level, below these rights.
    #[inline(always)]
    pub(super) fn view(&self, entry: u64, level: Level, rights: Rights) -> View {
        let entry = Entry(entry);
        match entry.kind(level, self.reserved) {
            EntryKind::NotPresent | EntryKind::Reserved => View::Nothing,
            EntryKind::Leaf(page, _) => {
                let (rights, key) = (rights.through_leaf(entry), entry.key());
                let accesses = self.at_will.of(rights, key);
                if accesses.is_empty() {
                    return View::Nothing;
                }
                let now = self.now.of(rights, key).among(accesses);
                View::Page { frame: page.frame().0, accesses, now }
            }
            EntryKind::Table(at) => {
                let rights = rights.through_table(entry);
                self.table(at, rights)
            }
        }
    }

    fn table(&self, at: PhysAddr, rights: Rights) -> View {
        match self.image.index_of(at.frame()) {
            Some(table) => View::Table { table, rights },
            None => View::Unknown { frame: at.frame().0, rights },
        }
    }

    /// What is in part `slot` of a view whose parts are entries, or as large as entries, of `level`.
    #[inline(always)]
    pub(super) fn part(
        &self,
        view: View,
        slot: usize,
        level: Level,
        patch: Option<&Patch>,
    ) -> View {
        match view {
            View::Nothing | View::Unknown { .. } => view,
            View::Page { frame, accesses, now } => {
                let frames = level.span() >> 12;
                View::Page { frame: frame + frames * slot as u64, accesses, now }
            }
            View::Table { table, rights } => {
                let patched = patch.filter(|patch| patch.table == table && patch.slot == slot);
                let entry = match patched {
                    Some(patch) => patch.entry,
                    None => self.image.table(table)[slot],
                };
                self.view(entry, level, rights)
            }
        }
    }
}
