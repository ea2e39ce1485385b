//! What became of it? Plain data.
//!
//! Integrity and availability are two axes and never folded into one order: silent corruption is
//! worse than a bug check for the one and better for the other. The one derived order, [`Class`],
//! exists for tables and snapshots and says what it puts first.

mod class;

pub use class::Class;

use serde::{Serialize, Serializer};

use crate::base::{Digest, TraceHash};

/// Whether the plan struck.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Activation {
    /// How often.
    pub strikes: u64,
    /// The number of the event that the first strike is, from 1.
    pub first: Option<u64>,
    /// Who was about to act at the first strike.
    pub by: Option<String>,
    /// In which routine.
    pub routine: Option<String>,
    /// The faults of the plan that never struck, in order, with the reason.
    pub missed: Vec<Missed>,
}

/// A fault of the plan that never struck.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Missed {
    /// Its place in the plan, from 0.
    pub number: u64,
    /// Why.
    pub why: WhyMissed,
}

/// Why a fault never struck.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhyMissed {
    /// The run did not come to the point that it waits for.
    PointNotReached {
        /// Points of the sort that were reached.
        reached: u64,
        /// The how-manieth of them it waits for.
        wanted: u64,
    },
    /// The point was reached, and there was nothing to alter: its target is not there, or holds already
    /// what it would have made of it.
    NothingThere,
}

impl core::fmt::Display for WhyMissed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::PointNotReached { reached: 0, wanted: _ } => {
                f.write_str("no such point was reached")
            }
            Self::PointNotReached { reached, wanted } => {
                write!(f, "only {reached} such points were reached, and it waits for number {wanted}")
            }
            Self::NothingThere => f.write_str(
                "its point was reached, but there was nothing to alter: the target is not there, or \
                 holds that already",
            ),
        }
    }
}

/// The worst that became of stored data, from harmless to lasting.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Integrity {
    /// No byte was corrupted.
    #[default]
    Untouched,
    /// Corrupt bytes were overwritten, or their memory given back, before anybody read them.
    Overwritten,
    /// Corrupt bytes are there at the end, and nobody read them.
    Dormant,
    /// Somebody read corrupt bytes.
    Consumed,
    /// What somebody else can observe differs from the golden run, and not for want of service alone.
    Deviated,
    /// The disk holds at rest what it does not hold in the golden run, beyond the influence relation:
    /// that survives a reboot.
    Durable,
}

impl Integrity {
    /// Every value, from harmless to lasting.
    pub const ALL: [Self; 6] = [
        Self::Untouched,
        Self::Overwritten,
        Self::Dormant,
        Self::Consumed,
        Self::Deviated,
        Self::Durable,
    ];

    /// Its name in files and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Untouched => "untouched",
            Self::Overwritten => "overwritten",
            Self::Dormant => "dormant",
            Self::Consumed => "consumed",
            Self::Deviated => "deviated",
            Self::Durable => "durable",
        }
    }
}

/// Whose bytes were corrupted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Victim {
    /// The one in whom the fault struck.
    OwnDomain,
    /// A process.
    AnotherProcess,
    /// A kernel-mode driver.
    AnotherDriver,
    /// The kernel.
    Kernel,
    /// Page tables.
    PageTables,
    /// Nobody yet: the memory was free. Whoever gets it next meets what is in it.
    FreeMemory,
}

/// The worst that became of service, from harmless to lasting.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Availability {
    /// Everybody got what they got in the golden run.
    #[default]
    Unaffected,
    /// A request ended with another status.
    RequestFailed {
        /// The status.
        status: u64,
    },
    /// The process in which the fault struck never finished; everybody else did.
    ProcessHung,
    /// A process was never made that was in the golden run.
    ProcessMissing,
    /// A process ended that did not, or not so.
    ProcessLost {
        /// Its last status.
        status: u64,
    },
    /// A driver host ended.
    HostLost {
        /// Whether it runs again.
        restarted: bool,
    },
    /// A device was given up.
    DeviceDisabled,
    /// Somebody never finished.
    Hang,
    /// The kernel stopped itself.
    BugCheck {
        /// The code.
        #[serde(serialize_with = "hex")]
        code: u64,
        /// The four parameters.
        #[serde(serialize_with = "each_in_hex")]
        parameters: [u64; 4],
    },
    /// The machine restarted without a dump.
    Reset,
    /// The machine stops at every boot.
    BootLoop {
        /// The first bug check's code; 0 for a reset.
        #[serde(serialize_with = "hex")]
        code: u64,
        /// Its four parameters.
        #[serde(serialize_with = "each_in_hex")]
        parameters: [u64; 4],
    },
}

