//! One case on a fresh instance, judged call by call.

mod allocations;
mod allowance;
mod ask;
mod end;
mod judge;
mod nested;
mod record;
mod registers;
mod start;

pub(crate) use allocations::{Allocations, occasion};
pub(crate) use allowance::{ACCESSES_MAX, begin};
pub(crate) use nested::{Nested, parts};

use core::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use super::breach::{Breach, Check, INTERFACE, Key};
use super::case::Case;
use super::checks::attributes::Kept;
use super::checks::equivalence::{self, RoundTrip};
use super::checks::request::{Answer, Before};
use super::checks::{marks, totality};
use super::declared::Told;
use super::disturb;
use super::factory::Factory;
use super::fault::{Fault, FaultKind};
use super::flat::Flat;
use super::format::Format;
use super::memory::{Event, Hosting, Memory, enter, leave};
use super::operation::{Call, Disturbance, Region};
use super::scene::Scene;
use super::stop::Stop;
use super::story::Story;
use super::subject::{Capabilities, Capability, Mapper, Refusal};
use super::tables::Leaf;
use crate::base::{Digest, TraceHash};
use record::Judged;
pub(crate) use record::Record;
pub(crate) use start::root_outside;

/// What a case came to.
#[derive(Default)]
pub(crate) struct Trial {
    pub(crate) breach: Option<Breach>,
    /// Calls made until then.
    pub(crate) calls: usize,
    pub(crate) tally: Tally,
    pub(crate) digest: Digest,
    pub(crate) story: Story,
    pub(crate) record: Record,
    pub(crate) allocations: Vec<Allocations>,
    flat: Flat,
    refused: u32,
    /// It ended at a known breach, before its last call: there is nothing to compare with.
    is_cut: bool,
}

/// What was seen, for the report.
#[derive(Clone, Default, Debug)]
pub(crate) struct Tally {
    pub(crate) calls: u64,
    pub(crate) refused: u64,
    pub(crate) stores: u64,
    pub(crate) strikes: [u64; 5],
    /// Lost invalidations that a check noticed.
    pub(crate) lost_noticed: u64,
    /// Names of calls that were done at least once.
    pub(crate) done: BTreeSet<&'static str>,
    pub(crate) tried: BTreeSet<&'static str>,
    pub(crate) has_pointers: bool,
    pub(crate) has_unseen_loads: bool,
    /// What answers about addresses held.
    pub(crate) told: Told,
    /// Documented refusals of other kinds, and how often.
    pub(crate) declined: BTreeMap<&'static str, u64>,
}

/// How a call ended.
pub(crate) type Outcome = Result<Result<Answer, Refusal>, Stop>;

/// How a case is run.
pub(crate) struct Setting<'a, 'f> {
    pub(crate) format: &'static dyn Format,
    pub(crate) factory: &'f dyn Factory<'f>,
    /// Findings that are known already: a run goes on over them where that proves anything.
    pub(crate) known: &'a BTreeSet<Key>,
    /// Every finding counts as known: it is run to see how far it gets.
    pub(crate) knows_all: bool,
    pub(crate) tells: bool,
    pub(crate) hosting: Hosting,
    /// Accesses to memory within one call at most.
    pub(crate) accesses_max: u32,
    /// Entries of the root that the code keeps for itself.
    pub(crate) reserved: &'a [u64],
}

struct Run<'a, 'f> {
    setting: &'a Setting<'a, 'f>,
    case: &'a Case,
    memory: Memory,
    scene: Scene,
    capabilities: Capabilities,
    trial: Trial,
    hash: TraceHash,
    /// Pages that somebody hid, where the code may count them as taken.
    taken: Vec<Region>,
    trip: Option<RoundTrip>,
    /// A known breach after which nothing can be proved.
    is_spoilt: bool,
    /// A known breach left the tables other than they should be: what later calls show follows from it.
    is_last_call: bool,
    judged: Option<Judged>,
}

