//! The injection points that a configuration reaches, by keys that mean the same in another one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::{Principal, PrincipalKind};
use crate::faults::{self, Kind, Parameters, PlannedFault, Reached, at_of, is_worth_it};
use crate::injection::{PointKind, PointRecord};
use crate::machine::Program;
use crate::scenario::Varied;
use crate::world::Rest;
use crate::world::configuration::Component;
use crate::world::directory::{Directory, Target};

use super::super::trial::{Registries, Trial, TrialError};
use super::counts::Cannot;

/// A caller of what is asked for by a request, whatever hands requests over at a home.
const REQUEST: &str = "a request";
/// A caller that there is at boot only.
const BOOT: &str = "boot";
/// No routine that is known, as a device has none.
const NOWHERE: &str = "";

/// What a golden run of one configuration reaches.
pub(super) struct Golden {
    pub(super) varied: Varied,
    pub(super) records: Vec<PointRecord>,
    reached: Reached,
    program: Arc<Program>,
    directory: Directory,
    /// What runs at boot of the component under test.
    boots_in: Option<&'static str>,
    /// Names that mean somebody else at another home.
    tied: Vec<String>,
    /// The first invariant that it violates by itself.
    pub(super) violated: Option<&'static str>,
    /// How its run ends.
    pub(super) rest: Rest,
}

impl Golden {
    /// Runs a configuration without a fault.
    pub(super) fn of(varied: Varied, registries: &Registries) -> Result<Self, TrialError> {
        let trial = Trial::new(&varied.scenario, registries)?;
        let component = |name: &str| {
            varied.scenario.configuration.components.iter().find(|one| one.name == name)
        };
        let own: Option<&Component> = varied.component.as_deref().and_then(component);
        let boots_in = own.and_then(|own| {
            let drivers = registries.drivers();
            let name = own.driver.as_deref()?;
            let driver = drivers.kernel.iter().find(|driver| driver.name == name)?;
            driver.dispatch.entry.map(|routine| routine.name)
        });
        let mut tied: Vec<String> = own.iter().map(|own| own.name.clone()).collect();
        tied.extend(varied.runs_in().map(str::to_owned));
        tied.extend(own.and_then(|own| own.above.clone()));
        tied.sort_unstable();
        tied.dedup();
        let Trial { world, golden, directory, .. } = trial;
        Ok(Self {
            reached: Reached::new(&golden.points),
            records: golden.points,
            program: Arc::clone(&world.machine.program),
            directory,
            boots_in,
            tied,
            violated: golden.violations.first().map(|one| one.invariant),
            rest: golden.rest,
            varied,
        })
    }

