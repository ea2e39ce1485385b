//! An exception of kernel-mode code: everything that decides what becomes of it is looked up, in the
//! tables and on the stack, and then decided by [`resolve`].
//!
//! Handlers are looked for frame by frame, from the code that faulted to the thread's first frame
//! ("Exception Dispatching": frame handlers up the stack). Frames and the code words that name
//! handlers are in memory, so that what a wild write makes of them counts.

use crate::base::Structure;
use crate::kernel::bug_check::KE_BUG_CHECK;
use crate::kernel::configured::configured;
use crate::kernel::layout::{address, kernel_data, process, processor_block, switches, thread};
use crate::kernel::paging;
use crate::kernel::pools::special::{self, Place};
use crate::kernel::system_call::KI_SYSTEM_CALL;
use crate::kernel::transition::KI_SYSTEM_CALL_SHADOW;
use crate::machine::code::STEP_BYTES;
use crate::machine::{Flow, Processor, Trap, routine};

use super::frame;
use super::resolve::{
    Cause, KernelException, PageState, Path, Resolution, code_at, record_of, resolve,
};

/// Frames that are looked at for a handler: more than the deepest chain of calls has.
const FRAMES_MAX: u64 = 24;

/// The first local of the exception record.
const RECORD: u64 = 14;

/// What [`KI_DISPATCH_EXCEPTION`] is told was raised.
pub(super) mod cause {
    /// A page fault; the error code is in the trap frame.
    pub(in super::super) const PAGE_FAULT: u64 = 0;
    /// An access to an address that is not canonical; the third argument is [`WRITE`](super::super::resolve::WRITE)
    /// where it was a write.
    pub(in super::super) const NON_CANONICAL: u64 = 1;
    /// A refusal of the second level; the error code is in the trap frame.
    pub(in super::super) const SECOND_LEVEL: u64 = 2;
    /// Another exception; the third argument is its status.
    pub(in super::super) const OTHER: u64 = 3;
    /// A fast fail; the third argument is its reason.
    pub(in super::super) const FAST_FAIL: u64 = 4;
}

/// What the tables say of an address: its state, where its lowest-level entry appears, what it holds.
/// Read level by level through the self-map, as the tables now stand.
pub(super) fn look_up(p: &mut Processor<'_>, virt: u64) -> Result<(PageState, u64, u64), Trap> {
    let slot = p.load(address::KERNEL_DATA, kernel_data::SELF_MAP_SLOT)? & 511;
    let lowest = address::table_entry(slot, virt);
    let directory = address::table_entry(slot, lowest);
    let pointers = address::table_entry(slot, directory);
    let root = address::table_entry(slot, pointers);
    let (mut user, mut writable) = (true, true);
    for at in [root, pointers, directory] {
        let entry = p.load_at(at, Structure::PageTable)?;
        if entry & paging::PRESENT == 0 {
            return Ok((PageState::NoTable, lowest, 0));
        }
        user &= entry & paging::USER != 0;
        writable &= entry & paging::WRITABLE != 0;
        if entry & paging::LARGE != 0 && at != root {
            return Ok((PageState::Mapped { user, writable }, at, entry));
        }
    }
    let entry = p.load_at(lowest, Structure::PageTable)?;
    user &= entry & paging::USER != 0;
    writable &= entry & paging::WRITABLE != 0;
    let state = match entry {
        _ if entry & paging::PRESENT != 0 => PageState::Mapped { user, writable },
        _ if entry & paging::TRIMMED != 0 && may_be_trimmed(p)? => PageState::Trimmed,
        _ => match special::place(p, virt)? {
            Place::Elsewhere => PageState::Absent,
            place => PageState::Special(place),
        },
    };
    Ok((state, lowest, entry))
}

/// Whether pages are trimmed in this world. Elsewhere the bit that says so of an entry means nothing.
fn may_be_trimmed(p: &mut Processor<'_>) -> Result<bool, Trap> {
    Ok(configured(p)? & switches::PAGEABLE != 0)
}

/// Where the handler of the step that `rip` lies in is, out of that step's code word; 0 when there is none. As
/// handlers are found by a range of addresses, it need not be the step's beginning. What lies in no image is in
/// no table of functions: it has no handler, and nobody reads what it is ("struct RUNTIME_FUNCTION").
fn handler_of(p: &mut Processor<'_>, rip: u64) -> Result<u64, Trap> {
    if !address::is_code_of_an_image(rip) || !paging::is_valid(p, rip)? {
        return Ok(0);
    }
    let step = rip & !(STEP_BYTES - 1);
    let word = p.load_at(step, Structure::Code)?;
    #[allow(clippy::cast_possible_truncation, reason = "one byte of the code word")]
    let steps = i64::from(((word >> 16) as u8).cast_signed()).cast_unsigned();
    Ok(if steps == 0 { 0 } else { step.wrapping_add(steps.wrapping_mul(STEP_BYTES)) })
}

