//! TTBR, TCR, SCTLR and their kin, and what they load. TLBI and barriers are in `maintenance`.
//!
//! Arm ARM, "Controlling address translation stages", and the descriptions of the registers. Sizes
//! count once TCR is written; before that 48 bits with 4 levels are taken. The ASID is that of TTBR0,
//! or of TTBR1 where TCR_EL1.A1 says so; a root of TTBR1 is taken as common to all address spaces.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::maintenance;
use super::{AArch64, Half, Regime as Translation};
use crate::base::PhysAddr;
use crate::conformance::format::regime::{Effect, Regime, Root, Slot, Unknown, Waits};

pub(super) const LOWER: Slot = Slot(0);
pub(super) const UPPER: Slot = Slot(1);
pub(super) const EL2: Slot = Slot(2);
pub(super) const STAGE2: Slot = Slot(3);

/// How much of the registers is believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reading {
    /// All of it.
    Strict,
    /// Only where the tables are and how many bits they translate: for traces whose author leaves
    /// the output size and the starting level at 0.
    Lenient,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Processor {
    /// By slot.
    pub(super) ttbr: [Option<u64>; 4],
    tcr_el1: Option<u64>,
    tcr_el2: Option<u64>,
    vtcr_el2: Option<u64>,
    sctlr_el1: Option<u64>,
    sctlr_el2: Option<u64>,
    hcr_el2: Option<u64>,
}

impl Processor {
    /// ASID and VMID are bits 63:48 of a root register.
    fn tag_of(&self, slot: Slot) -> u32 {
        let own = self.ttbr.get(usize::from(slot.0)).copied().flatten().unwrap_or(0);
        let asid_of_upper = self.tcr_el1.is_some_and(|tcr| tcr >> 22 & 1 == 1);
        let from = match slot {
            LOWER if asid_of_upper => self.ttbr[usize::from(UPPER.0)].unwrap_or(0),
            UPPER => 0,
            _ => own,
        };
        u32::try_from(from >> 48).unwrap_or(0)
    }

    pub(super) fn vmid(&self) -> u32 {
        self.tag_of(STAGE2)
    }

    fn is_enabled(&self, slot: Slot) -> bool {
        let register = match slot {
            EL2 => self.sctlr_el2,
            STAGE2 => self.hcr_el2,
            _ => self.sctlr_el1,
        };
        register.is_none_or(|value| value & 1 == 1)
    }

    fn control(&self, slot: Slot) -> Option<u64> {
        match slot {
            EL2 => self.tcr_el2,
            STAGE2 => self.vtcr_el2,
            _ => self.tcr_el1,
        }
    }

    fn format(&self, slot: Slot, reading: Reading) -> AArch64 {
        let (regime, half) = match slot {
            LOWER => (Translation::El1, Half::Lower),
            UPPER => (Translation::El1, Half::Upper),
            EL2 => (Translation::El2, Half::Lower),
            _ => (Translation::Stage2, Half::Lower),
        };
        let mut format = AArch64::new(regime, half, 48);
        let Some(control) = self.control(slot) else { return format };
        let size = if slot == UPPER { control >> 16 & 0x3f } else { control & 0x3f };
        format.input_bits = u8::try_from(64 - size).unwrap_or(48).clamp(25, 48);
        let (output, flags) = match slot {
            LOWER | UPPER => (control >> 32 & 0b111, 39),
            _ => (control >> 16 & 0b111, 21),
        };
        if reading == Reading::Strict {
            format.output_bits = [32, 36, 40, 42, 44, 48, 48, 48]
                .get(usize::try_from(output).unwrap_or(7))
                .copied()
                .unwrap_or(48);
        }
        format.sets_accessed = control >> flags & 1 == 1;
        format.sets_dirty = format.sets_accessed && control >> (flags + 1) & 1 == 1;
        format
    }

    fn load(&self, slot: Slot, reading: Reading, effects: &mut Vec<Effect>) {
        let Some(ttbr) = self.ttbr.get(usize::from(slot.0)).copied().flatten() else { return };
        if !self.is_enabled(slot) {
            effects.push(Effect::Unload(slot));
            return;
        }
        effects.push(Effect::Load(Root {
            slot,
            register: ["TTBR0_EL1", "TTBR1_EL1", "TTBR0_EL2", "VTTBR_EL2"]
                .get(usize::from(slot.0))
                .copied()
                .unwrap_or("TTBR"),
            at: PhysAddr::truncated(ttbr & ((1 << 48) - 1) & !0xfff),
            tag: self.tag_of(slot),
            format: Rc::new(self.format(slot, reading)),
            is_common: slot == UPPER,
            is_combined: slot == STAGE2,
        }));
    }
}

/// The registers of all processors.
#[derive(Clone, Debug)]
pub struct Registers {
    processors: BTreeMap<u16, Processor>,
    reading: Reading,
}

const NAMES: &str = "ttbr0_el1, ttbr1_el1, ttbr0_el2, vttbr_el2, tcr_el1, tcr_el2, vtcr_el2, \
                     sctlr_el1, sctlr_el2, hcr_el2, mair_el1 or mair_el2";

