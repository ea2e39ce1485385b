//! A scenario as canonical TOML: the same scenario is always the same text.

use core::fmt::Write as _;

use serde::Serialize;

use super::{FORMAT, Scenario};
use crate::faults::Parameters;
use crate::world::configuration::Component;

impl Scenario {
    /// The scenario as TOML.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("a string takes everything");
        text
    }

    fn write(&self, to: &mut String) -> core::fmt::Result {
        let world = &self.configuration;
        writeln!(to, "format = {FORMAT}")?;
        writeln!(to, "name = {}", quoted(&self.name))?;
        if !self.about.is_empty() {
            writeln!(to, "about = {}", quoted(&self.about))?;
        }
        if !self.sources.is_empty() {
            writeln!(to, "sources = {}", list(&self.sources))?;
        }
        if let Some(published) = &self.published {
            writeln!(to, "published = {}", quoted(published))?;
        }
        writeln!(to, "schedule = \"{:#x}\"", world.schedule)?;
        writeln!(to, "steps-max = {}", world.steps_max)?;
        writeln!(to, "boots-max = {}", world.boots_max)?;
        if !world.weaknesses.is_empty() {
            writeln!(to, "weaknesses = {}", list(&world.weaknesses))?;
        }
        writeln!(to, "\n[machine]\n{}", plain(&world.machine).trim_end())?;
        for component in &world.components {
            write_component(to, component)?;
        }
        for fault in &self.plan {
            writeln!(to, "\n[[fault]]")?;
            writeln!(to, "kind = {}", quoted(&fault.kind))?;
            writeln!(to, "who = {}", quoted(&fault.who))?;
            let at = &fault.at;
            write!(to, "at = {{ point = \"{}\"", at.point)?;
            if let Some(routine) = &at.routine {
                write!(to, ", routine = {}", quoted(routine))?;
            }
            if let Some(caller) = &at.caller {
                write!(to, ", caller = {}", quoted(caller))?;
            }
            writeln!(to, ", nth = {} }}", at.nth)?;
            if fault.recurs() {
                writeln!(to, "recurrence = \"always\"")?;
            }
            if fault.parameters != Parameters::default() {
                writeln!(to, "parameters = {}", inline(&fault.parameters))?;
            }
        }
        if let Some(expect) = &self.expect {
            writeln!(to, "\n[expect]\n{}", plain(expect).trim_end())?;
        }
        Ok(())
    }
}

fn write_component(to: &mut String, component: &Component) -> core::fmt::Result {
    writeln!(to, "\n[[component]]")?;
    writeln!(to, "name = {}", quoted(&component.name))?;
    writeln!(to, "home = {}", plain_value(&component.home))?;
    if let Some(driver) = &component.driver {
        writeln!(to, "driver = {}", quoted(driver))?;
    }
    if let Some(above) = &component.above {
        writeln!(to, "above = {}", quoted(above))?;
    }
    if component.critical {
        writeln!(to, "critical = true")?;
    }
    if component.spawned {
        writeln!(to, "spawned = true")?;
    }
    if let Some(content) = component.content {
        writeln!(to, "content = {content}")?;
    }
    if !component.actions.is_empty() {
        writeln!(to, "actions = [")?;
        for action in &component.actions {
            writeln!(to, "    {},", inline(action))?;
        }
        writeln!(to, "]")?;
    }
    Ok(())
}

/// A table's lines, `key = value`, in the order of its fields.
fn plain(table: &impl Serialize) -> String {
    toml::to_string(table).expect("plain data with short numbers")
}

fn plain_value(value: &impl Serialize) -> String {
    let value = toml::Value::try_from(value).expect("plain data");
    quoted(value.as_str().unwrap_or_default())
}

/// A table on one line.
fn inline(table: &impl Serialize) -> String {
    let fields: Vec<_> = plain(table).lines().map(str::to_owned).collect();
    format!("{{ {} }}", fields.join(", "))
}

fn list(items: &[String]) -> String {
    let items: Vec<_> = items.iter().map(|item| quoted(item)).collect();
    format!("[{}]", items.join(", "))
}

/// A basic string on one line.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => {
                write!(quoted, "\\U{:08x}", u32::from(c)).expect("a string takes everything");
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
