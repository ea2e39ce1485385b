//! A run in lines: the calls, what they stored, and what came of it.

use super::checks::request::Answer;
use super::disturb::Change;
use super::memory::{Barrier, Event, Invalidation, StoreKind};
use super::operation::{Call, Disturbance, size_name};
use super::run::{Nested, Outcome, parts};
use super::scene::Scene;
use super::standalone::Step;
use super::stop::Stop;
use super::tables::Listing;
use crate::base::{Frame, PhysAddr};

/// Lines for one call at most; a range can store a thousand entries.
const LINES_MAX: usize = 40;

/// The lines of one run.
#[derive(Clone, Default, Debug)]
pub(crate) struct Story {
    pub(crate) lines: Vec<String>,
    /// What was done, for code that spells its calls.
    pub(crate) steps: Vec<Step>,
    number: usize,
    /// What a call that was made within another one found when it returned.
    within: Listing,
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Ok(Ok(Answer::Done)) => "done".to_owned(),
        Ok(Ok(Answer::Unmapped(None))) => "done".to_owned(),
        Ok(Ok(Answer::Unmapped(Some(frame)))) => format!("done, it led to {:#x}", frame.raw()),
        Ok(Ok(Answer::Mapping(None))) => "leads nowhere".to_owned(),
        Ok(Ok(Answer::Mapping(Some(mapping)))) => {
            let mut text = format!("leads to {:#x}", mapping.address.raw());
            if let Some(size) = mapping.size {
                text.push_str(&format!(" in a page of {}", size_name(size)));
            }
            if let Some(rights) = mapping.rights {
                text.push_str(&format!(", {rights}"));
            }
            text
        }
        Ok(Err(refusal)) => refusal.to_string(),
        Err(Stop::Endless) => "does not return".to_owned(),
        Err(Stop::Abandoned) => "ended half-way by the fault".to_owned(),
        Err(Stop::Panicked(text, _)) => format!("panics: {text}"),
    }
}

impl Story {
    pub(crate) fn call(
        &mut self,
        scene: &Scene,
        (call, outcome): (&Call, &Outcome),
        nested: Option<&Nested>,
        events: &[Event],
        before: &Listing,
    ) {
        self.head(call, outcome);
        let (Some(nested), Some([first, inside, last])) = (nested, parts(events)) else {
            self.events(scene, events, before);
            return;
        };
        self.events(scene, first, before);
        self.lines.push("       asks for a frame, and the allocator calls back in:".to_owned());
        self.head(&nested.call, &nested.outcome);
        self.within.clone_from(&nested.listing);
        self.events(scene, inside, before);
        self.within = Listing::default();
        self.lines.push("  -  the allocator answers".to_owned());
        self.events(scene, last, before);
    }

    fn head(&mut self, call: &Call, outcome: &Outcome) {
        self.number += 1;
        self.steps.push(Step::Call { call: *call, is_done: matches!(outcome, Ok(Ok(_))) });
        self.lines.push(format!("{:>3}  {call}: {}", self.number, told(outcome)));
    }

    pub(crate) fn disturbance(&mut self, scene: &Scene, how: Disturbance, change: &Change) {
        let who = match how {
            Disturbance::Mark => "the processor marks an entry as used",
            Disturbance::Decorate(_) => "somebody sets bits that change no translation",
            Disturbance::Hide => "somebody makes a leaf invalid and keeps its other bits",
            Disturbance::Flip(_) => "bits of an entry flip",
        };
        self.lines.push(format!("  -  {who}"));
        let (at, value, level) = (change.at, change.new, change.level);
        self.steps.push(Step::Poke { at, value, level });
        let describe = |bits| scene.format.describe(change.level, bits);
        self.entry(
            change.at,
            scene.format.level_name(change.level),
            (&describe(change.old), change.old),
            (&describe(change.new), change.new),
        );
    }

    pub(crate) fn drop(&mut self, scene: &Scene, events: &[Event]) {
        self.steps.push(Step::Drop);
        self.lines.push("  -  dropped".to_owned());
        self.events(scene, events, &Listing::default());
    }

