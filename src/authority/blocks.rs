//! Which pool blocks are in use, and was the operation answered for which each was made?
//!
//! What is made for an operation goes back before the operation is answered, unless somebody keeps it:
//! a process its handle table, a driver what its data leads to. Who keeps what is in memory, and not in
//! these books.

use crate::base::{Event, PhysAddr, Principal, Structure, TraceHash};

use super::Authority;

/// A block of the pool that is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    /// Where it is.
    pub phys: u64,
    /// Its linear address.
    pub virt: u64,
    /// What it is.
    pub structure: Structure,
    /// Whose it is.
    pub owner: Principal,
    /// Who ran when it was made.
    pub requestor: Principal,
    /// The thread of that one whose operation it was made for; `None` when that is answered.
    thread: Option<u8>,
    /// Where it ends, as far as it was announced: page by page, in events one after the other.
    end: u64,
    /// The last of these events.
    ordinal: u64,
}

impl Block {
    /// Whether the operation for which it was made is under way.
    #[must_use]
    pub const fn is_of_operation(&self) -> bool {
        self.thread.is_some()
    }

    fn absorb(&self, hash: &mut TraceHash) {
        let who = u64::from(self.owner.0) | u64::from(self.requestor.0) << 8;
        let thread = self.thread.map_or(0, |thread| 1 + u64::from(thread));
        hash.absorb(self.phys, self.virt);
        hash.absorb(who | thread << 16, self.structure as u64);
    }
}

/// Whether blocks of this type are followed: what is made for an operation or a process. Objects count who refers
/// to them; what a driver makes data of its own is its own to keep.
const fn is_followed(structure: Structure) -> bool {
    matches!(
        structure,
        Structure::HandleTable
            | Structure::RequestPacket
            | Structure::SystemBuffer
            | Structure::Mdl
            | Structure::PoolBlock
    )
}

impl Authority {
    /// The pool blocks in use that were made for an operation or a process.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// A block was handed out. What has no finer type is a driver's, from when the driver gets it.
    pub(super) fn block_made(&mut self, event: &Event) {
        let Event { phys, virt, structure, subject: owner, .. } = *event;
        let is_spare = structure == Structure::PoolBlock
            && (owner == Principal::KERNEL || self.state.is_booting());
        if virt == 0 || is_spare || !is_followed(structure) {
            return;
        }
        let (end, ordinal) = (virt.saturating_add(event.value * 8), self.state.ordinal);
        let last = self.blocks.last_mut();
        if let Some(last) = last.filter(|last| (last.end, last.ordinal + 1) == (virt, ordinal)) {
            (last.end, last.ordinal) = (end, ordinal);
            return;
        }
        let requestor = event.context;
        let thread = self.state.thread_on(requestor, event.processor);
        let thread = self.state.asking(requestor, thread).is_open.then_some(thread);
        self.blocks.retain(|block| block.phys != phys);
        self.blocks.push(Block { phys, virt, structure, owner, requestor, thread, end, ordinal });
    }

    /// Memory is taken back, and the blocks that begin in it.
    pub(super) fn blocks_freed(&mut self, first: usize, len: usize) {
        let range = first as u64 * 8..(first + len) as u64 * 8;
        self.blocks.retain(|block| !range.contains(&block.phys));
    }

    /// An operation of a thread of a process is over.
    pub(super) fn blocks_outlive(&mut self, requestor: Principal, thread: u8) {
        let is_its =
            |block: &&mut Block| (block.requestor, block.thread) == (requestor, Some(thread));
        for block in self.blocks.iter_mut().filter(is_its) {
            block.thread = None;
        }
    }

    /// All operations of a process are over.
    pub(super) fn blocks_outlive_process(&mut self, process: Principal) {
        for block in self.blocks.iter_mut().filter(|block| block.requestor == process) {
            block.thread = None;
        }
    }

    pub(super) fn absorb_blocks(&self, hash: &mut TraceHash) {
        for block in &self.blocks {
            block.absorb(hash);
        }
    }

    /// Where drivers keep data of their own, in the pool or not: runs of words, each where it begins and how
    /// many they are.
    pub fn driver_data(&self) -> impl Iterator<Item = (PhysAddr, usize)> + '_ {
        let mut runs = self.runs(0, self.words.len());
        core::iter::from_fn(move || runs.next(self)).filter_map(|(first, len, number)| {
            let region = self.regions.get(number);
            let is_drivers = match region.structure {
                Structure::DriverData => true,
                Structure::PoolBlock => region.owner != Some(Principal::KERNEL),
                _ => false,
            };
            is_drivers.then(|| (PhysAddr::truncated(first as u64 * 8), len))
        })
    }
}
