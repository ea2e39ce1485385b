//! Bugs that the mapper of these tests can be built with, each modelled on one that was published.

use ringfence::conformance::Check;

/// One planted bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bug {
    /// Translates a last-level entry whose P bit is 0 (x86_64 #561).
    TranslatesHiddenLeaf,
    /// Walks on through a directory entry whose P bit is 0 (page_table_multiarch, `query`).
    WalksThroughNotPresent,
    /// Takes the PAT bit of a large page for an address bit (page_table_multiarch, `query`).
    TakesPatForAddress,
    /// Panics at a PML4 entry with PS set (x86_64, `translate_addr`).
    PanicsAtLargeRootEntry,
    /// Takes bit 7 of a last-level entry for PS and refuses to unmap (x86_64 #548).
    TakesPatForSize,
    /// Drop forgets one level of tables (page_table_multiarch #22).
    LeaksOneLevel,
    /// Drop frees nothing (aarch64-paging #16).
    LeaksEverything,
    /// Drop takes large pages for tables (aarch64-paging f60fdda).
    DropWalksLeaves,
    /// Changing one page of a large page changes all of it (aarch64-paging 1a4779a).
    ProtectsWholeBlock,
    /// Unmapping nothing succeeds and returns a frame (page_table_multiarch #4).
    UnmapsNothing,
    /// No invalidation after unmapping (asterinas #862).
    ForgetsToInvalidateUnmap,
    /// No invalidation after withdrawing a right (asterinas #970).
    ForgetsToInvalidateProtect,
    /// The operand of the invalidation has the wrong bits (page_table_multiarch #21).
    InvalidatesWrongPage,
    /// A table is freed first and invalidated then (litebox #769, nanvix #2244).
    FreesBeforeInvalidating,
    /// The last page of a longer range is not written (patina-paging #92).
    ForgetsLastPage,
    /// Unmapping a range never gets past a hole (svsm #1118).
    LoopsOnHole,
    /// The end of a range at the top of the address space wraps to 0 (x86_64 #290).
    WrapsAtTop,
    /// Cleaning up computes an address across the gap and overflows (x86_64 #468).
    CleanUpOverflows,
    /// A new table is linked before it is cleared.
    LinksBeforeClearing,
    /// Upper entries get the rights of the first page below them.
    LimitsByFirstPage,
    /// Execute-never is not set (aarch64-paging #107).
    ForgetsExecuteNever,
    /// A split copies with the wrong stride (patina-paging #195).
    SplitsWithWrongStride,
    /// Unmapping a small page inside a large one takes its data for a table (pKVM-IA #104).
    TakesDataForTable,
    /// Rights are changed by a load and a store, and the dirty flag that came between is lost.
    LosesDirtyFlag,
    /// When a table can't be allocated, those made before it for the same page are lost.
    LeaksWhenOutOfFrames,
    /// When a table can't be allocated to split a large page, the page is lost.
    LosesPageWhenASplitHasNoFrame,
    /// Entries are written by plain assignments, which a compiler may tear.
    WritesPlainly,
    /// Entries are written in two halves of 4 bytes.
    WritesInHalves,
    /// Mapping what is mapped overwrites it without invalidating.
    OverwritesSilently,
    /// Cleaning up frees the table and leaves its entry.
    FreesReachable,
    /// Cleaning up looks for empty tables and finds none.
    CleansNothing,
    /// Cleaning up frees tables of the last level only.
    CleansLastLevel,
    /// Unmapping takes the entry beside out too, when that is not present.
    ClearsHiddenNeighbour,
    /// Mapping a page sets a bit that belongs to software in the directory entry behind its own.
    CountsInNextEntry,
    /// Refuses with a reason that is not so when a neighbour is a large page.
    RefusesFalsely,
    /// A range is split for its first page only.
    RangeTouchesNeighbour,
    /// A table is linked where the allocator linked one while it was asked for the frame.
    LinksOverWhatCameMeanwhile,
    /// A frame that is not needed any more, since the allocator linked a table meanwhile, is not given back.
    KeepsUnneededTable,
    /// What the allocator split while it was asked for the frame is taken for the large page it was.
    SplitsWhatIsSplit,
    /// A large page is split by a load and a store, and the dirty flag that came between is in no part of it.
    SplitLosesDirtyFlag,
    /// Each large page of a range that is mapped leads to the frames of the first one.
    SecondLargePageLeadsToFirst,
    /// Of the large pages of a range only the first is invalidated.
    InvalidatesFirstLargePageOnly,
    /// A split leaves the PAT bit of the large page out.
    SplitDropsMemoryType,
    /// A split of 2 MiB leaves PS set in the small pages, where it is the PAT bit.
    SplitKeepsPs,
    /// A split takes the dirty flag for 0.
    SplitDropsDirtyFlag,
    /// A split leaves the bits of software out.
    SplitDropsSoftwareBits,
    /// A split makes its pages global.
    SplitSetsGlobal,
    /// Changing rights makes the page write-back.
    ProtectDropsMemoryType,
    /// Changing rights clears the bits of software.
    ProtectDropsSoftwareBits,
    /// What a range has withdrawn is not invalidated when a large page of it can't be split for want of a frame.
    ForgetsPendingWhenShort,
    /// Changing rights makes the entry anew: accessed and dirty flags were read, and are thrown away.
    ProtectThrowsDirtyFlagAway,
}

