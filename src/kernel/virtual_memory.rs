//! Private memory on request: one zeroed page at a time.
//!
//! A page is handed out zeroed at the first free address of the heap range, and taken back only
//! after every processor has dropped its translation ("VirtualAlloc", "VirtualFree";
//! "ZwAllocateVirtualMemory", "ZwFreeVirtualMemory").

use crate::base::{Rule, Structure};
use crate::kernel::configured::configured;
use crate::machine::{Flow, Processor, Trap, routine};

use super::frames::{self, MM_ALLOCATE_FRAME, MM_FREE_FRAME, NO_ENTRY};
use super::layout::{address, process, switches};
use super::object::current_process;
use super::paging::{ADDRESS, MM_REPLACE_ENTRY, PRESENT, USER_RW, USER_TABLE, entry_address};
use super::service::answer;
use super::status;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented("allocated-memory-is-zero", "Allocated pages are zero.", "VirtualAlloc"),
    Rule::inferred(
        "base-address-rounded-down",
        "A wanted address is rounded down, so that asking for 1 asks for the page at 0.",
        "NtAllocateVirtualMemory (BaseAddress)",
    ),
    Rule::inferred(
        "freed-after-shootdown",
        "A page's frame is free only after every processor has dropped its translation.",
        "Linux eb66ae030829, mremap: properly flush TLB before releasing the page",
    ),
];

/// Bytes from address 0 that are guarded, so that a null pointer and a small offset lead nowhere.
const NULL_GUARD: u64 = 0x1_0000;

/// Whether a process may ask for this page: in the low 2 MiB, but the first 64 KiB only where they are
/// not guarded, or in the heap's range.
fn may_be_wanted(p: &mut Processor<'_>, virt: u64) -> Result<bool, Trap> {
    if (address::USER_HEAP..address::USER_VIEWS).contains(&virt) {
        return Ok(true);
    }
    let is_open = configured(p)? & switches::NULL_PAGE_OPEN != 0;
    Ok(virt < address::LOW_END && (is_open || virt >= NULL_GUARD))
}

/// Where the entry that leads to the lowest-level table of an address appears, and what it holds.
fn table_entry_of(p: &mut Processor<'_>, virt: u64) -> Result<(u64, u64), Trap> {
    let lowest = entry_address(p, virt)?;
    let at = entry_address(p, lowest)?;
    let entry = p.load_at(at, Structure::PageTable)?;
    Ok((at, entry))
}

/// Allocates the frame of the first free page from that in local 0 on, which it is then.
fn seek(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let virt = p.local(0)?;
    if !(address::USER_HEAP..address::USER_VIEWS).contains(&virt) {
        return Ok(answer(p, status::NO_MEMORY, 0));
    }
    let at = entry_address(p, virt)?;
    if p.load_at(at, Structure::PageTable)? & PRESENT != 0 {
        p.set_local(0, virt.wrapping_add(4096))?;
        return Ok(Flow::Stay);
    }
    p.pass([at]);
    Ok(Flow::Call)
}

routine! {
    /// Allocates a page of the caller's for a thread's stack, at any address. Its address comes back in rdx as
    /// a service's, the status in rax.
    pub static MM_CREATE_STACK = "MmCreateUserStack", frame 1;
    // Locals: 0 the page.
    start => |p| {
        p.set_local(0, address::USER_HEAP)?;
        Ok(Flow::Next)
    },
    seek, call MM_ALLOCATE_FRAME, of UserStack => seek,
    map, call MM_REPLACE_ENTRY => |p| {
        let frame = p.result();
        if frame == 0 {
            return Ok(answer(p, status::NO_MEMORY, 0));
        }
        let virt = p.local(0)?;
        frames::grant(p, p.context(), Structure::UserStack, frame);
        p.pass([virt, frame << 12 | USER_RW]);
        Ok(Flow::Call)
    },
    done => |p| {
        let virt = p.local(0)?;
        Ok(answer(p, status::SUCCESS, virt))
    },
}

