//! What a page says beside where it leads and what it grants stays as it is.

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::{
    self, Call, Capabilities, Capability, Case, Disturbance, Mapper, Refusal, Rights,
};
use ringfence::machine::paging::PageSize;

use crate::bug::Bug;
use crate::tables::Tables;

const LARGE: PageSize = PageSize::Mib2;
const SMALL: PageSize = PageSize::Kib4;
const PAGE: VirtAddr = VirtAddr(0x20_0000);
const TO: PhysAddr = PhysAddr::truncated(0x20_0000_0000);

/// A page of this size, to which something happens, then other rights for its first 4 KiB.
fn case(size: PageSize, how: Disturbance) -> Case {
    let map = Call::Map { page: PAGE, to: TO, size, rights: Rights::WRITE };
    let disturb = Call::Disturb { which: 0, how };
    let rights = Rights::WRITE.and(Rights::EXECUTE);
    let protect = Call::ProtectRange { first: PAGE, bytes: 4096, rights };
    Case { calls: vec![map, disturb, protect], fault: None }
}

fn told(run: impl FnOnce()) -> Option<String> {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).err()?;
    payload.downcast_ref::<String>().cloned()
}

#[test]
fn what_is_lost_beside_addresses_and_rights_is_told() {
    let (pat, pcd, soft) = (1 << 12, 1 << 4, 1 << 9);
    for (bug, size, how, kind) in [
        (
            Bug::SplitDropsMemoryType,
            LARGE,
            Disturbance::Decorate(pat),
            "isolation: a page outside gets another memory type",
        ),
        (
            Bug::SplitKeepsPs,
            LARGE,
            Disturbance::Mark,
            "isolation: a page outside gets another memory type",
        ),
        (
            Bug::SplitDropsSoftwareBits,
            LARGE,
            Disturbance::Decorate(soft),
            "isolation: a page outside gets other bits of software",
        ),
        (Bug::SplitSetsGlobal, LARGE, Disturbance::Mark, "isolation: a page outside gets global"),
        (Bug::SplitDropsDirtyFlag, LARGE, Disturbance::Mark, "marks: dirty flag is thrown away"),
        (
            Bug::ProtectThrowsDirtyFlagAway,
            SMALL,
            Disturbance::Mark,
            "marks: dirty flag is thrown away",
        ),
        (
            Bug::ProtectDropsMemoryType,
            SMALL,
            Disturbance::Decorate(pcd),
            "request: protect_range: a page gets another memory type",
        ),
        (
            Bug::ProtectDropsSoftwareBits,
            SMALL,
            Disturbance::Decorate(soft),
            "request: protect_range: a page gets other bits of software",
        ),
    ] {
        let case = case(size, how);

        conformance::replay(&case, |memory| Tables::new(memory, None));
        let told = told(|| conformance::replay(&case, |memory| Tables::new(memory, Some(bug))));

        let told = told.unwrap_or_else(|| panic!("{bug:?} is silent"));
        assert!(told.contains(&format!("finding    {kind}\n")), "{bug:?}\n{told}");
    }
}

/// Sets all flags at once when it changes rights, and says so; no processor uses its tables meanwhile.
struct Plain(Tables);

impl Mapper for Plain {
    fn capabilities(&self) -> Capabilities {
        let all = self.0.capabilities().without(Capability::Reentry);
        let all = all.without(Capability::Query).without(Capability::CleanUp);
        all.without(Capability::KeepsAttributes).without(Capability::HardwareMarks)
    }

    fn root(&self) -> PhysAddr {
        self.0.root()
    }

    fn map(
        &mut self,
        page: VirtAddr,
        to: PhysAddr,
        size: PageSize,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.0.map(page, to, size, rights)
    }

    fn protect_range(
        &mut self,
        first: VirtAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.0.protect_range(first, bytes, rights)
    }
}

#[test]
fn code_that_sets_all_flags_at_once_and_says_so_is_judged_outside_of_the_request_only() {
    let (soft, run) = (Disturbance::Decorate(1 << 9), |case: &Case, bug| {
        conformance::replay(case, |memory| Plain(Tables::new(memory, Some(bug))));
    });

    run(&case(SMALL, soft), Bug::ProtectDropsSoftwareBits);
    run(&case(SMALL, Disturbance::Mark), Bug::ProtectThrowsDirtyFlagAway);
    let outside = told(|| run(&case(LARGE, soft), Bug::SplitDropsSoftwareBits));

    assert!(outside.is_some_and(|told| told.contains("isolation: a page outside gets")));
}
