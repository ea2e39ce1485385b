//! Whether a switch made the difference, or only another schedule.
//!
//! A switch moves steps, and a race that was lost may be won with it for no other reason. So what differs
//! on the incident's own schedule is run on others too, with the switch and without. The switch makes the
//! outcome less bad if no schedule with it ends worse, and seven without it do: were it chance, each of the
//! seven would be as likely with the switch, and all on one side come up once in 128 times. Worse likewise.
//! Where 12 schedules have none with it and fewer than seven without, 48 are run.
//!
//! What ends alike on the own schedule is tried on no other: a single schedule that ends as badly shows that
//! the switch doesn't contain it, whatever others would show. A switch that makes it worse on other schedules
//! only is not looked for, so the table says of these that they make no difference on this one.

use core::cmp::Ordering;

use crate::base::Seed;
use crate::campaign::{Judged, Registries, Trial, TrialError};
use crate::outcome::Availability;
use crate::scenario::Scenario;

use super::{Cell, Ending};

/// Schedules that a difference is tried on, the scenario's own among them; and on how many where these
/// don't decide it.
const SCHEDULES: [usize; 2] = [12, 48];
/// Schedules without the switch at least that end otherwise than all with it.
const LEAST: usize = 7;

/// How a world ends on its own schedule and, where that was asked, on others; all are nothing where no
/// such world can be.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Endings(Vec<Cell>);

impl Endings {
    /// On the scenario's own schedule.
    pub(super) fn of(
        scenario: Option<&Scenario>,
        registries: &Registries,
    ) -> Result<Self, TrialError> {
        scenario.map_or_else(
            || Ok(Self::default()),
            |scenario| Ok(Self(vec![ending(scenario, registries)?])),
        )
    }

    /// On others as well, so many together.
    fn on(
        &mut self,
        schedules: usize,
        scenario: &Scenario,
        registries: &Registries,
    ) -> Result<(), TrialError> {
        let mut stream = Seed(scenario.configuration.schedule).stream("other-schedules", 0);
        for number in 1..schedules {
            let schedule = stream.word();
            if number >= self.0.len() {
                let mut other = scenario.clone();
                other.configuration.schedule = schedule;
                self.0.push(ending(&other, registries)?);
            }
        }
        Ok(())
    }

    /// On the scenario's own schedule.
    #[must_use]
    pub fn own(&self) -> Cell {
        self.0.first().copied().flatten()
    }
}

/// Runs both worlds, the first with a switch turned, on as many schedules as it takes.
pub(super) fn compare(
    with: (&mut Endings, &Scenario),
    without: (&mut Endings, &Scenario),
    registries: &Registries,
) -> Result<(), TrialError> {
    for schedules in SCHEDULES {
        with.0.on(schedules, with.1, registries)?;
        without.0.on(schedules, without.1, registries)?;
        let is_open = |axis: Axis| {
            let effect = axis.effect(with.0, without.0);
            matches!(effect, Some(Effect::BySchedule { with: 0, without: 1.., .. }))
        };
        if !Axis::ALL.into_iter().any(is_open) {
            break;
        }
    }
    Ok(())
}

/// How a scenario ends; nothing when it can't be run.
fn ending(scenario: &Scenario, registries: &Registries) -> Result<Cell, TrialError> {
    let judged =
        Trial::new(scenario, registries).and_then(|mut trial| Judged::of(scenario, &mut trial));
    match judged {
        Ok(judged) => Ok(Some(Ending::of(&judged.outcome))),
        Err(TrialError::Interrupted) => Err(TrialError::Interrupted),
        Err(_) => Ok(None),
    }
}

/// What it is that differs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Axis {
    /// What became of stored data.
    Data,
    /// What became of service.
    Service,
}

/// What a switch does on an axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Nothing, on the scenario's own schedule.
    Same,
    /// It makes the outcome less bad, another as bad, or worse.
    Changes(Ordering),
    /// Other schedules end otherwise with it as well, or too few do without it: that the own one differs
    /// says nothing.
    BySchedule {
        /// Less bad, another or worse, on the own schedule.
        order: Ordering,
        /// Schedules that end otherwise with the switch: worse where the own one is less bad.
        with: usize,
        /// Those that do without it.
        without: usize,
        /// Of so many.
        of: usize,
    },
}

