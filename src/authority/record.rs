//! What the books found out, for whoever judges a run.

use crate::base::{Domain, Event, Principal, PrincipalSet, Ring, Roster, Structure};

/// A place in the lists of records: what came after it is new.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Marks {
    /// Trespasses.
    pub trespasses: usize,
    /// False claims.
    pub false_claims: usize,
    /// Stores to page tables.
    pub table_stores: usize,
    /// Withdrawals that have become binding.
    pub bound: usize,
    /// Bytes that reached who may not read them.
    pub disclosures: usize,
    /// Words handed out with another's content.
    pub residues: usize,
    /// Uses of corrupt bytes.
    pub consumptions: usize,
}

/// A store, load, fetch or transfer that the books do not grant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trespass {
    /// What was done.
    pub event: Event,
    /// At which privilege, as far as the mode switches tell. A device has none.
    pub ring: Option<Ring>,
    /// Whose it was; `None` when it was nobody's.
    pub owner: Option<Principal>,
    /// As what.
    pub structure: Structure,
    /// Whether it is an altered store to a kernel stack where code other than the kernel's has its frame.
    pub is_in_frame: bool,
    /// The same, seen from the actor.
    pub domain: Domain,
    /// Number of the event in the run.
    pub ordinal: u64,
    /// Words it covers.
    pub words: u64,
}

impl Trespass {
    /// Who did it; nobody where memory changed by itself.
    #[must_use]
    pub fn offender(&self) -> Option<Principal> {
        (!self.event.is_by_nobody()).then_some(self.event.actor)
    }

    /// In words, of a store: what it put where, and as what it was meant, if as anything. Whose it is, is told of `owner`.
    #[must_use]
    pub fn stored(&self, roster: &Roster, owner: Option<Principal>) -> String {
        let event = &self.event;
        let structure = if self.is_in_frame { "stack frame" } else { self.structure.name() };
        let of = owner.map_or(String::new(), |owner| format!(" of {}", roster.name(owner)));
        match self.offender() {
            None => {
                format!("{structure}{of} changed to {:#x} by itself: nobody wrote it", event.value)
            }
            // What a fault puts there of its own means nothing.
            Some(who) if event.struck && event.structure == Structure::Free => format!(
                "{} wrote {:#x} to {structure}{of}, by the fault's doing",
                roster.name(who),
                event.value,
            ),
            Some(who) => format!(
                "{} wrote {:#x} to {structure}{of}, meaning {}",
                roster.name(who),
                event.value,
                event.structure,
            ),
        }
    }
}

/// Bytes last written by a store that was not granted, or by one that a fault altered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Corruption {
    /// Who wrote them.
    pub culprit: Principal,
    /// Whether a fault altered the store.
    pub struck: bool,
    /// Whether memory changed by a fault's doing and by no store: the culprit was about to act then.
    pub is_by_nobody: bool,
    /// Whether it was memory itself, whose change has to do with nobody.
    pub is_by_memory: bool,
    /// To whom the books had given them.
    pub owner: Option<Principal>,
    /// Whose they were: the owner's alone, but for code and sections that processes share, which are all of theirs.
    pub owners: PrincipalSet,
    /// As what.
    pub structure: Structure,
    /// The same, seen from the culprit.
    pub domain: Domain,
    /// The first word's address.
    pub phys: u64,
    /// Words it covers.
    pub words: u64,
    /// Number of the event in the run.
    pub ordinal: u64,
}

impl Corruption {
    /// Whether memory did it, and nobody: it changed by itself, or by no store and outside what is the culprit's.
    #[must_use]
    pub fn is_memorys(&self) -> bool {
        self.is_by_memory || self.is_by_nobody && self.owners != PrincipalSet::of(self.culprit)
    }
}

/// A read of corrupt bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Consumption {
    /// Who read.
    pub reader: Principal,
    /// In whose address space.
    pub context: Principal,
    /// What was read, by the books.
    pub structure: Structure,
    /// Where.
    pub phys: u64,
    /// Number of the event in the run.
    pub ordinal: u64,
    /// Which corruption: an index into [`Authority::corruptions`](super::Authority::corruptions).
    pub corruption: usize,
}

