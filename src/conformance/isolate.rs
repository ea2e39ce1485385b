//! The same run in a child process first, for code that may crash its process or loop without ever
//! touching memory.
//!
//! The child is this test binary with this test alone. It writes the seed of each case to a file before
//! it begins, and again with each instance that is made; a child that is ended by a signal, by a call of `exit`, or
//! makes no progress for too long, died in that case. What this crate said of it on standard error is told too; what
//! others say there is not the same in each run.

use core::cell::{Cell, RefCell};
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{env, process};

use super::child::{self, Looks, Still};
use super::deaths::Script;
use super::guard::Place;
use super::options::test_name;
use super::progress;
use super::watch::told_call;

/// Set in a child: the file it writes its progress to.
const PROGRESS: &str = "RINGFENCE_CONFORMANCE_PROGRESS";

/// Set in a child that makes one try: which one.
const SCRIPT: &str = "RINGFENCE_CONFORMANCE_SCRIPT";

/// What is in that file before the first case, in one that has no seed, and when a run is over.
const BEGUN: &str = "begun";
const GIVEN: &str = "given";
const OVER: &str = "over";

/// How long it is read at most what a dead child said: whoever it started may hold its standard error for longer.
const WORDS_PATIENCE: Duration = Duration::from_secs(1);

/// Bytes of what a child said that are kept: the last.
const WORDS_BYTES: usize = 4096;

/// How a line begins in which this crate says why a process ends.
const OURS: &str = "ringfence: ";

/// What a child died of.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Manner {
    /// It ended, with this status.
    Ends(String),
    /// It took too much memory.
    Grows,
    /// It made no progress.
    Hangs,
}

impl Manner {
    /// Whether such a death takes seconds.
    pub(super) const fn is_slow(&self) -> bool {
        matches!(self, Self::Grows | Self::Hangs)
    }
}

/// How a child died.
pub(super) struct Death {
    pub(super) manner: Manner,
    /// The name of the function under way.
    during: String,
    pub(super) place: Place,
    /// Which allocation was to fail, if that was known.
    pub(super) nth: Option<u32>,
    /// Which call of the case was under way, counted from 1; 0 if none, or if it was another case by then.
    pub(super) call: usize,
    pub(super) how: String,
}

/// Which try this process is to make.
pub(super) fn script() -> Option<String> {
    env::var(SCRIPT).ok().filter(|_| is_child())
}

/// Whether this process is such a child.
pub(super) fn is_child() -> bool {
    progress::of_this_child(PROGRESS).is_some()
}

thread_local! {
    /// Of a child: the case under way, and instances made.
    static UNDER_WAY: Cell<(Place, u64)> = const { Cell::new((Place::Start, 0)) };
    /// Which allocation is to fail in it; 0: not known.
    static NTH: Cell<u32> = const { Cell::new(0) };
    /// A run is.
    static IS_UNDER_WAY: Cell<bool> = const { Cell::new(false) };
    /// What is run is the case as it was drawn.
    static IS_DRAWN: Cell<bool> = const { Cell::new(true) };
    /// The call under way, and its number in that case, or 0.
    static CALL: RefCell<(usize, String)> = const { RefCell::new((0, String::new())) };
    /// The call that the allocator makes, if one is under way.
    static WITHIN: RefCell<String> = const { RefCell::new(String::new()) };
}

/// While it lives, a run is under way in a child. It ends with a mark, also when a panic ends it: code that ends the
/// process leaves none.
pub(super) struct UnderWay;

impl UnderWay {
    /// `None` in a process that nobody looks after.
    pub(super) fn begin() -> Option<Self> {
        if !is_child() {
            return None;
        }
        UNDER_WAY.set((Place::Start, 0));
        IS_UNDER_WAY.set(true);
        write(BEGUN);
        Some(Self)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        IS_UNDER_WAY.set(false);
        write(OVER);
    }
}

/// A child says which case it begins.
pub(super) fn begins(place: Place) {
    let (_, instances) = UNDER_WAY.get();
    UNDER_WAY.set((place, instances));
    NTH.set(0);
    IS_DRAWN.set(true);
    CALL.take();
    tell();
}

