//! Exceptions as the processor raises them.

/// A byte that is never 0: what tells a word that was read from an exception then needs no word of its
/// own, and either comes back in two registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Mark {
    Trap = 1,
}

const _: () = assert!(size_of::<Result<u64, Trap>>() == 16);

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
    /// The clock's interrupt.
    pub const CLOCK: u8 = 0x20;
    /// The transfer device's interrupt.
    pub const TRANSFER: u8 = 0x21;
    /// The disk's interrupt.
    pub const DISK: u8 = 0x22;
    /// One processor wants another to look: an interprocessor interrupt.
    pub const INTERPROCESSOR: u8 = 0x23;
    /// Fast fail (`int 29h`).
    pub const FAST_FAIL: u8 = 0x29;

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

    /// A general-protection exception with error code 0.
    #[must_use]
    pub const fn general_protection() -> Self {
        Self::plain(Self::GENERAL_PROTECTION)
    }

    /// Whether it is one that turns into a double fault when raised while another is delivered
    /// (Intel SDM volume 3A, "Interrupt 8—Double Fault Exception": contributory and page faults).
    #[must_use]
    pub const fn is_contributory(self) -> bool {
        matches!(self.vector, 0 | 10 | 11 | 12 | 13 | 14)
    }
}
