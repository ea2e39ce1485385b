//! Which translation does a processor use now?
//!
//! A direct-mapped cache of translations, of 64 in a world. A page larger than its translations is kept
//! in pieces, as the Intel SDM, volume 3A, "Details of TLB Use" allows; what must be dropped together is
//! dropped together. There is no cache of upper-level entries in a world: a miss reads all levels, which is
//! legal too. What a processor *could* do beyond that is [`MayHold`](super::MayHold).

use super::invalidation::Invalidation;
use super::may_hold::{Withdrawn, WithdrawnKind};
use crate::base::{Access, Frame, Page, PhysAddr, TraceHash, VirtAddr};
use crate::machine::paging::PageSize;
use crate::machine::paging::x86_64::{Controls, Entry, Reach, Request, Rights, Walk, refusal};

mod code;
mod grants;
mod miss;
mod value;

pub use grants::{Case, Granted, Grants};
use value::{Leaf, Value};

/// Where the PCID stands in a tag; below it is the number of the translation, as the slot is cut from it.
const PCID_SHIFT: u32 = 52;
const PCID: u64 = 0xfff << PCID_SHIFT;

/// The cache of a processor of a world: 1 KiB, so that a copy is a cheap checkpoint.
pub type Tlb = DirectMapped<64>;

/// The translations one processor uses without asking the tables: a power of two of them, 16 bytes
/// each. Plain data: a copy is a checkpoint.
///
/// Each is of 2^`SHIFT` bytes, 12 or 21: a larger page is kept in pieces, a smaller one not at all. A
/// processor has such caches side by side, because 2 MiB in pieces of 4 KiB fill any.
#[derive(Clone, Copy, Debug)]
pub struct DirectMapped<const ENTRIES: usize, const SHIFT: u32 = 12> {
    /// Of which page, and of which address space, each value is.
    tags: [u64; ENTRIES],
    /// What is remembered, a [`Value`] each. Apart from the tags, so that one number is the index of both.
    values: [u64; ENTRIES],
    /// Whether a piece of a large page may be among them: only then are there entries to drop for
    /// an address that is not their own.
    has_pieces: bool,
}

impl<const ENTRIES: usize, const SHIFT: u32> Default for DirectMapped<ENTRIES, SHIFT> {
    fn default() -> Self {
        const { assert!(ENTRIES.is_power_of_two(), "a slot is cut from a product") };
        const { assert!(SHIFT == 12 || SHIFT == 21, "a page size of which there are larger ones") };
        Self { tags: [0; ENTRIES], values: [0; ENTRIES], has_pieces: false }
    }
}

impl<const ENTRIES: usize, const SHIFT: u32> DirectMapped<ENTRIES, SHIFT> {
    /// The bits of an address within one translation.
    const OFFSET: u64 = (1 << SHIFT) - 1;

    /// What one translation covers.
    const PIECE: PageSize = if SHIFT == 12 { PageSize::Kib4 } else { PageSize::Mib2 };

    #[allow(clippy::cast_possible_truncation, reason = "32 bits of the number are mixed")]
    #[inline(always)]
    const fn slot(virt: VirtAddr) -> usize {
        // Images, data and stacks lie at round distances: without mixing they would share few slots.
        // A factor of 32 bits fits into the instruction. Pieces at a distance of 2^32 share one.
        let mixed = (Self::number(virt) as u32)
            .wrapping_mul(0x9e37_79b9)
            .rotate_left(ENTRIES.trailing_zeros());
        mixed as usize % ENTRIES
    }

    #[inline(always)]
    const fn number(virt: VirtAddr) -> u64 {
        virt.0 >> SHIFT
    }

    #[inline(always)]
    const fn tag(virt: VirtAddr, pcid: u64) -> u64 {
        Self::number(virt) | pcid << PCID_SHIFT
    }

    /// The physical address that is remembered for the request, if what is remembered permits it.
    ///
    /// `None` also for missing rights, and for a write through a leaf not yet dirty: the caller
    /// walks the tables, and only what they say counts, since the page fault would drop the entry
    /// (Intel SDM volume 3A, "Operations that Invalidate TLBs and Paging-Structure Caches").
    #[must_use]
    #[inline(always)]
    pub fn lookup(&self, controls: &Controls, request: &Request) -> Option<PhysAddr> {
        let virt = request.virt;
        let slot = Self::slot(virt);
        let (tag, value) = (self.tags[slot], self.values[slot]);
        let value = Value(value);
        // Bits of the tag that differ. A global translation serves every PCID.
        let difference = tag ^ Self::tag(virt, controls.pcid());
        let counts = if value.is_global() { !PCID } else { u64::MAX };
        if !value.is_valid() || difference & counts != 0 {
            return None;
        }
        if request.access == Access::Write && !value.is_dirty() {
            return None;
        }
        match refusal(controls, request, value.rights(), value.key()) {
            Some(_) => None,
            None => Some(value.address(virt, Self::OFFSET)),
        }
    }

