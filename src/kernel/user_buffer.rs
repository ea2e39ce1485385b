//! User buffers: probed before use, and copied under a handler that turns a page fault into a status.
//!
//! A probe checks the range only, and nothing for a length of zero; it says nothing about what is
//! mapped there, so that each access needs a handler as well ("ProbeForRead", "ProbeForWrite",
//! "Buffer Handling"; "Failure to Validate Addresses in METHOD_NEITHER IOCTLs").
//!
//! What drivers call also compares the alignment, and for writing touches each page. It is worth little: the
//! page may be gone a moment later, and what is written back may be old by then, so that a buffer that
//! several use at once can lose what one of them wrote ("ProbeForWrite").

use crate::base::{EventKind, Principal, Rule, Structure};
use crate::injection::Verdict;
use crate::kernel::configured::configured;
use crate::machine::{Flow, Processor, Trap, routine};

use super::layout::{address, switches};
use super::status;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "probe-checks-range-only",
        "A probe checks the range and doesn't touch the memory.",
        "ProbeForRead",
    ),
    Rule::documented("probe-of-nothing", "A probe of length zero checks nothing.", "ProbeForRead"),
    Rule::documented(
        "probe-compares-alignment",
        "A driver's probe of a buffer that is not aligned as asked for finds a misalignment.",
        "ProbeForRead; ProbeForWrite",
    ),
    Rule::inferred(
        "alignment-before-range",
        "The alignment is compared before the range.",
        "ProbeForRead (names both and no order)",
    ),
    Rule::documented(
        "probe-for-write-touches",
        "A driver's probe for writing reads and writes each page of the buffer.",
        "ProbeForWrite",
    ),
    Rule::inferred(
        "probe-writes-what-it-read",
        "What is written is the first byte of the buffer in each page, as it was read.",
        "ProbeForWrite (says that it accesses and modifies each page)",
    ),
    Rule::chosen(
        "services-compare-ranges",
        "System services compare ranges only; their copies have handlers.",
        "this model: what a service's own probe does besides shows in no result",
    ),
    Rule::documented(
        "user-access-needs-handler",
        "Each access to user memory needs a handler although it was probed.",
        "Using Neither Buffered Nor Direct I/O; Handling Exceptions",
    ),
];

/// Bytes that one copy moves at most.
const COPY_BYTES_MAX: u64 = 1 << 16;

/// Whether `[start, start + length)` lies in the user half.
pub(super) const fn is_user_range(start: u64, length: u64) -> bool {
    match start.checked_add(length) {
        Some(end) => length == 0 || end <= address::USER_LIMIT,
        None => length == 0,
    }
}

/// The same with the limit that this kernel has.
///
/// # Errors
///
/// What the load raises.
pub(super) fn is_in_user_half(
    p: &mut Processor<'_>,
    start: u64,
    length: u64,
) -> Result<bool, Trap> {
    // Nothing is mapped beyond the small half, so that few ask.
    if length == 0 || !is_user_range(start, length) || start + length <= address::SMALL_USER_LIMIT {
        return Ok(is_user_range(start, length));
    }
    Ok(configured(p)? & switches::SMALL_USER_HALF == 0)
}

/// What a process has at this user address.
#[must_use]
pub const fn user_structure(virt: u64) -> Structure {
    match virt {
        address::USER_VIEWS..address::USER_STACK => Structure::SharedSection,
        address::USER_STACK..address::USER_STACK_TOP => Structure::UserStack,
        _ => Structure::UserData,
    }
}

/// What is found when a buffer is compared that must be aligned to this power of 2: the status.
fn compared(p: &mut Processor<'_>, start: u64, length: u64, alignment: u64) -> Result<u64, Trap> {
    Ok(if length == 0 {
        status::SUCCESS
    } else if start & alignment.wrapping_sub(1) != 0 {
        status::DATATYPE_MISALIGNMENT
    } else if is_in_user_half(p, start, length)? {
        status::SUCCESS
    } else {
        status::ACCESS_VIOLATION
    })
}

fn probe(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let (outcome, _) = compare(p, 1, Touch::Nothing)?;
    Ok(p.give_back(outcome))
}

routine! {
    /// Checks that an input buffer is in the user half. Arguments: address, length. Result: status.
    pub static PROBE_FOR_READ = "ProbeForRead", frame 0;
    check => probe,
}

