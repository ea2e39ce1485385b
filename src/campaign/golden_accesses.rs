//! What the golden run loads and stores in each step.
//!
//! Up to its first strike a run is the golden run. A struck step that stores what it stores there has
//! damaged nothing by it: the fault altered what the step does not use.

use core::ops::Range;

use crate::base::{Event, EventKind, Principal, Structure, Witness};

/// One access, without what was there before a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Access {
    ordinal: u64,
    phys: u64,
    content: u64,
    /// The word that each of a run now is.
    fill: u64,
    kind: EventKind,
    actor: Principal,
    structure: Structure,
    mask: u8,
    processor: u8,
}

impl Access {
    fn of(event: &Event, ordinal: u64) -> Self {
        let Event { kind, actor, structure, mask, processor, phys, value, .. } = *event;
        // Of a run, the mask says whether anything changed, which is about what was there before.
        let (content, fill, mask) = match kind {
            EventKind::StoreRun => (value, event.old, 0xff),
            _ => (value & bits_of(mask), 0, mask),
        };
        Self { ordinal, phys, content, fill, kind, actor, structure, mask, processor }
    }
}

/// The bits of the bytes in a mask.
fn bits_of(mask: u8) -> u64 {
    (0..8).filter(|byte| mask >> byte & 1 == 1).fold(0, |bits, byte| bits | 0xff << (8 * byte))
}

/// The loads and stores of a golden run, in order, and where its steps begin.
#[derive(Clone, Debug, Default)]
pub struct GoldenAccesses {
    accesses: Vec<Access>,
    /// Numbers of the events with which steps begin.
    steps: Vec<u64>,
    events: u64,
}

impl Witness for GoldenAccesses {
    #[inline]
    fn event(&mut self, event: &Event) {
        self.events += 1;
        match event.kind {
            EventKind::Step => self.steps.push(self.events),
            EventKind::Load
            | EventKind::Store
            | EventKind::StoreRun
            | EventKind::DmaRead
            | EventKind::DmaWrite => {
                self.accesses.push(Access::of(event, self.events));
            }
            _ => {}
        }
    }
}

impl GoldenAccesses {
    /// The places in the list of what is still to be accessed in the step, or by the device, at whose event
    /// of this number a fault strikes.
    pub(super) fn left_at(&self, ordinal: u64) -> Range<u32> {
        let next = self.steps.partition_point(|&begin| begin < ordinal);
        let next = self.steps.get(next).copied().unwrap_or(u64::MAX);
        let place = |bound: u64| self.accesses.partition_point(|access| access.ordinal < bound);
        let number = |bound| u32::try_from(place(bound)).unwrap_or(u32::MAX);
        number(ordinal)..number(next)
    }

    /// Whether one of these is such an access.
    pub(super) fn has(&self, places: Range<u32>, event: &Event) -> bool {
        let wanted = Access::of(event, 0);
        let places = places.start as usize..places.end as usize;
        let accesses = self.accesses.get(places).unwrap_or_default();
        accesses.iter().any(|access| Access { ordinal: 0, ..*access } == wanted)
    }
}
