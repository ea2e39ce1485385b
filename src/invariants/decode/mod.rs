//! Raw bytes read by our own rules: tables and structures of the kernel, without its code.
//!
//! Only 4-level paging with 4 KiB, 2 MiB and 1 GiB pages (Intel SDM volume 3A, "4-Level Paging"); what
//! reserved bits forbid is not looked at, so that more is taken for mapped than is.

pub(super) mod count;
pub(super) mod tables;

use core::cell::Cell;

use crate::base::{FRAME_BYTES, KernelMap, PhysAddr};
use crate::machine::memory::Memory;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 2;
const USER: u64 = 4;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Entries of a table.
pub const ENTRIES: u64 = 512;
/// The accessed bit, which processors set by themselves.
pub const ACCESSED: u64 = 1 << 5;
/// The dirty bit, which processors set by themselves.
pub const DIRTY: u64 = 1 << 6;

/// A page that a root maps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// Its first linear address.
    pub virt: u64,
    /// Where it leads.
    pub phys: u64,
    /// Its size.
    pub bytes: u64,
    /// Whether every entry on the way lets writes through.
    pub is_writable: bool,
    /// Whether every entry on the way lets fetches through.
    pub is_executable: bool,
}

impl Leaf {
    /// Where in it each of its frames begins, as far as memory has them and one frame beyond: behind
    /// that all are alike. A damaged entry may make a page of 1 GiB of a table's.
    pub fn frames(&self, memory: &Memory) -> impl Iterator<Item = u64> + use<> {
        let within = memory.bytes().saturating_sub(self.phys).saturating_add(FRAME_BYTES);
        (0..self.bytes.min(within).div_ceil(FRAME_BYTES)).map(|frame| frame * FRAME_BYTES)
    }
}

/// Whether an entry lets user mode through.
#[must_use]
pub const fn is_for_user(entry: u64) -> bool {
    entry & (PRESENT | USER) == PRESENT | USER
}

fn word(memory: &Memory, at: u64) -> u64 {
    memory.read(PhysAddr::truncated(at))
}

const fn canonical(virt: u64) -> u64 {
    if virt >> 47 & 1 == 1 { virt | 0xffff_0000_0000_0000 } else { virt }
}

/// Tables that are read at most: more ways than any sane root has, bounded for those that name
/// themselves.
const TABLES_MAX: usize = 4096;

/// Every page that user mode may reach through a root. The second value is whether all was seen.
#[must_use]
pub fn user_leaves(memory: &Memory, root: u64) -> (Vec<Leaf>, bool) {
    let mut found = Vec::new();
    let mut left = TABLES_MAX;
    let is_complete = descend(memory, root & ADDRESS, 4, 0, (true, true), &mut left, &mut found);
    (found, is_complete)
}

/// Entries that are looked at together: most are not for user mode.
const AT_ONCE: usize = 32;

/// A table in parts; nothing of one outside memory.
fn parts(memory: &Memory, table: u64) -> &[[u64; AT_ONCE]] {
    let first = usize::try_from(table / 8).unwrap_or(usize::MAX);
    #[allow(clippy::cast_possible_truncation, reason = "512")]
    const WORDS: usize = ENTRIES as usize;
    let table = memory.words().get(first..).and_then(|rest| rest.get(..WORDS));
    table.unwrap_or_default().as_chunks().0
}

/// Whether none of these entries lets user mode through.
fn none_is_for_user(entries: &[u64; AT_ONCE]) -> bool {
    // Bits 0 and 2 of one entry, laid upon each other.
    const { assert!(PRESENT << 2 == USER) };
    entries.iter().fold(0, |any, &entry| any | entry & entry >> 2) & 1 == 0
}

fn descend(
    memory: &Memory,
    table: u64,
    level: u32,
    base: u64,
    rights: (bool, bool),
    left: &mut usize,
    found: &mut Vec<Leaf>,
) -> bool {
    if *left == 0 {
        return false;
    }
    *left -= 1;
    let shift = 12 + 9 * (level - 1);
    let mut enter = |index: u64, entry: u64| {
        let virt = base | index << shift;
        let rights = (rights.0 && entry & WRITABLE != 0, rights.1 && entry & NO_EXECUTE == 0);
        if level == 1 || level < 4 && entry & LARGE != 0 {
            let bytes = 1 << shift;
            found.push(Leaf {
                virt: canonical(virt),
                phys: entry & ADDRESS & !(bytes - 1),
                bytes,
                is_writable: rights.0,
                is_executable: rights.1,
            });
            return true;
        }
        descend(memory, entry & ADDRESS, level - 1, virt, rights, left, found)
    };
    let parts = parts(memory, table);
    if parts.is_empty() {
        let entry = word(memory, table);
        return !is_for_user(entry) || (0..ENTRIES).all(|index| enter(index, entry));
    }
    for (first, part) in (0..).step_by(AT_ONCE).zip(parts) {
        if none_is_for_user(part) {
            continue;
        }
        for (index, &entry) in (first..).zip(part) {
            if is_for_user(entry) && !enter(index, entry) {
                return false;
            }
        }
    }
    true
}

