//! What a fault does beside altering its operation: what it asks of the machine as it strikes.

use crate::base::{Roster, VirtAddr};
use crate::injection::{Operation, Scene};
use crate::machine::Trap;

use super::recorder::Turn;

/// What is noted of one strike at most.
const NOTED_MAX: usize = 4;

/// One thing done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Deed {
    Pended(u8),
    Evicted(u64),
    EvictedAll,
    Held(u64),
    Prefetched(u64),
    Stalled { processor: u64, steps: u64 },
    StoredBehind { virt: u64, value: u64 },
}

impl Deed {
    /// In words, of a strike on this processor.
    pub(super) fn told(self, processor: u8) -> String {
        let page = |virt: u64| virt & !0xfff;
        match self {
            Self::Pended(vector) => {
                let whose = match vector {
                    Trap::CLOCK => ", the clock's,",
                    Trap::INTERPROCESSOR => ", another processor's,",
                    _ => "",
                };
                format!("vector {vector:#x}{whose} was made pending on processor {processor}")
            }
            Self::Evicted(virt) => format!(
                "processor {processor} forgot what translation it had of page {:#x}",
                page(virt)
            ),
            Self::EvictedAll => format!("processor {processor} forgot all its translations"),
            Self::Held(virt) => format!(
                "processor {processor} went on with an old translation of page {:#x}",
                page(virt)
            ),
            Self::Prefetched(virt) => {
                format!("processor {processor} loaded the translation of page {:#x}", page(virt))
            }
            Self::Stalled { processor, steps } => {
                format!("processor {processor} was to stand still for {steps} steps")
            }
            Self::StoredBehind { virt, value } => {
                format!("another thread was to store {value:#x} at {virt:#x}")
            }
        }
    }
}

/// Who ran next where the clock was made to interrupt, as far as that is known.
pub(super) fn gave_way(roster: &Roster, turn: &Turn) -> String {
    let preempted = turn.event.context;
    match turn.then {
        None => String::new(),
        Some(next) if next == preempted => format!(", and {} ran on", roster.name(next)),
        Some(next) => {
            format!(", and {} ran in the place of {}", roster.name(next), roster.name(preempted))
        }
    }
}

/// A scene with what is asked of it.
pub(super) struct Noting<'s> {
    pub(super) scene: &'s mut dyn Scene,
    pub(super) deeds: Vec<Deed>,
}

impl Noting<'_> {
    fn note(&mut self, deed: Deed) {
        if self.deeds.len() < NOTED_MAX {
            self.deeds.push(deed);
        }
    }
}

impl Scene for Noting<'_> {
    fn peek(&self, phys: u64) -> u64 {
        self.scene.peek(phys)
    }

    fn poke(&mut self, phys: u64, value: u64) {
        self.scene.poke(phys, value);
    }

    fn store(&mut self, virt: u64, phys: u64, value: u64) {
        self.scene.store(virt, phys, value);
    }

    fn store_behind(&mut self, virt: VirtAddr, value: u64) -> bool {
        let does = self.scene.store_behind(virt, value);
        if does {
            self.note(Deed::StoredBehind { virt: virt.0, value });
        }
        does
    }

    fn translate(&self, virt: VirtAddr) -> Option<u64> {
        self.scene.translate(virt)
    }

    fn may_store(&self, virt: VirtAddr) -> bool {
        self.scene.may_store(virt)
    }

    fn held(&self, virt: u64, mask: u8) -> Option<u64> {
        self.scene.held(virt, mask)
    }

    fn transfer_matters(&self, operation: &Operation, first: u64) -> bool {
        self.scene.transfer_matters(operation, first)
    }

    fn copy_matters(&self, operation: &Operation, first: u64) -> bool {
        self.scene.copy_matters(operation, first)
    }

    fn is_missed(&self) -> bool {
        self.scene.is_missed()
    }

    fn register(&self, number: usize) -> u64 {
        self.scene.register(number)
    }

    fn set_register(&mut self, number: usize, value: u64) {
        self.scene.set_register(number, value);
    }

    fn instruction_pointer(&self) -> u64 {
        self.scene.instruction_pointer()
    }

    fn return_address_at(&self) -> Option<VirtAddr> {
        self.scene.return_address_at()
    }

    fn memory_bytes(&self) -> u64 {
        self.scene.memory_bytes()
    }

    fn branches(&self) -> bool {
        self.scene.branches()
    }

    fn level(&self) -> u64 {
        self.scene.level()
    }

    fn root(&self) -> u64 {
        self.scene.root()
    }

    fn evict(&mut self, virt: VirtAddr) {
        self.scene.evict(virt);
        self.note(Deed::Evicted(virt.0));
    }

    fn evict_all(&mut self) {
        self.scene.evict_all();
        self.note(Deed::EvictedAll);
    }

    fn hold(&mut self, page: Option<VirtAddr>, drawn: u64) -> Option<VirtAddr> {
        let held = self.scene.hold(page, drawn);
        if let Some(virt) = held {
            self.note(Deed::Held(virt.0));
        }
        held
    }

    fn prefetch(&mut self, virt: VirtAddr) -> bool {
        let does = self.scene.prefetch(virt);
        if does {
            self.note(Deed::Prefetched(virt.0));
        }
        does
    }

    fn stall(&mut self, processor: u64, nth: u64, steps: u64) -> bool {
        let does = self.scene.stall(processor, nth, steps);
        if does {
            self.note(Deed::Stalled { processor, steps });
        }
        does
    }

    fn pend(&mut self, vector: u8) {
        self.scene.pend(vector);
        self.note(Deed::Pended(vector));
    }
}
