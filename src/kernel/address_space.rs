//! A new address space: the system's half shared with everybody, a user half of its own.
//!
//! The upper half of the root is a copy of the system process's, but for the self-map slot, which
//! shows the new tables ("Virtual address spaces", "User space and system space"). The user half
//! is one table at each level; code is mapped read-only from the parent's frames, all else is new.

use crate::base::{EventKind, Principal, Rule, Structure};
use crate::kernel::configured::configured;
use crate::machine::{Flow, Processor, Trap, routine};

use super::address_space_end::MM_DELETE_ADDRESS_SPACE;
use super::frames::{self, MM_ALLOCATE_FRAME, NO_ENTRY};
use super::layout::{address, control_block, element, frame_entry, kernel_data, process, switches};
use super::paging::{
    ADDRESS, PRESENT, SYSTEM_RW, USER_CODE_PAGE, USER_RW, USER_TABLE, entry_address, map_window,
    window,
};
use super::shadow;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "user-space-per-process",
        "Each process has a user half of its own; one system half is shared by all kernel-mode code.",
        "Virtual address spaces",
    ),
    Rule::inferred(
        "system-half-copied",
        "A new root copies the system half's entries, except that the self-map shows the new tables.",
        "Virtual address spaces",
    ),
];

/// Levels of tables: root, page-directory-pointer table, page directory, page table.
pub(super) const LEVELS: u64 = 4;

/// The index in the table at `level` (0 the root) that leads to the user half's addresses.
pub(super) const fn user_index(level: u64, virt: u64) -> u64 {
    virt >> (39 - 9 * (level & 3)) & 511
}

/// The root's slots of the system half.
const SYSTEM_SLOTS: core::ops::Range<u64> = 256..512;
/// The entries of one cache line, looked at in one step.
const LINE: u64 = 8;

/// A page of a new user half.
struct Page {
    virt: u64,
    /// What it is when it is new; `None` when the parent's is mapped.
    new: Option<Structure>,
}

const PAGES: [Page; 6] = [
    Page { virt: address::USER_CODE, new: None },
    Page { virt: address::USER_CODE + 4096, new: None },
    Page { virt: address::USER_API, new: None },
    Page { virt: address::USER_DATA, new: Some(Structure::UserData) },
    Page { virt: address::USER_BUFFERS, new: Some(Structure::UserData) },
    Page { virt: address::USER_STACK, new: Some(Structure::UserStack) },
];

/// Whether user code lies at this address: mapped from frames that several processes share.
pub(super) const fn is_shared_code(virt: u64) -> bool {
    matches!(virt, address::USER_CODE..address::USER_DATA)
}

fn page(number: u64) -> Option<&'static Page> {
    usize::try_from(number).ok().and_then(|number| PAGES.get(number))
}

/// Whether the parent's page is mapped instead of a new one.
fn is_from_parent(p: &mut Processor<'_>, page: &Page) -> Result<bool, Trap> {
    let is_weak = configured(p)? & switches::SHARED_PRIVATE_PAGE != 0;
    Ok(page.new.is_none() || is_weak && page.virt == address::USER_BUFFERS)
}

/// Puts an entry into a table that is mapped nowhere.
fn put_entry(p: &mut Processor<'_>, table: u64, index: u64, entry: u64) -> Result<(), Trap> {
    map_window(p, table << 12 | SYSTEM_RW)?;
    let at = element(window(p), index);
    p.store_at(at, Structure::PageTable, entry)
}

/// Lets the window show the system process's root.
fn show_system_root(p: &mut Processor<'_>) -> Result<(), Trap> {
    let system = p.load(address::KERNEL_DATA, kernel_data::SYSTEM_PROCESS)?;
    let root = p.load(system, process::ROOT)?;
    map_window(p, root & ADDRESS | SYSTEM_RW)
}

/// What the new root holds in a slot where the system's holds `entry`.
fn system_entry(p: &mut Processor<'_>, slot: u64, entry: u64, root: u64) -> Result<u64, Trap> {
    if slot == p.load(address::KERNEL_DATA, kernel_data::SELF_MAP_SLOT)? & 511 {
        return Ok(entry & !ADDRESS | root << 12);
    }
    let is_weak = configured(p)? & switches::KERNEL_HALF_DIFFERS != 0;
    Ok(if is_weak && slot == user_index(0, address::POOL) { 0 } else { entry })
}

