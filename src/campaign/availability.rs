//! What became of service?

use crate::authority::Seen;
use crate::base::{PhysAddr, Principal, PrincipalKind, PrincipalSet, VirtAddr};
use crate::kernel::layout::{address, crash_block};
use crate::kernel::status;
use crate::outcome::Availability;
use crate::world::{Rest, World};

use super::golden::Golden;
use super::judge::Judge;

/// The crash a rest means, with the parameters the kernel left in memory.
pub(super) fn crash_of(world: &World, rest: Rest) -> Option<Availability> {
    match rest {
        Rest::BugCheck(code) => {
            let word = |offset: u64| {
                let at = world.machine.locate(0, VirtAddr(address::KERNEL_DATA + offset));
                at.map_or(0, |at| world.machine.memory.read(PhysAddr::truncated(at)))
            };
            let parameters = [
                word(crash_block::PARAMETER_1.offset),
                word(crash_block::PARAMETER_2.offset),
                word(crash_block::PARAMETER_3.offset),
                word(crash_block::PARAMETER_4.offset),
            ];
            Some(Availability::BugCheck { code, parameters })
        }
        Rest::Reset => Some(Availability::Reset),
        Rest::Quiescent | Rest::OutOfSteps | Rest::Paused => None,
    }
}

/// Processes that are still there although the golden run saw their end, and those who wait in it for good
/// and had seen more by then. A host of drivers is there to wait for work: one that took the place of another
/// has nothing to finish.
pub(crate) fn unfinished(world: &World, judge: &Judge, golden: &Golden) -> PrincipalSet {
    let is_host = |one| world.roster().kind(one) == PrincipalKind::DriverHost;
    let alive = judge.authority.alive();
    alive
        .iter()
        .filter(|&one| !is_host(one))
        .filter(|&one| !golden.alive.contains(one) || stays_behind(judge, golden, one))
        .fold(PrincipalSet::NOBODY, PrincipalSet::with)
}

/// Whether a process saw no more than how its golden run begins. Where that is not at rest, it might go on.
fn stays_behind(judge: &Judge, golden: &Golden, process: Principal) -> bool {
    let seen = judge.authority.observations().of(process);
    golden.rest == Rest::Quiescent
        && seen.zip(golden.observations.of(process)).is_some_and(|(seen, before)| {
            seen.count() < before.count() && seen.first_difference(before).is_none()
        })
}

/// Processes that a run that came to rest never made, though the golden run did.
pub(crate) fn never_made(judge: &Judge, golden: &Golden, rest: Rest) -> PrincipalSet {
    if rest != Rest::Quiescent || golden.rest != Rest::Quiescent {
        return PrincipalSet::NOBODY;
    }
    let (seen, alive) = (judge.authority.observations(), judge.authority.alive());
    let roster = judge.authority.roster().iter().map(|(one, _)| one);
    roster
        .filter(|&one| golden.alive.contains(one) || golden.observations.ending(one).0 > 0)
        .filter(|&one| !alive.contains(one) && seen.ending(one).0 == 0)
        .fold(PrincipalSet::NOBODY, PrincipalSet::with)
}

/// The worst that became of service at a rest. `differing` are those whose observations are not the
/// golden run's.
pub(super) fn availability(
    world: &World,
    judge: &Judge,
    golden: &Golden,
    first: Rest,
    crash: Option<Availability>,
    differing: PrincipalSet,
) -> Availability {
    if let Some(crash) = crash {
        return crash;
    }
    let roster = world.roster();
    let unfinished = unfinished(world, judge, golden);
    let suspects = judge.suspects();
    let others = unfinished.iter().any(|one| !suspects.acted.contains(one));
    let by_processes =
        !suspects.flipped && suspects.acted.iter().all(|one| roster.kind(one).is_process());
    let cut = first == Rest::OutOfSteps && golden.rest != Rest::OutOfSteps;
    if others || cut && unfinished.is_empty() && !by_processes {
        return Availability::Hang;
    }
    if judge.authority.devices_disabled() & !golden.devices_disabled != 0 {
        return Availability::DeviceDisabled;
    }
    let mut worst = match (unfinished.is_empty() && !cut, never_made(judge, golden, first)) {
        (true, PrincipalSet::NOBODY) => Availability::Unaffected,
        (false, PrincipalSet::NOBODY) => Availability::ProcessHung,
        _ => Availability::ProcessMissing,
    };
    for (principal, entry) in roster.iter().filter(|(_, entry)| entry.kind.is_process()) {
        let (ended, status) = judge.authority.observations().ending(principal);
        let before = golden.observations.ending(principal);
        let is_sooner =
            entry.kind != PrincipalKind::DriverHost && ends_sooner(judge, golden, principal);
        if (ended, status) == before && !is_sooner {
            continue;
        }
        // What a run that was cut off had not ended by then may end like this in it too.
        let may_be_its_own = golden.rest == Rest::OutOfSteps && before.0 == 0;
        let lost = match entry.kind {
            // Who ended by a mistake and ends without one now has lost nothing, nor who ends without a mistake
            // as late and only says something else with its status: that is a result.
            kind if kind != PrincipalKind::DriverHost
                && ended == before.0
                && (is_error(before.1) || !is_sooner)
                && !is_error(status) =>
            {
                Availability::Unaffected
            }
            PrincipalKind::DriverHost => Availability::HostLost {
                restarted: judge.authority.restarted().contains(principal),
            },
            _ if may_be_its_own && !is_error(status) => Availability::Unaffected,
            _ if ended > 0 => Availability::ProcessLost { status },
            _ => Availability::Unaffected,
        };
        worst = worst.max(lost);
    }
    if worst == Availability::Unaffected {
        for principal in differing.iter() {
            let seen = judge.authority.observations().of(principal);
            let before = golden.observations.of(principal);
            if let (Some(seen), Some(before)) = (seen, before)
                && let Some(status) = failed(seen, before)
            {
                return Availability::RequestFailed { status };
            }
        }
    }
    worst
}

/// Whether a process ends by a mistake before it has done all that it does in the golden run, which ends it by one too:
/// what it did is what it does there, and less.
fn ends_sooner(judge: &Judge, golden: &Golden, process: Principal) -> bool {
    let seen = judge.authority.observations().of(process);
    let (Some(seen), Some(before)) = (seen, golden.observations.of(process)) else { return false };
    let (ended, status) = seen.ending();
    ended > 0
        && is_error(status)
        && seen.count() < before.count()
        && seen.first_difference(before).is_none()
}

/// The first status that says of a failure what the golden run does not say. A request that succeeds
/// where it failed has not failed; one whose result is no status came to other results.
fn failed(seen: &Seen, before: &Seen) -> Option<u64> {
    let pairs = seen.first().iter().zip(before.first());
    let differing = pairs.filter(|(seen, before)| seen.status != before.status);
    let mut statuses = differing.map(|(seen, _)| seen.status);
    statuses.find(|&status| is_error(status) && status::is_status(status))
}

/// Whether a status is a warning or an error: the two severities with the top bit of 32 ("NTSTATUS",
/// [MS-ERREF]).
const fn is_error(status: u64) -> bool {
    status >> 31 & 1 == 1
}
