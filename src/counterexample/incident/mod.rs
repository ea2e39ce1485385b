//! An incident told to a room: what happened, where the mode line was, the same in another home
//! beside it, what differs with each contrast, and what would have contained it.

mod beside;
mod containment;
mod schedules;

use core::fmt;

use crate::base::counted;
use crate::campaign::{Judged, Registries, Trial, TrialError};
use crate::outcome::{Availability, Class, Integrity, Outcome};
use crate::scenario::{Contrast, Discount, Scenario, shown};

use super::story::Story;

pub use beside::{beside, side_by_side};
use containment::in_own_host;
pub use containment::{AtHome, Cell, Containment, Protection};
pub use schedules::{Axis, Effect, Endings};

/// What became of something, on both axes; they are never folded into one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ending {
    /// Of stored data.
    pub integrity: Integrity,
    /// Of service.
    pub availability: Availability,
    /// Devices that lost their host.
    pub devices_lost: u64,
    /// Whether a guarantee was violated, whatever came of that.
    pub is_violated: bool,
}

impl Ending {
    /// How an outcome ended.
    #[must_use]
    pub const fn of(outcome: &Outcome) -> Self {
        Self {
            integrity: outcome.integrity,
            availability: outcome.availability,
            devices_lost: outcome.devices_lost,
            is_violated: !outcome.guarantees.is_empty(),
        }
    }

    /// Service, with the code where the machine stopped.
    #[must_use]
    pub fn service(self) -> String {
        let name = self.availability.name();
        match self.availability {
            Availability::BootLoop { code: 0, .. } => name.to_owned(),
            Availability::BugCheck { code, .. } | Availability::BootLoop { code, .. } => {
                format!("{name} {code:#x}")
            }
            _ => name.to_owned(),
        }
    }

    /// Whether nothing that a person would call another outcome differs: not a bug check's
    /// parameters, which name addresses, nor a status.
    #[must_use]
    pub fn is_like(self, other: Self) -> bool {
        self.integrity == other.integrity && self.service() == other.service()
    }

    /// How many devices lost their host, where that is what came of it.
    fn devices(self) -> String {
        match self.availability {
            Availability::HostLost { .. } | Availability::DeviceDisabled => {
                format!(", {}", counted(self.devices_lost, "device"))
            }
            _ => String::new(),
        }
    }
}

/// A contrast with what became of it.
#[derive(Clone, Debug)]
pub struct Contrasted {
    /// Its name.
    pub name: String,
    /// By whose word it ends otherwise than the case itself; none: a control.
    pub source: Option<String>,
    /// How it ended.
    pub ending: Ending,
    /// The class of that.
    pub class: Class,
    /// What of its expectation was missed.
    pub missed: Vec<String>,
}

/// An incident, ready to be told.
#[derive(Clone, Debug)]
pub struct IncidentStory {
    /// Title: number, what it is called, when.
    pub title: String,
    /// What happened.
    pub story: Story,
    /// The same where the component is at another home, as a contrast has it or else in a host of its own; with
    /// the first contrast where it can't be in one: its name, and what happened.
    pub other: Option<(String, Story)>,
    /// The contrasts.
    pub contrasts: Vec<Contrasted>,
    /// What would have contained it.
    pub containment: Containment,
    /// Why it doesn't count as one that the model predicts, where it doesn't.
    pub discount: Option<Discount>,
}

