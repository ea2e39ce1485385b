//! One experiment: a plan in a world, from a checkpoint before its first strike to the end.

use crate::base::{Domain, Principal, PrincipalKind, PrincipalSet, Structure};
use crate::injection::{Armed, PointKind};
use crate::invariants::Scope;
use crate::kernel::layout::{address, crash_block};
use crate::outcome::{Activation, Availability, Detection, Integrity, Outcome, Victim};
use crate::world::{Rest, World};

use super::golden::Golden;
use super::interrupt::{GLANCE, Interrupt, Interrupted};
use super::judge::{FirstAlarm, Judge};
use super::milestones::Joined;
use super::watch::Watch;

/// Steps a run may take beyond twice what the golden run took, before it counts as hung.
pub(crate) const PATIENCE: u64 = 4_000;
/// Turns of the clock that are granted besides, so that others finish beside a process that spins.
pub(crate) const TURNS: u64 = 60;

/// How a run is continued after a stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AfterStop {
    /// Boot again whenever the machine stopped, to see whether it stops again.
    AlwaysBoot,
    /// Boot again only where the next boot can differ from the golden run: the disk was changed by the
    /// fault's doing, or the golden run itself stopped.
    BootWhenChanged,
}

/// How far a run is followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Course {
    /// To its end.
    Full,
    /// To its end, or to where it stands in every respect where the golden run stood: what follows is
    /// known. World and judge are left there.
    UntilJoined,
}

/// Runs a world with armed faults to its end and says what became of it. World, judge and watch stand
/// where the golden run stood before the first strike, or at the beginning.
///
/// # Errors
///
/// When it was interrupted: there is no outcome.
#[allow(clippy::too_many_arguments, reason = "the parts of one experiment, used in two places")]
pub fn conclude(
    world: &mut World,
    judge: &mut Judge,
    watch: &mut Watch,
    golden: &Golden,
    armed: Vec<Armed>,
    after_stop: AfterStop,
    course: Course,
    interrupt: &Interrupt,
) -> Result<Outcome, Interrupted> {
    let is_planned = !armed.is_empty();
    for fault in armed {
        world.machine.points.arm(fault);
    }
    let patience = PATIENCE + TURNS * u64::from(world.configuration().machine.clock_interval);
    world.set_steps_max(world.machine.clock.max(golden.clock) + golden.clock + patience);
    let way = run_to_rest(world, judge, watch, golden, course, interrupt)?;
    let first = match way {
        Way::Rest(rest) => rest,
        Way::Joined(joined) => {
            let outcome = describe_joined(
                world,
                judge,
                watch,
                golden,
                world.machine.points.strikes(),
                joined,
            );
            drop(world.machine.points.disarm());
            return Ok(outcome);
        }
    };
    let crash = crash_of(world, first);
    let mut last = first;
    let mut stops = u8::from(crash.is_some());
    if crash.is_some() && wants_boot(world, judge, golden, after_stop) {
        while crash_of(world, last).is_some() && stops < world.configuration().boots_max {
            world.reboot();
            world.set_steps_max(world.machine.clock + 2 * golden.clock + patience);
            let Way::Rest(rest) =
                run_to_rest(world, judge, watch, golden, Course::Full, interrupt)?
            else {
                break;
            };
            last = rest;
            stops += u8::from(crash_of(world, last).is_some());
        }
    }
    let loops = stops >= world.configuration().boots_max && world.configuration().boots_max > 1;
    let strikes = world.machine.points.strikes();
    drop(world.machine.points.disarm());
    Ok(describe(world, judge, watch, golden, is_planned, strikes, first, crash, loops))
}

enum Way {
    Rest(Rest),
    Joined(Joined),
}

fn run_to_rest(
    world: &mut World,
    judge: &mut Judge,
    watch: &mut Watch,
    golden: &Golden,
    course: Course,
    interrupt: &Interrupt,
) -> Result<Way, Interrupted> {
    let next_after = |clock: u64| match course {
        Course::Full => u64::MAX,
        Course::UntilJoined => golden.milestones.next(clock + 1),
    };
    let mut milestone = next_after(world.machine.clock);
    let mut next = milestone.min(world.machine.clock + GLANCE);
    let rest = loop {
        let rest = world.step(judge);
        watch.after_step(world, judge);
        if let Some(rest) = rest {
            break rest;
        }
        if world.machine.clock >= next {
            if world.machine.clock >= milestone {
                if let Some(joined) = golden.milestones.joined(world, judge) {
                    return Ok(Way::Joined(joined));
                }
                milestone = next_after(world.machine.clock);
            }
            interrupt.check()?;
            next = milestone.min(world.machine.clock + GLANCE);
        }
    };
    watch.at_rest(world, judge, rest, Some(golden));
    Ok(Way::Rest(rest))
}

