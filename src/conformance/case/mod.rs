//! What is tried: calls, and at most one fault.

mod generate;
mod simpler;

use super::fault::Fault;
use super::format::Format;
use super::operation::Call;
use super::subject::{Capabilities, Capability};
use crate::base::VirtAddr;
use crate::machine::paging::PageSize;
use crate::minimise::{Shrink, towards};

pub(crate) use generate::generate;

/// The places near which an implementation with these capabilities is asked for pages.
pub(crate) fn edges(
    format: &'static dyn Format,
    capabilities: Capabilities,
) -> impl Iterator<Item = u64> {
    // A root that translates one half only is made for that half.
    let is_upper = |edge: &u64| edge >> 63 == 1;
    let is_reached = capabilities.has(Capability::UpperHalf) || format.edges().iter().all(is_upper);
    format.edges().iter().copied().filter(move |edge| is_reached || !is_upper(edge))
}

/// One sequence of calls on a fresh instance, ended by its drop.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Case {
    /// The calls, in order.
    pub calls: Vec<Call>,
    /// What goes wrong around them.
    pub fault: Option<Fault>,
}

impl Shrink for Case {
    fn lengths(&self) -> Vec<usize> {
        vec![self.calls.len()]
    }

    fn keeping(&self, _: usize, kept: &[usize]) -> Self {
        let calls = kept.iter().filter_map(|&index| self.calls.get(index).copied()).collect();
        Self { calls, fault: self.fault }
    }

    fn simpler(&self) -> impl Iterator<Item = Self> {
        let without = self.fault.map(|_| Self { fault: None, ..self.clone() });
        let earlier = self.fault.into_iter().flat_map(move |fault| {
            towards(u64::from(fault.nth), 1).into_iter().map(move |nth| {
                let nth = u32::try_from(nth).unwrap_or(1);
                Self { fault: Some(Fault { nth, ..fault }), ..self.clone() }
            })
        });
        let calls = self.calls.iter().enumerate().flat_map(move |(index, call)| {
            simpler::simpler_calls(call).into_iter().map(move |call| {
                let mut form = self.clone();
                if let Some(slot) = form.calls.get_mut(index) {
                    *slot = call;
                }
                form
            })
        });
        let together = simpler::with_an_earlier_fault(self);
        let forms = without.into_iter().chain(earlier).chain(calls);
        forms
            .chain(simpler::with_smaller_pages(self))
            .chain(self.fewer_to_choose_from())
            .chain(together)
    }
}

impl Case {
    /// Whether its ranges are made of pages that such code knows, and its pages are such.
    pub(crate) fn is_of_pages(&self, capabilities: Capabilities) -> bool {
        let has = |capability| capabilities.has(capability);
        let knows = |size| match size {
            PageSize::Kib4 => has(Capability::Pages4K),
            PageSize::Mib2 => has(Capability::Pages2M),
            PageSize::Gib1 => has(Capability::Pages1G),
        };
        let sizes = [PageSize::Kib4, PageSize::Mib2, PageSize::Gib1];
        let is_known = |call: &Call| match *call {
            Call::Map { size, .. } | Call::Unmap { size, .. } | Call::Protect { size, .. } => {
                knows(size)
            }
            _ => true,
        };
        let is_any = sizes.into_iter().any(knows);
        // A page of a size that is not known may be asked for, and not made of one that is.
        let is_small = |call: &Call| call.region().pages == 1;
        if is_any
            && !has(Capability::Pages4K)
            && self.calls.iter().any(|call| !is_known(call) && is_small(call))
        {
            return false;
        }
        let least = match (has(Capability::Pages4K), has(Capability::Pages2M)) {
            (false, true) => PageSize::Mib2.frames(),
            (false, false) if has(Capability::Pages1G) => PageSize::Gib1.frames(),
            _ => return true,
        };
        self.calls.iter().map(Call::region).all(|region| {
            region.first.0.is_multiple_of(least) && region.pages.is_multiple_of(least)
        })
    }

    /// Without one of the pages among which a disturbance chose: the number that it chose by has to change too.
    fn fewer_to_choose_from(&self) -> impl Iterator<Item = Self> {
        let disturbances = self.calls.iter().enumerate().filter_map(|(index, call)| match *call {
            Call::Disturb { how, .. } => Some((index, how)),
            _ => None,
        });
        disturbances.flat_map(move |(index, how)| {
            let maps = (0..index).filter(|before| {
                let call = self.calls.get(*before);
                matches!(call, Some(Call::Map { .. } | Call::MapRange { .. }))
            });
            maps.flat_map(move |map| {
                (0..4).map(move |number| {
                    let mut form = self.clone();
                    if let Some(call) = form.calls.get_mut(index) {
                        *call = Call::Disturb { which: 2 * number, how };
                    }
                    form.calls.remove(map);
                    form
                })
            })
        })
    }
}

/// The last byte of a region, for questions about its edges.
pub(crate) fn edge_addresses(first: VirtAddr, bytes: u64) -> [VirtAddr; 4] {
    [
        first.plus(u64::MAX),
        VirtAddr(first.0 | 0x123),
        first.plus(bytes.wrapping_sub(1)),
        first.plus(bytes),
    ]
}
