//! A run in lines: the calls, what they stored, and what came of it.

use std::collections::{BTreeMap, BTreeSet};

use super::checks::request::Answer;
use super::disturb::Change;
use super::format::Decoded;
use super::memory::{Barrier, Event, Invalidation, StoreKind};
use super::operation::{Call, Disturbance, size_name};
use super::repetition::{self, Part, Shape};
use super::run::{Nested, Outcome, parts};
use super::scene::Scene;
use super::standalone::Step;
use super::stop::Stop;
use super::tables::Listing;
use crate::base::{Frame, PhysAddr, VirtAddr};

/// Lines for one call, from its start and to its end, when it has more; a range can store a thousand entries.
const LINES_FIRST: usize = 24;
const LINES_LAST: usize = 24;

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
        let known = self.known(scene, events, before);
        let items = items(events, Links::new(scene, &known, before));
        let listings = [before, &self.within];
        let is_table = |frame| listings.iter().any(|listing| listing.use_of(frame).is_some());
        let was_table = |frame| before.use_of(frame).is_some();
        // What a frame held before it was linked, or was first cleared, nobody need see of each word.
        let counts =
            |at: PhysAddr, new| is_table(at.frame()) && (new != 0 || was_table(at.frame()));
        let shapes: Vec<_> = items.iter().map(|item| item.shape(&counts)).collect();
        let told = |first: usize, count: usize| -> Vec<String> {
            let items = items.iter().skip(first).take(count);
            items.flat_map(|item| item.told(scene, &known)).collect()
        };
        let mut blocks: Vec<(Vec<String>, bool)> = Vec::new();
        for part in repetition::parts(&shapes) {
            match part {
                Part::One(at) => {
                    let is_kept = items.get(at).is_some_and(Item::is_of_somebody_else);
                    blocks.push((told(at, 1), is_kept));
                }
                Part::Run { first, period, times } => {
                    let mut lines = told(first, period);
                    lines.push(format!(
                        "       … likewise {} times more, the last of them:",
                        times - 1
                    ));
                    lines.extend(told(first + period * (times - 1), period));
                    blocks.push((lines, false));
                }
            }
        }
        self.lines.extend(within(blocks));
    }

    /// How frames are used as tables: when the call began, within it, and when it had ended.
    fn known(&self, scene: &Scene, events: &[Event], before: &Listing) -> Known {
        let listings = [before, &self.within, &scene.listing];
        let uses = listings.iter().flat_map(|listing| &listing.tables);
        let mut known = Known::new();
        for way in uses {
            known.entry(way.frame).or_insert((way.level, way.first));
        }
        // What was linked and unlinked again is in none of these; a table may be linked before what names it is.
        for _ in 0..scene.format.levels() {
            for event in events {
                let Event::Store { at, new, .. } = *event else { continue };
                let Some((level, first)) = known.get(&at.frame()).copied() else { continue };
                if let Decoded::Table { at: below, .. } = scene.format.decode(level, new) {
                    let first = scene.format.first_of(level, first, at.offset() / 8);
                    known.entry(below.frame()).or_insert((level - 1, first));
                }
            }
        }
        known
    }
}

/// Level and first address of frames that are tables.
type Known = BTreeMap<Frame, (u8, VirtAddr)>;

/// What is told by itself.
enum Item<'a> {
    /// So many words of a frame that is no table yet are set to 0.
    Clear(Frame, usize),
    Event(&'a Event),
}

/// Which frames are tables in use while the stores of a call go by.
struct Links<'a> {
    scene: &'a Scene,
    known: &'a Known,
    before: &'a Listing,
    /// Linked by a store of this call.
    linked: BTreeSet<Frame>,
    /// What tables that are not in use name: in use as soon as these are.
    names: BTreeMap<Frame, BTreeSet<Frame>>,
    /// Handed out in this call.
    fresh: BTreeSet<Frame>,
}

impl<'a> Links<'a> {
    fn new(scene: &'a Scene, known: &'a Known, before: &'a Listing) -> Self {
        let (linked, names, fresh) = Default::default();
        Self { scene, known, before, linked, names, fresh }
    }

    fn is_in_use(&self, frame: Frame) -> bool {
        self.before.use_of(frame).is_some() || self.linked.contains(&frame)
    }

    /// Whether a word of it is cleared before it is linked. A store to a frame that is no table at all is another
    /// matter.
    fn is_prepared(&self, frame: Frame) -> bool {
        !self.is_in_use(frame) && (self.known.contains_key(&frame) || self.fresh.contains(&frame))
    }

    fn follow(&mut self, event: &Event) {
        match *event {
            Event::Allocate { first: Some(first), frames, .. } => {
                self.fresh.extend((0..frames).map(|number| Frame(first.0 + number)));
            }
            Event::Store { at, new, .. } => {
                let Some(&(level, _)) = self.known.get(&at.frame()) else { return };
                let Decoded::Table { at: below, .. } = self.scene.format.decode(level, new) else {
                    return;
                };
                if !self.is_in_use(at.frame()) {
                    self.names.entry(at.frame()).or_default().insert(below.frame());
                    return;
                }
                let mut left = vec![below.frame()];
                while let Some(frame) = left.pop() {
                    if self.linked.insert(frame) {
                        left.extend(self.names.get(&frame).into_iter().flatten());
                    }
                }
            }
            _ => {}
        }
    }
}