routine! {
    /// Service: allocates a page. Argument: the address that is wanted, rounded down to a page; 0: any.
    /// Its address comes back in rdx.
    pub static NT_ALLOCATE_VIRTUAL_MEMORY = "NtAllocateVirtualMemory", frame 3;
    // Locals: 0 the page; 1 whether it was wanted; 2 the table in hand.
    start => |p| {
        let wanted = p.argument(0);
        p.set_local(1, wanted)?;
        if wanted != 0 {
            p.set_local(0, wanted & !0xfff)?;
            return Ok(Flow::To(At::wanted as u8));
        }
        let caller = current_process(p)?;
        let next = p.load(caller, process::NEXT_HEAP)?;
        p.set_local(0, next)?;
        Ok(Flow::Next)
    },
    seek, call MM_ALLOCATE_FRAME, of UserData => seek,
    map, call MM_REPLACE_ENTRY => |p| {
        let frame = p.result();
        if frame == 0 {
            return Ok(answer(p, status::NO_MEMORY, 0));
        }
        let virt = p.local(0)?;
        if p.local(1)? == 0 {
            let caller = current_process(p)?;
            p.store(caller, process::NEXT_HEAP, virt.wrapping_add(4096))?;
        }
        // The entry is put into the tables that are loaded, whoever the kernel thinks is asking.
        frames::grant(p, p.context(), Structure::UserData, frame);
        p.pass([virt, frame << 12 | USER_RW]);
        Ok(Flow::Call)
    },
    done => |p| {
        let virt = p.local(0)?;
        Ok(answer(p, status::SUCCESS, virt))
    },
    wanted, call MM_ALLOCATE_FRAME, of PageTable => |p| {
        let virt = p.local(0)?;
        let is_compared = p.defects() & switches::ALLOCATE_ANYWHERE == 0;
        if is_compared && !may_be_wanted(p, virt)? {
            return Ok(answer(p, status::INVALID_PARAMETER, 0));
        }
        // All tables above the lowest are those of the process's other pages.
        if table_entry_of(p, virt)?.1 & PRESENT != 0 {
            return Ok(Flow::To(At::page as u8));
        }
        p.pass([NO_ENTRY]);
        Ok(Flow::Call)
    },
    table => |p| {
        let frame = p.result();
        if frame == 0 {
            return Ok(answer(p, status::NO_MEMORY, 0));
        }
        let virt = p.local(0)?;
        let (at, _) = table_entry_of(p, virt)?;
        p.store_at(at, Structure::PageTable, frame << 12 | USER_TABLE)?;
        Ok(Flow::Next)
    },
    page => |p| {
        let virt = p.local(0)?;
        let at = entry_address(p, virt)?;
        if p.load_at(at, Structure::PageTable)? & PRESENT != 0 {
            return Ok(answer(p, status::CONFLICTING_ADDRESSES, 0));
        }
        Ok(Flow::Next)
    },
    frame, call MM_ALLOCATE_FRAME, of UserData => |p| {
        let virt = p.local(0)?;
        let at = entry_address(p, virt)?;
        p.pass([at]);
        Ok(Flow::Call)
    },
    framed => |_| Ok(Flow::To(At::map as u8)),
}

routine! {
    /// Service: frees a page that was allocated. Argument: its address.
    pub static NT_FREE_VIRTUAL_MEMORY = "NtFreeVirtualMemory", frame 1;
    unmap, call MM_REPLACE_ENTRY => |p| {
        let virt = p.argument(0);
        let is_heap = (address::USER_HEAP..address::USER_VIEWS).contains(&virt);
        if !(is_heap || virt < address::LOW_END) || virt % 4096 != 0 {
            return Ok(answer(p, status::INVALID_PARAMETER, 0));
        }
        if table_entry_of(p, virt)?.1 & PRESENT == 0 {
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
        if virt >= address::LOW_END && virt < p.load(caller, process::NEXT_HEAP)? {
            p.store(caller, process::NEXT_HEAP, virt)?;
        }
        let at = entry_address(p, virt)?;
        p.pass([(old & ADDRESS) >> 12, at, old]);
        Ok(Flow::Call)
    },
    done => |p| Ok(answer(p, status::SUCCESS, 0)),
}
