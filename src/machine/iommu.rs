//! The IOMMU: which frames a device may reach. Its tables lie in simulated memory.
//!
//! The format is ours, one level: the root frame has an entry per device (physical address of that
//! device's table | present), a device's table has an entry per frame number (frame address | write
//! | present). Like second-level translation in remapping hardware it binds requests whatever the
//! processors' tables say (Intel VT-d specification, "DMA Remapping").

use crate::base::{Access, PhysAddr, Rule};

use super::memory::Memory;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "iommu-binds-devices",
        "With the IOMMU on a device reaches what its own table maps, whatever the processors' tables say.",
        "Intel VT-d specification, DMA Remapping",
    ),
    Rule::documented(
        "iommu-external-devices",
        "Kernel DMA Protection is for devices plugged in from outside; others are remapped one by one.",
        "Kernel DMA Protection for Thunderbolt; Enabling DMA Remapping for Device Drivers",
    ),
    Rule::chosen(
        "iommu-one-level",
        "The IOMMU's table has one level.",
        "this model: the rights are what matters",
    ),
    Rule::chosen(
        "iommu-while-booting",
        "An IOMMU that is on is on at once; Kernel DMA Protection is not while the machine boots.",
        "this model; Kernel DMA Protection for Thunderbolt has the gap, which is left out",
    ),
];

/// Entry bit: something is mapped.
pub const PRESENT: u64 = 1;
/// Entry bit: the device may write there.
pub const WRITE: u64 = 2;
pub(super) const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// The unit's registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Iommu {
    /// Whether transfers are checked at all.
    pub enabled: bool,
    /// Bit set of the devices whose transfers pass by all the same.
    pub passed_by: u8,
    /// The physical address of the root frame.
    pub root: u64,
}

impl Iommu {
    /// Whether a device's transfers are checked.
    #[must_use]
    pub const fn binds(self, device: u8) -> bool {
        self.enabled && (device >= 8 || self.passed_by >> device & 1 == 0)
    }

    /// Where a device's request for bus address `bus` goes; `None` when it is refused.
    #[must_use]
    pub fn translate(
        self,
        memory: &Memory,
        device: u8,
        bus: u64,
        access: Access,
    ) -> Option<PhysAddr> {
        if !self.binds(device) {
            return PhysAddr::new(bus);
        }
        let entry = memory.read(self.entry_at(memory, device, bus)?);
        let granted = entry & PRESENT != 0 && (access != Access::Write || entry & WRITE != 0);
        granted.then(|| PhysAddr::truncated((entry & ADDRESS) + bus % 4096))
    }

    /// The entries that are read on the way to `bus`: of the root, and of the device's table where the
    /// request comes so far.
    pub(super) fn read_on_the_way(
        self,
        memory: &Memory,
        device: u8,
        bus: u64,
    ) -> [Option<PhysAddr>; 2] {
        if !self.binds(device) {
            return [None; 2];
        }
        [Some(self.context_at(device)), self.entry_at(memory, device, bus)]
    }

    fn context_at(self, device: u8) -> PhysAddr {
        PhysAddr::truncated(self.root + u64::from(device) * 8)
    }

    fn entry_at(self, memory: &Memory, device: u8, bus: u64) -> Option<PhysAddr> {
        let context = memory.read(self.context_at(device));
        let page = bus / 4096;
        let is_there = context & PRESENT != 0 && page < memory.frame_count();
        is_there.then(|| PhysAddr::truncated((context & ADDRESS) + page * 8))
    }
}
