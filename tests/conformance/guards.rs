//! Code that spins, or that ends its process: whichever way in it was called by.

use std::process::{Command, Output};
use std::time::Duration;

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::{
    self, Call, Capabilities, Capability, Case, Mapper, Memory, Refusal, Rights, Suite,
};
use ringfence::machine::paging::PageSize;

use crate::fatal::{Fatal, fatal};
use crate::tables::Tables;

fn spins(_: &Memory) {
    loop {
        std::thread::park();
    }
}

/// Loads for ever, and catches what ends that.
fn catches(memory: &Memory) {
    loop {
        let load = std::panic::AssertUnwindSafe(|| memory.load(memory.base()));
        let _ = std::panic::catch_unwind(load);
    }
}

fn exits(_: &Memory) {
    std::process::exit(0);
}

fn case() -> Case {
    let calls = vec![Call::Unmap { page: VirtAddr(0x4000), size: PageSize::Kib4 }];
    Case { calls, fault: None }
}

/// Bytes of which a case with an unmapping is drawn.
fn bytes() -> Vec<u8> {
    (0..600_u32).map(|at| (at * 37 % 251) as u8).collect()
}

/// Set in a child: what to run.
const CHILD: &str = "RINGFENCE_TEST_GUARDED";

const WAYS: [&str; 5] = ["run", "margins", "margins_of", "replay", "fuzz"];

fn go(way: &str, end: fn(&Memory)) {
    match way {
        "run" => fatal(end).cases(20).check(),
        "margins" => drop(fatal(end).cases(20).margins()),
        "margins_of" => drop(fatal(end).margins_of(&case())),
        "replay" => fatal(end).replay(&case()),
        "fuzz" => fatal(end).fuzz(&bytes()),
        _ => unreachable!("{way}"),
    }
}

/// The running test again, alone, told to go `way`; within a minute.
fn child(way: &str) -> (Output, String) {
    let name = std::thread::current().name().map(str::to_owned).expect("the harness names it");
    let output = Command::new("timeout")
        .arg("60")
        .arg(std::env::current_exe().expect("this test binary"))
        .args([name.as_str(), "--exact", "--nocapture"])
        .envs([(CHILD, way), ("RINGFENCE_PATIENCE", "1")])
        .output()
        .expect("a child");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, told)
}

/// Each of the ways in, side by side: all they do is wait.
fn children() -> Vec<(&'static str, Output, String)> {
    let name = std::thread::current().name().map(str::to_owned).expect("the harness names it");
    let start = |way| {
        let thread = std::thread::Builder::new().name(name.clone());
        (way, thread.spawn(move || child(way)).expect("a thread for it"))
    };
    let started = WAYS.map(start);
    started
        .map(|(way, thread)| {
            let (output, told) = thread.join().expect("it waits");
            (way, output, told)
        })
        .into()
}

fn way() -> Option<String> {
    std::env::var(CHILD).ok()
}

#[cfg(target_os = "linux")]
#[test]
fn code_that_spins_ends_each_way_in_with_the_reason() {
    if let Some(way) = way() {
        return go(&way, spins);
    }
    for (way, output, told) in children() {
        assert_eq!(output.status.code(), Some(101), "{way}\n{told}");
        assert!(told.contains("has not returned for 1 s, in the case "), "{way}\n{told}");
        assert!(told.contains("does not use up its accesses"), "{way}\n{told}");
        let has_seed = matches!(way, "run" | "margins");
        assert_eq!(told.contains("RINGFENCE_SEED="), has_seed, "{way}\n{told}");
    }
}

