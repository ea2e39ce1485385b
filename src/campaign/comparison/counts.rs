//! What a common fault load comes to under one configuration: absolute counts, not shares.

use std::collections::BTreeMap;

use crate::outcome::{Availability, Class, Integrity, Outcome};

/// Why a fault of the load can't activate under a configuration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Cannot {
    /// The code in which it would strike is not there, or is not reached so often.
    NoSuchPoint,
    /// What it aims at is not there, or is somebody else's under the same name.
    NoSuchPlace,
    /// Its point is reached, and there is nothing to alter.
    NothingThere,
}

impl Cannot {
    /// Every reason, in the order in which they are asked.
    pub const ALL: [Self; 3] = [Self::NoSuchPoint, Self::NoSuchPlace, Self::NothingThere];

    /// Why a fault that was tried came to nothing, if nothing struck.
    #[must_use]
    pub const fn of(outcome: &Outcome) -> Option<Self> {
        if outcome.activation.strikes == 0 && outcome.guarantees.is_empty() {
            return Some(Self::NothingThere);
        }
        None
    }

    /// Its name in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoSuchPoint => "no such point",
            Self::NoSuchPlace => "no such place",
            Self::NothingThere => "nothing to alter",
        }
    }
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Cell {
    /// Faults that can't activate here.
    Cannot(Cannot),
    /// Faults that struck, by the class of what came of them.
    Class(Class),
    /// Faults that struck, by what became of data.
    Integrity(Integrity),
    /// Faults that struck, by what became of service: its place among [`Availability::NAMES`].
    Availability(u8),
}

impl Cell {
    /// Its name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cannot(why) => why.name(),
            Self::Class(class) => class.name(),
            Self::Integrity(integrity) => integrity.name(),
            Self::Availability(place) => {
                Availability::NAMES.get(usize::from(place)).copied().unwrap_or_default()
            }
        }
    }

    /// The axis it is on.
    #[must_use]
    pub const fn axis(self) -> &'static str {
        match self {
            Self::Cannot(_) => "cannot activate here",
            Self::Class(_) => "class",
            Self::Integrity(_) => "integrity",
            Self::Availability(_) => "availability",
        }
    }
}

/// What became of one fault that struck, on both axes and as a class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Came {
    /// The class.
    pub class: Class,
    /// What became of data.
    pub integrity: Integrity,
    /// What became of service: its place among [`Availability::NAMES`].
    pub availability: u8,
}

impl Came {
    /// Of an outcome; nothing where no fault struck.
    pub(super) fn of(outcome: &Outcome) -> Option<Self> {
        if Cannot::of(outcome).is_some() {
            return None;
        }
        let name = outcome.availability.name();
        let place = Availability::NAMES.iter().position(|known| *known == name).unwrap_or(0);
        Some(Self {
            class: outcome.class(),
            integrity: outcome.integrity,
            availability: u8::try_from(place).expect("few names"),
        })
    }
}

/// Counts of one configuration, over one world or many. Each fault of the load is counted once on each
/// axis, or as one that can't activate here, so that all configurations count to the same sum.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Faults of the load.
    pub tried: u64,
    /// Those that struck.
    pub struck: u64,
    /// By what is counted.
    pub cells: BTreeMap<Cell, u64>,
}

impl Counts {
    /// How many of a cell.
    #[must_use]
    pub fn of(&self, cell: Cell) -> u64 {
        self.cells.get(&cell).copied().unwrap_or(0)
    }

    /// Takes in one fault of the load.
    pub(super) fn add(&mut self, tried: Result<Came, Cannot>) {
        self.tried += 1;
        let cells = match tried {
            Ok(Came { class, integrity, availability }) => {
                self.struck += 1;
                vec![
                    Cell::Class(class),
                    Cell::Integrity(integrity),
                    Cell::Availability(availability),
                ]
            }
            Err(why) => vec![Cell::Cannot(why)],
        };
        for cell in cells {
            *self.cells.entry(cell).or_default() += 1;
        }
    }

    /// Takes in other counts.
    pub(super) fn merge(&mut self, other: &Self) {
        self.tried += other.tried;
        self.struck += other.struck;
        for (&cell, count) in &other.cells {
            *self.cells.entry(cell).or_default() += count;
        }
    }
}
