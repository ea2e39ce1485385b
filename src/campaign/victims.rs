//! Whose bytes were corrupted, and at whose word.

use crate::authority::{Authority, Corruption};
use crate::base::{Domain, Principal, Roster, Structure};
use crate::outcome::Victim;

use super::judge::Judge;

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

/// The victims of a run, in order, each once. They are seen from those in whom faults struck: who of
/// the kernel's wrote for a struck process has crossed a line for it. Where nothing struck, they are seen
/// from who wrote, or from who told kernel mode to.
pub(super) fn victims(roster: &Roster, judge: &Judge) -> Vec<Victim> {
    let (books, struck) = (&judge.authority, judge.struck());
    let seen = |corruption: &Corruption| {
        let owner = corruption.owner.filter(|owner| struck.contains(*owner));
        let from = owner.or_else(|| struck.iter().next());
        // What kernel mode did to the process in whose context it ran, nobody there told it to.
        let told_by = || told_by(books, roster, corruption);
        let from = from.or_else(|| told_by().filter(|who| corruption.owner != Some(*who)));
        let from = from.unwrap_or(corruption.culprit);
        Domain::of(roster, from, corruption.owner, corruption.structure)
    };
    let mut victims: Vec<Victim> = books
        .corruptions()
        .iter()
        .filter_map(|corruption| match seen(corruption) {
            // A section is written with leave, whoever it belongs to.
            _ if corruption.structure == Structure::SharedSection => Some(Victim::OwnDomain),
            Domain::Nobody => None,
            Domain::Own => Some(Victim::OwnDomain),
            Domain::Application | Domain::DriverHost => Some(Victim::AnotherProcess),
            Domain::KernelDriver | Domain::FileSystem => Some(Victim::AnotherDriver),
            Domain::Kernel => Some(Victim::Kernel),
            Domain::PageTable => Some(Victim::PageTables),
        })
        .collect();
    victims.sort_unstable();
    victims.dedup();
    victims
}
