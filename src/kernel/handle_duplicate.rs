//! A handle is duplicated into a process that the caller may duplicate into.
//!
//! The new entry leads to the same object and is the target's; with wanted rights 0 it has the same
//! rights ("DuplicateHandle", "ZwDuplicateObject"). In this model the source process is always the
//! caller, rights never grow, and the new entry is never inherited.

use crate::base::Rule;
use crate::machine::{Flow, Reg, routine};

use super::handle::{OB_CREATE_HANDLE, OB_REFERENCE_BY_HANDLE, access};
use super::layout::{address, kernel_data, object_type, process, switches};
use super::object::OB_DEREFERENCE;
use super::service::answer;
use super::status;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "duplicate-needs-right",
        "Duplicating needs the right to it on the target process; the entry is the target's.",
        "DuplicateHandle; ZwDuplicateObject",
    ),
    Rule::chosen(
        "duplicate-never-widens",
        "Rights of the duplicate are never more than those of its source.",
        "this model: the page allows more for some types",
    ),
];

routine! {
    /// Service: gives another process a handle to an object the caller has a handle to. Arguments:
    /// handle, handle to the target process with [`access::DUPLICATE`], wanted rights (0: the same).
    /// The new handle, which is the target's, comes back in rdx.
    pub static NT_DUPLICATE_OBJECT = "NtDuplicateObject", frame 7;
    source, call OB_REFERENCE_BY_HANDLE => |p| {
        let (handle, target, wanted) = (p.argument(0), p.argument(1), p.argument(2));
        p.set_local(0, target)?;
        p.set_local(1, wanted)?;
        p.pass([handle, 0, 0]);
        Ok(Flow::Call)
    },
    target, call OB_REFERENCE_BY_HANDLE => |p| {
        let (object, status, granted) = (p.result(), p.get(Reg::Rdx), p.get(Reg::Rcx));
        if object == 0 {
            return Ok(answer(p, status, 0));
        }
        p.set_local(2, object)?;
        p.set_local(3, granted)?;
        let target = p.local(0)?;
        p.pass([target, access::DUPLICATE, object_type::PROCESS]);
        Ok(Flow::Call)
    },
    compare, call OB_CREATE_HANDLE => |p| {
        let (target, refused) = (p.result(), p.get(Reg::Rdx));
        p.set_local(6, 0)?;
        p.set_local(4, target)?;
        p.set_local(5, refused)?;
        if target == 0 {
            return Ok(Flow::To(At::drop_source as u8));
        }
        if p.load(target, process::ALIVE)? == 0 {
            p.set_local(5, status::PROCESS_IS_TERMINATING)?;
            return Ok(Flow::To(At::drop_target as u8));
        }
        let (wanted, granted) = (p.local(1)? & access::RIGHTS, p.local(3)? & access::RIGHTS);
        let widens = p.load(address::KERNEL_DATA, kernel_data::SWITCHES)? & switches::DUPLICATE_WIDENS != 0;
        let rights = if widens {
            granted | wanted | access::WRITE
        } else if wanted == 0 {
            granted
        } else if wanted & !granted == 0 {
            wanted
        } else {
            p.set_local(5, status::ACCESS_DENIED)?;
            return Ok(Flow::To(At::drop_target as u8));
        };
        let object = p.local(2)?;
        p.pass([target, object, rights]);
        Ok(Flow::Call)
    },
    made => |p| {
        let handle = p.result();
        p.set_local(6, handle)?;
        if handle == 0 {
            p.set_local(5, status::INSUFFICIENT_RESOURCES)?;
        }
        Ok(Flow::Next)
    },
    drop_target, call OB_DEREFERENCE => |p| {
        let target = p.local(4)?;
        p.pass([target]);
        Ok(Flow::Call)
    },
    drop_source, call OB_DEREFERENCE => |p| {
        let object = p.local(2)?;
        p.pass([object]);
        Ok(Flow::Call)
    },
    done => |p| {
        let (status, handle) = (p.local(5)?, p.local(6)?);
        Ok(answer(p, status, handle))
    },
}
