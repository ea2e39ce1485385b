//! A driver host is started again, from a pattern.
//!
//! In the public documents the driver manager, a service, is the parent of every host ("UMDF Driver
//! Host Process"). Here its part is played by an address space that nothing ever runs in: the pattern,
//! laid out at boot with the host's code and the first content of its data and buffer pages. A new
//! host gets the pattern's code frames, shared and read-only, and copies of those two pages.

use crate::base::{EventKind, Principal, Rule, Structure};
use crate::machine::{Flow, Processor, Routine, Trap, routine};

use super::address_space::MM_CREATE_ADDRESS_SPACE;
use super::address_space_end::MM_DELETE_ADDRESS_SPACE;
use super::handle::{HANDLE_TABLE_BYTES, HANDLE_TABLE_TAG, PROCESSES_MAX};
use super::layout::{
    PROCESS_BYTES, THREAD_BYTES, address, element, kernel_data, object_type, process, stack_top,
    thread, thread_state,
};
use super::object::{OB_CREATE_OBJECT, OB_DEREFERENCE};
use super::paging::{
    ADDRESS, PRESENT, SYSTEM_RW, context_number, entry_address, map_window, window,
};
use super::pool::{EX_ALLOCATE_POOL, EX_FREE_POOL};
use super::process_create::take_stack;
use super::schedule::{KI_READY_THREAD, KI_THREAD_START};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[Rule::chosen(
    "host-from-pattern",
    "A new host is copied from an address space laid out at boot, in the driver manager's stead.",
    "UMDF Driver Host Process",
)];

/// The routines of this file.
pub const ROUTINES: &[&Routine] = &[&PS_CREATE_HOST];

/// Lends the kernel the page that the window shows, or takes it back.
fn lend(p: &mut Processor<'_>, kind: EventKind, frame: u64) {
    let window = window(p);
    p.announce(kind, Principal::KERNEL, Structure::UserData, [frame << 12, window, 512, 0]);
}

/// Loads the root of the system process.
pub(super) fn load_system_root(p: &mut Processor<'_>) -> Result<(), Trap> {
    let system = p.load(address::KERNEL_DATA, kernel_data::SYSTEM_PROCESS)?;
    let root = p.load(system, process::ROOT)?;
    p.load_root(root)
}

