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
use std::sync::Arc;

use crate::faults::{Kind, Mix};
use crate::invariants;
use crate::outcome::Class;
use crate::scenario::{Scenario, library};
use crate::world::Drivers;
use crate::world::components;

use super::findings::Report;
use super::seeds::Seeds;
use super::tally::Origin;
use super::workers::Campaign;

impl Campaign {
    /// A campaign on a world of yours. One seed: more of them draw other plans for the same world.
    #[must_use]
    pub fn on(scenario: Scenario) -> Self {
        Self { scenario: Some(scenario), seeds: Seeds::one(0), ..Self::default() }
    }

    /// A campaign on a scenario built in.
    ///
    /// # Panics
    ///
    /// When there is none of this name.
    #[must_use]
    #[track_caller]
    pub fn on_builtin(name: &str) -> Self {
        let names =
            || library::ALL.iter().map(|builtin| builtin.name).collect::<Vec<_>>().join(", ");
        let Some(builtin) = library::find(name) else {
            panic!("there is no scenario {name:?}; there are {}", names())
        };
        let scenario = Scenario::from_bytes(builtin.text.as_bytes())
            .unwrap_or_else(|errors| panic!("the scenario {name:?} can't be read:\n{errors}"));
        Self::on(scenario)
    }

    /// A campaign on generated worlds, one for each seed.
    #[must_use]
    pub fn on_generated_worlds(seeds: impl Into<Seeds>) -> Self {
        Self { seeds: seeds.into(), ..Self::default() }
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
    #[track_caller]
    pub fn with_mix(mut self, mix: &str) -> Self {
        let read = Mix::read(mix, &self.registries.faults);
        match read {
            Ok(mix) => self.registries.mix = Some(mix),
            Err(wrong) => panic!("{wrong}"),
        }
        self
    }

    /// So many faults in each experiment, all in one component, as a published load has errors in a trial: 1 to
    /// [`ERRORS_MAX`](super::ERRORS_MAX), and fewer where the component has no room for so many.
    #[must_use]
    pub fn errors(mut self, errors: u32) -> Self {
        self.errors = errors;
        self
    }

    /// Only faults of this kind, which is yours.
    ///
    /// ```
    /// use ringfence::campaign::Campaign;
    /// use ringfence::faults::{Family, Kind, Model, Parameters};
    /// use ringfence::injection::{
    ///     Fault, Operation, PointKind, PointKinds, Recurrence, Scene, Verdict,
    /// };
    ///
    /// /// A store writes the complement of what it was asked to.
    /// struct Inverted;
    ///
    /// impl Fault for Inverted {
    ///     fn name(&self) -> &'static str {
    ///         "inverted-store"
    ///     }
    ///
    ///     fn strike(&mut self, store: &mut Operation, _: &mut dyn Scene) -> Option<Verdict> {
    ///         store.value = !store.value;
    ///         Some(Verdict::Proceed)
    ///     }
    /// }
    ///
    /// const INVERTED: Kind = Kind {
    ///     name: "inverted-store",
    ///     family: Family::Defect,
    ///     model: Model::Edfi,
    ///     points: PointKinds::of(&[PointKind::Store]),
    ///     fits: |_, _| true,
    ///     recurrence: Recurrence::Once,
    ///     parameters: &[],
    ///     about: "a store writes the complement of its value",
    ///     source: "an inverter on the wrong side of a data bus",
    ///     build: |_, _| Ok(Box::new(Inverted)),
    ///     draw: |_, _, _| Parameters::default(),
    ///     every: |_, _| vec![Parameters::default()],
    ///     flips_target: false,
    /// };
    ///
    /// let campaign = Campaign::on_builtin("standard").with_my_fault(INVERTED);
    /// campaign.experiments(20).run_all().assert_guarantees_hold();
    /// ```
    #[must_use]
    pub fn with_my_fault(mut self, kind: Kind) -> Self {
        self.registries.faults.add(kind);
        self.kinds.push(kind.name.to_owned());
        self
    }

    /// Held to these invariants: `Registry::all().with(mine)` are all there are and one of yours.
    ///
    /// ```
    /// use ringfence::base::EventKind;
    /// use ringfence::campaign::Campaign;
    /// use ringfence::invariants::{Evidence, Findings, Invariant, Kinds, Registry};
    ///
    /// /// The driver called `nic` stores only where it may.
    /// struct NicStoresAtHome;
    ///
    /// impl Invariant for NicStoresAtHome {
    ///     fn name(&self) -> &'static str {
    ///         "nic-stores-at-home"
    ///     }
    ///
    ///     fn sentence(&self) -> &'static str {
    ///         "The driver `nic` stores only to memory that is its own or lent to it."
    ///     }
    ///
    ///     fn source(&self) -> &'static str {
    ///         "its specification"
    ///     }
    ///
    ///     fn kinds(&self) -> Kinds {
    ///         Kinds::TRESPASS
    ///     }
    ///
    ///     fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
    ///         let roster = evidence.authority.roster();
    ///         for trespass in evidence.trespasses() {
    ///             let event = &trespass.event;
    ///             if event.kind == EventKind::Store && roster.name(event.actor) == "nic" {
    ///                 let told = || format!("it stored at {:#x}", event.virt);
    ///                 findings.add(Some(event.actor), trespass.owner, event.phys, event.virt, told);
    ///             }
    ///         }
    ///     }
    /// }
    ///
    /// let held = Registry::all().with(NicStoresAtHome);
    /// let results = Campaign::on_builtin("standard")
    ///     .held_to(held)
    ///     .with_faults(["wild-write"])
    ///     .experiments(60)
    ///     .run_all();
    ///
    /// // Promised for plans that strike user mode; of the others it is an exposure.
    /// results.assert_guarantees_hold();
    /// ```
    #[must_use]
    pub fn held_to(mut self, invariants: invariants::Registry) -> Self {
        self.registries.invariants = Arc::new(invariants);
        self
    }

    /// With these drivers beside those that come with the crate, for scenarios to name.
    ///
    /// What a driver does is a routine of steps: each runs by itself, keeps nothing but what is in
    /// simulated memory, and has an injection point before and after it.
    ///
    /// ```
    /// use ringfence::base::PrincipalKind;
    /// use ringfence::campaign::Campaign;
    /// use ringfence::faults::Registry;
    /// use ringfence::kernel::{loader::Dispatch, request::IO_COMPLETE_REQUEST, status};
    /// use ringfence::machine::{Flow, Routine, routine};
    /// use ringfence::scenario::{Scenario, Vocabulary};
    /// use ringfence::world::{DriverDefinition, Drivers};
    ///
    /// routine! {
    ///     /// Answers every request at once with nothing. Arguments: device object, packet.
    ///     static SINK_DISPATCH = "SinkDispatch", frame 0;
    ///     complete, call IO_COMPLETE_REQUEST => |p| {
    ///         let packet = p.argument(1);
    ///         p.pass([packet, status::SUCCESS, 0]);
    ///         Ok(Flow::Call)
    ///     },
    ///     done => |p| Ok(p.give_back(status::SUCCESS)),
    /// }
    ///
    /// static SINK_ROUTINES: &[&Routine] = &[&SINK_DISPATCH];
    ///
    /// let sink = DriverDefinition {
    ///     name: "sink",
    ///     kind: PrincipalKind::KernelDriver,
    ///     routines: SINK_ROUTINES,
    ///     pageable: &[],
    ///     dispatch: Dispatch { write: Some(&SINK_DISPATCH), ..Dispatch::default() },
    ///     prepare: |_| Vec::new(),
    ///     owns: &[],
    ///     section: &[],
    /// };
    /// let mine = Drivers { kernel: vec![sink], hosted: Vec::new() };
    /// let text = r#"
    ///     format = 1
    ///     name = "sink"
    ///
    ///     [[component]]
    ///     name = "editor"
    ///     home = "application"
    ///     actions = [
    ///         { do = "open", device = "sink", access = 3, slot = 0 },
    ///         { do = "write", slot = 0, offset = 0, length = 32, value = "0x9" },
    ///     ]
    ///
    ///     [[component]]
    ///     name = "sink"
    ///     home = "kernel-driver"
    ///     driver = "sink"
    /// "#;
    ///
    /// let names = Vocabulary::new(Registry::default(), &mine);
    /// let world = Scenario::from_toml("sink.toml", text, &names).expect("it is sound");
    ///
    /// Campaign::on(world)
    ///     .with_my_drivers(mine)
    ///     .with_faults(["wild-write", "crash", "dropped-step"])
    ///     .experiments(60)
    ///     .run_all()
    ///     .assert_guarantees_hold();
    /// ```
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
    pub fn seeds(mut self, seeds: impl Into<Seeds>) -> Self {
        self.seeds = seeds.into();
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
        Class::OtherOrder => "legal at any time",
        _ if !is_user_mode => "exposure",
        Class::HostLost
        | Class::ProcessLost
        | Class::ProcessHung
        | Class::RequestFailed
        | Class::OwnDamage
        | Class::Overwritten
        | Class::Latent
        | Class::NoEffect => "guarantee held",
        _ => "exposure or by leave",
    }
}
