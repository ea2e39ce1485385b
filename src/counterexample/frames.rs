//! Which return address, or cookie below it, was overwritten before it was used: by whom, and with what.
//!
//! Both lie on a stack, which is whose code runs on it to write: no books say that anything is amiss. So this
//! remembers what a call pushed and compares it with what is there when it is popped; of a word on which a fast fail
//! follows right behind its load, it tells who wrote over it in a run of words, as a copy does. A story's reader sees
//! it; nothing here is evidence for a verdict.

use std::collections::BTreeMap;

use crate::base::{Event, EventKind, Principal, Structure};
use crate::campaign::Trial;
use crate::machine::Trap;
use crate::machine::code::STEP_BYTES;

use super::happened::Happened;
use super::recorder::place;

/// Words of stacks that are remembered: what all stacks of a world together have and more.
const WORDS_MAX: usize = 1 << 16;

/// A word of a stack: whose address space it is in, nobody's for the kernel's half, and where.
type Word = (Principal, u64);

/// What was stored in a word.
#[derive(Clone, Copy)]
struct Stored {
    ordinal: u64,
    value: u64,
    /// By whose code, and in which step.
    actor: Principal,
    rip: u64,
    /// Whether a call pushed it for its return.
    is_return: bool,
    /// Whether the word below was stored in the same step just before.
    is_of_a_run: bool,
}

/// What was written over a word that was used as if it had not been.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Overwritten {
    /// The number of the event that wrote it.
    pub(super) ordinal: u64,
    /// Whether it is a return address; else a cookie.
    pub(super) is_return: bool,
    /// Whose code wrote it, in the step at this address.
    pub(super) by: (Principal, u64),
    /// Whose code had put there what was to be found, in the step at this address.
    pub(super) of: (Principal, u64),
    /// What was there.
    pub(super) before: u64,
    /// What is there now.
    pub(super) after: u64,
}

/// What a processor did last.
#[derive(Clone, Copy, Default)]
struct Last {
    rip: u64,
    /// The word of a stack that it stored last, in this step.
    stored: Option<u64>,
    /// The words of stacks that it loaded last, in this step and with nothing behind them, the latest first: a
    /// frame pointer, a return address and what the shadow of that holds.
    loaded: [Option<(Word, u64)>; 3],
}

/// What is on the stacks, as far as it was written while somebody looked.
#[derive(Default)]
pub(super) struct Frames {
    /// The last two that were stored in each word.
    words: BTreeMap<Word, (Stored, Option<Stored>)>,
    last: [Last; 8],
    found: Vec<Overwritten>,
}

impl Frames {
    /// What was overwritten and used, in the order of its use.
    pub(super) fn found(&self) -> &[Overwritten] {
        &self.found
    }

    /// Takes in an event, the how-manieth of the run it is.
    pub(super) fn event(&mut self, event: &Event, ordinal: u64) {
        if event.processor == Event::NO_PROCESSOR {
            return;
        }
        let processor = usize::from(event.processor & 7);
        match event.kind {
            EventKind::Step => {
                self.returned(processor, |back| back == event.virt);
                self.last[processor] = Last { rip: event.virt, ..Last::default() };
            }
            EventKind::Store if is_of_a_stack(event) => self.stored(event, ordinal, processor),
            EventKind::Load if is_of_a_stack(event) => {
                let [latest, before, _] = self.last[processor].loaded;
                self.last[processor].loaded = [Some((word(event), event.value)), latest, before];
            }
            EventKind::Exception => self.raised(event, processor),
            // In between accessed bits are set.
            EventKind::TableMark | EventKind::TableLoad => {}
            _ => self.last[processor].loaded = [None; 3],
        }
    }

    fn stored(&mut self, event: &Event, ordinal: u64, processor: usize) {
        let last = &mut self.last[processor];
        last.loaded = [None; 3];
        let is_of_a_run = last.stored == Some(event.virt.wrapping_sub(8));
        last.stored = Some(event.virt);
        let is_return = event.mask == u8::MAX && event.value == last.rip.wrapping_add(STEP_BYTES);
        let (actor, rip) = (event.actor, last.rip);
        let stored = Stored { ordinal, value: event.value, actor, rip, is_return, is_of_a_run };
        if let Some((latest, before)) = self.words.get_mut(&word(event)) {
            // What a part of a word is written over is still that.
            *before = Some(*latest).filter(|_| !is_return);
            *latest = stored;
        } else if self.words.len() < WORDS_MAX {
            self.words.insert(word(event), (stored, None));
        }
    }

    /// A return was taken, or was about to be, to what was loaded, if that leads where it goes.
    fn returned(&mut self, processor: usize, leads: impl Fn(u64) -> bool) {
        let [first, second, third] = self.last[processor].loaded;
        for (popped, before) in [(first, second), (second, third)] {
            // The caller's frame pointer is popped right before.
            if let (Some((at, value)), Some(((_, below), _))) = (popped, before)
                && below == at.1.wrapping_sub(8)
                && leads(value)
                && let Some(&(latest, Some(pushed))) = self.words.get(&at)
                && pushed.is_return
                && pushed.value != value
            {
                return self.tell(true, latest, pushed, value);
            }
        }
    }

