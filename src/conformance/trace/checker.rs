//! Takes a trace line by line and judges each event.

use std::collections::{BTreeMap, BTreeSet};

use super::books::{Books, FRAMES_MAX, frames};
use super::event::{Action, Event, Mistake};
use super::finding::{Change, Finding};
use super::locks::Locks;
use super::sets::Written;
use super::spaces::{AddressSpace, Spaces};
use super::{casemate, own};
use crate::base::{Frame, PhysAddr};
use crate::conformance::breach::{Breach, Check};
use crate::conformance::format::aarch64;
use crate::conformance::format::regime::{self, Effect, Forget, Regime, Unknown, Waits, Whom};
use crate::conformance::may_hold::{MayHold, Notice, Parts, Processors, Space, Stamp};
use crate::conformance::tables::{Leaf, TableUse};

/// How a trace is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Language {
    /// As `docs/trace.md` describes it.
    Own,
    /// S-expressions of casemate.
    Casemate,
}

/// What is demanded beyond the architecture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Discipline {
    /// A table in use is written only under a lock; otherwise only where the trace names one.
    pub wants_locks: bool,
    /// A root has one identifier and an identifier one root, even where nothing can be remembered.
    pub pairs_roots: bool,
}

/// What was seen.
#[derive(Clone, Default, Debug)]
pub struct Tally {
    /// Lines, blank ones too.
    pub lines: u64,
    /// Stores.
    pub stores: u64,
    /// Stores to tables in use.
    pub table_stores: u64,
    /// Invalidations.
    pub invalidations: u64,
    /// Address spaces that were in use at some time.
    pub spaces: u64,
    /// Findings by check and kind.
    pub findings: BTreeMap<(Check, String), u64>,
    /// The check and kind of the first finding.
    pub first: Option<(Check, String)>,
    /// What another monitor said.
    pub verdict: Option<String>,
}

/// Judges a trace.
pub struct Checker {
    pub(super) language: Language,
    pub(super) discipline: Discipline,
    regime: Option<Box<dyn Regime>>,
    pub(super) books: Books,
    pub(super) spaces: Spaces,
    pub(super) locks: Locks,
    pub(super) may_hold: MayHold,
    /// When each processor's stores were last ordered.
    pub(super) ordered: BTreeMap<u16, u64>,
    /// Processors that had a root.
    pub(super) seen: Processors,
    /// Processors to which no leaf is global.
    pub(super) without_globals: Processors,
    /// When an operation of each processor returned last.
    pub(super) returned: BTreeMap<u16, u64>,
    /// Ways to tables of which it was told that they are held, or what they still lead to.
    pub(super) told: BTreeSet<(Space, TableUse)>,
    /// Sets of entries that were written to since an operation returned.
    pub(super) sets: BTreeSet<Written>,
    pub(super) now: Stamp,
    pub(super) findings: Vec<Finding>,
    pub(super) tally: Tally,
    pub(super) is_full: bool,
    effects: Vec<Effect>,
    /// Room for what one store removes and adds.
    pub(super) removed: Delta,
    pub(super) added: Delta,
}

/// Leaves and tables below one entry.
#[derive(Default)]
pub(super) struct Delta {
    pub(super) leaves: Vec<Leaf>,
    pub(super) tables: Vec<TableUse>,
}

impl Checker {
    /// A checker that has seen nothing.
    #[must_use]
    pub fn new(language: Language) -> Self {
        let is_strict = language == Language::Casemate;
        let mut checker = Self {
            language,
            discipline: Discipline { wants_locks: is_strict, pairs_roots: is_strict },
            regime: None,
            books: Books::default(),
            spaces: Spaces::default(),
            locks: Locks::default(),
            may_hold: MayHold::default(),
            ordered: BTreeMap::new(),
            seen: Processors::NONE,
            without_globals: Processors::NONE,
            returned: BTreeMap::new(),
            told: BTreeSet::new(),
            sets: BTreeSet::new(),
            now: Stamp::default(),
            findings: Vec::new(),
            tally: Tally::default(),
            is_full: false,
            effects: Vec::new(),
            removed: Delta::default(),
            added: Delta::default(),
        };
        if is_strict {
            checker.begin(Box::new(aarch64::Registers::new(aarch64::Reading::Lenient)));
        }
        checker
    }

    fn begin(&mut self, regime: Box<dyn Regime>) {
        self.may_hold.waits = regime.has_barriers();
        self.regime = Some(regime);
    }

