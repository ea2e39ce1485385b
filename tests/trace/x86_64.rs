//! x86-64: shootdowns, identifiers, ways to tables.

use crate::{assert_found, assert_silent};

/// The page at 0 is mapped to 0x80000, globally the one after it, on processors 0 and 1.
const MAPPED: &str = "trace 1 x86-64
init 0x1000 0x5000
word 0x1000 0x2007
word 0x2000 0x3007
word 0x3000 0x4007
word 0x4000 0x80067
word 0x4008 0x81167
set 0 cr3 0x1000
set 1 cr3 0x1000
";

const UNMAP: &str = "store 0 0x4000 0\n";
const REUSE: &str = "allocate 0 0x80000\n";

fn trace(parts: &[&str]) -> String {
    parts.concat()
}

#[test]
fn every_processor_that_may_hold_a_page_forgets_it_before_it_is_reused() {
    let (own, other) = ("invalidate 0 invlpg 0\n", "invalidate 1 invlpg 0\n");

    assert_silent(&trace(&[MAPPED, UNMAP, own, other, REUSE]));
    assert_silent(&trace(&[MAPPED, UNMAP, own, "set 1 cr3 0x1000\n", REUSE]));
    let found = assert_found(&trace(&[MAPPED, UNMAP, own, REUSE]), "unmapped page stays reachable");
    assert!(found.rule().contains("Recommended Invalidation"), "{found}");
    assert_found(&trace(&[MAPPED, own, other, UNMAP, REUSE]), "unmapped page stays reachable");
}

#[test]
fn a_global_page_outlives_moves_to_cr3() {
    let unmap = "store 0 0x4008 0\n";
    let reload = "set 0 cr3 0x1000\nset 1 cr3 0x1000\n";
    let reuse = "allocate 0 0x81000\n";
    let toggle = "set 0 cr4 0x80\nset 0 cr4 0\nset 1 cr4 0x80\n";

    assert_found(&trace(&[MAPPED, unmap, reload, reuse]), "unmapped page stays reachable");
    assert_silent(&trace(&[MAPPED, unmap, toggle, reuse]));
    assert_silent(&trace(&[
        MAPPED,
        unmap,
        "invalidate 0 invpcid 2 0 0\ninvalidate 1 invpcid 2 0 0\n",
        reuse,
    ]));
}

#[test]
fn with_pcids_a_move_that_keeps_translations_forgets_nothing() {
    let pcids = "set 0 cr4 0x20000\nset 1 cr4 0x20000\n";
    let unmap = "store 0 0x4000 0\ninvalidate 1 invlpg 0\n";

    assert_found(
        &trace(&[MAPPED, pcids, unmap, "set 0 cr3 0x8000000000001000\n", REUSE]),
        "unmapped page stays reachable",
    );
    assert_silent(&trace(&[MAPPED, pcids, unmap, "set 0 cr3 0x1000\n", REUSE]));
    assert_silent(&trace(&[MAPPED, pcids, unmap, "invalidate 0 invpcid 1 0 0\n", REUSE]));
}

#[test]
fn a_table_is_freed_when_no_processor_walks_it_any_more() {
    let unlink = "store 0 0x3000 0\n";
    let flush = "set 0 cr3 0x1000\nset 1 cr3 0x1000\n";

    assert_silent(&trace(&[MAPPED, unlink, flush, "free 0 0x4000\n"]));
    // INVLPG forgets all ways to tables of its identifier.
    assert_silent(&trace(&[
        MAPPED,
        unlink,
        "invalidate 0 invlpg 0x7000\ninvalidate 1 invlpg 0x7000\nfree 0 0x4000\n",
    ]));
    assert_found(&trace(&[MAPPED, unlink, "free 0 0x4000\n"]), "may still be walked");
}

#[test]
fn a_page_may_be_remapped_in_place_and_binds_when_the_operation_returns() {
    let remap = "store 0 0x4000 0x82067\n";
    let forget = "invalidate 0 invlpg 0\ninvalidate 1 invlpg 0\n";

    assert_silent(&trace(&[MAPPED, remap, forget, "done 0\n"]));
    assert_found(&trace(&[MAPPED, remap, "done 0\n"]), "remapped page leads to its old frame");
    assert_silent(&trace(&[MAPPED, "store 0 0x4010 0x83061\nstore 0 0x4010 0x83067\ndone 0\n"]));
    let withdrawn = trace(&[MAPPED, "store 0 0x4000 0x80065\n", "done 0\n"]);
    assert_found(&withdrawn, "withdrawn right stays usable");
}

#[test]
fn a_root_is_freed_when_no_processor_has_it() {
    let others = "init 0x9000 0x1000\nset 0 cr3 0x9000\nset 1 cr3 0x9000\n";

    assert_found(&trace(&[MAPPED, "free 0 0x1000\n"]), "frees a root in use");
    assert_silent(&trace(&[MAPPED, others, "free 0 0x1000\nfree 0 0x2000 0x3000\n"]));
}

#[test]
fn a_table_that_names_itself_is_followed_to_an_end() {
    assert_silent(&trace(&[MAPPED, "store 0 0x1ff0 0x1003\nstore 0 0x1fe8 0x1003\n"]));
}
