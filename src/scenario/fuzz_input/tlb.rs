//! A sequence of stores to tables, invalidations, root loads and accesses.

use core::fmt;

use super::{Bytes, words};
use crate::base::{Access, PhysAddr, Ring, VirtAddr};
use crate::machine::paging::x86_64::{ControlFlags, Controls, Entry, Request};
use crate::machine::tlb::{Invalidation, RootLoad};

/// Steps of a sequence at most.
pub const STEPS_MAX: usize = 64;

/// Frames 1 to this hold tables; the frames above are pages.
pub const TABLES: u64 = 4;

/// Process-context identifiers in use.
const PCIDS: u64 = 3;

/// One step of a sequence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TlbStep {
    /// An 8-byte entry is stored.
    Store {
        /// Where.
        at: PhysAddr,
        /// What.
        entry: u64,
    },
    /// An instruction that invalidates.
    Invalidate(Invalidation),
    /// MOV to CR3.
    LoadRoot {
        /// The operand without bit 63.
        cr3: u64,
        /// Bit 63 of the operand.
        load: RootLoad,
    },
    /// An access.
    Access(Request),
    /// WRPKRU and WRMSR to `IA32_PKRS`: no translation is forgotten.
    Keys {
        /// PKRU.
        pkru: u32,
        /// `IA32_PKRS`.
        pkrs: u32,
    },
    /// MOV to CR4.
    LoadControls {
        /// All control bits from then on.
        flags: ControlFlags,
    },
    /// Everything is forgotten, as after INIT.
    Reset,
}

/// Registers and steps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlbSequence {
    /// The registers at the start: the root is in frame 1.
    pub controls: Controls,
    /// What happens.
    pub steps: Vec<TlbStep>,
}

/// Every address that some entry in use translates: two indices at each level. With five levels they
/// are the first and the last entry of the root's.
#[must_use]
pub fn addresses() -> [VirtAddr; 16] {
    core::array::from_fn(|number| {
        let index = |level: usize, high: u64| u64::from(number >> level & 1 == 1) * high;
        let low = index(0, 1) << 12 | index(1, 1) << 21 | index(2, 1) << 30;
        VirtAddr(if number >> 3 & 1 == 1 { 0xffff_ff80_0000_0000 | low } else { low })
    })
}

/// A sequence. Input: flags (1 byte), then for each step its kind (1) and what it needs (3).
#[must_use]
pub fn tlb_sequence(data: &[u8]) -> TlbSequence {
    let mut bytes = Bytes(data);
    let chosen = bytes.u8();
    let of = |bit: u8, flag| if chosen >> bit & 1 == 1 { flag } else { ControlFlags::NONE };
    let flags = of(0, ControlFlags::PGE)
        | of(1, ControlFlags::PCIDE)
        | of(2, ControlFlags::NXE)
        | of(3, ControlFlags::WP)
        | of(4, ControlFlags::LA57)
        | of(5, ControlFlags::PKE)
        | of(6, ControlFlags::PKS)
        | of(7, ControlFlags::CET);
    let mut controls = Controls { cr3: 0x1000, flags, ..Controls::default() };
    let start = controls;
    let mut steps = Vec::new();
    while !bytes.0.is_empty() && steps.len() < STEPS_MAX {
        let step = step(&mut bytes, &controls);
        match step {
            TlbStep::LoadRoot { cr3, .. } => controls.cr3 = cr3,
            TlbStep::LoadControls { flags } => controls.flags = flags,
            _ => {}
        }
        steps.push(step);
    }
    TlbSequence { controls: start, steps }
}

