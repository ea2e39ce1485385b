//! AArch64: break-before-make, barriers, identifiers, locks, frames, stage 2.

use ringfence::conformance::Check;

use crate::{assert_found, assert_silent};

/// Tables at 0x1000 to 0x6fff: root, level 1, level 2, two of level 3 and one to spare. The page at 0
/// is mapped to 0x80000, the one after it to 0x81000, for ASID 1.
const MAPPED: &str = "trace 1 aarch64
init 0x1000 0x6000
word 0x1000 0x2003
word 0x2000 0x3003
word 0x3000 0x4003
word 0x4000 0x80f43
word 0x4008 0x81f43
set 0 ttbr0_el1 0x1000000001000
set 1 ttbr0_el1 0x1000000001000
";

const VALID_ELSEWHERE: &str = "store 0 0x4000 0x82f43\n";
const BREAK: &str = "store 0 0x4000 0\n";
const DSB_ST: &str = "barrier 0 dsb ishst\n";
const DSB: &str = "barrier 0 dsb ish\n";
const TLBI: &str = "invalidate 0 vae1is 0x1000000000000\n";

fn trace(parts: &[&str]) -> String {
    parts.concat()
}

#[test]
fn break_invalidate_make_holds() {
    assert_silent(&trace(&[MAPPED, BREAK, DSB_ST, TLBI, DSB, VALID_ELSEWHERE]));
}

