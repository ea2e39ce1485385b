//! Gates: how interrupts and exceptions enter the kernel.
//!
//! Delivery reads the descriptor table and the task-state segment from simulated memory, so that a
//! wild write there has the consequence it has on hardware (Intel SDM volume 3A, "Interrupt and
//! Exception Handling": gate format, stack switching). What comes of a delivery that fails is in
//! `double_fault`.

use crate::base::{Access, Event, EventKind, Principal, Ring, Rule, Structure};
use crate::injection::{Operation, PointKind, Verdict};

use super::Machine;
use super::debug::DEBUG_PENDING;
use super::processor::Processor;
use super::registers::{
    ALIGNMENT_CHECK, FLAGS_FIXED, INTERRUPT_FLAG, KERNEL_CODE, KERNEL_STACK, NON_MASKABLE_PENDING,
    Reg, USER_CODE, USER_STACK,
};
use super::trap::Trap;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "gates-from-memory",
        "Interrupts and exceptions enter through gates read from memory.",
        "Intel SDM volume 3A, Interrupt and Exception Handling",
    ),
    Rule::chosen(
        "interrupt-waits-for-a-fault",
        "An interrupt that faults on its way in is accepted again after that fault.",
        "this model: the SDM has them handled serially; that the interrupt is not lost is chosen",
    ),
    Rule::documented(
        "non-maskable-interrupt",
        "A non-maskable interrupt comes in with interrupts off, and no second one before `iretq`.",
        "Intel SDM volume 3A, Nonmaskable Interrupt",
    ),
    Rule::documented(
        "jump-to-non-canonical",
        "CALL, JMP, RET and IRETQ to a non-canonical address fault themselves, IRETQ still in ring 0.",
        "Intel SDM volume 2A, CALL, IRET and JMP, and 2B, RET: 64-Bit Mode Exceptions",
    ),
    Rule::documented(
        "sysret-to-non-canonical",
        "SYSRET to a non-canonical address faults in ring 0 on Intel processors and in ring 3 on AMD ones.",
        "NIST National Vulnerability Database, CVE-2012-0217",
    ),
];

/// Bytes of one gate.
pub const GATE_BYTES: u64 = 16;
/// Gates in the table.
pub const GATE_COUNT: u64 = 64;
/// Offset of the ring-0 stack pointer in the task-state segment.
pub const TSS_RSP0: u64 = 4;
/// Offset of the first interrupt stack table pointer in the task-state segment.
pub const TSS_IST1: u64 = 36;
/// 8-byte words that delivery pushes: error code, rip, cs, rflags, rsp, ss.
pub const FRAME_WORDS: u64 = 6;

/// The two words of an interrupt gate: present, ring 0 code, interrupts off. `user` lets ring 3 raise
/// it with an instruction; `ist` selects a stack of the interrupt stack table, 0 for none.
#[must_use]
pub const fn gate(target: u64, ist: u64, user: bool) -> [u64; 2] {
    let kind = 0x8e | if user { 3 << 5 } else { 0 };
    let low = (target & 0xffff)
        | KERNEL_CODE << 16
        | ist << 32
        | kind << 40
        | (target >> 16 & 0xffff) << 48;
    [low, target >> 32]
}

