//! The least of a case that ends its process: each try in a child of its own.
//!
//! A case is not written down for a child. The search for the least is deterministic, so a child is told
//! which of the tries before ended a child and which did not, makes the same search with these answers, and runs
//! the first candidate that has none.
//!
//! The budget is 200 children. One that makes no progress costs what is waited for it, so a try may run or sleep
//! for half a second, and take 512 MiB, and of those that come to that there are 20 at most; what is left makes no
//! progress for as long as was asked for, or takes all of what it may, or nothing is told to be less.

use core::fmt::{self, Write as _};
use core::time::Duration;
use std::process::exit;

use super::guard::{self, Guard, Place};
use super::isolate::{self, Death, Limits};
use super::options::Options;
use super::report::Report;
use super::search::{Search, stream};
use crate::minimise::{Budget, Extent};

/// Children that one death may take.
const BUDGET: Budget = Budget { trials_max: 200 };

/// Those among them that may die of what takes its time.
const SLOW_MAX: u32 = 20;

/// What ends a try that gets nowhere: between two steps of the suite there are some milliseconds.
const STOOD_MAX: Duration = Duration::from_millis(500);
const MEMORY_MIB_MAX: u64 = 512;

/// What a child is told: the case of the death, and how the tries before came out.
pub(super) struct Script {
    place: Place,
    nth: Option<u32>,
    call: usize,
    died: Vec<bool>,
}

impl Script {
    fn of(death: &Death) -> Self {
        Self { place: death.place, nth: death.nth, call: death.call, died: Vec::new() }
    }

    /// That of this process, if it is such a child.
    fn read() -> Option<Self> {
        let text = isolate::script()?;
        let mut fields = text.split(' ');
        let place = match fields.next()? {
            "-" => Place::Given,
            seed => Place::Seed(seed.parse().ok()?),
        };
        let nth = fields.next()?.parse().ok().filter(|nth| *nth > 0);
        let call = fields.next()?.parse().ok()?;
        let died = fields.next()?.bytes().map(|answer| answer == b'1').collect();
        Some(Self { place, nth, call, died })
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.seed() {
            Some(seed) => write!(f, "{seed}")?,
            None => f.write_char('-')?,
        }
        write!(f, " {} {} ", self.nth.unwrap_or(0), self.call)?;
        self.died.iter().try_for_each(|died| f.write_char(if *died { '1' } else { '0' }))
    }
}

/// The case in which a process died. It is not run.
pub(super) fn case<S: Search>(
    search: &S,
    (place, nth): (Place, Option<u32>),
    report: &Report,
    given: impl FnOnce(&Report, Option<u32>) -> S::Case,
) -> S::Case {
    match place.seed() {
        Some(seed) => search.planned(&mut stream::<S>(seed), nth, report),
        None => given(report, nth),
    }
}

/// A case that still ends its process as another did, and is less.
pub(super) struct Least<C> {
    pub(super) case: C,
    pub(super) extent: Extent,
    pub(super) children: u32,
    /// How the child of that case died.
    pub(super) death: Death,
}

/// `None` when the case alone does not.
pub(super) fn least<S: Search>(
    search: &S,
    case: S::Case,
    death: &Death,
    patience: Duration,
    report: &Report,
) -> Option<Least<S::Case>> {
    let mut script = Script::of(death);
    let (mut slow, mut is_cut) = (0, false);
    let limits = Limits { patience, stood: STOOD_MAX.min(patience), memory_mib: MEMORY_MIB_MAX };
    let minimal = search.least((case, death.call), BUDGET, report, |_| {
        is_cut |= slow >= SLOW_MAX;
        if is_cut {
            return None;
        }
        let died = isolate::trial(limits, Some(&script));
        slow += u32::from(died.as_ref().is_some_and(|died| died.manner.is_slow()));
        let died = died.filter(|died| died.is_like(death));
        script.died.push(died.is_some());
        died
    })?;
    let mut least = Least {
        case: minimal.value,
        extent: if is_cut { Extent::BudgetHit } else { minimal.extent },
        children: u32::try_from(script.died.len()).unwrap_or(u32::MAX),
        death: minimal.evidence,
    };
    if least.death.manner.is_slow() {
        let last = script.died.iter().rposition(|died| *died)?;
        script.died.truncate(last);
        let died = isolate::trial(Limits::told(patience), Some(&script));
        least.death = died.filter(|died| died.is_like(death))?;
        least.children += 1;
    }
    Some(least)
}

/// Makes one try, if this process is a child that was started for it, and ends it then: what else the test does is
/// nobody's question.
pub(super) fn attempt<S: Search>(
    search: &S,
    options: &Options,
    given: impl FnOnce(&Report, Option<u32>) -> S::Case,
) -> impl FnOnce(&Report, Option<u32>) -> S::Case {
    let Some(script) = Script::read() else { return given };
    let guard = Guard::begin(options);
    let mut report = Report::empty(0);
    if search.begin(&mut report).is_ok() {
        let case = case(search, (script.place, script.nth), &report, given);
        let mut answers = script.died.iter();
        let mut is_made = false;
        let _ = search.least((case, script.call), BUDGET, &report, |candidate| {
            if let Some(died) = answers.next() {
                return died.then_some(());
            }
            if !is_made {
                is_made = true;
                guard::begins(script.place.seed());
                script.nth.into_iter().for_each(guard::strikes_at);
                search.exercise(candidate, &report);
            }
            None
        });
    }
    drop(guard);
    exit(0)
}
