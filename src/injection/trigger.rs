//! When an armed fault strikes.

use serde::{Deserialize, Serialize};

use super::{Fault, Operation, PointKind, PointRecord, Scene, Verdict};
use crate::base::Principal;

/// The injection point a fault waits for: by who, where and the how-manieth such point it is, so that
/// an added step elsewhere does not move it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trigger {
    /// What must be about to happen.
    pub kind: PointKind,
    /// Who must be about to do it.
    pub principal: Principal,
    /// In which routine, by its number in the linked program; `None` for any.
    pub routine: Option<u16>,
    /// Called by which routine; `None` for any.
    pub caller: Option<u16>,
    /// The how-manieth such point, from 1.
    pub nth: u64,
}

impl Trigger {
    /// Whether this is one of the points it counts.
    #[must_use]
    pub fn matches(&self, reached: &PointRecord) -> bool {
        self.kind == reached.kind
            && self.principal == reached.principal
            && self.routine.is_none_or(|routine| routine == reached.routine)
            && self.caller.is_none_or(|caller| caller == reached.caller)
    }
}

/// How often an armed fault strikes once its trigger is met.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recurrence {
    /// At that point only.
    #[default]
    Once,
    /// There and at every later matching point.
    Always,
}

/// A fault in place, waiting.
pub struct Armed {
    /// What waits.
    pub fault: Box<dyn Fault>,
    /// For what.
    pub trigger: Trigger,
    /// How often.
    pub recurrence: Recurrence,
    /// Whether it does only what a processor or a device may do at any time.
    pub is_legal: bool,
    /// Matching points seen so far.
    pub seen: u64,
    /// How often it struck.
    pub strikes: u64,
}

impl Armed {
    /// A fault that has seen nothing yet.
    #[must_use]
    pub fn new(fault: Box<dyn Fault>, trigger: Trigger, recurrence: Recurrence) -> Self {
        Self { fault, trigger, recurrence, is_legal: false, seen: 0, strikes: 0 }
    }

    /// Whether it can never strike again, whatever is reached.
    fn is_spent(&self) -> bool {
        self.recurrence == Recurrence::Once && self.seen >= self.trigger.nth
    }

    /// Whether the point now reached is one to strike at. Counts it when it matches.
    fn is_due(&mut self, reached: &PointRecord) -> bool {
        let wanted = &self.trigger;
        if !wanted.matches(reached) {
            return false;
        }
        self.seen += 1;
        match self.recurrence {
            Recurrence::Once => self.seen == wanted.nth,
            Recurrence::Always => self.seen >= wanted.nth,
        }
    }
}

/// Stands in the place of a fault while it strikes.
struct TakenOut;

impl Fault for TakenOut {
    fn name(&self) -> &'static str {
        "taken-out"
    }

    fn strike(&mut self, _: &mut Operation, _: &mut dyn Scene) -> Option<Verdict> {
        None
    }
}

/// Where a processor hangs.
///
/// What runs there is asked for again at each turn until it is interrupted. Who called it stays what it was when it
/// began to hang: nothing has run that could tell otherwise, and the frame chain takes longest to follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hung {
    /// The processor.
    pub processor: usize,
    /// Its instruction pointer.
    pub instruction: u64,
    /// Its frame pointer (RBP).
    pub frame: u64,
    /// The routine that called the running one, by its number.
    pub caller: u16,
}

/// All armed faults of one run, and the count of points reached.
#[derive(Default)]
pub struct Points {
    /// Points reached so far.
    pub reached: u64,
    armed: Vec<Armed>,
    kinds: u32,
    is_striking: bool,
    hung: Option<Hung>,
    first_at: Option<u64>,
    record: Option<Vec<PointRecord>>,
}

impl Points {
    /// Puts a fault in place.
    pub fn arm(&mut self, armed: Armed) {
        self.armed.push(armed);
        self.kinds = self.kinds_awaited();
    }

    fn kinds_awaited(&self) -> u32 {
        if self.record.is_some() {
            return u32::MAX;
        }
        let waiting = self.armed.iter().filter(|armed| !armed.is_spent());
        waiting.fold(0, |kinds, armed| kinds | 1 << armed.trigger.kind as u32)
    }

    /// Takes all faults out again and returns them with their counts.
    pub fn disarm(&mut self) -> Vec<Armed> {
        let armed = core::mem::take(&mut self.armed);
        self.kinds = self.kinds_awaited();
        self.is_striking = false;
        self.hung = None;
        self.first_at = None;
        armed
    }

    /// The caller at this place, where this processor hung last.
    #[must_use]
    pub fn caller_where_hung(&self, processor: usize, at: u64, frame: u64) -> Option<u16> {
        let same =
            |hung: &Hung| (hung.processor, hung.instruction, hung.frame) == (processor, at, frame);
        self.hung.filter(same).map(|hung| hung.caller)
    }

