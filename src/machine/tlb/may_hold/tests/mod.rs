mod beside;
mod held;
mod limits;
mod roots;

use super::*;
use crate::base::VirtAddr;
use crate::machine::paging::x86_64::Rights;

/// Sixteen frames of tables. Frame 1 is the root, with entry 511 naming itself; 2, 3, 4 are the
/// tables on the way to the pages from 0x40_0000 on: frame 4 is their page table.
struct World {
    words: Vec<u64>,
    controls: Controls,
    may_hold: MayHold,
}

const TABLE: u64 = Entry::P | Entry::RW | Entry::US;
const PML4E: u64 = 0x1000;
const PDE: u64 = 0x3000 + 8 * 2;
const PTE: u64 = 0x4000 + 8 * 5;
const PAGE: VirtAddr = VirtAddr(0x40_5000);
const NINE: Frame = Frame(9);

#[allow(clippy::cast_possible_truncation, reason = "sixteen frames")]
const fn word(at: u64) -> usize {
    at as usize / 8
}

impl TableMemory for Vec<u64> {
    fn entry(&self, at: PhysAddr) -> u64 {
        usize::try_from(at.raw() / 8).ok().and_then(|number| self.get(number).copied()).unwrap_or(0)
    }

    fn are_eight_absent(&self, at: PhysAddr) -> bool {
        let first = usize::try_from(at.raw() / 8).expect("an index");
        let eight = self.iter().skip(first).take(8);
        eight.fold(0, |all, entry| all | entry) & Entry::P == 0
    }
}

impl World {
    fn new(flags: ControlFlags) -> Self {
        let mut words = vec![0; 16 * 512];
        for (at, entry) in [
            (PML4E, 0x2000 | TABLE),
            (0x2000, 0x3000 | TABLE),
            (PDE, 0x4000 | TABLE),
            (PTE, 0x9000 | TABLE),
        ] {
            words[word(at)] = entry;
        }
        let flags = ControlFlags::WP | ControlFlags::NXE | ControlFlags::PGE | flags;
        let controls = Controls { cr3: 0x1000, flags, ..Controls::default() };
        let may_hold = MayHold::new(&words, &controls);
        Self { words, controls, may_hold }
    }

    fn with_self_map() -> Self {
        let mut world = Self::new(ControlFlags::NONE);
        world.store(0x1000 + 8 * 511, 0x1000 | Entry::P | Entry::RW);
        assert_eq!(world.may_hold.members(), []);
        world
    }

    fn store(&mut self, at: u64, new: u64) {
        let old = core::mem::replace(&mut self.words[word(at)], new);
        let at = PhysAddr::truncated(at);
        self.may_hold.table_store(&self.words, &self.controls, at, old, new);
    }

    fn members_to(&self, frame: Frame) -> Vec<Withdrawn> {
        self.may_hold.permits(frame).copied().collect()
    }

    fn load(&mut self, cr3: u64, load: RootLoad) {
        let before = self.controls;
        self.controls.cr3 = cr3;
        self.may_hold.load_root(&self.words, &before, &self.controls, load);
    }
}

#[test]
fn a_page_taken_away_stays_until_it_is_invalidated() {
    let mut world = World::new(ControlFlags::NONE);

    world.store(PTE, 0);

    let [member] = world.members_to(NINE)[..] else { panic!("{:?}", world.may_hold) };
    assert_eq!((member.first, member.pages, member.rights), (PAGE.page(), 1, Rights::ROOT));
    world.may_hold.invalidate(Invalidation::page(&world.controls, PAGE.plus(4096)));
    assert_eq!(world.members_to(NINE).len(), 1, "another page's invalidation");
    world.may_hold.invalidate(Invalidation::page(&world.controls, PAGE.plus(0x678)));
    assert_eq!(world.members_to(NINE), []);
}

#[test]
fn a_page_remapped_twice_is_still_reachable_at_both_frames() {
    let mut world = World::new(ControlFlags::NONE);

    world.store(PTE, 0xa000 | TABLE);
    world.store(PTE, 0xb000 | TABLE);

    assert_eq!(world.members_to(NINE).len(), 1);
    assert_eq!(world.members_to(Frame(10)).len(), 1);
    assert_eq!(world.members_to(Frame(11)), [], "what the tables grant now is not withdrawn");
}

