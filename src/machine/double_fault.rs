//! What comes of an exception whose delivery fails: the next one, a double fault, or shutdown.
//!
//! Which of them the classes of the two decide (Intel SDM volume 3A, "Interrupt 8—Double Fault
//! Exception", table "Conditions for Generating a Double Fault").

use crate::base::{Event, EventKind, Rule};

use super::processor::Processor;
use super::trap::Trap;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "double-and-triple-fault",
        "By the classes of two exceptions they are handled serially, or are a double fault, or shutdown.",
        "Intel SDM volume 3A, Interrupt 8—Double Fault Exception",
    ),
    Rule::documented(
        "page-fault-address",
        "CR2 is written by page faults alone, one that becomes a double fault included.",
        "Intel SDM volume 3A, Interrupt 14—Page-Fault Exception",
    ),
    Rule::inferred(
        "shutdown-resets",
        "Shutdown resets the machine without a bug check or a dump.",
        "Intel SDM volume 3A, Interrupt 8—Double Fault Exception",
    ),
];

/// The classes of interrupts and exceptions (table "Interrupt and Exception Classes").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    /// Interrupts too, whoever raises them.
    Benign,
    Contributory,
    PageFault,
    DoubleFault,
}

impl Class {
    const fn of(vector: u8) -> Self {
        match vector {
            // Divide error, invalid TSS, segment not present, stack fault, general protection, control
            // protection.
            0 | 10..=13 | Trap::CONTROL_PROTECTION => Self::Contributory,
            Trap::PAGE_FAULT | Trap::VIRTUALIZATION => Self::PageFault,
            Trap::DOUBLE_FAULT => Self::DoubleFault,
            _ => Self::Benign,
        }
    }
}

/// What a second exception makes of the first, whose delivery it ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Nesting {
    /// The second is delivered; the first comes again where its cause is still there.
    Serially,
    DoubleFault,
    Shutdown,
}

impl Nesting {
    const fn of(first: u8, second: u8) -> Self {
        match (Class::of(first), Class::of(second)) {
            (_, Class::Benign) | (Class::Benign, _) | (Class::Contributory, Class::PageFault) => {
                Self::Serially
            }
            (Class::Contributory, _) | (Class::PageFault, _) => Self::DoubleFault,
            (Class::DoubleFault, _) => Self::Shutdown,
        }
    }
}

