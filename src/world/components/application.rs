//! An application: reads its list of actions from its own memory and carries them out.
//!
//! Whatever it asks of the system goes through the Windows API's entry. What it can see of each
//! action, its status and the bytes it got, is shown as an observation.

use crate::base::{Rule, Structure};
use crate::kernel::layout::{ACTION_BYTES, address, control_block};
use crate::kernel::{service, status};
use crate::machine::code::STEP_BYTES;
use crate::machine::registers::ARGUMENTS;
use crate::machine::{Flow, Processor, Reg, Routine, Trap, routine};

use super::windows_api::API_CALL;
use crate::world::action::{CrashKind, kind, place};

/// What is modelled here, by whose word.
pub(super) const RULES: &[Rule] = &[Rule::chosen(
    "default-action-ends",
    "An application handles no exception of its own: it ends with the exception's code.",
    "Exception Dispatching (the default action of most is ExitProcess)",
)];

/// The routines of the image, where somebody makes a thread and elsewhere.
const ROUTINES: &[&Routine] = &[&MAIN, &RECURSE, &WORKER];

/// The routines of the image.
#[must_use]
pub fn routines(makes_threads: bool) -> &'static [&'static Routine] {
    if makes_threads { ROUTINES } else { &ROUTINES[..2] }
}

/// Where another thread begins.
pub const WORKER_ENTRY: u64 =
    address::USER_CODE + (MAIN.steps.len() + RECURSE.steps.len()) as u64 * STEP_BYTES;

/// A repetition that never ends.
pub const EVER: u64 = u64::MAX;

const DATA: Structure = Structure::UserData;

fn slot(number: u64) -> u64 {
    address::USER_BUFFERS + place::SLOTS + (number & 15) * 8
}

/// The address an access of the current action goes to: immediate, or out of a slot plus an offset.
fn target(p: &mut Processor<'_>, record: u64) -> Result<u64, Trap> {
    let head = p.load_at(record, DATA)?;
    let first = p.load_at(record.wrapping_add(8), DATA)?;
    if head >> 16 & 1 == 0 {
        return Ok(first);
    }
    let offset = p.load_at(record.wrapping_add(24), DATA)?;
    Ok(p.load_at(slot(first), DATA)?.wrapping_add(offset))
}

/// Where [`MAIN`] is in the list.
fn next_of_main(p: &mut Processor<'_>) -> Result<u64, Trap> {
    p.load(address::USER_DATA, control_block::NEXT_ACTION)
}

fn go_on_in_main(p: &mut Processor<'_>, next: u64) -> Result<(), Trap> {
    p.store(address::USER_DATA, control_block::NEXT_ACTION, next)
}

/// Where [`WORKER`] is in the list: a local of its own.
fn next_of_worker(p: &mut Processor<'_>) -> Result<u64, Trap> {
    p.local(3)
}

fn go_on_in_worker(p: &mut Processor<'_>, next: u64) -> Result<(), Trap> {
    p.set_local(3, next)
}

/// Where a repetition goes back to, if it does once more: how often it still does is in its record.
fn repeated(p: &mut Processor<'_>, record: u64) -> Result<Option<u64>, Trap> {
    let first = p.load_at(record.wrapping_add(8), DATA)?;
    let left = p.load_at(record.wrapping_add(16), DATA)?;
    if left == EVER {
        return Ok(Some(first));
    }
    if left == 0 {
        return Ok(None);
    }
    p.store_at(record.wrapping_add(16), DATA, left - 1)?;
    Ok(Some(first))
}

