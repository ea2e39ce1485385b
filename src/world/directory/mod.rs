//! Who has what where: symbolic targets resolved by reading memory.
//!
//! A target is resolved at the moment a fault strikes, through the kernel's own tables as they lie
//! in memory then: a corrupted table leads somewhere else, or nowhere, as it would.

mod freed;
mod generations;
mod target;

use crate::base::{Principal, PrincipalKind, Roster, VirtAddr, nearest};
use crate::injection::Scene;
use crate::kernel::layout::{
    HANDLES_MAX, OBJECT_BODY, POOL_HEADER_BYTES, SHADOWED, address, device_object, driver_object,
    frame_entry, handle_entry, kernel_data, object_header, pool_lists, process, ready_queue,
    request_packet, thread,
};

use super::action::place;
use super::configuration::Configuration;

pub use freed::{free_pool_blocks, freed};
pub use target::{Area, Part, Target};

/// Bits of a page-table entry that hold a physical address.
const FRAME_BITS: u64 = 0x000f_ffff_ffff_f000;
/// Leaf pages that [`mapped_pages`] lists at most: more than a world maps.
const PAGES_MAX: usize = 4096;

/// The principals of a world, to find their things in memory.
#[derive(Clone, Debug)]
pub struct Directory {
    roster: Roster,
    /// Whether user mode runs on roots of its own.
    has_shadows: bool,
}

/// A place in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its physical address, a multiple of 8.
    pub phys: u64,
    /// Its linear address, when it has one in every address space.
    pub virt: Option<u64>,
    /// Its linear address in the address space of the process that it belongs to, when it has none
    /// everywhere.
    pub within: Option<u64>,
}

/// A block of the pool, as its header tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PoolBlock {
    /// The linear address of its header.
    pub header: u64,
    /// Bytes with its header.
    pub bytes: u64,
    /// Whether it is in use.
    pub in_use: bool,
}

impl Directory {
    /// The directory of a world of this configuration.
    #[must_use]
    pub fn of(configuration: &Configuration) -> Self {
        Self { roster: configuration.roster(), has_shadows: configuration.machine.kva_shadow }
    }

    /// The names behind it.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Names of principals that have parts of this area.
    pub fn owners(&self, area: Area) -> impl Iterator<Item = &str> {
        self.roster
            .iter()
            .filter(move |(_, entry)| has(entry.kind, area))
            .map(|(_, entry)| &*entry.name)
    }

    /// Whether there can be such a target here.
    ///
    /// # Errors
    ///
    /// What is not there, what is, and the nearest name.
    pub fn check(&self, target: &Target) -> Result<(), String> {
        let Target::Named { owner, part, .. } = target else { return Ok(()) };
        if *part == Part::ShadowMapEntry && !self.has_shadows {
            return Err(
                "user mode runs on the full page map here; `kva-shadow` in `[machine]` gives it \
                        one of its own"
                    .to_owned(),
            );
        }
        let area = part.area();
        if area == Area::Kernel || self.owners(area).any(|known| known == owner) {
            return Ok(());
        }
        let sort = if area == Area::Process { "process" } else { "kernel-mode driver" };
        let known: Vec<_> = self.owners(area).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let hint = nearest(owner, self.owners(area))
            .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        Err(format!("there is no {sort} `{owner}`; there are {known}{hint}"))
    }

    /// One target of each part and owner, the number left at its first sensible value: what a
    /// generator draws from.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        let is_here = |part: &&Part| **part != Part::ShadowMapEntry || self.has_shadows;
        for &part in Part::ALL.iter().filter(is_here) {
            let number = match part {
                Part::PageTableEntry => address::USER_BUFFERS >> 12,
                Part::FrameDatabase => 40,
                Part::InterruptGate => 14,
                Part::KernelStack => 4,
                Part::PageMapEntry | Part::ShadowMapEntry => address::SYSTEM >> 39 & 511,
                _ => 0,
            };
            match part.area() {
                Area::Kernel => targets.push(Target::kernel(part, number)),
                area => {
                    targets.extend(self.owners(area).map(|owner| Target::of(owner, part, number)))
                }
            }
        }
        targets
    }

    /// The number of a driver's device: drivers are loaded in the order in which they are listed.
    fn device_number(&self, driver: &str) -> Option<u64> {
        self.owners(Area::Driver).zip(0..).find(|(known, _)| *known == driver).map(|(_, at)| at)
    }

    /// Where the target is now; `None` when memory does not lead there.
    #[must_use]
    pub fn locate(&self, target: &Target, scene: &dyn Scene) -> Option<Place> {
        match target {
            Target::Physical(phys) => (*phys < scene.memory_bytes()).then_some(Place {
                phys: phys & !7,
                virt: None,
                within: None,
            }),
            Target::Named { owner, part, number } => match part.area() {
                Area::Kernel => kernel_part(*part, *number, scene),
                Area::Process => process_part(self.roster.named(owner)?, *part, *number, scene),
                Area::Driver => driver_part(self.device_number(owner)?, *part, *number, scene),
            },
        }
    }
}

