//! Which check decided a case, at which level, by which rule of the manual.
//!
//! Written for a person who compares two implementations: it names every check that fails, not only
//! the first, and the entries as they were read.

use core::fmt;

use super::case::TranslationCase;
use super::machine::{RecordedMachine, request};
use super::outcome::{CaseAnswer, CaseOutcome};
use crate::base::{Access, PhysAddr};
use crate::machine::paging::x86_64::{
    ControlFlags, Controls, Entry, EntryKind, Level, Request, Reserved, Vendor, path,
};

/// Why a case ends as it does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// The access that decided.
    pub access: Access,
    /// The entries as that access read them, from the root down.
    pub steps: Vec<ReadEntry>,
    /// The checks that fail. Empty: everything permits the access.
    pub reasons: Vec<Reason>,
}

/// One entry that was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadEntry {
    /// As what it was read.
    pub level: Level,
    /// Where.
    pub at: PhysAddr,
    /// Its bits.
    pub entry: Entry,
    /// What it is there.
    pub kind: EntryKind,
}

/// One check that fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reason {
    /// Which check.
    pub check: Check,
    /// The first level at which it fails, where it is about an entry.
    pub level: Option<Level>,
}

/// What is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Check {
    /// The address is canonical.
    Canonical,
    /// P is 1.
    Present,
    /// No bit at or above MAXPHYADDR is set in the address field.
    PhysicalWidth,
    /// Bit 63 is 0 without `IA32_EFER.NXE`.
    ExecuteDisableReserved,
    /// Bit 7 of a PML4E or PML5E is 0.
    PageSizeReserved,
    /// Bit 8 of a PML4E or PML5E is 0: AMD.
    GlobalReserved,
    /// The address of a large page is a multiple of its size.
    PageAlignment,
    /// U/S is 1, for a user-mode access.
    User,
    /// R/W is 1, for a write that respects it.
    Writable,
    /// XD is 0, for a fetch.
    Executable,
    /// No supervisor-mode fetch from a user-mode address with CR4.SMEP.
    Smep,
    /// No supervisor-mode access to a user-mode address with CR4.SMAP and without EFLAGS.AC.
    Smap,
    /// The protection key permits any access.
    KeyAccess,
    /// The protection key permits writes.
    KeyWrite,
}

impl Check {
    /// What fails when it does.
    #[must_use]
    pub const fn failure(self) -> &'static str {
        match self {
            Self::Canonical => "the address is not canonical",
            Self::Present => "P is 0",
            Self::PhysicalWidth => "an address bit from MAXPHYADDR up is 1, and they are reserved",
            Self::ExecuteDisableReserved => "bit 63 is 1, and reserved without IA32_EFER.NXE",
            Self::PageSizeReserved => "bit 7 is 1, and reserved at this level",
            Self::GlobalReserved => "bit 8 is 1, and reserved at this level by AMD (not by Intel)",
            Self::PageAlignment => "the page's address is no multiple of its size",
            Self::User => "U/S is 0, and it is a user-mode access",
            Self::Writable => "R/W is 0, and it is a write",
            Self::Executable => "XD is 1, and it is a fetch",
            Self::Smep => "CR4.SMEP: a supervisor-mode fetch from a user-mode address",
            Self::Smap => "CR4.SMAP without AC: a supervisor-mode access to a user-mode address",
            Self::KeyAccess => "the protection key's AD bit is 1",
            Self::KeyWrite => "the protection key's WD bit is 1",
        }
    }

    /// The rule, by the title of its section.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Canonical => "Intel SDM volume 1, \"Canonical Addressing\"",
            Self::Present
            | Self::PhysicalWidth
            | Self::ExecuteDisableReserved
            | Self::PageSizeReserved
            | Self::PageAlignment => "Intel SDM volume 3A, \"4-Level Paging and 5-Level Paging\"",
            Self::GlobalReserved => {
                "AMD64 Architecture Programmer's Manual volume 2, \"4-Kbyte Page Translation\""
            }
            Self::User | Self::Writable | Self::Executable | Self::Smep | Self::Smap => {
                "Intel SDM volume 3A, \"Determination of Access Rights\""
            }
            Self::KeyAccess | Self::KeyWrite => "Intel SDM volume 3A, \"Protection Keys\"",
        }
    }
}

/// The rule that says which accessed and dirty bits a translation sets.
pub const MARKS_RULE: &str = "Intel SDM volume 3A, \"Accessed and Dirty Flags\"";

/// The rule that says what each bit of an error code means.
pub const CODE_RULE: &str = "Intel SDM volume 3A, \"Page-Fault Exceptions\"";

/// The manual's name of an entry at this level.
#[must_use]
pub const fn entry_name(level: Level) -> &'static str {
    match level {
        Level::Pt => "PTE",
        Level::Pd => "PDE",
        Level::Pdpt => "PDPTE",
        Level::Pml4 => "PML4E",
        Level::Pml5 => "PML5E",
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(level) = self.level {
            write!(f, "{}: ", entry_name(level))?;
        }
        f.write_str(self.check.failure())
    }
}

/// Explains the machine's answer to a case.
#[must_use]
pub fn explain(
    machine: &RecordedMachine,
    case: &TranslationCase,
    answer: &CaseAnswer,
) -> Explanation {
    let controls = machine.controls(case);
    let memory = machine.memory_at(case, answer.access);
    let request = request(case, answer.access);
    let path = path(&memory, &controls, case.virt);
    let reserved = Reserved::new(&controls);
    let mut level = path.top();
    let mut steps = Vec::new();
    for step in path.steps() {
        let kind = step.entry.kind(level, reserved);
        steps.push(ReadEntry { level, at: step.at, entry: step.entry, kind });
        level = level.below();
    }
    let reasons = match answer.outcome {
        CaseOutcome::Translated(_) => Vec::new(),
        CaseOutcome::GeneralProtection => vec![Reason { check: Check::Canonical, level: None }],
        CaseOutcome::PageFault { .. } => reasons(&controls, &request, &steps),
    };
    Explanation { access: answer.access, steps, reasons }
}