    /// A processor hangs here.
    pub fn hangs(&mut self, hung: Hung) {
        self.hung = Some(hung);
    }

    /// Whether one of the armed faults has struck, or has its chance now.
    #[inline(always)]
    #[must_use]
    pub fn is_striking(&self) -> bool {
        self.is_striking
    }

    /// The armed faults.
    #[must_use]
    pub fn armed(&self) -> &[Armed] {
        &self.armed
    }

    /// Starts to write down every point reached.
    pub fn start_recording(&mut self) {
        self.record = Some(Vec::new());
        self.kinds = self.kinds_awaited();
    }

    /// Points written down so far.
    #[must_use]
    pub fn recorded(&self) -> usize {
        self.record.as_ref().map_or(0, Vec::len)
    }

    /// Stops, and returns what was written down.
    pub fn stop_recording(&mut self) -> Vec<PointRecord> {
        let record = self.record.take();
        self.kinds = self.kinds_awaited();
        record.unwrap_or_default()
    }

    /// Counts a point; whether anybody may be interested in its kind.
    #[inline(always)]
    pub fn reach(&mut self, kind: PointKind) -> bool {
        self.reached += 1;
        self.awaits_kind(kind)
    }

    /// Whether anybody may be interested in points of this kind.
    #[inline(always)]
    #[must_use]
    pub fn awaits_kind(&self, kind: PointKind) -> bool {
        self.kinds >> kind as u32 & 1 == 1
    }

    /// Whether no armed fault can strike any more.
    #[inline]
    #[must_use]
    pub fn are_spent(&self) -> bool {
        self.kinds == 0
    }

    /// Whether every point is written down.
    #[inline]
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.record.is_some()
    }

    /// Whether a fault waits for such points of this principal's, wherever they are.
    #[inline]
    #[must_use]
    pub fn awaits(&self, kind: PointKind, principal: Principal) -> bool {
        self.awaiting(kind, principal).next().is_some()
    }

    /// Whether a fault waits for such points of this principal's in this routine.
    #[inline]
    #[must_use]
    pub fn awaits_in(&self, kind: PointKind, principal: Principal, routine: u16) -> bool {
        let mut awaiting = self.awaiting(kind, principal);
        awaiting.any(|wanted| wanted.routine.is_none_or(|wanted| wanted == routine))
    }

    fn awaiting(&self, kind: PointKind, principal: Principal) -> impl Iterator<Item = &Trigger> {
        let waiting = self.armed.iter().filter(|armed| !armed.is_spent());
        let triggers = waiting.map(|armed| &armed.trigger);
        triggers.filter(move |wanted| wanted.kind == kind && wanted.principal == principal)
    }

    /// The place in the plan of the fault that is due at this point, if any. Writes the point down
    /// when recording.
    pub fn due(&mut self, reached: PointRecord) -> Option<usize> {
        if let Some(record) = &mut self.record {
            record.push(reached);
        }
        let mut due = None;
        for (index, armed) in self.armed.iter_mut().enumerate() {
            if armed.is_due(&reached) && due.is_none() {
                due = Some(index);
            }
        }
        due
    }

    /// Takes a fault out to let it strike; it must be [put back](Self::put_back).
    ///
    /// # Panics
    ///
    /// When no fault has this place in the plan.
    pub fn take(&mut self, index: usize) -> Box<dyn Fault> {
        // A box of nothing costs no allocation.
        self.is_striking = true;
        core::mem::replace(&mut self.armed[index].fault, Box::new(TakenOut))
    }

    /// Puts a fault back in its place, with one strike more when it struck, its processor at the step `at`.
    ///
    /// # Panics
    ///
    /// When no fault has this place in the plan.
    pub fn put_back(&mut self, index: usize, fault: Box<dyn Fault>, struck: bool, at: Option<u64>) {
        if struck && self.strikes() == 0 {
            self.first_at = at;
        }
        let armed = &mut self.armed[index];
        armed.fault = fault;
        armed.strikes += u64::from(struck);
        // While this one still waits, so do points of its kind.
        if armed.is_spent() {
            self.kinds = self.kinds_awaited();
        }
        self.is_striking = struck || self.strikes() > 0;
    }

    /// The step that the processor was in or about to run where a fault struck first; `None` before, and where
    /// that was at a device.
    #[must_use]
    pub fn first_at(&self) -> Option<u64> {
        self.first_at
    }

    /// How often faults struck, all together.
    #[must_use]
    pub fn strikes(&self) -> u64 {
        self.armed.iter().map(|armed| armed.strikes).sum()
    }
}
