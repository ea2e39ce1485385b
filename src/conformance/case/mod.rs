//! What is tried: calls, and at most one fault.

mod generate;

use super::fault::Fault;
use super::format::Format;
use super::operation::{Call, Disturbance};
use super::rights::Rights;
use super::subject::{Capabilities, Capability};
use crate::base::{FRAME_BYTES, PhysAddr, VirtAddr};
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
            simpler_calls(call).into_iter().map(move |call| {
                let mut form = self.clone();
                if let Some(slot) = form.calls.get_mut(index) {
                    *slot = call;
                }
                form
            })
        });
        without.into_iter().chain(earlier).chain(calls).chain(self.fewer_to_choose_from())
    }
}

impl Case {
    /// Whether its ranges are made of pages that such code knows.
    pub(crate) fn is_of_pages(&self, capabilities: Capabilities) -> bool {
        let has = |capability| capabilities.has(capability);
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

/// The order in which parameters count as simple: an address near the edge it was drawn from stays as it is (it may be
/// the point), so that only lengths, rights, targets and bits are simplified. A range loses pages at either end; those
/// that are left lead where they led.
fn simpler_calls(call: &Call) -> Vec<Call> {
    let mut forms = Vec::new();
    let plain = Rights::WRITE.and(Rights::USER);
    match *call {
        Call::Map { page, to, size, rights } => {
            if rights != plain {
                forms.push(Call::Map { page, to, size, rights: plain });
            }
            let target = simplest_target(size);
            if to != target {
                forms.push(Call::Map { page, to: target, size, rights });
            }
        }
        Call::MapRange { first, to, bytes, rights } => {
            forms.extend(shorter(bytes).map(|(without, bytes)| {
                let (first, to) = (first.plus(without), to.plus(without));
                Call::MapRange { first, to, bytes, rights }
            }));
            if rights != plain {
                forms.push(Call::MapRange { first, to, bytes, rights: plain });
            }
            // Of wide addresses the low bits stay: they say which pages are large.
            let low = generate::ELSEWHERE + to.raw() % generate::ELSEWHERE;
            if to.raw() >= 2 * generate::ELSEWHERE {
                let to = PhysAddr::truncated(low);
                forms.push(Call::MapRange { first, to, bytes, rights });
            }
        }
        Call::UnmapRange { first, bytes } => {
            forms.extend(shorter(bytes).map(|(without, bytes)| {
                let first = first.plus(without);
                Call::UnmapRange { first, bytes }
            }));
        }
        Call::ProtectRange { first, bytes, rights } => {
            forms.extend(shorter(bytes).map(|(without, bytes)| {
                let first = first.plus(without);
                Call::ProtectRange { first, bytes, rights }
            }));
        }
        Call::Disturb { which, how } => {
            forms.extend(
                towards(which, 0).into_iter().take(4).map(|which| Call::Disturb { which, how }),
            );
            let single = |bits: u64| (0..64).map(|bit| 1 << bit).filter(move |bit| bits & bit != 0);
            let many = |bits: u64| bits.count_ones() > 1;
            match how {
                Disturbance::Decorate(bits) if many(bits) => forms.extend(
                    single(bits)
                        .map(|bit| Call::Disturb { which, how: Disturbance::Decorate(bit) }),
                ),
                Disturbance::Flip(bits) if many(bits) => forms.extend(
                    single(bits).map(|bit| Call::Disturb { which, how: Disturbance::Flip(bit) }),
                ),
                _ => {}
            }
        }
        Call::Unmap { .. } | Call::Protect { .. } | Call::Query { .. } | Call::CleanUp => {}
    }
    forms
}

/// What is left out at the start of a range, and what remains of it: it loses its end, then its start.
fn shorter(bytes: u64) -> impl Iterator<Item = (u64, u64)> {
    fewer(bytes).map(|rest| (0, rest)).chain(fewer(bytes).map(move |rest| (bytes - rest, rest)))
}

fn fewer(bytes: u64) -> impl Iterator<Item = u64> {
    let large = PageSize::Mib2.bytes();
    let is_large = bytes.is_multiple_of(large) && bytes > large;
    let in_large = is_large.then(|| towards(bytes / large, 1)).into_iter().flatten();
    let in_small = towards(bytes / FRAME_BYTES, 1).into_iter();
    in_large.map(move |pages| pages * large).chain(in_small.map(|pages| pages * FRAME_BYTES))
}

/// Where a page of this size leads in the simplest case.
fn simplest_target(size: PageSize) -> PhysAddr {
    match size {
        PageSize::Kib4 => super::memory::Memory::data_frame(0),
        PageSize::Mib2 | PageSize::Gib1 => PhysAddr::truncated(generate::ELSEWHERE),
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
