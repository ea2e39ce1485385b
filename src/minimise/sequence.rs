//! One sequence of elements that know their own simpler forms.

use core::fmt;

use super::Shrink;

/// A plain list to minimise, for callers whose case is one list of operations.
#[derive(Clone)]
pub struct Sequence<T> {
    /// The elements, in order.
    pub items: Vec<T>,
    /// Simpler forms of one element, from the simplest on.
    pub simpler: fn(&T) -> Vec<T>,
}

impl<T: fmt::Debug> fmt::Debug for Sequence<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.items.fmt(f)
    }
}

impl<T: Clone> Shrink for Sequence<T> {
    fn lengths(&self) -> Vec<usize> {
        vec![self.items.len()]
    }

    fn keeping(&self, sequence: usize, kept: &[usize]) -> Self {
        assert_eq!(sequence, 0, "there is one sequence");
        let items = kept.iter().map(|&index| self.items[index].clone()).collect();
        Self { items, simpler: self.simpler }
    }

    fn simpler(&self) -> impl Iterator<Item = Self> {
        self.items.iter().enumerate().flat_map(move |(index, item)| {
            (self.simpler)(item).into_iter().map(move |form| {
                let mut items = self.items.clone();
                items[index] = form;
                Self { items, simpler: self.simpler }
            })
        })
    }
}
