//! What a processor may still use, against a plain record of everything that was ever mapped.
//!
//! Random stores into tables that name each other, themselves and pages; after each the record takes
//! in, by the book, what every address leads to.

use std::collections::BTreeSet;

use ringfence::base::{Access, Page, PhysAddr, Ring, Seed, Stream, VirtAddr};
use ringfence::machine::paging::TableMemory;
use ringfence::machine::paging::x86_64::{ControlFlags, Controls, Entry, Request, Rights};
use ringfence::machine::tlb::{Invalidation, MayHold, RootLoad, WithdrawnKind};
use ringfence::oracles::by_the_book::{self, Answer};

/// The table entries that are used: a corner of each table, and its last.
const INDICES: [u64; 4] = [0, 1, 2, 511];
const TABLES: u64 = 5;

struct Memory(Vec<u64>);

impl Memory {
    fn word(at: PhysAddr) -> usize {
        usize::try_from(at.raw() / 8).expect("an index")
    }
}

impl TableMemory for Memory {
    fn entry(&self, at: PhysAddr) -> u64 {
        self.0.get(Self::word(at)).copied().unwrap_or(0)
    }
}

/// One translation of one 4 KiB page.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Seen {
    page: u64,
    frame: u64,
    rights: u8,
    global: bool,
    page_bytes: u64,
}

impl Seen {
    fn serves(&self, wanted: &Self) -> bool {
        let rights = Rights::from_bits(self.rights);
        (self.page, self.frame, self.page_bytes) == (wanted.page, wanted.frame, wanted.page_bytes)
            && rights.has(Rights::from_bits(wanted.rights))
            && (self.global || !wanted.global)
    }
}

fn candidates() -> Vec<VirtAddr> {
    let mut all = Vec::new();
    for number in 0..256usize {
        let index = |level: usize| INDICES[number >> (2 * level) & 3] << (12 + 9 * level);
        let virt = index(0) | index(1) | index(2) | index(3);
        all.push(VirtAddr((virt << 16).cast_signed().wrapping_shr(16).cast_unsigned()));
    }
    all
}

fn mapped_now(memory: &Memory, controls: &Controls, all: &[VirtAddr]) -> BTreeSet<Seen> {
    let mut seen = BTreeSet::new();
    for &virt in all {
        let request = Request::new(virt, Access::Read, Ring::Kernel);
        let answer = by_the_book::translate(&|at| memory.entry(at), controls, &request);
        let Answer::Translated(found) = answer else { continue };
        let rights =
            u8::from(found.user) | u8::from(found.writable) << 1 | u8::from(found.executable) << 2;
        seen.insert(Seen {
            page: virt.page().0,
            frame: found.address.frame().0,
            rights,
            global: found.global,
            page_bytes: found.page_bytes,
        });
    }
    seen
}

fn members(may_hold: &MayHold, all: &[VirtAddr]) -> BTreeSet<Seen> {
    let mut seen = BTreeSet::new();
    for member in may_hold.members() {
        let WithdrawnKind::Leaf(size) = member.kind else { continue };
        for Page(page) in all.iter().map(|virt| virt.page()) {
            let offset = page.wrapping_sub(member.first.0);
            if offset < member.pages {
                let (rights, global) = (member.rights.bits(), member.global);
                let frame = member.frame.0 + offset;
                seen.insert(Seen { page, frame, rights, global, page_bytes: size.bytes() });
            }
        }
    }
    seen
}

fn random_entry(draw: &mut Stream) -> u64 {
    let frame = if draw.below(3) == 0 { 8 + draw.below(8) } else { 1 + draw.below(TABLES) };
    let rights = draw.word() & (Entry::RW | Entry::US | Entry::XD | Entry::A | Entry::D);
    match draw.below(16) {
        0..=2 => 0,
        3 => (draw.below(2) * 0x20_0000) | Entry::P | Entry::PS | rights,
        4..=6 => frame << 12 | Entry::P | Entry::G | rights,
        _ => frame << 12 | Entry::P | rights,
    }
}

#[test]
fn nothing_that_was_mapped_is_forgotten_and_nothing_is_invented() {
    let all = candidates();
    let mut most = 0;
    for world in 0..20 {
        let mut draw = Seed(0x6d61).stream("may-hold", world);
        let mut memory = Memory(vec![0; 16 * 512]);
        for table in 1..=TABLES {
            for index in INDICES {
                let at = Memory::word(PhysAddr::truncated(table * 4096 + 8 * index));
                memory.0[at] = random_entry(&mut draw);
            }
        }
        let flags = ControlFlags::NXE | ControlFlags::PGE;
        let controls = Controls { cr3: 0x1000, flags, ..Controls::default() };
        let mut may_hold = MayHold::new(&memory, &controls);
        let mut ever = mapped_now(&memory, &controls, &all);
        for step in 0..100 {
            match draw.below(12) {
                0 => {
                    let virt = all[draw.index(all.len())];
                    may_hold.invalidate(Invalidation::page(&controls, virt));
                    ever.retain(|seen| {
                        let pages = seen.page_bytes / 4096;
                        seen.page / pages != virt.page().0 / pages
                    });
                }
                1 => {
                    may_hold.load_root(&memory, &controls, &controls, RootLoad::Flush);
                    ever.retain(|seen| seen.global);
                }
                _ => {
                    let table = 1 + draw.below(TABLES);
                    let index = INDICES[draw.index(4)];
                    let at = PhysAddr::truncated(table * 4096 + 8 * index);
                    let new = random_entry(&mut draw);
                    let old = std::mem::replace(&mut memory.0[Memory::word(at)], new);
                    if may_hold.is_table(at.frame()) {
                        may_hold.table_store(&memory, &controls, at, old, new);
                    }
                }
            }
            let now = mapped_now(&memory, &controls, &all);
            ever.extend(&now);

            let held = members(&may_hold, &all);

            assert!(may_hold.is_complete());
            for seen in &ever {
                let is_held = now.iter().chain(&held).any(|other| other.serves(seen));
                assert!(is_held, "world {world}, step {step}: {seen:x?} was forgotten");
            }
            for member in &held {
                assert!(ever.contains(member), "world {world}, step {step}: {member:x?} was not");
            }
            most = most.max(held.len());
        }
    }
    assert!(most > 50, "only {most} members at once: the worlds are trivial");
}