#[test]
fn a_new_output_address_over_a_live_one_is_found_with_both_descriptors() {
    let found = assert_found(&trace(&[MAPPED, VALID_ELSEWHERE]), "made without break");

    assert_eq!(found.check(), Check::Entries);
    let told = found.to_string();
    for part in [
        "the output address changes",
        "entry      0x4000, level 3, for 0x0",
        "before   0x0000000000080f43  valid AP=01",
        "4 KiB page 0x82000",
        "Using break-before-make when updating translation table entries",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

#[test]
fn a_change_of_rights_needs_no_break() {
    assert_silent(&trace(&[MAPPED, "store 0 0x4000 0x80fc3\n", DSB_ST, TLBI, DSB]));
}

#[test]
fn each_missing_step_of_the_break_is_named() {
    for (steps, missing) in [
        (vec![], "no barrier since the store"),
        (vec![DSB_ST], "no invalidation since then covers it"),
        (vec![TLBI, DSB], "no invalidation since then covers it"),
        (vec![DSB_ST, TLBI], "not completed by a barrier"),
        (vec![DSB_ST, TLBI, DSB_ST], "not completed by a barrier"),
        (vec![DSB_ST, TLBI, "barrier 1 dsb ish\n"], "not completed by a barrier"),
        (vec![DSB_ST, TLBI, "barrier 0 dmb ish\n"], "not completed by a barrier"),
        (vec![DSB_ST, "invalidate 0 vae1is 0x1000000000001\n", DSB], "no invalidation"),
        (vec![DSB_ST, "invalidate 0 vae1is 0x2000000000000\n", DSB], "no invalidation"),
        (vec![DSB_ST, "invalidate 0 vae1 0x1000000000000\n", DSB], "no invalidation"),
        (vec![DSB_ST, "invalidate 0 vae2is 0\n", DSB], "no invalidation"),
    ] {
        let steps = steps.concat();

        let found = assert_found(
            &trace(&[MAPPED, BREAK, &steps, VALID_ELSEWHERE]),
            "made before the break is complete",
        );

        assert!(found.what().contains(missing), "{steps}\n{found}");
        assert_eq!(found.since(), Some((10, 0)), "{found}");
    }
}

#[test]
fn wider_invalidations_serve_as_well() {
    for tlbi in [
        "invalidate 0 vmalle1is\n",
        "invalidate 0 alle1is\n",
        "invalidate 0 aside1is 0x1000000000000\n",
        "invalidate 0 vaae1is 0\n",
        "invalidate 0 vale1is 0x1000000000000\n",
        "invalidate 0 vale1is 0x1700000000000\n",
        "invalidate 0 rvae1is 0x1400000000000\n",
        "invalidate 0 vae1 0x1000000000000\ninvalidate 1 vae1 0x1000000000000\nbarrier 1 dsb nsh\n",
    ] {
        assert_silent(&trace(&[MAPPED, BREAK, DSB_ST, tlbi, DSB, VALID_ELSEWHERE]));
    }
}

#[test]
fn another_table_needs_ways_to_the_old_one_forgotten_too() {
    let link = "store 0 0x3000 0x5003\n";
    let unlink = "store 0 0x3000 0\n";
    let second = "invalidate 0 vae1is 0x1000000000001\n";
    let leaves_only =
        "invalidate 0 vale1is 0x1000000000000\ninvalidate 0 vale1is 0x1000000000001\n";

    assert_silent(&trace(&[MAPPED, unlink, DSB_ST, TLBI, second, DSB, link]));
    assert_found(&trace(&[MAPPED, link]), "another table takes its place");
    assert_found(
        &trace(&[MAPPED, unlink, DSB_ST, leaves_only, DSB, link]),
        "another table takes its place",
    );
}

#[test]
fn a_block_split_in_place_is_found() {
    let block = "store 0 0x3008 0x200f41\n";
    let table = "store 0 0x3008 0x5003\n";

    assert_silent(&trace(&[MAPPED, block]));
    assert_found(&trace(&[MAPPED, block, table]), "a table takes the place of a block");
}

#[test]
fn reserved_encodings_are_found_where_they_are_stored_and_where_they_are_linked() {
    let found = assert_found(&trace(&[MAPPED, "store 0 0x4010 0x83f41\n"]), "at level 3");
    assert!(found.to_string().contains("reserved: bits 1:0 are 01 at level 3"), "{found}");
    assert_found(&trace(&[MAPPED, "store 0 0x1008 0xf41\n"]), "at level 0");
    let prepared = "store 0 0x5000 0x83f41\nbarrier 0 dmb ishst\n";
    assert_found(&trace(&[MAPPED, prepared, "store 0 0x3008 0x5003\n"]), "at level 3");
}

#[test]
fn a_table_is_linked_after_a_barrier_or_by_a_release() {
    let fill = "store 0 0x5000 0x83f43\n";
    let link = "store 0 0x3008 0x5003";

    assert_found(&trace(&[MAPPED, fill, link]), "linked before it is filled in order");
    assert_silent(&trace(&[MAPPED, fill, link, " release\n"]));
    assert_silent(&trace(&[MAPPED, fill, "barrier 0 dmb ishst\n", link]));
}

#[test]
fn a_table_whose_words_nobody_told_is_found() {
    let found = assert_found(&trace(&[MAPPED, "store 0 0x3008 0x9003\n"]), "nobody wrote");

    assert!(found.what().contains("512 of its words"), "{found}");
}

#[test]
fn a_table_is_freed_after_it_is_unlinked_and_forgotten() {
    let unlink = "store 0 0x3000 0\n";
    let all = "invalidate 0 vmalle1is\n";
    let free = "free 0 0x4000\n";

    assert_silent(&trace(&[MAPPED, unlink, DSB_ST, all, DSB, free]));
    assert_found(&trace(&[MAPPED, free]), "frees a reachable table");
    assert_found(&trace(&[MAPPED, unlink, free]), "freed table may still be walked");
    let twice = trace(&[MAPPED, unlink, DSB_ST, all, DSB, free, free]);
    assert_found(&twice, "frees what is not its own");
    let late = trace(&[MAPPED, unlink, DSB_ST, all, DSB, free, "store 0 0x4000 0\n"]);
    assert_found(&late, "store to a frame that was given back");
}

#[test]
fn a_page_is_handed_out_after_it_is_forgotten() {
    let reuse = "allocate 1 0x80000\n";

    assert_silent(&trace(&[MAPPED, BREAK, DSB_ST, TLBI, DSB, reuse]));
    let found =
        assert_found(&trace(&[MAPPED, BREAK, DSB_ST, reuse]), "unmapped page stays reachable");
    assert_eq!(found.check(), Check::Invalidation);
    assert_silent(&trace(&[MAPPED, BREAK, "store 0 0x4000 0x80f43\n", reuse]));
}

#[test]
fn what_an_operation_withdrew_binds_when_it_returns() {
    assert_silent(&trace(&[MAPPED, BREAK, DSB_ST, TLBI, DSB, "done 0\n"]));
    assert_silent(&trace(&[MAPPED, BREAK, "done 1\n"]));
    assert_found(&trace(&[MAPPED, BREAK, DSB_ST, "done 0\n"]), "unmapped page stays reachable");
}

#[test]
fn a_barrier_of_another_processor_counts_for_stores_that_it_knows_by_a_lock() {
    let tail = "barrier 1 dsb ish\ninvalidate 1 vae1is 0x1000000000000\nbarrier 1 dsb ish\n\
                store 1 0x4000 0x82f43\n";
    let handed = "lock 0 0x99\nstore 0 0x4000 0\nunlock 0 0x99\nlock 1 0x99\n";

    assert_silent(&trace(&[MAPPED, handed, tail]));
    assert_found(&trace(&[MAPPED, BREAK, tail]), "made before the break is complete");
}

#[test]
fn a_table_is_written_under_the_lock_that_is_named_for_its_root() {
    let guard = "guard 0x1000 0x99\n";

    assert_silent(&trace(&[MAPPED, guard, "lock 0 0x99\n", BREAK, "unlock 0 0x99\n"]));
    let found = assert_found(&trace(&[MAPPED, guard, BREAK]), "written without its lock");
    assert_eq!(found.check(), Check::Locks);
    assert_found(&trace(&[MAPPED, guard, "lock 1 0x99\n", BREAK]), "written without its lock");
    assert_found(&trace(&[MAPPED, "lock 1 0x99\nlock 0 0x99\n"]), "held twice");
    assert_found(&trace(&[MAPPED, "unlock 0 0x99\n"]), "given back by another");
}

#[test]
fn an_identifier_is_given_to_another_root_after_everything_under_it_is_forgotten() {
    let other = "word 0x6000 0x5003\n";
    let switch = "set 0 ttbr0_el1 0x1000000006000\n";
    let forget = "set 0 ttbr0_el1 0x2000000006000\nset 1 ttbr0_el1 0x2000000006000\n\
                  invalidate 0 aside1is 0x1000000000000\nbarrier 0 dsb ish\n";

    let found = assert_found(&trace(&[MAPPED, other, switch]), "one identifier for two roots");
    assert_eq!(found.check(), Check::Identifiers);
    assert_silent(&trace(&[MAPPED, other, forget, switch]));
    // Nothing is ever remembered of a root without entries: the reserved one of many kernels.
    assert_silent(&trace(&[MAPPED, switch]));
}

#[test]
fn what_is_withdrawn_under_one_identifier_is_not_forgotten_under_another() {
    let both = "set 1 ttbr0_el1 0x2000000001000\n";
    let second = "invalidate 0 vae1is 0x2000000000000\n";

    assert_found(&trace(&[MAPPED, both, BREAK, DSB_ST, TLBI, DSB, VALID_ELSEWHERE]), "made before");
    assert_silent(&trace(&[MAPPED, both, BREAK, DSB_ST, TLBI, second, DSB, VALID_ELSEWHERE]));
}

#[test]
fn a_word_that_changed_without_a_store_is_found_and_hardware_flags_are_not() {
    assert_found(&trace(&[MAPPED, "load 0 0x4000 0x82f43\n"]), "a word changed");
    assert_silent(&trace(&[MAPPED, "load 0 0x4000 0x80f43\n"]));
    let managed = "set 0 tcr_el1 0x185b5103510\n";
    let written = "store 0 0x4010 0x8000000083bc3\nload 0 0x4010 0x8000000083f43\n";
    assert_silent(&trace(&[MAPPED, managed, written]));
}

#[test]
fn three_levels_and_the_upper_half_are_walked_as_the_registers_say() {
    let start = "trace 1 aarch64\ninit 0x1000 0x4000\nset 0 tcr_el1 0x5b5993519\n";
    let upper = "set 0 ttbr1_el1 0x1000\nstore 0 0x1ff8 0x2003\nstore 0 0x2ff8 0x3003\n\
                 store 0 0x3ff8 0x40000000080703\n";

    let found = assert_found(
        &trace(&[start, upper, "store 0 0x3ff8 0x40000000081703\n"]),
        "the output address changes",
    );

    assert_eq!(found.virt().map(|virt| virt.0), Some(0xffff_ffff_ffff_f000), "{found}");
}

/// Stage 2 below VMID 3.
const GUEST: &str = "trace 1 aarch64
init 0x1000 0x4000
word 0x1000 0x2003
word 0x2000 0x3003
word 0x3000 0x2007fd
set 0 vttbr_el2 0x3000000001000
";

#[test]
fn stage_2_needs_combined_translations_forgotten_after_its_own() {
    let (unmap, map) = ("store 0 0x3000 0\n", "store 0 0x3000 0x4007fd\n");
    let (ipa, all) = ("invalidate 0 ipas2e1is 0\n", "invalidate 0 vmalle1is\n");

    assert_silent(&trace(&[GUEST, unmap, DSB, ipa, DSB, all, DSB, map]));
    assert_silent(&trace(&[GUEST, unmap, DSB, "invalidate 0 vmalls12e1is\n", DSB, map]));
    let found = assert_found(&trace(&[GUEST, unmap, DSB, ipa, DSB, map]), "made before");
    assert!(found.what().contains("combined with stage 1"), "{found}");
    assert_found(&trace(&[GUEST, unmap, DSB, all, DSB, ipa, DSB, map]), "made before");
    assert_found(&trace(&[GUEST, unmap, DSB, ipa, all, DSB, map]), "made before");
}

#[test]
fn an_invalidation_by_intermediate_address_is_for_the_machine_that_is_loaded() {
    let other = "init 0x8000 0x1000\nset 0 vttbr_el2 0x4000000008000\n";
    let back = "set 0 vttbr_el2 0x3000000001000\n";
    let (ipa, all) = ("invalidate 0 ipas2e1is 0\n", "invalidate 0 vmalle1is\n");

    assert_found(
        &trace(&[
            GUEST,
            "store 0 0x3000 0\n",
            DSB,
            other,
            ipa,
            DSB,
            all,
            DSB,
            back,
            "store 0 0x3000 0x4007fd\n",
        ]),
        "made before",
    );
}

#[test]
fn an_invalidation_for_another_granule_forgets_nothing() {
    let broken = [MAPPED, BREAK, DSB_ST].concat();
    let judged = |operation: &str| {
        trace(&[&broken, &format!("invalidate 0 {operation}\n"), DSB, "done 0\n"])
    };

    // TTL 0b0111 is level 3 of 4 KiB; 0b1011 and 0b1111 are of 16 and 64 KiB.
    assert_silent(&judged("vae1is 0x1700000000000"));
    assert_found(&judged("vae1is 0x1b00000000000"), "unmapped page stays reachable");
    assert_found(&judged("vae1is 0x1f00000000000"), "unmapped page stays reachable");
    // TG 0b01 is 4 KiB; 0b00 is reserved, 0b10 and 0b11 are 16 and 64 KiB.
    assert_silent(&judged("rvae1is 0x1400000000000"));
    for operand in ["0x1000000000000", "0x1800000000000", "0x1c00000000000"] {
        assert_found(&judged(&format!("rvae1is {operand}")), "unmapped page stays reachable");
    }
    assert_silent(&judged("aside1is 0x1b00000000000"));
}

#[test]
fn an_identifier_counts_from_the_first_entry_of_a_root_on() {
    let one = MAPPED.replace("set 1 ttbr0_el1 0x1000000001000\n", "");
    let (same, other) = ("set 0 ttbr0_el1 0x1000000006000\n", "set 0 ttbr0_el1 0x2000000006000\n");
    let made = "store 0 0x6000 0x2003 release\n";

    assert_found(&trace(&[&one, same, made]), "one identifier for two roots");
    assert_silent(&trace(&[&one, other, made, DSB_ST, "done 0\n"]));
}