#[test]
fn a_right_taken_away_is_withdrawn() {
    for (lost, right) in [
        (0x9000 | TABLE & !Entry::RW, Rights::WRITABLE),
        (0x9000 | TABLE & !Entry::US, Rights::USER),
        (0x9000 | TABLE | Entry::XD, Rights::EXECUTABLE),
    ] {
        let mut world = World::new(ControlFlags::NONE);

        world.store(PTE, lost);

        let members = world.members_to(NINE);
        assert_eq!(members.len(), 1, "{right:?}");
        assert!(members[0].rights.has(right));
    }
}

#[test]
fn what_takes_nothing_away_records_nothing() {
    let mut world = World::new(ControlFlags::NONE);
    world.store(PTE, 0x9000 | Entry::P | Entry::XD);
    world.may_hold.flush_all();

    world.store(PTE, 0x9000 | TABLE);
    world.store(PTE, 0x9000 | TABLE | Entry::A | Entry::D);
    world.store(PTE, 0x9000 | TABLE);
    world.store(PDE, 0x4000 | TABLE | Entry::A);
    world.store(PTE + 8, 0xa000 | TABLE);
    world.store(0x8000, 0xffff_ffff_ffff_ffff);

    assert_eq!(world.may_hold.members(), []);
    assert!(world.may_hold.is_complete());
}

#[test]
fn a_global_page_outlives_a_load_of_cr3_and_nothing_else() {
    let mut world = World::new(ControlFlags::NONE);
    world.store(PTE + 8, 0xa000 | TABLE | Entry::G);
    world.store(PTE, 0);
    world.store(PTE + 8, 0);

    world.load(0x1000, RootLoad::Keep);

    assert_eq!(world.members_to(NINE), []);
    assert_eq!(world.members_to(Frame(10)).len(), 1);
    world.may_hold.invalidate(Invalidation::All);
    assert_eq!(world.may_hold.members(), []);
}

#[test]
fn a_page_made_global_may_still_be_held_under_its_identifier() {
    let mut world = World::new(ControlFlags::PCIDE);
    world.store(PTE, 0x9000 | TABLE | Entry::G);
    world.load(0x5002, RootLoad::Keep);

    // Drops the global translation and what has identifier 2.
    world.may_hold.invalidate(Invalidation::page(&world.controls, PAGE));

    let held = world.members_to(NINE);
    assert_eq!(held.iter().map(|held| (held.pcid, held.global)).collect::<Vec<_>>(), [(0, false)]);
}

#[test]
fn a_page_made_global_before_there_were_identifiers_may_still_be_held_as_it_was() {
    let mut world = World::new(ControlFlags::NONE);
    world.store(PTE, 0x9000 | TABLE | Entry::G);
    let before = world.controls;
    world.controls.flags = before.flags | ControlFlags::PCIDE;
    world.may_hold.load_controls(&world.words, &before, &world.controls);
    world.load(0x5002, RootLoad::Keep);

    // Drops the global translation and what has identifier 2.
    world.may_hold.invalidate(Invalidation::page(&world.controls, PAGE));

    let held = world.members_to(NINE);
    assert_eq!(held.iter().map(|held| (held.pcid, held.global)).collect::<Vec<_>>(), [(0, false)]);
}

#[test]
fn a_load_of_cr4_forgets_what_it_must_and_follows_the_tables_from_then_on() {
    for (before, after, wanted) in [
        (ControlFlags::NONE, ControlFlags::SMEP, 0),
        (ControlFlags::NONE, ControlFlags::SMAP, 1),
        (ControlFlags::PCIDE, ControlFlags::NONE, 0),
    ] {
        let mut world = World::new(before);
        world.store(PTE, 0xa000 | TABLE);
        assert_eq!(world.members_to(NINE).len(), 1);
        let controls = world.controls;
        world.controls.flags = controls.flags.without(before) | after;

        world.may_hold.load_controls(&world.words, &controls, &world.controls);

        assert_eq!(world.members_to(NINE).len(), wanted, "{before:?} to {after:?}");
        world.store(PTE, 0xb000 | TABLE);
        assert_eq!(world.members_to(Frame(10)).len(), 1, "it was granted until now");
    }
}

