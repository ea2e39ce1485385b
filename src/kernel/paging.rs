//! How the kernel changes page tables: through the self-map of the current address space, and
//! through a window of its own for frames that are mapped nowhere.

use crate::base::{Rule, Structure};
use crate::kernel::configured::configured;
use crate::machine::paging::x86_64::ControlFlags;
use crate::machine::{Flow, KEEP_TRANSLATIONS, Processor, Trap, routine};

use super::layout::{address, kernel_data, switches};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::inferred(
        "self-map-shows-tables",
        "One page-map slot leads to the page map itself, so that all tables are a range of addresses.",
        "Frisk, Total Meltdown?, 2018",
    ),
    Rule::chosen(
        "window-per-processor",
        "A frame that is mapped nowhere is reached through one page a processor.",
        "this model: stands for system PTEs",
    ),
    Rule::chosen(
        "shootdown-without-interrupt",
        "Processors are made to drop translations one by one; none is interrupted or waited for.",
        "this model: stands for the interprocessor interrupt of a shootdown (Intel SDM 3A, \"Propagation of Paging-Structure Changes\")",
    ),
];

/// Entry: present.
pub const PRESENT: u64 = 1;
/// Entry: writable.
pub const WRITABLE: u64 = 2;
/// Entry: user-accessible.
pub const USER: u64 = 4;
/// Entry: not executable.
pub const NO_EXECUTE: u64 = 1 << 63;
/// Entry above the lowest level: maps a large page itself.
pub const LARGE: u64 = 1 << 7;
/// Entry that is not present: the page was trimmed from the working set, and its frame, which the entry
/// still names, keeps what it holds.
pub const TRIMMED: u64 = 1 << 10;
/// Entry: survives a load of the root, with CR4.PGE.
pub const GLOBAL: u64 = 1 << 8;
/// Entry of a kernel data page that only one address space or processor uses.
pub const SYSTEM_RW: u64 = PRESENT | WRITABLE | NO_EXECUTE;
/// Entry of a user data page.
pub const USER_RW: u64 = PRESENT | WRITABLE | USER | NO_EXECUTE;
/// Entry of a user code page.
pub const USER_CODE_PAGE: u64 = PRESENT | USER;
/// Entry of a paging structure on the way to user pages.
pub const USER_TABLE: u64 = PRESENT | WRITABLE | USER;
/// The frame address in an entry.
pub const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// The identifier in CR3.
pub const PCID: u64 = 0xfff;

/// Where the entry that maps `virt` appears.
///
/// # Errors
///
/// What the access to the kernel variable raises.
pub(super) fn entry_address(p: &mut Processor<'_>, virt: u64) -> Result<u64, Trap> {
    let slot = p.load(address::KERNEL_DATA, kernel_data::SELF_MAP_SLOT)? & 511;
    Ok(address::table_entry(slot, virt))
}

/// Whether an address is mapped, as the kernel finds it: level by level through the self-map. The caller has made
/// sure that it is canonical: another has no entries of its own ("MmIsAddressValid function").
///
/// # Errors
///
/// What the accesses raise.
pub(super) fn is_valid(p: &mut Processor<'_>, virt: u64) -> Result<bool, Trap> {
    let lowest = entry_address(p, virt)?;
    let directory = entry_address(p, lowest)?;
    let pointers = entry_address(p, directory)?;
    let root = entry_address(p, pointers)?;
    for at in [root, pointers, directory, lowest] {
        let entry = p.load_at(at, Structure::PageTable)?;
        if entry & PRESENT == 0 {
            return Ok(false);
        }
        if entry & LARGE != 0 && (at == pointers || at == directory) {
            return Ok(true);
        }
    }
    Ok(true)
}

/// The running processor's window.
pub(super) fn window(p: &Processor<'_>) -> u64 {
    address::WINDOWS + p.number() as u64 * 4096
}

/// The identifier in the low bits of a process's root: its number where translations are tagged
/// ("KVA Shadow: Mitigating Meltdown on Windows", "Performance"), else 0.
///
/// # Errors
///
/// What the access to the kernel variable raises.
pub(super) fn context_number(p: &mut Processor<'_>, number: u64) -> Result<u64, Trap> {
    let switches = configured(p)?;
    Ok(if switches & switches::CONTEXTS != 0 { number & PCID } else { 0 })
}

