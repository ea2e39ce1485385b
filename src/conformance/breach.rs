//! That something does not hold, before it is minimised and told.

use core::fmt;

use crate::base::VirtAddr;

/// What is checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Check {
    /// 1. Software translation is the architecture's, for every address and any table bytes.
    Translation,
    /// 2. Pages outside the request are unchanged, and no right ever grows.
    Isolation,
    /// What an operation reports as done is done, and what it refuses it refuses for a true reason.
    Request,
    /// 3. Stores and loads go only to frames owned as tables.
    Stores,
    /// 4. Every frame is freed once, and never while reachable.
    Frames,
    /// 5. Nothing that was withdrawn may still be remembered.
    Invalidation,
    /// 6. Entries are well formed, and change only in the orders the architecture allows.
    Entries,
    /// 6. What hardware writes to an entry is not lost.
    Marks,
    /// 7. No panic, no endless loop.
    Totality,
    /// 8. A range is its pages, and map then unmap leaves everything else as it was.
    Equivalence,
    /// A table is written under the lock that guards it. In traces only.
    Locks,
    /// What a root register names: an identifier belongs to one root. In traces only.
    Identifiers,
}

impl Check {
    /// Those of the suite, in the order of a matrix.
    pub const ALL: [Self; 10] = [
        Self::Translation,
        Self::Isolation,
        Self::Request,
        Self::Stores,
        Self::Frames,
        Self::Invalidation,
        Self::Entries,
        Self::Marks,
        Self::Totality,
        Self::Equivalence,
    ];

    /// Its name, as in a report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Translation => "translation",
            Self::Isolation => "isolation",
            Self::Request => "request",
            Self::Stores => "stores",
            Self::Frames => "frames",
            Self::Invalidation => "invalidation",
            Self::Entries => "entries",
            Self::Marks => "marks",
            Self::Totality => "totality",
            Self::Equivalence => "equivalence",
            Self::Locks => "locks",
            Self::Identifiers => "identifiers",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Breach {
    pub(crate) check: Check,
    /// What kind of breach of that check: two breaches with the same check and kind count as one.
    pub(crate) kind: String,
    /// The sentence that tells it.
    pub(crate) what: String,
    /// The address that is now wrong.
    pub(crate) virt: Option<VirtAddr>,
    /// Whose rule it is.
    pub(crate) rule: &'static str,
}

/// How the kind of a breach begins that is a break without a complete invalidation.
pub(crate) const MADE_EARLY: &str = "made before the break is complete";

/// How the kind of a breach begins that is seen between two stores.
pub(crate) const AN_INSTANT: &str = "for an instant";

/// How the kind of a breach ends that is seen from a store on until the call ends.
pub(crate) const TO_THE_END: &str = "to the end of the call";

/// The kind of a breach that is seen within a store which nothing keeps whole.
pub(crate) const SEEN_IN_HALVES: &str = "a store that a compiler may tear is seen in halves";

/// What the kind of a breach says that is about a table which should have been given back.
pub(crate) const AN_EMPTY_TABLE: &str = "an empty table";

/// What makes two breaches the same finding.
pub(crate) type Key = (Check, String);

impl Breach {
    pub(crate) fn key(&self) -> Key {
        (self.check, self.kind.clone())
    }

    /// Whether an invalidation that nobody heard would bring it about.
    pub(crate) fn rests_on_invalidation(&self) -> bool {
        self.check == Check::Invalidation
            || (self.check == Check::Entries && self.kind.starts_with(MADE_EARLY))
    }

    /// Whether what comes after it in the same run proves nothing.
    pub(crate) const fn is_final(&self) -> bool {
        matches!(self.check, Check::Stores | Check::Frames | Check::Totality)
    }

    /// Whether the tables are then other than they should be, so that one bug would be told once more
    /// for each of its consequences in later calls. Wrong answers and refusals leave them as they are, tables
    /// that are kept lead nowhere, and what is seen between two stores only is over when the call returns.
    pub(crate) fn spoils_tables(&self) -> bool {
        match self.check {
            Check::Isolation => !self.kind.starts_with(AN_INSTANT) && self.kind != SEEN_IN_HALVES,
            Check::Translation | Check::Invalidation | Check::Marks => false,
            Check::Request => {
                !self.kind.contains("false refusal") && !self.kind.contains(AN_EMPTY_TABLE)
            }
            _ => true,
        }
    }
}

/// The rule of an interface: what any user of a mapper relies on, whatever the architecture.
pub(crate) const INTERFACE: &str = "the interface: an operation does what it reports and no more";
