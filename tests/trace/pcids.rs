//! x86-64: what is remembered under a PCID that is not the current one.
//!
//! Intel SDM volume 3A, "Process-Context Identifiers (PCIDs)": only what belongs to the current PCID is used, and what is
//! global; "Operations that Invalidate TLBs and Paging-Structure Caches": what a move to CR3 with bit 63 leaves.

use crate::{assert_found, assert_silent};

/// Processors 0 and 1 have used the page at 0 and the global one after it under PCID 0, and 1 has another root under PCID 1
/// now and has forgotten nothing.
const LEFT: &str = "trace 1 x86-64
init 0x1000 0x5000
init 0x9000 0x1000
word 0x1000 0x2007
word 0x2000 0x3007
word 0x3000 0x4007
word 0x4000 0x80067
word 0x4008 0x81167
set 0 cr4 0x20080
set 1 cr4 0x20080
set 0 cr3 0x1000
set 1 cr3 0x1000
set 1 cr3 0x8000000000009001
";

const UNMAP: &str = "store 0 0x4000 0\ninvalidate 0 invlpg 0\n";
const DONE: &str = "done 0\n";
const REUSE: &str = "allocate 0 0x80000\n";
/// Processor 1 comes back, with what it remembers or without it.
const KEEPING: &str = "set 1 cr3 0x8000000000001000\n";
const FORGETTING: &str = "set 1 cr3 0x1000\n";

const STAYS: &str = "unmapped page stays reachable";

fn trace(parts: &[&str]) -> String {
    LEFT.to_owned() + &parts.concat()
}

#[test]
fn who_has_left_a_pcid_may_forget_as_late_as_when_it_comes_back() {
    assert_silent(&trace(&[UNMAP, DONE, FORGETTING, DONE]));
    assert_silent(&trace(&[UNMAP, DONE, REUSE, FORGETTING, REUSE]));
    let own = "invalidate 1 invpcid 1 0 0\n";
    assert_silent(&trace(&[UNMAP, DONE, REUSE, own, KEEPING, DONE, REUSE]));
    let page = "invalidate 1 invpcid 0 0 0\n";
    assert_silent(&trace(&[UNMAP, DONE, REUSE, page, KEEPING, DONE, REUSE]));
    // Mapped again as it was.
    assert_silent(&trace(&[UNMAP, DONE, "store 0 0x4000 0x80067\n", KEEPING, DONE]));
}

#[test]
fn who_comes_back_with_what_was_withdrawn_is_found_then() {
    let found = assert_found(&trace(&[UNMAP, DONE, KEEPING]), STAYS);
    assert_eq!(found.processor(), 1, "{found}");
    assert!(found.what().starts_with("comes back to the identifier while"), "{found}");
    assert_eq!(found.since(), Some((14, 0)), "{found}");
    // A trace without `done`: the frame has another owner.
    assert_found(&trace(&[UNMAP, REUSE, KEEPING]), STAYS);
    assert_found(&trace(&["store 0 0x4000 0x80065\n", UNMAP, REUSE, KEEPING]), STAYS);
    // Only another page, or another PCID, was forgotten.
    let other = "invalidate 1 invpcid 0 0 0x3000\ninvalidate 1 invpcid 1 1 0\n";
    assert_found(&trace(&[UNMAP, DONE, other, KEEPING]), STAYS);
    // Told once.
    let again = trace(&[UNMAP, DONE, KEEPING, "set 1 cr3 0x8000000000009001\n", KEEPING]);
    assert_eq!(crate::findings(&again).len(), 1);
}

#[test]
fn who_is_back_when_the_operation_returns_or_the_frame_is_reused_is_found_then() {
    assert_found(&trace(&[UNMAP, KEEPING, DONE]), STAYS);
    assert_found(&trace(&[UNMAP, KEEPING, REUSE]), STAYS);
    assert_found(&trace(&[KEEPING, UNMAP, DONE]), STAYS);
}

#[test]
fn a_global_page_is_used_under_any_pcid() {
    let unmap = "store 0 0x4008 0\ninvalidate 0 invlpg 0x1000\n";

    assert_found(&trace(&[unmap, DONE]), STAYS);
    assert_found(&trace(&[unmap, "allocate 0 0x81000\n"]), STAYS);
    assert_silent(&trace(&[unmap, "invalidate 1 invlpg 0x1000\n", DONE]));
    // To who has switched them off it is one of the PCID that it was used under.
    let off = "set 1 cr4 0x20000\nset 1 cr3 0x8000000000001000\nset 1 cr3 0x8000000000009001\n";
    assert_silent(&trace(&[off, unmap, DONE, FORGETTING]));
    assert_found(&trace(&[off, unmap, DONE, KEEPING]), STAYS);
    // The same of who leaves after it was withdrawn.
    let leave = "set 1 cr3 0x8000000000009001\n";
    assert_found(&trace(&[KEEPING, unmap, leave, DONE]), STAYS);
    assert_silent(&trace(&[off, KEEPING, unmap, leave, DONE]));
    assert_found(&trace(&[off, KEEPING, unmap, leave, DONE, KEEPING]), STAYS);
}

#[test]
fn a_table_may_be_freed_while_who_walked_it_is_away_and_is_found_when_that_comes_back() {
    // The global page below it is forgotten by both.
    let unlink = "store 0 0x3000 0\ninvalidate 0 invlpg 0\ninvalidate 0 invlpg 0x1000\n\
                  invalidate 1 invlpg 0x1000\n";
    let free = "free 0 0x4000\n";
    let reuse = "allocate 0 0x4000\nstore 0 0x4000 0x80067\n";

    assert_silent(&trace(&[unlink, DONE, free, reuse, FORGETTING]));
    let leaf = "invalidate 1 invpcid 0 0 0\n";
    assert_silent(&trace(&[unlink, DONE, free, leaf, reuse, KEEPING]));
    let found = assert_found(&trace(&[unlink, free, reuse, KEEPING]), "freed table may still be");
    assert!(found.what().starts_with("comes back to the identifier of 0x4000"), "{found}");
    assert_found(&trace(&[unlink, DONE, KEEPING]), STAYS);
}
