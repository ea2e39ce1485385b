//! Does what is mapped permit what is asked?
//!
//! Intel SDM volume 3A, "Determination of Access Rights" and "Protection Keys". Shared by the walk
//! and by the cached translations, which must give the same answer.

use super::controls::{ControlFlags, Controls, Request};
use super::entry::Entry;
use crate::base::Access;

/// The rights of a translation or of the tables passed so far: what every entry on the way allows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
pub struct Rights(u8);

impl Rights {
    /// U/S is 1 in every entry: a user-mode address.
    pub const USER: Self = Self(1);
    /// R/W is 1 in every entry.
    pub const WRITABLE: Self = Self(2);
    /// XD is 0 in every entry.
    pub const EXECUTABLE: Self = Self(4);
    /// R/W is 0 and D is 1 in the leaf, and R/W is 1 in every other entry: a shadow-stack address.
    pub const SHADOW_STACK: Self = Self(8);
    /// What the root grants before any entry is read.
    pub const ROOT: Self = Self(7);

    /// The rights in the low four bits, in the order of the constants above.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 15)
    }

    /// As bits, in the order of the constants above.
    #[must_use]
    #[inline(always)]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether every right of `other` is among these.
    #[must_use]
    #[inline(always)]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What remains of these rights below an entry that names a table.
    #[must_use]
    #[inline(always)]
    pub const fn through_table(self, entry: Entry) -> Self {
        // R/W and U/S are neighbours in an entry, in the other order than here.
        let writable = if entry.has(Entry::RW) { Self::WRITABLE.0 } else { 0 };
        let user = if entry.has(Entry::US) { Self::USER.0 } else { 0 };
        let executable = if entry.has(Entry::XD) { 0 } else { Self::EXECUTABLE.0 };
        Self(self.0 & (writable | user | executable))
    }

    /// What the page of a leaf grants below tables with these rights.
    #[must_use]
    #[inline(always)]
    pub const fn through_leaf(self, entry: Entry) -> Self {
        let shadow_stack = self.has(Self::WRITABLE) && entry.0 & (Entry::RW | Entry::D) == Entry::D;
        let below = self.through_table(entry).0;
        Self(if shadow_stack { below | Self::SHADOW_STACK.0 } else { below })
    }
}

/// Why an access to a mapped page is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// A protection key forbids it, perhaps among other reasons; the error code says so.
    pub by_key: bool,
}

/// Returns why `request` is refused on a page with these rights and this key, `None` when it is
/// allowed.
#[must_use]
#[inline(always)]
pub const fn refusal(
    controls: &Controls,
    request: &Request,
    rights: Rights,
    key: u8,
) -> Option<Refusal> {
    let by_key = key_forbids(controls, request, rights, key);
    if by_key || !is_granted(controls, request, rights) { Some(Refusal { by_key }) } else { None }
}

#[inline(always)]
const fn is_granted(controls: &Controls, request: &Request, rights: Rights) -> bool {
    let flags = controls.flags;
    let user_address = rights.has(Rights::USER);
    let user_mode = request.is_user_mode();
    if request.is_shadow_stack(controls) {
        return rights.has(Rights::SHADOW_STACK) && user_address == user_mode;
    }
    if user_mode && !user_address {
        return false;
    }
    let supervisor_on_user = user_address && !user_mode;
    if let Access::Execute = request.access {
        return rights.has(Rights::EXECUTABLE)
            && !(supervisor_on_user && flags.has(ControlFlags::SMEP));
    }
    let ac_counts = request.ac && !request.implicit;
    let stopped_by_smap = supervisor_on_user && flags.has(ControlFlags::SMAP) && !ac_counts;
    if stopped_by_smap {
        return false;
    }
    match request.access {
        Access::Write => {
            rights.has(Rights::WRITABLE) || (!user_mode && !flags.has(ControlFlags::WP))
        }
        _ => true,
    }
}

/// Whether PKRU (user-mode addresses) or `IA32_PKRS` (supervisor-mode addresses) forbids the access.
/// WD binds supervisor-mode writes only with CR0.WP; `IA32_PKRS` is about supervisor-mode addresses,
/// for which WD always needs CR0.WP.
#[inline(always)]
const fn key_forbids(controls: &Controls, request: &Request, rights: Rights, key: u8) -> bool {
    let flags = controls.flags;
    let user_address = rights.has(Rights::USER);
    let (enabled, register) = if user_address {
        (flags.has(ControlFlags::PKE), controls.pkru)
    } else {
        (flags.has(ControlFlags::PKS), controls.pkrs)
    };
    if !enabled {
        return false;
    }
    let pair = register >> (2 * (key & 15));
    let access_disabled = pair & 1 != 0;
    let write_disabled = pair & 2 != 0;
    match request.access {
        Access::Execute => false,
        Access::Read => access_disabled,
        Access::Write => {
            let binds = flags.has(ControlFlags::WP) || (user_address && request.is_user_mode());
            access_disabled || (write_disabled && binds)
        }
    }
}
