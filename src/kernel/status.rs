//! Status values, as NTSTATUS names them ("NTSTATUS Values", [MS-ERREF]).

use crate::base::Rule;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[Rule::inferred(
    "status-values",
    "A status has the number that [MS-ERREF] gives its name.",
    "[MS-ERREF], NTSTATUS (the pages about handles and drivers give names, for most no number)",
)];

/// Success.
pub const SUCCESS: u64 = 0;
/// The request is not finished yet.
pub const PENDING: u64 = 0x103;
/// An access was refused by page protection, or the address is not the caller's to use.
pub const ACCESS_VIOLATION: u64 = 0xc000_0005;
/// Not a handle of this process.
pub const INVALID_HANDLE: u64 = 0xc000_0008;
/// No such process.
pub const INVALID_CID: u64 = 0xc000_000b;
/// An argument is out of range.
pub const INVALID_PARAMETER: u64 = 0xc000_000d;
/// No such device.
pub const NO_SUCH_DEVICE: u64 = 0xc000_000e;
/// No such file.
pub const NO_SUCH_FILE: u64 = 0xc000_000f;
/// The device does not do that.
pub const INVALID_DEVICE_REQUEST: u64 = 0xc000_0010;
/// No memory left.
pub const NO_MEMORY: u64 = 0xc000_0017;
/// The thread has ended.
pub const THREAD_IS_TERMINATING: u64 = 0xc000_004b;
/// The address range is in use.
pub const CONFLICTING_ADDRESSES: u64 = 0xc000_0018;
/// No such system service.
pub const INVALID_SYSTEM_SERVICE: u64 = 0xc000_001c;
/// Not an instruction.
pub const ILLEGAL_INSTRUCTION: u64 = 0xc000_001d;
/// The handle does not carry the right.
pub const ACCESS_DENIED: u64 = 0xc000_0022;
/// The object has another type.
pub const OBJECT_TYPE_MISMATCH: u64 = 0xc000_0024;
/// An integer was divided by zero.
pub const INTEGER_DIVIDE_BY_ZERO: u64 = 0xc000_0094;
/// Only ring 0 may do that.
pub const PRIVILEGED_INSTRUCTION: u64 = 0xc000_0096;
/// Out of pool, handles or stacks.
pub const INSUFFICIENT_RESOURCES: u64 = 0xc000_009a;
/// The user stack has no room left.
pub const STACK_OVERFLOW: u64 = 0xc000_00fd;
/// The handle is protected from closing.
pub const HANDLE_NOT_CLOSABLE: u64 = 0xc000_0235;
/// The process is ending.
pub const PROCESS_IS_TERMINATING: u64 = 0xc000_010a;
/// The request was given up.
pub const CANCELLED: u64 = 0xc000_0120;
/// Fast fail.
pub const STACK_BUFFER_OVERRUN: u64 = 0xc000_0409;
/// The device is being removed: it goes with the last handle to it.
pub const DELETE_PENDING: u64 = 0xc000_0056;
/// The device is no longer there.
pub const DEVICE_REMOVED: u64 = 0xc000_02b6;
/// A data structure is not as it should be.
pub const DATA_ERROR: u64 = 0xc000_003e;
/// An address is not a multiple of what it must be.
pub const DATATYPE_MISALIGNMENT: u64 = 0x8000_0002;
/// A breakpoint that nobody handles.
pub const BREAKPOINT: u64 = 0x8000_0003;
/// A device did not answer in time.
pub const IO_TIMEOUT: u64 = 0xc000_00b5;
/// A breakpoint or single step.
pub const SINGLE_STEP: u64 = 0x8000_0004;
/// The host process of a user-mode driver ended while it had the request.
pub const DRIVER_PROCESS_TERMINATED: u64 = 0xc000_0450;

/// Whether a request may be completed with this status: not as pending, and not with -1, which no status is
/// ("Bug Check 0xC9: DRIVER_VERIFIER_IOMANAGER_VIOLATION").
#[must_use]
pub const fn is_final(status: u64) -> bool {
    status != PENDING && status & 0xffff_ffff != 0xffff_ffff
}

/// Whether a word is a status at all: 32 bits, of which the reserved one, bit 28, is clear ("NTSTATUS", [MS-ERREF]).
#[must_use]
pub const fn is_status(word: u64) -> bool {
    word >> 32 == 0 && word & 1 << 28 == 0
}

/// The status in a word. It has 32 bits: what else is in a register or in the word that a request's status shares
/// with a pointer of the kernel's own is none of it, and is handed to nobody ("NTSTATUS", [MS-ERREF];
/// "IO_STATUS_BLOCK structure").
#[must_use]
pub const fn of(word: u64) -> u64 {
    word & 0xffff_ffff
}