/// Nobody hears of an abort within the process: with these features somebody does, and says it in other words.
#[cfg(all(unix, not(any(feature = "store-trap", feature = "privileged-shim"))))]
#[test]
fn code_that_aborts_is_told_with_its_case_its_call_and_how_to_see_that_again() {
    if let Some(way) = way() {
        return go(&way, |_| std::process::abort());
    }
    for way in WAYS {
        let (output, told) = child(way);

        assert!(!output.status.success(), "{way}\n{told}");
        let lines = told.lines().filter(|line| line.contains(": this process ended in the case "));
        assert_eq!(lines.count(), 1, "{way}\n{told}");
        let has_seed = matches!(way, "run" | "margins");
        assert_eq!(told.contains("to see it alone: RINGFENCE_SEED="), has_seed, "{way}\n{told}");
        let call = if way.starts_with("margins") { ", in unmap " } else { ": unmap " };
        assert!(told.contains(&format!("{call}4 KiB page 0x")), "{way}\n{told}");
    }
}

#[cfg(unix)]
#[test]
fn of_a_process_that_ends_well_nothing_is_told() {
    if way().is_some() {
        let _ = fatal(|_| panic!("boo")).cases(20).run();
        let _ = fatal(|_| {}).cases(20).run();
        std::process::exit(0);
    }
    let (output, told) = child("run");

    assert!(output.status.success() && !told.contains("ringfence: "), "{told}");
}