impl Bug {
    /// Whether it needs an allocator that calls back in. Code with another one is tried without.
    pub(crate) fn is_of_reentry(self) -> bool {
        matches!(
            self,
            Self::LinksOverWhatCameMeanwhile | Self::KeepsUnneededTable | Self::SplitsWhatIsSplit
        )
    }

    /// Those that a few hundred cases find, with the checks of which at least one must find it.
    pub(crate) const ALL: &'static [(Self, &'static [Check])] = &[
        (Self::TranslatesHiddenLeaf, &[Check::Translation]),
        (Self::WalksThroughNotPresent, &[Check::Translation]),
        (Self::TakesPatForAddress, &[Check::Translation]),
        (Self::PanicsAtLargeRootEntry, &[Check::Totality]),
        (Self::TakesPatForSize, &[Check::Request]),
        (Self::LeaksOneLevel, &[Check::Frames]),
        (Self::LeaksEverything, &[Check::Frames]),
        (Self::DropWalksLeaves, &[Check::Frames, Check::Stores]),
        (Self::ProtectsWholeBlock, &[Check::Isolation]),
        (Self::UnmapsNothing, &[Check::Request]),
        (Self::ForgetsToInvalidateUnmap, &[Check::Invalidation]),
        (Self::ForgetsToInvalidateProtect, &[Check::Invalidation]),
        (Self::InvalidatesWrongPage, &[Check::Invalidation]),
        (Self::FreesBeforeInvalidating, &[Check::Invalidation]),
        (Self::ForgetsLastPage, &[Check::Request]),
        (Self::LoopsOnHole, &[Check::Totality]),
        (Self::WrapsAtTop, &[Check::Request, Check::Totality]),
        (Self::CleanUpOverflows, &[Check::Totality]),
        (Self::LinksBeforeClearing, &[Check::Isolation]),
        (Self::LimitsByFirstPage, &[Check::Request, Check::Isolation]),
        (Self::ForgetsExecuteNever, &[Check::Request]),
        (Self::SplitsWithWrongStride, &[Check::Isolation]),
        (Self::TakesDataForTable, &[Check::Stores]),
        (Self::LosesDirtyFlag, &[Check::Marks]),
        (Self::LeaksWhenOutOfFrames, &[Check::Frames]),
        (Self::LosesPageWhenASplitHasNoFrame, &[Check::Isolation]),
        (Self::WritesPlainly, &[Check::Isolation]),
        (Self::WritesInHalves, &[Check::Isolation]),
        (Self::OverwritesSilently, &[Check::Invalidation]),
        (Self::FreesReachable, &[Check::Frames]),
        (Self::CleansNothing, &[Check::Request]),
        (Self::CleansLastLevel, &[Check::Request]),
        (Self::CountsInNextEntry, &[Check::Equivalence]),
        (Self::RefusesFalsely, &[Check::Request]),
        (Self::RangeTouchesNeighbour, &[Check::Isolation]),
        (Self::SplitDropsMemoryType, &[Check::Isolation]),
        (Self::SplitKeepsPs, &[Check::Isolation]),
        (Self::SplitDropsDirtyFlag, &[Check::Marks]),
        (Self::SplitDropsSoftwareBits, &[Check::Isolation]),
        (Self::SplitSetsGlobal, &[Check::Isolation]),
        (Self::ProtectDropsMemoryType, &[Check::Request]),
        (Self::ProtectDropsSoftwareBits, &[Check::Request]),
        (Self::ProtectThrowsDirtyFlagAway, &[Check::Marks]),
        (Self::ForgetsPendingWhenShort, &[Check::Invalidation]),
        (Self::LinksOverWhatCameMeanwhile, &[Check::Isolation]),
        (Self::KeepsUnneededTable, &[Check::Frames]),
    ];
}
