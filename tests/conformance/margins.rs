//! Margins worked out by hand for a mapper so small that it can be done.
//!
//! Its four tables lie in the first four frames: root at 0x1_0000_0000, then levels 3, 2 and 1, each named
//! by entry 0 of the one before (flags 7). All else is 0. What a single flipped bit gives:
//!
//! * An entry that is 0: only bit 0 matters. At level 1 the page then leads to frame 0; above, frame 0 is
//!   walked as a table. Both breach: 512 at level 1, 511 in each of the others.
//! * An entry that names a table: each of the 40 address bits names another frame. No table in use: a
//!   breach. Bits 12 and 13 may name one of the four, whose entries are then walked one level off. Level 2:
//!   bit 12 names level 2 itself, bit 13 level 3, whose entry 0 is then a leaf: 40 breach. Level 3: bit 12
//!   names level 1, in which nothing is found while nothing is mapped: 39. Root: bit 12 names the root, and
//!   three steps on level 2 as level 1: a breach; bit 13 names level 1: 39. Bit 7 makes a large page with
//!   reserved address bits, or is reserved: a fault. The others take rights away or mean nothing.
//! * The leaf of 0x4000 (0x1_0006_0000, user, write): 40 address bits, and bit 63, which lets it be
//!   executed. With it in level 1, the two walks above find it at levels 2 and 3, as a table that is data:
//!   40 instead of 39 at both.
//!
//! Nothing mapped: 512 + 551 + 550 + 550 = 2163. Mapped: 511 + 41 + 551 + 551 + 551 = 2205; with the right to
//! write withdrawn, and demanded by nobody any more, bit 1 gives it back: 2206. With level 1 unlinked: level
//! 2 512; level 3 511 + 40 (level 1 is no table in use now); root 511 + 39 (bit 12 finds nothing in level 2,
//! bit 13 is as for level 3): 1613.

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::margin::{Comparison, Margins};
use ringfence::conformance::{
    self, Call, Capabilities, Capability, Case, Mapper, Memory, Refusal, Rights,
};
use ringfence::machine::paging::PageSize;

const PAGE: VirtAddr = VirtAddr(0x4000);
const OTHER: VirtAddr = VirtAddr(0x5000);
const SIZE: PageSize = PageSize::Kib4;

/// What the mapper does in which order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Manner {
    /// Invalidates before anything is given away, and changes rights by compare-and-exchange.
    Careful,
    /// Frees a table, and invalidates then.
    FreesFirst,
    /// Does not invalidate after unmapping.
    Forgets,
    /// Changes rights by a load and a store.
    Overwrites,
}

struct Tiny {
    memory: Memory,
    frames: [PhysAddr; 4],
    manner: Manner,
}

impl Tiny {
    fn new(memory: Memory, manner: Manner) -> Self {
        let frames = [(); 4].map(|()| memory.allocate_zeroed().expect("a frame"));
        for pair in frames.windows(2) {
            memory.store(pair[0], pair[1].raw() | 7);
        }
        Self { memory, frames, manner }
    }

    fn leaf(&self, page: VirtAddr) -> PhysAddr {
        self.frames[3].plus(8 * (page.0 >> 12))
    }
}

fn bits(rights: Rights) -> u64 {
    let write = if rights.has(Rights::WRITE) { 2 } else { 0 };
    1 | 4 | write | 1 << 63
}

impl Mapper for Tiny {
    fn capabilities(&self) -> Capabilities {
        let more = [Capability::Protect, Capability::CleanUp, Capability::HardwareMarks];
        more.into_iter().fold(Capabilities::PLAIN.with(Capability::Invalidates), Capabilities::with)
    }

    fn root(&self) -> PhysAddr {
        self.frames[0]
    }

    fn map(
        &mut self,
        page: VirtAddr,
        to: PhysAddr,
        _: PageSize,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.memory.store(self.leaf(page), to.raw() | bits(rights));
        Ok(())
    }

    fn unmap(&mut self, page: VirtAddr, _: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        self.memory.store(self.leaf(page), 0);
        if self.manner != Manner::Forgets {
            self.memory.invalidate_page(page);
        }
        Ok(None)
    }

    fn protect(&mut self, page: VirtAddr, _: PageSize, rights: Rights) -> Result<(), Refusal> {
        let at = self.leaf(page);
        let changed = |entry: u64| entry & !(1 << 63 | 7) | bits(rights);
        let mut entry = self.memory.load(at);
        if self.manner == Manner::Overwrites {
            self.memory.store(at, changed(entry));
        } else {
            while let Err(now) = self.memory.compare_exchange(at, entry, changed(entry)) {
                entry = now;
            }
        }
        self.memory.invalidate_page(page);
        Ok(())
    }

    fn clean_up(&mut self) -> Result<(), Refusal> {
        self.memory.store(self.frames[2], 0);
        if self.manner == Manner::FreesFirst {
            self.memory.free(self.frames[3]);
            self.memory.invalidate_page(VirtAddr(0));
        } else {
            self.memory.invalidate_page(VirtAddr(0));
            self.memory.free(self.frames[3]);
        }
        Ok(())
    }
}

