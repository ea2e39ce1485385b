//! What shall we try? Plain data, generation, text form.
//!
//! A scenario is what is stored, shrunk and replayed: a world's configuration, a plan of faults,
//! and what is expected of it. A seed only generates one. Its text form is TOML, read with a
//! position for every mistake and written in one canonical way; see [`library`] for those built in.

mod another_format;
mod check;
mod check_expectation;
mod check_framework;
mod contradiction;
mod contrast;
mod discount;
mod error;
mod form;
pub mod fuzz_input;
pub mod generate;
pub mod home;
pub mod library;
mod problem;
mod read;
mod shape;
#[cfg(any(test, feature = "proptest"))]
pub mod strategies;
mod switches;
mod variation;
mod vocabulary;
mod working_on;
mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::faults::PlannedFault;
use crate::world::configuration::{Configuration, hex};

pub use contrast::{Contrast, Fields, Plain};
pub use discount::{CONTRASTS_MIN, Discount};
pub(crate) use error::shown;
#[cfg(feature = "cli")]
pub(crate) use error::shown_in_line;
pub use error::{ScenarioError, ScenarioErrors};
pub use form::{Values, settings};
pub use generate::Bias;
pub use problem::{Problem, Step};
pub use switches::{MADE_FOR, protections, switches};
pub use variation::{Mistake, Variation, Varied};
pub use vocabulary::Vocabulary;

/// The number of the text form that this version reads and writes.
pub const FORMAT: i64 = 1;

/// One thing to try.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What it shows.
    pub about: String,
    /// Where the real case is described, by title.
    pub sources: Vec<String>,
    /// What became of the real case, by published account.
    pub published: Option<String>,
    /// Which incident it is, where it is one.
    pub incident: Option<Incident>,
    /// The world.
    pub configuration: Configuration,
    /// The faults; none for a golden run.
    pub plan: Vec<PlannedFault>,
    /// What should become of it.
    pub expect: Option<Expectation>,
    /// The fault load that campaigns in this world draw from: shares with their weights.
    pub mix: BTreeMap<String, u32>,
    /// The same with one thing changed.
    pub contrasts: Vec<Contrast>,
}

/// What is known of an incident beside its story.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Incident {
    /// What it is called, in a few words.
    pub what: String,
    /// When it was published: a year, a month or a day, as in ISO 8601, or several years; "a class" where it is none
    /// single incident.
    pub date: String,
    /// The component that went wrong: it can be tried at its other homes. Nothing where the hardware
    /// went wrong, or the kernel itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// Components of the same sort, which live where that one lives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<String>,
    /// Why it lives nowhere else, where it can't: what went wrong is nothing that user mode has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stays: Option<String>,
    /// The switch of `[machine]` that was made for this incident and decides it. Such an incident shows how
    /// something happened, and doesn't count as one that the model predicts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// The protection of `[machine]` that brought what went wrong: whether it would have contained it is no
    /// question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub came_with: Option<String>,
}

/// Whether every guarantee should hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guarantees {
    /// Every guarantee holds.
    Held,
    /// At least one is violated: a weakness is planted.
    Violated,
}

/// What should become of a scenario; what is left out is not compared.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expectation {
    /// The outcome's class, by its name in tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The code of the bug check.
    #[serde(default, with = "optional_hex", skip_serializing_if = "Option::is_none")]
    pub bug_check: Option<u64>,
    /// Its parameters, where one of them is part of what was published.
    #[serde(default, with = "optional_hex", skip_serializing_if = "Option::is_none")]
    pub parameter_1: Option<u64>,
    /// The second.
    #[serde(default, with = "optional_hex", skip_serializing_if = "Option::is_none")]
    pub parameter_2: Option<u64>,
    /// The third.
    #[serde(default, with = "optional_hex", skip_serializing_if = "Option::is_none")]
    pub parameter_3: Option<u64>,
    /// The fourth.
    #[serde(default, with = "optional_hex", skip_serializing_if = "Option::is_none")]
    pub parameter_4: Option<u64>,
    /// What becomes of stored data, by its name on that axis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integrity: Option<String>,
    /// What becomes of service, by its name on that axis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<String>,
    /// How many devices lose their host, which several may share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices_lost: Option<u64>,
    /// Whether guarantees hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarantees: Option<Guarantees>,
    /// Invariants that are violated, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violated: Vec<String>,
}

impl Expectation {
    /// Whether something is expected here and something else there. What is left out on one side differs from
    /// nothing.
    #[must_use]
    pub fn is_otherwise(&self, other: &Self) -> bool {
        fn differ<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
            one.zip(other).is_some_and(|(one, other)| one != other)
        }
        let texts = |it: &Self| [it.class.clone(), it.integrity.clone(), it.availability.clone()];
        let codes = |it: &Self| {
            let parameters = [it.parameter_1, it.parameter_2, it.parameter_3, it.parameter_4];
            parameters.into_iter().chain([it.bug_check, it.devices_lost])
        };
        texts(self).into_iter().zip(texts(other)).any(|(one, other)| differ(one, other))
            || codes(self).zip(codes(other)).any(|(one, other)| differ(one, other))
    }
}

mod optional_hex {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Hex(#[serde(with = "super::hex")] u64);

    #[allow(clippy::ref_option, reason = "the signature serde wants")]
    pub(super) fn serialize<S: Serializer>(value: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
        value.map(Hex).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
        Ok(Option::<Hex>::deserialize(from)?.map(|Hex(value)| value))
    }
}

#[cfg(test)]
mod tests;
