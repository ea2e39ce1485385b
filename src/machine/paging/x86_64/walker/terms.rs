//! What the registers make of each bit of an entry, for one kind of access.

use super::super::controls::{ControlFlags, Controls, Request};
use super::super::entry::{Entry, Level, Reserved};
use super::permitted::Permitted;
use crate::base::{Access, VirtAddr};
use crate::machine::paging::PageSize;

/// How tables are read, whatever the access is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Regime {
    /// The root's address, and below it in one number all that changes how tables are read.
    pub(super) space: u64,
    /// In a turned PML5 or PML4 entry: set if there is more to say than which table it names.
    pub(super) upper: u64,
    /// In a turned PDPTE or PDE: the same.
    pub(super) table: u64,
    /// Half the linear address space of four levels; with five, nothing.
    half_of_four_levels: u64,
}

/// Bits of [`Regime::space`] below the root.
const FIVE_LEVELS: u64 = 1;
const EXECUTE_DISABLE: u64 = 2;
const VENDOR: u64 = 4;
const WIDTH_SHIFT: u32 = 3;

impl Regime {
    pub(super) const fn new(controls: &Controls) -> Self {
        let reserved = Reserved::new(controls);
        let every = reserved.at(Level::Pt, Entry(0));
        let upper = reserved.at(Level::Pml4, Entry(0));
        let five_levels = controls.flags.has(ControlFlags::LA57);
        let space = controls.root().raw()
            | if five_levels { FIVE_LEVELS } else { 0 }
            | if controls.flags.has(ControlFlags::NXE) { EXECUTE_DISABLE } else { 0 }
            | (controls.vendor as u64 * VENDOR)
            | (controls.physical_bits() as u64) << WIDTH_SHIFT;
        Self {
            space,
            upper: Entry::P | Entry::A | every | upper,
            table: Entry::P | Entry::A | every | Entry::PS,
            half_of_four_levels: if five_levels { 0 } else { 1 << 47 },
        }
    }

    #[inline(always)]
    pub(super) const fn has_five_levels(&self) -> bool {
        self.space & FIVE_LEVELS != 0
    }

    #[inline(always)]
    pub(super) const fn root(&self) -> u64 {
        self.space & Entry::ADDRESS
    }

    #[inline(always)]
    pub(super) const fn is_canonical(&self, virt: VirtAddr) -> bool {
        is_within(virt, 1 << if self.has_five_levels() { 56 } else { 47 })
    }

    /// Whether there are four levels and the address is canonical, in one comparison.
    #[inline(always)]
    pub(super) const fn is_canonical_of_four_levels(&self, virt: VirtAddr) -> bool {
        is_within(virt, self.half_of_four_levels)
    }
}

/// Both halves of the address space are one range, once half of it is added.
#[inline(always)]
const fn is_within(virt: VirtAddr, half: u64) -> bool {
    virt.0.wrapping_add(half) < 2 * half
}

/// What an access asks of the entries.
///
/// One comparison says whether a leaf, with the denials above it, has all that is asked: that it is
/// present, marked and without reserved bits, and that exactly the expected ones of the denials that
/// count are there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Terms {
    /// What entries above a leaf can deny.
    denials: u64,
    /// The bits that count in [`Permitted::denied`] of a leaf of 4 KiB …
    counted: u64,
    /// … and of one of 2 MiB …
    counted_of_mib2: u64,
    /// … and which of these must be 1; with [`Terms::UNDECIDED`], if more has a say.
    expected: u64,
    /// The keys that forbid the access: bits 15:0 on a user-mode address, 31:16 on another, where user
    /// mode is refused without asking for them.
    keys: u32,
    is_shadow_stack: bool,
}

impl Terms {
    /// A bit that never counts, because it is software's: where it is expected, nothing is as expected.
    const UNDECIDED: u64 = 1 << 9;