fn reasons(controls: &Controls, request: &Request, steps: &[ReadEntry]) -> Vec<Reason> {
    let Some(last) = steps.last() else { return Vec::new() };
    match last.kind {
        EntryKind::NotPresent => vec![Reason { check: Check::Present, level: Some(last.level) }],
        EntryKind::Reserved => reserved_bits(controls, last),
        EntryKind::Table(_) | EntryKind::Leaf(..) => rights(controls, request, steps),
    }
}

fn reserved_bits(controls: &Controls, step: &ReadEntry) -> Vec<Reason> {
    let ReadEntry { level, entry, .. } = *step;
    let beyond = Entry::ADDRESS >> controls.physical_bits() << controls.physical_bits();
    let is_upper = matches!(level, Level::Pml4 | Level::Pml5);
    let is_large = matches!(level, Level::Pd | Level::Pdpt) && entry.has(Entry::PS);
    let amd = controls.vendor == Vendor::Amd;
    let checks = [
        (Check::PhysicalWidth, entry.0 & beyond != 0),
        (
            Check::ExecuteDisableReserved,
            entry.has(Entry::XD) && !controls.flags.has(ControlFlags::NXE),
        ),
        (Check::PageSizeReserved, is_upper && entry.has(Entry::PS)),
        (Check::GlobalReserved, is_upper && amd && entry.has(Entry::G)),
        (Check::PageAlignment, is_large && entry.0 & (level.span() - 1) & !0x1fff != 0),
    ];
    failing(&checks, Some(level))
}

fn failing(checks: &[(Check, bool)], level: Option<Level>) -> Vec<Reason> {
    let failing = checks.iter().filter(|(_, fails)| *fails);
    failing.map(|&(check, _)| Reason { check, level }).collect()
}

fn rights(controls: &Controls, request: &Request, steps: &[ReadEntry]) -> Vec<Reason> {
    let flags = controls.flags;
    let first = |bit: u64, value: u64| {
        steps.iter().find(|step| step.entry.0 & bit == value).map(|step| step.level)
    };
    let (supervisor_at, read_only_at) = (first(Entry::US, 0), first(Entry::RW, 0));
    let disabled_at = first(Entry::XD, Entry::XD);
    let (user_mode, user_address) = (request.is_user_mode(), supervisor_at.is_none());
    let is_fetch = request.access == Access::Execute;
    let is_write = request.access == Access::Write;
    let crosses = !user_mode && user_address;
    let mut found = Vec::new();
    let mut add = |check, level| found.push(Reason { check, level });
    if user_mode && !user_address {
        add(Check::User, supervisor_at);
    }
    if is_write && read_only_at.is_some() && (user_mode || flags.has(ControlFlags::WP)) {
        add(Check::Writable, read_only_at);
    }
    if is_fetch && disabled_at.is_some() && flags.has(ControlFlags::NXE) {
        add(Check::Executable, disabled_at);
    }
    if is_fetch && crosses && flags.has(ControlFlags::SMEP) {
        add(Check::Smep, None);
    }
    if !is_fetch && crosses && flags.has(ControlFlags::SMAP) && !request.ac {
        add(Check::Smap, None);
    }
    let (are_asked, register) = if user_address {
        (flags.has(ControlFlags::PKE), controls.pkru)
    } else {
        (flags.has(ControlFlags::PKS) && !user_mode, controls.pkrs)
    };
    if let Some(leaf) = steps.last()
        && are_asked
        && !is_fetch
    {
        let pair = register >> (2 * leaf.entry.key());
        if pair & 1 != 0 {
            add(Check::KeyAccess, Some(leaf.level));
        }
        let binds = flags.has(ControlFlags::WP) || (user_address && user_mode);
        if is_write && pair & 2 != 0 && binds {
            add(Check::KeyWrite, Some(leaf.level));
        }
    }
    found
}

/// What an entry says where it was read: `P R/W U/S A → table at 602000`.
#[derive(Clone, Copy, Debug)]
pub struct NamedBits(pub ReadEntry);

impl fmt::Display for NamedBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReadEntry { entry, kind, .. } = self.0;
        let is_leaf = matches!(kind, EntryKind::Leaf(..));
        let bits = [
            (Entry::P, "P"),
            (Entry::RW, "R/W"),
            (Entry::US, "U/S"),
            (Entry::A, "A"),
            (Entry::D, "D"),
            (Entry::XD, "XD"),
        ];
        let mut blank = "";
        for (bit, name) in bits {
            if entry.has(bit) && (bit != Entry::D || is_leaf) {
                write!(f, "{blank}{name}")?;
                blank = " ";
            }
        }
        match kind {
            EntryKind::NotPresent => write!(f, "{blank}not present"),
            EntryKind::Reserved => write!(f, "{blank}reserved bit set"),
            EntryKind::Table(at) => write!(f, "{blank}→ table at {:x}", at.raw()),
            EntryKind::Leaf(at, size) => {
                write!(
                    f,
                    "{blank}key {} → {} KiB at {:x}",
                    entry.key(),
                    size.bytes() / 1024,
                    at.raw()
                )
            }
        }
    }
}
