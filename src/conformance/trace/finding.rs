//! A finding in a trace, as it is told.

use core::fmt;

use crate::base::VirtAddr;
use crate::conformance::breach::{Breach, Check};

/// One entry before and after a store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Where the entry lies.
    pub at: u64,
    /// Its level, as the manual numbers them.
    pub level: u8,
    /// The first address that it translates.
    pub first: VirtAddr,
    /// Its bits before.
    pub before: u64,
    /// Its bits after.
    pub after: u64,
    /// The bits before, in words.
    pub before_told: String,
    /// The bits after, in words.
    pub after_told: String,
}

/// What does not hold after one event of a trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    pub(super) breach: Breach,
    pub(super) processor: u16,
    pub(super) line: u64,
    pub(super) change: Option<Change>,
    pub(super) since: Option<(u64, u16)>,
    pub(super) format: &'static str,
}

impl Finding {
    /// Which check found it.
    #[must_use]
    pub const fn check(&self) -> Check {
        self.breach.check
    }

    /// What kind of breach of that check.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.breach.kind
    }

    /// What the processor does, as a sentence without its subject.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.breach.what
    }

    /// Whose rule it is, by the manual's title.
    #[must_use]
    pub const fn rule(&self) -> &'static str {
        self.breach.rule
    }

    /// The address that is now wrong.
    #[must_use]
    pub const fn virt(&self) -> Option<VirtAddr> {
        self.breach.virt
    }

    /// The line of the event.
    #[must_use]
    pub const fn line(&self) -> u64 {
        self.line
    }

    /// Who did it.
    #[must_use]
    pub const fn processor(&self) -> u16 {
        self.processor
    }

    /// The entry that was stored to, if it was a store to a table.
    #[must_use]
    pub const fn change(&self) -> Option<&Change> {
        self.change.as_ref()
    }

    /// The line of the store that withdrew what is still held, and its processor.
    #[must_use]
    pub const fn since(&self) -> Option<(u64, u16)> {
        self.since
    }

    /// The table format.
    #[must_use]
    pub const fn format(&self) -> &'static str {
        self.format
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "finding    {}: {}", self.breach.check, self.breach.kind)?;
        writeln!(f, "because    processor {} {}", self.processor, self.breach.what)?;
        if let Some(virt) = self.breach.virt {
            writeln!(f, "address    {virt}")?;
        }
        if let Some(change) = &self.change {
            let (level, first) = (change.level, change.first);
            writeln!(f, "entry      {:#x}, level {level}, for {first}", change.at)?;
            writeln!(f, "  before   {:#018x}  {}", change.before, change.before_told)?;
            writeln!(f, "  after    {:#018x}  {}", change.after, change.after_told)?;
        }
        if let Some((line, processor)) = self.since {
            writeln!(f, "withdrawn  by processor {processor} at line {line}")?;
        }
        writeln!(f, "rule       {}", self.breach.rule)?;
        write!(f, "format     {}", self.format)
    }
}
