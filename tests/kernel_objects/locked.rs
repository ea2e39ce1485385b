//! Buffers of the user's own: probed or not, locked or not, and what becomes of locked pages.

use ringfence::kernel::bug_check::code;
use ringfence::kernel::layout::{crash_block, kernel_data, process};
use ringfence::kernel::request::{
    METHOD_BUFFERED, METHOD_IN_DIRECT, METHOD_NEITHER, METHOD_OUT_DIRECT, control_code,
};
use ringfence::kernel::{service, status};
use ringfence::machine::processor::mix;
use ringfence::world::components::buffer_driver as driver;
use ringfence::world::{Action, Component, Configuration, Home, Rest};

use crate::{A, OK, Run, address, application, assert_all_returned, call, in_turn, read, run};

/// A page of a process's own that is always there.
const BUFFER: u64 = address::USER_BUFFERS + 0x400;
/// A word of the file cache, which nobody uses here.
const KERNEL_WORD: u64 = address::FILE_CACHE + 0x800;

/// One application that has opened `drivers` of the drivers for its memory, with handles 4, 8, ….
fn configuration(drivers: usize, actions: Vec<Action>) -> Configuration {
    let names: Vec<String> = (0..drivers).map(|number| format!("buffers-{number}")).collect();
    let open = |name: &String| Action::Open { device: name.clone(), file: 0, access: 3, slot: 0 };
    let actions = names.iter().map(open).chain(actions).collect();
    let mut configuration = in_turn(vec![actions], 0);
    configuration.components.extend(names.iter().map(|name| Component {
        home: Home::KernelDriver,
        driver: Some("buffers".to_owned()),
        ..application(name, vec![])
    }));
    configuration
}

fn run_with_driver(actions: Vec<Action>) -> Run {
    run(&configuration(1, actions))
}

/// Asks the driver behind `handle`, with no first buffer and this second one.
fn ask(handle: u64, function: u64, method: u64, out: u64, length: u64) -> Action {
    let code = control_code(function, method, 0);
    call(service::DEVICE_CONTROL, &[handle, code, 0, 0, out, length])
}

#[track_caller]
fn assert_bug_check(run: &Run, code: u64, first: u64, third: Option<u64>) {
    assert_eq!(run.rest, Rest::BugCheck(code));
    assert_eq!(run.field(address::KERNEL_DATA, crash_block::PARAMETER_1), first);
    if let Some(third) = third {
        assert_eq!(run.field(address::KERNEL_DATA, crash_block::PARAMETER_3), third);
    }
}

#[test]
fn a_driver_writes_locked_memory_through_a_mapping_of_the_systems() {
    let run = run_with_driver(vec![
        ask(4, driver::FILL, METHOD_OUT_DIRECT, BUFFER, 64),
        Action::Load { word: 7 },
    ]);

    assert_eq!(run.statuses(A), [OK, OK, OK]);
    let filled = (0..8).fold(0, |hash, number| mix(hash, driver::REPORTED[0] + number * 8));
    assert_eq!(run.log.seen[&A][1].1, filled, "the caller sees it at once");
    assert_all_returned_but_drivers(&run);
}

/// Nothing is locked or mapped any more.
#[track_caller]
fn assert_all_returned_but_drivers(run: &Run) {
    assert_eq!(run.rest, Rest::Quiescent);
    assert_eq!(run.field(address::KERNEL_DATA, kernel_data::MDL_MAPPINGS), 0);
    assert_all_returned(run);
}

#[test]
fn a_buffer_on_two_pages_is_locked_as_a_whole() {
    let start = address::USER_BUFFERS + 4096 - 32;
    let across = run_with_driver(vec![ask(4, driver::FILL, METHOD_OUT_DIRECT, start, 64)]);

    assert_eq!(across.statuses(A), [OK, status::ACCESS_VIOLATION], "the second page is not there");
    assert_all_returned_but_drivers(&across);
}

#[test]
fn a_driver_reads_locked_memory_through_a_mapping_of_the_systems() {
    let run = run_with_driver(vec![
        Action::Store { word: 0, value: 5 },
        Action::Store { word: 1, value: 6 },
        ask(4, driver::CHECK, METHOD_IN_DIRECT, BUFFER, 16),
    ]);

    assert_eq!(run.statuses(A), [OK; 4]);
    let data = address::DRIVER_CODE + address::DRIVER_DATA_OFFSET;
    assert_eq!(run.field(data, driver::SUM), 11);
}

#[test]
fn what_can_not_be_written_is_not_locked_to_be_written() {
    let read_only = address::USER_CODE;
    for (function, method, expected) in [
        (driver::CHECK, METHOD_IN_DIRECT, OK),
        (driver::FILL, METHOD_OUT_DIRECT, status::ACCESS_VIOLATION),
    ] {
        let run = run_with_driver(vec![ask(4, function, method, read_only, 16)]);

        assert_eq!(run.statuses(A), [OK, expected]);
        assert_all_returned_but_drivers(&run);
    }
}

