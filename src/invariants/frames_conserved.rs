//! Frames are conserved.
//!
//! When nothing is half done, every frame is on the free list, or counted and somebody's, and not
//! both: the list ends, its length is what the kernel says, what is on it has no references and is
//! nobody's by the books; and who has ended has nothing any more. What is not on it counts a
//! reference for each page of user mode that shows it and for each time that it is locked, and one
//! more unless it is a process's private page: for the section, the image or the kernel that has it. A
//! page table is one that a root leads to. Behind an entry that somebody forged nothing was mapped by the kernel,
//! whose count it is; and what a forged entry showed before is not known, so that beside one only references too
//! few are looked for.
//!
//! A root of no process is the pattern that a driver host is made from again if its private pages are the
//! kernel's by the books.
//!
//! Not checked here: while operations are under way, and after a stop.
//!
//! Source: Microsoft Learn, "Bug Check 0x4E: PFN_LIST_CORRUPT"; "Terminating a Process".

use crate::base::{FRAME_BYTES, Frame, PhysAddr, Principal, Structure};

use super::decode::count::{counted, number};
use super::decode::tables::{is_root, mark_tables};
use super::decode::{
    KernelWords, Leaf, entries_to, frame_count, free_frames, kernel_word, user_leaves,
};
use super::{End, Evidence, Findings, Invariant, Kinds, RestKind};

/// The bits of a frame's count that say how often it is referred to; how often it is locked is in those
/// above.
const REFERENCES: u64 = u32::MAX as u64;

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
        let shown = Shown::by(evidence);
        for (index, _) in is_free.iter().enumerate().skip(1).filter(|(_, is_free)| !**is_free) {
            shown.compare(evidence, &words, index, findings);
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

/// What tables show of each frame.
struct Shown {
    /// In how many pages of user mode.
    times: Vec<u64>,
    /// Whether it is a table that a root leads to.
    is_table: Vec<bool>,
    /// Whether an entry of a table is forged.
    is_forged: bool,
}

impl Shown {
    /// By the roots that there are, and those that are patterns.
    fn by(evidence: &Evidence<'_>) -> Self {
        let (memory, map, books) = (&evidence.machine.memory, evidence.map, evidence.authority);
        let frames = usize::try_from(memory.frame_count()).unwrap_or(0);
        let mut forged = books.corrupt_places().map(|(at, _)| books.structure_of(at));
        let is_forged = forged.any(|structure| structure == Structure::PageTable);
        let mut shown = Self { times: vec![0; frames], is_table: vec![false; frames], is_forged };
        let is_sound = |root: u64, leaf: &Leaf| {
            let is_sound = |at| books.corrupt_bytes(PhysAddr::truncated(at)) == 0;
            !is_forged || entries_to(memory, root, leaf.virt).all(is_sound)
        };
        let mut count = |root: u64, leaves: &[Leaf]| {
            for leaf in leaves.iter().filter(|leaf| is_sound(root, leaf)) {
                let frame = usize::try_from(leaf.phys / FRAME_BYTES).unwrap_or(usize::MAX);
                if let Some(times) = shown.times.get_mut(frame) {
                    *times += 1;
                }
            }
        };
        for root in evidence.roots() {
            count(root.at, &evidence.user_leaves(root.at));
        }
        for root in evidence.all_roots() {
            mark_tables(memory, root.at, 4, &mut shown.is_table);
        }
        for frame in 1..frames {
            let at = Frame(frame as u64).start();
            let is_unknown = !shown.is_table[frame]
                && books.region_at(at).structure == Structure::PageTable
                && is_root(memory, map, at);
            if !is_unknown {
                continue;
            }
            let (leaves, _) = user_leaves(memory, at.raw());
            if leaves.iter().any(|leaf| is_of_pattern(evidence, leaf.phys)) {
                count(at.raw(), &leaves);
                mark_tables(memory, at.raw(), 4, &mut shown.is_table);
            }
        }
        shown
    }

    /// Compares what a frame that is not free counts with what shows it and whose it is.
    fn compare(
        &self,
        evidence: &Evidence<'_>,
        words: &KernelWords<'_>,
        index: usize,
        findings: &mut Findings,
    ) {
        let (kernel, at) = (Some(Principal::KERNEL), Frame(index as u64).start());
        let Some(count) = frame_count(words, index as u64) else { return };
        let (references, locks) = (count & REFERENCES, count >> 32);
        let (region, times) = (evidence.authority.region_at(at), self.times[index]);
        if references < times {
            findings.add(kernel, None, at.raw(), 0, || {
                let times = counted(times, "time");
                format!("frame {index:#x} is mapped {times} and counted less often")
            });
        }
        if self.is_forged {
            return;
        }
        if region.structure == Structure::PageTable && !self.is_table[index] && references > 0 {
            findings.add(kernel, None, at.raw(), 0, || {
                format!("frame {index:#x} is kept for a page table, and no root leads to it")
            });
        }
        let is_private = matches!(region.structure, Structure::UserData | Structure::UserStack);
        if references > times + locks + u64::from(!is_private) {
            let owner = region.owner.filter(|_| is_private);
            findings.add(kernel, owner, at.raw(), 0, || {
                let (references, times) =
                    (counted(references, "reference"), counted(times, "time"));
                let locked = if locks > 0 {
                    format!(", locked {}", counted(locks, "time"))
                } else {
                    String::new()
                };
                format!("frame {index:#x} counts {references} and is mapped {times}{locked}")
            });
        }
    }
}

/// Whether a frame is private memory of user mode that the books have as the kernel's.
fn is_of_pattern(evidence: &Evidence<'_>, phys: u64) -> bool {
    let region = evidence.authority.region_at(PhysAddr::truncated(phys));
    region.owner == Some(Principal::KERNEL)
        && matches!(region.structure, Structure::UserData | Structure::UserStack)
}
