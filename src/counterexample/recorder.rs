//! The turning points of one run, written down beside the judge.

use crate::base::{Event, EventKind, Principal, PrincipalKind, Witness};
use crate::machine::code::{LinkedRoutine, STEP_BYTES};
use crate::world::components::driver_manager;
use crate::world::{Home, World};

/// Turning points that are kept; a story needs few.
const KEPT: usize = 4096;

/// One event with where the run was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Turn {
    /// Number of the event in the run, from 1.
    pub ordinal: u64,
    /// Steps run before it.
    pub step: u64,
    /// The step that was running on its processor.
    pub rip: u64,
    /// What happened.
    pub event: Event,
}

/// Writes down the turning points, and hands every event on.
pub struct Recorder<'a, W> {
    inner: &'a mut W,
    rip: [u64; 8],
    step: u64,
    ordinal: u64,
    /// Numbers of the events that were steps.
    steps: Vec<u64>,
    every: bool,
    turns: Vec<Turn>,
}

impl<'a, W> Recorder<'a, W> {
    /// Writes down turning points only, or every event.
    #[must_use]
    pub fn new(inner: &'a mut W, every: bool) -> Self {
        Self {
            inner,
            rip: [0; 8],
            step: 0,
            ordinal: 0,
            steps: Vec::new(),
            every,
            turns: Vec::new(),
        }
    }

    /// What was written down, and for each step the number of its event.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Turn>, Vec<u64>) {
        (self.turns, self.steps)
    }
}

impl<W: Witness> Witness for Recorder<'_, W> {
    fn event(&mut self, event: &Event) {
        self.ordinal += 1;
        let processor = usize::from(event.processor & 7);
        if event.kind == EventKind::Step {
            self.step += 1;
            self.steps.push(self.ordinal);
            self.rip[processor] = event.virt;
        }
        let is_turn = event.struck
            || matches!(
                event.kind,
                EventKind::Strike
                    | EventKind::Exception
                    | EventKind::BugCheck
                    | EventKind::Reset
                    | EventKind::Boot
                    | EventKind::ProcessEnded
                    | EventKind::HostRestarted
                    | EventKind::DeviceDisabled
                    | EventKind::EventLogged
                    | EventKind::HostRecorded
                    | EventKind::DmaRefused
            );
        if self.every || is_turn && self.turns.len() < KEPT {
            let rip = if event.processor == Event::NO_PROCESSOR { 0 } else { self.rip[processor] };
            let turn = Turn { ordinal: self.ordinal, step: self.step, rip, event: *event };
            self.turns.push(turn);
        }
        self.inner.event(event);
    }
}

/// The routine and step whose code is at an address, of the image that `actor` runs: user-mode images
/// share addresses. Empty where there is no code.
#[must_use]
pub fn place(world: &World, actor: Principal, rip: u64) -> String {
    let routines = world.machine.program.routines();
    let name = world.roster().name(actor);
    let component = world.configuration().components.iter().find(|one| one.name == name);
    let image = match component {
        Some(one)
            if matches!(one.home, Home::DriverHost | Home::SharedHost | Home::SharedDriver) =>
        {
            format!("{} host", one.driver.as_deref().unwrap_or_default())
        }
        Some(one) if one.home == Home::Application => "application".to_owned(),
        Some(one) if one.home == Home::DriverManager => driver_manager::IMAGE.to_owned(),
        _ => String::new(),
    };
    let step_in = |linked: &LinkedRoutine| {
        let index = rip.checked_sub(linked.entry.0)? / STEP_BYTES;
        let step = linked.routine.steps.get(usize::try_from(index).ok()?)?;
        Some(format!("{}.{}", linked.routine.name, step.name))
    };
    let is_own = |linked: &&LinkedRoutine| linked.owner == Some(actor) || linked.image == image;
    let own = routines.iter().filter(is_own).find_map(step_in);
    own.or_else(|| routines.iter().find_map(step_in)).unwrap_or_default()
}

/// One event as a line of a full trace.
#[must_use]
pub fn trace_line(world: &World, turn: &Turn) -> String {
    let Turn { ordinal, event, .. } = turn;
    let roster = world.roster();
    let who = |principal| match roster.kind(principal) {
        PrincipalKind::Device => roster.name(principal).to_owned(),
        _ if event.context == principal => roster.name(principal).to_owned(),
        _ => format!("{} in {}", roster.name(principal), roster.name(event.context)),
    };
    let what = match event.kind {
        EventKind::Step => place(world, event.actor, event.virt),
        EventKind::Load | EventKind::Store | EventKind::StoreRun | EventKind::LoadRun => format!(
            "{} at {:#x} (frame address {:#x}): {:#x}, before {:#x}",
            event.structure, event.virt, event.phys, event.value, event.old
        ),
        _ => format!(
            "subject {}, {}, phys {:#x}, virt {:#x}, value {:#x}, old {:#x}",
            roster.name(event.subject),
            event.structure,
            event.phys,
            event.virt,
            event.value,
            event.old
        ),
    };
    let struck = if event.struck { " STRUCK" } else { "" };
    let processor = if event.processor == Event::NO_PROCESSOR {
        "dev ".to_owned()
    } else {
        format!("cpu{}", event.processor)
    };
    format!("{ordinal:>7} {processor} {}{struck} {}: {what}", event.kind, who(event.actor))
}
