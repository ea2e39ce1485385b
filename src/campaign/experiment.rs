//! One experiment: a plan in a world, from a checkpoint before its first strike to the end.

use crate::base::{Principal, PrincipalKind};
use crate::injection::Armed;
use crate::invariants::Scope;
use crate::outcome::{
    Activation, Availability, Class, Detection, Integrity, Missed, Outcome, WhyMissed,
};
use crate::world::{Rest, World};

use super::alarm::Raised;
use super::availability::crash_of;
use super::damage::Damage;
use super::golden::Golden;
use super::interrupt::{GLANCE, Interrupt, Interrupted};
use super::judge::Judge;
use super::sleep::Sleeper;
use super::standing::{Planned, Standing};
use super::watch::Watch;

/// The bug checks that ends of a critical process come to ("Bug Check 0xEF: CRITICAL_PROCESS_DIED"), that by a bad
/// handle under strict checks among them ("Bug Check 0x1ED: HANDLE_ERROR_ON_CRITICAL_THREAD").
const ENDS_OF_CRITICAL: [u64; 2] = [0xef, 0x1ed];

/// How a run is continued after a stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AfterStop {
    /// Boot again whenever the machine stopped, to see whether it stops again.
    AlwaysBoot,
    /// Boot again only where the next boot can differ from the golden run: the disk was changed by the
    /// fault's doing, a fault can still strike, or the golden run itself stopped.
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
    let planned = Planned::of(&armed);
    let mut sleeper = Sleeper::new(judge);
    for fault in armed {
        world.machine.points.arm(fault);
    }
    let granted = golden.granted(world);
    world.set_steps_max(granted);
    let way = run_to_rest(world, judge, watch, &mut sleeper, golden, course, interrupt)?;
    let first = match way {
        Way::Rest(rest) => rest,
        Way::Joined => {
            let outcome = describe_joined(world, judge, watch, golden, planned, strikes_of(world));
            let sleep = sleeper.end(world, judge, golden, false);
            let outcome = Outcome { sleep, ..outcome };
            drop(world.machine.points.disarm());
            return Ok(outcome);
        }
    };
    let crash = crash_of(world, first);
    let sleep = sleeper.end(world, judge, golden, crash.is_some());
    let stood = Standing { sleep, ..Standing::at_rest(world, judge, golden, planned, first) };
    let mut last = first;
    let mut stops = u8::from(crash.is_some());
    if crash.is_some() && wants_boot(world, golden, &stood, after_stop) {
        while crash_of(world, last).is_some() && stops < world.configuration().boots_max {
            world.reboot();
            world.set_steps_max(world.machine.clock + granted);
            let Way::Rest(rest) =
                run_to_rest(world, judge, watch, &mut sleeper, golden, Course::Full, interrupt)?
            else {
                break;
            };
            last = rest;
            stops += u8::from(crash_of(world, last).is_some());
        }
    }
    let loops = stops >= world.configuration().boots_max && world.configuration().boots_max > 1;
    let strikes = strikes_of(world);
    drop(world.machine.points.disarm());
    Ok(describe(world, judge, watch, golden, planned, strikes, stood, crash, loops))
}

enum Way {
    Rest(Rest),
    Joined,
}

