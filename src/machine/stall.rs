//! A processor that stands still in the midst of a step.
//!
//! Steps run whole, so that no other processor comes between what one reads and what it writes from that.
//! On hardware a step is several instructions, and between any two of them a processor may stand still for as
//! long as a system management interrupt or a hypervisor likes. A processor that is told to stall runs on to
//! a step that writes what others may read; of that step it has then read, and its writes come when it goes
//! on. Where a lock is held, nobody can tell.

use crate::base::{Event, EventKind, PhysAddr, Rule, Structure, bits_of};

use super::Machine;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[Rule::documented(
    "stall-between-load-and-store",
    "A processor may stand still between a load and the store that follows from it; a fault has it do so.",
    "Intel SDM volume 3A, Bus Locking; volume 3C, System Management Mode",
)];

/// Stores of one step that are held back at most: more than any step makes but for copies.
const STORES_MAX: usize = 16;

/// How a processor stands still, or is to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Stall {
    /// For how many steps it will stand, once it does; 0 when it is not to.
    steps: u64,
    /// How many steps that write what others may read it runs through before.
    nth: u64,
    /// The clock when it goes on; 0 while it runs.
    until: u64,
    /// What it writes then.
    stores: Vec<Event>,
}

impl Stall {
    /// Whether there is nothing to it.
    pub(super) fn is_over(&self) -> bool {
        self.steps == 0 && self.until == 0
    }

    /// All of it as words, for the fingerprint of a state; none where there is nothing to it.
    pub(super) fn words(&self) -> impl Iterator<Item = u64> {
        let own = [self.steps, self.nth, self.until];
        let stores = self.stores.iter().flat_map(|store| [store.phys, store.value]);
        own.into_iter().take(if self.is_over() { 0 } else { 3 }).chain(stores)
    }
}

/// Whether a step with these events can be stopped before its writes: it writes something, nothing that
/// is only its own, and does nothing else that anybody could tell.
fn is_divisible(events: &[Event]) -> bool {
    let is_plain = |event: &Event| match event.kind {
        EventKind::Step | EventKind::Load | EventKind::LoadRun => true,
        EventKind::TableLoad | EventKind::TableMark | EventKind::KernelPush => true,
        EventKind::Store => event.structure != Structure::PageTable,
        _ => false,
    };
    let is_shared = |event: &Event| {
        event.kind == EventKind::Store
            && !matches!(event.structure, Structure::KernelStack | Structure::UserStack)
    };
    let stores = events.iter().filter(|event| event.kind == EventKind::Store).count();
    stores <= STORES_MAX && events.iter().all(is_plain) && events.iter().any(is_shared)
}

impl Machine {
    /// Has a processor stand still for `steps` in the midst of the `nth` step from now, from 0, that
    /// writes what others may read. Whether it could be told to: there is such a processor, and it isn't told
    /// already.
    pub(super) fn stall(&mut self, number: usize, nth: u64, steps: u64) -> bool {
        let Some(state) = self.processors.get_mut(number) else { return false };
        if !state.stall.is_over() || steps == 0 {
            return false;
        }
        state.stall = Stall { steps, nth, ..Stall::default() };
        self.stalls = true;
        true
    }

    /// Whether a processor stands still now. One whose time is over writes what it has not written yet.
    #[cold]
    pub(super) fn stands(&mut self, number: usize) -> bool {
        let until = self.processors[number].stall.until;
        if self.clock < until {
            return true;
        }
        if until != 0 {
            let stall = core::mem::take(&mut self.processors[number].stall);
            for store in stall.stores {
                self.write_late(store);
            }
            self.stalls = self.any_stall();
        }
        false
    }

    fn write_late(&mut self, store: Event) {
        let (at, bits) = (PhysAddr::truncated(store.phys), bits_of(store.mask));
        let value = self.memory.read(at) & !bits | store.value & bits;
        let old = self.write_physical(at, value);
        self.events.push(Event { value, old, ..store });
    }

    /// Takes back what the step just run has written, if it is the one that the processor is to stand
    /// still in. `first` is the place of its first event.
    #[cold]
    pub(super) fn stall_after(&mut self, number: usize, first: usize) {
        // A processor that waits for an interrupt gets no turn to go on.
        let is_halted = self.processors[number].registers.halted;
        let is_whole = self.locked || self.stopped || is_halted;
        let stall = &mut self.processors[number].stall;
        if stall.steps == 0 || is_whole || !is_divisible(&self.events[first..]) {
            return;
        }
        if stall.nth > 0 {
            stall.nth -= 1;
            return;
        }
        let is_store = |event: &Event| event.kind == EventKind::Store;
        let step = self.events.split_off(first);
        let (stores, others): (Vec<Event>, Vec<Event>) = step.into_iter().partition(is_store);
        self.events.extend(others);
        for store in stores.iter().rev() {
            self.write_physical(PhysAddr::truncated(store.phys), store.old);
        }
        let until = self.clock + self.processors[number].stall.steps;
        self.processors[number].stall = Stall { until, stores, ..Stall::default() };
    }