/// Whether an address is in the code that `syscall` leads to.
fn is_service_entry(p: &mut Processor<'_>, rip: u64) -> Result<bool, Trap> {
    let mut start = p.registers().syscall_target;
    if start >= address::TRANSITION_CODE {
        // The entry on a shadow root is short, and its last step names what it jumps to.
        let last = KI_SYSTEM_CALL_SHADOW.steps.len() as u64 - 1;
        let operand = start.wrapping_add(last * STEP_BYTES + 8);
        start = p.load_at(operand, Structure::Code)?;
    }
    Ok(rip.wrapping_sub(start) < KI_SYSTEM_CALL.steps.len() as u64 * STEP_BYTES)
}

/// Whether a frame is the first of a system thread that is not the idle one.
fn is_system_thread_s_first(p: &mut Processor<'_>, frame: u64) -> Result<bool, Trap> {
    let block = p.gs();
    let current = p.load(block, processor_block::CURRENT_THREAD)?;
    if current == p.load(block, processor_block::IDLE_THREAD)?
        || frame != p.load(current, thread::STACK_TOP)?.wrapping_sub(16)
    {
        return Ok(false);
    }
    let owner = p.load(current, thread::PROCESS)?;
    Ok(p.load(owner, process::PRINCIPAL)? == 0)
}

/// Where the running thread's kernel stack is.
fn stack_bounds(p: &mut Processor<'_>) -> Result<core::ops::Range<u64>, Trap> {
    let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
    let top = p.load(current, thread::STACK_TOP)?;
    Ok(top.wrapping_sub(4096)..top)
}

routine! {
    /// Sorts out an exception of kernel-mode code. Arguments: what was raised (see `cause`), the trap
    /// frame, a status or reason. Returns with the trap frame changed so that the handler continues,
    /// and its frame pointer as the result; or stops the machine.
    pub(super) static KI_DISPATCH_EXCEPTION = "KiDispatchException", frame 18;
    // Locals: 0 cause; 1 trap frame; 2 status; 3 page state; 4 where the entry appears; 5 the entry;
    // 6 where the handler is, 0 when there is none; 7 its stack pointer; 8 its frame pointer; 9 path;
    // 10 frame in hand; 11 code in hand; 12 stack pointer in hand; 13 frames looked at; from 14 on the
    // exception record: code, where, two words of information.
    keep => |p| {
        let (cause, trap_frame, status) = (p.argument(0), p.argument(1), p.argument(2));
        p.set_local(0, cause)?;
        p.set_local(1, trap_frame)?;
        p.set_local(2, status)?;
        for number in 3..14 {
            p.set_local(number, 0)?;
        }
        let rip = p.load_at(trap_frame.wrapping_add(frame::RIP), Structure::KernelStack)?;
        let rsp = p.load_at(trap_frame.wrapping_add(frame::RSP), Structure::KernelStack)?;
        // The frame pointer at the exception: what the call to here pushed.
        let own = p.get(crate::machine::Reg::Rbp);
        let rbp = p.load_at(own, Structure::KernelStack)?;
        p.set_local(10, rbp)?;
        p.set_local(11, rip)?;
        p.set_local(12, rsp)?;
        Ok(Flow::Next)
    },
    tables => |p| {
        // No table has an entry for an address that is not canonical.
        let is_in_tables = p.local(0)? != cause::NON_CANONICAL;
        if let Some(virt) = address_told(p)?.filter(|_| is_in_tables) {
            let (state, at, entry) = look_up(p, virt)?;
            p.set_local(3, encoded(state))?;
            p.set_local(4, at)?;
            p.set_local(5, entry)?;
        }
        Ok(Flow::Next)
    },
    unwind => |p| {
        let (inside, code) = (p.local(10)?, p.local(11)?);
        let handler = handler_of(p, code)?;
        if handler != 0 {
            let stack = p.local(12)?;
            p.set_local(6, handler)?;
            p.set_local(7, stack)?;
            p.set_local(8, inside)?;
            return Ok(Flow::Next);
        }
        if is_service_entry(p, code)? {
            p.set_local(9, Path::SystemService as u64)?;
            return Ok(Flow::Next);
        }
        let looked_at = p.local(13)?;
        let bounds = stack_bounds(p)?;
        let is_frame = bounds.contains(&inside) && inside % 8 == 0 && looked_at < FRAMES_MAX;
        if !is_frame {
            p.set_local(9, Path::Other as u64)?;
            return Ok(Flow::Next);
        }
        if is_system_thread_s_first(p, inside)? {
            p.set_local(9, Path::SystemThread as u64)?;
            return Ok(Flow::Next);
        }
        let outside = p.load_at(inside, Structure::KernelStack)?;
        let back = p.load_at(inside.wrapping_add(8), Structure::KernelStack)?;
        p.set_local(10, outside)?;
        p.set_local(11, back.wrapping_sub(STEP_BYTES))?;
        p.set_local(12, inside.wrapping_add(16))?;
        p.set_local(13, looked_at.wrapping_add(1))?;
        Ok(Flow::Stay)
    },
    decide, call KE_BUG_CHECK => |p| {
        let trap_frame = p.local(1)?;
        let rip = p.load_at(trap_frame.wrapping_add(frame::RIP), Structure::KernelStack)?;
        let error = p.load_at(trap_frame.wrapping_add(frame::CODE), Structure::KernelStack)?;
        let status = p.local(2)?;
        let cause = match p.local(0)? {
            cause::PAGE_FAULT => Cause::PageFault(error),
            cause::NON_CANONICAL => Cause::NonCanonical(status),
            cause::SECOND_LEVEL => Cause::SecondLevel(error),
            cause::FAST_FAIL => Cause::FastFail(status),
            _ => Cause::Other(status),
        };
        let virt = address_told(p)?.unwrap_or(0);
        let pool_code = p.load(address::KERNEL_DATA, kernel_data::POOL_CODE)?
            ..p.load(address::KERNEL_DATA, kernel_data::POOL_CODE_END)?;
        let raised = KernelException {
            cause,
            virt,
            rip,
            irql: p.irql()?,
            code: code_at(rip, pool_code),
            page: decoded(p.local(3)?),
            entry_address: p.local(4)?,
            entry: p.local(5)?,
            has_handler: p.local(6)? != 0,
            path: path(p.local(9)?),
            record: p.local_address(RECORD),
            context: trap_frame,
            has_early_codes: configured(p)?
                & switches::EARLY_ACCESS_CODES
                != 0,
        };
        match resolve(&raised) {
            Resolution::Handler => Ok(Flow::To(At::land as u8)),
            // Another processor trimmed it in between: whoever wanted it tries again.
            Resolution::PagedIn => {
                let own = p.get(crate::machine::Reg::Rbp);
                let frame_pointer = p.load_at(own, Structure::KernelStack)?;
                Ok(p.give_back(frame_pointer))
            }
            Resolution::BugCheck(parameters) => {
                for (number, word) in record_of(&raised).into_iter().enumerate() {
                    p.set_local(RECORD + number as u64, word)?;
                }
                p.pass(parameters);
                Ok(Flow::Call)
            }
        }
    },
    stopped => |_| Ok(Flow::Stay),
    land => |p| {
        let (trap_frame, rip, rsp, rbp) = (p.local(1)?, p.local(6)?, p.local(7)?, p.local(8)?);
        p.store_at(trap_frame.wrapping_add(frame::RIP), Structure::KernelStack, rip)?;
        p.store_at(trap_frame.wrapping_add(frame::RSP), Structure::KernelStack, rsp)?;
        Ok(p.give_back(rbp))
    },
}

