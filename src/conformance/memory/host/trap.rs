//! Each access of the code under test through its pointers, seen as if it had come by the accessor.
//!
//! The code's pages allow nothing that is to be observed, so an access faults. Plain moves, fills of
//! strings and loads are then made here in its stead, word by word. For any other instruction the page is
//! opened, the processor is told to trap after it (RFLAGS.TF), and what it stored is found by comparing
//! the page with how it was.
//!
//! What one instruction stores to several words is told word by word, upwards: the architecture
//! promises no more than single aligned words of 8 bytes, and 16 aligned bytes where there is AVX (Intel
//! SDM volume 3A, "Guaranteed Atomic Operations"). Bytes of a string fill are told word by word too. A
//! store of 4 bytes is told as what it is, the whole word before and after it.
//!
//! Not seen: a store of what is there already by an instruction with a mask (MASKMOVDQU): it may fault for bytes
//! that it does not store, so only what changed is told. Nor that a compiler *may* tear a store. What was compiled is what is observed.

use core::cell::RefCell;
use core::ops::Range;

use super::super::{Event, Memory};
use super::context::{Context, TF, ZF};
use super::instruction::{self, Reads, Refrains, Simple};
use super::recursion::{Moved, redirect};
use super::signals::{Raised, die};
use super::stray;
use super::window::{Access, Window, has_memory};
use super::{Hosting, Observed};
use crate::base::{FRAME_BYTES, PhysAddr};

/// Pages that one instruction touches at most, but for gathers and scatters.
const PAGES_MAX: usize = 4;

/// A page that is open for one instruction.
#[derive(Clone, Copy)]
struct Open {
    /// Its physical address.
    page: u64,
    access: Access,
    /// The word at which the instruction was seen to store.
    stored: Option<u64>,
}

/// The instruction under way.
struct Step {
    open: [Option<Open>; PAGES_MAX],
    /// The pages as they were.
    saved: Box<[[u64; 512]; PAGES_MAX]>,
    reads: Reads,
    refrains: Refrains,
    moved: Option<Moved>,
}

/// What the trap needs to remember.
pub(in crate::conformance::memory) struct Trap {
    pub(in crate::conformance::memory) window: Window,
    observed: Observed,
    recursive: Option<u64>,
    step: RefCell<Step>,
}

impl Trap {
    /// # Panics
    ///
    /// When the host refuses.
    pub(super) fn new(hosting: &Hosting) -> Option<Self> {
        let step = Step {
            open: [None; PAGES_MAX],
            saved: Box::new([[0; 512]; PAGES_MAX]),
            reads: Reads::Never,
            refrains: Refrains::Never,
            moved: None,
        };
        let observed = hosting.observed?;
        let window = Window::new(usual(observed), hosting.is_identity);
        Some(Self { window, observed, recursive: hosting.recursive, step: RefCell::new(step) })
    }

    pub(super) const fn observed(&self) -> Observed {
        self.observed
    }

    /// The entry of the root that names the root.
    pub(super) const fn recursive(&self) -> Option<u64> {
        self.recursive
    }
}

const fn usual(observed: Observed) -> Access {
    match observed {
        Observed::Stores => Access::Load,
        Observed::Accesses => Access::Nothing,
    }
}

fn word_of(at: u64) -> PhysAddr {
    PhysAddr::truncated(at & !7)
}

/// So many bytes of a fill at `address`, in parts of `step`, are done.
fn filled(address: u64, (done, step): (u64, u64), length: usize, context: &mut Context<'_>) {
    let rest = context.get(libc::REG_RCX).wrapping_sub(done / step);
    context.set(libc::REG_RCX, rest);
    context.set(libc::REG_RDI, address.wrapping_add(done));
    if rest == 0 {
        context.skip(length);
    }
}

impl Memory {
    fn trap(&self) -> Option<&Trap> {
        self.0.host.as_ref()?.trap.as_ref()
    }

    /// Physical addresses that can be followed by code with pointers.
    pub(in crate::conformance::memory) fn trapped_reach(&self) -> Option<Range<u64>> {
        self.trap().map(|trap| trap.window.reach())
    }

    /// Where the code's pointers find a physical address.
    pub(in crate::conformance::memory) fn trapped_pointer(&self, physical: u64) -> Option<*mut u8> {
        self.trap().map(|trap| trap.window.pointer(physical))
    }

