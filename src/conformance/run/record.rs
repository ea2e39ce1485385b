//! What a run that is told keeps of its last call, so that somebody else can make the finding again.

use super::Run;
use crate::base::PhysAddr;
use crate::conformance::breach::{Breach, Key};
use crate::conformance::memory::Event;
use crate::conformance::raw;
use crate::conformance::scene::Scene;
use crate::conformance::standalone::{Moment, Must, of};

/// What is kept.
#[derive(Clone, Default)]
pub(crate) struct Record {
    pub(crate) root: PhysAddr,
    /// What must hold and does not, if a test can look at it.
    pub(crate) must: Option<Must>,
    /// The tables when the breach was there.
    pub(crate) tables: Vec<String>,
}

/// A call that is about to be judged.
pub(super) struct Judged {
    start: Scene,
    events: Vec<Event>,
}

impl Run<'_, '_> {
    /// A call is about to be judged by what happened in it.
    pub(super) fn note_start(&mut self, events: &[Event]) {
        if self.setting.tells {
            self.judged = Some(Judged { start: self.scene.clone(), events: events.to_vec() });
        }
    }

    /// The run is over.
    pub(super) fn record(&mut self) {
        if !self.setting.tells {
            return;
        }
        let judged = self.judged.take();
        let (start, events) = match &judged {
            Some(Judged { start, events }) => (start, events.as_slice()),
            None => (&self.scene, [].as_slice()),
        };
        let breach = self.trial.breach.as_ref();
        let (at, reached) = reach(start, events, breach.map(Breach::key).as_ref());
        let last = self.trial.story.steps.last().copied();
        let moment = Moment { start, end: &self.scene, events, reached, last };
        self.trial.record = Record {
            root: self.scene.root,
            must: breach.and_then(|breach| of(breach, &moment)),
            tables: raw::lines(&at),
        };
    }
}

/// The instant at which the breach is there, or the end of the call.
fn reach(start: &Scene, events: &[Event], key: Option<&Key>) -> (Scene, usize) {
    let (mut scene, mut rest, mut breaches) = (start.clone(), events, Vec::new());
    let is_there = |breach: &Breach| Some(&breach.key()) == key;
    while !rest.is_empty() {
        // An endless call has one at each of its stores.
        breaches.clear();
        rest = scene.next(rest, &mut breaches);
        if breaches.iter().any(is_there) {
            break;
        }
    }
    (scene, events.len() - rest.len())
}