    fn entry(&mut self, at: PhysAddr, level: u8, old: (&str, u64), new: (&str, u64)) {
        self.lines.push(format!("       entry {:#x}, level {level}", at.raw()));
        self.lines.push(format!("         {:#018x}  {}", old.1, old.0));
        self.lines.push(format!("         {:#018x}  {}", new.1, new.0));
    }

    fn events(&mut self, scene: &Scene, events: &[Event], before: &Listing) {
        let start = self.lines.len();
        let mut clearing: Option<(Frame, usize)> = None;
        for event in events {
            if self.lines.len() - start > LINES_MAX {
                self.lines.push("       …".to_owned());
                break;
            }
            if let Event::Store { at, new: 0, .. } = event
                && before.use_of(at.frame()).is_none()
            {
                match &mut clearing {
                    Some((frame, count)) if *frame == at.frame() => *count += 1,
                    _ => {
                        self.cleared(clearing);
                        clearing = Some((at.frame(), 1));
                    }
                }
                continue;
            }
            self.cleared(clearing.take());
            self.event(scene, event, before);
        }
        self.cleared(clearing);
    }

    fn cleared(&mut self, clearing: Option<(Frame, usize)>) {
        if let Some((frame, count)) = clearing {
            let start = frame.start().raw();
            self.lines.push(format!("       stores 0 to {count} words of the unlinked {start:#x}"));
        }
    }

    fn event(&mut self, scene: &Scene, event: &Event, before: &Listing) {
        let line = match *event {
            Event::Store { at, old, new, kind } => {
                let how = match kind {
                    StoreKind::Whole => "stores to",
                    StoreKind::Release => "stores with release to",
                    StoreKind::Plain => "stores by assignment to",
                    StoreKind::Found => "changed",
                    StoreKind::Hardware => "the processor sets bits in",
                };
                let known = [before, &self.within, &scene.listing];
                let way = known.iter().find_map(|listing| listing.use_of(at.frame()));
                let Some(way) = way else {
                    self.lines.push(format!(
                        "       {how} {:#x}, in no table in use: {old:#x}, now {new:#x}",
                        at.raw()
                    ));
                    return;
                };
                let first = scene.format.first_of(way.level, way.first, at.offset() / 8);
                let (level, format) = (way.level, scene.format);
                let name = format.level_name(level);
                self.lines.push(format!("       {how} {:#x}, level {name}, for {first}", at.raw()));
                self.lines.push(format!("         {old:#018x}  {}", format.describe(level, old)));
                format!("         {new:#018x}  {}", format.describe(level, new))
            }
            Event::StrayStore { at, new } => {
                format!("       stores {new:#x} to {:#x}, outside of memory", at.raw())
            }
            Event::StrayLoad { at } => format!("       reads {:#x}, no table", at.raw()),
            Event::Allocate { first: None, .. } => "       allocates: no frame".to_owned(),
            Event::Allocate { first: Some(first), frames, .. } => {
                let more = if frames > 1 { format!(", {frames} frames") } else { String::new() };
                format!("       allocates {:#x}{more}", first.start().raw())
            }
            Event::Free { at } => format!("       frees {:#x}", at.raw()),
            Event::Invalidate { what, is_lost } => {
                let what = match what {
                    Invalidation::Page(virt) => format!("{virt}"),
                    Invalidation::LastLevel(virt) => format!("{virt}, last level only"),
                    Invalidation::Space => "all but global translations".to_owned(),
                    Invalidation::All => "everything".to_owned(),
                };
                let lost = if is_lost { ", and nobody hears it" } else { "" };
                format!("       invalidates {what}{lost}")
            }
            Event::Barrier { barrier } => {
                let what = match barrier {
                    Barrier::Order => "for the order of stores",
                    Barrier::Stores => "until its stores are seen",
                    Barrier::All => "until its stores are seen and its invalidations complete",
                };
                format!("       barrier {what}")
            }
            Event::CallsBack | Event::CalledBack => return,
            Event::LostMark { .. } => "       … which loses the dirty flag".to_owned(),
        };
        self.lines.push(line);
    }
}
