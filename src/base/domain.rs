//! Whose memory was hit, seen from who hit it.

use serde::{Deserialize, Serialize};

use super::{Principal, PrincipalKind, Roster, Structure};

/// Whose memory was hit, seen from who hit it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Domain {
    /// Nobody's.
    Nobody,
    /// The actor's own, but not as what it meant to write, or not by its own will.
    Own,
    /// Another application's.
    Application,
    /// Another driver host's.
    DriverHost,
    /// Another kernel-mode driver's.
    KernelDriver,
    /// Another file-system driver's.
    FileSystem,
    /// The kernel's.
    Kernel,
    /// A page table, whosever.
    PageTable,
}

impl Domain {
    /// All of them, in order.
    pub const ALL: [Self; 8] = [
        Self::Nobody,
        Self::Own,
        Self::Application,
        Self::DriverHost,
        Self::KernelDriver,
        Self::FileSystem,
        Self::Kernel,
        Self::PageTable,
    ];

    /// The domain of a range, seen from `actor`; `owner` is `None` when it is nobody's. Memory that changed by
    /// itself has no actor: nothing is its own.
    #[must_use]
    pub fn of(
        roster: &Roster,
        actor: Option<Principal>,
        owner: Option<Principal>,
        structure: Structure,
    ) -> Self {
        match (structure, owner) {
            (Structure::PageTable, _) => Self::PageTable,
            (_, None) => Self::Nobody,
            (_, Some(owner)) if actor == Some(owner) => Self::Own,
            (_, Some(owner)) => match roster.kind(owner) {
                PrincipalKind::Application => Self::Application,
                PrincipalKind::DriverHost => Self::DriverHost,
                PrincipalKind::KernelDriver => Self::KernelDriver,
                PrincipalKind::FileSystem => Self::FileSystem,
                PrincipalKind::Device => Self::Nobody,
                PrincipalKind::Kernel | PrincipalKind::Hal => Self::Kernel,
            },
        }
    }

    /// Its name in messages and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Own => "own",
            Self::Application => "application",
            Self::DriverHost => "driver-host",
            Self::KernelDriver => "kernel-driver",
            Self::FileSystem => "file-system",
            Self::Kernel => "kernel",
            Self::PageTable => "page-table",
        }
    }
}
