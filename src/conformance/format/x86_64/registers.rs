//! CR3, CR4, INVLPG and INVPCID. Intel SDM volume 3A, "Operations that Invalidate TLBs and
//! Paging-Structure Caches".
//!
//! Identifiers are each processor's own, and no invalidation reaches another processor: a shootdown is
//! one instruction on each of them.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::X86_64;
use crate::base::{PhysAddr, VirtAddr};
use crate::conformance::format::WaysForgotten;
use crate::conformance::format::regime::{
    Effect, Forget, Regime, Root, Slot, Unknown, Waits, Whom,
};

const CR3: Slot = Slot(0);
const PGE: u64 = 1 << 7;
const LA57: u64 = 1 << 12;
const PCIDE: u64 = 1 << 17;
const SMEP: u64 = 1 << 20;
const PCID: u64 = 0xfff;
const NO_FLUSH: u64 = 1 << 63;
/// Bits 60:52 of CR3, above any physical address.
const ALWAYS_RESERVED: u64 = 0x1ff << 52;
const MOVES: &str = "Intel SDM volume 2B, \"MOV: Move to/from Control Registers\"";

#[derive(Clone, Copy, Debug)]
struct Processor {
    cr3: Option<u64>,
    /// Before it is written: that of a kernel of 64 bits.
    cr4: u64,
}

impl Default for Processor {
    fn default() -> Self {
        Self { cr3: None, cr4: PGE }
    }
}

impl Processor {
    /// Why a move of this value to CR3 raises a general protection exception, if it does.
    fn reserved(&self, value: u64) -> Option<String> {
        if value & NO_FLUSH != 0 && self.cr4 & PCIDE == 0 {
            return Some(format!("writes {value:#x} to CR3, with bit 63 set while CR4.PCIDE is 0"));
        }
        // Bits 62 and 61 are those of linear-address masking.
        let bits = value & ALWAYS_RESERVED;
        let told = format!("writes {value:#x} to CR3, whose bits {bits:#x} are reserved");
        (bits != 0).then_some(told)
    }

    fn pcid(&self) -> u32 {
        let pcid = self.cr3.filter(|_| self.cr4 & PCIDE != 0).unwrap_or(0) & PCID;
        u32::try_from(pcid).unwrap_or(0)
    }

    fn load(&self, effects: &mut Vec<Effect>) {
        let Some(cr3) = self.cr3 else { return };
        let format = if self.cr4 & LA57 == 0 { *X86_64::FOUR_LEVELS } else { *X86_64::FIVE_LEVELS };
        let at = PhysAddr::truncated(cr3 & !NO_FLUSH & !PCID);
        let (tag, format) = (self.pcid(), Rc::new(format));
        effects.push(Effect::Load(Root {
            slot: CR3,
            register: "CR3",
            at,
            tag,
            format,
            is_common: false,
            is_combined: false,
        }));
    }
}

/// The registers of all processors.
#[derive(Clone, Debug, Default)]
pub struct Registers(BTreeMap<u16, Processor>);

const INSTRUCTIONS: &str =
    "`invlpg ADDRESS`, or `invpcid TYPE PCID ADDRESS` with a type from 0 to 3";

fn canonical(address: u64) -> VirtAddr {
    VirtAddr(address & !0xfff)
}

fn own(tag: Option<u32>, globals: bool) -> Forget {
    Forget { tag, globals, ..Forget::everything(Whom::Own, CR3.mask()) }
}

impl Regime for Registers {
    fn name(&self) -> &'static str {
        "x86-64"
    }

    fn has_barriers(&self) -> bool {
        false
    }

    fn set(
        &mut self,
        processor: u16,
        register: &str,
        value: u64,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Unknown> {
        let state = self.0.entry(processor).or_default();
        match register {
            "cr3" => {
                state.cr3 = Some(value);
                let reserved = state.reserved(value);
                let is_refused = reserved.is_some();
                effects.extend(reserved.map(|what| Effect::Reserved(what, MOVES)));
                // What is forgotten is not read again from the root before.
                effects.push(Effect::Unload(CR3));
                // "The instruction invalidates all TLB entries associated with PCID 000H except those
                // for global pages"; with PCIDs, those of the new one unless bit 63 is set.
                // A move that raises an exception forgets nothing.
                let has_pcids = state.cr4 & PCIDE != 0;
                let keeps_all = is_refused || has_pcids && value & NO_FLUSH != 0;
                if !keeps_all {
                    let tag = has_pcids.then(|| state.pcid());
                    effects.push(Effect::Forget(own(tag, false)));
                }
                state.load(effects);
            }
            "cr4" => {
                let changed = state.cr4 ^ value;
                let forgets = changed & PGE != 0
                    || state.cr4 & PCIDE & !value != 0
                    || value & SMEP & !state.cr4 != 0;
                let reloads = changed & (LA57 | PCIDE) != 0;
                state.cr4 = value;
                effects.push(Effect::HeedsGlobal(value & PGE != 0));
                if forgets {
                    effects.push(Effect::Forget(own(None, true)));
                }
                if reloads {
                    state.load(effects);
                }
            }
            // They turn paging on and change rights, not where a root is.
            "cr0" | "efer" => {}
            _ => return Err(Unknown::name("register", register, "cr3, cr4, cr0 or efer")),
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
        let current = self.0.get(&processor).map_or(0, Processor::pcid);
        let of_pcid = |pcid: u64| Some(u32::try_from(pcid & PCID).unwrap_or(0));
        let at = |address: u64| Some((canonical(address), 1));
        let forget = match (instruction, operands) {
            ("invpcid", [_, pcid, ..]) if *pcid > PCID => {
                let what = format!("no process-context identifier is {pcid:#x}");
                return Err(Unknown { operand: 2, what, expected: "one of 12 bits" });
            }
            // Ways to tables of the current PCID all go, whatever the address.
            ("invlpg", [address]) => Forget {
                range: at(*address),
                ways: Some(WaysForgotten::All),
                ..own(Some(current), true)
            },
            // INVPCID drops those that would be used to translate the address.
            ("invpcid", [0, pcid, address]) => Forget {
                range: at(*address),
                ways: Some(WaysForgotten::OfAddress),
                ..own(of_pcid(*pcid), false)
            },
            ("invpcid", [1, pcid, _]) => own(of_pcid(*pcid), false),
            ("invpcid", [2, ..]) => own(None, true),
            ("invpcid", [3, ..]) => own(None, false),
            ("invlpg" | "invpcid", _) => {
                let what = format!("{instruction} has other operands");
                return Err(Unknown { operand: 0, what, expected: INSTRUCTIONS });
            }
            _ => return Err(Unknown::name("instruction", instruction, INSTRUCTIONS)),
        };
        effects.push(Effect::Forget(forget));
        Ok(())
    }

    /// Stores are seen in order; fences change nothing here.
    fn barrier(&self, name: &str, _: &str) -> Result<Waits, Unknown> {
        match name {
            "mfence" | "sfence" | "lfence" | "serialize" => {
                Ok(Waits { orders: true, ..Waits::default() })
            }
            _ => Err(Unknown::name("barrier", name, "mfence, sfence, lfence or serialize")),
        }
    }

    fn identifiers(&self) -> &'static str {
        "Intel SDM volume 3A, \"Process-Context Identifiers (PCIDs)\""
    }
}
