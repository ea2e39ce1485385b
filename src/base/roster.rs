//! Who there is: the principals of a world with their names and kinds.

use super::{Principal, PrincipalKind};

/// One principal's entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RosterEntry {
    /// Its name, unique in the world.
    pub name: String,
    /// What sort of actor it is.
    pub kind: PrincipalKind,
    /// Whether the system is documented to stop when it ends.
    pub critical: bool,
}

/// All principals, by number.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Roster(Vec<RosterEntry>);

impl Roster {
    /// Adds a principal and returns its number.
    ///
    /// # Panics
    ///
    /// When there are [`Principal::COUNT_MAX`] already.
    pub fn add(&mut self, name: &str, kind: PrincipalKind, critical: bool) -> Principal {
        assert!(self.0.len() < Principal::COUNT_MAX, "too many principals");
        self.0.push(RosterEntry { name: name.to_owned(), kind, critical });
        Principal(u8::try_from(self.0.len() - 1).expect("few principals"))
    }

    /// Number of principals.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A principal's entry; `None` for a number nobody has.
    #[must_use]
    pub fn get(&self, principal: Principal) -> Option<&RosterEntry> {
        self.0.get(usize::from(principal.0))
    }

    /// A principal's name, `"nobody"` for a number nobody has.
    #[must_use]
    pub fn name(&self, principal: Principal) -> &str {
        self.get(principal).map_or("nobody", |entry| &entry.name)
    }

    /// A principal's kind; a device's for a number nobody has.
    #[must_use]
    pub fn kind(&self, principal: Principal) -> PrincipalKind {
        self.get(principal).map_or(PrincipalKind::Device, |entry| entry.kind)
    }

    /// The principal with this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Principal> {
        let index = self.0.iter().position(|entry| entry.name == name)?;
        u8::try_from(index).ok().map(Principal)
    }

    /// All principals with their entries.
    pub fn iter(&self) -> impl Iterator<Item = (Principal, &RosterEntry)> {
        self.0
            .iter()
            .enumerate()
            .map(|(index, entry)| (Principal(u8::try_from(index).expect("few principals")), entry))
    }
}