#[test]
fn the_systems_memory_is_not_locked_for_an_application() {
    for (function, method) in [(driver::FILL, METHOD_OUT_DIRECT), (driver::LOCK, METHOD_NEITHER)] {
        let run = run_with_driver(vec![ask(4, function, method, KERNEL_WORD, 16)]);

        assert_eq!(run.statuses(A), [OK, status::ACCESS_VIOLATION]);
        assert_all_returned_but_drivers(&run);
    }
}

#[test]
fn a_process_that_ends_with_locked_pages_stops_the_machine_and_tracking_tells_which() {
    let locks = || vec![ask(4, driver::LOCK, METHOD_NEITHER, BUFFER, 16)];
    let plain = run(&configuration(1, locks()));
    let mut tracked = configuration(1, locks());
    tracked.machine.verifier = vec!["pool-tracking".to_owned()];
    let tracked = run(&tracked);

    assert_bug_check(&plain, code::PROCESS_HAS_LOCKED_PAGES, 0, Some(1));
    let data = address::DRIVER_CODE + address::DRIVER_DATA_OFFSET;
    let list = tracked.field(data, driver::LIST);
    assert_eq!(tracked.rest, Rest::BugCheck(code::DRIVER_LEFT_LOCKED_PAGES_IN_PROCESS));
    assert_eq!(tracked.field(address::KERNEL_DATA, crash_block::PARAMETER_3), list);
    assert_eq!(tracked.field(address::KERNEL_DATA, crash_block::PARAMETER_4), 1);
}

#[test]
fn what_was_locked_is_unlocked_once() {
    let unlocks = |function| {
        run_with_driver(vec![
            ask(4, driver::LOCK, METHOD_NEITHER, BUFFER, 16),
            ask(4, function, METHOD_BUFFERED, BUFFER, 16),
        ])
    };

    let once = unlocks(driver::UNLOCK);
    assert_eq!(once.statuses(A), [OK; 3]);
    assert_all_returned_but_drivers(&once);
    assert_bug_check(&unlocks(driver::UNLOCK_TWICE), code::PROCESS_HAS_LOCKED_PAGES, 1, Some(0));
}

#[test]
fn with_other_pages_locked_the_frame_itself_is_found_unlocked_too_often() {
    let run = run(&configuration(
        2,
        vec![
            ask(4, driver::LOCK, METHOD_NEITHER, BUFFER, 16),
            ask(8, driver::LOCK, METHOD_NEITHER, address::USER_STACK, 16),
            ask(4, driver::UNLOCK_TWICE, METHOD_BUFFERED, BUFFER, 16),
        ],
    ));

    assert_bug_check(&run, code::PFN_LIST_CORRUPT, 7, None);
}

#[test]
fn a_locked_page_that_its_process_frees_is_given_back_when_it_is_unlocked() {
    let actions = |unlocks: bool| {
        let mut actions = vec![
            Action::Allocate { slot: 1 },
            ask(4, driver::LOCK, METHOD_NEITHER, address::USER_HEAP, 16),
            Action::Free { slot: 1 },
        ];
        if unlocks {
            actions.push(ask(4, driver::UNLOCK, METHOD_BUFFERED, BUFFER, 16));
        }
        actions.push(Action::Wait);
        actions
    };
    let frames = |unlocks| {
        let run = run_with_driver(actions(unlocks));
        let system = run.field(address::KERNEL_DATA, kernel_data::SYSTEM_PROCESS);
        assert_ne!(read(&run.world, system, process::ALIVE), 0);
        run.field(address::KERNEL_DATA, kernel_data::FREE_FRAME_COUNT)
    };

    assert_eq!(frames(true), frames(false) + 1);
}

/// What the kernel's word holds after a report was asked for there, and what was said of it.
fn reported(function: u64, prevents_access: bool) -> (u64, u64) {
    let mut configuration =
        configuration(1, vec![ask(4, function, METHOD_NEITHER, KERNEL_WORD, 16)]);
    configuration.machine.smap = prevents_access;
    let run = run(&configuration);
    let word = ringfence::base::Field::new(ringfence::base::Structure::FileCache, 0, "word");
    // Whoever asked for an answer in the system half looks for it there, and ends by that.
    (run.field(KERNEL_WORD, word), run.statuses(A).get(1).copied().unwrap_or(OK))
}

#[test]
fn a_driver_that_does_not_probe_writes_the_kernel_for_its_caller_and_access_prevention_is_no_help()
{
    for prevents_access in [false, true] {
        let written = (driver::REPORTED[0], OK);
        assert_eq!(reported(driver::REPORT_UNPROBED, prevents_access), written);
        let refused = (0, status::ACCESS_VIOLATION);
        assert_eq!(reported(driver::REPORT, prevents_access), refused);
    }
}

