//! A process is created from its parent's image, with a list of actions that begins elsewhere.
//!
//! The child has an address space, a handle table and one thread of its own; of the parent's
//! handles it gets those marked for inheritance, under the same values ("Creating Processes",
//! "Inheritance"; "CreateProcess": handles are copied with the same value and access).

use crate::base::{EventKind, Principal, Rule, Structure};
use crate::kernel::configured::configured;
use crate::machine::{Flow, Processor, Trap, routine};

use super::address_space::MM_CREATE_ADDRESS_SPACE;
use super::address_space_end::MM_DELETE_ADDRESS_SPACE;
use super::handle::{
    HANDLE_TABLE_BYTES, HANDLE_TABLE_TAG, OB_CREATE_HANDLE, PROCESSES_MAX, access, entry_of,
};
use super::layout::{
    HANDLES_MAX, PROCESS_BYTES, THREAD_BYTES, address, element, handle_entry, kernel_data,
    object_header, object_type, process, stack_top, switches, thread, thread_state,
};
use super::loader::STACKS;
use super::object::{OB_CREATE_OBJECT, OB_DEREFERENCE, OB_REFERENCE, current_process};
use super::paging::context_number;
use super::pool::{EX_ALLOCATE_POOL, EX_FREE_POOL};
use super::process_open::announce_sought;
use super::schedule::{KI_READY_THREAD, KI_THREAD_START};
use super::service::answer;
use super::status;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[Rule::documented(
    "inheritance-copies-entries",
    "A child gets the handles marked for inheritance, with the same values and rights.",
    "CreateProcess; Inheritance",
)];

/// Takes a free kernel stack; `None` when all are in use.
pub(super) fn take_stack(p: &mut Processor<'_>) -> Result<Option<u64>, Trap> {
    let used = p.load(address::KERNEL_DATA, kernel_data::STACKS_IN_USE)?;
    let number = u64::from((!used).trailing_zeros());
    if number >= STACKS {
        return Ok(None);
    }
    p.store(address::KERNEL_DATA, kernel_data::STACKS_IN_USE, used | 1 << number)?;
    Ok(Some(number))
}