impl IncidentStory {
    /// Runs an incident, its contrasts, and each protection at each home.
    ///
    /// # Errors
    ///
    /// When a world can't be built, a fault can't be made, or it was interrupted.
    ///
    /// # Panics
    ///
    /// When a contrast can't be made that was checked when the scenario was read.
    pub fn of(scenario: &Scenario, registries: &Registries) -> Result<Self, TrialError> {
        let incident = scenario.incident.clone().unwrap_or_default();
        let number = scenario.name.split('-').next().unwrap_or_default();
        let title = format!("{number} · {} · {}", incident.what, incident.date);
        let story = Story::of(scenario, registries)?;
        let changed = |contrast: &Contrast| {
            contrast.of(scenario).expect("checked when the scenario was read")
        };
        let moves =
            |contrast: &&Contrast| contrast.component.iter().any(|one| one.contains_key("home"));
        let told = |one: &Contrast| (one.name.clone(), changed(one));
        let other = (scenario.contrasts.iter().find(moves).map(told))
            .or_else(|| Some(("in a host of its own".to_owned(), in_own_host(scenario)?)))
            .or_else(|| scenario.contrasts.first().map(told));
        let other = match other {
            Some((name, other)) => Some((name, Story::of(&other, registries)?)),
            None => None,
        };
        let mut contrasts = Vec::new();
        for contrast in &scenario.contrasts {
            let changed = changed(contrast);
            let mut trial = Trial::new(&changed, registries)?;
            let Judged { outcome, class, missed } = Judged::of(&changed, &mut trial)?;
            let ending = Ending::of(&outcome);
            let source = contrast.source.clone().filter(|_| contrast.is_documented(scenario));
            contrasts.push(Contrasted {
                name: contrast.name.clone(),
                source,
                ending,
                class,
                missed,
            });
        }
        let containment = Containment::of(scenario, registries)?;
        let met = |one: &&Contrasted| one.source.is_some() && one.missed.is_empty();
        let discount = scenario.discount_with(contrasts.iter().filter(met).count());
        Ok(Self { title, story, other, contrasts, containment, discount })
    }

    /// What of the expectations was missed, of the case itself and of its contrasts.
    pub fn missed(&self) -> impl Iterator<Item = String> {
        let own = self.story.missed.iter().cloned();
        let others = self
            .contrasts
            .iter()
            .flat_map(|one| one.missed.iter().map(move |what| format!("{}: {what}", one.name)));
        own.chain(others)
    }

    /// What is reviewed: everything but what stands beside it.
    #[must_use]
    pub fn reviewed(&self) -> String {
        self.told(Detail::Reviewed)
    }

    fn told(&self, detail: Detail) -> String {
        let mut text = format!("{}\n", shown(&self.title));
        if let Some(why) = &self.discount {
            text += &format!("Doesn't count: {}.\n", shown(&why.to_string()));
        }
        text += &format!("\n{}", self.story);
        text += "\nwhere it was\n";
        for line in self.story.picture() {
            text += &format!("{line}\n");
        }
        let other = self.other.as_ref().filter(|_| detail == Detail::All);
        if let Some((name, other)) = other {
            text +=
                &format!("\nas it was, and {}\n{}", shown(name), beside(&self.story, name, other));
        }
        // Of devices that lose their host one by one that says nothing.
        let is_shared = self.contrasts.iter().any(|one| one.ending.devices_lost > 1);
        for (title, is_documented) in
            [("with one thing changed, as published", true), ("controls", false)]
        {
            let those = self.contrasts.iter().filter(|one| one.source.is_some() == is_documented);
            for (number, one) in those.enumerate() {
                if number == 0 {
                    text += &format!("\n{title}\n");
                }
                let met = if one.missed.is_empty() { "" } else { "  MISSED" };
                let devices = if is_shared { one.ending.devices() } else { String::new() };
                let service = one.ending.service() + &devices;
                let axes = format!("{:12} {service}", one.ending.integrity.name());
                let mut lines = in_lines(&shown(&one.name), NAME);
                let last = lines.pop().unwrap_or_default();
                lines.iter().for_each(|line| text += &format!("  {line}\n"));
                text += &format!("  {last:NAME$} {axes}{met}\n");
            }
        }
        text + "\nwhat would have contained it (= no difference on this schedule, no other was tried)\n"
            + &self.containment.text()
    }
}

/// How much is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    All,
    Reviewed,
}

impl fmt::Display for IncidentStory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told(Detail::All))
    }
}

/// Columns of a contrast's name.
const NAME: usize = 44;

/// A text in lines of at most so many characters where its words are no longer, all but the first further in.
fn in_lines(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.trim().is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(core::mem::replace(&mut line, "  ".to_owned()));
        }
        if !line.trim().is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}
