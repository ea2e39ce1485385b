//! Private memory on request: one zeroed page at a time.
//!
//! A page is handed out zeroed at the first free address of the heap range, and taken back only
//! after every processor has dropped its translation ("VirtualAlloc", "VirtualFree";
//! "ZwAllocateVirtualMemory", "ZwFreeVirtualMemory").

use crate::base::{Rule, Structure};
use crate::machine::{Flow, routine};

use super::frames::{MM_ALLOCATE_FRAME, MM_FREE_FRAME};
use super::layout::{address, process};
use super::object::current_process;
use super::paging::{ADDRESS, MM_REPLACE_ENTRY, PRESENT, USER_RW, entry_address};
use super::service::answer;
use super::status;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented("allocated-memory-is-zero", "Allocated pages are zero.", "VirtualAlloc"),
    Rule::inferred(
        "freed-after-shootdown",
        "A page's frame is free only after every processor has dropped its translation.",
        "Linux eb66ae030829, mremap: properly flush TLB before releasing the page",
    ),
];

routine! {
    /// Service: allocates a page. No arguments. Its address comes back in rdx.
    pub static NT_ALLOCATE_VIRTUAL_MEMORY = "NtAllocateVirtualMemory", frame 2;
    start => |p| {
        let caller = current_process(p)?;
        let next = p.load(caller, process::NEXT_HEAP)?;
        p.set_local(0, next)?;
        Ok(Flow::Next)
    },
    seek, call MM_ALLOCATE_FRAME => |p| {
        let virt = p.local(0)?;
        if !(address::USER_HEAP..address::USER_VIEWS).contains(&virt) {
            return Ok(answer(p, status::NO_MEMORY, 0));
        }
        let at = entry_address(p, virt)?;
        if p.load_at(at, Structure::PageTable)? & PRESENT != 0 {
            p.set_local(0, virt.wrapping_add(4096))?;
            return Ok(Flow::Stay);
        }
        let caller = current_process(p)?;
        let owner = p.load(caller, process::PRINCIPAL)?;
        p.pass([Structure::UserData as u64, owner]);
        Ok(Flow::Call)
    },
    map, call MM_REPLACE_ENTRY => |p| {
        let frame = p.result();
        if frame == 0 {
            return Ok(answer(p, status::NO_MEMORY, 0));
        }
        let virt = p.local(0)?;
        let caller = current_process(p)?;
        p.store(caller, process::NEXT_HEAP, virt.wrapping_add(4096))?;
        p.pass([virt, frame << 12 | USER_RW]);
        Ok(Flow::Call)
    },
    done => |p| {
        let virt = p.local(0)?;
        Ok(answer(p, status::SUCCESS, virt))
    },
}

routine! {
    /// Service: frees a page that was allocated. Argument: its address.
    pub static NT_FREE_VIRTUAL_MEMORY = "NtFreeVirtualMemory", frame 1;
    unmap, call MM_REPLACE_ENTRY => |p| {
        let virt = p.argument(0);
        if !(address::USER_HEAP..address::USER_VIEWS).contains(&virt) || virt % 4096 != 0 {
            return Ok(answer(p, status::INVALID_PARAMETER, 0));
        }
        let at = entry_address(p, virt)?;
        if p.load_at(at, Structure::PageTable)? & PRESENT == 0 {
            return Ok(answer(p, status::INVALID_PARAMETER, 0));
        }
        p.set_local(0, virt)?;
        p.pass([virt, 0]);
        Ok(Flow::Call)
    },
    free, call MM_FREE_FRAME => |p| {
        let old = p.result();
        let virt = p.local(0)?;
        let caller = current_process(p)?;
        if virt < p.load(caller, process::NEXT_HEAP)? {
            p.store(caller, process::NEXT_HEAP, virt)?;
        }
        p.pass([(old & ADDRESS) >> 12]);
        Ok(Flow::Call)
    },
    done => |p| Ok(answer(p, status::SUCCESS, 0)),
}