routine! {
    /// Starts a driver host. Called in the system's address space. Arguments: its principal number, the
    /// device it hosts a driver for, the root of its pattern. Result: the process object, 0 when it
    /// could not be made.
    pub static PS_CREATE_HOST = "PspCreateDriverHost", frame 8;
    // Locals: 0 principal; 1 device; 2 the pattern's root; 3 the root; 4 the process; 5 the thread;
    // 6 the handle table; 7 the frame of the buffer page.
    start, call MM_CREATE_ADDRESS_SPACE => |p| {
        let (number, device, pattern) = (p.argument(0), p.argument(1), p.argument(2));
        if pattern == 0
            || number >= PROCESSES_MAX
            || p.load(element(address::KERNEL_DATA, number), kernel_data::PROCESSES)? != 0
        {
            return Ok(p.give_back(0));
        }
        for (local, value) in [number, device, pattern, 0, 0, 0, 0, 0].into_iter().enumerate() {
            p.set_local(local as u64, value)?;
        }
        p.load_root(pattern)?;
        p.pass([number, 0]);
        Ok(Flow::Call)
    },
    find_buffers => |p| {
        let root = p.result();
        if root == 0 {
            load_system_root(p)?;
            return Ok(p.give_back(0));
        }
        p.set_local(3, root)?;
        p.load_root(root)?;
        let at = entry_address(p, address::USER_BUFFERS)?;
        let entry = p.load_at(at, Structure::PageTable)?;
        let frame = if entry & PRESENT == 0 { 0 } else { (entry & ADDRESS) >> 12 };
        p.set_local(7, frame)?;
        Ok(Flow::Next)
    },
    copy_buffers, on_fault unreadable => |p| {
        let (frame, pattern) = (p.local(7)?, p.local(2)?);
        p.load_root(pattern)?;
        map_window(p, frame << 12 | SYSTEM_RW)?;
        lend(p, EventKind::Lend, frame);
        let window = window(p);
        p.allow_user_access(true)?;
        p.copy(window, Structure::UserData, address::USER_BUFFERS, Structure::UserData, 4096)?;
        p.allow_user_access(false)?;
        lend(p, EventKind::Reclaim, frame);
        load_system_root(p)?;
        Ok(Flow::To(At::body as u8))
    },
    unreadable => |p| {
        p.allow_user_access(false)?;
        let frame = p.local(7)?;
        lend(p, EventKind::Reclaim, frame);
        load_system_root(p)?;
        Ok(Flow::To(At::undo_space as u8))
    },
    body, call OB_CREATE_OBJECT => |p| {
        p.pass([object_type::PROCESS, PROCESS_BYTES, 0]);
        Ok(Flow::Call)
    },
    one_thread, call OB_CREATE_OBJECT => |p| {
        let object = p.result();
        if object == 0 {
            return Ok(Flow::To(At::undo_space as u8));
        }
        p.set_local(4, object)?;
        p.pass([object_type::THREAD, THREAD_BYTES, 0]);
        Ok(Flow::Call)
    },
    table, call EX_ALLOCATE_POOL, of HandleTable => |p| {
        let object = p.result();
        if object == 0 {
            return Ok(Flow::To(At::undo_process as u8));
        }
        p.set_local(5, object)?;
        p.pass([HANDLE_TABLE_BYTES, HANDLE_TABLE_TAG, 0]);
        Ok(Flow::Call)
    },
    fill => |p| {
        let table = p.result();
        if table == 0 {
            return Ok(Flow::To(At::undo_thread as u8));
        }
        p.set_local(6, table)?;
        let (number, device, root) = (p.local(0)?, p.local(1)?, p.local(3)?);
        let (object, its_thread) = (p.local(4)?, p.local(5)?);
        let context = context_number(p, number)?;
        for (field, value) in [
            (process::ROOT, root | context),
            (process::HANDLES, table),
            (process::THREAD, its_thread),
            (process::PRINCIPAL, number),
            (process::ALIVE, 1),
            (process::NEXT_HEAP, address::USER_HEAP),
            (process::HOSTED_DEVICE, device),
        ] {
            p.store(object, field, value)?;
        }
        p.store(its_thread, thread::PROCESS, object)?;
        Ok(Flow::Next)
    },
    stack => |p| {
        let Some(number) = take_stack(p)? else {
            return Ok(Flow::To(At::undo_table as u8));
        };
        let its_thread = p.local(5)?;
        let top = stack_top(number);
        p.store(its_thread, thread::STACK_NUMBER, number)?;
        p.store(its_thread, thread::STACK_TOP, top)?;
        Ok(Flow::Next)
    },
    // Never calls: the operand of its code word is the address where the thread begins.
    first_frame, call KI_THREAD_START => |p| {
        let operand = p.registers().rip.wrapping_add(8);
        let begin = p.load_at(operand, Structure::Code)?;
        let its_thread = p.local(5)?;
        let top = p.load(its_thread, thread::STACK_TOP)?;
        p.store_at(top.wrapping_sub(8), Structure::KernelStack, begin)?;
        p.shadow(top.wrapping_sub(8), begin)?;
        p.store_at(top.wrapping_sub(16), Structure::KernelStack, 0)?;
        p.store(its_thread, thread::STACK, top.wrapping_sub(16))?;
        p.store(its_thread, thread::FRAME_POINTER, top.wrapping_sub(16))?;
        p.store(its_thread, thread::STATE, thread_state::WAITING)?;
        Ok(Flow::Next)
    },
    register => |p| {
        let (number, root, object) = (p.local(0)?, p.local(3)?, p.local(4)?);
        let slot = element(address::KERNEL_DATA, number % PROCESSES_MAX);
        p.store(slot, kernel_data::PROCESSES, object)?;
        let count = p.load(address::KERNEL_DATA, kernel_data::PROCESS_COUNT)?;
        p.store(address::KERNEL_DATA, kernel_data::PROCESS_COUNT, count.wrapping_add(1))?;
        let subject = Principal((number & 63) as u8);
        p.name_root(root, subject)?;
        let its_thread = p.local(5)?;
        let words = [root, object, 0, its_thread];
        p.announce(EventKind::ProcessCreated, subject, Structure::Process, words);
        Ok(Flow::Next)
    },
    ready, call KI_READY_THREAD => |p| {
        let its_thread = p.local(5)?;
        p.pass([its_thread]);
        Ok(Flow::Call)
    },
    done => |p| {
        let object = p.local(4)?;
        Ok(p.give_back(object))
    },

    // Nothing is left of a host that could not be made.
    undo_table, call EX_FREE_POOL => |p| {
        let table = p.local(6)?;
        p.pass([table, HANDLE_TABLE_TAG]);
        Ok(Flow::Call)
    },
    undo_thread, call OB_DEREFERENCE => |p| {
        let its_thread = p.local(5)?;
        p.pass([its_thread]);
        Ok(Flow::Call)
    },
    undo_process, call OB_DEREFERENCE => |p| {
        let object = p.local(4)?;
        p.pass([object]);
        Ok(Flow::Call)
    },
    undo_space, call MM_DELETE_ADDRESS_SPACE => |p| {
        let (root, number) = (p.local(3)?, p.local(0)?);
        p.pass([root, number]);
        Ok(Flow::Call)
    },
    undone => |p| Ok(p.give_back(0)),
}
