//! What decides beside the entries themselves: keys, shadow stacks, frame numbers, hashes, and changes
//! that nobody told.

use super::*;

#[test]
fn changes_without_a_word_are_looked_at_afresh() {
    let mut world = World::new(ControlFlags::NONE);
    let before = world.controls;
    world.load(0x5000, RootLoad::Flush);
    world.load(0x1000, RootLoad::Flush);
    world.words[word(PDE)] = 0;
    world.words[0x5000 / 8] = 0x6000 | TABLE;
    assert!(world.may_hold.is_table(Frame(4)), "nobody said so");

    world.may_hold.forget_tables(&world.words, &before);

    assert!(!world.may_hold.is_table(Frame(4)));
    world.load(0x5000, RootLoad::Flush);
    assert!(world.may_hold.is_table(Frame(6)), "what was known of the other root is forgotten too");
    let mut never = MayHold::default();
    never.forget_tables(&world.words, &before);
    assert!(!never.is_table(Frame(1)), "a processor that never loaded a root has no tables");
}

#[test]
fn a_table_is_found_by_its_frame_whatever_its_number() {
    for table in [5, 64, 69, 260, 261, 300] {
        let mut world = World::new(ControlFlags::NONE);
        world.words.resize(301 * 512, 0);
        world.store(PDE + 8, table << 12 | TABLE);

        for frame in 0..301 {
            let is_table = world.may_hold.is_table(Frame(frame));
            assert_eq!(is_table, (1..=4).contains(&frame) || frame == table, "{table} {frame}");
        }
        world.store(table << 12, 0xb000 | TABLE);
        world.store(table << 12, 0);
        assert_eq!(world.members_to(Frame(11)).len(), 1, "a store to it is followed");
    }
}

#[test]
fn a_table_beyond_the_first_gigabyte_is_found_by_its_frame() {
    let mut world = World::new(ControlFlags::NONE);
    world.words.resize(0x42346 * 512, 0);

    world.store(PDE + 8, 0x4234_5000 | TABLE);

    assert!(world.may_hold.is_table(Frame(0x42345)));
    assert!(!world.may_hold.is_table(Frame(0x42344)));
}

#[test]
fn a_member_translates_the_pages_from_its_first_to_its_last() {
    let mut world = World::new(ControlFlags::NONE);
    world.store(PTE + 8, 0xa000 | TABLE);
    world.store(PDE, 0);

    let mut pages = world.may_hold.members().iter().filter(|member| member.pages == 2);
    let run = pages.next().expect("two pages in a row");

    let first = PAGE.page().0;
    let translated = (first - 1..first + 3).map(|page| run.translates(Page(page)));
    assert_eq!(translated.collect::<Vec<_>>(), [false, true, true, false]);
}

#[test]
fn what_is_left_of_a_run_keeps_its_addresses_and_frames() {
    let mut world = World::new(ControlFlags::NONE);
    world.store(PTE + 8, 0xa000 | TABLE);
    world.store(PTE + 16, 0xb000 | TABLE);
    world.store(PDE, 0);

    world.may_hold.invalidate(Invalidation::page(&world.controls, PAGE.plus(4096)));

    let left = world.may_hold.members().iter().map(|left| (left.first.0, left.frame.0, left.pages));
    let first = PAGE.page().0;
    assert_eq!(left.collect::<Vec<_>>(), [(first, 9, 1), (first + 2, 11, 1)]);
}

#[test]
fn leaving_a_root_that_was_read_through_leaves_nothing_out() {
    let mut world = World::new(ControlFlags::PCIDE);

    world.load(0x5002, RootLoad::Flush);

    assert!(!world.may_hold.members().is_empty() && world.may_hold.is_complete());
}

#[test]
fn a_change_of_key_withdraws_where_keys_count() {
    for (flags, withdrawn) in
        [(ControlFlags::NONE, 0), (ControlFlags::PKE, 1), (ControlFlags::PKS, 1)]
    {
        let mut world = World::new(flags);
        world.store(PTE, 0x9000 | TABLE | 3 << 59);
        world.may_hold.flush_all();

        world.store(PTE, 0x9000 | TABLE | 5 << 59);

        let keys: Vec<u8> = world.members_to(NINE).iter().map(|member| member.key).collect();
        assert_eq!(keys, [3][..withdrawn], "{flags:?}");
    }
}

