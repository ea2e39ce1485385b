//! Where do many addresses lead, for one kind of access?
//!
//! [`walk()`](super::walk()) works out for each access what the registers make of it. A [`Walker`]
//! does so once, and then only has to say an address. Every check of the walk is kept: whether the
//! address is canonical, presence and reserved bits at each level, rights, SMEP, SMAP, protection
//! keys, shadow stacks. They fit into few instructions because entries with their grants inverted collect denials:
//! an OR over all levels and one comparison at the end.
//!
//! What has more to say — an exception, or an accessed or dirty bit to set — ends here with `None`,
//! and [`Walker::walk`] says it.

mod batch;
mod permitted;
mod terms;

use super::controls::{ControlFlags, Controls, Request};
use super::entry::Entry;
use super::exception::Exception;
use super::walk::{Reach, Walk, walk};
use crate::base::{PhysAddr, VirtAddr};
use crate::machine::paging::{PageSize, TableMemory};

pub(in crate::machine) use permitted::Permitted;
use terms::{Regime, Terms};

/// An entry with P, R/W, U/S and A inverted: in an entry that grants everything these and XD are 0.
#[inline(always)]
const fn turned(entry: u64) -> u64 {
    entry ^ (Entry::P | Entry::RW | Entry::US | Entry::A)
}

/// What a cache keeps of any leaf: its frame, its key, the rights it grants and whatever else a walk checks.
const KEPT: u64 =
    Entry::P | Entry::RW | Entry::US | Entry::A | Entry::D | Entry::ADDRESS | 0xf << 59 | Entry::XD;

/// Of a large leaf also that it is one, where a small one has its PAT bit; and not its own, which is 12.
const KEPT_OF_LARGE: u64 = KEPT & !(1 << 12) | Entry::PS;

/// How much of a linear address is above an entry's offset in its table, at each level.
const PML5: u32 = 45;
const PML4: u32 = 36;
const PDPT: u32 = 27;
pub(in crate::machine) const PD: u32 = 18;
pub(in crate::machine) const PT: u32 = 9;

/// The entry for `virt` in the table at `table`, whose other bits don't count.
#[inline(always)]
pub(in crate::machine) const fn entry_at(table: u64, virt: VirtAddr, shift: u32) -> PhysAddr {
    PhysAddr::truncated(table & Entry::ADDRESS | virt.0 >> shift & 0xff8)
}

/// Walks for one kind of access on one processor: everything but the address and the tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Walker {
    regime: Regime,
    terms: Terms,
    controls: Controls,
    /// Its address is of no meaning.
    request: Request,
    /// The identifier that a cache tags what it keeps with, in bits 63:52.
    pcid_above: u64,
    /// What a cache keeps of a leaf of 4 KiB …
    kept: u64,
    /// … and of a larger one.
    kept_of_large: u64,
}

/// The tables down to a page directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::machine) struct Above {
    /// The table below, in the address field.
    pub(in crate::machine) table: u64,
    /// The turned entries so far, taken together: what they deny, in the places of R/W, U/S and XD. What
    /// would have ended the walk is not set, so of this and the next entry together it can be asked.
    pub(in crate::machine) denied: u64,
}

impl Above {
    /// Both in one word.
    #[inline(always)]
    pub(in crate::machine) const fn word(&self) -> u64 {
        self.table & Entry::ADDRESS | self.denied & (Entry::RW | Entry::US | Entry::XD)
    }

    /// The same back: neither minds the other's bits.
    #[inline(always)]
    pub(in crate::machine) const fn of(word: u64) -> Self {
        Self { table: word, denied: word }
    }
}

/// What an entry above the page table is to a walk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::machine) enum Descent {
    /// It names a table, and it is marked as accessed.
    Table(Above),
    /// It may map a large page; nothing of it is checked.
    Large,
    /// There is more to say than an address.
    Ends,
}

impl Walker {
    /// Walks for accesses like `request`, whose address does not count, on a processor with these
    /// controls.
    #[must_use]
    pub const fn new(controls: &Controls, request: &Request) -> Self {
        let global = if controls.flags.has(ControlFlags::PGE) { Entry::G } else { 0 };
        Self {
            regime: Regime::new(controls),
            terms: Terms::new(controls, request),
            controls: *controls,
            request: *request,
            pcid_above: controls.pcid() << 52,
            kept: KEPT | global,
            kept_of_large: KEPT_OF_LARGE | global,
        }
    }

