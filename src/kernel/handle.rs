//! Handles: an entry in the table of one process, with the rights granted when it was opened.
//!
//! Handles are of one process and of no other; the low two bits of a value are ignored; rights are granted at
//! open and compared at each use in user mode's name, at none in kernel mode's ("Kernel Objects", "Object
//! Handles", "ObReferenceObjectByHandle"; for the low bits `OBJ_HANDLE_TAGBITS` as "The Old New Thing" of 21
//! January 2005 explains it). Kernel handles are in a table of their own, lead somewhere in kernel mode's name
//! only, and are told by their high bits: the public documentation says so but for the bits, which are those of
//! ReactOS ("Object Handles"; ReactOS, `ntoskrnl/include/internal/ob.h`). The pseudo-handles of the current
//! process and thread are in no table ("GetCurrentProcess function", "GetCurrentThread function").

use crate::base::{EventKind, Principal, Rule, Structure};
use crate::injection::{PointKind, Verdict};
use crate::machine::{Flow, Processor, Reg, Trap, routine};

pub use super::access;
use super::bug_check::KE_BUG_CHECK;
use super::configured::configured;
use super::layout::{
    HANDLES_MAX, address, element, handle_entry, kernel_data, object_header, object_type, process,
    processor_block, switches, thread, verifier as options,
};
use super::object::{OB_REFERENCE, current_process, principal_of};
use super::pool::EX_ALLOCATE_POOL;
use super::process_end::{BAD_HANDLE_USED, PENDING};
use super::verified::verified_routine;
use super::{ddi_compliance, previous_mode, status, verifier};

