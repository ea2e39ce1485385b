//! A finding, minimised, as it is told.

use core::fmt;

use super::breach::{Breach, Check};
use super::case::Case;
use crate::base::VirtAddr;
use crate::minimise::Extent;

/// How somebody else makes it again.
#[derive(Clone, Default, Debug)]
pub(super) struct Reproduction {
    /// A test without this crate, when the adapter spells what that takes.
    pub(super) test: Option<String>,
    /// The calls as Rust, when it spells those.
    pub(super) calls: Vec<String>,
    /// The raw tables when the breach was there.
    pub(super) tables: Vec<String>,
}

/// What does not hold, with the least that shows it.
#[derive(Clone, Debug)]
pub struct Finding {
    pub(super) breach: Breach,
    pub(super) case: Case,
    pub(super) seed: Option<u64>,
    pub(super) format: &'static str,
    /// How much the case holds, where that is no calls.
    pub(super) counted: Option<String>,
    pub(super) extent: Extent,
    pub(super) trials: u32,
    /// The case is one that somebody gave, as it is.
    pub(super) is_given: bool,
    pub(super) story: Vec<String>,
    pub(super) reproduction: Reproduction,
    pub(super) test: Option<String>,
}

impl Finding {
    /// Which check found it.
    #[must_use]
    pub const fn check(&self) -> Check {
        self.breach.check
    }

    /// What kind of breach of that check; stable between runs.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.breach.kind
    }

    /// The sentence that tells it.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.breach.what
    }

    /// The address that is now wrong, if it is about one.
    #[must_use]
    pub const fn virt(&self) -> Option<VirtAddr> {
        self.breach.virt
    }

    /// The seed of the case in which it was found; `None` when that was drawn from bytes.
    #[must_use]
    pub const fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// A test that reproduces it without this crate: a function with `#[test]` that needs nothing but the
    /// crate under test, and fails as long as the bug is there. `None` when the adapter does not spell
    /// its calls ([`Mapper::spell`](super::Mapper::spell)), or when a test can't look at the finding: it
    /// is seen between two stores only, or rests on a fault other than an allocation that fails.
    #[must_use]
    pub fn standalone(&self) -> Option<&str> {
        self.reproduction.test.as_deref()
    }

    /// The tables at the instant of the finding, a line each: frame, index, value, and the value decoded.
    /// Empty for a walker, whose tables are in the story.
    #[must_use]
    pub fn tables(&self) -> &[String] {
        &self.reproduction.tables
    }

    /// The minimal case.
    #[must_use]
    pub const fn case(&self) -> &Case {
        &self.case
    }
}

/// How many calls a case has.
pub(super) fn counted(case: &Case) -> String {
    let calls = case.calls.len();
    format!("{calls} call{}", if calls == 1 { "" } else { "s" })
}

fn section(f: &mut fmt::Formatter<'_>, head: &str, lines: &[String]) -> fmt::Result {
    if !lines.is_empty() {
        writeln!(f, "{head}")?;
    }
    let mut lines = lines.iter().flat_map(|text| text.lines());
    lines.try_for_each(|line| writeln!(f, "  {line}"))
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "finding    {}: {}", self.breach.check, self.breach.kind)?;
        writeln!(f, "because    it {}", self.breach.what)?;
        if let Some(virt) = self.breach.virt {
            writeln!(f, "address    {virt}")?;
        }
        writeln!(f, "rule       {}", self.breach.rule)?;
        writeln!(f, "format     {}", self.format)?;
        let extent = match self.extent {
            Extent::OneMinimal => "nothing can be left out",
            Extent::BudgetHit => "perhaps not the least: the budget was spent",
        };
        let counted = self.counted.clone().unwrap_or_else(|| counted(&self.case));
        if self.is_given {
            writeln!(f, "case       {counted}, as given")?;
        } else if self.trials == 0 {
            writeln!(f, "case       {counted}; not minimised: alone it ends no process")?;
        } else {
            writeln!(f, "case       {counted}; {extent} ({} runs)", self.trials)?;
        }
        if let Some(fault) = self.case.fault {
            let (name, occasion) = (fault.kind.name(), fault.kind.occasion());
            writeln!(f, "fault      {name} at {occasion} {}", fault.nth)?;
        }
        for line in &self.story {
            writeln!(f, "  {line}")?;
        }
        let Reproduction { test, calls, tables } = &self.reproduction;
        if let Some(test) = test {
            writeln!(f, "reproduce  without ringfence, by this test")?;
            for line in test.lines() {
                writeln!(f, "  {line}")?;
            }
        } else {
            section(f, "reproduce  by these calls", calls)?;
            section(f, "tables     at this instant, words that are not 0", tables)?;
        }
        if let Some(seed) = self.seed {
            let variables = format!("RINGFENCE_SEED={seed} RINGFENCE_CASES=1");
            match &self.test {
                Some(test) => write!(f, "replay     {variables} cargo test {test}")?,
                None => write!(f, "replay     the same program, with {variables}")?,
            }
        }
        Ok(())
    }
}