    /// The identifier that translations are remembered under, in bits 63:52.
    #[inline(always)]
    pub(in crate::machine) const fn pcid_above(&self) -> u64 {
        self.pcid_above
    }

    /// The bits of a leaf that a cache has a use for. G is one of them only where CR4.PGE is on: it lets
    /// a translation outlive a load of CR3.
    #[inline(always)]
    pub(in crate::machine) const fn kept(&self, size: PageSize) -> u64 {
        match size {
            PageSize::Kib4 => self.kept,
            PageSize::Mib2 | PageSize::Gib1 => self.kept_of_large,
        }
    }

    /// The controls it walks under.
    #[must_use]
    pub const fn controls(&self) -> &Controls {
        &self.controls
    }

    /// Such an access at `virt`.
    #[must_use]
    pub const fn request(&self, virt: VirtAddr) -> Request {
        Request { virt, ..self.request }
    }

    /// The full answer for `virt`, as [`walk()`](super::walk()) gives it.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn walk(&self, memory: &impl TableMemory, virt: VirtAddr) -> Result<Walk, Exception> {
        walk(memory, &self.controls, &self.request(virt))
    }

    /// The physical address of `virt`, if the access is permitted and sets no accessed or dirty bit;
    /// else `None`, and [`walk`](Self::walk) says what there is to say.
    #[must_use]
    #[inline(always)]
    pub fn address(&self, memory: &impl TableMemory, virt: VirtAddr) -> Option<PhysAddr> {
        self.reach_as(memory, virt, |page| (page.denied(), page.address(virt)))
    }

    /// As [`address`](Self::address), with all that is known of the page.
    #[must_use]
    #[inline(always)]
    pub fn reach(&self, memory: &impl TableMemory, virt: VirtAddr) -> Option<Reach> {
        self.reach_as(memory, virt, |page| (page.denied(), page.reach()))
    }

    /// What `answer` makes of it: where it is called the page's size is a constant, so that an
    /// address is cheap to put together. As in [`finish`](Self::finish) it is asked before the last check.
    #[inline(always)]
    pub(in crate::machine) fn reach_as<T>(
        &self,
        memory: &impl TableMemory,
        virt: VirtAddr,
        answer: impl FnOnce(&Permitted) -> (u64, T),
    ) -> Option<T> {
        let above = self.third(memory, virt)?;
        let entry = memory.entry(entry_at(above.table, virt, PDPT));
        let above = match self.descend(above, entry) {
            Descent::Table(below) => below,
            Descent::Large => return self.finish_gib(above.denied, entry, answer),
            Descent::Ends => return None,
        };
        let entry = memory.entry(entry_at(above.table, virt, PD));
        let above = match self.descend(above, entry) {
            Descent::Table(below) => below,
            Descent::Large => return self.finish(above.denied, entry, PageSize::Mib2, answer),
            Descent::Ends => return None,
        };
        let entry = memory.entry(entry_at(above.table, virt, PT));
        self.finish(above.denied, entry, PageSize::Kib4, answer)
    }

    /// Where the walk starts; `None` for an address that is not canonical.
    #[inline(always)]
    const fn root(&self, virt: VirtAddr) -> Option<Above> {
        if self.regime.is_canonical(virt) {
            Some(Above { table: self.regime.root(), denied: 0 })
        } else {
            None
        }
    }

    /// The page-directory-pointer table for `virt`.
    #[inline(always)]
    fn third(&self, memory: &impl TableMemory, virt: VirtAddr) -> Option<Above> {
        if self.regime.is_canonical_of_four_levels(virt) {
            let root = Above { table: self.regime.root(), denied: 0 };
            return self.below_upper(memory, root, virt, PML4);
        }
        self.below_fifth(memory, virt).map(Above::of)
    }

    /// A call of its own, so that the common walk of four levels keeps its registers; a word is as much
    /// as one can return in them.
    #[cold]
    #[inline(never)]
    fn below_fifth(&self, memory: &impl TableMemory, virt: VirtAddr) -> Option<u64> {
        if !self.regime.has_five_levels() {
            return None;
        }
        let fourth = self.below_upper(memory, self.root(virt)?, virt, PML5)?;
        Some(self.below_upper(memory, fourth, virt, PML4)?.word())
    }

    /// The table that the PML5 or PML4 entry for `virt` names.
    #[inline(always)]
    fn below_upper(
        &self,
        memory: &impl TableMemory,
        above: Above,
        virt: VirtAddr,
        shift: u32,
    ) -> Option<Above> {
        self.through_upper(above, memory.entry(entry_at(above.table, virt, shift)))
    }

    /// The table that this PML5 or PML4 entry names.
    #[inline(always)]
    const fn through_upper(&self, above: Above, entry: u64) -> Option<Above> {
        let denied = above.denied | turned(entry);
        if denied & self.regime.upper == 0 { Some(Above { table: entry, denied }) } else { None }
    }

    /// What this entry of a page-directory-pointer table or page directory leads to.
    #[inline(always)]
    pub(in crate::machine) const fn descend(&self, above: Above, entry: u64) -> Descent {
        let denied = above.denied | turned(entry);
        if denied & self.regime.table == 0 {
            Descent::Table(Above { table: entry, denied })
        } else if denied & Entry::PS != 0 {
            Descent::Large
        } else {
            Descent::Ends
        }
    }

    /// Checks a leaf, and with what was denied above it the access. Of what is above, only denials count.
    ///
    /// `answer` is asked before, and says what is checked: [`Permitted::denied`], or as much of it as a cache
    /// [keeps](Self::kept), which is all that counts. Its other answer counts only if nothing is refused.
    #[inline(always)]
    pub(in crate::machine) fn finish<T>(
        &self,
        above: u64,
        leaf: u64,
        size: PageSize,
        answer: impl FnOnce(&Permitted) -> (u64, T),
    ) -> Option<T> {
        let page = self.terms.page(above, leaf, size);
        let (checked, answer) = answer(&page);
        self.terms.permit(&page, checked).then_some(answer)
    }

    /// The same of the rarest page size, as far as it can be out of the way.
    #[inline(always)]
    pub(in crate::machine) fn finish_gib<T>(
        &self,
        above: u64,
        leaf: u64,
        answer: impl FnOnce(&Permitted) -> (u64, T),
    ) -> Option<T> {
        let page = self.terms.page(above, leaf, PageSize::Gib1);
        let (_, answer) = answer(&page);
        self.permits_gib(above, leaf).then_some(answer)
    }

    #[cold]
    #[inline(never)]
    fn permits_gib(&self, above: u64, leaf: u64) -> bool {
        let page = self.terms.page(above, leaf, PageSize::Gib1);
        self.terms.permit(&page, page.denied())
    }

    /// Which tables it walks, and how it reads them: walkers of which this is equal differ in the
    /// access only.
    #[inline(always)]
    pub(in crate::machine) const fn space(&self) -> u64 {
        self.regime.space
    }

    /// The entries above the page directory for `virt`, each shown to `visit`; in the end the page
    /// directory, or a leaf of 1 GiB with where it lies.
    pub(in crate::machine) fn above_directory(
        &self,
        memory: &impl TableMemory,
        virt: VirtAddr,
        mut visit: impl FnMut(PhysAddr),
    ) -> (Descent, Above, PhysAddr) {
        let ends = |above| (Descent::Ends, above, PhysAddr::truncated(0));
        let nothing = Above { table: 0, denied: 0 };
        let Some(mut above) = self.root(virt) else { return ends(nothing) };
        let uppers: &[u32] = if self.regime.has_five_levels() { &[PML5, PML4] } else { &[PML4] };
        for &shift in uppers {
            let at = entry_at(above.table, virt, shift);
            let Some(below) = self.through_upper(above, memory.entry(at)) else {
                return ends(above);
            };
            visit(at);
            above = below;
        }
        let at = entry_at(above.table, virt, PDPT);
        let descent = self.descend(above, memory.entry(at));
        if let Descent::Table(_) = descent {
            visit(at);
        }
        (descent, above, at)
    }
}

#[cfg(test)]
mod tests;
