//! Pool blocks are conserved.
//!
//! When nothing is half done, every block of the pool that was handed out is somebody's. What the kernel
//! makes for an operation (a request packet, its system buffer) goes back before the operation is
//! answered; a handle table goes back with its process; and a list of locked pages, or a block that a
//! driver allocates, goes back before the operation is answered too, unless some driver's data leads to
//! it. What is left over is never freed. Neither frames nor references tell: the pool has the frame, and
//! nobody counts a block.
//!
//! Not checked here: objects, see references-are-conserved; what a driver allocates as data of its own,
//! which it may mean to keep; blocks to whose address a word of a driver's data happens to be equal;
//! while operations are under way, and after a stop.
//!
//! Source: Microsoft Learn, "Using PoolMon to Find a Kernel-Mode Memory Leak", "Driver Verifier: Pool
//! Tracking"; for data that leads to a block: Linux kernel documentation, "Kernel Memory Leak Detector".

use crate::authority::Block;
use crate::base::{Principal, Structure};

use super::decode::{locate, tables};
use super::{End, Evidence, Findings, Invariant, Kinds, RestKind};

pub(super) struct BlocksConserved;

impl Invariant for BlocksConserved {
    fn name(&self) -> &'static str {
        "pool-blocks-are-conserved"
    }

    fn sentence(&self) -> &'static str {
        "At rest every pool block is one that an open operation, a process or a driver has."
    }

    fn source(&self) -> &'static str {
        "Microsoft Learn, \"Using PoolMon to Find a Kernel-Mode Memory Leak\""
    }

    fn kinds(&self) -> Kinds {
        Kinds::NONE
    }

    fn check(&self, _: &Evidence<'_>, _: &mut Findings) {}

    fn check_at_rest(&self, evidence: &Evidence<'_>, end: &End<'_>, findings: &mut Findings) {
        if end.rest == RestKind::Quiescent {
            self.scan(evidence, findings);
        }
    }

    fn scan(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        let books = evidence.authority;
        let over: Vec<&Block> =
            books.blocks().iter().filter(|block| !block.is_of_operation()).collect();
        if over.is_empty() {
            return;
        }
        let (memory, map) = (&evidence.machine.memory, evidence.map);
        let tables = tables(memory, map).into_iter();
        let tables: Vec<u64> =
            tables.filter_map(|(_, table)| locate(memory, map.system_root, table)).collect();
        let kept = kept_by_drivers(evidence, &over);
        for (block, is_kept) in over.into_iter().zip(kept) {
            let is_somebodys = match block.structure {
                Structure::HandleTable => tables.contains(&block.phys),
                Structure::RequestPacket | Structure::SystemBuffer => false,
                _ => is_kept,
            };
            if is_somebodys {
                continue;
            }
            findings.add(Some(Principal::KERNEL), None, block.phys, block.virt, || {
                let name = books.roster().name(block.requestor);
                let what = block.structure;
                format!("{what} at {:#x}, made when {name} ran, is nobody's any more", block.virt)
            });
        }
    }
}

/// To which of these blocks a word of some driver's data leads, itself aside.
fn kept_by_drivers(evidence: &Evidence<'_>, blocks: &[&Block]) -> Vec<bool> {
    let is_drivers =
        |block: &&Block| matches!(block.structure, Structure::Mdl | Structure::PoolBlock);
    let mut kept = vec![false; blocks.len()];
    if !blocks.iter().any(is_drivers) {
        return kept;
    }
    let words = evidence.machine.memory.words();
    for (at, len) in evidence.authority.driver_data() {
        let first = usize::try_from(at.raw() / 8).unwrap_or(usize::MAX);
        let run = words.get(first..).and_then(|rest| rest.get(..len)).unwrap_or_default();
        for &word in run {
            let own = |block: &Block| block.phys == at.raw();
            let led_to = blocks.iter().position(|block| block.virt == word && !own(block));
            if let Some(number) = led_to {
                kept[number] = true;
            }
        }
    }
    kept
}
