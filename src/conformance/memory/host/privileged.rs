//! Privileged instructions of the code under test, emulated and reported.
//!
//! User mode can't execute them: the processor raises general protection, which the kernel turns into
//! a signal. They do here to a set of registers of this memory's own what they would do to the
//! processor's, and what they invalidate is recorded as if a hook had been called (Intel SDM volume 3A,
//! "Operations that Invalidate TLBs and Paging-Structure Caches").
//!
//! | instruction | what is done |
//! |---|---|
//! | `invlpg` | invalidates the page |
//! | `invpcid` | type 0 the page, 1 the space, 2 everything, 3 the space; another PCID than CR3's: nothing |
//! | `mov` to CR3 | invalidates the space, but for bit 63 with CR4.PCIDE; bits that are reserved, bit 63 without CR4.PCIDE among them, and a root that is not the code's when its call returns become findings |
//! | `mov` to CR4 | invalidates everything when PGE, PAE or LA57 changes, PCIDE is cleared or SMEP is set |
//! | `mov` to CR0 | invalidates everything when PG is cleared |
//! | `mov` from CR0, CR2, CR3, CR4, CR8 | what was written last; at first what a kernel with 4 levels has, CR3 the root |
//! | `rdmsr`, `wrmsr` | the same for IA32_EFER and IA32_PAT |
//! | `wbinvd`, `wbnoinvd`, `invd`, `cli`, `sti`, `hlt`, `clts` | nothing: no cache, interrupt or task is modelled |
//!
//! Any other is told by name, and the signal goes on to whoever had it before. RFLAGS.IF is the
//! process's own: `pushf` never shows what `cli` did. The physical registers are neither read nor written.

use core::cell::Cell;
use core::fmt::{self, Write as _};

use iced_x86::{Code, Instruction, Mnemonic, Register};

use super::super::{Invalidation, Memory, Misuse};
use super::context::Context;
use super::instruction;
use super::signals::{Raised, say};
use crate::base::{PhysAddr, VirtAddr};

const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const CR4_PGE: u64 = 1 << 7;
const CR4_LA57: u64 = 1 << 12;
const CR4_PCIDE: u64 = 1 << 17;
const CR4_SMEP: u64 = 1 << 20;
const CR3_KEEP: u64 = 1 << 63;
/// Above all physical addresses and below the bits that choose what of a linear address is masked.
const CR3_RESERVED: u64 = ((1 << 61) - 1) & !((1 << 52) - 1);
const PCID: u64 = 0xfff;

const EFER: u32 = 0xc000_0080;
const PAT: u32 = 0x277;

/// Registers that only a kernel has.
pub(in crate::conformance::memory) struct Privileged {
    /// CR0 to CR15; CR3 is `None` until it is written.
    control: [Cell<Option<u64>>; 16],
    /// What was moved to CR3 and is refused by a processor.
    refused: Cell<Option<u64>>,
    efer: Cell<u64>,
    pat: Cell<u64>,
}

impl Default for Privileged {
    /// PE, MP, ET, NE, WP and PG; PSE, PAE and PGE; SCE, LME, LMA and NXE; PAT as after a reset.
    fn default() -> Self {
        let privileged = Self {
            control: [const { Cell::new(Some(0)) }; 16],
            refused: Cell::new(None),
            efer: Cell::new(0xd01),
            pat: Cell::new(0x0007_0406_0007_0406),
        };
        privileged.control(0).set(Some(0x8001_0033));
        privileged.control(3).set(None);
        privileged.control(4).set(Some(0xb0));
        privileged
    }
}

impl Privileged {
    fn control(&self, number: usize) -> &Cell<Option<u64>> {
        let last = &self.control[15];
        self.control.get(number).unwrap_or(last)
    }

    fn read(&self, number: usize) -> u64 {
        self.control(number).get().unwrap_or(0)
    }
}

impl Memory {
    /// A signal: `false` when the code was at no instruction that is emulated.
    pub(super) fn emulated(&self, raised: &Raised, context: &mut Context<'_>) -> bool {
        let host = self.0.host.as_ref();
        let Some(privileged) = host.and_then(|host| host.privileged.as_ref()) else { return false };
        if !raised.is_refused() {
            return false;
        }
        let Some(instruction) = instruction::at(context) else { return false };
        if self.spends_last_access() {
            self.give_up(context);
            return true;
        }
        if self.emulate(privileged, &instruction, context).is_none() {
            tell(&instruction);
            return false;
        }
        context.skip(instruction.len());
        true
    }

