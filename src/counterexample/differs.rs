//! How what somebody saw, and what is on the disk, differ from the golden run.

use crate::authority::{Ending, Observation, Observations, Seen};
use crate::base::{Principal, PrincipalKind, PrincipalSet, Roster, counted};
use crate::campaign::availability::{never_made, unfinished};
use crate::campaign::left_in_memory::Word;
use crate::campaign::{Golden, Judge};
use crate::kernel::{service, status};
use crate::outcome::{Class, Outcome};
use crate::world::action::kind;
use crate::world::{Rest, World};

use super::happened::place_of;
use super::mode_line::named;

/// What is told of one sort; what comes beyond is counted.
const TOLD_MAX: usize = 4;

/// What a run had left when it first came to rest.
#[derive(Clone, Debug, Default)]
pub(super) struct Left {
    observations: Observations,
    /// Sectors that differ: the first word that does, as it is and as the golden run left it.
    sectors: Vec<(u32, usize, u64, u64)>,
    /// Words of memory in use that differ: in what of whom, where, as they are and as the golden run left them.
    words: Vec<(String, Word)>,
    /// Who never finished.
    unfinished: PrincipalSet,
    /// Who was never made.
    never_made: PrincipalSet,
    /// Of a run that was cut off as the golden run was, after how many steps, and who was not at its end.
    cut: Option<(u64, PrincipalSet)>,
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
        let (books, roster) = (&judge.authority, world.roster());
        let whose = |word: Word| {
            (named(roster, books.owners_of(word.at), books.structure_of(word.at)), word)
        };
        Self {
            words: golden.memory.differing(&world.machine.memory, books).map(whose).collect(),
            observations: judge.authority.observations().clone(),
            sectors: sectors.into_iter().filter_map(told).collect(),
            unfinished: unfinished(world, judge, golden),
            never_made: never_made(judge, golden, rest),
            cut: (rest == Rest::OutOfSteps && golden.rest == Rest::OutOfSteps)
                .then(|| (world.machine.clock, judge.authority.alive())),
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

    /// What those saw whose results differ as they may, beside what they saw in the golden run. Of who was
    /// merely cut short it is told how that came.
    pub(super) fn told_by_leave(
        &self,
        outcome: &Outcome,
        roster: &Roster,
        golden: &Observations,
    ) -> Vec<String> {
        let is_all_there_is = matches!(outcome.class(), Class::OwnDamage | Class::OtherOrder);
        let is_told = |name: &&String| {
            let principal = roster.named(name);
            let seen = principal.and_then(|one| self.observations.of(one).zip(golden.of(one)));
            seen.is_some_and(|(seen, before)| {
                let is_told_by_its_end = ends_after_others(seen, before, before.ending().1);
                seen.first_difference(before).is_some() || is_all_there_is && !is_told_by_its_end
            })
        };
        let names: Vec<String> = outcome.by_leave.iter().filter(is_told).cloned().collect();
        self.seen_by(&names, roster, golden)
    }

    /// Whether a process ended so in the golden run too: as often, with this status, after as many operations.
    pub(super) fn ended_so(&self, process: Principal, status: u64, golden: &Observations) -> bool {
        let (Some(seen), Some(before)) = (self.observations.of(process), golden.of(process)) else {
            return false;
        };
        before.ending() == (seen.ending().0, status) && seen.count() == before.count()
    }

    /// After how many operations a process ended that did as many others in the golden run before its end, with
    /// the same status; nothing where that is not the same end.
    pub(super) fn ended_after(
        &self,
        process: Principal,
        status: u64,
        golden: &Observations,
    ) -> String {
        let (Some(seen), Some(before)) = (self.observations.of(process), golden.of(process)) else {
            return String::new();
        };
        if !ends_after_others(seen, before, status) {
            return String::new();
        }
        format!(
            " after {}, without the fault after {}",
            counted(seen.count(), "operation"),
            before.count()
        )
    }

    /// Those that were never made, each with what it did in the golden run.
    pub(super) fn never_made(&self, roster: &Roster, golden: &Observations) -> Vec<String> {
        let one = |principal: Principal| {
            let done = counted(golden.of(principal)?.count(), "operation");
            Some(format!("{}, without the fault it does {done}", roster.name(principal)))
        };
        first_few(self.never_made.iter().filter_map(one).collect())
    }

    /// Those that never finished, each with how far it came; nothing of who runs to its end.
    pub(super) fn never_finished(&self, roster: &Roster, golden: &Observations) -> Vec<String> {
        let one = |principal: Principal| {
            let (seen, before) = (self.observations.of(principal)?, golden.of(principal)?);
            let (name, done) = (roster.name(principal), counted(seen.count(), "operation"));
            Some(match seen.count() == before.count() {
                true => format!("{name}, after {done}, as many as without the fault"),
                false => format!("{name}, after {done}, without the fault {}", before.count()),
            })
        };
        first_few(self.unfinished.iter().filter_map(one).collect())
    }

    /// That it was cut off as the golden run was, and whom that kept from their ends, without those that
    /// [`never_finished`](Self::never_finished) tells where `is_hung`. Hosts of drivers have no end.
    pub(super) fn cut_off(
        &self,
        roster: &Roster,
        has_plan: bool,
        is_hung: bool,
    ) -> Vec<(&'static str, String)> {
        let Some((steps, alive)) = self.cut else { return Vec::new() };
        let without = if has_plan { ", as without the fault" } else { "" };
        let what = format!("step {steps}: steps-max cuts it off before it comes to rest{without}");
        let one = |principal: Principal| {
            let seen = self.observations.of(principal)?;
            let is_application = roster.kind(principal) == PrincipalKind::Application
                && !(is_hung && self.unfinished.contains(principal));
            let told = || {
                format!("{}, after {}", roster.name(principal), counted(seen.count(), "operation"))
            };
            is_application.then(told)
        };
        let unfinished = first_few(alive.iter().filter_map(one).collect());
        let unfinished = unfinished.into_iter().map(|what| ("unfinished", what));
        core::iter::once(("cut off", what)).chain(unfinished).collect()
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

    /// What is in memory in use, beside what the golden run left there.
    pub(super) fn in_memory(&self) -> Vec<String> {
        let one = |(what, Word { at, found, golden }): &(String, Word)| {
            format!("{what} in {}: {found:#x}, without the fault {golden:#x}", place_of(at.raw()))
        };
        first_few(self.words.iter().map(one).collect())
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

/// Whether a process ended once and with this status in both, after other numbers of operations.
fn ends_after_others(seen: &Seen, before: &Seen, status: u64) -> bool {
    let is_same_end = seen.ending() == (1, status) && before.ending() == (1, status);
    is_same_end && seen.count() != before.count()
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
        kind::SERVICE if status::is_status(one.status) => format!("status {:#x}", one.status),
        kind::SERVICE => format!("{:#x}, which is no status", one.status),
        kind::LOAD | kind::PORT_IN | kind::TAKE => format!("{:#x}", one.bytes),
        _ => "done".to_owned(),
    }
}

/// How two that differ do so.
fn difference(seen: &Seen, golden: &Seen) -> String {
    let Some(place) = seen.first_difference(golden) else {
        if seen.ending() != golden.ending() {
            return endings(seen.ending(), golden.ending());
        }
        let (now, before) = (seen.count(), golden.count());
        return match now == before {
            true => format!("one of the {now} operations after the first {}", seen.first().len()),
            false => format!("{}, without the fault {before}", counted(now, "operation")),
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

/// How a process ended otherwise than without the fault.
fn endings(now: Ending, before: Ending) -> String {
    let is_often = now.0 > 1 || before.0 > 1;
    let ended = |(times, status): Ending| match times {
        0 => "it did not end".to_owned(),
        _ if !is_often => format!("it ended with status {status:#x}"),
        1 => format!("it ended once, with status {status:#x}"),
        _ => format!("it ended {times} times, at last with status {status:#x}"),
    };
    format!("{}, without the fault {}", ended(now), ended(before))
}

#[cfg(test)]
mod tests {
    use super::endings;
    use crate::campaign::Registries;
    use crate::counterexample::Story;
    use crate::scenario::Scenario;

    #[test]
    fn endings_that_differ_in_number_only_are_told_apart() {
        let violation = 0xc000_0005;
        assert_eq!(
            endings((2, violation), (1, violation)),
            "it ended 2 times, at last with status 0xc0000005, \
             without the fault it ended once, with status 0xc0000005"
        );
        assert_eq!(
            endings((1, violation), (1, 0)),
            "it ended with status 0xc0000005, without the fault it ended with status 0x0"
        );
        assert_eq!(
            endings((0, 0), (1, 0)),
            "it did not end, without the fault it ended with status 0x0"
        );
    }

    #[test]
    fn a_process_that_ends_before_its_time_is_told_though_its_status_is_the_same() {
        let ended = |nth: u64| {
            let text = format!(
                "format = 1\nname = \"crashes-anyway\"\n[[component]]\nname = \"editor\"\n\
                 home = \"application\"\nactions = [{{ do = \"store\", word = 0, value = \"0x1\" }}, \
                 {{ do = \"load\", word = 0 }}, \
                 {{ do = \"access\", address = \"0x10\", access = \"write\" }}]\n\
                 [[fault]]\nkind = \"crash\"\nwho = \"editor\"\n\
                 at = {{ point = \"step\", nth = {nth} }}\n"
            );
            let scenario = Scenario::from_bytes(text.as_bytes()).expect("a sound scenario");
            let story = Story::of(&scenario, &Registries::default()).expect("it runs");
            let ended = story.parts().iter().filter(|(head, _)| *head == "ended");
            ended.map(|(_, what)| what.clone()).collect::<Vec<_>>()
        };

        let early = ended(2);

        let end = "editor with status 0xc0000005 after 0 operations, without the fault after 2";
        assert!(early.len() == 1 && early[0].ends_with(end), "{early:?}");
        let late: Vec<String> = (3..12).flat_map(ended).collect();
        assert!(late.len() < 9, "at its last operation nothing is lost: {late:?}");
    }
}
