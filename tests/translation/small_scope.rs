//! Small domains, tested whole: the machine's walk against the walk by the book.
//!
//! About single bits, marks and keys every access is asked for: from each ring, with and without AC,
//! implicit or not, to a shadow stack or not.

use ringfence::base::{Access, Ring, VirtAddr};
use ringfence::machine::paging::x86_64::{ControlFlags, Controls, Entry, Request, Vendor};
use ringfence::oracles::by_the_book::Answer;
use ringfence::oracles::compare;

use crate::requests::each_request;
use crate::sparse::{Chain, ROOT, names};

const ACCESSES: [Access; 3] = [Access::Read, Access::Write, Access::Execute];
const RINGS: [Ring; 2] = [Ring::Kernel, Ring::User];
const VIRT: VirtAddr = VirtAddr(0x0000_5a3c_1234_5678);
/// Marked too, since a `Walker` answers only where nothing is left to mark.
const PERMISSIVE: u64 = Entry::P | Entry::RW | Entry::US | Entry::A | Entry::D;

fn controls(flags: ControlFlags) -> Controls {
    Controls { cr3: ROOT, flags, ..Controls::default() }
}

/// Entries that map `VIRT` by a leaf at `leaf` and permit everything.
fn permissive(leaf: usize) -> [u64; 6] {
    let mut bits = [0; 6];
    for (level, entry) in bits.iter_mut().enumerate().skip(leaf.max(1)) {
        let size = if level == leaf && leaf > 1 { Entry::PS } else { 0 };
        *entry = names(level, leaf) | PERMISSIVE | size;
    }
    bits
}

fn agree(bits: [u64; 6], controls: &Controls, request: &Request) -> Answer {
    let memory = Chain::new(controls, request.virt, bits);
    match compare(&memory, controls, request) {
        Ok(answer) => answer,
        Err(disagreement) => panic!("{disagreement}\nentries    {bits:x?}"),
    }
}

#[test]
fn every_pattern_of_rights_over_four_levels_is_judged_by_the_book() {
    let mut translated = 0u32;
    let mut total = 0u32;
    for pattern in 0..1 << 12 {
        let mut bits = permissive(1);
        for (level, entry) in bits.iter_mut().enumerate().skip(1).take(4) {
            let rights = pattern >> (3 * (level - 1));
            *entry &= !(Entry::RW | Entry::US);
            *entry |= (rights & 1) * Entry::RW + (rights >> 1 & 1) * Entry::US;
            *entry |= (rights >> 2 & 1) * Entry::XD;
        }
        for mode in 0..1 << 5 {
            // WP, SMEP, SMAP and NXE are the first four flags.
            let controls = controls(ControlFlags::from_bits(mode & 15));
            for access in ACCESSES {
                for ring in RINGS {
                    let ac = mode & 16 != 0;
                    let request = Request { ac, ..Request::new(VIRT, access, ring) };
                    total += 1;
                    let answer = agree(bits, &controls, &request);
                    translated += u32::from(matches!(answer, Answer::Translated(_)));
                }
            }
        }
    }
    assert_eq!(total, 4096 * 32 * 6);
    assert!(translated > total / 20, "{translated} of {total} translate: the scope is not trivial");
}

/// Every single flag, every pair, all, all but one, none.
fn flag_sets() -> Vec<ControlFlags> {
    let mut sets = vec![ControlFlags::NONE, ControlFlags::ALL];
    for first in 0..10 {
        sets.push(ControlFlags::ALL.without(ControlFlags::from_bits(1 << first)));
        for second in first..10 {
            sets.push(ControlFlags::from_bits(1 << first | 1 << second));
        }
    }
    sets
}

#[test]
fn every_single_bit_at_every_level_and_page_size_is_read_by_the_book() {
    for flags in flag_sets() {
        let top = if flags.has(ControlFlags::LA57) { 5 } else { 4 };
        for vendor in [Vendor::Intel, Vendor::Amd] {
            for maxphyaddr in [36, 40, 52] {
                let controls = Controls { vendor, maxphyaddr, ..controls(flags) };
                for leaf in 1..=3 {
                    for level in leaf..=top {
                        for bit in 0..64 {
                            let mut bits = permissive(leaf);
                            bits[level] ^= 1 << bit;
                            each_access(bits, &controls);
                        }
                    }
                }
            }
        }
    }
}

