//! Where this world's kernel keeps things, for whoever decodes its memory.

use crate::base::{KernelMap, PhysAddr, VirtAddr};
use crate::kernel::handle;
use crate::kernel::layout::{
    HANDLES_MAX, address, frame_entry, handle_entry, kernel_data, object_header, object_type,
    process,
};
use crate::kernel::system_call::KI_SYSTEM_CALL;

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

    /// Addresses and offsets of the kernel's structures. To be asked before anything runs: the system
    /// process's root is looked up in memory.
    #[must_use]
    pub fn kernel_map(&self) -> KernelMap {
        let entry = self.machine.program.entry(&KI_SYSTEM_CALL);
        KernelMap {
            system_root: self.system_root(),
            self_map_slot: u64::from(self.configuration.self_map_slot()),
            syscall_entry: entry.map_or(0, |entry| entry.0),
            frame_database: address::FRAME_DATABASE,
            frame_entry_bytes: 16,
            frame_count: frame_entry::COUNT.offset,
            frame_next: frame_entry::NEXT.offset,
            free_frames: address::KERNEL_DATA + kernel_data::FREE_FRAMES.offset,
            free_frame_count: address::KERNEL_DATA + kernel_data::FREE_FRAME_COUNT.offset,
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
        }
    }
}
