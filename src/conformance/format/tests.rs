//! What a format decodes entry by entry is what its walk by the book finds.

use core::cell::RefCell;

use super::{AArch64, Format, X86_64};
use crate::base::{Page, PhysAddr, Seed};
use crate::conformance::declared::Declared;
use crate::conformance::draw::Draw;
use crate::conformance::flat::Flat;
use crate::conformance::memory::{Hosting, Memory};
use crate::conformance::rights::Rights;
use crate::conformance::tables::Listing;
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