/// Declares a loop over the actions: how it begins and ends, and where it keeps the next action's number.
macro_rules! actions {
    (
        $(#[$meta:meta])*
        $NAME:ident = $text:literal, begin $enter:expr, at $next:ident, to $go_on:ident, end $finish:expr;
    ) => { routine! {
    $(#[$meta])*
    pub static $NAME = $text, frame 4;
    // Locals: 0 the action's record; 1 its first word; 2 a status; 3 of a worker the next action.
    enter => $enter,
    fetch => |p| {
        let next = $next(p)?;
        let count = p.load(address::USER_DATA, control_block::ACTION_COUNT)?;
        if next >= count {
            return Ok(Flow::To(At::finish as u8));
        }
        $go_on(p, next.wrapping_add(1))?;
        let actions = address::USER_DATA + control_block::ACTIONS.offset;
        let record = actions.wrapping_add(next.wrapping_mul(ACTION_BYTES));
        p.set_local(0, record)?;
        let head = p.load_at(record, DATA)?;
        p.set_local(1, head)?;
        if head & 0xff == kind::REPEAT {
            if let Some(first) = repeated(p, record)? {
                $go_on(p, first)?;
            }
            return Ok(Flow::Stay);
        }
        if head & 0xff == kind::ON_FAILURE {
            // Of this thread's last call: the word in the control block is both threads'.
            if p.local(2)? != status::SUCCESS {
                let first = p.load_at(record.wrapping_add(8), DATA)?;
                $go_on(p, first)?;
            }
            return Ok(Flow::Stay);
        }
        Ok(match head & 0xff {
            kind::SERVICE => Flow::To(At::fill as u8),
            kind::STORE => Flow::To(At::store as u8),
            kind::LOAD => Flow::To(At::load as u8),
            kind::EXECUTE => Flow::To(At::execute as u8),
            kind::CRASH => Flow::To(At::crash as u8),
            kind::SPIN => Flow::To(At::spin as u8),
            kind::PORT_IN => Flow::To(At::port_in as u8),
            kind::PORT_OUT => Flow::To(At::port_out as u8),
            kind::TAKE => Flow::To(At::take as u8),
            _ => Flow::To(At::fetch as u8),
        })
    },
    store => |p| {
        let record = p.local(0)?;
        let value = p.load_at(record.wrapping_add(16), DATA)?;
        let at = target(p, record)?;
        p.store_at(at, DATA, value)?;
        p.observe(kind::STORE, 0, 0);
        Ok(Flow::To(At::fetch as u8))
    },
    load => |p| {
        let record = p.local(0)?;
        let at = target(p, record)?;
        let value = p.load_at(at, DATA)?;
        p.observe(kind::LOAD, 0, value);
        Ok(Flow::To(At::fetch as u8))
    },
    execute => |p| {
        let record = p.local(0)?;
        let at = target(p, record)?;
        Ok(Flow::CallAt(at))
    },
    executed => |_| Ok(Flow::To(At::fetch as u8)),
    fill => |p| {
        let record = p.local(0)?;
        let pattern = p.load_at(record.wrapping_add(56), DATA)?;
        let buffer = p.load_at(record.wrapping_add(24), DATA)?;
        let bytes = p.load_at(record.wrapping_add(32), DATA)?;
        if pattern != 0 {
            let mut done = 0;
            while done < bytes.min(256) {
                p.store_at(buffer.wrapping_add(done), DATA, pattern.wrapping_add(done))?;
                done += 8;
            }
        }
        Ok(Flow::Next)
    },
    ask, call API_CALL => |p| {
        let record = p.local(0)?;
        let head = p.local(1)?;
        for (index, reg) in ARGUMENTS.into_iter().enumerate() {
            let word = p.load_at(record.wrapping_add(8 + index as u64 * 8), DATA)?;
            let value = if head >> (16 + index) & 1 == 1 { p.load_at(slot(word), DATA)? } else { word };
            p.put(reg, value);
        }
        p.put(Reg::Rax, head >> 8 & 0xff);
        Ok(Flow::Call)
    },
    keep => |p| {
        let (status, extra) = (status::of(p.get(Reg::Rax)), p.get(Reg::Rdx));
        let head = p.local(1)?;
        p.set_local(2, status)?;
        p.store(address::USER_DATA, control_block::LAST_STATUS, status)?;
        if head >> 24 & 0xff != 0xff {
            // A failed call leaves no handle behind.
            p.store_at(slot(head >> 24), DATA, if status == 0 { extra } else { 0 })?;
        }
        Ok(Flow::Next)
    },
    look => |p| {
        let record = p.local(0)?;
        let head = p.local(1)?;
        let status = p.local(2)?;
        let buffer = p.load_at(record.wrapping_add(40), DATA)?;
        let bytes = p.load_at(record.wrapping_add(48), DATA)?;
        let returns_bytes = head >> 8 & 0xff != service::CREATE_PROCESS && buffer != 0;
        let seen = if status == 0 && returns_bytes { p.inspect(buffer, DATA, bytes.min(256))? } else { 0 };
        p.observe(head & 0xffff, status, seen);
        Ok(Flow::To(At::fetch as u8))
    },
    crash => |p| {
        let record = p.local(0)?;
        let how = p.load_at(record.wrapping_add(8), DATA)?;
        if how == CrashKind::NullDereference as u64 {
            p.load_at(0, DATA)?;
        } else if how == CrashKind::IllegalInstruction as u64 {
            return Err(Trap::plain(Trap::INVALID_OPCODE));
        } else if how == CrashKind::DivideByZero as u64 {
            return Err(Trap::plain(Trap::DIVIDE));
        } else if how == CrashKind::Abort as u64 {
            p.put(Reg::Rcx, Trap::FATAL_APP_EXIT);
            return Err(Trap::plain(Trap::FAST_FAIL));
        } else if how == CrashKind::PrivilegedInstruction as u64 {
            p.load_root(0)?;
        }
        Ok(Flow::Next)
    },
    overflow, call RECURSE => |_| Ok(Flow::Call),
    overflown => |_| Ok(Flow::To(At::fetch as u8)),
    spin => |_| Ok(Flow::Stay),
    finish, call API_CALL => $finish,
    finished => |_| Ok(Flow::Stay),
    port_in => |p| {
        let record = p.local(0)?;
        let port = p.load_at(record.wrapping_add(8), DATA)?;
        let value = p.port_in((port & 0xffff) as u16)?;
        p.observe(kind::PORT_IN, 0, value);
        Ok(Flow::To(At::fetch as u8))
    },
    port_out => |p| {
        let record = p.local(0)?;
        let port = p.load_at(record.wrapping_add(8), DATA)?;
        let value = p.load_at(record.wrapping_add(16), DATA)?;
        p.port_out((port & 0xffff) as u16, value)?;
        p.observe(kind::PORT_OUT, 0, 0);
        Ok(Flow::To(At::fetch as u8))
    },
    take => |p| {
        let record = p.local(0)?;
        let at = target(p, record)?;
        let value = p.load_at(at, DATA)?;
        let to = p.load_at(record.wrapping_add(16), DATA)?;
        p.store_at(slot(to), DATA, value)?;
        p.observe(kind::TAKE, 0, value);
        Ok(Flow::To(At::fetch as u8))
    },
    } };
}

actions! {
    /// The loop over the actions. Never returns.
    MAIN = "main",
    begin |p| {
        // The process starts here without a call: the frame is made by hand.
        p.set_stack(address::USER_STACK_TOP - 64);
        p.put(Reg::Rbp, address::USER_STACK_TOP - 16);
        Ok(Flow::Next)
    },
    at next_of_main, to go_on_in_main,
    end |p| {
        p.put(Reg::Rax, service::TERMINATE);
        p.pass([0, 0]);
        Ok(Flow::Call)
    };
}

actions! {
    /// The same for another thread, from the action on that is its argument; at the end of the list the
    /// thread ends, and not its process. Slots and buffers are the process's, and so both threads'.
    WORKER = "worker",
    begin |p| {
        let (top, first) = (p.get(Reg::Rsp), p.argument(0));
        p.set_stack(top.wrapping_sub(64));
        p.put(Reg::Rbp, top.wrapping_sub(16));
        p.set_local(3, first)?;
        Ok(Flow::Next)
    },
    at next_of_worker, to go_on_in_worker,
    end |p| {
        p.put(Reg::Rax, service::TERMINATE_THREAD);
        p.pass([0, 0]);
        Ok(Flow::Call)
    };
}

routine! {
    /// Calls itself until the stack is used up.
    pub static RECURSE = "recurse", frame 32;
    again, call RECURSE => |p| {
        p.set_local(0, 1)?;
        Ok(Flow::Call)
    },
    done => |_| Ok(Flow::Return),
}
