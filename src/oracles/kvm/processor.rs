//! How the guest's processor is set up, and what it reports of itself.

use kvm_bindings::{
    CpuId, KVM_MAX_CPUID_ENTRIES, kvm_cpuid_entry2, kvm_dtable, kvm_regs, kvm_segment, kvm_sregs,
};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd};

use super::layout::{
    DONE_PORT, GDT, IDT, KERNEL_CODE_SELECTOR, KERNEL_DATA_SELECTOR, STACK_TOP, TSS, TSS_SELECTOR,
};
use super::system::{GDT_LIMIT, IDT_LIMIT, TSS_LIMIT};
use crate::machine::paging::x86_64::{ControlFlags, Controls, Vendor};

/// CR0, CR4 and `IA32_EFER`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Registers {
    pub(super) cr0: u64,
    pub(super) cr4: u64,
    pub(super) efer: u64,
}

impl Registers {
    /// The registers in which these flags are set: 64-bit mode, no floating point, no alignment
    /// checks (Intel SDM volume 3A, "Control Registers").
    pub(super) fn of(flags: ControlFlags) -> Self {
        let bit = |flag: ControlFlags, number: u32| u64::from(flags.has(flag)) << number;
        Self {
            // PG, NE, ET, MP, PE.
            cr0: 0x8000_0033 | bit(ControlFlags::WP, 16),
            // PAE.
            cr4: 1 << 5
                | bit(ControlFlags::PGE, 7)
                | bit(ControlFlags::LA57, 12)
                | bit(ControlFlags::PCIDE, 17)
                | bit(ControlFlags::SMEP, 20)
                | bit(ControlFlags::SMAP, 21)
                | bit(ControlFlags::PKE, 22)
                | bit(ControlFlags::CET, 23)
                | bit(ControlFlags::PKS, 24),
            // LMA, LME.
            efer: 0x500 | bit(ControlFlags::NXE, 11),
        }
    }
}

/// Tells the guest which processor it has: what the host's KVM supports, with the vendor and
/// MAXPHYADDR of `controls`.
///
/// # Errors
///
/// What the host refused, in words.
pub(super) fn introduce(kvm: &Kvm, processor: &VcpuFd, controls: &Controls) -> Result<(), String> {
    let supported = kvm
        .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
        .map_err(|error| format!("no list of supported features: {error}"))?;
    let mut entries = supported.as_slice().to_vec();
    for entry in &mut entries {
        adapt(entry, controls);
    }
    let cpuid = CpuId::from_entries(&entries).map_err(|error| format!("{error:?}"))?;
    processor.set_cpuid2(&cpuid).map_err(|error| format!("the features were refused: {error}"))
}

/// Intel SDM volume 2, "CPUID": leaf 0 names the vendor, leaf 0x80000008 MAXPHYADDR. SMEP and SMAP
/// are claimed because some KVM carries them out without listing them; whether it does is for the
/// trial to find out.
fn adapt(entry: &mut kvm_cpuid_entry2, controls: &Controls) {
    match entry.function {
        0 | 0x8000_0000 => {
            let name = match controls.vendor {
                Vendor::Intel => b"GenuineIntel",
                Vendor::Amd => b"AuthenticAMD",
            };
            let word = |at: usize| {
                u32::from_le_bytes(name[at..at + 4].try_into().expect("four letters of twelve"))
            };
            (entry.ebx, entry.edx, entry.ecx) = (word(0), word(4), word(8));
        }
        7 if entry.index == 0 => entry.ebx |= 1 << 7 | 1 << 20,
        0x8000_0008 => entry.eax = entry.eax & !0xff | u32::from(controls.physical_bits()),
        _ => {}
    }
}

fn segment(selector: u16, kind: u8) -> kvm_segment {
    kvm_segment {
        base: 0,
        limit: u32::MAX,
        selector,
        type_: kind,
        present: 1,
        dpl: 0,
        s: 1,
        g: 1,
        ..kvm_segment::default()
    }
}

/// Enters 64-bit mode at privilege level 0 under these registers, straight away.
///
/// # Errors
///
/// The registers were refused: why, in words.
pub(super) fn enter_long_mode(
    processor: &VcpuFd,
    registers: Registers,
    root: u64,
) -> Result<(), String> {
    let present =
        processor.get_sregs().map_err(|error| format!("no registers to be read: {error}"))?;
    let data = kvm_segment { db: 1, ..segment(KERNEL_DATA_SELECTOR, 3) };
    let special = kvm_sregs {
        cs: kvm_segment { l: 1, ..segment(KERNEL_CODE_SELECTOR, 11) },
        ds: data,
        es: data,
        fs: data,
        gs: data,
        ss: data,
        tr: kvm_segment {
            base: TSS,
            limit: TSS_LIMIT.into(),
            s: 0,
            g: 0,
            ..segment(TSS_SELECTOR, 11)
        },
        ldt: kvm_segment { unusable: 1, ..kvm_segment::default() },
        gdt: kvm_dtable { base: GDT, limit: GDT_LIMIT, ..kvm_dtable::default() },
        idt: kvm_dtable { base: IDT, limit: IDT_LIMIT, ..kvm_dtable::default() },
        cr0: registers.cr0,
        cr2: 0,
        cr3: root,
        cr4: registers.cr4,
        efer: registers.efer,
        ..present
    };
    processor
        .set_sregs(&special)
        .map_err(|error| format!("the control registers were refused: {error}"))
}

/// What the program starts with.
pub(super) struct Start {
    pub(super) rip: u64,
    pub(super) first_case: u64,
    pub(super) first_result: u64,
    pub(super) cases: usize,
}

/// How a stay in the guest ended.
pub(super) enum Exit {
    /// The program wrote to its port.
    Done,
    /// Something else happened, while the program was at the case whose record is at this address.
    Astray { at_case: u64, what: String },
}

/// Runs the program until it leaves the guest.
///
/// # Errors
///
/// The host's KVM failed: how, in words.
pub(super) fn run(processor: &mut VcpuFd, start: &Start) -> Result<Exit, String> {
    let registers = kvm_regs {
        rip: start.rip,
        rsp: STACK_TOP,
        rflags: 2,
        rbx: start.first_case,
        rbp: start.first_result,
        r12: start.cases as u64,
        ..kvm_regs::default()
    };
    processor
        .set_regs(&registers)
        .map_err(|error| format!("the registers were refused: {error}"))?;
    let what = match processor.run() {
        Ok(VcpuExit::IoOut(DONE_PORT, _)) => return Ok(Exit::Done),
        Ok(other) => format!("{other:x?}"),
        Err(error) => return Err(format!("the guest does not run: {error}")),
    };
    let stopped =
        processor.get_regs().map_err(|error| format!("no registers to be read: {error}"))?;
    // An access that waits for an answer is ended first, or its end would overwrite the registers
    // that are set next (Linux, "The Definitive KVM API Documentation", KVM_RUN).
    processor.set_kvm_immediate_exit(1);
    let interrupted = processor.run().is_err();
    processor.set_kvm_immediate_exit(0);
    if !interrupted {
        return Err(format!("the guest did not stop after {what}"));
    }
    Ok(Exit::Astray { at_case: stopped.rbx, what })
}