/// Where a root leads from a linear address, rights aside.
#[must_use]
pub fn locate(memory: &Memory, root: u64, virt: u64) -> Option<u64> {
    let mut table = root & ADDRESS;
    let mut level = 4;
    loop {
        let shift = 12 + 9 * (level - 1);
        let entry = word(memory, table + (virt >> shift & 511) * 8);
        if entry & PRESENT == 0 {
            return None;
        }
        if level == 1 || level < 4 && entry & LARGE != 0 {
            let inside = (1 << shift) - 1;
            return Some(entry & ADDRESS & !inside | virt & inside);
        }
        table = entry & ADDRESS;
        level -= 1;
    }
}

/// Where the entries are that lead from a root to the page of a linear address, as far as they are present.
pub fn entries_to(memory: &Memory, root: u64, virt: u64) -> impl Iterator<Item = u64> + '_ {
    let mut table = Some(root & ADDRESS);
    (1..=4).rev().map_while(move |level| {
        let at = table? + (virt >> (12 + 9 * (level - 1)) & 511) * 8;
        let entry = word(memory, at);
        let leads_on = entry & PRESENT != 0 && (level == 4 || entry & LARGE == 0);
        table = leads_on.then_some(entry & ADDRESS);
        Some(at)
    })
}

/// A word of the kernel's, by its linear address.
#[must_use]
pub fn kernel_word(memory: &Memory, map: &KernelMap, virt: u64) -> Option<u64> {
    locate(memory, map.system_root, virt).map(|at| word(memory, at & !7))
}

/// Reads words of the kernel's, and keeps where the last page led: structures that are scanned lie
/// side by side, and memory stands still meanwhile.
pub struct KernelWords<'a> {
    memory: &'a Memory,
    map: &'a KernelMap,
    /// The page asked for last, and where it leads.
    last: Cell<(u64, u64)>,
}

/// No page, and where it leads.
const NOWHERE: u64 = u64::MAX;

impl<'a> KernelWords<'a> {
    /// Those in this memory.
    #[must_use]
    pub fn new(memory: &'a Memory, map: &'a KernelMap) -> Self {
        Self { memory, map, last: Cell::new((NOWHERE, NOWHERE)) }
    }

    /// As [`kernel_word`].
    #[inline]
    #[must_use]
    pub fn at(&self, virt: u64) -> Option<u64> {
        let page = virt & !(FRAME_BYTES - 1);
        let (last, to) = self.last.get();
        let to = if last == page { to } else { self.turn_to(page) };
        (to != NOWHERE).then(|| word(self.memory, to | virt & (FRAME_BYTES - 1) & !7))
    }

    fn turn_to(&self, page: u64) -> u64 {
        let to = locate(self.memory, self.map.system_root, page).unwrap_or(NOWHERE);
        self.last.set((page, to));
        to
    }
}

/// The entry of a root's table.
#[must_use]
pub fn root_entry(memory: &Memory, root: u64, slot: u64) -> u64 {
    word(memory, (root & ADDRESS) + (slot % ENTRIES) * 8)
}

/// The reference count of a frame.
#[must_use]
pub fn frame_count(words: &KernelWords<'_>, frame: u64) -> Option<u64> {
    let map = words.map;
    let entry = map.frame_database.wrapping_add(frame.wrapping_mul(map.frame_entry_bytes));
    words.at(entry.wrapping_add(map.frame_count))
}

/// The free-frame list in order; the second value is whether it ends as a list should.
#[must_use]
pub fn free_frames(memory: &Memory, map: &KernelMap) -> (Vec<u64>, bool) {
    let mut frames = Vec::new();
    let words = KernelWords::new(memory, map);
    let mut next = words.at(map.free_frames).unwrap_or(0);
    while next != 0 {
        if next >= memory.frame_count() || frames.len() as u64 >= memory.frame_count() {
            return (frames, false);
        }
        frames.push(next);
        let entry = map.frame_database.wrapping_add(next.wrapping_mul(map.frame_entry_bytes));
        next = words.at(entry.wrapping_add(map.frame_next)).unwrap_or(0);
    }
    (frames, true)
}

/// An entry of a process's handle table that is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawHandle {
    /// The principal whose table it is in.
    pub process: u8,
    /// The handle's value.
    pub value: u64,
    /// Where it leads.
    pub object: u64,
    /// Its rights.
    pub rights: u64,
}

/// Every process object of the process table, by principal number; 0 where there is none.
fn processes<'a>(
    words: &'a KernelWords<'_>,
    map: &'a KernelMap,
) -> impl Iterator<Item = (u8, u64)> {
    let count = u8::try_from(map.processes_max.min(64)).unwrap_or(64);
    (0..count).map(|process| {
        let at = map.processes + u64::from(process) * 8;
        (process, words.at(at).unwrap_or(0))
    })
}

/// Where a process object has its handle table; 0 where it has none.
fn table_of(words: &KernelWords<'_>, map: &KernelMap, object: u64) -> u64 {
    if object == 0 {
        return 0;
    }
    words.at(object.wrapping_add(map.process_handles)).unwrap_or(0)
}

