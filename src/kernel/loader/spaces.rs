//! Address spaces and the processes in them.

use crate::base::{EventKind, PhysAddr, Principal, Structure};
use crate::kernel::handle::{HANDLE_TABLE_BYTES, HANDLE_TABLE_TAG};
use crate::kernel::layout::{
    PROCESS_BYTES, address, control_block, frame_entry, kernel_data, object_type, process, switches,
};
use crate::kernel::paging::{USER_CODE_PAGE, USER_RW, USER_TABLE};
use crate::kernel::schedule;

use super::{FirstProcess, Loader, Placed};

/// The image with the code at [`address::USER_SEGMENT`].
pub const SEGMENT_IMAGE: &str = "stack-segment";

impl Loader<'_> {
    /// Makes an address space like that of a process and nothing that runs in it: the pattern that a
    /// process which must be made again is made from. Result: its root.
    pub fn make_pattern(&mut self, first: &FirstProcess<'_>) -> u64 {
        self.make_space(Principal::KERNEL, first)
    }

    pub(super) fn make_space(&mut self, owner: Principal, first: &FirstProcess<'_>) -> u64 {
        let root = self.take_frame(Structure::PageTable, Principal::KERNEL) << 12;
        for slot in 256..512 {
            let entry = self.machine.memory.read(PhysAddr::truncated(self.root + slot * 8));
            self.write_physical(root + slot * 8, entry);
        }
        self.write_physical(root + self.self_map_slot * 8, root | self.self_map_bits);
        let segment = self.switches & switches::DEBUG_TRAPS != 0;
        let segment = segment.then_some((SEGMENT_IMAGE, address::USER_SEGMENT));
        let usual = [(first.image, address::USER_CODE), ("windows-api", address::USER_API)];
        for (image, base) in usual.into_iter().chain(segment) {
            for (page, frame) in self.load_user_image(image).into_iter().enumerate() {
                self.map(root, base + page as u64 * 4096, frame << 12 | USER_CODE_PAGE, USER_TABLE);
                self.count_frame(frame);
                let at = base + page as u64 * 4096;
                self.say(EventKind::Share, owner, Structure::Code, [frame << 12, at, 512, 0]);
            }
        }
        let data = self.private_page(root, address::USER_DATA, owner, Structure::UserData);
        let buffers = self.private_page(root, address::USER_BUFFERS, owner, Structure::UserData);
        self.private_page(root, address::USER_STACK, owner, Structure::UserStack);
        self.write_physical(data + control_block::ACTION_COUNT.offset, first.actions.len() as u64);
        for (index, action) in first.actions.iter().enumerate() {
            for (word, value) in action.iter().enumerate() {
                let at = control_block::ACTIONS.offset + (index * 64 + word * 8) as u64;
                self.write_physical(data + at, *value);
            }
        }
        for &(offset, value) in first.buffers {
            self.write_physical(buffers + offset, value);
        }
        root
    }

    /// Changes the value that an action of a process stores.
    pub fn put_action_value(&mut self, root: u64, index: usize, value: u64) {
        let data = self.physical_under(root, address::USER_DATA);
        let at = control_block::ACTIONS.offset + (index * 64 + 16) as u64;
        self.write_physical(data + at, value);
    }

    /// Makes a process with its address space, handle table and thread, ready to run.
    pub fn make_process(&mut self, first: &FirstProcess<'_>) -> Placed {
        let owner = first.principal;
        let root = self.make_space(owner, first);

        let object = self.object(object_type::PROCESS, PROCESS_BYTES, Structure::Process);
        let handles = self.pool_block(HANDLE_TABLE_BYTES, HANDLE_TABLE_TAG);
        let words = self.pool_words(HANDLE_TABLE_BYTES);
        self.claim(handles, words, Structure::HandleTable, Principal::KERNEL);
        let switches = self.get(address::KERNEL_DATA, kernel_data::SWITCHES);
        let context = if switches & switches::CONTEXTS == 0 { 0 } else { u64::from(owner.0) };
        let start = self.entry(&schedule::KI_THREAD_START);
        let worker = self.make_thread(object, start);
        for (field, value) in [
            (process::ROOT, root | context),
            (process::HANDLES, handles),
            (process::THREAD, worker),
            (process::PRINCIPAL, u64::from(owner.0)),
            (process::CRITICAL, u64::from(first.critical)),
            (process::ALIVE, 1),
            (process::NEXT_HEAP, address::USER_HEAP),
            (process::HOSTED_DEVICE, first.hosted_device),
        ] {
            self.put(object, field, value);
        }
        self.put(address::KERNEL_DATA + u64::from(owner.0) * 8, kernel_data::PROCESSES, object);
        let count = self.get(address::KERNEL_DATA, kernel_data::PROCESS_COUNT);
        self.put(address::KERNEL_DATA, kernel_data::PROCESS_COUNT, count + 1);
        self.machine.name_root(root, owner);
        self.make_shadow(root);
        self.say(
            EventKind::ProcessCreated,
            owner,
            Structure::Process,
            [root, object, u64::from(first.critical), worker],
        );
        self.ready.push(worker);
        Placed { object, root }
    }

    pub(super) fn private_page(
        &mut self,
        root: u64,
        virt: u64,
        owner: Principal,
        structure: Structure,
    ) -> u64 {
        let frame = self.take_frame(structure, owner);
        self.map(root, virt, frame << 12 | USER_RW, USER_TABLE);
        let mapped_by = address::table_entry(self.self_map_slot, virt);
        self.put(address::FRAME_DATABASE + frame * 16, frame_entry::NEXT, mapped_by);
        frame << 12
    }

    /// One reference more to a frame that several processes share.
    pub(super) fn count_frame(&mut self, frame: u64) {
        let entry = address::FRAME_DATABASE + frame * 16;
        let count = self.get(entry, frame_entry::COUNT);
        self.put(entry, frame_entry::COUNT, count + 1);
    }
}
