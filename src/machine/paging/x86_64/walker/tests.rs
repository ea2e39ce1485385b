use super::super::sparse::Sparse;
use super::super::{ControlFlags, Vendor, lookup};
use super::*;
use crate::base::{Access, Ring, Seed, Stream};

/// Bits that a table or a page of this kernel has; each is flipped now and then.
const USUAL: u64 = Entry::P | Entry::RW | Entry::US | Entry::A | Entry::D;
const FLIPPED: [u64; 12] = [
    Entry::P,
    Entry::RW,
    Entry::US,
    Entry::A,
    Entry::D,
    Entry::PS,
    Entry::G,
    Entry::XD,
    1 << 8,
    1 << 13,
    1 << 45,
    1 << 51,
];

fn flags(draw: &mut Stream) -> ControlFlags {
    let bits = u16::try_from(draw.below(1 << 10)).expect("ten bits");
    // Where bit 63 is reserved not much is found.
    let drawn = ControlFlags::from_bits(bits);
    if draw.below(2) == 0 { drawn.with(ControlFlags::NXE) } else { drawn }
}

fn controls(draw: &mut Stream) -> Controls {
    let keys = |draw: &mut Stream| {
        let bits = draw.below(2) * draw.below(1 << 32);
        u32::try_from(bits).expect("32 bits")
    };
    Controls {
        cr3: 0x1000 | draw.below(2) << 3,
        flags: flags(draw),
        maxphyaddr: [36, 40, 46, 52][draw.index(4)],
        vendor: [Vendor::Intel, Vendor::Amd][draw.index(2)],
        pkru: keys(draw),
        pkrs: keys(draw),
    }
}

fn request(draw: &mut Stream, virt: VirtAddr) -> Request {
    let access = [Access::Read, Access::Write, Access::Execute][draw.index(3)];
    let ring = [Ring::Kernel, Ring::User][draw.index(2)];
    let is = |draw: &mut Stream, in_how_many| draw.below(in_how_many) == 0;
    let (ac, implicit) = (is(draw, 2), is(draw, 4) && ring == Ring::Kernel);
    let shadow_stack = is(draw, 4) && access != Access::Execute;
    Request { ac, implicit, shadow_stack, ..Request::new(virt, access, ring) }
}

/// An entry that usually leads on, or maps.
fn entry(draw: &mut Stream, to: u64) -> u64 {
    let mut entry = to | USUAL | draw.below(16) << 59;
    for _ in 0..draw.below(6).saturating_sub(3) {
        entry ^= FLIPPED[draw.index(FLIPPED.len())];
    }
    entry
}

/// Tables in frames 1 to 5, as many as there are levels; in each the first two entries and the last
/// lead to the next. What the last leads to is a page, and what is large maps from 1 GiB on.
fn memory(draw: &mut Stream) -> Sparse {
    let mut memory = Sparse::default();
    for frame in 1..=5 {
        for index in [0, 1, 511] {
            let is_large = draw.below(8) == 0 && frame > 1;
            let (to, large) = if is_large { (1 << 30, Entry::PS) } else { ((frame + 1) << 12, 0) };
            let entry = entry(draw, to) ^ large;
            memory.put(frame << 12 | index << 3, entry);
        }
    }
    memory
}

fn virt(draw: &mut Stream) -> VirtAddr {
    let mut virt = draw.below(1 << 12);
    for shift in [12, 21, 30, 39, 48] {
        virt |= [0, 1, 511][draw.index(3)] << shift;
    }
    // With four levels bit 47 decides; now and then the address is not canonical.
    if draw.below(8) > 0 {
        virt = ((virt << 16).cast_signed() >> 16).cast_unsigned();
    }
    VirtAddr(virt)
}

#[test]
fn an_address_is_found_where_the_walk_finds_it_and_has_nothing_to_mark() {
    let mut draw = Seed(0x3a1c).stream("walker", 0);
    let (mut found, mut marked) = (0, 0);
    for case in 0..60_000 {
        let (memory, controls) = (memory(&mut draw), controls(&mut draw));
        let virt = virt(&mut draw);
        let request = request(&mut draw, virt);
        let walker = Walker::new(&controls, &Request { virt: VirtAddr(0), ..request });

        let (address, reach) = (walker.address(&memory, virt), walker.reach(&memory, virt));

        let walk = walk(&memory, &controls, &request);
        let expected = walk.as_ref().ok().filter(|walk| walk.marks.is_empty());
        assert_eq!(
            address,
            expected.map(|walk| walk.address),
            "{case}: {request:x?} {controls:x?}"
        );
        let expected = expected.and_then(|_| lookup(&memory, &controls, virt));
        assert_eq!(reach, expected, "{case}: {request:x?} {controls:x?}");
        assert_eq!(walker.walk(&memory, virt), walk);
        assert_eq!((walker.request(virt), *walker.controls()), (request, controls));
        found += u32::from(address.is_some());
        marked += u32::from(walk.is_ok_and(|walk| !walk.marks.is_empty()));
    }
    assert!(found > 5_000 && marked > 1_500, "{found} found, {marked} to be marked");
}

