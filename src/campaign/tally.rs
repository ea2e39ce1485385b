//! What all outcomes come to: counts by where the fault started and what became of it.

use std::collections::BTreeMap;

use crate::base::{Digest, PrincipalKind, TraceHash};
use crate::faults::Operator;
use crate::outcome::{Class, SleepEnd};

use super::series::Case;
use super::sleep::Sleeps;
use super::trial::Trial;
use super::wild_writes::WildWrites;

/// Where a fault starts, as tables show it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Origin {
    /// In an application.
    Application,
    /// In a user-mode driver.
    UserModeDriver,
    /// In a kernel-mode driver.
    KernelModeDriver,
    /// In a file-system driver.
    FileSystemDriver,
    /// In the kernel or the hardware abstraction layer.
    Kernel,
    /// In a device's transfer or interrupt.
    Device,
    /// In the hardware below everybody: memory changed by nobody's access.
    Hardware,
}

impl Origin {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 7] = [
        Self::Application,
        Self::UserModeDriver,
        Self::KernelModeDriver,
        Self::FileSystemDriver,
        Self::Kernel,
        Self::Device,
        Self::Hardware,
    ];

    /// Its name in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::UserModeDriver => "user-mode driver",
            Self::KernelModeDriver => "kernel-mode driver",
            Self::FileSystemDriver => "file-system driver",
            Self::Kernel => "kernel",
            Self::Device => "device DMA",
            Self::Hardware => "memory itself",
        }
    }

    /// Where a fault in a principal of this kind starts.
    #[must_use]
    pub const fn of(kind: PrincipalKind) -> Self {
        match kind {
            PrincipalKind::Kernel | PrincipalKind::Hal => Self::Kernel,
            PrincipalKind::KernelDriver => Self::KernelModeDriver,
            PrincipalKind::FileSystem => Self::FileSystemDriver,
            PrincipalKind::Application => Self::Application,
            PrincipalKind::DriverHost => Self::UserModeDriver,
            PrincipalKind::Device => Self::Device,
        }
    }
}

impl Origin {
    /// Where the fault of a trial's last run started; where it would have, at a point of `planned`, when it never
    /// struck.
    pub(super) fn of_strike(trial: &Trial, planned: PrincipalKind) -> Self {
        match trial.judge.strike() {
            _ if trial.judge.suspects().memory => Self::Hardware,
            Some(strike) => Self::of(trial.roster().kind(strike.by)),
            None => Self::of(planned),
        }
    }
}

impl core::fmt::Display for Origin {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.name())
    }
}

/// The outcomes of one world, or of many.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Experiments run.
    pub experiments: u64,
    /// Experiments in which a fault struck.
    pub activated: u64,
    /// Experiments in which corrupt bytes were read.
    pub consumed: u64,
    /// Experiments that violated a guarantee.
    pub violations: u64,
    /// Experiments by origin and class.
    pub cells: BTreeMap<(Origin, Class), u64>,
    /// Struck experiments by origin.
    pub struck: BTreeMap<Origin, u64>,
    /// Faults by kind: how many were planned, and how many of these struck.
    pub kinds: BTreeMap<String, (u64, u64)>,
    /// Wild writes, by operator.
    pub wild_writes: BTreeMap<Operator, WildWrites>,
    /// How long damage slept, by origin.
    pub sleeps: BTreeMap<Origin, Sleeps>,
    /// Events watched.
    pub events: u64,
}

impl Tally {
    /// Takes in one case.
    pub fn add(&mut self, case: &Case) {
        self.experiments += 1;
        let outcome = &case.outcome;
        for (plan, has_struck) in case.fates() {
            if !self.kinds.contains_key(&plan.kind) {
                self.kinds.insert(plan.kind.clone(), (0, 0));
            }
            if let Some((drawn, struck)) = self.kinds.get_mut(&plan.kind) {
                *drawn += 1;
                *struck += u64::from(has_struck);
            }
        }
        if let Some(operator) = WildWrites::operator_of(case) {
            self.wild_writes.entry(operator).or_default().add(case);
        }
        if outcome.activation.strikes > 0 {
            self.activated += 1;
            *self.struck.entry(case.origin).or_default() += 1;
            if let Some(sleep) = outcome.sleep {
                self.sleeps.entry(case.origin).or_default().add(sleep);
            }
            let is_read = outcome.sleep.is_some_and(|sleep| sleep.end == SleepEnd::Read);
            self.consumed += u64::from(is_read);
        }
        if !outcome.guarantees.is_empty() {
            self.violations += 1;
        }
        *self.cells.entry((case.origin, case.class())).or_default() += 1;
    }

    /// Faults planned.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.kinds.values().map(|(planned, _)| planned).sum()
    }

    /// Takes in another tally.
    pub fn merge(&mut self, other: &Self) {
        self.experiments += other.experiments;
        self.activated += other.activated;
        self.consumed += other.consumed;
        self.violations += other.violations;
        self.events += other.events;
        for (&cell, count) in &other.cells {
            *self.cells.entry(cell).or_default() += count;
        }
        for (kind, (drawn, struck)) in &other.kinds {
            let here = self.kinds.entry(kind.clone()).or_default();
            *here = (here.0 + drawn, here.1 + struck);
        }
        for (&operator, writes) in &other.wild_writes {
            self.wild_writes.entry(operator).or_default().merge(writes);
        }
        for (&origin, sleeps) in &other.sleeps {
            self.sleeps.entry(origin).or_default().merge(sleeps);
        }
        for (&origin, count) in &other.struck {
            *self.struck.entry(origin).or_default() += count;
        }
    }

    /// One world's contribution to a cell's share of what struck.
    #[must_use]
    pub fn world_count(&self, origin: Origin, class: Class) -> (u64, u64) {
        let experiments = self.struck.get(&origin).copied().unwrap_or(0);
        let events = self.cells.get(&(origin, class)).copied().unwrap_or(0);
        // A guarantee can be violated in a run that no fault struck.
        (events.min(experiments), experiments)
    }
}

/// The fingerprint of a case: its number, its plans and what became of it.
#[must_use]
pub fn digest_of(case: &Case) -> Digest {
    let mut hash = TraceHash::default();
    hash.absorb(u64::from(case.number), 0);
    for plan in case.planned() {
        hash.absorb_bytes(format!("{plan:?}").as_bytes());
    }
    let [high, low] = case.outcome.digest().words();
    hash.absorb(high, low);
    hash.digest()
}
