//! Which translation does a processor use now?
//!
//! A direct-mapped cache of translations, of 64 in a world. A page larger than its translations is kept
//! in pieces, as the Intel SDM, volume 3A, "Details of TLB Use" allows; what must be dropped together is
//! dropped together. There is no cache of upper-level entries in a world: a miss reads all levels, which is
//! legal too. What a processor *could* do beyond that is [`MayHold`](super::MayHold).

use super::invalidation::Invalidation;
use super::may_hold::{Withdrawn, WithdrawnKind};
use super::paging_structure::PagingStructureCache;
use crate::base::{Access, Frame, Page, PhysAddr, TraceHash, VirtAddr};
use crate::machine::paging::x86_64::walker::Permitted;
use crate::machine::paging::x86_64::{
    Controls, Entry, Reach, Request, Rights, Walk, Walker, refusal,
};
use crate::machine::paging::{PageSize, TableMemory};

mod code;
mod grants;

use code::Code;
pub use grants::{Case, Grants};

// An entry is two words. Tag: page number in bits 63:12, PCID in 11:0. Value: frame in bits 51:12,
// and below and above it, near to where a leaf has it, so that it is put together in few
// instructions, with the cases of access that were decided to be permitted at the top:
const VALID: u64 = Entry::P;
const CODE_SHIFT: u32 = 1;
const DIRTY: u64 = Entry::D;
const KEY_SHIFT: u32 = 7;
const GLOBAL_SHIFT: u32 = 3;
const GLOBAL: u64 = Entry::G << GLOBAL_SHIFT;
const SIZE_SHIFT: u32 = 52;
const PERMITTED_SHIFT: u32 = 54;
const PERMITTED: u64 = u64::MAX << PERMITTED_SHIFT;
const _: () = assert!(PERMITTED_SHIFT + grants::DECIDED == 64);
const FRAME: u64 = ((1 << 52) - 1) & !0xfff;
const PCID: u64 = 0xfff;

/// The cache of a processor of a world: 1 KiB, so that a copy is a cheap checkpoint.
pub type Tlb = DirectMapped<64>;

/// The translations one processor uses without asking the tables: a power of two of them, 16 bytes
/// each. Plain data: a copy is a checkpoint.
///
/// Each is of 2^`SHIFT` bytes, 12 or 21: a larger page is kept in pieces, a smaller one not at all. A
/// processor has such caches side by side, because 2 MiB in pieces of 4 KiB fill any.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DirectMapped<const ENTRIES: usize, const SHIFT: u32 = 12> {
    entries: [[u64; 2]; ENTRIES],
    /// Whether a piece of a large page may be among them: only then are there entries to drop for
    /// an address that is not their own.
    has_pieces: bool,
}

impl<const ENTRIES: usize, const SHIFT: u32> Default for DirectMapped<ENTRIES, SHIFT> {
    fn default() -> Self {
        const { assert!(ENTRIES.is_power_of_two(), "a slot is cut from a product") };
        const { assert!(SHIFT == 12 || SHIFT == 21, "a page size of which there are larger ones") };
        Self { entries: [[0; 2]; ENTRIES], has_pieces: false }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "as many bits as there are entries")]
#[inline(always)]
const fn slot<const ENTRIES: usize, const SHIFT: u32>(virt: VirtAddr) -> usize {
    // Images, data and stacks lie at round distances: without mixing they would share few slots.
    let mixed =
        (virt.0 >> SHIFT).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(ENTRIES.trailing_zeros());
    mixed as usize % ENTRIES
}

impl<const ENTRIES: usize, const SHIFT: u32> DirectMapped<ENTRIES, SHIFT> {
    /// The bits of an address within one translation.
    const OFFSET: u64 = (1 << SHIFT) - 1;

    /// What one translation covers.
    const PIECE: PageSize = if SHIFT == 12 { PageSize::Kib4 } else { PageSize::Mib2 };

    /// The frame's address in a value: what lies between is zero.
    const FRAME: u64 = FRAME & !Self::OFFSET;

    /// The physical address that is remembered for the request, if what is remembered permits it.
    ///
    /// `None` also for missing rights, and for a write through a leaf not yet dirty: the caller
    /// walks the tables, and only what they say counts, since the page fault would drop the entry
    /// (Intel SDM volume 3A, "Operations that Invalidate TLBs and Paging-Structure Caches").
    #[must_use]
    #[inline(always)]
    pub fn lookup(&self, controls: &Controls, request: &Request) -> Option<PhysAddr> {
        let virt = request.virt;
        let [tag, value] = self.entries[slot::<ENTRIES, SHIFT>(virt)];
        // Bits of the tag that differ. A global translation serves every PCID.
        let difference = tag ^ (virt.0 & !Self::OFFSET | controls.pcid());
        let counts = if value & GLOBAL != 0 { !PCID } else { u64::MAX };
        if value & VALID == 0 || difference & counts != 0 {
            return None;
        }
        if request.access == Access::Write && value & DIRTY == 0 {
            return None;
        }
        match refusal(controls, request, rights(value), key(value)) {
            Some(_) => None,
            None => Some(PhysAddr::truncated(value & Self::FRAME | virt.0 & Self::OFFSET)),
        }
    }