routine! {
    /// Checks that an output buffer is in the user half. Arguments: address, length. Result: status.
    pub static PROBE_FOR_WRITE = "ProbeForWrite", frame 0;
    decide => |p| {
        if configured(p)? & switches::NO_PROBE != 0 {
            return Ok(p.give_back(status::SUCCESS));
        }
        Ok(Flow::Next)
    },
    check => probe,
}

/// What a probe does besides comparing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Touch {
    Nothing,
    /// It reads and writes each page.
    EachPage,
}

/// Compares a buffer as a probe does. Arguments: address, length. The status, and the buffer that may be touched,
/// if any.
fn compare(
    p: &mut Processor<'_>,
    alignment: u64,
    touch: Touch,
) -> Result<(u64, Option<(u64, u64)>), Trap> {
    let given = (p.argument(0), p.argument(1));
    let found = compared(p, given.0, given.1, alignment)?;
    let is_touched = touch == Touch::EachPage && given.1 != 0;
    let refuses = found != status::SUCCESS || is_touched && !p.may_store_all(given.0, given.1);
    let (operation, verdict) = p.pass_probe(given.0, given.1, refuses)?;
    if verdict == Verdict::Skip {
        return Ok((status::SUCCESS, None));
    }
    let (start, length) = (operation.virt, operation.value);
    let found =
        if (start, length) == given { found } else { compared(p, start, length, alignment)? };
    let is_touched = found == status::SUCCESS && length != 0;
    Ok((found, is_touched.then_some((start, length))))
}

routine! {
    /// As [`PROBE_FOR_READ`], for drivers: the alignment is compared too. Arguments: address, length,
    /// alignment in bytes (a power of 2). Result: status.
    pub static PROBE_FOR_READ_ALIGNED = "ProbeForReadAligned", frame 0;
    check => |p| {
        let alignment = p.argument(2);
        let (outcome, _) = compare(p, alignment, Touch::Nothing)?;
        Ok(p.give_back(outcome))
    },
}

/// Takes the word in which a touched byte lies back from the kernel.
fn take_word_back(p: &mut Processor<'_>, at: u64) {
    p.announce_range(EventKind::Reclaim, Principal::KERNEL, user_structure(at), at & !7, 1);
}

routine! {
    /// As [`PROBE_FOR_WRITE`], for drivers: the alignment is compared too, and each page is read and written.
    /// Arguments: address, length, alignment in bytes (a power of 2). Result: status.
    pub static PROBE_FOR_WRITE_ALIGNED = "ProbeForWriteAligned", frame 4;
    // Locals: 0 the buffer; 1 the byte in hand; 2 the buffer's length; 3 what was read.
    check => |p| {
        let alignment = p.argument(2);
        let (outcome, touched) = compare(p, alignment, Touch::EachPage)?;
        let Some((start, length)) = touched else { return Ok(p.give_back(outcome)) };
        for (local, value) in [start, start, length].into_iter().enumerate() {
            p.set_local(local as u64, value)?;
        }
        Ok(Flow::Next)
    },
    // What others write between these two steps is lost.
    read, on_fault failed => |p| {
        let at = p.local(1)?;
        p.announce_range(EventKind::Lend, Principal::KERNEL, user_structure(at), at & !7, 1);
        p.allow_user_access(true)?;
        let word = p.load_at(at & !7, user_structure(at))?;
        p.allow_user_access(false)?;
        p.set_local(3, word >> (at % 8 * 8) & 0xff)?;
        Ok(Flow::Next)
    },
    write_back, on_fault failed => |p| {
        let (start, at, length, byte) = (p.local(0)?, p.local(1)?, p.local(2)?, p.local(3)?);
        p.allow_user_access(true)?;
        p.store_bytes(at, user_structure(at), byte, 1)?;
        p.allow_user_access(false)?;
        take_word_back(p, at);
        let next = (at | 0xfff).wrapping_add(1);
        p.set_local(1, next)?;
        let is_done = next >= start.wrapping_add(length);
        Ok(if is_done { p.give_back(status::SUCCESS) } else { Flow::To(At::read as u8) })
    },
    failed => |p| {
        p.allow_user_access(false)?;
        let at = p.local(1)?;
        take_word_back(p, at);
        Ok(p.give_back(status::ACCESS_VIOLATION))
    },
}