/// The crash a rest means, with the parameters the kernel left in memory.
fn crash_of(world: &World, rest: Rest) -> Option<Availability> {
    match rest {
        Rest::BugCheck(code) => {
            let word = |offset: u64| {
                let at =
                    world.machine.locate(0, crate::base::VirtAddr(address::KERNEL_DATA + offset));
                at.map_or(0, |at| world.machine.memory.read(crate::base::PhysAddr::truncated(at)))
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

fn wants_boot(world: &World, judge: &Judge, golden: &Golden, after_stop: AfterStop) -> bool {
    match after_stop {
        AfterStop::AlwaysBoot => true,
        AfterStop::BootWhenChanged => {
            golden.rest != Rest::Quiescent || reached_the_disk(world, judge)
        }
    }
}

/// Whether the disk's controller read corrupt bytes.
fn reached_the_disk(world: &World, judge: &Judge) -> bool {
    let disk = world.roster().named("disk-controller");
    judge.authority.consumptions().iter().any(|consumption| Some(consumption.reader) == disk)
}

#[allow(clippy::too_many_arguments, reason = "the facts of one run, used once")]
fn describe(
    world: &World,
    judge: &Judge,
    watch: &Watch,
    golden: &Golden,
    is_planned: bool,
    strikes: u64,
    first: Rest,
    crash: Option<Availability>,
    loops: bool,
) -> Outcome {
    let roster = world.roster();
    let name = |principal: Principal| roster.name(principal).to_owned();
    let struck = judge.struck();
    let is_contained = is_contained(world, judge);
    let differing = differing(world, judge, golden, first != Rest::Quiescent || crash.is_some());
    let allowed = judge.authority.may_differ(struck, Some(&golden.influence));
    let deviated: Vec<Principal> = if crash.is_some() {
        Vec::new()
    } else {
        differing
            .iter()
            .filter(|&one| !struck.contains(one))
            .filter(|&one| !is_contained || !allowed.contains(one))
            .collect()
    };

    let promised = |scope: Scope| is_contained || scope == Scope::Always;
    // What the golden run violates by itself is told of the world, and is nothing a fault did.
    let known = if is_planned { golden.violations.as_slice() } else { &[] };
    let mut guarantees = watch.names_beside(known, promised);
    let exposures = watch.names_beside(known, |scope| !promised(scope));
    if is_contained && !struck.is_empty() {
        let waits = unfinished(judge, golden).iter().any(|one| !allowed.contains(one));
        if !deviated.is_empty() || waits && crash.is_none() {
            guarantees.push(CONTAINED.to_owned());
        }
        let critical = struck.iter().any(|one| roster.get(one).is_some_and(|entry| entry.critical));
        if crash.is_some() && golden.rest == Rest::Quiescent && !critical {
            guarantees.push(SURVIVES.to_owned());
        }
    }

    let victims = victims(judge);
    Outcome {
        activation: activation(world, judge, strikes),
        integrity: integrity(world, judge, &victims, !deviated.is_empty()),
        victims,
        deviated: deviated.into_iter().map(name).collect(),
        availability: availability(world, judge, golden, first, crash, loops, differing),
        disclosed: judge.authority.disclosures().len() as u64,
        detection: detection(world, judge, judge.alarm()),
        guarantees,
        exposures,
    }
}

/// As [`describe`], of a run that goes on as the golden run did.
fn describe_joined(
    world: &World,
    judge: &Judge,
    watch: &Watch,
    golden: &Golden,
    strikes: u64,
    joined: Joined,
) -> Outcome {
    let is_contained = is_contained(world, judge);
    let promised = |scope: Scope| is_contained || scope == Scope::Always;
    let victims = victims(judge);
    Outcome {
        activation: activation(world, judge, strikes),
        integrity: integrity(world, judge, &victims, false),
        victims,
        deviated: Vec::new(),
        availability: match golden.devices_disabled {
            0 => Availability::Unaffected,
            _ => Availability::DeviceDisabled,
        },
        disclosed: judge.authority.disclosures().len() as u64,
        detection: detection(world, judge, judge.alarm().or(joined.alarm)),
        guarantees: watch.names_beside(&golden.violations, promised),
        exposures: watch.names_beside(&golden.violations, |scope| !promised(scope)),
    }
}

fn activation(world: &World, judge: &Judge, strikes: u64) -> Activation {
    let name = |principal: Principal| world.roster().name(principal).to_owned();
    Activation {
        strikes,
        first: judge.strike().map(|strike| strike.ordinal),
        by: judge.strike().map(|strike| name(strike.by)),
        routine: judge.strike().and_then(|strike| {
            let (routine, _) = world.machine.program.locate(crate::base::VirtAddr(strike.rip))?;
            (strike.point != PointKind::Dma).then(|| routine.routine.name.to_owned())
        }),
    }
}

fn detection(world: &World, judge: &Judge, alarm: Option<FirstAlarm>) -> Option<Detection> {
    let name = |principal: Principal| world.roster().name(principal).to_owned();
    alarm.zip(judge.strike()).map(|(alarm, strike)| Detection {
        by: if alarm.is_bug_check {
            format!("bug check {:#x}", alarm.number)
        } else {
            vector_name(alarm.number).to_owned()
        },
        steps: alarm.ordinal - strike.ordinal,
        blamed: name(alarm.blamed),
        did: name(strike.by),
    })
}

/// The guarantee that a user-mode fault changes nobody else's results beyond the influence relation.
pub const CONTAINED: &str = "user-mode-faults-are-contained";
/// The guarantee that a user-mode fault does not stop the machine.
pub const SURVIVES: &str = "the-system-survives-user-mode-faults";

/// Whether the architecture promises to contain what struck: everything began in user mode, and
/// nothing was changed behind everybody's back.
fn is_contained(world: &World, judge: &Judge) -> bool {
    let roster = world.roster();
    !judge.was_poked_elsewhere() && judge.struck().iter().all(|one| roster.kind(one).is_process())
}

/// Whose observations are not those of the golden run.
fn differing(world: &World, judge: &Judge, golden: &Golden, is_cut: bool) -> PrincipalSet {
    let mut set = PrincipalSet::NOBODY;
    for (principal, _) in world.roster().iter() {
        let seen = judge.authority.observations().of(principal);
        if let (Some(seen), Some(before)) = (seen, golden.observations.of(principal))
            && !seen.agrees(before, is_cut)
        {
            set = set.with(principal);
        }
    }
    set
}

/// Processes that are still there although the golden run saw their end.
fn unfinished(judge: &Judge, golden: &Golden) -> PrincipalSet {
    let alive = judge.authority.alive();
    alive
        .iter()
        .filter(|&one| !golden.alive.contains(one))
        .fold(PrincipalSet::NOBODY, PrincipalSet::with)
}

fn victims(judge: &Judge) -> Vec<Victim> {
    let mut victims: Vec<Victim> = judge
        .authority
        .corruptions()
        .iter()
        .filter_map(|corruption| match corruption.domain {
            // A section is written with leave, whoever it belongs to.
            _ if corruption.structure == Structure::SharedSection => Some(Victim::OwnDomain),
            Domain::Nobody => None,
            Domain::Own => Some(Victim::OwnDomain),
            Domain::Application | Domain::DriverHost => Some(Victim::AnotherProcess),
            Domain::KernelDriver | Domain::FileSystem => Some(Victim::AnotherDriver),
            Domain::Kernel => Some(Victim::Kernel),
            Domain::PageTable => Some(Victim::PageTables),
        })
        .collect();
    victims.sort_unstable();
    victims.dedup();
    victims
}

fn integrity(world: &World, judge: &Judge, victims: &[Victim], deviated: bool) -> Integrity {
    if judge.authority.corruptions().is_empty() {
        return Integrity::Untouched;
    }
    if reached_the_disk(world, judge) {
        return Integrity::Durable;
    }
    if deviated && !victims.is_empty() {
        return Integrity::Deviated;
    }
    if judge.authority.consumption_count() > 0 {
        return Integrity::Consumed;
    }
    if judge.authority.corrupt_words() > 0 { Integrity::Dormant } else { Integrity::Overwritten }
}

fn availability(
    world: &World,
    judge: &Judge,
    golden: &Golden,
    first: Rest,
    crash: Option<Availability>,
    loops: bool,
    differing: PrincipalSet,
) -> Availability {
    if let Some(crash) = crash {
        let (code, parameters) = match crash {
            Availability::BugCheck { code, parameters } => (code, parameters),
            _ => (0, [0; 4]),
        };
        return if loops { Availability::BootLoop { code, parameters } } else { crash };
    }
    let roster = world.roster();
    let unfinished = unfinished(judge, golden);
    let others = unfinished.iter().any(|one| !judge.struck().contains(one));
    let by_processes = judge.struck().iter().all(|one| roster.kind(one).is_process());
    let cut = first == Rest::OutOfSteps && golden.rest != Rest::OutOfSteps;
    if others || cut && unfinished.is_empty() && !by_processes {
        return Availability::Hang;
    }
    if judge.authority.devices_disabled() != 0 {
        return Availability::DeviceDisabled;
    }
    let mut worst = if unfinished.is_empty() && !cut {
        Availability::Unaffected
    } else {
        Availability::ProcessHung
    };
    for (principal, entry) in roster.iter().filter(|(_, entry)| entry.kind.is_process()) {
        let index = usize::from(principal.0);
        let (ended, status) = judge.endings()[index];
        if (ended, status) == golden.endings[index] {
            continue;
        }
        let lost = match entry.kind {
            PrincipalKind::DriverHost => Availability::HostLost {
                restarted: judge.authority.restarted().contains(principal),
            },
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
                && let Some(index) = seen.first_difference(before)
                && seen.first()[index].status != before.first()[index].status
            {
                return Availability::RequestFailed { status: seen.first()[index].status };
            }
        }
    }
    worst
}

/// What an exception's vector is called.
#[must_use]
pub fn vector_name(vector: u64) -> &'static str {
    match vector {
        0 => "divide error",
        3 => "breakpoint",
        6 => "invalid opcode",
        8 => "double fault",
        11 => "segment not present",
        13 => "general protection",
        14 => "page fault",
        0x29 => "fast fail",
        _ => "exception",
    }
}
