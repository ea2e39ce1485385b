//! What would have contained it: each protection the other way, at each home of the component.
//!
//! A protection is any switch of the machine. Each is turned the other way by itself, everything else
//! as it was; what counts is whether what became of data or of service changes, and not on one schedule
//! only ([`super::schedules`]). A cell is compared with the same home with all switches as they were.
//!
//! | home | what it is |
//! |---|---|
//! | kernel | a kernel-mode driver |
//! | service | one process for all, and nobody who starts it again: the spooler before Windows 7 |
//! | shared host | one process for all, started again by a driver manager |
//! | own host | a process for this driver alone, started again |
//!
//! Where the component can't live, for what went wrong is nothing that user mode has, the table says why.

use core::cmp::Ordering;

use crate::campaign::{Registries, TrialError};
use crate::outcome::Availability;
use crate::scenario::home::runs_in;
use crate::scenario::{Contrast, Fields, Plain, Scenario, Variation, switches};
use crate::world::Home;

use super::Ending;
use super::schedules::{Axis, Effect, Endings, compare};

/// Columns of a row's name and of each home: a terminal's hundred together.
const NAME: usize = 26;
const HOME: usize = 18;
/// Columns of a sentence.
const WIDTH: usize = 98;
/// Homes that a component can have: what the table calls them, and how they are said.
const HOMES: [(&str, &str); 4] = [
    ("kernel", "home=kernel"),
    ("service", "home=service"),
    ("shared host", "home=shared-host"),
    ("own host", "home=own-host"),
];

/// What became of it with one protection, at one home; nothing where such a world can't be.
pub type Cell = Option<Ending>;

/// A home with what became of it there, every protection as it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AtHome {
    /// What the table calls it.
    pub name: &'static str,
    /// What became of it.
    pub endings: Endings,
    /// Why it can't live there, where it can't.
    pub why: Option<String>,
}

/// A protection turned the other way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Protection {
    /// The switch of `[machine]`.
    pub switch: &'static str,
    /// To what it was turned.
    pub to: Plain,
    /// What became of it, at each home.
    pub cells: Vec<Endings>,
}

/// Both axes of every protection at every home.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Containment {
    /// The homes.
    pub homes: Vec<AtHome>,
    /// The protections.
    pub protections: Vec<Protection>,
    /// The protection that what went wrong came with, which is not among them.
    pub came_with: Option<String>,
}

impl Containment {
    /// Tries every protection the other way at every home.
    ///
    /// # Errors
    ///
    /// When it was interrupted.
    pub fn of(scenario: &Scenario, registries: &Registries) -> Result<Self, TrialError> {
        let (mut homes, mut worlds) = (Vec::new(), Vec::new());
        for (name, world) in at_homes(scenario) {
            let endings = Endings::of(world.as_ref().ok(), registries)?;
            homes.push(AtHome { name, endings, why: world.as_ref().err().cloned() });
            worlds.push(world.ok());
        }
        let came_with = scenario.incident.as_ref().and_then(|incident| incident.came_with.clone());
        let mut protections = Vec::new();
        for (switch, to) in switches(&scenario.configuration.machine) {
            if came_with.as_deref() == Some(switch) {
                continue;
            }
            let mut cells = Vec::new();
            for (world, home) in worlds.iter().zip(&mut homes) {
                let machine = Fields::from([(switch.to_owned(), to.clone())]);
                let turned = Contrast { machine, ..Contrast::default() };
                let turned = world.as_ref().and_then(|world| turned.of(world).ok());
                let mut endings = Endings::of(turned.as_ref(), registries)?;
                if let (Some(turned), Some(world)) = (&turned, world)
                    && differs(endings.own(), home.endings.own())
                {
                    compare((&mut endings, turned), (&mut home.endings, world), registries)?;
                }
                cells.push(endings);
            }
            protections.push(Protection { switch, to, cells });
        }
        Ok(Self { homes, protections, came_with })
    }

    /// Whether a protection changes anything at some home.
    fn changes(&self, protection: &Protection) -> bool {
        protection.cells.iter().zip(&self.homes).any(|(cell, home)| {
            let effects = Axis::ALL.map(|axis| axis.effect(cell, &home.endings));
            let is_change = |effect| matches!(effect, Some(Effect::Changes(_)));
            effects.into_iter().any(is_change)
                || cell.own().is_some() != home.endings.own().is_some()
        })
    }

