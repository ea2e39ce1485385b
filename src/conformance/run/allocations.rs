//! At which allocation one is to fail.
//!
//! Most allocations of a case are those of its first pages, and code that maps is right about them. A call that needs a
//! frame once in many cases, to split a large page, is struck as often as one that maps: the kind of call is chosen
//! first, then the call, then one of its allocations.

use core::ops::Range;
use std::collections::BTreeSet;

use super::Setting;
use crate::conformance::case::Case;
use crate::conformance::draw::Draw;
use crate::conformance::subject::Capabilities;

/// Allocations that one call asks for.
pub(crate) struct Allocations {
    /// The name of the call.
    pub(crate) call: &'static str,
    /// Their numbers, counted from 1 over the whole case.
    pub(crate) numbers: Range<u32>,
}

impl Setting<'_, '_> {
    /// Runs a case as if nothing went wrong around it: which allocations do its calls ask for? What was found before
    /// has no influence, so that a seed alone is the same case.
    pub(crate) fn allocations(&self, case: &Case, capabilities: Capabilities) -> Vec<Allocations> {
        let plain = Case { fault: None, ..case.clone() };
        self.run_once(&plain, capabilities).allocations
    }
}

/// One of these allocations; `None` when there is none.
pub(crate) fn occasion(draw: &mut Draw<'_>, allocations: &[Allocations]) -> Option<u32> {
    let kinds: BTreeSet<&str> = allocations.iter().map(|of_call| of_call.call).collect();
    let kinds: Vec<&str> = kinds.into_iter().collect();
    let kind = draw.pick(&kinds)?;
    let calls: Vec<_> = allocations.iter().filter(|of_call| of_call.call == kind).collect();
    let numbers = &draw.pick(&calls)?.numbers;
    let count = u64::from(numbers.end - numbers.start);
    Some(numbers.start + u32::try_from(draw.below(count)).unwrap_or(0))
}
