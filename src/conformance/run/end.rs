//! The drop of an instance.

use super::Run;
use crate::conformance::breach::Breach;
use crate::conformance::checks::{frames, totality};
use crate::conformance::fault::FaultKind;
use crate::conformance::guard;
use crate::conformance::scene::Relaxed;
use crate::conformance::stop::Stop;
use crate::conformance::subject::{Capability, Mapper};

impl Run<'_, '_> {
    pub(super) fn drop(&mut self, mapper: Box<dyn Mapper + '_>) {
        if self.memory.is_given_up() {
            core::mem::forget(mapper); // it was left in the middle of a call
            return;
        }
        self.memory.begin(self.setting.accesses_max);
        let is_over = self.is_over();
        self.scene.relaxed = Relaxed { dropping: true, ..self.scene.relaxed };
        guard::calls(self.trial.calls, &totality::DROP);
        let dropped = self.memory.attempt(|| drop(mapper));
        self.memory.compare_all();
        let events = self.memory.take_journal();
        if is_over {
            return;
        }
        self.note_start(&events);
        let breaches = self.scene.follow(&events);
        if self.setting.tells {
            self.trial.story.drop(&self.scene, &events);
        }
        // Entries that bits were flipped in can name their own table: all ways below are 512^4.
        let is_excused = dropped == Err(Stop::Endless) && self.scene.relaxed.altered;
        if let Err(stop) = dropped
            && !is_excused
        {
            self.report(totality::stopped(&stop, totality::DROP, self.setting.accesses_max));
        }
        if self.scene.relaxed.altered {
            return;
        }
        for breach in breaches {
            let kind = format!("drop: {}", breach.kind);
            self.report(Some(Breach { kind, ..breach }));
        }
        let is_abandoned = self
            .case
            .fault
            .is_some_and(|fault| fault.kind == FaultKind::Abandoned && self.memory.strikes() > 0);
        if self.capabilities.has(Capability::FreesOnDrop) && !is_abandoned {
            let leaked = frames::leaked(&self.scene);
            self.report(leaked);
        }
    }
}