/// Why a claim is not true.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Falsehood {
    /// Only the kernel and the HAL make claims.
    NotTheirs,
    /// There is no such memory.
    OutsideMemory,
    /// It was handed out although somebody has it.
    NotFree,
    /// It was taken back although nobody has it.
    AlreadyFree,
    /// A process's memory was lent beyond what the process asked for, or it was told what it did not
    /// ask.
    NotAskedFor,
    /// It is nobody's, so it can't be lent.
    NothingToLend,
    /// Part of what was lent is something else: the loan goes beyond the block that was handed out.
    SomethingElse,
    /// It is private and was shared, or it is code and was shared to be written.
    NotShareable,
    /// It was not shared.
    NotShared,
    /// It is no DMA buffer.
    NotADmaBuffer,
    /// The process has no such handle.
    UnknownHandle,
    /// The handle leads to another object.
    OtherObject,
    /// The handle is in use.
    HandleInUse,
    /// More rights than were granted.
    RightsExceeded,
    /// A handle appeared that nothing gives.
    HandleFromNowhere,
    /// Another process's table was used, without the right to that process.
    NoLeave,
    /// An object was freed while a handle leads to it.
    FreedWhileHeld,
    /// The process exists already, or does not.
    NoSuchChange,
}

impl core::fmt::Display for Falsehood {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotTheirs => "who says so may not say it",
            Self::OutsideMemory => "there is no such memory",
            Self::NotFree => "somebody has it",
            Self::AlreadyFree => "nobody has it",
            Self::NotAskedFor => "nobody asked for that",
            Self::NothingToLend => "it is nobody's",
            Self::SomethingElse => "part of it is something else",
            Self::NotShareable => "it is nothing to share",
            Self::NotShared => "it was not shared",
            Self::NotADmaBuffer => "it is no DMA buffer",
            Self::UnknownHandle => "there is no such handle",
            Self::OtherObject => "it leads to another object",
            Self::HandleInUse => "the handle is in use",
            Self::RightsExceeded => "more rights than were granted",
            Self::NoLeave => "nothing gives leave to use that process's handles",
            Self::HandleFromNowhere => "nothing gives such a handle",
            Self::FreedWhileHeld => "a handle leads to it",
            Self::NoSuchChange => "it was so already, or can't be",
        })
    }
}

/// A claim that does not fit the request or the books.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FalseClaim {
    /// The claim.
    pub event: Event,
    /// What is wrong with it.
    pub falsehood: Falsehood,
    /// Whom it does damage: who holds what was claimed.
    pub holder: Option<Principal>,
    /// Number of the event in the run.
    pub ordinal: u64,
}

/// A store to a page table, by the books; accessed and dirty marks are left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableStore {
    /// Where.
    pub phys: u64,
    /// How many words; one unless it is a fill.
    pub words: u64,
    /// What was there; meaningless for a fill.
    pub old: u64,
    /// What is there now; meaningless for a fill.
    pub value: u64,
    /// Whether it is a fill, of which neither is told.
    pub is_fill: bool,
}

impl TableStore {
    /// Whether the table may hold something else than before.
    #[must_use]
    pub const fn may_change(&self) -> bool {
        self.is_fill || self.old != self.value
    }
}

/// Memory that was taken from whoever could reach it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Withdrawal {
    /// The first word's address.
    pub phys: u64,
    /// Words.
    pub words: u64,
    /// Who could reach it in user mode.
    pub from: Principal,
    /// In whose address space the kernel did it.
    pub context: Principal,
    /// By which of that process's threads: 0 by its first.
    pub thread: u8,
    /// Number of the event in the run.
    pub ordinal: u64,
}

/// Bytes of one region that reached somebody who may not read it: copied by kernel mode into the memory of
/// a process, or read by user mode or by a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Disclosure {
    /// Who copied, or read.
    pub actor: Principal,
    /// Who can read it now, or has it: the actor itself, where it read.
    pub receiver: Principal,
    /// Whose it was.
    pub owner: Option<Principal>,
    /// As what; of what was left in memory, what that is now.
    pub structure: Structure,
    /// Whether its owner left it in memory that is who read it's own now.
    pub is_left: bool,
    /// Where it came from.
    pub source: u64,
    /// Where it went, if it was copied.
    pub target: u64,
    /// Number of the event in the run.
    pub ordinal: u64,
}

impl Disclosure {
    /// Whether it was read by who may not, and not copied to them.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.actor == self.receiver
    }
}

/// Memory handed to a process with another's content still in it, if it had any.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Residue {
    /// The first word's address.
    pub phys: u64,
    /// Words.
    pub words: u64,
    /// Whose content.
    pub from: Principal,
    /// Who has it now.
    pub to: Principal,
    /// Number of the event in the run.
    pub ordinal: u64,
}
