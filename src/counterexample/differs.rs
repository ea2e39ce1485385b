//! How what somebody saw, and what is on the disk, differ from the golden run.

use crate::authority::{Observation, Observations, Seen};
use crate::base::Roster;
use crate::campaign::{Golden, Judge};
use crate::kernel::service;
use crate::world::action::kind;
use crate::world::{Rest, World};

/// What is told of one sort; what comes beyond is counted.
const TOLD_MAX: usize = 4;

/// What a run had left when it first came to rest.
#[derive(Clone, Debug, Default)]
pub(super) struct Left {
    observations: Observations,
    /// Sectors that differ: the first word that does, as it is and as the golden run left it.
    sectors: Vec<(u32, usize, u64, u64)>,
}

impl Left {
    /// What a run has left that just came to rest.
    pub(super) fn by(world: &World, judge: &Judge, golden: &Golden, rest: Rest) -> Self {
        let is_cut = rest != Rest::Quiescent || golden.rest != Rest::Quiescent;
        let disk = &world.machine.disk;
        let strike = judge.strike();
        let stored = &golden.stored;
        let sectors = strike.map_or_else(Vec::new, |strike| {
            stored.differing(disk, is_cut.then_some(strike.ordinal))
        });
        let told = |sector: u32| {
            let (word, found, golden) = stored.first_difference(disk, sector)?;
            Some((sector, word, found, golden))
        };
        Self {
            observations: judge.authority.observations().clone(),
            sectors: sectors.into_iter().filter_map(told).collect(),
        }
    }

    /// What those of these names saw, beside what they saw in the golden run.
    pub(super) fn seen_by(
        &self,
        names: &[String],
        roster: &Roster,
        golden: &Observations,
    ) -> Vec<String> {
        let one = |name: &String| {
            let principal = roster.named(name)?;
            let (seen, before) = (self.observations.of(principal)?, golden.of(principal)?);
            Some(format!("{name}: {}", difference(seen, before)))
        };
        let told = names.iter().filter_map(one).collect();
        first_few(told)
    }

    /// What is on the disk, beside what the golden run left there.
    pub(super) fn stored(&self) -> Vec<String> {
        let one = |&(sector, word, found, golden): &(u32, usize, u64, u64)| {
            format!(
                "sector {sector} of the disk, word {word}: {found:#x}, without the fault {golden:#x}"
            )
        };
        first_few(self.sectors.iter().map(one).collect())
    }
}

fn first_few(mut told: Vec<String>) -> Vec<String> {
    let more = told.len().saturating_sub(TOLD_MAX);
    told.truncate(TOLD_MAX);
    if more > 0 {
        told.push(format!("and {more} more of these"));
    }
    told
}

/// An operation by its number, as processes tell it.
fn operation(number: u64) -> String {
    let name = match number & 0xff {
        kind::SERVICE => {
            let name =
                usize::try_from(number >> 8).ok().and_then(|place| service::NAMES.get(place));
            name.map(|name| name.to_lowercase().replace('_', "-"))
        }
        kind::STORE => Some("store".to_owned()),
        kind::LOAD => Some("load".to_owned()),
        kind::PORT_IN => Some("port-in".to_owned()),
        kind::PORT_OUT => Some("port-out".to_owned()),
        kind::TAKE => Some("take".to_owned()),
        _ => None,
    };
    name.unwrap_or_else(|| format!("operation {number:#x}"))
}

/// What an operation of a process came to: of a service its status, of what is read the word.
fn came_to(one: Observation) -> String {
    match one.operation & 0xff {
        kind::SERVICE => format!("status {:#x}", one.status),
        kind::LOAD | kind::PORT_IN | kind::TAKE => format!("{:#x}", one.bytes),
        _ => "done".to_owned(),
    }
}

/// How two that differ do so.
fn difference(seen: &Seen, golden: &Seen) -> String {
    let Some(place) = seen.first_difference(golden) else {
        if seen.ending() != golden.ending() {
            let (now, before) = (ended(seen.ending()), ended(golden.ending()));
            return format!("{now}, without the fault {before}");
        }
        let (now, before) = (seen.count(), golden.count());
        return match now == before {
            true => format!("one of the {now} operations after the first {}", seen.first().len()),
            false => format!("{now} operations, without the fault {before}"),
        };
    };
    let (now, before) = (seen.first()[place], golden.first()[place]);
    let number = place + 1;
    let name = operation(now.operation);
    if now.operation != before.operation {
        return format!(
            "operation {number} was {name}, without the fault {}",
            operation(before.operation)
        );
    }
    match (came_to(now), came_to(before)) {
        (now, before) if now == before => {
            format!("operation {number}, {name}: {now} with other bytes than without the fault")
        }
        (now, before) => format!("operation {number}, {name}: {now}, without the fault {before}"),
    }
}

/// How a process ended.
fn ended((times, status): (u8, u64)) -> String {
    match times {
        0 => "it did not end".to_owned(),
        _ => format!("it ended with status {status:#x}"),
    }
}
