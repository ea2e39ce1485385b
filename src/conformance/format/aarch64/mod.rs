//! AArch64 with a granule of 4 KiB: stage 1 for EL1&0 and for EL2, and stage 2. Arm Architecture
//! Reference Manual (DDI 0487), chapter "The AArch64 Virtual Memory System Architecture".
//!
//! EL1&0 has two ranges of addresses with a root each: [`AArch64::LOWER`] below TTBR0_EL1 and
//! [`AArch64::UPPER`] below TTBR1_EL1. A mapper is checked on one of them. Not described here:
//! addresses of 52 bits (FEAT_LPA, FEAT_LPA2), granules of 16 and 64 KiB, translation by permission
//! indirection (FEAT_S1PIE), top-byte-ignore.

mod descriptor;
mod maintenance;
mod order;
mod registers;
mod walk;
mod words;

pub use registers::{Reading, Registers};

use self::descriptor as bit;
use super::{
    Attributes, Decoded, Format, Met, Reached, Reserved, Rule, WaysForgotten, Words, shift, size_at,
};
use crate::base::{Access, PhysAddr, Ring, VirtAddr};
use crate::conformance::permissions::Permissions;
use crate::conformance::rights::Rights;

/// Which addresses a root translates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Half {
    /// From 0 up: TTBR0, and the only one of EL2 and stage 2.
    Lower,
    /// From the top down: TTBR1.
    Upper,
}

/// Whose translation it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Regime {
    /// Stage 1 of EL1 and EL0: addresses are tagged with an ASID.
    El1,
    /// Stage 1 of EL2 with HCR_EL2.E2H clear: one range, no ASID, one execute-never bit.
    El2,
    /// Stage 2: intermediate physical addresses, tagged with a VMID.
    Stage2,
}

/// One configuration of the translation registers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct AArch64 {
    /// Whose translation.
    pub regime: Regime,
    /// Which addresses.
    pub half: Half,
    /// Bits of an input address: 64 minus TCR.T0SZ or T1SZ, from 25 to 48.
    pub input_bits: u8,
    /// Bits of an output address, from 32 to 48: TCR.IPS, TCR_EL2.PS or VTCR_EL2.PS.
    pub output_bits: u8,
    /// TCR.HA: the processor sets the Access flag.
    pub sets_accessed: bool,
    /// TCR.HD: the processor makes an entry writable whose DBM is set.
    pub sets_dirty: bool,
}

impl AArch64 {
    /// Below TTBR0_EL1: 48 bits, 4 levels, 48 bits of output address, Access flag set by software.
    pub const LOWER: &'static Self = &Self::new(Regime::El1, Half::Lower, 48);
    /// Below TTBR1_EL1, otherwise the same.
    pub const UPPER: &'static Self = &Self::new(Regime::El1, Half::Upper, 48);
    /// Below TTBR0_EL1: 39 bits, 3 levels.
    pub const THREE_LEVELS: &'static Self = &Self::new(Regime::El1, Half::Lower, 39);
    /// As [`LOWER`](Self::LOWER), with a root of 32 entries and 40 bits of output address.
    pub const NARROW: &'static Self =
        &Self { output_bits: 40, ..Self::new(Regime::El1, Half::Lower, 44) };
    /// As [`LOWER`](Self::LOWER), with Access flag and dirty state managed by the processor.
    pub const HARDWARE_FLAGS: &'static Self =
        &Self { sets_accessed: true, sets_dirty: true, ..Self::new(Regime::El1, Half::Lower, 48) };
    /// Below TTBR0_EL2.
    pub const EL2: &'static Self = &Self::new(Regime::El2, Half::Lower, 48);
    /// Below VTTBR_EL2: 48 bits of intermediate physical address, 4 levels.
    pub const STAGE2: &'static Self = &Self::new(Regime::Stage2, Half::Lower, 48);

    /// A configuration with 48 bits of output address and flags managed by software.
    #[must_use]
    pub const fn new(regime: Regime, half: Half, input_bits: u8) -> Self {
        let (sets_accessed, sets_dirty) = (false, false);
        Self { regime, half, input_bits, output_bits: 48, sets_accessed, sets_dirty }
    }

