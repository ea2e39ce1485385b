//! A walker changes nothing and takes nothing.
//!
//! A translation that is right can come from a walker that scribbles: it sets a bit in an entry, "repairs" one, keeps
//! a note in a frame of data, or takes frames each time it is asked until there are none. None of that changes an
//! answer. What it may store to is what it took when it was made; accessed and dirty flags, as the processor sets
//! them, are for a walker that says so.
//!
//! Not checked here: loads, since any entry may name any frame; and whether flags that it sets are those of the
//! address that was asked for.

use std::collections::BTreeSet;

use crate::base::{Frame, PhysAddr};
use crate::conformance::breach::{Breach, Check, INTERFACE};
use crate::conformance::format::{Decoded, Format, Rule};
use crate::conformance::memory::Event;

/// What a walker holds, and what it said of itself.
pub(super) struct Ledger<'a> {
    pub(super) format: &'a dyn Format,
    /// Whether it sets accessed and dirty flags.
    pub(super) sets_marks: bool,
    own: BTreeSet<Frame>,
}

impl<'a> Ledger<'a> {
    pub(super) const fn new(format: &'a dyn Format) -> Self {
        Self { format, sets_marks: false, own: BTreeSet::new() }
    }

    /// What it did when it was made: frames that it takes then are its own.
    pub(super) fn made(&mut self, events: &[Event]) -> Option<Breach> {
        let mut breach = None;
        for event in events {
            match *event {
                Event::Allocate { first: Some(first), frames, .. } => {
                    self.own.extend((first.0..first.0 + frames).map(Frame));
                }
                Event::Free { at } if self.own.remove(&at.frame()) => {}
                Event::Free { .. } | Event::Store { .. } | Event::StrayStore { .. } => {
                    breach = breach.or_else(|| self.wrong(event, "is made"));
                }
                _ => {}
            }
        }
        breach
    }

    /// What it did since.
    pub(super) fn asked(&self, events: &[Event], during: &str) -> Option<Breach> {
        events.iter().find_map(|event| self.wrong(event, during))
    }

    fn wrong(&self, event: &Event, during: &str) -> Option<Breach> {
        let breach = |check, kind: &str, what| {
            let (kind, virt) = (kind.to_owned(), None);
            Some(Breach { check, kind, what, virt, rule: INTERFACE })
        };
        match *event {
            Event::Store { at, .. } if self.own.contains(&at.frame()) => None,
            Event::Store { old, new, .. } if self.sets_marks && self.is_mark(old, new) => None,
            Event::Store { at, old, new, .. } => {
                let what = stored(at, Some(old), new, during);
                let breach = breach(Check::Stores, "a walker stores", what);
                breach.map(|breach| Breach { rule: self.rule(), ..breach })
            }
            Event::StrayStore { at, new } => {
                breach(Check::Stores, "a walker stores", stored(at, None, new, during))
            }
            Event::Allocate { frames, .. } => {
                let what = format!("takes {frames} frames when it {during}, and only translates");
                breach(Check::Frames, "a walker takes frames", what)
            }
            Event::Free { at } => {
                let what = format!("frees {:#x} when it {during}, and only translates", at.raw());
                breach(Check::Frames, "a walker frees frames", what)
            }
            _ => None,
        }
    }

    fn rule(&self) -> &'static str {
        if self.sets_marks { self.format.rule(Rule::Marks) } else { INTERFACE }
    }

    /// Whether the store sets flags as the processor does, in an entry of some level.
    fn is_mark(&self, old: u64, new: u64) -> bool {
        (1..=self.format.levels()).any(|level| {
            let is_used = matches!(
                self.format.decode(level, old),
                Decoded::Leaf { .. } | Decoded::Table { .. }
            );
            let marked = [false, true].map(|writes| self.format.marked(level, old, writes));
            is_used && marked.contains(&new)
        })
    }
}

fn stored(at: PhysAddr, old: Option<u64>, new: u64, during: &str) -> String {
    let over = old.map_or(String::new(), |old| format!(" over {old:#x}"));
    format!("stores {new:#x}{over} at {:#x} when it {during}, and only translates", at.raw())
}