fn run_to_rest(
    world: &mut World,
    judge: &mut Judge,
    watch: &mut Watch,
    sleeper: &mut Sleeper,
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
        sleeper.look(world, judge, golden);
        if let Some(rest) = rest {
            break rest;
        }
        if world.machine.clock >= next {
            if world.machine.clock >= milestone {
                if golden.milestones.joined(world, judge) {
                    return Ok(Way::Joined);
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

fn wants_boot(world: &World, golden: &Golden, stood: &Standing, after_stop: AfterStop) -> bool {
    match after_stop {
        AfterStop::AlwaysBoot => true,
        AfterStop::BootWhenChanged => {
            golden.rest != Rest::Quiescent || stood.is_durable || !world.machine.points.are_spent()
        }
    }
}

#[allow(clippy::too_many_arguments, reason = "the facts of one run, used once")]
fn describe(
    world: &World,
    judge: &Judge,
    watch: &Watch,
    golden: &Golden,
    planned: Planned,
    strikes: Strikes,
    stood: Standing,
    crash: Option<Availability>,
    loops: bool,
) -> Outcome {
    let roster = world.roster();
    let name = |principal: Principal| roster.name(principal).to_owned();
    let struck = judge.struck();
    let is_contained = is_contained(world, judge);
    let promised = |scope: Scope| is_contained || scope == Scope::Always;
    // What the golden run violates by itself is told of the world, and is nothing a fault did.
    let known = if planned.is_any() { golden.violations.as_slice() } else { &[] };
    let mut guarantees = watch.names_beside(known, promised);
    let exposures = watch.names_beside(known, |scope| !promised(scope));
    if is_contained && !struck.is_empty() {
        if !stood.deviated.is_empty() || stood.is_waited || stood.is_durable {
            guarantees.push(CONTAINED.to_owned());
        }
        // The documented ways for user mode to stop the machine: both are the end of a critical process.
        let by_leave = matches!(crash, Some(Availability::BugCheck { code, .. }) if ENDS_OF_CRITICAL.contains(&code))
            && struck.iter().any(|one| judge.authority.critical().contains(one));
        if crash.is_some() && golden.rest == Rest::Quiescent && !by_leave {
            guarantees.push(SURVIVES.to_owned());
        }
    }

    let availability = match stood.availability {
        Availability::BugCheck { code, parameters } if loops => {
            Availability::BootLoop { code, parameters }
        }
        Availability::Reset if loops => Availability::BootLoop { code: 0, parameters: [0; 4] },
        availability => availability,
    };
    let outcome = Outcome {
        activation: activation(world, judge, strikes),
        integrity: stood.integrity,
        victims: stood.victims.all,
        read: stood.victims.read,
        unread: stood.victims.unread,
        deviated: stood.deviated.iter().map(name).collect(),
        by_leave: stood.by_leave.iter().map(name).collect(),
        stored_by_leave: stood.stored_by_leave,
        is_disorder: planned == Planned::Disorder,
        memory_differs: false,
        availability,
        devices_lost: (judge.authority.devices_lost() & !golden.devices_lost).count_ones().into(),
        sleep: stood.sleep,
        disclosed: damage(judge, golden, planned).disclosed(),
        detection: detection(world, judge),
        guarantees,
        exposures,
    };
    // Where anything else came of it, memory differs anyway.
    let (memory, books) = (&world.machine.memory, &judge.authority);
    let memory_differs = outcome.class() == Class::NoEffect
        && golden.memory.differing(memory, books).next().is_some();
    Outcome { memory_differs, ..outcome }
}

/// As [`describe`], of a run that goes on as the golden run did.
fn describe_joined(
    world: &World,
    judge: &Judge,
    watch: &Watch,
    golden: &Golden,
    planned: Planned,
    strikes: Strikes,
) -> Outcome {
    let is_contained = is_contained(world, judge);
    let promised = |scope: Scope| is_contained || scope == Scope::Always;
    let damage = damage(judge, golden, planned);
    let victims = damage.victims(world.roster(), judge);
    Outcome {
        activation: activation(world, judge, strikes),
        integrity: integrity(damage, false, false),
        victims: victims.all,
        read: victims.read,
        unread: victims.unread,
        deviated: Vec::new(),
        by_leave: Vec::new(),
        stored_by_leave: false,
        is_disorder: planned == Planned::Disorder,
        memory_differs: false,
        availability: Availability::Unaffected,
        devices_lost: 0,
        sleep: None,
        disclosed: damage.disclosed(),
        detection: detection(world, judge),
        guarantees: watch.names_beside(&golden.violations, promised),
        exposures: watch.names_beside(&golden.violations, |scope| !promised(scope)),
    }
}

/// How often faults struck, at which step first, and those that never did.
type Strikes = (u64, Option<u64>, Vec<Missed>);

/// What the armed faults did.
fn strikes_of(world: &World) -> Strikes {
    let points = &world.machine.points;
    let missed = (0..).zip(points.armed()).filter(|(_, armed)| armed.strikes == 0);
    let missed = missed.map(|(number, armed)| {
        let (reached, wanted) = (armed.seen, armed.trigger.nth);
        let why = if reached < wanted {
            WhyMissed::PointNotReached { reached, wanted }
        } else {
            WhyMissed::NothingThere
        };
        Missed { number, why }
    });
    (points.strikes(), points.first_at(), missed.collect())
}

fn activation(world: &World, judge: &Judge, (strikes, first_at, missed): Strikes) -> Activation {
    let name = |principal: Principal| world.roster().name(principal).to_owned();
    Activation {
        strikes,
        first: judge.strike().map(|strike| strike.ordinal),
        by: judge.strike().map(|strike| name(strike.by)),
        routine: judge.strike().and_then(|strike| {
            // What a device does happens in no routine, whatever its interrupt comes between.
            let is_device = world.roster().kind(strike.by) == PrincipalKind::Device;
            let (linked, _) = world.code_at(strike.context, first_at.filter(|_| !is_device)?)?;
            Some(linked.routine.name.to_owned())
        }),
        missed,
    }
}

fn detection(world: &World, judge: &Judge) -> Option<Detection> {
    let name = |principal: Principal| world.roster().name(principal).to_owned();
    judge.alarm().map(|(alarm, suspects)| Detection {
        by: match alarm.raised {
            Raised::BugCheck(code) => format!("bug check {code:#x}"),
            Raised::Exception(vector) => vector_name(vector).to_owned(),
            Raised::Reset => "reset".to_owned(),
            Raised::Refusal => "DMA remapping fault".to_owned(),
            Raised::TimeOut => "host time-out".to_owned(),
        },
        events: alarm.ordinal - suspects.since,
        blamed: name(alarm.blamed),
        did: suspects.names(world.roster()),
    })
}

/// The guarantee that a user-mode fault changes nobody else's results beyond the influence relation.
pub const CONTAINED: &str = "user-mode-faults-are-contained";
/// The guarantee that a user-mode fault does not stop the machine.
pub const SURVIVES: &str = "the-system-survives-user-mode-faults";

/// Whether the architecture promises to contain what struck: everything began in user mode, and
/// nothing was changed behind everybody's back.
pub(crate) fn is_contained(world: &World, judge: &Judge) -> bool {
    let roster = world.roster();
    !judge.was_poked_elsewhere() && judge.struck().iter().all(|one| roster.kind(one).is_process())
}

/// What a plan damaged; of a run without one, all that was.
pub(super) fn damage<'r>(judge: &'r Judge, golden: &'r Golden, planned: Planned) -> Damage<'r> {
    Damage::new(&judge.authority, planned.is_any().then_some(&golden.own_doing))
}

pub(super) fn integrity(damage: Damage<'_>, deviated: bool, durable: bool) -> Integrity {
    if durable {
        return Integrity::Durable;
    }
    if deviated {
        return Integrity::Deviated;
    }
    if !damage.is_some() {
        return Integrity::Untouched;
    }
    if damage.is_read_since(0) {
        return Integrity::Consumed;
    }
    if damage.is_there() { Integrity::Dormant } else { Integrity::Overwritten }
}

/// What an exception's vector is called.
#[must_use]
pub fn vector_name(vector: u64) -> &'static str {
    match vector {
        0 => "divide error",
        1 => "debug exception",
        3 => "breakpoint",
        6 => "invalid opcode",
        8 => "double fault",
        11 => "segment not present",
        13 => "general protection",
        14 => "page fault",
        20 => "virtualization exception",
        21 => "control protection",
        0x29 => "fast fail",
        _ => "exception",
    }
}
