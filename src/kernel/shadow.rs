//! Shadow roots: what the tables of a process look like while user mode runs (kernel virtual address
//! shadow).
//!
//! Each process has two roots. The full one, on which kernel mode runs, maps both halves; its entries
//! of the user half are closed to execution. The shadow one has the same entry of the user half, open,
//! so that both share all tables below and neither can lag behind; and in the system half one entry,
//! of tables that all shadow roots share, which map what entries and exits need and nothing else.
//! The link of the full root's frame names the shadow's.
//!
//! The system process's shadow is the pattern of others and maps no user half.

use crate::base::{Rule, Structure};
use crate::kernel::configured::configured;
use crate::machine::{Flow, Processor, Substitute, Trap, routine};

use super::address_space::{MM_CREATE_ADDRESS_SPACE, MM_CREATE_ADDRESS_SPACE_SHADOWED, user_index};
use super::address_space_end::{MM_DELETE_ADDRESS_SPACE, MM_DELETE_ADDRESS_SPACE_SHADOWED};
use super::layout::{
    SHADOWED, address, element, frame_entry, kernel_data, process, switches, transition_block,
};
use super::paging::{
    ADDRESS, GLOBAL, MM_REPLACE_ENTRY, NO_EXECUTE, PCID, SYSTEM_RW, context_of, each_other,
    give_back_old, map_window, replace, window,
};
use super::transition::block_of;
use super::{host_time_out, interrupt, schedule, system_call, watchdog};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "two-roots-a-process",
        "User mode runs on a root that maps its half and what transitions need; kernel mode on a full one.",
        "KVA Shadow: Mitigating Meltdown on Windows",
    ),
    Rule::inferred(
        "user-half-shared-by-both-roots",
        "The shadow root copies top-level entries, so that all tables below are one for both.",
        "Linux documentation, Page Table Isolation (PTI)",
    ),
    Rule::inferred(
        "user-half-no-execute-in-the-full-root",
        "Entries of the user half are closed to execution in the full root.",
        "Linux documentation, Page Table Isolation (PTI) (of Windows in a third party's article only)",
    ),
    Rule::inferred(
        "kernel-translations-not-global",
        "No translation of the kernel is global, since those outlive the change to the shadow root.",
        "Linux documentation, Page Table Isolation (PTI)",
    ),
    Rule::inferred(
        "an-identifier-for-each-root",
        "Where translations are tagged, user mode has an identifier of its own in each process.",
        "KVA Shadow: Mitigating Meltdown on Windows; Linux documentation, Page Table Isolation (PTI)",
    ),
];

/// What takes a routine's place where user mode runs on shadow roots. It has the same name, so that a point
/// of injection is the same with and without.
pub const SUBSTITUTES: &[Substitute] = &[
    (&system_call::KI_SYSTEM_CALL, &system_call::KI_SYSTEM_SERVICE_USER),
    (&schedule::KI_THREAD_START, &schedule::KI_THREAD_START_SHADOWED),
    (&schedule::KI_SWAP_CONTEXT, &schedule::KI_SWAP_CONTEXT_SHADOWED),
    (&schedule::KI_EXIT_THREAD, &schedule::KI_EXIT_THREAD_SHADOWED),
    (&MM_CREATE_ADDRESS_SPACE, &MM_CREATE_ADDRESS_SPACE_SHADOWED),
    (&MM_DELETE_ADDRESS_SPACE, &MM_DELETE_ADDRESS_SPACE_SHADOWED),
    (&MM_REPLACE_ENTRY, &MM_REPLACE_ENTRY_SHADOWED),
    (&interrupt::KI_CLOCK_INTERRUPT, &interrupt::KI_CLOCK_INTERRUPT_SHADOWED),
    (&interrupt::KI_CLOCK_INTERRUPT_CHECKING, &interrupt::KI_CLOCK_INTERRUPT_CHECKING_SHADOWED),
    (&interrupt::KI_CLOCK_INTERRUPT_TRIMMING, &interrupt::KI_CLOCK_INTERRUPT_TRIMMING_SHADOWED),
    (&interrupt::KI_TRANSFER_INTERRUPT, &interrupt::KI_TRANSFER_INTERRUPT_SHADOWED),
    (&interrupt::KI_TRANSFER_INTERRUPT_WATCHED, &interrupt::KI_TRANSFER_INTERRUPT_WATCHED_SHADOWED),
    (&interrupt::KI_DISK_INTERRUPT, &interrupt::KI_DISK_INTERRUPT_SHADOWED),
    (&interrupt::KI_INTERPROCESSOR_INTERRUPT, &interrupt::KI_INTERPROCESSOR_INTERRUPT_SHADOWED),
    (&host_time_out::KI_TIMER_INTERRUPT, &host_time_out::KI_TIMER_INTERRUPT_SHADOWED),
    (&watchdog::KI_WATCHDOG_TICK, &watchdog::KI_WATCHDOG_TICK_SHADOWED),
];

/// What besides takes a routine's place there where hosts must answer in time.
pub const SUBSTITUTES_IN_TIME: &[Substitute] = &[(
    &interrupt::KI_INTERPROCESSOR_INTERRUPT_SHADOWED,
    &host_time_out::KI_INTERPROCESSOR_INTERRUPT_ENDING_SHADOWED,
)];

/// Set in the identifier of a process's user mode; the rest is that of its kernel mode.
pub(super) const USER_CONTEXT: u64 = 0x800;

/// The identifier of user mode beside that of kernel mode; both are 0 where translations aren't tagged.
pub(super) const fn user_context(context: u64) -> u64 {
    if context == 0 { 0 } else { context | USER_CONTEXT }
}

