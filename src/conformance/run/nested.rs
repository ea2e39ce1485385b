//! A call that the allocator makes while another one waits for a frame.
//!
//! It is the next call of the case, and about other pages: then the two come to the same in whichever order
//! they are made, and each is judged as if it were alone. What it does is no doing of the outer call, and what
//! the outer call has done so far is where it begins.

use core::cell::RefCell;
use std::rc::Rc;

use super::{Outcome, Run, perform};
use crate::conformance::breach::Breach;
use crate::conformance::checks::request::{self, Answer, Before};
use crate::conformance::checks::{frames, invalidation, isolation};
use crate::conformance::fault::FaultKind;
use crate::conformance::memory::{Event, Memory};
use crate::conformance::operation::Call;
use crate::conformance::rights::Rights;
use crate::conformance::scene::Outer;
use crate::conformance::stop::Stop;
use crate::conformance::subject::{Capability, Mapper, Refusal};
use crate::conformance::tables::Listing;
use crate::conformance::watch;

/// A call that the allocator can make.
pub(super) struct AtHand {
    call: Call,
    answer: Rc<RefCell<Option<Result<Answer, Refusal>>>>,
}

/// One that it made.
#[derive(Debug)]
pub(crate) struct Nested {
    pub(crate) call: Call,
    pub(crate) outcome: Outcome,
    /// What the tables were when it was over.
    pub(crate) listing: Listing,
}

impl AtHand {
    /// Hands it to the allocator; `false` when there is no second way in.
    pub(super) fn arm(&self, memory: &Memory, mapper: &dyn Mapper) -> bool {
        let Some(mut way) = mapper.reentry() else { return false };
        let (call, answer) = (self.call, Rc::clone(&self.answer));
        memory.arm(move || {
            watch::within(Some(&call));
            answer.replace(Some(perform(&mut *way, &call)));
            watch::within(None);
        });
        true
    }

    /// What came of it, when the outer call ended like this.
    pub(super) fn made<T>(self, ended: &Result<T, Stop>) -> Nested {
        let outcome = match (self.answer.take(), ended) {
            (Some(answer), _) => Ok(answer),
            (None, Err(stop)) => Err(stop.clone()),
            (None, Ok(_)) => Err(Stop::Panicked("and is caught".to_owned(), String::new())),
        };
        Nested { call: self.call, outcome, listing: Listing::default() }
    }
}

/// The events of a call before, inside and after one that was made within it.
pub(crate) fn parts(events: &[Event]) -> Option<[&[Event]; 3]> {
    let begins = events.iter().position(|event| matches!(event, Event::CallsBack))?;
    let (before, rest) = events.split_at(begins);
    let rest = rest.get(1..)?;
    // A call that is given up on its stack has no end.
    let ends = rest.iter().rposition(|event| matches!(event, Event::CalledBack));
    let (inside, after) = rest.split_at(ends.unwrap_or(rest.len()));
    Some([before, inside, after.get(1..).unwrap_or_default()])
}

/// What was under way when a call did not return.
pub(super) fn during(call: &Call, nested: Option<&Nested>) -> String {
    match nested {
        Some(Nested { call: inner, outcome: Err(_), .. }) => {
            format!("{} in an allocation of {}", inner.name(), call.name())
        }
        _ => call.name().to_owned(),
    }
}

impl Run<'_, '_> {
    /// The next call of the case, if it can be made within this one.
    pub(super) fn at_hand(&self, call: &Call) -> Option<AtHand> {
        let fault = self.case.fault.filter(|fault| fault.kind == FaultKind::AllocatorCallsBack);
        if fault.is_none() || self.memory.strikes() > 0 {
            return None;
        }
        let next = *self.case.calls.get(self.trial.calls)?;
        let is_call = !matches!(next, Call::Disturb { .. } | Call::CleanUp);
        let fits = is_call && !call.region().meets(&next.region());
        let is_able = self.capabilities.has(Capability::Reentry);
        (fits && is_able).then(|| AtHand { call: next, answer: Rc::default() })
    }

    /// Follows a call with another one in it, and judges that one.
    pub(super) fn follow_nested(
        &mut self,
        nested: &mut Nested,
        [before, inside, after]: [&[Event]; 3],
        tells_rights: Rights,
    ) -> Vec<Breach> {
        self.trial.calls += 1;
        self.trial.tally.calls += 1;
        self.trial.tally.tried.insert(nested.call.name());
        self.hash_outcome(&nested.outcome);
        let mut breaches = self.scene.follow(before);
        let listing = self.scene.listing.clone();
        let outer = self.scene.enter(&nested.call);
        let (still, over): (Vec<_>, Vec<_>) = {
            let inner = self.scene.follow(inside).into_iter();
            inner.partition(|breach| isolation::is_wrong_still(&self.scene, breach))
        };
        breaches.extend(over);
        let so_far = breaches.len();
        nested.listing.clone_from(&self.scene.listing);
        if let Ok(outcome) = &nested.outcome {
            self.note_outcome(&nested.call, outcome);
            let before = Before { listing: &listing, taken: &self.taken };
            breaches.extend(self.judge_nested((&nested.call, outcome), &before, &outer, inside));
            if let (Call::Query { virt }, Ok(Answer::Mapping(told))) = (nested.call, outcome) {
                let entry_at = |at| self.scene.word(at);
                breaches.extend(self.by_the_book(&entry_at, virt, told.as_ref(), tells_rights));
            }
        }
        if breaches.len() == so_far {
            breaches.extend(still.into_iter().map(isolation::lasting));
        }
        self.scene.leave(outer);
        breaches.extend(self.scene.follow(after));
        breaches
    }

    fn judge_nested(
        &self,
        (call, outcome): (&Call, &Result<Answer, Refusal>),
        before: &Before<'_>,
        outer: &Outer,
        events: &[Event],
    ) -> Vec<Breach> {
        let scene = &self.scene;
        let unsupported = super::unsupported(call.name(), outcome);
        if scene.relaxed.altered {
            return unsupported.into_iter().collect();
        }
        let breaches = [
            unsupported,
            isolation::returned(scene),
            isolation::rewritten(scene, events),
            request::judge(scene, call, outcome, before),
            frames::reachable(scene),
            invalidation::returned_within(scene, outer),
        ];
        breaches.into_iter().flatten().collect()
    }
}