    /// The physical address that an address of this process stands for where all of memory is mapped at an
    /// offset, in the window or not.
    pub(super) fn behind(&self, address: u64) -> Option<u64> {
        Some(address.wrapping_sub(self.trap()?.window.pointer(0) as u64))
    }

    /// A signal: `false` when it is no access of the code's.
    pub(super) fn trapped(&self, raised: &Raised, context: &mut Context<'_>) -> bool {
        let Some(trap) = self.trap() else { return false };
        if raised.is_step() {
            return self.stepped(trap, context);
        }
        let address = raised.is_fault().then_some(raised.address);
        let Some((address, at)) =
            address.and_then(|address| Some((address, self.physical(trap, address)?)))
        else {
            return false;
        };
        let stores = context.is_write();
        if trap.step.borrow().open.iter().any(Option::is_some) {
            self.open(trap, at, stores); // one more page of the same instruction
            return true;
        }
        if self.spends_last_access() {
            self.give_up(context);
            return true;
        }
        let instruction = instruction::at(context);
        if let Some(instruction) = &instruction
            && let Some(simple) = instruction::simple(instruction, context)
            && self.done_for_it(trap, at, stores, simple, (instruction.len(), context))
        {
            return true;
        }
        let mut step = trap.step.borrow_mut();
        step.reads = instruction::reads(instruction.as_ref());
        step.refrains = instruction::refrains(instruction.as_ref());
        if trap.window.physical(address).is_none() {
            let ends = (address, trap.window.pointer(at) as u64);
            step.moved = instruction.and_then(|wanted| redirect(&wanted, ends, context));
            if step.moved.is_none() {
                stray::say_code(context);
                die(
                    "ringfence: an instruction that reaches tables through themselves can't be observed: \
                     its address is in no base register of its own",
                );
            }
        }
        drop(step);
        self.open(trap, at, stores);
        let flags = context.flags();
        context.set_flags(flags | TF);
        true
    }

    /// The physical address behind one of the code's.
    fn physical(&self, trap: &Trap, address: u64) -> Option<u64> {
        trap.window.physical(address).or_else(|| self.through_tables(trap, address))
    }

    /// Opens a page for the instruction that faults at `at`.
    fn open(&self, trap: &Trap, at: u64, stores: bool) {
        let page = at & !(FRAME_BYTES - 1);
        let mut step = trap.step.borrow_mut();
        let step = &mut *step;
        let access = if stores { Access::Store } else { Access::Load };
        let is_free = |open: &Option<Open>| open.is_none_or(|open| open.page == page);
        let Some(index) = step.open.iter().position(is_free) else {
            die("ringfence: one instruction touches more pages of the window than can be observed");
        };
        let (Some(slot), Some(saved)) = (step.open.get_mut(index), step.saved.get_mut(index))
        else {
            return;
        };
        let word = word_of(at);
        // What the instruction will find, where that is not what memory is said to hold.
        let mut marked = None;
        if has_memory(at) {
            if stores {
                marked = self.before_trapped(word, step.reads);
            } else {
                self.loaded(word);
            }
        } else if !stores {
            self.note(Event::StrayLoad { at: PhysAddr::truncated(at) });
        }
        let is_new = slot.is_none();
        trap.window.allow(page, access);
        if is_new || !has_memory(at) {
            for (distance, saved) in (0u64..).step_by(8).zip(saved.iter_mut()) {
                *saved = trap.window.word(page + distance);
            }
        }
        let index = usize::try_from(word.offset() / 8).unwrap_or(0);
        if let (Some(marked), Some(saved)) = (marked, saved.get_mut(index)) {
            *saved = marked;
        }
        *slot = Some(Open { page, access, stored: stores.then_some(word.raw()) });
    }

    /// The instruction has been executed: what did it store?
    fn stepped(&self, trap: &Trap, context: &mut Context<'_>) -> bool {
        let mut step = trap.step.borrow_mut();
        let step = &mut *step;
        if step.open.iter().all(Option::is_none) {
            return false;
        }
        let flags = context.flags();
        context.set_flags(flags & !TF);
        if let Some(moved) = step.moved.take() {
            moved.set_back(context);
        }
        let has_stored = match step.refrains {
            Refrains::Never => true,
            Refrains::UnlessEqual => flags & ZF != 0,
            // What it stored is what changed.
            Refrains::WhereMasked => false,
        };
        for (open, saved) in step.open.iter_mut().zip(step.saved.iter()) {
            let Some(open) = open.take() else { continue };
            if open.access == Access::Store {
                let words = (0u64..).step_by(8).zip(saved.iter());
                for (distance, &old) in words {
                    let at = open.page + distance;
                    let new = trap.window.word(at);
                    let is_told = open.stored == Some(at) && has_stored;
                    if new != old || is_told {
                        self.seen(PhysAddr::truncated(at), old, new);
                    }
                }
            }
            trap.window.allow(open.page, usual(trap.observed));
        }
        true
    }

