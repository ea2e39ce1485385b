//! Which frames are page tables that a root leads to?
//!
//! Told by the entries alone, of both halves, whoever may use what they map; each frame is visited once, so
//! that tables which show themselves end.
//!
//! Source: Intel SDM volume 3A, "4-Level Paging".

use crate::base::{FRAME_BYTES, KernelMap, PhysAddr};
use crate::machine::memory::Memory;

use super::{ADDRESS, LARGE, PRESENT, parts, root_entry};

/// Marks the frame of this table, and those of all tables that it leads to, whoever may use them. A frame
/// that is marked was visited.
pub(in crate::invariants) fn mark_tables(
    memory: &Memory,
    table: u64,
    level: u32,
    marked: &mut [bool],
) {
    let table = table & ADDRESS;
    let frame = usize::try_from(table / FRAME_BYTES).unwrap_or(usize::MAX);
    match marked.get_mut(frame) {
        Some(mark) if !*mark => *mark = true,
        _ => return,
    }
    if level == 1 {
        return;
    }
    for part in parts(memory, table) {
        if part.iter().fold(0, |any, entry| any | entry) & PRESENT == 0 {
            continue;
        }
        for &entry in part {
            if entry & PRESENT != 0 && (level == 4 || entry & LARGE == 0) {
                mark_tables(memory, entry, level - 1, marked);
            }
        }
    }
}

/// Whether the frame at `at` shows itself as a root does.
pub(in crate::invariants) fn is_root(memory: &Memory, map: &KernelMap, at: PhysAddr) -> bool {
    let entry = root_entry(memory, at.raw(), map.self_map_slot);
    entry & PRESENT != 0 && entry & ADDRESS == at.raw()
}
