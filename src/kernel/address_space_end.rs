//! An address space goes: its pages, then its tables, from the leaves up.
//!
//! No processor may have it loaded any more. Each entry is cleared before its frame is given back,
//! so that at no moment a table leads to a frame that is free ("Terminating a Process": memory is
//! deallocated, the object remains until its last handle is closed).

use crate::base::{EventKind, Principal, Rule, Structure};
use crate::machine::{Flow, routine};

use super::address_space::{LEVELS, is_shared_code, user_index};
use super::frames::{ANY_ENTRY, MM_FREE_FRAME, NO_ENTRY};
use super::layout::{address, element, switches};
use super::paging::{ADDRESS, PRESENT, SYSTEM_RW, entry_address, map_window, window};
use super::shadow;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "memory-ends-with-process",
        "A process's memory is given back when it ends.",
        "Terminating a Process",
    ),
    Rule::chosen(
        "tables-cleared-leaves-first",
        "Entries are cleared before their frames are free, so that no table leads to a free frame.",
        "this model: the order that leaves no stale entry",
    ),
];

/// Entries of a table.
const ENTRIES: u64 = 512;
/// The entries of one cache line, looked at in one step.
const LINE: u64 = 8;

/// How what lies at this user address is shared with other processes, if it is.
fn shared_structure(virt: u64) -> Option<Structure> {
    if is_shared_code(virt) {
        return Some(Structure::Code);
    }
    (address::USER_VIEWS..address::USER_STACK).contains(&virt).then_some(Structure::SharedSection)
}

/// Declares the routine with steps before the first table.
macro_rules! delete_address_space {
    ($(#[$meta:meta])* $NAME:ident = $text:literal; $($first:tt)*) => { routine! {
    $(#[$meta])*
    pub static $NAME = $text, frame 7;
    // Locals: 0 to 3 the frames of the tables, root first, 0 where there is none; 4 the level or
    // entry in hand; 5 the principal; 6 the address that the lowest table in hand begins with.
    start => |p| {
        let (root, owner) = (p.argument(0), p.argument(1));
        for number in 1..LEVELS {
            p.set_local(number, 0)?;
        }
        p.set_local(0, (root & ADDRESS) >> 12)?;
        p.set_local(4, 0)?;
        p.set_local(5, owner)?;
        p.set_local(6, 0)?;
        Ok(Flow::Next)
    },
    $($first)*
    descend => |p| {
        let level = p.local(4)?;
        let below = level.wrapping_add(1);
        if below >= LEVELS {
            p.set_local(4, 0)?;
            let table = p.local(level)?;
            map_window(p, table << 12 | SYSTEM_RW)?;
            return Ok(Flow::Next);
        }
        let table = p.local(level)?;
        map_window(p, table << 12 | SYSTEM_RW)?;
        let base = p.local(6)?;
        let at = element(window(p), user_index(level, base));
        let entry = p.load_at(at, Structure::PageTable)?;
        if entry & PRESENT == 0 {
            p.set_local(4, LEVELS)?;
            if base == 0 {
                return Ok(Flow::To(At::second as u8));
            }
            return Ok(Flow::To(At::table as u8));
        }
        p.set_local(below, (entry & ADDRESS) >> 12)?;
        p.set_local(4, below)?;
        Ok(Flow::Stay)
    },
    line, call MM_FREE_FRAME => |p| {
        let index = p.local(4)?;
        if index >= ENTRIES {
            p.set_local(4, LEVELS)?;
            return Ok(Flow::To(if p.local(6)? == 0 { At::low_table as u8 } else { At::table as u8 }));
        }
        // The window shows the lowest table all the while: freeing a frame does not use it.
        let window = window(p);
        let stop = (index | (LINE - 1)) + 1;
        for index in index..stop {
            let entry = p.load_at(element(window, index), Structure::PageTable)?;
            if entry & PRESENT == 0 {
                continue;
            }
            p.store_at(element(window, index), Structure::PageTable, 0)?;
            p.set_local(4, index.wrapping_add(1))?;
            let frame = entry & ADDRESS;
            let virt = p.local(6)?.wrapping_add(index.wrapping_mul(4096));
            let mut mapped_by = entry_address(p, virt)?;
            if let Some(structure) = shared_structure(virt) {
                mapped_by = NO_ENTRY;
                let subject = Principal((p.local(5)? & 63) as u8);
                p.announce(EventKind::Unshare, subject, structure, [frame, virt, 512, 0]);
            }
            p.pass([frame >> 12, mapped_by, entry]);
            return Ok(Flow::Call);
        }
        p.set_local(4, stop)?;
        Ok(Flow::Stay)
    },
    again => |_| Ok(Flow::To(At::line as u8)),
    table, call MM_FREE_FRAME => |p| {
        let above = p.local(4)?;
        if above == 0 {
            return Ok(Flow::Return);
        }
        let level = above.wrapping_sub(1);
        p.set_local(4, level)?;
        let frame = p.local(level)?;
        if frame == 0 {
            return Ok(Flow::Stay);
        }
        if level > 0 {
            let parent_level = level.wrapping_sub(1);
            let parent = p.local(parent_level)?;
            map_window(p, parent << 12 | SYSTEM_RW)?;
            let at = element(window(p), user_index(parent_level, address::USER_CODE));
            p.store_at(at, Structure::PageTable, 0)?;
        }
        if level == 0 && p.defects() & switches::ROOT_KEPT != 0 {
            return Ok(Flow::Return);
        }
        p.pass([frame, ANY_ENTRY, 0]);
        Ok(Flow::Call)
    },
    next_table => |_| Ok(Flow::To(At::table as u8)),
    // The table of the low pages is there only when the process asked for some.
    low_table, call MM_FREE_FRAME => |p| {
        let (directory, table) = (p.local(LEVELS - 2)?, p.local(LEVELS - 1)?);
        map_window(p, directory << 12 | SYSTEM_RW)?;
        let at = element(window(p), user_index(LEVELS - 2, 0));
        p.store_at(at, Structure::PageTable, 0)?;
        p.pass([table, ANY_ENTRY, 0]);
        Ok(Flow::Call)
    },
    second => |p| {
        for number in 1..LEVELS {
            p.set_local(number, 0)?;
        }
        p.set_local(4, 0)?;
        p.set_local(6, address::USER_CODE)?;
        Ok(Flow::To(At::descend as u8))
    },
    } };
}

delete_address_space! {
    /// Frees the user half of an address space and its tables. Arguments: the root's address, the
    /// principal whose it was.
    MM_DELETE_ADDRESS_SPACE = "MmDeleteProcessAddressSpace";
}

delete_address_space! {
    /// [`MM_DELETE_ADDRESS_SPACE`] where user mode runs on shadow roots: the shadow goes first.
    MM_DELETE_ADDRESS_SPACE_SHADOWED = "MmDeleteProcessAddressSpace";
    shadow, call MM_FREE_FRAME => |p| {
        let root = p.local(0)?;
        let Some(frame) = shadow::part(p, root)? else { return Ok(Flow::Next) };
        p.pass([frame, ANY_ENTRY, 0]);
        Ok(Flow::Call)
    },
}
