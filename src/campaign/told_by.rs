//! At whose word did kernel mode write where it should not?

use crate::authority::{Authority, Corruption};
use crate::base::{Principal, Roster};

/// The process that told kernel mode where to write: kernel mode then takes its own memory for the
/// process's. Nobody, where kernel mode knew what it wrote.
#[must_use]
pub fn told_by(books: &Authority, roster: &Roster, corruption: &Corruption) -> Option<Principal> {
    books.trespasses().iter().find_map(|one| {
        let is_this = one.ordinal == corruption.ordinal && one.event.actor == corruption.culprit;
        let context = one.event.context;
        (is_this && one.event.structure.is_user() && roster.kind(context).is_process())
            .then_some(context)
    })
}
