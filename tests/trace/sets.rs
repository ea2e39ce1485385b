//! The Contiguous bit of AArch64: 16 entries that a processor may remember as one.
//!
//! Arm ARM, "The Contiguous bit" and "Misprogramming of the Contiguous bit".

use ringfence::conformance::Check;

use crate::{assert_found, assert_silent, findings};

/// Tables at 0x1000 to 0x5fff, with an empty one of level 3, and one to spare.
const EMPTY: &str = "trace 1 aarch64
init 0x1000 0x5000
word 0x1000 0x2003
word 0x2000 0x3003
word 0x3000 0x4003
set 0 ttbr0_el1 0x1000000001000
";

const CONTIGUOUS: u64 = 1 << 52;
const PAGE: u64 = 0xf43;

fn store(at: u64, value: u64) -> String {
    format!("store 0 {at:#x} {value:#x}\n")
}

/// Entries of one set of the table at `table`, from entry 16 on, that lead to `page` and after it.
fn set(table: u64, page: u64) -> Vec<String> {
    (0..16).map(|n| store(table + 8 * (16 + n), (page + 0x1000 * n) | PAGE | CONTIGUOUS)).collect()
}

fn trace(stores: &[String]) -> String {
    [EMPTY, &stores.concat(), "barrier 0 dsb ish\ndone 0\n"].concat()
}

#[test]
fn a_set_is_whole_when_the_operation_returns() {
    let whole = set(0x4000, 0x8_0000);
    assert_silent(&trace(&whole));

    for left_out in [0, 7, 15] {
        let mut stores = whole.clone();
        stores.remove(left_out);

        let found = assert_found(&trace(&stores), "a set of 16 entries is not whole");

        assert_eq!(found.check(), Check::Entries, "{found}");
        assert!(found.rule().contains("Misprogramming of the Contiguous bit"), "{found}");
    }
}

#[test]
fn entries_of_a_set_are_alike_and_lead_to_consecutive_pages() {
    for (number, entry) in [
        (3, 0x8_4000 | PAGE | CONTIGUOUS),
        (3, 0x8_3000 | PAGE),
        (3, 0x8_3000 | PAGE | CONTIGUOUS | 1 << 7),
        (3, 0x8_3000 | PAGE | CONTIGUOUS | 1 << 2),
    ] {
        let mut stores = set(0x4000, 0x8_0000);
        stores[number] = store(0x4000 + 8 * (16 + number as u64), entry);

        let found = assert_found(&trace(&stores), "a set of 16 entries is not whole");
        assert!(found.what().contains("is not like it"), "{found}");
    }
    let found = assert_found(&trace(&set(0x4000, 0x8_1000)), "a set of 16 entries is not whole");
    assert!(found.what().contains("not aligned to its size"), "{found}");
}

#[test]
fn one_entry_that_leaves_its_set_is_found_and_all_of_them_hold() {
    let made = trace(&set(0x4000, 0x8_0000));
    let flush = |pages: core::ops::Range<u64>| {
        let page = |page| format!("invalidate 0 vae1is {:#x}\n", 1 << 48 | (16 + page));
        ["barrier 0 dsb ish\n", &pages.map(page).collect::<String>(), "barrier 0 dsb ish\n"]
            .concat()
    };
    let clear = |n: u64| store(0x4000 + 8 * (16 + n), 0);

    assert_found(&[&made, &clear(4), &flush(4..5), "done 0\n"].concat(), "is not whole");
    let all: String = (0..16).map(clear).collect();
    assert_silent(&[&made, &all, &flush(0..16), "done 0\n"].concat());
}

#[test]
fn a_table_with_a_set_that_is_not_whole_is_found_when_it_is_used() {
    let mut stores = set(0x5000, 0x8_0000);
    stores.pop();
    let link = "barrier 0 dsb ish\nstore 0 0x3008 0x5003\nbarrier 0 dsb ish\ndone 0\n";

    let found = assert_found(&[EMPTY, &stores.concat(), link].concat(), "is not whole");

    assert_eq!(found.virt().map(|virt| virt.0), Some(0x21_0000), "{found}");
    let unused = [EMPTY, &stores.concat(), "done 0\n"].concat();
    assert!(findings(&unused).is_empty());
}

/// It is the business of whoever writes the set, and of nobody while he does.
#[test]
fn a_set_is_not_judged_while_it_is_written() {
    let whole = set(0x4000, 0x8_0000);
    let (some, rest) = whole.split_at(5);

    assert_silent(&[EMPTY, &some.concat(), "done 1\n", &rest.concat(), "done 0\n"].concat());
}
