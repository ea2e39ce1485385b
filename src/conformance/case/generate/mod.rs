//! Cases drawn at random, near the places where implementations go wrong.

mod ranges;
mod tail;

use self::ranges::Purpose;
use super::Case;
use crate::base::{FRAME_BYTES, PhysAddr, VirtAddr};
use crate::conformance::draw::Draw;
use crate::conformance::fault::{Fault, FaultKind};
use crate::conformance::format::{Format, index};
use crate::conformance::memory::Memory;
use crate::conformance::operation::{Call, Disturbance, Region};
use crate::conformance::rights::Rights;
use crate::conformance::subject::{Capabilities, Capability};
use crate::machine::paging::PageSize;

/// Physical addresses without memory: what is mapped there must not be touched.
pub(super) const ELSEWHERE: u64 = 0x20_0000_0000;

/// Calls in a case at most. Most bugs need fewer than five; the rest of the room is for coming about.
const CALLS_MAX: u64 = 28;

/// Distances in pages from an edge: its neighbours, and those of the next tables.
const DISTANCES: [u64; 10] = [0, 1, 2, 3, 4, 7, 510, 511, 512, 513];

/// The kinds of calls that a case is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Map,
    Unmap,
    Protect,
    Query,
    MapRange,
    UnmapRange,
    ProtectRange,
    CleanUp,
    Mark,
    Decorate,
    Hide,
    Flip,
}

struct Generator<'a, 'b> {
    draw: &'a mut Draw<'b>,
    format: &'static dyn Format,
    reserved: &'a [u64],
    /// Bits that a physical address may have, in this format or not.
    bits: u32,
    sizes: Vec<PageSize>,
    edges: Vec<u64>,
    /// What was asked to be mapped: later calls aim there.
    mapped: Vec<(VirtAddr, PageSize)>,
    /// A call may be made within the one before it, and many lie beside that one: two that need the same
    /// table.
    is_nested: bool,
    /// An allocation fails: calls are such that need a frame for another reason than a page to be mapped.
    is_short: bool,
    last: Option<Region>,
    /// Ranges that were asked to be mapped: later ones are often the same, and so complete.
    ranges: Vec<(VirtAddr, u64)>,
}

/// Draws a case for an implementation with these capabilities that keeps these entries of its root for
/// itself, where a physical address has so many bits at most.
pub(crate) fn generate(
    draw: &mut Draw<'_>,
    format: &'static dyn Format,
    capabilities: Capabilities,
    reserved: &[u64],
    bits: u32,
) -> Case {
    let has = |capability| capabilities.has(capability);
    let is_free = |edge: &u64| !reserved.contains(&index(format, format.levels(), VirtAddr(*edge)));
    let mut edges: Vec<u64> = super::edges(format, capabilities).filter(is_free).collect();
    // Two or three places a case: calls must meet.
    while edges.len() > 3 {
        let index = usize::try_from(draw.below(edges.len() as u64)).unwrap_or(0);
        edges.remove(index);
    }
    let mut sizes = Vec::new();
    // Somebody who declares no size at all is told what they refuse.
    if has(Capability::Pages4K) || !(has(Capability::Pages2M) || has(Capability::Pages1G)) {
        sizes.push(PageSize::Kib4);
    }
    if has(Capability::Pages2M) {
        sizes.push(PageSize::Mib2);
    }
    if has(Capability::Pages1G) {
        sizes.push(PageSize::Gib1);
    }
    let mut kinds = kinds(draw, capabilities);
    let fault = fault(draw, capabilities);
    let is_of = |kind| fault.is_some_and(|fault| fault.kind == kind);
    let is_nested = is_of(FaultKind::AllocatorCallsBack);
    let is_short = is_of(FaultKind::AllocationFails) && has(Capability::Ranges) && sizes.len() > 1;
    if is_short {
        let protects = has(Capability::Protect).then_some(Kind::ProtectRange);
        kinds.extend([Kind::UnmapRange, Kind::UnmapRange].into_iter().chain(protects));
    }
    let (mapped, ranges, last) = (Vec::new(), Vec::new(), None);
    let mut generator = Generator {
        draw,
        format,
        reserved,
        bits,
        sizes,
        edges,
        mapped,
        is_nested,
        is_short,
        last,
        ranges,
    };
    let mut calls = Vec::new();
    let mut repeated = None;
    let length = 4 + generator.draw.below(CALLS_MAX - 3);
    while (calls.len() as u64) < length && !generator.draw.is_spent() {
        // Two of a kind beside each other are most likely to need the same table.
        let again = repeated.filter(|_| generator.last.is_some() && generator.draw.one_in(2));
        let Some(kind) = again.or_else(|| generator.draw.pick(&kinds)) else { break };
        repeated = Some(kind).filter(|_| is_nested);
        let call = generator.call(kind);
        generator.last = Some(call.region()).filter(|region| is_nested && region.pages > 0);
        calls.push(call);
    }
    // A fault strikes one of the calls so far, and is chosen by how often they give it occasion.
    if fault.is_none() {
        calls.extend(generator.tail(&calls, capabilities));
        calls.extend(generator.there_and_back(&calls, capabilities));
        calls.extend(generator.damaged_above(&calls, capabilities));
    }
    if is_short {
        calls.extend(generator.split_in_the_end(&calls, capabilities));
    }
    Case { calls, fault }
}