pub use super::handle_value::{
    CURRENT_PROCESS, CURRENT_THREAD, KERNEL_HANDLE, entry_in, entry_of, is_kernel_handle,
    is_pseudo_handle,
};

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
    Rule::documented(
        "kernel-mode-unchecked",
        "In kernel mode's name no rights are compared, and the type only when one is named.",
        "ObReferenceObjectByHandle; Failure to Validate Object Handles",
    ),
    Rule::documented(
        "kernel-handles",
        "A kernel handle is in a table of the kernel's and leads somewhere in kernel mode's name only.",
        "Object Handles",
    ),
    Rule::inferred(
        "kernel-handle-bits",
        "A kernel handle is told by its high bits.",
        "ReactOS, ntoskrnl/include/internal/ob.h: another implementation",
    ),
    Rule::documented(
        "pseudo-handle",
        "The current process's pseudo-handle is in no table; duplication makes a real one of it.",
        "GetCurrentProcess function; DuplicateHandle function",
    ),
    Rule::documented(
        "thread-pseudo-handle",
        "The current thread's pseudo-handle is always the thread that uses it, whosever table is meant.",
        "GetCurrentThread function; DuplicateHandle function",
    ),
    Rule::documented(
        "strict-handle-checks",
        "With strict checks the use of a handle that is none raises an exception in the user.",
        "PROCESS_MITIGATION_STRICT_HANDLE_CHECK_POLICY structure",
    ),
    Rule::inferred(
        "strict-exception-on-return",
        "That exception is raised when the service is over.",
        "PROCESS_MITIGATION_STRICT_HANDLE_CHECK_POLICY structure",
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

/// Whether a handle is looked up in the kernel's table: in kernel mode's name only.
pub(super) fn leads_to_kernels(p: &Processor<'_>, handle: u64, mode: u64) -> bool {
    let is_open = p.defects() & switches::KERNEL_HANDLES_OPEN != 0;
    is_kernel_handle(handle) && (mode == previous_mode::KERNEL || is_open)
}

/// Whose table a handle that `caller` uses is looked up in: the caller's, or in kernel mode's name the
/// kernel's.
///
/// # Errors
///
/// What the load raises.
pub(super) fn table_owner(
    p: &mut Processor<'_>,
    caller: u64,
    handle: u64,
    mode: u64,
) -> Result<u64, Trap> {
    if leads_to_kernels(p, handle, mode) {
        return p.load(address::KERNEL_DATA, kernel_data::SYSTEM_PROCESS);
    }
    Ok(caller)
}

/// Refuses a look-up. With strict handle checks the caller meets an exception for it besides, when
/// the service is over ("PROCESS_MITIGATION_STRICT_HANDLE_CHECK_POLICY structure").
fn refuse(p: &mut Processor<'_>, mode: u64, status: u64) -> Result<Flow, Trap> {
    if mode == previous_mode::USER && status == status::INVALID_HANDLE {
        raise_if_strict(p)?;
    }
    p.put(Reg::Rdx, status);
    p.put(Reg::Rcx, 0);
    Ok(p.give_back(0))
}

/// Lets the running thread meet an exception when it goes back, if its process wants that.
///
/// # Errors
///
/// What the accesses raise.
pub(super) fn raise_if_strict(p: &mut Processor<'_>) -> Result<(), Trap> {
    let caller = current_process(p)?;
    if p.load(caller, process::STRICT_HANDLES)? != 0 {
        let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
        p.store(current, thread::PENDING_EXCEPTION, PENDING | BAD_HANDLE_USED)?;
    }
    Ok(())
}

/// Where the rights that are compared lie above those that are wanted.
const COMPARED: u64 = 32;

/// A look-up: in whose table, of which value, with which rights, for which type, in whose name.
struct LookUp {
    owner: u64,
    handle: u64,
    wanted: u64,
    kind: u64,
    mode: u64,
}

/// What a look-up leads to: the object and the rights granted, or why it does not.
fn check_entry(p: &mut Processor<'_>, look_up: &LookUp) -> Result<Result<(u64, u64), u64>, Trap> {
    let &LookUp { owner, handle, wanted, kind, mode } = look_up;
    if is_pseudo_handle(handle) {
        let (its_kind, itself) = match handle {
            CURRENT_THREAD => {
                (object_type::THREAD, p.load(p.gs(), processor_block::CURRENT_THREAD)?)
            }
            _ => (object_type::PROCESS, owner),
        };
        let fitting = (kind == 0 || kind == its_kind).then_some((itself, access::RIGHTS));
        return Ok(fitting.ok_or(status::OBJECT_TYPE_MISMATCH));
    }
    let table = p.load(owner, process::HANDLES)?;
    let is_kernels = leads_to_kernels(p, handle, mode);
    let Some(entry) = entry_in(table, handle, is_kernels) else {
        return Ok(Err(status::INVALID_HANDLE));
    };
    let object = p.load(entry, handle_entry::OBJECT)?;
    if object == 0 {
        return Ok(Err(status::INVALID_HANDLE));
    }
    let is_compared = kind != 0 && p.defects() & switches::NO_TYPE_CHECK == 0;
    if is_compared && p.load(object, object_header::TYPE)? != kind {
        return Ok(Err(status::OBJECT_TYPE_MISMATCH));
    }
    let granted = p.load(entry, handle_entry::ACCESS)?;
    let unchecked =
        mode == previous_mode::KERNEL || configured(p)? & switches::NO_ACCESS_CHECK != 0;
    if wanted & access::RIGHTS & !granted != 0 && !unchecked {
        return Ok(Err(status::ACCESS_DENIED));
    }
    Ok(Ok((object, granted)))
}

verified_routine! {
    /// Looks a handle up and refers to its object. Arguments: handle, wanted rights, wanted type (0: any), mode,
    /// process (0: the running one). In kernel mode's name no rights are compared. Results: the object in rax
    /// (0 when refused), the status in rdx, the rights granted at open in rcx. The caller drops the reference.
    ///
    /// With [`switches::WRONG_TABLE`] the table is that of the process with the nearest lower
    /// number (around from the highest), which stands for the one that ran before.
    OB_REFERENCE_BY_HANDLE, OB_REFERENCE_BY_HANDLE_VERIFIED = "ObReferenceObjectByHandle", frame 9, by ddi_compliance::of_look_up;
    // Locals: 0 the handle asked for; 1 wanted rights, above them those compared; 2 type; 3 the handle looked
    // up; 4 whose table; 5 object; 6 granted rights; 7 mode; 8 the process.
    start, call KE_BUG_CHECK => |p| {
        let (asked, wanted, kind) = (p.argument(0), p.argument(1), p.argument(2));
        let (mode, of) = (p.argument(3), p.argument(4));
        let (operation, verdict) = p.pass_point(PointKind::HandleLookup, asked, wanted)?;
        if verdict == Verdict::Skip {
            return refuse(p, mode, status::INVALID_HANDLE);
        }
        p.set_local_for(0, asked, asked)?;
        let rights = |compared| wanted & access::RIGHTS | compared << COMPARED;
        p.set_local_for(1, rights(operation.value), rights(wanted))?;
        p.set_local_for(2, kind, kind)?;
        p.set_local_for(3, operation.virt, asked)?;
        p.set_local_for(7, mode, mode)?;
        p.goes_on_as_meant_if(operation.virt == asked); // The rights are compared later.
        let caller = if of == 0 { current_process(p)? } else { of };
        p.set_local_for(8, caller, caller)?;
        let found = match mode {
            previous_mode::KERNEL => verifier::of_handle(p, operation.virt, caller, kind)?,
            _ => verifier::of_kernel_handle(p, [operation.virt, kind, mode], caller)?,
        };
        if let Some(parameters) = found {
            p.pass(parameters);
            return Ok(Flow::Call);
        }
        let owner = table_owner(p, caller, operation.virt, mode)?;
        p.set_local(4, owner)?;
        if configured(p)? & switches::WRONG_TABLE == 0 {
            return Ok(Flow::To(At::look as u8));
        }
        let number = p.load(owner, process::PRINCIPAL)?;
        p.set_local(5, number)?;
        Ok(Flow::To(At::other as u8))
    },
    stopped => |_| Ok(Flow::Stay),
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
        let (wanted, kind, mode) = (p.local(1)? >> COMPARED, p.local(2)?, p.local(7)?);
        match check_entry(p, &LookUp { owner, handle, wanted, kind, mode })? {
            Err(refused) => {
                let is_verified = mode == previous_mode::KERNEL
                    && refused == status::INVALID_HANDLE
                    && verifier::is_on(p, options::MISCELLANEOUS)?;
                if is_verified { Ok(Flow::To(At::bad as u8)) } else { refuse(p, mode, refused) }
            }
            Ok((object, granted)) => {
                p.set_local(5, object)?;
                p.set_local(6, granted)?;
                p.pass([object]);
                Ok(Flow::Call)
            }
        }
    },
    found => |p| {
        let (asked, wanted) = (p.local(0)?, p.local(1)? & access::RIGHTS);
        let (object, granted, mode) = (p.local(5)?, p.local(6)?, p.local(7)?);
        let of = p.local(8)?;
        let user = table_owner(p, of, asked, mode)?;
        let subject = principal_of(p, user)?;
        let value = if is_pseudo_handle(asked) { asked } else { asked & !3 };
        let by_kernel = u64::from(mode == previous_mode::KERNEL);
        p.announce(EventKind::HandleUsed, subject, Structure::HandleTable, [by_kernel, object, value, wanted]);
        p.put(Reg::Rdx, status::SUCCESS);
        p.put(Reg::Rcx, granted);
        Ok(p.give_back(object))
    },
    bad, call KE_BUG_CHECK => |p| {
        let (handle, kind) = (p.local(3)?, p.local(2)?);
        p.pass(verifier::BAD_HANDLE.with([0x3c, handle, kind, 0]));
        Ok(Flow::Call)
    },
    halted => |_| Ok(Flow::Stay),
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
        // The table of the system process is the kernel's.
        let value = if subject == Principal::KERNEL { handle | KERNEL_HANDLE } else { handle };
        p.announce(EventKind::HandleOpened, subject, Structure::HandleTable, [0, object, value, rights]);
        Ok(p.give_back(value))
    },
}

