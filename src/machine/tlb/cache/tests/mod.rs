mod fetched;

use super::*;
use crate::base::{Ring, VirtAddr};
use crate::machine::paging::TableMemory;
use crate::machine::paging::x86_64::{ControlFlags, Entry, Walker, lookup, walk};
use crate::machine::tlb::{Invalidation, PagingStructureCache, RootLoad};

/// Every level has one table, and every entry of it these bits.
struct Uniform {
    pde: u64,
    pte: u64,
}

const TABLE: u64 = Entry::P | Entry::RW | Entry::US;
const PAGE: VirtAddr = VirtAddr(0x1234_5678);

impl TableMemory for Uniform {
    fn entry(&self, at: PhysAddr) -> u64 {
        match at.raw() >> 12 {
            1 => 0x2000 | TABLE,
            2 => 0x3000 | TABLE,
            3 => self.pde,
            _ => self.pte,
        }
    }
}

fn memory(pte: u64) -> Uniform {
    Uniform { pde: 0x4000 | TABLE, pte: 0x9000 | pte }
}

fn controls(flags: ControlFlags) -> Controls {
    Controls {
        cr3: 0x1000,
        flags: ControlFlags::WP | ControlFlags::PGE | flags,
        ..Default::default()
    }
}

fn user(access: Access) -> Request {
    Request::new(PAGE, access, Ring::User)
}

/// A cache that was asked for `request` once.
fn filled(memory: &Uniform, controls: &Controls, request: &Request) -> Tlb {
    let mut tlb = Tlb::default();
    let walk = walk(memory, controls, request).expect("mapped and permitted");
    tlb.fill(controls, request, &walk);
    tlb
}

#[test]
fn a_hit_gives_what_the_tables_gave() {
    let controls = controls(ControlFlags::NONE);
    let read = user(Access::Read);

    let tlb = filled(&memory(TABLE), &controls, &read);

    assert_eq!(tlb.lookup(&controls, &read), PhysAddr::new(0x9678));
    let elsewhere = Request { virt: PAGE.plus(64 * 4096), ..read };
    assert_eq!(tlb.lookup(&controls, &elsewhere), None);
}

#[test]
fn a_write_through_a_clean_leaf_goes_back_to_the_tables() {
    let controls = controls(ControlFlags::NONE);
    let clean = filled(&memory(TABLE), &controls, &user(Access::Read));
    let dirty = filled(&memory(TABLE), &controls, &user(Access::Write));

    assert_eq!(clean.lookup(&controls, &user(Access::Write)), None);
    assert_eq!(dirty.lookup(&controls, &user(Access::Write)), PhysAddr::new(0x9678));
}

#[test]
fn a_read_only_page_is_a_shadow_stack_once_a_write_made_it_dirty() {
    let mut lax = controls(ControlFlags::CET);
    lax.flags = lax.flags.without(ControlFlags::WP);
    let write = Request::new(PAGE, Access::Write, Ring::Kernel);
    let pte = Entry::P | Entry::US;

    let tlb = filled(&memory(pte), &lax, &write);

    let marked = walk(&memory(pte | Entry::D), &lax, &write).expect("CR0.WP is off");
    assert!(marked.rights.has(Rights::SHADOW_STACK), "the tables say so from now on");
    let stack = Request { shadow_stack: true, ..user(Access::Read) };
    assert_eq!(tlb.lookup(&lax, &stack), PhysAddr::new(0x9678));
    let under_read_only = Uniform { pde: 0x4000 | TABLE & !Entry::RW, ..memory(pte) };
    assert_eq!(filled(&under_read_only, &lax, &write).lookup(&lax, &stack), None);
}

#[test]
fn rights_are_checked_on_every_hit() {
    let all = controls(ControlFlags::SMEP | ControlFlags::SMAP | ControlFlags::PKE);
    let pte = TABLE & !Entry::RW | 3 << 59;
    let tlb = filled(&memory(pte), &all, &user(Access::Read));
    let asked = |controls: &Controls, request: Request| tlb.lookup(controls, &request).is_some();

    assert!(asked(&all, user(Access::Read)));
    assert!(asked(&all, user(Access::Execute)));
    assert!(!asked(&all, user(Access::Write)));
    assert!(!asked(&all, Request::new(PAGE, Access::Read, Ring::Kernel)));
    assert!(asked(&all, Request { ac: true, ..Request::new(PAGE, Access::Read, Ring::Kernel) }));
    assert!(!asked(&all, Request::new(PAGE, Access::Execute, Ring::Kernel)));
    assert!(!asked(&Controls { pkru: 1 << 6, ..all }, user(Access::Read)));
}

