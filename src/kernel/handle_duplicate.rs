//! A handle is duplicated from one process into another, by whoever may do that in both.
//!
//! The new entry leads to the same object and is the target's; with the same access asked for it has
//! the same rights; the source may be closed in one go, which happens even when nothing is
//! duplicated ("DuplicateHandle function", "ZwDuplicateObject"). A pseudo-handle becomes a real one. In
//! this model rights never grow.

use crate::base::Rule;
use crate::kernel::configured::configured;
use crate::machine::{Flow, Processor, Reg, Trap, routine};

use super::handle::{
    CURRENT_PROCESS, OB_CREATE_HANDLE, OB_REFERENCE_BY_HANDLE, PROCESSES_MAX, access,
    is_pseudo_handle, table_owner,
};
use super::handle_close::OB_CLOSE_HANDLE;
use super::layout::{address, element, kernel_data, object_type, process, switches};
use super::object::{OB_DEREFERENCE, current_process};
use super::previous_mode::previous_mode;
use super::service::answer;
use super::status;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "duplicate-needs-right",
        "Duplicating needs the right to it on source and target process; the entry is the target's.",
        "DuplicateHandle; ZwDuplicateObject",
    ),
    Rule::documented(
        "close-source-always",
        "The source handle is closed when that is asked, even when nothing is duplicated.",
        "DuplicateHandle function",
    ),
    Rule::chosen(
        "duplicate-never-widens",
        "Rights of the duplicate are never more than those of its source.",
        "this model: the page allows more for some types",
    ),
];

/// What a duplication is asked to do besides, in its fifth argument.
pub mod option {
    /// The source handle is closed, whatever else happens (`DUPLICATE_CLOSE_SOURCE`).
    pub const CLOSE_SOURCE: u64 = 1;
    /// The new handle has the rights of the source (`DUPLICATE_SAME_ACCESS`).
    pub const SAME_ACCESS: u64 = 2;
    /// Children of the target inherit the new handle.
    pub const INHERIT: u64 = 4;
}

/// The bits of a wanted access ("Access Mask Format"). Bits that are no rights give none; only who names no
/// bit at all asks for the source's rights.
const ACCESS_MASK: u64 = 0xffff_ffff;

/// The rights that the new handle gets, or why it gets none.
fn rights(p: &mut Processor<'_>, wanted: u64, granted: u64) -> Result<Result<u64, u64>, Trap> {
    let widens = configured(p)? & switches::DUPLICATE_WIDENS != 0;
    Ok(if widens {
        Ok(granted | wanted & access::RIGHTS | access::WRITE)
    } else if wanted == 0 {
        Ok(granted)
    } else if wanted & access::RIGHTS & !granted == 0 {
        Ok(wanted & access::RIGHTS)
    } else {
        Err(status::ACCESS_DENIED)
    })
}

/// The right that duplication takes to a source or target process.
fn right_taken(p: &Processor<'_>) -> u64 {
    if p.defects() & switches::NO_DUPLICATE_RIGHT == 0 { access::DUPLICATE } else { 0 }
}

/// A process that is neither the caller nor `target`, the one with the lowest number; `target` when there
/// is none.
fn stray(p: &mut Processor<'_>, target: u64) -> Result<u64, Trap> {
    let caller = current_process(p)?;
    for number in 1..PROCESSES_MAX {
        let other = p.load(element(address::KERNEL_DATA, number), kernel_data::PROCESSES)?;
        if other != 0 && other != target && other != caller {
            return Ok(other);
        }
    }
    Ok(target)
}