    const fn input_mask(&self) -> u64 {
        (1 << self.input_bits) - 1
    }

    /// The permissions of a block or page.
    fn permissions_of(&self, bits: u64) -> Permissions {
        let is_writable_when_dirtied = self.sets_dirty && bits & bit::DBM != 0;
        let all = Permissions::ALL;
        match self.regime {
            Regime::El1 => {
                let is_read_only = bits & bit::AP_READ_ONLY != 0 && !is_writable_when_dirtied;
                all.without_if(is_read_only, Permissions::WRITE)
                    .without_if(bits & bit::AP_EL0 == 0, bit::USER_DATA)
                    .without_if(bits & bit::UXN != 0, Permissions::USER_EXECUTE)
                    .without_if(bits & bit::PXN != 0, Permissions::KERNEL_EXECUTE)
            }
            Regime::El2 => {
                let is_read_only = bits & bit::AP_READ_ONLY != 0 && !is_writable_when_dirtied;
                all.without(bit::USER_DATA.and(Permissions::USER_EXECUTE))
                    .without_if(is_read_only, Permissions::WRITE)
                    .without_if(bits & bit::UXN != 0, Permissions::KERNEL_EXECUTE)
            }
            Regime::Stage2 => {
                let is_writable = bits & bit::S2AP_WRITE != 0 || is_writable_when_dirtied;
                let execute_never = bits >> bit::S2XN & 0b11;
                all.without(bit::USER_DATA)
                    .without_if(!is_writable, Permissions::WRITE)
                    .without_if(execute_never & 0b10 != 0, Permissions::USER_EXECUTE)
                    .without_if(matches!(execute_never, 1 | 2), Permissions::KERNEL_EXECUTE)
            }
        }
    }

    /// What the hierarchical attributes of a table entry leave.
    fn limit_of(&self, bits: u64) -> Permissions {
        let all = Permissions::ALL;
        match self.regime {
            Regime::El1 => all
                .without_if(bits & bit::APTABLE_READ_ONLY != 0, Permissions::WRITE)
                .without_if(bits & bit::APTABLE_NO_EL0 != 0, bit::USER_DATA)
                .without_if(bits & bit::UXNTABLE != 0, Permissions::USER_EXECUTE)
                .without_if(bits & bit::PXNTABLE != 0, Permissions::KERNEL_EXECUTE),
            Regime::El2 => all
                .without_if(bits & bit::APTABLE_READ_ONLY != 0, Permissions::WRITE)
                .without_if(bits & bit::UXNTABLE != 0, Permissions::EXECUTE),
            Regime::Stage2 => all,
        }
    }
}

