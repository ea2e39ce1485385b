//! The registers that decide how an address is translated, and the access that asks for it.

use core::ops::BitOr;

use crate::base::{Access, PhysAddr, Ring, VirtAddr};

/// Whose reading of the few bits on which the manuals differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub enum Vendor {
    /// Bit 8 of PML4 and PML5 entries is ignored (Intel SDM volume 3A, "4-Level Paging and 5-Level
    /// Paging").
    #[default]
    Intel,
    /// Bit 8 of PML4 and PML5 entries must be zero (AMD64 Architecture Programmer's Manual volume
    /// 2, "4-Kbyte Page Translation").
    Amd,
}

/// Single control bits of CR0, CR4 and `IA32_EFER`, packed in the order of this list and not as in
/// the registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub struct ControlFlags(u16);

impl ControlFlags {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// CR0.WP: supervisor-mode writes respect R/W.
    pub const WP: Self = Self(1);
    /// CR4.SMEP: no supervisor-mode fetches from user-mode addresses.
    pub const SMEP: Self = Self(1 << 1);
    /// CR4.SMAP: supervisor-mode data accesses to user-mode addresses only with EFLAGS.AC.
    pub const SMAP: Self = Self(1 << 2);
    /// `IA32_EFER.NXE`: bit 63 of an entry is XD and no longer reserved.
    pub const NXE: Self = Self(1 << 3);
    /// CR4.PKE: PKRU applies to user-mode addresses.
    pub const PKE: Self = Self(1 << 4);
    /// CR4.PKS: `IA32_PKRS` applies to supervisor-mode accesses to supervisor-mode addresses.
    pub const PKS: Self = Self(1 << 5);
    /// CR4.PGE: the global bit of a leaf counts.
    pub const PGE: Self = Self(1 << 6);
    /// CR4.PCIDE: bits 11:0 of CR3 are a process-context identifier.
    pub const PCIDE: Self = Self(1 << 7);
    /// CR4.LA57: five levels.
    pub const LA57: Self = Self(1 << 8);
    /// CR4.CET: there are shadow-stack accesses.
    pub const CET: Self = Self(1 << 9);
    /// All of them.
    pub const ALL: Self = Self((1 << 10) - 1);

    /// The flags in the low ten bits of `bits`, in the order of the constants above.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// The flags as bits, in the order of the constants above.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether every flag of `other` is set.
    #[must_use]
    #[inline(always)]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These flags and those of `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These flags without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for ControlFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

/// What a processor's registers say about translation. Any value is meaningful: what MOV to CR3 or
/// CR4 would refuse is for the processor to refuse.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Controls {
    /// CR3 as it was loaded.
    pub cr3: u64,
    /// The single control bits.
    pub flags: ControlFlags,
    /// MAXPHYADDR. A value outside 36..=52 counts as the nearest one inside.
    pub maxphyaddr: u8,
    /// Whose processor it is.
    pub vendor: Vendor,
    /// PKRU.
    pub pkru: u32,
    /// The low half of `IA32_PKRS`.
    pub pkrs: u32,
}

impl Default for Controls {
    /// A 64-bit kernel's ordinary settings: 4 levels, WP, NXE and SMEP on, root at 0, 40 bits of
    /// physical address.
    fn default() -> Self {
        Self {
            cr3: 0,
            flags: ControlFlags::WP.with(ControlFlags::NXE).with(ControlFlags::SMEP),
            maxphyaddr: 40,
            vendor: Vendor::Intel,
            pkru: 0,
            pkrs: 0,
        }
    }
}

impl Controls {
    /// MAXPHYADDR within the limits of the architecture.
    #[must_use]
    #[inline(always)]
    pub const fn physical_bits(&self) -> u8 {
        match self.maxphyaddr {
            0..=36 => 36,
            52.. => 52,
            bits => bits,
        }
    }

    /// The table the walk starts from: bits 51:12 of CR3 that MAXPHYADDR leaves.
    #[must_use]
    #[inline(always)]
    pub const fn root(&self) -> PhysAddr {
        PhysAddr::truncated(self.cr3 & ((1 << self.physical_bits()) - 1) & !0xfff)
    }