/// The identifier that translations of a root are tagged with, 0 where they are not. What the root says
/// alone does not decide: without CR4.PCIDE its low bits are no identifier, and INVPCID refuses one.
///
/// # Errors
///
/// What the read of CR4 raises.
pub(super) fn context_of(p: &mut Processor<'_>, root: u64) -> Result<u64, Trap> {
    let context = root & PCID;
    let is_tagged = context != 0 && p.control_flags()?.has(ControlFlags::PCIDE);
    Ok(if is_tagged { context } else { 0 })
}

/// Loads a root; where translations are tagged, those under its identifier stay. The system's are few and
/// not tagged. Where they are not, bit 63 is reserved.
///
/// # Errors
///
/// General protection where the root has a reserved bit.
pub(super) fn load_tagged_root(p: &mut Processor<'_>, root: u64) -> Result<(), Trap> {
    let is_tagged = context_of(p, root)? != 0;
    p.load_root(if is_tagged { root | KEEP_TRANSLATIONS } else { root })
}

/// Lets the running processor's window show what `entry` maps. It is looked through in every address
/// space and changed in any: where translations are tagged it is global, or what other identifiers
/// remember of it is old. Nobody looks through it without having changed it under the same one.
///
/// # Errors
///
/// What the store to the table raises.
pub(super) fn map_window(p: &mut Processor<'_>, entry: u64) -> Result<(), Trap> {
    let window = window(p);
    let at = entry_address(p, window)?;
    let switches = configured(p)?;
    p.store_at(at, Structure::PageTable, entry | global_where_tagged(switches))?;
    p.invalidate(window)
}

/// The bit of an entry of the system half that comes and goes while translations are tagged: it is
/// global, so that one invalidation reaches it in every address space; but not where user mode runs on
/// shadow roots, since a global translation outlives the change to them.
const fn global_where_tagged(switches: u64) -> u64 {
    let is_global = switches & switches::CONTEXTS != 0 && switches & switches::KVA_SHADOW == 0;
    if is_global { GLOBAL } else { 0 }
}

/// As [`global_where_tagged`], by the kernel's variable.
///
/// # Errors
///
/// What the access to the kernel variable raises.
pub(super) fn global_bit(p: &mut Processor<'_>) -> Result<u64, Trap> {
    let switches = configured(p)?;
    Ok(global_where_tagged(switches))
}

/// Puts an entry in the place of that of the address in the first argument. Locals: 0 becomes the address; 1 the
/// old entry; 2 is 0.
///
/// # Errors
///
/// What the accesses raise.
pub(super) fn replace(p: &mut Processor<'_>, entry: u64) -> Result<Flow, Trap> {
    let virt = p.argument(0);
    let at = entry_address(p, virt)?;
    let old = p.load_at(at, Structure::PageTable)?;
    p.set_local(0, virt)?;
    p.set_local(1, old)?;
    p.set_local(2, 0)?;
    p.store_at(at, Structure::PageTable, entry)?;
    if old & PRESENT == 0 {
        // What was not there cannot be remembered.
        return Ok(p.give_back(old));
    }
    Ok(Flow::Next)
}

/// Makes one processor after the other forget the address in local 0, but for the running one; local 2 is the number
/// of the next. Goes on to `done`.
///
/// # Errors
///
/// What the accesses raise.
pub(super) fn each_other(
    p: &mut Processor<'_>,
    done: u8,
    forget: impl FnOnce(&mut Processor<'_>, u64, u64) -> Result<(), Trap>,
) -> Result<Flow, Trap> {
    if configured(p)? & switches::NO_SHOOTDOWN != 0 {
        return Ok(Flow::To(done));
    }
    let number = p.local(2)?;
    let virt = p.local(0)?;
    if number >= p.processor_count() as u64 {
        return Ok(Flow::To(done));
    }
    p.set_local(2, number.wrapping_add(1))?;
    if number != p.number() as u64 {
        forget(p, number, virt)?;
    }
    Ok(Flow::Stay)
}

/// Gives the old entry in local 1 back.
///
/// # Errors
///
/// What the load raises.
pub(super) fn give_back_old(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let old = p.local(1)?;
    Ok(p.give_back(old))
}

routine! {
    /// Changes the lowest-level entry of an address of the current space and makes every processor
    /// forget the old one. Arguments: address, new entry. Result: the old entry.
    pub static MM_REPLACE_ENTRY = "MiWriteValidPte", frame 3;
    store => |p| {
        let entry = p.argument(1);
        replace(p, entry)
    },
    own => |p| {
        let virt = p.local(0)?;
        p.invalidate(virt)?;
        Ok(Flow::Next)
    },
    others => |p| each_other(p, At::done as u8, |p, number, virt| {
        p.invalidate_on(usize::try_from(number).unwrap_or(usize::MAX), virt)
    }),
    done => give_back_old,
}
