//! The other ways in, with trapped stores: bytes of a fuzzer, one case.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::{self, Call, Case, Memory, Observed, Rights};
use ringfence::machine::paging::PageSize;

use crate::bug::Bug;
use crate::raw::Raw;
use crate::tables::Tables;

#[test]
fn any_bytes_are_a_case_of_code_whose_stores_are_trapped() {
    let bytes: Vec<u8> = (0..200).map(|at: u32| (at * 37 % 251) as u8).collect();
    let suite = conformance::mapper(|memory: Memory| Tables::<Raw>::reached(memory, None));

    suite.trapping(Observed::Stores).fuzz(&bytes);
}

#[test]
fn one_case_is_replayed_with_trapped_stores_and_its_finding_told_store_by_store() {
    let (page, size) = (VirtAddr(0x4000), PageSize::Kib4);
    let (to, rights) = (PhysAddr::truncated(0x1_0006_0000), Rights::WRITE.and(Rights::USER));
    let calls = vec![Call::Map { page, to, size, rights }, Call::Unmap { page, size }];
    let case = Case { calls, fault: None };
    let replay = |bug| {
        let suite = conformance::mapper(move |memory| Tables::<Raw>::reached(memory, bug));
        suite.trapping(Observed::Stores).replay(&case);
    };

    replay(None);
    let bug = Some(Bug::ForgetsToInvalidateUnmap);
    let payload = catch_unwind(AssertUnwindSafe(|| replay(bug))).expect_err("a finding");

    let told = payload.downcast_ref::<String>().expect("a text");
    for part in ["finding    invalidation: unmapped page stays reachable", "stores to"] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}
