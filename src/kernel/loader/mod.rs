//! Boot: lays out the first content of memory, the way a loader and the first phase of a kernel do.
//!
//! This is the one place where kernel structures are made by Rust code and not by steps: before the
//! first step there is nothing to step. Everything made here is announced, as the kernel announces
//! what it hands out later.
//!
//! | module | answers |
//! |---|---|
//! | `images` | which code is where, and which tables lead to it? |
//! | `objects` | which objects, threads and processors are there? |
//! | `pool` | which blocks of which pool? |
//! | `residency` | which pages may be away? |
//! | `spaces` | which address spaces and processes? |
//! | `transitions` | which shadow roots, and what do they map? |

mod images;
mod objects;
mod pool;
mod residency;
mod spaces;
mod transitions;

use crate::base::{Event, EventKind, Field, Frame, PhysAddr, Principal, Structure, VirtAddr};
use crate::machine::shadow_stack::SHADOW_OFFSET;
use crate::machine::{Machine, Program, Routine};

pub use pool::PoolSetup;
pub use residency::draw_residency;
pub use spaces::SEGMENT_IMAGE;

use super::integrity;
use super::layout::switches::{
    DRIVER_DATA_OPEN, INTEGRITY_CHECKS, KVA_SHADOW, POOL_EXECUTABLE, SHADOW_STACKS,
    USER_BIT_IN_SYSTEM, WATCHDOGS,
};
use super::layout::{
    address, frame_entry, integrity as integrity_block, kernel_data, ready_queue, thread, watchdog,
};
use super::paging::{ADDRESS, GLOBAL, NO_EXECUTE, PRESENT, SYSTEM_RW, USER, WRITABLE};