fn data() -> PhysAddr {
    PhysAddr::truncated(0x1_0006_0000)
}

fn margins(manner: Manner, calls: &[Call]) -> Margins {
    let case = Case { calls: calls.to_vec(), fault: None };
    conformance::mapper(move |memory| Tiny::new(memory, manner)).margins_of(&case)
}

/// Each instant as it is counted: when, margin, and the four counts.
pub(crate) fn counted(margins: &Margins) -> Vec<String> {
    let text = margins.to_string();
    let instants = text.lines().filter(|line| line.contains(" margin "));
    instants
        .map(|line| {
            let words: Vec<&str> = line
                .split(' ')
                .filter(|word| !word.contains(char::is_alphabetic) || *word == "return")
                .collect();
            words.join(" ")
        })
        .collect()
}

const MAP: Call =
    Call::Map { page: PAGE, to: PhysAddr::truncated(0x1_0006_0000), size: SIZE, rights: WRITE };
const WRITE: Rights = Rights::WRITE.and(Rights::USER);
const PROTECT: Call = Call::Protect { page: PAGE, size: SIZE, rights: Rights::USER };
const UNMAP: Call = Call::Unmap { page: PAGE, size: SIZE };

#[test]
fn margins_are_those_worked_out_by_hand() {
    let told = margins(Manner::Careful, &[MAP, PROTECT, UNMAP, Call::CleanUp]);

    let expected = [
        // instant, margin, lost invalidations, abandoned stores, concurrent walks, flipped bits
        "0 1 0 0 0 2163", // map: with nothing mapped
        "1 1 0 0 0 2205",
        "return 1 0 0 0 2205",
        "0 1 0 0 0 2205", // protect
        "1 1 1 1 0 2205", // the processor may still write until it is told
        "return 1 0 0 0 2206",
        "0 1 0 0 0 2206", // unmap
        "1 1 1 1 0 2163",
        "return 1 0 0 0 2163",
        "0 1 0 0 0 2163", // clean_up
        "1 1 1 0 0 1613", // an unlinked table is walked no worse than an empty one, until it is freed
        "return 1 0 0 0 1613",
    ];
    assert_eq!(counted(&told), expected, "{told}");
}

#[test]
fn a_table_freed_before_it_is_invalidated_leaves_no_margin_in_between() {
    let told = margins(Manner::FreesFirst, &[MAP, UNMAP, Call::CleanUp]);

    assert_eq!(counted(&told)[6..], ["0 1 0 0 0 2163", "1 0 0 0 0 1613", "return 1 0 0 0 1613"]);
    let text = told.to_string();
    let line = "  breach: processor 1 may still walk 0x100003000, no table any more, for 0x0";
    assert!(text.contains(line), "{text}");
    assert_eq!(told.least(), 0);
}

#[test]
fn a_frame_that_gets_another_owner_before_it_is_invalidated_is_still_written_by_the_old_one() {
    let again = Call::Map { page: OTHER, to: data(), size: SIZE, rights: WRITE };
    let told = margins(Manner::Forgets, &[MAP, UNMAP, again]);

    let counted = counted(&told);
    assert_eq!(counted[3..6], ["0 1 0 0 0 2205", "1 1 0 1 0 2163", "return 0 0 0 0 2163"]);
    assert!(counted[6..].iter().all(|line| line.contains(" 0 0 ")), "{told}");
    let line =
        "  breach: processor 1 may still write 0x100060000 through 0x4000, now owned by 0x5000";
    assert!(told.to_string().contains(line), "{told}");
}

#[test]
fn a_store_that_overwrites_what_another_processor_marks_is_one_concurrent_walk_from_a_breach() {
    let told = margins(Manner::Overwrites, &[MAP, PROTECT]);

    assert_eq!(counted(&told)[3..], ["0 1 0 0 1 2205", "1 1 1 1 0 2205", "return 1 0 0 0 2206"]);
}

