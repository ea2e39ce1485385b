//! A thread that looks whether a run gets on, and says so when it does not.
//!
//! Code that loops through [`Memory`](super::Memory) is ended by its budget of accesses. Code that loops
//! elsewhere holds this thread for ever: nobody can end it, so the process ends, with the reason. To be told a
//! finding instead, run it [`isolated`](super::Suite::isolated).

use core::cell::RefCell;
use std::io::{Write, stderr};
use std::process::exit;
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
    /// Instances that were made.
    instances: AtomicU64,
    seed: AtomicU64,
    /// The call that the allocator makes, if one is under way.
    within: Mutex<String>,
    is_over: AtomicBool,
}

thread_local! {
    /// That of the run under way in this thread.
    static CURRENT: RefCell<Option<Arc<Progress>>> = const { RefCell::new(None) };
}

/// An instance is about to be made: the run gets on.
pub(super) fn gets_on() {
    isolate::gets_on();
    CURRENT.with_borrow(|current| {
        if let Some(progress) = current {
            progress.instances.fetch_add(1, Ordering::Relaxed);
            progress.within.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    });
}

/// The case with this seed begins.
pub(super) fn begins(seed: Option<u64>) {
    CURRENT.with_borrow(|current| {
        if let (Some(progress), Some(seed)) = (current, seed) {
            progress.seed.store(seed, Ordering::Relaxed);
        }
    });
}

/// The allocator makes a call, or that is over: code that waits for itself never comes back from there.
pub(super) fn within(call: Option<&Call>) {
    let told = call.map(Call::to_string);
    isolate::within(told.as_deref());
    CURRENT.with_borrow(|current| {
        if let Some(progress) = current {
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
        let progress = Arc::new(Progress { instances, seed, within, is_over });
        CURRENT.set(Some(Arc::clone(&progress)));
        let (watched, name) = (Arc::clone(&progress), test_name());
        let patience = patience.unwrap_or_else(|| {
            Duration::from_secs(from_environment("RINGFENCE_PATIENCE").unwrap_or(PATIENCE_SECONDS))
        });
        let look = move || {
            if let Some(seed) = stuck(&watched, patience) {
                let within = watched.within.lock().unwrap_or_else(PoisonError::into_inner);
                tell(name.as_deref(), seed, patience, &told_within(&within));
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
        CURRENT.set(None);
        self.progress.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}

/// The seed of the case that does not end; `None` when the run is over.
fn stuck(progress: &Progress, patience: Duration) -> Option<u64> {
    let (mut waited, mut last) = (Duration::ZERO, 0);
    while waited < patience {
        thread::park_timeout(LOOK);
        if progress.is_over.load(Ordering::Relaxed) {
            return None;
        }
        let instances = progress.instances.load(Ordering::Relaxed);
        waited = if instances == last { waited + LOOK } else { Duration::ZERO };
        last = instances;
    }
    Some(progress.seed.load(Ordering::Relaxed))
}

fn tell(test: Option<&str>, seed: u64, patience: Duration, within: &str) {
    let test = test.unwrap_or("main");
    let text = format!(
        "ringfence: {test}: the code under test has not returned for {} s, in the case with seed \
         {seed}{within}, and does not touch memory: nothing can end it but the end of this process. To be told a \
         finding, run the suite with `.isolated(..)`; to see it alone: RINGFENCE_SEED={seed} \
         RINGFENCE_CASES=1\n",
        patience.as_secs()
    );
    // Nobody to tell: it ends all the same.
    let _ = stderr().write_all(text.as_bytes());
}
