//! Kernel objects: a header with counts and a type, then a body; freed with the last reference.
//!
//! An object lives as long as anybody refers to it, by handle or by pointer; a count that would go
//! below zero is bug check 0x18 and a header with a type nobody knows is 0x189 ("Life Cycle of an
//! Object", "Bug Check 0x18: REFERENCE_BY_POINTER", "Bug Check 0x189: BAD_OBJECT_HEADER"). A count
//! by handle is part of the count by pointer.

use crate::base::{EventKind, Principal, Rule, Structure};
use crate::injection::{PointKind, Verdict};
use crate::machine::{Flow, Processor, Trap, routine};

use super::bug_check::{KE_BUG_CHECK, bug_checks};
use super::frames::{ANY_ENTRY, MM_FREE_FRAME};
use super::layout::{
    LINKED_THREAD_BYTES, OBJECT_BODY, object_body, object_header, object_type, process,
    processor_block, thread, verifier as options,
};
use super::pool::{EX_ALLOCATE_POOL, EX_FREE_POOL};
use super::verifier;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "objects-live-while-referenced",
        "An object lives until neither handle nor pointer refers to it.",
        "Life Cycle of an Object",
    ),
    Rule::documented(
        "reference-underflow-stops",
        "A reference dropped from an object that has none is 0x18.",
        "Bug Check 0x18: REFERENCE_BY_POINTER",
    ),
    Rule::documented(
        "object-header-checked",
        "A header with a type that doesn't exist is 0x189.",
        "Bug Check 0x189: BAD_OBJECT_HEADER",
    ),
];

bug_checks! {
    UNREFERENCED: REFERENCE_BY_POINTER,
    when "a reference is dropped from an object that has none left",
    parameters "type", "object", "reserved", "reserved",
    source "Bug Check 0x18: REFERENCE_BY_POINTER" documented;

    UNKNOWN_TYPE: BAD_OBJECT_HEADER, parameter 3 = 0,
    when "an object's header names a type that does not exist",
    parameters "object", "type", "what: type index", "reserved",
    source "Bug Check 0x189: BAD_OBJECT_HEADER" documented;
}

/// The pool tag of every object.
pub const OBJECT_TAG: u64 = u32::from_le_bytes(*b"ObjT") as u64;

/// Beside a type, the bit that says that a reference is dropped once more.
const ONCE_MORE: u64 = 32;

/// What the body of an object of this type is.
#[must_use]
pub const fn body_structure(kind: u64) -> Structure {
    match kind {
        object_type::PROCESS => Structure::Process,
        object_type::THREAD => Structure::Thread,
        _ => Structure::ObjectBody,
    }
}

/// Whether an object of this type can exist.
const fn is_known(kind: u64) -> bool {
    matches!(kind, object_type::PROCESS..=object_type::SECTION)
}

/// The running thread's process.
///
/// # Errors
///
/// What the loads raise.
pub(super) fn current_process(p: &mut Processor<'_>) -> Result<u64, Trap> {
    let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
    p.load(current, thread::PROCESS)
}

/// The principal of a process object.
///
/// # Errors
///
/// What the load raises.
pub(super) fn principal_of(p: &mut Processor<'_>, object: u64) -> Result<Principal, Trap> {
    Ok(Principal((p.load(object, process::PRINCIPAL)? & 63) as u8))
}

/// The type in an object's header, or the parameters of the bug check when it cannot be one.
fn checked_type(p: &mut Processor<'_>, object: u64) -> Result<Result<u64, [u64; 5]>, Trap> {
    let kind = p.load(object, object_header::TYPE)?;
    if is_known(kind) { Ok(Ok(kind)) } else { Ok(Err(UNKNOWN_TYPE.with([object, kind, 0, 0]))) }
}

/// Allocates an object of so many bytes. Locals: 0 its type; 1 bytes; 2 creator.
fn allocate(p: &mut Processor<'_>, kind: u64, bytes: u64) -> Result<Flow, Trap> {
    let creator = p.argument(2);
    p.set_local(0, kind)?;
    p.set_local(1, bytes)?;
    p.set_local(2, creator)?;
    p.pass([bytes, OBJECT_TAG, 0]);
    Ok(Flow::Call)
}

/// Says where in a new object the body begins.
fn divide(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let object = p.result();
    if object == 0 {
        return Ok(p.give_back(0));
    }
    let kind = p.local(0)?;
    let words = p.local(1)?.saturating_sub(OBJECT_BODY).div_ceil(8);
    let body = body_structure(kind);
    p.announce_range(
        EventKind::Grant,
        Principal::KERNEL,
        body,
        object.wrapping_add(OBJECT_BODY),
        words,
    );
    Ok(Flow::Next)
}