/// Kernel stacks mapped at boot.
pub const STACKS: u64 = 16;
/// Sections that exist at boot.
pub const SECTIONS: u64 = 2;

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
    switches: u64,
    driver_bits: u64,
    pool: PoolSetup,
    pool_next: u64,
    last_carved: u64,
    stacks_in_use: u64,
    images: Vec<(String, Vec<u64>)>,
    ready: Vec<u64>,
    pageable: Vec<u64>,
    system_process: u64,
    /// Stacks of the interrupt stack table, by number.
    own_stacks: Vec<u64>,
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
        pool: PoolSetup,
    ) -> Self {
        let mut loader = Self {
            machine,
            program,
            next_frame: 1,
            root: 0,
            self_map_slot,
            switches,
            // Weakness: the self-map entry of every root carries the user bit (CVE-2018-1038).
            self_map_bits: if switches & USER_BIT_IN_SYSTEM != 0 {
                SYSTEM_RW | USER
            } else {
                SYSTEM_RW
            },
            // Weakness: drivers' data pages carry the user bit, and so do the tables on the way.
            driver_bits: if switches & DRIVER_DATA_OPEN != 0 {
                SYSTEM_RW | USER
            } else {
                SYSTEM_RW
            },
            pool,
            pool_next: address::POOL,
            last_carved: 0,
            stacks_in_use: 0,
            images: Vec::new(),
            ready: Vec::new(),
            pageable: Vec::new(),
            system_process: 0,
            own_stacks: Vec::new(),
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
        ] {
            loader.map_pages(at, pages, structure, SYSTEM_RW);
        }
        let is_executable = switches & POOL_EXECUTABLE != 0;
        let pool_bits = if is_executable { SYSTEM_RW & !NO_EXECUTE } else { SYSTEM_RW };
        loader.map_pages(address::POOL, address::POOL_PAGES, Structure::Free, pool_bits);
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
            loader.map_stack(number);
        }
        loader.map_transition_blocks();
        loader.claim_variables();
        loader.make_pool();
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

    /// Maps `pages` new frames of the kernel's in the system half.
    fn map_pages(&mut self, virt: u64, pages: u64, structure: Structure, bits: u64) {
        self.map_pages_of(Principal::KERNEL, virt, pages, structure, bits);
    }

    /// Maps `pages` new frames of somebody's in the system half.
    fn map_pages_of(
        &mut self,
        owner: Principal,
        virt: u64,
        pages: u64,
        structure: Structure,
        bits: u64,
    ) {
        // Every address space has the same system half, so its entries are global, unless user mode is
        // to have none of it.
        let global = if self.switches & KVA_SHADOW == 0 { GLOBAL } else { 0 };
        for page in 0..pages {
            let frame = self.take_frame(structure, owner);
            let entry = frame << 12 | bits | global;
            let table_bits = PRESENT | WRITABLE | self.driver_bits & USER;
            self.map(self.root, virt + page * 4096, entry, table_bits);
        }
    }

    /// Maps a kernel stack, and its shadow where there are any.
    fn map_stack(&mut self, number: u64) {
        let at = address::KERNEL_STACKS + number * address::KERNEL_STACK_STRIDE;
        self.map_pages(at, 1, Structure::KernelStack, SYSTEM_RW);
        if self.switches & SHADOW_STACKS != 0 {
            // Read-only to stores; the processor writes it as it pushes return addresses.
            let bits = PRESENT | NO_EXECUTE;
            self.map_pages(at + SHADOW_OFFSET, 1, Structure::KernelStack, bits);
        }
    }

    /// Makes the tables above an address at which nothing is yet.
    fn map_absent(&mut self, virt: u64) {
        self.map(self.root, virt, 0, PRESENT | WRITABLE | self.driver_bits & USER);
    }

    /// Reads a word of memory by its system address.
    fn word(&self, virt: u64) -> u64 {
        self.machine.memory.read(PhysAddr::truncated(self.physical(virt)))
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
        self.physical_under(self.root, virt)
    }

    /// Where a root maps an address.
    fn physical_under(&self, root: u64, virt: u64) -> u64 {
        let mut table = root;
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

    /// Notes the sums of the regions that are watched, checked every `period` clock interrupts.
    pub fn watch_regions(&mut self, period: u64) {
        if self.switches & INTEGRITY_CHECKS == 0 {
            return;
        }
        for number in 0..integrity::REGIONS {
            let region = integrity::region(number);
            let words = (0..region.bytes / 8).map(|word| {
                let at = self.physical(region.start + word * 8);
                self.machine.memory.read(PhysAddr::truncated(at))
            });
            let sum = integrity::sum_of(words);
            self.put(address::KERNEL_DATA + number * 8, integrity_block::SUMS, sum);
        }
        self.put(address::KERNEL_DATA, integrity_block::PERIOD, period);
        self.put(address::KERNEL_DATA, integrity_block::COUNTDOWN, period);
    }

    /// Sets the watchdogs' limits, in ticks of the clock; 0 for none: of a single deferred call, of a time
    /// at dispatch level or above, of a processor's silence.
    pub fn set_watchdogs(&mut self, limits: [u32; 3]) {
        if self.switches & WATCHDOGS == 0 {
            return;
        }
        self.map_pages(address::WATCHDOG, 1, Structure::KernelData, SYSTEM_RW);
        let fields = [watchdog::CALL_MAX, watchdog::RAISED_MAX, watchdog::SILENCE_MAX];
        for (field, limit) in fields.into_iter().zip(limits) {
            self.put(address::WATCHDOG, field, u64::from(limit));
        }
    }

    /// Maps the page with what the framework of user-mode drivers keeps across a boot.
    pub fn make_host_record(&mut self) {
        self.map_pages(address::HOST_RECORD, 1, Structure::DmaBuffer, SYSTEM_RW);
    }

    /// Closes the books: frame database, free list, ready queue.
    pub fn finish(mut self) {
        self.make_residency();
        self.close_pool();
        self.put(address::KERNEL_DATA, kernel_data::STACKS_IN_USE, self.stacks_in_use);
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
        self.put(address::KERNEL_DATA, kernel_data::HIGHEST_FRAME, total - 1);
        let ready = core::mem::take(&mut self.ready);
        for pair in ready.windows(2) {
            self.put(pair[0], thread::NEXT, pair[1]);
        }
        self.put(address::KERNEL_DATA, ready_queue::HEAD, ready.first().copied().unwrap_or(0));
        self.put(address::KERNEL_DATA, ready_queue::TAIL, ready.last().copied().unwrap_or(0));
        debug_assert!(Frame(self.next_frame).0 <= total, "frames are counted");
    }
}