/// A child runs another case than it said.
pub(super) fn departs() {
    IS_DRAWN.set(false);
}

/// A child says which call it makes.
pub(super) fn calls(number: usize, call: &str) {
    if is_child() {
        CALL.set((if IS_DRAWN.get() { number } else { 0 }, call.to_owned()));
        tell();
    }
}

/// A child says which allocation is to fail in this case.
pub(super) fn strikes_at(nth: u32) {
    NTH.set(nth);
    tell();
}

/// An instance is about to be made: minimising one finding takes hundreds, and is progress.
pub(super) fn gets_on() {
    let (place, instances) = UNDER_WAY.get();
    UNDER_WAY.set((place, instances + 1));
    CALL.take();
    WITHIN.take();
    tell();
}

/// The allocator makes a call, or that is over.
pub(super) fn within(call: Option<&str>) {
    if is_child() {
        WITHIN.set(call.unwrap_or_default().to_owned());
        tell();
    }
}

fn tell() {
    let Some(progress) = progress::of_this_child(PROGRESS) else { return };
    let (place, instances) = UNDER_WAY.get();
    let nth = NTH.get();
    CALL.with_borrow(|(number, call)| {
        WITHIN.with_borrow(|within| {
            let rest = format_args!("{instances} {nth} {number} {call}\n{within}");
            match place {
                Place::Start if IS_UNDER_WAY.get() => {
                    progress.write(&format_args!("{BEGUN} {rest}"))
                }
                Place::Start => {}
                Place::Seed(seed) => progress.write(&format_args!("{seed} {rest}")),
                Place::Given => progress.write(&format_args!("{GIVEN} {rest}")),
            }
        });
    });
}

fn write(text: &str) {
    if let Some(progress) = progress::of_this_child(PROGRESS) {
        progress.write(&text);
    }
}

/// What ends a child.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// For so long it may make no progress.
    pub(super) patience: Duration,
    /// For so long it may run or sleep without progress: what it waits for a processor is not counted.
    pub(super) stood: Duration,
    /// Memory it may take, in MiB.
    pub(super) memory_mib: u64,
}

impl Limits {
    /// Of what is told; 2 GiB are many times what the suite itself needs.
    pub(super) const fn told(patience: Duration) -> Self {
        Self { patience, stood: Duration::MAX, memory_mib: 2048 }
    }
}

