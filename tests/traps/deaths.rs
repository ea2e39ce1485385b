//! Code that ends its process by a signal, and nobody isolates it: a line of ours says what it did.

#![allow(unsafe_code, reason = "pointers and instructions that end a process are what is tested")]

use core::arch::asm;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::time::Duration;

use ringfence::base::VirtAddr;
use ringfence::conformance::{Memory, Observed, Suite};
use ringfence::machine::paging::PageSize;

use crate::fatal::{Fatal, fatal};

fn suite(end: fn(&Memory)) -> Suite<impl Fn(Memory) -> Fatal> {
    fatal(end).cases(20)
}

/// Set in a child.
const CHILD: &str = "RINGFENCE_TEST_DEATH";

/// Runs this test again in a child, where it dies by this signal and says these things.
#[track_caller]
fn dies(signal: i32, parts: &[&str], run: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        run();
        unreachable!("it ends the process");
    }
    let name = std::thread::current().name().map(str::to_owned).expect("the harness names it");
    let child = Command::new(std::env::current_exe().expect("this test binary"))
        .args([name.as_str(), "--exact", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .expect("a child");

    let told = String::from_utf8_lossy(&child.stderr);
    assert_eq!(child.status.signal(), Some(signal), "{:?}\n{told}", child.status);
    for part in parts {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

const PLACE: &str = ": this process ends in the case with seed ";
const REPLAY: &str = "to see it alone: RINGFENCE_SEED=";

#[test]
fn an_abort_is_told_with_its_case() {
    let parts =
        ["ringfence: deaths::an_abort_is_told_with_its_case: this process ends", PLACE, REPLAY];
    dies(libc::SIGABRT, &parts, || {
        let _ = suite(|_| std::process::abort()).run();
    });
}

#[test]
fn an_abort_of_a_replay_is_told_without_a_seed() {
    use ringfence::conformance::{Call, Case};
    let calls = vec![Call::Unmap { page: VirtAddr(0x4000), size: PageSize::Kib4 }];
    dies(libc::SIGABRT, &[": this process ends in the case that it was given."], || {
        suite(|_| std::process::abort()).replay(&Case { calls, fault: None });
    });
}

#[test]
fn a_stack_that_overflows_is_told_with_its_case() {
    fn deeper(depth: u64) -> u64 {
        let taken = std::hint::black_box([depth; 64]);
        if taken[5] == u64::MAX { 0 } else { deeper(depth + 1) + taken[7] }
    }
    dies(libc::SIGABRT, &["has overflowed its stack", PLACE, REPLAY], || {
        let end: fn(&Memory) = |_| {
            std::hint::black_box(deeper(1));
        };
        let _ = suite(end).run();
    });
}

#[test]
fn a_pointer_that_another_thread_follows_is_told() {
    let part = "a pointer of the code under test is followed in another thread";
    dies(libc::SIGSEGV, &[part], || {
        let end: fn(&Memory) = |memory| {
            let address = memory.pointer().expose_provenance();
            let store = move || {
                let pointer = core::ptr::with_exposed_provenance_mut::<u64>(address);
                // SAFETY: what is tested: it faults.
                unsafe { pointer.write_volatile(1) };
            };
            let _ = std::thread::spawn(store).join();
        };
        let _ = suite(end).trapping(Observed::Accesses).run();
    });
}

#[test]
fn an_instruction_of_a_kernel_in_another_thread_is_told() {
    let part = "an instruction of a kernel is executed in another thread";
    dies(libc::SIGSEGV, &[part], || {
        let end: fn(&Memory) = |_| {
            // SAFETY: what is tested: it is refused.
            let invalidate = || unsafe { asm!("invlpg [{}]", in(reg) 0x1000_u64) };
            let _ = std::thread::spawn(invalidate).join();
        };
        let _ = suite(end).privileged().run();
    });
}

#[test]
fn a_breakpoint_is_told_with_its_case() {
    dies(libc::SIGTRAP, &["executes a breakpoint (int3)", PLACE, REPLAY], || {
        // SAFETY: what is tested: it ends the process.
        let _ = suite(|_| unsafe { asm!("int3") }).privileged().run();
    });
}

#[test]
fn a_pointer_to_nowhere_is_told_with_its_case() {
    dies(libc::SIGSEGV, &["follows a pointer that is to no physical address", PLACE], || {
        let end: fn(&Memory) = |_| {
            let nowhere = core::ptr::without_provenance_mut::<u64>(std::hint::black_box(16));
            // SAFETY: what is tested: it faults.
            unsafe { nowhere.write_volatile(1) };
        };
        let _ = suite(end).trapping(Observed::Stores).run();
    });
}

/// Nobody of ours hears of it: only a parent tells.
#[test]
fn code_that_takes_the_handler_away_and_faults_is_told_by_an_isolated_run() {
    let end: fn(&Memory) = |memory| {
        // SAFETY: what is tested: the fault that follows ends the process.
        unsafe {
            libc::signal(libc::SIGSEGV, libc::SIG_DFL);
            memory.pointer().write_volatile(1);
        }
    };
    let suite = suite(end).trapping(Observed::Stores).isolated(Duration::from_secs(20));

    let told = suite.run().to_string();

    assert!(told.contains("ends the process: signal: 11 (SIGSEGV)"), "{told}");
    assert!(told.contains("RINGFENCE_SEED="), "{told}");
}