const fn has(kind: PrincipalKind, area: Area) -> bool {
    match area {
        Area::Kernel => matches!(kind, PrincipalKind::Kernel),
        Area::Process => kind.is_process(),
        Area::Driver => matches!(kind, PrincipalKind::KernelDriver | PrincipalKind::FileSystem),
    }
}

/// A word that every address space shows.
fn system(scene: &dyn Scene, virt: u64) -> Option<Place> {
    let phys = scene.translate(VirtAddr(virt))? & !7;
    Some(Place { phys, virt: Some(virt & !7), within: None })
}

fn word(scene: &dyn Scene, virt: u64) -> Option<u64> {
    Some(scene.peek(system(scene, virt)?.phys))
}

/// What is not there is zero. It may have been overwritten with anything: what lies behind it is found by
/// arithmetic that wraps.
fn pointer(scene: &dyn Scene, virt: u64) -> Option<u64> {
    word(scene, virt).filter(|&value| value != 0)
}

fn kernel_part(part: Part, number: u64, scene: &dyn Scene) -> Option<Place> {
    let data = address::KERNEL_DATA;
    system(
        scene,
        match part {
            Part::ReadyQueue => data + ready_queue::HEAD.offset,
            Part::FreeFrameList => data + kernel_data::FREE_FRAMES.offset,
            Part::FrameDatabase => {
                address::FRAME_DATABASE + number * 16 + frame_entry::COUNT.offset
            }
            Part::PoolHeader => pool_blocks(scene).get(usize::try_from(number).ok()?)?.header,
            Part::PoolFreeList => match generations::key(scene) {
                Some(_) => generations::list_head(number),
                None => data + pool_lists::FREE_64.offset + number * 8,
            },
            Part::ServiceTable => address::SERVICE_TABLE + number * 8,
            Part::InterruptGate => address::INTERRUPT_TABLE + number * 16,
            Part::FileCache => address::FILE_CACHE + number * 8,
            Part::DeviceTable => data + kernel_data::DEVICES.offset + number * 8,
            Part::KernelVariable => data + number * 8,
            Part::ProcessorBlock => address::PROCESSOR_BLOCKS + number * 8,
            Part::TaskState => address::TASK_STATES + number * 8,
            Part::IommuTable => address::IOMMU_TABLES + number * 8,
            Part::DmaBuffer => address::DMA_BUFFERS + number * 8,
            Part::KernelCode => address::KERNEL_CODE + number * 8,
            Part::RequestPacket => {
                request_packets(scene).get(usize::try_from(number).ok()?).copied()?
            }
            Part::SelfMap => {
                let slot = word(scene, data + kernel_data::SELF_MAP_SLOT.offset)?;
                let phys = (scene.root() & FRAME_BITS) + (slot & 511) * 8;
                return Some(Place { phys, virt: None, within: None });
            }
            _ => return None,
        },
    )
}

/// The linear address of a process object, through the process table.
fn process_object(scene: &dyn Scene, principal: Principal) -> Option<u64> {
    pointer(
        scene,
        address::KERNEL_DATA + kernel_data::PROCESSES.offset + u64::from(principal.0) * 8,
    )
}

/// The page-map root of a process, as its block tells.
#[must_use]
pub fn process_root(scene: &dyn Scene, principal: Principal) -> Option<u64> {
    pointer(scene, process_object(scene, principal)?.wrapping_add(process::ROOT.offset))
}

