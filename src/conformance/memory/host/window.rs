//! Physical memory as the code under test sees it through pointers, and as this crate does.
//!
//! The same pages are mapped twice: here with all rights, and at the code's pointers with none that would
//! let an access go unseen. Around those lies a wide window of addresses without memory, so that an
//! access to a physical address that is not there is seen too.
//!
//! Unsafe because of the mappings.

#![allow(unsafe_code, reason = "pages are mapped twice, with other rights")]
#![allow(clippy::cast_possible_truncation, reason = "only where an address has 64 bits")]

use core::cell::Cell;
use core::slice;
use std::io::Error;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::super::{BASE, FRAMES, Words};
use crate::base::FRAME_BYTES;

/// Physical addresses that pointers reach, with or without memory behind them: all that the suite maps,
/// and room for what wrong arithmetic makes of it.
pub(super) const WINDOW_BYTES: u64 = 1 << 40;

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

/// The two mappings.
pub(crate) struct Window {
    /// Where the code finds physical address 0.
    start: *mut u8,
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
    pub(super) fn new(usual: Access) -> Self {
        let (all, start_flags) =
            (WINDOW_BYTES as usize, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
        // SAFETY: new mappings at addresses that the kernel chooses, but for the last, which replaces a
        // part of the first that nobody has been told of. The file is closed when all are made: they
        // keep it.
        unsafe {
            let descriptor = libc::memfd_create(c"ringfence".as_ptr(), libc::MFD_CLOEXEC);
            if descriptor < 0 {
                refused("no memory file");
            }
            let file = OwnedFd::from_raw_fd(descriptor);
            if libc::ftruncate(file.as_raw_fd(), MEMORY_BYTES as i64) != 0 {
                refused("no memory");
            }
            let start = libc::mmap(core::ptr::null_mut(), all, libc::PROT_NONE, start_flags, -1, 0);
            if start == libc::MAP_FAILED {
                refused("no window of 1 TiB of addresses (is RLIMIT_AS set?)");
            }
            let start = start.cast::<u8>();
            let both = libc::PROT_READ | libc::PROT_WRITE;
            let shared = libc::MAP_SHARED | libc::MAP_POPULATE;
            let fd = file.as_raw_fd();
            let own = libc::mmap(core::ptr::null_mut(), MEMORY_BYTES, both, shared, fd, 0);
            let at = start.wrapping_add(BASE as usize).cast();
            let fixed = libc::MAP_SHARED | libc::MAP_FIXED;
            let theirs = libc::mmap(at, MEMORY_BYTES, usual.protection(), fixed, fd, 0);
            if own == libc::MAP_FAILED || theirs == libc::MAP_FAILED {
                refused("no second mapping");
            }
            Self { start, own: own.cast(), is_open: Cell::new(true) }
        }
    }

    /// All frames, as this crate sees them.
    pub(crate) fn frames(&self) -> &[Words] {
        // SAFETY: the mapping is aligned, as long as that, and lives as long as `self`; any bytes are
        // words. Whoever else writes there does so while this thread runs code that the compiler can't
        // see into, or is interrupted by it, and cells may change.
        unsafe { slice::from_raw_parts(self.own.cast(), FRAMES as usize) }
    }

    /// Where the code finds a physical address, whether or not it reaches so far.
    pub(crate) fn pointer(&self, physical: u64) -> *mut u8 {
        self.start.wrapping_add(usize::try_from(physical).unwrap_or(usize::MAX))
    }

    /// The physical address of an address of this process, if it is in the window.
    pub(super) fn physical(&self, address: u64) -> Option<u64> {
        let distance = address.wrapping_sub(self.start as u64);
        (self.is_open.get() && distance < WINDOW_BYTES).then_some(distance)
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
            // SAFETY: the window is ours, and nobody runs who has pointers into it.
            unsafe {
                libc::munmap(self.start.cast(), WINDOW_BYTES as usize);
                libc::madvise(self.own.cast(), MEMORY_BYTES, libc::MADV_REMOVE);
            }
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
