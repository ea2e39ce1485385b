//! The suite for walkers: any table bytes, any address, against the walk by the book.

mod tables;

use std::collections::BTreeSet;

use super::breach::{Breach, Check, Key};
use super::case::Case;
use super::checks::{totality, translation};
use super::draw::Draw;
use super::finding::Finding;
use super::format::{Format, Reached, X86_64};
use super::memory::{Memory, enter, leave};
use super::report::Report;
use super::stop::caught;
use super::subject::{Attempt, Mapping, Walker};
use super::suite::{Observer, from_environment, test_name};
use crate::base::{Access, PhysAddr, Ring, Seed, TraceHash, VirtAddr};
use crate::minimise::{Budget, Extent, minimise};

use self::tables::{Step, Tables, address};
pub(super) use self::tables::{generate, prepared, root};

/// Sets of tables of a run that nobody sized.
const CASES: u64 = 2000;

/// Accesses to memory for one address at most: no walk reads more than five entries.
const ACCESSES_MAX: u32 = 1000;

const TRIALS_MAX: u32 = 600;
const FINDINGS_MAX: usize = 12;

/// A run of the suite for walkers that is about to begin.
#[must_use = "nothing is run until `check` or `run` is called"]
pub struct WalkerSuite<F> {
    factory: F,
    format: &'static dyn Format,
    cases: u64,
    seed: u64,
    observer: Option<Observer>,
}

/// A suite for code that only translates. `factory` makes an instance for the tables below a root,
/// which are complete by then.
///
/// ```
/// use ringfence::base::PhysAddr;
/// use ringfence::conformance::{self, Attempt, Mapping, Memory, Walker};
///
/// /// Code under test: it finds nothing, which is right only where nothing is mapped.
/// struct Blind;
///
/// impl Walker for Blind {
///     fn translate(&mut self, _: &Attempt) -> Option<Mapping> {
///         None
///     }
/// }
///
/// let report = conformance::walker(|_: Memory, _: PhysAddr| Blind).cases(50).run();
///
/// assert!(report.has(conformance::Check::Translation));
/// ```
pub fn walker<W: Walker, F: Fn(Memory, PhysAddr) -> W>(factory: F) -> WalkerSuite<F> {
    WalkerSuite { factory, format: X86_64::FOUR_LEVELS, cases: CASES, seed: 1, observer: None }
}

impl<W: Walker, F: Fn(Memory, PhysAddr) -> W> WalkerSuite<F> {
    /// The table format; x86-64 with 4 levels unless said otherwise.
    pub fn format(mut self, format: &'static dyn Format) -> Self {
        self.format = format;
        self
    }

    /// How many sets of tables; `RINGFENCE_CASES` overrides it.
    pub fn cases(mut self, cases: u64) -> Self {
        self.cases = cases;
        self
    }

