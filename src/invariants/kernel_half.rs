//! Every root shows the same kernel half.
//!
//! All processes share one system space, so slots 256 to 511 of every root hold what the system's
//! root holds, but for what processors mark by themselves. One slot is exempt and checked by itself:
//! the self-map, which shows each root's own tables and must lead to that root, for kernel mode only.
//!
//! Not checked here: shadow roots, which have no kernel half; see
//! user-mode-runs-without-the-kernel-mapped.
//!
//! Source: Microsoft Learn, "Virtual address spaces": "all code that runs in kernel mode shares a
//! single virtual address space called system space".

use crate::base::{EventKind, FRAME_BYTES, Principal};
use crate::machine::memory::Memory;

use super::decode::{ACCESSED, DIRTY, ENTRIES, is_for_user, root_entry};
use super::{Evidence, Findings, Invariant, Kinds, Root};

pub(super) struct KernelHalf;

const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Entries of one half of a root.
const HALF: usize = 256;

/// The entries of a root's kernel half.
fn upper(memory: &Memory, root: u64) -> Option<&[u64]> {
    let first = usize::try_from((root & ADDRESS) / 8).ok()? + HALF;
    memory.words().get(first..first + HALF)
}

/// Whether two kernel halves differ in the slot of the self-map at most: most do.
fn are_alike(one: &[u64], other: &[u64], self_map: usize) -> bool {
    let differ = |(one, other): (&[u64], &[u64])| {
        let pairs = one.iter().zip(other);
        pairs.fold(0, |any, (one, other)| any | one ^ other) & !(ACCESSED | DIRTY) != 0
    };
    let next = self_map + 1;
    !differ((&one[..self_map], &other[..self_map])) && !differ((&one[next..], &other[next..]))
}

fn look(evidence: &Evidence<'_>, root: Root, findings: &mut Findings) {
    let (memory, map) = (&evidence.machine.memory, evidence.map);
    let self_map = usize::try_from(map.self_map_slot).ok().and_then(|slot| slot.checked_sub(HALF));
    let self_map = self_map.filter(|&slot| slot < HALF);
    if let (Some(one), Some(other), Some(self_map)) =
        (upper(memory, root.at), upper(memory, map.system_root), self_map)
        && let entry = root_entry(memory, root.at, map.self_map_slot)
        && entry & ADDRESS == root.at & ADDRESS
        && !is_for_user(entry)
        && are_alike(one, other, self_map)
    {
        return;
    }
    for slot in ENTRIES / 2..ENTRIES {
        let entry = root_entry(memory, root.at, slot);
        let is_right = if slot == map.self_map_slot {
            entry & ADDRESS == root.at & ADDRESS && !is_for_user(entry)
        } else {
            (entry ^ root_entry(memory, map.system_root, slot)) & !(ACCESSED | DIRTY) == 0
        };
        if !is_right {
            findings.add(Some(Principal::KERNEL), Some(root.owner), root.at + slot * 8, 0, || {
                format!(
                    "slot {slot:#x} of the root of {} holds {entry:#x}",
                    evidence.authority.roster().name(root.owner),
                )
            });
        }
    }
}

impl Invariant for KernelHalf {
    fn name(&self) -> &'static str {
        "kernel-half-is-one"
    }

    fn sentence(&self) -> &'static str {
        "Every root maps the same kernel half, but for its self-map, which leads to itself."
    }

    fn source(&self) -> &'static str {
        "Microsoft Learn, \"Virtual address spaces\""
    }

    fn kinds(&self) -> Kinds {
        Kinds::of(&[EventKind::ProcessCreated]).with(Kinds::TABLE_STORE)
    }

    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        let is_new =
            evidence.record.events().iter().any(|event| event.kind == EventKind::ProcessCreated);
        let roots = evidence.roots();
        for root in &roots {
            let upper = root.at + FRAME_BYTES / 2..root.at + FRAME_BYTES;
            let is_written = |at: u64, words: u64| at < upper.end && at + words * 8 > upper.start;
            let changed = evidence
                .table_stores()
                .iter()
                .any(|store| is_written(store.phys, store.words) && store.may_change());
            if root.at == evidence.map.system_root && changed {
                return self.scan(evidence, findings);
            }
            if is_new || changed {
                look(evidence, *root, findings);
            }
        }
    }

    fn scan(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        for root in evidence.roots() {
            look(evidence, root, findings);
        }
    }
}