    /// As [`lookup`](Self::lookup), for an access of which [`Grants::of`] says what permits it: the same
    /// answer in fewer instructions, or `None` where only `lookup` knows.
    #[must_use]
    #[inline(always)]
    pub fn hit(&self, virt: VirtAddr, granted: u16, writes: bool) -> Option<PhysAddr> {
        let [tag, value] = self.entries[slot::<ENTRIES, SHIFT>(virt)];
        let needed = if writes { VALID | DIRTY } else { VALID };
        let is_hit = tag == virt.0 & !Self::OFFSET
            && value & needed == needed
            && granted >> code(value).bits() & 1 == 1;
        is_hit.then(|| PhysAddr::truncated(value & Self::FRAME | virt.0 & Self::OFFSET))
    }

    /// As [`hit`](Self::hit), for an access of this kind under the controls that the entries were
    /// [decided](Self::decide) for: a comparison and a test of one bit. `None` too for what was filled
    /// and not decided since.
    #[must_use]
    #[inline(always)]
    pub fn hit_decided(&self, virt: VirtAddr, case: Case) -> Option<PhysAddr> {
        let [tag, value] = self.entries[slot::<ENTRIES, SHIFT>(virt)];
        let is_hit =
            tag == virt.0 & !Self::OFFSET && value >> (PERMITTED_SHIFT + case.number()) & 1 == 1;
        is_hit.then(|| PhysAddr::truncated(value & Self::FRAME | virt.0 & Self::OFFSET))
    }

    /// Decides for each entry which accesses it permits: to be called whenever the controls that count
    /// have changed.
    pub fn decide(&mut self, grants: &Grants) {
        for [_, value] in &mut self.entries {
            *value = decided(*value, grants);
        }
    }

    /// The same for the entry of one page, when it was filled.
    #[inline]
    pub fn decide_at(&mut self, virt: VirtAddr, grants: &Grants) {
        let [_, value] = &mut self.entries[slot::<ENTRIES, SHIFT>(virt)];
        *value = decided(*value, grants);
    }

    /// Remembers what a walk for the request found.
    #[inline]
    pub fn fill(&mut self, controls: &Controls, request: &Request, walk: &Walk) {
        if walk.size < Self::PIECE {
            return;
        }
        let leaf = Leaf {
            rights: walk.rights_once_marked(),
            is_dirty: walk.leaf_is_dirty,
            is_global: walk.global,
            key: walk.key,
            size: walk.size,
            address: walk.address,
        };
        self.put(request.virt, controls.pcid(), leaf.size, leaf.value(Self::FRAME));
    }

    /// Remembers what a [`Walker`] found for `virt`.
    #[inline(always)]
    pub fn keep(&mut self, controls: &Controls, virt: VirtAddr, reach: &Reach) {
        if reach.size < Self::PIECE {
            return;
        }
        let leaf = Leaf {
            rights: reach.rights,
            is_dirty: reach.leaf.has(Entry::D),
            is_global: reach.is_global(controls),
            key: reach.leaf.key(),
            size: reach.size,
            address: PhysAddr::truncated(reach.page.raw() | virt.0 & (reach.size.bytes() - 1)),
        };
        self.put(virt, controls.pcid(), leaf.size, leaf.value(Self::FRAME));
    }

    /// Where `walker` leads `virt`, remembered from then on: what to do after a miss.
    /// [`Walker::reach`] and [`keep`](Self::keep) say and do the same in more instructions.
    #[must_use]
    #[inline]
    pub fn fetch(
        &mut self,
        walker: &Walker,
        memory: &impl TableMemory,
        virt: VirtAddr,
    ) -> Option<PhysAddr> {
        let (denied, leaf, size) = walker.leaf(memory, virt)?;
        // In each arm the page's size is a constant, so that what is kept is cheap to put together.
        let mut keep = |permitted| self.keep_permitted(walker, virt, permitted);
        match size {
            PageSize::Kib4 => walker.finish(denied, leaf, PageSize::Kib4).map(&mut keep),
            PageSize::Mib2 => walker.finish(denied, leaf, PageSize::Mib2).map(&mut keep),
            PageSize::Gib1 => walker.finish(denied, leaf, PageSize::Gib1).map(&mut keep),
        }
    }

    /// As [`fetch`](Self::fetch), from where `upper_levels` says that the walk starts: a miss costs
    /// little more than reading the leaf. Such a walk is as good as one from the root, whatever was
    /// invalidated, as long as `upper_levels` is told of stores.
    #[must_use]
    #[inline(always)]
    pub fn fetch_below<const REGIONS: usize>(
        &mut self,
        upper_levels: &mut PagingStructureCache<REGIONS>,
        walker: &Walker,
        memory: &impl TableMemory,
        virt: VirtAddr,
    ) -> Option<PhysAddr> {
        upper_levels.reach_as(walker, memory, virt, |permitted| {
            self.keep_permitted(walker, virt, permitted)
        })
    }