impl Processor<'_> {
    /// Raises an exception: delivery, and what comes of its failure.
    pub(super) fn raise(&mut self, trap: Trap) {
        self.say_exception(trap);
        self.bring_in(trap);
    }

    /// Delivers an interrupt, or an exception that is announced already, and what fails on the way. Returns
    /// whether it was delivered itself.
    pub(super) fn bring_in(&mut self, trap: Trap) -> bool {
        let mut first = trap;
        // It ends: no delivery raises what is benign, and of the others each is followed by a worse one.
        while let Err(second) = self.deliver(first) {
            self.keep_address(second);
            let next = match Nesting::of(first.vector, second.vector) {
                Nesting::Serially => second,
                Nesting::DoubleFault => Trap::double_fault(second.virt),
                Nesting::Shutdown => {
                    self.machine.stopped = true;
                    let event = self.blank(EventKind::Reset);
                    self.say(event);
                    return false;
                }
            };
            self.say_exception(next);
            first = next;
        }
        first.vector == trap.vector
    }

    fn say_exception(&mut self, trap: Trap) {
        self.keep_address(trap);
        let event = Event {
            value: u64::from(trap.vector) << 32 | u64::from(trap.code),
            virt: trap.virt,
            old: self.registers().rip,
            ..self.blank(EventKind::Exception)
        };
        self.say(event);
    }

    fn keep_address(&mut self, trap: Trap) {
        if trap.vector == Trap::PAGE_FAULT {
            self.registers_mut().cr2 = trap.virt;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Nesting::{DoubleFault, Serially, Shutdown};
    use super::*;
    use crate::base::{PhysAddr, VirtAddr};
    use crate::machine::Machine;
    use crate::machine::held::testing::{PAGE, machine, pte};
    use crate::machine::interrupt::{GATE_BYTES, gate};
    use crate::machine::paging::x86_64::{ControlFlags, Entry};
    use crate::machine::registers::{FLAGS_FIXED, INTERRUPT_FLAG, Reg};

    /// The address of the gates on the page behind, which is not there: those from the clock's on.
    const AWAY: u64 = PAGE.0 + 0x1000;

    /// Where the gate of a vector leads.
    const fn handler(vector: u8) -> u64 {
        0xffff_8000_0000_1000 + 0x100 * vector as u64
    }

    /// In kernel mode with interrupts on: gates for these vectors, those from the clock's on away.
    fn with_gates(vectors: &[u8]) -> Machine {
        let mut machine = machine(ControlFlags::WP);
        let stack = VirtAddr(PAGE.0 + 0x2000);
        for (page, frame) in [(PAGE, 8), (stack, 10)] {
            let entry = frame << 12 | Entry::P | Entry::RW | Entry::A | Entry::D;
            machine.write_physical(pte(page), entry);
        }
        let base = AWAY - u64::from(Trap::CLOCK) * GATE_BYTES;
        for &vector in vectors {
            let at = 0x8000 + base % 0x1000 + u64::from(vector) * GATE_BYTES;
            for (word, value) in (0..).zip(gate(handler(vector), 0, false)) {
                machine.write_physical(PhysAddr::truncated(at + 8 * word), value);
            }
        }
        let registers = &mut machine.processors[0].registers;
        registers.flags = FLAGS_FIXED | INTERRUPT_FLAG;
        registers.idt_base = base;
        registers.put(Reg::Rsp, stack.0 + 0x800);
        machine
    }

    #[test]
    fn a_page_fault_on_an_interrupt_s_way_in_is_a_page_fault() {
        let mut machine = with_gates(&[Trap::PAGE_FAULT, Trap::DOUBLE_FAULT]);
        machine.raise_interrupt(0, Trap::CLOCK);

        Processor { machine: &mut machine, number: 0 }.accept_interrupt();

        let registers = &machine.processors[0].registers;
        assert!(!machine.stopped);
        assert_eq!((registers.rip, registers.cr2), (handler(Trap::PAGE_FAULT), AWAY));
        // Handled serially: it is not lost, and comes when interrupts are on again.
        assert_eq!((registers.pending, registers.flags & INTERRUPT_FLAG), (1, 0));
    }

    #[test]
    fn what_then_fails_ends_in_a_double_fault_and_in_shutdown() {
        let end = |vectors: &[u8]| {
            let mut machine = with_gates(vectors);
            machine.raise_interrupt(0, Trap::CLOCK);
            Processor { machine: &mut machine, number: 0 }.accept_interrupt();
            (!machine.stopped).then(|| machine.processors[0].registers.rip)
        };

        // No gate for the page fault, which is a segment that is not present; none for that either.
        assert_eq!(end(&[Trap::DOUBLE_FAULT]), Some(handler(Trap::DOUBLE_FAULT)));
        assert_eq!(
            end(&[Trap::NOT_PRESENT, Trap::DOUBLE_FAULT]),
            Some(handler(Trap::DOUBLE_FAULT))
        );
        assert_eq!(end(&[]), None);
    }

    #[test]
    fn a_benign_exception_whose_gate_is_not_there_is_a_segment_not_present() {
        let mut machine = with_gates(&[Trap::NOT_PRESENT, Trap::DOUBLE_FAULT]);

        Processor { machine: &mut machine, number: 0 }.raise(Trap::plain(Trap::INVALID_OPCODE));

        assert_eq!(machine.processors[0].registers.rip, handler(Trap::NOT_PRESENT));
    }

    #[test]
    fn no_other_exception_writes_cr2() {
        for trap in [Trap::non_canonical(0x8000_0000_0000_0000), Trap::virtualization(2, PAGE.0)] {
            let mut machine = with_gates(&[Trap::GENERAL_PROTECTION, Trap::VIRTUALIZATION]);
            machine.processors[0].registers.cr2 = 0x1234;

            Processor { machine: &mut machine, number: 0 }.raise(trap);

            let registers = &machine.processors[0].registers;
            assert_eq!((registers.cr2, registers.refused), (0x1234, trap.virt));
        }
    }

    #[test]
    fn two_exceptions_make_what_the_manual_s_table_says() {
        // The manual's classes: benign; contributory; page faults; and the double fault itself.
        let benign = [1, 2, 3, 4, 5, 6, 7, 9, 16, 17, 18, 19, 0x20, 0x22, 0x29, 0xff].as_slice();
        let contributory = [0, 10, 11, 12, 13, 21].as_slice();
        let page_faults = [14, 20].as_slice();
        let classes = [benign, contributory, page_faults];
        // Its rows: the first exception; its columns: the second, in the order of `classes`.
        let table = [
            (benign, [Serially, Serially, Serially]),
            (contributory, [Serially, DoubleFault, Serially]),
            (page_faults, [Serially, DoubleFault, DoubleFault]),
            ([8].as_slice(), [Serially, Shutdown, Shutdown]),
        ];
        for (firsts, row) in table {
            for (&first, (seconds, wanted)) in firsts
                .iter()
                .flat_map(|first| classes.into_iter().zip(row).map(move |at| (first, at)))
            {
                for &second in seconds {
                    assert_eq!(Nesting::of(first, second), wanted, "{first} then {second}");
                }
            }
        }
    }
}
