//! A scenario as canonical TOML: the same scenario is always the same text.

use core::fmt::Write as _;

use serde::Serialize;

use super::{Contrast, FORMAT, Fields, Plain, Scenario};
use crate::faults::{Parameters, PlannedFault};
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
        if let Some(incident) = &self.incident {
            writeln!(to, "\n[incident]\n{}", plain(incident).trim_end())?;
        }
        writeln!(to, "\n[machine]\n{}", plain(&world.machine).trim_end())?;
        for component in &world.components {
            write_component(to, component)?;
        }
        for fault in &self.plan {
            writeln!(to, "\n[[fault]]")?;
            write_fault(to, fault)?;
        }
        if !self.mix.is_empty() {
            writeln!(to, "\n[mix]\n{}", plain(&self.mix).trim_end())?;
        }
        if let Some(expect) = &self.expect {
            writeln!(to, "\n[expect]\n{}", plain(expect).trim_end())?;
        }
        for contrast in &self.contrasts {
            write_contrast(to, contrast)?;
        }
        Ok(())
    }
}

fn write_fault(to: &mut String, fault: &PlannedFault) -> core::fmt::Result {
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
    Ok(())
}

fn write_contrast(to: &mut String, contrast: &Contrast) -> core::fmt::Result {
    writeln!(to, "\n[[contrast]]\nname = {}", quoted(&contrast.name))?;
    if let Some(source) = &contrast.source {
        writeln!(to, "source = {}", quoted(source))?;
    }
    if let Some(schedule) = contrast.schedule {
        writeln!(to, "schedule = \"{schedule:#x}\"")?;
    }
    if !contrast.machine.is_empty() {
        writeln!(to, "machine = {}", inline_fields(&contrast.machine))?;
    }
    if let Some(weaknesses) = &contrast.weaknesses {
        writeln!(to, "weaknesses = {}", list(weaknesses))?;
    }
    if !contrast.component.is_empty() {
        let changes: Vec<_> = contrast.component.iter().map(inline_fields).collect();
        writeln!(to, "component = [{}]", changes.join(", "))?;
    }
    if let Some(parameters) = &contrast.parameters {
        writeln!(to, "parameters = {}", inline(parameters))?;
    }
    writeln!(to, "expect = {}", inline(&contrast.expect))?;
    if contrast.fault.as_ref().is_some_and(Vec::is_empty) {
        writeln!(to, "fault = []")?;
    }
    for fault in contrast.fault.iter().flatten() {
        writeln!(to, "\n[[contrast.fault]]")?;
        write_fault(to, fault)?;
    }
    Ok(())
}

/// Fields on one line, whatever they hold.
fn inline_fields(fields: &Fields) -> String {
    let told =
        fields.iter().map(|(name, value)| format!("{} = {}", key(name), inline_plain(value)));
    format!("{{ {} }}", told.collect::<Vec<_>>().join(", "))
}

fn inline_plain(value: &Plain) -> String {
    match value {
        Plain::Flag(flag) => flag.to_string(),
        Plain::Whole(number) => number.to_string(),
        Plain::Text(text) => quoted(text),
        Plain::List(items) => {
            format!("[{}]", items.iter().map(inline_plain).collect::<Vec<_>>().join(", "))
        }
        Plain::Table(fields) => inline_fields(fields),
    }
}

/// A key, between quotes where it must be.
fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { quoted(name) }
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
