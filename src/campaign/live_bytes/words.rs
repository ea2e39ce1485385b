//! Which words of memory are the kernel's, and which field each of them is.

use core::ops::Range;
use std::collections::BTreeSet;

use crate::authority::{Authority, Region};
use crate::base::{Field, PhysAddr, Structure, VirtAddr};
use crate::kernel::event_log::ENTRIES;
use crate::kernel::host_record::FAILED_ALONE;
use crate::kernel::integrity::REGIONS;
use crate::kernel::layout::{
    OBJECT_BODY, address, crash_block, deadlock, device_object, driver_object, event_log,
    frame_entry, gate, handle_entry, integrity, invariant_mdl, kernel_data, mdl, object_body,
    object_header, pool_header, pool_lists, process, processor_block, put_off, ready_queue,
    request_packet, residency, thread, transition_block, watchdog,
};
use crate::kernel::mdl::MAPPINGS_MAX;
use crate::kernel::pools::state;
use crate::kernel::verifier::PATHS_MAX;
use crate::machine::iommu::PRESENT;
use crate::world::World;

use super::fields::Name;
use super::{Bits, Flip, What};

/// Bytes of a page.
const PAGE: u64 = 4096;

/// Where in physical memory variables are that a page alone does not tell apart.
pub(super) struct Places {
    /// The frame of the kernel's variables.
    variables: Option<u64>,
    /// The frame of the pool's own variables, where it has some.
    pool_state: Option<u64>,
    /// The frame of what is known of pageable memory, where some may be away.
    residency: Option<u64>,
    /// The frame of what the watchdogs count, where there are some.
    watchdog: Option<u64>,
    /// The frame of what the framework of user-mode drivers keeps across a boot, where it does.
    host_record: Option<u64>,
    /// The frames of what entries find of each processor, where there are shadow roots.
    transitions: Vec<u64>,
    /// Whether late integrity checks are on: else their variables are room.
    has_integrity_checks: bool,
    /// Whether drivers are verified: likewise.
    has_verifier: bool,
    /// Whether the kernel keeps an event log: likewise.
    has_event_log: bool,
    /// What options of Driver Verifier know, within the page of the variables, where they are on.
    verified: Vec<(Range<u64>, &'static [Field])>,
}

/// What options of Driver Verifier know within the page of the variables.
fn verified(options: &[String], processors: u64) -> Vec<(Range<u64>, &'static [Field])> {
    let is_on = |prefix: &str| options.iter().any(|option| option.starts_with(prefix));
    let locks = deadlock::LOCKS.offset..deadlock::BEHIND.offset;
    let behind = deadlock::BEHIND.offset..deadlock::HELD.offset;
    let held = deadlock::HELD.offset..deadlock::HELD.offset + processors * 8;
    let signed = invariant_mdl::PACKETS.offset..invariant_mdl::SIGNATURES.offset + MAPPINGS_MAX * 8;
    let later = put_off::CALLED.offset..put_off::STAGE.offset + 8;
    let knows_holders = is_on("deadlock-detection") || is_on("ddi-compliance-checking");
    let all: [(bool, Range<u64>, &'static [Field]); 5] = [
        (knows_holders, locks, deadlock::FIELDS),
        (is_on("deadlock-detection"), behind, deadlock::FIELDS),
        (knows_holders, held, deadlock::FIELDS),
        (is_on("invariant-mdl-checking"), signed, invariant_mdl::FIELDS),
        (is_on("force-pending-io"), later, put_off::FIELDS),
    ];
    all.into_iter().filter(|(is_on, ..)| *is_on).map(|(_, range, fields)| (range, fields)).collect()
}

impl Places {
    pub(super) fn of(world: &World) -> Self {
        let locate = |virt: u64| world.machine.locate(0, VirtAddr(virt));
        let frame_of = |virt: u64| locate(virt).map(|phys| phys / PAGE);
        let is_set = |field: Field| {
            let phys = locate(address::KERNEL_DATA + field.offset).map(PhysAddr::truncated);
            phys.is_some_and(|phys| world.machine.memory.read(phys) != 0)
        };
        let machine = &world.configuration().machine;
        Self {
            variables: frame_of(address::KERNEL_DATA),
            pool_state: frame_of(state::STATE),
            residency: frame_of(address::RESIDENCY),
            watchdog: frame_of(address::WATCHDOG),
            host_record: frame_of(address::HOST_RECORD),
            transitions: (0..world.machine.processors.len() as u64)
                .filter_map(|number| frame_of(address::TRANSITION_BLOCKS + number * PAGE))
                .collect(),
            has_integrity_checks: is_set(integrity::PERIOD),
            has_verifier: is_set(kernel_data::VERIFIER),
            has_event_log: machine.event_log,
            verified: verified(&machine.verifier, world.machine.processors.len() as u64),
        }
    }

    /// Every how-manieth byte of all that kernel mode keeps, in order of addresses, and the fields that
    /// there are.
    pub(super) fn sample(
        &self,
        authority: &Authority,
        world: &World,
        every: usize,
    ) -> (Vec<Flip>, BTreeSet<Name>) {
        let (mut flips, mut fields) = (Vec::new(), BTreeSet::new());
        let mut bytes = 0;
        let mut run = Run::default();
        for number in 0..world.machine.memory.words().len() as u64 {
            let word = PhysAddr::truncated(number * 8);
            let Some((structure, start)) = run.next(authority, world, word) else { continue };
            let field = self.field_at(structure, word.raw(), start);
            fields.extend(field.map(|name| (structure, name)));
            // An empty entry of a table is room, though entries have a name.
            let is_named = field.is_some() && !is_table(structure);
            let is_used = is_named || world.machine.memory.read(word) != 0;
            let what = if is_used { What::Used } else { What::Room };
            for lane in 0..8 {
                if bytes % every == 0 {
                    flips.push(Flip { word, bits: Bits(0xff << (lane * 8)), structure, what });
                }
                bytes += 1;
            }
        }
        (flips, fields)
    }

    /// The field that a word of kernel mode's is, and its structure.
    pub(super) fn field_of(
        &self,
        authority: &Authority,
        world: &World,
        word: PhysAddr,
    ) -> Option<Name> {
        let region = *authority.region_at(word);
        let structure = kept_in(&region, world)?;
        let before = (0..word.raw() / 8).rev().map(|number| number * 8);
        let same = before.take_while(|&at| *authority.region_at(PhysAddr::truncated(at)) == region);
        let start = same.last().unwrap_or_else(|| word.raw());
        self.field_at(structure, word.raw(), start).map(|name| (structure, name))
    }

    /// The field that begins at a physical address within a run of one structure.
    fn field_at(&self, structure: Structure, phys: u64, run: u64) -> Option<&'static str> {
        let in_page = phys % PAGE;
        let within = phys - run;
        let frame = Some(phys / PAGE);
        if self.pool_state == frame {
            return pool_field(in_page);
        }
        if self.residency == frame {
            let table = residency::PAGES.offset;
            let offset = if in_page < table + 48 * 8 { in_page.min(table) } else { in_page };
            return name_at(residency::FIELDS, offset);
        }
        if self.watchdog == frame {
            // What is kept of the processors, one after the other.
            let first = watchdog::ANSWERED.offset;
            let of_processor = in_page.checked_sub(first).filter(|&rest| rest < 32 * 8);
            let offset = of_processor.map_or(in_page, |rest| first + rest % 32);
            return name_at(watchdog::FIELDS, offset);
        }
        if self.host_record == frame {
            return name_at(&[FAILED_ALONE], in_page);
        }
        let is_variable = self.variables == frame;
        let (fields, offset): (&[Field], u64) = match structure {
            Structure::KernelData if is_variable && INTEGRITY.contains(&in_page) => {
                if !self.has_integrity_checks {
                    return None;
                }
                (integrity::FIELDS, in_page)
            }
            Structure::KernelData if is_variable && EVENT_LOG.contains(&in_page) => {
                if !self.has_event_log {
                    return None;
                }
                // The entries, one behind the other.
                let entry = in_page.checked_sub(event_log::ENTRY.offset);
                let offset = entry.map_or(in_page, |rest| event_log::ENTRY.offset + rest % 16);
                (event_log::FIELDS, offset)
            }
            Structure::KernelData if is_variable && in_page >= deadlock::LOCKS.offset => {
                let (_, fields) =
                    self.verified.iter().find(|(range, _)| range.contains(&in_page))?;
                // Each is the first of several.
                let first = fields.iter().rfind(|field| field.offset <= in_page)?;
                (fields, first.offset)
            }
            Structure::KernelData if is_variable => (kernel_data::FIELDS, in_page),
            Structure::ReadyQueue => (ready_queue::FIELDS, in_page),
            Structure::CrashBlock => (crash_block::FIELDS, in_page),
            Structure::PoolFreeList if is_variable => (pool_lists::FIELDS, in_page),
            Structure::ProcessorBlock if self.transitions.contains(&(phys / PAGE)) => {
                (transition_block::FIELDS, in_page)
            }
            Structure::ProcessorBlock => (processor_block::FIELDS, in_page),
            Structure::ObjectHeader => (object_header::FIELDS, within % OBJECT_BODY),
            Structure::Process => (process::FIELDS, within + OBJECT_BODY),
            Structure::Thread => (thread::FIELDS, within + OBJECT_BODY),
            Structure::ObjectBody => (object_body::FIELDS, within + OBJECT_BODY),
            Structure::HandleTable => (handle_entry::FIELDS, within % 16),
            // The plain header of another generation of the pool has nothing in its second word.
            Structure::PoolHeader if self.pool_state.is_none() => {
                (pool_header::FIELDS, within % 16)
            }
            Structure::PoolHeader => (&pool_header::FIELDS[..1], within % 16),
            Structure::FrameDatabase => (frame_entry::FIELDS, within % 16),
            Structure::DriverObject => (driver_object::FIELDS, within % 0x40),
            Structure::DeviceObject => (device_object::FIELDS, within % 0x40),
            Structure::RequestPacket => (request_packet::FIELDS, within),
            Structure::Mdl => (mdl::FIELDS, within),
            // Structures of one sort of word, or of two.
            Structure::PageTable => return Some(TABLE_ENTRY.1),
            Structure::IommuTable => return Some(IOMMU_ENTRY.1),
            Structure::InterruptTable => return name_at(gate::FIELDS, in_page % 16),
            Structure::TaskState => return Some("stack pointers of gates"),
            Structure::ServiceTable => return Some("system service"),
            _ => return None,
        };
        let named = fields.iter().find(|field| field.offset == offset);
        let field = named.or_else(|| table_with(structure, offset))?;
        let is_verifiers =
            [kernel_data::VERIFIER_RANDOM, kernel_data::FAILED_PATHS].contains(field);
        (self.has_verifier || !is_verifiers).then_some(field.name)
    }
}

/// What walks read.
pub(super) const TABLE_ENTRY: Name = (Structure::PageTable, "page-table entry");

/// Likewise, of devices.
pub(super) const IOMMU_ENTRY: Name = (Structure::IommuTable, "IOMMU entry");

/// Whether it is a table of entries with no layout of their own.
fn is_table(structure: Structure) -> bool {
    matches!(
        structure,
        Structure::PageTable
            | Structure::IommuTable
            | Structure::InterruptTable
            | Structure::TaskState
            | Structure::ServiceTable
    )
}

/// The entries of page tables that are not empty, in order of addresses.
pub(super) fn table_entries(authority: &Authority, world: &World) -> Vec<(PhysAddr, u64)> {
    let words = (0u64..).zip(world.machine.memory.words()).filter(|&(_, &value)| value != 0);
    let words = words.map(|(number, &value)| (PhysAddr::truncated(number * 8), value));
    words.filter(|&(word, _)| authority.region_at(word).structure == Structure::PageTable).collect()
}

/// The entries by which the IOMMU let a device reach a physical address: of the devices that may reach it.
pub(super) fn iommu_entries(world: &World, reached: u64) -> impl Iterator<Item = (PhysAddr, u64)> {
    let (iommu, memory) = (world.machine.iommu, &world.machine.memory);
    (0..PAGE / 8).filter(move |_| iommu.enabled).flat_map(move |device| {
        let context = PhysAddr::truncated(iommu.root + device * 8);
        let table = memory.read(context);
        let entry = PhysAddr::truncated((table & !(PAGE - 1)) + reached / PAGE * 8);
        let value = if table & PRESENT == 0 { 0 } else { memory.read(entry) };
        let is_mapped = value & PRESENT != 0;
        is_mapped.then_some([(context, table), (entry, value)]).into_iter().flatten()
    })
}

/// The name of the field at an offset.
fn name_at(fields: &[Field], offset: u64) -> Option<&'static str> {
    fields.iter().find(|field| field.offset == offset).map(|field| field.name)
}

