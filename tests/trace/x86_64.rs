//! x86-64: shootdowns, identifiers, ways to tables.

use crate::{assert_found, assert_silent, findings};

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
    let toggle = "set 0 cr4 0\nset 0 cr4 0x80\nset 1 cr4 0\n";

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
fn a_move_to_cr3_that_the_processor_refuses_is_found_and_forgets_nothing() {
    let keeps = "set 0 cr3 0x8000000000001000\n";
    let pcids = "set 0 cr4 0x20000\n";

    assert_silent(&trace(&[MAPPED, pcids, keeps]));
    assert_silent(&trace(&[MAPPED, "set 0 cr3 0x6000000000001000\n"]));
    let found = assert_found(&trace(&[MAPPED, keeps]), "reserved bits of a root register");
    assert!(found.what().contains("bit 63 set while CR4.PCIDE is 0"), "{found}");
    let found = assert_found(&trace(&[MAPPED, "set 0 cr3 0x10000000001000\n"]), "reserved bits");
    assert!(found.what().contains("bits 0x10000000000000 are reserved"), "{found}");
    let unmap = "store 0 0x4000 0\ninvalidate 1 invlpg 0\n";
    let told: Vec<String> = findings(&trace(&[MAPPED, unmap, keeps, REUSE]))
        .iter()
        .map(|found| found.kind().to_owned())
        .collect();
    assert_eq!(told, ["reserved bits of a root register", "unmapped page stays reachable"]);
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

#[test]
fn with_global_pages_off_a_move_to_cr3_forgets_those_too() {
    let off = "set 0 cr4 0x20\nset 1 cr4 0x20\n";
    let (unmap, reload) = ("store 0 0x4008 0\n", "set 0 cr3 0x1000\nset 1 cr3 0x1000\n");

    assert_silent(&trace(&[MAPPED, off, unmap, reload, "done 0\n"]));
    let found = trace(&[MAPPED, "set 0 cr4 0x20\n", unmap, reload, "done 0\n"]);
    assert_found(&found, "unmapped page stays reachable");
}

#[test]
fn every_page_of_a_large_page_counts_when_a_table_takes_its_place() {
    let large = "trace 1 x86-64\ninit 0x1000 0x4000\nword 0x1000 0x2007\nword 0x2000 0x3007\n\
                 word 0x3000 0x200087\nset 0 cr3 0x1000\n";
    let table = |entry_of: &dyn Fn(u64) -> u64| -> String {
        (0..512)
            .map(|slot| format!("store 0 {:#x} {:#x}\n", 0x4000 + 8 * slot, entry_of(slot)))
            .collect()
    };
    let same = |slot: u64| 0x20_0007 + (slot << 12);
    let split = "store 0 0x3000 0x4007\n";
    let judged =
        |entry_of: &dyn Fn(u64) -> u64| trace(&[large, &table(entry_of), split, "done 0\n"]);

    assert_silent(&judged(&same));
    let last_is = |entry: u64| move |slot: u64| if slot == 511 { entry } else { same(slot) };
    assert_found(&judged(&last_is(0)), "unmapped page stays reachable");
    assert_found(&judged(&last_is(0x90_0007)), "remapped page leads to its old frame");
    assert_found(&judged(&last_is(0x3f_f005)), "withdrawn right stays usable");
    // What goes later is withdrawn by itself.
    let later = [large, &table(&same), split, "done 0\n", "store 0 0x4ff8 0\n", "done 0\n"];
    assert_found(&trace(&later), "unmapped page stays reachable");
}

#[test]
fn a_move_to_cr3_forgets_the_root_before_unless_told_otherwise() {
    let torn_down = "store 0 0x1000 0\nstore 0 0x2000 0\nfree 0 0x2000\nfree 0 0x3000\ndone 0\n";
    let one = MAPPED.replace("set 1 cr3 0x1000\n", "").replace("81167", "81067");
    let pcids = "set 0 cr4 0x200a0\n";

    assert_silent(&trace(&[&one, "set 0 cr3 0x5000\n", torn_down]));
    assert_silent(&trace(&[&one, pcids, "set 0 cr3 0x5000\n", torn_down]));
    // What is kept is used again under its own PCID alone.
    let kept =
        trace(&[&one, pcids, "set 0 cr3 0x8000000000005001\n", "store 0 0x4000 0\ndone 0\n"]);
    assert_silent(&trace(&[&kept, "set 0 cr3 0x1000\n"]));
    let back = trace(&[&kept, "set 0 cr3 0x8000000000001000\n"]);
    assert_found(&back, "unmapped page stays reachable");
}

#[test]
fn an_identifier_counts_from_the_first_entry_of_a_root_on() {
    let one = MAPPED.replace("set 1 cr3 0x1000\n", "");
    let pcids = "set 0 cr4 0x200a0\nset 0 cr3 0x1001\n";
    let made = "store 0 0x5000 0x2007\n";

    let (keeps, forgets) = ("set 0 cr3 0x8000000000005001\n", "set 0 cr3 0x5001\n");
    let found = assert_found(&trace(&[&one, pcids, keeps, made]), "one identifier for two roots");
    assert!(found.to_string().contains("identifier 1"), "{found}");
    assert_silent(&trace(&[&one, pcids, forgets, made, "done 0\n"]));
    assert_silent(&trace(&[&one, pcids, "set 0 cr3 0x8000000000005002\n", made, "done 0\n"]));
}

#[test]
fn invpcid_of_an_address_forgets_the_ways_to_its_own_tables_alone() {
    let one = MAPPED.replace("set 0 cr3 0x1000\nset 1 cr3 0x1000\n", "");
    let unlinked = "set 0 cr4 0x200a0\nset 0 cr3 0x1001\nstore 0 0x3000 0\n";
    let invalidated = |address: &str| format!("invalidate 0 invpcid 0 1 {address}\n");
    let free = "free 0 0x4000\n";

    assert_silent(&trace(&[&one, unlinked, &invalidated("0x7000"), free]));
    assert_found(
        &trace(&[&one, unlinked, &invalidated("0x7f0000000000"), free]),
        "may still be walked",
    );
}
