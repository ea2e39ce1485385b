//! A machine's state as nothing but memory, registers and devices.
//!
//! What can be put into such a value and taken out again without changing what happens next is all
//! the state there is: the amnesia test rebuilds a machine from it between any two steps.

use crate::base::Principal;

use super::changed_entries::ChangedEntries;
use super::device::Device;
use super::disk::SECTOR_WORDS;
use super::iommu::Iommu;
use super::paging::x86_64::Controls;
use super::registers::Registers;
use super::stall::Stall;
use super::table_frames::TableFrames;
use super::tlb::{Grants, MayHold, Tlb};
use super::{Machine, PhysAddr};

/// Memory, registers, caches, devices, disk, clock. No object of kernel or components.
#[derive(Clone)]
pub struct RawState {
    words: Vec<u64>,
    processors: Vec<(Registers, Controls, Tlb, MayHold, Stall)>,
    devices: Vec<Device>,
    disk: Vec<[u64; SECTOR_WORDS]>,
    iommu: Iommu,
    clock: u64,
    reached: u64,
    stopped: bool,
    roots: Vec<(u64, Principal)>,
    shadows: Vec<(u64, u64)>,
    tables: TableFrames,
    changed_entries: ChangedEntries,
}

impl Machine {
    /// Everything that decides what happens next.
    #[must_use]
    pub fn raw_state(&self) -> RawState {
        RawState {
            words: self.memory.words().to_vec(),
            processors: self
                .processors
                .iter()
                .map(|state| {
                    let (may_hold, stall) = (state.may_hold.clone(), state.stall.clone());
                    (state.registers, state.controls, state.tlb, may_hold, stall)
                })
                .collect(),
            devices: self.devices.clone(),
            disk: self.disk.sectors().to_vec(),
            iommu: self.iommu,
            clock: self.clock,
            reached: self.points.reached,
            stopped: self.stopped,
            roots: self.roots.iter().map(|(&root, &process)| (root, process)).collect(),
            shadows: self.shadows.iter().map(|(&shadow, &full)| (shadow, full)).collect(),
            tables: self.tables.clone(),
            changed_entries: self.changed_entries.clone(),
        }
    }

    /// Takes over a state, whatever this machine was doing.
    ///
    /// # Panics
    ///
    /// When the state is of a machine of another size.
    pub fn adopt(&mut self, state: &RawState) {
        assert_eq!(state.words.len(), self.memory.words().len(), "a state of another memory");
        assert_eq!(state.processors.len(), self.processors.len(), "a state of other processors");
        for (index, word) in state.words.iter().enumerate() {
            self.memory.write(PhysAddr::truncated(index as u64 * 8), *word);
        }
        for (to, (registers, controls, tlb, may_hold, stall)) in
            self.processors.iter_mut().zip(&state.processors)
        {
            to.registers = *registers;
            to.controls = *controls;
            to.tlb = *tlb;
            to.grants = Grants::new(controls);
            to.tlb.decide(&to.grants);
            to.may_hold = may_hold.clone();
            to.may_hold.forget_tables(&self.memory, controls);
            to.stall = stall.clone();
        }
        self.devices.clone_from(&state.devices);
        for (sector, words) in state.disk.iter().enumerate() {
            for (index, word) in words.iter().enumerate() {
                self.disk.write(sector as u64, index, *word);
            }
        }
        self.iommu = state.iommu;
        self.clock = state.clock;
        self.points.reached = state.reached;
        self.stopped = state.stopped;
        self.roots = state.roots.iter().copied().collect();
        self.shadows = state.shadows.iter().copied().collect();
        self.tables.clone_from(&state.tables);
        self.changed_entries.clone_from(&state.changed_entries);
        self.stalls = self.any_stall();
        self.events.clear();
    }
}