fn each_access(bits: [u64; 6], controls: &Controls) {
    each_request(VIRT, true, |request| {
        agree(bits, controls, request);
    });
}

#[test]
fn accessed_and_dirty_bits_are_marked_by_the_book_from_every_start() {
    for leaf in 1..=3 {
        for start in 0..1 << 6 {
            let mut bits = permissive(leaf);
            for (level, entry) in bits.iter_mut().enumerate().skip(leaf) {
                *entry &= !(Entry::A | Entry::D);
                *entry |= (start >> (level - 1) & 1) * Entry::A;
            }
            bits[leaf] |= (start >> 5 & 1) * Entry::D;
            for flags in [ControlFlags::NONE, ControlFlags::LA57] {
                let controls = controls(flags);
                each_access(bits, &controls);
                let write = Request::new(VIRT, Access::Write, Ring::User);
                let Answer::Translated(translated) = agree(bits, &controls, &write) else {
                    panic!("everything is permitted");
                };
                assert_eq!(translated.dirtied.is_none(), start >> 5 & 1 == 1);
            }
        }
    }
}

#[test]
fn every_key_is_judged_by_the_book() {
    for key in 0..16u32 {
        for pair in 0..16 {
            for leaf_user in [0, Entry::US] {
                for flags in 0..1 << 4 {
                    let flags = [
                        ControlFlags::WP,
                        ControlFlags::PKE,
                        ControlFlags::PKS,
                        ControlFlags::SMAP,
                    ]
                    .into_iter()
                    .enumerate()
                    .filter(|(number, _)| flags >> number & 1 == 1)
                    .fold(ControlFlags::NONE, |all, (_, flag)| all | flag);
                    let mut controls = controls(flags);
                    controls.pkru = (pair & 3) << (2 * key);
                    controls.pkrs = (pair >> 2) << (2 * key);
                    let mut bits = permissive(1);
                    bits[1] = bits[1] & !Entry::US | leaf_user | u64::from(key) << 59;
                    each_access(bits, &controls);
                }
            }
        }
    }
}

#[test]
fn shadow_stacks_and_implicit_accesses_are_judged_by_the_book() {
    for pattern in 0..1 << 9 {
        let mut bits = permissive(1);
        // R/W and U/S in PTE, PDE, PDPTE and PML4E, and D in the PTE.
        for (level, entry) in bits.iter_mut().enumerate().skip(1).take(4) {
            *entry &= !(Entry::RW | Entry::US);
            let rights = pattern >> (2 * (level - 1));
            *entry |= (rights & 1) * Entry::RW + (rights >> 1 & 1) * Entry::US;
        }
        bits[1] = bits[1] & !Entry::D | ((pattern >> 8) * Entry::D);
        for mode in 0..1 << 6 {
            let flags = ControlFlags::from_bits(mode & 7)
                | if mode & 8 != 0 { ControlFlags::CET } else { ControlFlags::NONE };
            let (ac, implicit) = (mode & 16 != 0, mode & 32 != 0);
            for shadow_stack in [false, true] {
                for access in ACCESSES {
                    for ring in RINGS {
                        let request = Request::new(VIRT, access, ring);
                        let request = Request { ac, implicit, shadow_stack, ..request };
                        agree(bits, &controls(flags), &request);
                    }
                }
            }
        }
    }
}

#[test]
fn every_edge_of_the_address_space_is_canonical_by_the_book() {
    for flags in [ControlFlags::NONE, ControlFlags::LA57] {
        let controls = controls(flags);
        for number in 0..64 {
            for offset in [-1, 0, 1] {
                for inverted in [0, u64::MAX] {
                    let virt = VirtAddr((1u64 << number).wrapping_add_signed(offset) ^ inverted);
                    let request = Request::new(virt, Access::Read, Ring::Kernel);
                    agree(permissive(1), &controls, &request);
                }
            }
        }
    }
    let beyond = Request::new(VirtAddr(1 << 47), Access::Read, Ring::Kernel);
    let four = controls(ControlFlags::NONE);
    assert_eq!(agree(permissive(1), &four, &beyond), Answer::GeneralProtection);
    let five = controls(ControlFlags::LA57);
    assert_ne!(agree(permissive(1), &five, &beyond), Answer::GeneralProtection);
}