#[test]
fn a_global_page_of_the_old_root_alone_becomes_a_member() {
    let mut world = World::new(ControlFlags::NONE);
    world.store(PTE, 0x9000 | TABLE | Entry::G);
    world.store(PTE + 8, 0xa000 | TABLE);
    world.words[0x5000 / 8] = 0;

    world.load(0x5000, RootLoad::Flush);

    assert_eq!(world.members_to(NINE).len(), 1);
    assert_eq!(world.may_hold.members().len(), 1);
    assert!(!world.may_hold.is_table(Frame(4)) && world.may_hold.is_table(Frame(5)));
}

#[test]
fn the_first_root_follows_none() {
    let mut world = World::new(ControlFlags::NONE);
    world.store(PTE, 0x9000 | TABLE | Entry::G);
    world.may_hold = MayHold::default();

    world.load(0x5000, RootLoad::Flush);

    assert_eq!(world.may_hold.members(), []);
    assert!(world.may_hold.is_table(Frame(5)));
}

#[test]
fn what_two_roots_share_is_not_withdrawn_by_going_from_one_to_the_other() {
    let mut world = World::new(ControlFlags::NONE);
    world.store(PTE, 0x9000 | TABLE | Entry::G);
    world.words[0x5000 / 8] = 0x2000 | TABLE;

    world.load(0x5000, RootLoad::Flush);

    assert_eq!(world.may_hold.members(), []);
}

#[test]
fn with_identifiers_everything_of_the_old_root_stays_until_it_comes_back() {
    let mut world = World::new(ControlFlags::PCIDE);

    world.load(0x5002, RootLoad::Flush);
    assert_eq!(world.members_to(NINE).len(), 1, "tagged 0");
    assert_eq!(world.members_to(Frame(4)).len(), 1, "the way to the page table");
    world.load(0x1000, RootLoad::Keep);

    assert_eq!(world.may_hold.members(), [], "granted by the tables again");
    world.load(0x5002, RootLoad::Flush);
    world.words[word(PTE)] = 0;
    world.load(0x1000, RootLoad::Keep);
    assert_eq!(world.members_to(NINE).len(), 1, "changed meanwhile");
    world.load(0x1000, RootLoad::Flush);
    assert_eq!(world.may_hold.members(), []);
}

#[test]
fn an_upper_entry_withdraws_each_leaf_below_and_the_tables_themselves() {
    let mut world = World::new(ControlFlags::NONE);
    world.store(PTE + 8, 0xa000 | TABLE);
    world.store(PTE + 16, 0xb000 | TABLE);
    world.store(PTE + 24, 0xd000 | TABLE);

    world.store(PML4E, 0);

    for frame in [2, 3, 4] {
        let [member] = world.members_to(Frame(frame))[..] else { panic!("{:?}", world.may_hold) };
        assert!(matches!(member.kind, WithdrawnKind::Table(_)), "{member:?}");
    }
    let [run] = world.members_to(NINE)[..] else { panic!("{:?}", world.may_hold) };
    assert_eq!((run.pages, run.kind), (3, WithdrawnKind::Leaf(PageSize::Kib4)), "frames 9 to 11");
    assert_eq!(world.members_to(Frame(12)), [], "between two runs");
    assert_eq!(world.members_to(Frame(13)).len(), 1);
    assert!(!world.may_hold.is_table(Frame(4)));
}

#[test]
fn one_page_of_a_run_is_invalidated_and_the_others_stay() {
    let mut world = World::new(ControlFlags::NONE);
    world.store(PTE + 8, 0xa000 | TABLE);
    world.store(PTE + 16, 0xb000 | TABLE);
    world.store(PML4E, 0);

    world.may_hold.invalidate(Invalidation::page(&world.controls, PAGE.plus(4096)));

    assert_eq!(world.members_to(Frame(10)), []);
    for frame in [9, 11] {
        let [member] = world.members_to(Frame(frame))[..] else { panic!("{:?}", world.may_hold) };
        assert_eq!((member.frame, member.pages), (Frame(frame), 1));
    }
}

#[test]
fn one_large_page_of_a_run_is_invalidated_and_the_others_stay() {
    let mut world = World::new(ControlFlags::NONE);
    for number in 0..4 {
        let frame = 0x20_0000 * (1 + number);
        world.store(PDE + 8 * (1 + number), frame | TABLE | Entry::PS);
    }
    world.store(PML4E, 0);

    world.may_hold.invalidate(Invalidation::page(&world.controls, VirtAddr(0xa0_1000)));

    let parts = [0x200, 0x400, 0x600, 0x800].map(|frame| {
        let held = world.members_to(Frame(frame));
        held.iter().map(|part| part.pages).collect::<Vec<_>>()
    });
    assert_eq!(parts, [vec![1024], vec![1024], vec![], vec![512]]);
}