/// Which kinds take part: never all of them, so that rare ones meet often.
fn kinds(draw: &mut Draw<'_>, capabilities: Capabilities) -> Vec<Kind> {
    let has = |capability| capabilities.has(capability);
    let mut kinds = vec![Kind::Map, Kind::Map, Kind::Map, Kind::Unmap, Kind::Unmap];
    let mut sometimes = |draw: &mut Draw<'_>, is_able: bool, kind: &[Kind]| {
        if is_able && !draw.one_in(3) {
            kinds.extend(kind);
        }
    };
    let (ranges, protects) = (has(Capability::Ranges), has(Capability::Protect));
    sometimes(draw, protects, &[Kind::Protect, Kind::Protect]);
    sometimes(draw, has(Capability::Query), &[Kind::Query]);
    sometimes(draw, ranges, &[Kind::MapRange, Kind::UnmapRange]);
    sometimes(draw, ranges && protects, &[Kind::ProtectRange]);
    sometimes(draw, has(Capability::CleanUp), &[Kind::CleanUp]);
    let is_foreign = has(Capability::ForeignEntries);
    sometimes(draw, is_foreign || has(Capability::HardwareMarks), &[Kind::Mark]);
    let is_hidden = has(Capability::HiddenEntries);
    if (is_foreign || is_hidden) && draw.one_in(2) {
        let decorates = if is_foreign { [Kind::Decorate; 2].as_slice() } else { &[] };
        kinds.extend(decorates);
        kinds.extend(is_hidden.then_some(Kind::Hide));
    }
    if has(Capability::AlteredTables) && draw.one_in(4) {
        kinds.extend([Kind::Flip; 3]);
    }
    kinds
}

fn fault(draw: &mut Draw<'_>, capabilities: Capabilities) -> Option<Fault> {
    let kind = if draw.one_in(3) {
        let needs = |kind| match kind {
            FaultKind::AllocationFails => Some(Capability::AllocationFailure),
            FaultKind::HardwareWalk => Some(Capability::HardwareMarks),
            FaultKind::Abandoned => Some(Capability::Abandonment),
            FaultKind::LostInvalidation => Some(Capability::Invalidates),
            FaultKind::AllocatorCallsBack => None,
        };
        let is_able = |kind: &FaultKind| needs(*kind).is_some_and(|need| capabilities.has(need));
        let kinds: Vec<FaultKind> = FaultKind::ALL.into_iter().filter(is_able).collect();
        draw.pick(&kinds)?
    } else if capabilities.has(Capability::Reentry) && draw.one_in(5) {
        // Drawn by itself: code that can't be entered twice is tried as it would be without this kind.
        FaultKind::AllocatorCallsBack
    } else {
        return None;
    };
    let occasions = match kind {
        FaultKind::AllocationFails | FaultKind::LostInvalidation => 12,
        FaultKind::HardwareWalk => 6,
        FaultKind::Abandoned => 40,
        FaultKind::AllocatorCallsBack => 4,
    };
    let nth = 1 + u32::try_from(draw.below(occasions)).unwrap_or(0);
    Some(Fault { kind, nth })
}