    /// Whether some processor stands still, or is to.
    pub(super) fn any_stall(&self) -> bool {
        self.processors.iter().any(|state| !state.stall.is_over())
    }
}

#[cfg(test)]
mod tests {
    use super::super::held::testing::{PAGE, machine, pte};
    use super::super::paging::x86_64::{ControlFlags, Entry};
    use super::*;
    use crate::base::Field;
    use crate::machine::{Processor, Trap};

    const COUNTER: Field = Field { name: "counter", offset: 0, structure: Structure::KernelData };
    const OWN: Field = Field { name: "own", offset: 8, structure: Structure::KernelStack };

    /// Two processors and a counter.
    fn counting() -> Machine {
        let mut machine = machine(ControlFlags::NONE);
        machine.write_physical(pte(PAGE), 0x5000 | Entry::P | Entry::RW | Entry::A | Entry::D);
        let twin = machine.processors[0].clone();
        machine.processors.push(twin);
        machine
    }

    /// A turn of a processor's; whether it runs.
    fn turn(
        machine: &mut Machine,
        number: usize,
        step: impl Fn(&mut Processor<'_>) -> Result<(), Trap>,
    ) -> bool {
        machine.clock += 1;
        if machine.stands(number) {
            return false;
        }
        let first = machine.events.len();
        step(&mut Processor { machine, number }).expect("nothing is in the way");
        machine.stall_after(number, first);
        machine.locked = false;
        true
    }

    fn count(p: &mut Processor<'_>) -> Result<(), Trap> {
        let counted = p.load(PAGE.0, COUNTER)?;
        p.store(PAGE.0, COUNTER, counted + 1)
    }

    fn counted(machine: &Machine) -> u64 {
        machine.memory.read(PhysAddr::truncated(0x5000))
    }

    #[test]
    fn what_two_count_at_once_is_counted_once() {
        let mut machine = counting();
        assert!(machine.stall(0, 0, 4));

        assert!(turn(&mut machine, 0, count));
        assert_eq!(counted(&machine), 0, "read, and not written yet");
        assert!(turn(&mut machine, 1, count) && turn(&mut machine, 1, count));
        assert!(!turn(&mut machine, 0, count), "it stands still");
        assert_eq!(counted(&machine), 2);
        assert!(turn(&mut machine, 0, |_| Ok(())), "it goes on");

        assert_eq!(counted(&machine), 1);
        let stores = machine.events.iter().filter(|event| event.kind == EventKind::Store);
        let told: Vec<_> = stores.map(|store| (store.processor, store.old, store.value)).collect();
        assert_eq!(told, [(1, 0, 1), (1, 1, 2), (0, 2, 1)]);
        assert!(!machine.any_stall());
    }

    #[test]
    fn what_is_done_in_one_piece_or_is_nobody_else_s_is_not_divided() {
        let mut machine = counting();
        assert!(machine.stall(0, 0, 4));

        let exchange =
            |p: &mut Processor<'_>| p.compare_exchange(PAGE.0, COUNTER, 0, 7).map(|_| ());
        assert!(turn(&mut machine, 0, exchange));
        assert!(turn(&mut machine, 0, |p| p.store(PAGE.0, OWN, 1)));
        assert!(turn(&mut machine, 0, |p| p.load(PAGE.0, COUNTER).map(|_| ())));
        let halt = |p: &mut Processor<'_>| {
            p.registers_mut().halted = true;
            p.store(PAGE.0, COUNTER, 7)
        };
        assert!(turn(&mut machine, 0, halt));
        machine.processors[0].registers.halted = false;

        assert_eq!(counted(&machine), 7);
        assert!(turn(&mut machine, 0, count));
        assert!(!turn(&mut machine, 0, count), "at the first that can be");
        assert_eq!(counted(&machine), 7);
    }

    #[test]
    fn a_checkpoint_keeps_who_stands_still_and_who_never_did_has_no_word_of_it() {
        let mut machine = counting();
        let before = machine.state_hash();
        assert!(machine.stall(0, 1, 4));
        assert_ne!(machine.state_hash(), before);
        assert!(!machine.stall(0, 0, 4), "it is told already");
        assert!(!machine.stall(2, 0, 4), "there is none such");

        let checkpoint = machine.checkpoint();
        assert!(turn(&mut machine, 0, count) && turn(&mut machine, 0, count));
        machine.restore(&checkpoint);

        assert!(turn(&mut machine, 0, count) && turn(&mut machine, 0, count));
        assert_eq!(counted(&machine), 1, "the second is the one");
        let twin = counting();
        let mut other = counting();
        other.adopt(&machine.raw_state());
        assert_eq!(other.state_hash(), machine.state_hash());
        assert_ne!(other.state_hash(), twin.state_hash());
    }
}
