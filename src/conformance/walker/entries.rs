//! Which entries are drawn: half of them as somebody would write them. The others have one bit the other way; in one
//! set of tables out of three they are those of another level, and any words at all.
//!
//! Code under test meets whatever is in memory. A bit alone shows that one is looked at wrongly; words in which
//! several are wrong at once show checks that are made in the wrong order, or that count on each other. Sets of
//! tables have the one or the other: where any word may stand above, few entries are reached to be asked about.

use core::ops::Range;

use crate::base::PhysAddr;
use crate::conformance::declared::Declared;
use crate::conformance::draw::Draw;
use crate::conformance::format::{Decoded, Format, size_at};
use crate::conformance::rights::Rights;
use crate::machine::paging::PageSize;

/// A leaf to somewhere without memory.
pub(super) fn leaf(draw: &mut Draw<'_>, format: &dyn Format, level: u8) -> u64 {
    let rights = Rights::from_bits(u8::try_from(draw.below(8)).unwrap_or(0));
    let bytes = size_at(level).map_or(4096, PageSize::bytes);
    let page = PhysAddr::truncated(0x20_0000_0000 + draw.below(4) * bytes);
    format.leaf(level, page, rights)
}

/// Half of the entries stay as they are; of the others `is_any` says that they may be any word. Code with pointers is
/// not led beyond its reach: that crashes the process and shows nothing.
pub(super) fn altered(
    draw: &mut Draw<'_>,
    format: &dyn Format,
    level: u8,
    bits: u64,
    is_any: bool,
    (reach, declared): (&Range<u64>, &Declared),
) -> u64 {
    let address_bits = format.address_bits();
    let with_its_address = |word: u64| word & !address_bits | bits & address_bits;
    if draw.one_in(2) {
        return bits;
    }
    let changed = match (is_any, draw.below(8)) {
        (false, 0..=3) | (true, 0 | 1) => bits ^ 1 << draw.below(64),
        (false, 4 | 5) => bits ^ 1 << draw.below(13),
        (false, _) => bits | draw.below(u64::MAX) & format.decorations(level),
        (true, 2 | 3) => with_its_address(any(draw)) & !telling(format) | bits & telling(format),
        (true, 4 | 5) => of_a_kind(draw, format, bits & address_bits),
        (true, 6) => with_its_address(any(draw)),
        (true, _) => any(draw),
    };
    let changed = changed & !declared.own_bits | bits & declared.own_bits;
    if leads_away(format, level, (bits, changed), reach) {
        let changed = with_its_address(changed);
        return if leads_away(format, level, (bits, changed), reach) { bits } else { changed };
    }
    changed
}

/// The bits by which leaves of one level, those of another and names of tables are told from each other.
fn telling(format: &dyn Format) -> u64 {
    let leaf_at = |level| format.leaf(level, PhysAddr::truncated(0), Rights::ALL);
    leaf_at(1) ^ leaf_at(2) | format.valid_bit()
}

/// An entry of any kind: one that names a table, or a leaf of some level, with each value of the bits that tell which.
fn of_a_kind(draw: &mut Draw<'_>, format: &dyn Format, address: u64) -> u64 {
    let telling = telling(format);
    let word = if draw.one_in(2) {
        let level = 1 + u8::try_from(draw.below(3)).unwrap_or(0);
        leaf(draw, format, level)
    } else {
        format.table(PhysAddr::truncated(address))
    };
    word & !telling | draw.below(u64::MAX) & telling
}

/// Any word, and often all ones, or ones from some place on.
fn any(draw: &mut Draw<'_>) -> u64 {
    match draw.below(8) {
        0 => u64::MAX,
        1 => u64::MAX << draw.below(64),
        2 => u64::MAX >> draw.below(64),
        _ => draw.below(u64::MAX),
    }
}

/// Whether code with pointers may follow the changed entry beyond its reach. A leaf of these tables leads where there
/// is no memory. Code that takes a large one for a table is told so where that is within reach, and must not be led
/// from there; where it isn't, nothing is to be gained.
fn leads_away(
    format: &dyn Format,
    level: u8,
    (bits, changed): (u64, u64),
    reach: &Range<u64>,
) -> bool {
    let is_leaf = |bits| matches!(format.decode(level, bits), Decoded::Leaf { .. });
    let address = |bits| bits & format.address_bits();
    let is_moved = address(changed) != address(bits);
    let may_be_followed = level > 1
        && if is_leaf(changed) {
            is_moved && reach.contains(&address(bits))
        } else {
            is_moved || is_leaf(bits)
        };
    may_be_followed && !reach.contains(&address(changed))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::base::Seed;
    use crate::conformance::format::{AArch64, X86_64};
    use crate::conformance::walker::{CASES, generate};

    /// What tells entries apart: P and PS, as the Intel SDM has it; bits 1:0, as the Arm ARM has it.
    #[test]
    fn each_value_of_the_bits_that_tell_entries_apart_is_drawn_at_each_level() {
        let formats: [(&dyn Format, u64); 2] =
            [(X86_64::FOUR_LEVELS, 0b1000_0001), (AArch64::LOWER, 0b11)];
        for (format, telling) in formats {
            let mut met = BTreeSet::new();
            for seed in 0..CASES {
                let stream = Seed(seed).stream("entries", 0);
                let mut draw = Draw::Stream(Box::new(stream));
                let tables = generate(&mut draw, format, &(0..u64::MAX), &Declared::default());
                let words = tables.words.iter().filter(|word| word.bits & !telling != 0);
                met.extend(words.map(|word| (word.level, word.bits & telling)));
                met.extend(
                    tables
                        .words
                        .iter()
                        .filter(|word| word.bits == u64::MAX)
                        .map(|word| (word.level, u64::MAX)),
                );
            }
            // Four values, and all ones, at each of four levels.
            assert_eq!(met.len(), 4 * 5, "{met:x?}");
        }
    }
}
