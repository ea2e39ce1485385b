//! What the registers make of each bit of an entry, for one kind of access.

use super::super::controls::{ControlFlags, Controls, Request};
use super::super::entry::{Entry, Level, Reserved};
use crate::base::{Access, VirtAddr};

/// How tables are read, whatever the access is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Regime {
    /// The root's address, and below it in one number all that changes how tables are read.
    pub(super) space: u64,
    /// In a turned PML5 or PML4 entry: set if there is more to say than which table it names.
    pub(super) upper: u64,
    /// In a turned PDPTE or PDE: the same.
    pub(super) table: u64,
    /// Half the linear address space.
    half: u64,
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
            half: 1 << if five_levels { 56 } else { 47 },
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

    /// Both halves of the address space are one range, once half of it is added.
    #[inline(always)]
    pub(super) const fn is_canonical(&self, virt: VirtAddr) -> bool {
        virt.0.wrapping_add(self.half) < 2 * self.half
    }
}

/// What an access asks of the entries.
///
/// One comparison says whether a leaf, with the denials above it, has all that is asked: that it is
/// present, marked and without reserved bits, and that exactly the expected ones of the denials that
/// count are there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Terms {
    /// Bits to invert in a leaf, so that 0 is what the access wants of it.
    leaf: u64,
    /// The bits that count in a leaf inverted so, or in what is above …
    counted: u64,
    /// … and which of these must be 1.
    expected: u64,
    /// What is left of them then: nothing, or [`Terms::UNDECIDED`] if keys have a say.
    difference: u64,
    /// The keys that forbid the access: bits 15:0 on a user-mode address, 31:16 on another.
    keys: u32,
}

impl Terms {
    /// A bit that never counts, because it is software's: no difference is this.
    const UNDECIDED: u64 = 1 << 9;

    /// Intel SDM volume 3A, "Determination of Access Rights"; the same as
    /// [`refusal`](super::super::refusal) says of each set of rights.
    pub(super) const fn new(controls: &Controls, request: &Request) -> Self {
        let flags = controls.flags;
        let user_mode = request.is_user_mode();
        let every = Reserved::new(controls).at(Level::Pt, Entry(0));
        let leaf = Entry::P | Entry::RW | Entry::US | Entry::A | Entry::D;
        let present = Entry::P | Entry::A | every;
        let mut terms = Self { leaf, counted: present, expected: 0, difference: 0, keys: 0 };
        if user_mode {
            terms.counted |= Entry::US;
        }
        if request.is_shadow_stack(controls) {
            // R/W is 0 and D is 1 in the leaf, R/W is 1 above; user mode on user pages and
            // supervisor mode on others.
            terms.leaf = leaf & !Entry::RW;
            terms.counted = present | Entry::D | Entry::RW | Entry::US;
            terms.expected = if user_mode { 0 } else { Entry::US };
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
        let supervisor = forbidden(pks, controls.pkrs, request.access, write_protect);
        terms.keys = user | supervisor << 16;
        if terms.keys != 0 {
            terms.difference = Self::UNDECIDED;
        }
        terms
    }

    /// Whether the access may go through this leaf, below entries that deny what `above` says.
    #[inline(always)]
    pub(super) const fn permit(&self, above: u64, leaf: u64) -> bool {
        // Bit 6 of an entry that names a table is ignored; in a leaf it is D.
        let denied = above & !Entry::D | leaf ^ self.leaf;
        (denied ^ self.expected) & self.counted == self.difference
            || self.permit_by_key(denied, leaf)
    }

    #[cold]
    #[inline(never)]
    const fn permit_by_key(&self, denied: u64, leaf: u64) -> bool {
        // Without keys that forbid, what was not permitted is not permitted.
        if self.keys == 0 || (denied ^ self.expected) & self.counted != 0 {
            return false;
        }
        let supervisor = (denied & Entry::US) >> 2;
        let number = Entry(leaf).key() as u64 | supervisor << 4;
        self.keys >> number & 1 == 0
    }
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