impl Processor<'_> {
    /// Delivers an interrupt or exception through its gate.
    pub(super) fn deliver(&mut self, trap: Trap) -> Result<(), Trap> {
        let base = self.registers().idt_base.wrapping_add(u64::from(trap.vector) * GATE_BYTES);
        if u64::from(trap.vector) >= GATE_COUNT {
            return Err(Trap::general_protection());
        }
        let low = self.read_system(base, Structure::InterruptTable)?;
        let high = self.read_system(base.wrapping_add(8), Structure::InterruptTable)?;
        if low >> 47 & 1 == 0 {
            return Err(Trap::plain(Trap::NOT_PRESENT));
        }
        if low >> 40 & 0x1f != 0x0e || low >> 16 & 0xffff != KERNEL_CODE {
            return Err(Trap::general_protection());
        }
        let target = (low & 0xffff) | (low >> 48) << 16 | (high & 0xffff_ffff) << 32;
        let ist = low >> 32 & 7;

        let before = *self.registers();
        let from_user = before.ring == Ring::User;
        let tss = before.tss_base;
        let stack = match ist {
            0 if from_user => self.read_system_unaligned(tss.wrapping_add(TSS_RSP0))?,
            0 => before.get(Reg::Rsp),
            _ => self.read_system_unaligned(tss.wrapping_add(TSS_IST1 + (ist - 1) * 8))?,
        };
        let (cs, ss) =
            if from_user { (USER_CODE, USER_STACK) } else { (KERNEL_CODE, KERNEL_STACK) };

        self.registers_mut().ring = Ring::Kernel;
        // The frame is pushed on the kernel's behalf, whoever was interrupted.
        self.registers_mut().actor = Principal::KERNEL;
        self.put(Reg::Rsp, stack & !0xf);
        let words = [ss, before.get(Reg::Rsp), before.flags, cs, before.rip, u64::from(trap.code)];
        for word in words {
            if let Err(nested) = self.push(word) {
                self.registers_mut().ring = before.ring;
                self.put(Reg::Rsp, before.get(Reg::Rsp));
                return Err(nested);
            }
        }
        let registers = self.registers_mut();
        registers.rip = target;
        registers.flags &= !INTERRUPT_FLAG;
        if matches!(trap.vector, Trap::GENERAL_PROTECTION | Trap::VIRTUALIZATION) {
            registers.refused = trap.virt;
            registers.refused_access = trap.reference();
        }
        if from_user {
            let event = Event {
                value: 0,
                old: Event::BY_GATE,
                virt: self.get(Reg::Rsp),
                ..self.blank(EventKind::ModeSwitch)
            };
            self.say(event);
        }
        Ok(())
    }

    /// Reads a table that the processor itself uses: an implicit supervisor access, to which EFLAGS.AC
    /// opens no user page (Intel SDM volume 3A, "Determination of Access Rights").
    fn read_system(&mut self, virt: u64, structure: Structure) -> Result<u64, Trap> {
        self.read_system_bytes(virt, structure, 0xff)
    }

    /// As [`read_system`](Self::read_system), of a word of which only the bytes in `mask` are used.
    fn read_system_bytes(
        &mut self,
        virt: u64,
        structure: Structure,
        mask: u8,
    ) -> Result<u64, Trap> {
        let (ring, flags) = (self.registers().ring, self.registers().flags);
        self.registers_mut().ring = Ring::Kernel;
        self.registers_mut().flags = flags & !ALIGNMENT_CHECK;
        let result = self.translate(virt, Access::Read);
        self.registers_mut().ring = ring;
        self.registers_mut().flags = flags;
        let phys = result?;
        let value = self.machine.memory.read(phys);
        let event = Event {
            structure,
            mask,
            phys: phys.raw() & !7,
            virt,
            value,
            ..self.blank(EventKind::Load)
        };
        self.say(event);
        Ok(value)
    }

    fn read_system_unaligned(&mut self, virt: u64) -> Result<u64, Trap> {
        let (bytes, shift) = (virt % 8, virt % 8 * 8);
        let low = self.read_system_bytes(virt & !7, Structure::TaskState, 0xff << bytes)?;
        if shift == 0 {
            return Ok(low);
        }
        let (next, mask) = ((virt & !7).wrapping_add(8), !(0xff << bytes));
        let high = self.read_system_bytes(next, Structure::TaskState, mask)?;
        Ok(low >> shift | high << (64 - shift))
    }

    /// Delivers the lowest pending interrupt above the current level, if interrupts are on.
    pub(super) fn accept_interrupt(&mut self) {
        let registers = self.registers();
        let is_blocked = registers.non_maskable_blocked;
        if registers.pending & NON_MASKABLE_PENDING != 0 && !is_blocked {
            return self.accept_non_maskable();
        }
        let registers = self.registers();
        let maskable = registers.pending & !(NON_MASKABLE_PENDING | DEBUG_PENDING);
        if maskable == 0 || registers.flags & INTERRUPT_FLAG == 0 {
            return;
        }
        let number = maskable.trailing_zeros();
        #[allow(clippy::cast_possible_truncation, reason = "32 bits")]
        let vector = 0x20 + number as u8;
        self.registers_mut().pending &= !(1 << number);
        self.registers_mut().halted = false;
        // The point is that of whoever interrupts, not of whoever happens to run.
        let mut operation = Operation {
            kind: PointKind::Interrupt,
            principal: self.machine.interrupter(vector),
            virt: u64::from(vector),
            value: 0,
            mask: 0xff,
        };
        let verdict = self.point(PointKind::Interrupt, &mut operation);
        self.machine.struck = false;
        if let Verdict::Raise(vector) = verdict {
            return self.raise(Trap::plain(vector));
        }
        if verdict == Verdict::Skip {
            return;
        }
        if verdict == Verdict::Repeat {
            self.registers_mut().pending |= 1 << number;
        }
        let event = Event { value: u64::from(vector), ..self.blank(EventKind::Interrupt) };
        self.say(event);
        if !self.bring_in(Trap::plain(vector)) {
            self.registers_mut().pending |= 1 << number;
        }
    }

    /// Delivers a non-maskable interrupt, whatever the flags say; until `iretq` no other comes in (Intel
    /// SDM volume 3A, "Nonmaskable Interrupt"). No fault steps in here.
    fn accept_non_maskable(&mut self) {
        let registers = self.registers_mut();
        registers.pending &= !NON_MASKABLE_PENDING;
        registers.halted = false;
        registers.non_maskable_blocked = true;
        let value = u64::from(Trap::NON_MASKABLE);
        let event = Event { value, ..self.blank(EventKind::Interrupt) };
        self.say(event);
        if !self.bring_in(Trap::plain(Trap::NON_MASKABLE)) {
            self.registers_mut().pending |= NON_MASKABLE_PENDING;
        }
    }

    /// `iretq`: takes the frame off the stack.
    pub(super) fn interrupt_return(&mut self) -> Result<(), Trap> {
        if self.ring() == Ring::User {
            return Err(Trap::general_protection());
        }
        let stack = self.get(Reg::Rsp);
        let structure = self.stack_structure();
        let mut words = [0; 5];
        for (index, word) in words.iter_mut().enumerate() {
            // The error code was pushed last; the model's iretq drops it too.
            *word = self.load_at(stack.wrapping_add(8 + index as u64 * 8), structure)?;
        }
        let [rip, cs, flags, rsp, ss] = words;
        let ring = match (cs, ss) {
            (KERNEL_CODE, KERNEL_STACK) => Ring::Kernel,
            (USER_CODE, USER_STACK) => Ring::User,
            _ => return Err(Trap::general_protection()),
        };
        let target = self.mode_switch_point(rip)?;
        self.refuse_non_canonical(target)?;
        let registers = self.registers_mut();
        registers.rip = target;
        registers.ring = ring;
        registers.flags = flags | FLAGS_FIXED;
        registers.non_maskable_blocked = false;
        registers.put(Reg::Rsp, rsp);
        if ring == Ring::User {
            let event = Event {
                value: 3,
                old: Event::BY_IRET,
                virt: rsp,
                ..self.blank(EventKind::ModeSwitch)
            };
            self.say(event);
        }
        Ok(())
    }

    /// `syscall`: ring 0 at the one target, on the caller's stack until the kernel changes it.
    pub(super) fn enter_kernel(&mut self) -> Result<(), Trap> {
        let target = self.registers().syscall_target;
        let target = self.mode_switch_point(target)?;
        if self.machine.struck && self.ring() == Ring::User {
            // Arguments that a fault changed on the way are what user mode asks for.
            self.request();
        }
        let registers = self.registers_mut();
        let (rip, flags) = (registers.rip, registers.flags);
        registers.put(Reg::Rcx, rip.wrapping_add(super::code::STEP_BYTES));
        registers.put(Reg::R11, flags);
        registers.rip = target;
        registers.ring = Ring::Kernel;
        registers.flags &= !INTERRUPT_FLAG;
        let event = Event {
            value: 0,
            old: Event::BY_SYSCALL,
            virt: self.get(Reg::Rsp),
            ..self.blank(EventKind::ModeSwitch)
        };
        self.say(event);
        Ok(())
    }

    /// `sysret`: back to ring 3 at rcx. On Intel processors a non-canonical target raises general
    /// protection while still at ring 0 (CVE-2012-0217), on AMD at ring 3.
    pub(super) fn leave_kernel(&mut self) -> Result<(), Trap> {
        if self.ring() == Ring::User {
            return Err(Trap::general_protection());
        }
        let target = self.mode_switch_point(self.get(Reg::Rcx))?;
        let canonical = matches!(target >> 47, 0 | 0x1_ffff);
        if !canonical && self.machine.sysret_faults_in_kernel {
            return Err(Trap::general_protection());
        }
        let is_lowered = !self.machine.flaws.keeps_privilege;
        let registers = self.registers_mut();
        registers.rip = target;
        if is_lowered {
            registers.ring = Ring::User;
        }
        registers.flags = registers.get(Reg::R11) | FLAGS_FIXED;
        let event = Event {
            value: 3,
            old: Event::BY_SYSRET,
            virt: self.get(Reg::Rsp),
            ..self.blank(EventKind::ModeSwitch)
        };
        self.say(event);
        Ok(())
    }
}

