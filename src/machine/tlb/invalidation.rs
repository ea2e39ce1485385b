//! Which instructions make a processor forget what?
//!
//! Intel SDM volume 3A, "Operations that Invalidate TLBs and Paging-Structure Caches". A processor
//! may always forget more; this is what it must forget.

use crate::base::{Page, VirtAddr};
use crate::machine::paging::x86_64::{ControlFlags, Controls};

/// What must be forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Invalidation {
    /// INVLPG: translations of the page for the current PCID, global ones for any; and every
    /// paging-structure-cache entry of the current PCID, wherever it leads.
    Page {
        /// An address on the page.
        virt: VirtAddr,
        /// The current PCID.
        pcid: u64,
    },
    /// INVPCID type 0: what would translate the address under that PCID, except global translations.
    PageOfPcid {
        /// An address on the page.
        virt: VirtAddr,
        /// The PCID named by the instruction.
        pcid: u64,
    },
    /// A page fault: what would translate the address under the current PCID. This is why an access
    /// whose rights a cached translation lacks is tried again on the tables before it faults.
    PageFault {
        /// The faulting address.
        virt: VirtAddr,
        /// The current PCID.
        pcid: u64,
    },
    /// INVPCID type 1, MOV to CR3, and MOV to CR4 that sets SMEP: everything of that PCID except global
    /// translations.
    Pcid {
        /// The PCID named by the instruction, or loaded.
        pcid: u64,
    },
    /// INVPCID type 3: everything except global translations.
    AllExceptGlobal,
    /// INVPCID type 2, and MOV to CR4 that changes PGE or clears PCIDE: everything.
    All,
}

/// Whether MOV to CR3 keeps what is remembered for the PCID it loads: bit 63 of its operand, which
/// counts only with CR4.PCIDE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RootLoad {
    /// Bit 63 is 0.
    Flush,
    /// Bit 63 is 1.
    Keep,
}

impl Invalidation {
    /// INVLPG on a processor with these controls.
    #[must_use]
    pub const fn page(controls: &Controls, virt: VirtAddr) -> Self {
        Self::Page { virt, pcid: controls.pcid() }
    }

    /// A page fault on a processor with these controls.
    #[must_use]
    pub const fn page_fault(controls: &Controls, virt: VirtAddr) -> Self {
        Self::PageFault { virt, pcid: controls.pcid() }
    }

    /// MOV to CR3 that leaves the processor with the controls `after`.
    #[must_use]
    pub const fn root_load(after: &Controls, load: RootLoad) -> Option<Self> {
        match load {
            RootLoad::Keep if after.flags.has(ControlFlags::PCIDE) => None,
            _ => Some(Self::Pcid { pcid: after.pcid() }),
        }
    }

    /// MOV to CR4 that takes the processor from the controls `before` to those `after`. What setting SMEP
    /// does to global translations the manual leaves open, so they need not be forgotten.
    #[must_use]
    pub const fn control_load(before: &Controls, after: &Controls) -> Option<Self> {
        let (was, is) = (before.flags, after.flags);
        let changes_global = was.has(ControlFlags::PGE) != is.has(ControlFlags::PGE);
        let clears_identifiers = was.has(ControlFlags::PCIDE) && !is.has(ControlFlags::PCIDE);
        if changes_global || clears_identifiers {
            Some(Self::All)
        } else if !was.has(ControlFlags::SMEP) && is.has(ControlFlags::SMEP) {
            Some(Self::Pcid { pcid: before.pcid() })
        } else {
            None
        }
    }

    /// Whether a translation of `pages` pages from `first` on must be forgotten. They are one
    /// translation: where a processor keeps a large page in pieces, INVLPG drops every piece (Intel
    /// SDM volume 3A, "Details of TLB Use").
    #[must_use]
    #[inline(always)]
    pub(super) const fn covers(self, first: Page, pages: u64, of: u64, global: bool) -> bool {
        match self {
            Self::Page { virt, pcid } => (of == pcid || global) && is_on(virt, first, pages),
            Self::PageOfPcid { virt, pcid } => of == pcid && !global && is_on(virt, first, pages),
            Self::PageFault { virt, pcid } => of == pcid && is_on(virt, first, pages),
            Self::Pcid { pcid } => of == pcid && !global,
            Self::AllExceptGlobal => !global,
            Self::All => true,
        }
    }

    /// Whether a paging-structure-cache entry for the `pages` pages from `first` on must be
    /// forgotten. Such entries are never global.
    #[must_use]
    pub(super) const fn covers_table(self, first: Page, pages: u64, of: u64) -> bool {
        match self {
            Self::Page { pcid, .. } => of == pcid,
            _ => self.covers(first, pages, of, false),
        }
    }

    /// The address it is about, when it is about one.
    #[must_use]
    pub(super) const fn virt(self) -> Option<VirtAddr> {
        match self {
            Self::Page { virt, .. }
            | Self::PageOfPcid { virt, .. }
            | Self::PageFault { virt, .. } => Some(virt),
            Self::Pcid { .. } | Self::AllExceptGlobal | Self::All => None,
        }
    }
}

