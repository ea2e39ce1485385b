//! Which handle leads where, with which rights?
//!
//! A handle may come from five places: the object was created or opened by name, and no handle to it
//! was used for that; it was duplicated from one that was, with no more rights; it was inherited from
//! the creating process under the same value, with no more rights; it is the kernel's own; or the
//! system made it at boot. What comes of a process's own request has no more rights than that asked
//! for. A process handle may be duplicated into that very process: then the handle that gives the leave and
//! the one that is duplicated lead to one object, and their rights don't add up. Whoever duplicates into or
//! out of another process has used a handle to that process with the right to do so. Rights that go beyond
//! are not entered, so that a use of them shows too.
//!
//! What a use takes is not what the kernel says alone: a request takes of the handle that it names the rights
//! that are documented for it, until a driver has it.
//!
//! A child inherits what its parent marked for that, and a protected handle stays until its process ends: the
//! books hear both from the requests.
//!
//! What is used in kernel mode's name is not held against the rights; but only a driver that was handed
//! a request uses handles so, and not the service that user mode asked for.

use crate::base::{DUPLICATE_RIGHT, Event, Principal, TraceHash};

use super::asked::{INHERIT, PROTECT};
use super::record::Falsehood;
use super::{Authority, keep};

/// The value of the pseudo-handle to the process in whose table it would be looked up
/// ("GetCurrentProcess function").
const PSEUDO: u64 = u64::MAX;

/// The value of the pseudo-handle to the thread that uses it, in whosever table it would be looked up
/// ("GetCurrentThread function").
const PSEUDO_THREAD: u64 = u64::MAX - 1;

/// What a handle leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handle {
    /// The object's address.
    pub object: u64,
    /// The rights granted when it was opened.
    pub rights: u64,
    /// Whether children inherit it, and whether it is protected.
    marks: u8,
    /// Whether it was closed although it is protected, as at the end of its process.
    is_closed: bool,
}

impl Handle {
    /// All that is said of it besides, as a number.
    pub(super) fn marks(&self) -> u64 {
        u64::from(self.marks) | u64::from(self.is_closed) << 7
    }
}

/// A handle was used by a process for the request at hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    context: Principal,
    /// By which of its threads.
    thread: u8,
    /// In whose table it was.
    owner: Principal,
    value: u64,
    object: u64,
    rights: u64,
}

impl Use {
    pub(super) fn absorb(&self, hash: &mut TraceHash) {
        hash.absorb(self.object, self.rights << 8 | u64::from(self.context.0));
        hash.absorb(self.value, u64::from(self.owner.0) | u64::from(self.thread) << 8);
    }

    pub(super) const fn object(&self) -> u64 {
        self.object
    }