#[test]
fn the_first_and_last_addresses_that_are_not_canonical_are_found_nowhere() {
    for (levels, half) in [(4, 1 << 47), (5, 1 << 56)] {
        let mut memory = Sparse::default();
        for frame in 1..=levels {
            for index in [0, 255, 256, 511] {
                memory.put(frame << 12 | index << 3, (frame + 1) << 12 | USUAL);
            }
        }
        let flags = if levels == 5 { ControlFlags::LA57 } else { ControlFlags::NXE };
        let controls = Controls { flags, ..Sparse::controls() };
        let request = Request::new(VirtAddr(0), Access::Read, Ring::User);
        let walker = Walker::new(&controls, &request);

        let found = |virt: u64| walker.address(&memory, VirtAddr(virt)).map(PhysAddr::raw);

        let page = (levels + 1) << 12;
        assert_eq!(found(half - 1), Some(page | 0xfff), "{levels}");
        assert_eq!((found(half), found(half + 8)), (None, None), "{levels}");
        assert_eq!(found(half.wrapping_neg()), Some(page), "{levels}");
        assert_eq!(found(half.wrapping_neg() - 1), None, "{levels}");
    }
}

#[test]
fn walks_together_find_what_each_finds_alone() {
    let mut draw = Seed(0x3a1c).stream("together", 0);
    let mut found = 0;
    for _ in 0..1_500 {
        let (memory, controls) = (memory(&mut draw), controls(&mut draw));
        let walker = Walker::new(&controls, &request(&mut draw, VirtAddr(0)));
        let virts: Vec<VirtAddr> = (0..draw.below(80)).map(|_| virt(&mut draw)).collect();
        let before = PhysAddr::new(0x5a5a);
        let mut together = vec![before; virts.len() + 2];

        walker.addresses(&memory, &virts, &mut together);

        let alone: Vec<_> = virts.iter().map(|&virt| walker.address(&memory, virt)).collect();
        assert_eq!(together[..virts.len()], alone, "{controls:x?}");
        assert_eq!(together[virts.len()..], [before; 2], "nobody asked for these");
        found += alone.iter().flatten().count();
    }
    assert!(found > 5_000, "only {found}");
}

#[test]
fn walks_together_fill_as_many_places_as_there_are() {
    let mut memory = Sparse::default();
    for frame in 1..=4 {
        memory.put(frame << 12, (frame + 1) << 12 | USUAL);
    }
    let walker =
        Walker::new(&Sparse::controls(), &Request::new(VirtAddr(0), Access::Read, Ring::User));
    let virts: Vec<VirtAddr> = (0..70).map(|number| VirtAddr(8 * number)).collect();
    let mut found = [None; 67];

    walker.addresses(&memory, &virts, &mut found);

    for (number, found) in found.into_iter().enumerate() {
        assert_eq!(found, PhysAddr::new(0x5000 + 8 * number as u64));
    }
}

#[test]
fn what_changes_how_tables_are_read_makes_another_space_and_nothing_else_does() {
    let plain = Sparse::controls();
    let read = Request::new(VirtAddr(0), Access::Read, Ring::User);
    let space = |controls: Controls, request: &Request| Walker::new(&controls, request).space();
    let with = |flag| Controls { flags: plain.flags.with(flag), ..plain };
    let without = |flag| Controls { flags: plain.flags.without(flag), ..plain };
    let spaces = [
        space(plain, &read),
        space(with(ControlFlags::LA57), &read),
        space(without(ControlFlags::NXE), &read),
        space(Controls { vendor: Vendor::Amd, ..plain }, &read),
        space(Controls { maxphyaddr: 41, ..plain }, &read),
        space(Controls { maxphyaddr: 52, ..plain }, &read),
        space(Controls { cr3: 0x2000, ..plain }, &read),
    ];

    for (number, one) in spaces.iter().enumerate() {
        assert_eq!(spaces.iter().position(|other| other == one), Some(number));
    }
    let write = Request::new(VirtAddr(0x1000), Access::Write, Ring::Kernel);
    for same in [
        space(plain, &write),
        space(with(ControlFlags::SMAP), &read),
        space(with(ControlFlags::PKE), &read),
        space(Controls { pkru: 5, ..plain }, &read),
        space(Controls { cr3: plain.cr3 | 0x18, ..plain }, &read),
    ] {
        assert_eq!(same, spaces[0]);
    }
}

#[test]
fn what_a_key_forbids_no_ignored_bit_of_a_leaf_permits() {
    // Bit 9, which processors ignore, is where terms say that a key has a say; and the page's frame is the first,
    // so that nothing else of the leaf is set that is not asked for (nor XD, with EFER.NXE).
    let mut memory = Sparse::default();
    for frame in 1..=3 {
        memory.put(frame << 12, (frame + 1) << 12 | USUAL);
    }
    memory.put(4 << 12, USUAL | 1 << 9);
    let flags = ControlFlags::default().with(ControlFlags::PKE).with(ControlFlags::NXE);
    let with = |pkru| Controls { cr3: 1 << 12, flags, maxphyaddr: 52, pkru, ..Sparse::controls() };
    let write = Request::new(VirtAddr(0x7f), Access::Write, Ring::Kernel);
    let address = |pkru| Walker::new(&with(pkru), &write).address(&memory, write.virt);

    assert_eq!(address(0), Some(PhysAddr::truncated(0x7f)));
    // AD of key 0 (Intel SDM volume 3A, "Protection Keys").
    assert_eq!(address(1), None);
}

/// A cache keeps a leaf and has the kept bits checked.
#[test]
fn whatever_counts_of_a_leaf_is_kept() {
    let mut draw = Seed(11).stream("kept", 0);
    for _ in 0..20_000 {
        let controls = controls(&mut draw);
        let walker = Walker::new(&controls, &request(&mut draw, VirtAddr(0)));
        for size in [PageSize::Kib4, PageSize::Mib2, PageSize::Gib1] {
            let lost = walker.terms.counted_at(size) & !walker.kept(size);
            assert_eq!(lost, 0, "{controls:x?} {size:?}");
        }
    }
}
