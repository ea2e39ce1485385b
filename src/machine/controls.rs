//! MOV to CR0, CR3 and CR4: the root and the control bits of translation that software changes while it runs.
//!
//! What a load makes the processor forget is said by [`Invalidation::control_load`]. CR0.PG, CR4.PAE and
//! CR4.LA57 do not change in 64-bit mode; whether a world has protection keys and shadow stacks is settled
//! when it is built, and loads of CR4 can't change those bits (Intel SDM volume 3A, "Control Registers").

use crate::base::{Event, EventKind, Rule};

use super::paging::x86_64::{ControlFlags, Controls};
use super::processor::Processor;
use super::tlb::Invalidation;
use super::trap::Trap;
use super::{KEEP_TRANSLATIONS, Machine};

/// The bits of CR4 that software may change here.
const CR4: ControlFlags =
    ControlFlags::PGE.with(ControlFlags::PCIDE).with(ControlFlags::SMEP).with(ControlFlags::SMAP);

/// The bits of CR4 that are reserved here, or can't change in 64-bit mode.
const CR4_FIXED: ControlFlags =
    ControlFlags::PKE.with(ControlFlags::PKS).with(ControlFlags::LA57).with(ControlFlags::CET);

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "cr4-loads-forget",
        "Changing CR4.PGE or clearing CR4.PCIDE forgets everything; setting CR4.SMEP, what is not global.",
        "Intel SDM volume 3A, Operations that Invalidate TLBs and Paging-Structure Caches",
    ),
    Rule::documented(
        "cr4-loads-are-checked",
        "CR4.LA57 does not change in 64-bit mode, and CR4.PCIDE is set only with bits 11:0 of CR3 clear.",
        "Intel SDM volume 2B, MOV—Move to/from Control Registers",
    ),
    Rule::documented(
        "cr0-loads-are-checked",
        "CR0.WP is not cleared while CR4.CET is set: shadow stacks need pages that stay read-only.",
        "Intel SDM volume 2B, MOV—Move to/from Control Registers",
    ),
    Rule::documented(
        "cr3-loads-are-checked",
        "No load of CR3 sets a bit from MAXPHYADDR up, but for bit 63 while CR4.PCIDE is set.",
        "Intel SDM volume 2B, MOV—Move to/from Control Registers",
    ),
    Rule::chosen(
        "keys-and-shadow-stacks-are-settled",
        "Loads of CR4 change neither protection keys nor shadow stacks: a world has them or not.",
        "Intel SDM volume 3A, Control Registers",
    ),
];

/// Bits of CR3 that become an identifier.
const PCID: u64 = 0xfff;

/// The bits that a load of CR3 must not set: from MAXPHYADDR up, but for bit 63 while CR4.PCIDE is set.
/// Bits 61 and 62 belong to linear-address masking, which no processor here has.
const fn reserved_in_root(controls: &Controls) -> u64 {
    let allowed = (1 << controls.physical_bits()) - 1;
    let keep = if controls.flags.has(ControlFlags::PCIDE) { KEEP_TRANSLATIONS } else { 0 };
    !(allowed | keep)
}

