//! Signal handlers of the process: installed with the first memory that hosts code, chained to those
//! that were there, restored with the last. That of SIGABRT only tells of a run, hosted or not.
//!
//! Unsafe because handlers belong to the whole process and are called between any two instructions.

#![allow(unsafe_code, reason = "signal handlers are installed, chained to and restored")]

use core::ffi::{c_int, c_void};
use core::mem::zeroed;
use core::ptr;
use std::fs;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};

use super::context::Context;

/// What is listened to: page faults and general protection; single steps; invalid opcodes, which a
/// processor without an instruction raises even for a privileged one.
const SIGNALS: [c_int; 3] = [libc::SIGSEGV, libc::SIGTRAP, libc::SIGILL];

/// How many memories host code.
static USERS: Mutex<usize> = Mutex::new(0);

/// How many runs are to be named when the process is aborted.
static RUNS: Mutex<usize> = Mutex::new(0);

/// The actions that were there before, by the order of [`SIGNALS`]. Each is leaked once: a handler of
/// another thread may be about to read it.
static BEFORE: [AtomicPtr<libc::sigaction>; 3] =
    [const { AtomicPtr::new(ptr::null_mut()) }; SIGNALS.len()];

/// The same of SIGABRT.
static BEFORE_ABORT: AtomicPtr<libc::sigaction> = AtomicPtr::new(ptr::null_mut());

/// Why a signal was raised.
pub(super) struct Raised {
    pub(super) signal: c_int,
    pub(super) code: c_int,
    /// Of a page fault: the address.
    pub(super) address: u64,
}

/// `si_code` of a signal that the kernel itself raised, without an address: general protection.
const SI_KERNEL: c_int = 0x80;
/// `si_code` of a single step.
#[cfg(feature = "store-trap")]
const TRAP_TRACE: c_int = 2;

impl Raised {
    /// A page fault.
    pub(super) const fn is_fault(&self) -> bool {
        self.signal == libc::SIGSEGV && self.code > 0 && self.code != SI_KERNEL
    }

    /// One instruction was executed.
    #[cfg(feature = "store-trap")]
    pub(super) const fn is_step(&self) -> bool {
        self.signal == libc::SIGTRAP && self.code == TRAP_TRACE
    }

    /// A general protection fault, or an invalid opcode.
    #[cfg(feature = "privileged-shim")]
    pub(super) const fn is_refused(&self) -> bool {
        (self.signal == libc::SIGSEGV && self.code == SI_KERNEL) || self.signal == libc::SIGILL
    }
}

type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

fn own() -> libc::sighandler_t {
    let handler: Handler = on_signal;
    handler as libc::sighandler_t
}

fn action_of(signal: c_int) -> libc::sigaction {
    // SAFETY: all zeros is a valid action; the call only writes to it.
    unsafe {
        let mut action = zeroed();
        let result = libc::sigaction(signal, ptr::null(), &raw mut action);
        assert_eq!(result, 0, "signal {signal} has an action");
        action
    }
}

fn set_action(signal: c_int, action: &libc::sigaction) {
    // SAFETY: the action is one that the system gave, or ours, whose handler is a function of the type
    // that SA_SIGINFO asks for.
    let result = unsafe { libc::sigaction(signal, action, ptr::null_mut()) };
    assert_eq!(result, 0, "the action of signal {signal} can be set");
}

/// Ours takes the place of what is there.
fn take_over(signal: c_int, before: &AtomicPtr<libc::sigaction>) {
    let action = action_of(signal);
    if action.sa_sigaction == own() {
        return; // somebody put their own over ours, and ours back
    }
    before.store(Box::leak(Box::new(action)), Ordering::Release);
    // SAFETY: all zeros is a valid action and an empty mask.
    let mut ours: libc::sigaction = unsafe { zeroed() };
    ours.sa_sigaction = own();
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    set_action(signal, &ours);
}

/// What was there before us is there again.
fn give_back(signal: c_int, before: &AtomicPtr<libc::sigaction>) {
    // Somebody who put theirs over ours may chain to it: left alone.
    // SAFETY: what is not null was leaked by `take_over`.
    if action_of(signal).sa_sigaction == own()
        && let Some(before) = unsafe { before.load(Ordering::Acquire).as_ref() }
    {
        set_action(signal, before);
    }
}

/// One user more; the first installs.
fn enters(users: &Mutex<usize>, install: impl FnOnce()) {
    let mut users = users.lock().unwrap_or_else(PoisonError::into_inner);
    *users += 1;
    if *users == 1 {
        install();
    }
}

/// One user less; the last restores.
fn leaves(users: &Mutex<usize>, restore: impl FnOnce()) {
    let mut users = users.lock().unwrap_or_else(PoisonError::into_inner);
    *users -= 1;
    if *users == 0 {
        restore();
    }
}

/// While it lives, an aborted process says which run was under way.
pub(in crate::conformance) struct Aborts(());

impl Aborts {
    /// Whether somebody in this process tells of its abort.
    pub(in crate::conformance) const ARE_HEARD: bool = true;

