//! Boot: lays out the first content of memory, the way a loader and the first phase of a kernel do.
//!
//! This is the one place where kernel structures are made by Rust code and not by steps: before the
//! first step there is nothing to step. Everything made here is announced, as the kernel announces
//! what it hands out later.

use crate::base::{Event, EventKind, Field, Frame, PhysAddr, Principal, Structure, VirtAddr};
use crate::machine::interrupt::{TSS_IST1, TSS_RSP0, gate};
use crate::machine::iommu;
use crate::machine::{Machine, Program, Reg, Routine, Trap};

use super::handle::{HANDLE_TABLE_BYTES, HANDLE_TABLE_TAG};
use super::layout::switches::USER_BIT_IN_SYSTEM;
use super::layout::{
    DEVICE_OBJECT_BYTES, POOL_HEADER_BYTES, address, control_block, device_object, driver_object,
    frame_entry, kernel_data, object_body, object_header, object_type, pool_header, process,
    processor_block, ready_queue, thread, thread_state,
};
use super::object::OBJECT_TAG;
use super::paging::{
    ADDRESS, GLOBAL, PRESENT, SYSTEM_RW, USER, USER_CODE_PAGE, USER_RW, USER_TABLE, WRITABLE,
};
use super::{exception, interrupt, schedule, service, system_call, system_thread};

/// Kernel stacks mapped at boot.
pub const STACKS: u64 = 16;
/// Sections that exist at boot.
pub const SECTIONS: u64 = 2;
/// Sizes of pool blocks with their headers.
const CLASSES: [u64; 4] = [64, 128, 256, 512];
const IN_USE: u64 = 1 << 32;

/// The dispatch routines of a driver.
#[derive(Clone, Copy, Default)]
pub struct Dispatch {
    /// For reads.
    pub read: Option<&'static Routine>,
    /// For writes.
    pub write: Option<&'static Routine>,
    /// For device control.
    pub control: Option<&'static Routine>,
    /// For flushes.
    pub flush: Option<&'static Routine>,
    /// Run once at boot.
    pub entry: Option<&'static Routine>,
    /// Run after the device's interrupt.
    pub deferred: Option<&'static Routine>,
}

/// A process as the loader makes it.
pub struct FirstProcess<'a> {
    /// Its principal.
    pub principal: Principal,
    /// The image whose code it runs.
    pub image: &'a str,
    /// Whether the system cannot do without it.
    pub critical: bool,
    /// The device object it hosts a driver for, 0 when none.
    pub hosted_device: u64,
    /// Its actions, encoded.
    pub actions: &'a [[u64; 8]],
    /// Words of its buffer page: byte offset and value.
    pub buffers: &'a [(u64, u64)],
}

/// Where a process's parts went, for whoever must be able to make another one like it.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// The process object.
    pub object: u64,
    /// The page-map root.
    pub root: u64,
}

/// Lays out memory.
pub struct Loader<'m> {
    machine: &'m mut Machine,
    program: &'m Program,
    next_frame: u64,
    root: u64,
    self_map_slot: u64,
    self_map_bits: u64,
    pool_next: u64,
    last_carved: u64,
    stacks_in_use: u64,
    images: Vec<(String, Vec<u64>)>,
    ready: Vec<u64>,
    system_process: u64,
}