routine! {
    /// Makes a kernel handle to an object, and the kernel's table with the first. Arguments: object,
    /// access mask. Result: the handle, 0 when there is no room. The caller keeps its reference.
    pub static OB_CREATE_KERNEL_HANDLE = "ObpCreateKernelHandle", frame 2;
    table, call EX_ALLOCATE_POOL, of HandleTable => |p| {
        let (object, mask) = (p.argument(0), p.argument(1));
        p.set_local(0, object)?;
        p.set_local(1, mask)?;
        let system = p.load(address::KERNEL_DATA, kernel_data::SYSTEM_PROCESS)?;
        if p.load(system, process::HANDLES)? != 0 {
            return Ok(Flow::To(At::enter as u8));
        }
        p.pass([HANDLE_TABLE_BYTES, HANDLE_TABLE_TAG, 0]);
        Ok(Flow::Call)
    },
    keep => |p| {
        let table = p.result();
        if table == 0 {
            return Ok(p.give_back(0));
        }
        let system = p.load(address::KERNEL_DATA, kernel_data::SYSTEM_PROCESS)?;
        p.store(system, process::HANDLES, table)?;
        Ok(Flow::Next)
    },
    enter, call OB_CREATE_HANDLE => |p| {
        let (object, mask) = (p.local(0)?, p.local(1)?);
        let system = p.load(address::KERNEL_DATA, kernel_data::SYSTEM_PROCESS)?;
        p.pass([system, object, mask]);
        Ok(Flow::Call)
    },
    done => |_| Ok(Flow::Return),
}