    fn routine(&self, number: u16) -> &'static str {
        let found = self.program.routines().get(usize::from(number));
        found.map_or(NOWHERE, |linked| linked.routine.name)
    }

    fn step(&self, record: &PointRecord) -> &'static str {
        let found = self.program.routines().get(usize::from(record.routine));
        let step = found.and_then(|linked| linked.routine.steps.get(usize::from(record.step)));
        step.map_or(NOWHERE, |step| step.name)
    }

    /// Who runs the component under test.
    fn runner(&self) -> Option<Principal> {
        self.directory.roster().named(self.varied.runs_in()?)
    }

    /// The routines in which the component under test reaches points.
    fn own_routines(&self) -> BTreeSet<&'static str> {
        let runner = self.runner();
        let own = self.records.iter().filter(|record| Some(record.principal) == runner);
        let numbers: BTreeSet<u16> = own.map(|record| record.routine).collect();
        numbers.into_iter().map(|number| self.routine(number)).collect()
    }

    /// The routine of the boot, where the work that is the same at every home is done for requests too. A
    /// machine that never gets that far does at boot what another home does for the first request: the same
    /// work, the how-manieth time.
    fn boots_beside_requests(&self, shared: &BTreeSet<&str>) -> Option<&'static str> {
        let (entry, runner) = (self.boots_in?, self.runner()?);
        let own = self.records.iter().filter(|record| record.principal == runner);
        let mut of_requests = own.filter(|record| {
            let (name, caller) = (self.routine(record.routine), self.routine(record.caller));
            shared.contains(name) && caller != entry && !shared.contains(caller)
        });
        of_requests.next().map(|_| entry)
    }

    /// The fault of a kind at one of its points.
    pub(super) fn plan(&self, kind: &Kind, record: usize, parameters: Parameters) -> PlannedFault {
        let at = &self.records[record];
        let same = self.reached.of(at.principal, at.kind);
        PlannedFault {
            kind: kind.name.to_owned(),
            who: self.directory.roster().name(at.principal).to_owned(),
            at: at_of(at, same, &|number| self.program.unambiguous_name(number)),
            recurrence: kind.recurrence,
            parameters,
        }
    }

    /// Draws what a fault is told at one of its points.
    pub(super) fn parameters(
        &self,
        stream: &mut crate::base::Stream,
        kind: &Kind,
        record: usize,
    ) -> Parameters {
        (kind.draw)(stream, &self.records[record], &self.directory)
    }

    /// Whether what these parameters, drawn in `other`, name is the same here.
    pub(super) fn has(
        &self,
        other: &Self,
        kind: &Kind,
        parameters: &Parameters,
        registry: &faults::Registry,
    ) -> Result<(), Cannot> {
        let owner = match &parameters.target {
            Some(Target::Named { owner, .. }) => Some(owner),
            _ => None,
        };
        let mut named = owner.into_iter().chain(&parameters.process);
        let is_tied = |name: &String| self.tied.contains(name) || other.tied.contains(name);
        if self.tied != other.tied && named.any(is_tied) {
            return Err(Cannot::NoSuchPlace);
        }
        let made = registry.build(kind.name, parameters, &self.directory);
        made.map(drop).map_err(|_| Cannot::NoSuchPlace)
    }
}

/// An injection point by what it is in every configuration: who, what is about to happen, in which step
/// of which routine, called from where, and the how-manieth such.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key {
    pub(super) role: u16,
    pub(super) point: PointKind,
    routine: u16,
    caller: u16,
    step: u16,
    nth: u32,
}

/// Names as numbers, in the order in which they were met.
#[derive(Default)]
struct Names(BTreeMap<String, u16>, Vec<String>);

impl Names {
    fn number(&mut self, name: &str) -> u16 {
        if let Some(&number) = self.0.get(name) {
            return number;
        }
        let number = u16::try_from(self.1.len()).expect("few names");
        self.0.insert(name.to_owned(), number);
        self.1.push(name.to_owned());
        number
    }
}

/// The points of every configuration of one world, keyed.
pub(super) struct Keyed {
    names: Names,
    /// Of which kind a role is where it is first.
    pub(super) roles: Vec<PrincipalKind>,
    /// Of each configuration, for each of its points.
    pub(super) keys: Vec<Vec<Option<Key>>>,
    sorted: Vec<Vec<(Key, u32)>>,
}

