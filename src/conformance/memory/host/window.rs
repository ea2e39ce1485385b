//! Physical memory as the code under test sees it through pointers, and as this crate does.
//!
//! The same pages are mapped twice: here with all rights, and at the code's pointers with none that would
//! let an access go unseen. Around those lies a wide window of addresses without memory, so that an
//! access to a physical address that is not there is seen too.
//!
//! The window may lie where physical addresses are addresses of this process, for code that takes one for the
//! other. It then begins at 4 GiB, where memory does: below lies what is nobody's to map, page 0 first of all.
//! There is one such place, so one memory at a time has it.
//!
//! Unsafe because of the mappings.

#![allow(unsafe_code, reason = "pages are mapped twice, with other rights")]
#![allow(clippy::cast_possible_truncation, reason = "only where an address has 64 bits")]

use core::cell::{Cell, RefCell};
use core::ops::Range;
use core::{ptr, slice};
use std::io::Error;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::{BASE, FRAMES, Words};
use crate::base::FRAME_BYTES;

/// Physical addresses that pointers reach, with or without memory behind them: all that the suite maps,
/// and room for what wrong arithmetic makes of it.
const WINDOW_BYTES: u64 = 1 << 40;
/// Bits of a physical address that pages are mapped to at most: half of the window is that room.
pub(super) const MAPPED_BITS: u32 = WINDOW_BYTES.ilog2() - 1;

const MEMORY_BYTES: usize = (FRAMES * FRAME_BYTES) as usize;

/// What is allowed at the code's pointers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Access {
    Nothing,
    Load,
    Store,
}

impl Access {
    const fn protection(self) -> i32 {
        match self {
            Self::Nothing => libc::PROT_NONE,
            Self::Load => libc::PROT_READ,
            Self::Store => libc::PROT_READ | libc::PROT_WRITE,
        }
    }
}

/// Where windows lie, for a handler in a thread that has none; 0 is a free place. One that finds no place is not
/// told of there.
static WINDOWS: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];

/// Whether an address of this process lies in a window of any thread.
pub(super) fn is_in_one(address: u64) -> bool {
    let is_in = |start: u64| start != 0 && address.wrapping_sub(start) < WINDOW_BYTES;
    WINDOWS.iter().any(|window| is_in(window.load(Ordering::Relaxed)))
}

/// One window is written down, or struck out.
fn exchange(before: u64, after: u64) {
    let order = (Ordering::Relaxed, Ordering::Relaxed);
    let _ = WINDOWS
        .iter()
        .find(|window| window.compare_exchange(before, after, order.0, order.1).is_ok());
}

/// Held by the memory whose window lies at its physical addresses.
static IDENTITY: Mutex<()> = Mutex::new(());

thread_local! {
    /// Whether a memory of this thread holds it: waiting for oneself has no end.
    static HAS_IDENTITY: Cell<bool> = const { Cell::new(false) };
}

/// The only place where physical addresses are addresses of this process.
struct Identity {
    _held: MutexGuard<'static, ()>,
}

impl Identity {
    /// # Panics
    ///
    /// When a memory of this thread has it.
    fn take() -> Self {
        assert!(
            !HAS_IDENTITY.replace(true),
            "two memories of one thread can't both lie at their physical addresses"
        );
        Self { _held: IDENTITY.lock().unwrap_or_else(PoisonError::into_inner) }
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        HAS_IDENTITY.set(false);
    }
}

/// The two mappings.
pub(crate) struct Window {
    /// Where the code finds physical address 0, which is before the window where that lies at its physical
    /// addresses.
    start: *mut u8,
    /// The first physical address in the window.
    first: u64,
    identity: RefCell<Option<Identity>>,
    /// Where this crate finds [`BASE`].
    own: *mut u8,
    is_open: Cell<bool>,
}

fn refused(what: &str) -> ! {
    panic!("{what} for the store trap: {}", Error::last_os_error())
}