    /// The process-context identifier in use: 0 unless CR4.PCIDE (Intel SDM volume 3A,
    /// "Process-Context Identifiers (PCIDs)").
    #[must_use]
    #[inline(always)]
    pub const fn pcid(&self) -> u64 {
        if self.flags.has(ControlFlags::PCIDE) { self.cr3 & 0xfff } else { 0 }
    }

    /// Whether `virt` is canonical: all bits from the highest translated one up are alike (Intel
    /// SDM volume 1, "Canonical Addressing").
    #[must_use]
    #[inline(always)]
    pub const fn is_canonical(&self, virt: VirtAddr) -> bool {
        let unused = if self.flags.has(ControlFlags::LA57) { 7 } else { 16 };
        let sign_extended = ((virt.0 << unused).cast_signed() >> unused).cast_unsigned();
        sign_extended == virt.0
    }
}

/// One access that needs a translation. A locked read-modify-write is [`Access::Write`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Request {
    /// The linear address.
    pub virt: VirtAddr,
    /// What is attempted.
    pub access: Access,
    /// The current privilege level, or that of WRUSS: user.
    pub ring: Ring,
    /// EFLAGS.AC.
    pub ac: bool,
    /// Whether the processor accesses a system structure of its own accord; such an access is a
    /// supervisor-mode access at any privilege level.
    pub implicit: bool,
    /// Whether it is a shadow-stack access. Without CR4.CET there is no such thing and the flag has
    /// no meaning; nor has it for a fetch.
    pub shadow_stack: bool,
}

impl Request {
    /// An ordinary explicit access with EFLAGS.AC clear.
    #[must_use]
    pub const fn new(virt: VirtAddr, access: Access, ring: Ring) -> Self {
        Self { virt, access, ring, ac: false, implicit: false, shadow_stack: false }
    }

    /// Whether this is a user-mode access (Intel SDM volume 3A, "Access Rights"): privilege level 3
    /// and explicit.
    #[must_use]
    #[inline(always)]
    pub const fn is_user_mode(&self) -> bool {
        matches!(self.ring, Ring::User) && !self.implicit
    }

