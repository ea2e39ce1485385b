//! What becomes of an exception that kernel-mode code raises: one decision, as a pure function.
//!
//! The order of decisions is assembled from the debugger documentation of the bug checks named; that
//! order is inferred, and where the documents leave a choice between two codes it is made by whose
//! code faulted. Whoever did the damage is not asked: the code that is blamed may be a victim ("Bug
//! Check 0x139", "Bug Check 0x19").

pub(crate) mod rows;

use super::fast_fail;
use crate::kernel::bug_check::BugCheck;
use crate::kernel::layout::address;
use crate::kernel::pools::special::{self, Place};
use crate::kernel::status;

use rows::{
    DOUBLE_FAULT, EXECUTED, EXECUTED_USER, FREED, IN_POOL_CODE, IN_SYSTEM_SERVICE,
    IN_SYSTEM_THREAD, IN_THE_HOLE, NO_TABLE, RAISED_IN_DRIVER, RAISED_IN_WINDOWS, READ_ONLY,
    REFUSED_BY_KEY, SECOND_LEVEL_EXECUTE, SECOND_LEVEL_READ, SECOND_LEVEL_WRITE, TABLE_CORRUPT,
    UNHANDLED, USER_NOT_ALLOWED,
};

/// Level from which on no page fault can be resolved ("Managing Hardware Priorities").
pub const DISPATCH_LEVEL: u64 = 2;

/// Page-fault error code bits (Intel SDM volume 3A, "Interrupt 14—Page-Fault Exception").
const PRESENT: u64 = 1;
pub(super) const WRITE: u64 = 2;
const RESERVED: u64 = 8;
const FETCH: u64 = 16;
const KEY: u64 = 32;

/// What was raised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// A page fault with this error code.
    PageFault(u64),
    /// The second level of permissions refused what the tables allow: the bits of
    /// [`second_level`](crate::machine::trap::second_level).
    SecondLevel(u64),
    /// A general protection that an access to an address in the hole raised: 2 when it writes, or 0 for a read.
    NonCanonical(u64),
    /// Any other exception, by its status.
    Other(u64),
    /// A fast fail, with its reason.
    FastFail(u64),
    /// A double fault.
    DoubleFault,
}

/// What the tables say of the address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageState {
    /// A table above the lowest level is not there.
    NoTable,
    /// The entry maps nothing.
    Absent,
    /// The entry maps nothing, and the page is special pool's.
    Special(Place),
    /// The entry maps nothing now; the page was trimmed, and what it holds is kept.
    Trimmed,
    /// A page is mapped, with these rights.
    Mapped {
        /// User mode may use it.
        user: bool,
        /// It may be written.
        writable: bool,
    },
}

/// In which half of the address space an address lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddressClass {
    /// The first 64 KiB: what a null pointer and a small offset lead to.
    NullPage,
    /// The user half.
    User,
    /// The hole between the halves.
    NonCanonical,
    /// The system half.
    System,
}

/// The class of an address, for 48 bits of linear address.
#[must_use]
pub const fn class_of(virt: u64) -> AddressClass {
    match virt >> 47 {
        0 if virt < 0x1_0000 => AddressClass::NullPage,
        0 => AddressClass::User,
        0x1_ffff => AddressClass::System,
        _ => AddressClass::NonCanonical,
    }
}

/// Whose code raised it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultingCode {
    /// A driver's, or in no image at all, as after a call to nowhere.
    Driver,
    /// Windows's own.
    Windows,
    /// The pool's, which is Windows's own.
    Pool,
}

/// How control came to the code that raised it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Path {
    /// By a system service.
    SystemService,
    /// In a system thread.
    SystemThread,
    /// Otherwise: an interrupt or a deferred call, an exception of user mode, the idle loop.
    Other,
}

/// What the kernel knows when its own code raises an exception.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KernelException {
    /// What was raised.
    pub cause: Cause,
    /// The address that was accessed; 0 when none was.
    pub virt: u64,
    /// Where.
    pub rip: u64,
    /// The interrupt request level.
    pub irql: u64,
    /// Whose code it was.
    pub code: FaultingCode,
    /// What the tables say of the address.
    pub page: PageState,
    /// Where the lowest-level entry of the address appears.
    pub entry_address: u64,
    /// What it holds; 0 when there is none.
    pub entry: u64,
    /// Whether a frame of the stack has a handler for it.
    pub has_handler: bool,
    /// How control came there.
    pub path: Path,
    /// The address of the exception record.
    pub record: u64,
    /// The address of the trap frame: the context record.
    pub context: u64,
    /// Whether bug check 0x50 tells accesses as before Windows 10 1507.
    pub has_early_codes: bool,
}

impl KernelException {
    /// What is known when nothing was looked up.
    #[must_use]
    pub const fn of(cause: Cause) -> Self {
        Self {
            cause,
            virt: 0,
            rip: 0,
            irql: 0,
            code: FaultingCode::Windows,
            page: PageState::Absent,
            entry_address: 0,
            entry: 0,
            has_handler: false,
            path: Path::Other,
            record: 0,
            context: 0,
            has_early_codes: false,
        }
    }
}