impl Format for AArch64 {
    fn name(&self) -> &'static str {
        words::name(self)
    }

    fn levels(&self) -> u8 {
        (self.input_bits - 12).div_ceil(9)
    }

    fn entries(&self, level: u8) -> u64 {
        let bits = u32::from(self.input_bits).saturating_sub(shift(level));
        1 << bits.min(9)
    }

    /// The manual counts from the top, and a walk of fewer levels begins further down.
    fn level_name(&self, level: u8) -> u8 {
        4 - level
    }

    fn words(&self) -> Words {
        let outside = match (self.regime, self.half) {
            (Regime::El1, Half::Lower) => "outside of the range of TTBR0",
            (Regime::El1, Half::Upper) => "outside of the range of TTBR1",
            (Regime::El2, _) => "outside of the range of TTBR0_EL2",
            (Regime::Stage2, _) => "outside of the range of VTTBR_EL2",
        };
        Words { outside, invalid: "invalid", malformed: "a reserved encoding" }
    }

    fn first_of(&self, level: u8, first: VirtAddr, index: u64) -> VirtAddr {
        let virt = first.0.wrapping_add((index & 511) << shift(level));
        match self.half {
            Half::Lower => VirtAddr(virt & self.input_mask()),
            Half::Upper => VirtAddr(virt | !self.input_mask()),
        }
    }

    fn decode(&self, level: u8, bits: u64) -> Decoded {
        if bits & bit::VALID == 0 {
            return Decoded::Invalid;
        }
        let is_table = bits & bit::TABLE_OR_PAGE != 0 && level > 1;
        let is_page = bits & bit::TABLE_OR_PAGE != 0 && level == 1;
        let is_block = bits & bit::TABLE_OR_PAGE == 0 && matches!(level, 2 | 3);
        let address = bits & bit::ADDRESS;
        if address >> self.output_bits != 0 || !(is_table || is_page || is_block) {
            return Decoded::Malformed;
        }
        let size = size_at(level);
        match size.filter(|_| !is_table) {
            None => Decoded::Table { at: PhysAddr::truncated(address), limit: self.limit_of(bits) },
            Some(_) if bits & bit::AF == 0 && !self.sets_accessed => Decoded::Inaccessible,
            Some(size) => Decoded::Leaf {
                page: PhysAddr::truncated(address & !(size.bytes() - 1)),
                size,
                permissions: self.permissions_of(bits),
                global: self.regime == Regime::El1 && bits & bit::NG == 0,
            },
        }
    }

    /// A page that EL0 can write can't be executed at EL1, whatever PXN says.
    fn rights(&self, permissions: Permissions) -> Rights {
        let has = |permission| permissions.has(permission);
        let is_user = has(Permissions::USER_READ);
        let is_writable = has(Permissions::KERNEL_WRITE);
        let by_kernel = has(Permissions::KERNEL_EXECUTE) && !has(Permissions::USER_WRITE);
        let by_user = has(Permissions::USER_EXECUTE);
        let (own, across) = match self.regime {
            Regime::El1 if is_user => (by_user, by_kernel),
            Regime::El1 | Regime::El2 => (by_kernel, by_user),
            Regime::Stage2 => (by_kernel || by_user, false),
        };
        [
            (is_writable, Rights::WRITE),
            (is_user, Rights::USER),
            (own, Rights::EXECUTE),
            (across, Rights::ACROSS),
        ]
        .into_iter()
        .filter(|(is_given, _)| *is_given)
        .fold(Rights::READ, |all, (_, right)| all.and(right))
    }

    /// With PSTATE.PAN and SCTLR_EL1.WXN clear.
    fn permits(&self, rights: Rights, access: Access, ring: Ring) -> bool {
        let is_own = rights.has(Rights::USER) == (ring == Ring::User);
        match access {
            Access::Execute if is_own => rights.has(Rights::EXECUTE),
            Access::Execute => rights.has(Rights::ACROSS),
            Access::Read => ring == Ring::Kernel || rights.has(Rights::USER),
            Access::Write => {
                rights.has(Rights::WRITE) && (ring == Ring::Kernel || rights.has(Rights::USER))
            }
        }
    }

    fn translate(
        &self,
        entry_at: &dyn Fn(PhysAddr) -> u64,
        root: PhysAddr,
        virt: VirtAddr,
    ) -> Option<Reached> {
        walk::translate(self, entry_at, root, virt)
    }

    fn describe(&self, level: u8, bits: u64) -> String {
        words::describe(self, level, bits)
    }

    /// The Access flag, and for a write an entry whose DBM is set made writable: "Hardware management
    /// of the Access flag and dirty state". Entries that name tables have no such flags.
    fn marked(&self, level: u8, bits: u64, writes: bool) -> u64 {
        let Decoded::Leaf { .. } = self.decode(level, bits) else { return bits };
        let accessed = if self.sets_accessed { bits | bit::AF } else { bits };
        if !(writes && self.sets_dirty && bits & bit::DBM != 0) {
            return accessed;
        }
        match self.regime {
            Regime::El1 | Regime::El2 => accessed & !bit::AP_READ_ONLY,
            Regime::Stage2 => accessed | bit::S2AP_WRITE,
        }
    }

    /// Dirty is a writable entry whose DBM is set: one that is read-only for good, or whose DBM is clear, says
    /// nothing of it.
    fn attributes(&self, level: u8, bits: u64) -> Option<Attributes> {
        let Decoded::Leaf { global, .. } = self.decode(level, bits) else { return None };
        let is_writable = match self.regime {
            Regime::El1 | Regime::El2 => bits & bit::AP_READ_ONLY == 0,
            Regime::Stage2 => bits & bit::S2AP_WRITE != 0,
        };
        let (memory, space) = match self.regime {
            Regime::El1 | Regime::El2 => (bit::ATTR_INDEX, bit::NS),
            Regime::Stage2 => (0b1111 << 2, 0),
        };
        Some(Attributes {
            memory: bits & (memory | space | bit::SHAREABILITY),
            global,
            software: bits & 0xff << 55,
            dirty: (self.sets_dirty && bits & bit::DBM != 0).then_some(is_writable),
        })
    }

    /// With a granule of 4 KiB the Contiguous bit stands for 16 entries, at every level.
    fn set_of(&self, level: u8, bits: u64) -> Option<u64> {
        let is_leaf = matches!(self.decode(level, bits), Decoded::Leaf { .. });
        (is_leaf && bits & bit::CONTIGUOUS != 0).then_some(16)
    }

    /// VMSAv8-64 Block descriptor and Page descriptor, 4 KiB granule: bits 15:12, and those from 17 on below the address
    /// of a block, are RES0; bit 16 of a block is nT. SH has no meaning for 0b01.
    fn reserved(&self, level: u8, bits: u64) -> Option<Reserved> {
        let is_leaf =
            matches!(self.decode(level, bits), Decoded::Leaf { .. } | Decoded::Inaccessible);
        let below = match level {
            2 => 0b1111 << 17 | 0b1111 << 12,
            3 => 0x1fff << 17 | 0b1111 << 12,
            _ => 0,
        };
        if !is_leaf {
            None
        } else if bits & below != 0 {
            Some(Reserved {
                bits: bits & below,
                what: "bits below the address of a block are RES0",
            })
        } else if bits & bit::SHAREABILITY == 0b01 << 8 {
            Some(Reserved { bits: 0b01 << 8, what: "SH is 0b01, which is reserved" })
        } else {
            None
        }
    }

    /// AttrIndx or MemAttr, SH without its reserved value, bits 58:55 for software, and bits 62:59, which are PBHA or ignored.
    fn decorations(&self, _: u8) -> u64 {
        let attributes = if self.regime == Regime::Stage2 { 0b1111 << 2 } else { 0b111 << 2 };
        attributes | 0b10 << 8 | 0xff << 55
    }

    fn valid_bit(&self) -> u64 {
        bit::VALID
    }

    fn address_bits(&self) -> u64 {
        bit::ADDRESS
    }

    fn leaf(&self, level: u8, page: PhysAddr, rights: Rights) -> u64 {
        let when = |is_set: bool, bits: u64| if is_set { bits } else { 0 };
        let (is_user, is_read_only) = (rights.has(Rights::USER), !rights.has(Rights::WRITE));
        let is_never = !rights.has(Rights::EXECUTE);
        let common = page.raw() | bit::VALID | bit::AF | bit::INNER_SHAREABLE;
        let common = common | when(level == 1, bit::TABLE_OR_PAGE);
        match self.regime {
            Regime::El1 => {
                common
                    | when(is_read_only, bit::AP_READ_ONLY)
                    | when(is_user, bit::AP_EL0 | bit::NG)
                    | when(!is_user || is_never, bit::UXN)
                    | when(is_user || is_never, bit::PXN)
            }
            Regime::El2 => {
                common
                    | bit::AP_EL0
                    | when(is_read_only, bit::AP_READ_ONLY)
                    | when(is_never, bit::UXN)
            }
            Regime::Stage2 => {
                let normal = 0b1111 << 2;
                common
                    | normal
                    | bit::S2AP_READ
                    | when(!is_read_only, bit::S2AP_WRITE)
                    | when(is_never, 0b10 << bit::S2XN)
            }
        }
    }

    fn table(&self, at: PhysAddr) -> u64 {
        at.raw() | bit::VALID | bit::TABLE_OR_PAGE
    }

    fn conflict(&self, was: Met, is: Met) -> Option<&'static str> {
        order::conflict(self, was, is)
    }

    fn has_barriers(&self) -> bool {
        true
    }

    /// TLBI by address applies to "all levels of the translation walk" of that address.
    fn ways_forgotten(&self) -> WaysForgotten {
        WaysForgotten::OfAddress
    }

    fn edges(&self) -> &'static [u64] {
        words::edges(self)
    }

    fn rule(&self, rule: Rule) -> &'static str {
        words::rule(rule)
    }
}
