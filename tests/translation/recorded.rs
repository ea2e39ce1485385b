//! What Bochs, QEMU, KVM and Unicorn did, row by row. See `tests/fixtures/PROVENANCE.md`.

use std::collections::BTreeMap;

use ringfence::base::{Access, PhysAddr, Ring, VirtAddr};
use ringfence::machine::paging::x86_64::{
    ControlFlags, Controls, Entry, Level, Request, Vendor, apply, walk,
};
use ringfence::machine::paging::{MarkMemory, TableMemory};
use ringfence::oracles::by_the_book::Answer;
use ringfence::oracles::compare;

use crate::sparse::Sparse;

const RECORDED: &str = include_str!("../fixtures/translation-recorded.csv");

struct Row<'a> {
    text: &'a str,
    controls: Controls,
    virt: VirtAddr,
    ring: Ring,
    ac: bool,
    accesses: &'static [Access],
    /// e1 to e5.
    entries: [u64; 5],
    out: &'a str,
    err: &'a str,
    addr: &'a str,
    accessed: u64,
    dirtied: u64,
}

fn hex(text: &str) -> u64 {
    u64::from_str_radix(text, 16).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

impl<'a> Row<'a> {
    fn parse(text: &'a str) -> Self {
        let columns: Vec<&str> = text.split(',').collect();
        let mode = hex(columns[2]);
        let mut flags = ControlFlags::NONE;
        for (bit, flag) in [
            (0, ControlFlags::WP),
            (1, ControlFlags::SMEP),
            (2, ControlFlags::SMAP),
            (4, ControlFlags::NXE),
            (5, ControlFlags::PKE),
            (6, ControlFlags::PGE),
            (7, ControlFlags::PCIDE),
            (8, ControlFlags::LA57),
        ] {
            if mode >> bit & 1 == 1 {
                flags = flags | flag;
            }
        }
        let five_levels = flags.has(ControlFlags::LA57);
        Row {
            text,
            controls: Controls {
                cr3: if five_levels { 0x61_0000 } else { 0x60_0000 },
                flags,
                maxphyaddr: 40,
                vendor: Vendor::Intel,
                pkru: u32::try_from(hex(columns[6])).expect("a 32-bit register"),
                pkrs: 0,
            },
            virt: VirtAddr(hex(columns[3])),
            ring: if columns[5] == "3" { Ring::User } else { Ring::Kernel },
            ac: mode >> 3 & 1 == 1,
            accesses: match columns[4] {
                "0" => &[Access::Read],
                "1" | "3" => &[Access::Write],
                "2" => &[Access::Execute],
                "4" => &[Access::Read, Access::Write],
                other => panic!("unknown access {other:?}"),
            },
            entries: [11, 10, 9, 8, 7].map(|column| hex(columns[column])),
            out: columns[12],
            err: columns[13],
            addr: columns[14],
            accessed: hex(columns[15]),
            dirtied: hex(columns[16]),
        }
    }

    /// The tables the row was run on, and where e1 to e5 lie, if they are in memory.
    fn memory(&self) -> (Recorded, [Option<PhysAddr>; 5]) {
        let levels = [Level::Pt, Level::Pd, Level::Pdpt, Level::Pml4, Level::Pml5];
        let mut tables = BTreeMap::new();
        let mut places = [None; 5];
        let mut table = self.controls.cr3;
        for slot in (0..Level::top(&self.controls) as usize).rev() {
            let at = PhysAddr::truncated(table + 8 * levels[slot].index(self.virt));
            tables.insert(at, self.entries[slot]);
            places[slot] = Some(at);
            table = self.entries[slot] & 0xff_ffff_f000;
            if !(0x60_1000..=0x60_f000).contains(&table) {
                break;
            }
        }
        (Recorded(Sparse(tables)), places)
    }
}

/// The tables of a row in front of the recorded machine's data memory.
struct Recorded(Sparse);

impl TableMemory for Recorded {
    fn entry(&self, at: PhysAddr) -> u64 {
        let data = [0x100_0000..0x180_0000, 0x4100_0000..0x4180_0000];
        match self.0.0.get(&at) {
            Some(entry) => *entry,
            None if data.iter().any(|range| range.contains(&at.raw())) => {
                at.raw() << 8 | 0x90e6_ff00_0000_00b8
            }
            None => 0,
        }
    }
}

impl MarkMemory for Recorded {
    fn set_bits(&mut self, at: PhysAddr, bits: u64) {
        let entry = self.entry(at) | bits;
        self.0.0.insert(at, entry);
    }
}

fn check(row: &Row<'_>) {
    let (mut memory, places) = row.memory();
    let mut outcome = None;
    for &access in row.accesses {
        let request = Request { ac: row.ac, ..Request::new(row.virt, access, row.ring) };
        let answer = compare(&memory, &row.controls, &request)
            .unwrap_or_else(|disagreement| panic!("{disagreement}\nrow {}", row.text));
        let goes_on = matches!(answer, Answer::Translated(_));
        if goes_on {
            let walk = walk(&memory, &row.controls, &request).expect("both translated");
            apply(&mut memory, &walk.marks);
        }
        outcome = Some(answer);
        if !goes_on {
            break;
        }
    }

    let (out, err, addr) = match outcome.expect("a row has an access") {
        Answer::Translated(translated) => {
            ("ok", String::new(), format!("{:x}", translated.address.raw()))
        }
        Answer::PageFault(code) => ("pf", format!("{code:x}"), format!("{:x}", row.virt.0)),
        Answer::GeneralProtection => ("gp", "0".to_owned(), String::new()),
    };
    assert_eq!((out, &*err, &*addr), (row.out, row.err, row.addr), "row {}", row.text);
    for (slot, place) in places.iter().enumerate() {
        let Some(place) = place else { continue };
        let set = memory.entry(*place) ^ row.entries[slot];
        assert_eq!(set & !(Entry::A | Entry::D), 0, "row {}", row.text);
        let bit = |mask: u64| mask >> slot & 1 == 1;
        assert_eq!(set & Entry::D != 0, bit(row.dirtied), "D at level {}: {}", slot + 1, row.text);
        if out == "ok" {
            let expected = bit(row.accessed);
            assert_eq!(set & Entry::A != 0, expected, "A at level {}: {}", slot + 1, row.text);
        }
    }
}

#[test]
fn both_walkers_do_what_other_implementations_did() {
    let mut counts: BTreeMap<(&str, bool, &str), u32> = BTreeMap::new();
    for text in RECORDED.lines().skip(1) {
        let row = Row::parse(text);

        check(&row);

        let set = text.split(',').nth(1).expect("a set");
        *counts.entry((set, row.controls.flags.has(ControlFlags::LA57), row.out)).or_default() += 1;
    }

    // The sample is worth its name only while every kind of row is in it.
    for set in ["S1", "S2", "S3", "S4", "S8", "R"] {
        assert!(counts.contains_key(&(set, false, "pf")), "{set}: {counts:?}");
        assert!(counts.contains_key(&(set, false, "ok")), "{set}: {counts:?}");
    }
    for kind in [("S5", false, "gp"), ("S5", true, "gp"), ("S1", true, "pf"), ("S4", true, "ok")] {
        assert!(counts.contains_key(&kind), "{kind:?}: {counts:?}");
    }
}
