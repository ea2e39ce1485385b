//! What does the hardware do?
//!
//! Physical memory, processors that translate every access, gates between the modes, devices that
//! transfer past the translation, a disk. The machine knows nothing of processes, handles or
//! drivers; what the kernel does with it is the kernel's business.

mod arms;
mod behind;
mod called_for;
mod changed_entries;
pub mod code;
mod controls;
mod copying;
mod debug;
pub mod device;
pub mod disk;
mod double_fault;
mod execute;
pub mod flaws;
mod frame_owner;
mod held;
pub mod interrupt;
mod invalidate;
pub mod iommu;
mod left_out;
mod located;
pub mod memory;
pub mod paging;
mod privileged;
pub mod processor;
pub mod raw;
pub mod registers;
pub mod rules;
mod scene;
pub mod second_level;
pub mod shadow_stack;
mod stall;
mod store_physical;
mod table_frames;
mod table_memory;
pub mod tlb;
mod transfer;
pub mod trap;
mod walker;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Access, Event, PhysAddr, Principal, TraceHash, VirtAddr};
use crate::injection::Points;

pub use crate::routine;
pub use arms::Arms;
pub use code::{Flow, Image, Program, Routine, Step, StepFn, Substitute};
pub use processor::Processor;
pub use registers::{Reg, Registers};
pub use trap::Trap;

use changed_entries::ChangedEntries;
use device::Device;
use disk::Disk;
use flaws::Flaws;
use iommu::Iommu;
use located::Located;
use memory::{FRAME_WORDS, Memory};
use paging::x86_64::Controls;
use second_level::SecondLevel;
use stall::Stall;
use table_frames::TableFrames;
use tlb::{Case, Grants, Invalidation, MayHold, RootLoad, Tlb};

/// The bit of CR3's operand that keeps what is remembered under the number it loads. Without
/// CR4.PCIDE it is reserved (Intel SDM volume 2B, "MOV—Move to/from Control Registers").
pub const KEEP_TRANSLATIONS: u64 = 1 << 63;

/// One processor's state: registers, paging controls, cached translations.
#[derive(Clone)]
pub struct ProcessorState {
    /// Registers.
    pub registers: Registers,
    /// Control registers and what else decides a translation.
    pub controls: Controls,
    /// What it remembers of past translations.
    pub tlb: Tlb,
    /// What it may remember of translations that were withdrawn.
    pub may_hold: MayHold,
    /// Which accesses rights permit; follows from the controls.
    grants: Grants,
    /// How it stands still, if it does.
    stall: Stall,
}

impl ProcessorState {
    /// Where a cached translation leads an explicit access of this kind. `None` also where it takes
    /// [`Tlb::lookup`] or the tables to say.
    #[inline(always)]
    fn hit(&self, virt: u64, access: Access) -> Option<PhysAddr> {
        if !self.grants.are_of(&self.controls) {
            return None;
        }
        let registers = &self.registers;
        let ac = registers.flags & registers::ALIGNMENT_CHECK != 0;
        self.tlb.hit_decided(VirtAddr(virt), Case::of(access, registers.ring, ac))
    }

    /// Decides again which accesses the cached translations permit, where the controls have changed.
    fn regrant(&mut self) {
        if !self.grants.are_of(&self.controls) {
            self.grants = Grants::new(&self.controls);
            self.tlb.decide(&self.grants);
        }
    }
}

/// The whole machine.
pub struct Machine {
    /// Physical memory.
    pub memory: Memory,
    /// The processors.
    pub processors: Vec<ProcessorState>,
    /// The devices, by number.
    pub devices: Vec<Device>,
    /// The disk.
    pub disk: Disk,
    /// The IOMMU's registers.
    pub iommu: Iommu,
    /// Steps run or skipped so far: the only clock there is.
    pub clock: u64,
    /// Nothing runs until the next boot.
    pub stopped: bool,
    /// Armed faults.
    pub points: Points,
    /// What happened since somebody last took note.
    pub events: Vec<Event>,
    /// What the numbers in code words mean.
    pub program: Arc<Program>,
    /// Steps from a transfer's start to its end.
    pub transfer_delay: u64,
    /// Whether `sysret` to a non-canonical address raises general protection at ring 0 (Intel) or
    /// ring 3 (AMD).
    pub sysret_faults_in_kernel: bool,
    /// What frames may be used for, whatever the tables say.
    pub second_level: SecondLevel,
    /// Where the shadows of ring 0's return addresses lie, if they have any.
    pub shadow_stacks: Option<shadow_stack::ShadowStacks>,
    /// Bugs of this hardware.
    pub flaws: Flaws,
    struck: bool,
    /// Whether it was before the point at which a fault struck last.
    was_struck: bool,
    /// What comes right behind the access under way.
    behind: Option<behind::Behind>,
    /// Whether the step under way does something in one piece.
    locked: bool,
    /// Where the bytes of a copy or fill that is about to happen come from.
    copying: Option<copying::Source>,
    /// Which invalidation or probe is about to happen.
    about_to: Option<left_out::AboutTo>,
    /// Whether some processor stands still, or is to; follows from the processors.
    stalls: bool,
    roots: BTreeMap<u64, Principal>,
    /// The full root of each shadow root.
    shadows: BTreeMap<u64, u64>,
    tables: TableFrames,
    changed_entries: ChangedEntries,
    located: Located,
}

