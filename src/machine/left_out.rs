//! What would be missed of an invalidation or a probe that is about to happen, for whoever asks whether it is.

use crate::base::{Access, FRAME_BYTES, VirtAddr};
use crate::injection::{Operation, PointKind, Verdict};

use super::paging::x86_64::{self, Request};
use super::processor::Processor;
use super::tlb::Invalidation;
use super::trap::Trap;
use super::{Machine, ProcessorState};

/// What is about to happen, as far as leaving it out may make no difference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AboutTo {
    /// This processor is to forget; `None` of what is refused.
    Invalidate(usize, Option<Invalidation>),
    /// A buffer is compared, and refused or not.
    Probe {
        /// Whether it is refused.
        refuses: bool,
    },
}

impl Machine {
    /// Whether anything is other without the invalidation or probe that is about to happen: a translation that
    /// the tables no longer grant may be held still, or the buffer is refused. Of anything else it is.
    pub(super) fn is_missed(&self) -> bool {
        match self.about_to {
            Some(AboutTo::Invalidate(processor, Some(invalidation))) => {
                let state: Option<&ProcessorState> = self.processors.get(processor);
                state.is_some_and(|state| state.may_hold.holds(invalidation))
            }
            Some(AboutTo::Probe { refuses }) => refuses,
            Some(AboutTo::Invalidate(_, None)) | None => true,
        }
    }
}

impl Processor<'_> {
    /// Passes the point of an invalidation on a processor.
    pub(super) fn pass_invalidation(
        &mut self,
        (processor, invalidation): (usize, Option<Invalidation>),
        virt: u64,
        value: u64,
    ) -> Result<(Operation, Verdict), Trap> {
        let about_to = AboutTo::Invalidate(processor, invalidation);
        self.pass_about_to(about_to, PointKind::Invalidate, virt, value)
    }

    /// Passes the point of a probe of a buffer, which will be refused or not.
    ///
    /// # Errors
    ///
    /// An injected exception.
    pub fn pass_probe(
        &mut self,
        virt: u64,
        bytes: u64,
        refuses: bool,
    ) -> Result<(Operation, Verdict), Trap> {
        self.pass_about_to(AboutTo::Probe { refuses }, PointKind::Probe, virt, bytes)
    }

    fn pass_about_to(
        &mut self,
        about_to: AboutTo,
        kind: PointKind,
        virt: u64,
        value: u64,
    ) -> Result<(Operation, Verdict), Trap> {
        self.machine.about_to = Some(about_to);
        let passed = self.pass_point(kind, virt, value);
        self.machine.about_to = None;
        passed
    }

    /// Whether the loaded tables let what runs here store to each page of a buffer now, user mode's pages too,
    /// without effect.
    #[must_use]
    pub fn may_store_all(&self, virt: u64, bytes: u64) -> bool {
        let state = &self.machine.processors[self.number];
        let pages = (virt & !(FRAME_BYTES - 1)..virt.saturating_add(bytes)).step_by(4096);
        pages.map(|page| page.max(virt)).all(|at| {
            let request = Request {
                ac: true,
                ..Request::new(VirtAddr(at), Access::Write, state.registers.ring)
            };
            x86_64::walk(&self.machine.memory, &state.controls, &request).is_ok()
        })
    }
}
