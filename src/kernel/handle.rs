//! Handles: an entry in the table of one process, with the rights granted when it was opened.
//!
//! Handles are of one process and of no other; the low two bits of a value are ignored; rights are
//! granted at open and compared at each use ("Kernel Objects", "Object Handles",
//! "ObReferenceObjectByHandle"; for the low bits `OBJ_HANDLE_TAGBITS` as "The Old New Thing" of 21
//! January 2005 explains it).

use crate::base::{EventKind, Rule, Structure};
use crate::injection::{PointKind, Verdict};
use crate::machine::{Flow, Processor, Reg, Trap, routine};

use super::layout::{
    HANDLES_MAX, address, element, handle_entry, kernel_data, object_header, process, switches,
};
use super::object::{OB_REFERENCE, current_process, principal_of};
use super::status;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "handles-are-per-process",
        "A handle is an entry in the table of one process.",
        "Kernel Objects",
    ),
    Rule::documented(
        "handle-tag-bits-ignored",
        "The low two bits of a handle's value are ignored.",
        "The Old New Thing, 21 January 2005: why are kernel HANDLEs always a multiple of four?",
    ),
    Rule::documented(
        "rights-granted-at-open",
        "Rights are granted when a handle is opened and compared at each use.",
        "ObReferenceObjectByHandle; Kernel Objects",
    ),
    Rule::chosen(
        "fifteen-handles",
        "A table has 15 entries (Windows: up to 2^24).",
        "this model: small tables",
    ),
];

/// The pool tag of handle tables.
pub const HANDLE_TABLE_TAG: u64 = u32::from_le_bytes(*b"Obtb") as u64;
/// Bytes of a handle table.
pub const HANDLE_TABLE_BYTES: u64 = HANDLES_MAX * 16;
/// Slots of the process table: one for each principal number.
pub const PROCESSES_MAX: u64 = crate::base::Principal::COUNT_MAX as u64;

/// Rights in a handle's access mask.
pub mod access {
    /// Read the object: a file's bytes, an event's state, a section's page.
    pub const READ: u64 = 1;
    /// Write the object.
    pub const WRITE: u64 = 2;
    /// Wait for the object.
    pub const SYNCHRONIZE: u64 = 4;
    /// Duplicate handles into the process.
    pub const DUPLICATE: u64 = 8;
    /// End the process.
    pub const TERMINATE: u64 = 16;
    /// Write the process's memory.
    pub const VM_WRITE: u64 = 32;
    /// All rights there are.
    pub const RIGHTS: u64 = 0x3f;
    /// All rights to a process.
    pub const PROCESS: u64 = RIGHTS;
    /// All rights to an event.
    pub const EVENT: u64 = READ | WRITE | SYNCHRONIZE;
    /// All rights to a section.
    pub const SECTION: u64 = READ | WRITE;
    /// Not a right: children inherit the handle.
    pub const INHERIT: u64 = 1 << 31;
}

/// Where a handle's entry lies in the table at `table`; `None` for a value that has none.
#[must_use]
pub const fn entry_of(table: u64, handle: u64) -> Option<u64> {
    let index = handle >> 2;
    if table == 0 || index == 0 || index > HANDLES_MAX {
        return None;
    }
    Some(table.wrapping_add((index - 1) * 16))
}

fn fail(p: &mut Processor<'_>, status: u64) -> Flow {
    p.put(Reg::Rdx, status);
    p.put(Reg::Rcx, 0);
    p.give_back(0)
}

/// What the entry of a handle leads to: the object and the rights granted, or why it does not.
fn check_entry(
    p: &mut Processor<'_>,
    owner: u64,
    handle: u64,
    wanted: u64,
    kind: u64,
) -> Result<Result<(u64, u64), u64>, Trap> {
    let table = p.load(owner, process::HANDLES)?;
    let Some(entry) = entry_of(table, handle) else {
        return Ok(Err(status::INVALID_HANDLE));
    };
    let object = p.load(entry, handle_entry::OBJECT)?;
    if object == 0 {
        return Ok(Err(status::INVALID_HANDLE));
    }
    if kind != 0 && p.load(object, object_header::TYPE)? != kind {
        return Ok(Err(status::OBJECT_TYPE_MISMATCH));
    }
    let granted = p.load(entry, handle_entry::ACCESS)?;
    let unchecked =
        p.load(address::KERNEL_DATA, kernel_data::SWITCHES)? & switches::NO_ACCESS_CHECK != 0;
    if wanted & access::RIGHTS & !granted != 0 && !unchecked {
        return Ok(Err(status::ACCESS_DENIED));
    }
    Ok(Ok((object, granted)))
}