/// Everything needed to put a machine back where it was.
pub struct Checkpoint {
    memory: memory::Mark,
    disk: usize,
    processors: Vec<ProcessorState>,
    devices: Vec<Device>,
    iommu: Iommu,
    clock: u64,
    stopped: bool,
    reached: u64,
    roots: BTreeMap<u64, Principal>,
    shadows: BTreeMap<u64, u64>,
    tables: TableFrames,
    changed_entries: ChangedEntries,
}

impl Machine {
    /// A machine with zeroed memory, ready to be loaded.
    #[must_use]
    pub fn new(
        frames: usize,
        processors: usize,
        sectors: usize,
        controls: Controls,
        program: Arc<Program>,
    ) -> Self {
        let state = ProcessorState {
            registers: Registers::default(),
            controls,
            tlb: Tlb::default(),
            may_hold: MayHold::default(),
            grants: Grants::new(&controls),
            stall: Stall::default(),
        };
        Self {
            memory: Memory::new(frames),
            processors: vec![state; processors],
            devices: Vec::new(),
            disk: Disk::new(sectors),
            iommu: Iommu::default(),
            clock: 0,
            stopped: false,
            points: Points::default(),
            events: Vec::with_capacity(64),
            program,
            transfer_delay: 40,
            sysret_faults_in_kernel: true,
            second_level: SecondLevel::default(),
            shadow_stacks: None,
            flaws: Flaws::default(),
            struck: false,
            was_struck: false,
            behind: None,
            locked: false,
            copying: None,
            about_to: None,
            stalls: false,
            roots: BTreeMap::new(),
            shadows: BTreeMap::new(),
            tables: TableFrames::new(frames),
            changed_entries: ChangedEntries::default(),
            located: Located::default(),
        }
    }

    fn switch_root(&mut self, number: usize, operand: u64) -> u64 {
        let root = operand & !KEEP_TRANSLATIONS;
        let load = if operand == root { RootLoad::Flush } else { RootLoad::Keep };
        self.tables.add_root(&self.memory, root);
        let state = &mut self.processors[number];
        let before = state.controls;
        state.controls.cr3 = root;
        if let Some(invalidation) = Invalidation::root_load(&state.controls, load)
            && !self.flaws.keeps_other_spaces
        {
            state.tlb.invalidate(invalidation);
        }
        state.may_hold.load_root(&self.memory, &before, &state.controls, load);
        before.cr3
    }

    /// Ends the loading of memory: what is now is where a machine starts. Table stores before this
    /// were nobody's.
    pub fn settle(&mut self) {
        self.memory.settle();
        self.tables = TableFrames::new(self.memory.words().len() / FRAME_WORDS);
        for state in &mut self.processors {
            self.tables.add_root(&self.memory, state.controls.cr3);
            state.may_hold.forget_tables(&self.memory, &state.controls);
        }
        // What is stored in tables of a root that no processor has loaded yet decides where it will lead.
        for root in self.roots.keys().chain(self.shadows.keys()) {
            self.tables.add_root(&self.memory, *root);
        }
        self.tables.add_iommu(&self.memory, self.iommu);
    }

    /// Loads a root on a processor before anything runs.
    pub fn preset_root(&mut self, number: usize, root: u64, context: Principal) {
        self.switch_root(number, root);
        self.processors[number].registers.context = context;
        self.name_root(root, context);
    }

    /// Notes which process a root belongs to. A process that is made again leaves the root that it had
    /// before to nobody: its frame is free, or somebody else's.
    pub fn name_root(&mut self, root: u64, process: Principal) {
        if process != Principal::KERNEL {
            self.roots.retain(|_, owner| *owner != process);
        }
        self.roots.insert(root & !0xfff, process);
    }

    /// Which process a root belongs to; the kernel for one that nobody named.
    #[must_use]
    pub fn context_of_root(&self, root: u64) -> Principal {
        let root = self.full_root(root);
        self.roots.get(&(root & !0xfff)).copied().unwrap_or(Principal::KERNEL)
    }

    /// Notes that user mode runs on `shadow` where kernel mode runs on `full`: two roots of one address
    /// space. The shadow that the full root had before, and the full root that the shadow had, have none.
    pub fn name_shadow(&mut self, full: u64, shadow: u64) {
        self.shadows.retain(|_, of| *of != full & !0xfff);
        self.shadows.insert(shadow & !0xfff, full & !0xfff);
    }

    /// The full root of a root: itself, where it is nobody's shadow.
    #[must_use]
    pub fn full_root(&self, root: u64) -> u64 {
        self.shadows.get(&(root & !0xfff)).copied().unwrap_or(root)
    }

    /// The shadow roots, each with its full root.
    #[must_use]
    pub fn shadows(&self) -> &BTreeMap<u64, u64> {
        &self.shadows
    }

