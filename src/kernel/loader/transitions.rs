//! Shadow roots, and what all of them map of the system: see [`shadow`](crate::kernel::shadow).

use crate::base::{PhysAddr, Principal, Structure};
use crate::kernel::address_space::user_index;
use crate::kernel::layout::{
    SHADOWED, address, frame_entry, stack_top, switches, transition_block,
};
use crate::kernel::paging::{ADDRESS, NO_EXECUTE, PRESENT, SYSTEM_RW, WRITABLE};
use crate::kernel::{system_call, transition};
use crate::machine::Routine;

use super::Loader;

/// Bytes of a transition block's fields; the stack has the rest of the page.
const FIELD_BYTES: u64 = 0x400;

impl Loader<'_> {
    fn is_shadowed(&self) -> bool {
        self.switches & switches::KVA_SHADOW != 0
    }

    /// Where `syscall` leads.
    pub(super) fn system_call(&self) -> &'static Routine {
        if self.is_shadowed() {
            &transition::KI_SYSTEM_CALL_SHADOW
        } else {
            &system_call::KI_SYSTEM_CALL
        }
    }

    fn transition_blocks(&self) -> impl Iterator<Item = u64> + use<> {
        let count = self.machine.processors.len() as u64;
        (0..count).map(|number| address::TRANSITION_BLOCKS + number * 4096)
    }

    /// Maps each processor's block, with the stack that its gates use.
    pub(super) fn map_transition_blocks(&mut self) {
        if !self.is_shadowed() {
            return;
        }
        for block in self.transition_blocks() {
            self.map_pages(block, 1, Structure::ProcessorBlock, SYSTEM_RW);
            let words = (4096 - FIELD_BYTES) / 8;
            self.claim(block + FIELD_BYTES, words, Structure::KernelStack, Principal::KERNEL);
        }
    }

    /// Where a processor's gates push, if that is not the thread's stack.
    pub(super) fn gate_stack_top(&self, processor: u64) -> Option<u64> {
        let block = address::TRANSITION_BLOCKS + processor * 4096;
        self.is_shadowed().then_some(block + 4096)
    }

    /// Where a stack of the interrupt stack table begins. With shadow roots the word above it names its
    /// processor's transition block.
    pub(super) fn own_stack_top(&mut self, processor: u64, stack: u64) -> u64 {
        let top = stack_top(stack);
        if !self.is_shadowed() {
            return top;
        }
        self.own_stacks.push(stack);
        self.write(top - 8, address::TRANSITION_BLOCKS + processor * 4096);
        top - 16
    }

    /// Loads the code of entries and exits, and makes the system process's shadow: the pattern of all
    /// others. Nothing without shadow roots.
    pub fn make_transitions(&mut self) {
        if !self.is_shadowed() {
            return;
        }
        self.load_kernel_image(transition::IMAGE, address::TRANSITION_CODE);
        let code_bytes = self.program.code_words(transition::IMAGE).len() as u64 * 8;
        let code =
            (0..code_bytes.div_ceil(4096)).map(|page| address::TRANSITION_CODE + page * 4096);
        let stacks = self.own_stacks.iter().map(|&stack| stack_top(stack) - 4096);
        let fixed = [address::INTERRUPT_TABLE, address::TASK_STATES];
        let pages: Vec<u64> =
            code.chain(stacks).chain(self.transition_blocks()).chain(fixed).collect();
        let pattern = self.take_frame(Structure::PageTable, Principal::KERNEL) << 12;
        for page in pages {
            let entry = self.lowest_entry(page);
            self.map(pattern, page, entry, PRESENT | WRITABLE);
        }
        let root = self.root;
        self.link_shadow(root, pattern);
        for block in self.transition_blocks() {
            self.put(block, transition_block::KERNEL_ROOT, root);
            self.put(block, transition_block::USER_ROOT, pattern);
            self.put(block, transition_block::SYSTEM_ROOT, root);
        }
    }

    /// The lowest-level entry that maps a system address.
    fn lowest_entry(&self, virt: u64) -> u64 {
        let mut entry = self.root;
        for shift in [39, 30, 21, 12] {
            let at = (entry & ADDRESS) + (virt >> shift & 511) * 8;
            entry = self.machine.memory.read(PhysAddr::truncated(at));
        }
        entry
    }

    fn link_shadow(&mut self, root: u64, shadow: u64) {
        let link = address::FRAME_DATABASE + (root >> 12) * 16;
        self.put(link, frame_entry::NEXT, shadow >> 12 | SHADOWED);
        self.machine.name_shadow(root, shadow);
    }

    /// Makes the shadow of a process's root.
    pub(super) fn make_shadow(&mut self, root: u64) {
        if !self.is_shadowed() {
            return;
        }
        let read = |loader: &Self, at| loader.machine.memory.read(PhysAddr::truncated(at));
        let pattern = self.machine.shadows().iter().find(|(_, full)| **full == self.root);
        let pattern = pattern.map_or(0, |(&shadow, _)| shadow);
        // Weakness: the shadow maps what the full root maps.
        let is_weak = self.switches & switches::SHADOW_KEEPS_KERNEL != 0;
        let pattern = if is_weak { self.root } else { pattern };
        let shadow = self.take_frame(Structure::PageTable, Principal::KERNEL) << 12;
        let user = user_index(0, address::USER_CODE) * 8;
        let entry = read(self, root + user);
        self.write_physical(shadow + user, entry);
        self.write_physical(root + user, entry | NO_EXECUTE);
        let shared = user_index(0, address::SYSTEM) * 8;
        let entry = read(self, pattern + shared);
        self.write_physical(shadow + shared, entry);
        self.link_shadow(root, shadow);
    }
}
