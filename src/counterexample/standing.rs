//! Where processors stand when a run is cut off.
//!
//! A run in which somebody hangs ends when its steps are used up. What each processor did then is what it did most
//! often of late: where that is one step, or a lock that is asked for again and again, it goes on for ever.

use std::collections::{BTreeMap, VecDeque};

use crate::base::{Event, EventKind, Principal};
use crate::injection::PointKind;
use crate::world::World;

use super::recorder::place;

/// Steps of each processor that are remembered: more than an interrupt takes.
const RECENT: usize = 512;

/// Who did it, in whose address space, and the step's address.
type Did = (Principal, Principal, u64);

/// The last steps of each processor, by number.
#[derive(Default)]
pub(super) struct Standing(BTreeMap<u8, VecDeque<Did>>);

impl Standing {
    /// Takes in what a processor did: a step, or one that was about to run and was struck.
    pub(super) fn event(&mut self, event: &Event) {
        let is_struck = event.kind == EventKind::Strike && event.old == PointKind::Step as u64;
        if event.kind != EventKind::Step && !is_struck || event.processor == Event::NO_PROCESSOR {
            return;
        }
        let recent = self.0.entry(event.processor).or_default();
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back((event.actor, event.context, event.virt));
    }

    /// In words, a processor each.
    pub(super) fn told(&self, world: &World) -> Vec<String> {
        let told = |(number, recent): (&u8, &VecDeque<Did>)| {
            if world.machine.processors[usize::from(*number)].registers.halted {
                return Some(format!("processor {number} has nothing to do"));
            }
            let mut counts: BTreeMap<Did, usize> = BTreeMap::new();
            for &did in recent {
                *counts.entry(did).or_default() += 1;
            }
            let (&often, &count) = counts.iter().max_by_key(|(_, count)| **count)?;
            // Now and then an interrupt comes in between.
            Some(if count * 10 >= recent.len() * 9 {
                format!("processor {number} stays in {}", did(world, often))
            } else {
                format!("processor {number} goes on, last in {}", did(world, *recent.back()?))
            })
        };
        self.0.iter().filter_map(told).collect()
    }
}

fn did(world: &World, (actor, context, virt): Did) -> String {
    let name = |one| world.roster().name(one);
    let at = match place(world, actor, virt) {
        code if code.is_empty() => format!("{virt:#x}"),
        code => code,
    };
    match context {
        context if context == actor => format!("{at}: {}", name(actor)),
        context => format!("{at}: {}, working for {}", name(actor), name(context)),
    }
}

#[cfg(test)]
mod tests {
    use crate::campaign::Registries;
    use crate::counterexample::Story;
    use crate::scenario::Scenario;

    /// What is told of a process that spins while another one has nothing left to do, and where the one that
    /// spins would go on but for a fault.
    fn told(fault: &str) -> Vec<(&'static str, String)> {
        let text = format!(
            "format = 1\nname = \"hangs\"\n[machine]\nprocessors = 2\nclock-interval = 200\n\
             [[component]]\nname = \"editor\"\nhome = \"application\"\n\
             actions = [{{ do = \"store\", word = 0, value = \"0x1\" }}, {{ do = \"load\", word = 0 }}]\n\
             [[component]]\nname = \"shell\"\nhome = \"application\"\n\
             actions = [{{ do = \"load\", word = 0 }}]\n{fault}"
        );
        let scenario = Scenario::from_bytes(text.as_bytes()).expect("a sound scenario");
        let story = Story::of(&scenario, &Registries::default()).expect("it runs");
        story.parts().to_vec()
    }

    #[test]
    fn who_hangs_is_told_once_and_where_and_who_has_nothing_to_do() {
        let story = told(
            "[[fault]]\nkind = \"hang\"\nwho = \"editor\"\n\
             at = { point = \"step\", routine = \"main\", nth = 4 }\nrecurrence = \"always\"\n",
        );

        let all = |head| {
            let of_head = story.iter().filter(move |part| part.0 == head);
            of_head.map(|part| &*part.1).collect::<Vec<_>>()
        };
        let [struck] = all("struck")[..] else { panic!("{story:?}") };
        let (what, times) = struck.split_once("; it stayed there, and ").expect("it hangs");
        let place = what.rsplit(' ').next().expect("a step");
        assert!(
            place.starts_with("main.") && times.contains(" times more until step "),
            "{struck}"
        );
        let stood = all("cut off");
        let stays = format!(" stays in {place}: editor");
        assert!(stood.len() == 2 && stood.iter().any(|one| one.ends_with(&stays)), "{stood:?}");
        assert!(stood.iter().any(|one| one.ends_with(" has nothing to do")), "{stood:?}");
        assert_eq!(all("cut"), [""; 0]);
    }

    #[test]
    fn of_a_run_that_comes_to_rest_nothing_is_told() {
        let story = told("");

        assert!(story.iter().all(|part| part.0 != "cut off"), "{story:?}");
    }
}