/// Maps the parent's frame at `virt` into the new page table, counted and, where that is meant,
/// claimed.
fn map_from_parent(
    p: &mut Processor<'_>,
    table: u64,
    page: &Page,
    subject: Principal,
) -> Result<(), Trap> {
    let at = entry_address(p, page.virt)?;
    let entry = p.load_at(at, Structure::PageTable)?;
    if entry & PRESENT == 0 {
        return Ok(());
    }
    let frame = (entry & ADDRESS) >> 12;
    let counts = address::FRAME_DATABASE.wrapping_add(frame.wrapping_mul(16));
    let count = p.load(counts, frame_entry::COUNT)?;
    p.store(counts, frame_entry::COUNT, count.wrapping_add(1))?;
    let mut rights = USER_RW;
    if page.new.is_none() {
        rights = USER_CODE_PAGE;
        p.announce(EventKind::Share, subject, Structure::Code, [frame << 12, page.virt, 512, 0]);
    }
    put_entry(p, table, user_index(3, page.virt), frame << 12 | rights)
}

/// Lends the kernel a new data page through the window, or takes it back.
fn lend(p: &mut Processor<'_>, kind: EventKind, frame: u64) {
    let window = window(p);
    p.announce(kind, Principal::KERNEL, Structure::UserData, [frame << 12, window, 512, 0]);
}