impl Keyed {
    /// Keys the points of these configurations; those of the component under test only, where there is
    /// one.
    pub(super) fn new(all: &[Arc<Golden>]) -> Self {
        let kinds: BTreeSet<Option<PrincipalKind>> = all
            .iter()
            .map(|golden| golden.runner().map(|who| golden.directory.roster().kind(who)))
            .collect();
        // What hands requests over is other code at each home; what works on them is the same.
        let shared = (kinds.len() > 1).then(|| {
            let mut each = all.iter().map(|golden| golden.own_routines());
            let first = each.next().unwrap_or_default();
            each.fold(first, |shared, own| shared.intersection(&own).copied().collect())
        });
        let mut keyed = Self {
            names: Names::default(),
            roles: Vec::new(),
            keys: Vec::new(),
            sorted: Vec::new(),
        };
        let mut roles = Names::default();
        for golden in all {
            let roster = golden.directory.roster();
            let runner = golden.runner();
            let role_of: Vec<Option<u16>> = roster
                .iter()
                .map(|(principal, entry)| match (&golden.varied.component, runner) {
                    (None, _) => Some(roles.number(&entry.name)),
                    (Some(_), Some(runner)) if runner == principal => Some(roles.number("")),
                    _ => None,
                })
                .collect();
            for (role, (_, entry)) in role_of.iter().zip(roster.iter()) {
                if role.is_some_and(|role| usize::from(role) == keyed.roles.len()) {
                    keyed.roles.push(entry.kind);
                }
            }
            let keys = keyed.keys_of(golden, &role_of, shared.as_ref());
            let mut sorted: Vec<(Key, u32)> =
                (0..).zip(&keys).filter_map(|(number, key)| Some(((*key)?, number))).collect();
            sorted.sort_unstable();
            keyed.keys.push(keys);
            keyed.sorted.push(sorted);
        }
        keyed
    }

    fn keys_of(
        &mut self,
        golden: &Golden,
        role_of: &[Option<u16>],
        shared: Option<&BTreeSet<&'static str>>,
    ) -> Vec<Option<Key>> {
        let mut seen = BTreeMap::<Key, u32>::new();
        let boots_in = shared.and_then(|shared| golden.boots_beside_requests(shared));
        let numbers = |names: &mut Names, golden: &Golden, number: u16| {
            let name = golden.routine(number);
            let is_own = |own: &BTreeSet<&str>| own.contains(name) || name == NOWHERE;
            let caller = match boots_in {
                _ if shared.is_none_or(is_own) => name,
                Some(entry) if entry == name => BOOT,
                _ => REQUEST,
            };
            (names.number(name), names.number(caller))
        };
        let mut known = BTreeMap::<u16, (u16, u16)>::new();
        let mut steps = BTreeMap::<(u16, u8), u16>::new();
        let key_of = |record: &PointRecord| {
            let role = role_of.get(usize::from(record.principal.0)).copied().flatten()?;
            let mut number = |number: u16| {
                *known.entry(number).or_insert_with(|| numbers(&mut self.names, golden, number))
            };
            let ((routine, _), (_, caller)) = (number(record.routine), number(record.caller));
            let step = *steps
                .entry((record.routine, record.step))
                .or_insert_with(|| self.names.number(golden.step(record)));
            let first = Key { role, point: record.kind, routine, caller, step, nth: 0 };
            let nth = seen.entry(first).or_default();
            *nth += 1;
            // What is not worth a fault is counted all the same.
            is_worth_it(record).then_some(Key { nth: *nth, ..first })
        };
        golden.records.iter().map(key_of).collect()
    }

    /// The place of a point in a configuration; `None` where it has none such.
    pub(super) fn find(&self, configuration: usize, key: Key) -> Option<usize> {
        let sorted = &self.sorted[configuration];
        let place = sorted.binary_search_by_key(&key, |(key, _)| *key).ok()?;
        usize::try_from(sorted[place].1).ok()
    }

    /// How many points of the load a configuration reaches.
    pub(super) fn count(&self, configuration: usize) -> u64 {
        self.sorted[configuration].len() as u64
    }

    /// A key in words.
    pub(super) fn in_words(&self, key: Key) -> String {
        let name = |number: u16| self.names.1.get(usize::from(number)).map_or("", |name| &**name);
        let Key { point, routine, caller, step, nth, .. } = key;
        match (name(routine), name(caller)) {
            (NOWHERE, _) => format!("{point} number {nth}"),
            (routine, NOWHERE) => format!("{point} number {nth} in {routine}, step {}", name(step)),
            (routine, caller) => {
                let step = name(step);
                format!("{point} number {nth} in {routine}, step {step}, called by {caller}")
            }
        }
    }
}
