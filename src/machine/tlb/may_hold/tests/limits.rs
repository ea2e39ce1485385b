//! More than can be listed, read or kept: it is cut off, and says so.

use super::*;

/// `count` entries of each of these tables, from the first on, hold what stands beside it.
fn with(tables: &[(usize, usize, u64)]) -> World {
    let mut world = World::new(ControlFlags::PCIDE);
    for &(table, count, entry) in tables {
        world.words[table * 512..][..count].fill(entry | TABLE);
    }
    world.may_hold = MayHold::new(&world.words, &world.controls);
    world
}

#[test]
fn tables_with_more_ways_than_can_be_listed_are_incomplete_from_the_start() {
    let world = with(&[(1, 32, 0x1000)]);

    assert!(!world.may_hold.is_complete());
}

#[test]
fn tables_that_can_be_listed_but_not_read_through_are_incomplete_when_they_are_left() {
    // 20 + 400 + 8000 ways to tables; page tables are listed without being read.
    let mut world = with(&[(1, 20, 0x1000)]);
    assert!(world.may_hold.is_complete());

    world.load(0x5002, RootLoad::Flush);

    assert!(!world.may_hold.is_complete());
    assert!(world.may_hold.members().len() <= MEMBERS_MAX);
}

#[test]
fn what_one_store_withdraws_may_be_too_much_to_read_through() {
    // Nine ways to one page directory, each with 512 ways to one page table.
    let mut world = with(&[(2, 9, 0x3000), (3, 512, 0x4000), (4, 512, 0)]);
    world.words[4 * 512..5 * 512].fill(0);
    assert!(world.may_hold.is_complete());

    world.store(PML4E, 0);

    assert!(!world.may_hold.is_complete());
}

#[test]
fn what_one_store_withdraws_may_be_too_much_to_keep() {
    // 33 ways to a page table with 512 pages, none of which goes on where another ends.
    let mut world = with(&[(3, 33, 0x4000), (4, 512, 0x9000)]);
    assert!(world.may_hold.is_complete());

    world.store(PML4E, 0);

    assert!(!world.may_hold.is_complete());
    assert!(world.may_hold.members().len() <= MEMBERS_MAX);
}

#[test]
fn members_are_kept_until_there_is_no_more_room() {
    let mut world = with(&[(3, 31, 0x4000), (4, 512, 0x9000)]);
    world.store(PML4E, 0);
    world.store(PML4E, 0x2000 | TABLE);
    let before = world.may_hold.members().len();
    assert_eq!(before, 31 * 512 + 31 + 2);
    // Each store withdraws 31 pages more.
    let mut stores = 0;
    while world.may_hold.is_complete() {
        world.store(PTE, (0x10_0000 + stores) << 12 | TABLE);
        stores += 1;
        assert!(stores < 20, "{} members", world.may_hold.members().len());
    }

    assert_eq!(world.may_hold.members().len(), MEMBERS_MAX);
}

#[test]
fn what_was_left_out_stays_left_out_when_the_next_root_is_loaded() {
    let mut world = with(&[(3, 33, 0x4000), (4, 512, 0x9000)]);
    world.store(PML4E, 0);
    world.may_hold.flush_all();
    assert!(!world.may_hold.is_complete());

    world.load(0x5002, RootLoad::Flush);

    assert!(!world.may_hold.is_complete());
}

#[test]
fn tables_are_not_read_through_for_another_value_of_a_protection_key_register() {
    for keys in
        [Controls { pkru: 4, ..Controls::default() }, Controls { pkrs: 8, ..Controls::default() }]
    {
        let mut world = with(&[(1, 20, 0x1000)]);
        let before = world.controls;
        world.controls = Controls { pkru: keys.pkru, pkrs: keys.pkrs, ..before };

        world.may_hold.load_root(&world.words, &before, &world.controls, RootLoad::Keep);

        assert!(world.may_hold.is_complete());
    }
}