routine! {
    /// Service: creates a process. Arguments: the principal number to take, 1 to inherit handles,
    /// the number of the action it begins with in the copy of the caller's list. A handle with all
    /// rights comes back in rdx.
    pub static NT_CREATE_PROCESS = "NtCreateProcess", frame 9;
    // Locals: 0 the number; 1 whether handles are inherited; 2 status; 3 the root; 4 the process;
    // 5 the thread; 6 the handle table; 7 the new handle; 8 the handle in hand.
    start, call MM_CREATE_ADDRESS_SPACE => |p| {
        let (number, inherits, action) = (p.argument(0), p.argument(1), p.argument(2));
        if number >= PROCESSES_MAX || number <= u64::from(Principal::HAL.0) {
            return Ok(answer(p, status::INVALID_PARAMETER, 0));
        }
        let caller = current_process(p)?;
        announce_sought(p, caller, number)?;
        let spawnable = p.load(address::KERNEL_DATA, kernel_data::SPAWNABLE)?;
        if spawnable >> number & 1 == 0
            || p.load(element(address::KERNEL_DATA, number), kernel_data::PROCESSES)? != 0
        {
            return Ok(answer(p, status::INVALID_PARAMETER, 0));
        }
        p.set_local(0, number)?;
        p.set_local(1, inherits & 1)?;
        p.set_local(2, status::INSUFFICIENT_RESOURCES)?;
        for local in 4..8 {
            p.set_local(local, 0)?;
        }
        p.pass([number, action]);
        Ok(Flow::Call)
    },
    body, call OB_CREATE_OBJECT => |p| {
        let root = p.result();
        if root == 0 {
            return Ok(answer(p, status::NO_MEMORY, 0));
        }
        p.set_local(3, root)?;
        let parent = current_process(p)?;
        let creator = p.load(parent, process::PRINCIPAL)?;
        p.pass([object_type::PROCESS, PROCESS_BYTES, creator]);
        Ok(Flow::Call)
    },
    one_thread, call OB_CREATE_OBJECT => |p| {
        let object = p.result();
        if object == 0 {
            return Ok(Flow::To(At::undo as u8));
        }
        p.set_local(4, object)?;
        let creator = p.load(object, object_header::CREATOR)?;
        p.pass([object_type::THREAD, THREAD_BYTES, creator]);
        Ok(Flow::Call)
    },
    table, call EX_ALLOCATE_POOL, of HandleTable => |p| {
        let object = p.result();
        if object == 0 {
            return Ok(Flow::To(At::undo as u8));
        }
        p.set_local(5, object)?;
        p.pass([HANDLE_TABLE_BYTES, HANDLE_TABLE_TAG, 0]);
        Ok(Flow::Call)
    },
    fill => |p| {
        let table = p.result();
        if table == 0 {
            return Ok(Flow::To(At::undo as u8));
        }
        p.set_local(6, table)?;
        let (number, root) = (p.local(0)?, p.local(3)?);
        let (object, its_thread) = (p.local(4)?, p.local(5)?);
        let context = context_number(p, number)?;
        p.store(object, process::ROOT, root | context)?;
        let shares = configured(p)? & switches::SHARED_HANDLE_TABLE != 0;
        let given = if shares {
            let parent = current_process(p)?;
            p.load(parent, process::HANDLES)?
        } else {
            table
        };
        p.store(object, process::HANDLES, given)?;
        p.store(object, process::THREAD, its_thread)?;
        p.store(object, process::PRINCIPAL, number)?;
        p.store(object, process::ALIVE, 1)?;
        p.store(object, process::NEXT_HEAP, address::USER_HEAP)?;
        p.store(its_thread, thread::PROCESS, object)?;
        Ok(Flow::Next)
    },
    open, call OB_CREATE_HANDLE => |p| {
        let parent = current_process(p)?;
        let object = p.local(4)?;
        p.pass([parent, object, access::PROCESS]);
        Ok(Flow::Call)
    },
    stack => |p| {
        let handle = p.result();
        p.set_local(7, handle)?;
        if handle == 0 {
            return Ok(Flow::To(At::undo as u8));
        }
        let Some(number) = take_stack(p)? else {
            return Ok(Flow::To(At::undo as u8));
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
        p.store(element(address::KERNEL_DATA, number), kernel_data::PROCESSES, object)?;
        let count = p.load(address::KERNEL_DATA, kernel_data::PROCESS_COUNT)?;
        p.store(address::KERNEL_DATA, kernel_data::PROCESS_COUNT, count.wrapping_add(1))?;
        let subject = Principal((number & 63) as u8);
        p.name_root(root, subject)?;
        let its_thread = p.local(5)?;
        let words = [root, object, 0, its_thread];
        p.announce(EventKind::ProcessCreated, subject, Structure::Process, words);
        p.set_local(8, 0)?;
        Ok(Flow::Next)
    },
    inherit, call OB_REFERENCE => |p| {
        let handle = p.local(8)?.wrapping_add(4);
        if p.local(1)? == 0 || handle > HANDLES_MAX * 4 {
            return Ok(Flow::To(At::ready as u8));
        }
        p.set_local(8, handle)?;
        let parent = current_process(p)?;
        let table = p.load(parent, process::HANDLES)?;
        let Some(entry) = entry_of(table, handle) else {
            return Ok(Flow::To(At::ready as u8));
        };
        let object = p.load(entry, handle_entry::OBJECT)?;
        let is_compared = p.defects() & switches::INHERITS_ALL == 0;
        if object == 0 || is_compared && p.load(entry, handle_entry::ACCESS)? & access::INHERIT == 0 {
            return Ok(Flow::Stay);
        }
        p.pass([object]);
        Ok(Flow::Call)
    },
    inherited => |p| {
        let (number, handle, table) = (p.local(0)?, p.local(8)?, p.local(6)?);
        let parent = current_process(p)?;
        let parents = p.load(parent, process::HANDLES)?;
        let (Some(from), Some(to)) = (entry_of(parents, handle), entry_of(table, handle)) else {
            return Ok(Flow::To(At::ready as u8));
        };
        let object = p.load(from, handle_entry::OBJECT)?;
        let mask = p.load(from, handle_entry::ACCESS)?;
        let uncounted = configured(p)? & switches::UNCOUNTED_HANDLE != 0;
        let count = p.load(object, object_header::HANDLE_COUNT)?;
        p.store(object, object_header::HANDLE_COUNT, count.wrapping_add(u64::from(!uncounted)))?;
        p.store(to, handle_entry::ACCESS, mask)?;
        p.store(to, handle_entry::OBJECT, object)?;
        let subject = Principal((number & 63) as u8);
        let rights = mask & access::RIGHTS;
        p.announce(EventKind::HandleOpened, subject, Structure::HandleTable, [0, object, handle, rights]);
        Ok(Flow::To(At::inherit as u8))
    },
    ready, call KI_READY_THREAD => |p| {
        let its_thread = p.local(5)?;
        p.pass([its_thread]);
        Ok(Flow::Call)
    },
    done => |p| {
        let handle = p.local(7)?;
        Ok(answer(p, status::SUCCESS, handle))
    },

    // Nothing is left of a process that could not be made.
    undo, call super::handle_close::OB_CLOSE_HANDLE => |p| {
        let handle = p.local(7)?;
        if handle == 0 {
            return Ok(Flow::Next);
        }
        let parent = current_process(p)?;
        p.pass([parent, handle, super::handle_close::AT_EXIT]);
        Ok(Flow::Call)
    },
    undo_table, call EX_FREE_POOL => |p| {
        let table = p.local(6)?;
        if table == 0 {
            return Ok(Flow::Next);
        }
        p.pass([table, HANDLE_TABLE_TAG]);
        Ok(Flow::Call)
    },
    undo_thread, call OB_DEREFERENCE => |p| {
        let object = p.local(5)?;
        if object == 0 {
            return Ok(Flow::Next);
        }
        p.pass([object]);
        Ok(Flow::Call)
    },
    undo_process, call OB_DEREFERENCE => |p| {
        let object = p.local(4)?;
        if object == 0 {
            return Ok(Flow::Next);
        }
        p.pass([object]);
        Ok(Flow::Call)
    },
    undo_space, call MM_DELETE_ADDRESS_SPACE => |p| {
        let (root, number) = (p.local(3)?, p.local(0)?);
        p.pass([root, number]);
        Ok(Flow::Call)
    },
    undone => |p| {
        let status = p.local(2)?;
        Ok(answer(p, status, 0))
    },
}
