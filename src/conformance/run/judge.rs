//! What must hold when a call has ended.

use super::Run;
use crate::conformance::breach::Breach;
use crate::conformance::checks::attributes::Kept;
use crate::conformance::checks::equivalence::{self, RoundTrip};
use crate::conformance::checks::request::{self, Answer, Before};
use crate::conformance::checks::{emptied, entries, frames, invalidation, isolation};
use crate::conformance::memory::Event;
use crate::conformance::operation::Call;
use crate::conformance::subject::Refusal;
use crate::conformance::tables::Listing;

impl Run<'_, '_> {
    /// What was seen store by store. What is wrong still when the call has ended is given back: it is more than
    /// an instant, and is judged as what the call comes to.
    pub(super) fn judge_stores(&mut self, breaches: Vec<Breach>) -> Vec<Breach> {
        let (still, over): (Vec<_>, Vec<_>) =
            breaches.into_iter().partition(|breach| isolation::is_wrong_still(&self.scene, breach));
        over.into_iter().for_each(|breach| self.report(Some(breach)));
        still
    }

    /// Of what is wrong still, that of which nothing was said when the call had ended.
    pub(super) fn judge_still(&mut self, breaches: Vec<Breach>) {
        if !self.is_last_call {
            let lasting = breaches.into_iter().map(isolation::lasting);
            lasting.for_each(|breach| self.report(Some(breach)));
        }
    }

    pub(super) fn judge_returned(
        &mut self,
        call: &Call,
        outcome: &Result<Answer, Refusal>,
        before: &Before<'_>,
        events: &[Event],
    ) {
        if self.scene.relaxed.altered {
            self.scene.may_hold.clear();
            return;
        }
        let scene = &mut self.scene;
        let stale = invalidation::returned(scene);
        let breaches = [
            isolation::returned(scene),
            isolation::rewritten(scene, events),
            request::judge(scene, call, outcome, before),
            frames::reachable(scene),
            entries::whole(scene),
            stale.clone(),
        ];
        if stale.is_some() {
            scene.may_hold.clear();
        }
        let listing = scene.listing.clone();
        scene.may_hold.settle(&listing);
        for breach in breaches {
            self.report(breach);
        }
    }

    /// What pages say beside where they lead and what they grant.
    pub(super) fn judge_attributes(&mut self, call: &Call, kept: &Kept) {
        if !self.scene.relaxed.altered {
            self.report(kept.returned(&self.scene, call));
        }
    }

    /// What a call that is done was to give back. A call within it may have left tables of its own.
    pub(super) fn judge_emptied(
        &mut self,
        call: &Call,
        outcome: &Result<Answer, Refusal>,
        before: &Listing,
        events: &[Event],
    ) {
        if outcome.is_ok() && !self.scene.relaxed.altered {
            let (scene, capabilities) = (&self.scene, self.capabilities);
            self.report(emptied::returned(scene, call, capabilities, before, events));
        }
    }

    /// What must hold of a call that ended half-way: neighbours untouched, tables its own.
    pub(super) fn judge_abandoned(&mut self) {
        if self.scene.relaxed.altered {
            return;
        }
        let scene = &self.scene;
        let breaches = [isolation::returned(scene), frames::reachable(scene)];
        for breach in breaches.into_iter().flatten() {
            let kind = format!("abandoned: {}", breach.kind);
            // A page that was broken to be made anew is lost with the operation.
            if breach.kind != "a page outside is lost" {
                self.report(Some(Breach { kind, ..breach }));
            }
        }
    }

    pub(super) fn judge_round_trip(
        &mut self,
        call: &Call,
        outcome: &Result<Answer, Refusal>,
        started: Option<RoundTrip>,
    ) {
        let trip = core::mem::replace(&mut self.trip, started.filter(|_| outcome.is_ok()));
        if let (Call::Unmap { .. } | Call::UnmapRange { .. }, Ok(_), Some(trip)) =
            (call, outcome, trip)
            && trip.region == call.region()
            && !self.scene.relaxed.altered
        {
            let breach = equivalence::restored(&self.scene, &trip);
            self.report(breach);
        }
    }
}
