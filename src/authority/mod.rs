//! Who owns which bytes as what, who may influence whom?
//!
//! The specification of a world, fed with requests and with claims that it checks against its own
//! books. It never reads memory, page tables, caches or faults, so nothing that goes wrong there can
//! make it agree. Loads, stores and steps dominate what it is told; each costs a look-up or two in
//! arrays.
//!
//! | module | answers |
//! |---|---|
//! | [`region`] | what do the books say of a word, and who may do what with it? |
//! | [`blocks`] | which pool blocks are in use, and was what each was made for answered? |
//! | `books` | which words, which corrupt bytes, and how to go back? |
//! | `accesses` | was this load, store or transfer granted? |
//! | `claims` | does this claim fit the request and the books? |
//! | `disclosures` | which bytes reached somebody who may not read them? |
//! | `handles` | which handle leads where, with which rights? |
//! | `holdings` | who refers to what there is, other than by a handle? |
//! | `influence` | who may influence whom? |
//! | `threads` | which thread of a process is it? |
//! | [`requests`] | which requests are open, and who has them? |
//! | `inquiry` | what do the books say? |
//! | `prospects` | what decides what they will say? |
//! | `prints` | which word is in which region, as a fingerprint? |
//! | [`observation`] | what did each principal see? |
//! | [`record`] | what was found out? |

mod accesses;
mod asked;
pub mod blocks;
mod books;
mod claims;
mod disclosures;
mod handles;
mod holdings;
mod influence;
mod inquiry;
pub mod observation;
mod prints;
mod prospects;
pub mod record;
pub mod region;
pub mod requests;
mod state;
mod threads;

use std::collections::BTreeMap;

use crate::base::{Event, EventKind, Principal, Roster, Witness};

pub use blocks::Block;
pub use handles::Handle;
pub use observation::{Ending, Observation, Observations, Seen};
pub use record::{
    Consumption, Corruption, Disclosure, FalseClaim, Falsehood, Marks, Residue, TableStore,
    Trespass, Withdrawal,
};
pub use region::Region;
pub use requests::Orphan;

use books::Undo;
use handles::Use;
pub use influence::Influence;
use influence::Resource;
use prints::Prints;
use region::Regions;
use requests::Passage;
use state::State;

/// Records of one sort that are kept; what comes after is counted where it matters and dropped.
const RECORDS_MAX: usize = 4096;

/// The books of one world.
#[derive(Clone, Debug)]
pub struct Authority {
    roster: Roster,
    /// The disk's controller.
    disk: Option<Principal>,
    regions: Regions,
    /// Which region each word is in.
    words: Vec<u16>,
    prints: Prints,
    /// Which bytes of each word are corrupt.
    corrupt: Vec<u8>,
    /// By which corruption.
    origins: Vec<u16>,
    state: State,
    undo: Vec<Undo>,
    handles: BTreeMap<(Principal, u64), Handle>,
    uses: Vec<Use>,
    /// Objects that the boot made and that belong to no process but the system's, by address.
    boot_objects: Vec<u64>,
    /// Pool blocks in use.
    blocks: Vec<Block>,
    resources: Vec<Resource>,
    /// What happened to requests, in order.
    passages: Vec<Passage>,
    observations: Observations,
    trespasses: Vec<Trespass>,
    corruptions: Vec<Corruption>,
    consumptions: Vec<Consumption>,
    false_claims: Vec<FalseClaim>,
    table_stores: Vec<TableStore>,
    withdrawals: Vec<Withdrawal>,
    bound: Vec<Withdrawal>,
    disclosures: Vec<Disclosure>,
    residues: Vec<Residue>,
}

/// Everything needed to put the books back where they were.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    state: State,
    undo: usize,
    regions: usize,
    uses: usize,
    boot_objects: Vec<u64>,
    blocks: Vec<Block>,
    resources: usize,
    passages: usize,
    trespasses: usize,
    corruptions: usize,
    consumptions: usize,
    false_claims: usize,
    table_stores: usize,
    withdrawals: usize,
    bound: usize,
    disclosures: usize,
    residues: usize,
}

/// Takes in a record if there is room.
fn keep<T>(records: &mut Vec<T>, record: T) {
    if records.len() < RECORDS_MAX {
        records.push(record);
    }
}

impl Authority {
    /// Empty books for a world with this much memory and these principals.
    ///
    /// # Panics
    ///
    /// When the roster does not begin with the kernel.
    #[must_use]
    pub fn new(memory_words: usize, roster: Roster) -> Self {
        assert!(!roster.is_empty(), "a world has a kernel");
        let regions = Regions::new(&roster);
        let state = State::new(&roster);
        let observations = Observations::new(roster.len());
        let disk = roster.named("disk-controller");
        Self {
            roster,
            disk,
            regions,
            words: vec![0; memory_words],
            prints: Prints::new(memory_words),
            corrupt: vec![0; memory_words],
            origins: vec![0; memory_words],
            state,
            undo: Vec::new(),
            handles: BTreeMap::new(),
            uses: Vec::new(),
            boot_objects: Vec::new(),
            blocks: Vec::new(),
            resources: Vec::new(),
            passages: Vec::new(),
            observations,
            trespasses: Vec::new(),
            corruptions: Vec::new(),
            consumptions: Vec::new(),
            false_claims: Vec::new(),
            table_stores: Vec::new(),
            withdrawals: Vec::new(),
            bound: Vec::new(),
            disclosures: Vec::new(),
            residues: Vec::new(),
        }
    }

