//! A finding, minimised, as it is told.

use core::fmt;

use super::breach::{Breach, Check};
use super::case::Case;
use crate::base::VirtAddr;
use crate::minimise::Extent;

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
    pub(super) story: Vec<String>,
    /// The calls as Rust, when the adapter spells them; else the raw tables.
    pub(super) reproduction: Vec<String>,
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

    /// The minimal case.
    #[must_use]
    pub const fn case(&self) -> &Case {
        &self.case
    }
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
        let calls = self.case.calls.len();
        let plural = if calls == 1 { "" } else { "s" };
        let counted = self.counted.clone().unwrap_or_else(|| format!("{calls} call{plural}"));
        writeln!(f, "case       {counted}; {extent} ({} runs)", self.trials)?;
        if let Some(fault) = self.case.fault {
            let (name, occasion) = (fault.kind.name(), fault.kind.occasion());
            writeln!(f, "fault      {name} at {occasion} {}", fault.nth)?;
        }
        for line in &self.story {
            writeln!(f, "  {line}")?;
        }
        if !self.reproduction.is_empty() {
            writeln!(f, "reproduce")?;
            for line in &self.reproduction {
                writeln!(f, "  {line}")?;
            }
        }
        if let Some(seed) = self.seed {
            let test = self.test.as_deref().unwrap_or("");
            write!(f, "replay     RINGFENCE_SEED={seed} RINGFENCE_CASES=1 cargo test {test}")?;
        }
        Ok(())
    }
}