    /// As [`lookup`](Self::lookup), for an access of which [`Grants::of`] says what permits it: the same
    /// answer in fewer instructions, or `None` where only `lookup` knows.
    #[must_use]
    #[inline(always)]
    pub fn hit(&self, virt: VirtAddr, granted: Granted) -> Option<PhysAddr> {
        let slot = Self::slot(virt);
        let (tag, value) = (self.tags[slot], self.values[slot]);
        let is_hit = tag == Self::number(virt) && granted.permits(value);
        is_hit.then(|| Value(value).address(virt, Self::OFFSET))
    }

    /// As [`hit`](Self::hit), for an access of this kind under the controls that the entries were
    /// [decided](Self::decide) for: a comparison and a test of one bit. `None` too for what was filled
    /// and not decided since.
    #[must_use]
    #[inline(always)]
    pub fn hit_decided(&self, virt: VirtAddr, case: Case) -> Option<PhysAddr> {
        let slot = Self::slot(virt);
        let (tag, value) = (self.tags[slot], self.values[slot]);
        let is_hit = tag == Self::number(virt) && case.is_among(value);
        is_hit.then(|| Value(value).address(virt, Self::OFFSET))
    }

    /// Decides for each entry which accesses it permits: to be called whenever the controls that count
    /// have changed.
    pub fn decide(&mut self, grants: &Grants) {
        for value in &mut self.values {
            *value = decided(*value, grants);
        }
    }

    /// The same for the entry of one page, when it was filled.
    #[inline]
    pub fn decide_at(&mut self, virt: VirtAddr, grants: &Grants) {
        let value = &mut self.values[Self::slot(virt)];
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
        self.put(request.virt, controls.pcid(), leaf.size, leaf.value(Self::OFFSET));
    }

    /// Remembers what a [`Walker`](crate::machine::paging::x86_64::Walker) found for `virt`.
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
        self.put(virt, controls.pcid(), leaf.size, leaf.value(Self::OFFSET));
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
        self.put(page.start(), controls.pcid(), size, leaf.value(Self::OFFSET));
    }

    #[inline(always)]
    fn put(&mut self, virt: VirtAddr, pcid: u64, size: PageSize, value: Value) {
        self.has_pieces |= size != Self::PIECE;
        let slot = Self::slot(virt);
        (self.tags[slot], self.values[slot]) = (Self::tag(virt, pcid), value.0);
    }

    /// Forgets what must be forgotten.
    pub fn invalidate(&mut self, invalidation: Invalidation) {
        let one = match invalidation.virt() {
            Some(virt) if !self.has_pieces => Some(Self::slot(virt)),
            _ => None,
        };
        let concerned = match one {
            Some(slot) => slot..slot + 1,
            None => 0..ENTRIES,
        };
        for slot in concerned {
            let (tag, value) = (&mut self.tags[slot], &mut self.values[slot]);
            let remembered = Value(*value);
            let pages = remembered.size().frames();
            let first = Page((*tag & !PCID) << (SHIFT - 12) & !(pages - 1));
            let (pcid, global) = (*tag >> PCID_SHIFT, remembered.is_global());
            if remembered.is_valid() && invalidation.covers(first, pages, pcid, global) {
                (*tag, *value) = (0, 0);
            }
        }
    }

    /// Forgets everything, global translations too.
    pub fn flush_all(&mut self) {
        *self = Self::default();
    }

    /// Folds what is remembered into a hash.
    pub fn absorb(&self, hash: &mut TraceHash) {
        for (tag, value) in self.tags.iter().zip(&self.values).filter(|(_, value)| **value != 0) {
            let said = *tag << SHIFT | *tag >> PCID_SHIFT;
            hash.absorb(said, Value(*value).said());
        }
    }
}

/// Two are equal that answer alike now and later.
impl<const ENTRIES: usize, const SHIFT: u32> PartialEq for DirectMapped<ENTRIES, SHIFT> {
    fn eq(&self, other: &Self) -> bool {
        let says = |value: u64| (Value(value).said(), Value(value).permitted());
        self.has_pieces == other.has_pieces
            && self.tags == other.tags
            && self.values.map(says) == other.values.map(says)
    }
}

impl<const ENTRIES: usize, const SHIFT: u32> Eq for DirectMapped<ENTRIES, SHIFT> {}

/// An entry's value with the cases that it permits.
#[inline(always)]
fn decided(value: u64, grants: &Grants) -> u64 {
    let value = Value(value);
    if !value.is_valid() {
        return value.0;
    }
    value.permitting(grants.cases(value.code(), value.is_dirty())).0
}

#[cfg(test)]
mod tests;
