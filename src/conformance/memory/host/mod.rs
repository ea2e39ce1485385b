//! Code under test that runs as it is: raw pointers whose stores are seen one by one, privileged
//! instructions that are emulated and reported.
//!
//! Linux on x86-64 only, behind the features `store-trap` and `privileged-shim`. Beside the oracle
//! that asks KVM these are the only places of the crate with unsafe code, each file for one reason:
//!
//! | module | answers | unsafe because |
//! |---|---|---|
//! | `active` | whose code runs in this thread? | a handler is given no argument of ours |
//! | `signals` | who hears of a fault? | signal handlers of the process are replaced |
//! | `context` | what did the interrupted code have in its registers? | the kernel hands them over by pointer |
//! | `stack` | how is code ended that never returns? | its stack is given up |
//! | `window` | where does physical memory lie? | pages are mapped twice, with other rights |
//! | `trap` | what did an access read or write? | – |
//! | `recursion` | where do the code's own tables say that it lies? | – |
//! | `record` | what is written down of it? | – |
//! | `instruction` | what was about to be executed? | – |
//! | `stray` | what is said of an access that nobody answers? | – |
//! | `privileged` | what does a privileged instruction do? | – |
//!
//! # Why a signal handler may do this
//!
//! A handler runs here only because an instruction of the code under test touched the window or was
//! privileged. So it is a call from that instruction. What it interrupts can't be the allocator or this
//! crate, neither of which touches the window, and POSIX forbids a handler nothing when what it
//! interrupts is safe to interrupt ("Signal Concepts", "Signal Actions"). All the same nothing
//! here allocates, locks or unwinds: the journal has its room beforehand, and what the books hold is
//! written back by compiler fences at each hook.
//!
//! # What it can't see
//!
//! Threads that the code under test starts, whose faults end the process after a line of ours; system calls that write to the window (they fail with
//! `EFAULT`); loads, unless [`Observed::Accesses`] is asked for. A debugger takes the signals for
//! itself, so none may be attached.

mod active;
mod context;
mod instruction;
#[cfg(feature = "privileged-shim")]
mod privileged;
mod record;
#[cfg(feature = "store-trap")]
mod recursion;
mod signals;
mod stack;
mod stray;
#[cfg(all(test, feature = "store-trap", feature = "privileged-shim"))]
mod tests;
#[cfg(feature = "store-trap")]
mod trap;
#[cfg(feature = "store-trap")]
mod window;

use core::cell::{Cell, RefCell};

use self::active::Active;
use self::context::Context;
use self::signals::{AlternateStack, Handlers, Raised};
use super::{Memory, Words};
use crate::conformance::stop::{Stop, caught};

#[cfg(feature = "privileged-shim")]
pub(super) use privileged::Privileged;
pub(in crate::conformance) use signals::Aborts;
#[cfg(feature = "store-trap")]
pub(super) use trap::Trap;

/// Which accesses through raw pointers are observed.
#[cfg(feature = "store-trap")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Observed {
    /// Each store. Loads run at full speed and are not seen: neither one that reads a frame of data
    /// as a table, nor a loop that only loads.
    Stores,
    /// Each load too: everything is judged as through [`Memory::load`](super::Memory::load).
    Accesses,
}

/// How the code under test is run.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Hosting {
    /// Its accesses are trapped.
    #[cfg(feature = "store-trap")]
    pub(crate) observed: Option<Observed>,
    /// Physical addresses are addresses of this process.
    #[cfg(feature = "store-trap")]
    pub(crate) is_identity: bool,
    /// The entry of the root that names the root, through which the code reaches its tables.
    #[cfg(feature = "store-trap")]
    pub(crate) recursive: Option<u64>,
    /// Its privileged instructions are emulated.
    #[cfg(feature = "privileged-shim")]
    pub(crate) is_privileged: bool,
}

impl Hosting {
    /// Bits of a physical address that pages are mapped to at most: what a pointer to one beyond the window would lead
    /// to is somebody else's, and the process may end there.
    pub(crate) const fn physical_bits(self) -> u32 {
        #[cfg(feature = "store-trap")]
        if self.observed.is_some() {
            return window::MAPPED_BITS;
        }
        u64::BITS
    }

    /// How many of the cases that are usual are run where nobody says how many: each access that is trapped takes as
    /// long as hundreds that are not.
    pub(crate) const fn cases(self, usual: u64) -> u64 {
        #[cfg(feature = "store-trap")]
        if self.observed.is_some() {
            return usual.div_ceil(20);
        }
        usual
    }
}