#[inline(always)]
const fn is_on(virt: VirtAddr, first: Page, pages: u64) -> bool {
    virt.page().0.wrapping_sub(first.0) < pages
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIRT: VirtAddr = VirtAddr(0x60_5678);

    /// Whether it covers: the page under identifier 1, another's, global ones of both; a way to a table
    /// under 1 and 2.
    fn covered(invalidation: Invalidation) -> [bool; 6] {
        let covers = |of, global| invalidation.covers(VIRT.page(), 1, of, global);
        let covers_table = |of| invalidation.covers_table(Page(0x600), 512, of);
        [
            covers(1, false),
            covers(2, false),
            covers(1, true),
            covers(2, true),
            covers_table(1),
            covers_table(2),
        ]
    }

    #[test]
    fn each_covers_what_the_manual_says() {
        let (virt, pcid) = (VIRT, 1);
        let elsewhere = VIRT.plus(1 << 21);
        for (invalidation, wanted) in [
            (Invalidation::Page { virt, pcid }, [1, 0, 1, 1, 1, 0]),
            (Invalidation::Page { virt: elsewhere, pcid }, [0, 0, 0, 0, 1, 0]),
            (Invalidation::PageOfPcid { virt, pcid }, [1, 0, 0, 0, 1, 0]),
            (Invalidation::PageOfPcid { virt: elsewhere, pcid }, [0; 6]),
            (Invalidation::PageFault { virt, pcid }, [1, 0, 1, 0, 1, 0]),
            (Invalidation::PageFault { virt: elsewhere, pcid }, [0; 6]),
            (Invalidation::Pcid { pcid }, [1, 0, 0, 0, 1, 0]),
            (Invalidation::AllExceptGlobal, [1, 1, 0, 0, 1, 1]),
            (Invalidation::All, [1; 6]),
        ] {
            assert_eq!(covered(invalidation).map(u8::from), wanted, "{invalidation:?}");
        }
    }

    #[test]
    fn an_address_is_on_each_page_of_a_translation_and_on_no_other() {
        for (page, is_on) in [(0x5ff, false), (0x600, true), (0x7ff, true), (0x800, false)] {
            let invalidation = Invalidation::Page { virt: Page(page).start(), pcid: 0 };

            assert_eq!(invalidation.covers(Page(0x600), 512, 0, false), is_on, "{page:#x}");
        }
    }

    #[test]
    fn some_are_about_an_address() {
        let (virt, pcid) = (VIRT, 1);
        for invalidation in [
            Invalidation::Page { virt, pcid },
            Invalidation::PageOfPcid { virt, pcid },
            Invalidation::PageFault { virt, pcid },
        ] {
            assert_eq!(invalidation.virt(), Some(virt));
        }
        for invalidation in
            [Invalidation::Pcid { pcid }, Invalidation::AllExceptGlobal, Invalidation::All]
        {
            assert_eq!(invalidation.virt(), None);
        }
    }

    #[test]
    fn instructions_name_the_current_identifier_and_cr3_the_new_one() {
        let without = Controls { cr3: 0x1003, ..Controls::default() };
        let with = Controls { flags: without.flags | ControlFlags::PCIDE, ..without };

        assert_eq!(Invalidation::page(&with, VIRT), Invalidation::Page { virt: VIRT, pcid: 3 });
        assert_eq!(
            Invalidation::page_fault(&with, VIRT),
            Invalidation::PageFault { virt: VIRT, pcid: 3 }
        );
        let flushed = |pcid| Some(Invalidation::Pcid { pcid });
        assert_eq!(Invalidation::root_load(&with, RootLoad::Flush), flushed(3));
        assert_eq!(Invalidation::root_load(&with, RootLoad::Keep), None);
        assert_eq!(Invalidation::root_load(&without, RootLoad::Flush), flushed(0));
        assert_eq!(Invalidation::root_load(&without, RootLoad::Keep), flushed(0));
    }

    #[test]
    fn a_load_of_cr4_forgets_what_the_manual_lists() {
        const RELEVANT: [ControlFlags; 3] =
            [ControlFlags::PGE, ControlFlags::PCIDE, ControlFlags::SMEP];
        let of = |bits: usize| {
            let chosen = RELEVANT.into_iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
            let flags = chosen.fold(ControlFlags::WP, |all, (_, flag)| all | flag);
            Controls { cr3: 0x1007, flags, ..Controls::default() }
        };
        for before in 0..8 {
            for after in 0..8 {
                let invalidation = Invalidation::control_load(&of(before), &of(after));

                // Bit 0 is PGE, 1 is PCIDE, 2 is SMEP.
                let pcid = if before & 2 == 0 { 0 } else { 7 };
                let expected = match before ^ after {
                    change if change & 1 != 0 => Some(Invalidation::All),
                    change if change & before & 2 != 0 => Some(Invalidation::All),
                    change if change & after & 4 != 0 => Some(Invalidation::Pcid { pcid }),
                    _ => None,
                };
                assert_eq!(invalidation, expected, "{before:03b} to {after:03b}");
            }
        }
    }
}
