//! A page fault where pageable memory may be away: is it only that?
//!
//! The gate of vector 14 leads here instead of to `KiPageFault` in a world with pageable memory. What is
//! to become of the fault is [`resolve`]'s to say, here as everywhere; this is what brings a page in.

use crate::base::Structure;
use crate::kernel::interrupt::{SAVED_BYTES, restore_registers, save_registers};
use crate::kernel::paging::{PRESENT, TRIMMED};
use crate::kernel::process_end::PS_EXIT_PROCESS;
use crate::kernel::{lock, status};
use crate::machine::{Flow, Reg, routine};

use super::dispatch::{KI_DISPATCH_EXCEPTION, cause, look_up};
use super::resolve::{Cause, KernelException, PageState, Resolution, resolve};
use super::{came_from_user, dispatch, frame, land};

routine! {
    /// Brings a trimmed page in, when that is all that is wrong. Argument: the trap frame. Result: 1 when
    /// the access can be made again.
    static MM_ACCESS_FAULT = "MmAccessFault", frame 3;
    // Locals: 0 trap frame; 1 where the entry appears; 2 the entry.
    look => |p| {
        let trap_frame = p.argument(0);
        let virt = p.fault_address()?;
        let (state, at, entry) = look_up(p, virt)?;
        if state != PageState::Trimmed {
            return Ok(p.give_back(0));
        }
        p.set_local(0, trap_frame)?;
        p.set_local(1, at)?;
        p.set_local(2, entry)?;
        Ok(Flow::Next)
    },
    bring_in => |p| {
        let (trap_frame, at, entry) = (p.local(0)?, p.local(1)?, p.local(2)?);
        let error = p.load_at(trap_frame.wrapping_add(frame::CODE), Structure::KernelStack)?;
        let rip = p.load_at(trap_frame.wrapping_add(frame::RIP), Structure::KernelStack)?;
        let raised = KernelException {
            virt: p.fault_address()?,
            rip,
            irql: p.irql()?,
            page: PageState::Trimmed,
            entry_address: at,
            entry,
            ..KernelException::of(Cause::PageFault(error))
        };
        if resolve(&raised) != Resolution::PagedIn {
            return Ok(p.give_back(0));
        }
        p.store_at(at, Structure::PageTable, entry & !TRIMMED | PRESENT)?;
        Ok(p.give_back(1))
    },
}

routine! {
    /// Where the gate of vector 14 leads where pageable memory may be away.
    pub static KI_PAGE_FAULT_PAGED = "KiPageFaultPaged", frame 0;
    // The access is made again as if nothing had been: every register comes back.
    sort, call MM_ACCESS_FAULT => |p| {
        if came_from_user(p)? {
            return Ok(Flow::To(At::acquire as u8));
        }
        save_registers(p)?;
        let trap_frame = p.get(Reg::Rsp).wrapping_add(SAVED_BYTES);
        p.pass([trap_frame]);
        Ok(Flow::Call)
    },
    again => |p| {
        if p.result() == 0 {
            return Ok(Flow::Next);
        }
        restore_registers(p)?;
        Ok(Flow::InterruptReturn)
    },
    hand_over, call KI_DISPATCH_EXCEPTION => |p| {
        restore_registers(p)?;
        Ok(dispatch(p, cause::PAGE_FAULT, 0))
    },
    landed => |p| Ok(land(p)),
    acquire => |p| lock::acquire(p),
    end_process, call PS_EXIT_PROCESS => |p| {
        p.pass([status::ACCESS_VIOLATION]);
        Ok(Flow::Call)
    },
    gone => |_| Ok(Flow::Stay),
}
