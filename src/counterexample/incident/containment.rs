//! What would have contained it: each protection the other way, at each home of the component.
//!
//! A protection is any switch of the machine. Each is turned the other way by itself, everything else
//! as it was; what counts is whether what became of data or of service changes. A cell is compared
//! with the same home with all switches as they were.
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

use crate::campaign::{Judged, Registries, Trial, TrialError};
use crate::outcome::Availability;
use crate::scenario::home::runs_in;
use crate::scenario::{Contrast, Fields, Plain, Scenario, Variation, switches};
use crate::world::Home;

use super::Ending;

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
    pub cell: Cell,
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
    pub cells: Vec<Cell>,
}

/// Both axes of every protection at every home.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Containment {
    /// The homes.
    pub homes: Vec<AtHome>,
    /// The protections.
    pub protections: Vec<Protection>,
}

impl Containment {
    /// Tries every protection the other way at every home.
    ///
    /// # Errors
    ///
    /// When it was interrupted.
    pub fn of(scenario: &Scenario, registries: &Registries) -> Result<Self, TrialError> {
        let mut homes = Vec::new();
        let mut worlds = Vec::new();
        for (name, world) in at_homes(scenario) {
            let (cell, why) = match &world {
                Ok(world) => (ending(Some(world), registries)?, None),
                Err(why) => (None, Some(why.clone())),
            };
            homes.push(AtHome { name, cell, why });
            worlds.push(world.ok());
        }
        let mut protections = Vec::new();
        for (switch, to) in switches(&scenario.configuration.machine) {
            let mut cells = Vec::new();
            for world in &worlds {
                let machine = Fields::from([(switch.to_owned(), to.clone())]);
                let turned = Contrast { machine, ..Contrast::default() };
                let turned = world.as_ref().and_then(|world| turned.of(world).ok());
                cells.push(ending(turned.as_ref(), registries)?);
            }
            protections.push(Protection { switch, to, cells });
        }
        Ok(Self { homes, protections })
    }

    /// Whether a protection changes anything at some home.
    fn changes(&self, protection: &Protection) -> bool {
        let pairs = protection.cells.iter().zip(&self.homes);
        pairs.into_iter().any(|(cell, home)| match (cell, &home.cell) {
            (Some(cell), Some(before)) => !cell.is_like(*before),
            (cell, before) => cell.is_some() != before.is_some(),
        })
    }

    /// The table; with `all` also which protections change nothing.
    #[must_use]
    pub fn text(&self, all: bool) -> String {
        let mut text = String::new();
        let names = self.homes.iter().map(|home| home.name.to_owned());
        row(&mut text, "", names);
        let integrity =
            |cell: &Cell| cell.map_or("–".to_owned(), |it| it.integrity.name().to_owned());
        let service = |cell: &Cell| cell.map_or("–".to_owned(), Ending::service);
        row(&mut text, "as it was", self.homes.iter().map(|home| integrity(&home.cell)));
        row(&mut text, "", self.homes.iter().map(|home| service(&home.cell)));
        for protection in self.protections.iter().filter(|one| self.changes(one)) {
            let name = format!("{} = {}", protection.switch, in_words(&protection.to));
            let pairs = || protection.cells.iter().zip(&self.homes);
            let data = pairs().map(|(cell, home)| match (cell, &home.cell) {
                (Some(cell), Some(before)) if cell.integrity == before.integrity => "=".to_owned(),
                (Some(cell), Some(before)) => {
                    marked(integrity(&Some(*cell)), cell.integrity.cmp(&before.integrity))
                }
                (cell, _) => integrity(cell),
            });
            row(&mut text, &name, data);
            let stopped = pairs().map(|(cell, home)| match (cell, &home.cell) {
                (Some(cell), Some(before)) if cell.service() == before.service() => "=".to_owned(),
                (Some(cell), Some(before)) => {
                    marked(cell.service(), rank(*cell).cmp(&rank(*before)))
                }
                (cell, _) => service(cell),
            });
            row(&mut text, "", stopped);
        }
        let mut whys: Vec<&str> =
            self.homes.iter().filter_map(|home| home.why.as_deref()).collect();
        whys.dedup();
        for why in whys {
            text += &sentence(&format!("– nowhere else: {why}"));
        }
        let idle: Vec<String> = self
            .protections
            .iter()
            .filter(|one| !self.changes(one))
            .map(|one| format!("{} = {}", one.switch, in_words(&one.to)))
            .collect();
        if all && !idle.is_empty() {
            text += &sentence(&format!("No difference: {}", idle.join(", ")));
        }
        text
    }
}

/// How bad something is on the axis of service; which bug check it is makes no difference.
fn rank(ending: Ending) -> usize {
    let name = ending.availability.name();
    Availability::NAMES.iter().position(|known| *known == name).unwrap_or(0)
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

/// How a scenario ends; nothing when it can't be run.
fn ending(scenario: Option<&Scenario>, registries: &Registries) -> Result<Cell, TrialError> {
    let Some(scenario) = scenario else { return Ok(None) };
    let judged =
        Trial::new(scenario, registries).and_then(|mut trial| Judged::of(scenario, &mut trial));
    match judged {
        Ok(judged) => Ok(Some(Ending::of(&judged.outcome))),
        Err(TrialError::Interrupted) => Err(TrialError::Interrupted),
        Err(_) => Ok(None),
    }
}