#[test]
fn invlpg_drops_every_way_to_a_table_wherever_it_leads() {
    let mut world = World::new(ControlFlags::NONE);
    world.store(PML4E, 0);

    world.may_hold.invalidate(Invalidation::page(&world.controls, VirtAddr(0xffff_8000_0000_0000)));

    assert_eq!(world.members_to(Frame(4)), []);
    assert_eq!(world.members_to(NINE).len(), 1, "a page of another address stays");
}

#[test]
fn a_right_lost_above_is_lost_below() {
    let mut world = World::new(ControlFlags::NONE);

    world.store(PDE, 0x4000 | TABLE & !Entry::US);

    assert!(world.members_to(NINE)[0].rights.has(Rights::USER));
    assert!(world.members_to(Frame(4))[0].rights.has(Rights::USER));
    assert!(world.may_hold.is_table(Frame(4)));
}

#[test]
fn a_split_large_page_may_still_be_used_whole() {
    let mut world = World::new(ControlFlags::NONE);
    world.store(PDE + 8, 0x20_0000 | TABLE | Entry::PS);

    world.store(PDE + 8, 0x5000 | TABLE);

    let [member] = world.members_to(Frame(0x2ff))[..] else { panic!("{:?}", world.may_hold) };
    assert_eq!((member.first, member.pages), (Page(0x600), 512));
    world.may_hold.invalidate(Invalidation::page(&world.controls, VirtAddr(0x7f_f000)));
    assert_eq!(world.may_hold.members(), []);
}

#[test]
fn through_a_self_map_a_table_is_a_page_too() {
    let mut world = World::with_self_map();
    let table_page = VirtAddr(0xffff_ff80_0000_2000);
    assert_eq!(
        lookup(&world.words, &world.controls, table_page).map(|reach| reach.page.frame()),
        Some(Frame(4))
    );

    world.store(PDE, 0);

    let members = world.members_to(Frame(4));
    let leaf = members.iter().find(|member| matches!(member.kind, WithdrawnKind::Leaf(_)));
    assert_eq!(leaf.map(|leaf| leaf.first), Some(table_page.page()));
    assert!(members.iter().any(|member| matches!(member.kind, WithdrawnKind::Table(_))));
}

#[test]
fn a_self_map_taken_away_withdraws_every_table_as_a_page() {
    let mut world = World::with_self_map();

    world.store(0x1000 + 8 * 511, 0);

    for frame in [1, 2, 3, 4] {
        let is_leaf = |member: &Withdrawn| matches!(member.kind, WithdrawnKind::Leaf(_));
        assert!(world.members_to(Frame(frame)).iter().any(is_leaf), "frame {frame}");
    }
}

#[test]
fn a_new_table_is_followed() {
    let mut world = World::new(ControlFlags::NONE);
    world.words[0x5000 / 8] = 0xb000 | TABLE;
    assert!(!world.may_hold.is_table(Frame(5)));

    world.store(PDE + 8, 0x5000 | TABLE);
    world.store(0x5000, 0);

    assert_eq!(world.members_to(Frame(11)).len(), 1);
}

#[test]
fn memory_may_hold_the_old_or_the_new_entry() {
    let mut after = World::new(ControlFlags::NONE);
    let mut before = World::new(ControlFlags::NONE);

    after.store(PDE, 0);
    let at = PhysAddr::truncated(PDE);
    before.may_hold.table_store(&before.words, &before.controls, at, 0x4000 | TABLE, 0);

    assert_eq!(before.may_hold.members(), after.may_hold.members());
    assert!(!before.members_to(NINE).is_empty());
}

#[test]
fn tables_that_lie_about_themselves_are_cut_off_and_say_so() {
    let mut world = World::new(ControlFlags::NONE);
    // 32 of them at each of four levels are a million ways.
    for slot in 0..32 {
        world.words[0x1000 / 8 + slot] = 0x1000 | TABLE;
    }

    let mut may_hold = MayHold::new(&world.words, &world.controls);
    may_hold.table_store(&world.words, &world.controls, PhysAddr::truncated(PML4E), 0x1003, 0);

    assert!(!may_hold.is_complete());
    assert!(may_hold.members().len() <= MEMBERS_MAX);
}