    /// Of a protection, at which homes it depends on the schedule whether it makes a difference.
    fn by_schedule(&self, protection: &Protection) -> Option<String> {
        let pairs = protection.cells.iter().zip(&self.homes);
        let told: Vec<String> = pairs
            .filter_map(|(cell, home)| {
                let now = cell.own()?;
                let mut told = Vec::new();
                for axis in Axis::ALL {
                    let effect = axis.effect(cell, &home.endings);
                    let Some(Effect::BySchedule { order, with, without, of }) = effect else { continue };
                    let otherwise = match order {
                        Ordering::Less => "worse",
                        Ordering::Equal => "another",
                        Ordering::Greater => "less bad",
                    };
                    told.push(format!(
                        "{}, but {otherwise} on {with} of {of} schedules with it, on {without} without",
                        axis.name(now)
                    ));
                }
                (!told.is_empty()).then(|| format!("{}: {}", home.name, told.join("; ")))
            })
            .collect();
        (!told.is_empty()).then(|| format!("{} ({})", protection.name(), told.join("; ")))
    }

    /// The table, and which protections change nothing.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let names = self.homes.iter().map(|home| home.name.to_owned());
        row(&mut text, "", names);
        let named = |cell: Cell, axis: Axis| cell.map_or("–".to_owned(), |it| axis.name(it));
        for (title, axis) in ["as it was", ""].into_iter().zip(Axis::ALL) {
            row(&mut text, title, self.homes.iter().map(|home| named(home.endings.own(), axis)));
        }
        let owns = || self.homes.iter().map(|home| home.endings.own());
        if owns().flatten().any(|one| one.devices_lost > 1) {
            row(&mut text, "devices lost", owns().map(devices_lost));
        }
        for protection in self.protections.iter().filter(|one| self.changes(one)) {
            let mut name = protection.name();
            // What is too long for its column has a line of its own.
            if name.chars().count() > NAME {
                text += &format!("  {name}\n");
                name.clear();
            }
            for (title, axis) in [&*name, ""].into_iter().zip(Axis::ALL) {
                let pairs = protection.cells.iter().zip(&self.homes);
                let cells = pairs.map(|(cell, home)| match axis.effect(cell, &home.endings) {
                    Some(Effect::Same) => "=".to_owned(),
                    Some(Effect::Changes(order)) => marked(named(cell.own(), axis), order),
                    Some(Effect::BySchedule { .. }) => "by schedule".to_owned(),
                    None => named(cell.own(), axis),
                });
                row(&mut text, title, cells);
            }
        }
        let mut whys: Vec<&str> =
            self.homes.iter().filter_map(|home| home.why.as_deref()).collect();
        whys.dedup();
        for why in whys {
            text += &sentence(&format!("– nowhere else: {why}"));
        }
        if let Some(switch) = &self.came_with {
            text += &sentence(&format!("{switch} says nothing: what went wrong came with it"));
        }
        let doubtful: Vec<String> =
            self.protections.iter().filter_map(|one| self.by_schedule(one)).collect();
        if !doubtful.is_empty() {
            text += &sentence(&format!("Depends on timing: {}", doubtful.join(", ")));
        }
        let is_idle = |one: &&Protection| !self.changes(one) && self.by_schedule(one).is_none();
        let idle: Vec<String> =
            self.protections.iter().filter(is_idle).map(Protection::name).collect();
        if !idle.is_empty() {
            text += &sentence(&format!("No difference on this schedule: {}", idle.join(", ")));
        }
        text
    }
}

impl Protection {
    /// As it is said: the switch and to what it is turned.
    fn name(&self) -> String {
        format!("{} = {}", self.switch, in_words(&self.to))
    }
}

/// How many devices lose their host; with the machine all of them are lost.
fn devices_lost(cell: Cell) -> String {
    match cell {
        None => "–".to_owned(),
        Some(Ending { availability: Availability::BugCheck { .. }, .. }) => {
            "the machine".to_owned()
        }
        Some(ending) => ending.devices_lost.to_string(),
    }
}