impl Processor<'_> {
    /// Loads another page-map root (`mov cr3`); with
    /// [`KEEP_TRANSLATIONS`] what is remembered under its number stays.
    ///
    /// # Errors
    ///
    /// General protection at ring 3, and where a reserved bit is set: one from MAXPHYADDR up, but for
    /// bit 63 while CR4.PCIDE is set (Intel SDM volume 2B, "MOV—Move to/from Control Registers").
    pub fn load_root(&mut self, root: u64) -> Result<(), Trap> {
        self.require_ring_0()?;
        if root & reserved_in_root(&self.machine.processors[self.number].controls) != 0 {
            return Err(Trap::general_protection());
        }
        let context = self.machine.context_of_root(root & !KEEP_TRANSLATIONS);
        let old = self.machine.switch_root(self.number, root);
        self.registers_mut().context = context;
        let value = root & !KEEP_TRANSLATIONS;
        let event = Event { value, old, ..self.blank(EventKind::RootSwitch) };
        self.say(event);
        Ok(())
    }

    /// The loaded page-map root (`mov reg, cr3`).
    ///
    /// # Errors
    ///
    /// General protection at ring 3.
    pub fn root(&self) -> Result<u64, Trap> {
        self.require_ring_0()?;
        Ok(self.machine.processors[self.number].controls.cr3)
    }

    /// The control bits of CR0, CR4 and `IA32_EFER` that matter to translation (`mov reg, cr4` and the
    /// like).
    ///
    /// # Errors
    ///
    /// General protection at ring 3.
    pub fn control_flags(&self) -> Result<ControlFlags, Trap> {
        self.require_ring_0()?;
        Ok(self.machine.processors[self.number].controls.flags)
    }

    /// Loads CR4 with the bits of it that are in `flags` (`mov cr4, reg`). Bits of other registers
    /// stay as they are.
    ///
    /// # Errors
    ///
    /// General protection at ring 3; where a bit would change that this processor doesn't have, or
    /// that can't change in 64-bit mode; and where CR4.PCIDE would be set while bits 11:0 of CR3 are not
    /// zero (Intel SDM volume 2B, "MOV—Move to/from Control Registers").
    pub fn load_cr4(&mut self, flags: ControlFlags) -> Result<(), Trap> {
        self.require_ring_0()?;
        let before = self.machine.processors[self.number].controls;
        let of = |flags: ControlFlags, some: ControlFlags| {
            ControlFlags::from_bits(flags.bits() & some.bits())
        };
        let names_a_space =
            !before.flags.has(ControlFlags::PCIDE) && flags.has(ControlFlags::PCIDE);
        if of(flags, CR4_FIXED) != of(before.flags, CR4_FIXED)
            || names_a_space && before.cr3 & PCID != 0
        {
            return Err(Trap::general_protection());
        }
        let flags = before.flags.without(CR4).with(of(flags, CR4));
        self.machine.switch_controls(self.number, flags);
        Ok(())
    }

    /// Sets or clears CR0.WP (`mov cr0, reg`): whether ring 0 respects pages that are read-only. Nothing
    /// is forgotten.
    ///
    /// # Errors
    ///
    /// General protection at ring 3, and where it would be cleared while CR4.CET is set (Intel SDM volume
    /// 2B, "MOV—Move to/from Control Registers").
    pub fn set_write_protection(&mut self, is_on: bool) -> Result<(), Trap> {
        self.require_ring_0()?;
        let flags = self.machine.processors[self.number].controls.flags;
        let wp = ControlFlags::WP;
        if !is_on && flags.has(ControlFlags::CET) {
            return Err(Trap::general_protection());
        }
        let flags = if is_on { flags.with(wp) } else { flags.without(wp) };
        self.machine.switch_controls(self.number, flags);
        Ok(())
    }
}

impl Machine {
    fn switch_controls(&mut self, number: usize, flags: ControlFlags) {
        let state = &mut self.processors[number];
        let before = state.controls;
        state.controls.flags = flags;
        if let Some(invalidation) = Invalidation::control_load(&before, &state.controls) {
            state.tlb.invalidate(invalidation);
        }
        state.may_hold.load_controls(&self.memory, &before, &state.controls);
    }
}

#[cfg(test)]
mod tests {
    use super::super::held::testing::{PAGE, machine, pte};
    use super::*;
    use crate::base::{Access, Frame, Principal, Ring};
    use crate::machine::paging::x86_64::Entry;

    const GLOBAL: ControlFlags = ControlFlags::PGE;

    /// A machine whose page leads to frame 5 and was used, and then to frame 6 without an invalidation.
    fn stale(flags: ControlFlags, pte_bits: u64) -> Machine {
        let mut machine = machine(flags);
        machine.write_physical(pte(PAGE), 0x5000 | pte_bits);
        assert_eq!(leads_to(&mut machine), Ok(0x5000));
        machine.write_physical(pte(PAGE), 0x6000 | pte_bits);
        assert_eq!(leads_to(&mut machine), Ok(0x5000), "it is cached");
        assert_eq!(machine.processors[0].may_hold.permits(Frame(5)).count(), 1);
        machine
    }

    fn leads_to(machine: &mut Machine) -> Result<u64, Trap> {
        let mut processor = Processor { machine, number: 0 };
        processor.translate(PAGE.0, Access::Read).map(crate::base::PhysAddr::raw)
    }

    fn load_cr4(machine: &mut Machine, flags: ControlFlags) -> Result<(), Trap> {
        Processor { machine, number: 0 }.load_cr4(flags)
    }

    /// Whether the old translation is gone after CR4 went from `before` to `after`, from the cache and
    /// from what may be held.
    fn is_forgotten(before: ControlFlags, after: ControlFlags, pte_bits: u64) -> bool {
        let mut machine = stale(before, pte_bits);

        load_cr4(&mut machine, after).expect("allowed");

        let is_new = leads_to(&mut machine) == Ok(0x6000);
        let held = machine.processors[0].may_hold.permits(Frame(5)).count();
        assert_eq!(held == 0, is_new, "{before:?} to {after:?}");
        assert_eq!(machine.processors[0].controls.flags, after);
        is_new
    }

