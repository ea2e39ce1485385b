//! Which handle leads where, with which rights?
//!
//! A handle may come from four places: the object was created or opened by name, and no handle to it
//! was used for that; it was duplicated from one that was, with no more rights; it was inherited from
//! the creating process under the same value, with no more rights; or the system made it at boot.
//! Rights that go beyond are not entered, so that a use of them shows too.

use crate::base::{Event, Principal, TraceHash};

use super::record::Falsehood;
use super::{Authority, keep};

/// What a handle leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handle {
    /// The object's address.
    pub object: u64,
    /// The rights granted when it was opened.
    pub rights: u64,
}

/// A handle was used by a process for the request at hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    context: Principal,
    object: u64,
    rights: u64,
}

impl Use {
    pub(super) fn absorb(&self, hash: &mut TraceHash) {
        hash.absorb(self.object, self.rights << 8 | u64::from(self.context.0));
    }
}

impl Authority {
    /// A process's handles: value and what it leads to.
    pub fn handles_of(&self, process: Principal) -> impl Iterator<Item = (u64, &Handle)> {
        self.handles
            .range((process, 0)..=(process, u64::MAX))
            .map(|((_, value), handle)| (*value, handle))
    }

    /// All handles: process, value, what it leads to.
    pub fn handles(&self) -> impl Iterator<Item = (Principal, u64, &Handle)> {
        self.handles.iter().map(|((process, value), handle)| (*process, *value, handle))
    }

    /// The rights that a new handle of `event.subject` may have; `None` when it comes from nowhere.
    fn rights_due(&self, event: &Event) -> Option<u64> {
        let creator = event.context;
        if !self.roster.kind(creator).is_process() {
            return Some(u64::MAX);
        }
        let from = self.state.asking[usize::from(creator.0 & 63)].uses_from;
        let uses = self.uses.get(from..).unwrap_or_default().iter();
        let used: Vec<u64> = uses
            .filter(|used| used.context == creator && used.object == event.virt)
            .map(|used| used.rights)
            .collect();
        if !used.is_empty() {
            return Some(used.into_iter().fold(0, |all, rights| all | rights));
        }
        if event.subject == creator {
            return Some(u64::MAX);
        }
        let source = self.handles.get(&(creator, event.value))?;
        (source.object == event.virt).then_some(source.rights)
    }

    pub(super) fn handle_opened(&mut self, event: &Event) {
        let (process, value, object) = (event.subject, event.value, event.virt);
        let due = self.rights_due(event);
        let rights = event.old & due.unwrap_or(0);
        if self.handles.contains_key(&(process, value)) && !self.state.is_booting() {
            self.false_claim(event, Falsehood::HandleInUse, Some(process));
        }
        match due {
            None => self.false_claim(event, Falsehood::HandleFromNowhere, Some(process)),
            Some(due) if event.old & !due != 0 => {
                self.false_claim(event, Falsehood::RightsExceeded, Some(process));
            }
            Some(_) => {}
        }
        self.set_handle(process, value, Some(Handle { object, rights }));
        self.held(process, object);
    }

    pub(super) fn handle_closed(&mut self, event: &Event) {
        if self.handles.contains_key(&(event.subject, event.value)) {
            self.set_handle(event.subject, event.value, None);
        } else {
            self.false_claim(event, Falsehood::UnknownHandle, None);
        }
    }

    pub(super) fn handle_used(&mut self, event: &Event) {
        let Some(&handle) = self.handles.get(&(event.subject, event.value)) else {
            let holder = self.handles().find(|(_, _, handle)| handle.object == event.virt);
            let holder = holder.map(|(process, _, _)| process);
            return self.false_claim(event, Falsehood::UnknownHandle, holder);
        };
        if handle.object != event.virt {
            let holder = self.handles().find(|(_, _, handle)| handle.object == event.virt);
            let holder = holder.map(|(process, _, _)| process);
            return self.false_claim(event, Falsehood::OtherObject, holder);
        }
        if event.old & !handle.rights != 0 {
            self.false_claim(event, Falsehood::RightsExceeded, Some(event.subject));
        }
        let used = Use { context: event.context, object: handle.object, rights: handle.rights };
        keep(&mut self.uses, used);
    }

    /// Memory was taken back: no handle may lead to an object in it.
    pub(super) fn object_freed(&mut self, event: &Event) {
        if event.virt == 0 {
            return;
        }
        let end = event.virt.saturating_add(event.value * 8);
        let holders =
            self.handles().filter(|(_, _, handle)| (event.virt..end).contains(&handle.object));
        let holders: Vec<Principal> = holders.map(|(process, _, _)| process).collect();
        for holder in holders {
            self.false_claim(event, Falsehood::FreedWhileHeld, Some(holder));
        }
    }
}
