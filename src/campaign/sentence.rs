//! A campaign as a sentence, for tests: what to run. What it is then held to is in
//! [`report::results`](crate::report::results).
//!
//! ```
//! use ringfence::campaign::Campaign;
//!
//! let report = Campaign::on_builtin("content-parser-host")
//!     .with_faults(["crash"])
//!     .experiments(12)
//!     .run_all();
//!
//! report.assert_guarantees_hold();
//! assert!(report.cells_text().lines().all(|line| !line.ends_with("violated")));
//! ```

use core::fmt::Write as _;
use core::ops::Range;
use std::sync::Arc;

use crate::faults::{Kind, Mix};
use crate::invariants;
use crate::outcome::Class;
use crate::scenario::{Scenario, library};
use crate::world::Drivers;
use crate::world::components;

use super::tally::Origin;
use super::workers::{Campaign, Report};

impl Campaign {
    /// A campaign on a world of yours. One seed: more of them draw other plans for the same world.
    #[must_use]
    pub fn on(scenario: Scenario) -> Self {
        Self { scenario: Some(scenario), seeds: 0..1, ..Self::default() }
    }

    /// A campaign on a scenario built in.
    ///
    /// # Panics
    ///
    /// When there is none of this name.
    #[must_use]
    pub fn on_builtin(name: &str) -> Self {
        let names =
            || library::ALL.iter().map(|builtin| builtin.name).collect::<Vec<_>>().join(", ");
        let builtin = library::find(name)
            .unwrap_or_else(|| panic!("there is no scenario {name:?}; there are {}", names()));
        let scenario = Scenario::from_bytes(builtin.text.as_bytes())
            .unwrap_or_else(|errors| panic!("the scenario {name:?} can't be read:\n{errors}"));
        Self::on(scenario)
    }

    /// A campaign on generated worlds, one for each seed.
    #[must_use]
    pub fn on_generated_worlds(seeds: Range<u64>) -> Self {
        Self { seeds, ..Self::default() }
    }

    /// Only faults of these kinds; the names are those of `ringfence list faults`.
    #[must_use]
    pub fn with_faults<'a>(mut self, kinds: impl IntoIterator<Item = &'a str>) -> Self {
        self.kinds = kinds.into_iter().map(str::to_owned).collect();
        self
    }

    /// Faults of a mix such as `swifi=3,edfi=1`: kinds, fault models and published loads by weight.
    ///
    /// # Panics
    ///
    /// When it is none; the message says what was meant.
    #[must_use]
    pub fn with_mix(mut self, mix: &str) -> Self {
        let read = Mix::read(mix, &self.registries.faults);
        self.registries.mix = Some(read.unwrap_or_else(|wrong| panic!("{wrong}")));
        self
    }

    /// Only faults of this kind, which is yours.
    #[must_use]
    pub fn with_my_fault(mut self, kind: Kind) -> Self {
        self.registries.faults.add(kind);
        self.kinds.push(kind.name.to_owned());
        self
    }

    /// Held to these invariants: `Registry::all().with(mine)` are all there are and one of yours.
    #[must_use]
    pub fn held_to(mut self, invariants: invariants::Registry) -> Self {
        self.registries.invariants = Arc::new(invariants);
        self
    }

    /// With these drivers beside those that come with the crate, for scenarios to name.
    #[must_use]
    pub fn with_my_drivers(mut self, mine: Drivers) -> Self {
        let mut drivers = self.registries.drivers.take().unwrap_or_else(components::drivers);
        drivers.kernel.extend(mine.kernel);
        drivers.hosted.extend(mine.hosted);
        self.registries.drivers = Some(drivers);
        self
    }

    /// So many experiments in each world.
    #[must_use]
    pub fn experiments(mut self, experiments: u32) -> Self {
        self.experiments = experiments;
        self
    }

    /// With these seeds.
    #[must_use]
    pub fn seeds(mut self, seeds: Range<u64>) -> Self {
        self.seeds = seeds;
        self
    }

    /// With so many threads; the result is the same.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }
}

impl Report {
    /// The set of cells that occur: where a fault started, what became of it, and whether that is a
    /// guarantee that held, a guarantee violated, an exposure, or either that or by leave of the influence
    /// relation, which the cell alone does not tell. No counts: this is what a snapshot
    /// keeps and a person can judge.
    #[must_use]
    pub fn cells_text(&self) -> String {
        let mut text = String::new();
        for &(origin, class) in self.total.cells.keys() {
            let standing = standing(origin, class);
            let (origin, class) = (origin.to_string(), class.name());
            let _ = writeln!(text, "{origin:<20} {class:<20} {standing}");
        }
        text
    }
}

/// What a cell says about the architecture. The class alone does not say whether a case was within a
/// guarantee: what an application shares with another it may change, and a critical process may stop
/// the machine. Such cells say that nothing was promised that did not hold.
fn standing(origin: Origin, class: Class) -> &'static str {
    let is_user_mode = matches!(origin, Origin::Application | Origin::UserModeDriver);
    match class {
        Class::GuaranteeViolated => "guarantee violated",
        Class::NotActivated => "nothing tried",
        _ if !is_user_mode => "exposure",
        Class::HostLost
        | Class::ProcessLost
        | Class::ProcessHung
        | Class::RequestFailed
        | Class::OwnDamage
        | Class::Overwritten
        | Class::NoEffect => "guarantee held",
        _ => "exposure or by leave",
    }
}