    /// `None` when it is not one of those that are.
    fn emulate(
        &self,
        privileged: &Privileged,
        instruction: &Instruction,
        context: &mut Context<'_>,
    ) -> Option<()> {
        match instruction.code() {
            Code::Invlpg_m => {
                let virt = instruction::address(instruction, 0, context)?;
                self.invalidated(Invalidation::Page(VirtAddr(virt)));
            }
            Code::Invpcid_r64_m128 => {
                let (number, _) = instruction::general(instruction.op0_register())?;
                let kind = context.general(number)?;
                let address = instruction::address(instruction, 1, context)?;
                let [pcid, virt] = super::context::descriptor(address);
                let is_own = pcid & PCID == self.control_3(privileged) & PCID;
                match kind {
                    0 if is_own => self.invalidated(Invalidation::Page(VirtAddr(virt))),
                    1 if is_own => self.invalidated(Invalidation::Space),
                    0 | 1 => {}
                    2 => self.invalidated(Invalidation::All),
                    3 => self.invalidated(Invalidation::Space),
                    _ => return None,
                }
            }
            Code::Mov_cr_r64 => {
                let (number, _) = instruction::general(instruction.op1_register())?;
                let value = context.general(number)?;
                self.write_control(privileged, control(instruction.op0_register())?, value);
            }
            Code::Mov_r64_cr => {
                let (number, _) = instruction::general(instruction.op0_register())?;
                let value = match control(instruction.op1_register())? {
                    3 => self.control_3(privileged),
                    other => privileged.read(other),
                };
                context.set_general(number, value);
            }
            Code::Rdmsr => {
                let value = model_specific(privileged, context)?.get();
                context.set(libc::REG_RAX, value & 0xffff_ffff);
                context.set(libc::REG_RDX, value >> 32);
            }
            Code::Wrmsr => {
                let (low, high) = (context.get(libc::REG_RAX), context.get(libc::REG_RDX));
                model_specific(privileged, context)?.set(low & 0xffff_ffff | high << 32);
            }
            Code::Wbinvd
            | Code::Wbnoinvd
            | Code::Invd
            | Code::Cli
            | Code::Sti
            | Code::Hlt
            | Code::Clts => {}
            _ => return None,
        }
        Some(())
    }

    /// CR3; until it is written, the root of the code's tables.
    fn control_3(&self, privileged: &Privileged) -> u64 {
        let root = || self.root().map_or(0, |root| root.raw());
        privileged.control(3).get().unwrap_or_else(root)
    }

    /// CR3 as it was written, if it was: the frame.
    #[cfg(feature = "store-trap")]
    pub(super) fn loaded_control_3(&self) -> Option<PhysAddr> {
        let privileged = self.0.host.as_ref()?.privileged.as_ref()?;
        let value = privileged.control(3).get()?;
        Some(PhysAddr::truncated(value & !PCID).frame().start())
    }

    /// What the call that has returned did to CR3 and should not have.
    pub(crate) fn take_misuse(&self) -> Option<Misuse> {
        let privileged = self.0.host.as_ref()?.privileged.as_ref()?;
        if let Some(value) = privileged.refused.take() {
            return Some(Misuse::Reserved(value));
        }
        let value = privileged.control(3).get()?;
        let is_own = PhysAddr::truncated(value).frame() == self.root()?.frame();
        (!is_own).then_some(Misuse::Foreign(value))
    }

    fn write_control(&self, privileged: &Privileged, number: usize, value: u64) {
        let before = privileged.read(number);
        let changed = before ^ value;
        let mut written = value;
        match number {
            0 if changed & CR0_PG != 0 && value & CR0_PG == 0 => {
                self.invalidated(Invalidation::All);
            }
            3 => {
                let has_pcids = privileged.read(4) & CR4_PCIDE != 0;
                let reserved = if has_pcids { CR3_RESERVED } else { CR3_RESERVED | CR3_KEEP };
                if value & reserved != 0 {
                    privileged.refused.set(Some(value));
                    return;
                }
                if !(has_pcids && value & CR3_KEEP != 0) {
                    self.invalidated(Invalidation::Space);
                }
                written = value & !CR3_KEEP;
            }
            4 if changed & (CR4_PGE | CR4_PAE | CR4_LA57) != 0
                || (changed & CR4_PCIDE != 0 && value & CR4_PCIDE == 0)
                || (changed & CR4_SMEP != 0 && value & CR4_SMEP != 0) =>
            {
                self.invalidated(Invalidation::All);
            }
            _ => {}
        }
        privileged.control(number).set(Some(written));
    }
}

fn control(register: Register) -> Option<usize> {
    let number = (register as usize).checked_sub(Register::CR0 as usize)?;
    matches!(number, 0 | 2 | 3 | 4 | 8).then_some(number)
}

fn model_specific<'a>(
    privileged: &'a Privileged,
    context: &mut Context<'_>,
) -> Option<&'a Cell<u64>> {
    match u32::try_from(context.get(libc::REG_RCX) & 0xffff_ffff).ok()? {
        EFER => Some(&privileged.efer),
        PAT => Some(&privileged.pat),
        _ => None,
    }
}

/// Whether it is one of those that are emulated.
pub(super) fn is_of_a_kernel(instruction: &Instruction) -> bool {
    matches!(
        instruction.code(),
        Code::Invlpg_m
            | Code::Invpcid_r64_m128
            | Code::Mov_cr_r64
            | Code::Mov_r64_cr
            | Code::Rdmsr
            | Code::Wrmsr
            | Code::Wbinvd
            | Code::Wbnoinvd
            | Code::Invd
            | Code::Cli
            | Code::Sti
            | Code::Hlt
            | Code::Clts
    )
}

/// A line of text without an allocation.
struct Line {
    bytes: [u8; 160],
    length: usize,
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let slot = self.bytes.get_mut(self.length).ok_or(fmt::Error)?;
            *slot = byte;
            self.length += 1;
        }
        Ok(())
    }
}

/// Says which instruction is not emulated, if it is one that only a kernel may execute.
fn tell(instruction: &Instruction) {
    if instruction.mnemonic() == Mnemonic::INVALID {
        return;
    }
    let mut line = Line { bytes: [0; 160], length: 0 };
    // A line that is too long is cut: no reason to say nothing.
    let _ = writeln!(
        line,
        "ringfence: the instruction {:?} at {:#x} of the code under test was refused by the processor and \
         is not emulated",
        instruction.mnemonic(),
        instruction.ip()
    );
    let text = line.bytes.get(..line.length).and_then(|bytes| str::from_utf8(bytes).ok());
    say(text.unwrap_or("ringfence: an instruction is not emulated\n"));
}