/// What becomes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resolution {
    /// The handler continues.
    Handler,
    /// The page is brought in, and whoever wanted it tries again.
    PagedIn,
    /// The machine stops: code and four parameters.
    BugCheck([u64; 5]),
}

fn stop(row: &'static BugCheck, parameters: [u64; 4]) -> Resolution {
    Resolution::BugCheck(row.with(parameters))
}

/// The access in the form that bug check 0x50 takes: 0 read, 2 write, 0x10 execute.
const fn access(error: u64) -> u64 {
    if error & FETCH != 0 { FETCH } else { error & WRITE }
}

impl KernelException {
    /// The same in the form of this kernel: before Windows 10 1507 0 read, 1 write, 8 execute.
    const fn access(&self, error: u64) -> u64 {
        access(error) >> self.has_early_codes as u64
    }
}

/// Decides what becomes of an exception that kernel-mode code raised.
///
/// 1. A fast fail and a double fault stop the machine, whatever else is so.
/// 2. So does a refusal of the second level (0x18D): it is none of the tables, nothing that is brought in
///    helps, and the level is not asked.
/// 3. At dispatch level or above an access that goes wrong stops it, for any reason: 0xC5 in the
///    pool's code, 0xD1 in a driver's, 0x0A in Windows's own.
/// 4. Below, a system page that was trimmed is brought in, whatever the access.
/// 5. Any other system address and an execution that is forbidden stop it too; no handler is asked.
/// 6. A page of either half that is there but closed by SMAP stops it (0x50, 0xF).
/// 7. A reference to the hole stops it (0x50, 4), though the processor raises a general protection; in
///    kernels that tell 0x50's accesses as before 1507 it is an exception at any level.
/// 8. What remains is an exception: a handler continues, else 0x3B in a system service, 0x7E in a
///    system thread, 0x1E otherwise. So is any other trap, at any level; among them a general protection,
///    as of a call or return into the hole.
#[must_use]
pub fn resolve(raised: &KernelException) -> Resolution {
    let error = match raised.cause {
        Cause::FastFail(reason) => {
            return stop(fast_fail::row(reason), [reason, raised.context, raised.record, 0]);
        }
        Cause::DoubleFault => return stop(&DOUBLE_FAULT, [8, 0, 0, 0]),
        Cause::Other(status) => return exception(raised, status),
        // Older kernels take it for any other general protection.
        Cause::NonCanonical(_) if raised.has_early_codes => {
            return exception(raised, status::ACCESS_VIOLATION);
        }
        Cause::PageFault(error) | Cause::NonCanonical(error) => error,
        Cause::SecondLevel(refused) => return second_level(raised, page_fault_bits(refused)),
    };
    if raised.irql >= DISPATCH_LEVEL {
        let (row, access) = match raised.code {
            FaultingCode::Pool => (&IN_POOL_CODE, u64::from(error & WRITE != 0)),
            FaultingCode::Driver => (&RAISED_IN_DRIVER, access(error) >> 1),
            FaultingCode::Windows => (&RAISED_IN_WINDOWS, access(error) >> 1),
        };
        return stop(row, [raised.virt, raised.irql, access, raised.rip]);
    }
    if error & FETCH != 0 && error & PRESENT != 0 {
        let is_user = matches!(raised.page, PageState::Mapped { user: true, .. });
        let row = if is_user { &EXECUTED_USER } else { &EXECUTED };
        return stop(row, [raised.virt, raised.entry, 0, 0]);
    }
    match class_of(raised.virt) {
        AddressClass::NonCanonical => {
            stop(&IN_THE_HOLE, [raised.virt, raised.access(error), raised.rip, 4])
        }
        AddressClass::System => system_address(raised, error),
        AddressClass::NullPage | AddressClass::User => user_address(raised, error),
    }
}

/// A refusal of the second level in the bits of a page fault's error code.
const fn page_fault_bits(refused: u64) -> u64 {
    use crate::machine::trap::second_level;
    PRESENT
        | if refused & second_level::WRITE != 0 { WRITE } else { 0 }
        | if refused & second_level::EXECUTE != 0 { FETCH } else { 0 }
}

fn second_level(raised: &KernelException, error: u64) -> Resolution {
    let (row, what) = match access(error) {
        FETCH => (&SECOND_LEVEL_EXECUTE, 1),
        WRITE => (&SECOND_LEVEL_WRITE, 4),
        _ => (&SECOND_LEVEL_READ, 2),
    };
    stop(row, [what, raised.virt, raised.record, raised.context])
}

