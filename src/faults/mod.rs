//! What can go wrong? One file a fault.
//!
//! Each file says what goes wrong, which real defect it models and by whose word, and at which
//! injection points it can strike. A fault knows the machine and the kernel's layout; it knows
//! neither the rules nor the checks, so that it cannot aim at them.

mod elements;
mod heavy_tail;
pub mod mix;
mod model;
mod parameters;
mod plan;
mod wild;

use crate::base::{PrincipalKind, Stream, nearest};
use crate::injection::{Fault, PointKind, PointKinds, PointRecord, Recurrence};
use crate::world::directory::{Directory, Part, Target};

pub use heavy_tail::HeavyTail;
pub use mix::{Mix, MixMistake};
pub use model::Model;
pub use parameters::{Crash, Operator, Parameters};
pub use plan::{
    At, PlannedFault, Reached, Wanted, at_of, blind, is_point, is_worth_it, plan_at, plan_in,
    plan_of, planned_at, point_names, points_of,
};

/// Whether a fault is legal disorder or a defect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Family {
    /// What a correct system must take: eviction, delay, reordering. It must raise no alarm.
    Stress,
    /// What must be contained, detected or reported.
    Defect,
}

impl Family {
    /// Its name in lists.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stress => "stress",
            Self::Defect => "defect",
        }
    }
}

/// Makes a fault of its parameters, or says what is wrong with them.
pub type Build = fn(&Parameters, &Directory) -> Result<Box<dyn Fault>, String>;
/// Whether a strike at a point that a run reached, of a principal of this kind, may come to something, as far
/// as its record tells.
pub type Fits = fn(&PointRecord, PrincipalKind) -> bool;
/// Draws parameters for a strike at a point that a run reached.
pub type Draw = fn(&mut Stream, &PointRecord, &Directory) -> Parameters;

/// All parameters for strikes at a point of this kind, in a fixed order and each once: every one where there are
/// finitely many, the bounds and what lies beside them where there are not.
pub type Every = fn(PointKind, &Directory) -> Vec<Parameters>;

/// A kind of fault. Make one for a fault of your own and [add](Registry::add) it.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name, unique in a registry.
    pub name: &'static str,
    /// Legal disorder, or a defect.
    pub family: Family,
    /// The fault model it is taken from.
    pub model: Model,
    /// Where it can strike.
    pub points: PointKinds,
    /// At which of them that a run reached it is planned.
    pub fits: Fits,
    /// How often it usually strikes.
    pub recurrence: Recurrence,
    /// The parameters it understands.
    pub parameters: &'static [&'static str],
    /// What goes wrong, in a sentence.
    pub about: &'static str,
    /// Where the real defect is described.
    pub source: &'static str,
    /// Makes one.
    pub build: Build,
    /// Draws parameters.
    pub draw: Draw,
    /// All parameters that make a difference, where a sweep tries every one.
    pub every: Every,
    /// Whether all that one of [`every`](Self::every) does at a step is to flip the bit `bit` of the
    /// word at `target`. Then strikes between which nobody uses that word are one and the same.
    pub flips_target: bool,
}

/// The kinds of fault that plans can name. Passed by value: add your own.
#[derive(Clone, Debug)]
pub struct Registry {
    kinds: Vec<Kind>,
}

macro_rules! kinds {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*

        /// Every kind this crate brings.
        const STANDARD: &[Kind] = &[$($module::KIND),*];
    };
}

kinds! {
    wild_write,
    wild_read,
    use_after_free,
    overrun,
    crash,
    hang,
    dropped_step,
    repeated_step,
    replaced_step,
    inverted_branch,
    corrupted_register,
    corrupted_code_byte,
    corrupted_return_address,
    corrupted_dispatch_entry,
    dropped_argument,
    wrong_result,
    wrong_value_loaded,
    wrong_value_stored,
    off_by_one,
    stale_handle,
    forged_handle,
    mistyped_handle,
    protected_handle,
    skipped_rights_check,
    lost_reference,
    leaked_reference,
    repeated_dereference,
    kernel_address_as_argument,
    wrong_length_as_argument,
    boundary_value_as_argument,
    wrong_service,
    skipped_probe,
    double_fetch,
    double_free,
    premature_free,
    leak,
    allocation_failure,
    under_allocation,
    wrong_tag_free,
    interior_free,
    uninitialised_memory,
    short_copy,
    lost_invalidation,
    wrong_table_entry,
    bit_flip,
    lost_store,
    torn_store,
    lost_request,
    repeated_completion,
    wrong_completion_length,
    missing_lock,
    repeated_lock,
    unreleased_lock,
    unrestored_level,
    wait_at_dispatch,
    clobbered_registers,
    dma_to_wrong_frame,
    lost_transfer,
    short_transfer,
    lost_interrupt,
    repeated_interrupt,
    evicted_translation,
    evicted_translations,
    excess_invalidation,
    held_translation,
    delayed_interrupt,
    delayed_transfer,
    spurious_interprocessor_interrupt,
    preemption,
}

impl Default for Registry {
    fn default() -> Self {
        Self { kinds: STANDARD.to_vec() }
    }
}

impl Registry {
    /// No kinds at all.
    #[must_use]
    pub const fn empty() -> Self {
        Self { kinds: Vec::new() }
    }

    /// Adds a kind; one of the same name is replaced.
    pub fn add(&mut self, kind: Kind) {
        self.kinds.retain(|known| known.name != kind.name);
        self.kinds.push(kind);
    }

    /// Keeps only the kinds that `keeps` names.
    pub fn retain(&mut self, keeps: impl FnMut(&Kind) -> bool) {
        self.kinds.retain(keeps);
    }

    /// All kinds, in order.
    #[must_use]
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// The kind with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Kind> {
        self.kinds.iter().find(|kind| kind.name == name)
    }

    /// A fault of the kind with this name.
    ///
    /// # Errors
    ///
    /// What is unknown or out of range, what was expected, and the nearest name.
    pub fn build(
        &self,
        name: &str,
        parameters: &Parameters,
        directory: &Directory,
    ) -> Result<Box<dyn Fault>, String> {
        let Some(kind) = self.get(name) else {
            let hint = nearest(name, self.kinds.iter().map(|kind| kind.name))
                .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            return Err(format!("unknown fault `{name}`{hint}"));
        };
        kind.check(parameters, directory)?;
        (kind.build)(parameters, directory)
    }
}

impl Kind {
    /// Whether it understands these parameters.
    ///
    /// # Errors
    ///
    /// The parameter that it does not take, or a name that is not there.
    pub fn check(&self, parameters: &Parameters, directory: &Directory) -> Result<(), String> {
        for given in parameters.given() {
            if !self.parameters.contains(&given) {
                let takes = match self.parameters {
                    [] => "none".to_owned(),
                    some => some.join(", "),
                };
                return Err(format!(
                    "{} takes no parameter `{given}`; it takes {takes}",
                    self.name
                ));
            }
        }
        if let Some(target) = &parameters.target {
            directory.check(target)?;
        }
        if let Some(name) = &parameters.process {
            directory.check(&Target::of(name, Part::Root, 0))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
