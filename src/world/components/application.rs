//! An application: reads its list of actions from its own memory and carries them out.
//!
//! Whatever it asks of the system goes through the Windows API's entry. What it can see of each
//! action, its status and the bytes it got, is shown as an observation.

use crate::base::{Rule, Structure};
use crate::kernel::layout::{ACTION_BYTES, address, control_block};
use crate::kernel::{service, status};
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

/// The routines of the image.
pub const ROUTINES: &[&Routine] = &[&MAIN, &RECURSE];

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

routine! {
    /// The loop over the actions. Never returns.
    pub static MAIN = "main", frame 4;
    enter => |p| {
        // The process starts here without a call: the frame is made by hand.
        p.set_stack(address::USER_STACK_TOP - 64);
        p.put(Reg::Rbp, address::USER_STACK_TOP - 16);
        Ok(Flow::Next)
    },
    fetch => |p| {
        let next = p.load(address::USER_DATA, control_block::NEXT_ACTION)?;
        let count = p.load(address::USER_DATA, control_block::ACTION_COUNT)?;
        if next >= count {
            return Ok(Flow::To(At::finish as u8));
        }
        p.store(address::USER_DATA, control_block::NEXT_ACTION, next.wrapping_add(1))?;
        let record = (address::USER_DATA + control_block::ACTIONS.offset).wrapping_add(next.wrapping_mul(ACTION_BYTES));
        p.set_local(0, record)?;
        let head = p.load_at(record, DATA)?;
        p.set_local(1, head)?;
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
    finish, call API_CALL => |p| {
        p.put(Reg::Rax, service::TERMINATE);
        p.pass([0, 0]);
        Ok(Flow::Call)
    },
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
