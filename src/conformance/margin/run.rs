//! A case, call by call and store by store.

use core::cell::Cell;

use super::faults::{self, Books};
use super::flips::{self, Flips};
use super::{CallMargins, Instant, Instants};
use crate::base::PhysAddr;
use crate::conformance::breach::Breach;
use crate::conformance::case::Case;
use crate::conformance::checks::{marks, totality};
use crate::conformance::fault::{Fault, FaultKind};
use crate::conformance::flat::Flat;
use crate::conformance::guard;
use crate::conformance::memory::{Event, Memory, StoreKind, enter, leave};
use crate::conformance::operation::Call;
use crate::conformance::run::{Setting, begin, perform, root_outside};
use crate::conformance::scene::Scene;
use crate::conformance::stop::Ended;
use crate::conformance::subject::{Capabilities, Capability, Mapper};

/// An instance under way.
struct Instance<'f> {
    mapper: Box<dyn Mapper + 'f>,
    memory: Memory,
    scene: Scene,
    /// Stores over live entries since the root was known: the occasions of a concurrent walk.
    live_stores: u32,
}

/// Why there is no instance.
pub(crate) enum Unmade {
    /// Making it was ended.
    Stopped(Ended),
    /// Its root is outside of memory.
    Outside(Breach),
}

/// What a call did.
struct Done {
    events: Vec<Event>,
    /// It reported success.
    is_done: bool,
    /// Why the instance can't go on.
    stopped: Option<String>,
}

impl<'f> Instance<'f> {
    /// Made, and its first stores followed.
    fn new(
        setting: &Setting<'_, 'f>,
        fault: Option<Fault>,
        capabilities: Capabilities,
    ) -> Result<Self, Unmade> {
        let memory = Memory::hosted(setting.format, fault, setting.hosting);
        enter(&memory);
        memory.begin(setting.accesses_max);
        let during = Cell::new(totality::MAKING);
        let made = memory.attempt(|| {
            let mapper = setting.factory.make(memory.clone());
            during.set(totality::ROOT);
            let root = mapper.root();
            (mapper, root)
        });
        let (mapper, root) = made.map_err(|stop| {
            leave();
            Unmade::Stopped(Ended { stop, during: during.get() })
        })?;
        if let Some(breach) = root_outside(&memory, root) {
            leave();
            return Err(Unmade::Outside(breach));
        }
        let mut scene = Scene::new(setting.format, setting.reserved);
        scene.relaxed.uninvalidated = !capabilities.has(Capability::Invalidates);
        if setting.format.has_barriers() && capabilities.has(Capability::Barriers) {
            scene.heed_barriers();
        }
        scene.root = root;
        memory.set_root(root);
        memory.compare_all();
        scene.follow(&memory.take_journal());
        scene.relist();
        scene.may_hold.clear();
        Ok(Self { mapper, memory, scene, live_stores: 0 })
    }

    /// Makes a call. The scene stands at its beginning.
    fn call(&mut self, call: &Call, accesses_max: u32) -> Done {
        self.scene.begin(call);
        let accesses_max = begin(&self.memory, accesses_max, call);
        guard::calls(0, call);
        let outcome = self.memory.attempt(|| perform(&mut *self.mapper, call));
        self.memory.compare_all();
        let events = self.memory.take_journal();
        let is_done = matches!(outcome, Ok(Ok(_)));
        let ended =
            outcome.err().and_then(|stop| totality::stopped(&stop, call.name(), accesses_max));
        Done {
            events,
            is_done,
            stopped: ended.map(|breach| breach.what.replace(['\n', '\r'], " ")),
        }
    }

    /// The end of an instance, which nobody judges here.
    fn end(self, accesses_max: u32) {
        let Self { mapper, memory, .. } = self;
        if memory.is_given_up() {
            core::mem::forget(mapper);
        } else {
            memory.begin(accesses_max);
            // However that ends, it is over.
            let _ = memory.attempt(|| drop(mapper));
        }
        leave();
        memory.retire();
    }
}

/// The margins of each call of a case, disturbances left out.
pub(crate) fn of_case(
    setting: &Setting<'_, '_>,
    case: &Case,
    capabilities: Capabilities,
) -> Result<Vec<CallMargins>, Unmade> {
    let mut margins = Vec::new();
    let mut instance = Instance::new(setting, None, capabilities)?;
    for (number, call) in (1u32..).zip(&case.calls) {
        let done = instance.call(call, setting.accesses_max);
        let mut walks = |nth, at| {
            if !capabilities.has(Capability::HardwareMarks) {
                return None;
            }
            let memory = instance.memory.clone();
            let loses = loses_mark(setting, case, capabilities, (number, nth, at));
            enter(&memory);
            loses
        };
        let stopped = done.stopped.clone();
        let told = CallMargins { number, call: call.to_string(), instants: Vec::new(), stopped };
        let mut judged = Judged { told, flips: None };
        let live_stores = &mut instance.live_stores;
        judged.call(&mut instance.scene, call, &done, live_stores, &mut walks);
        margins.push(judged.told);
        if done.stopped.is_some() {
            break;
        }
    }
    instance.end(setting.accesses_max);
    Ok(margins)
}

