//! What must hold when the steps of a finding have been made, as far as a test can look at it then.
//!
//! The sentence of a finding is for people. What a test asserts is found again from the run that is told:
//! where the page was to lead, what the word held. It is taken only if it does not hold there: a test
//! that passes shows nothing.
//!
//! Not told here: what is right again when the call returns, what an entry is besides where it leads.

use super::Step;
use crate::base::{FRAME_BYTES, Page, PhysAddr, VirtAddr};
use crate::conformance::breach::{AN_INSTANT, Breach, Check, SEEN_IN_HALVES, TO_THE_END};
use crate::conformance::flat::Place;
use crate::conformance::format::{Format, WaysForgotten};
use crate::conformance::memory::{Event, Invalidation};
use crate::conformance::operation::Call;
use crate::conformance::rights::Rights;
use crate::conformance::scene::Scene;

/// What must hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Must {
    /// The last step returns.
    Return,
    /// The last call is done.
    BeDone,
    /// The last call is refused.
    BeRefused,
    /// The last call, a question, has this answer.
    Answer { address: Option<PhysAddr> },
    /// The page leads there, by the book; with these rights, where it is about them.
    Lead { virt: VirtAddr, address: Option<PhysAddr>, rights: Option<Rights> },
    /// A word is as it was.
    Hold { at: PhysAddr, word: u64 },
    /// Every frame is freed.
    BeFreed,
    /// The last call invalidates an address of this page, unless what it is about still leads where it led.
    BeForgotten { first: VirtAddr, last: VirtAddr, led: Led },
    /// The last call invalidates something before it frees this frame, if it frees it.
    BeFreedForgotten { frame: PhysAddr },
}

/// A page that led somewhere when the last call began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Led {
    pub(crate) virt: VirtAddr,
    /// The entry that it led by, for a format whose walk is not spelled.
    pub(crate) entry: PhysAddr,
}

/// The call that shows a breach.
pub(crate) struct Moment<'a> {
    /// When it began.
    pub(crate) start: &'a Scene,
    /// When it had ended.
    pub(crate) end: &'a Scene,
    /// What happened in between.
    pub(crate) events: &'a [Event],
    /// How many of these had happened when the breach was there.
    pub(crate) reached: usize,
    /// The last step.
    pub(crate) last: Option<Step>,
}

impl Led {
    /// What a test sees of it.
    fn is_seen(self, scene: &Scene) -> (Option<(PhysAddr, Rights)>, u64) {
        if scene.format.spelled_walk().is_none() {
            return (None, scene.word(self.entry));
        }
        let reached = scene.format.translate(&|at| scene.word(at), scene.root, self.virt);
        (reached.map(|reached| (reached.address, reached.rights)), 0)
    }
}

/// What a breach comes to; `None` when nothing of it is left to look at.
pub(crate) fn of(breach: &Breach, moment: &Moment<'_>) -> Option<Must> {
    let kind = breach.kind.as_str();
    match breach.check {
        Check::Totality => Some(Must::Return),
        Check::Translation => answer(moment.end.format, kind, breach.virt?, moment),
        Check::Request => request(kind, breach.virt, moment),
        Check::Isolation if kind.starts_with(AN_INSTANT) || kind == SEEN_IN_HALVES => None,
        Check::Isolation if kind.ends_with(TO_THE_END) => {
            let is_done = matches!(moment.last, Some(Step::Call { is_done: true, .. }));
            let scene = moment.end;
            let wanted = if is_done { &scene.requested } else { &scene.before };
            lead(breach.virt?, moment, |page| wanted.get(page))
        }
        Check::Isolation => lead(breach.virt?, moment, |page| moment.end.before.get(page)),
        Check::Entries => lead(breach.virt?, moment, |page| moment.end.requested.get(page)),
        Check::Stores => hold(moment),
        Check::Frames => {
            let is_leak = kind == "leaks on drop" && matches!(moment.last, Some(Step::Drop));
            is_leak.then_some(Must::BeFreed)
        }
        Check::Invalidation => forgotten(breach.virt?, moment),
        Check::Marks | Check::Equivalence | Check::Locks | Check::Identifiers => None,
    }
}

/// Whether an answer of this kind names another address, or one where there is none.
pub(crate) fn is_of_addresses(kind: &str) -> bool {
    let kinds = ["translates through", "misses a page", "wrong address", "permits "];
    kinds.iter().any(|begin| kind.starts_with(begin))
}