fn items<'a>(events: &'a [Event], mut links: Links<'_>) -> Vec<Item<'a>> {
    let mut items: Vec<Item<'a>> = Vec::new();
    for event in events {
        if let Event::Store { at, new: 0, kind, .. } = event
            && *kind != StoreKind::Hardware
            && links.is_prepared(at.frame())
        {
            match items.last_mut() {
                Some(Item::Clear(frame, count)) if *frame == at.frame() => *count += 1,
                _ => items.push(Item::Clear(at.frame(), 1)),
            }
        } else {
            items.push(Item::Event(event));
        }
        links.follow(event);
    }
    items
}

/// The lines of blocks: all, or those at the start, at the end and between these what must not be left out.
fn within(blocks: Vec<(Vec<String>, bool)>) -> Vec<String> {
    let total: usize = blocks.iter().map(|(lines, _)| lines.len()).sum();
    let (mut lines, mut count, mut is_cut) = (Vec::new(), 0, false);
    for (block, is_kept) in blocks {
        count += block.len();
        let is_middle = count > LINES_FIRST && count + LINES_LAST <= total;
        if is_middle && !is_kept && total > LINES_FIRST + LINES_LAST {
            if !is_cut {
                lines.push("       …".to_owned());
            }
            is_cut = true;
            continue;
        }
        is_cut = false;
        lines.extend(block);
    }
    lines
}

impl Item<'_> {
    /// Not the code's doing: the finding may rest on it.
    const fn is_of_somebody_else(&self) -> bool {
        matches!(
            self,
            Self::Event(
                Event::Store { kind: StoreKind::Hardware, .. }
                    | Event::LostMark { .. }
                    | Event::StrayStore { .. }
                    | Event::Invalidate { is_lost: true, .. }
                    | Event::Allocate { first: None, .. }
            )
        )
    }

    fn shape(&self, counts: &dyn Fn(PhysAddr, u64) -> bool) -> Option<Shape> {
        let Self::Event(event) = *self else { return None };
        match *event {
            Event::Store { kind: StoreKind::Hardware, .. } => None,
            Event::Store { at, old, new, kind } => {
                let old = if counts(at, new) { old } else { 0 };
                let kind = match kind {
                    StoreKind::Whole => "whole",
                    StoreKind::Release => "release",
                    StoreKind::Plain => "plain",
                    StoreKind::Found | StoreKind::Hardware => "found",
                };
                Some(Shape { kind: (kind, at.frame().0), numbers: [at.raw(), old, new] })
            }
            Event::Free { at } => Some(Shape { kind: ("free", 0), numbers: [at.raw(), 0, 0] }),
            Event::Invalidate { what, is_lost: false } => {
                let (kind, at) = match what {
                    Invalidation::Page(at) => ("page", at.0),
                    Invalidation::LastLevel(at) => ("last level", at.0),
                    Invalidation::Space => ("space", 0),
                    Invalidation::All => ("all", 0),
                };
                Some(Shape { kind: (kind, 0), numbers: [at, 0, 0] })
            }
            Event::Barrier { barrier } => {
                let number = match barrier {
                    Barrier::Order => 0,
                    Barrier::Stores => 1,
                    Barrier::All => 2,
                };
                Some(Shape { kind: ("barrier", number), numbers: [0; 3] })
            }
            _ => None,
        }
    }

    fn told(&self, scene: &Scene, known: &Known) -> Vec<String> {
        match self {
            Self::Clear(frame, count) => {
                let start = frame.start().raw();
                vec![format!("       stores 0 to {count} words of the unlinked {start:#x}")]
            }
            Self::Event(event) => told_event(scene, event, known),
        }
    }
}

/// The lines of one event.
fn told_event(scene: &Scene, event: &Event, known: &Known) -> Vec<String> {
    let line = match *event {
        Event::Store { at, old, new, kind } => {
            let how = match kind {
                StoreKind::Whole => "stores to",
                StoreKind::Release => "stores with release to",
                StoreKind::Plain => "stores by assignment to",
                StoreKind::Found => "changed",
                StoreKind::Hardware => "the processor sets bits in",
            };
            let Some(&(level, first)) = known.get(&at.frame()) else {
                return vec![format!(
                    "       {how} {:#x}, in no table in use: {old:#x}, now {new:#x}",
                    at.raw()
                )];
            };
            let format = scene.format;
            let first = format.first_of(level, first, at.offset() / 8);
            let name = format.level_name(level);
            return vec![
                format!("       {how} {:#x}, level {name}, for {first}", at.raw()),
                format!("         {old:#018x}  {}", format.describe(level, old)),
                format!("         {new:#018x}  {}", format.describe(level, new)),
            ];
        }
        Event::StrayStore { at, new } if at.raw() % 8 != 0 => {
            format!("       stores {new:#x} to {:#x}, no multiple of 8", at.raw())
        }
        Event::StrayLoad { at } if at.raw() % 8 != 0 => {
            format!("       reads {:#x}, no multiple of 8", at.raw())
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
        Event::CallsBack | Event::CalledBack => return Vec::new(),
        Event::LostMark { .. } => "       … which loses the dirty flag".to_owned(),
    };
    vec![line]
}
