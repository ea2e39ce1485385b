//! What had become of everybody when a run first came to rest?

use crate::base::{Principal, PrincipalSet};
use crate::injection::Armed;
use crate::outcome::{Availability, Integrity, Sleep, Victim};
use crate::world::{Rest, World};

use super::availability::{availability, crash_of, unfinished};
use super::damage::Victims;
use super::experiment::{damage, integrity, is_contained};
use super::golden::Golden;
use super::judge::Judge;

/// What was planned to happen in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Planned {
    /// Nothing: what the run shows is its world's own.
    Nothing,
    /// Only what processors and devices may do at any time.
    Disorder,
    /// Defects.
    Defects,
}

impl Planned {
    pub(super) fn of(armed: &[Armed]) -> Self {
        match armed {
            [] => Self::Nothing,
            _ if armed.iter().all(|one| one.is_legal) => Self::Disorder,
            _ => Self::Defects,
        }
    }

    pub(super) fn is_any(self) -> bool {
        self != Self::Nothing
    }
}

/// What had become of everybody when the run first came to rest: what boots after that show is
/// another run's.
pub(super) struct Standing {
    /// Whose results are not those of the golden run, beyond the influence relation.
    pub(super) deviated: PrincipalSet,
    /// Whose are not, as it allows.
    pub(super) by_leave: PrincipalSet,
    /// Whether somebody beyond the influence relation never finished.
    pub(super) is_waited: bool,
    /// Whether the disk holds what it does not hold in the golden run, beyond the influence relation.
    pub(super) is_durable: bool,
    /// Whether it does, as that allows.
    pub(super) stored_by_leave: bool,
    pub(super) victims: Victims,
    pub(super) integrity: Integrity,
    pub(super) availability: Availability,
    pub(super) sleep: Option<Sleep>,
}

impl Standing {
    pub(super) fn at_rest(
        world: &World,
        judge: &Judge,
        golden: &Golden,
        planned: Planned,
        rest: Rest,
    ) -> Self {
        let struck = judge.struck();
        let is_contained = is_contained(world, judge);
        // Who was cut short saw no more than the beginning, and stored no more.
        let is_cut = rest != Rest::Quiescent;
        let differing = differing(world, judge, golden, is_cut);
        let may_differ = |origins| judge.authority.may_differ(origins, Some(&golden.influence));
        let allowed = match planned {
            _ if is_contained => may_differ(struck),
            // Who comes first where something is shared, nobody promises.
            Planned::Disorder => struck.union(may_differ(PrincipalSet::NOBODY)),
            _ => struck,
        };
        let by_leave = differing.iter().filter(|&one| allowed.contains(one));
        let by_leave = by_leave.fold(PrincipalSet::NOBODY, PrincipalSet::with);
        let deviated = by_leave.iter().fold(differing, PrincipalSet::without);
        let crash = crash_of(world, rest);
        let waits = unfinished(world, judge, golden).iter().any(|one| !allowed.contains(one));
        let is_stored = is_stored_otherwise(world, judge, golden, is_cut);
        // For what defects of kernel mode and devices do, nobody has leave.
        let stored_by_leave = is_stored
            && (is_contained || planned == Planned::Disorder)
            && judge.authority.may_change_disk(allowed, Some(&golden.influence));
        let is_durable = is_stored && !stored_by_leave;
        let damage = damage(judge, golden, planned);
        let victims = damage.victims(world.roster(), judge);
        let availability = availability(world, judge, golden, rest, crash, differing);
        // Where nobody's bytes were damaged, the data may differ all the same: for want of a store.
        let got_other_bytes = |one: Principal| {
            let seen = judge.authority.observations().of(one);
            seen.zip(golden.observations.of(one)).is_some_and(|(seen, it)| seen.got_other_bytes(it))
        };
        let is_other = !deviated.is_empty()
            && (victims.all.iter().any(|one| *one != Victim::FreeMemory)
                || deviated.iter().any(got_other_bytes));
        Self {
            deviated,
            by_leave,
            is_waited: waits && crash.is_none(),
            is_durable,
            stored_by_leave,
            integrity: integrity(damage, is_other, is_durable),
            victims,
            availability,
            sleep: None,
        }
    }
}

/// Whether the disk holds what it does not hold in the golden run.
fn is_stored_otherwise(world: &World, judge: &Judge, golden: &Golden, is_cut: bool) -> bool {
    let Some(strike) = judge.strike() else { return false };
    let is_cut = is_cut || golden.rest != Rest::Quiescent;
    !golden.stored.differing(&world.machine.disk, is_cut.then_some(strike.ordinal)).is_empty()
}

/// Whose observations are not those of the golden run.
fn differing(world: &World, judge: &Judge, golden: &Golden, is_cut: bool) -> PrincipalSet {
    let mut set = PrincipalSet::NOBODY;
    for (principal, _) in world.roster().iter() {
        let seen = judge.authority.observations().of(principal);
        if let (Some(seen), Some(before)) = (seen, golden.observations.of(principal))
            && !seen.fits(before, is_cut, golden.rest != Rest::Quiescent)
        {
            set = set.with(principal);
        }
    }
    set
}
