//! Descriptor tables, task state and the page tables that map the agent.

use super::agent::{Agent, HANDLER_BYTES};
use super::layout::{
    EXCEPTION_STACK_TOP, GDT, IDT, KERNEL_CODE_SELECTOR, OWN_PD_HIGH, OWN_PD_LOW, OWN_PDPT,
    OWN_PML4, OWN_PT, STACK_TOP, TSS, USER_CODE,
};

/// One stretch of guest memory: where, and its 64-bit words.
pub(super) type Words = (u64, Vec<u64>);

/// Bytes of a task-state segment without an I/O map, less one (Intel SDM volume 3A, "Task Management
/// in 64-bit Mode").
pub(super) const TSS_LIMIT: u16 = 0x67;

/// The limit of the global descriptor table: five segments and a task state of two words.
pub(super) const GDT_LIMIT: u16 = 8 * 7 - 1;

/// The limit of the interrupt descriptor table: a gate for each exception.
pub(super) const IDT_LIMIT: u16 = 16 * 32 - 1;

/// Everything the processor reads of its own accord but the cases' tables.
pub(super) fn structures(agent: &Agent) -> Vec<Words> {
    let mut structures = vec![(GDT, descriptors()), (IDT, gates(agent)), (TSS, task_state())];
    structures.extend(own_tables());
    structures
}

/// Intel SDM volume 3A, "Segment Descriptors": present, 64-bit code or writable data, base 0.
fn descriptors() -> Vec<u64> {
    let task = 0x0000_8900_0000_0000 | (TSS & 0xff_ffff) << 16 | u64::from(TSS_LIMIT);
    vec![
        0,
        0x00af_9b00_0000_ffff, // code, privilege level 0
        0x00cf_9300_0000_ffff, // data, privilege level 0
        0x00af_fb00_0000_ffff, // code, privilege level 3
        0x00cf_f300_0000_ffff, // data, privilege level 3
        task,
        0,
    ]
}

/// Interrupt gates to the handlers, each on the stack of IST 1 (Intel SDM volume 3A, "64-Bit Mode
/// IDT").
fn gates(agent: &Agent) -> Vec<u64> {
    let mut words = Vec::new();
    for vector in 0..32 {
        let handler = agent.handlers + HANDLER_BYTES * vector;
        let low = handler & 0xffff
            | u64::from(KERNEL_CODE_SELECTOR) << 16
            | 1 << 32
            | 0x8e << 40
            | (handler >> 16 & 0xffff) << 48;
        words.extend([low, handler >> 32]);
    }
    words
}

/// Intel SDM volume 3A, "Task Management in 64-bit Mode": RSP0 at byte 4, IST 1 at byte 36, the I/O
/// map beyond the limit at byte 102.
fn task_state() -> Vec<u64> {
    let mut words = vec![0; 13];
    words[0] = STACK_TOP << 32;
    words[4] = EXCEPTION_STACK_TOP << 32;
    words[12] = u64::from(TSS_LIMIT + 1) << 48;
    words
}

/// Present, writable, user, accessed: what lies below decides who may.
const TABLE: u64 = 0x27;
/// Present, writable, accessed, dirty: a supervisor-mode page.
const KERNEL_PAGE: u64 = 0x63;
const USER_PAGE: u64 = KERNEL_PAGE | 4;
const LARGE: u64 = 0x80;

/// The first 2 MiB page by page, the rest of the memory there is in pages of 2 MiB. No entry sets
/// XD, which is reserved without `IA32_EFER.NXE`.
fn own_tables() -> Vec<Words> {
    let mut pages: Vec<u64> = (0..512).map(|page| page << 12 | KERNEL_PAGE).collect();
    pages[usize::try_from(USER_CODE >> 12).expect("a low page")] = USER_CODE | USER_PAGE;
    let large = |number: u64| number << 21 | KERNEL_PAGE | LARGE;
    let mut low = vec![OWN_PT | TABLE];
    low.extend((1..12).map(large));
    let mut high = vec![0; 8];
    high.extend((520..524).map(large));
    vec![
        (0x60_0000, vec![OWN_PDPT | TABLE]),
        (0x61_0000, vec![OWN_PML4 | TABLE]),
        (OWN_PML4, vec![OWN_PDPT | TABLE]),
        (OWN_PDPT, vec![OWN_PD_LOW | TABLE, OWN_PD_HIGH | TABLE]),
        (OWN_PD_LOW, low),
        (OWN_PD_HIGH, high),
        (OWN_PT, pages),
    ]
}