impl<'m> Loader<'m> {
    /// Starts with an empty memory: the system's root, kernel data, stacks and tables.
    ///
    /// # Panics
    ///
    /// When memory is too small for the kernel itself.
    pub fn new(
        machine: &'m mut Machine,
        program: &'m Program,
        self_map_slot: u64,
        switches: u64,
    ) -> Self {
        let mut loader = Self {
            machine,
            program,
            next_frame: 1,
            root: 0,
            self_map_slot,
            // Weakness: the self-map entry of every root carries the user bit (CVE-2018-1038).
            self_map_bits: if switches & USER_BIT_IN_SYSTEM != 0 {
                SYSTEM_RW | USER
            } else {
                SYSTEM_RW
            },
            pool_next: address::POOL,
            last_carved: 0,
            stacks_in_use: 0,
            images: Vec::new(),
            ready: Vec::new(),
            system_process: 0,
        };
        let root = loader.take_frame(Structure::PageTable, Principal::KERNEL);
        loader.root = root << 12;
        loader.write_physical(loader.root + self_map_slot * 8, loader.root | loader.self_map_bits);
        for (at, pages, structure) in [
            (address::KERNEL_DATA, 1, Structure::KernelData),
            (address::IO_OBJECTS, 1, Structure::DriverObject),
            (
                address::FRAME_DATABASE,
                loader.machine.memory.frame_count().div_ceil(256),
                Structure::FrameDatabase,
            ),
            (address::FILE_CACHE, 2, Structure::FileCache),
            (address::IOMMU_TABLES, 5, Structure::IommuTable),
            (address::DMA_BUFFERS, 2, Structure::DmaBuffer),
            (address::INTERRUPT_TABLE, 1, Structure::InterruptTable),
            (address::TASK_STATES, 1, Structure::TaskState),
            (address::POOL, address::POOL_PAGES, Structure::Free),
        ] {
            loader.map_pages(at, pages, structure, SYSTEM_RW);
        }
        // The window's table must exist; the window itself shows nothing yet.
        for number in 0..loader.machine.processors.len() as u64 {
            loader.map_pages(
                address::PROCESSOR_BLOCKS + number * 4096,
                1,
                Structure::ProcessorBlock,
                SYSTEM_RW,
            );
        }
        for number in 0..STACKS {
            let at = address::KERNEL_STACKS + number * address::KERNEL_STACK_STRIDE;
            loader.map_pages(at, 1, Structure::KernelStack, SYSTEM_RW);
        }
        loader.claim_variables();
        loader.put(address::KERNEL_DATA, kernel_data::SELF_MAP_SLOT, self_map_slot);
        loader.put(address::KERNEL_DATA, kernel_data::SWITCHES, switches);
        loader.make_tables();
        loader.system_process = loader.make_system_process();
        loader
    }

    /// The kernel's data page holds structures of several types; the books are told of each.
    fn claim_variables(&mut self) {
        for (offset, words, structure) in [
            (0x400, 2, Structure::ReadyQueue),
            (0x600, 8, Structure::PoolFreeList),
            (0x800, 5, Structure::CrashBlock),
        ] {
            self.claim(address::KERNEL_DATA + offset, words, structure, Principal::KERNEL);
        }
    }

    fn make_tables(&mut self) {
        self.map_pages(address::SERVICE_TABLE, 1, Structure::ServiceTable, PRESENT);
        for (number, routine) in service::TABLE.iter().enumerate() {
            let target = self.entry(routine);
            self.write(address::SERVICE_TABLE + number as u64 * 8, target);
        }
        for (vector, routine, ist, user) in [
            (Trap::DIVIDE, &exception::KI_DIVIDE_ERROR, 0, false),
            (Trap::BREAKPOINT, &exception::KI_BREAKPOINT, 0, true),
            (Trap::INVALID_OPCODE, &exception::KI_INVALID_OPCODE, 0, false),
            (Trap::DOUBLE_FAULT, &exception::KI_DOUBLE_FAULT, 1, false),
            (Trap::NOT_PRESENT, &exception::KI_GENERAL_PROTECTION, 0, false),
            (Trap::GENERAL_PROTECTION, &exception::KI_GENERAL_PROTECTION, 0, false),
            (Trap::PAGE_FAULT, &exception::KI_PAGE_FAULT, 0, false),
            (Trap::CLOCK, &interrupt::KI_CLOCK_INTERRUPT, 0, false),
            (Trap::TRANSFER, &interrupt::KI_TRANSFER_INTERRUPT, 0, false),
            (Trap::DISK, &interrupt::KI_DISK_INTERRUPT, 0, false),
            (Trap::INTERPROCESSOR, &interrupt::KI_INTERPROCESSOR_INTERRUPT, 0, false),
            (Trap::FAST_FAIL, &exception::KI_FAST_FAIL, 0, true),
        ] {
            let target = self.entry(routine);
            let at = address::INTERRUPT_TABLE + u64::from(vector) * 16;
            let [low, high] = gate(target, ist, user);
            self.write(at, low);
            self.write(at + 8, high);
        }
        // The IOMMU: a root page, then two pages a device.
        let root = self.physical(address::IOMMU_TABLES);
        let domains: Vec<_> =
            self.machine.devices.iter().map(|device| device.principal.0).collect();
        for (device, domain) in (0..).zip(domains) {
            let table = self.physical(address::IOMMU_TABLES + 4096 * (1 + 2 * device));
            self.write(
                address::IOMMU_TABLES + device * 8,
                table | iommu::PRESENT | u64::from(domain) << super::hal::DOMAIN_SHIFT,
            );
        }
        self.machine.iommu.root = root;
    }

