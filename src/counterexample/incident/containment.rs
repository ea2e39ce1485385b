//! What would have contained it: each protection the other way, at each home of the component.
//!
//! A protection is any switch of the machine. Each is turned the other way by itself, everything else
//! as it was; what counts is whether what became of data or of service changes. A cell is compared
//! with the same home with all switches as they were.

use core::cmp::Ordering;

use crate::campaign::{Judged, Registries, Trial, TrialError};
use crate::outcome::Availability;
use crate::scenario::{Contrast, Fields, Plain, Scenario, switches};
use crate::world::Home;

use super::Ending;

/// Columns of a row's name and of each home.
const NAME: usize = 32;
const HOME: usize = 17;
/// Homes that a driver can have, with what the table calls them.
const HOMES: [(&str, Home); 2] = [("kernel", Home::KernelDriver), ("own host", Home::DriverHost)];

/// What became of it with one protection, at one home; nothing where such a world can't be.
pub type Cell = Option<Ending>;

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
    /// The homes, with what became of it there with every switch as it was.
    pub homes: Vec<(&'static str, Cell)>,
    /// The protections.
    pub protections: Vec<Protection>,
}

impl Containment {
    /// Tries every switch the other way at every home.
    ///
    /// # Errors
    ///
    /// When it was interrupted.
    pub fn of(scenario: &Scenario, registries: &Registries) -> Result<Self, TrialError> {
        let mut homes = Vec::new();
        let mut worlds = Vec::new();
        for (name, world) in at_homes(scenario) {
            homes.push((name, ending(world.as_ref(), registries)?));
            worlds.push(world);
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
        pairs.into_iter().any(|(cell, (_, before))| match (cell, before) {
            (Some(cell), Some(before)) => !cell.is_like(*before),
            (cell, before) => cell.is_some() != before.is_some(),
        })
    }

    /// The table; with `all` also which protections change nothing.
    #[must_use]
    pub fn text(&self, all: bool) -> String {
        let mut text = String::new();
        let names = self.homes.iter().map(|(name, _)| (*name).to_owned());
        row(&mut text, "", names);
        let integrity =
            |cell: &Cell| cell.map_or("–".to_owned(), |it| it.integrity.name().to_owned());
        let service = |cell: &Cell| cell.map_or("–".to_owned(), Ending::service);
        row(&mut text, "as it was", self.homes.iter().map(|(_, cell)| integrity(cell)));
        row(&mut text, "", self.homes.iter().map(|(_, cell)| service(cell)));
        for protection in self.protections.iter().filter(|one| self.changes(one)) {
            let name = format!("{} = {}", protection.switch, in_words(&protection.to));
            let pairs = || protection.cells.iter().zip(&self.homes);
            let data = pairs().map(|(cell, (_, before))| match (cell, before) {
                (Some(cell), Some(before)) if cell.integrity == before.integrity => "=".to_owned(),
                (Some(cell), Some(before)) => {
                    marked(integrity(&Some(*cell)), cell.integrity.cmp(&before.integrity))
                }
                (cell, _) => integrity(cell),
            });
            row(&mut text, &name, data);
            let stopped = pairs().map(|(cell, (_, before))| match (cell, before) {
                (Some(cell), Some(before)) if cell.service() == before.service() => "=".to_owned(),
                (Some(cell), Some(before)) => {
                    marked(cell.service(), rank(*cell).cmp(&rank(*before)))
                }
                (cell, _) => service(cell),
            });
            row(&mut text, "", stopped);
        }
        if self.homes.len() == 1 {
            text += "  No component went wrong that could live elsewhere.\n";
        }
        let idle: Vec<String> = self
            .protections
            .iter()
            .filter(|one| !self.changes(one))
            .map(|one| format!("{} = {}", one.switch, in_words(&one.to)))
            .collect();
        if all && !idle.is_empty() {
            let mut line = "  No difference:".to_owned();
            for (number, one) in idle.iter().enumerate() {
                let comma = if number + 1 < idle.len() { "," } else { "" };
                if line.chars().count() + one.chars().count() + 2 > 98 {
                    text += &format!("{line}\n");
                    line = "   ".to_owned();
                }
                line += &format!(" {one}{comma}");
            }
            text += &format!("{line}\n");
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
    let mut line = format!("  {name:NAME$}");
    for cell in cells {
        line += &format!("{cell:HOME$}");
    }
    *text += line.trim_end();
    text.push('\n');
}

/// The scenario with its component at each home; just as it is where nothing can move.
fn at_homes(scenario: &Scenario) -> Vec<(&'static str, Option<Scenario>)> {
    let component = scenario.incident.as_ref().and_then(|one| one.component.clone());
    let Some(name) = component else { return vec![("as it is", Some(scenario.clone()))] };
    let moved = |home: Home| {
        let value = match home {
            Home::DriverHost => "driver-host",
            _ => "kernel-driver",
        };
        let fields = [("name", name.as_str()), ("home", value)];
        let fields = fields.map(|(field, value)| (field.to_owned(), Plain::Text(value.to_owned())));
        let contrast = Contrast { component: vec![Fields::from(fields)], ..Contrast::default() };
        contrast.of(scenario).ok()
    };
    HOMES.iter().map(|(title, home)| (*title, moved(*home))).collect()
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