    fn seen(&self, at: PhysAddr, old: u64, new: u64) {
        if has_memory(at.raw()) {
            self.stored_trapped(at, old, new);
        } else {
            self.note(Event::StrayStore { at, new });
        }
    }

    /// No page stays open: the instruction will not be executed.
    pub(super) fn close_pages(&self) {
        let Some(trap) = self.trap() else { return };
        for open in &mut trap.step.borrow_mut().open {
            if let Some(open) = open.take() {
                trap.window.allow(open.page, usual(trap.observed));
            }
        }
    }

    /// Makes a simple access in the code's stead and goes on behind it. `false` when it is not so simple
    /// after all.
    fn done_for_it(
        &self,
        trap: &Trap,
        at: u64,
        stores: bool,
        simple: Simple,
        (length, context): (usize, &mut Context<'_>),
    ) -> bool {
        let is_whole = |address: u64, bytes: u64| {
            self.physical(trap, address) == Some(at)
                && address.is_multiple_of(bytes.min(8))
                && (at & (FRAME_BYTES - 1)) + bytes <= FRAME_BYTES
        };
        if !has_memory(at) {
            let Simple::Fill { at: address, word, bytes, step } = simple else { return false };
            // Its address is in no operand that could be another for one instruction, and stepped through it
            // would fault for each of its parts: a page of it is told as one.
            let to_end = FRAME_BYTES - (at & (FRAME_BYTES - 1));
            let done = bytes.min(to_end / step * step);
            if !stores || done == 0 {
                return false;
            }
            self.note(Event::StrayStore { at: PhysAddr::truncated(at), new: word });
            filled(address, (done, step), length, context);
            return true;
        }
        match simple {
            Simple::Store { at: address, bytes, words } => {
                if !stores || !is_whole(address, u64::from(bytes)) {
                    return false;
                }
                if bytes == 4 {
                    self.store_trapped(word_of(at), words[0], 0xffff_ffff, 8 * (at & 7));
                } else {
                    let count = usize::try_from(bytes / 8).unwrap_or(1);
                    for (distance, word) in (0u64..).step_by(8).zip(words.iter().take(count)) {
                        self.store_trapped(word_of(at + distance), *word, u64::MAX, 0);
                    }
                }
                context.skip(length);
                true
            }
            Simple::Fill { at: address, word, bytes, step } => {
                let is_aligned = address.is_multiple_of(if step == 1 { 1 } else { 8 });
                if !stores || self.physical(trap, address) != Some(at) || !is_aligned {
                    return false;
                }
                let done = self.fill(at, word, bytes);
                filled(address, (done, step), length, context);
                true
            }
            Simple::Load { at: address, bytes, register } => {
                if stores || !is_whole(address, u64::from(bytes)) {
                    return false;
                }
                self.loaded(word_of(at));
                let word = self.peek(word_of(at)) >> (8 * (at & 7));
                let value = if bytes == 4 { word & 0xffff_ffff } else { word };
                context.set_general(register, value);
                context.skip(length);
                true
            }
        }
    }

    /// Fills up to the end of the page; returns how many bytes, a multiple of a word or all there are.
    fn fill(&self, at: u64, word: u64, bytes: u64) -> u64 {
        let end = (at + bytes).min((at | (FRAME_BYTES - 1)) + 1);
        let mut next = at;
        while next < end {
            let in_word = (8 - (next & 7)).min(end - next);
            let mask = if in_word == 8 { u64::MAX } else { (1 << (8 * in_word)) - 1 };
            if next != at {
                // Each word is an access; the one that is one too many ends the call at its next fault.
                let _ = self.spends_last_access();
            }
            self.store_trapped(word_of(next), word, mask, 8 * (next & 7));
            next += in_word;
        }
        end - at
    }
}