    fn raised(&mut self, event: &Event, processor: usize) {
        let Ok(vector) = u8::try_from(event.value >> 32) else { return };
        match vector {
            Trap::FAST_FAIL => {
                let Some((at, value)) = self.last[processor].loaded[0] else { return };
                if let Some(&(latest, Some(pushed))) = self.words.get(&at)
                    && latest.is_of_a_run
                    && latest.rip != pushed.rip
                    && pushed.value != value
                {
                    self.tell(false, latest, pushed, value);
                }
            }
            // Nothing can be fetched there, or nowhere is such an address; or the shadow says otherwise.
            Trap::PAGE_FAULT => self.returned(processor, |back| back == event.old),
            Trap::GENERAL_PROTECTION | Trap::CONTROL_PROTECTION => {
                self.returned(processor, |_| true);
            }
            _ => {}
        }
        self.last[processor].loaded = [None; 3];
    }

    fn tell(&mut self, is_return: bool, latest: Stored, pushed: Stored, after: u64) {
        self.found.push(Overwritten {
            ordinal: latest.ordinal,
            is_return,
            by: (latest.actor, latest.rip),
            of: (pushed.actor, pushed.rip),
            before: pushed.value,
            after,
        });
    }
}

fn is_of_a_stack(event: &Event) -> bool {
    matches!(event.structure, Structure::KernelStack | Structure::UserStack)
}

fn word(event: &Event) -> Word {
    let at = event.virt & !7;
    let whose = if at >> 63 == 1 { Principal::KERNEL } else { event.context };
    (whose, at)
}

/// What was overwritten, in words, from the first strike on.
pub(super) fn overrun(trial: &Trial, overwritten: &[Overwritten]) -> Vec<Happened> {
    let since = trial.judge.strike().map_or(0, |strike| strike.ordinal);
    let step = |(actor, rip)| match place(&trial.world, actor, rip) {
        code if code.is_empty() => format!("{rip:#x}"),
        code => code,
    };
    let told = |one: &Overwritten| {
        let (by, of) = (step(one.by), step(one.of));
        let (verb, word) =
            if one.is_return { ("pushed", "return address") } else { ("put there", "cookie") };
        let (who, before, after) = (trial.roster().name(one.by.0), one.before, one.after);
        let what = format!(
            "{who} in {by} wrote over the {word} that {of} had {verb}; before {before:#x}, after \
             {after:#x}"
        );
        Happened { ordinal: one.ordinal, head: "overrun", what, always: true }
    };
    overwritten.iter().filter(|one| one.ordinal >= since).map(told).collect()
}

#[cfg(test)]
mod tests {
    use crate::campaign::Registries;
    use crate::counterexample::Story;
    use crate::scenario::library::INCIDENTS;
    use crate::scenario::{Scenario, Vocabulary};

    /// The lines of a story that say what was overrun: of an incident, with one of its contrasts or without.
    fn overrun(incident: &str, contrast: Option<&str>) -> Vec<String> {
        let builtin = INCIDENTS.iter().find(|one| one.name.ends_with(incident)).expect("built in");
        let scenario = Scenario::from_toml(builtin.name, builtin.text, &Vocabulary::default());
        let mut scenario = scenario.expect("sound");
        if let Some(name) = contrast {
            let contrast = scenario.contrasts.iter().find(|one| one.name == name);
            scenario = contrast.expect("a contrast").of(&scenario).expect("it can be");
        }
        let story = Story::of(&scenario, &Registries::default()).expect("it runs");
        let those = story.parts().iter().filter(|(head, _)| *head == "overrun");
        those.map(|(_, what)| what.clone()).collect()
    }

    #[test]
    fn a_return_address_is_told_with_who_wrote_over_it_wherever_that_leads() {
        let into_nowhere = overrun("I04-stack-overrun", None);
        let [told] = &into_nowhere[..] else { panic!("once: {into_nowhere:?}") };
        let said = "device in CopyToStack.copy wrote over the return address that \
                    VulnerableWork.stack had pushed";
        assert!(told.contains(said) && told.ends_with("after 0x100000041"), "{told}");

        for contrast in [
            "a return into user code",
            "a return into user code without SMEP",
            "in a host of its own",
        ] {
            assert_eq!(overrun("I04-stack-overrun", Some(contrast)).len(), 1, "{contrast}");
        }
        assert_eq!(overrun("I04-integer-overflow", Some("shadow stacks")).len(), 1);
    }

    #[test]
    fn a_cookie_is_told_when_the_comparison_fails() {
        let told = overrun("I04-stack-overrun-cookie", None);

        let said = "wrote over the cookie that CopyToGuardedStack.guard had put there";
        assert!(told.len() == 1 && told[0].contains(said), "{told:?}");
    }

    #[test]
    fn of_what_fits_nothing_is_told() {
        assert_eq!(overrun("I04-stack-overrun", Some("a request that fits")), [""; 0]);
        assert_eq!(overrun("I04-stack-overrun-cookie", Some("a request that fits")), [""; 0]);
        // What goes wrong there is no word of a stack.
        assert_eq!(overrun("I04-type-confusion", None), [""; 0]);
        assert_eq!(overrun("I13-filter-driver-pool-overrun", None), [""; 0]);
    }
}
