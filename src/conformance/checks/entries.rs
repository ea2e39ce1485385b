//! Entries are well formed for their level, and live entries change only in the orders that the
//! architecture allows.
//!
//! A malformed entry faults where the code believes to have mapped something; two formats for the
//! same address in the translation caches are worse than either.
//!
//! Not checked here: what the entry translates (`request`, `isolation`).

use crate::base::{PhysAddr, VirtAddr};
use crate::conformance::breach::{Breach, Check, MADE_EARLY};
use crate::conformance::format::{Decoded, Format, Met, Reserved, Rule};
use crate::conformance::may_hold::Meeting;
use crate::conformance::scene::Scene;
use crate::conformance::tables::{Leaf, Listing, TableUse, level_of};

pub(crate) fn judge(
    scene: &Scene,
    table: &TableUse,
    at: PhysAddr,
    old: u64,
    new: u64,
) -> Option<Breach> {
    let first = scene.format.first_of(table.level, table.first, at.offset() / 8);
    stored(scene.format, table.level, first, old, new)
}

/// One store over the entry of a table in use.
pub(crate) fn stored(
    format: &dyn Format,
    level: u8,
    first: VirtAddr,
    old: u64,
    new: u64,
) -> Option<Breach> {
    let virt = Some(first);
    let number = format.level_name(level);
    if format.decode(level, new) == Decoded::Malformed {
        let what = format!(
            "writes a malformed entry of level {number} for {first}: {}",
            format.describe(level, new)
        );
        let kind = format!("malformed entry at level {number}");
        let rule = format.rule(Rule::Entries);
        return Some(Breach { check: Check::Entries, kind, what, virt, rule });
    }
    // What was so before is kept, and not written.
    let reserved = |bits| format.reserved(level, bits);
    if let Some(Reserved { bits, what }) = reserved(new).filter(|_| reserved(new) != reserved(old))
    {
        let what = format!(
            "writes an entry of level {number} for {first} with reserved bits {bits:#x}: {what}: {}",
            format.describe(level, new)
        );
        let kind = format!("reserved bits at level {number}");
        let rule = format.rule(Rule::Entries);
        return Some(Breach { check: Check::Entries, kind, what, virt, rule });
    }
    let met = |bits| Met { level, bits };
    let wrong = format.conflict(met(old), met(new))?;
    let what = format!(
        "changes the live entry of level {number} for {first} in place, and {wrong}: {} becomes {}",
        format.describe(level, old),
        format.describe(level, new)
    );
    let kind = format!("made without break: {wrong}");
    let rule = format.rule(Rule::Order);
    Some(Breach { check: Check::Entries, kind, what, virt, rule })
}

/// A leaf that one translation with its neighbours may be remembered for, and a neighbour that is not like it: when
/// a call has returned, since a set is written entry by entry.
pub(crate) fn whole(scene: &Scene) -> Option<Breach> {
    let word_at = |at| scene.word(at);
    scene.listing.leaves.iter().find_map(|leaf| whole_set(scene.format, leaf, &word_at))
}

/// The same of one leaf.
pub(crate) fn whole_set(
    format: &dyn Format,
    leaf: &Leaf,
    word_at: &dyn Fn(PhysAddr) -> u64,
) -> Option<Breach> {
    let level = level_of(leaf.size);
    let set = format.set_of(level, leaf.bits)?;
    let place = leaf.at.raw() / 8 % set;
    let plain = |bits| format.marked(level, bits, true) & !format.address_bits();
    let entry = |index: u64| PhysAddr::truncated(leaf.at.raw() - 8 * place + 8 * index);
    let is_like = |index: u64| {
        let bits = word_at(entry(index));
        let expected = leaf.page.raw().wrapping_sub(place * leaf.size.bytes());
        let expected = expected.wrapping_add(index * leaf.size.bytes());
        let leads = matches!(
            format.decode(level, bits),
            Decoded::Leaf { page, .. } if page.raw() == expected
        );
        leads && plain(bits) == plain(leaf.bits)
    };
    let is_aligned = (leaf.page.raw() / leaf.size.bytes()) % set == place;
    let other = (0..set).find(|&index| !is_like(index));
    let what = match other {
        None if is_aligned => return None,
        None => format!(
            "leaves a set of {set} entries that leads to {:#x}, not aligned to its size",
            leaf.page.raw()
        ),
        Some(other) => {
            let at = entry(other);
            format!(
                "leaves an entry for {} that may be remembered for all {set} of its set, and the one at {:#x} \
                 is not like it: {} beside {}",
                leaf.first,
                at.raw(),
                format.describe(level, word_at(at)),
                format.describe(level, leaf.bits)
            )
        }
    };
    let kind = format!("a set of {set} entries is not whole");
    let (virt, rule) = (Some(leaf.first), format.rule(Rule::Sets));
    Some(Breach { check: Check::Entries, kind, what, virt, rule })
}

