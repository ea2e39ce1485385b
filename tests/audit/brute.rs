//! The slow and plain way: write the flip into memory, list all translations, compare the lists.
//!
//! Whether an access is permitted, and where it leads, the walker by the book says for each page.
//! Only which addresses to ask for, and which frames are read as tables, is found here, by going
//! through all entries.

use std::collections::{BTreeMap, BTreeSet};

use ringfence::audit::flip::{Class, Flip, TableIs};
use ringfence::base::{Access, PhysAddr, Ring, VirtAddr};
use ringfence::machine::paging::x86_64::{ControlFlags, Controls, Request, Vendor};
use ringfence::oracles::by_the_book::{Answer, translate};

/// All tables, entry by entry.
#[derive(Clone)]
pub(crate) struct Memory(pub(crate) BTreeMap<u64, u64>, pub(crate) BTreeSet<u64>);

impl Memory {
    fn at(&self, at: PhysAddr) -> u64 {
        self.0.get(&at.raw()).copied().unwrap_or(0)
    }
}

const USER: u8 = 7;
const USER_WRITE: u8 = 2;
const KERNEL: u8 = 56;

/// Everything an address space is.
pub(crate) struct Listed {
    /// Page → frame and the six accesses, user rwx then kernel rwx, from the lowest bit: those that a
    /// process has once it wrote 0 to PKRU.
    pages: BTreeMap<u64, (u64, u8)>,
    /// Page → the accesses with PKRU as it is.
    now: BTreeMap<u64, u8>,
    /// First addresses below tables that are not held, where user mode may walk, and the table.
    unknown: BTreeSet<(u64, u64)>,
    /// Frames that are read as tables.
    tables: BTreeSet<u64>,
}

fn is_reserved(entry: u64, level: u32, controls: &Controls) -> bool {
    let beyond = (u64::from(controls.maxphyaddr)..52).any(|bit| entry >> bit & 1 == 1);
    let upper = level >= 4 && entry >> 8 & 1 == 1 && controls.vendor == Vendor::Amd;
    let low = match level {
        4 | 5 => entry & 0x80 != 0,
        3 if entry & 0x80 != 0 => entry & 0x3fff_e000 != 0,
        2 if entry & 0x80 != 0 => entry & 0x1f_e000 != 0,
        _ => false,
    };
    let xd = entry >> 63 == 1 && !controls.flags.has(ControlFlags::NXE);
    beyond || upper || low || xd
}

pub(crate) fn list(memory: &Memory, controls: &Controls) -> Listed {
    let top = if controls.flags.has(ControlFlags::LA57) { 5 } else { 4 };
    let (pages, now, unknown, tables) = Default::default();
    let mut listed = Listed { pages, now, unknown, tables };
    below(memory, controls, controls.cr3 & !0xfff, top, (0, true), &mut listed);
    listed
}

fn below(
    memory: &Memory,
    controls: &Controls,
    table: u64,
    level: u32,
    (virt, user): (u64, bool),
    listed: &mut Listed,
) {
    listed.tables.insert(table >> 12);
    let top = if controls.flags.has(ControlFlags::LA57) { 5 } else { 4 };
    let extend = |virt: u64| {
        let unused = 64 - (12 + 9 * top);
        ((virt << unused).cast_signed() >> unused).cast_unsigned()
    };
    if !memory.1.contains(&(table >> 12)) {
        if user {
            listed.unknown.insert((extend(virt), table));
        }
        return;
    }
    for (at, entry) in memory.0.range(table..table + 4096) {
        if entry & 1 == 0 || is_reserved(*entry, level, controls) {
            continue;
        }
        let span = 1u64 << (12 + 9 * (level - 1));
        let first = virt + (at - table) / 8 * span;
        if level == 1 || (level < 4 && entry & 0x80 != 0) {
            ask(memory, controls, extend(first), span, listed);
        } else {
            let user = user && entry & 4 != 0;
            let next = entry & 0x000f_ffff_ffff_f000;
            below(memory, controls, next, level - 1, (first, user), listed);
        }
    }
}

fn ask(memory: &Memory, controls: &Controls, first: u64, span: u64, listed: &mut Listed) {
    let mut found: Option<u64> = None;
    let (mut accesses, mut now) = (0, 0);
    let allowing = Controls { pkru: 0, ..*controls };
    let asks = [Ring::User, Ring::Kernel].into_iter().flat_map(|ring| {
        [Access::Read, Access::Write, Access::Execute].map(|access| (ring, access))
    });
    for (bit, (ring, access)) in asks.enumerate() {
        let request = Request::new(VirtAddr(first), access, ring);
        let of = |controls| translate(&|at| memory.at(at), controls, &request);
        if let Answer::Translated(_) = of(controls) {
            now |= 1 << bit;
        }
        if let Answer::Translated(to) = of(&allowing) {
            assert_eq!(to.page_bytes, span);
            accesses |= 1 << bit;
            found = Some(to.address.raw() >> 12);
        }
    }
    if let Some(frame) = found {
        for page in 0..span >> 12 {
            listed.pages.insert(first.wrapping_add(page << 12), (frame + page, accesses));
            listed.now.insert(first.wrapping_add(page << 12), now);
        }
    }
}

