//! Rights over all levels, and every other bit one level at a time, tested whole: the machine's walk
//! against the walk by the book. Minutes, so not among the ordinary tests:
//!
//!     cargo test --test translation -- --ignored
//!
//! Bits are tested one at a time under each physical width of either vendor. Implicit and shadow-stack
//! accesses are four times as many, and are asked for at one of the widths: what is reserved depends on
//! vendor and width, what such an access may do on neither.
//!
//! The small scope of the same is in `small_scope.rs`.

use std::thread;

use ringfence::base::VirtAddr;
use ringfence::machine::paging::x86_64::{ControlFlags, Controls, Entry, Request, Vendor};
use ringfence::oracles::by_the_book::Answer;
use ringfence::oracles::compare;

use crate::requests::each_request;
use crate::sparse::{Chain, ROOT, names};

const VIRT: VirtAddr = VirtAddr(0x005a_5a3c_1234_5678);
const VIRT_4: VirtAddr = VirtAddr(0x0000_5a3c_1234_5678);

/// How many cases were compared, and how many of them translate.
#[derive(Clone, Copy, Default, Debug)]
struct Count {
    cases: u64,
    translated: u64,
}

impl Count {
    fn compare(&mut self, bits: [u64; 6], controls: &Controls, request: &Request) {
        let memory = Chain::new(controls, request.virt, bits);
        match compare(&memory, controls, request) {
            Ok(Answer::Translated(_)) => self.translated += 1,
            Ok(_) => {}
            Err(disagreement) => panic!("{disagreement}\nentries    {bits:x?}"),
        }
        self.cases += 1;
    }
}

/// Counts over `0..end`, on all cores.
fn count_over(end: u64, case: impl Fn(u64, &mut Count) + Sync) -> Count {
    let workers = thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let counts = thread::scope(|scope| {
        let work = |first: u64| {
            let mut count = Count::default();
            let mut number = first;
            while number < end {
                case(number, &mut count);
                number += workers;
            }
            count
        };
        let started: Vec<_> = (0..workers).map(|first| scope.spawn(move || work(first))).collect();
        started.into_iter().map(|worker| worker.join().expect("agreement")).collect::<Vec<_>>()
    });
    let sum = |of: fn(&Count) -> u64| counts.iter().map(of).sum();
    Count { cases: sum(|count| count.cases), translated: sum(|count| count.translated) }
}

/// Entries from `top` down to a leaf at `leaf`, which permit everything. They are marked, since a
/// `Walker` answers only where nothing is left to mark.
fn permissive(leaf: usize, top: usize) -> [u64; 6] {
    let mut bits = [0; 6];
    for (level, entry) in bits.iter_mut().enumerate().take(top + 1).skip(leaf) {
        let size = if level == leaf && leaf > 1 { Entry::PS } else { 0 };
        let marked = Entry::A | Entry::D;
        *entry = names(level, leaf) | Entry::P | Entry::RW | Entry::US | marked | size;
    }
    bits
}

/// The protection key of every leaf below.
const KEY: u64 = 5;
const ACCESS_DISABLE: u32 = 1 << (2 * KEY);
const WRITE_DISABLE: u32 = 2 << (2 * KEY);

/// Whether keys are looked at, and what PKRU and PKRS say of the leaf's: which of the two counts, if
/// one does, is decided by user/supervisor over all levels.
const KEYS: [(ControlFlags, u32, u32); 6] = [
    (ControlFlags::NONE, ACCESS_DISABLE, ACCESS_DISABLE),
    (ControlFlags::PKE, ACCESS_DISABLE, 0),
    (ControlFlags::PKE, WRITE_DISABLE, ACCESS_DISABLE),
    (ControlFlags::PKS, 0, ACCESS_DISABLE),
    (ControlFlags::PKS, ACCESS_DISABLE, WRITE_DISABLE),
    (ControlFlags::PKE.with(ControlFlags::PKS), WRITE_DISABLE, ACCESS_DISABLE),
];

