//! What a format decodes entry by entry is what its walk by the book finds.

use super::{AArch64, Format, X86_64};
use crate::base::{Page, PhysAddr, Seed};
use crate::conformance::declared::Declared;
use crate::conformance::draw::Draw;
use crate::conformance::flat::Flat;
use crate::conformance::memory::Hosting;
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