routine! {
    /// Service: gives a process a handle to an object that a process has a handle to. Arguments: the
    /// source's handle, a handle to the target process with [`access::DUPLICATE`], wanted rights (0:
    /// the same), a handle to the source process with [`access::DUPLICATE`] (0 or
    /// [`CURRENT_PROCESS`]: the caller), options. The new handle, which is the target's, comes back
    /// in rdx.
    pub static NT_DUPLICATE_OBJECT = "NtDuplicateObject", frame 12;
    // Locals: 0 handle; 1 handle to the target; 2 wanted rights; 3 options; 4 source process, when it
    // is referred to; 5 object; 6 granted rights; 7 target process; 8 status; 9 new handle; 10 mode;
    // 11 source process.
    start, call OB_REFERENCE_BY_HANDLE => |p| {
        let (handle, target, wanted) = (p.argument(0), p.argument(1), p.argument(2));
        let (source, options) = (p.argument(3), p.argument(4));
        let mode = previous_mode(p)?;
        let caller = current_process(p)?;
        let wanted = if options & option::SAME_ACCESS != 0 { 0 } else { wanted };
        let words = [handle, target, wanted & ACCESS_MASK, options, 0, 0, 0, 0, 0, 0, mode, caller];
        for (number, word) in words.into_iter().enumerate() {
            p.set_local(number as u64, word)?;
        }
        if matches!(source, 0 | CURRENT_PROCESS) {
            return Ok(Flow::To(At::source as u8));
        }
        let right = right_taken(p);
        p.pass([source, right, object_type::PROCESS, mode, 0]);
        Ok(Flow::Call)
    },
    from => |p| {
        let (source, refused) = (p.result(), p.get(Reg::Rdx));
        if source == 0 {
            return Ok(answer(p, refused, 0));
        }
        p.set_local(4, source)?;
        p.set_local(11, source)?;
        if p.load(source, process::ALIVE)? == 0 {
            p.set_local(8, status::PROCESS_IS_TERMINATING)?;
            return Ok(Flow::To(At::drop_process as u8));
        }
        Ok(Flow::Next)
    },
    source, call OB_REFERENCE_BY_HANDLE => |p| {
        let (handle, mode, source) = (p.local(0)?, p.local(10)?, p.local(4)?);
        p.pass([handle, 0, 0, mode, source]);
        Ok(Flow::Call)
    },
    target, call OB_REFERENCE_BY_HANDLE => |p| {
        let (object, refused, granted) = (p.result(), p.get(Reg::Rdx), p.get(Reg::Rcx));
        if object == 0 {
            p.set_local(8, refused)?;
            return Ok(Flow::To(At::drop_process as u8));
        }
        p.set_local(5, object)?;
        p.set_local(6, granted)?;
        let (target, mode) = (p.local(1)?, p.local(10)?);
        let right = right_taken(p);
        p.pass([target, right, object_type::PROCESS, mode, 0]);
        Ok(Flow::Call)
    },
    compare, call OB_CREATE_HANDLE => |p| {
        let (target, refused) = (p.result(), p.get(Reg::Rdx));
        p.set_local(7, target)?;
        p.set_local(8, refused)?;
        if target == 0 {
            return Ok(Flow::To(At::close_source as u8));
        }
        if p.load(target, process::ALIVE)? == 0 {
            p.set_local(8, status::PROCESS_IS_TERMINATING)?;
            return Ok(Flow::To(At::close_source as u8));
        }
        let (wanted, granted) = (p.local(2)?, p.local(6)? & access::RIGHTS);
        let rights = match rights(p, wanted, granted)? {
            Ok(rights) => rights,
            Err(refused) => {
                p.set_local(8, refused)?;
                return Ok(Flow::To(At::close_source as u8));
            }
        };
        let inherit = if p.local(3)? & option::INHERIT != 0 { access::INHERIT } else { 0 };
        let object = p.local(5)?;
        let strays = configured(p)? & switches::STRAY_DUPLICATE != 0;
        let target = if strays { stray(p, target)? } else { target };
        p.pass([target, object, rights | inherit]);
        Ok(Flow::Call)
    },
    made => |p| {
        let handle = p.result();
        p.set_local(9, handle)?;
        if handle == 0 {
            p.set_local(8, status::INSUFFICIENT_RESOURCES)?;
        }
        Ok(Flow::Next)
    },
    // What becomes of the source is not told: the status is that of the duplication.
    close_source, call OB_CLOSE_HANDLE => |p| {
        let (handle, options) = (p.local(0)?, p.local(3)?);
        if options & option::CLOSE_SOURCE == 0 || is_pseudo_handle(handle) {
            return Ok(Flow::Next);
        }
        let (source, mode) = (p.local(11)?, p.local(10)?);
        let owner = table_owner(p, source, handle, mode)?;
        p.pass([owner, handle, mode]);
        Ok(Flow::Call)
    },
    drop_target, call OB_DEREFERENCE => |p| {
        let target = p.local(7)?;
        if target == 0 {
            return Ok(Flow::Next);
        }
        p.pass([target]);
        Ok(Flow::Call)
    },
    drop_source, call OB_DEREFERENCE => |p| {
        let object = p.local(5)?;
        p.pass([object]);
        Ok(Flow::Call)
    },
    drop_process, call OB_DEREFERENCE => |p| {
        let source = p.local(4)?;
        if source == 0 {
            return Ok(Flow::Next);
        }
        p.pass([source]);
        Ok(Flow::Call)
    },
    done => |p| {
        let (status, handle) = (p.local(8)?, p.local(9)?);
        Ok(answer(p, status, handle))
    },
}
