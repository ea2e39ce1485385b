//! One class per outcome, with its precedence.

use core::fmt;

use serde::Serialize;

use super::{Availability, Integrity, Outcome, Victim};

macro_rules! classes {
    ($($(#[doc = $doc:literal])* $Name:ident = $text:literal,)*) => {
        /// The class of an outcome. The first in this list that applies is taken.
        ///
        /// Violated guarantees come first: they are bugs of the code under test and not results.
        /// Then what stops the whole machine, then what reached somebody else in silence, then what
        /// was lost in the open, then what stayed at home. Free memory is nobody's home: what is corrupt
        /// there waits for whoever gets it.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Class { $($(#[doc = $doc])* $Name,)* }

        impl Class {
            /// All classes, in order of precedence.
            pub const ALL: &'static [Self] = &[$(Self::$Name,)*];

            /// Its name in tables and snapshots.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$Name => $text,)* }
            }

            /// What it means, in one sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$Name => concat!($($doc),*).trim_ascii(),)* }
            }
        }
    };
}

classes! {
    /// A guarantee was violated.
    GuaranteeViolated = "guarantee-violated",
    /// The machine stops at every boot.
    BootLoop = "boot-loop",
    /// The machine restarted without a dump.
    Reset = "reset",
    /// The kernel stopped itself.
    BugCheck = "bug-check",
    /// Somebody other than the one in whom the fault struck never finished, or nobody could go on.
    Hang = "hang",
    /// The disk was left other than in the golden run, beyond what the fault may change.
    Durable = "durable-damage",
    /// Somebody else's results or end differ, and the machine went on.
    Deviated = "others-deviated",
    /// Bytes reached somebody who may not read them.
    Disclosed = "disclosed",
    /// Bytes of somebody else, or of free memory, were corrupted and read.
    Consumed = "consumed",
    /// Bytes of somebody else, or of free memory, are corrupt, and nobody has read them yet.
    Dormant = "dormant",
    /// Legal disorder only: who share something came in another order, and have other results or left other data on the disk.
    OtherOrder = "other-order",
    /// A device was given up.
    DeviceDisabled = "device-disabled",
    /// A driver host ended.
    HostLost = "host-lost",
    /// A process ended, or was never made.
    ProcessLost = "process-lost",
    /// The process in which the fault struck never finished.
    ProcessHung = "process-hung",
    /// A request ended with another status.
    RequestFailed = "request-failed",
    /// The one in whom the fault struck, or somebody whom it may influence, has other results, left other data on the disk, or has or had corrupt bytes, and nobody else does.
    OwnDamage = "own-damage",
    /// What was corrupted was overwritten, or its memory given back, before anybody read it.
    Overwritten = "overwritten",
    /// Memory in use is left other than without the fault, and nobody's results or service are.
    Latent = "latent",
    /// The fault struck, and no results, service or memory in use, stacks apart, are other than without it.
    NoEffect = "no-effect",
    /// The fault never struck.
    NotActivated = "not-activated",
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Class {
    /// The class of an outcome.
    #[must_use]
    pub(super) fn of(outcome: &Outcome) -> Self {
        if !outcome.guarantees.is_empty() {
            return Self::GuaranteeViolated;
        }
        // What a plan that never struck leaves is the world's own doing.
        if outcome.activation.strikes == 0 && !outcome.activation.missed.is_empty() {
            return Self::NotActivated;
        }
        match outcome.availability {
            Availability::BootLoop { .. } => return Self::BootLoop,
            Availability::Reset => return Self::Reset,
            Availability::BugCheck { .. } => return Self::BugCheck,
            Availability::Hang => return Self::Hang,
            _ => {}
        }
        if outcome.activation.strikes == 0 {
            return Self::NotActivated;
        }
        if outcome.integrity == Integrity::Durable {
            return Self::Durable;
        }
        if !outcome.deviated.is_empty() {
            return Self::Deviated;
        }
        if outcome.disclosed > 0 {
            return Self::Disclosed;
        }
        let others = |whose: &[Victim]| whose.iter().any(|victim| *victim != Victim::OwnDomain);
        if others(&outcome.read) {
            return Self::Consumed;
        }
        if others(&outcome.unread) {
            return Self::Dormant;
        }
        let is_other = !outcome.by_leave.is_empty() || outcome.stored_by_leave;
        if is_other && outcome.is_disorder && outcome.integrity == Integrity::Untouched {
            return Self::OtherOrder;
        }
        match outcome.availability {
            Availability::DeviceDisabled => Self::DeviceDisabled,
            Availability::HostLost { .. } => Self::HostLost,
            Availability::ProcessLost { .. } | Availability::ProcessMissing => Self::ProcessLost,
            Availability::ProcessHung => Self::ProcessHung,
            Availability::RequestFailed { .. } => Self::RequestFailed,
            _ if is_other => Self::OwnDamage,
            _ => match outcome.integrity {
                Integrity::Untouched if outcome.memory_differs => Self::Latent,
                Integrity::Untouched => Self::NoEffect,
                Integrity::Overwritten => Self::Overwritten,
                _ => Self::OwnDamage,
            },
        }
    }
}
