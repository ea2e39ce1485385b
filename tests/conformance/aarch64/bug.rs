//! Bugs that the AArch64 mapper of these tests can be built with.

use ringfence::conformance::Check;

/// One planted bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bug {
    /// No TLBI after unmapping.
    ForgetsToInvalidateUnmap,
    /// No TLBI after withdrawing a right.
    ForgetsToInvalidateProtect,
    /// The operand of TLBI has the wrong bits (patina-paging #132, page_table_multiarch #21).
    InvalidatesWrongPage,
    /// No DSB between the store and the TLBI: a walk may fetch the old entry again.
    NoBarrierBeforeInvalidating,
    /// DSB ISHST after the TLBI: it doesn't wait for other processors.
    WeakBarrierAfterInvalidating,
    /// Mapping what is mapped writes the new output address over the old one, then invalidates.
    RemapsWithoutBreak,
    /// A block becomes a table by one store, then it is invalidated (aarch64-paging 0.3).
    SplitsWithoutBreak,
    /// A split breaks the block and makes the table without a TLBI between.
    SplitsWithoutInvalidating,
    /// A split breaks, invalidates, and doesn't wait for the TLBI before it makes.
    SplitsBeforeComplete,
    /// UXN and PXN are confused (aarch64-paging #107).
    WrongExecuteNever,
    /// Pages of the user are left executable at EL1.
    LeavesUserPagesToKernel,
    /// The Access flag is not set: the first access faults.
    ForgetsAccessFlag,
    /// A page has the descriptor of a block: bits 1:0 are 01 at level 3.
    PageAsBlock,
    /// 1 GiB at a border of 512 GiB is written as a block of level 0.
    BlockAtLevelZero,
    /// A table gets APTable by the rights of the first page below it.
    LimitsByFirstPage,
    /// A range that begins inside of a block changes the pages before it as well.
    ChangesNeighbour,
    /// A new table is linked before it is cleared.
    LinksBeforeClearing,
    /// A new table is linked with no barrier after it was cleared.
    LinksWithoutBarrier,
    /// Rights are changed by a load and a store: the dirty state set meanwhile is lost.
    LosesDirtyState,
    /// A table is freed first and invalidated then.
    FreesBeforeInvalidating,
    /// Software translation ignores APTable.
    QueryIgnoresApTable,
    /// Software translation ignores the Access flag.
    QueryIgnoresAccessFlag,
    /// Software translation takes an invalid entry that keeps its other bits for a page.
    QueryTakesInvalid,
    /// Cleaning up looks for empty tables and finds none.
    CleansNothing,
    /// A table is linked where the allocator linked one while it was asked for the frame.
    LinksOverWhatCameMeanwhile,
    /// A split leaves AttrIndx out.
    SplitDropsMemoryType,
    /// A split makes its pages clean.
    SplitDropsDirtyState,
    /// Changing rights makes the page clean, whatever it was.
    ProtectThrowsDirtyStateAway,
    /// A page alone has the Contiguous bit.
    ContiguousAlone,
}

impl Bug {
    /// All of them, with the check that must find it.
    pub(crate) const ALL: &'static [(Self, Check)] = &[
        (Self::ForgetsToInvalidateUnmap, Check::Invalidation),
        (Self::ForgetsToInvalidateProtect, Check::Invalidation),
        (Self::InvalidatesWrongPage, Check::Invalidation),
        (Self::NoBarrierBeforeInvalidating, Check::Invalidation),
        (Self::WeakBarrierAfterInvalidating, Check::Invalidation),
        (Self::RemapsWithoutBreak, Check::Entries),
        (Self::SplitsWithoutBreak, Check::Entries),
        (Self::SplitsWithoutInvalidating, Check::Entries),
        (Self::SplitsBeforeComplete, Check::Entries),
        (Self::WrongExecuteNever, Check::Request),
        (Self::LeavesUserPagesToKernel, Check::Request),
        (Self::ForgetsAccessFlag, Check::Request),
        (Self::PageAsBlock, Check::Entries),
        (Self::BlockAtLevelZero, Check::Entries),
        (Self::LimitsByFirstPage, Check::Request),
        (Self::ChangesNeighbour, Check::Isolation),
        (Self::LinksBeforeClearing, Check::Isolation),
        (Self::LinksWithoutBarrier, Check::Entries),
        (Self::LosesDirtyState, Check::Marks),
        (Self::FreesBeforeInvalidating, Check::Invalidation),
        (Self::QueryIgnoresApTable, Check::Translation),
        (Self::QueryIgnoresAccessFlag, Check::Translation),
        (Self::QueryTakesInvalid, Check::Translation),
        (Self::CleansNothing, Check::Request),
        (Self::LinksOverWhatCameMeanwhile, Check::Isolation),
        (Self::SplitDropsMemoryType, Check::Isolation),
        (Self::SplitDropsDirtyState, Check::Marks),
        (Self::ProtectThrowsDirtyStateAway, Check::Marks),
        (Self::ContiguousAlone, Check::Entries),
    ];
}