#[cfg(target_os = "linux")]
#[test]
fn code_that_catches_what_ends_it_is_not_said_to_leave_memory_alone() {
    if let Some(way) = way() {
        return go(&way, catches);
    }
    let (output, told) = child("run");

    assert_eq!(output.status.code(), Some(101), "{told}");
    assert!(told.contains("its accesses to memory are spent, and it catches the panic"), "{told}");
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn code_that_exits_with_success_passes_by_no_way_in() {
    if let Some(way) = way() {
        return go(&way, exits);
    }
    for way in WAYS {
        let (output, told) = child(way);

        assert!(!output.status.success(), "{way}\n{told}");
        assert!(told.contains("the code under test ends the process, in the case "), "{told}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn code_that_spins_before_there_is_a_case_is_told_without_a_seed() {
    if way().is_some() {
        conformance::mapper(|memory: Memory| -> Fatal {
            spins(&memory);
            unreachable!("it spins")
        })
        .cases(1)
        .check();
    }
    let (output, told) = child("run");

    assert_eq!(output.status.code(), Some(101), "{told}");
    assert!(told.contains("before its first case") && !told.contains("SEED"), "{told}");
}

fn isolated() -> Suite<impl Fn(Memory) -> Fatal> {
    fatal(exits).isolated(Duration::from_secs(20)).cases(20)
}

/// What an isolated run by this way is told: with its case, and its seed if it has one.
fn told_isolated(run: impl FnOnce(), has_seed: bool) {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).err();
    let told = payload.and_then(|payload| payload.downcast_ref::<String>().cloned());
    let told = told.expect("a panic with a report");
    for part in ["ends the process: exit status: 0", "unmap 4 KiB page"] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    assert_eq!(told.contains("RINGFENCE_SEED="), has_seed, "{told}");
}

#[test]
fn margins_are_isolated_where_that_is_asked_for() {
    told_isolated(|| drop(isolated().margins()), true);
}

#[test]
fn margins_of_a_case_are_isolated_where_that_is_asked_for() {
    told_isolated(|| drop(isolated().margins_of(&case())), false);
}

#[test]
fn a_replay_is_isolated_where_that_is_asked_for() {
    told_isolated(|| isolated().replay(&case()), false);
}

#[test]
fn bytes_are_isolated_where_that_is_asked_for() {
    told_isolated(|| isolated().fuzz(&bytes()), false);
}

#[test]
fn what_ends_the_making_of_an_instance_is_told_with_one_subject_and_nothing_is_undeclared() {
    let suite = || {
        conformance::mapper(|memory: Memory| -> Fatal {
            if memory.base().raw() > 0 {
                panic!("not today");
            }
            unreachable!("memory is above 4 GiB")
        })
    };

    let report = suite().cases(2).run();
    let died = conformance::mapper(|_: Memory| -> Fatal { std::process::exit(7) });
    let died = died.isolated(Duration::from_secs(20)).cases(2).run();

    let told = report.to_string();
    let place = "because    it panics when it is made at tests/conformance/guards.rs:";
    assert!(told.contains(place) && told.contains(": not today\n"), "{told}");
    for report in [&report, &died] {
        let everything = "everything: no instance came to say what it declares";
        assert_eq!(report.skipped(), [everything], "{report}");
    }
}

#[test]
fn what_ends_a_child_is_minimised_in_others() {
    let report = isolated().run();

    let told = report.to_string();
    let [finding] = report.findings() else { panic!("{told}") };
    let calls = &finding.case().calls;
    assert!(matches!(calls.as_slice(), [Call::Unmap { .. }]), "{told}");
    for part in [
        "ends the process: exit status: 0, in call 1: unmap 4 KiB page 0x",
        "case       1 call; nothing can be left out (",
        "calls      not counted: the process that made them is gone",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    assert_eq!(Some(report.cases()), finding.seed(), "from seed 1\n{told}");
}

/// Code that ends its process when it gets no frame.
struct Greedy(Memory, PhysAddr);

impl Mapper for Greedy {
    fn capabilities(&self) -> Capabilities {
        Capabilities::PLAIN.with(Capability::AllocationFailure)
    }

    fn root(&self) -> PhysAddr {
        self.1
    }

    fn map(&mut self, _: VirtAddr, _: PhysAddr, _: PageSize, _: Rights) -> Result<(), Refusal> {
        match self.0.allocate() {
            Some(frame) => self.0.free(frame),
            None => std::process::exit(0),
        }
        Err(Refusal::Declined("never"))
    }

    fn unmap(&mut self, _: VirtAddr, _: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        Err(Refusal::NotMapped)
    }
}

#[test]
fn which_allocation_failed_in_a_child_that_died_is_told_without_running_the_case() {
    let suite = || {
        let own = |memory: Memory| {
            let root = memory.allocate_zeroed().expect("a frame");
            Greedy(memory, root)
        };
        conformance::mapper(own).isolated(Duration::from_secs(20))
    };

    let report = suite().run();
    let finding = report.findings().first().expect("it dies");
    let again = panic_of(|| suite().replay(finding.case()));

    assert!(report.to_string().contains("fault      allocation-fails at allocation "), "{report}");
    assert!(again.contains("ends the process: exit status: 0, in call "), "{again}");
}

/// An adapter that panics in one of its functions.
struct Panics(&'static str, PhysAddr);

impl Panics {
    fn within(&self, function: &str) {
        assert_ne!(self.0, function, "not today");
    }
}

impl Mapper for Panics {
    fn capabilities(&self) -> Capabilities {
        self.within("capabilities");
        Capabilities::PLAIN
    }

    fn own_bits(&self) -> u64 {
        self.within("own_bits");
        0
    }

    fn root(&self) -> PhysAddr {
        self.within("root");
        self.1
    }

    fn map(&mut self, _: VirtAddr, _: PhysAddr, _: PageSize, _: Rights) -> Result<(), Refusal> {
        Err(Refusal::Declined("never"))
    }

    fn unmap(&mut self, _: VirtAddr, _: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        Err(Refusal::NotMapped)
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        self.within("drop");
    }
}

#[test]
fn a_root_where_no_frame_of_memory_begins_is_told_as_that_with_its_address() {
    let told = |distance: u64| {
        let own = move |memory: Memory| Panics("nowhere", memory.base().plus(distance));
        conformance::mapper(own).cases(1).run().to_string()
    };

    let (within, outside) = (told(8), told(1 << 40));

    let kind = "stores: its root is no frame\nbecause    it says that its root is at 0x100000008;";
    assert!(within.contains(kind), "{within}");
    let kind =
        "its root is outside of memory\nbecause    it says that its root is at 0x10100000000;";
    assert!(outside.contains(kind), "{outside}");
}

#[test]
fn a_function_that_says_what_an_instance_is_or_ends_it_is_told_by_its_name() {
    for (function, told, kind) in [
        ("capabilities", "in capabilities", "capabilities panics: "),
        ("own_bits", "in own_bits", "own_bits panics: "),
        ("root", "in root", "root panics: "),
        ("drop", "when it is dropped", "drop panics: "),
    ] {
        let factory =
            move |memory: Memory| Panics(function, memory.allocate_zeroed().expect("a frame"));

        let report = conformance::mapper(factory).cases(2).run();

        let text = report.to_string();
        let place = format!("because    it panics {told} at tests/conformance/guards.rs:");
        assert!(text.contains(&place), "{place}\n{text}");
        assert!(text.contains(&format!("finding    totality: {kind}")), "{kind}\n{text}");
        // What a case shows has its seed, and needs no call.
        assert_eq!(text.contains("RINGFENCE_SEED=1 "), function == "root", "{text}");
        assert!(text.contains("case       0 calls; nothing can be left out"), "{text}");
    }
}

#[test]
fn what_ends_a_call_is_told_with_one_subject() {
    for (end, part) in [
        ((|_| panic!("boo")) as fn(&Memory), "because    it panics in unmap at tests/"),
        (
            |memory| loop {
                let _ = memory.load(memory.base());
            },
            "because    it makes 200000 accesses to memory in unmap, and has not returned",
        ),
    ] {
        let report = fatal(end).cases(20).run();

        assert!(report.to_string().contains(part), "{part}\n{report}");
    }
}

#[test]
fn the_replay_line_of_a_program_that_is_no_test_names_none() {
    let told = std::thread::Builder::new()
        .spawn(|| fatal(|_| panic!("boo")).cases(20).run().to_string())
        .and_then(|thread| thread.join().map_err(|_| std::io::Error::other("a panic")))
        .expect("a report");

    assert!(told.contains("replay     the same program, with RINGFENCE_SEED="), "{told}");
    assert!(!told.contains("cargo test"), "{told}");
}

fn panic_of(run: impl FnOnce()) -> String {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).err();
    let payload = payload.expect("a panic");
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned())).expect("a text")
}

#[test]
fn entries_that_no_root_has_and_all_of_them_are_refused() {
    let suite = || conformance::mapper(|memory| Tables::new(memory, None)).cases(20);

    for entry in [512, 9999, u64::MAX] {
        let told = panic_of(|| drop(suite().reserving(&[3, entry])));

        assert_eq!(told, format!("a root table has 512 entries, and none is number {entry}"));
    }
    let all: Vec<u64> = (0..512).collect();
    let told = panic_of(|| suite().reserving(&all).check());
    // The first two, the two at the end of the lower half, and those of the upper half (words of the format).
    assert!(told.contains("everything is reserved: the suite maps near entries {0, 1, "), "{told}");
    let but_the_first: Vec<u64> = (1..512).collect();
    suite().reserving(&but_the_first).check();
}

#[test]
fn no_findings_at_most_are_one() {
    let suite = fatal(|_| panic!("boo")).cases(20).findings_max(0);

    assert_eq!(suite.run().findings().len(), 1);
}

#[test]
fn as_many_frames_as_there_are_not_are_none_and_so_is_no_frame() {
    let report = fatal(|memory| {
        for frames in [0, 97, 1 << 63, (1 << 63) + 1, u64::MAX] {
            assert_eq!(memory.allocate_frames(frames, true), None, "{frames}");
        }
        let two = memory.allocate_frames(2, true).expect("two of 96");
        memory.free(two);
        memory.free(two.plus(4096));
    })
    // Too few to be told that nothing is ever mapped.
    .cases(10)
    .run();

    assert!(report.findings().is_empty(), "{report}");
}