#[test]
fn a_shadow_stack_that_becomes_writable_is_withdrawn_with_cet() {
    for (flags, withdrawn) in [(ControlFlags::NONE, 0), (ControlFlags::CET, 1)] {
        let mut world = World::new(flags);
        world.store(PTE, 0x9000 | Entry::P | Entry::US | Entry::D);
        world.may_hold.flush_all();

        world.store(PTE, 0x9000 | TABLE | Entry::D);

        let members = world.members_to(NINE);
        assert_eq!(members.len(), withdrawn, "{flags:?}");
        assert!(members.iter().all(|member| member.rights.bits() == 1 | 4 | 8));
    }
}

#[test]
fn protection_key_registers_are_no_part_of_a_root() {
    let mut world = World::new(ControlFlags::PKE | ControlFlags::PKS);
    let before = world.controls;
    world.controls = Controls { pkru: 4, pkrs: 8, ..before };

    world.may_hold.load_root(&world.words, &before, &world.controls, RootLoad::Keep);

    assert_eq!(world.may_hold.members(), []);
    world.store(PTE, 0);
    assert_eq!(world.members_to(NINE).len(), 1);
}

#[test]
fn each_member_changes_the_hash() {
    let digest = |may_hold: &MayHold| {
        let mut hash = TraceHash::default();
        may_hold.absorb(&mut hash);
        hash.digest()
    };
    let mut world = World::new(ControlFlags::PKE);
    let mut seen = vec![digest(&world.may_hold)];
    for (entry, why) in [
        (0xa000 | TABLE, "a frame"),
        (0xa000 | Entry::P | Entry::RW, "rights"),
        (0xa000 | Entry::P | Entry::RW | Entry::G, "global"),
        (0xa000 | Entry::P | Entry::RW | 1 << 59, "a key"),
    ] {
        world.may_hold.flush_all();
        world.store(PTE, entry);
        world.may_hold.flush_all();

        world.store(PTE, 0);

        assert_eq!(world.may_hold.members().len(), 1);
        seen.push(digest(&world.may_hold));
        assert!(!seen[..seen.len() - 1].contains(&digest(&world.may_hold)), "{why}");
    }
    world.store(PDE + 8, 0x20_0000 | TABLE | Entry::PS);
    world.store(PDE + 8, 0);
    assert!(!seen.contains(&digest(&world.may_hold)), "a size");
    let under = |cr3: u64| {
        let mut world = World::new(ControlFlags::PCIDE);
        world.load(cr3, RootLoad::Flush);
        world.may_hold.flush_all();
        world.store(PTE, 0);
        assert_eq!(world.may_hold.members().len(), 1);
        digest(&world.may_hold)
    };
    assert_ne!(under(0x1001), under(0x1002), "an identifier");
}

#[test]
fn frame_0_is_a_frame_like_any_other() {
    let mut world = World::new(ControlFlags::NONE);
    world.store(PTE, Entry::P);
    world.may_hold.flush_all();

    world.store(PTE, 0);

    let [member] = world.members_to(Frame(0))[..] else { panic!("{:?}", world.may_hold) };
    assert_eq!(member.rights, Rights::EXECUTABLE, "no more than the entries allow");
}

#[test]
fn a_split_page_is_another_translation_even_where_it_leads_to_the_same_memory() {
    let mut world = World::new(ControlFlags::NONE);
    world.store(PDE + 8, 0x20_0000 | TABLE | Entry::PS);
    world.words[0x5000 / 8] = 0x20_0000 | TABLE;

    world.store(PDE + 8, 0x5000 | TABLE);

    assert_eq!(world.members_to(Frame(0x200)).len(), 1);
}

/// Memory that shows whole tables.
struct Shown<'a>(&'a Vec<u64>);

impl TableMemory for Shown<'_> {
    fn entry(&self, at: PhysAddr) -> u64 {
        self.0.entry(at)
    }

    fn table(&self, at: PhysAddr) -> Option<&[u64; 512]> {
        self.0.get(word(at.raw() & !0xfff)..)?.first_chunk()
    }
}

#[test]
fn a_table_of_which_it_is_told_before_memory_has_it_is_followed() {
    // Neither the first of eight entries nor beside one that is present.
    let at = 0x3000 + 8 * 19;
    for shows_tables in [false, true] {
        let mut world = World::new(ControlFlags::NONE);
        world.words[0x5000 / 8] = 0xb000 | TABLE;
        let World { words, controls, may_hold } = &mut world;
        let (told, new) = (PhysAddr::truncated(at), 0x5000 | TABLE);
        if shows_tables {
            may_hold.table_store(&Shown(words), controls, told, 0, new);
        } else {
            may_hold.table_store(words, controls, told, 0, new);
        }
        words[word(at)] = new;

        world.store(0x5000, 0);

        assert_eq!(world.members_to(Frame(11)).len(), 1, "{shows_tables}");
    }
}
