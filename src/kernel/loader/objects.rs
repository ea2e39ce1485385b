//! Pool blocks and the objects in them; threads and processors are among them.

use crate::base::{EventKind, PhysAddr, Principal, Structure};
use crate::kernel::layout::{
    LINKED_THREAD_BYTES, PROCESS_BYTES, SMALL_OBJECT_BYTES, THREAD_BYTES, address, kernel_data,
    object_body, object_header, object_type, process, processor_block, switches, thread,
    thread_state,
};
use crate::kernel::object::OBJECT_TAG;
use crate::kernel::{schedule, system_thread, thread_create};
use crate::machine::Reg;
use crate::machine::interrupt::{TSS_IST1, TSS_RSP0};
use crate::machine::shadow_stack::SHADOW_OFFSET;

use super::{Loader, SECTIONS, STACKS};

impl Loader<'_> {
    /// Makes an object in the pool: header, body.
    pub fn object(&mut self, kind: u64, bytes: u64, structure: Structure) -> u64 {
        let object = self.pool_block(bytes, OBJECT_TAG);
        let words = self.pool_words(bytes);
        self.claim(object, 4, Structure::ObjectHeader, Principal::KERNEL);
        self.claim(object + 0x20, words - 4, structure, Principal::KERNEL);
        self.put(object, object_header::POINTER_COUNT, 1);
        self.put(object, object_header::TYPE, kind);
        object
    }

    pub(super) fn take_stack(&mut self) -> (u64, u64) {
        let number = u64::from(self.stacks_in_use.trailing_ones());
        assert!(number < STACKS, "too many threads to boot");
        self.stacks_in_use |= 1 << number;
        let top = address::KERNEL_STACKS + number * address::KERNEL_STACK_STRIDE + 4096;
        (number, top)
    }

    /// Whether processes make threads in this kernel.
    pub(super) fn makes_threads(&self) -> bool {
        self.program.entry(&thread_create::NT_CREATE_THREAD).is_some()
    }

    /// A thread that begins at `start` with an empty stack.
    pub(super) fn make_thread(&mut self, owner: u64, start: u64) -> u64 {
        let (number, top) = self.take_stack();
        let bytes = if self.makes_threads() { LINKED_THREAD_BYTES } else { THREAD_BYTES };
        let object = self.object(object_type::THREAD, bytes, Structure::Thread);
        self.put(object, thread::STACK_TOP, top);
        self.put(object, thread::STACK, top - 16);
        self.put(object, thread::FRAME_POINTER, top - 16);
        self.put(object, thread::PROCESS, owner);
        self.put(object, thread::STACK_NUMBER, number);
        self.put(object, thread::STATE, thread_state::READY);
        self.write(top - 16, 0);
        self.write(top - 8, start);
        if self.machine.shadow_stacks.is_some() {
            self.write(top - 8 + SHADOW_OFFSET, start);
        }
        object
    }

    pub(super) fn make_system_process(&mut self) -> u64 {
        let object = self.object(object_type::PROCESS, PROCESS_BYTES, Structure::Process);
        self.put(object, process::ROOT, self.root);
        self.put(object, process::CRITICAL, 1);
        self.put(object, process::ALIVE, 1);
        self.put(address::KERNEL_DATA, kernel_data::SYSTEM_PROCESS, object);
        self.put(address::KERNEL_DATA, kernel_data::PROCESSES, object);
        let start = self.entry(&system_thread::PHASE_1_INITIALIZATION);
        let worker = self.make_thread(object, start);
        self.put(object, process::THREAD, worker);
        self.ready.push(worker);
        self.say(
            EventKind::ProcessCreated,
            Principal::KERNEL,
            Structure::Process,
            [self.root, object, 1, worker],
        );
        for number in 0..self.machine.processors.len() {
            self.make_processor(number, object);
        }
        object
    }

    pub(super) fn make_processor(&mut self, number: usize, system_process: u64) {
        let start = self.entry(&schedule::KI_IDLE_LOOP);
        let idle = self.make_thread(system_process, start);
        self.put(idle, thread::STATE, thread_state::RUNNING);
        let top = self.get(idle, thread::STACK_TOP);
        let (emergency, _) = self.take_stack();
        let block = address::PROCESSOR_BLOCKS + number as u64 * 4096;
        let task_state = address::TASK_STATES + number as u64 * 256;
        self.put(block, processor_block::CURRENT_THREAD, idle);
        self.put(block, processor_block::IDLE_THREAD, idle);
        self.put(block, processor_block::KERNEL_STACK, top);
        self.put(block, processor_block::TASK_STATE, task_state);
        let gate_top = self.gate_stack_top(number as u64).unwrap_or(top);
        self.write_unaligned(task_state + TSS_RSP0, gate_top);
        let emergency_top = self.own_stack_top(number as u64, emergency);
        self.write_unaligned(task_state + TSS_IST1, emergency_top);
        if self.switches & switches::WATCHDOGS != 0 {
            let stack = address::WATCHDOG_STACKS + number as u64;
            self.map_stack(stack);
            let top = self.own_stack_top(number as u64, stack);
            self.write_unaligned(task_state + TSS_IST1 + 8, top);
        }
        if self.switches & switches::DEBUG_TRAPS != 0 {
            let stack = address::DEBUG_STACKS + number as u64;
            self.map_stack(stack);
            let top = self.own_stack_top(number as u64, stack);
            self.write_unaligned(task_state + TSS_IST1 + 16, top);
        }
        let entry = self.entry(self.system_call());
        let registers = &mut self.machine.processors[number].registers;
        registers.gs_base = block;
        registers.idt_base = address::INTERRUPT_TABLE;
        registers.tss_base = task_state;
        registers.syscall_target = entry;
        registers.rip = start;
        registers.put(Reg::Rsp, top - 16);
        registers.put(Reg::Rbp, top - 16);
        self.machine.preset_root(number, self.root, Principal::KERNEL);
    }

    pub(super) fn write_unaligned(&mut self, virt: u64, value: u64) {
        let shift = virt % 8 * 8;
        let low = self.physical(virt & !7);
        let high = self.physical((virt & !7) + 8);
        let read = |loader: &Self, at| loader.machine.memory.read(PhysAddr::truncated(at));
        let mask = u64::MAX << shift;
        let (old_low, old_high) = (read(self, low), read(self, high));
        self.write_physical(low, old_low & !mask | value << shift);
        if shift > 0 {
            self.write_physical(high, old_high & mask | value >> (64 - shift));
        }
    }

    /// Sections that processes can open by number.
    pub fn make_sections(&mut self) {
        for number in 0..SECTIONS {
            let frame = self.take_frame(Structure::SharedSection, Principal::KERNEL);
            let object =
                self.object(object_type::SECTION, SMALL_OBJECT_BYTES, Structure::ObjectBody);
            self.put(object, object_body::FIRST, frame);
            self.put(object, object_body::SECOND, 1);
            self.put(address::KERNEL_DATA + number * 8, kernel_data::SECTIONS, object);
        }
    }
}