#[test]
fn identifiers_keep_spaces_apart_and_global_translations_serve_all() {
    let first = Controls { cr3: 0x1001, ..controls(ControlFlags::PCIDE) };
    let second = Controls { cr3: 0x1002, ..first };
    let read = user(Access::Read);
    let own = filled(&memory(TABLE), &first, &read);
    let global = filled(&memory(TABLE | Entry::G), &first, &read);

    assert!(own.lookup(&first, &read).is_some() && own.lookup(&second, &read).is_none());
    assert!(global.lookup(&second, &read).is_some());
}

#[test]
fn each_invalidation_drops_what_it_covers_and_keeps_the_rest() {
    let first = Controls { cr3: 0x1001, ..controls(ControlFlags::PCIDE) };
    let second = Controls { cr3: 0x1002, ..first };
    let read = user(Access::Read);
    let cases = [
        // Invalidation, own entry stays, global entry stays.
        (Some(Invalidation::page(&first, PAGE)), false, false),
        (Some(Invalidation::page(&second, PAGE)), true, false),
        (Some(Invalidation::page(&first, PAGE.plus(4096))), true, true),
        (Some(Invalidation::page_fault(&first, PAGE)), false, false),
        (Some(Invalidation::PageOfPcid { virt: PAGE, pcid: 1 }), false, true),
        (Some(Invalidation::PageOfPcid { virt: PAGE, pcid: 2 }), true, true),
        (Some(Invalidation::Pcid { pcid: 1 }), false, true),
        (Some(Invalidation::AllExceptGlobal), false, true),
        (Some(Invalidation::All), false, false),
        (Invalidation::root_load(&first, RootLoad::Flush), false, true),
        (Invalidation::root_load(&second, RootLoad::Flush), true, true),
        (Invalidation::root_load(&first, RootLoad::Keep), true, true),
    ];
    for (invalidation, own_stays, global_stays) in cases {
        for (pte, stays) in [(TABLE, own_stays), (TABLE | Entry::G, global_stays)] {
            let mut tlb = filled(&memory(pte), &first, &read);

            if let Some(invalidation) = invalidation {
                tlb.invalidate(invalidation);
            }

            assert_eq!(tlb.lookup(&first, &read).is_some(), stays, "{invalidation:?} {pte:#x}");
        }
    }
}

#[test]
fn an_address_on_a_large_page_drops_every_piece_of_it() {
    let controls = controls(ControlFlags::NONE);
    let large = Uniform { pde: 0x20_0000 | TABLE | Entry::PS, pte: 0 };
    let read = user(Access::Read);
    let mut tlb = filled(&large, &controls, &read);

    tlb.invalidate(Invalidation::page(&controls, VirtAddr(PAGE.0 ^ 0x1f_0000)));

    assert_eq!(tlb.lookup(&controls, &read), None);
}

#[test]
fn a_cache_of_large_pages_keeps_each_whole_and_no_small_one() {
    let controls = controls(ControlFlags::NONE);
    let large = Uniform { pde: 0x20_0000 | TABLE | Entry::PS, pte: 0 };
    let read = user(Access::Read);
    let mut tlb = DirectMapped::<16, 21>::default();
    let far_end = VirtAddr(PAGE.0 | 0x1f_ffff);

    let small = walk(&memory(TABLE), &controls, &read).expect("mapped and permitted");
    tlb.fill(&controls, &read, &small);
    assert_eq!(tlb.lookup(&controls, &read), None);

    let found = walk(&large, &controls, &read).expect("mapped and permitted");
    tlb.fill(&controls, &read, &found);
    let far = Request { virt: far_end, ..read };
    assert_eq!(tlb.lookup(&controls, &far), PhysAddr::new(0x3f_ffff));
    let granted = Grants::new(&controls).of(Access::Read, Ring::User, false);
    assert_eq!(tlb.hit(far_end, granted), PhysAddr::new(0x3f_ffff));

    tlb.invalidate(Invalidation::page(&controls, VirtAddr(PAGE.0 ^ 0x1f_0000)));
    assert_eq!(tlb.lookup(&controls, &far), None);
}