    /// Remembers the present state.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            state: self.state,
            undo: self.undo.len(),
            regions: self.regions.len(),
            uses: self.uses.len(),
            boot_objects: self.boot_objects.clone(),
            blocks: self.blocks.clone(),
            resources: self.resources.len(),
            passages: self.passages.len(),
            trespasses: self.trespasses.len(),
            corruptions: self.corruptions.len(),
            consumptions: self.consumptions.len(),
            false_claims: self.false_claims.len(),
            table_stores: self.table_stores.len(),
            withdrawals: self.withdrawals.len(),
            bound: self.bound.len(),
            disclosures: self.disclosures.len(),
            residues: self.residues.len(),
        }
    }

    /// Goes back to a checkpoint; costs what was changed since.
    ///
    /// # Panics
    ///
    /// When the checkpoint lies ahead: it belongs to a state that was itself undone.
    pub fn restore(&mut self, checkpoint: &Checkpoint) {
        self.undo_to(checkpoint.undo);
        if self.regions.len() > checkpoint.regions {
            self.regions.truncate(checkpoint.regions);
        }
        self.state = checkpoint.state;
        self.uses.truncate(checkpoint.uses);
        self.boot_objects.clone_from(&checkpoint.boot_objects);
        self.blocks.clone_from(&checkpoint.blocks);
        self.resources.truncate(checkpoint.resources);
        self.passages.truncate(checkpoint.passages);
        self.trespasses.truncate(checkpoint.trespasses);
        self.corruptions.truncate(checkpoint.corruptions);
        self.consumptions.truncate(checkpoint.consumptions);
        self.false_claims.truncate(checkpoint.false_claims);
        self.table_stores.truncate(checkpoint.table_stores);
        self.withdrawals.truncate(checkpoint.withdrawals);
        self.bound.truncate(checkpoint.bound);
        self.disclosures.truncate(checkpoint.disclosures);
        self.residues.truncate(checkpoint.residues);
    }
}

impl Witness for Authority {
    fn event(&mut self, event: &Event) {
        self.state.ordinal += 1;
        match event.kind {
            EventKind::Step => self.step(event),
            EventKind::Load => self.load(event),
            EventKind::Store => self.store(event),
            EventKind::KernelPush => {}
            EventKind::Strike => self.state.noted = self.state.noted.wrapping_add(1),
            _ => self.rarer(event),
        }
    }
}

impl Authority {
    fn rarer(&mut self, event: &Event) {
        match event.kind {
            EventKind::LoadRun => self.load_run(event),
            EventKind::StoreRun => self.store_run(event),
            EventKind::DmaWrite => self.dma_write(event),
            EventKind::DmaRead => self.dma_read(event),
            EventKind::TableLoad | EventKind::TableMark => self.table_read(event),
            EventKind::Exception | EventKind::Interrupt => self.state.delivers(event.processor),
            EventKind::ModeSwitch => self.mode_switch(event),
            EventKind::Boot => self.boot(event),
            EventKind::Request => self.request(event),
            EventKind::Observe => self.observe(event),
            EventKind::RequestHandover => self.handover(event),
            EventKind::Grant
            | EventKind::Release
            | EventKind::Lend
            | EventKind::Reclaim
            | EventKind::Share
            | EventKind::Unshare
            | EventKind::DmaGrant
            | EventKind::DmaRevoke
            | EventKind::HandleOpened
            | EventKind::HandleClosed
            | EventKind::HandleUsed
            | EventKind::ProcessCreated
            | EventKind::ProcessEnded
            | EventKind::ProcessSought
            | EventKind::HostRestarted
            | EventKind::DeviceDisabled
            | EventKind::DeviceRefused
            | EventKind::StackRemoved
            | EventKind::LossTold
            | EventKind::ThreadCreated
            | EventKind::ThreadEnded
            | EventKind::ThreadChosen
            | EventKind::HostRecorded => self.claim(event),
            EventKind::Step
            | EventKind::Load
            | EventKind::Store
            | EventKind::KernelPush
            | EventKind::Strike
            | EventKind::DmaRefused
            | EventKind::Invalidate
            | EventKind::RootSwitch
            | EventKind::BugCheck
            | EventKind::EventLogged
            | EventKind::HostProblemTold
            | EventKind::StackRestarted
            | EventKind::Reset => {}
        }
    }
}

#[cfg(test)]
mod tests;