#[test]
#[ignore = "minutes; .ci/run has a section for it"]
fn rights_over_five_levels_are_judged_by_the_book_for_every_access_in_every_mode() {
    let mut cases = 0;
    for leaf in 1..=3usize {
        let levels = 6 - leaf;
        let count = count_over(1 << (3 * levels), |pattern, count| {
            let mut bits = permissive(leaf, 5);
            for (number, entry) in bits.iter_mut().skip(leaf).enumerate() {
                let rights = pattern >> (3 * number);
                *entry &= !(Entry::RW | Entry::US);
                *entry |= (rights & 1) * Entry::RW + (rights >> 1 & 1) * Entry::US;
                *entry |= (rights >> 2 & 1) * Entry::XD;
            }
            bits[leaf] |= KEY << 59;
            for mode in 0..1 << 6 {
                // WP, SMEP, SMAP and NXE are the first four flags.
                let cet = if mode & 16 != 0 { ControlFlags::CET } else { ControlFlags::NONE };
                let flags = ControlFlags::from_bits(mode & 15) | cet | ControlFlags::LA57;
                let mut bits = bits;
                // A shadow stack is dirty; without CET that counts for nothing.
                bits[leaf] = bits[leaf] & !Entry::D | (u64::from(mode >> 5) * Entry::D);
                if mode & 32 == 0 && mode & 16 == 0 {
                    continue;
                }
                let odd = mode & 16 != 0;
                for (keys, pkru, pkrs) in KEYS {
                    let flags = flags | keys;
                    let controls = Controls { cr3: ROOT, flags, pkru, pkrs, ..Controls::default() };
                    each_request(VIRT, odd, |request| count.compare(bits, &controls, request));
                }
            }
        });
        // 16 modes without shadow stacks and 12 requests, 32 with them and 48; each with six keys.
        assert_eq!(count.cases, ((16 * 12 + 32 * 48) * 6) << (3 * levels));
        assert!(count.translated > count.cases / 100, "{count:?}: the scope is trivial");
        cases += count.cases;
    }
    println!("rights over five levels: {cases} cases agree");
}

#[test]
#[ignore = "minutes; .ci/run has a section for it"]
fn every_bit_one_level_at_a_time_is_read_by_the_book_in_every_mode() {
    const WIDTHS: [u8; 4] = [36, ODD_AT, 46, 52];
    const ODD_AT: u8 = 40;
    let count = count_over(1 << 10, |mode, count| {
        let flags = ControlFlags::from_bits(u16::try_from(mode).expect("10 bits"));
        let five_levels = flags.has(ControlFlags::LA57);
        let (top, virt) = if five_levels { (5, VIRT) } else { (4, VIRT_4) };
        let each_vendor =
            |width| [Vendor::Intel, Vendor::Amd].into_iter().map(move |vendor| (vendor, width));
        for (vendor, maxphyaddr) in WIDTHS.into_iter().flat_map(each_vendor) {
            let odd = maxphyaddr == ODD_AT;
            let registers = Controls { cr3: ROOT, flags, ..Controls::default() };
            let controls = Controls { maxphyaddr, vendor, pkru: 0x4e4e_e4e4, ..registers };
            let controls = Controls { pkrs: 0xb1b1_1b1b, ..controls };
            for leaf in 1..=3 {
                for level in leaf..=top {
                    for bit in 0..64 {
                        let mut bits = permissive(leaf, top);
                        bits[level] ^= 1 << bit;
                        each_request(virt, odd, |request| {
                            count.compare(bits, &controls, request);
                        });
                    }
                    // Every key, and what it is worth at a level where it is none.
                    for key in 0..16 {
                        let mut bits = permissive(leaf, top);
                        bits[level] |= key << 59;
                        each_request(virt, odd, |request| {
                            count.compare(bits, &controls, request);
                        });
                    }
                }
            }
        }
    });
    // Levels from the leaf to the top, for each size: 12 with five levels, 9 with four.
    // Three widths with 12 requests and one with 48, of two vendors.
    assert_eq!(count.cases, 512 * (12 + 9) * (64 + 16) * (3 * 12 + 48) * 2);
    assert!(count.translated > count.cases / 10, "{count:?}");
    println!("every bit, one level at a time: {} cases agree", count.cases);
}