#[test]
fn a_print_is_read_back_and_a_smaller_margin_is_told() {
    let careful = margins(Manner::Careful, &[MAP, UNMAP, Call::CleanUp]);
    let frees_first = margins(Manner::FreesFirst, &[MAP, UNMAP, Call::CleanUp]);

    assert_eq!(Margins::parse(&careful.to_string()), Ok(careful.clone()));
    assert!(Comparison::of(&careful, &careful).changes.is_empty());
    let worse = Comparison::of(&careful, &frees_first);
    let better = Comparison::of(&frees_first, &careful);

    assert!(worse.is_smaller(), "{worse}");
    assert!(!better.is_smaller(), "{better}");
    let told = worse.to_string();
    for part in [
        "smaller    case given call 3 clean_up",
        "least margin 1 -> 0",
        "instants in breach 0 -> 1",
        "between store 1 of `clean_up` and its return the margin is 0: processor 1 may still walk 0x100003000",
        "compared   3 calls: 1 smaller, 1 changed",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

#[test]
fn a_breach_that_later_calls_carry_on_is_told_of_the_call_that_began_it() {
    let again = Call::Map { page: OTHER, to: data(), size: SIZE, rights: WRITE };
    let beside = Call::Protect { page: OTHER, size: SIZE, rights: Rights::USER };
    let calls = [MAP, UNMAP, again, beside];
    let careful = margins(Manner::Careful, &calls);
    let forgets = margins(Manner::Forgets, &calls);

    let told = Comparison::of(&careful, &forgets).to_string();

    let breach = "processor 1 may still write 0x100060000 through 0x4000, now owned by 0x5000";
    assert_eq!(told.matches(breach).count(), 1, "{told}");
    let (before, after) = told.split_once(breach).expect("it is told");
    assert!(before.contains("case given call 3 map") && !before.contains("call 4"), "{told}");
    // That it goes on is a figure of the later call all the same.
    let later = after.split_once("smaller    case given call 4 protect").expect("the later call").1;
    assert!(later.contains("instants in breach 0 -> "), "{told}");
}

#[test]
fn drawn_cases_have_the_same_margins_each_time() {
    let run = || {
        let suite = conformance::mapper(|memory| crate::tables::Tables::new(memory, None));
        suite.cases(2).margins()
    };

    let first = run();

    assert_eq!(first, run());
    assert_eq!(Margins::parse(&first.to_string()), Ok(first.clone()));
    assert_eq!(first.least(), 1, "{first}");
}

#[test]
fn a_text_that_is_no_print_is_told_with_line_and_column() {
    for (text, line, column) in [
        ("", 1, 1),
        ("ringfence margins 1\n", 1, 1),
        ("ringfence margins 2\n", 2, 1),
        ("ringfence margins 2\nformat x\nafter 0", 3, 1),
        ("ringfence margins 2\nformat x\ncase 1\ncall one", 4, 6),
        ("ringfence margins 2\nformat x\ncase 1\ncall 1 map\nafter 0 margin 3", 5, 16),
        ("ringfence margins 2\nformat x\ncase 1\ncall 1 map\nafter 3-1 margin 3", 5, 10),
        ("ringfence margins 2\nformat x\ncase 1\ncall 1 map\n  breach: x", 5, 1),
    ] {
        let error = Margins::parse(text).expect_err(text);

        assert_eq!((error.line, error.column), (line, column), "{text:?}: {error}");
    }
}

/// Panics where the other one unmaps.
struct Panics(Tiny);

impl Mapper for Panics {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn root(&self) -> PhysAddr {
        self.0.root()
    }

    fn map(&mut self, a: VirtAddr, b: PhysAddr, c: PageSize, d: Rights) -> Result<(), Refusal> {
        self.0.map(a, b, c, d)
    }

    fn unmap(&mut self, page: VirtAddr, size: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        // After its store, and before its invalidation.
        self.0.manner = Manner::Forgets;
        let _ = self.0.unmap(page, size);
        panic!("a new bug\nin two lines")
    }
}

#[test]
fn a_call_that_panics_is_in_the_print_and_is_worse() {
    let calls = [MAP, UNMAP, MAP];
    let before = margins(Manner::Careful, &calls);
    let case = Case { calls: calls.to_vec(), fault: None };
    let suite = conformance::mapper(|memory| Panics(Tiny::new(memory, Manner::Careful)));
    let after = suite.margins_of(&case);

    let text = after.to_string();
    // What is withdrawn and may still be used when the call was stopped is no breach of the books before it.
    let line =
        "stopped margin 1 lost-invalidation 0 abandoned-store 0 concurrent-walk 0 flipped-bit 2163";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("  stopped: panics in unmap at tests/conformance/margins.rs:"), "{text}");
    assert!(text.contains(": a new bug in two lines\n"), "{text}");
    assert!(text.ends_with("end 1 cases 2 calls\n"), "{text}");
    assert_eq!(Margins::parse(&text), Ok(after.clone()));
    let worse = Comparison::of(&before, &after);
    assert!(worse.is_smaller() && !Comparison::of(&after, &before).is_smaller(), "{worse}");
    let told = worse.to_string();
    assert!(told.contains("smaller    case given call 2 unmap"), "{told}");
    assert!(told.contains("returned -> stopped\n             it panics in unmap at"), "{told}");
    assert!(told.contains("alone      only before: case given call 3 map"), "{told}");
}

#[test]
fn a_print_that_is_cut_anywhere_is_no_print() {
    let whole = margins(Manner::Careful, &[MAP, UNMAP]).to_string();

    for (cut, _) in whole.char_indices().filter(|(cut, _)| *cut + 1 < whole.len()) {
        let error = Margins::parse(&whole[..cut]).expect_err(&whole[..cut]);
        let lines = whole[..cut].lines().count();
        assert!(error.line >= lines && error.line <= lines.max(1) + 1, "{cut}: {error}");
    }
    assert!(Margins::parse(&format!("{whole}\n")).is_ok(), "a line that `println!` ends");
    assert!(Margins::parse(&format!("{whole}case 2\n")).is_err());
    let less = whole.replace("end 1 cases 2", "end 1 cases 3");
    assert_eq!(Margins::parse(&less).expect_err("a call is missing").line, less.lines().count());
}
