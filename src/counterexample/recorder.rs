//! The turning points of one run, written down beside the judge.

use crate::base::{
    Event, EventKind, Principal, PrincipalKind, Structure, TERMINATE_RIGHT, Witness,
};
use crate::injection::PointKind;
use crate::kernel::layout::process;
use crate::machine::code::{LinkedRoutine, Step};
use crate::world::World;

use super::frames::{Frames, Overwritten};
use super::standing::Standing;

/// Turning points that are kept; a story needs few. First strikes, stops and boots are kept beyond.
pub const KEPT: usize = 4096;

/// One event with where the run was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Turn {
    /// Number of the event in the run, from 1.
    pub ordinal: u64,
    /// Steps run before it.
    pub step: u64,
    /// The step that was running on its processor.
    pub rip: u64,
    /// The vector of what was delivered on its processor then: that step was over, and no other has begun.
    pub delivered: Option<u64>,
    /// Whose step it was, or who had called the kernel that it was in.
    pub asker: Principal,
    /// Whether it counted pages of a process as locked, or no longer.
    pub is_of_locks: bool,
    /// What happened.
    pub event: Event,
    /// Of a strike, how many came before it.
    pub strikes_before: usize,
    /// Of a strike at a step, how often that step was struck again before anything else was.
    pub again: u64,
    /// When that was last: steps run before it.
    pub until: u64,
    /// Of a strike, whose address space is loaded in the first step of user mode on its processor after the
    /// next interrupt there, or in the first step in another one.
    pub then: Option<Principal>,
}

/// Writes down the turning points, and hands every event on.
pub struct Recorder<'a, W> {
    inner: &'a mut W,
    rip: [u64; 8],
    delivered: [Option<u64>; 8],
    asker: [Principal; 8],
    step: u64,
    ordinal: u64,
    /// Numbers of the events that were steps.
    steps: Vec<u64>,
    every: bool,
    /// Step addresses that are turning points.
    watched: Vec<u64>,
    /// The processes' objects, by address, the latest last.
    objects: Vec<(u64, Principal)>,
    turns: Vec<Turn>,
    strikes: usize,
    /// Where among the turning points the last strike is, if it was written down.
    last_strike: Option<usize>,
    /// The last strike that was written down: its place, and whether an interrupt came on its processor since.
    gives_way: Option<(usize, bool)>,
    left_out: u64,
    standing: Standing,
    frames: Frames,
}

impl<'a, W> Recorder<'a, W> {
    /// Writes down turning points only, or every event.
    #[must_use]
    pub fn new(inner: &'a mut W, every: bool) -> Self {
        Self {
            inner,
            rip: [0; 8],
            delivered: [None; 8],
            asker: [Principal::KERNEL; 8],
            step: 0,
            ordinal: 0,
            steps: Vec::new(),
            every,
            watched: Vec::new(),
            objects: Vec::new(),
            turns: Vec::new(),
            strikes: 0,
            last_strike: None,
            gives_way: None,
            left_out: 0,
            standing: Standing::default(),
            frames: Frames::default(),
        }
    }

    /// Steps at these addresses are turning points too, and these processes' objects are there already.
    #[must_use]
    pub fn knowing(mut self, watched: Vec<u64>, objects: Vec<(u64, Principal)>) -> Self {
        self.watched = watched;
        self.objects = objects;
        self
    }