/// What refused an access to a system page that is there; `None` where it isn't any more, and what was cached of
/// it refused the access.
const fn refused_though_there(page: PageState, error: u64) -> Option<&'static BugCheck> {
    let is_write = error & WRITE != 0;
    Some(match page {
        PageState::Mapped { writable: true, .. } if is_write && error & KEY != 0 => &REFUSED_BY_KEY,
        // The user bit is set and writing is open: what is left is SMAP.
        PageState::Mapped { user: true, writable } if writable || !is_write => &USER_NOT_ALLOWED,
        _ if is_write => &READ_ONLY,
        PageState::Mapped { .. } => &USER_NOT_ALLOWED,
        _ => return None,
    })
}

fn system_address(raised: &KernelException, error: u64) -> Resolution {
    let KernelException { virt, rip, entry, code, .. } = *raised;
    if raised.page == PageState::Trimmed && error & PRESENT == 0 {
        return Resolution::PagedIn;
    }
    if error & RESERVED != 0 {
        return stop(&TABLE_CORRUPT, [0x41792, raised.entry_address, entry, 0]);
    }
    if error & PRESENT != 0
        && let Some(row) = refused_though_there(raised.page, error)
    {
        return match row.subtype {
            Some(_) => stop(row, [virt, raised.access(error), rip, 0xf]),
            None => stop(row, [virt, entry, 0, 0]),
        };
    }
    if let PageState::Special(place) = raised.page
        && let Some(row) = special::absent(place, code == FaultingCode::Driver)
    {
        return stop(row, [virt, u64::from(error & WRITE != 0), rip, 0]);
    }
    match raised.page {
        PageState::NoTable => stop(&NO_TABLE, [virt, raised.access(error), rip, 2]),
        // Which of the two an entry is that nobody ever used is not documented.
        PageState::Absent if entry == 0 => stop(&NO_TABLE, [virt, raised.access(error), rip, 2]),
        _ => stop(&FREED, [virt, raised.access(error), rip, 0]),
    }
}

fn user_address(raised: &KernelException, error: u64) -> Resolution {
    // What the page itself allows is refused by SMAP alone, where the entry is none that can't be.
    let is_allowed_by_page = match raised.page {
        PageState::Mapped { user, writable } => user && (writable || error & WRITE == 0),
        _ => false,
    };
    if error & PRESENT != 0 && error & RESERVED == 0 && is_allowed_by_page {
        return stop(&USER_NOT_ALLOWED, [raised.virt, raised.access(error), raised.rip, 0xf]);
    }
    exception(raised, status::ACCESS_VIOLATION)
}

/// The two words of information of an exception. Of an access violation: 0 read, 1 write, 8 execute, and the
/// address ("EXCEPTION_RECORD structure"). A general protection says of neither, and is told as a read of the
/// last address. Of others here none.
const fn information(raised: &KernelException) -> [u64; 2] {
    match raised.cause {
        Cause::PageFault(error) => [access(error) >> 1, raised.virt],
        Cause::Other(status::ACCESS_VIOLATION) | Cause::NonCanonical(_) => [0, u64::MAX],
        Cause::FastFail(reason) => [reason, 0],
        Cause::SecondLevel(_) => [0, raised.virt],
        Cause::Other(_) | Cause::DoubleFault => [0, 0],
    }
}

/// An exception's code as 0x1E and 0x7E tell it in 64 bits: it is a signed number of 32. 0x3B tells the same
/// code with zeros above it.
#[allow(clippy::cast_possible_truncation, reason = "a code has 32 bits")]
const fn sign_extended(status: u64) -> u64 {
    (status as u32).cast_signed() as i64 as u64
}

/// The exception record of what was raised: code, where, the two words of information.
#[must_use]
pub const fn record_of(raised: &KernelException) -> [u64; 4] {
    let code = match raised.cause {
        Cause::Other(status) => status,
        Cause::FastFail(_) => status::STACK_BUFFER_OVERRUN,
        _ => status::ACCESS_VIOLATION,
    };
    let [first, second] = information(raised);
    [code, raised.rip, first, second]
}

/// An exception that a handler may catch.
fn exception(raised: &KernelException, status: u64) -> Resolution {
    if raised.has_handler {
        return Resolution::Handler;
    }
    let KernelException { rip, record, context, .. } = *raised;
    let extended = sign_extended(status);
    let [first, second] = information(raised);
    match raised.path {
        Path::SystemService => stop(&IN_SYSTEM_SERVICE, [status, rip, context, 0]),
        Path::SystemThread => stop(&IN_SYSTEM_THREAD, [extended, rip, record, context]),
        Path::Other => stop(&UNHANDLED, [extended, rip, first, second]),
    }
}

/// Whose code lies at an address of the system half. The pool's code lies between the two addresses.
#[must_use]
pub fn code_at(rip: u64, pool_code: core::ops::Range<u64>) -> FaultingCode {
    if !address::is_code_of_windows(rip) {
        FaultingCode::Driver
    } else if pool_code.contains(&rip) {
        FaultingCode::Pool
    } else {
        FaultingCode::Windows
    }
}

#[cfg(test)]
mod tests;