routine! {
    /// Looks a handle of the running process up and refers to its object. Arguments: handle, wanted
    /// rights, wanted type (0: any). Results: the object in rax (0 when refused), the status in
    /// rdx, the rights granted at open in rcx. The caller drops the reference.
    ///
    /// With [`switches::WRONG_TABLE`] the table is that of the process with the nearest lower
    /// number (around from the highest), which stands for the one that ran before.
    pub static OB_REFERENCE_BY_HANDLE = "ObReferenceObjectByHandle", frame 7;
    start => |p| {
        let (asked, wanted, kind) = (p.argument(0), p.argument(1), p.argument(2));
        let (operation, verdict) = p.pass_point(PointKind::HandleLookup, asked, wanted)?;
        if verdict == Verdict::Skip {
            return Ok(fail(p, status::INVALID_HANDLE));
        }
        p.set_local(0, asked)?;
        p.set_local(1, wanted)?;
        p.set_local(2, kind)?;
        p.set_local(3, operation.virt)?;
        let owner = current_process(p)?;
        p.set_local(4, owner)?;
        if p.load(address::KERNEL_DATA, kernel_data::SWITCHES)? & switches::WRONG_TABLE == 0 {
            return Ok(Flow::To(At::look as u8));
        }
        let number = p.load(owner, process::PRINCIPAL)?;
        p.set_local(5, number)?;
        Ok(Flow::Next)
    },
    other => |p| {
        let number = p.local(5)?.wrapping_sub(1) % PROCESSES_MAX;
        p.set_local(5, number)?;
        let candidate = p.load(element(address::KERNEL_DATA, number), kernel_data::PROCESSES)?;
        // Ends at the running process itself at the latest.
        if candidate == 0 || p.load(candidate, process::HANDLES)? == 0 {
            return Ok(Flow::Stay);
        }
        p.set_local(4, candidate)?;
        Ok(Flow::Next)
    },
    look, call OB_REFERENCE => |p| {
        let (owner, handle) = (p.local(4)?, p.local(3)?);
        let (wanted, kind) = (p.local(1)?, p.local(2)?);
        match check_entry(p, owner, handle, wanted, kind)? {
            Err(refused) => Ok(fail(p, refused)),
            Ok((object, granted)) => {
                p.set_local(5, object)?;
                p.set_local(6, granted)?;
                p.pass([object]);
                Ok(Flow::Call)
            }
        }
    },
    found => |p| {
        let (asked, wanted) = (p.local(0)? & !3, p.local(1)? & access::RIGHTS);
        let (object, granted) = (p.local(5)?, p.local(6)?);
        let user = current_process(p)?;
        let subject = principal_of(p, user)?;
        p.announce(EventKind::HandleUsed, subject, Structure::HandleTable, [0, object, asked, wanted]);
        p.put(Reg::Rdx, status::SUCCESS);
        p.put(Reg::Rcx, granted);
        Ok(p.give_back(object))
    },
}

routine! {
    /// Gives a process a handle to an object, in its first free entry. Arguments: process, object,
    /// access mask. Result: the handle, 0 when the table is full. The caller keeps its reference.
    pub static OB_CREATE_HANDLE = "ObpCreateHandle", frame 5;
    start => |p| {
        let (owner, object, mask) = (p.argument(0), p.argument(1), p.argument(2));
        p.set_local(0, owner)?;
        p.set_local(1, object)?;
        p.set_local(2, mask)?;
        p.set_local(3, 4)?;
        Ok(Flow::Next)
    },
    seek, call OB_REFERENCE => |p| {
        let (owner, handle) = (p.local(0)?, p.local(3)?);
        let table = p.load(owner, process::HANDLES)?;
        let Some(entry) = entry_of(table, handle) else {
            return Ok(p.give_back(0));
        };
        if p.load(entry, handle_entry::OBJECT)? != 0 {
            p.set_local(3, handle.wrapping_add(4))?;
            return Ok(Flow::Stay);
        }
        p.set_local(4, entry)?;
        let object = p.local(1)?;
        p.pass([object]);
        Ok(Flow::Call)
    },
    enter => |p| {
        let (owner, object, mask) = (p.local(0)?, p.local(1)?, p.local(2)?);
        let (handle, entry) = (p.local(3)?, p.local(4)?);
        let count = p.load(object, object_header::HANDLE_COUNT)?;
        p.store(object, object_header::HANDLE_COUNT, count.wrapping_add(1))?;
        p.store(entry, handle_entry::ACCESS, mask)?;
        p.store(entry, handle_entry::OBJECT, object)?;
        let subject = principal_of(p, owner)?;
        let rights = mask & access::RIGHTS;
        p.announce(EventKind::HandleOpened, subject, Structure::HandleTable, [0, object, handle, rights]);
        Ok(p.give_back(handle))
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_low_two_bits_of_a_handle_are_ignored() {
        for tag in 0..4 {
            assert_eq!(entry_of(0x1000, 8 + tag), Some(0x1010));
        }
    }

    #[test]
    fn values_outside_the_table_have_no_entry() {
        assert_eq!(entry_of(0x1000, 3), None);
        assert_eq!(entry_of(0x1000, 4 * HANDLES_MAX), Some(0x1000 + (HANDLES_MAX - 1) * 16));
        assert_eq!(entry_of(0x1000, 4 * HANDLES_MAX + 4), None);
        assert_eq!(entry_of(0x1000, u64::MAX), None);
        assert_eq!(entry_of(0, 4), None);
    }
}