/// What a memory needs to host code.
pub(super) struct Host {
    /// `None` when nothing runs here any more.
    handlers: RefCell<Option<Handlers>>,
    #[cfg(feature = "store-trap")]
    pub(super) trap: Option<Trap>,
    #[cfg(feature = "privileged-shim")]
    pub(super) privileged: Option<Privileged>,
    /// Code was ended and its stack given up: whatever it held is left alone.
    is_given_up: Cell<bool>,
}

impl Host {
    /// `None` when nothing is asked for.
    ///
    /// # Panics
    ///
    /// When the host refuses, or a debugger is attached.
    pub(super) fn new(hosting: Hosting) -> Option<Self> {
        #[cfg(feature = "store-trap")]
        let trap = Trap::new(&hosting);
        #[cfg(feature = "privileged-shim")]
        let privileged = hosting.is_privileged.then(Privileged::default);
        let mut is_wanted = false;
        #[cfg(feature = "store-trap")]
        {
            is_wanted |= trap.is_some();
        }
        #[cfg(feature = "privileged-shim")]
        {
            is_wanted |= privileged.is_some();
        }
        is_wanted.then(|| Self {
            handlers: RefCell::new(Some(Handlers::install())),
            #[cfg(feature = "store-trap")]
            trap,
            #[cfg(feature = "privileged-shim")]
            privileged,
            is_given_up: Cell::new(false),
        })
    }

    pub(super) fn has_unseen_loads(&self) -> bool {
        #[cfg(feature = "store-trap")]
        if let Some(trap) = &self.trap {
            return trap.observed() == Observed::Stores;
        }
        false
    }

    /// The frames, where they must lie so that accesses can be trapped.
    pub(super) fn frames(&self) -> Option<&[Words]> {
        #[cfg(feature = "store-trap")]
        if let Some(trap) = &self.trap {
            return Some(trap.window.frames());
        }
        None
    }
}

impl Memory {
    /// Calls the code under test; what ends it is caught.
    pub(crate) fn attempt<T>(&self, call: impl FnOnce() -> T) -> Result<T, Stop> {
        let Some(host) = &self.0.host else { return caught(call) };
        if let Some(handlers) = &*host.handlers.borrow() {
            handlers.assert_in_force();
        }
        let result = {
            let _stack = AlternateStack::set();
            let _active = Active::set(self);
            caught(|| stack::on_own(call))
        };
        let result = match result {
            Ok(Some(result)) => Ok(result),
            Ok(None) => {
                host.is_given_up.set(true);
                Err(Stop::Endless)
            }
            Err(stop) => Err(stop),
        };
        if self.undo_void() { Err(Stop::Abandoned) } else { result }
    }

    /// Whether code was ended in the middle and its stack given up: then nothing that it held may be
    /// dropped.
    pub(crate) fn is_given_up(&self) -> bool {
        self.0.host.as_ref().is_some_and(|host| host.is_given_up.get())
    }

    /// Lets go of what code held that was given up.
    pub(crate) fn retire(&self) {
        let Some(host) = self.0.host.as_ref().filter(|host| host.is_given_up.get()) else { return };
        host.handlers.take();
        #[cfg(feature = "store-trap")]
        if let Some(trap) = &host.trap {
            trap.window.close();
        }
    }

    #[cfg(not(feature = "privileged-shim"))]
    pub(crate) const fn take_misuse(&self) -> Option<super::Misuse> {
        None
    }

    #[cfg(not(feature = "store-trap"))]
    pub(super) const fn trapped_reach(&self) -> Option<core::ops::Range<u64>> {
        None
    }

    #[cfg(not(feature = "store-trap"))]
    pub(super) const fn trapped_pointer(&self, _: u64) -> Option<*mut u8> {
        None
    }

    /// Ends the call under way from a signal handler, for good.
    fn give_up(&self, context: &mut Context<'_>) {
        #[cfg(feature = "store-trap")]
        self.close_pages();
        if std::thread::panicking() || !stack::leave(context) {
            signals::die(
                "ringfence: the code under test makes too many accesses and can't be ended here: it \
                 runs on a stack of its own, or unwinds. Run it with `isolated`.",
            );
        }
    }
}

/// A signal in this thread: `false` when it is nobody's here.
fn heard(raised: &Raised, context: &mut Context<'_>) -> bool {
    let heard = active::with(|memory| {
        if raised.is_fault() && stack::is_overflow(raised.address) {
            signals::say("ringfence: the code under test overflows its stack of 2 MiB\n");
            stray::say_place();
            return false;
        }
        #[cfg(feature = "store-trap")]
        if memory.trapped(raised, context) {
            return true;
        }
        #[cfg(feature = "privileged-shim")]
        if memory.emulated(raised, context) {
            return true;
        }
        stray::say_why(memory, raised, context);
        false
    });
    heard.unwrap_or_else(|| {
        stray::say_whose(raised, context);
        false
    })
}
