//! What one flipped bit gives, worst first.

use core::fmt;

use crate::base::{Frame, PhysAddr, VirtAddr};
use crate::machine::paging::x86_64::Level;

use crate::audit::permits::Accesses;

/// One bit of one entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Flip {
    /// Where the entry lies.
    pub at: PhysAddr,
    /// Which of its bits, 0 to 63.
    pub bit: u8,
}

impl fmt::Display for Flip {
    /// As `--flip-one` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}:{}", self.at.raw(), self.bit)
    }
}

/// The worst that a flip gives a user process. The order is that of the variants, worst first; the
/// module says what each means.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// User mode may write a page-table frame.
    TableWrite,
    /// User mode may write kernel memory.
    KernelWrite,
    /// User mode may read or execute kernel memory, page tables among it.
    KernelRead,
    /// An address leads to a frame that other user pages map.
    OtherMapping,
    /// An address leads to the frame it led to before, and may do more with it.
    WiderRight,
    /// An address leads to a frame of which the image says nothing.
    Outside,
    /// Nothing is given, and something is taken: an access of user mode faults.
    Fault,
    /// User mode may do what it could.
    Nothing,
}

impl Class {
    /// All, worst first.
    pub const ALL: [Self; 8] = [
        Self::TableWrite,
        Self::KernelWrite,
        Self::KernelRead,
        Self::OtherMapping,
        Self::WiderRight,
        Self::Outside,
        Self::Fault,
        Self::Nothing,
    ];

    /// The name in tables and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TableWrite => "table-write",
            Self::KernelWrite => "kernel-write",
            Self::KernelRead => "kernel-read",
            Self::OtherMapping => "other-mapping",
            Self::WiderRight => "wider-right",
            Self::Outside => "outside",
            Self::Fault => "fault",
            Self::Nothing => "nothing",
        }
    }

    /// What it means, in a few words.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::TableWrite => "write access to a page-table frame",
            Self::KernelWrite => "write access to kernel memory",
            Self::KernelRead => "read access to kernel memory",
            Self::OtherMapping => "another mapping's frame",
            Self::WiderRight => "a wider right on its own page",
            Self::Outside => "a frame outside the image",
            Self::Fault => "only a fault",
            Self::Nothing => "nothing",
        }
    }

    /// Whether it breaks the isolation of the kernel from the process: a single point of failure.
    #[must_use]
    pub const fn is_breach(self) -> bool {
        matches!(self, Self::TableWrite | Self::KernelWrite | Self::KernelRead)
    }

    /// Whether it gives anything at all.
    #[must_use]
    pub const fn is_gain(self) -> bool {
        !matches!(self, Self::Fault | Self::Nothing)
    }
}

/// An access that a flip gives, and the first address at which it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gain {
    /// The address; of [`TableIs::Filled`] where the process wrote before the flip.
    pub virt: VirtAddr,
    /// The frame it leads to there once the bit is flipped, or led to where it was filled before. For a walk that ends in a table of which
    /// nothing is known, that table's.
    pub frame: Frame,
    /// What is permitted there now and was not before; none when the frame is a table of which
    /// nothing is known, or when it became a table and all was permitted there before or nothing is
    /// now.
    pub gained: Accesses,
}

/// What kernel mode may do after a flip that helps a process to abuse it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum KernelGain {
    /// It may fetch from memory that the process can write.
    Execute,
    /// It may read or write, with EFLAGS.AC clear, memory that the process can write, where it
    /// could not or where something else was.
    Data,
    /// It may write a page table, where it could not or where something else was.
    TableWrite,
}

impl KernelGain {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Execute, Self::Data, Self::TableWrite];

    /// The name in tables and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Execute => "kernel-executes-user",
            Self::Data => "kernel-data-user",
            Self::TableWrite => "kernel-writes-table",
        }
    }
}

/// How a process comes to write a page table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TableIs {
    /// It reaches a frame that is a page table already.
    There,
    /// A frame that it can write after the flip becomes a page table: its own memory, or what was
    /// nobody's and the flip gives it at once.
    Made,
    /// A frame that it could write before the flip, and not after it, becomes a page table: whatever
    /// entries it left there count.
    Filled,
}

/// What a flip does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Which bit.
    pub flip: Flip,
    /// As what the entry's table is read where the flip does its worst.
    pub level: Level,
    /// The worst it gives a user process.
    pub class: Class,
    /// Where; `None` for [`Class::Nothing`] and [`Class::Fault`].
    pub gain: Option<Gain>,
    /// For [`Class::TableWrite`].
    pub table: Option<TableIs>,
    /// What it gives kernel mode, in the order of [`KernelGain::ALL`].
    pub kernel: [Option<Gain>; 3],
    /// Some access of kernel mode that was permitted faults.
    pub kernel_faults: bool,
}