fn step(bytes: &mut Bytes<'_>, controls: &Controls) -> TlbStep {
    let kind = bytes.u8();
    let [place, what, rights] = bytes.take();
    let virt = addresses()[usize::from(place & 15)];
    let pcid = u64::from(what) % PCIDS;
    match kind % 8 {
        0..=3 => {
            let table = 1 + u64::from(place >> 4) % TABLES;
            let index = [0, 1, 511, 0][usize::from(place & 3)];
            let at = PhysAddr::truncated(table * 4096 + 8 * index);
            TlbStep::Store { at, entry: entry(what, rights) }
        }
        4 => TlbStep::Invalidate(Invalidation::page(controls, virt)),
        5 => TlbStep::Invalidate(match rights % 4 {
            0 => Invalidation::PageOfPcid { virt, pcid },
            1 => Invalidation::Pcid { pcid },
            2 => Invalidation::All,
            _ => Invalidation::AllExceptGlobal,
        }),
        6 => {
            let root = 1 + u64::from(place) % TABLES;
            // Without CR4.PCIDE the low bits are other things and stay 0.
            let pcid = if controls.flags.has(ControlFlags::PCIDE) { pcid } else { 0 };
            let load = if rights & 1 == 0 { RootLoad::Flush } else { RootLoad::Keep };
            TlbStep::LoadRoot { cr3: root << 12 | pcid, load }
        }
        _ => match rights >> 6 {
            1 => TlbStep::Keys { pkru: u32::from(what), pkrs: u32::from(place) },
            2 if rights & 63 == 63 => TlbStep::Reset,
            2 if rights & 48 == 0 => TlbStep::LoadControls { flags: other_flags(controls, what) },
            _ => {
                let access = [Access::Read, Access::Write, Access::Execute, Access::Write];
                let ring = if what & 4 == 0 { Ring::Kernel } else { Ring::User };
                let request = Request::new(virt, access[usize::from(what & 3)], ring);
                let (ac, implicit) = (what & 8 != 0, what & 16 != 0);
                TlbStep::Access(Request { ac, implicit, shadow_stack: what & 32 != 0, ..request })
            }
        },
    }
}

/// The control bits after a load of CR4. CR4.PCIDE is set only where the processor allows it.
fn other_flags(controls: &Controls, what: u8) -> ControlFlags {
    const CHANGED: [ControlFlags; 4] =
        [ControlFlags::PGE, ControlFlags::PCIDE, ControlFlags::SMEP, ControlFlags::SMAP];
    CHANGED.into_iter().enumerate().fold(controls.flags, |flags, (bit, flag)| {
        let is_allowed = flag != ControlFlags::PCIDE || controls.cr3 & 0xfff == 0;
        match what >> bit & 1 {
            1 if flags.has(flag) => flags.without(flag),
            1 if is_allowed => flags.with(flag),
            _ => flags,
        }
    })
}

/// An entry that names a table, a page or nothing.
fn entry(what: u8, rights: u8) -> u64 {
    let of = |bit: u8, flag| if rights >> bit & 1 == 1 { flag } else { 0 };
    let flags = of(0, Entry::P)
        | of(1, Entry::RW)
        | of(2, Entry::US)
        | of(3, Entry::G)
        | of(4, Entry::XD)
        | of(5, Entry::PS)
        | of(6, Entry::D)
        | of(7, Entry::A);
    let frame = u64::from(what & 15);
    let key = u64::from(what >> 4 & 3) << 59;
    // A large page at 0 or at its own size, so that its pieces and small pages meet.
    let address = match (flags & Entry::PS != 0, what >> 6 & 1) {
        (false, _) => frame << 12,
        (true, 0) => (frame & 1) << 21,
        (true, _) => (frame & 1) << 30,
    };
    address | key | flags
}

impl fmt::Display for TlbStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store { at, entry } => write!(f, "store     {entry:#x} at {:#x}", at.raw()),
            Self::Invalidate(what) => write!(f, "forget    {}", words::invalidation(*what)),
            Self::LoadRoot { cr3, load } => {
                write!(f, "root      {cr3:#x}: {}", words::root_load(*load))
            }
            Self::Access(request) => write!(f, "access    {}", words::request(request)),
            Self::Keys { pkru, pkrs } => write!(f, "keys      PKRU {pkru:#x}, PKRS {pkrs:#x}"),
            Self::LoadControls { flags } => write!(f, "cr4       {}", words::flags(*flags)),
            Self::Reset => write!(f, "forget    everything"),
        }
    }
}

/// A sequence in words, one line a step.
#[must_use]
pub fn tlb_sequence_in_words(data: &[u8]) -> Vec<String> {
    let sequence = tlb_sequence(data);
    let mut lines = vec![format!("controls  {}", words::controls(&sequence.controls))];
    lines.extend(sequence.steps.iter().map(ToString::to_string));
    lines
}
