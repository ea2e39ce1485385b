//! Simpler forms of the calls of a case.

use super::{Case, generate};
use crate::base::{FRAME_BYTES, PhysAddr};
use crate::conformance::fault::Fault;
use crate::conformance::memory::Memory;
use crate::conformance::operation::{Call, Disturbance};
use crate::conformance::rights::Rights;
use crate::machine::paging::PageSize;
use crate::minimise::towards;

/// Calls of a case, and occasions of its fault, up to which both are made less together: what uses up occasions and
/// no more can then be left out.
const TOGETHER_CALLS_MAX: usize = 8;
const TOGETHER_OCCASIONS_MAX: u32 = 16;

/// Without a call or with a simpler one, where the fault strikes at an earlier occasion too.
pub(super) fn with_an_earlier_fault(case: &Case) -> Vec<Case> {
    let fault = case.fault.filter(|fault| fault.nth <= TOGETHER_OCCASIONS_MAX);
    let Some(fault) = fault.filter(|_| case.calls.len() <= TOGETHER_CALLS_MAX) else {
        return Vec::new();
    };
    let mut forms = Vec::new();
    for (index, call) in case.calls.iter().enumerate() {
        let earlier = (1..fault.nth).map(|nth| Some(Fault { nth, ..fault }));
        forms.extend(earlier.clone().map(|fault| {
            let mut form = Case { fault, ..case.clone() };
            form.calls.remove(index);
            form
        }));
        // The simplest of each, since there are many.
        for simpler in simpler_calls(call).into_iter().take(2) {
            forms.extend(earlier.clone().map(|fault| {
                let mut form = Case { fault, ..case.clone() };
                form.calls.iter_mut().skip(index).take(1).for_each(|call| *call = simpler);
                form
            }));
        }
    }
    forms
}

/// With smaller pages: all calls about one at the same place change together.
pub(super) fn with_smaller_pages(case: &Case) -> Vec<Case> {
    let of = |call: &Call| match *call {
        Call::Map { page, size, .. }
        | Call::Unmap { page, size }
        | Call::Protect { page, size, .. } => Some((page, size)),
        _ => None,
    };
    let mut places: Vec<_> = case.calls.iter().filter_map(of).collect();
    places.dedup();
    let mut forms = Vec::new();
    for place in places {
        for smaller in [PageSize::Kib4, PageSize::Mib2] {
            if smaller.bytes() >= place.1.bytes() {
                continue;
            }
            let mut form = case.clone();
            for call in form.calls.iter_mut().filter(|call| of(call) == Some(place)) {
                if let Call::Map { size, .. }
                | Call::Unmap { size, .. }
                | Call::Protect { size, .. } = call
                {
                    *size = smaller;
                }
            }
            forms.push(form);
        }
    }
    forms
}

/// The order in which parameters count as simple: an address near the edge it was drawn from stays as it is (it may be
/// the point), so that only lengths, rights, targets and bits are simplified. A range loses pages at either end; those
/// that are left lead where they led.
pub(super) fn simpler_calls(call: &Call) -> Vec<Call> {
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
            if let Some(size) = alone(first.0 | to.raw(), bytes) {
                forms.push(Call::Map { page: first, to, size, rights });
            }
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
            if let Some(size) = alone(first.0, bytes) {
                forms.push(Call::Unmap { page: first, size });
            }
            forms.extend(shorter(bytes).map(|(without, bytes)| {
                let first = first.plus(without);
                Call::UnmapRange { first, bytes }
            }));
        }
        Call::ProtectRange { first, bytes, rights } => {
            if let Some(size) = alone(first.0, bytes) {
                forms.push(Call::Protect { page: first, size, rights });
            }
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

/// The size of the page that a range at these addresses is all of.
fn alone(addresses: u64, bytes: u64) -> Option<PageSize> {
    let sizes = [PageSize::Kib4, PageSize::Mib2, PageSize::Gib1];
    sizes.into_iter().find(|size| size.bytes() == bytes && addresses.is_multiple_of(bytes))
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
        PageSize::Kib4 => Memory::data_frame(0),
        PageSize::Mib2 | PageSize::Gib1 => PhysAddr::truncated(generate::ELSEWHERE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::VirtAddr;
    use crate::conformance::fault::FaultKind;
    use crate::minimise::{Budget, Extent, minimise};

    fn minimal(case: Case, fails: impl Fn(&Case) -> bool) -> Case {
        let minimal = minimise(case, Budget { trials_max: 600 }, |case| fails(case).then_some(()));
        let minimal = minimal.expect("it fails");
        assert_eq!(minimal.extent, Extent::OneMinimal);
        minimal.value
    }

    fn protect(page: u64) -> Call {
        let rights = Rights::WRITE;
        Call::Protect { page: VirtAddr(page), size: PageSize::Kib4, rights }
    }

    #[test]
    fn calls_that_only_use_up_occasions_are_left_out_with_them() {
        let calls: Vec<Call> = (0..4).map(|page| protect(0x1000 * page)).collect();
        let fault = Some(Fault { kind: FaultKind::HardwareWalk, nth: 4 });

        // The fault strikes the last call.
        let minimal = minimal(Case { calls, fault }, |case| {
            let is_last = |fault: Fault| fault.nth as usize == case.calls.len();
            case.calls.last() == Some(&protect(0x3000)) && case.fault.is_some_and(is_last)
        });

        assert_eq!(minimal.calls, [protect(0x3000)]);
        assert_eq!(minimal.fault, Some(Fault { kind: FaultKind::HardwareWalk, nth: 1 }));
    }

    #[test]
    fn a_page_that_need_not_be_large_becomes_a_small_one_in_all_its_calls() {
        let (page, rights) = (VirtAddr(0), Rights::WRITE.and(Rights::USER));
        let large = |size| {
            let to = simplest_target(size);
            vec![Call::Map { page, to, size, rights }, Call::Unmap { page, size }]
        };
        let is_both = |case: &Case| match case.calls.as_slice() {
            [Call::Map { size, .. }, Call::Unmap { size: other, .. }] => size == other,
            _ => false,
        };

        let case = Case { calls: large(PageSize::Gib1), fault: None };

        assert_eq!(minimal(case, is_both).calls, large(PageSize::Kib4));
    }

    #[test]
    fn a_range_of_one_page_becomes_that_page() {
        let range = Call::UnmapRange { first: VirtAddr(0x4000), bytes: 3 * FRAME_BYTES };
        let case = Case { calls: vec![range], fault: None };

        let minimal = minimal(case, |case| {
            case.calls.iter().any(|call| call.region().holds(VirtAddr(0x6000).page()))
        });

        let size = PageSize::Kib4;
        assert_eq!(minimal.calls, [Call::Unmap { page: VirtAddr(0x6000), size }]);
    }
}