    /// The seed of the first set; `RINGFENCE_SEED` overrides it.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Calls `observer` with each finding as soon as it is minimised: a long run tells what it found
    /// before it ends.
    pub fn on_finding(mut self, observer: impl Fn(&Finding) + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Runs the suite and prints the report.
    ///
    /// # Panics
    ///
    /// With the report, when there is a finding.
    #[track_caller]
    pub fn check(self) {
        let report = self.run();
        if report.findings.is_empty() {
            println!("{report}");
        } else {
            panic!("\n{report}");
        }
    }

    /// Runs the suite.
    ///
    /// # Panics
    ///
    /// When `RINGFENCE_SEED` or `RINGFENCE_CASES` is set and no number.
    #[must_use]
    pub fn run(self) -> Report {
        let cases = from_environment("RINGFENCE_CASES").unwrap_or(self.cases);
        let first = from_environment("RINGFENCE_SEED").unwrap_or(self.seed);
        let mut known = BTreeSet::new();
        let mut report = Report { walker: true, ..Report::empty(first) };
        let mut hash = TraceHash::default();
        let mut has_pointers = self.has_pointers();
        for number in 0..cases {
            let seed = first.wrapping_add(number);
            let mut draw = Draw::Stream(Box::new(Seed(seed).stream("conformance walker", 0)));
            let tables = generate(&mut draw, self.format, has_pointers);
            report.cases += 1;
            report.tally.calls += tables.attempts().count() as u64;
            let (breach, pointers) = self.judge(&tables, &known, &mut hash);
            has_pointers |= pointers;
            let Some(breach) = breach else { continue };
            let key = breach.key();
            let finding = self.minimised(tables, &key, &known, seed);
            if let Some(observer) = &self.observer {
                observer(&finding);
            }
            report.findings.push(finding);
            known.insert(key);
            if report.findings.len() >= FINDINGS_MAX {
                break;
            }
        }
        report.digest = hash.digest();
        report
    }

    /// Whether it takes raw pointers: asked on empty tables.
    fn has_pointers(&self) -> bool {
        let memory = prepared(self.format, &[]);
        enter(&memory);
        let virt = VirtAddr(0x1000);
        let attempt = Attempt { virt, access: Access::Read, ring: Ring::Kernel };
        let _ = caught(|| (self.factory)(memory.clone(), root()).translate(&attempt));
        leave();
        memory.has_pointers()
    }

    fn judge(
        &self,
        tables: &Tables,
        known: &BTreeSet<Key>,
        hash: &mut TraceHash,
    ) -> (Option<Breach>, bool) {
        let memory = prepared(self.format, &tables.words);
        enter(&memory);
        let breach = self.first_breach(&memory, tables, known, hash);
        leave();
        (breach, memory.has_pointers())
    }

    fn first_breach(
        &self,
        memory: &Memory,
        tables: &Tables,
        known: &BTreeSet<Key>,
        hash: &mut TraceHash,
    ) -> Option<Breach> {
        let format = self.format;
        let stopped = |stop, during| {
            totality::stopped(&stop, during, ACCESSES_MAX)
                .filter(|breach| !known.contains(&breach.key()))
        };
        memory.begin(ACCESSES_MAX);
        let mut walker = match caught(|| (self.factory)(memory.clone(), root())) {
            Ok(walker) => walker,
            Err(stop) => return stopped(stop, "making it"),
        };
        for step in &tables.steps {
            memory.begin(ACCESSES_MAX);
            let attempt = match step {
                Step::Ask(attempt) => attempt,
                Step::Change(word, what) => {
                    memory.poke(address(word), word.bits);
                    if let Err(stop) = caught(|| walker.invalidate(*what)) {
                        return stopped(stop, "invalidate");
                    }
                    continue;
                }
            };
            let told = match caught(|| walker.translate(attempt)) {
                Ok(told) => told,
                Err(stop) => {
                    let breach = stopped(stop, "translate");
                    if breach.is_some() {
                        return breach;
                    }
                    continue;
                }
            };
            hash.absorb(attempt.virt.0, told.map_or(u64::MAX, |told| told.address.raw()));
            let breach = against_the_book(format, memory, &walker, attempt, told.as_ref());
            if let Some(breach) = breach.filter(|breach| !known.contains(&breach.key())) {
                return Some(breach);
            }
        }
        None
    }

    fn minimised(&self, tables: Tables, key: &Key, known: &BTreeSet<Key>, seed: u64) -> Finding {
        let fails = |tables: &Tables| {
            let (breach, _) = self.judge(tables, known, &mut TraceHash::default());
            breach.filter(|breach| breach.key() == *key)
        };
        let whole = tables.clone();
        let minimal = minimise(tables, Budget { trials_max: TRIALS_MAX }, fails);
        let (tables, breach, extent, trials) = match minimal {
            Some(minimal) => (minimal.value, minimal.evidence, minimal.extent, minimal.trials),
            None => {
                let what = "answered so once and not again: it depends on something else";
                let (check, kind) = key.clone();
                let rule = super::breach::INTERFACE;
                let breach = Breach { check, kind, what: what.to_owned(), virt: None, rule };
                (whole, breach, Extent::BudgetHit, 1)
            }
        };
        Finding {
            breach,
            case: Case::default(),
            seed: Some(seed),
            format: self.format.name(),
            extent,
            trials,
            story: self.told(&tables),
            reproduction: Vec::new(),
            test: test_name(),
        }
    }

    fn told(&self, tables: &Tables) -> Vec<String> {
        let mut lines = vec![format!("root {:#x}", root().raw())];
        for word in &tables.words {
            let at = address(word).raw();
            let level = self.format.level_name(word.level);
            lines.push(format!("entry {at:#x}, written for level {level}"));
            let text = self.format.describe(word.level, word.bits);
            lines.push(format!("  {:#018x}  {text}", word.bits));
        }
        for step in &tables.steps {
            match step {
                Step::Ask(Attempt { virt, access, ring }) => {
                    lines.push(format!("translate {virt}, {access:?} by {ring:?}"));
                }
                Step::Change(word, what) => {
                    let at = address(word).raw();
                    lines.push(format!("entry {at:#x} becomes, then invalidate {what:x?}"));
                    let text = self.format.describe(word.level, word.bits);
                    lines.push(format!("  {:#018x}  {text}", word.bits));
                }
            }
        }
        lines
    }
}

/// Judges one answer.
fn against_the_book(
    format: &dyn Format,
    memory: &Memory,
    walker: &impl Walker,
    attempt: &Attempt,
    told: Option<&Mapping>,
) -> Option<Breach> {
    let entry_at = |at: PhysAddr| memory.peek(at);
    let mut book = format.translate(&entry_at, root(), attempt.virt);
    if walker.judges_rights() {
        let refused = book.filter(|book| !permits(format, book, attempt));
        if let (Some(told), Some(book)) = (told, refused) {
            return Some(wrongly_permitted(format, attempt, told.address, book));
        }
        book = book.filter(|book| permits(format, book, attempt));
    }
    let book = book.map(|book| (book, walker.tells_rights()));
    translation::judge(format, &entry_at, root(), attempt.virt, told, book)
}

fn permits(format: &dyn Format, book: &Reached, attempt: &Attempt) -> bool {
    format.permits(book.rights, attempt.access, attempt.ring)
}

fn wrongly_permitted(
    format: &dyn Format,
    attempt: &Attempt,
    address: PhysAddr,
    book: Reached,
) -> Breach {
    let (virt, ring, access) = (attempt.virt, attempt.ring, attempt.access);
    Breach {
        check: Check::Translation,
        kind: format!("permits {access:?} by {ring:?}").to_lowercase(),
        what: format!(
            "translates {virt} to {:#x} for {access:?} by {ring:?}; the processor faults: the page \
             is {}",
            address.raw(),
            book.rights
        ),
        virt: Some(virt),
        rule: format.rule(super::format::Rule::Translation),
    }
}
