//! What a fault damaged: what the books found beside what the golden run does by itself.
//!
//! A world with a weakness damages itself. What it does in the golden run, it does in the others too,
//! perhaps elsewhere and at another time: it is known by who did it to whom, as what.

use crate::authority::{Authority, Corruption, Disclosure};
use crate::base::{Domain, Principal, Roster, Structure};
use crate::outcome::Victim;

use super::judge::Judge;
use super::told_by::told_by;

/// What a world does to itself without any fault.
#[derive(Clone, Debug, Default)]
pub struct OwnDoing {
    corruptions: Vec<Corruption>,
    disclosures: Vec<Disclosure>,
}

impl OwnDoing {
    /// What these books, of a golden run at its end, found.
    pub(super) fn found_by(books: &Authority) -> Self {
        let mut own = Self::default();
        for one in books.corruptions() {
            if !own.has_corruption(one) {
                own.corruptions.push(*one);
            }
        }
        for one in books.disclosures() {
            if !own.has_disclosure(one) {
                own.disclosures.push(*one);
            }
        }
        own
    }

    pub(crate) fn has_corruption(&self, one: &Corruption) -> bool {
        let key = |one: &Corruption| (one.culprit, one.owner, one.structure, one.struck);
        self.corruptions.iter().any(|known| key(known) == key(one))
    }

    pub(crate) fn has_disclosure(&self, one: &Disclosure) -> bool {
        let key =
            |one: &Disclosure| (one.actor, one.receiver, one.owner, one.structure, one.is_left);
        self.disclosures.iter().any(|known| key(known) == key(one))
    }
}

/// The damage of one run, beside what is its world's own doing.
#[derive(Clone, Copy)]
pub(super) struct Damage<'r> {
    books: &'r Authority,
    own: Option<&'r OwnDoing>,
}

impl<'r> Damage<'r> {
    /// What these books found beside `own`; all of it where that is `None`.
    pub(super) fn new(books: &'r Authority, own: Option<&'r OwnDoing>) -> Self {
        Self { books, own }
    }

    fn is_ours(self, one: &Corruption) -> bool {
        self.own.is_none_or(|own| !own.has_corruption(one))
    }

    /// The corruptions with their numbers.
    fn corruptions(self) -> impl Iterator<Item = (usize, &'r Corruption)> {
        let all = self.books.corruptions().iter().enumerate();
        all.filter(move |(_, one)| self.is_ours(one))
    }

    /// Whether anything was corrupted.
    pub(super) fn is_some(self) -> bool {
        self.corruptions().next().is_some()
    }

    /// Whether somebody read what was corrupted, among the reads recorded from number `from` on.
    pub(super) fn is_read_since(self, from: usize) -> bool {
        let mut reads = self.books.consumptions().get(from..).unwrap_or_default().iter();
        reads.any(|read| {
            self.books.corruptions().get(read.corruption).is_some_and(|one| self.is_ours(one))
        })
    }

    /// Whether bytes are corrupt now.
    pub(super) fn is_there(self) -> bool {
        self.books.corrupt_words() > 0
            && (self.own.is_none_or(|own| own.corruptions.is_empty())
                || self.corruptions().any(|(number, _)| self.books.is_corrupt_still(number)))
    }

    /// Copies of what the receiver may not read.
    pub(super) fn disclosed(self) -> u64 {
        let own = |one: &Disclosure| self.own.is_some_and(|own| own.has_disclosure(one));
        self.books.disclosures().iter().filter(|one| !own(one)).count() as u64
    }

    /// Whose bytes were corrupted, were read so, and are so unread.
    pub(super) fn victims(self, roster: &Roster, judge: &Judge) -> Victims {
        let mut victims = Victims::default();
        for (number, corruption) in self.corruptions() {
            let mut reads = self.books.consumptions().iter();
            let is_read = reads.any(|read| read.corruption == number);
            let is_unread = !is_read && self.books.is_corrupt_still(number);
            let owners = corruption.owners.iter().map(Some);
            let nobody = corruption.owners.is_empty().then_some(None);
            for owner in owners.chain(nobody) {
                let Some(victim) = victim(roster, judge, corruption, owner) else { continue };
                add(&mut victims.all, victim);
                if is_read {
                    add(&mut victims.read, victim);
                }
                if is_unread {
                    add(&mut victims.unread, victim);
                }
            }
        }
        victims
    }
}

/// Victims by what became of their bytes, each list in order and each once.
#[derive(Default)]
pub(super) struct Victims {
    pub(super) all: Vec<Victim>,
    pub(super) read: Vec<Victim>,
    pub(super) unread: Vec<Victim>,
}

fn add(victims: &mut Vec<Victim>, victim: Victim) {
    if let Err(place) = victims.binary_search(&victim) {
        victims.insert(place, victim);
    }
}

/// Whose bytes were corrupted, of one of those who have them, seen from those in whom faults struck: who
/// of the kernel's wrote for a struck process has crossed a line for it. Where nothing struck, it is seen
/// from who wrote, or from who told kernel mode to. `None` where they were a device's.
fn victim(
    roster: &Roster,
    judge: &Judge,
    corruption: &Corruption,
    owner: Option<Principal>,
) -> Option<Victim> {
    let struck = judge.suspects().acted;
    let acted = || {
        let from = owner.filter(|owner| struck.contains(*owner));
        let from = from.or_else(|| struck.iter().next());
        // What kernel mode did to the process in whose context it ran, nobody there told it to.
        let told_by = || told_by(&judge.authority, roster, corruption);
        let from = from.or_else(|| told_by().filter(|who| owner != Some(*who)));
        from.unwrap_or(corruption.culprit)
    };
    // Memory that changed by itself is nobody's doing, whoever was about to act.
    let from = (!corruption.is_by_memory).then(acted);
    // Who has a section mapped writes it with leave, whoever shares it.
    if corruption.structure == Structure::SharedSection
        && from.is_some_and(|from| corruption.owners.contains(from))
    {
        return Some(Victim::OwnDomain);
    }
    match Domain::of(roster, from, owner, corruption.structure) {
        Domain::Nobody if owner.is_none() => Some(Victim::FreeMemory),
        Domain::Nobody => None,
        Domain::Own => Some(Victim::OwnDomain),
        Domain::Application | Domain::DriverHost => Some(Victim::AnotherProcess),
        Domain::KernelDriver | Domain::FileSystem => Some(Victim::AnotherDriver),
        Domain::Kernel => Some(Victim::Kernel),
        Domain::PageTable => Some(Victim::PageTables),
    }
}
