//! The same faults under several configurations, pair by pair.
//!
//! # What is the same fault
//!
//! A fault is a kind, its parameters and an injection point. Two configurations are two worlds, and a point
//! is the same in both when it has the same key:
//!
//! | part of the key | what it is |
//! |---|---|
//! | who | the principal of that name; the component under test is the one that runs its code, whatever it is called at its home: the driver in kernel mode, its host, or the host that it shares |
//! | what | the kind of injection point: a step, a load, a store, a copy, … |
//! | where | the routine and the step in it, by name: the same code |
//! | called from | the calling routine, by name |
//! | which | the how-manieth such point of the run, counted for this who, what, where and called from alone |
//!
//! So the key names code and not addresses, and a step more elsewhere moves nothing. Where the component is
//! in kernel mode in one configuration and in a host in another, what hands it requests is other code: a
//! caller that is not there in all of them counts as *a request*, or as *boot* where it is the driver's entry
//! routine. Parameters are drawn once and handed to every configuration as they are: an offset, a bit, a
//! register's or a place's name, not an address.
//!
//! # Its limits
//!
//! * Requests may arrive in another order in another configuration. The how-manieth execution of a step
//!   then works on another request. The mistake is the same, in the same line of code at the same count; the
//!   data may be other.
//! * Where a wrong pointer leads is for the home to say: the 3rd register that holds a pointer, or the
//!   4711th mapped word, is another place in another address space. That is part of what is compared.
//! * A place that bears the component's own name (its device object, its host's handle table) is nobody's
//!   or somebody else's at another home. Such a pair is left out, as one that can't activate.
//! * Code that is at one home only (a dispatch routine, a host's loop) has no counterpart. Its faults are in
//!   the load all the same, and can't activate elsewhere; the reflector before a host is the framework's
//!   code and no part of the driver, and its faults are not in the load of the driver.
//!
//! # What is counted
//!
//! The load is drawn from the union of what all configurations reach, and every fault of it counts in each of
//! them: under the class of what came of it and on each axis, or as one that *can't activate here*, with the
//! reason. All columns come to the same sum, and counts can be compared as they are. Shares of what struck
//! can't: a configuration with more code in which faults come to nothing has the better share and not the
//! fewer failures (Schirmeier, Borchert and Spinczyk, "Avoiding Pitfalls in Fault-Injection Based Comparison
//! of Program Susceptibility to Soft Errors", DSN 2015). How many points each configuration has of its own is
//! told beside it. Whether kinds and places are those of real bugs is another question (Natella, Cotroneo
//! and Madeira, "Assessing Dependability with Software Fault Injection: A Survey", ACM Computing Surveys,
//! 2016): a difference here is one under this load.
//!
//! ```
//! use ringfence::campaign::comparison::Comparison;
//! use ringfence::outcome::Class;
//! use ringfence::scenario::Variation;
//!
//! let mut comparison = Comparison::of(["home=kernel", "home=own-host"].map(|home| {
//!     Variation::read(home).expect("a home")
//! }));
//! comparison.component = Some("host-1".to_owned());
//! comparison.seeds = (0..2).into();
//! comparison.experiments = 20;
//!
//! let compared = comparison.run(|_| {}).expect("its worlds can be");
//!
//! let [kernel, hosted] = &compared.columns[..] else { unreachable!("two configurations") };
//! assert_eq!(kernel.total.tried, hosted.total.tried);
//! ```

mod counts;
mod load;
mod pair;
mod points;
mod run;

use core::fmt::Write as _;
use std::collections::BTreeMap;

use crate::base::{Digest, Seed};
use crate::faults::{Mix, PlannedFault};
use crate::outcome::Class;
use crate::scenario::{Bias, Scenario, Variation, protections};

use super::findings::GoldenStop;
use super::replay::{EXPERIMENTS, file_word, quoted};
use super::seeds::Seeds;
use super::trial::{Registries, TrialError};

pub use counts::{Came, Cannot, Cell, Counts};
pub use run::{ComparisonProgress, run_all};

/// The driver of generated worlds that lives at every home.
const PORTABLE: &str = "meter";
/// The component of a generated world that is moved when none is named.
pub const GENERATED_COMPONENT: &str = "host-1";

/// A configuration: a world of its own, or a variation of the one that all have in common.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Configuration {
    /// As it was named.
    pub name: String,
    /// The world, where it has one of its own.
    pub world: Option<Scenario>,
    /// What is changed.
    pub variation: Variation,
}

impl From<Variation> for Configuration {
    fn from(variation: Variation) -> Self {
        Self { name: variation.name().to_owned(), world: None, variation }
    }
}