    #[inline(always)]
    fn keep_permitted(
        &mut self,
        walker: &Walker,
        virt: VirtAddr,
        permitted: Permitted,
    ) -> PhysAddr {
        let address = permitted.address(virt);
        if permitted.size >= Self::PIECE {
            let leaf = permitted.leaf;
            let value = VALID
                | Code::of(&permitted).bits() << CODE_SHIFT
                | leaf & DIRTY
                | (leaf & walker.global()) << GLOBAL_SHIFT
                | u64::from(Entry(leaf).key()) << KEY_SHIFT
                | (permitted.size as u64) << SIZE_SHIFT
                | address.raw() & Self::FRAME;
            self.put(virt, walker.pcid(), permitted.size, value);
        }
        address
    }

    /// Remembers `page` of a withdrawn translation again, as a processor may until it is told to forget
    /// it. As [dirty](Entry::D) when it is writable: software may have cleared the bit since.
    ///
    /// # Panics
    ///
    /// When the member is the way to a table.
    pub fn hold(&mut self, controls: &Controls, member: &Withdrawn, page: Page) {
        let WithdrawnKind::Leaf(size) = member.kind else { panic!("{member:?} is no translation") };
        if size < Self::PIECE {
            return;
        }
        let frame = Frame(member.frame.0.wrapping_add(page.0.wrapping_sub(member.first.0)));
        let rights = member.rights;
        let leaf = Leaf {
            rights,
            is_dirty: rights.has(Rights::WRITABLE),
            is_global: member.global,
            key: member.key,
            size,
            address: frame.start(),
        };
        let controls = Controls { cr3: member.pcid, ..*controls };
        self.put(page.start(), controls.pcid(), size, leaf.value(Self::FRAME));
    }

    #[inline(always)]
    fn put(&mut self, virt: VirtAddr, pcid: u64, size: PageSize, value: u64) {
        self.has_pieces |= size != Self::PIECE;
        let tag = virt.0 & !Self::OFFSET | pcid;
        self.entries[slot::<ENTRIES, SHIFT>(virt)] = [tag, value];
    }

    /// Forgets what must be forgotten.
    pub fn invalidate(&mut self, invalidation: Invalidation) {
        let one = match invalidation.virt() {
            Some(virt) if !self.has_pieces => Some(slot::<ENTRIES, SHIFT>(virt)),
            _ => None,
        };
        let concerned = match one {
            Some(slot) => &mut self.entries[slot..=slot],
            None => &mut self.entries[..],
        };
        for [tag, value] in concerned {
            let pages = size(*value).frames();
            let first = Page((*tag >> 12) & !(pages - 1));
            let global = *value & GLOBAL != 0;
            if *value & VALID != 0 && invalidation.covers(first, pages, *tag & PCID, global) {
                [*tag, *value] = [0, 0];
            }
        }
    }

    /// Forgets everything, global translations too.
    pub fn flush_all(&mut self) {
        *self = Self::default();
    }

    /// Folds what is remembered into a hash.
    pub fn absorb(&self, hash: &mut TraceHash) {
        for [tag, value] in self.entries.iter().filter(|[_, value]| *value != 0) {
            hash.absorb(*tag, *value & !PERMITTED);
        }
    }
}

/// What is remembered of a leaf, spelt out.
struct Leaf {
    rights: Rights,
    is_dirty: bool,
    is_global: bool,
    key: u8,
    size: PageSize,
    address: PhysAddr,
}

impl Leaf {
    /// As an entry's value, of the address these bits.
    #[inline(always)]
    fn value(&self, frame: u64) -> u64 {
        let of = |is: bool, bit: u64| if is { bit } else { 0 };
        VALID
            | Code::new(self.rights, self.is_dirty).bits() << CODE_SHIFT
            | of(self.is_dirty, DIRTY)
            | of(self.is_global, GLOBAL)
            | u64::from(self.key) << KEY_SHIFT
            | (self.size as u64) << SIZE_SHIFT
            | self.address.raw() & frame
    }
}

/// An entry's value with the cases that it permits.
#[inline(always)]
fn decided(value: u64, grants: &Grants) -> u64 {
    if value & VALID == 0 {
        return value;
    }
    let cases = grants.cases(code(value), value & DIRTY != 0);
    value & !PERMITTED | u64::from(cases) << PERMITTED_SHIFT
}

#[inline(always)]
const fn code(value: u64) -> Code {
    Code::from_bits(value >> CODE_SHIFT)
}

#[inline(always)]
fn rights(value: u64) -> Rights {
    code(value).rights()
}

#[inline(always)]
const fn key(value: u64) -> u8 {
    ((value >> KEY_SHIFT) & 15) as u8
}

#[inline(always)]
const fn size(value: u64) -> PageSize {
    match (value >> SIZE_SHIFT) & 3 {
        0 => PageSize::Kib4,
        1 => PageSize::Mib2,
        _ => PageSize::Gib1,
    }
}

#[cfg(test)]
mod tests;
