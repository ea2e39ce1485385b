//! What a format decodes entry by entry is what its walk by the book finds.

use core::cell::RefCell;

use super::{AArch64, Format, X86_64, shift};
use crate::base::{Page, PhysAddr, Seed};
use crate::conformance::declared::Declared;
use crate::conformance::draw::Draw;
use crate::conformance::flat::Flat;
use crate::conformance::memory::{Hosting, Memory};
use crate::conformance::rights::Rights;
use crate::conformance::tables::{Listing, TableUse};
use crate::conformance::walker::{generate, prepared, root};

fn agrees(format: &'static dyn Format, cases: u64) {
    let mut translated = 0;
    for number in 0..cases {
        let stream = Seed(number).stream("format", 0);
        let tables = generate(
            &mut Draw::Stream(Box::new(stream)),
            format,
            &(0..u64::MAX),
            &Declared::default(),
        );
        let memory = prepared(format, &tables.words, Hosting::default());
        let entry_at = |at: PhysAddr| memory.peek(at);
        let listing = Listing::of(format, root(), &[], &|frame| memory.words(frame));
        if listing.is_cut {
            continue;
        }
        let flat = Flat::of(&listing.leaves);
        let leaves = listing.leaves.iter().map(|leaf| leaf.first);
        for virt in tables.attempts().map(|attempt| attempt.virt).chain(leaves) {
            let book = format.translate(&entry_at, root(), virt);
            let page = Page(virt.0 / 4096);
            let listed = flat.get(page);
            assert_eq!(
                book.map(|book| (book.address.frame(), book.rights)),
                listed,
                "{virt} in {tables:x?}"
            );
            translated += u64::from(book.is_some());
        }
    }
    assert!(translated > cases, "{translated} translations in {cases} cases");
}

#[test]
fn decoding_agrees_with_the_walk_by_the_book_over_any_tables() {
    agrees(X86_64::FOUR_LEVELS, 2000);
    agrees(X86_64::FIVE_LEVELS, 1000);
    agrees(X86_64::NARROW, 1000);
}

#[test]
fn decoding_of_aarch64_agrees_with_the_walk_by_the_book_over_any_tables() {
    agrees(AArch64::LOWER, 800);
    for format in [
        AArch64::UPPER,
        AArch64::THREE_LEVELS,
        AArch64::NARROW,
        AArch64::HARDWARE_FLAGS,
        AArch64::EL2,
        AArch64::STAGE2,
    ] {
        agrees(format, 300);
    }
}

thread_local! {
    /// Memory that the walks of printed tests read.
    static READ: RefCell<Option<Memory>> = const { RefCell::new(None) };
}

/// A walk as a printed test has it: there, these are functions and constants of the test.
macro_rules! printed {
    ($name:ident, $text:literal, $levels:literal, $physical_bits:literal) => {
        #[allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "printed for others")]
        #[allow(clippy::indexing_slicing, reason = "printed for others")]
        mod $name {
            use super::READ;
            use crate::base::PhysAddr;

            const LEVELS: u64 = $levels;
            const PHYSICAL_BITS: u64 = $physical_bits;

            fn word(at: u64) -> u64 {
                READ.with_borrow(|memory| {
                    memory.as_ref().map_or(0, |memory| memory.peek(PhysAddr::truncated(at)))
                })
            }

            include!($text);

            pub(super) fn go(root: u64, virt: u64) -> Option<(u64, [bool; 3])> {
                walk(root, virt)
            }
        }
    };
}

printed!(four_levels, "x86_64/walk.in", 4, 52);
printed!(five_levels, "x86_64/walk.in", 5, 52);
printed!(narrow, "x86_64/walk.in", 4, 40);

/// How a printed walk is called.
type Printed = fn(u64, u64) -> Option<(u64, [bool; 3])>;

