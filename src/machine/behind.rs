//! What another thread of the same process stores right behind an access: it runs with the process's rights, and
//! between any two accesses there is room for it.

use crate::base::{Access, Event, EventKind, Ring, Structure, VirtAddr};

use super::Machine;
use super::paging::x86_64::{self, Controls, Request, Walk};

/// A word that is stored once the access under way is over.
#[derive(Clone, Copy)]
pub(super) struct Behind {
    virt: VirtAddr,
    value: u64,
}

impl Machine {
    /// How the tables lead a store of user mode in a processor's address space; `None` where they refuse it.
    fn user_store(&self, number: usize, virt: VirtAddr) -> Option<Walk> {
        let controls = &self.processors[number].controls;
        // User mode runs on a shadow root, where there is one, and it maps the same of the user half.
        let controls = Controls { cr3: self.full_root(controls.cr3), ..*controls };
        let request = Request::new(virt, Access::Write, Ring::User);
        x86_64::walk(&self.memory, &controls, &request).ok()
    }

    /// Has another thread of the process in whose address space a processor runs store this word once the access
    /// under way is over. Whether it may.
    pub(super) fn store_behind(&mut self, number: usize, virt: VirtAddr, value: u64) -> bool {
        let may = self.user_store(number, virt).is_some();
        if may {
            self.behind = Some(Behind { virt, value });
        }
        may
    }

    /// The other thread's turn.
    #[cold]
    #[inline(never)]
    pub(super) fn run_behind(&mut self, number: usize) {
        let Some(Behind { virt, value }) = self.behind.take() else { return };
        let Some(walk) = self.user_store(number, virt) else { return };
        for &(at, bits) in walk.marks.items() {
            self.mark(number, virt, at, bits);
        }
        let old = self.write_physical(walk.address, value);
        let context = self.processors[number].registers.context;
        let differing = old ^ value;
        let event = Event {
            kind: EventKind::Store,
            actor: context,
            context,
            subject: context,
            structure: Structure::Free,
            mask: (0..8u8)
                .fold(0, |mask, byte| mask | u8::from(differing >> (8 * byte) & 0xff != 0) << byte),
            #[allow(clippy::cast_possible_truncation, reason = "few processors")]
            processor: number as u8,
            struck: true,
            phys: walk.address.raw(),
            virt: virt.0,
            value,
            old,
        };
        self.events.push(event);
    }
}
