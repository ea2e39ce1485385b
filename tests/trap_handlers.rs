//! The signal handlers of others, before, while and after the suite has its own. One test: handlers
//! belong to the process.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(unsafe_code, reason = "signal handlers of somebody else's")]

use core::ffi::{c_int, c_void};
use core::mem::zeroed;
use core::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::{self, Mapper, Memory, Observed, Refusal, Rights};
use ringfence::machine::paging::PageSize;

static PAGE: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
static HEARD: AtomicU32 = AtomicU32::new(0);

/// Somebody's handler: makes their page accessible.
extern "C" fn theirs(_: c_int, _: *mut libc::siginfo_t, _: *mut c_void) {
    HEARD.fetch_add(1, Ordering::SeqCst);
    // SAFETY: the page is theirs.
    unsafe {
        libc::mprotect(PAGE.load(Ordering::SeqCst), 4096, libc::PROT_READ | libc::PROT_WRITE);
    }
}

fn install() {
    // SAFETY: the handler has the type that SA_SIGINFO asks for.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = theirs as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        assert_eq!(libc::sigaction(libc::SIGSEGV, &raw const action, ptr::null_mut()), 0);
    }
}

fn handler() -> usize {
    // SAFETY: the call only writes to the action.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        libc::sigaction(libc::SIGSEGV, ptr::null(), &raw mut action);
        action.sa_sigaction
    }
}

/// Maps nothing, and does something else instead.
struct Other {
    root: PhysAddr,
    does: fn(),
}

impl Mapper for Other {
    fn root(&self) -> PhysAddr {
        self.root
    }

    fn map(&mut self, _: VirtAddr, _: PhysAddr, _: PageSize, _: Rights) -> Result<(), Refusal> {
        (self.does)();
        Err(Refusal::Declined("never"))
    }

    fn unmap(&mut self, _: VirtAddr, _: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        Err(Refusal::NotMapped)
    }
}

fn run(does: fn()) {
    let own =
        move |memory: Memory| Other { root: memory.allocate_zeroed().expect("a frame"), does };
    let report = conformance::mapper(own).cases(2).trapping(Observed::Stores).run();
    assert!(report.findings().is_empty(), "{report}");
}

#[test]
fn handlers_of_others_are_chained_to_restored_and_their_interference_is_told() {
    // SAFETY: a new page.
    let page = unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        libc::mmap(ptr::null_mut(), 4096, libc::PROT_NONE, flags, -1, 0)
    };
    assert_ne!(page, libc::MAP_FAILED);
    PAGE.store(page, Ordering::SeqCst);
    install();
    let before = handler();

    run(|| {
        assert_ne!(handler(), theirs as *const () as usize, "the suite has its own");
        // SAFETY: their page, which their handler makes accessible.
        unsafe { PAGE.load(Ordering::SeqCst).cast::<u8>().write_volatile(1) };
    });
    assert_eq!(HEARD.load(Ordering::SeqCst), 1, "what is not the suite's goes on to them");
    assert_eq!(handler(), before, "theirs is back");

    let told = std::panic::catch_unwind(|| run(install)).expect_err("they interfere");
    let told = told.downcast_ref::<String>().cloned().unwrap_or_default();
    assert!(told.contains("somebody replaced the handler of SIGSEGV"), "{told}");
}