#[test]
fn the_hash_follows_what_is_remembered() {
    let digest = |tlb: &Tlb| {
        let mut hash = TraceHash::default();
        tlb.absorb(&mut hash);
        hash.digest()
    };
    let controls = controls(ControlFlags::NONE);
    let mut tlb = filled(&memory(TABLE), &controls, &user(Access::Read));
    let before = digest(&tlb);

    tlb.flush_all();

    assert_ne!(digest(&tlb), before);
    assert_eq!(digest(&tlb), digest(&Tlb::default()));
}

#[test]
fn neighbours_have_places_of_their_own() {
    let controls = controls(ControlFlags::NONE);
    let read = user(Access::Read);
    let mut tlb = filled(&memory(TABLE), &controls, &read);
    let neighbour = Request { virt: PAGE.plus(4096), ..read };

    let walk = walk(&memory(TABLE), &controls, &neighbour).expect("mapped");
    tlb.fill(&controls, &neighbour, &walk);

    assert!(tlb.lookup(&controls, &read).is_some());
    assert!(tlb.lookup(&controls, &neighbour).is_some());
}

#[test]
fn what_lies_beside_a_large_page_stays() {
    let controls = controls(ControlFlags::NONE);
    let read = user(Access::Read);
    // With a piece among them every entry is looked at.
    let piece = Uniform { pde: 0x20_0000 | TABLE | Entry::PS, pte: 0 };
    let far = Request { virt: VirtAddr(0x7000_0000), ..read };
    for (virt, small_stays, piece_stays) in [
        (PAGE.plus(4096), true, true),
        (PAGE, false, true),
        (VirtAddr(0x7000_0000 + 0x1f_f000), true, false),
        (VirtAddr(0x7000_0000 + 0x20_0000), true, true),
        (VirtAddr(0x7000_0000 - 4096), true, true),
    ] {
        let mut tlb = filled(&memory(TABLE), &controls, &read);
        tlb.fill(&controls, &far, &walk(&piece, &controls, &far).expect("mapped"));

        tlb.invalidate(Invalidation::page(&controls, virt));

        assert_eq!(tlb.lookup(&controls, &read).is_some(), small_stays, "{virt}");
        assert_eq!(tlb.lookup(&controls, &far).is_some(), piece_stays, "{virt}");
    }
}

/// Frame 1 is the root, and every entry of frame 2 maps 1 GiB.
struct Gigabytes;

impl TableMemory for Gigabytes {
    fn entry(&self, at: PhysAddr) -> u64 {
        if at.raw() >> 12 == 1 { 0x2000 | TABLE } else { 0x4000_0000 | TABLE | Entry::PS }
    }
}

#[test]
fn a_page_of_1_gib_is_dropped_by_every_address_on_it() {
    let controls = controls(ControlFlags::NONE);
    let read = user(Access::Read);
    for (distance, stays) in [(0x3000_0000, false), (0x4000_0000, true)] {
        let mut tlb = Tlb::default();
        tlb.fill(&controls, &read, &walk(&Gigabytes, &controls, &read).expect("mapped"));
        assert_eq!(tlb.lookup(&controls, &read), PhysAddr::new(0x4000_0000 + PAGE.0 % (1 << 30)));

        tlb.invalidate(Invalidation::page(&controls, VirtAddr(distance)));

        assert_eq!(tlb.lookup(&controls, &read).is_some(), stays, "{distance:#x}");
    }
}

#[test]
fn what_is_hashed_of_a_page_is_its_address_with_the_identifier() {
    fn hashed<const SHIFT: u32>(address: u64) {
        let controls = Controls { cr3: 0x1007, ..controls(ControlFlags::PCIDE) };
        let large = Uniform { pde: 0x20_0000 | TABLE | Entry::PS, pte: 0 };
        let read = user(Access::Read);
        let mut cache = DirectMapped::<16, SHIFT>::default();
        cache.fill(&controls, &read, &walk(&large, &controls, &read).expect("mapped"));
        let (mut hash, mut expected) = (TraceHash::default(), TraceHash::default());
        let value = cache.values.into_iter().find(|&value| value != 0).expect("filled");

        cache.absorb(&mut hash);

        expected.absorb(address | 7, Value(value).said());
        assert_eq!(hash.digest(), expected.digest());
    }
    hashed::<12>(PAGE.0 & !0xfff);
    hashed::<21>(PAGE.0 & !0x1f_ffff);
}

#[test]
fn two_caches_that_remember_otherwise_have_other_hashes() {
    let digest = |pte: u64| {
        let controls = controls(ControlFlags::NONE);
        let mut hash = TraceHash::default();
        filled(&memory(pte), &controls, &user(Access::Read)).absorb(&mut hash);
        hash.digest()
    };

    assert_ne!(digest(TABLE), digest(TABLE | Entry::G));
    assert_ne!(digest(TABLE), digest(TABLE | 1 << 59));
}