impl Setting<'_, '_> {
    /// Runs a case; with ranges, also the same case page by page.
    pub(crate) fn run(&self, case: &Case, capabilities: Capabilities) -> Trial {
        let mut trial = self.run_once(case, capabilities);
        if trial.breach.is_none()
            && !trial.is_cut
            && trial.refused == 0
            && let Some(singles) = equivalence::in_singles(case)
        {
            super::guard::departs();
            let other = self.run_once(&singles, capabilities);
            if other.breach.is_none() && !other.is_cut && other.refused == 0 {
                let breach = equivalence::differs(&trial.flat, &other.flat);
                trial.breach = breach.filter(|breach| !self.known.contains(&breach.key()));
            }
        }
        trial
    }

    fn run_once(&self, case: &Case, capabilities: Capabilities) -> Trial {
        let memory = Memory::hosted(self.format, case.fault, self.hosting);
        enter(&memory);
        let mut run = Run {
            setting: self,
            case,
            memory: memory.clone(),
            scene: Scene::new(self.format, self.reserved),
            capabilities,
            trial: Trial::default(),
            hash: TraceHash::default(),
            taken: Vec::new(),
            trip: None,
            is_spoilt: false,
            is_last_call: false,
            judged: None,
        };
        run.scene.relaxed.uninvalidated = !capabilities.has(Capability::Invalidates);
        if self.format.has_barriers() && capabilities.has(Capability::Barriers) {
            run.scene.heed_barriers();
        }
        run.all();
        run.record();
        leave();
        memory.retire();
        let mut trial = run.trial;
        trial.digest = run.hash.digest();
        trial.flat = run.scene.flat;
        trial.is_cut = run.is_spoilt;
        if let Some(fault) = case.fault
            && let Some(count) = trial.tally.strikes.get_mut(fault.kind as usize)
        {
            *count += u64::from(memory.strikes());
        }
        trial.tally.has_pointers = memory.has_pointers();
        trial.tally.has_unseen_loads = memory.has_unseen_loads();
        trial
    }
}

impl Run<'_, '_> {
    fn all(&mut self) {
        self.memory.begin(self.setting.accesses_max);
        let during = Cell::new(totality::MAKING);
        let made = self.memory.attempt(|| {
            let mapper = self.setting.factory.make(self.memory.clone());
            during.set(totality::ROOT);
            let root = mapper.root();
            (mapper, root)
        });
        let (mut mapper, root) = match made {
            Ok(made) => made,
            Err(Stop::Panicked(..)) if self.memory.strikes() > 0 => return,
            Err(stop) => {
                self.report(totality::stopped(&stop, during.get(), self.setting.accesses_max));
                return;
            }
        };
        if let Some(breach) = root_outside(&self.memory, root) {
            self.report(Some(breach));
            return;
        }
        self.scene.root = root;
        self.memory.set_root(root);
        self.memory.compare_all();
        let events = self.memory.take_journal();
        let breaches = self.scene.follow(&events);
        self.scene.relist();
        self.scene.may_hold.clear();
        breaches.into_iter().for_each(|breach| self.report(Some(breach)));
        while let Some(call) = self.case.calls.get(self.trial.calls) {
            if self.is_over() {
                break;
            }
            self.trial.calls += 1;
            let goes_on = self.call(&mut *mapper, call);
            self.is_spoilt |= self.is_last_call;
            if !goes_on {
                break;
            }
        }
        self.drop(mapper);
    }

    fn is_over(&self) -> bool {
        self.is_spoilt || self.trial.breach.is_some()
    }

    /// Takes in a breach: the first one that is not known ends the run.
    fn report(&mut self, breach: Option<Breach>) {
        let Some(breach) = breach.filter(|_| !self.is_over()) else { return };
        let is_lost = |fault: Fault| fault.kind == FaultKind::LostInvalidation;
        if breach.rests_on_invalidation()
            && self.case.fault.is_some_and(is_lost)
            && self.memory.strikes() > 0
        {
            // The fault's doing and not the code's: counted, not told.
            self.trial.tally.lost_noticed += 1;
            self.is_spoilt = true;
            return;
        }
        if self.setting.knows_all || self.setting.known.contains(&breach.key()) {
            self.is_spoilt |= breach.is_final();
            self.is_last_call |= breach.spoils_tables();
        } else {
            self.trial.breach = Some(breach);
        }
    }