    /// Intel SDM volume 3A, "Determination of Access Rights"; the same as
    /// [`refusal`](super::super::refusal) says of each set of rights.
    pub(super) const fn new(controls: &Controls, request: &Request) -> Self {
        let flags = controls.flags;
        let user_mode = request.is_user_mode();
        let is_shadow_stack = request.is_shadow_stack(controls);
        let marked = Entry::P | Entry::A;
        let mut terms = Self {
            denials: Entry::RW | Entry::US | Entry::XD,
            counted: marked | Reserved::new(controls).at(Level::Pt, Entry(0)),
            counted_of_mib2: 0,
            expected: marked,
            keys: 0,
            is_shadow_stack,
        };
        if user_mode {
            terms.counted |= Entry::US;
        }
        if is_shadow_stack {
            // R/W is 0 and D is 1 in the leaf, R/W is 1 above; user mode on user pages and
            // supervisor mode on others.
            terms.counted |= Entry::D | Entry::RW | Entry::US;
            terms.expected |= Entry::D | Entry::RW | if user_mode { 0 } else { Entry::US };
        } else {
            let prevented = match request.access {
                Access::Execute => flags.has(ControlFlags::SMEP),
                _ => flags.has(ControlFlags::SMAP) && (!request.ac || request.implicit),
            };
            if !user_mode && prevented {
                terms.counted |= Entry::US;
                terms.expected |= Entry::US;
            }
            match request.access {
                Access::Read => {}
                Access::Write => {
                    terms.counted |= Entry::D;
                    terms.expected |= Entry::D;
                    if user_mode || flags.has(ControlFlags::WP) {
                        terms.counted |= Entry::RW;
                    }
                }
                Access::Execute => terms.counted |= Entry::XD,
            }
        }
        let (pke, pks) = (flags.has(ControlFlags::PKE), flags.has(ControlFlags::PKS));
        let write_protect = flags.has(ControlFlags::WP);
        let user = forbidden(pke, controls.pkru, request.access, write_protect || user_mode);
        let asks_pkrs = pks && !user_mode;
        let supervisor = forbidden(asks_pkrs, controls.pkrs, request.access, write_protect);
        terms.keys = user | supervisor << 16;
        if terms.keys != 0 || is_shadow_stack {
            terms.expected |= Self::UNDECIDED;
        }
        terms.counted_of_mib2 = terms.counted | reserved_of_large(PageSize::Mib2);
        terms
    }

    /// This leaf of a page of this size, below entries that deny what `above` says.
    #[inline(always)]
    pub(super) const fn page(&self, above: u64, leaf: u64, size: PageSize) -> Permitted {
        Permitted { above: above & self.denials, leaf, size }
    }

    /// Whether the access may go there, by the bits of [`Permitted::denied`] that count.
    #[inline(always)]
    pub(super) const fn permit(&self, page: &Permitted, denied: u64) -> bool {
        denied & self.counted_at(page.size) == self.expected
            || self.permit_after_all(page.above, denied, page.size)
    }

    /// What one comparison can't say: of keys that forbid, and of shadow stacks.
    #[cold]
    #[inline(never)]
    const fn permit_after_all(&self, above: u64, denied: u64, size: PageSize) -> bool {
        // Where nothing more has a say, what was not as expected is not now.
        if (denied ^ self.expected) & self.counted_at(size) != 0 {
            return false;
        }
        if self.is_shadow_stack && above & Entry::RW != 0 {
            return false;
        }
        let supervisor = (denied & Entry::US) >> 2;
        let number = Entry(denied).key() as u64 | supervisor << 4;
        self.keys >> number & 1 == 0
    }

    #[inline(always)]
    pub(super) const fn counted_at(&self, size: PageSize) -> u64 {
        match size {
            PageSize::Kib4 => self.counted,
            PageSize::Mib2 => self.counted_of_mib2,
            PageSize::Gib1 => self.counted | reserved_of_large(size),
        }
    }
}

/// What is reserved in a large leaf below its frame: bits of the address field, but for PAT in bit 12.
const fn reserved_of_large(size: PageSize) -> u64 {
    (size.bytes() - 1) & !0x1fff
}

/// The keys by which `register` (PKRU or `IA32_PKRS`) forbids an access, as bits.
const fn forbidden(enabled: bool, register: u32, access: Access, write_binds: bool) -> u32 {
    let mut keys = 0;
    let mut key = 0;
    while enabled && key < 16 {
        let access_disabled = register >> (2 * key) & 1 != 0;
        let write_disabled = register >> (2 * key + 1) & 1 != 0;
        let is_forbidden = match access {
            Access::Read => access_disabled,
            Access::Write => access_disabled || write_disabled && write_binds,
            Access::Execute => false,
        };
        if is_forbidden {
            keys |= 1 << key;
        }
        key += 1;
    }
    keys
}