/// Where the link of a frame is.
const fn link_of(frame: u64) -> u64 {
    address::FRAME_DATABASE.wrapping_add(frame.wrapping_mul(16))
}

/// The frame of a full root's shadow; `None` when it has none.
///
/// # Errors
///
/// What the load raises.
pub(super) fn shadow_of(p: &mut Processor<'_>, root: u64) -> Result<Option<u64>, Trap> {
    let link = p.load(link_of((root & ADDRESS) >> 12), frame_entry::NEXT)?;
    Ok((link & SHADOWED != 0).then_some(link & !SHADOWED))
}

/// Tells the entries and exits of the running processor which roots they change between: those of the
/// address space with this full root.
///
/// # Errors
///
/// What the accesses raise.
pub(super) fn note_roots(p: &mut Processor<'_>, root: u64) -> Result<(), Trap> {
    let frame = shadow_of(p, root)?.unwrap_or(0);
    let block = block_of(p);
    p.store(block, transition_block::KERNEL_ROOT, root)?;
    p.store(block, transition_block::USER_ROOT, frame << 12 | user_context(root & PCID))
}

/// Makes every processor forget what it remembers of a process's user mode, by its full root.
///
/// # Errors
///
/// What the instructions raise.
pub(super) fn forget_user_context(p: &mut Processor<'_>, root: u64) -> Result<(), Trap> {
    let context = context_of(p, root)?;
    if context != 0 {
        for number in 0..p.processor_count() {
            p.invalidate_context_on(number, user_context(context))?;
        }
    }
    Ok(())
}

/// An entry of a table that is mapped nowhere.
fn entry_in(p: &mut Processor<'_>, table: u64, slot: u64) -> Result<u64, Trap> {
    map_window(p, table << 12 | SYSTEM_RW)?;
    let at = element(window(p), slot);
    p.load_at(at, Structure::PageTable)
}

/// Changes an entry of a table that is mapped nowhere.
fn put_entry(p: &mut Processor<'_>, table: u64, slot: u64, entry: u64) -> Result<(), Trap> {
    map_window(p, table << 12 | SYSTEM_RW)?;
    let at = element(window(p), slot);
    p.store_at(at, Structure::PageTable, entry)
}

/// Makes an empty frame the shadow of a full root: the entry of the user half, which the full root closes
/// to execution, and the entry that all shadow roots share.
///
/// # Errors
///
/// What the accesses raise.
pub(super) fn fill(p: &mut Processor<'_>, root: u64, shadow: u64) -> Result<(), Trap> {
    let user = user_index(0, address::USER_CODE);
    let entry = entry_in(p, root, user)?;
    put_entry(p, shadow, user, entry)?;
    put_entry(p, root, user, entry | NO_EXECUTE)?;
    let system = p.load(address::KERNEL_DATA, kernel_data::SYSTEM_PROCESS)?;
    let full = p.load(system, process::ROOT)?;
    let switches = configured(p)?;
    let pattern = if switches & switches::SHADOW_KEEPS_KERNEL == 0 {
        shadow_of(p, full)?.unwrap_or(0)
    } else {
        (full & ADDRESS) >> 12
    };
    let shared = user_index(0, address::SYSTEM);
    let entry = entry_in(p, pattern, shared)?;
    put_entry(p, shadow, shared, entry)?;
    p.store(link_of(root), frame_entry::NEXT, shadow | SHADOWED)?;
    p.name_shadow(root << 12, shadow << 12)
}

/// Takes a full root's shadow from it: its entry of the user half goes before its frame does. Returns the
/// frame, `None` when there is none.
///
/// # Errors
///
/// What the accesses raise.
pub(super) fn part(p: &mut Processor<'_>, root: u64) -> Result<Option<u64>, Trap> {
    let Some(shadow) = shadow_of(p, root << 12)? else { return Ok(None) };
    put_entry(p, shadow, user_index(0, address::USER_CODE), 0)?;
    p.store(link_of(root), frame_entry::NEXT, 0)?;
    Ok(Some(shadow))
}

/// Makes a processor forget a page of the loaded address space, under both of its identifiers; of the
/// system half, under any.
fn forget(p: &mut Processor<'_>, number: u64, virt: u64) -> Result<(), Trap> {
    let is_own = number == p.number() as u64;
    let other = usize::try_from(number).unwrap_or(usize::MAX);
    let switches = configured(p)?;
    if switches & switches::CONTEXTS != 0 && virt >= address::USER_LIMIT {
        return p.invalidate_contexts_on(other);
    }
    if is_own {
        p.invalidate(virt)?;
    } else {
        p.invalidate_on(other, virt)?;
    }
    let loaded = p.root()?;
    let context = context_of(p, loaded)?;
    if context != 0 && switches & switches::SHADOW_CONTEXT_KEPT == 0 {
        p.invalidate_of_context_on(other, virt, user_context(context))?;
    }
    Ok(())
}

routine! {
    /// [`MM_REPLACE_ENTRY`] where user mode runs on shadow roots: no entry is global, and both identifiers
    /// of the address space forget the old one.
    pub static MM_REPLACE_ENTRY_SHADOWED = "MiWriteValidPte", frame 3;
    store => |p| {
        let entry = p.argument(1) & !GLOBAL;
        replace(p, entry)
    },
    own => |p| {
        let virt = p.local(0)?;
        let own = p.number() as u64;
        forget(p, own, virt)?;
        Ok(Flow::Next)
    },
    others => |p| each_other(p, At::done as u8, forget),
    done => give_back_old,
}
