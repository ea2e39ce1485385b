//! Questions about addresses after each call, against the walk by the book.

use super::{Run, undone};
use crate::base::{FRAME_BYTES, PhysAddr, VirtAddr};
use crate::conformance::breach::Breach;
use crate::conformance::case::edge_addresses;
use crate::conformance::checks::request::Answer;
use crate::conformance::checks::{totality, translation};
use crate::conformance::guard;
use crate::conformance::operation::Call;
use crate::conformance::rights::Rights;
use crate::conformance::subject::{Capability, Mapper, Mapping, Refusal};

impl Run<'_, '_> {
    /// Asks about the edges of the request and about some pages that are mapped.
    pub(super) fn ask(&mut self, mapper: &mut dyn Mapper, call: &Call) {
        if !self.capabilities.has(Capability::Query) || self.is_over() {
            return;
        }
        let region = call.region();
        let edges = edge_addresses(region.first.start(), region.pages * FRAME_BYTES);
        let leaves = &self.scene.listing.leaves;
        let some = leaves.iter().step_by(leaves.len() / 3 + 1);
        let asked: Vec<VirtAddr> =
            edges.into_iter().chain(some.map(|leaf| leaf.first.plus(0xabc))).collect();
        for virt in asked {
            if self.is_over() {
                return;
            }
            self.question(mapper, virt);
        }
    }

    fn question(&mut self, mapper: &mut dyn Mapper, virt: VirtAddr) {
        self.memory.begin(self.setting.accesses_max);
        guard::calls(self.trial.calls, &Call::Query { virt });
        let told = self.memory.attempt(|| mapper.query(virt));
        self.memory.compare_all();
        let events = self.memory.take_journal();
        for breach in self.scene.follow(&events) {
            self.report(Some(breach));
        }
        let call = Call::Query { virt };
        match told {
            Err(stop) => self.report(totality::stopped(&stop, "query", self.setting.accesses_max)),
            Ok(Err(Refusal::Unsupported)) => {
                self.report(Some(undone("query", "query", "refuses it as unsupported")));
            }
            Ok(Err(_)) => {}
            Ok(Ok(told)) => {
                let breach = self.against_the_book(virt, told.as_ref(), mapper.tells_rights());
                if breach.is_some() && self.setting.tells && !self.is_over() {
                    let outcome = Ok(Ok(Answer::Mapping(told)));
                    let listing = self.scene.listing.clone();
                    let story = &mut self.trial.story;
                    story.call(&self.scene, (&call, &outcome), None, &[], &listing);
                }
                self.report(breach);
            }
        }
    }

    pub(super) fn against_the_book(
        &mut self,
        virt: VirtAddr,
        told: Option<&Mapping>,
        compared: Rights,
    ) -> Option<Breach> {
        if self.scene.is_below_reserved(virt) {
            return None;
        }
        if let Some(told) = told {
            self.trial.tally.told.note(told);
        }
        self.by_the_book(&|at| self.memory.peek(at), virt, told, compared)
    }

    /// The same, for an answer that was given when the tables were like this.
    pub(super) fn by_the_book(
        &self,
        entry_at: &dyn Fn(PhysAddr) -> u64,
        virt: VirtAddr,
        told: Option<&Mapping>,
        compared: Rights,
    ) -> Option<Breach> {
        if self.scene.is_below_reserved(virt) {
            return None;
        }
        let (format, root) = (self.scene.format, self.scene.root);
        let book = format.translate(entry_at, root, virt).map(|book| (book, compared));
        translation::judge(format, entry_at, root, virt, told, book)
    }
}
