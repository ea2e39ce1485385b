//! Code that holds raw pointers: what it stores is found by comparison.
//!
//! These tests have no `unsafe` either, so the pointer is used for its address and the stores are
//! made beside the accessor's record, as somebody with a pointer makes them.

use ringfence::base::PhysAddr;
use ringfence::conformance::{self, Check, Memory};

use crate::bug::Bug;
use crate::tables::Tables;

#[test]
fn a_pointer_is_aligned_like_a_table_and_has_the_offset_of_physical_memory() {
    let report = conformance::mapper(|memory: Memory| {
        let start = memory.pointer().expose_provenance() as u64;
        assert_eq!(start % 4096, 0);
        assert_eq!(memory.offset().wrapping_add(memory.base().raw()), start);
        let third = PhysAddr::truncated(memory.base().raw() + 3 * 4096);
        assert_eq!(memory.pointer_to(third).expose_provenance() as u64, start + 3 * 4096);
        Tables::new(memory, None)
    })
    .cases(100)
    .run();

    assert!(report.findings().is_empty(), "{report}");
    let is_listed = |line: &String| line.starts_with("the order of stores");
    assert!(report.skipped().iter().any(is_listed), "{report}");
}

/// A page of 2 MiB leads where there is no memory, which a pointer can't follow; nobody follows it.
#[test]
fn a_large_page_of_code_with_pointers_gets_its_memory_type_too() {
    let report = conformance::mapper(|memory: Memory| {
        let _ = memory.pointer();
        Tables::new(memory, Some(Bug::TakesPatForAddress))
    })
    .cases(400)
    .findings_max(1)
    .run();

    assert!(report.has(Check::Translation), "{report}");
}

#[test]
fn a_static_hook_finds_the_memory_of_its_thread() {
    let report = conformance::mapper(|_| Tables::new(conformance::current(), None)).cases(20).run();

    assert!(report.findings().is_empty(), "{report}");
}

#[test]
#[should_panic(expected = "outside of a run")]
fn a_static_hook_outside_of_a_run_is_told_so() {
    let _ = conformance::current();
}
