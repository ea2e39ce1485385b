//! Tables that were taken out of use, or put under other limits, while a processor may walk them as before.
//!
//! Arm ARM, "TLB maintenance instructions": VALE1IS forgets entries of the last level, VAE1IS those of all levels.

use ringfence::conformance::Check;

use crate::{assert_found, assert_silent};

/// Tables at 0x1000 to 0x6fff: root, level 1, level 2, two of level 3 and one to spare. The page at 0 is mapped to
/// 0x80000 for the user, the one after it to 0x81000, for ASID 1.
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

const DSB: &str = "barrier 0 dsb ish\n";
const UNLINK: &str = "store 0 0x3000 0\n";
const DONE: &str = "done 0\n";
const LEAVES: &str = "invalidate 0 vale1is 0x1000000000000\ninvalidate 0 vale1is 0x1000000000001\n";
const WALKS: &str = "invalidate 0 vae1is 0x1000000000000\ninvalidate 0 vae1is 0x1000000000001\n";
/// APTable, PXNTable and UXNTable of the entry that names the table of level 3.
const LIMITS: [(&str, &str); 4] = [
    ("store 0 0x3000 0x4000000000004003\n", "r-x user"),
    ("store 0 0x3000 0x2000000000004003\n", "rwx kernel"),
    ("store 0 0x3000 0x1000000000004003\n", "rw- user"),
    ("store 0 0x3000 0x5800000000004003\n", "r-- user"),
];

fn trace(parts: &[&str]) -> String {
    parts.concat()
}

#[test]
fn a_table_that_is_unlinked_with_its_leaves_needs_more_than_leaves_forgotten() {
    assert_silent(&trace(&[MAPPED, UNLINK, DSB, WALKS, DSB, DONE, "allocate 0 0x80000\n"]));

    let found = assert_found(
        &trace(&[MAPPED, UNLINK, DSB, LEAVES, DSB, DONE]),
        "unmapped page stays reachable through a table",
    );

    assert_eq!((found.check(), found.since()), (Check::Invalidation, Some((10, 0))), "{found}");
    let part = "use 0x0 as 0x80000, rwx user, of a 4 KiB page, by walking the table at 0x4000 as it was \
                named; it now leads nowhere; no invalidation since then covers it";
    assert!(found.what().contains(part), "{found}");
}

#[test]
fn what_was_told_once_of_a_table_is_not_told_again() {
    let lines = trace(&[MAPPED, UNLINK, DSB, LEAVES, DSB, DONE, DONE, "allocate 0 0x80000\n"]);

    assert_eq!(crate::findings(&lines).len(), 1, "{lines}");
}

#[test]
fn a_frame_that_is_used_again_must_not_be_reached_through_an_old_table() {
    let unmapped = trace(&[MAPPED, UNLINK, DSB, LEAVES, DSB]);

    for frame in ["allocate 0 0x80000\n", "allocate 1 0x7f000 0x2000\n", "allocate 0 0x81000\n"] {
        let found = assert_found(&trace(&[&unmapped, frame]), "stays reachable through a table");
        assert!(found.what().starts_with("hands out its frame while"), "{found}");
    }
    assert_silent(&trace(&[&unmapped, "allocate 0 0x82000\n"]));
}

#[test]
fn limits_of_a_table_are_withdrawn_by_an_invalidation_of_all_levels() {
    for (limits, now) in LIMITS {
        assert_silent(&trace(&[MAPPED, limits, DSB, WALKS, DSB, DONE]));

        let found = assert_found(
            &trace(&[MAPPED, limits, DSB, LEAVES, DSB, DONE]),
            "withdrawn right stays usable through a table",
        );

        let now = format!("it now leads to 0x80000, {now}");
        assert!(found.what().contains(&now), "{now}\n{found}");
    }
}

/// With PXN in the leaves: what EL0 can write the kernel can't execute, so that without it there was a right to lose.
#[test]
fn limits_that_are_lifted_withdraw_nothing() {
    let mapped = MAPPED.replace(" 0x80f43", " 0x20000000080f43");
    let mapped = mapped.replace(" 0x81f43", " 0x20000000081f43");
    for (limits, _) in LIMITS {
        let limits = limits.trim_end().replace("store 0", "word");
        let limited = mapped.replace("word 0x3000 0x4003", &limits);
        let lifted = "store 0 0x3000 0x4003\n";

        assert_silent(&trace(&[&limited, lifted, DSB, DONE]));
    }
}

/// The table is empty before it is unlinked, and is kept: nothing is to be found in it.
#[test]
fn an_empty_table_may_wait_for_its_invalidation() {
    let clear = "store 0 0x4000 0\nstore 0 0x4008 0\n";
    let emptied = trace(&[MAPPED, clear, DSB, LEAVES, DSB, UNLINK, DSB, DONE]);

    assert_silent(&emptied);
    assert_found(&trace(&[&emptied, "free 0 0x4000\n"]), "freed table may still be walked");
}

#[test]
fn what_the_next_owner_of_a_table_writes_is_no_other_finding() {
    let clear = "store 0 0x4000 0\nstore 0 0x4008 0\n";
    let emptied = trace(&[MAPPED, clear, DSB, LEAVES, DSB, UNLINK, DSB]);
    let used = "free 0 0x4000\nallocate 0 0x4000\ninit 0x4000 0x1000\nstore 0 0x4000 0x83f43\n";
    let again = trace(&[&emptied, used, DSB, DONE, "store 0 0x4000 0\n", DSB, DONE]);

    let kinds: Vec<String> =
        crate::findings(&again).iter().map(|found| found.kind().to_owned()).collect();

    let walked = "freed table may still be walked";
    let made = "entry made in a table that may still be walked";
    assert_eq!(kinds, [walked, walked, made]);
}

/// The leaf goes after its table: until then a walk through the old entry finds it, and may remember it.
#[test]
fn a_leaf_that_goes_after_its_table_is_forgotten_after_that() {
    let clear = "store 0 0x4000 0\nstore 0 0x4008 0\n";

    assert_silent(&trace(&[MAPPED, UNLINK, clear, DSB, LEAVES, DSB, DONE]));
    let found = assert_found(
        &trace(&[MAPPED, UNLINK, DSB, LEAVES, DSB, clear, DSB, DONE]),
        "unmapped page stays reachable",
    );

    assert_eq!(found.since(), Some((15, 0)), "{found}");
}

/// A table under other limits in one space is no table out of use for another one.
#[test]
fn a_shared_table_under_other_limits_may_be_shared_once_more() {
    let (limits, _) = LIMITS[0];
    let other = "word 0x5000 0x6003\nword 0x6000 0x3003\nset 1 ttbr0_el1 0x2000000005000\n";

    assert_silent(&trace(&[MAPPED, limits, DSB, WALKS, other]));
}

/// AP and PXN: of a page that the kernel executes one is made that the user executes. Each has another right.
#[test]
fn a_page_of_the_user_does_not_grant_what_one_of_the_kernel_did() {
    let kernel = MAPPED.replace("word 0x4000 0x80f43", "word 0x4000 0x40000000080f83");
    let user = "store 0 0x4000 0x20000000080fc3\n";

    assert_silent(&trace(&[&kernel, user, DSB, WALKS, DSB, DONE]));
    assert_found(&trace(&[&kernel, user, DSB, DONE]), "withdrawn right stays usable");
    // The kernel may go on executing what it shares.
    let shared = "store 0 0x4000 0x80fc3\n";
    assert_silent(&trace(&[&kernel, shared, DSB, DONE]));
}
