//! Whether a run gets on and comes to its end: who keeps it from that is told.
//!
//! Code that loops through [`Memory`](super::Memory) is ended by its budget of accesses. Code that loops
//! elsewhere holds this thread for ever: nobody can end it, so the process ends, with the reason. To be told a
//! finding instead, run it [`isolated`](super::Suite::isolated).
//!
//! Code that calls `exit` would take the test with it, and with a code of 0 that would pass. `exit` of glibc
//! destroys what is local to the thread that calls it (`__call_tls_dtors`), and there lies a value that knows of
//! the run under way: it says so, and aborts. Nothing is seen of `_exit`, of a call by a thread that the code
//! under test made, nor on a host whose `exit` destroys nothing.

use core::cell::RefCell;
use std::io::{Write, stderr};
use std::process::{abort, exit};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use super::isolate;
use super::operation::Call;
use super::options::{from_environment, test_name};

/// A case that takes so many seconds is endless, unless `RINGFENCE_PATIENCE` says otherwise: the longest that
/// end take seconds.
const PATIENCE_SECONDS: u64 = 300;

/// How often the thread looks.
const LOOK: Duration = Duration::from_millis(500);

/// How a process ends in which a test failed.
const FAILED: i32 = 101;

struct Progress {
    /// The name of the test.
    name: Option<String>,
    /// Instances that were made.
    instances: AtomicU64,
    seed: AtomicU64,
    /// The call that the allocator makes, if one is under way.
    within: Mutex<String>,
    is_over: AtomicBool,
}

thread_local! {
    /// That of the run under way in this thread.
    static CURRENT: UnderWay = const { UnderWay(RefCell::new(None)) };
}

/// What is known of the run under way, if there is one.
struct UnderWay(RefCell<Option<Arc<Progress>>>);

impl Drop for UnderWay {
    /// A thread that ends has come back from its run: only `exit` destroys this before.
    fn drop(&mut self) {
        let Some(progress) = self.0.take() else { return };
        let within = progress.within.lock().unwrap_or_else(PoisonError::into_inner);
        let place = progress.place(&within);
        let text = format!(
            "the code under test ends the process, {place}, before the test has come to its end"
        );
        tell(progress.name.as_deref(), &text, progress.seed());
        abort();
    }
}

impl Progress {
    fn seed(&self) -> u64 {
        self.seed.load(Ordering::Relaxed)
    }

    /// The case under way, and the call of the allocator in it.
    fn place(&self, within: &str) -> String {
        format!("in the case with seed {}{}", self.seed(), told_within(within))
    }
}

/// An instance is about to be made: the run gets on.
pub(super) fn gets_on() {
    isolate::gets_on();
    CURRENT.with(|current| {
        if let Some(progress) = &*current.0.borrow() {
            progress.instances.fetch_add(1, Ordering::Relaxed);
            progress.within.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    });
}

/// The case with this seed begins.
pub(super) fn begins(seed: Option<u64>) {
    CURRENT.with(|current| {
        if let (Some(progress), Some(seed)) = (&*current.0.borrow(), seed) {
            progress.seed.store(seed, Ordering::Relaxed);
        }
    });
}

/// The allocator makes a call, or that is over: code that waits for itself never comes back from there.
pub(super) fn within(call: Option<&Call>) {
    let told = call.map(Call::to_string);
    isolate::within(told.as_deref());
    CURRENT.with(|current| {
        if let Some(progress) = &*current.0.borrow() {
            *progress.within.lock().unwrap_or_else(PoisonError::into_inner) =
                told.unwrap_or_default();
        }
    });
}

/// How it is said where code did not return from.
pub(super) fn told_within(call: &str) -> String {
    if call.is_empty() {
        String::new()
    } else {
        format!(", in a call that the allocator made: {call}")
    }
}

/// While it lives, somebody looks.
pub(super) struct Watch {
    progress: Arc<Progress>,
    thread: Option<Thread>,
}

impl Watch {
    /// # Panics
    ///
    /// When `RINGFENCE_PATIENCE` is set and no number.
    pub(super) fn begin(patience: Option<Duration>) -> Self {
        let (instances, seed, within, is_over) = Default::default();
        let progress = Progress { name: test_name(), instances, seed, within, is_over };
        let progress = Arc::new(progress);
        CURRENT.with(|current| current.0.replace(Some(Arc::clone(&progress))));
        let watched = Arc::clone(&progress);
        let patience = patience.unwrap_or_else(|| {
            Duration::from_secs(from_environment("RINGFENCE_PATIENCE").unwrap_or(PATIENCE_SECONDS))
        });
        let look = move || {
            if is_stuck(&watched, patience) {
                let within = watched.within.lock().unwrap_or_else(PoisonError::into_inner);
                let text = format!(
                    "the code under test has not returned for {} s, {}, and does not touch memory: \
                     nothing can end it but the end of this process",
                    patience.as_secs(),
                    watched.place(&within)
                );
                tell(watched.name.as_deref(), &text, watched.seed());
                exit(FAILED);
            }
        };
        // Without another thread nobody looks: no reason not to run.
        let thread = thread::Builder::new().name("ringfence watch".to_owned()).spawn(look).ok();
        Self { progress, thread: thread.map(|handle| handle.thread().clone()) }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        CURRENT.with(|current| current.0.take());
        self.progress.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}

/// Whether a case does not end; `false` when the run is over.
fn is_stuck(progress: &Progress, patience: Duration) -> bool {
    let (mut waited, mut last) = (Duration::ZERO, 0);
    while waited < patience {
        thread::park_timeout(LOOK);
        if progress.is_over.load(Ordering::Relaxed) {
            return false;
        }
        let instances = progress.instances.load(Ordering::Relaxed);
        waited = if instances == last { waited + LOOK } else { Duration::ZERO };
        last = instances;
    }
    true
}

fn tell(test: Option<&str>, what: &str, seed: u64) {
    let test = test.unwrap_or("main");
    let text = format!(
        "ringfence: {test}: {what}. To be told a finding, run the suite with `.isolated(..)`; to see it \
         alone: RINGFENCE_SEED={seed} RINGFENCE_CASES=1\n"
    );
    // Nobody to tell: it ends all the same.
    let _ = stderr().write_all(text.as_bytes());
}