/// Fills the header of a new object.
fn begin(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let object = p.result();
    let (kind, creator) = (p.local(0)?, p.local(2)?);
    p.store(object, object_header::POINTER_COUNT, 1)?;
    p.store(object, object_header::HANDLE_COUNT, 0)?;
    p.store(object, object_header::CREATOR, creator)?;
    p.store(object, object_header::TYPE, kind)?;
    Ok(p.give_back(object))
}

routine! {
    /// Makes an object with one reference by pointer and none by handle. Arguments: type, bytes with
    /// the header, creator's principal number. Result: its address, 0 when there is no pool.
    pub static OB_CREATE_OBJECT = "ObCreateObject", frame 3;
    allocate, call EX_ALLOCATE_POOL, of ObjectHeader => |p| {
        let (kind, bytes) = (p.argument(0), p.argument(1));
        allocate(p, kind, bytes)
    },
    divide => divide,
    begin => begin,
}

routine! {
    /// [`OB_CREATE_OBJECT`] where processes make threads: a thread has room for its links.
    pub static OB_CREATE_OBJECT_LINKED = "ObCreateObject", frame 3;
    allocate, call EX_ALLOCATE_POOL, of ObjectHeader => |p| {
        let (kind, bytes) = (p.argument(0), p.argument(1));
        allocate(p, kind, if kind == object_type::THREAD { LINKED_THREAD_BYTES } else { bytes })
    },
    divide => divide,
    begin => begin,
}

routine! {
    /// Counts one more reference by pointer. Argument: the object.
    pub static OB_REFERENCE = "ObfReferenceObject", frame 0;
    count, call KE_BUG_CHECK => |p| {
        let asked = p.argument(0);
        let (operation, verdict) = p.pass_point_of_caller(PointKind::Reference, asked, 1)?;
        if verdict == Verdict::Skip {
            return Ok(Flow::Return);
        }
        let object = operation.virt;
        if let Err(parameters) = checked_type(p, object)? {
            p.pass(parameters);
            return Ok(Flow::Call);
        }
        let count = p.load(object, object_header::POINTER_COUNT)?;
        if count == 0 && verifier::is_on(p, options::SECURITY)? {
            p.pass(verifier::REFERENCE_REVIVED.with([0x3f, object, 1, 0]));
            return Ok(Flow::Call);
        }
        p.store(object, object_header::POINTER_COUNT, count.wrapping_add(1))?;
        Ok(Flow::Return)
    },
    stopped => |_| Ok(Flow::Stay),
}

routine! {
    /// Drops one reference by pointer; the last one frees the object, a section's frame first.
    /// Argument: the object.
    pub static OB_DEREFERENCE = "ObfDereferenceObject", frame 2;
    // Locals: 0 object; 1 type, and above it whether a reference is dropped once more.
    count, call KE_BUG_CHECK => |p| {
        let asked = p.argument(0);
        let (operation, verdict) = p.pass_point_of_caller(PointKind::Dereference, asked, 1)?;
        if verdict == Verdict::Skip {
            return Ok(Flow::Return);
        }
        let object = operation.virt;
        let kind = match checked_type(p, object)? {
            Ok(kind) => kind,
            Err(parameters) => {
                p.pass(parameters);
                return Ok(Flow::Call);
            }
        };
        let count = p.load(object, object_header::POINTER_COUNT)?;
        if count == 0 {
            p.pass(UNREFERENCED.with([kind, object, 0, 0]));
            return Ok(Flow::Call);
        }
        p.store(object, object_header::POINTER_COUNT, count.wrapping_sub(1))?;
        if count > 1 {
            return Ok(if verdict == Verdict::Repeat { Flow::Stay } else { Flow::Return });
        }
        p.set_local(0, object)?;
        p.set_local(1, kind | u64::from(verdict == Verdict::Repeat) << ONCE_MORE)?;
        Ok(Flow::To(At::empty as u8))
    },
    stopped => |_| Ok(Flow::Stay),
    empty, call MM_FREE_FRAME => |p| {
        let object = p.local(0)?;
        p.store(object, object_header::TYPE, object_type::FREED)?;
        if p.local(1)? & !(1 << ONCE_MORE) != object_type::SECTION {
            return Ok(Flow::Next);
        }
        let frame = p.load(object, object_body::FIRST)?;
        p.pass([frame, ANY_ENTRY, 0]);
        Ok(Flow::Call)
    },
    free, call EX_FREE_POOL => |p| {
        let object = p.local(0)?;
        p.pass([object, OBJECT_TAG]);
        Ok(Flow::Call)
    },
    done => |p| {
        if p.local(1)? >> ONCE_MORE == 0 {
            return Ok(Flow::Return);
        }
        let object = p.local(0)?;
        p.pass([object]);
        Ok(Flow::To(At::count as u8))
    },
}