fn answer(format: &dyn Format, kind: &str, virt: VirtAddr, moment: &Moment<'_>) -> Option<Must> {
    let is_asked = matches!(moment.last, Some(Step::Call { call: Call::Query { .. }, .. }));
    if !is_asked || !is_of_addresses(kind) {
        return None;
    }
    let scene = moment.end;
    let book = format.translate(&|at| scene.word(at), scene.root, virt);
    Some(Must::Answer { address: book.map(|book| book.address) })
}

/// The page leads where `wanted` says, which it does not.
fn lead(
    virt: VirtAddr,
    moment: &Moment<'_>,
    wanted: impl Fn(Page) -> Option<Place>,
) -> Option<Must> {
    let page = virt.page();
    let (wanted, is) = (wanted(page), moment.end.flat.get(page));
    if wanted == is {
        return None;
    }
    let address = wanted.map(|(frame, _)| frame.start());
    let is_elsewhere = address != is.map(|(frame, _)| frame.start());
    let rights = wanted.map(|(_, rights)| rights).filter(|_| !is_elsewhere);
    Some(Must::Lead { virt: page.start(), address, rights })
}

fn request(kind: &str, virt: Option<VirtAddr>, moment: &Moment<'_>) -> Option<Must> {
    let Some(Step::Call { call, is_done }) = moment.last else { return None };
    if is_done {
        return match kind {
            "unmap of nothing succeeds" | "protect of nothing succeeds" => Some(Must::BeRefused),
            _ => lead(virt?, moment, |page| moment.end.requested.get(page)),
        };
    }
    if kind.contains("false refusal") {
        return can_be_done(&call, moment).then_some(Must::BeDone);
    }
    // A range that is refused may have been done in part.
    let virt = virt.filter(|_| !call.is_range())?;
    lead(virt, moment, |page| moment.end.before.get(page))
}

/// Whether nothing is in the way of a call.
fn can_be_done(call: &Call, moment: &Moment<'_>) -> bool {
    let (before, region) = (&moment.end.before, call.region());
    let leaves = &moment.start.listing.leaves;
    match *call {
        Call::Map { .. } | Call::MapRange { .. } => {
            !before.is_any_mapped(region.first, region.pages)
        }
        Call::Unmap { page, size } | Call::Protect { page, size, .. } => {
            leaves.iter().any(|leaf| leaf.first == page && leaf.size == size)
        }
        Call::UnmapRange { .. } | Call::ProtectRange { .. } => {
            before.is_all_mapped(region.first, region.pages)
        }
        Call::Query { .. } | Call::CleanUp | Call::Disturb { .. } => false,
    }
}

fn hold(moment: &Moment<'_>) -> Option<Must> {
    let last = moment.events.get(moment.reached.checked_sub(1)?)?;
    let Event::Store { at, old, .. } = *last else { return None };
    let is_left = moment.end.word(at) != old;
    is_left.then_some(Must::Hold { at, word: old })
}

fn forgotten(virt: VirtAddr, moment: &Moment<'_>) -> Option<Must> {
    let before = moment.events.get(..moment.reached)?;
    if let Some(Event::Free { at }) = before.last() {
        let is_any = before.iter().any(|event| matches!(event, Event::Invalidate { .. }));
        let is_shown = !is_any && moment.end.format.ways_forgotten() == WaysForgotten::All;
        return is_shown.then_some(Must::BeFreedForgotten { frame: *at });
    }
    let mut leaves = moment.start.listing.leaves.iter();
    let leaf = leaves.find(|leaf| virt.0.wrapping_sub(leaf.first.0) < leaf.size.bytes())?;
    let (first, bytes) = (leaf.first, leaf.size.bytes());
    debug_assert!(bytes >= FRAME_BYTES);
    let is_about = |event: &Event| match *event {
        Event::Invalidate {
            what: Invalidation::Page(at) | Invalidation::LastLevel(at), ..
        } => at.0.wrapping_sub(first.0) < bytes,
        Event::Invalidate { .. } => true,
        _ => false,
    };
    // One that came too early, or is not complete, looks like one that counts.
    if moment.events.iter().any(is_about) {
        return None;
    }
    // What led elsewhere only meanwhile leads where it led.
    let led = Led { virt: virt.page().start(), entry: leaf.at };
    let is_changed = led.is_seen(moment.start) != led.is_seen(moment.end);
    is_changed.then_some(Must::BeForgotten { first, last: first.plus(bytes - 1), led })
}