    /// Maps a component's code at the image's base, read-only.
    pub fn load_kernel_image(&mut self, name: &str, base: u64) {
        let words = self.program.code_words(name);
        let pages = (words.len() as u64 * 8).div_ceil(4096);
        self.map_pages(base, pages, Structure::Code, PRESENT);
        for (index, word) in words.into_iter().enumerate() {
            self.write(base + index as u64 * 8, word);
        }
    }

    /// Puts a user-mode image into frames that every process with this image shares.
    pub fn load_user_image(&mut self, name: &str) -> Vec<u64> {
        if let Some((_, frames)) = self.images.iter().find(|(known, _)| known == name) {
            return frames.clone();
        }
        let words = self.program.code_words(name);
        let mut frames = Vec::new();
        for page in words.chunks(512) {
            let frame = self.take_frame(Structure::Code, Principal::KERNEL);
            for (index, word) in page.iter().enumerate() {
                self.write_physical((frame << 12) + index as u64 * 8, *word);
            }
            // The image itself holds a reference, so that its frames outlive its processes.
            self.count_frame(frame);
            frames.push(frame);
        }
        self.images.push((name.to_owned(), frames.clone()));
        frames
    }

    /// Places a driver: code, data page, driver and device object. Returns the device object.
    pub fn load_driver(
        &mut self,
        number: u64,
        principal: Principal,
        image: &str,
        dispatch: &Dispatch,
        lower: u64,
    ) -> u64 {
        let base = address::DRIVER_CODE + number * address::DRIVER_STRIDE;
        self.load_kernel_image(image, base);
        let data = base + address::DRIVER_DATA_OFFSET;
        self.map_pages(data, 1, Structure::Free, SYSTEM_RW);
        self.claim(data, 512, Structure::DriverData, principal);
        let driver = address::IO_OBJECTS + number * 0x80;
        let device = driver + 0x40;
        self.claim(device, DEVICE_OBJECT_BYTES / 8, Structure::DeviceObject, Principal::KERNEL);
        for (field, routine) in [
            (driver_object::READ, dispatch.read),
            (driver_object::WRITE, dispatch.write),
            (driver_object::CONTROL, dispatch.control),
            (driver_object::FLUSH, dispatch.flush),
            (driver_object::ENTRY, dispatch.entry),
            (driver_object::DEFERRED, dispatch.deferred),
        ] {
            let target = routine.map_or(0, |routine| self.entry_in(image, routine));
            self.put(driver, field, target);
        }
        self.put(driver, driver_object::DATA, data);
        self.put(driver, driver_object::PRINCIPAL, u64::from(principal.0));
        self.put(device, device_object::DRIVER, driver);
        self.put(device, device_object::LOWER, lower);
        self.put(device, device_object::NUMBER, number);
        self.put(device, device_object::EXTENSION, data);
        self.put(address::KERNEL_DATA + number * 8, kernel_data::DEVICES, device);
        let count = self.get(address::KERNEL_DATA, kernel_data::DEVICE_COUNT);
        self.put(address::KERNEL_DATA, kernel_data::DEVICE_COUNT, count.max(number + 1));
        device
    }

    /// A word of memory by its system address.
    pub fn write(&mut self, virt: u64, value: u64) {
        let at = self.physical(virt);
        self.write_physical(at, value);
    }

    /// A field of a structure by its system address.
    pub fn put(&mut self, base: u64, field: Field, value: u64) {
        self.write(base + field.offset, value);
    }

    /// Reads a field of a structure by its system address.
    #[must_use]
    pub fn get(&self, base: u64, field: Field) -> u64 {
        self.machine.memory.read(PhysAddr::truncated(self.physical(base + field.offset)))
    }

