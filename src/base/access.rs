//! What is attempted, and from which privilege.

use serde::{Deserialize, Serialize};

/// One kind of memory access, as the architecture distinguishes them when it checks rights.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// A data read.
    Read,
    /// A data write. A locked read-modify-write is checked as one write.
    Write,
    /// An instruction fetch.
    Execute,
}

impl Access {
    /// Its name in messages and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Execute => "execute",
        }
    }
}

/// Who is asking. Deliberately not `Ord`: on x86 the *smaller* ring is the *greater* privilege.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ring {
    /// Current privilege level 0.
    Kernel,
    /// Current privilege level 3.
    User,
}

impl Ring {
    /// Its name in messages: the mode that runs there.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::User => "user",
        }
    }
}
