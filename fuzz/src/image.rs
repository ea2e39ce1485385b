//! Any bytes are an image or refused with a reason, never a panic; and what is an image can be
//! walked, reported and flipped.
//!
//! The bytes are the file: page tables alone, an ELF core, or a raw dump whose root is its first
//! frame, each also as zstd.

use std::io::Cursor;

use ringfence::audit::file::{Options, read};
use ringfence::audit::findings::find;
use ringfence::audit::flip::{Flip, judge};
use ringfence::audit::listing;
use ringfence::audit::space::Space;
use ringfence::machine::paging::x86_64::Controls;

/// Pages that are listed; tables that name themselves have any number.
const PAGES_MAX: u64 = 1000;

/// One case.
///
/// # Panics
///
/// When something is reported that can't be.
pub fn run(data: &[u8]) {
    for cr3 in [None, Some(0)] {
        let _ = one(data, cr3);
    }
}

/// How the case ends: which part of the behaviour it reaches.
#[must_use]
pub fn outcome(data: &[u8]) -> String {
    one(data, None).or_else(|_| one(data, Some(0))).unwrap_or_else(|refused| refused)
}

fn one(data: &[u8], cr3: Option<u64>) -> Result<String, String> {
    let options = Options { cr3, ..Options::default() };
    let loaded = read(Cursor::new(data), &options).map_err(|error| {
        assert!(!error.remedy.is_empty());
        error.to_string()
    })?;
    let form = format!("{:?}, compressed: {}", loaded.format, loaded.is_compressed);
    let space = Space::incomplete(loaded.image, Controls::default()).expect("the root is there");
    let findings = find(&space);
    let mut pages = 0;
    let _ = listing::pages(&space, |_| {
        pages += 1;
        pages < PAGES_MAX
    });
    assert!(pages <= findings.mappings());
    for frame in space.image.frames().iter().take(4) {
        for bit in [0, 1, 2, 7, 12, 13, 63] {
            let at = frame.start().plus(8 * u64::from(bit));
            let verdict = judge(&space, Flip { at, bit }).expect("it is in the image");
            assert_eq!(verdict.class.is_gain(), verdict.gain.is_some());
        }
    }
    Ok(form)
}
