//! Where do two runs part? Both are run in step, and the first event that differs is named.

use core::fmt;

use crate::base::{Event, Roster, Witness};
use crate::world::World;

/// The first event in which two runs differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Difference {
    /// Its number, from 0.
    pub ordinal: u64,
    /// What happened in the first run; `None` when that run was already over.
    pub one: Option<Event>,
    /// What happened in the other.
    pub other: Option<Event>,
}

/// What one step brought.
#[derive(Default)]
struct Heard(Vec<Event>);

impl Witness for Heard {
    fn event(&mut self, event: &Event) {
        self.0.push(*event);
    }
}

/// Runs two worlds in step until they come to rest or differ. `None` when every event was the same.
pub fn first_difference(one: &mut World, other: &mut World) -> Option<Difference> {
    let mut ordinal = 0;
    let (mut first, mut second) = (Heard::default(), Heard::default());
    loop {
        let rest = one.step(&mut first);
        let other_rest = other.step(&mut second);
        let (ours, theirs) = (&first.0, &second.0);
        let same = ours.iter().zip(theirs).take_while(|(one, other)| one == other).count();
        if same < ours.len().max(theirs.len()) {
            let (one, other) = (ours.get(same).copied(), theirs.get(same).copied());
            return Some(Difference { ordinal: ordinal + same as u64, one, other });
        }
        ordinal += same as u64;
        if rest != other_rest {
            return Some(Difference { ordinal, one: None, other: None });
        }
        if rest.is_some() {
            return None;
        }
        first.0.clear();
        second.0.clear();
    }
}

impl Difference {
    /// The difference in words.
    #[must_use]
    pub fn told<'a>(&'a self, roster: &'a Roster) -> impl fmt::Display + 'a {
        Told { difference: self, roster }
    }
}

struct Told<'a> {
    difference: &'a Difference,
    roster: &'a Roster,
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { ordinal, one, other } = self.difference;
        write!(f, "event {ordinal} differs: ")?;
        self.event(f, one.as_ref())?;
        f.write_str(", and in the other run ")?;
        self.event(f, other.as_ref())
    }
}

impl Told<'_> {
    fn event(&self, f: &mut fmt::Formatter<'_>, event: Option<&Event>) -> fmt::Result {
        let Some(event) = event else { return f.write_str("nothing") };
        let actor = self.roster.name(event.actor);
        let (kind, virt, value) = (event.kind, event.virt, event.value);
        write!(f, "{kind} by {actor} at {virt:#x} of {value:#x}")
    }
}