/// The entries in use of the handle table of a process object.
fn entries(
    words: &KernelWords<'_>,
    map: &KernelMap,
    object: u64,
    process: u8,
    found: &mut Vec<RawHandle>,
) {
    let table = table_of(words, map, object);
    if table == 0 {
        return;
    }
    found.extend((0..map.handles_max).filter_map(|index| entry(words, map, table, process, index)));
}

/// An entry of the handle table at `table`, if it is in use.
fn entry(
    words: &KernelWords<'_>,
    map: &KernelMap,
    table: u64,
    process: u8,
    index: u64,
) -> Option<RawHandle> {
    let entry = table.wrapping_add(index * map.handle_bytes);
    let field = |offset: u64| words.at(entry.wrapping_add(offset));
    let object = field(map.handle_object).filter(|&object| object != 0)?;
    let rights = field(map.handle_access).unwrap_or(0) & map.handle_rights;
    Some(RawHandle { process, value: value_of(map, process, index), object, rights })
}

/// The handle that names an entry of a process's table.
fn value_of(map: &KernelMap, process: u8, index: u64) -> u64 {
    let mark = if process == 0 { map.kernel_handle } else { 0 };
    (4 * (index + 1)) | mark
}

/// The entry that a handle of a process names, if it is in use: of what [`handles`] finds, the one of
/// this process with this value.
#[must_use]
pub fn handle(memory: &Memory, map: &KernelMap, process: u8, value: u64) -> Option<RawHandle> {
    let words = KernelWords::new(memory, map);
    let (_, object) = processes(&words, map).nth(usize::from(process))?;
    let table = Some(table_of(&words, map, object)).filter(|&table| table != 0)?;
    let index = (0..map.handles_max).find(|&index| value_of(map, process, index) == value)?;
    entry(&words, map, table, process, index)
}

/// Every handle-table entry that is in use.
#[must_use]
pub fn handles(memory: &Memory, map: &KernelMap) -> Vec<RawHandle> {
    let mut found = Vec::new();
    let words = KernelWords::new(memory, map);
    for (process, object) in processes(&words, map) {
        entries(&words, map, object, process, &mut found);
    }
    found
}

/// The entries in use of the handle table of one process object, whose principal's number this is.
#[must_use]
pub fn handles_of(memory: &Memory, map: &KernelMap, object: u64, process: u8) -> Vec<RawHandle> {
    let mut found = Vec::new();
    entries(&KernelWords::new(memory, map), map, object, process, &mut found);
    found
}

/// Where each process that has a handle table has it, by principal number.
#[must_use]
pub fn tables(memory: &Memory, map: &KernelMap) -> Vec<(u8, u64)> {
    let words = KernelWords::new(memory, map);
    let tables =
        processes(&words, map).map(|(process, object)| (process, table_of(&words, map, object)));
    tables.filter(|&(_, table)| table != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pages below a table, read entry by entry: where each begins and leads, and its size.
    fn one_by_one(memory: &Memory, table: u64, level: u32, base: u64) -> Vec<[u64; 3]> {
        let shift = 12 + 9 * (level - 1);
        let mut pages = Vec::new();
        for index in 0..ENTRIES {
            let entry = memory.read(PhysAddr::truncated(table + index * 8));
            let virt = base | index << shift;
            match entry & (PRESENT | USER) == PRESENT | USER {
                true if level == 1 || level < 4 && entry & LARGE != 0 => {
                    let within = (1 << shift) - 1;
                    pages.push([canonical(virt), entry & ADDRESS & !within, 1 << shift]);
                }
                true => pages.extend(one_by_one(memory, entry & ADDRESS, level - 1, virt)),
                false => {}
            }
        }
        pages
    }

    #[test]
    fn tables_in_parts_hold_what_their_entries_hold_also_outside_memory() {
        let mut stream = crate::base::Seed(7).stream("decode", 0);
        let (mut found, mut outside) = (0, 0);
        for _ in 0..20 {
            let mut memory = Memory::new(8);
            // Tables name later ones only; frame 8 is outside memory, where every bit reads as 1.
            for table in 1..8 {
                for _ in 0..10 {
                    let at = table << 12 | stream.below(512) << 3;
                    let entry = (table + 1 + stream.below(8 - table)) << 12 | stream.below(256);
                    memory.write(PhysAddr::truncated(at), entry | PRESENT);
                }
            }

            let (leaves, is_complete) = user_leaves(&memory, 1 << 12);

            let leaves = leaves.iter().map(|leaf| [leaf.virt, leaf.phys, leaf.bytes]);
            let leaves: Vec<_> = leaves.collect();
            assert_eq!(
                (leaves.as_slice(), is_complete),
                (&one_by_one(&memory, 1 << 12, 4, 0)[..], true)
            );
            found += leaves.len();
            outside += leaves.iter().filter(|[_, phys, _]| *phys > 8 << 12).count();
        }
        assert!(found > 500 && outside >= 512, "{found} pages, {outside} of them from outside");
    }
}