/// A number as a hexadecimal string: an address is more than many readers of JSON keep of a number.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn hex<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{value:#x}"))
}

/// Each of them as [`hex`] has one.
fn each_in_hex<S: Serializer>(values: &[u64; 4], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.map(|value| format!("{value:#x}")))
}

impl Availability {
    /// The names of all values, from harmless to lasting.
    pub const NAMES: [&'static str; 11] = [
        "unaffected",
        "request-failed",
        "process-hung",
        "process-missing",
        "process-lost",
        "host-lost",
        "device-disabled",
        "hang",
        "bug-check",
        "reset",
        "boot-loop",
    ];

    /// Its name in files and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        let number = match self {
            Self::Unaffected => 0,
            Self::RequestFailed { .. } => 1,
            Self::ProcessHung => 2,
            Self::ProcessMissing => 3,
            Self::ProcessLost { .. } => 4,
            Self::HostLost { .. } => 5,
            Self::DeviceDisabled => 6,
            Self::Hang => 7,
            Self::BugCheck { .. } => 8,
            Self::Reset => 9,
            Self::BootLoop { .. } => 10,
        };
        Self::NAMES[number]
    }
}

/// How long damage lay there before anybody read it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Sleep {
    /// Steps from the first strike.
    pub steps: u64,
    /// What happened then.
    pub end: SleepEnd,
}

/// What ended the sleep of damage.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SleepEnd {
    /// Somebody read a corrupt byte.
    Read,
    /// The last corrupt byte was overwritten, or its memory given back.
    Overwritten,
    /// The machine stopped, and memory was lost.
    Stopped,
    /// The run ended.
    RunEnded,
}

impl SleepEnd {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::Read, Self::Overwritten, Self::Stopped, Self::RunEnded];

    /// Its name in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Overwritten => "overwritten",
            Self::Stopped => "stopped",
            Self::RunEnded => "run ended",
        }
    }
}

/// Who noticed, and whom they blamed. What the golden run raises as well has noticed nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Detection {
    /// What noticed: the name of an exception, of a bug check, of a fault that the IOMMU reports, of a time-out.
    pub by: String,
    /// Events to it from the first strike; of several faults, from the last strike before it.
    pub events: u64,
    /// Whose code was running when it was noticed, which device was refused, or which host was ended.
    pub blamed: String,
    /// Who did it; `memory itself` where nobody did. Of several faults that had struck, whoever may have.
    pub did: String,
}

/// What became of one experiment.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Outcome {
    /// Whether the plan struck.
    pub activation: Activation,
    /// What became of stored data.
    pub integrity: Integrity,
    /// Whose bytes were corrupted, in order, each once.
    pub victims: Vec<Victim>,
    /// Whose corrupt bytes somebody read.
    pub read: Vec<Victim>,
    /// Whose bytes are corrupt at the end, as nobody has seen yet.
    pub unread: Vec<Victim>,
    /// Whose observations differ, or who ended otherwise, beyond the influence relation.
    pub deviated: Vec<String>,
    /// Whose observations differ, or who ended otherwise, as the influence relation allows: those in whom faults
    /// struck, and whom they may influence.
    pub by_leave: Vec<String>,
    /// Whether the disk was left other than in the golden run, as the influence relation allows.
    pub stored_by_leave: bool,
    /// Whether all that was planned is legal at any time.
    pub is_disorder: bool,
    /// Whether memory in use, stacks apart, was left other than in the golden run. Asked only where nothing else is other.
    pub memory_differs: bool,
    /// What became of service.
    pub availability: Availability,
    /// Devices that lost their host, which several may share, beyond those of the golden run.
    pub devices_lost: u64,
    /// Words that reached a principal that may not read them.
    pub disclosed: u64,
    /// How long damage slept; none where there was no damage.
    pub sleep: Option<Sleep>,
    /// Who noticed first.
    pub detection: Option<Detection>,
    /// Guarantees violated: not empty means a bug in the code under test.
    pub guarantees: Vec<String>,
    /// Invariants that did not hold, where the architecture promises nothing.
    pub exposures: Vec<String>,
}

impl Outcome {
    /// The one class that tables and snapshots show.
    #[must_use]
    pub fn class(&self) -> Class {
        Class::of(self)
    }

    /// A fingerprint of the whole outcome.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hash = TraceHash::default();
        hash.absorb_bytes(format!("{self:?}").as_bytes());
        hash.digest()
    }
}

#[cfg(test)]
mod tests;
