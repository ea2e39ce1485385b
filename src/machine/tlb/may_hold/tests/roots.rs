//! Going from root to root: what is found again, what is still true, what is withdrawn meanwhile.
//!
//! The other root, in frame 5, names nothing.

use super::*;

/// Back at the first root after `change`, made while the other root was loaded; what is held then.
fn changed_meanwhile(leaf: (u64, u64), change: impl FnOnce(&mut World)) -> Vec<Withdrawn> {
    let mut world = World::new(ControlFlags::PCIDE);
    let (at, entry) = leaf;
    world.store(at, entry);
    world.may_hold.flush_all();
    world.load(0x5002, RootLoad::Flush);
    change(&mut world);
    world.load(0x1000, RootLoad::Keep);
    world.may_hold.members().to_vec()
}

fn leaves_of(members: &[Withdrawn]) -> Vec<(Page, u64, Frame)> {
    let leaves = members.iter().filter(|member| matches!(member.kind, WithdrawnKind::Leaf(_)));
    leaves.map(|leaf| (leaf.first, leaf.pages, leaf.frame)).collect()
}

#[test]
fn what_is_granted_again_in_every_respect_is_no_member() {
    let page = (PAGE.page(), 1, NINE);
    for (entry, stays) in [
        (0x9000 | TABLE, false),
        (0x9000 | TABLE | Entry::A | Entry::D, false),
        (0xa000 | TABLE, true),
        (0x9000 | Entry::P | Entry::US, true),
        (0x9000 | TABLE | 1 << 59, true),
        (0x9000 | TABLE | Entry::G, true),
        (0, true),
    ] {
        let held = changed_meanwhile((PTE, 0x9000 | TABLE), |world| world.store(PTE, entry));

        let expected = if stays { vec![page] } else { vec![] };
        assert_eq!(leaves_of(&held), expected, "{entry:#x}");
    }
}

#[test]
fn a_large_page_is_granted_again_whole_or_not_at_all() {
    let large = (PDE + 8, 0x20_0000 | TABLE | Entry::PS);
    let page = (Page(0x600), 512, Frame(0x200));

    let same = changed_meanwhile(large, |_| ());
    let split = changed_meanwhile(large, |world| {
        world.words[0x6000 / 8] = 0x20_0000 | TABLE;
        world.store(PDE + 8, 0x6000 | TABLE);
    });
    let second_gone = changed_meanwhile(large, |world| {
        // Two large pages in a row are one member; only the first is granted again.
        world.load(0x1000, RootLoad::Keep);
        world.store(PDE + 16, 0x40_0000 | TABLE | Entry::PS);
        world.load(0x5002, RootLoad::Flush);
        world.store(PDE + 16, 0);
    });

    assert_eq!(leaves_of(&same), []);
    assert_eq!(leaves_of(&split), [page], "small pages of the same memory are another translation");
    assert_eq!(leaves_of(&second_gone), [(page.0, 1024, page.2)]);
}

#[test]
fn a_way_to_a_table_is_granted_again_at_its_place_and_with_its_rights() {
    for (change, stays) in [
        (vec![], false),
        (vec![(PDE, 0)], true),
        (vec![(PDE, 0), (PDE + 8, 0x4000 | TABLE)], true),
        (vec![(PDE, 0x4000 | Entry::P | Entry::RW)], true),
        (vec![(PDE, 0x4000 | TABLE | Entry::A)], false),
    ] {
        let held = changed_meanwhile((PTE, 0x9000 | TABLE), |world| {
            for (at, entry) in &change {
                world.store(*at, *entry);
            }
        });

        let ways = held.iter().filter(|member| member.frame == Frame(4));
        let ways: Vec<_> = ways.map(|way| (way.first, way.pages, way.kind)).collect();
        let way = (Page(0x400), 512, WithdrawnKind::Table(Level::Pt));
        assert_eq!(ways, if stays { vec![way] } else { vec![] }, "{change:x?}");
    }
}

#[test]
fn what_is_known_of_a_root_left_follows_its_tables() {
    let mut world = World::new(ControlFlags::PCIDE);
    world.load(0x5002, RootLoad::Flush);

    // The first changes nothing about which tables there are, the second does.
    world.store(PTE, 0xa000 | TABLE);
    world.store(PDE + 8, 0x7000 | TABLE);

    assert!(!world.may_hold.is_table(Frame(7)));
    world.load(0x1000, RootLoad::Flush);
    assert!(world.may_hold.is_table(Frame(7)) && world.may_hold.is_table(Frame(4)));
}

/// A second way from the root, to a page table in frame 8.
fn with_a_second_half(world: &mut World) {
    for (at, entry) in [(0x1008, 0x6000), (0x6000, 0x7000), (0x7000, 0x8000)] {
        world.store(at, entry | TABLE);
    }
}