/// The address that the exception in hand tells, by its cause in the first local: of a page fault in CR2.
fn address_told(p: &mut Processor<'_>) -> Result<Option<u64>, Trap> {
    Ok(match p.local(0)? {
        cause::PAGE_FAULT => Some(p.fault_address()?),
        cause::SECOND_LEVEL | cause::NON_CANONICAL => Some(p.refused_address()?),
        _ => None,
    })
}

/// A page's state as a local of the dispatcher.
const fn encoded(state: PageState) -> u64 {
    match state {
        PageState::Absent => 0,
        PageState::NoTable => 1,
        PageState::Special(Place::Freed) => 2,
        PageState::Special(Place::BeyondEnd) => 3,
        PageState::Special(Place::Elsewhere) => 0,
        PageState::Trimmed => 5,
        PageState::Mapped { user, writable } => 4 | (user as u64) << 4 | (writable as u64) << 5,
    }
}

const fn decoded(word: u64) -> PageState {
    match word & 7 {
        1 => PageState::NoTable,
        2 => PageState::Special(Place::Freed),
        3 => PageState::Special(Place::BeyondEnd),
        5 => PageState::Trimmed,
        4 => PageState::Mapped { user: word >> 4 & 1 == 1, writable: word >> 5 & 1 == 1 },
        _ => PageState::Absent,
    }
}

const fn path(word: u64) -> Path {
    match word {
        0 => Path::SystemService,
        1 => Path::SystemThread,
        _ => Path::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_through_a_local_comes_back() {
        for state in [
            PageState::Absent,
            PageState::NoTable,
            PageState::Special(Place::Freed),
            PageState::Special(Place::BeyondEnd),
            PageState::Trimmed,
            PageState::Mapped { user: true, writable: false },
            PageState::Mapped { user: false, writable: true },
        ] {
            assert_eq!(decoded(encoded(state)), state);
        }
        for way in [Path::SystemService, Path::SystemThread, Path::Other] {
            assert_eq!(path(way as u64), way);
        }
    }
}