    /// Whether it is of the user's own handle that a request names by its low half; the lowest two bits name
    /// none (ntdef.h, `OBJ_HANDLE_TAGBITS`).
    fn is_of(&self, named: u32) -> bool {
        self.owner == self.context && self.value & 0xffff_fffc == u64::from(named & !3)
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

    /// What a thread of a process used for the request at hand.
    pub(super) fn used_by(&self, process: Principal, thread: u8) -> impl Iterator<Item = &Use> {
        let from = self.state.asking(process, thread).uses_from;
        let uses = self.uses.get(from..).unwrap_or_default().iter();
        uses.filter(move |used| used.context == process && used.thread == thread)
    }

    /// Whether a thread of a process used a handle to another one with which it may use that one's handles.
    fn has_leave(&self, process: Principal, thread: u8, of: Principal) -> bool {
        let object = self.state.objects[usize::from(of.0 & 63)];
        self.used_by(process, thread)
            .any(|used| used.object == object && used.rights & DUPLICATE_RIGHT != 0)
    }

    /// The rights that a new handle of `event.subject` may have; `None` when it comes from nowhere.
    fn rights_due(&self, event: &Event) -> Option<u64> {
        let creator = event.context;
        if !self.roster.kind(creator).is_process() || event.subject == Principal::KERNEL {
            return Some(u64::MAX);
        }
        let thread = self.state.thread_on(creator, event.processor);
        let used = || self.used_by(creator, thread).filter(|used| used.object == event.virt);
        if let Some(first) = used().next() {
            let is_theirs =
                event.subject == creator || self.has_leave(creator, thread, event.subject);
            // Of several, one was duplicated, and not the one that names the target, unless it is both.
            let target = self.state.asking(creator, thread).target;
            let mut sources = used().filter(|used| !used.is_of(target)).peekable();
            let fallback = sources.peek().map_or(first.rights, |source| source.rights);
            let enough = sources.find(|source| event.old & !source.rights == 0);
            return is_theirs.then(|| enough.map_or(fallback, |source| source.rights));
        }
        if event.subject == creator {
            return Some(u64::MAX);
        }
        let source = self.handles.get(&(creator, event.value))?;
        let is_inherited = source.object == event.virt && source.marks & INHERIT != 0;
        is_inherited.then_some(source.rights)
    }

    /// The rights that were asked for in the request of which a new handle comes. A driver that was
    /// handed the request asks in kernel mode's name, as do kernel components; the books don't hear them.
    fn rights_asked_for(&self, event: &Event) -> u64 {
        let thread = self.state.thread_on(event.context, event.processor);
        let asking = self.state.asking(event.context, thread);
        let is_own =
            event.subject != Principal::KERNEL && self.roster.kind(event.context).is_process();
        let is_heard = is_own && asking.is_open && !asking.is_handed_over;
        if is_heard { u64::from(asking.rights) } else { u64::MAX }
    }

    pub(super) fn handle_opened(&mut self, event: &Event) {
        let (process, value, object) = (event.subject, event.value, event.virt);
        let due = self.rights_due(event).map(|due| due & self.rights_asked_for(event));
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
        let marks = self.marks_due(event);
        self.set_handle(process, value, Some(Handle { object, rights, marks, is_closed: false }));
        self.held(process, object);
    }

    pub(super) fn handle_closed(&mut self, event: &Event) {
        let Some(&handle) = self.handles.get(&(event.subject, event.value)) else {
            return self.false_claim(event, Falsehood::UnknownHandle, None);
        };
        // It stays, unless its process turns out to have been ending.
        let is_protected = handle.marks & PROTECT != 0;
        let left = is_protected.then_some(Handle { is_closed: true, ..handle });
        self.set_handle(event.subject, event.value, left);
    }

    /// A process has ended: what was closed of it although it is protected is closed by that.
    pub(super) fn closed_with(&mut self, process: Principal) {
        let all = self.handles_of(process).filter(|(_, handle)| handle.is_closed);
        let closed: Vec<u64> = all.map(|(value, _)| value).collect();
        for value in closed {
            self.set_handle(process, value, None);
        }
    }

    /// What is said of a new handle: what its request says, or of an inherited one what is said of its parent's.
    /// A driver's request says it to the kernel alone, and so does whoever is no process.
    fn marks_due(&self, event: &Event) -> u8 {
        let creator = event.context;
        let thread = self.state.thread_on(creator, event.processor);
        let asking = self.state.asking(creator, thread);
        let is_heard = self.roster.kind(creator).is_process() && !asking.is_handed_over;
        let is_parents = event.subject != creator
            && !self.used_by(creator, thread).any(|used| used.object == event.virt);
        match self.handles.get(&(creator, event.value)) {
            _ if !is_heard => INHERIT,
            Some(source) if is_parents => source.marks,
            _ => asking.marks,
        }
    }

    pub(super) fn handle_used(&mut self, event: &Event) {
        let (user, owner) = (event.context, event.subject);
        let thread = self.state.thread_on(user, event.processor);
        if let PSEUDO | PSEUDO_THREAD = event.value {
            let is_theirs = owner == user || self.has_leave(user, thread, owner);
            let is_named = match event.value {
                PSEUDO => self.state.objects[usize::from(owner.0 & 63)] == event.virt,
                _ => self.state.is_thread(user, thread, event.virt),
            };
            if !is_named || !is_theirs {
                return self.false_claim(event, Falsehood::OtherObject, None);
            }
            let used = Use {
                context: user,
                thread,
                owner,
                value: event.value,
                object: event.virt,
                rights: u64::MAX,
            };
            keep(&mut self.uses, used);
            return;
        }
        let by_kernel = event.phys == 1;
        let is_process = self.roster.kind(user).is_process();
        let asking = self.state.asking(user, thread);
        let has_driver = !is_process || asking.is_handed_over;
        let asking = *asking;
        let taken = if has_driver || !asking.is_open { 0 } else { asking.taken };
        let is_own = owner == user || owner == Principal::KERNEL && by_kernel && has_driver;
        if is_process && !is_own && !self.has_leave(user, thread, owner) {
            self.false_claim(event, Falsehood::NoLeave, Some(owner));
        }
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
        if (event.old | taken) & !handle.rights != 0 && !(by_kernel && has_driver) {
            self.false_claim(event, Falsehood::RightsExceeded, Some(event.subject));
        }
        let Handle { object, rights, marks, .. } = handle;
        if !has_driver && asking.is_open && asking.changed.0 != 0 && owner == user {
            let (which, values) = asking.changed;
            let changed = Handle { marks: marks & !which | values, ..handle };
            self.set_handle(event.subject, event.value, Some(changed));
        }
        let used = Use { context: user, thread, owner, value: event.value, object, rights };
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
        let holders = holders.filter(|(_, _, handle)| !handle.is_closed);
        let holders: Vec<Principal> = holders.map(|(process, _, _)| process).collect();
        for holder in holders {
            self.false_claim(event, Falsehood::FreedWhileHeld, Some(holder));
        }
    }
}