impl Generator<'_, '_> {
    fn call(&mut self, kind: Kind) -> Call {
        match kind {
            Kind::Map => {
                let size = self.size();
                let page = self.place(size);
                let (to, rights) = (self.target(size), self.rights());
                self.mapped.push((page, size));
                Call::Map { page, to, size, rights }
            }
            Kind::Unmap => {
                let (page, size) = self.aim();
                Call::Unmap { page, size }
            }
            Kind::Protect => {
                let (page, size) = self.aim();
                Call::Protect { page, size, rights: self.rights() }
            }
            Kind::Query => {
                let (page, size) = self.aim();
                Call::Query { virt: page.plus(self.draw.below(size.bytes())) }
            }
            Kind::MapRange => {
                let (first, bytes) = self.range(Purpose::Map);
                let size = self.smallest();
                let to = if bytes <= 16 * FRAME_BYTES && !self.draw.one_in(3) {
                    Memory::data_frame(0)
                } else {
                    let is_of_large = bytes >= 2 * PageSize::Mib2.bytes();
                    let is_skewed = !is_of_large && self.draw.one_in(3);
                    let skew = if is_skewed { size.bytes() } else { 0 };
                    PhysAddr::truncated(ELSEWHERE + skew + first.0 % PageSize::Mib2.bytes())
                };
                for page in 0..(bytes / size.bytes()).min(4) {
                    self.mapped.push((first.plus(page * size.bytes()), size));
                }
                let large = PageSize::Mib2.bytes();
                if let Some(whole) = first.0.checked_next_multiple_of(large)
                    && size == PageSize::Kib4
                    && bytes >= whole - first.0 + large
                    && self.sizes.contains(&PageSize::Mib2)
                {
                    self.mapped.push((VirtAddr(whole), PageSize::Mib2));
                }
                self.ranges.push((first, bytes));
                Call::MapRange { first, to, bytes, rights: self.rights() }
            }
            Kind::UnmapRange => {
                let (first, bytes) = self.range(Purpose::Change);
                Call::UnmapRange { first, bytes }
            }
            Kind::ProtectRange => {
                let (first, bytes) = self.range(Purpose::Change);
                Call::ProtectRange { first, bytes, rights: self.rights() }
            }
            Kind::CleanUp => Call::CleanUp,
            Kind::Mark => self.disturb(Disturbance::Mark),
            Kind::Hide => self.disturb(Disturbance::Hide),
            Kind::Decorate => {
                let bits = self.draw.below(u64::MAX) | 1 << self.draw.below(64);
                self.disturb(Disturbance::Decorate(bits))
            }
            Kind::Flip => {
                // The bit that makes an entry translate, and those that say what kind of entry it is.
                let bits = match self.draw.below(8) {
                    0 => self.format.valid_bit(),
                    1..=3 => 1 << self.draw.below(13),
                    4..=5 => 1 << (52 + self.draw.below(12)),
                    _ => 1 << self.draw.below(64),
                };
                self.disturb(Disturbance::Flip(bits))
            }
        }
    }

    fn disturb(&mut self, how: Disturbance) -> Call {
        Call::Disturb { which: self.draw.below(1 << 16), how }
    }

    fn size(&mut self) -> PageSize {
        if self.draw.one_in(if self.is_short { 2 } else { 3 }) {
            self.draw.pick(&self.sizes).unwrap_or_default()
        } else {
            self.smallest()
        }
    }

    /// What ranges are made of.
    fn smallest(&self) -> PageSize {
        self.sizes.first().copied().unwrap_or_default()
    }

    fn rights(&mut self) -> Rights {
        Rights::from_bits(u8::try_from(self.draw.below(8)).unwrap_or(0))
    }

    fn target(&mut self, size: PageSize) -> PhysAddr {
        let number = self.draw.below(16);
        match size {
            PageSize::Kib4 => Memory::data_frame(number),
            _ => PhysAddr::truncated(ELSEWHERE + number % 4 * size.bytes()),
        }
    }

    /// The page in front of or behind the call before, in a case in which that matters.
    fn beside(&mut self, size: PageSize) -> Option<VirtAddr> {
        let Region { first, pages } = self.last.filter(|_| self.is_nested)?;
        if self.draw.one_in(3) {
            return None;
        }
        let first = first.start().0;
        let beside = if self.draw.one_in(2) {
            first.wrapping_sub(size.bytes())
        } else {
            first.wrapping_add(pages * FRAME_BYTES)
        };
        let page = VirtAddr(beside & !(size.bytes() - 1));
        (self.is_translated(page) && page.is_system() == VirtAddr(first).is_system())
            .then_some(page)
    }

    /// A page near one of the case's places.
    fn place(&mut self, size: PageSize) -> VirtAddr {
        if let Some(page) = self.beside(size) {
            return page;
        }
        let edge = self.draw.pick(&self.edges).unwrap_or(0);
        let distance = self.draw.pick(&DISTANCES).unwrap_or(0);
        let distance = distance * if self.draw.one_in(4) { size.bytes() } else { FRAME_BYTES };
        let is_before = self.draw.one_in(4);
        let aligned = |virt: u64| virt & !(size.bytes() - 1);
        let after = VirtAddr(aligned(edge.wrapping_add(distance)));
        let before = VirtAddr(aligned(edge.wrapping_sub(distance)));
        let is_usable = |page: VirtAddr| {
            self.is_translated(page) && page.is_system() == VirtAddr(edge).is_system()
        };
        if is_usable(after) && !(is_before && is_usable(before)) {
            after
        } else if self.is_translated(before) {
            before
        } else {
            VirtAddr(aligned(edge))
        }
    }

    fn is_translated(&self, virt: VirtAddr) -> bool {
        let root = index(self.format, self.format.levels(), virt);
        self.format.first_of(1, virt, 0) == virt && !self.reserved.contains(&root)
    }

    /// Mostly a page that was asked for before.
    fn aim(&mut self) -> (VirtAddr, PageSize) {
        if self.is_nested && self.draw.one_in(2) {
            let size = self.size();
            return (self.place(size), size);
        }
        if !self.draw.one_in(4)
            && let Some((page, size)) = self.draw.pick(&self.mapped)
        {
            if self.draw.one_in(8) {
                let size = self.size();
                return (VirtAddr(page.0 & !(size.bytes() - 1)), size);
            }
            return (page, size);
        }
        let size = self.size();
        (self.place(size), size)
    }
}
