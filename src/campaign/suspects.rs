//! Who may have done it: all in whom faults have struck so far.
//!
//! Of several faults nobody knows which one an alarm is about.

use crate::base::{Event, Principal, PrincipalSet, Roster};

use super::tally::Origin;

/// In whom faults have struck up to some event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Suspects {
    /// At whose injection points, but for those at which only memory changed by itself.
    pub who: PrincipalSet,
    /// Whether memory changed by nobody's access.
    pub memory: bool,
    /// Number of the event of the first strike of a fault alone; of the last strike of several.
    pub since: u64,
    /// At whose injection points, but for those at which memory itself changed: who was about to act then has
    /// nothing to do with it, whosever the memory is.
    pub acted: PrincipalSet,
    /// Whether memory itself changed.
    pub flipped: bool,
    /// `who` and `acted` before the present strike.
    before: (PrincipalSet, PrincipalSet),
    /// Which faults struck, a bit for each of the first 64.
    faults: u64,
}

impl Suspects {
    /// A fault strikes at the event of this number.
    pub(super) fn strikes(&mut self, event: &Event, ordinal: u64) {
        let fault = 1 << event.value.min(63);
        // One that strikes again and again acts from its first strike on.
        if self.faults != fault {
            self.since = ordinal;
        }
        self.faults |= fault;
        self.before = (self.who, self.acted);
        self.who = self.who.with(event.actor);
        self.acted = self.acted.with(event.actor);
    }

    /// What just struck changed memory, and nobody's doing is changed.
    pub(super) fn is_memory(&mut self, event: &Event) {
        (self.who, self.memory) = (self.before.0, true);
        if event.is_by_memory() {
            (self.acted, self.flipped) = (self.before.1, true);
        }
    }

    /// All of them, as a sentence names who did it.
    pub(super) fn names(&self, roster: &Roster) -> String {
        let who = self.who.iter().map(|one: Principal| roster.name(one));
        let names: Vec<&str> = who.chain(self.memory.then_some(Origin::Hardware.name())).collect();
        match names.as_slice() {
            [] => String::new(),
            [one] => (*one).to_owned(),
            [others @ .., last] => format!("{} or {last}", others.join(", ")),
        }
    }
}