fn printed_agrees(format: &'static dyn Format, walk: Printed, cases: u64) {
    let mut translated = 0;
    for number in 0..cases {
        let stream = Seed(number).stream("format", 0);
        let mut draw = Draw::Stream(Box::new(stream));
        let tables = generate(&mut draw, format, &(0..u64::MAX), &Declared::default());
        let memory = prepared(format, &tables.words, Hosting::default());
        READ.set(Some(memory.clone()));
        for virt in tables.attempts().map(|attempt| attempt.virt) {
            let book = format.translate(&|at| memory.peek(at), root(), virt);
            let rights = |rights: Rights| {
                [Rights::WRITE, Rights::USER, Rights::EXECUTE].map(|right| rights.has(right))
            };
            let expected = book.map(|book| (book.address.raw(), rights(book.rights)));
            assert_eq!(walk(root().raw(), virt.0), expected, "{virt} in {tables:x?}");
            translated += u64::from(book.is_some());
        }
    }
    assert!(translated > cases, "{translated} translations in {cases} cases");
}

#[test]
fn the_walk_of_a_printed_test_is_the_walk_by_the_book_over_any_tables() {
    printed_agrees(X86_64::FOUR_LEVELS, four_levels::go, 1500);
    printed_agrees(X86_64::FIVE_LEVELS, five_levels::go, 1000);
    printed_agrees(X86_64::NARROW, narrow::go, 1000);
}

/// One store after the other over all kinds of entries, as the judge follows them and as they are read anew.
fn follows(format: &'static dyn Format, cases: u64) {
    let mut followed = 0;
    for number in 0..cases {
        let mut draw = Draw::Stream(Box::new(Seed(number).stream("follow", 0)));
        let tables = generate(&mut draw, format, &(0..u64::MAX), &Declared::default());
        let memory = prepared(format, &tables.words, Hosting::default());
        let list = || Listing::of(format, root(), &[], &|frame| memory.words(frame));
        let mut listing = list();
        let mut flat = Flat::of(&listing.leaves);
        for _ in 0..64 {
            // A store elsewhere is told as one that strays.
            let is_in_memory = |table: &&TableUse| memory.words(table.frame).is_some();
            let tables: Vec<_> = listing.tables.iter().filter(is_in_memory).copied().collect();
            let Some(table) = draw.pick(&tables).filter(|_| !listing.is_cut) else { break };
            let (index, level) = (draw.below(4), table.level.min(3));
            let at = table.frame.start().plus(8 * index);
            let bit = 1 << draw.below(64);
            let rights = draw.pick(&[Rights::READ, Rights::WRITE]).unwrap_or_default();
            // Beside each other where the entries are: their spans are one.
            let target = PhysAddr::truncated(0x20_0000_0000 + (index << shift(level)));
            let new = match draw.below(4) {
                0 => 0,
                1 => memory.peek(at) ^ bit,
                _ => format.leaf(level, target, rights),
            };
            let change = listing.change(format, at, [memory.peek(at), new]);
            memory.poke(at, new);
            let anew = list();
            match &change {
                Some(change) => {
                    listing.take_in(change);
                    flat.take_in(change);
                    followed += u64::from(!change.before.is_empty() || !change.after.is_empty());
                }
                None => flat = Flat::of(&anew.leaves),
            }
            if change.is_some() {
                assert_eq!(listing.leaves, anew.leaves, "{number}: {at:?} becomes {new:#x}");
                assert_eq!(listing.tables, anew.tables, "{number}: {at:?} becomes {new:#x}");
            }
            listing = anew;
            assert_eq!(flat, Flat::of(&listing.leaves), "{number}: {at:?} becomes {new:#x}");
        }
    }
    assert!(followed > 4 * cases, "{followed} changes in {cases} cases");
}

#[test]
fn a_store_that_is_taken_in_comes_to_what_reading_everything_anew_does() {
    follows(X86_64::FOUR_LEVELS, 200);
    follows(X86_64::FIVE_LEVELS, 100);
    follows(AArch64::LOWER, 100);
    follows(AArch64::THREE_LEVELS, 100);
}