    /// Number of the frame that a system address leads to.
    #[must_use]
    pub fn frame_of(&self, virt: u64) -> u64 {
        self.physical(virt) >> 12
    }

    /// The address of a routine's first step.
    ///
    /// # Panics
    ///
    /// When it was not linked.
    #[must_use]
    pub fn entry(&self, routine: &'static Routine) -> u64 {
        self.program.entry(routine).unwrap_or_else(|| panic!("{} is in no image", routine.name)).0
    }

    /// The address of the first step of a routine's copy in this image.
    ///
    /// # Panics
    ///
    /// When it was not linked.
    #[must_use]
    pub fn entry_in(&self, image: &str, routine: &'static Routine) -> u64 {
        self.program
            .entry_near(routine, image)
            .unwrap_or_else(|| panic!("{} is in no image", routine.name))
    }

    /// Takes the next unused frame.
    ///
    /// # Panics
    ///
    /// When there is none: the configuration's memory is too small.
    pub fn take_frame(&mut self, structure: Structure, owner: Principal) -> u64 {
        let frame = self.next_frame;
        assert!(frame < self.machine.memory.frame_count(), "memory is too small to boot");
        self.next_frame += 1;
        if structure != Structure::Free {
            self.say(EventKind::Grant, owner, structure, [frame << 12, 0, 512, 0]);
        }
        frame
    }

    /// Maps `pages` new frames in the system half.
    fn map_pages(&mut self, virt: u64, pages: u64, structure: Structure, bits: u64) {
        for page in 0..pages {
            let frame = self.take_frame(structure, Principal::KERNEL);
            // Every address space has the same system half, so its entries are global.
            let entry = frame << 12 | bits | GLOBAL;
            self.map(self.root, virt + page * 4096, entry, PRESENT | WRITABLE);
        }
    }

    /// Puts a lowest-level entry, making the tables above it as needed.
    pub fn map(&mut self, root: u64, virt: u64, entry: u64, table_bits: u64) {
        let mut table = root;
        for shift in [39, 30, 21] {
            let at = (table & ADDRESS) + (virt >> shift & 511) * 8;
            let mut next = self.machine.memory.read(PhysAddr::truncated(at));
            if next & PRESENT == 0 {
                let frame = self.take_frame(Structure::PageTable, Principal::KERNEL);
                next = frame << 12 | table_bits;
                self.write_physical(at, next);
            }
            table = next;
        }
        self.write_physical((table & ADDRESS) + (virt >> 12 & 511) * 8, entry);
    }

    fn physical(&self, virt: u64) -> u64 {
        let mut table = self.root;
        for shift in [39, 30, 21, 12] {
            let at = (table & ADDRESS) + (virt >> shift & 511) * 8;
            table = self.machine.memory.read(PhysAddr::truncated(at));
            assert!(
                table & PRESENT != 0,
                "the loader uses {:?}, which it has not mapped",
                VirtAddr(virt)
            );
        }
        (table & ADDRESS) + virt % 4096
    }

    /// A physical word.
    pub fn write_physical(&mut self, at: u64, value: u64) {
        self.machine.memory.write(PhysAddr::truncated(at), value);
    }

    fn say(&mut self, kind: EventKind, subject: Principal, structure: Structure, fields: [u64; 4]) {
        let [phys, virt, value, old] = fields;
        self.machine.events.push(Event {
            kind,
            actor: Principal::KERNEL,
            context: Principal::KERNEL,
            subject,
            structure,
            mask: 0,
            processor: 0,
            struck: false,
            phys,
            virt,
            value,
            old,
        });
    }

    /// Announces that words at a system address belong to somebody as something.
    pub fn claim(&mut self, virt: u64, words: u64, structure: Structure, owner: Principal) {
        let phys = self.physical(virt);
        self.say(EventKind::Grant, owner, structure, [phys, virt, words, 0]);
    }

