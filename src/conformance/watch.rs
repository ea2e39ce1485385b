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
//!
//! Where code is hosted (features `store-trap` and `privileged-shim`, Linux on x86-64), a handler of SIGABRT says
//! which case it was: of a call of `abort`, a panic that can't unwind, a stack that overflows. Elsewhere somebody who
//! [outlives](super::survivor) the process does.

use core::cell::RefCell;
use std::io::{Write, stderr};
use std::process::{abort, exit};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use super::guard::Place;
use super::isolate;
use super::memory::Aborts;
use super::operation::Call;
use super::options::{from_environment, test_name};
use super::survivor::Line;

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
    place: Mutex<Place>,
    /// It goes on although a panic has ended it: it catches that.
    is_spent: AtomicBool,
    /// The call under way, and its number in the case.
    call: Mutex<(usize, String)>,
    /// The call that the allocator makes, if one is under way.
    within: Mutex<String>,
    /// What is told when this process ends without a word.
    line: Option<Line>,
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
        let place = progress.told();
        let text = format!(
            "the code under test ends the process, {place}: the test has not come to its end"
        );
        progress.is_told();
        tell(progress.name.as_deref(), &text, progress.place());
        abort();
    }
}

impl Progress {
    fn place(&self) -> Place {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The case under way, and the call in it.
    fn told(&self) -> String {
        let within = self.within.lock().unwrap_or_else(PoisonError::into_inner);
        let call = self.call.lock().unwrap_or_else(PoisonError::into_inner);
        format!("{}{}", self.place().told(), told_call(call.0, &call.1, &within))
    }

    /// From now on this is under way.
    fn note(&self) {
        if let Some(line) = &self.line {
            let what = format!("this process ended {}", self.told());
            line.say(&sentence(self.name.as_deref(), &what, self.place()));
        }
    }

    /// It is told in another way.
    fn is_told(&self) {
        self.line.iter().for_each(Line::clear);
    }

    /// What is known of code that does not return.
    fn manner(&self) -> &'static str {
        if self.is_spent.load(Ordering::Relaxed) {
            "its accesses to memory are spent, and it catches the panic that ends such code"
        } else {
            "it does not use up its accesses to memory, which would end it"
        }
    }
}

/// An instance is about to be made: the run gets on.
pub(super) fn gets_on() {
    isolate::gets_on();
    CURRENT.with(|current| {
        if let Some(progress) = &*current.0.borrow() {
            progress.instances.fetch_add(1, Ordering::Relaxed);
            progress.within.lock().unwrap_or_else(PoisonError::into_inner).clear();
            *progress.call.lock().unwrap_or_else(PoisonError::into_inner) = Default::default();
            progress.is_spent.store(false, Ordering::Relaxed);
        }
    });
}

/// The test and the place of the run under way in this thread, for a signal handler: it neither waits nor
/// allocates.
#[cfg(all(
    any(feature = "store-trap", feature = "privileged-shim"),
    target_os = "linux",
    target_arch = "x86_64"
))]
pub(super) fn peek(tell: impl FnOnce(Option<&str>, Place)) {
    // What is in use at this moment, or gone, is not told.
    let _ = CURRENT.try_with(|current| {
        if let Ok(progress) = current.0.try_borrow()
            && let Some(progress) = &*progress
            && let Ok(place) = progress.place.try_lock()
        {
            tell(progress.name.as_deref(), *place);
        }
    });
}

/// The code has no accesses left, and a panic is to end it.
pub(super) fn is_spent() {
    CURRENT.with(|current| {
        if let Some(progress) = &*current.0.borrow() {
            progress.is_spent.store(true, Ordering::Relaxed);
        }
    });
}

/// A case begins.
pub(super) fn begins(place: Place) {
    CURRENT.with(|current| {
        if let Some(progress) = &*current.0.borrow() {
            *progress.place.lock().unwrap_or_else(PoisonError::into_inner) = place;
            *progress.call.lock().unwrap_or_else(PoisonError::into_inner) = Default::default();
            progress.note();
        }
    });
}

/// This call of the case is about to be made.
pub(super) fn calls(number: usize, call: &str) {
    CURRENT.with(|current| {
        if let Some(progress) = &*current.0.borrow() {
            let mut under_way = progress.call.lock().unwrap_or_else(PoisonError::into_inner);
            under_way.0 = number;
            call.clone_into(&mut under_way.1);
            drop(under_way);
            progress.note();
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
            progress.note();
        }
    });
}

/// How it is said where code did not return from: the call of the case, or the one that the allocator made in it.
pub(super) fn told_call(number: usize, call: &str, within: &str) -> String {
    if !within.is_empty() {
        return format!(", in a call that the allocator made: {within}");
    }
    match (number, call) {
        (_, "") => String::new(),
        (0, call) => format!(", in {call}"),
        (number, call) => format!(", in call {number}: {call}"),
    }
}

/// While it lives, somebody looks.
pub(super) struct Watch {
    progress: Arc<Progress>,
    /// Of the run in which the code under test began this one.
    outer: Option<Arc<Progress>>,
    thread: Option<Thread>,
    _aborts: Aborts,
}

impl Watch {
    /// # Panics
    ///
    /// When `RINGFENCE_PATIENCE` is set and no number.
    pub(super) fn begin(patience: Option<Duration>) -> Self {
        let (instances, place, is_spent, call, within, is_over) = Default::default();
        let line = if Aborts::ARE_HEARD { None } else { Line::take() };
        let name = test_name();
        let progress = Progress { name, instances, place, is_spent, call, within, line, is_over };
        progress.note();
        let progress = Arc::new(progress);
        let outer = CURRENT.with(|current| current.0.replace(Some(Arc::clone(&progress))));
        let watched = Arc::clone(&progress);
        let patience = patience.unwrap_or_else(|| {
            Duration::from_secs(from_environment("RINGFENCE_PATIENCE").unwrap_or(PATIENCE_SECONDS))
        });
        let look = move || {
            if is_stuck(&watched, patience) {
                let text = format!(
                    "the code under test has not returned for {} s, {}; {}: nothing can end it but the \
                     end of this process",
                    patience.as_secs(),
                    watched.told(),
                    watched.manner()
                );
                watched.is_told();
                tell(watched.name.as_deref(), &text, watched.place());
                exit(FAILED);
            }
        };
        // Without another thread nobody looks: no reason not to run.
        let thread = thread::Builder::new().name("ringfence watch".to_owned()).spawn(look).ok();
        let thread = thread.map(|handle| handle.thread().clone());
        Self { progress, outer, thread, _aborts: Aborts::listen() }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        CURRENT.with(|current| current.0.replace(self.outer.take()));
        // Not only once the thread has let go of it too: the process may end before that gets a turn.
        self.progress.is_told();
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

fn sentence(test: Option<&str>, what: &str, place: Place) -> String {
    let test = test.unwrap_or("main");
    let alone = match place {
        Place::Start => "; to see it alone: RINGFENCE_CASES=1".to_owned(),
        Place::Seed(seed) => {
            format!("; to see it alone: RINGFENCE_SEED={seed} RINGFENCE_CASES=1")
        }
        Place::Given => String::new(),
    };
    format!(
        "ringfence: {test}: {what}. To be told a finding, run the suite with `.isolated(..)`{alone}"
    )
}

fn tell(test: Option<&str>, what: &str, place: Place) {
    let text = sentence(test, what, place) + "\n";
    // Nobody to tell: it ends all the same.
    let _ = stderr().write_all(text.as_bytes());
}