    #[test]
    fn what_the_manual_lists_makes_the_processor_forget() {
        let (none, leaf) = (ControlFlags::NONE, Entry::P | Entry::RW);
        let global = leaf | Entry::G;
        for (before, after, bits, wanted) in [
            (GLOBAL, none, global, true),
            (none, GLOBAL, leaf, true),
            (ControlFlags::PCIDE, none, leaf, true),
            (none, ControlFlags::PCIDE, leaf, false),
            (none, ControlFlags::SMEP, leaf, true),
            (GLOBAL, GLOBAL | ControlFlags::SMEP, global, false),
            (ControlFlags::SMEP, none, leaf, false),
            (none, ControlFlags::SMAP, leaf, false),
            (GLOBAL, GLOBAL, global, false),
        ] {
            assert_eq!(is_forgotten(before, after, bits), wanted, "{before:?} to {after:?}");
        }
    }

    #[test]
    fn what_no_load_may_change_is_refused_and_nothing_is_changed() {
        let wp = ControlFlags::WP;
        for change in [ControlFlags::PKE, ControlFlags::PKS, ControlFlags::LA57, ControlFlags::CET]
        {
            let mut machine = machine(GLOBAL);

            assert_eq!(load_cr4(&mut machine, change), Err(Trap::general_protection()));
            assert_eq!(machine.processors[0].controls.flags, GLOBAL);
        }
        let mut machine = machine(GLOBAL);
        machine.processors[0].controls.cr3 |= 5;
        assert!(
            load_cr4(&mut machine, GLOBAL | ControlFlags::PCIDE).is_err(),
            "CR3 has other bits"
        );
        machine.processors[0].registers.ring = Ring::User;
        let mut processor = Processor { machine: &mut machine, number: 0 };
        assert!(processor.load_cr4(ControlFlags::NONE).is_err());
        assert!(processor.set_write_protection(true).is_err());
        assert!(processor.control_flags().is_err());
        assert!(!processor.machine.processors[0].controls.flags.has(wp));
    }

    #[test]
    fn a_load_of_the_root_with_a_reserved_bit_is_refused_and_nothing_is_changed() {
        for (flags, pcide) in [(ControlFlags::NONE, false), (ControlFlags::PCIDE, true)] {
            for (maxphyaddr, first) in [(36, 36), (40, 40), (52, 52)] {
                for bit in 0..64 {
                    let mut machine = machine(flags);
                    machine.name_root(0x1000, Principal(3));
                    let state = &mut machine.processors[0];
                    state.controls.maxphyaddr = maxphyaddr;
                    let (before, context) = (state.controls, state.registers.context);
                    let root = 0x1000 ^ 1 << bit;

                    let loaded = Processor { machine: &mut machine, number: 0 }.load_root(root);

                    let state = &machine.processors[0];
                    let controls = state.controls;
                    if bit < first || bit == 63 && pcide {
                        assert_eq!(loaded, Ok(()), "bit {bit}");
                        assert_eq!(controls.cr3, root & !(1 << 63), "bit {bit}");
                        let is_it = !(12..63).contains(&bit);
                        assert_eq!(state.registers.context == Principal(3), is_it, "bit {bit}");
                    } else {
                        assert_eq!(loaded, Err(Trap::general_protection()), "bit {bit}");
                        assert_eq!((controls, state.registers.context), (before, context));
                    }
                }
            }
        }
    }

    #[test]
    fn write_protection_stays_on_while_there_are_shadow_stacks() {
        let with = ControlFlags::WP | ControlFlags::CET;
        for (before, is_on, wanted) in [
            (with, false, Err(Trap::general_protection())),
            (with, true, Ok(())),
            (ControlFlags::CET, false, Err(Trap::general_protection())),
            (ControlFlags::CET, true, Ok(())),
            (ControlFlags::WP, false, Ok(())),
        ] {
            let mut machine = machine(before);

            let set = Processor { machine: &mut machine, number: 0 }.set_write_protection(is_on);

            assert_eq!(set, wanted, "{before:?} {is_on}");
            let after = machine.processors[0].controls.flags;
            let unchanged = wanted.is_err();
            assert_eq!(after.has(ControlFlags::WP), if unchanged { before == with } else { is_on });
        }
    }

    #[test]
    fn write_protection_counts_at_once_and_forgets_nothing() {
        let mut machine = stale(ControlFlags::WP, Entry::P | Entry::D);
        let mut processor = Processor { machine: &mut machine, number: 0 };

        assert!(processor.translate(PAGE.0, Access::Write).is_err());
        let mut machine = stale(ControlFlags::WP, Entry::P | Entry::D);
        let mut processor = Processor { machine: &mut machine, number: 0 };
        processor.set_write_protection(false).expect("ring 0");

        let old = crate::base::PhysAddr::truncated(0x5000);
        assert_eq!(processor.translate(PAGE.0, Access::Write), Ok(old));
        assert_eq!(processor.control_flags(), Ok(ControlFlags::NONE));
        processor.set_write_protection(true).expect("ring 0");
        assert!(processor.translate(PAGE.0, Access::Write).is_err());
    }
}
