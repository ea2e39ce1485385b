//! Records of casemate, written here: its grammar, its discipline, and where ours differs.

use ringfence::conformance::Check;
use ringfence::conformance::trace::{Checker, Language};

use crate::judged;

const START: &str = r#"(mem-init (id 0) (tid 0) (address 0x1000) (size 0x3000) (src "a.c:1"))
(hint (id 1) (tid 0) (kind set_root_lock) (location 1000) (value 0x9000) (src "a.c:2"))
(hint (id 2) (tid 0) (kind set_owner_root) (location 2000) (value 1000) (src "a.c:3"))
(mem-write (id 3) (tid 0) (mem-order plain) (address 1000) (value 2003) (src "a.c:4"))
(sysreg-write (id 4) (tid 0) (sysreg vtcr_el2) (value 10) (src "a.c:5"))
(sysreg-write (id 5) (tid 0) (sysreg vttbr_el2) (value 0x1000) (src "a.c:6"))
(lock (id 6) (tid 0) (address 0x9000) (src "a.c:7"))
(mem-write (id 7) (tid 0) (mem-order plain) (address 1000) (value 0) (src "a.c:8"))
(barrier (id 8) (tid 0) dsb (kind ish) (src "a.c:9"))
"#;
const INVALIDATE: &str = r#"(tlbi (id 9) (tid 0) vmalls12e1is (src "a.c:10"))
(barrier (id 10) (tid 0) dsb (kind ish) (src "a.c:11"))
"#;
const MAKE: &str = r#"(mem-write (id 11) (tid 0) (mem-order plain) (address 1000) (value 3003) (src "a.c:12"))
(unlock (id 12) (tid 0) (address 0x9000) (src "a.c:13"))
"#;

#[test]
fn break_before_make_of_stage_2_holds_with_its_invalidation_and_not_without() {
    let good = judged(Language::Casemate, &[START, INVALIDATE, MAKE].concat());
    let bad = judged(Language::Casemate, &[START, MAKE].concat());

    assert!(good.is_empty(), "{good:?}");
    assert_eq!(bad.first().map(|found| (found.check(), found.line())), Some((Check::Entries, 10)));
}

#[test]
fn fields_may_be_given_by_position() {
    let lines = "(mem-init 0 0 1000 1000)\n(sysreg-write 1 0 ttbr0_el2 1000)\n\
                 (mem-write 2 0 plain 1000 2003)\n";

    let found = judged(Language::Casemate, lines);

    let kinds: Vec<&str> = found.iter().map(|found| found.kind()).collect();
    assert_eq!(kinds, ["a table has no lock", "a table has words that nobody wrote"]);
}

#[test]
fn its_own_verdict_is_kept() {
    let mut checker = Checker::new(Language::Casemate);

    for line in ["(mem-init (id 0) (tid 0) (address 0x1000) (size 0x1000))", "! BBM valid->valid"] {
        assert_eq!(checker.line(line).map(<[_]>::len), Ok(0));
    }

    assert_eq!(checker.tally().verdict.as_deref(), Some("BBM valid->valid"));
}

#[test]
fn a_root_and_an_identifier_are_a_pair() {
    for (first, second, kind) in [
        ("1000", "2000", "one identifier for two roots"),
        ("1000", "1000000001000", "two identifiers for one root"),
    ] {
        let lines = format!(
            "(mem-init 0 0 1000 3000)\n(sysreg-write 1 0 vttbr_el2 {first})\n\
             (sysreg-write 2 0 vttbr_el2 {second})\n"
        );

        let found = judged(Language::Casemate, &lines);

        assert_eq!(found.first().map(|found| found.kind()), Some(kind));
    }
}

#[test]
fn a_word_may_belong_to_one_thread() {
    let start = "(mem-init 0 0 1000 4000)\n(mem-write 1 0 plain 1000 2003)\n\
                 (mem-write 2 0 plain 2000 3003)\n(mem-write 3 0 plain 3000 4003)\n\
                 (sysreg-write 4 0 ttbr0_el2 1000)\n(hint 5 0 set_pte_thread_owner 4000 1)\n";
    let own = "(mem-write 6 1 plain 4000 403)\n";
    let other = "(mem-write 6 0 plain 4000 403)\n";

    assert_eq!(judged(Language::Casemate, &[start, own].concat()), []);
    let found = judged(Language::Casemate, &[start, other].concat());
    assert_eq!(found.first().map(|found| found.check()), Some(Check::Locks));
}

#[test]
fn a_leaf_whose_address_changes_in_place_is_found_with_the_access_flag_set() {
    let lines = "(mem-init 0 0 1000 2000)\n(hint 1 0 set_root_lock 1000 9000)\n\
                 (mem-write 2 0 plain 1000 2003)\n(mem-write 3 0 plain 2000 40000401)\n\
                 (sysreg-write 4 0 ttbr0_el2 1000)\n(lock 5 0 9000)\n\
                 (mem-write 6 0 plain 2000 80000401)\n";

    let found = judged(Language::Casemate, lines);

    assert_eq!(
        found.first().map(|found| found.kind()),
        Some("made without break: the output address changes")
    );
}