    /// One call. `false` when the instance can't be used any more.
    fn call(&mut self, mapper: &mut dyn Mapper, call: &Call) -> bool {
        if let Call::Disturb { which, how } = *call {
            self.disturb(which, how, mapper.own_bits());
            return true;
        }
        self.scene.begin(call);
        let listing = self.scene.listing.clone();
        let round_trip = RoundTrip::start(&self.scene, call);
        let at_hand = self.at_hand(call);
        let kept = Kept::begin(&self.scene, self.capabilities, mapper.own_bits());

        let allocated = self.memory.allocations();
        let accesses_max = begin(&self.memory, self.setting.accesses_max, call);
        super::guard::calls(self.trial.calls, call);
        let ended = self.memory.attempt(|| {
            let is_entered = at_hand.as_ref().is_none_or(|next| next.arm(&self.memory, mapper));
            let answer = perform(mapper, call);
            self.memory.disarm();
            (answer, is_entered)
        });
        if self.memory.is_armed() && !self.memory.is_given_up() {
            // It was ended half-way. What drops a second way in is code under test too, and may be ended again.
            let _ = self.memory.attempt(|| self.memory.disarm());
        }
        self.memory.disarm();
        self.memory.compare_all();
        let events = self.memory.take_journal();
        let numbers = allocated + 1..self.memory.allocations() + 1;
        if !numbers.is_empty() {
            self.trial.allocations.push(Allocations { call: call.name(), numbers });
        }
        self.trial.tally.calls += 1;
        self.trial.tally.tried.insert(call.name());
        self.trial.tally.stores +=
            events.iter().filter(|event| matches!(event, Event::Store { .. })).count() as u64;
        let is_entered = !matches!(ended, Ok((_, false)));
        let outcome = ended.map(|(answer, _)| answer);
        self.hash_outcome(&outcome);
        self.note_start(&events);

        let parts = nested::parts(&events);
        let mut nested = at_hand.filter(|_| parts.is_some()).map(|next| next.made(&outcome));
        let breaches = match (&mut nested, parts) {
            (Some(nested), Some(parts)) => self.follow_nested(nested, parts, mapper.tells_rights()),
            _ => self.scene.follow(&events),
        };
        if self.setting.tells {
            let told = (call, &outcome);
            self.trial.story.call(&self.scene, told, nested.as_ref(), &events, &listing);
        }
        let still = self.judge_stores(breaches);
        let misused = registers::misused(&self.memory, self.setting.format);
        self.report(misused.filter(|_| outcome.is_ok()));
        let unread = self.memory.take_unread().filter(|_| !self.scene.relaxed.altered);
        let lost = unread.and_then(|unread| marks::returned(&self.scene, call, &unread));
        self.report(lost.filter(|_| outcome.is_ok()));
        let is_kept = self.capabilities.has(Capability::KeepsAccessed);
        let accessed = self.memory.take_accessed();
        let accessed = accessed.filter(|_| is_kept && !self.scene.relaxed.altered);
        let lost = accessed.and_then(|accessed| marks::unaccessed(&self.scene, call, accessed));
        self.report(lost.filter(|_| outcome.is_ok()));
        if !is_entered {
            self.report(Some(undone("be entered twice", "reentry", "gives no second way in")));
        }
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(stop) => {
                self.judge_still(still);
                let is_excused =
                    stop == Stop::Endless && self.scene.relaxed.altered && *call == Call::CleanUp;
                if !is_excused {
                    let during = nested::during(call, nested.as_ref());
                    self.report(totality::stopped(&stop, &during, accesses_max));
                }
                if stop == Stop::Abandoned {
                    self.judge_abandoned();
                }
                return false;
            }
        };
        self.note_outcome(call, &outcome);
        self.report(unsupported(call.name(), &outcome));
        let taken = self.taken.clone();
        let own = nested.as_ref().and(parts).map(|[before, _, after]| [before, after].concat());
        self.judge_returned(
            call,
            &outcome,
            &Before { listing: &listing, taken: &taken },
            own.as_deref().unwrap_or(&events),
        );
        self.judge_still(still);
        if let (Call::Query { virt }, Ok(Answer::Mapping(told))) = (call, &outcome) {
            let breach = self.against_the_book(*virt, told.as_ref(), mapper.tells_rights());
            self.report(breach);
        }
        if nested.is_some() {
            self.trip = None;
        } else {
            self.judge_attributes(call, &kept);
            self.judge_emptied(call, &outcome, &listing, &events);
            self.judge_round_trip(call, &outcome, round_trip);
        }
        self.ask(mapper, call);
        if let Some(nested) = &nested {
            self.ask(mapper, &nested.call);
        }
        self.scene.flat.fold(|a, b| self.hash.absorb(a, b));
        true
    }

    /// Counts what came of a call.
    fn note_outcome(&mut self, call: &Call, outcome: &Result<Answer, Refusal>) {
        if outcome.is_ok() {
            self.trial.tally.done.insert(call.name());
            return;
        }
        self.trial.tally.refused += 1;
        self.trial.refused += 1;
        if let Err(Refusal::Declined(why)) = outcome {
            *self.trial.tally.declined.entry(why).or_default() += 1;
        }
    }

    fn hash_outcome(&mut self, outcome: &Outcome) {
        let text = match outcome {
            // Where a panic happened is not the same on every machine.
            Err(Stop::Panicked(..)) => "panicked".to_owned(),
            other => format!("{other:?}"),
        };
        self.hash.absorb_bytes(text.as_bytes());
    }

    fn disturb(&mut self, which: u64, how: Disturbance, own_bits: u64) {
        let reach = self.memory.reach();
        let change = disturb::choose(&self.scene, which, how, &reach, own_bits);
        let Some(change) = change else { return };
        let leaf = self.scene.listing.leaves.iter().find(|leaf| leaf.at == change.at).copied();
        self.memory.poke(change.at, change.new);
        self.scene.set(change.at, change.new);
        self.scene.relist();
        self.trip = None;
        match how {
            Disturbance::Flip(_) => {
                self.scene.relaxed.altered = true;
                self.memory.alter();
            }
            Disturbance::Hide if self.capabilities.has(Capability::MapsOverHidden) => {}
            Disturbance::Hide => {
                let region =
                    |leaf: Leaf| Region { first: leaf.first.page(), pages: leaf.size.frames() };
                self.taken.extend(leaf.map(region));
            }
            Disturbance::Mark | Disturbance::Decorate(_) => {}
        }
        if self.setting.tells {
            self.trial.story.disturbance(&self.scene, how, &change);
        }
    }
}

