//! What a run of the suite came to.

use core::fmt;

use super::breach::Check;
use super::declared::Declared;
use super::fault::FaultKind;
use super::finding::Finding;
use super::run::Tally;
use super::subject::{Capabilities, Capability};
use crate::base::{Digest, counted};

/// What a run of the suite came to: findings, what was skipped, how much was tried.
#[derive(Clone, Debug)]
pub struct Report {
    pub(super) findings: Vec<Finding>,
    pub(super) declared: Declared,
    pub(super) cases: u64,
    pub(super) seed: u64,
    pub(super) tally: Tally,
    pub(super) digest: Digest,
    pub(super) walker: bool,
    /// An instance was made, and said what it declares.
    pub(super) is_asked: bool,
    /// It was made in a process that is gone.
    pub(super) is_lost: bool,
    /// How many cases are usual, where it ran fewer by itself.
    pub(super) usual: Option<u64>,
    /// The format has barriers.
    pub(super) has_barriers: bool,
    /// Entries of the root that the code keeps for itself.
    pub(super) reserved: Vec<u64>,
}

impl Report {
    pub(super) fn empty(seed: u64) -> Self {
        Self {
            findings: Vec::new(),
            declared: Declared::default(),
            cases: 0,
            seed,
            tally: Tally::default(),
            digest: Digest::default(),
            walker: false,
            is_asked: false,
            is_lost: false,
            usual: None,
            has_barriers: false,
            reserved: Vec::new(),
        }
    }

    /// The findings, each kind once, in the order in which they were found.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether a check found something.
    #[must_use]
    pub fn has(&self, check: Check) -> bool {
        self.findings.iter().any(|finding| finding.check() == check)
    }

    /// A fingerprint of all outcomes: the same in every profile, unless arithmetic wraps in one.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// How many cases were run.
    #[must_use]
    pub const fn cases(&self) -> u64 {
        self.cases
    }

    /// How often a fault struck.
    #[must_use]
    pub fn strikes(&self, kind: FaultKind) -> u64 {
        self.tally.strikes.get(kind as usize).copied().unwrap_or(0)
    }

    /// What was not tried, each with the reason.
    #[must_use]
    pub fn skipped(&self) -> Vec<String> {
        let mut skipped = Vec::new();
        if !self.is_asked {
            return vec!["everything: no instance came to say what it declares".to_owned()];
        }
        for capability in Capabilities::EVERY {
            let is_met = !self.walker && (capability != Capability::Barriers || self.has_barriers);
            if is_met && !self.declared.capabilities.has(capability) {
                skipped.push(format!("{}: not declared", consequence(capability)));
            }
        }
        skipped.extend(self.declared.skipped(self.tally.told));
        if let Some(usual) = self.usual {
            skipped.push(format!(
                "cases up to {usual}: accesses are trapped, which takes long; RINGFENCE_CASES={usual} runs them"
            ));
        }
        if !self.reserved.is_empty() {
            skipped.push(format!("what entries {:?} of the root lead to: reserved", self.reserved));
        }
        if self.tally.has_pointers {
            let text = "the order of stores between two hooks: the code has raw pointers";
            skipped.push(text.to_owned());
        }
        if self.tally.has_unseen_loads {
            let text = "loads of frames that are no tables: only stores are trapped";
            skipped.push(text.to_owned());
        }
        for name in self.tally.tried.difference(&self.tally.done) {
            skipped.push(format!("{name}: never done, always refused"));
        }
        skipped
    }
}

const fn consequence(capability: Capability) -> &'static str {
    match capability {
        Capability::Protect => "protect",
        Capability::Query => "software translation",
        Capability::Pages2M => "pages of 2 MiB",
        Capability::Pages1G => "pages of 1 GiB",
        Capability::Ranges => "ranges",
        Capability::CleanUp => "clean-up",
        Capability::FreesOnDrop => "frames left on drop",
        Capability::Invalidates => "invalidations",
        Capability::AllocationFailure => "failing allocations",
        Capability::HardwareMarks => "accessed and dirty flags set meanwhile",
        Capability::KeepsAccessed => "accessed flags set meanwhile and lost",
        Capability::ForeignEntries => "entries that others wrote to",
        Capability::HiddenEntries => "entries that others made invalid",
        Capability::MapsOverHidden => "entries that others made invalid, in the way of a new page",
        Capability::AlteredTables => "flipped bits of tables",
        Capability::Abandonment => "abandoned operations",
        Capability::UpperHalf => "the upper half",
        Capability::Barriers => "barriers around invalidations",
        Capability::Pages4K => "pages of 4 KiB",
        Capability::Reentry => "an allocator that calls back in",
        Capability::UnmapFrees => "tables that unmap leaves empty",
        Capability::KeepsAttributes => "what protect does to memory types and bits of software",
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}\n")?;
        }
        let Tally { calls, refused, stores, .. } = &self.tally;
        writeln!(f, "cases      {}, from seed {}", self.cases, self.seed)?;
        if self.is_lost {
            writeln!(f, "calls      not counted: the process that made them is gone")?;
        } else if self.walker {
            writeln!(f, "addresses  {calls}")?;
        } else {
            writeln!(f, "calls      {calls}, refused {refused}, stores {stores}")?;
            for (why, count) in &self.tally.declined {
                writeln!(f, "declined   {why}: {}", counted(*count, "time"))?;
            }
            for kind in FaultKind::ALL {
                let strikes = self.strikes(kind);
                if strikes > 0 {
                    writeln!(f, "struck     {} {strikes} times", kind.name())?;
                }
            }
            if self.strikes(FaultKind::LostInvalidation) > 0 {
                let noticed = self.tally.lost_noticed;
                writeln!(f, "           lost invalidations that a page depended on: {noticed}")?;
            }
        }
        for skipped in self.skipped() {
            writeln!(f, "skipped    {skipped}")?;
        }
        writeln!(f, "digest     {}", self.digest)?;
        write!(f, "findings   {}", self.findings.len())
    }
}