impl Registers {
    /// None written yet.
    #[must_use]
    pub const fn new(reading: Reading) -> Self {
        Self { processors: BTreeMap::new(), reading }
    }
}

/// What of TCR or VTCR is not known here.
fn refused(slot: Slot, control: u64, reading: Reading) -> Option<Unknown> {
    let refusal = |what: String, expected| Some(Unknown { operand: 1, what, expected });
    let granules = [(14, 0, "TG0"), (30, 0b10, "TG1")];
    let sizes = [(0, "T0SZ"), (16, "T1SZ")];
    let is_el1 = slot == LOWER;
    for (index, (granule, size)) in granules.into_iter().zip(sizes).enumerate() {
        if index == 1 && !is_el1 {
            break;
        }
        // A half that is never walked may be left at anything: TCR_EL1.EPD1.
        if index == 1 && (control >> 23 & 1 == 1 || control >> 16 == 0) {
            break;
        }
        let (value, bits) = (control >> granule.0 & 0b11, control >> size.0 & 0x3f);
        if value != granule.1 {
            let what = format!("{} is {value:02b}: not a granule of 4 KiB", granule.2);
            return refusal(what, "a granule of 4 KiB: TG0 = 00, TG1 = 10");
        }
        if !(16..=39).contains(&bits) {
            return refusal(format!("{} is {bits}", size.1), "a size field from 16 to 39");
        }
    }
    if slot == STAGE2 && reading == Reading::Strict {
        let levels = (64 - (control & 0x3f) - 12).div_ceil(9);
        let starting = [2, 3, 4, 1].get(usize::try_from(control >> 6 & 0b11).unwrap_or(0)).copied();
        if starting != Some(levels) {
            let what = format!(
                "SL0 starts the walk {} levels up, and T0SZ needs {levels}",
                starting.unwrap_or(0)
            );
            let expected = "a root of one table: concatenated tables are not known here";
            return refusal(what, expected);
        }
    }
    None
}

impl Regime for Registers {
    fn name(&self) -> &'static str {
        "aarch64"
    }

    fn has_barriers(&self) -> bool {
        true
    }

    fn set(
        &mut self,
        processor: u16,
        register: &str,
        value: u64,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Unknown> {
        let reading = self.reading;
        let state = self.processors.entry(processor).or_default();
        let control = match register {
            "tcr_el1" => Some(LOWER),
            "tcr_el2" => Some(EL2),
            "vtcr_el2" => Some(STAGE2),
            _ => None,
        };
        if let Some(unknown) = control.and_then(|slot| refused(slot, value, reading)) {
            return Err(unknown);
        }
        let mut reloads: &[Slot] = &[];
        match register {
            "ttbr0_el1" | "ttbr1_el1" | "ttbr0_el2" | "vttbr_el2" => {
                let slot = match register {
                    "ttbr0_el1" => LOWER,
                    "ttbr1_el1" => UPPER,
                    "ttbr0_el2" => EL2,
                    _ => STAGE2,
                };
                if slot == EL2 && value >> 48 != 0 && state.hcr_el2.unwrap_or(0) >> 34 & 1 == 0 {
                    let what = format!("writes {value:#x} to TTBR0_EL2, whose ASID field is RES0");
                    effects.push(Effect::Reserved(what, "Arm ARM (DDI 0487), \"TTBR0_EL2\""));
                }
                if let Some(kept) = state.ttbr.get_mut(usize::from(slot.0)) {
                    *kept = Some(value);
                }
                state.load(slot, reading, effects);
            }
            "tcr_el1" => {
                state.tcr_el1 = Some(value);
                reloads = &[LOWER, UPPER];
            }
            "tcr_el2" => {
                state.tcr_el2 = Some(value);
                reloads = &[EL2];
            }
            "vtcr_el2" => {
                state.vtcr_el2 = Some(value);
                reloads = &[STAGE2];
            }
            "sctlr_el1" => {
                state.sctlr_el1 = Some(value);
                reloads = &[LOWER, UPPER];
            }
            "sctlr_el2" => {
                state.sctlr_el2 = Some(value);
                reloads = &[EL2];
            }
            "hcr_el2" => {
                state.hcr_el2 = Some(value);
                reloads = &[STAGE2];
            }
            "mair_el1" | "mair_el2" => {}
            _ => return Err(Unknown::name("register", register, NAMES)),
        }
        for slot in reloads {
            state.load(*slot, reading, effects);
        }
        Ok(())
    }

    fn invalidate(
        &mut self,
        processor: u16,
        instruction: &str,
        operands: &[u64],
        effects: &mut Vec<Effect>,
    ) -> Result<(), Unknown> {
        let state = self.processors.get(&processor).copied().unwrap_or_default();
        maintenance::tlbi(&state, instruction, operands, effects)
    }

    fn barrier(&self, name: &str, kind: &str) -> Result<Waits, Unknown> {
        maintenance::barrier(name, kind)
    }

    fn identifiers(&self) -> &'static str {
        "Arm ARM (DDI 0487), \"Use of ASIDs and VMIDs to reduce TLB maintenance requirements\""
    }
}
