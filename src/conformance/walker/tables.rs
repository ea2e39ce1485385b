//! Tables, and what is asked of them and happens to them.

use core::fmt;
use core::ops::Range;

use super::addresses::{self, attempt};
use super::entries::{altered, leaf};
use crate::base::{FRAME_BYTES, PhysAddr, VirtAddr};
use crate::conformance::declared::Declared;
use crate::conformance::draw::Draw;
use crate::conformance::format::{Decoded, Format, index, size_at};
use crate::conformance::memory::{Hosting, Invalidation, Memory};
use crate::conformance::subject::Attempt;
use crate::minimise::Shrink;

/// Frames that become tables; the first is the root.
pub(super) const TABLES: u64 = 8;

/// One entry: its level is told, since a table may be reached at several.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Word {
    table: u64,
    index: u64,
    pub(super) level: u8,
    pub(super) bits: u64,
}

/// One thing that is done with the walker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// It is asked.
    Ask(Attempt),
    /// Somebody stores an entry and then tells everybody to forget.
    Change(Word, Invalidation),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(Attempt { virt, access, ring }) => {
                write!(f, "translate {virt}, {access:?} by {ring:?}")
            }
            Self::Change(_, what) => write!(f, "invalidate {what:x?}"),
        }
    }
}

/// Tables and what is asked of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tables {
    pub(crate) words: Vec<Word>,
    pub(crate) steps: Vec<Step>,
}

impl Tables {
    pub(crate) fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.steps.iter().filter_map(|step| match step {
            Step::Ask(attempt) => Some(attempt),
            Step::Change(..) => None,
        })
    }

    fn all_words(&mut self) -> impl Iterator<Item = &mut Word> {
        let changes = self.steps.iter_mut().filter_map(|step| match step {
            Step::Change(word, _) => Some(word),
            Step::Ask(_) => None,
        });
        self.words.iter_mut().chain(changes)
    }

    /// Whether no table leads code with pointers out of its reach.
    pub(super) fn is_within(&self, format: &dyn Format, reach: &Range<u64>) -> bool {
        let mut within = self.clone();
        within.keep_within(format, reach);
        within == *self
    }

    /// Leaves out what code with pointers would follow out of its reach because a table is reached at another level
    /// than the one that its entries were drawn for.
    fn keep_within(&mut self, format: &dyn Format, reach: &Range<u64>) {
        let tables: Vec<u64> = (0..TABLES).map(|number| table(number).raw()).collect();
        let address = |bits: u64| bits & format.address_bits();
        // By number, the levels at which a walk may come to a table: bit n is level n.
        let mut levels = vec![0_u64; tables.len()];
        if let Some(of_root) = levels.first_mut() {
            *of_root = 1 << format.levels();
        }
        // Each round goes down one level.
        for _ in 1..format.levels() {
            for word in self.all_words() {
                let at = usize::try_from(word.table).unwrap_or(usize::MAX);
                let below = levels.get(at).map_or(0, |levels| levels >> 1) & !1;
                let to = tables.iter().position(|&table| table == address(word.bits));
                if let Some(levels) = to.and_then(|to| levels.get_mut(to)) {
                    *levels |= below;
                }
            }
        }
        for word in self.all_words() {
            let at = usize::try_from(word.table).unwrap_or(usize::MAX);
            let of_table = levels.get(at).copied().unwrap_or(0);
            let is_followed = |&level: &u8| match format.decode(level, word.bits) {
                Decoded::Table { .. } => true,
                // What is found in a window is told, so it is no matter who takes what for a table.
                _ => !reach.is_empty() && word.bits & format.valid_bit() != 0,
            };
            let is_ever_followed = (2..=format.levels())
                .filter(|level| of_table >> level & 1 == 1)
                .any(|l| is_followed(&l));
            let at = address(word.bits);
            if is_ever_followed && !reach.contains(&at) && !tables.contains(&at) {
                word.bits = 0;
            }
        }
    }
}

impl Shrink for Tables {
    fn lengths(&self) -> Vec<usize> {
        vec![self.steps.len(), self.words.len()]
    }

    fn keeping(&self, sequence: usize, kept: &[usize]) -> Self {
        let mut form = self.clone();
        if sequence == 0 {
            form.steps = kept.iter().filter_map(|&at| self.steps.get(at).copied()).collect();
        } else {
            form.words = kept.iter().filter_map(|&at| self.words.get(at).copied()).collect();
        }
        form
    }