/// What to compare.
#[derive(Clone)]
pub struct Comparison {
    /// The world that is varied; generated worlds when `None`.
    pub scenario: Option<Scenario>,
    /// Its name or file, for replay lines.
    pub file: Option<String>,
    /// The configurations; all others are compared with the first.
    pub configurations: Vec<Configuration>,
    /// The component under test: only its faults are in the load, and it is the one that moves. All
    /// faults of all components when `None`.
    pub component: Option<String>,
    /// Seeds: of generated worlds and their plans, or only of plans.
    pub seeds: Seeds,
    /// Faults in each world.
    pub experiments: u32,
    /// Only these kinds of fault; all defects when empty.
    pub kinds: Vec<String>,
    /// Threads. The result is the same.
    pub workers: usize,
    /// Faults, drivers and invariants there are.
    pub registries: Registries,
    /// What generated worlds are like.
    pub bias: Bias,
}

/// One configuration's column.
#[derive(Clone, Debug, Default)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Counts over all worlds.
    pub total: Counts,
    /// Counts of each world.
    pub worlds: Vec<Counts>,
    /// Injection points of the load that it reaches, over all worlds.
    pub points: u64,
    /// Worlds whose golden run violates an invariant by itself.
    pub golden_violations: u64,
    /// The first of these: its seed, and an invariant that it violates.
    pub first_golden_violation: Option<(u64, &'static str)>,
    /// The first worlds whose machine stops without a fault, so that faults have no part in what its
    /// experiments come to.
    pub golden_stops: Vec<GoldenStop>,
    /// Faults that violated a guarantee.
    pub violations: u64,
    /// The first fault that violated a guarantee: the seed of its world, and its number.
    pub first_violation: Option<(u64, u32)>,
}

/// Pairs that came from one class to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moves {
    /// How many.
    pub count: u64,
    /// The first: the seed of its world, and its number.
    pub first: (u64, u32),
}

/// What differs on an axis between two that are of the same class.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Turn {
    /// The class of both.
    pub class: Class,
    /// What it was in the first configuration.
    pub before: Cell,
    /// What it is in this one.
    pub after: Cell,
}

impl Turn {
    /// The axes on which two of the same class differ.
    fn all(before: Came, after: Came) -> impl Iterator<Item = Self> {
        let axes = [
            (Cell::Integrity(before.integrity), Cell::Integrity(after.integrity)),
            (Cell::Availability(before.availability), Cell::Availability(after.availability)),
        ];
        let differing =
            axes.into_iter().filter(move |(old, new)| before.class == after.class && old != new);
        differing.map(move |(old, new)| Self { class: before.class, before: old, after: new })
    }
}

/// A configuration's pairs with the first one.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    /// Pairs that struck in both.
    pub both: u64,
    /// Of these, those with the same class and the same on both axes.
    pub alike: u64,
    /// Faults that struck in the first configuration only.
    pub first_only: u64,
    /// Faults that struck in this one only.
    pub this_only: u64,
    /// Pairs that struck in both, by their classes in the first and in this one.
    pub moves: BTreeMap<(Class, Class), Moves>,
    /// Of these, those of the same class that differ on an axis: once for each axis.
    pub turns: BTreeMap<Turn, Moves>,
}

/// What a comparison found.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// Each configuration.
    pub columns: Vec<Column>,
    /// Each configuration's pairs with the first one; those of the first with itself are first.
    pub pairs: Vec<Pairs>,
    /// Injection points of the whole load, over all worlds: the union.
    pub points: u64,
    /// Faults that were asked for and have no place in any configuration of their world.
    pub nowhere: u64,
    /// Seeds of which something was run.
    pub seeds: u64,
    /// Whether it was interrupted: then it is of the first worlds only.
    pub is_partial: bool,
    /// The fingerprint of every fault and what came of it in every configuration, in order.
    pub digest: Digest,
}

impl Compared {
    /// Faults that violated a guarantee, over all configurations.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.columns.iter().map(|column| column.violations).sum()
    }
}

/// Why a comparison can't be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ComparisonError {
    /// The seed of the world.
    pub seed: u64,
    /// The configuration.
    pub configuration: String,
    /// Why.
    pub why: Why,
}

/// What keeps a configuration from being tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Why {
    /// The world can't be varied so.
    Variation(String),
    /// Its world can't be built, or it was interrupted.
    Trial(TrialError),
}

impl core::fmt::Display for ComparisonError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { seed, configuration, why } = self;
        match why {
            Why::Variation(what) => write!(f, "{configuration} of seed {seed}: {what}"),
            Why::Trial(error) => write!(f, "{configuration} of seed {seed}: {error}"),
        }
    }
}

impl core::error::Error for ComparisonError {}

/// One fault of a load, in every configuration.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Its number.
    pub number: u32,
    /// What it is, in words.
    pub what: String,
    /// For each configuration its name, and its world with the fault, or why it can't activate there.
    pub tries: Vec<(String, Result<Scenario, Cannot>)>,
}