    /// What was written down, for each step the number of its event, and the processes' objects.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Turn>, Vec<u64>, Vec<(u64, Principal)>) {
        (self.turns, self.steps, self.objects)
    }

    /// Who is told beside it.
    #[must_use]
    pub fn inner(&self) -> &W {
        self.inner
    }

    /// Turning points that were not written down, because there were too many before.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Where its processors stand.
    pub(super) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The return addresses and cookies that were overwritten before they were used.
    pub(super) fn overwritten(&self) -> &[Overwritten] {
        self.frames.found()
    }

    /// Whether a strike is at the step that was struck last; then that is all that is written of it.
    fn is_once_more(&mut self, event: &Event) -> bool {
        if self.every || event.kind != EventKind::Strike || event.old != PointKind::Step as u64 {
            return false;
        }
        let last = self.last_strike.and_then(|place| self.turns.get_mut(place));
        let same = |turn: &&mut Turn| {
            let key = |event: &Event| (event.actor, event.value, event.old, event.virt);
            key(&turn.event) == key(event)
        };
        let Some(turn) = last.filter(same) else { return false };
        turn.again += 1;
        turn.until = self.step;
        true
    }

    /// Who runs where the last strike was, once an interrupt has come there.
    fn follow(&mut self, event: &Event) {
        let Some((place, is_interrupted)) = self.gives_way else { return };
        let Some(turn) = self.turns.get_mut(place) else { return };
        let strike = turn.event;
        if event.processor != strike.processor {
            return;
        }
        match event.kind {
            EventKind::Interrupt => self.gives_way = Some((place, true)),
            EventKind::Step
                if is_interrupted && (event.context != strike.context || event.virt >> 63 == 0) =>
            {
                turn.then = Some(event.context);
                self.gives_way = None;
            }
            _ => {}
        }
    }

    /// Whether a store counts pages of a process as locked, or no longer.
    fn is_of_locks(&self, event: &Event) -> bool {
        let count = |object: u64| object.wrapping_add(process::LOCKED_PAGES.offset);
        event.kind == EventKind::Store
            && event.structure == Structure::Process
            && self.objects.iter().any(|(object, _)| count(*object) == event.virt)
    }

    /// Whether an operation that may decide a run: see [`super::decisive`].
    fn may_decide(&self, event: &Event) -> bool {
        match event.kind {
            EventKind::Step => self.watched.contains(&event.virt),
            EventKind::HandleOpened => event.context != event.subject,
            EventKind::HandleUsed => event.old & TERMINATE_RIGHT != 0,
            _ => false,
        }
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
            self.delivered[processor] = None;
            if event.actor != Principal::KERNEL {
                self.asker[processor] = event.actor;
            }
        }
        match event.kind {
            EventKind::Interrupt => self.delivered[processor] = Some(event.value),
            EventKind::Exception => self.delivered[processor] = Some(event.value >> 32),
            EventKind::Boot => self.delivered = [None; 8],
            _ => {}
        }
        if event.kind == EventKind::ProcessCreated {
            self.objects.push((event.virt, event.subject));
        }
        self.standing.event(event);
        self.frames.event(event, self.ordinal);
        self.follow(event);
        let strikes_before = self.strikes;
        self.strikes += usize::from(event.kind == EventKind::Strike);
        if self.is_once_more(event) {
            return self.inner.event(event);
        }
        let is_of_locks = self.is_of_locks(event);
        let is_turn = event.struck
            || is_of_locks
            || self.may_decide(event)
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
                    | EventKind::HostProblemTold
                    | EventKind::LossTold
                    | EventKind::DeviceRefused
                    | EventKind::StackRemoved
                    | EventKind::StackRestarted
                    | EventKind::HostRecorded
                    | EventKind::DmaRefused
            );
        let is_first = event.kind == EventKind::Strike && strikes_before == 0;
        let is_kept = is_first
            || self.turns.len() < KEPT
            || matches!(event.kind, EventKind::BugCheck | EventKind::Reset | EventKind::Boot);
        self.left_out += u64::from(is_turn && !is_kept && !self.every);
        if self.every || is_turn && is_kept {
            let (rip, asker) = if event.processor == Event::NO_PROCESSOR {
                (0, event.actor)
            } else {
                (self.rip[processor], self.asker[processor])
            };
            let delivered = self.delivered[processor];
            let (ordinal, step) = (self.ordinal, self.step);
            let (again, until) = (0, step);
            self.turns.push(Turn {
                ordinal,
                step,
                rip,
                delivered,
                asker,
                is_of_locks,
                event: *event,
                strikes_before,
                again,
                until,
                then: None,
            });
        }
        if event.kind == EventKind::Strike {
            let is_kept = self.turns.last().is_some_and(|turn| turn.ordinal == self.ordinal);
            self.last_strike = is_kept.then(|| self.turns.len() - 1);
            self.gives_way = self.last_strike.map(|place| (place, false));
        }
        self.inner.event(event);
    }
}

/// The routine and step whose code is at an address, of the image that `actor` runs: user-mode images
/// share addresses. Empty where there is no code.
#[must_use]
pub fn place(world: &World, actor: Principal, rip: u64) -> String {
    let told =
        |(linked, step): (&LinkedRoutine, &Step)| format!("{}.{}", linked.routine.name, step.name);
    world.code_at(actor, rip).map(told).unwrap_or_default()
}

/// The word that a store at the event of this number wrote, before and after, of these events and turning
/// points. Nothing for a run of words, whose content no event tells.
pub(super) fn before_and_after(
    events: impl Iterator<Item = (u64, Event)>,
    turns: &[Turn],
    ordinal: u64,
) -> String {
    let turned = turns.iter().map(|turn| (turn.ordinal, turn.event));
    let is_of_a_word = |event: &Event| matches!(event.kind, EventKind::Store | EventKind::DmaWrite);
    let mut stores =
        events.chain(turned).filter(|(at, event)| *at == ordinal && is_of_a_word(event));
    stores.next().map_or(String::new(), |(_, Event { old, value, .. })| {
        format!("; before {old:#x}, after {value:#x}")
    })
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
    // Most events mean no memory, and a fault's own stores mean nothing; nobody means memory that is free.
    let meant = |after: &str| match event.structure {
        Structure::Free => String::new(),
        structure => format!("{structure}{after}"),
    };
    let what = match event.kind {
        EventKind::Step => place(world, event.actor, event.virt),
        EventKind::Load | EventKind::Store | EventKind::StoreRun | EventKind::LoadRun => format!(
            "{}at {:#x} (frame address {:#x}): {:#x}, before {:#x}",
            meant(" "),
            event.virt,
            event.phys,
            event.value,
            event.old
        ),
        _ => format!(
            "subject {}, {}phys {:#x}, virt {:#x}, value {:#x}, old {:#x}",
            roster.name(event.subject),
            meant(", "),
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