    /// Carves a pool block.
    ///
    /// # Panics
    ///
    /// When it is too large for the pool.
    pub fn pool_block(&mut self, bytes: u64, tag: u64) -> u64 {
        let size = *CLASSES
            .iter()
            .find(|&&size| bytes + POOL_HEADER_BYTES <= size)
            .expect("boot objects fit a pool block");
        let next = self.pool_next;
        let start = if next % 4096 + size > 4096 { (next | 0xfff) + 1 } else { next };
        let before = if start % 4096 == 0 { 0 } else { self.last_carved };
        if start != next {
            self.claim(next, 2, Structure::PoolHeader, Principal::KERNEL);
            self.put(next, pool_header::SIZES, (start - next) | self.last_carved << 16);
        }
        self.pool_next = start + size;
        self.last_carved = size;
        self.claim(start, 2, Structure::PoolHeader, Principal::KERNEL);
        self.put(start, pool_header::SIZES, size | before << 16 | IN_USE);
        self.put(start, pool_header::TAG, tag);
        start + POOL_HEADER_BYTES
    }

    /// Makes an object in the pool: header, body.
    pub fn object(&mut self, kind: u64, bytes: u64, structure: Structure) -> u64 {
        let object = self.pool_block(bytes, OBJECT_TAG);
        let size =
            *CLASSES.iter().find(|&&size| bytes + POOL_HEADER_BYTES <= size).expect("as above");
        self.claim(object, 4, Structure::ObjectHeader, Principal::KERNEL);
        self.claim(object + 0x20, (size - POOL_HEADER_BYTES) / 8 - 4, structure, Principal::KERNEL);
        self.put(object, object_header::POINTER_COUNT, 1);
        self.put(object, object_header::TYPE, kind);
        object
    }

    fn take_stack(&mut self) -> (u64, u64) {
        let number = u64::from(self.stacks_in_use.trailing_ones());
        assert!(number < STACKS, "too many threads to boot");
        self.stacks_in_use |= 1 << number;
        let top = address::KERNEL_STACKS + number * address::KERNEL_STACK_STRIDE + 4096;
        (number, top)
    }

    /// A thread that begins at `start` with an empty stack.
    fn make_thread(&mut self, owner: u64, start: u64) -> u64 {
        let (number, top) = self.take_stack();
        let object =
            self.object(object_type::THREAD, super::layout::THREAD_BYTES, Structure::Thread);
        self.put(object, thread::STACK_TOP, top);
        self.put(object, thread::STACK, top - 16);
        self.put(object, thread::FRAME_POINTER, top - 16);
        self.put(object, thread::PROCESS, owner);
        self.put(object, thread::STACK_NUMBER, number);
        self.put(object, thread::STATE, thread_state::READY);
        self.write(top - 16, 0);
        self.write(top - 8, start);
        object
    }

