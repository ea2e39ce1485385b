//! The same case with one thing changed: what shows that this thing decides.
//!
//! An incident that comes out as published proves little while a switch made for it could decide it.
//! A contrast says what is changed, of the machine, of a component or of the fault, and what should
//! become of it then. It is plain data: the fields that differ, in the words of the scenario itself.
//! One that names its source has an outcome that is published; one that names none is a control: it
//! shows that the world goes on where nothing goes wrong, and is no evidence for the model.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::home::{at_home, name_at};
use super::{Expectation, Scenario};
use crate::faults::{Parameters, PlannedFault};
use crate::world::configuration::{Component, Home, MachineConfiguration};
use crate::world::preset::{Preset, set_apart};

/// A value of the text form.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Plain {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Whole(i64),
    /// A text.
    Text(String),
    /// Several values.
    List(Vec<Plain>),
    /// Fields with their values.
    Table(Fields),
}

/// Fields with their values, in the order of their names.
pub type Fields = BTreeMap<String, Plain>;

/// A scenario's case with something changed, and what should become of it then.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Contrast {
    /// Its name: what is different, in a few words.
    pub name: String,
    /// By whose word it ends so, where its outcome is published; without, it is a control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The seed of the schedule, where it differs.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "other_seed")]
    pub schedule: Option<u64>,
    /// Fields of `[machine]` that differ.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub machine: Fields,
    /// All weaknesses that are planted, where they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weaknesses: Option<Vec<String>>,
    /// Fields of components that differ; each names its component. A driver manager
    /// that is not there is added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub component: Vec<Fields>,
    /// The whole plan, where it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Vec<PlannedFault>>,
    /// Parameters that differ, of every fault of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Parameters>,
    /// What should become of it.
    pub expect: Expectation,
}

/// A seed that may differ, as a hexadecimal string.
mod other_seed {
    use serde::{Deserializer, Serializer};

    use crate::world::configuration::hex;

    #[allow(clippy::ref_option, reason = "the signature serde wants")]
    pub(super) fn serialize<S: Serializer>(
        seed: &Option<u64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        hex::serialize(&seed.unwrap_or_default(), serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<u64>, D::Error> {
        hex::deserialize(deserializer).map(Some)
    }
}

impl Contrast {
    /// Whether it is documented, and no control: by a published account it ends as it expects, and that is
    /// otherwise than the scenario itself does.
    #[must_use]
    pub fn is_documented(&self, scenario: &Scenario) -> bool {
        let own = scenario.expect.clone().unwrap_or_default();
        self.source.is_some() && self.expect.is_otherwise(&own)
    }

    /// The scenario with this changed, and with what is expected then. It has no contrasts of its own.
    ///
    /// # Errors
    ///
    /// What can't be changed so: a component that is not there, a value that is none of the field's.
    pub fn of(&self, scenario: &Scenario) -> Result<Scenario, String> {
        let mut changed = Scenario {
            expect: Some(self.expect.clone()).filter(|it| *it != Expectation::default()),
            contrasts: Vec::new(),
            ..scenario.clone()
        };
        let world = &mut changed.configuration;
        world.schedule = self.schedule.unwrap_or(world.schedule);
        world.machine = machine_of(&world.machine, &self.machine)?;
        if let Some(weaknesses) = &self.weaknesses {
            world.weaknesses.clone_from(weaknesses);
        }
        for fields in &self.component {
            let Some(Plain::Text(name)) = fields.get("name") else {
                return Err("a component is changed that has no `name`".to_owned());
            };
            let Some(index) = world.components.iter().position(|one| one.name == *name) else {
                if fields.get("home") != Some(&Plain::Text("driver-manager".to_owned())) {
                    return Err(format!("there is no component `{name}` to change"));
                }
                let manager = Component::new(name.clone(), Home::DriverManager);
                world.components.push(overlaid(&manager, fields)?);
                continue;
            };
            let before = world.components[index].clone();
            // Who moves takes its fields along.
            let mut kept = fields.clone();
            let home = kept.remove("home").map(|home| home_of(&home)).transpose()?;
            world.components[index] = overlaid::<Component>(&before, &kept)?;
            if let Some(home) = home.filter(|home| *home != before.home) {
                *world = at_home(world, name, home)?;
                // Who is struck moves along.
                for fault in changed.plan.iter_mut().filter(|fault| fault.who == *name) {
                    fault.who = name_at(name, home);
                }
            }
        }
        if let Some(plan) = &self.fault {
            changed.plan.clone_from(plan);
        }
        if let Some(parameters) = &self.parameters {
            for fault in &mut changed.plan {
                fault.parameters = parameters.clone().or(&fault.parameters);
            }
        }
        Ok(changed)
    }
}

/// A machine with some fields changed. A preset stands for all of its switches: what the machine was
/// before is forgotten.
fn machine_of(
    before: &MachineConfiguration,
    fields: &Fields,
) -> Result<MachineConfiguration, String> {
    let mut kept = fields.clone();
    let Some(preset) = kept.remove("preset") else { return machine_with(before, fields) };
    let known = Preset::ALL.into_iter().find(|(name, _)| preset == Plain::Text((*name).to_owned()));
    let Some((_, preset)) = known else { return Err("there is no such preset".to_owned()) };
    machine_with(&preset.machine(), &kept)
}

/// A machine with some fields changed: what these make void of the others is as usual.
pub(super) fn machine_with(
    machine: &MachineConfiguration,
    fields: &Fields,
) -> Result<MachineConfiguration, String> {
    let mut before = plain_table(machine)?;
    set_apart(&mut before, |name| fields.contains_key(name));
    with_fields(before, fields)
}

fn home_of(home: &Plain) -> Result<Home, String> {
    let value = toml::Value::try_from(home).map_err(|error| error.to_string())?;
    value.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
}

/// A value of the text form with some fields changed.
///
/// # Errors
///
/// When a field is none of its, or holds something else.
pub(super) fn overlaid<T: Serialize + DeserializeOwned>(
    value: &T,
    fields: &Fields,
) -> Result<T, String> {
    with_fields(plain_table(value)?, fields)
}

fn plain_table(value: &impl Serialize) -> Result<toml::Table, String> {
    toml::Table::try_from(value).map_err(|error| error.to_string())
}

fn with_fields<T: DeserializeOwned>(mut table: toml::Table, fields: &Fields) -> Result<T, String> {
    for (name, field) in fields {
        let field = toml::Value::try_from(field).map_err(|error| error.to_string())?;
        table.insert(name.clone(), field);
    }
    table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
}
