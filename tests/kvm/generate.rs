//! Cases from a seed: what each bit at each level does, and what bits do to one another.

use ringfence::base::{Ring, Seed, Stream, VirtAddr};
use ringfence::machine::paging::x86_64::Entry;
use ringfence::oracles::recorded::{CaseAccess, Mode, RecordedMachine, TranslationCase};

/// Cases of one kind.
pub(crate) struct Class {
    pub(crate) name: &'static str,
    pub(crate) cases: Vec<TranslationCase>,
}

const RINGS: [Ring; 2] = [Ring::Kernel, Ring::User];
const PERMISSIVE: u64 = Entry::P | Entry::RW | Entry::US;

/// The slot of the leaf: a page of 4 KiB or 2 MiB.
const LEAVES: [usize; 2] = [0, 1];

/// The bits of a mode that a guest of any KVM may set: WP, SMEP, SMAP, AC, NXE, PGE.
const MODE_BITS: [u32; 6] = [0, 1, 2, 3, 4, 6];

/// How many modes they make.
const MODES: u64 = 1 << MODE_BITS.len();

/// Modes that are drawn for each flip, access and privilege level.
const MODES_OF_A_FLIP: usize = 8;

/// The bits of `number` at their places.
fn mode(number: u64) -> Mode {
    let bits = MODE_BITS.iter().enumerate();
    let bits = bits.fold(0, |all, (at, bit)| all | u16::from(number >> at & 1 == 1) << bit);
    Mode::new(bits).expect("bits of a mode")
}

/// Every class for a processor of this vendor and MAXPHYADDR.
pub(crate) fn classes(seed: Seed, machine: &RecordedMachine, random: u64) -> Vec<Class> {
    let mut classes = vec![
        Class { name: "single-bit flips", cases: flips(seed, machine) },
        Class { name: "rights over the levels", cases: rights(seed) },
        Class { name: "accessed and dirty", cases: marks(seed) },
        Class { name: "edges of addresses", cases: edges(seed) },
    ];
    let mut stream = seed.stream("kvm cases: random", 0);
    let cases = (0..random).map(|_| random_case(&mut stream)).collect();
    classes.push(Class { name: "random bits", cases });
    classes
}

/// Four different frames of the pool, by the slot of the entry that names each.
fn table_frames(stream: &mut Stream) -> [u64; 4] {
    let mut frames: Vec<u64> = (1..16).map(|number| 0x60_0000 + 0x1000 * number).collect();
    stream.shuffle(&mut frames);
    [frames[0], frames[1], frames[2], frames[3]]
}

/// A canonical address with 48 bits, a multiple of 8, in any slot of the top table but the first.
fn address(stream: &mut Stream) -> VirtAddr {
    let slot = 1 + stream.below(511);
    let low = slot << 39 | stream.word() & 0x7f_ffff_fff8;
    VirtAddr(((low << 16).cast_signed() >> 16).cast_unsigned())
}

/// A page of data memory, for a leaf in this slot.
fn page(stream: &mut Stream, leaf: usize) -> u64 {
    let high = if stream.below(2) == 0 { 0x100_0000 } else { 0x4100_0000 };
    let bits = 12 + 9 * leaf;
    high + (stream.below(0x80_0000 >> bits) << bits)
}

/// A case in which everything permits what is asked.
fn permissive(stream: &mut Stream, number: u64, leaf: usize) -> TranslationCase {
    let frames = table_frames(stream);
    let mut entries = [0; 5];
    for (slot, entry) in entries.iter_mut().enumerate().take(4).skip(leaf) {
        let names = if slot == leaf { page(stream, leaf) } else { frames[slot] };
        let size = if slot == leaf && leaf > 0 { Entry::PS } else { 0 };
        *entry = names | PERMISSIVE | size;
    }
    TranslationCase {
        mode: mode(number),
        virt: address(stream),
        access: CaseAccess::Read,
        ring: Ring::User,
        pkru: 0,
        pkrs: 0,
        maxphyaddr: None,
        entries,
    }
}

