//! The allocator calls back in: what is told of it, code that waits for itself, and adapters that can't be
//! entered twice.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::{
    self, Call, Capabilities, Capability, Case, Check, Fault, FaultKind, Mapper, Memory, Refusal,
    Report, Rights,
};
use ringfence::machine::paging::PageSize;

use crate::bug::Bug;
use crate::tables::Tables;

const SIZE: PageSize = PageSize::Kib4;

fn map(page: u64) -> Call {
    let rights = Rights::WRITE.and(Rights::USER);
    Call::Map { page: VirtAddr(page), to: PhysAddr::truncated(0x1_0006_0000), size: SIZE, rights }
}

/// The allocator calls back in as soon as it can.
fn case(calls: &[Call]) -> Case {
    let fault = Some(Fault { kind: FaultKind::AllocatorCallsBack, nth: 1 });
    Case { calls: calls.to_vec(), fault }
}

fn told(bug: Bug, calls: &[Call]) -> Option<String> {
    let run = || conformance::replay(&case(calls), |memory| Tables::new(memory, Some(bug)));
    let payload = std::panic::catch_unwind(run).err()?;
    payload.downcast_ref::<String>().cloned()
}

#[test]
fn a_table_that_is_linked_over_the_allocators_is_told_with_the_call_within() {
    let calls = [map(0x4000), map(0x5000)];

    let told = told(Bug::LinksOverWhatCameMeanwhile, &calls).expect("a finding");

    for part in [
        "finding    isolation: a page outside is lost",
        "address    0x5000",
        "fault      allocator-calls-back at allocation with a call at hand 1",
        "  1  map 4 KiB page 0x4000 to 0x100060000, rw- user: done",
        "       asks for a frame, and the allocator calls back in:\n    2  map 4 KiB page 0x5000",
        "       stores to 0x100003028, level 1, for 0x5000",
        "  -  the allocator answers",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

#[test]
fn a_large_page_that_the_allocator_splits_meanwhile_is_not_split_again() {
    let map = Call::Map {
        page: VirtAddr(0),
        to: PhysAddr::truncated(0x20_0000_0000),
        size: PageSize::Mib2,
        rights: Rights::WRITE,
    };
    let protect = |first| {
        let (first, bytes) = (VirtAddr(first), 0x1000);
        Call::ProtectRange { first, bytes, rights: Rights::READ }
    };
    // Three tables are made for the large page, and none of them while something else may be mapped.
    let calls = [map, Call::Query { virt: VirtAddr(0) }, protect(0x7000), protect(0x9000)];
    let run = |bug| {
        let fault = Some(Fault { kind: FaultKind::AllocatorCallsBack, nth: 3 });
        let case = Case { calls: calls.to_vec(), fault };
        conformance::replay(&case, |memory| Tables::new(memory, bug));
    };

    run(None);
    let told = std::panic::catch_unwind(|| run(Some(Bug::SplitsWhatIsSplit)));

    let told = told.expect_err("the allocator's change is lost");
    let told = told.downcast_ref::<String>().expect("a text");
    assert!(
        told.contains("in an allocation of protect_range") || told.contains("0x9000"),
        "{told}"
    );
}

#[test]
fn a_call_within_an_allocation_is_judged_as_if_it_were_alone() {
    let calls = [map(0x4000), map(0x5000), Call::Unmap { page: VirtAddr(0x5000), size: SIZE }];
    let again = [map(0x5000), map(0x20_0000), Call::Unmap { page: VirtAddr(0x5000), size: SIZE }];
    let within =
        [map(0x5000), map(0x8000_0000_0000 - 0x1000), Call::Query { virt: VirtAddr(0x5fff) }];

    for calls in [&calls, &again, &within] {
        conformance::replay(&case(calls), |memory| Tables::new(memory, None));
    }
    let unmaps =
        [map(0x5000), map(0x4000_0000), Call::Unmap { page: VirtAddr(0x5000), size: SIZE }];
    let skipped = case(&unmaps[1..]);
    conformance::replay(&skipped, |memory| Tables::new(memory, None));
    let late = Fault { kind: FaultKind::AllocatorCallsBack, nth: 4 };
    let late = Case { calls: unmaps.to_vec(), fault: Some(late) };
    let told = std::panic::catch_unwind(|| {
        let bug = Some(Bug::ForgetsToInvalidateUnmap);
        conformance::replay(&late, |memory| Tables::new(memory, bug));
    });

    let told = told.expect_err("a page stays reachable");
    let told = told.downcast_ref::<String>().expect("a text");
    assert!(told.contains("unmapped page stays reachable"), "{told}");
}

#[test]
fn pages_of_the_call_under_way_are_never_asked_for_within_it() {
    let calls = [map(0x4000), map(0x4000), Call::CleanUp];

    conformance::replay(&case(&calls), |memory| Tables::new(memory, None));
}

/// How an adapter lets its code be entered twice.
trait Way: Clone + 'static {
    fn new(tables: Tables) -> Self;
    fn with<T>(&self, call: impl FnOnce(&mut Tables) -> T) -> T;
}

struct Entered<W>(W);

impl<W: Way> Mapper for Entered<W> {
    fn capabilities(&self) -> Capabilities {
        Capabilities::PLAIN.with(Capability::Reentry)
    }

    fn reentry(&self) -> Option<Box<dyn Mapper>> {
        Some(Box::new(Self(self.0.clone())))
    }

    fn root(&self) -> PhysAddr {
        self.0.with(|tables| tables.root())
    }

    fn map(
        &mut self,
        page: VirtAddr,
        to: PhysAddr,
        size: PageSize,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.0.with(|tables| tables.map(page, to, size, rights))
    }

    fn unmap(&mut self, page: VirtAddr, size: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        self.0.with(|tables| tables.unmap(page, size))
    }
}

impl Way for Rc<RefCell<Tables>> {
    fn new(tables: Tables) -> Self {
        Rc::new(RefCell::new(tables))
    }

    fn with<T>(&self, call: impl FnOnce(&mut Tables) -> T) -> T {
        call(&mut self.borrow_mut())
    }
}

impl Way for Rc<Mutex<Tables>> {
    fn new(tables: Tables) -> Self {
        Rc::new(Mutex::new(tables))
    }

    fn with<T>(&self, call: impl FnOnce(&mut Tables) -> T) -> T {
        // A lock that spins: what a kernel has.
        loop {
            if let Ok(mut tables) = self.try_lock() {
                return call(&mut tables);
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
}

fn entered<W: Way>(memory: Memory) -> Entered<W> {
    Entered(W::new(Tables::new(memory, None)))
}

#[test]
fn what_panics_when_it_is_entered_twice_is_told_with_both_calls() {
    let report = conformance::mapper(entered::<Rc<RefCell<Tables>>>).cases(40).run();

    let finding = report.findings().first().expect("a finding");
    assert_eq!(finding.check(), Check::Totality, "{report}");
    assert!(finding.kind().contains("in an allocation of map panics"), "{report}");
    assert_eq!(finding.case().calls.len(), 2, "{report}");
}

#[test]
fn a_lock_that_is_held_while_a_frame_is_asked_for_is_told_with_the_call_that_waits() {
    let suite = conformance::mapper(entered::<Rc<Mutex<Tables>>>);

    let report = suite.isolated(Duration::from_secs(1)).cases(40).run();

    assert!(report.has(Check::Totality), "{report}");
    assert_eq!(report.findings()[0].case().calls.len(), 2, "{report}");
    let told = report.to_string();
    for part in [
        "makes no progress for 1 s, in a call that the allocator made: ",
        "fault      allocator-calls-back",
        "RINGFENCE_SEED=",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

/// It declares what its adapter can't do.
struct Alone(Tables, Capabilities);

impl Mapper for Alone {
    fn capabilities(&self) -> Capabilities {
        self.1
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

    fn unmap(&mut self, page: VirtAddr, size: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        self.0.unmap(page, size)
    }
}

fn alone(capabilities: Capabilities) -> Report {
    conformance::mapper(move |memory| Alone(Tables::new(memory, None), capabilities))
        .cases(40)
        .run()
}

#[test]
fn a_second_way_in_that_is_declared_and_not_given_is_a_finding() {
    let report = alone(Capabilities::PLAIN.with(Capability::Reentry));

    let kinds: Vec<&str> = report.findings().iter().map(conformance::Finding::kind).collect();
    assert_eq!(kinds, ["reentry: declared and not supported"], "{report}");
}

#[test]
fn code_that_can_not_be_entered_twice_is_listed_and_never_called_back() {
    let report = alone(Capabilities::PLAIN);

    assert!(report.findings().is_empty(), "{report}");
    assert_eq!(report.strikes(FaultKind::AllocatorCallsBack), 0);
    let line = "an allocator that calls back in: not declared".to_owned();
    assert!(report.skipped().contains(&line), "{report}");
}
