//! The walk by the book: the sentences of the manual one after the other, and nothing of how the rest
//! of this folder reads descriptors.
//!
//! Arm ARM, "Translation process", "Translation table descriptor formats", "Memory access control".

use super::{AArch64, Half, Regime};
use crate::base::{PhysAddr, VirtAddr};
use crate::conformance::format::Reached;
use crate::conformance::rights::Rights;
use crate::machine::paging::PageSize;

/// Bits `high` to `low` of a word.
const fn field(word: u64, high: u32, low: u32) -> u64 {
    word << (63 - high) >> (63 - high + low)
}

/// What the table descriptors on the way say about everything below them.
#[derive(Default)]
struct Hierarchical {
    ap_table: u64,
    uxn_table: bool,
    pxn_table: bool,
}

pub(super) fn translate(
    format: &AArch64,
    entry_at: &dyn Fn(PhysAddr) -> u64,
    root: PhysAddr,
    virt: VirtAddr,
) -> Option<Reached> {
    let input_size = u32::from(format.input_bits);
    // An input address outside of the range is a Translation fault at level 0.
    let above = virt.0 >> input_size;
    let is_in_range = match format.half {
        Half::Lower => above == 0,
        Half::Upper => above == u64::MAX >> input_size,
    };
    if !is_in_range {
        return None;
    }
    // "The translation lookup starts at the level that resolves the most significant bits": 48 to 40
    // bits at level 0, 39 to 31 at level 1, 30 to 22 at level 2.
    let first_level = match input_size {
        40..=48 => 0,
        31..=39 => 1,
        _ => 2,
    };
    let mut table = root.raw();
    let mut hierarchical = Hierarchical::default();
    for level in first_level..=3u32 {
        // Each level resolves 9 bits, the first one what is left: IA[47:39], [38:30], [29:21], [20:12].
        let low = 39 - 9 * level;
        let high = if level == first_level { input_size - 1 } else { low + 8 };
        let address = table + 8 * field(virt.0, high, low);
        let descriptor = entry_at(PhysAddr::truncated(address));
        match (field(descriptor, 1, 0), level) {
            // Bit 0 clear: invalid, whatever the rest says.
            (0b00 | 0b10, _) => return None,
            // A block at level 0 needs 52-bit addresses; 0b01 at level 3 is reserved. Both are treated
            // as invalid.
            (0b01, 0 | 3) => return None,
            (0b01, _) | (_, 3) => {
                return leaf(format, descriptor, level, &hierarchical, virt);
            }
            _ => {
                table = field(descriptor, 47, 12) << 12;
                // Address size fault: an address above what TCR.IPS allows.
                if table >= 1 << format.output_bits {
                    return None;
                }
                hierarchical.ap_table |= field(descriptor, 62, 61);
                hierarchical.uxn_table |= field(descriptor, 60, 60) == 1;
                hierarchical.pxn_table |= field(descriptor, 59, 59) == 1;
            }
        }
    }
    None
}

fn leaf(
    format: &AArch64,
    descriptor: u64,
    level: u32,
    hierarchical: &Hierarchical,
    virt: VirtAddr,
) -> Option<Reached> {
    // Address size fault: on all of bits 47:12, before those below the block are dropped.
    if field(descriptor, 47, 12) << 12 >= 1 << format.output_bits {
        return None;
    }
    // Access flag fault, unless hardware manages the flag.
    if field(descriptor, 10, 10) == 0 && !format.sets_accessed {
        return None;
    }
    let (size, low) = match level {
        1 => (PageSize::Gib1, 30),
        2 => (PageSize::Mib2, 21),
        _ => (PageSize::Kib4, 12),
    };
    let page = field(descriptor, 47, low) << low;
    let address = PhysAddr::truncated(page | field(virt.0, low - 1, 0));
    let is_dirty_managed = format.sets_dirty && field(descriptor, 51, 51) == 1;
    let rights = match format.regime {
        Regime::El1 => stage1_of_el1(descriptor, hierarchical, is_dirty_managed),
        Regime::El2 => stage1_of_el2(descriptor, hierarchical, is_dirty_managed),
        Regime::Stage2 => stage2(descriptor, is_dirty_managed),
    };
    Some(Reached { address, size, rights })
}

fn of(given: [(bool, Rights); 4]) -> Rights {
    given.into_iter().fold(
        Rights::READ,
        |all, (is_given, right)| {
            if is_given { all.and(right) } else { all }
        },
    )
}

fn stage1_of_el1(descriptor: u64, above: &Hierarchical, is_dirty_managed: bool) -> Rights {
    // AP[2:1]: 00 EL1 read/write; 01 both read/write; 10 EL1 read-only; 11 both read-only. APTable[1]
    // withdraws writes, APTable[0] everything of EL0.
    let mut ap = field(descriptor, 7, 6);
    if is_dirty_managed {
        ap &= 0b01;
    }
    if above.ap_table & 0b10 != 0 {
        ap |= 0b10;
    }
    if above.ap_table & 0b01 != 0 {
        ap &= 0b10;
    }
    let (of_el0, writable) = match ap {
        0b00 => (false, true),
        0b01 => (true, true),
        0b10 => (false, false),
        _ => (true, false),
    };
    let uxn = field(descriptor, 54, 54) == 1 || above.uxn_table;
    // "Any region that is writable at EL0 is treated as PXN."
    let pxn = field(descriptor, 53, 53) == 1 || above.pxn_table || ap == 0b01;
    let (own, across) = if of_el0 { (!uxn, !pxn) } else { (!pxn, !uxn) };
    of([
        (writable, Rights::WRITE),
        (of_el0, Rights::USER),
        (own, Rights::EXECUTE),
        (across, Rights::ACROSS),
    ])
}

fn stage1_of_el2(descriptor: u64, above: &Hierarchical, is_dirty_managed: bool) -> Rights {
    // AP[1] is RES1 and APTable[0] RES0: one exception level. XN is bit 54, XNTable bit 60.
    let writable = (field(descriptor, 7, 7) == 0 || is_dirty_managed) && above.ap_table & 0b10 == 0;
    let executable = field(descriptor, 54, 54) == 0 && !above.uxn_table;
    of([
        (writable, Rights::WRITE),
        (executable, Rights::EXECUTE),
        (false, Rights::READ),
        (false, Rights::READ),
    ])
}

fn stage2(descriptor: u64, is_dirty_managed: bool) -> Rights {
    // S2AP[1] permits writes. XN[1:0]: 00 both execute; 01 EL0 only; 10 nobody; 11 EL1 only.
    let writable = field(descriptor, 7, 7) == 1 || is_dirty_managed;
    let executable = field(descriptor, 54, 53) != 0b10;
    of([
        (writable, Rights::WRITE),
        (executable, Rights::EXECUTE),
        (false, Rights::READ),
        (false, Rights::READ),
    ])
}