#[test]
fn a_drivers_probe_compares_the_alignment_before_the_range() {
    let asked = |function, out| {
        run_with_driver(vec![ask(4, function, METHOD_NEITHER, out, 16)]).statuses(A)[1]
    };
    let copied = |from| {
        let code = control_code(driver::COPY, METHOD_NEITHER, 0);
        let copy = call(service::DEVICE_CONTROL, &[4, code, from, 24, 0, 0]);
        run_with_driver(vec![copy]).statuses(A)[1]
    };

    assert_eq!((asked(driver::REPORT, BUFFER), copied(BUFFER)), (OK, OK));
    for by in [1, 2, 4] {
        let misaligned = status::DATATYPE_MISALIGNMENT;
        assert_eq!(asked(driver::REPORT, BUFFER + by), misaligned);
        assert_eq!(copied(BUFFER + by), misaligned);
        assert_eq!(asked(driver::REPORT, KERNEL_WORD + by), misaligned);
        assert_eq!(asked(driver::REPORT_UNPROBED, BUFFER + by), OK, "nobody compares");
    }
}

#[test]
fn a_probe_for_writing_touches_each_page_before_anything_is_written() {
    // The last word of a page with nothing behind it.
    let last = address::USER_VIEWS + 4088;
    let kept = |asked: Action| {
        let run = run_with_driver(vec![
            Action::OpenSection { section: 0, access: 3, slot: 1 },
            Action::MapView { slot: 1, view: 2 },
            Action::StoreThrough { slot: 2, word: 511, value: 0x1234 },
            asked,
            Action::LoadThrough { slot: 2, word: 511 },
        ]);
        let seen = &run.log.seen[&A];
        (seen.iter().map(|(status, _)| *status).max(), seen.last().copied())
    };
    let report = |function| ask(4, function, METHOD_NEITHER, last, 16);
    let (_, before) = kept(Action::Yield);

    let (status, after) = kept(report(driver::REPORT));

    assert_eq!((status, after), (Some(status::ACCESS_VIOLATION), before));
    let (status, after) = kept(report(driver::REPORT_UNPROBED));
    assert_eq!(status, Some(status::ACCESS_VIOLATION), "the second word is refused");
    assert_ne!(after, before, "and the first is written by then");
}

#[test]
fn a_probe_for_writing_goes_on_over_the_end_of_a_page_and_ends() {
    let last = address::USER_VIEWS + 4088;
    let seen = |function| {
        let run = run_with_driver(vec![
            Action::OpenSection { section: 0, access: 3, slot: 1 },
            Action::MapView { slot: 1, view: 2 },
            Action::OpenSection { section: 1, access: 3, slot: 4 },
            Action::MapView { slot: 4, view: 3 },
            ask(4, function, METHOD_NEITHER, last, 16),
            Action::LoadThrough { slot: 2, word: 511 },
            Action::LoadThrough { slot: 3, word: 0 },
        ]);
        run.log.seen[&A].clone()
    };

    let (probed, unprobed) = (seen(driver::REPORT), seen(driver::REPORT_UNPROBED));

    assert!(probed.iter().all(|(status, _)| *status == OK), "{probed:x?}");
    assert_eq!(probed, unprobed, "the report is written as without a probe");
}

#[test]
fn a_probe_ends_where_the_user_half_ends() {
    // "Memory Limits for Windows Releases": 8 TB up to Windows 8, 128 TB since 8.1; of either, the last 64 KiB
    // belong to nobody.
    const TERABYTE: u64 = 1 << 40;
    let is_probed_only = |half_is_small, at, method| {
        let function = if method == METHOD_NEITHER { driver::REPORT } else { driver::FILL };
        let mut configuration = configuration(1, vec![ask(4, function, method, at, 16)]);
        configuration.machine.small_user_half = half_is_small;
        let run = run(&configuration);
        assert_eq!(run.statuses(A), [OK, status::ACCESS_VIOLATION], "nothing is mapped there");
        run.log.faulted.is_empty()
    };

    for method in [METHOD_NEITHER, METHOD_OUT_DIRECT] {
        let [small, large] = [8 * TERABYTE - 0x1_0000, 128 * TERABYTE - 0x1_0000];
        assert!(!is_probed_only(true, small - 16, method), "what a probe lets through is touched");
        for beyond in [small - 8, small, 8 * TERABYTE, large - 16] {
            assert!(is_probed_only(true, beyond, method), "{beyond:#x}");
            assert!(!is_probed_only(false, beyond, method), "{beyond:#x}");
        }
        assert!(is_probed_only(false, large - 8, method));
    }
}