/// Where the variables of the late integrity checks are.
const INTEGRITY: Range<u64> = integrity::COUNTDOWN.offset..kernel_data::FAILED_PATHS.offset;

/// Where the event log is.
const EVENT_LOG: Range<u64> = event_log::OFFLINE.offset..event_log::ENTRY.offset + ENTRIES * 16;

/// Tables among the kernel's variables, of which a layout names the first element, and their elements.
const TABLES: [(Field, u64); 5] = [
    (kernel_data::DEVICES, 16),
    (kernel_data::PROCESSES, 64),
    (kernel_data::SECTIONS, 8),
    (kernel_data::FAILED_PATHS, PATHS_MAX),
    (integrity::SUMS, REGIONS),
];

/// The table of kernel variables that has an element at an offset.
fn table_with(structure: Structure, offset: u64) -> Option<&'static Field> {
    let mut tables = TABLES.iter().filter(|_| structure == Structure::KernelData);
    let has = |table: &Field, elements: u64| {
        (table.offset..table.offset + elements * 8).contains(&offset)
    };
    tables.find(|(table, elements)| has(table, *elements)).map(|(table, _)| table)
}

/// The field of the pool's own variables at an offset; each but the first is the first of several.
fn pool_field(offset: u64) -> Option<&'static str> {
    let field = state::FIELDS.iter().rfind(|field| field.offset <= offset)?;
    let is_there = field.offset == offset || field.offset >= state::HEADS.offset;
    (is_there && offset < state::STATE_WORDS * 8).then_some(field.name)
}

/// Of which structure a region is that kernel mode keeps; code aside.
fn kept_in(region: &Region, world: &World) -> Option<Structure> {
    let structure = region.structure;
    let is_kernel_mode =
        region.owner.is_some_and(|owner| world.roster().kind(owner).is_kernel_mode());
    let is_other = matches!(structure, Structure::Code | Structure::Free) || structure.is_user();
    (is_kernel_mode && !is_other).then_some(structure)
}

/// Neighbouring words of one region, as one goes through memory.
#[derive(Default)]
struct Run {
    region: Option<Region>,
    start: u64,
}

impl Run {
    /// The structure of the next word and where its run begins.
    fn next(
        &mut self,
        authority: &Authority,
        world: &World,
        word: PhysAddr,
    ) -> Option<(Structure, u64)> {
        let region = *authority.region_at(word);
        if self.region != Some(region) {
            *self = Self { region: Some(region), start: word.raw() };
        }
        kept_in(&region, world).map(|structure| (structure, self.start))
    }
}