#[test]
fn an_empty_cache_answers_nothing_not_even_for_page_0() {
    let controls = controls(ControlFlags::NONE);
    let first = Request::new(VirtAddr(0x10), Access::Read, Ring::Kernel);

    assert_eq!(Tlb::default().lookup(&controls, &first), None);
    assert_eq!(Tlb::default().hit(first.virt, Granted::ALWAYS), None);
    let mut decided = Tlb::default();
    decided.decide(&Grants::new(&controls));
    let read = Case::of(Access::Read, Ring::Kernel, false);
    assert_eq!(decided.hit_decided(first.virt, read), None);
    assert_eq!(decided, Tlb::default());
}

#[test]
fn what_was_decided_is_no_part_of_what_is_remembered() {
    let controls = controls(ControlFlags::NONE);
    let undecided = filled(&memory(TABLE), &controls, &user(Access::Read));
    let mut decided = undecided;

    decided.decide(&Grants::new(&controls));

    assert_ne!(decided, undecided);
    let digest = |tlb: &Tlb| {
        let mut hash = TraceHash::default();
        tlb.absorb(&mut hash);
        hash.digest()
    };
    assert_eq!(digest(&decided), digest(&undecided));
}

fn withdrawn(size: PageSize, rights: Rights) -> Withdrawn {
    Withdrawn {
        pcid: 7,
        first: PAGE.page(),
        pages: 2 * size.frames(),
        frame: Frame(0x4_0000),
        rights,
        global: false,
        key: 3,
        kind: WithdrawnKind::Leaf(size),
    }
}

#[test]
fn a_withdrawn_translation_is_held_with_all_it_permitted_and_under_its_identifier() {
    let other = Controls { cr3: 0x1002, ..controls(ControlFlags::PCIDE | ControlFlags::PKE) };
    let own = Controls { cr3: 0x1007, ..other };
    let second = Page(PAGE.page().0 + 1);
    let ask = |tlb: &Tlb, controls: &Controls, access| {
        let request = Request { virt: second.start().plus(8), ..user(access) };
        tlb.lookup(controls, &request)
    };
    let both = Rights::from_bits(3);
    let mut tlb = Tlb::default();

    tlb.hold(&other, &withdrawn(PageSize::Kib4, both), second);

    assert_eq!(ask(&tlb, &own, Access::Read), PhysAddr::new(0x4000_1008));
    assert_eq!(ask(&tlb, &own, Access::Write), PhysAddr::new(0x4000_1008));
    assert_eq!(ask(&tlb, &own, Access::Execute), None, "it was not executable");
    assert_eq!(ask(&tlb, &other, Access::Read), None, "it is another space's");
    assert_eq!(ask(&tlb, &Controls { pkru: 1 << 6, ..own }, Access::Read), None, "by its key");
    let mut tlb = Tlb::default();
    tlb.hold(
        &other,
        &Withdrawn { global: true, ..withdrawn(PageSize::Kib4, Rights::USER) },
        second,
    );
    assert_eq!(ask(&tlb, &other, Access::Read), PhysAddr::new(0x4000_1008), "it is everybody's");
    assert_eq!(ask(&tlb, &own, Access::Write), None, "it was read-only");
}

#[test]
fn a_piece_of_a_large_page_is_held_until_any_address_on_the_page_is_invalidated() {
    let own = Controls { cr3: 0x1007, ..controls(ControlFlags::PCIDE) };
    let mut large = withdrawn(PageSize::Mib2, Rights::USER);
    large.first = Page(large.first.0 & !511);
    let virt = large.first.start().plus(5 << 12);
    let read = Request { virt, ..user(Access::Read) };
    let mut tlb = Tlb::default();

    tlb.hold(&own, &large, virt.page());

    assert_eq!(tlb.lookup(&own, &read), PhysAddr::new(0x4000_5000));
    tlb.invalidate(Invalidation::page(&own, large.first.start()));
    assert_eq!(tlb.lookup(&own, &read), None);
    let mut whole = DirectMapped::<16, 21>::default();
    whole.hold(&own, &withdrawn(PageSize::Kib4, Rights::USER), virt.page());
    assert_eq!(whole, DirectMapped::default(), "a page too small for it");
    whole.hold(&own, &large, virt.page());
    assert_eq!(whole.lookup(&own, &read), PhysAddr::new(0x4000_5000));
}