/// Runs the case up to this call, with another processor at the `nth` store over a live entry, which is at
/// `at`: what is lost.
fn loses_mark(
    setting: &Setting<'_, '_>,
    case: &Case,
    capabilities: Capabilities,
    (number, nth, at): (u32, u32, PhysAddr),
) -> Option<String> {
    let fault = Fault { kind: FaultKind::HardwareWalk, nth };
    let mut instance = Instance::new(setting, Some(fault), capabilities).ok()?;
    let mut lost = None;
    for (own, call) in (1u32..=number).zip(&case.calls) {
        let done = instance.call(call, setting.accesses_max);
        instance.scene.follow(&done.events);
        if own == number {
            lost = done.events.iter().find_map(|event| match event {
                Event::LostMark { at: lost, bits } if *lost == at => Some(format!(
                    "bits {bits:#x} that another processor sets in the entry at {:#x} are overwritten",
                    at.raw()
                )),
                _ => None,
            });
            let unread = instance.memory.take_unread();
            let gone = unread.and_then(|unread| marks::returned(&instance.scene, call, &unread));
            lost = lost.or_else(|| gone.map(|breach| breach.what));
        }
        if done.stopped.is_some() {
            break;
        }
    }
    instance.end(setting.accesses_max);
    lost
}

/// The instants of one call as they are judged.
struct Judged {
    told: CallMargins,
    /// The flips of the tables as they are, while nothing changes them.
    flips: Option<Flips>,
}

impl Judged {
    fn call(
        &mut self,
        scene: &mut Scene,
        call: &Call,
        done: &Done,
        live_stores: &mut u32,
        walks: &mut dyn FnMut(u32, PhysAddr) -> Option<String>,
    ) {
        let (before, requested) = (scene.before.clone(), scene.requested.clone());
        let meanwhile: [&Flat; 2] = [&before, &requested];
        let returned: &Books<'_> = match (done.is_done, call.is_range()) {
            (true, _) => &[&requested],
            (false, true) => &meanwhile,
            (false, false) => &[&before],
        };
        let is_clean = faults::at_the_end(scene, &done.events, returned).is_none();
        let mut rest: &[Event] = &done.events;
        let mut number = 0;
        loop {
            let stores = if number == 0 { 0 } else { stores_at_once(rest) };
            let (together, behind) = rest.split_at(stores);
            let between = behind.iter().take_while(|event| !is_store(event)).count();
            let (between, next) = behind.split_at(between);
            *live_stores += u32::from(together.iter().any(|event| is_live(scene, event)));
            let changed = has_changed_tables(scene, together);
            let mut breach = faults::of_events(&scene.follow(together));
            if changed {
                self.flips = None;
            }
            let mut instant = self.instant(scene, &meanwhile, number);
            if number > 0 {
                instant.add(1, faults::abandoned(scene));
            }
            for (index, event) in between.iter().enumerate() {
                if let (Event::Invalidate { .. }, true) = (event, is_clean) {
                    let onwards = done.events.len() - next.len() - between.len() + index;
                    let onwards = done.events.get(onwards..).unwrap_or_default();
                    instant.add(0, faults::lost(scene, onwards, returned));
                }
                let breaches = scene.follow(core::slice::from_ref(event));
                breach = breach.or_else(|| faults::of_events(&breaches));
                breach = breach.or_else(|| faults::breach(scene, &meanwhile));
            }
            if let Some(event @ Event::Store { at, .. }) = next.first()
                && is_live(scene, event)
            {
                instant.add(2, walks(*live_stores + 1, *at));
            }
            instant.breach = instant.breach.or(breach);
            self.told.push(instant);
            if next.is_empty() {
                break;
            }
            rest = next;
            number += 1;
        }
        self.flips = None;
        let mut instant = self.instant(scene, returned, 0);
        instant.when = if done.stopped.is_none() { Instants::Return } else { Instants::Stopped };
        self.told.push(instant);
        let listing = scene.listing.clone();
        scene.may_hold.settle(&listing);
    }

    /// The state of the machine and the flips of its tables.
    fn instant(&mut self, scene: &Scene, books: &Books<'_>, number: u32) -> Instant {
        let flips = self.flips.get_or_insert_with(|| flips::all(scene, books)).clone();
        let witnesses = [None, None, None, flips.witness];
        Instant {
            when: Instants::After { first: number, last: number },
            breach: faults::breach(scene, books),
            faults: [0, 0, 0, flips.count],
            witnesses,
        }
    }
}

impl Instant {
    fn add(&mut self, kind: usize, told: Option<String>) {
        if let (Some(told), Some(count), Some(witness)) =
            (told, self.faults.get_mut(kind), self.witnesses.get_mut(kind))
        {
            *count += 1;
            witness.get_or_insert(told);
        }
    }
}

const fn is_store(event: &Event) -> bool {
    matches!(event, Event::Store { .. } | Event::StrayStore { .. })
}

/// How many of these events are the next store: those found by comparison have no order.
fn stores_at_once(events: &[Event]) -> usize {
    let is_found = |event: &&Event| matches!(event, Event::Store { kind: StoreKind::Found, .. });
    events.iter().take_while(is_found).count().max(1).min(events.len())
}

/// Whether a store is an occasion of a concurrent walk.
fn is_live(scene: &Scene, event: &Event) -> bool {
    let Event::Store { at, old, kind, .. } = event else { return false };
    !matches!(kind, StoreKind::Found | StoreKind::Hardware)
        && old & scene.format.valid_bit() != 0
        && scene.listing.use_of(at.frame()).is_some()
}

/// Whether these stores change what a walk reads.
fn has_changed_tables(scene: &Scene, events: &[Event]) -> bool {
    events.iter().any(|event| match event {
        Event::Store { at, old, new, .. } => {
            old != new && scene.listing.use_of(at.frame()).is_some()
        }
        _ => false,
    })
}