    fn simpler(&self) -> impl Iterator<Item = Self> {
        self.words.iter().enumerate().flat_map(move |(number, word)| {
            (0..64).filter(move |bit| word.bits >> bit & 1 == 1).map(move |bit| {
                let mut form = self.clone();
                if let Some(word) = form.words.get_mut(number) {
                    word.bits &= !(1 << bit);
                }
                form
            })
        })
    }
}

pub(crate) fn root() -> PhysAddr {
    table(0)
}

fn table(number: u64) -> PhysAddr {
    Memory::frame(number).start()
}

pub(super) fn address(word: &Word) -> PhysAddr {
    table(word.table).plus(8 * word.index)
}

/// Memory with these tables; entries may name any frame, so any load is legitimate.
pub(crate) fn prepared(format: &'static dyn Format, words: &[Word], hosting: Hosting) -> Memory {
    let memory = Memory::hosted(format, None, hosting);
    memory.begin(super::ACCESSES_MAX);
    for _ in 0..TABLES {
        // Frames come in order; each is cleared.
        let _ = memory.allocate_zeroed();
    }
    memory.alter();
    for word in words {
        memory.poke(address(word), word.bits);
    }
    memory
}

/// Draws tables for code that can follow these physical addresses and said this of itself.
pub(crate) fn generate(
    draw: &mut Draw<'_>,
    format: &dyn Format,
    reach: &Range<u64>,
    declared: &Declared,
) -> Tables {
    let mut tables = Tables::default();
    let is_any = draw.one_in(3);
    let addresses = 1 + draw.below(3);
    for _ in 0..addresses {
        let virt = addresses::page(draw, format, is_any);
        let lowest = 1 + u8::try_from(draw.below(3)).unwrap_or(0);
        let lowest =
            if size_at(lowest).is_some_and(|size| declared.knows(size)) { lowest } else { 1 };
        let mut number = 0;
        for level in (lowest..=format.levels()).rev() {
            let below = 1 + draw.below(TABLES - 1);
            let bits =
                if level > lowest { format.table(table(below)) } else { leaf(draw, format, level) };
            let bits = altered(draw, format, level, bits, is_any, (reach, declared));
            let index = index(format, level, virt);
            tables.words.push(Word { table: number, index, level, bits });
            number = below;
        }
        for _ in 0..2 {
            let size = size_at(lowest).filter(|_| draw.one_in(4)).unwrap_or_default();
            let mut attempt = attempt(draw, virt, size.bytes());
            if draw.one_in(8) {
                attempt.virt.0 ^= 1 << (47 + draw.below(17));
            }
            tables.steps.push(Step::Ask(attempt));
        }
        if draw.one_in(3) {
            // Only what was invalidated must be forgotten: with one address everything may be asked
            // after an invalidation of its page.
            let is_page = addresses == 1 && draw.one_in(2);
            change(draw, format, &mut tables, virt, is_page, (reach, declared));
        }
    }
    tables.keep_within(format, reach);
    tables
}

/// Changes an entry on the way to `virt` and asks again.
fn change(
    draw: &mut Draw<'_>,
    format: &dyn Format,
    tables: &mut Tables,
    virt: VirtAddr,
    is_page: bool,
    limits: (&Range<u64>, &Declared),
) {
    let count = tables.words.len();
    let back = usize::try_from(draw.below(u64::from(format.levels()))).unwrap_or(0);
    let Some(&word) = count.checked_sub(1 + back).and_then(|at| tables.words.get(at)) else {
        return;
    };
    let bits = match draw.below(3) {
        0 => 0,
        1 => altered(draw, format, word.level, word.bits, false, limits),
        _ if matches!(format.decode(word.level, word.bits), Decoded::Leaf { .. }) => {
            leaf(draw, format, word.level)
        }
        _ => word.bits & !format.valid_bit(),
    };
    let what = if is_page { Invalidation::Page(virt) } else { Invalidation::All };
    tables.steps.push(Step::Change(Word { bits, ..word }, what));
    tables.steps.push(Step::Ask(attempt(draw, virt, FRAME_BYTES)));
}
