//! Arbitrary memory and registers: the two walkers agree, and neither panics.

use ringfence::base::{Access, PhysAddr, Ring, Seed, Stream, VirtAddr};
use ringfence::machine::paging::TableMemory;
use ringfence::machine::paging::x86_64::{ControlFlags, Controls, Entry, Request, Vendor, Walker};
use ringfence::oracles::by_the_book::Answer;
use ringfence::oracles::compare;

/// A few words that repeat over all of physical memory: every address is a table.
struct Words([u64; 13]);

impl TableMemory for Words {
    fn entry(&self, at: PhysAddr) -> u64 {
        let number = (at.raw() / 8 + at.raw() / 4096) % 13;
        self.0[usize::try_from(number).expect("below 13")]
    }
}

fn flags(draw: &mut Stream) -> ControlFlags {
    ControlFlags::from_bits(u16::try_from(draw.below(1 << 10)).expect("10 bits"))
}

fn controls(draw: &mut Stream) -> Controls {
    let low = |word: u64| u32::try_from(word >> 32).expect("32 bits");
    Controls {
        cr3: draw.word(),
        flags: flags(draw),
        maxphyaddr: u8::try_from(draw.below(64)).expect("6 bits"),
        vendor: if draw.below(2) == 0 { Vendor::Intel } else { Vendor::Amd },
        pkru: low(draw.word()),
        pkrs: low(draw.word()),
    }
}

fn request(draw: &mut Stream, controls: &Controls) -> Request {
    let unused = match draw.below(8) {
        0 => 0,
        _ if controls.flags.has(ControlFlags::LA57) => 7,
        _ => 16,
    };
    let virt = (draw.word().cast_signed() << unused >> unused).cast_unsigned();
    let bits = draw.word();
    Request {
        virt: VirtAddr(virt),
        access: [Access::Read, Access::Write, Access::Execute][draw.index(3)],
        ring: if bits & 1 == 0 { Ring::Kernel } else { Ring::User },
        ac: bits & 2 != 0,
        implicit: bits & 4 != 0,
        shadow_stack: bits & 8 != 0,
    }
}

/// An entry that often passes: mostly present and permissive, with few odd bits.
fn likely_entry(draw: &mut Stream) -> u64 {
    let odd = draw.word() & draw.word() & draw.word() & draw.word();
    let address = draw.word() & 0xf_ffff_f000 & !0x3fff_e000;
    (Entry::P | Entry::RW | Entry::US | Entry::A | Entry::D | address) ^ odd
}

fn run(purpose: &str, cases: u32, entry: impl Fn(&mut Stream) -> u64) -> [u32; 3] {
    let mut draw = Seed(0x7157).stream(purpose, 0);
    let mut outcomes = [0; 3];
    for case in 0..cases {
        let memory = Words(core::array::from_fn(|_| entry(&mut draw)));
        let controls = controls(&mut draw);
        let request = request(&mut draw, &controls);
        match compare(&memory, &controls, &request) {
            Ok(Answer::Translated(_)) => outcomes[0] += 1,
            Ok(Answer::PageFault(_)) => outcomes[1] += 1,
            Ok(Answer::GeneralProtection) => outcomes[2] += 1,
            Err(disagreement) => panic!("{purpose}, case {case}: {disagreement}"),
        }
    }
    outcomes
}

#[test]
fn on_arbitrary_bits_both_walkers_agree() {
    let [_, faults, protections] = run("arbitrary", 200_000, Stream::word);

    assert!(faults > 100_000 && protections > 10_000);
}

#[test]
fn on_likely_tables_both_walkers_agree() {
    let outcomes = run("likely", 400_000, likely_entry);

    assert!(outcomes.iter().all(|&count| count > 10_000), "{outcomes:?}");
}

#[test]
fn walks_that_advance_together_find_what_each_finds_alone() {
    let mut draw = Seed(0x7157).stream("together", 0);
    let mut found_some = 0;
    for _ in 0..4_000 {
        let memory = Words(core::array::from_fn(|_| likely_entry(&mut draw)));
        let controls = controls(&mut draw);
        let walker = Walker::new(&controls, &request(&mut draw, &controls));
        let len = draw.index(100);
        let virts: Vec<_> = (0..len).map(|_| request(&mut draw, &controls).virt).collect();
        let stale = PhysAddr::new(0x5a5a);
        let mut together = vec![stale; len + 3];

        walker.addresses(&memory, &virts, &mut together);

        for (virt, found) in virts.iter().zip(&together) {
            assert_eq!(*found, walker.address(&memory, *virt), "{virt} under {controls:x?}");
            found_some += u32::from(found.is_some());
        }
        assert_eq!(together[len..], [stale; 3]);
    }
    assert!(found_some > 5_000, "only {found_some} translations");
}