/// Each flag and each high bit of each entry of each page size (in a page of 2 MiB the bits below its
/// address too) under each access and privilege level, in a few modes.
fn flips(seed: Seed, machine: &RecordedMachine) -> Vec<TranslationCase> {
    let mut stream = seed.stream("kvm cases: flips", 0);
    let mut cases = Vec::new();
    for leaf in LEAVES {
        for slot in leaf..4 {
            let low = if leaf == 1 && slot == 1 { 21 } else { 12 };
            for bit in (0..low).chain(u32::from(machine.maxphyaddr).min(40)..64) {
                for access in CaseAccess::ALL {
                    for ring in RINGS.into_iter().cycle().take(2 * MODES_OF_A_FLIP) {
                        let mode = stream.below(MODES);
                        let mut case = permissive(&mut stream, mode, leaf);
                        // What the kernel may touch under SMAP or fetch under SMEP is not the
                        // user's.
                        case.entries[leaf] &= !(Entry::US * stream.below(2));
                        case.entries[slot] ^= 1 << bit;
                        (case.access, case.ring) = (access, ring);
                        cases.push(case);
                    }
                }
            }
        }
    }
    cases
}

/// Every pattern of R/W, U/S and XD over the four levels.
fn rights(seed: Seed) -> Vec<TranslationCase> {
    let mut stream = seed.stream("kvm cases: rights", 0);
    let mut cases = Vec::new();
    for pattern in 0..1u64 << 12 {
        for access in CaseAccess::ALL {
            let mode = stream.below(MODES);
            let mut case = permissive(&mut stream, mode, 0);
            for (slot, entry) in case.entries.iter_mut().enumerate().take(4) {
                let bits = pattern >> (3 * slot);
                let xd = (bits >> 2 & 1) * u64::from(mode >> 4 & 1 == 1);
                *entry ^= (bits & 1) * Entry::RW;
                *entry ^= (bits >> 1 & 1) * Entry::US;
                *entry ^= xd * Entry::XD;
            }
            (case.access, case.ring) = (access, RINGS[stream.index(2)]);
            cases.push(case);
        }
    }
    cases
}

/// Every start of the accessed and dirty bits, with and without a fault.
fn marks(seed: Seed) -> Vec<TranslationCase> {
    let mut stream = seed.stream("kvm cases: marks", 0);
    let mut cases = Vec::new();
    for leaf in LEAVES {
        for start in 0..1u64 << 5 {
            for access in CaseAccess::ALL {
                for ring in RINGS {
                    let mode = stream.below(MODES);
                    let mut case = permissive(&mut stream, mode, leaf);
                    for slot in leaf..4 {
                        case.entries[slot] |= (start >> slot & 1) * Entry::A;
                    }
                    case.entries[leaf] |= (start >> 4) * Entry::D;
                    if ring == Ring::Kernel {
                        case.entries[leaf] &= !Entry::US;
                    }
                    // Some of the writes are refused.
                    case.entries[2] &= !(Entry::RW * u64::from(stream.below(4) == 0));
                    (case.access, case.ring) = (access, ring);
                    cases.push(case);
                }
            }
        }
    }
    cases
}

/// Addresses at and around each power of two, with the bits above it as they are and all set.
fn edges(seed: Seed) -> Vec<TranslationCase> {
    let mut stream = seed.stream("kvm cases: edges", 0);
    let mut cases = Vec::new();
    for number in 39..64 {
        for inverted in [0, !7] {
            for below in [0, 8] {
                for access in CaseAccess::ALL {
                    for ring in RINGS {
                        let mode = stream.below(MODES);
                        let mut case = permissive(&mut stream, mode, 0);
                        case.virt = VirtAddr((1u64 << number).wrapping_sub(below) ^ inverted);
                        (case.access, case.ring) = (access, ring);
                        cases.push(case);
                    }
                }
            }
        }
    }
    cases
}

/// Any bits but those of the address below bit 40: in half of the entries, so that much is permitted.
fn random_case(stream: &mut Stream) -> TranslationCase {
    let leaf = stream.index(2);
    let mode = stream.below(MODES);
    let mut case = permissive(stream, mode, leaf);
    for slot in leaf..4 {
        // One bit in four, and of the high ones one in 32.
        let low = stream.word() & stream.word();
        let high = low & stream.word() & stream.word() & stream.word() & !0xff_ffff_ffff;
        // Where a page can't be, the bit of its size is left alone more often.
        let size = if slot >= 2 && stream.below(8) > 0 { Entry::PS } else { 0 };
        if stream.below(2) == 0 {
            case.entries[slot] ^= low & 0xfff & !Entry::P & !size | high;
        }
        if stream.below(16) == 0 {
            case.entries[slot] ^= Entry::P;
        }
    }
    (case.access, case.ring) = (CaseAccess::ALL[stream.index(5)], RINGS[stream.index(2)]);
    case
}