/// What is declared and refused as unsupported.
fn unsupported(name: &str, outcome: &Result<Answer, Refusal>) -> Option<Breach> {
    let is_one = *outcome == Err(Refusal::Unsupported);
    is_one.then(|| undone(name, name, "refuses it as unsupported"))
}

fn undone(what: &str, name: &str, how: &str) -> Breach {
    Breach {
        check: Check::Request,
        kind: format!("{name}: declared and not supported"),
        what: format!("declares that it can {what}, and {how}"),
        virt: None,
        rule: INTERFACE,
    }
}

/// Makes a call.
pub(crate) fn perform(mapper: &mut dyn Mapper, call: &Call) -> Result<Answer, Refusal> {
    let done = |()| Answer::Done;
    match *call {
        Call::Map { page, to, size, rights } => mapper.map(page, to, size, rights).map(done),
        Call::Unmap { page, size } => mapper.unmap(page, size).map(Answer::Unmapped),
        Call::Protect { page, size, rights } => mapper.protect(page, size, rights).map(done),
        Call::Query { virt } => mapper.query(virt).map(Answer::Mapping),
        Call::MapRange { first, to, bytes, rights } => {
            mapper.map_range(first, to, bytes, rights).map(done)
        }
        Call::UnmapRange { first, bytes } => mapper.unmap_range(first, bytes).map(done),
        Call::ProtectRange { first, bytes, rights } => {
            mapper.protect_range(first, bytes, rights).map(done)
        }
        Call::CleanUp => mapper.clean_up().map(done),
        Call::Disturb { .. } => Ok(Answer::Done),
    }
}