    /// The roots and whose they are.
    #[must_use]
    pub fn roots(&self) -> &BTreeMap<u64, Principal> {
        &self.roots
    }

    /// Remembers the present state.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            memory: self.memory.mark(),
            disk: self.disk.mark(),
            processors: self.processors.clone(),
            devices: self.devices.clone(),
            iommu: self.iommu,
            clock: self.clock,
            stopped: self.stopped,
            reached: self.points.reached,
            roots: self.roots.clone(),
            shadows: self.shadows.clone(),
            tables: self.tables.clone(),
            changed_entries: self.changed_entries.clone(),
        }
    }

    /// Goes back to a checkpoint; costs what was changed since.
    pub fn restore(&mut self, checkpoint: &Checkpoint) {
        self.memory.restore(checkpoint.memory);
        self.disk.restore(checkpoint.disk);
        self.processors.clone_from_slice(&checkpoint.processors);
        self.devices.clone_from_slice(&checkpoint.devices);
        self.iommu = checkpoint.iommu;
        self.clock = checkpoint.clock;
        self.stopped = checkpoint.stopped;
        self.points.reached = checkpoint.reached;
        self.roots.clone_from(&checkpoint.roots);
        self.shadows.clone_from(&checkpoint.shadows);
        // Whatever served since then must not decide which entries count as changed.
        self.tables.clone_from(&checkpoint.tables);
        self.changed_entries.clone_from(&checkpoint.changed_entries);
        (self.struck, self.locked) = (false, false);
        self.stalls = self.any_stall();
        self.events.clear();
    }

    /// Starts the machine again: everything as at `checkpoint` but for the disk and the clock.
    pub fn reboot(&mut self, checkpoint: &Checkpoint) {
        let clock = self.clock;
        let reached = self.points.reached;
        self.memory.rewrite(checkpoint.memory);
        self.processors.clone_from_slice(&checkpoint.processors);
        self.devices.clone_from_slice(&checkpoint.devices);
        self.iommu = checkpoint.iommu;
        self.stopped = false;
        self.roots.clone_from(&checkpoint.roots);
        self.shadows.clone_from(&checkpoint.shadows);
        self.changed_entries = ChangedEntries::default();
        (self.struck, self.locked) = (false, false);
        self.stalls = self.any_stall();
        self.clock = clock;
        self.points.reached = reached;
    }

    /// The fingerprint of the whole state: memory, registers, caches, devices, disk.
    #[must_use]
    pub fn state_hash(&self) -> TraceHash {
        let mut hash = TraceHash::default();
        hash.absorb(self.memory.hash(), self.clock);
        self.absorb_registers(&mut hash);
        self.absorb_remembered(&mut hash);
        self.absorb_devices(&mut hash);
        hash
    }

    /// Takes in what processors and IOMMU hold but for cached translations.
    pub fn absorb_registers(&self, hash: &mut TraceHash) {
        for state in &self.processors {
            hash.absorb(u64::from(state.controls.flags.bits()), state.controls.cr3);
            hash.absorb(u64::from(state.controls.pkru), u64::from(state.controls.pkrs));
            for word in state.registers.words() {
                hash.absorb(word, state.controls.cr3);
            }
            for word in state.stall.words() {
                hash.absorb(word, state.controls.cr3);
            }
        }
        let iommu = u64::from(self.iommu.enabled) | u64::from(self.iommu.passed_by) << 2;
        hash.absorb(self.iommu.root, iommu | u64::from(self.stopped) << 1);
    }

    /// Takes in the translations that processors remember, or may remember.
    pub fn absorb_remembered(&self, hash: &mut TraceHash) {
        for state in &self.processors {
            state.tlb.absorb(hash);
            state.may_hold.absorb(hash);
        }
    }

    /// Takes in the devices and the disk.
    pub fn absorb_devices(&self, hash: &mut TraceHash) {
        for device in &self.devices {
            device.absorb(hash);
        }
        hash.absorb(self.disk.hash(), 0);
    }

    /// Whether nothing can happen any more: all processors wait and no device is busy.
    #[must_use]
    pub fn is_quiescent(&self) -> bool {
        self.devices.iter().all(|device| device.busy.is_none())
            && self
                .processors
                .iter()
                .all(|state| state.registers.halted && state.registers.pending & !1 == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::held::testing::machine;
    use super::paging::x86_64::ControlFlags;
    use super::*;

    #[test]
    fn a_process_that_is_made_again_has_one_root() {
        let mut machine = machine(ControlFlags::NONE);
        machine.name_root(0x3000, Principal(7));
        machine.name_root(0x4000, Principal(8));

        machine.name_root(0x5000, Principal(7));

        assert_eq!(machine.context_of_root(0x3000), Principal::KERNEL);
        assert_eq!(machine.context_of_root(0x5000), Principal(7));
        let of = |process| machine.roots().values().filter(|&&owner| owner.0 == process).count();
        assert_eq!((of(7), of(8)), (1, 1));
    }
}