/// Keeps the arguments of a copy in the locals.
fn keep(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    for number in 0..3 {
        let value = p.argument(number);
        p.set_local(number as u64, value)?;
    }
    Ok(Flow::Next)
}

/// Lends the kernel the user buffer in the first and third local, or takes it back.
fn lend(p: &mut Processor<'_>, kind: EventKind) -> Result<(), Trap> {
    let (start, bytes) = (p.local(0)?, p.local(2)?);
    let first = start & !7;
    // No copy is longer, whatever was asked.
    let words = ((start & 7) + bytes.min(COPY_BYTES_MAX)).div_ceil(8);
    p.announce_range(kind, Principal::KERNEL, user_structure(start), first, words);
    Ok(())
}

/// Declares copies to user buffers. What the kernel's side is lies in the code that runs: an argument that said so
/// would be a word that no kernel has, and the return address is one that faults hit.
macro_rules! copies_to_user {
    ($($(#[$meta:meta])* $NAME:ident = $text:literal, out of $structure:ident;)+) => { $(routine! {
        $(#[$meta])*
        /// Arguments: user address, source, bytes. Result: success, or access violation when a page is not there
        /// to be written; what lies before it was written then.
        pub static $NAME = $text, frame 3;
        keep => keep,
        lend => |p| {
            lend(p, EventKind::Lend)?;
            Ok(Flow::Next)
        },
        copy, on_fault failed => |p| {
            let (target, source, bytes) = (p.local(0)?, p.local(1)?, p.local(2)?);
            p.allow_user_access(true)?;
            p.copy(target, user_structure(target), source, Structure::$structure, bytes)?;
            p.allow_user_access(false)?;
            Ok(Flow::Next)
        },
        take_back => |p| {
            lend(p, EventKind::Reclaim)?;
            Ok(p.give_back(status::SUCCESS))
        },
        failed => |p| {
            p.allow_user_access(false)?;
            lend(p, EventKind::Reclaim)?;
            Ok(p.give_back(status::ACCESS_VIOLATION))
        },
    })+ };
}

copies_to_user! {
    /// Copies to a user buffer that was probed, out of a system buffer.
    COPY_TO_USER = "RtlCopyToUser", out of SystemBuffer;
    /// Copies to a user buffer that was probed, out of the running thread's stack.
    COPY_STACK_TO_USER = "RtlCopyStackToUser", out of KernelStack;
    /// Copies to a user buffer that was probed, out of a driver's data.
    COPY_DATA_TO_USER = "RtlCopyDataToUser", out of DriverData;
}

/// Declares copies from user buffers, as [`copies_to_user`] those to them.
macro_rules! copies_from_user {
    ($($(#[$meta:meta])* $NAME:ident = $text:literal, into $structure:ident;)+) => { $(routine! {
        $(#[$meta])*
        /// Arguments: user address, target, bytes. Result: success, or access violation when a page is not there;
        /// what lies before it was copied then.
        pub static $NAME = $text, frame 3;
        keep => keep,
        copy, on_fault failed => |p| {
            let (source, target, bytes) = (p.local(0)?, p.local(1)?, p.local(2)?);
            p.allow_user_access(true)?;
            p.copy(target, Structure::$structure, source, user_structure(source), bytes)?;
            p.allow_user_access(false)?;
            Ok(p.give_back(status::SUCCESS))
        },
        failed => |p| {
            p.allow_user_access(false)?;
            Ok(p.give_back(status::ACCESS_VIOLATION))
        },
    })+ };
}

copies_from_user! {
    /// Copies from a user buffer that was probed, into a system buffer.
    COPY_FROM_USER = "RtlCopyFromUser", into SystemBuffer;
    /// Copies from a user buffer that was probed, into a driver's data.
    COPY_DATA_FROM_USER = "RtlCopyDataFromUser", into DriverData;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_ends_below_the_limit_and_does_not_wrap() {
        assert!(is_user_range(address::USER_LIMIT - 8, 8));
        assert!(!is_user_range(address::USER_LIMIT - 8, 9));
        assert!(!is_user_range(address::KERNEL_DATA, 1));
        assert!(!is_user_range(u64::MAX - 7, 16));
    }

    #[test]
    fn an_empty_buffer_is_not_checked() {
        assert!(is_user_range(address::KERNEL_DATA, 0));
        assert!(is_user_range(u64::MAX, 0));
    }
}
