//! Frames are conserved.
//!
//! When nothing is half done, every frame is on the free list, or counted and somebody's, and not
//! both: the list ends, its length is what the kernel says, what is on it has no references and is
//! nobody's by the books; what user mode has mapped is counted at least as often as it is mapped; and
//! who has ended has nothing any more. Behind an entry that somebody forged nothing was mapped by the kernel,
//! whose count it is.
//!
//! Not checked here: while operations are under way, and after a stop.
//!
//! Source: Microsoft Learn, "Bug Check 0x4E: PFN_LIST_CORRUPT"; "Terminating a Process".

use std::collections::BTreeMap;

use crate::base::{Frame, PhysAddr, Principal};

use super::decode::count::{counted, number};
use super::decode::{KernelWords, entries_to, frame_count, free_frames, kernel_word};
use super::{End, Evidence, Findings, Invariant, Kinds, RestKind};

pub(super) struct FramesConserved;

impl Invariant for FramesConserved {
    fn name(&self) -> &'static str {
        "frames-are-conserved"
    }

    fn sentence(&self) -> &'static str {
        "At rest every frame is free, or counted and somebody's, and what has ended has none."
    }

    fn source(&self) -> &'static str {
        "Microsoft Learn, \"Terminating a Process\""
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
        let (memory, map, authority) = (&evidence.machine.memory, evidence.map, evidence.authority);
        let kernel = Some(Principal::KERNEL);
        let words = KernelWords::new(memory, map);
        let (free, is_list) = free_frames(memory, map);
        let said = kernel_word(memory, map, map.free_frame_count).unwrap_or(0);
        if !is_list || said != free.len() as u64 {
            findings.add(kernel, None, 0, map.free_frames, || {
                let there = counted(free.len() as u64, "frame");
                format!("the free list has {there} and the kernel says {}", number(said))
            });
        }
        let mut is_free = vec![false; usize::try_from(memory.frame_count()).unwrap_or(0)];
        for &frame in &free {
            if let Ok(index) = usize::try_from(frame) {
                is_free[index] = true;
            }
            let at = Frame(frame).start();
            let count = frame_count(&words, frame).unwrap_or(0);
            if count != 0 || !authority.region_at(at).is_free() {
                findings.add(kernel, authority.owner_of(at), at.raw(), 0, || {
                    format!(
                        "frame {frame:#x} is on the free list with {}",
                        counted(count, "reference")
                    )
                });
            }
        }
        for (index, is_free) in is_free.iter().enumerate().skip(1) {
            let frame = index as u64;
            if !is_free && frame_count(&words, frame) == Some(0) {
                findings.add(kernel, None, Frame(frame).start().raw(), 0, || {
                    format!("frame {frame:#x} has no references and is on no list")
                });
            }
        }
        let mut mapped: BTreeMap<u64, u64> = BTreeMap::new();
        for root in evidence.roots() {
            for leaf in evidence.user_leaves(root.at) {
                let is_sound = |at| authority.corrupt_bytes(PhysAddr::truncated(at)) == 0;
                if authority.corrupt_words() == 0
                    || entries_to(memory, root.at, leaf.virt).all(is_sound)
                {
                    *mapped.entry(leaf.phys / 4096).or_default() += 1;
                }
            }
        }
        for (frame, times) in mapped {
            if frame_count(&words, frame).is_some_and(|count| count < times) {
                findings.add(kernel, None, Frame(frame).start().raw(), 0, || {
                    let times = counted(times, "time");
                    format!("frame {frame:#x} is mapped {times} and counted less often")
                });
            }
        }
        for process in authority.ended().iter() {
            let words = authority.words_owned(process);
            if words > 0 {
                findings.add(kernel, Some(process), 0, 0, || {
                    let (name, words) = (authority.roster().name(process), counted(words, "word"));
                    format!("{name} has ended and has {words}")
                });
            }
        }
    }
}
