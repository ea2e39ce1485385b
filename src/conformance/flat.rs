//! A flat map of pages: the reference that tables are compared with.

use std::collections::BTreeMap;

use super::rights::Rights;
use super::tables::{Change, Leaf};
use crate::base::{Frame, Page};

/// Consecutive pages that lead to consecutive frames with the same rights.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Span {
    pages: u64,
    frame: u64,
    rights: Rights,
}

/// Where one page leads.
pub(crate) type Place = (Frame, Rights);

/// Which page leads where, without tables, levels and sizes.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Flat(BTreeMap<u64, Span>);

impl Flat {
    pub(crate) fn of(leaves: &[Leaf]) -> Self {
        let mut flat = Self::default();
        for leaf in leaves {
            flat.insert(leaf.first.page(), leaf.size.frames(), leaf.page.frame(), leaf.rights);
        }
        flat
    }

    /// Takes in that an entry changed: spans are as if all leaves had been read anew.
    pub(crate) fn take_in(&mut self, change: &Change) {
        for leaf in &change.before {
            self.remove(leaf.first.page(), leaf.size.frames());
        }
        for leaf in &change.after {
            self.insert(leaf.first.page(), leaf.size.frames(), leaf.page.frame(), leaf.rights);
        }
    }

    pub(crate) fn get(&self, page: Page) -> Option<Place> {
        let (first, span) = self.0.range(..=page.0).next_back()?;
        let distance = page.0 - first;
        (distance < span.pages).then(|| (Frame(span.frame + distance), span.rights))
    }

    /// The first page that leads to a frame.
    pub(crate) fn page_of(&self, frame: Frame) -> Option<Page> {
        self.0.iter().find_map(|(first, span)| {
            let distance = frame.0.checked_sub(span.frame)?;
            (distance < span.pages).then_some(Page(first + distance))
        })
    }

    /// Splits the span that crosses the border in front of `page`.
    fn cut(&mut self, page: u64) {
        let Some((&first, span)) = self.0.range_mut(..page).next_back() else { return };
        let before = page - first;
        if before < span.pages {
            let frame = span.frame + before;
            let rest = Span { pages: span.pages - before, frame, ..*span };
            span.pages = before;
            self.0.insert(page, rest);
        }
    }

    fn inside(&mut self, first: Page, pages: u64) -> Vec<u64> {
        let end = first.0.saturating_add(pages);
        self.cut(first.0);
        self.cut(end);
        self.0.range(first.0..end).map(|(&page, _)| page).collect()
    }

    pub(crate) fn remove(&mut self, first: Page, pages: u64) {
        for page in self.inside(first, pages) {
            self.0.remove(&page);
        }
    }

    pub(crate) fn insert(&mut self, first: Page, pages: u64, frame: Frame, rights: Rights) {
        self.remove(first, pages);
        let mut span = Span { pages, frame: frame.0, rights };
        let end = first.0.saturating_add(pages);
        if let Some(next) = self.0.get(&end).copied()
            && next.frame == frame.0 + pages
            && next.rights == rights
        {
            self.0.remove(&end);
            span.pages += next.pages;
        }
        if let Some((&before, last)) = self.0.range_mut(..first.0).next_back()
            && before + last.pages == first.0
            && last.frame + last.pages == frame.0
            && last.rights == rights
        {
            last.pages += span.pages;
            return;
        }
        self.0.insert(first.0, span);
    }

    /// Takes over what another map says of these pages.
    pub(crate) fn take_over(&mut self, other: &Self, first: Page, pages: u64) {
        let mut theirs = other.clone();
        let starts = theirs.inside(first, pages);
        self.remove(first, pages);
        for page in starts {
            if let Some(span) = theirs.0.get(&page) {
                self.insert(Page(page), span.pages, Frame(span.frame), span.rights);
            }
        }
    }

    pub(crate) fn protect(&mut self, first: Page, pages: u64, rights: Rights) {
        for page in self.inside(first, pages) {
            if let Some(span) = self.0.get_mut(&page) {
                span.rights = rights;
            }
        }
    }

    /// Whether any page of the range leads somewhere.
    pub(crate) fn is_any_mapped(&self, first: Page, pages: u64) -> bool {
        let end = first.0.saturating_add(pages);
        self.get(first).is_some() || self.0.range(first.0..end).next().is_some()
    }

    /// Whether every page of the range leads somewhere.
    pub(crate) fn is_all_mapped(&self, first: Page, pages: u64) -> bool {
        let end = first.0.saturating_add(pages);
        let mut page = first.0;
        while page < end {
            let Some((start, span)) = self.0.range(..=page).next_back() else { return false };
            if page - start >= span.pages {
                return false;
            }
            page = start + span.pages;
        }
        true
    }

    /// Pages at which a span begins or that follow its end: between two of them nothing changes.
    pub(crate) fn borders(&self) -> impl Iterator<Item = Page> + '_ {
        self.0.iter().flat_map(|(first, span)| [Page(*first), Page(first + span.pages)])
    }

    /// The first page that is not the same in both.
    pub(crate) fn difference(&self, other: &Self) -> Option<Page> {
        let mut borders: Vec<Page> = self.borders().chain(other.borders()).collect();
        borders.sort_unstable();
        borders.into_iter().find(|&page| self.get(page) != other.get(page))
    }

    pub(crate) fn fold(&self, mut each: impl FnMut(u64, u64)) {
        for (first, span) in &self.0 {
            each(*first, span.pages);
            each(span.frame, u64::from(span.rights.bits()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_cut_joined_and_compared_by_page() {
        let mut flat = Flat::default();
        flat.insert(Page(10), 4, Frame(100), Rights::WRITE);
        flat.insert(Page(14), 2, Frame(104), Rights::WRITE);
        assert_eq!(flat.0.len(), 1);
        let whole = flat.clone();

        flat.remove(Page(12), 1);

        assert_eq!(flat.get(Page(11)), Some((Frame(101), Rights::WRITE)));
        assert_eq!(flat.get(Page(12)), None);
        assert_eq!(flat.get(Page(13)), Some((Frame(103), Rights::WRITE)));
        assert_eq!(flat.difference(&whole), Some(Page(12)));
        assert!(flat.is_any_mapped(Page(12), 2) && !flat.is_all_mapped(Page(12), 2));
        flat.insert(Page(12), 1, Frame(102), Rights::WRITE);
        assert_eq!(flat.difference(&whole), None);
        flat.protect(Page(15), 1, Rights::READ);
        assert_eq!(flat.difference(&whole), Some(Page(15)));
        assert!(whole.is_all_mapped(Page(10), 6) && !whole.is_all_mapped(Page(10), 7));
    }

    #[test]
    fn pages_are_taken_over_with_what_lies_there_and_nothing_beside_them() {
        let mut mine = Flat::default();
        mine.insert(Page(10), 10, Frame(100), Rights::WRITE);
        let mut theirs = Flat::default();
        theirs.insert(Page(5), 8, Frame(200), Rights::READ);

        mine.take_over(&theirs, Page(11), 4);

        assert_eq!(mine.get(Page(10)), Some((Frame(100), Rights::WRITE)));
        assert_eq!(mine.get(Page(11)), Some((Frame(206), Rights::READ)));
        assert_eq!(mine.get(Page(12)), Some((Frame(207), Rights::READ)));
        assert_eq!(mine.get(Page(13)), None);
        assert_eq!(mine.get(Page(14)), None);
        assert_eq!(mine.get(Page(15)), Some((Frame(105), Rights::WRITE)));
        assert_eq!(mine.get(Page(9)), None);
    }
}
