//! Where things lie in the guest's physical memory, and in the records that host and guest exchange.
//!
//! Below 4 MiB everything is the agent's own; above lie the memory of the cases and nothing else.
//! The agent maps itself, the tables and the data memory one to one, through entry 0 of the top
//! level, which no case uses.

/// Bytes from 0 that are the agent's own.
pub(super) const AGENT_BYTES: u64 = 0x40_0000;

pub(super) const GDT: u64 = 0x1000;
pub(super) const IDT: u64 = 0x2000;
pub(super) const TSS: u64 = 0x3000;
/// The agent's code: a supervisor-mode page.
pub(super) const CODE: u64 = 0x4000;
/// A copy of the accesses for privilege level 3: the agent's only user-mode page.
pub(super) const USER_CODE: u64 = 0x5000;
/// Where the agent's stack begins; it grows down.
pub(super) const STACK_TOP: u64 = 0x7000;
/// Where every exception finds an empty stack (IST 1).
pub(super) const EXCEPTION_STACK_TOP: u64 = 0x8000;
/// What the agent saw in CR0, CR4 and `IA32_EFER` when the batch began.
pub(super) const CONTROLS_SEEN: u64 = 0x8000;
/// One word for each table entry that a case does not have, and for a page it does not reach.
pub(super) const SCRATCH: u64 = 0x9000;
/// Tables that map the agent.
pub(super) const OWN_PDPT: u64 = 0x1_0000;
pub(super) const OWN_PD_LOW: u64 = 0x1_1000;
pub(super) const OWN_PD_HIGH: u64 = 0x1_2000;
pub(super) const OWN_PT: u64 = 0x1_3000;
pub(super) const OWN_PML4: u64 = 0x1_4000;
pub(super) const CASES: u64 = 0x20_0000;
pub(super) const RESULTS: u64 = 0x30_0000;

/// Cases of one entry into the guest at most.
pub(super) const BATCH_MAX: usize = 2048;

pub(super) const KERNEL_CODE_SELECTOR: u16 = 0x08;
pub(super) const KERNEL_DATA_SELECTOR: u16 = 0x10;
pub(super) const USER_CODE_SELECTOR: u16 = 0x1b;
pub(super) const USER_DATA_SELECTOR: u16 = 0x23;
pub(super) const TSS_SELECTOR: u16 = 0x28;

/// The port to which the agent writes when a batch is done.
pub(super) const DONE_PORT: u16 = 0x10;

/// What the guest is told of a case: 64-bit words, by number.
pub(super) mod told {
    /// Five addresses of table entries, from e1 up.
    pub(in super::super) const PLACES: usize = 0;
    /// Their values.
    pub(in super::super) const ENTRIES: usize = 5;
    pub(in super::super) const VIRT: usize = 10;
    pub(in super::super) const MARKER: usize = 11;
    /// Where the fetched code returns to.
    pub(in super::super) const END: usize = 12;
    /// The frame IRETQ takes.
    pub(in super::super) const SS: usize = 13;
    pub(in super::super) const RSP: usize = 14;
    pub(in super::super) const RFLAGS: usize = 15;
    pub(in super::super) const CS: usize = 16;
    pub(in super::super) const RIP: usize = 17;
    /// The word of data memory that the access should reach, and what belongs there.
    pub(in super::super) const WORD_PLACE: usize = 18;
    pub(in super::super) const WORD: usize = 19;
    /// Whether to load PKRU, and with what.
    pub(in super::super) const LOADS_PKRU: usize = 20;
    pub(in super::super) const PKRU: usize = 21;
    /// How many words there are.
    pub(in super::super) const WORDS: usize = 22;
}

/// What the guest says became of it: 64-bit words, by number.
pub(super) mod said {
    /// The vector of the exception that ended it, or [`NO_EXCEPTION`].
    pub(in super::super) const VECTOR: usize = 0;
    pub(in super::super) const ERROR_CODE: usize = 1;
    pub(in super::super) const RIP: usize = 2;
    pub(in super::super) const CS: usize = 3;
    pub(in super::super) const RAX: usize = 4;
    pub(in super::super) const CR2: usize = 5;
    /// The word of data memory afterwards.
    pub(in super::super) const WORD: usize = 6;
    /// The five table entries afterwards, from e1 up.
    pub(in super::super) const ENTRIES: usize = 7;
    /// How many words there are.
    pub(in super::super) const WORDS: usize = 12;

    /// An access at privilege level 0 that was carried out ends without an exception.
    pub(in super::super) const NO_EXCEPTION: u64 = 32;
}

/// The byte offset of a word in its record.
pub(super) fn offset(word: usize) -> u32 {
    u32::try_from(8 * word).expect("a record is a few words long")
}