    /// Whether this is a shadow-stack access on a processor with these controls.
    #[must_use]
    #[inline(always)]
    pub const fn is_shadow_stack(&self, controls: &Controls) -> bool {
        self.shadow_stack
            && controls.flags.has(ControlFlags::CET)
            && !matches!(self.access, Access::Execute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN_ORDER: [ControlFlags; 10] = [
        ControlFlags::WP,
        ControlFlags::SMEP,
        ControlFlags::SMAP,
        ControlFlags::NXE,
        ControlFlags::PKE,
        ControlFlags::PKS,
        ControlFlags::PGE,
        ControlFlags::PCIDE,
        ControlFlags::LA57,
        ControlFlags::CET,
    ];

    #[test]
    fn each_flag_is_a_bit_of_its_own_in_the_order_of_the_list() {
        for (number, flag) in IN_ORDER.into_iter().enumerate() {
            assert_eq!(flag.bits(), 1 << number, "{number}");
            assert_eq!(ControlFlags::from_bits(1 << number), flag);
        }
        assert_eq!(ControlFlags::ALL.bits(), 0b11_1111_1111);
        assert_eq!(ControlFlags::from_bits(u16::MAX), ControlFlags::ALL);
    }

    #[test]
    fn sets_of_flags_are_joined_taken_apart_and_asked() {
        for first in 0..1 << 10 {
            for second in [0, 1, 2, 3, 0x155, 0x2aa, 0x200, 0x3ff] {
                let (one, other) =
                    (ControlFlags::from_bits(first), ControlFlags::from_bits(second));

                assert_eq!(one.with(other).bits(), first | second);
                assert_eq!((one | other).bits(), first | second);
                assert_eq!(one.without(other).bits(), first & !second);
                assert_eq!(one.has(other), (0..10).all(|n| second >> n & 1 <= first >> n & 1));
            }
        }
    }

    #[test]
    fn a_kernel_s_ordinary_settings() {
        let Controls { cr3, flags, maxphyaddr, vendor, pkru, pkrs } = Controls::default();

        assert_eq!((cr3, maxphyaddr, vendor), (0, 40, Vendor::Intel));
        assert_eq!(flags, ControlFlags::WP | ControlFlags::NXE | ControlFlags::SMEP);
        assert_eq!((pkru, pkrs), (0, 0));
    }

    #[test]
    fn maxphyaddr_stays_within_the_architecture() {
        for (given, meant) in
            [(0, 36), (35, 36), (36, 36), (37, 37), (51, 51), (52, 52), (53, 52), (255, 52)]
        {
            let controls = Controls { maxphyaddr: given, ..Controls::default() };

            assert_eq!(controls.physical_bits(), meant, "{given}");
        }
    }

    #[test]
    fn the_root_is_cr3_between_its_low_bits_and_maxphyaddr() {
        for (maxphyaddr, root) in
            [(36, 0xf_ffff_f000), (40, 0xff_ffff_f000), (52, 0xf_ffff_ffff_f000)]
        {
            let controls = Controls { cr3: u64::MAX, maxphyaddr, ..Controls::default() };

            assert_eq!(controls.root().raw(), root);
        }
        let at = |cr3| Controls { cr3, ..Controls::default() }.root().raw();
        assert_eq!([at(0x1234_5fff), at(0xfff), at(0x1000)], [0x1234_5000, 0, 0x1000]);
    }

    #[test]
    fn an_identifier_counts_only_when_there_are_some() {
        let without = Controls { cr3: 0x1234_5abc, ..Controls::default() };
        let with = Controls { flags: without.flags | ControlFlags::PCIDE, ..without };

        assert_eq!((without.pcid(), with.pcid()), (0, 0xabc));
    }

    #[test]
    fn an_address_is_canonical_when_its_unused_bits_repeat_the_highest_used_one() {
        let four = Controls::default();
        let five = Controls { flags: ControlFlags::LA57, ..four };
        for (virt, with_four, with_five) in [
            (0, true, true),
            (0x0000_7fff_ffff_ffff, true, true),
            (0x0000_8000_0000_0000, false, true),
            (0x00ff_ffff_ffff_ffff, false, true),
            (0x0100_0000_0000_0000, false, false),
            (0x8000_0000_0000_0000, false, false),
            (0xfeff_ffff_ffff_ffff, false, false),
            (0xff00_0000_0000_0000, false, true),
            (0xffff_7fff_ffff_ffff, false, true),
            (0xffff_8000_0000_0000, true, true),
            (u64::MAX, true, true),
        ] {
            assert_eq!(four.is_canonical(VirtAddr(virt)), with_four, "{virt:#x}");
            assert_eq!(five.is_canonical(VirtAddr(virt)), with_five, "{virt:#x}");
        }
    }

    #[test]
    fn user_mode_is_privilege_level_3_and_explicit() {
        for (ring, implicit, is_user_mode) in [
            (Ring::User, false, true),
            (Ring::User, true, false),
            (Ring::Kernel, false, false),
            (Ring::Kernel, true, false),
        ] {
            let request = Request::new(VirtAddr(0x10), Access::Read, ring);
            assert!(!request.ac && !request.implicit && !request.shadow_stack);

            let request = Request { implicit, ..request };

            assert_eq!(request.is_user_mode(), is_user_mode, "{request:?}");
        }
    }

    #[test]
    fn a_shadow_stack_access_needs_cet_and_is_no_fetch() {
        let cet = Controls { flags: ControlFlags::CET, ..Controls::default() };
        for (access, told) in
            [(Access::Read, true), (Access::Write, true), (Access::Execute, false)]
        {
            let ordinary = Request::new(VirtAddr(0x10), access, Ring::User);
            let request = Request { shadow_stack: true, ..ordinary };

            assert_eq!(request.is_shadow_stack(&cet), told, "{access:?}");
            assert!(!request.is_shadow_stack(&Controls::default()));
            assert!(!ordinary.is_shadow_stack(&cet));
        }
    }
}
