//! Where this world's kernel keeps things, for whoever decodes its memory.

use crate::base::{KernelMap, PhysAddr, VirtAddr};
use crate::kernel::handle;
use crate::kernel::layout::{
    HANDLES_MAX, address, frame_entry, handle_entry, kernel_data, object_header, object_type,
    process,
};
use crate::kernel::system_call::KI_SYSTEM_CALL;
use crate::kernel::transition::{IMAGE, KI_SYSTEM_CALL_SHADOW};
use crate::machine::code::STEP_BYTES;
use crate::machine::interrupt::TSS_IST1;

use super::World;

impl World {
    /// The root of the system process, as its object says.
    fn system_root(&self) -> u64 {
        let word = |at: u64| {
            let phys = self.machine.locate(0, VirtAddr(at));
            phys.map_or(0, |phys| self.machine.memory.read(PhysAddr::truncated(phys)))
        };
        let object = word(address::KERNEL_DATA + kernel_data::SYSTEM_PROCESS.offset);
        word(object.wrapping_add(process::ROOT.offset)) & !0xfff
    }

    /// The pages that a shadow root maps of the system, by the layout: code of entries and exits, the
    /// tables that gates read, each processor's block, the stacks of the interrupt stack table.
    fn transition_pages(&self) -> [u64; 32] {
        let mut pages = [0; 32];
        if !self.configuration.machine.kva_shadow {
            return pages;
        }
        let routines = self.machine.program.routines().iter();
        let steps: usize = routines
            .filter(|linked| linked.image == IMAGE)
            .map(|linked| linked.routine.steps.len())
            .sum();
        let code = (steps as u64 * STEP_BYTES).div_ceil(4096);
        let code = (0..code).map(|page| address::TRANSITION_CODE + page * 4096);
        let processors = 0..self.machine.processors.len() as u64;
        let blocks = processors.clone().map(|number| address::TRANSITION_BLOCKS + number * 4096);
        // Three of the seven stacks are ever used.
        let stacks = processors.flat_map(|number| {
            (0..3).filter_map(move |stack| {
                let at = address::TASK_STATES + number * 256 + TSS_IST1 + stack * 8;
                let top = self.unaligned(at);
                (top != 0).then_some(top & !0xfff)
            })
        });
        let tables = [address::INTERRUPT_TABLE, address::TASK_STATES];
        let all = tables.into_iter().chain(code).chain(blocks).chain(stacks);
        for (place, page) in pages.iter_mut().zip(all) {
            *place = page;
        }
        pages
    }

    /// A word at an address that need not be a multiple of 8.
    fn unaligned(&self, at: u64) -> u64 {
        let word = |at: u64| {
            let phys = self.machine.locate(0, VirtAddr(at));
            phys.map_or(0, |phys| self.machine.memory.read(PhysAddr::truncated(phys)))
        };
        match at % 8 * 8 {
            0 => word(at),
            shift => word(at & !7) >> shift | word((at & !7) + 8) << (64 - shift),
        }
    }

    /// Addresses and offsets of the kernel's structures. To be asked before anything runs: the system
    /// process's root is looked up in memory.
    #[must_use]
    pub fn kernel_map(&self) -> KernelMap {
        let machine = &self.configuration.machine;
        let entry = if machine.kva_shadow { &KI_SYSTEM_CALL_SHADOW } else { &KI_SYSTEM_CALL };
        let entry = self.machine.program.entry(entry);
        KernelMap {
            transition_pages: self.transition_pages(),
            system_root: self.system_root(),
            self_map_slot: u64::from(self.configuration.self_map_slot()),
            syscall_entry: entry.map_or(0, |entry| entry.0),
            windows: address::WINDOWS,
            frame_database: address::FRAME_DATABASE,
            frame_entry_bytes: 16,
            frame_count: frame_entry::COUNT.offset,
            frame_next: frame_entry::NEXT.offset,
            free_frames: address::KERNEL_DATA + kernel_data::FREE_FRAMES.offset,
            free_frame_count: address::KERNEL_DATA + kernel_data::FREE_FRAME_COUNT.offset,
            pool: address::POOL,
            pool_pages: address::POOL_PAGES,
            processes: address::KERNEL_DATA + kernel_data::PROCESSES.offset,
            processes_max: handle::PROCESSES_MAX,
            process_handles: process::HANDLES.offset,
            handle_bytes: 16,
            handles_max: HANDLES_MAX,
            handle_object: handle_entry::OBJECT.offset,
            handle_access: handle_entry::ACCESS.offset,
            handle_rights: handle::access::RIGHTS,
            kernel_handle: handle::KERNEL_HANDLE,
            object_type: object_header::TYPE.offset,
            object_types: (object_type::PROCESS, object_type::SECTION),
            object_pointers: object_header::POINTER_COUNT.offset,
            object_handles: object_header::HANDLE_COUNT.offset,
            host_time_out: machine.host_time_out.into(),
        }
    }
}