/// What the lists say of a flip.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Judged {
    pub(crate) class: Class,
    /// The first address with that class; not for a table that is made.
    pub(crate) virt: Option<u64>,
    pub(crate) table: Option<TableIs>,
    pub(crate) kernel: [Option<u64>; 3],
    pub(crate) kernel_faults: bool,
}

pub(crate) fn judge(before: &Listed, after: &Listed) -> Judged {
    let mut mapped = BTreeSet::new();
    let mut user = BTreeSet::new();
    let mut user_writable = BTreeSet::new();
    for &(frame, accesses) in before.pages.values() {
        mapped.insert(frame);
        if accesses & USER != 0 {
            user.insert(frame);
        }
        if accesses & USER_WRITE != 0 {
            user_writable.insert(frame);
        }
    }
    let mut gains: BTreeSet<(Class, u64)> = BTreeSet::new();
    let mut kernel = [None; 3];
    for (&virt, &(frame, accesses)) in &after.pages {
        let here = before.pages.get(&virt);
        let could = here.filter(|(own, _)| *own == frame).map_or(0, |(_, accesses)| *accesses);
        let gained = accesses & !could;
        let write = gained & USER_WRITE != 0;
        if gained & USER != 0 {
            gains.insert((
                if before.tables.contains(&frame) {
                    if write { Class::TableWrite } else { Class::KernelRead }
                } else if user.contains(&frame) {
                    if could & USER != 0 { Class::WiderRight } else { Class::OtherMapping }
                } else if mapped.contains(&frame) {
                    if write { Class::KernelWrite } else { Class::KernelRead }
                } else {
                    Class::Outside
                },
                virt,
            ));
        }
        let helps = [
            gained & 32 != 0 && user_writable.contains(&frame),
            gained & 24 != 0 && user_writable.contains(&frame),
            gained & 16 != 0 && before.tables.contains(&frame),
        ];
        for (first, helps) in kernel.iter_mut().zip(helps) {
            if helps {
                *first = first.or(Some(virt));
            }
        }
    }
    gains
        .extend(after.unknown.difference(&before.unknown).map(|&(virt, _)| (Class::Outside, virt)));
    let lost = |bits: u8| {
        before.now.iter().any(|(virt, could)| {
            let can = after.now.get(virt).copied().unwrap_or(0);
            could & !can & bits != 0
        })
    };
    let writes_made = |listed: &Listed| {
        listed.pages.values().any(|(frame, accesses)| {
            let is_made = after.tables.contains(frame) && !before.tables.contains(frame);
            accesses & USER_WRITE != 0 && is_made
        })
    };
    let kernel_faults = lost(KERNEL);
    let worst = gains.first().copied();
    let (class, virt, table) = match worst {
        Some((Class::TableWrite, virt)) => (Class::TableWrite, Some(virt), Some(TableIs::There)),
        _ if writes_made(after) => (Class::TableWrite, None, Some(TableIs::Made)),
        _ if writes_made(before) => (Class::TableWrite, None, Some(TableIs::Filled)),
        Some((class, virt)) => (class, Some(virt), None),
        None if lost(USER) => (Class::Fault, None, None),
        None => (Class::Nothing, None, None),
    };
    Judged { class, virt, table, kernel, kernel_faults }
}

/// The memory after a flip.
pub(crate) fn flipped(memory: &Memory, flip: Flip) -> Memory {
    let mut memory = memory.clone();
    let entry = memory.0.entry(flip.at.raw()).or_insert(0);
    *entry ^= 1 << flip.bit;
    memory
}

/// The witness of a table that is made: the first address at which user mode writes, after the flip or
/// else before it, what became a table by it, and what may be done there that could not.
pub(crate) fn assert_made(before: &Listed, after: &Listed, gain: ringfence::audit::flip::Gain) {
    let is_made = |frame: &u64| after.tables.contains(frame) && !before.tables.contains(frame);
    let first = |listed: &Listed| {
        let mut pages = listed.pages.iter();
        let written = pages.find(|(_, (frame, can))| can & USER_WRITE != 0 && is_made(frame));
        written.map(|(&virt, &page)| (virt, page))
    };
    let (virt, (frame, can)) = first(after).or_else(|| first(before)).expect("there is one");
    let here = before.pages.get(&virt).filter(|(own, _)| *own == frame);
    let gained = can & !here.map_or(0, |(_, could)| *could);
    let letters = |bits: u8| -> String {
        let letter = |(bit, letter): (usize, char)| if bits >> bit & 1 == 1 { letter } else { '-' };
        "rwx".chars().enumerate().map(letter).collect()
    };
    assert_eq!((gain.virt.0, gain.frame.0), (virt, frame));
    assert_eq!(gain.gained.user_text(), letters(gained));
    assert_eq!(gain.gained.kernel_text(), letters(gained >> 3));
}