#[test]
fn global_pages_are_found_each_time_their_root_is_left() {
    let mut world = World::new(ControlFlags::NONE);
    with_a_second_half(&mut world);
    world.store(PTE, 0x9000 | TABLE | Entry::G);
    world.store(0x8000, 0xa000 | TABLE | Entry::G);
    for time in 0..3 {
        world.load(0x5000, RootLoad::Flush);

        let frames: Vec<u64> =
            world.may_hold.members().iter().map(|member| member.frame.0).collect();
        assert_eq!(frames, [9, 10], "time {time}");
        world.may_hold.invalidate(Invalidation::All);
        world.load(0x1000, RootLoad::Flush);
        // A store of a global page, beside one that nothing is known of.
        world.store(PTE + 8 * time, 0x9000 | TABLE | Entry::G);
        world.store(PTE + 8 * time, if time == 0 { 0x9000 | TABLE | Entry::G } else { 0 });
        world.may_hold.invalidate(Invalidation::All);
    }
}

#[test]
fn a_page_made_global_where_there_was_none_is_found() {
    let mut world = World::new(ControlFlags::NONE);
    with_a_second_half(&mut world);
    world.load(0x5000, RootLoad::Flush);
    world.load(0x1000, RootLoad::Flush);
    assert_eq!(world.may_hold.members(), [], "no global pages");
    world.store(PTE, 0x9000 | TABLE | Entry::G);

    world.load(0x5000, RootLoad::Flush);

    assert_eq!(world.members_to(NINE).len(), 1);
}

#[test]
fn an_entry_of_the_root_that_was_passed_by_may_lead_to_global_pages() {
    let mut world = World::new(ControlFlags::NONE);
    with_a_second_half(&mut world);
    world.store(PTE, 0x9000 | TABLE | Entry::G);
    world.store(0x8000, 0xa000 | TABLE);
    // The next root has the first of the two entries as well, so nobody looks below it.
    world.words[word(0x5000)] = 0x2000 | TABLE;
    world.load(0x5000, RootLoad::Flush);
    world.load(0x1000, RootLoad::Flush);
    assert_eq!(world.may_hold.members(), []);

    world.load(0xc000, RootLoad::Flush);

    assert_eq!(world.members_to(NINE).len(), 1);
}

#[test]
fn a_root_without_global_pages_is_kept_whole_under_its_identifier() {
    let mut world = World::new(ControlFlags::PCIDE);
    // Under the same identifier only global pages would outlive the load.
    world.load(0x5000, RootLoad::Flush);
    assert_eq!(world.may_hold.members(), []);
    world.load(0x1000, RootLoad::Flush);

    world.load(0x5002, RootLoad::Flush);

    assert_eq!(world.members_to(NINE).len(), 1);
    assert_eq!(world.members_to(Frame(4)).len(), 1);
}

#[test]
fn a_global_page_made_an_ordinary_one_is_withdrawn() {
    let mut world = World::new(ControlFlags::NONE);
    world.store(PTE, 0x9000 | TABLE | Entry::G);
    world.may_hold.flush_all();

    world.store(PTE, 0x9000 | TABLE);

    assert!(world.members_to(NINE).iter().all(|member| member.global));
    assert_eq!(world.members_to(NINE).len(), 1);
}

#[test]
fn a_root_that_names_nothing_is_a_table_all_the_same() {
    let words = vec![0; 16 * 512];
    let controls = Controls { cr3: 0x1000, ..Controls::default() };

    let may_hold = MayHold::new(&words, &controls);

    assert!(may_hold.is_table(Frame(1)));
    assert!(!may_hold.is_table(Frame(0)) && !may_hold.is_table(Frame(65)));
}

#[test]
fn roots_that_share_a_table_withdraw_none_of_it_whoever_went_through_it_last() {
    for accessed in [[0, 0], [0, Entry::A], [Entry::A, 0]] {
        let mut world = World::new(ControlFlags::NONE);
        world.store(PTE, 0x9000 | TABLE | Entry::G);
        for (root, accessed) in [PML4E, 0x5000].into_iter().zip(accessed) {
            world.store(root, 0x2000 | TABLE | accessed);
        }
        world.may_hold.flush_all();

        world.load(0x5000, RootLoad::Flush);
        let shared = world.may_hold.members().to_vec();
        world.store(0x5000, 0);
        world.may_hold.flush_all();
        world.load(0x1000, RootLoad::Flush);
        world.load(0x5000, RootLoad::Flush);

        assert_eq!(shared, [], "{accessed:x?}");
        assert_eq!(world.members_to(NINE).len(), 1, "what is not shared is withdrawn");
    }
}

#[test]
fn a_global_page_that_the_next_root_grants_by_other_tables_is_not_withdrawn() {
    let mut world = World::new(ControlFlags::NONE);
    world.store(PTE, 0x9000 | TABLE | Entry::G);
    for (at, entry) in [
        (0x5000, 0x6000 | TABLE),
        (0x6000, 0x7000 | TABLE),
        (0x7000 + 8 * 2, 0x8000 | TABLE),
        (0x8000 + 8 * 5, 0x9000 | TABLE | Entry::G),
    ] {
        world.words[word(at)] = entry;
    }

    world.load(0x5000, RootLoad::Flush);

    assert_eq!(world.may_hold.members(), []);
}