    fn make_system_process(&mut self) -> u64 {
        let object =
            self.object(object_type::PROCESS, super::layout::PROCESS_BYTES, Structure::Process);
        self.put(object, process::ROOT, self.root);
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
            [self.root, object, 0, 0],
        );
        for number in 0..self.machine.processors.len() {
            self.make_processor(number, object);
        }
        object
    }

    fn make_processor(&mut self, number: usize, system_process: u64) {
        let start = self.entry(&schedule::KI_IDLE_LOOP);
        let idle = self.make_thread(system_process, start);
        self.put(idle, thread::STATE, thread_state::RUNNING);
        let top = self.get(idle, thread::STACK_TOP);
        let (_, emergency_top) = self.take_stack();
        let block = address::PROCESSOR_BLOCKS + number as u64 * 4096;
        let task_state = address::TASK_STATES + number as u64 * 256;
        self.put(block, processor_block::CURRENT_THREAD, idle);
        self.put(block, processor_block::IDLE_THREAD, idle);
        self.put(block, processor_block::NUMBER, number as u64);
        self.put(block, processor_block::KERNEL_STACK, top);
        self.put(block, processor_block::TASK_STATE, task_state);
        self.write_unaligned(task_state + TSS_RSP0, top);
        self.write_unaligned(task_state + TSS_IST1, emergency_top);
        let entry = self.entry(&system_call::KI_SYSTEM_CALL);
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

    fn write_unaligned(&mut self, virt: u64, value: u64) {
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
            let object = self.object(
                object_type::SECTION,
                super::layout::SMALL_OBJECT_BYTES,
                Structure::ObjectBody,
            );
            self.put(object, object_body::FIRST, frame);
            self.put(object, object_body::SECOND, 1);
            self.put(address::KERNEL_DATA + number * 8, kernel_data::SECTIONS, object);
        }
    }

    /// Makes an address space like that of a process and nothing that runs in it: the pattern that a
    /// process which must be made again is made from. Result: its root.
    pub fn make_pattern(&mut self, first: &FirstProcess<'_>) -> u64 {
        self.make_space(Principal::KERNEL, first)
    }

    fn make_space(&mut self, owner: Principal, first: &FirstProcess<'_>) -> u64 {
        let root = self.take_frame(Structure::PageTable, Principal::KERNEL) << 12;
        for slot in 256..512 {
            let entry = self.machine.memory.read(PhysAddr::truncated(self.root + slot * 8));
            self.write_physical(root + slot * 8, entry);
        }
        self.write_physical(root + self.self_map_slot * 8, root | self.self_map_bits);
        for (image, base) in [(first.image, address::USER_CODE), ("windows-api", address::USER_API)]
        {
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

    /// Makes a process with its address space, handle table and thread, ready to run.
    pub fn make_process(&mut self, first: &FirstProcess<'_>) -> Placed {
        let owner = first.principal;
        let root = self.make_space(owner, first);

        let object =
            self.object(object_type::PROCESS, super::layout::PROCESS_BYTES, Structure::Process);
        let handles = self.pool_block(HANDLE_TABLE_BYTES, HANDLE_TABLE_TAG);
        self.claim(handles, 32, Structure::HandleTable, Principal::KERNEL);
        let start = self.entry(&schedule::KI_THREAD_START);
        let worker = self.make_thread(object, start);
        for (field, value) in [
            (process::ROOT, root),
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
        self.say(
            EventKind::ProcessCreated,
            owner,
            Structure::Process,
            [root, object, u64::from(first.critical), 0],
        );
        self.ready.push(worker);
        Placed { object, root }
    }

    fn private_page(
        &mut self,
        root: u64,
        virt: u64,
        owner: Principal,
        structure: Structure,
    ) -> u64 {
        let frame = self.take_frame(structure, owner);
        self.map(root, virt, frame << 12 | USER_RW, USER_TABLE);
        frame << 12
    }

    /// One reference more to a frame that several processes share.
    fn count_frame(&mut self, frame: u64) {
        let entry = address::FRAME_DATABASE + frame * 16;
        let count = self.get(entry, frame_entry::COUNT);
        self.put(entry, frame_entry::COUNT, count + 1);
    }

    /// Closes the books: frame database, free list, ready queue.
    pub fn finish(mut self) {
        self.put(address::KERNEL_DATA, kernel_data::POOL_NEXT, self.pool_next);
        self.put(address::KERNEL_DATA, kernel_data::STACKS_IN_USE, self.stacks_in_use);
        let last = self.last_carved;
        self.write(address::KERNEL_DATA + 0x620, last);
        for frame in 0..self.next_frame {
            let entry = address::FRAME_DATABASE + frame * 16;
            let count = self.get(entry, frame_entry::COUNT);
            self.put(entry, frame_entry::COUNT, count.max(1));
        }
        let total = self.machine.memory.frame_count();
        for frame in self.next_frame..total {
            let next = if frame + 1 < total { frame + 1 } else { 0 };
            self.put(address::FRAME_DATABASE + frame * 16, frame_entry::NEXT, next);
        }
        let free = total - self.next_frame;
        let head = if free > 0 { self.next_frame } else { 0 };
        self.put(address::KERNEL_DATA, kernel_data::FREE_FRAMES, head);
        self.put(address::KERNEL_DATA, kernel_data::FREE_FRAME_COUNT, free);
        let ready = core::mem::take(&mut self.ready);
        for pair in ready.windows(2) {
            self.put(pair[0], thread::NEXT, pair[1]);
        }
        self.put(address::KERNEL_DATA, ready_queue::HEAD, ready.first().copied().unwrap_or(0));
        self.put(address::KERNEL_DATA, ready_queue::TAIL, ready.last().copied().unwrap_or(0));
        debug_assert!(Frame(self.next_frame).0 <= total, "frames are counted");
    }
}