impl Machine {
    /// Who raises an interrupt: the device with that vector, else the HAL for clock and processors.
    fn interrupter(&self, vector: u8) -> Principal {
        let device = self.devices.iter().find(|device| device.vector == vector);
        device.map_or(Principal::HAL, |device| device.principal)
    }

    /// Makes a non-maskable interrupt pending on every processor.
    pub fn raise_non_maskable(&mut self) {
        for state in &mut self.processors {
            state.registers.pending |= NON_MASKABLE_PENDING;
        }
    }

    /// Makes an interrupt pending on a processor.
    pub fn raise_interrupt(&mut self, processor: usize, vector: u8) {
        if let Some(state) = self.processors.get_mut(processor) {
            state.registers.pending |= 1 << (vector.wrapping_sub(0x20) & 31);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::held::testing::{PAGE, machine, pte};
    use super::*;
    use crate::base::{PhysAddr, VirtAddr};
    use crate::machine::paging::x86_64::{ControlFlags, Entry};

    const VECTOR: u8 = 3;

    /// What a breakpoint is delivered with whose gate and whose task-state segment, apart, lie on a page
    /// that is user mode's or not; and the flags afterwards.
    fn delivered(controls: ControlFlags, ring: Ring, flags: u64, is_user: [bool; 2]) -> Delivered {
        let mut machine = machine(controls);
        let pages = [0, 1, 2].map(|page| VirtAddr(PAGE.0 + 0x1000 * page));
        let is_user = [is_user[0], is_user[1], false];
        for ((page, is_user), frame) in pages.into_iter().zip(is_user).zip(8..) {
            let user = if is_user { Entry::US } else { 0 };
            let entry = frame << 12 | Entry::P | Entry::RW | Entry::A | Entry::D | user;
            machine.write_physical(pte(page), entry);
        }
        let [low, high] = gate(0xffff_8000_0000_1000, 0, true);
        for (word, value) in (0..).zip([low, high]) {
            let at = PhysAddr::truncated(0x8000 + u64::from(VECTOR) * GATE_BYTES + 8 * word);
            machine.write_physical(at, value);
        }
        let stack = pages[2].0 + 0x800;
        machine.write_physical(PhysAddr::truncated(0x9000), stack << 32);
        machine.write_physical(PhysAddr::truncated(0x9008), stack >> 32);
        let registers = &mut machine.processors[0].registers;
        (registers.ring, registers.flags) = (ring, flags);
        (registers.idt_base, registers.tss_base) = (pages[0].0, pages[1].0);
        registers.put(Reg::Rsp, stack);

        let delivered = Processor { machine: &mut machine, number: 0 }.deliver(Trap::plain(VECTOR));

        assert_eq!(machine.processors[0].registers.flags, flags);
        delivered.map_err(|trap| (trap.vector, trap.code, trap.virt & !0xfff))
    }

    type Delivered = Result<(), (u8, u32, u64)>;

    #[test]
    fn smap_stands_before_the_processors_own_tables_whatever_ac_is() {
        let smap = ControlFlags::WP | ControlFlags::SMAP;
        let refused = |page: u64| Err((Trap::PAGE_FAULT, 1, PAGE.0 + 0x1000 * page));
        for ac in [0, ALIGNMENT_CHECK] {
            let flags = FLAGS_FIXED | ac;
            for ring in [Ring::Kernel, Ring::User] {
                let given = |controls, is_user| delivered(controls, ring, flags, is_user);
                // The task-state segment is read where the stack is changed.
                let changes = ring == Ring::User;

                assert_eq!(given(smap, [false, false]), Ok(()));
                assert_eq!(given(smap, [true, false]), refused(0), "the gate, AC {ac:x}");
                let wanted = if changes { refused(1) } else { Ok(()) };
                assert_eq!(given(smap, [false, true]), wanted, "the stack pointer, AC {ac:x}");
                assert_eq!(given(ControlFlags::WP, [true, true]), Ok(()));
            }
        }
    }
}