    /// The manual's title for identifiers.
    pub(super) fn identifiers(&self) -> &'static str {
        self.regime.as_ref().map_or("", |regime| regime.identifiers())
    }

    /// What was seen so far.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How many withdrawn translations and ways to tables some processor may still hold.
    #[must_use]
    pub fn held(&self) -> usize {
        self.may_hold.leaves.all().count() + self.may_hold.ways.all().count()
    }

    /// Takes one line and gives what does not hold after it.
    ///
    /// # Errors
    ///
    /// The line can't be read; nothing of it counts.
    pub fn line(&mut self, line: &str) -> Result<&[Finding], Mistake> {
        self.tally.lines += 1;
        self.findings.clear();
        let event = match self.language {
            Language::Own => own::read(line)?,
            Language::Casemate => casemate::read(line)?,
        };
        if let Some(event) = event {
            self.now = Stamp { by: event.processor, time: self.tally.lines };
            self.event(&event)?;
            if self.is_full {
                let what = format!("the trace has more than {FRAMES_MAX} frames of tables");
                let whole = 0..line.len();
                let remedy =
                    "print only stores to tables, and `free` for tables that are given back";
                return Err(Mistake::new(whole, what, "fewer frames").help(remedy));
            }
        }
        Ok(&self.findings)
    }

    fn event(&mut self, event: &Event<'_>) -> Result<(), Mistake> {
        let word = |index: usize| event.words.get(index).cloned().unwrap_or(0..0);
        if let Action::Begin { architecture } = event.action {
            let Some(regime) = regime::named(architecture) else {
                let what = format!("no architecture has the name {architecture:?}");
                return Err(Mistake::new(word(2), what, regime::ARCHITECTURES));
            };
            if self.regime.is_some() {
                return Err(Mistake::new(word(0), "a trace begins once", "another event"));
            }
            self.begin(regime);
            return Ok(());
        }
        if self.regime.is_none() {
            let expected = "trace 1 aarch64, or trace 1 x86-64, as the first line";
            return Err(Mistake::new(
                word(0),
                "the trace does not say of which architecture it is",
                expected,
            )
            .help("for traces of casemate say --format casemate"));
        }
        match &event.action {
            Action::Begin { .. } | Action::Nothing => {}
            Action::Verdict { text } => self.tally.verdict = Some((*text).to_owned()),
            Action::Initialise { at, bytes } => {
                self.bounded(*at, *bytes, word(0))?;
                self.initialise(*at, *bytes);
            }
            Action::Word { at, value } => {
                let at = PhysAddr::truncated(*at);
                if self.books.get(at.frame()).is_some_and(|table| !table.uses.is_empty()) {
                    let what = "this word is in a table in use: what it held should be told before";
                    return Err(Mistake::new(word(0), what, "`word` before `set`, or `store`"));
                }
                self.books.hand_out(at.frame());
                match self.books.frame(at.frame()) {
                    None => self.is_full = true,
                    Some(table) => table.set(super::books::index(at), *value),
                }
            }
            Action::Store { at, value, is_release } => self.store(*at, *value, *is_release),
            Action::Fill { at, bytes, byte } => {
                self.bounded(*at, *bytes, word(0))?;
                let value = u64::from_ne_bytes([*byte; 8]);
                for at in (*at..at.saturating_add(*bytes)).step_by(8) {
                    self.store(at, value, false);
                }
            }
            Action::Load { at, value } => self.load(*at, *value),
            Action::Barrier { name, kind } => {
                let waits = self.regime.as_ref().map(|regime| regime.barrier(name, kind));
                let waits = waits.transpose().map_err(|unknown| told(&unknown, event))?;
                self.wait(waits.unwrap_or_default());
            }
            Action::Invalidate { name, operands } => {
                self.tally.invalidations += 1;
                let mut effects = core::mem::take(&mut self.effects);
                let by = self.now.by;
                let done = self
                    .regime
                    .as_mut()
                    .map(|regime| regime.invalidate(by, name, operands, &mut effects));
                self.apply(effects);
                done.transpose().map_err(|unknown| told(&unknown, event))?;
            }
            Action::Set { register, value } => {
                let mut effects = core::mem::take(&mut self.effects);
                let by = self.now.by;
                let done = self
                    .regime
                    .as_mut()
                    .map(|regime| regime.set(by, register, *value, &mut effects));
                self.apply(effects);
                done.transpose().map_err(|unknown| told(&unknown, event))?;
            }
            Action::Guard { root, lock } => self.locks.guard(PhysAddr::truncated(*root), *lock),
            Action::Own { at, processor } => {
                let at = PhysAddr::truncated(*at);
                let index = u16::try_from(super::books::index(at)).unwrap_or(0);
                if let Some(table) = self.books.get_mut(at.frame()) {
                    let _ = u16::try_from(*processor).map(|who| table.owned.insert(index, who));
                }
            }
            Action::Lock { lock, is_nested } => self.lock(*lock, *is_nested),
            Action::Unlock { lock } => self.unlock(*lock),
            Action::Release { at } => self.release(PhysAddr::truncated(*at).frame(), "releases"),
            Action::Free { at, bytes } => self.free(*at, *bytes),
            Action::Allocate { at, bytes } => self.allocate(*at, *bytes),
            Action::Done => self.done(),
        }
        Ok(())
    }

    /// A range of a size that can be remembered.
    fn bounded(&self, at: u64, bytes: u64, word: core::ops::Range<usize>) -> Result<(), Mistake> {
        let (Frame(first), Frame(end)) = frames(at, bytes);
        if end.saturating_sub(first) <= FRAMES_MAX as u64 && at.checked_add(bytes).is_some() {
            return Ok(());
        }
        let what = format!("{bytes:#x} bytes from {at:#x} are more than is remembered");
        let expected = format!("at most {FRAMES_MAX} frames of tables");
        Err(Mistake::new(word, what, expected))
    }

    fn apply(&mut self, mut effects: Vec<Effect>) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Load(root) => self.switch(&root),
                Effect::Unload(slot) => {
                    let by = Processors::one(self.now.by);
                    for (_, space) in self.spaces.iter_mut().filter(|(_, held)| held.slot == slot) {
                        space.loaded = space.loaded.without(by);
                    }
                }
                Effect::HeedsGlobal(heeds) => {
                    let by = Processors::one(self.now.by);
                    let others = self.without_globals.without(by);
                    self.without_globals = if heeds { others } else { others.and(by) };
                }
                Effect::Forget(forget) => self.forget(&forget),
                Effect::Wait(waits) => self.wait(waits),
                Effect::Reserved(what, rule) => {
                    let kind = "reserved bits of a root register".to_owned();
                    let breach = Breach { check: Check::Identifiers, kind, what, virt: None, rule };
                    self.report(breach, None, None, None);
                }
            }
        }
        self.effects = effects;
    }

    fn whom(&self, whom: Whom) -> Processors {
        match whom {
            Whom::Own => Processors::one(self.now.by),
            Whom::All => Processors::ALL,
        }
    }

    fn wait(&mut self, waits: Waits) {
        let by = self.now.by;
        if waits.orders {
            self.ordered.insert(by, self.now.time);
        }
        if let Some(whom) = waits.shows {
            let whom = self.whom(whom);
            let locks = &self.locks;
            self.may_hold.show(&|stored| locks.knows(by, stored), whom);
        }
        if let Some(whom) = waits.completes {
            self.may_hold.complete(by, self.whom(whom));
        }
    }

    fn forget(&mut self, forget: &Forget) {
        let whom = self.whom(forget.whom);
        let parts = Parts { entry: !forget.combined_only, combined: !forget.entries_only };
        let notice = Notice { by: self.now.by, whom, parts };
        // Only who issues it is asked: an architecture in which it is told to others has no such switch.
        let heeds_global = !self.without_globals.has(self.now.by);
        let is_of = |space: &AddressSpace, is_global: bool| {
            let is_global = is_global && heeds_global;
            let is_slot = forget.slots & space.slot.mask() != 0;
            let is_tagged = forget.tag.is_none_or(|tag| tag == space.tag);
            is_slot && if is_global || space.is_common { forget.globals } else { is_tagged }
        };
        let spaces = &self.spaces;
        let is_meant = |space: Space, is_global: bool, level: Option<u8>| {
            let is_level = forget.level.is_none() || level.is_none() || forget.level == level;
            is_level && spaces.get(space).is_some_and(|space| is_of(space, is_global))
        };
        self.may_hold.tell(notice, forget.range, &is_meant, forget.ways);
        if forget.range.is_some() || forget.combined_only || forget.entries_only {
            return;
        }
        let mut empty = Vec::new();
        for (number, space) in self.spaces.iter_mut().filter(|(_, space)| is_of(space, false)) {
            space.active = space.active.without(whom).and(space.loaded);
            if space.is_retired && space.active.is_empty() {
                empty.push(number);
            }
        }
        empty.into_iter().for_each(|space| self.spaces.remove(space));
    }

    /// Takes in what does not hold.
    pub(super) fn report(
        &mut self,
        breach: Breach,
        change: Option<Change>,
        since: Option<Stamp>,
        format: Option<&'static str>,
    ) {
        *self.tally.findings.entry(breach.key()).or_default() += 1;
        self.tally.first.get_or_insert_with(|| breach.key());
        let name = self.regime.as_ref().map_or("", |regime| regime.name());
        self.findings.push(Finding {
            breach,
            processor: self.now.by,
            line: self.now.time,
            change,
            since: since.map(|stamp| (stamp.time, stamp.by)),
            format: format.unwrap_or(name),
        });
    }

    fn lock(&mut self, lock: u64, is_nested: bool) {
        let by = self.now.by;
        if let Some(holder) = self.locks.lock(lock, by, is_nested) {
            let what = format!("takes the lock {lock:#x}, which processor {holder} holds");
            self.report(lock_breach("a lock is held twice", what), None, None, None);
        }
    }

    fn unlock(&mut self, lock: u64) {
        if !self.locks.unlock(lock, self.now.by, self.now.time) {
            let what = format!("gives back the lock {lock:#x}, which it does not hold");
            self.report(lock_breach("a lock is given back by another", what), None, None, None);
        }
    }
}

pub(super) fn lock_breach(kind: &str, what: String) -> Breach {
    let rule = "the trace's own lines: a table is written under the lock that guards it";
    Breach { check: Check::Locks, kind: kind.to_owned(), what, virt: None, rule }
}

fn told(unknown: &Unknown, event: &Event<'_>) -> Mistake {
    let words = &event.words;
    let index = (2 + unknown.operand).min(words.len().saturating_sub(1));
    let at = words.get(index).cloned().unwrap_or(0..0);
    Mistake::new(at, unknown.what.clone(), unknown.expected)
}