impl Window {
    /// # Panics
    ///
    /// When the host refuses.
    pub(super) fn new(usual: Access, is_identity: bool) -> Self {
        let identity = is_identity.then(Identity::take);
        let first = if is_identity { BASE } else { 0 };
        let wanted = ptr::without_provenance_mut::<libc::c_void>(first as usize);
        let at_once = if is_identity { libc::MAP_FIXED_NOREPLACE } else { 0 };
        let all = (WINDOW_BYTES - first) as usize;
        let window_flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | at_once;
        // SAFETY: new mappings at addresses where nothing is, but for the last, which replaces a part of the
        // first that nobody has been told of. The file is closed when all are made: they keep it.
        unsafe {
            let descriptor = libc::memfd_create(c"ringfence".as_ptr(), libc::MFD_CLOEXEC);
            if descriptor < 0 {
                refused("no memory file");
            }
            let file = OwnedFd::from_raw_fd(descriptor);
            if libc::ftruncate(file.as_raw_fd(), MEMORY_BYTES as i64) != 0 {
                refused("no memory");
            }
            let window = libc::mmap(wanted, all, libc::PROT_NONE, window_flags, -1, 0);
            if window == libc::MAP_FAILED {
                refused(if is_identity {
                    "not all addresses from 4 GiB to 1 TiB are free"
                } else {
                    "no window of 1 TiB of addresses (is RLIMIT_AS set?)"
                });
            }
            // A kernel older than the flag takes the address for a wish.
            assert!(!is_identity || window == wanted, "the host maps physical addresses elsewhere");
            let start = window.cast::<u8>().wrapping_sub(first as usize);
            let both = libc::PROT_READ | libc::PROT_WRITE;
            let shared = libc::MAP_SHARED | libc::MAP_POPULATE;
            let fd = file.as_raw_fd();
            let own = libc::mmap(ptr::null_mut(), MEMORY_BYTES, both, shared, fd, 0);
            let at = start.wrapping_add(BASE as usize).cast();
            let fixed = libc::MAP_SHARED | libc::MAP_FIXED;
            let theirs = libc::mmap(at, MEMORY_BYTES, usual.protection(), fixed, fd, 0);
            if own == libc::MAP_FAILED || theirs == libc::MAP_FAILED {
                refused("no second mapping");
            }
            exchange(0, window as u64);
            let (own, is_open) = (own.cast(), Cell::new(true));
            Self { start, first, identity: RefCell::new(identity), own, is_open }
        }
    }

    /// All frames, as this crate sees them.
    pub(crate) fn frames(&self) -> &[Words] {
        // SAFETY: the mapping is aligned, as long as that, and lives as long as `self`; any bytes are
        // words. Whoever else writes there does so while this thread runs code that the compiler can't
        // see into, or is interrupted by it, and cells may change.
        unsafe { slice::from_raw_parts(self.own.cast(), FRAMES as usize) }
    }

    /// The physical addresses in it.
    pub(super) const fn reach(&self) -> Range<u64> {
        self.first..WINDOW_BYTES
    }

    /// Where the code finds a physical address, whether or not it reaches so far.
    pub(crate) fn pointer(&self, physical: u64) -> *mut u8 {
        self.start.wrapping_add(usize::try_from(physical).unwrap_or(usize::MAX))
    }

    /// The physical address of an address of this process, if it is in the window.
    pub(super) fn physical(&self, address: u64) -> Option<u64> {
        let distance = address.wrapping_sub(self.start as u64);
        (self.is_open.get() && self.reach().contains(&distance)).then_some(distance)
    }

    /// Allows this much at one page of the code's. Where there is no memory, what is there becomes zeros.
    pub(super) fn allow(&self, page: u64, access: Access) {
        let at = self.pointer(page & !(FRAME_BYTES - 1)).cast();
        let bytes = FRAME_BYTES as usize;
        let protection = access.protection();
        // SAFETY: one page of the window, which is ours; rights only, or, where there is no memory, a
        // fresh mapping instead of one that held nothing.
        let is_done = unsafe {
            if has_memory(page) {
                libc::mprotect(at, bytes, protection) == 0
            } else {
                let flags =
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE;
                libc::mmap(at, bytes, protection, flags, -1, 0) != libc::MAP_FAILED
            }
        };
        if !is_done {
            super::signals::die("ringfence: the host refuses to change the rights of a page");
        }
    }

    /// A word of a page of the code's that may be loaded from now.
    pub(super) fn word(&self, at: u64) -> u64 {
        // SAFETY: the caller allowed loads there; an aligned word of a page of ours.
        unsafe { self.pointer(at & !7).cast::<u64>().read_volatile() }
    }

    /// Gives back the addresses of code that was given up, and what lay behind them: it never runs again,
    /// but what it held keeps `self` alive.
    pub(super) fn close(&self) {
        if self.is_open.replace(false) {
            exchange(self.start as u64 + self.first, 0);
            // SAFETY: the window is ours, and nobody runs who has pointers into it.
            unsafe {
                let window = self.start.wrapping_add(self.first as usize);
                libc::munmap(window.cast(), (WINDOW_BYTES - self.first) as usize);
                libc::madvise(self.own.cast(), MEMORY_BYTES, libc::MADV_REMOVE);
            }
            self.identity.take();
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.close();
        // SAFETY: the mapping is ours, and no reference to it outlives `self`.
        unsafe { libc::munmap(self.own.cast(), MEMORY_BYTES) };
    }
}

/// Whether a physical address has memory behind it.
pub(super) const fn has_memory(physical: u64) -> bool {
    physical.wrapping_sub(BASE) < FRAMES * FRAME_BYTES
}
