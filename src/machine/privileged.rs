//! Privileged instructions: what only ring 0 may ask of a processor.

use crate::base::{Access, Event, EventKind, Ring, Rule};
use crate::injection::{Operation, PointKind, Verdict};

use super::device::{self, Command};
use super::processor::Processor;
use super::registers::{ALIGNMENT_CHECK, INTERRUPT_FLAG, IO_PRIVILEGE, Reg};
use super::trap::Trap;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "privileged-instructions",
        "Control registers, descriptor tables and ports are ring 0's.",
        "Intel SDM volume 3A, Privileged Instructions",
    ),
    Rule::documented(
        "access-control-by-ac",
        "STAC and CLAC say whether ring 0 may touch user pages while SMAP is on.",
        "Intel SDM volume 3A, Determination of Access Rights",
    ),
];

impl Processor<'_> {
    /// # Errors
    ///
    /// General protection at ring 3.
    #[inline]
    pub(super) fn require_ring_0(&self) -> Result<(), Trap> {
        match self.ring() {
            Ring::Kernel => Ok(()),
            Ring::User => Err(Trap::general_protection()),
        }
    }

    /// # Errors
    ///
    /// General protection at ring 3, unless the flags give user mode the I/O privilege.
    fn require_io_privilege(&self) -> Result<(), Trap> {
        match self.registers().flags & IO_PRIVILEGE {
            IO_PRIVILEGE => Ok(()),
            _ => self.require_ring_0(),
        }
    }

    /// Number of processors.
    #[must_use]
    pub fn processor_count(&self) -> usize {
        self.machine.processors.len()
    }

    /// The faulting address of the last page fault (`mov reg, cr2`).
    ///
    /// # Errors
    ///
    /// General protection at ring 3.
    pub fn fault_address(&self) -> Result<u64, Trap> {
        self.require_ring_0()?;
        Ok(self.registers().cr2)
    }

    /// The address that the last general protection or virtualization exception was raised by, 0 where it was none: what
    /// a kernel decodes from the instruction, or reads in the exception's information page (Intel SDM volume 3C,
    /// "Virtualization Exceptions"). CR2 is a page fault's alone.
    ///
    /// # Errors
    ///
    /// General protection at ring 3.
    pub fn refused_address(&self) -> Result<u64, Trap> {
        self.require_ring_0()?;
        Ok(self.registers().refused)
    }

    /// Which access of data to an address that is not canonical the last general protection was raised by, if one
    /// was: the kernel decodes the instruction.
    ///
    /// # Errors
    ///
    /// General protection at ring 3.
    pub fn refused_access(&self) -> Result<Option<Access>, Trap> {
        self.require_ring_0()?;
        Ok(self.registers().refused_access)
    }

    /// The interrupt request level (`mov reg, cr8`).
    ///
    /// # Errors
    ///
    /// General protection at ring 3.
    pub fn irql(&self) -> Result<u64, Trap> {
        self.require_ring_0()?;
        Ok(self.registers().cr8)
    }

    /// Changes the interrupt request level and returns the old one (`mov cr8, reg`).
    ///
    /// # Errors
    ///
    /// General protection at ring 3, or an injected exception.
    pub fn set_irql(&mut self, level: u64) -> Result<u64, Trap> {
        self.require_ring_0()?;
        let old = self.registers().cr8;
        let (operation, verdict) = self.pass_point(PointKind::Level, old, level)?;
        if verdict != Verdict::Skip {
            self.registers_mut().cr8 = operation.value;
        }
        Ok(old)
    }

    /// Lets interrupts in, or keeps them out (`sti`, `cli`).
    ///
    /// # Errors
    ///
    /// General protection at ring 3: the model's user mode has no I/O privilege.
    pub fn set_interrupts(&mut self, enabled: bool) -> Result<(), Trap> {
        self.require_ring_0()?;
        let flags = &mut self.registers_mut().flags;
        *flags = if enabled { *flags | INTERRUPT_FLAG } else { *flags & !INTERRUPT_FLAG };
        Ok(())
    }

    /// Lets ring 0 touch user pages although supervisor-mode access prevention is on, or no longer
    /// (`stac`, `clac`).
    ///
    /// # Errors
    ///
    /// General protection at ring 3 (an invalid opcode on hardware).
    pub fn allow_user_access(&mut self, allowed: bool) -> Result<(), Trap> {
        self.require_ring_0()?;
        let flags = &mut self.registers_mut().flags;
        *flags = if allowed { *flags | ALIGNMENT_CHECK } else { *flags & !ALIGNMENT_CHECK };
        Ok(())
    }

    /// Changes what the protection keys of supervisor pages allow, and returns what they allowed (`wrmsr`
    /// to `IA32_PKRS`: two bits a key, access and write disabled).
    ///
    /// # Errors
    ///
    /// General protection at ring 3.
    pub fn set_protection_keys(&mut self, allowed: u64) -> Result<u64, Trap> {
        self.require_ring_0()?;
        let controls = &mut self.machine.processors[self.number].controls;
        #[allow(clippy::cast_possible_truncation, reason = "the register's low half")]
        let old = core::mem::replace(&mut controls.pkrs, allowed as u32);
        Ok(u64::from(old))
    }

    /// Exchanges the GS base with the kernel's (`swapgs`).
    ///
    /// # Errors
    ///
    /// General protection at ring 3.
    pub fn swap_gs(&mut self) -> Result<(), Trap> {
        self.require_ring_0()?;
        let registers = self.registers_mut();
        core::mem::swap(&mut registers.gs_base, &mut registers.kernel_gs_base);
        Ok(())
    }

    /// The base of GS: at ring 0 the processor's own block.
    #[must_use]
    pub fn gs(&self) -> u64 {
        self.registers().gs_base
    }

    /// Asks another processor to look at its queues (an interprocessor interrupt).
    ///
    /// # Errors
    ///
    /// General protection at ring 3.
    pub fn wake_processor(&mut self, processor: usize) -> Result<(), Trap> {
        self.require_ring_0()?;
        self.machine.raise_interrupt(processor, Trap::INTERPROCESSOR);
        Ok(())
    }

    /// The time-stamp counter: steps since power-on (`rdtsc`).
    #[must_use]
    pub fn time_stamp(&self) -> u64 {
        self.machine.clock
    }

    /// Changes the low stack pointer without touching memory (`mov rsp, reg`).
    pub fn set_stack(&mut self, stack: u64) {
        self.put(Reg::Rsp, stack);
    }

    /// Writes a device's register (`out`).
    ///
    /// # Errors
    ///
    /// General protection at ring 3, unless the flags give user mode the I/O privilege.
    pub fn port_out(&mut self, port: u16, value: u64) -> Result<(), Trap> {
        self.require_io_privilege()?;
        let clock = self.machine.clock;
        let delay = self.machine.transfer_delay;
        let Some(device) = self.machine.devices.get_mut(usize::from(port / device::port::COUNT))
        else {
            return Ok(());
        };
        match port % device::port::COUNT {
            device::port::ADDRESS => device.address = value,
            device::port::WORDS => device.words = value,
            device::port::SECTOR => device.sector = value,
            device::port::COMMAND if device.kind == device::DeviceKind::Timer => {
                device.busy = (value != 0).then_some((Command::FromMemory, value));
            }
            device::port::COMMAND if value == device::RESET => device.busy = None,
            device::port::COMMAND if device.busy.is_none() => {
                let command = if value == 1 { Command::FromMemory } else { Command::ToMemory };
                device.busy = Some((command, clock + delay));
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads a device's register (`in`); all ones where there is none.
    ///
    /// # Errors
    ///
    /// General protection at ring 3, unless the flags give user mode the I/O privilege.
    pub fn port_in(&mut self, port: u16) -> Result<u64, Trap> {
        self.require_io_privilege()?;
        let Some(device) = self.machine.devices.get(usize::from(port / device::port::COUNT)) else {
            return Ok(u64::MAX);
        };
        Ok(match port % device::port::COUNT {
            device::port::COMMAND => u64::from(device.busy.is_some()),
            device::port::STATUS => device.status,
            _ => 0,
        })
    }

    /// Stops the machine for good, until the next boot: what a bug check ends in. `code` is told to
    /// whoever watches; the parameters are in memory.
    ///
    /// # Errors
    ///
    /// General protection at ring 3.
    pub fn stop_machine(&mut self, code: u64) -> Result<(), Trap> {
        self.require_ring_0()?;
        self.machine.stopped = true;
        let event = Event { value: code, ..self.blank(EventKind::BugCheck) };
        self.say(event);
        Ok(())
    }

    /// As [`stop_machine`](Self::stop_machine), but only this processor halts, with interrupts off:
    /// nobody told the others.
    ///
    /// # Errors
    ///
    /// General protection at ring 3.
    pub fn stop_processor(&mut self, code: u64) -> Result<(), Trap> {
        self.require_ring_0()?;
        self.set_interrupts(false)?;
        self.registers_mut().halted = true;
        let event = Event { value: code, ..self.blank(EventKind::BugCheck) };
        self.say(event);
        Ok(())
    }

    /// Tells the machine which process a page-map root belongs to, for the observer's note.
    ///
    /// # Errors
    ///
    /// General protection at ring 3.
    pub fn name_root(&mut self, root: u64, process: crate::base::Principal) -> Result<(), Trap> {
        self.require_ring_0()?;
        self.machine.name_root(root, process);
        Ok(())
    }

    /// Tells the machine which root user mode runs on where kernel mode runs on `full`, for the observer's
    /// note.
    ///
    /// # Errors
    ///
    /// General protection at ring 3.
    pub fn name_shadow(&mut self, full: u64, shadow: u64) -> Result<(), Trap> {
        self.require_ring_0()?;
        self.machine.name_shadow(full, shadow);
        Ok(())
    }

    /// Passes the injection point of a mode switch; the target may be altered.
    pub(super) fn mode_switch_point(&mut self, target: u64) -> Result<u64, Trap> {
        let mut operation = Operation {
            kind: PointKind::ModeSwitch,
            principal: self.registers().actor,
            virt: target,
            value: self.get(Reg::Rax),
            mask: 0xff,
        };
        match self.point(PointKind::ModeSwitch, &mut operation) {
            Verdict::Raise(vector) => Err(Trap::plain(vector)),
            _ => {
                self.put(Reg::Rax, operation.value);
                Ok(operation.virt)
            }
        }
    }
}