    pub(in crate::conformance) fn listen() -> Self {
        enters(&RUNS, || take_over(libc::SIGABRT, &BEFORE_ABORT));
        Self(())
    }
}

impl Drop for Aborts {
    fn drop(&mut self) {
        leaves(&RUNS, || give_back(libc::SIGABRT, &BEFORE_ABORT));
    }
}

/// That the handlers are installed.
pub(super) struct Handlers(());

impl Handlers {
    /// # Panics
    ///
    /// When a debugger is attached: it would take the signals for itself.
    pub(super) fn install() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
        if let Some(tracer) = tracer.map(str::trim).filter(|tracer| *tracer != "0") {
            panic!(
                "process {tracer} traces this one (a debugger?) and takes SIGSEGV and SIGTRAP for \
                 itself; detach it, or run the suite without `trapping` and `privileged`"
            );
        }
        super::instruction::warm();
        enters(&USERS, || {
            for (signal, before) in SIGNALS.into_iter().zip(&BEFORE) {
                take_over(signal, before);
            }
        });
        Self(())
    }

    /// # Panics
    ///
    /// When somebody replaced a handler: nothing would be trapped.
    pub(super) fn assert_in_force(&self) {
        for (signal, name) in SIGNALS.into_iter().zip(["SIGSEGV", "SIGTRAP", "SIGILL"]) {
            assert!(
                action_of(signal).sa_sigaction == own(),
                "somebody replaced the handler of {name} while the suite had its own; let them install \
                 theirs before the suite begins: it chains to them"
            );
        }
    }
}

impl Drop for Handlers {
    fn drop(&mut self) {
        leaves(&USERS, || {
            for (signal, before) in SIGNALS.into_iter().zip(&BEFORE) {
                give_back(signal, before);
            }
        });
    }
}

extern "C" fn on_signal(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives a handler with SA_SIGINFO both, for as long as it runs; `errno` is this
    // thread's own.
    unsafe {
        let errno = *libc::__errno_location();
        let raised = Raised { signal, code: (*info).si_code, address: (*info).si_addr() as u64 };
        if signal == libc::SIGABRT {
            super::stray::say_place();
            chain(signal, info, context);
        } else if !super::heard(&raised, &mut Context::new(context.cast())) {
            chain(signal, info, context);
        }
        *libc::__errno_location() = errno;
    }
}

/// What would have happened without us.
///
/// # Safety
///
/// Called by the handler of `signal` with what it was given.
unsafe fn chain(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let index = SIGNALS.iter().position(|own| *own == signal);
    let before = index.and_then(|index| BEFORE.get(index)).unwrap_or(&BEFORE_ABORT);
    // SAFETY: what is not null was leaked by `take_over`. A handler that was installed by somebody is
    // called as the kernel would call it; the default is set and the signal raised again, which takes
    // effect when this handler has returned.
    unsafe {
        let before = before.load(Ordering::Acquire).as_ref();
        let handler = before.map_or(libc::SIG_DFL, |before| before.sa_sigaction);
        let flags = before.map_or(0, |before| before.sa_flags);
        if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
            let mut default: libc::sigaction = zeroed();
            default.sa_sigaction = libc::SIG_DFL;
            libc::sigaction(signal, &raw const default, ptr::null_mut());
            libc::raise(signal);
        } else if flags & libc::SA_SIGINFO != 0 {
            let handler: Handler = core::mem::transmute(handler);
            handler(signal, info, context);
        } else {
            let handler: extern "C" fn(c_int) = core::mem::transmute(handler);
            handler(signal);
        }
    }
}

/// Bytes of the stack that handlers run on: a walk of the tables needs about 1 KiB, the kernel's frame
/// with all vector registers about 11 KiB (`AT_MINSIGSTKSZ`).
const STACK_BYTES: usize = 128 * 1024;

/// A stack for handlers in this thread: that of the code under test may be used up, and the one which
/// the standard library made is small.
pub(super) struct AlternateStack {
    before: libc::stack_t,
    _bytes: Box<[u8]>,
}

impl AlternateStack {
    pub(super) fn set() -> Self {
        let mut bytes = vec![0_u8; STACK_BYTES].into_boxed_slice();
        // SAFETY: the bytes live as long as they are set: `drop` sets what was there before them.
        unsafe {
            let ours = libc::stack_t {
                ss_sp: bytes.as_mut_ptr().cast(),
                ss_flags: 0,
                ss_size: bytes.len(),
            };
            let mut before = zeroed();
            let result = libc::sigaltstack(&raw const ours, &raw mut before);
            assert_eq!(result, 0, "an alternate signal stack can be set");
            Self { before, _bytes: bytes }
        }
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        // SAFETY: what was set before us outlives us, as it did when it was set.
        let result = unsafe { libc::sigaltstack(&raw const self.before, ptr::null_mut()) };
        assert_eq!(result, 0, "the alternate signal stack can be set back");
    }
}

/// Writes to standard error without a lock or a buffer.
pub(super) fn say(text: &str) {
    // SAFETY: the text is readable; a failure is nobody's concern.
    unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
}

/// Ends the process with a reason.
pub(super) fn die(text: &str) -> ! {
    say(text);
    say("\n");
    std::process::abort()
}
