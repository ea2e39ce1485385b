//! Sections: pages that more than one process may map, each through a handle of its own.
//!
//! A view has the rights of the handle it was mapped with and stays when the handle is closed
//! ("Section Objects and Views", "ZwMapViewOfSection", "ZwUnmapViewOfSection"). In this model a
//! section has one page and a number; its view has the same address in every process; opening one
//! needs no leave beyond knowing the number.

use crate::base::{EventKind, Rule, Structure};
use crate::machine::{Flow, Reg, routine};

use super::frames::{MM_FREE_FRAME, NO_ENTRY};
use super::handle::{OB_CREATE_HANDLE, OB_REFERENCE_BY_HANDLE, access};
use super::layout::{address, element, frame_entry, kernel_data, object_body, object_type};
use super::object::{OB_DEREFERENCE, current_process, principal_of};
use super::paging::{ADDRESS, MM_REPLACE_ENTRY, NO_EXECUTE, PRESENT, USER, USER_RW, entry_address};
use super::previous_mode::previous_mode;
use super::service::answer;
use super::status;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "views-outlive-handles",
        "A view has the rights of its handle and stays when the handle is closed.",
        "Section Objects and Views; ZwMapViewOfSection",
    ),
    Rule::documented(
        "shared-on-purpose",
        "Memory is private unless it is shared.",
        "Virtual Address Space",
    ),
];

/// Sections at most.
pub const SECTIONS_MAX: u64 = 8;

/// Where the view of the section with this number appears.
#[must_use]
pub const fn view_address(number: u64) -> u64 {
    address::USER_VIEWS.wrapping_add(number.wrapping_mul(4096))
}

routine! {
    /// Service: opens a section. Arguments: number, wanted rights (and [`access::INHERIT`]). The
    /// handle comes back in rdx.
    pub static NT_OPEN_SECTION = "NtOpenSection", frame 0;
    open, call OB_CREATE_HANDLE => |p| {
        let (number, wanted) = (p.argument(0), p.argument(1));
        if number >= SECTIONS_MAX {
            return Ok(answer(p, status::INVALID_PARAMETER, 0));
        }
        let object = p.load(element(address::KERNEL_DATA, number), kernel_data::SECTIONS)?;
        if object == 0 {
            return Ok(answer(p, status::INVALID_PARAMETER, 0));
        }
        let caller = current_process(p)?;
        p.pass([caller, object, wanted & (access::SECTION | access::INHERIT)]);
        Ok(Flow::Call)
    },
    done => |p| {
        let handle = p.result();
        let status = if handle == 0 { status::INSUFFICIENT_RESOURCES } else { status::SUCCESS };
        Ok(answer(p, status, handle))
    },
}

routine! {
    /// Service: maps a section's page. Argument: a handle with [`access::READ`]; with
    /// [`access::WRITE`] the view is writable. Its address comes back in rdx.
    pub static NT_MAP_VIEW_OF_SECTION = "NtMapViewOfSection", frame 5;
    look, call OB_REFERENCE_BY_HANDLE => |p| {
        let handle = p.argument(0);
        let mode = previous_mode(p)?;
        p.pass([handle, access::READ, object_type::SECTION, mode, 0]);
        Ok(Flow::Call)
    },
    keep => |p| {
        let (object, status, granted) = (p.result(), p.get(Reg::Rdx), p.get(Reg::Rcx));
        if object == 0 {
            return Ok(answer(p, status, 0));
        }
        p.set_local(0, object)?;
        p.set_local(1, granted & access::WRITE)?;
        p.set_local(2, 0)?;
        Ok(Flow::Next)
    },
    number => |p| {
        let (object, number) = (p.local(0)?, p.local(2)?);
        if number >= SECTIONS_MAX {
            p.set_local(3, status::INVALID_PARAMETER)?;
            p.set_local(4, 0)?;
            return Ok(Flow::To(At::release as u8));
        }
        if p.load(element(address::KERNEL_DATA, number), kernel_data::SECTIONS)? != object {
            p.set_local(2, number.wrapping_add(1))?;
            return Ok(Flow::Stay);
        }
        Ok(Flow::Next)
    },
    map, call MM_REPLACE_ENTRY => |p| {
        let (object, writable) = (p.local(0)?, p.local(1)? != 0);
        let virt = view_address(p.local(2)?);
        let at = entry_address(p, virt)?;
        if p.load_at(at, Structure::PageTable)? & PRESENT != 0 {
            p.set_local(3, status::CONFLICTING_ADDRESSES)?;
            p.set_local(4, 0)?;
            return Ok(Flow::To(At::release as u8));
        }
        let frame = p.load(object, object_body::FIRST)?;
        let entry = address::FRAME_DATABASE.wrapping_add(frame.wrapping_mul(16));
        let count = p.load(entry, frame_entry::COUNT)?;
        p.store(entry, frame_entry::COUNT, count.wrapping_add(1))?;
        let caller = current_process(p)?;
        let subject = principal_of(p, caller)?;
        let shared = [frame << 12, virt, 512, u64::from(writable)];
        p.announce(EventKind::Share, subject, Structure::SharedSection, shared);
        let rights = if writable { USER_RW } else { PRESENT | USER | NO_EXECUTE };
        p.pass([virt, frame << 12 | rights]);
        Ok(Flow::Call)
    },
    mapped => |p| {
        let virt = view_address(p.local(2)?);
        p.set_local(3, status::SUCCESS)?;
        p.set_local(4, virt)?;
        Ok(Flow::Next)
    },
    release, call OB_DEREFERENCE => |p| {
        let object = p.local(0)?;
        p.pass([object]);
        Ok(Flow::Call)
    },
    done => |p| {
        let (status, virt) = (p.local(3)?, p.local(4)?);
        Ok(answer(p, status, virt))
    },
}

routine! {
    /// Service: unmaps a section's page. Argument: its address.
    pub static NT_UNMAP_VIEW_OF_SECTION = "NtUnmapViewOfSection", frame 1;
    unmap, call MM_REPLACE_ENTRY => |p| {
        let virt = p.argument(0);
        if !(address::USER_VIEWS..view_address(SECTIONS_MAX)).contains(&virt) || virt % 4096 != 0 {
            return Ok(answer(p, status::INVALID_PARAMETER, 0));
        }
        let at = entry_address(p, virt)?;
        if p.load_at(at, Structure::PageTable)? & PRESENT == 0 {
            return Ok(answer(p, status::INVALID_PARAMETER, 0));
        }
        p.set_local(0, virt)?;
        p.pass([virt, 0]);
        Ok(Flow::Call)
    },
    free, call MM_FREE_FRAME => |p| {
        let (old, virt) = (p.result() & ADDRESS, p.local(0)?);
        let caller = current_process(p)?;
        let subject = principal_of(p, caller)?;
        p.announce(EventKind::Unshare, subject, Structure::SharedSection, [old, virt, 512, 0]);
        p.pass([old >> 12, NO_ENTRY, old]);
        Ok(Flow::Call)
    },
    done => |p| Ok(answer(p, status::SUCCESS, 0)),
}