/// What was made by the last stores while a processor may still remember what it replaces: it was
/// broken, and the break is not complete.
pub(crate) fn made(scene: &Scene, before: &Listing, now: &Listing) -> Option<Breach> {
    let meeting = scene.may_hold.meeting(scene.format, before, now)?;
    Some(met(scene.format, &meeting))
}

/// A processor may still remember what an entry replaces.
pub(crate) fn met(format: &dyn Format, meeting: &Meeting) -> Breach {
    let Meeting { virt, was, is, why, missing, .. } = meeting;
    let what = format!(
        "makes an entry for {virt} while a processor may still use the one before it, and {why}: {} \
         then, {} now; {missing}",
        format.describe(was.level, was.bits),
        format.describe(is.level, is.bits)
    );
    let kind = format!("{MADE_EARLY}: {why}");
    let rule = format.rule(Rule::Order);
    Breach { check: Check::Entries, kind, what, virt: Some(*virt), rule }
}

/// The first of the tables that were linked by the last stores before those that filled it are
/// ordered.
pub(crate) fn linked(scene: &Scene, before: &Listing, now: &Listing) -> Option<Breach> {
    let is_new = |table: &&TableUse| !before.tables.contains(table);
    let table = now.tables.iter().filter(is_new).find(|table| scene.is_unordered(table.frame))?;
    Some(unordered(scene.format, table))
}

/// A walk may find the entry that names a table and not yet those in it.
pub(crate) fn unordered(format: &dyn Format, table: &TableUse) -> Breach {
    let what = format!(
        "links the table at {:#x} for {} and no barrier since orders the stores that filled it",
        table.frame.start().raw(),
        table.first
    );
    let kind = "linked before it is filled in order".to_owned();
    let rule = format.rule(Rule::Barriers);
    Breach { check: Check::Entries, kind, what, virt: Some(table.first), rule }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::format::{AArch64, X86_64};
    use crate::conformance::rights::Rights;

    #[test]
    fn reserved_bits_of_a_block_are_told_when_they_are_written_and_not_when_they_are_kept() {
        let page = PhysAddr::truncated(0x8000_0000);
        let block = AArch64::LOWER.leaf(2, page, Rights::WRITE);
        let small = AArch64::LOWER.leaf(1, page, Rights::WRITE);
        let kind = |level, old, new| {
            stored(AArch64::LOWER, level, VirtAddr(0), old, new).map(|breach| breach.kind)
        };

        for bits in [1 << 12, 1 << 13, 0b11 << 12, 1 << 17, 1 << 20] {
            assert_eq!(kind(2, 0, block | bits).as_deref(), Some("reserved bits at level 2"));
            assert_eq!(kind(2, block | bits, block | bits | 1 << 55), None, "it was there");
        }
        let shared = |entry: u64| entry & !(0b11 << 8) | 0b01 << 8;
        assert_eq!(kind(2, 0, shared(block)).as_deref(), Some("reserved bits at level 2"));
        assert_eq!(kind(1, 0, shared(small)).as_deref(), Some("reserved bits at level 3"));
        for (level, entry) in [(2, block), (2, block | 1 << 16), (1, small), (1, small | 1 << 13)] {
            assert_eq!(kind(level, 0, entry), None, "{entry:#x}");
        }
        let pat = X86_64::FOUR_LEVELS.leaf(2, page, Rights::WRITE) | 1 << 12;
        assert_eq!(stored(X86_64::FOUR_LEVELS, 2, VirtAddr(0), 0, pat), None);
    }
}