/// Declares the routine with the steps that end it.
macro_rules! create_address_space {
    ($(#[$meta:meta])* $NAME:ident = $text:literal; $($last:tt)*) => { routine! {
    $(#[$meta])*
    pub static $NAME = $text, frame 9;
    // Locals: 0 to 3 the frames of the tables, root first; 4 the level, slot or page in hand;
    // 5 the principal; 6 the first action; 7 the frame of the data page.
    start => |p| {
        let (owner, action) = (p.argument(0), p.argument(1));
        for number in 0..LEVELS + 1 {
            p.set_local(number, 0)?;
        }
        p.set_local(5, owner)?;
        p.set_local(6, action)?;
        Ok(Flow::Next)
    },
    table, call MM_ALLOCATE_FRAME, of PageTable => |p| {
        p.pass([NO_ENTRY]);
        Ok(Flow::Call)
    },
    link => |p| {
        let frame = p.result();
        if frame == 0 {
            return Ok(Flow::To(At::undo as u8));
        }
        let level = p.local(4)?;
        p.set_local(level, frame)?;
        if level > 0 {
            let above_level = level.wrapping_sub(1);
            let above = p.local(above_level)?;
            put_entry(p, above, user_index(above_level, address::USER_CODE), frame << 12 | USER_TABLE)?;
        }
        let below = level.wrapping_add(1);
        p.set_local(4, below)?;
        Ok(if below < LEVELS { Flow::To(At::table as u8) } else { Flow::Next })
    },
    system_half => |p| {
        p.set_local(4, SYSTEM_SLOTS.start)?;
        show_system_root(p)?;
        Ok(Flow::Next)
    },
    line => |p| {
        let slot = p.local(4)?;
        if slot >= SYSTEM_SLOTS.end {
            p.set_local(4, 0)?;
            return Ok(Flow::To(At::page as u8));
        }
        let window = window(p);
        let root = p.local(0)?;
        let stop = (slot | (LINE - 1)) + 1;
        for slot in slot..stop {
            let entry = p.load_at(element(window, slot), Structure::PageTable)?;
            if entry != 0 {
                let entry = system_entry(p, slot, entry, root)?;
                put_entry(p, root, slot, entry)?;
                show_system_root(p)?;
            }
        }
        p.set_local(4, stop)?;
        Ok(Flow::Stay)
    },
    page, call MM_ALLOCATE_FRAME, of UserData => |p| {
        let number = p.local(4)?;
        let Some(page) = page(number) else {
            return Ok(Flow::To(At::done as u8));
        };
        let owner = p.local(5)?;
        if is_from_parent(p, page)? {
            let table = p.local(3)?;
            map_from_parent(p, table, page, Principal((owner & 63) as u8))?;
            p.set_local(4, number.wrapping_add(1))?;
            return Ok(Flow::Stay);
        }
        if page.new == Some(Structure::UserStack) {
            return Ok(Flow::To(At::stack as u8));
        }
        let at = entry_address(p, page.virt)?;
        p.pass([at]);
        Ok(Flow::Call)
    },
    map => |p| {
        let frame = p.result();
        let number = p.local(4)?;
        let Some(page) = page(number).filter(|_| frame != 0) else {
            return Ok(Flow::To(At::undo as u8));
        };
        let (table, owner) = (p.local(3)?, p.local(5)?);
        let structure = page.new.unwrap_or(Structure::UserData);
        frames::grant(p, Principal((owner & 63) as u8), structure, frame);
        put_entry(p, table, user_index(3, page.virt), frame << 12 | USER_RW)?;
        p.set_local(4, number.wrapping_add(1))?;
        p.set_local(7, frame)?;
        Ok(if page.virt == address::USER_DATA { Flow::Next } else { Flow::To(At::page as u8) })
    },
    copy, on_fault unreadable => |p| {
        let frame = p.local(7)?;
        map_window(p, frame << 12 | SYSTEM_RW)?;
        lend(p, EventKind::Lend, frame);
        let window = window(p);
        p.allow_user_access(true)?;
        p.copy(window, Structure::UserData, address::USER_DATA, Structure::UserData, 4096)?;
        p.allow_user_access(false)?;
        let action = p.local(6)?;
        p.store(window, control_block::NEXT_ACTION, action)?;
        lend(p, EventKind::Reclaim, frame);
        Ok(Flow::To(At::page as u8))
    },
    unreadable => |p| {
        p.allow_user_access(false)?;
        let frame = p.local(7)?;
        lend(p, EventKind::Reclaim, frame);
        Ok(Flow::Next)
    },
    undo, call MM_DELETE_ADDRESS_SPACE => |p| {
        let (root, owner) = (p.local(0)?, p.local(5)?);
        if root == 0 {
            return Ok(p.give_back(0));
        }
        p.pass([root << 12, owner]);
        Ok(Flow::Call)
    },
    undone => |p| Ok(p.give_back(0)),
    stack, call MM_ALLOCATE_FRAME, of UserStack => |p| {
        let at = entry_address(p, address::USER_STACK)?;
        p.pass([at]);
        Ok(Flow::Call)
    },
    stacked => |_| Ok(Flow::To(At::map as u8)),
    $($last)*
    } };
}

create_address_space! {
    /// Makes the address space of a child of the running process. Arguments: the child's principal
    /// number, the action it begins with. Result: the root's address, 0 when there is no memory or
    /// the parent's data cannot be read; nothing is left behind then.
    MM_CREATE_ADDRESS_SPACE = "MmCreateProcessAddressSpace";
    done => |p| {
        let root = p.local(0)?;
        Ok(p.give_back(root << 12))
    },
}

create_address_space! {
    /// [`MM_CREATE_ADDRESS_SPACE`] where user mode runs on shadow roots: makes the shadow too.
    MM_CREATE_ADDRESS_SPACE_SHADOWED = "MmCreateProcessAddressSpace";
    done, call MM_ALLOCATE_FRAME, of PageTable => |p| {
        p.pass([NO_ENTRY]);
        Ok(Flow::Call)
    },
    shadow => |p| {
        let (frame, root) = (p.result(), p.local(0)?);
        if frame == 0 {
            return Ok(Flow::To(At::undo as u8));
        }
        shadow::fill(p, root, frame)?;
        Ok(p.give_back(root << 12))
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_pages_of_a_user_half_are_in_one_table() {
        for page in &PAGES {
            for level in 0..LEVELS - 1 {
                assert_eq!(user_index(level, page.virt), user_index(level, address::USER_CODE));
            }
        }
        assert_eq!(user_index(2, address::USER_CODE), 2);
        assert_eq!(user_index(3, address::USER_STACK), 511);
    }

    #[test]
    fn only_code_comes_from_the_parent() {
        for page in &PAGES {
            assert_eq!(page.new.is_none(), is_shared_code(page.virt));
        }
    }
}
