//! The system's own thread: runs the entry of every driver loaded at boot, then ends.
//!
//! "Boot-start" drivers are initialised before anything else uses them (Windows driver
//! documentation, "Specifying Driver Load Order").

use crate::base::Rule;
use crate::machine::{Flow, routine};

use super::keys;
use super::layout::{
    address, device_object, driver_object, element, kernel_data, processor_block, thread,
    thread_state,
};
use super::schedule::KI_SWAP_CONTEXT;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[Rule::documented(
    "boot-start-first",
    "Boot-start drivers are initialised before anything else uses them.",
    "Specifying Driver Load Order",
)];

routine! {
    /// Where the system thread begins, with the lock held. Never returns.
    pub static PHASE_1_INITIALIZATION = "Phase1Initialization", frame 3;
    enter => |p| {
        // Begins without a call: the frame is made by hand below the top of the stack.
        let top = p.load(p.gs(), processor_block::KERNEL_STACK)?;
        p.set_stack(top.wrapping_sub(64));
        p.put(crate::machine::Reg::Rbp, top.wrapping_sub(16));
        p.set_local(0, 0)?;
        Ok(Flow::Next)
    },
    next_driver => |p| {
        let number = p.local(0)?;
        if number >= p.load(address::KERNEL_DATA, kernel_data::DEVICE_COUNT)?.min(16) {
            return Ok(Flow::To(At::finish as u8));
        }
        p.set_local(0, number.wrapping_add(1))?;
        let device = p.load(element(address::KERNEL_DATA, number), kernel_data::DEVICES)?;
        if device == 0 {
            return Ok(Flow::Stay);
        }
        let driver = p.load(device, device_object::DRIVER)?;
        let entry = p.load(driver, driver_object::ENTRY)?;
        if entry == 0 {
            return Ok(Flow::Stay);
        }
        keys::enter_driver(p, device)?;
        p.pass([device]);
        Ok(Flow::CallAt(entry))
    },
    again => |p| {
        keys::set(p, keys::ALL)?;
        Ok(Flow::To(At::next_driver as u8))
    },
    finish, call KI_SWAP_CONTEXT => |p| {
        let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
        p.store(current, thread::STATE, thread_state::ENDED)?;
        Ok(Flow::Call)
    },
    finished => |_| Ok(Flow::Stay),
}
