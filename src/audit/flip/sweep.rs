//! Every bit of every entry, on as many threads as there are.
//!
//! Work is handed out in runs of entries. Results are taken in the order of the runs, whatever the
//! order in which they arrive, so that any number of workers gives the same counts and the same
//! verdicts in the same order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::audit::space::Space;
use crate::machine::paging::x86_64::Entry;

use super::class::{Class, Flip, KernelGain, TableIs, Verdict};
use super::judge::{Court, Judge};
use super::work::Work;

/// Entries that are handed out at once.
const RUN: usize = 64;

/// How many flips there are of each kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// In the order of [`Class::ALL`].
    pub classes: [u64; 8],
    /// Of [`Class::TableWrite`]: a frame that the process can write after the flip, or could before it,
    /// becomes a page table.
    pub tables_made: u64,
    /// In the order of [`KernelGain::ALL`].
    pub kernel: [u64; 3],
    /// Flips that give user mode nothing and help nobody to abuse the kernel, but after which some
    /// access of kernel mode faults that did not.
    pub kernel_faults: u64,
}

impl Counts {
    fn add(&mut self, verdict: &Verdict) {
        for (count, class) in self.classes.iter_mut().zip(Class::ALL) {
            *count += u64::from(verdict.class == class);
        }
        let is_made = matches!(verdict.table, Some(TableIs::Made | TableIs::Filled));
        self.tables_made += u64::from(is_made);
        let mut helps = false;
        for (count, gain) in self.kernel.iter_mut().zip(&verdict.kernel) {
            *count += u64::from(gain.is_some());
            helps |= gain.is_some();
        }
        self.kernel_faults +=
            u64::from(verdict.kernel_faults && !helps && !verdict.class.is_gain());
    }

    fn merge(&mut self, other: &Self) {
        let pairs = self.classes.iter_mut().zip(other.classes);
        for (own, other) in pairs.chain(self.kernel.iter_mut().zip(other.kernel)) {
            *own += other;
        }
        self.tables_made += other.tables_made;
        self.kernel_faults += other.kernel_faults;
    }

    /// How many flips are of this class.
    #[must_use]
    pub fn of(&self, class: Class) -> u64 {
        let mut found = Class::ALL.iter().zip(self.classes).filter(|(own, _)| **own == class);
        found.next().map_or(0, |(_, count)| count)
    }

    /// How many flips give kernel mode this.
    #[must_use]
    pub fn of_kernel(&self, kind: KernelGain) -> u64 {
        let mut found = KernelGain::ALL.iter().zip(self.kernel).filter(|(own, _)| **own == kind);
        found.next().map_or(0, |(_, count)| count)
    }

    /// All flips.
    #[must_use]
    pub fn flips(&self) -> u64 {
        self.classes.iter().sum()
    }

    /// Flips that breach the isolation of the kernel from the process.
    #[must_use]
    pub fn breaches(&self) -> u64 {
        Class::ALL.iter().filter(|class| class.is_breach()).map(|&class| self.of(class)).sum()
    }
}

/// Where a sweep is, in a unit that takes about as long at the beginning as at the end.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Work done.
    pub done: u64,
    /// Work in all.
    pub total: u64,
}

/// How a sweep ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Swept {
    /// Every flip was judged.
    Whole(Counts),
    /// It was stopped, by the caller's flag or by its reader of verdicts, after the first flips.
    Stopped(Counts),
}

/// Judges every flip of an address space with this many workers. `verdicts` is shown, in ascending
/// order of flips, each that gives a user process or kernel mode anything, and returns whether to go
/// on; `progress` is told now and then.
pub fn sweep(
    space: &Space,
    workers: usize,
    stop: &AtomicBool,
    mut progress: impl FnMut(Progress),
    mut verdicts: impl FnMut(&Verdict) -> bool,
) -> Swept {
    let court = Court::new(space);
    let runs = space.image.frames().len() * (512 / RUN);
    let work = Work::new(space, &court.ways, RUN);
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..workers.clamp(1, runs.max(1)) {
            let sender = sender.clone();
            let (court, next) = (&court, &next);
            scope.spawn(move || {
                let mut judge = Judge::new(court);
                loop {
                    let run = next.fetch_add(1, Ordering::Relaxed);
                    if run >= runs {
                        break;
                    }
                    let Some(result) = judged(&mut judge, space, run, stop) else { break };
                    if sender.send((run, result)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut counts = Counts::default();
        let mut waiting = BTreeMap::new();
        let mut expected = 0;
        for (run, result) in receiver {
            waiting.insert(run, result);
            while let Some((counted, found)) = waiting.remove(&expected) {
                counts.merge(&counted);
                expected += 1;
                let go_on = found.iter().all(&mut verdicts);
                if !go_on {
                    next.store(runs, Ordering::Relaxed);
                    return Swept::Stopped(counts);
                }
                let (done, total) = work.after(expected);
                progress(Progress { done, total });
            }
        }
        if expected == runs { Swept::Whole(counts) } else { Swept::Stopped(counts) }
    })
}

/// All flips of one run; `None` when it was stopped before the last. Where tables lead to each other a flip can
/// take a twentieth of a second, and a run has thousands.
fn judged(
    judge: &mut Judge<'_>,
    space: &Space,
    run: usize,
    stop: &AtomicBool,
) -> Option<(Counts, Vec<Verdict>)> {
    let (table, first) = (run * RUN / 512, run * RUN % 512);
    let frame = space.image.frames()[table];
    let mut counts = Counts::default();
    let mut found = Vec::new();
    for slot in first..first + RUN {
        let entry = space.image.table(table)[slot];
        let at = frame.start().plus(8 * slot as u64);
        for bit in 0..64 {
            if entry & Entry::P == 0 && bit > 0 {
                // It stays not present, and no other bit counts.
                counts.classes[7] += 63;
                break;
            }
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            let verdict = judge.judge_entry(Flip { at, bit }, table, slot, entry);
            counts.add(&verdict);
            if verdict.class.is_gain() || verdict.kernel.iter().any(Option::is_some) {
                found.push(verdict);
            }
        }
    }
    Some((counts, found))
}

/// What one flip does; `None` when the image has no such entry, or no walk reads it.
#[must_use]
pub fn judge(space: &Space, flip: Flip) -> Option<Verdict> {
    let court = Court::new(space);
    Judge::new(&court).judge(flip)
}