/// Runs this test in a child, or one try of it; `None` when the child ended by itself, whatever it found.
///
/// # Panics
///
/// When no child can be started.
pub(super) fn trial(limits: Limits, script: Option<&Script>) -> Option<Death> {
    let name = test_name();
    let label = name.as_deref().unwrap_or("main").replace("::", "-");
    let path = env::temp_dir().join(format!("ringfence-{}-{label}", process::id()));
    let mut command = Command::new(env::current_exe().expect("the path of this test binary"));
    match &name {
        Some(name) => command.args([name.as_str(), "--exact"]),
        None => command.args(env::args_os().skip(1)),
    };
    if let Some(script) = script {
        command.env(SCRIPT, script.to_string());
    }
    command.env(PROGRESS, &path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("a child process for an isolated run");
    let words = LastWords::of(child.stderr.take());
    let mut death = watch(child, limits, &path);
    if let Some(death) = &mut death {
        words.add_to(&mut death.how);
    }
    let _ = fs::remove_file(PathBuf::from(&path));
    death
}

/// The end of what a child writes to standard error.
struct LastWords {
    kept: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl LastWords {
    fn of(stderr: Option<ChildStderr>) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&kept);
        let read = move |stderr| keep_last(stderr, &shared);
        // Without a reader the child may block once the pipe is full, which is told as no progress.
        let reader =
            stderr.and_then(|stderr| thread::Builder::new().spawn(move || read(stderr)).ok());
        Self { kept, reader }
    }

    /// Adds what this crate said, if it said something.
    fn add_to(&self, how: &mut String) {
        let (mut looks, mut waited) = (Looks::default(), Duration::ZERO);
        while waited < WORDS_PATIENCE && !self.reader.as_ref().is_none_or(JoinHandle::is_finished) {
            waited += looks.pause();
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for line in String::from_utf8_lossy(&kept).lines() {
            if let Some(reason) = line.strip_prefix(OURS) {
                how.push_str("; ");
                how.push_str(reason);
            }
        }
    }
}

fn keep_last(mut stderr: ChildStderr, kept: &Mutex<Vec<u8>>) {
    let mut bytes = [0; WORDS_BYTES];
    loop {
        let count = match stderr.read(&mut bytes) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(bytes.get(..count).unwrap_or_default());
        let surplus = kept.len().saturating_sub(WORDS_BYTES);
        kept.drain(..surplus);
    }
}

fn place_in(progress: &str) -> Place {
    match progress.split_whitespace().next() {
        Some(GIVEN) => Place::Given,
        Some(seed) => seed.parse().map_or(Place::Start, Place::Seed),
        None => Place::Start,
    }
}

impl Death {
    /// One in which the child had come so far.
    fn at(progress: &str, manner: Manner, how: String) -> Self {
        let field = |number| progress.split_whitespace().nth(number).and_then(|it| it.parse().ok());
        let nth = field(2).filter(|nth| *nth > 0);
        let call = field(3).and_then(|call| usize::try_from(call).ok()).unwrap_or(0);
        let (case, within) = progress.split_once('\n').unwrap_or((progress, ""));
        let under_way =
            if within.is_empty() { case.split(' ').nth(4) } else { within.split(' ').next() };
        // What the allocator calls is the next call of the case.
        let call = call + usize::from(call > 0 && !within.is_empty());
        let during = under_way.unwrap_or_default().to_owned();
        Self { manner, during, place: place_in(progress), nth, call, how }
    }

    /// Whether it is one of the same kind: of the same signal, in the same function.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.manner == other.manner && self.during == other.during
    }
}

/// The call under way, as far as the child came to say so.
fn told_of(progress: &str) -> String {
    let (case, within) = progress.split_once('\n').unwrap_or((progress, ""));
    let mut fields = case.splitn(5, ' ').skip(3);
    let number = fields.next().and_then(|number| number.parse().ok()).unwrap_or(0);
    told_call(number, fields.next().unwrap_or_default(), within)
}

fn watch(mut child: Child, limits: Limits, path: &Path) -> Option<Death> {
    let (mut looks, mut waited) = (Looks::default(), Duration::ZERO);
    let pid = child.id();
    let mut still = Still::default();
    let mut last = String::new();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => {
                let progress = Some(progress::read(path)).filter(|text| !text.is_empty());
                let last = progress.unwrap_or(last);
                // No run was begun, or each was ended by itself.
                let is_usual = last.is_empty() || last == OVER;
                if status.code().is_some() && is_usual {
                    return None;
                }
                let how = format!("ends the process: {status}{}", told_of(&last));
                return Some(Death::at(&last, Manner::Ends(status.to_string()), how));
            }
            Ok(None) => {}
            Err(error) => panic!("the child process can't be watched: {error}"),
        }
        let progress = progress::read(path);
        // Before the first word it is empty.
        if !progress.is_empty() && progress != last {
            last = progress;
            waited = Duration::ZERO;
            still = Still::default();
        }
        let taken = child::resident_mib(pid);
        let how = if taken.is_some_and(|taken| taken > limits.memory_mib) {
            Some((Manner::Grows, "takes more than 2 GiB of memory".to_owned()))
        } else if waited >= limits.patience || still.stood >= limits.stood {
            let how =
                format!("makes no progress for {} s{}", limits.patience.as_secs(), told_of(&last));
            Some((Manner::Hangs, how))
        } else {
            None
        };
        if let Some((manner, how)) = how {
            // It may have ended meanwhile; either way it is gone then.
            let _ = child.kill();
            let _ = child.wait();
            return Some(Death::at(&last, manner, how));
        }
        let pause = looks.pause();
        waited += pause;
        if limits.stood < Duration::MAX {
            still.look(pid, pause);
        }
    }
}
