//! Exceptions as the processor raises them.

use crate::base::Access;
use crate::injection::{Operation, PointKind};

/// Bit of a page fault's error code: it was a write.
const WRITE: u32 = 2;

/// A byte that is never 0: what tells a word that was read from an exception then needs no word of its
/// own, and either comes back in two registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Mark {
    Trap = 1,
    /// A general protection raised by a read of data.
    Read = 2,
    /// A general protection raised by a write.
    Write = 3,
}

const _: () = assert!(size_of::<Result<u64, Trap>>() == 16);

/// What the second level of permissions refuses, in the error code that the model's virtualization
/// exception pushes (hardware writes an exit qualification with the same bits to an information page,
/// Intel SDM volume 3C, "Virtualization Exceptions").
pub mod second_level {
    /// Reading.
    pub const READ: u64 = 1;
    /// Writing.
    pub const WRITE: u64 = 2;
    /// Execution.
    pub const EXECUTE: u64 = 4;
}

/// An exception: its vector, its error code and the address a page fault reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trap {
    /// The vector (Intel SDM volume 3A, "Exception and Interrupt Vectors").
    pub vector: u8,
    /// The error code, 0 where there is none.
    pub code: u32,
    /// The linear address of a page fault (CR2), 0 otherwise.
    pub virt: u64,
    mark: Mark,
}

impl Trap {
    /// Divide error.
    pub const DIVIDE: u8 = 0;
    /// Debug exception.
    pub const DEBUG: u8 = 1;
    /// Non-maskable interrupt.
    pub const NON_MASKABLE: u8 = 2;
    /// Breakpoint.
    pub const BREAKPOINT: u8 = 3;
    /// Invalid opcode.
    pub const INVALID_OPCODE: u8 = 6;
    /// Double fault.
    pub const DOUBLE_FAULT: u8 = 8;
    /// Segment not present; here: a gate that is not present.
    pub const NOT_PRESENT: u8 = 11;
    /// General protection.
    pub const GENERAL_PROTECTION: u8 = 13;
    /// Page fault.
    pub const PAGE_FAULT: u8 = 14;
    /// Virtualization exception: the second level of permissions refuses what the tables allow.
    pub const VIRTUALIZATION: u8 = 20;
    /// Control protection: a return address is not the one that was pushed.
    pub const CONTROL_PROTECTION: u8 = 21;
    /// The clock's interrupt.
    pub const CLOCK: u8 = 0x20;
    /// The transfer device's interrupt.
    pub const TRANSFER: u8 = 0x21;
    /// The disk's interrupt.
    pub const DISK: u8 = 0x22;
    /// One processor wants another to look: an interprocessor interrupt.
    pub const INTERPROCESSOR: u8 = 0x23;
    /// The timer's interrupt, in machines that have one.
    pub const TIMER: u8 = 0x24;
    /// Fast fail (`int 29h`).
    pub const FAST_FAIL: u8 = 0x29;
    /// The fast-fail code, in rcx, of a program that ends itself (`FAST_FAIL_FATAL_APP_EXIT`; "__fastfail",
    /// winnt.h).
    pub const FATAL_APP_EXIT: u64 = 7;

    /// An exception without an error code.
    #[must_use]
    pub const fn plain(vector: u8) -> Self {
        Self { vector, code: 0, virt: 0, mark: Mark::Trap }
    }

    /// A page fault with this error code, raised by an access to `virt`.
    #[must_use]
    pub const fn page_fault(code: u32, virt: u64) -> Self {
        Self { code, virt, ..Self::plain(Self::PAGE_FAULT) }
    }

    /// The exception with this vector, raised by this access. A page fault says where, and that the page isn't
    /// there.
    #[must_use]
    pub(super) fn injected(vector: u8, operation: &Operation) -> Self {
        match vector {
            Self::PAGE_FAULT => {
                let code = if operation.kind == PointKind::Load { 0 } else { WRITE };
                Self::page_fault(code, operation.virt)
            }
            vector => Self::plain(vector),
        }
    }

    /// A general-protection exception with error code 0.
    #[must_use]
    pub const fn general_protection() -> Self {
        Self::plain(Self::GENERAL_PROTECTION)
    }

    /// A general protection raised by an access to an address that is not canonical. Hardware does not
    /// tell the address; a kernel that wants it decodes the instruction, which steps have none of, so the
    /// processor keeps it ([`Processor::refused_address`](super::Processor::refused_address)).
    #[must_use]
    pub const fn non_canonical(virt: u64) -> Self {
        Self { virt, ..Self::general_protection() }
    }

    /// The same raised by this access. What is fetched from such an address is none: whatever would go there is
    /// refused itself.
    #[must_use]
    pub const fn non_canonical_access(virt: u64, access: Access) -> Self {
        let mark = match access {
            Access::Read => Mark::Read,
            Access::Write => Mark::Write,
            Access::Execute => Mark::Trap,
        };
        Self { mark, ..Self::non_canonical(virt) }
    }

    /// Which access of data raised a general protection by its address: what a kernel decodes from the
    /// instruction, as it does the address. `None` where none did.
    #[must_use]
    pub const fn reference(&self) -> Option<Access> {
        match self.mark {
            Mark::Trap => None,
            Mark::Read => Some(Access::Read),
            Mark::Write => Some(Access::Write),
        }
    }

    /// A refusal of the second level: the bits of [`second_level`] that were refused, and the address.
    #[must_use]
    pub const fn virtualization(refused: u32, virt: u64) -> Self {
        Self { code: refused, virt, ..Self::plain(Self::VIRTUALIZATION) }
    }

    /// A double fault; the address of what ended in it is for who reads the events, hardware tells none.
    #[must_use]
    pub const fn double_fault(virt: u64) -> Self {
        Self { virt, ..Self::plain(Self::DOUBLE_FAULT) }
    }
}