impl Comparison {
    /// A comparison of these over generated worlds.
    #[must_use]
    pub fn of(configurations: impl IntoIterator<Item = impl Into<Configuration>>) -> Self {
        Self {
            scenario: None,
            file: None,
            configurations: configurations.into_iter().map(Into::into).collect(),
            component: None,
            seeds: (0..10).into(),
            experiments: 100,
            kinds: Vec::new(),
            workers: 1,
            registries: Registries::default(),
            bias: Bias::default(),
        }
    }

    /// A driver in kernel mode, in the host that drivers share, and in a host of its own.
    ///
    /// # Panics
    ///
    /// Never: these homes are known.
    #[must_use]
    pub fn of_homes(component: &str) -> Self {
        let homes = ["home=kernel", "home=shared-host", "home=own-host"];
        let known = |home| Variation::read(home).expect("a home that is known");
        Self { component: Some(component.to_owned()), ..Self::of(homes.map(known)) }
    }

    /// Each protection off and on: a comparison for each.
    #[must_use]
    pub fn of_protections() -> Vec<Self> {
        let both = |(field, off, on)| [off, on].map(|value| Variation::of_machine(field, value));
        protections().into_iter().map(|one| Self::of(both(one))).collect()
    }

    /// Whether a configuration says where the component is.
    #[must_use]
    pub fn moves(&self) -> bool {
        self.configurations.iter().any(|one| one.variation.moves())
    }

    /// Whether all configurations are of generated worlds: over these an interval says something.
    #[must_use]
    pub fn is_generated(&self) -> bool {
        self.scenario.is_none() && self.configurations.iter().all(|one| one.world.is_none())
    }

    /// The mix that the load is drawn from, where there is one: of several scenarios that have one, that of
    /// the first.
    #[must_use]
    pub fn mix(&self) -> Option<Mix> {
        let own = self.configurations.iter().filter_map(|one| one.world.as_ref());
        let mixed = own.filter_map(|world| self.registries.mix_of(world, &self.kinds)).next();
        mixed.or_else(|| self.registries.mix_of(&self.world_of(self.seeds.first()), &self.kinds))
    }

    /// The world of a seed that is varied. Where a driver moves, generated worlds have one in their hosts
    /// that can live at every home.
    #[must_use]
    pub fn world_of(&self, seed: u64) -> Scenario {
        if let Some(scenario) = &self.scenario {
            return scenario.clone();
        }
        let bias = if self.moves() {
            Bias { hosted: PORTABLE, seeks_hosts: false, ..self.bias.clone() }
        } else {
            self.bias.clone()
        };
        Scenario::generate(Seed(seed), &bias)
    }

    /// The command that tells the story of one fault of the load in every configuration.
    #[must_use]
    pub fn replay_line(&self, seed: u64, number: u32) -> String {
        let mut line = "ringfence campaign".to_owned();
        let mut add = |what: core::fmt::Arguments<'_>| {
            line.write_fmt(what).expect("a string takes everything");
        };
        if let Some(file) = &self.file {
            add(format_args!(" {}", file_word(file)));
        }
        add(format_args!(" --compare"));
        for one in &self.configurations {
            add(format_args!(" {}", file_word(&one.name)));
        }
        let is_usual = self.is_generated() && self.moves();
        if let Some(component) = &self.component
            && !(is_usual && component == GENERATED_COMPONENT)
        {
            add(format_args!(" --component {}", quoted(component)));
        }
        add(format_args!(" --seeds {seed}"));
        // A fault is the same among any number of them.
        if number >= EXPERIMENTS {
            add(format_args!(" --experiments {}", self.experiments));
        }
        if !self.kinds.is_empty() {
            add(format_args!(" --fault {}", self.kinds.join(",")));
        }
        if let Some(mix) = &self.registries.mix {
            add(format_args!(" --mix {mix}"));
        }
        add(format_args!(" --only {number}"));
        line
    }
}

/// A fault of the load as planned in one configuration, or why it can't activate there.
type Planned = Result<PlannedFault, Cannot>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Integrity;

    #[test]
    fn two_of_one_class_that_differ_on_an_axis_turn_there_and_two_of_two_classes_move() {
        let stopped =
            Came { class: Class::BugCheck, integrity: Integrity::Untouched, availability: 8 };
        let damaged = Came { integrity: Integrity::Consumed, ..stopped };
        let other = Came { class: Class::HostLost, ..damaged };

        let turns: Vec<Turn> = Turn::all(stopped, damaged).collect();

        let expected = Turn {
            class: Class::BugCheck,
            before: Cell::Integrity(Integrity::Untouched),
            after: Cell::Integrity(Integrity::Consumed),
        };
        assert_eq!(turns, [expected]);
        assert_eq!(Turn::all(stopped, stopped).count(), 0);
        assert_eq!(Turn::all(stopped, other).count(), 0);
    }
}