/// The handles of the process whose address space is loaded, each with its object's type.
#[must_use]
pub fn handles(scene: &dyn Scene) -> Vec<(u64, u64)> {
    let root = scene.root() & FRAME_BITS;
    let all = (0..=u8::MAX).take(Principal::COUNT_MAX).map(Principal);
    let of = |principal| {
        let block = process_object(scene, principal)?;
        let is_loaded =
            pointer(scene, block.wrapping_add(process::ROOT.offset))? & FRAME_BITS == root;
        is_loaded.then(|| pointer(scene, block.wrapping_add(process::HANDLES.offset))).flatten()
    };
    let Some(table) = all.filter_map(of).next() else { return Vec::new() };
    let entry = |number: u64| {
        let object = pointer(scene, table.wrapping_add(number * 16 + handle_entry::OBJECT.offset))?;
        Some((4 * (number + 1), word(scene, object.wrapping_add(object_header::TYPE.offset))?))
    };
    (0..HANDLES_MAX).filter_map(entry).collect()
}

fn process_part(owner: Principal, part: Part, number: u64, scene: &dyn Scene) -> Option<Place> {
    let block = process_object(scene, owner)?;
    let field = |offset: u64| pointer(scene, block.wrapping_add(offset));
    let user = |virt: u64| {
        let phys = walk(scene, field(process::ROOT.offset)?, virt)?;
        Some(Place { phys: phys & !7, virt: None, within: Some(virt) })
    };
    match part {
        Part::Root => system(scene, block.wrapping_add(process::ROOT.offset)),
        Part::PageTableEntry => {
            let root = field(process::ROOT.offset)?;
            let phys = lowest_entry(scene, root, number << 12)?;
            Some(Place { phys, virt: None, within: None })
        }
        Part::PageMapEntry => {
            let root = field(process::ROOT.offset)?;
            let phys = (root & FRAME_BITS) + number * 8;
            Some(Place { phys, virt: None, within: None })
        }
        Part::ShadowMapEntry => {
            let full = field(process::ROOT.offset)? & FRAME_BITS;
            // Whatever the root is by now.
            let entry = address::FRAME_DATABASE.wrapping_add((full >> 12) * 16);
            let link = word(scene, entry.wrapping_add(frame_entry::NEXT.offset))?;
            let shadow = (link & SHADOWED != 0).then_some((link & !SHADOWED) << 12)?;
            let phys = shadow + number * 8;
            (phys < scene.memory_bytes()).then_some(Place { phys, virt: None, within: None })
        }
        Part::HandleTable | Part::HandleRights => {
            let entry =
                if part == Part::HandleTable { handle_entry::OBJECT } else { handle_entry::ACCESS };
            system(scene, field(process::HANDLES.offset)?.wrapping_add(number * 16 + entry.offset))
        }
        Part::ObjectHeader => {
            system(scene, block.wrapping_add(object_header::POINTER_COUNT.offset))
        }
        Part::ProcessBlock => system(scene, block.wrapping_add(OBJECT_BODY + number * 8)),
        Part::ThreadBlock => {
            system(scene, field(process::THREAD.offset)?.wrapping_add(OBJECT_BODY + number * 8))
        }
        Part::KernelStack => {
            let top = pointer(
                scene,
                field(process::THREAD.offset)?.wrapping_add(thread::STACK_TOP.offset),
            )?;
            system(scene, top.wrapping_sub(8 + number * 8))
        }
        Part::PrivateWord => user(address::USER_BUFFERS + place::PRIVATE + number * 8),
        Part::ControlBlock => user(address::USER_DATA + number * 8),
        Part::UserStack => user(address::USER_STACK_TOP - 8 - number * 8),
        _ => None,
    }
}

/// Device and driver object of the driver with this device number, through the device table.
fn driver_objects(scene: &dyn Scene, device_number: u64) -> Option<(u64, u64)> {
    let table = address::KERNEL_DATA + kernel_data::DEVICES.offset;
    let device = pointer(scene, table + device_number * 8)?;
    Some((device, pointer(scene, device.wrapping_add(device_object::DRIVER.offset))?))
}

fn driver_part(device_number: u64, part: Part, number: u64, scene: &dyn Scene) -> Option<Place> {
    let (device, driver) = driver_objects(scene, device_number)?;
    let data = || pointer(scene, driver.wrapping_add(driver_object::DATA.offset));
    system(
        scene,
        match part {
            Part::ReadDispatch => driver.wrapping_add(driver_object::READ.offset),
            Part::WriteDispatch => driver.wrapping_add(driver_object::WRITE.offset),
            Part::ControlDispatch => driver.wrapping_add(driver_object::CONTROL.offset),
            Part::FlushDispatch => driver.wrapping_add(driver_object::FLUSH.offset),
            Part::DeferredRoutine => driver.wrapping_add(driver_object::DEFERRED.offset),
            Part::DeviceObject => device.wrapping_add(number * 8),
            Part::DriverData => data()?.wrapping_add(number * 8),
            Part::DriverCode => {
                data()?.wrapping_sub(address::DRIVER_DATA_OFFSET).wrapping_add(number * 8)
            }
            _ => return None,
        },
    )
}

