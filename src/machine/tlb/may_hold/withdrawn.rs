//! One translation, or way to a table, that the tables no longer grant.

use crate::base::{Frame, Page, TraceHash};
use crate::machine::paging::PageSize;
use crate::machine::paging::x86_64::{Level, Rights};

/// What was withdrawn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum WithdrawnKind {
    /// Leaves of this size: consecutive pages to consecutive frames.
    Leaf(PageSize),
    /// The way to a table read at this level. A processor that remembers it translates by whatever
    /// is in the table's frame by then (Intel SDM volume 3A, "Paging-Structure Caches").
    Table(Level),
}

/// Something a processor may still use although the tables no longer say so.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Withdrawn {
    /// The process-context identifier it is tagged with.
    pub pcid: u64,
    /// The first page it translates.
    pub first: Page,
    /// How many pages it translates.
    pub pages: u64,
    /// The first frame it leads to, or the table's frame.
    pub frame: Frame,
    /// What it permits.
    pub rights: Rights,
    /// Whether it is good for every identifier and outlives a load of CR3.
    pub global: bool,
    /// The protection key; 0 for a table.
    pub key: u8,
    /// Page or table.
    pub kind: WithdrawnKind,
}

impl Withdrawn {
    /// Whether it leads to `frame`: a page of it, or the table itself.
    #[must_use]
    pub const fn leads_to(&self, frame: Frame) -> bool {
        let frames = match self.kind {
            WithdrawnKind::Leaf(_) => self.pages,
            WithdrawnKind::Table(_) => 1,
        };
        frame.0.wrapping_sub(self.frame.0) < frames
    }

    /// Whether it translates `page`.
    #[must_use]
    pub const fn translates(&self, page: Page) -> bool {
        page.0.wrapping_sub(self.first.0) < self.pages
    }

    /// Takes in `next` if it goes on where this ends.
    pub(super) fn extend(&mut self, next: &Self) -> bool {
        let WithdrawnKind::Leaf(_) = self.kind else { return false };
        let goes_on = Self {
            first: Page(self.first.0.wrapping_add(self.pages)),
            frame: Frame(self.frame.0.wrapping_add(self.pages)),
            pages: next.pages,
            ..*self
        };
        let extends = goes_on == *next;
        if extends {
            self.pages += next.pages;
        }
        extends
    }

    /// What is left in front of and behind the leaf that holds `page`.
    pub(super) fn without(&self, page: Page, size: PageSize) -> [Option<Self>; 2] {
        let before = page.0.wrapping_sub(self.first.0) / size.frames() * size.frames();
        let after = before + size.frames();
        let part = |skipped: u64, pages: u64| {
            let first = Page(self.first.0.wrapping_add(skipped));
            let frame = Frame(self.frame.0.wrapping_add(skipped));
            (pages > 0).then_some(Self { first, frame, pages, ..*self })
        };
        [part(0, before), part(after, self.pages.saturating_sub(after))]
    }

    pub(super) fn absorb(&self, hash: &mut TraceHash) {
        let kind = match self.kind {
            WithdrawnKind::Leaf(size) => size as u64,
            WithdrawnKind::Table(level) => 16 + level as u64,
        };
        let small = kind
            | u64::from(self.rights.bits()) << 8
            | u64::from(self.global) << 16
            | u64::from(self.key) << 24;
        hash.absorb(self.first.0, self.pages);
        hash.absorb(self.frame.0, self.pcid << 32 | small);
    }
}