impl Axis {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Data, Self::Service];

    /// What an ending is called here.
    pub(super) fn name(self, ending: Ending) -> String {
        match self {
            Self::Data => ending.integrity.name().to_owned(),
            Self::Service => ending.service(),
        }
    }

    /// Which of two endings is the worse; which bug check it is makes no difference.
    fn compare(self, one: Ending, other: Ending) -> Ordering {
        let rank = |ending: Ending| {
            let name = ending.availability.name();
            Availability::NAMES.iter().position(|known| *known == name)
        };
        match self {
            Self::Data => one.integrity.cmp(&other.integrity),
            Self::Service => rank(one).cmp(&rank(other)),
        }
    }

    /// What a switch does, where there are both worlds.
    #[must_use]
    pub fn effect(self, with: &Endings, without: &Endings) -> Option<Effect> {
        let (now, before) = (with.own()?, without.own()?);
        if self.name(now) == self.name(before) {
            return Some(Effect::Same);
        }
        let order = self.compare(now, before);
        // What wrote past its own block and hit nothing was not contained, only lucky.
        let is_luck =
            |ending: &Ending| self == Self::Data && ending.is_violated && !now.is_violated;
        let is_otherwise = |ending: &Ending| match order {
            Ordering::Less => self.compare(*ending, now).is_gt() || is_luck(ending),
            Ordering::Equal => {
                self.compare(*ending, now).is_eq() && self.name(*ending) != self.name(now)
            }
            order => self.compare(*ending, now) == order.reverse(),
        };
        let of = with.0.len().min(without.0.len());
        let count =
            |all: &Endings| all.0[..of].iter().flatten().filter(|one| is_otherwise(one)).count();
        let (with, without) = (count(with), count(without));
        // Which bug check it is is a question of those that stop, and one of them is enough.
        let least = if order.is_eq() { 1 } else { LEAST };
        Some(if with == 0 && without >= least {
            Effect::Changes(order)
        } else {
            Effect::BySchedule { order, with, without, of }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Integrity;

    /// Endings of which so many are bad, in the own schedule the first bad one or none.
    fn endings(bad: usize, own_is_bad: bool) -> Endings {
        let bad_one = Ending {
            integrity: Integrity::Consumed,
            availability: Availability::BugCheck { code: 0x19, parameters: [0; 4] },
            devices_lost: 0,
            is_violated: true,
        };
        let good = Ending {
            integrity: Integrity::Untouched,
            availability: Availability::Unaffected,
            devices_lost: 0,
            is_violated: false,
        };
        let mut all = vec![Some(good); 12 - bad];
        let at = if own_is_bad { 0 } else { all.len() };
        all.splice(at..at, vec![Some(bad_one); bad]);
        Endings(all)
    }

    #[test]
    fn a_switch_counts_if_no_schedule_with_it_ends_worse_and_seven_without_it_do() {
        let effect = |with, without| {
            Axis::ALL.map(|axis| {
                axis.effect(&endings(with, false), &endings(without, true)).expect("both are")
            })
        };

        let order = Ordering::Less;
        assert_eq!(effect(0, 12), [Effect::Changes(order); 2]);
        assert_eq!(effect(0, 7), [Effect::Changes(order); 2]);
        let by_schedule = |with, without| Effect::BySchedule { order, with, without, of: 12 };
        assert_eq!(effect(0, 6), [by_schedule(0, 6); 2]);
        assert_eq!(effect(10, 10), [by_schedule(10, 10); 2]);
        assert_eq!(effect(1, 12), [by_schedule(1, 12); 2]);
        let worse = Axis::Data.effect(&endings(12, true), &endings(0, false));
        assert_eq!(worse, Some(Effect::Changes(Ordering::Greater)));
        let sometimes = Axis::Data.effect(&endings(11, true), &endings(0, false));
        let order = Ordering::Greater;
        assert_eq!(sometimes, Some(Effect::BySchedule { order, with: 1, without: 12, of: 12 }));
        assert_eq!(Axis::Data.effect(&endings(3, true), &endings(9, true)), Some(Effect::Same));
        assert_eq!(Axis::Data.effect(&Endings::default(), &endings(9, true)), None);
    }

    #[test]
    fn what_violated_a_guarantee_and_hit_nothing_was_not_contained() {
        let lucky = |times: usize| {
            let mut endings = endings(0, false);
            let last = endings.0.iter_mut().rev().take(times);
            last.flatten().for_each(|cell| cell.is_violated = true);
            endings
        };
        let mut without = lucky(9);
        without.0[0] = endings(1, true).own();

        let contained = Axis::Data.effect(&lucky(0), &without);
        let timing = Axis::Data.effect(&lucky(10), &without);

        assert_eq!(contained, Some(Effect::Changes(Ordering::Less)));
        let order = Ordering::Less;
        assert_eq!(timing, Some(Effect::BySchedule { order, with: 10, without: 10, of: 12 }));
    }

    #[test]
    fn which_bug_check_it_is_is_asked_of_those_that_stop() {
        let stopped = |code, times| {
            let mut endings = endings(times, true);
            for cell in endings.0.iter_mut().flatten() {
                if let Availability::BugCheck { code: its, .. } = &mut cell.availability {
                    *its = code;
                }
            }
            endings
        };

        let other = Axis::Service.effect(&stopped(0x13a, 2), &stopped(0x19, 2));

        assert_eq!(other, Some(Effect::Changes(Ordering::Equal)));
    }
}