/// The blocks of the pool, page by page, as far as their headers make sense.
#[must_use]
pub fn pool_blocks(scene: &dyn Scene) -> Vec<PoolBlock> {
    if let Some(key) = generations::key(scene) {
        return generations::blocks(scene, key);
    }
    let mut blocks = Vec::new();
    for page in 0..address::POOL_PAGES {
        let start = address::POOL + page * 4096;
        let mut at = start;
        while at < start + 4096 {
            let Some(sizes) = word(scene, at) else { break };
            let bytes = sizes & 0xffff;
            if !matches!(bytes, 64 | 128 | 256 | 512) {
                break;
            }
            blocks.push(PoolBlock { header: at, bytes, in_use: sizes >> 32 & 1 == 1 });
            at += bytes;
        }
    }
    blocks
}

/// The first frame of the free list.
#[must_use]
pub fn first_free_frame(scene: &dyn Scene) -> Option<u64> {
    pointer(scene, address::KERNEL_DATA + kernel_data::FREE_FRAMES.offset)
}

/// Blocks in use whose second word is a device object of the device table: request packets.
fn request_packets(scene: &dyn Scene) -> Vec<u64> {
    let table = address::KERNEL_DATA + kernel_data::DEVICES.offset;
    let devices: Vec<u64> =
        (0..16).filter_map(|number| pointer(scene, table + number * 8)).collect();
    pool_blocks(scene)
        .into_iter()
        .filter(|block| block.in_use)
        .map(|block| block.header + POOL_HEADER_BYTES)
        .filter(|&body| {
            word(scene, body + request_packet::DEVICE.offset)
                .is_some_and(|device| devices.contains(&device))
        })
        .collect()
}

/// The physical address of the entry that ends the walk for `virt`: present leaf, or the entry that
/// is missing.
fn lowest_entry(scene: &dyn Scene, root: u64, virt: u64) -> Option<u64> {
    let mut table = root & FRAME_BITS;
    for level in (0..4).rev() {
        let at = table + (virt >> (12 + 9 * level) & 511) * 8;
        if at >= scene.memory_bytes() {
            return None;
        }
        let entry = scene.peek(at);
        let is_leaf = level == 0 || level < 3 && entry >> 7 & 1 == 1;
        if is_leaf || entry & 1 == 0 {
            return Some(at);
        }
        table = entry & FRAME_BITS;
    }
    None
}

/// Where a root maps an address with a 4 KiB page, rights aside.
#[must_use]
pub fn walk(scene: &dyn Scene, root: u64, virt: u64) -> Option<u64> {
    let entry = scene.peek(lowest_entry(scene, root, virt)?);
    let phys = (entry & FRAME_BITS) + virt % 4096;
    (entry & 1 == 1 && entry >> 7 & 1 == 0 && phys < scene.memory_bytes()).then_some(phys)
}

/// The pages that the current root maps, by their linear addresses, in order, at most 4096.
#[must_use]
pub fn mapped_pages(scene: &dyn Scene) -> Vec<u64> {
    let mut pages = Vec::new();
    collect(scene, scene.root() & FRAME_BITS, 3, 0, &mut pages);
    pages
}

fn collect(scene: &dyn Scene, table: u64, level: u32, base: u64, pages: &mut Vec<u64>) {
    if table >= scene.memory_bytes() {
        return;
    }
    for slot in 0..512 {
        if pages.len() >= PAGES_MAX {
            return;
        }
        let entry = scene.peek(table + slot * 8);
        if entry & 1 == 0 {
            continue;
        }
        let virt = base | slot << (12 + 9 * level);
        if level == 0 || entry >> 7 & 1 == 1 {
            // The sign bit of a 48-bit address fills the rest.
            pages.push(if virt >> 47 & 1 == 1 { virt | 0xffff << 48 } else { virt });
        } else {
            collect(scene, entry & FRAME_BITS, level - 1, virt, pages);
        }
    }
}

#[cfg(test)]
mod tests;