/// Whether a person would call two cells different.
fn differs(one: Cell, other: Cell) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => !one.is_like(other),
        (one, other) => one.is_some() != other.is_some(),
    }
}

/// An arrow says whether it is less or more than before.
fn marked(what: String, order: Ordering) -> String {
    match order {
        Ordering::Less => format!("↓ {what}"),
        Ordering::Equal => what,
        Ordering::Greater => format!("↑ {what}"),
    }
}

fn in_words(value: &Plain) -> String {
    match value {
        Plain::Flag(true) => "on".to_owned(),
        Plain::Flag(false) => "off".to_owned(),
        Plain::Whole(number) => number.to_string(),
        Plain::Text(text) => text.clone(),
        Plain::List(_) | Plain::Table(_) => "other".to_owned(),
    }
}

fn row(text: &mut String, name: &str, cells: impl Iterator<Item = String>) {
    let mut line = format!("  {name:NAME$} ");
    for cell in cells {
        line += &format!("{cell:HOME$}");
    }
    *text += line.trim_end();
    text.push('\n');
}

/// A sentence in lines of a terminal's width, those behind the first further in.
fn sentence(words: &str) -> String {
    let (mut text, mut line) = (String::new(), " ".to_owned());
    for word in words.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            text += &format!("{line}\n");
            line = "   ".to_owned();
        }
        line += &format!(" {word}");
    }
    text + &line + "\n"
}

/// A scenario as it is at a home, or why it can't be there.
type There = Result<Scenario, String>;

/// The scenario with its component at each home; just as it is where no component went wrong.
fn at_homes(scenario: &Scenario) -> Vec<(&'static str, There)> {
    let incident = scenario.incident.clone().unwrap_or_default();
    let Some(component) = &incident.component else {
        let mut homes = vec![("as it is", Ok(scenario.clone()))];
        homes.extend(incident.stays.map(|why| ("elsewhere", Err(why))));
        return homes;
    };
    let members = || core::iter::once(component).chain(&incident.beside);
    let own = home_of(scenario, component);
    let there = |(title, home): (&'static str, &str)| -> (&'static str, There) {
        let world = match &incident.stays {
            _ if own == Some(title) => Ok(scenario.clone()),
            Some(why) => Err(why.clone()),
            None => members().try_fold(scenario.clone(), |world, name| moved(&world, name, home)),
        };
        (title, world)
    };
    HOMES.into_iter().map(there).collect()
}

/// The scenario with its component in a host of its own, where it can be there and is not.
pub(super) fn in_own_host(scenario: &Scenario) -> Option<Scenario> {
    let component = scenario.incident.as_ref()?.component.as_deref()?;
    if home_of(scenario, component) == Some("own host") {
        return None;
    }
    let all = at_homes(scenario).into_iter();
    all.filter(|(name, _)| *name == "own host").find_map(|(_, world)| world.ok())
}

/// The scenario with a component at another home; who is struck there moves along.
fn moved(scenario: &Scenario, name: &str, home: &str) -> There {
    let variation = Variation::read(home).map_err(|wrong| wrong.to_string())?;
    let varied = variation.of(scenario, Some(name))?;
    let component = varied.component.unwrap_or_default();
    let mut scenario = varied.scenario;
    let runner = runs_in(&scenario.configuration, &component).to_owned();
    for fault in scenario.plan.iter_mut().filter(|fault| fault.who == name) {
        fault.who.clone_from(&runner);
    }
    Ok(scenario)
}

/// At which home a component is, in the table's words. A program that is no driver is a service.
fn home_of(scenario: &Scenario, name: &str) -> Option<&'static str> {
    let components = &scenario.configuration.components;
    let home = components.iter().find(|one| one.name == name)?.home;
    let is_started_again = components.iter().any(|one| one.home == Home::DriverManager);
    Some(match home {
        Home::KernelDriver | Home::FileSystem => "kernel",
        Home::DriverHost => "own host",
        Home::SharedHost | Home::SharedDriver if is_started_again => "shared host",
        Home::Application | Home::SharedHost | Home::SharedDriver | Home::DriverManager => {
            "service"
        }
    })
}
