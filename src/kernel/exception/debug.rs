//! Debug exceptions, as they are handled since May 2018: on a stack of their own, and with a look at where
//! they come from before anything of the processor's block is used.
//!
//! Before ([`super::KI_DEBUG_TRAP`]), the handler took a code selector of ring 0 to mean that stack and GS
//! are the kernel's, which a breakpoint that was kept out by `mov ss` makes false ("CVE-2018-8897").

use crate::base::Structure;
use crate::kernel::layout::processor_block;
use crate::kernel::process_end::PS_EXIT_PROCESS;
use crate::kernel::{lock, status};
use crate::machine::registers::USER_CODE;
use crate::machine::{Flow, Reg, routine};

use super::frame;

routine! {
    /// Where the gate of vector 1 leads since then.
    pub static KI_DEBUG_TRAP_CHECKED = "KiDebugTrapOrFaultChecked", frame 0;
    sort => |p| {
        let stack = p.get(Reg::Rsp);
        if p.load_at(stack.wrapping_add(frame::CS), Structure::KernelStack)? == USER_CODE {
            return Ok(Flow::Next);
        }
        // User mode's breakpoint at the kernel's first instruction: the call goes on without it.
        Ok(Flow::InterruptReturn)
    },
    change_stack => |p| {
        p.swap_gs()?;
        let own = p.load(p.gs(), processor_block::KERNEL_STACK)?;
        p.set_stack(own);
        Ok(Flow::Next)
    },
    acquire => |p| lock::acquire(p),
    end_process, call PS_EXIT_PROCESS => |p| {
        p.pass([status::SINGLE_STEP]);
        Ok(Flow::Call)
    },
    gone => |_| Ok(Flow::Stay),
}
