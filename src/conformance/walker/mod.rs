//! The suite for walkers: any table bytes, any address, against the walk by the book.

mod addresses;
mod entries;
mod standalone;
mod stores;
mod story;
mod tables;

use core::cell::{Cell, RefCell};
use core::ops::Range;
use std::collections::BTreeSet;
use std::time::Duration;

use super::breach::{Breach, Check, Key};
use super::case::Case;
use super::checks::{totality, translation};
use super::declared::{Declared, Told};
use super::draw::Draw;
use super::factory::WalkerFactory;
use super::finding::{Finding, Reproduction};
use super::format::{Decoded, Format, Reached, index, size_at};
use super::guard;
#[cfg(all(feature = "store-trap", target_os = "linux", target_arch = "x86_64"))]
use super::memory::Observed;
use super::memory::{Memory, enter, leave};
use super::options::{Options, builder, test_name};
use super::report::Report;
use super::run::Tally;
use super::search::{self, Ran, Search, TRIALS_MAX, vanished};
use super::stop::{Ended, Stop};
use super::subject::{Attempt, Mapping, Walker};
use crate::base::{Access, PhysAddr, Ring, TraceHash, VirtAddr};
use crate::minimise::{Budget, Cut, Extent, Minimal, Minimiser, minimise};

use self::stores::Ledger;
use self::tables::{Step, Tables, address};
pub(super) use self::tables::{generate, prepared, root};

/// Sets of tables of a run that nobody sized.
const CASES: u64 = 3000;

/// Accesses to memory for one address at most: no walk reads more than five entries.
const ACCESSES_MAX: u32 = 1000;

/// A run of the suite for walkers that is about to begin.
#[must_use = "nothing is run until `check` or `run` is called"]
pub struct WalkerSuite<F> {
    factory: F,
    options: Options,
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
    WalkerSuite { factory, options: Options::new(CASES, ACCESSES_MAX) }
}

impl<W: Walker, F: Fn(Memory, PhysAddr) -> W> WalkerSuite<F> {
    builder!();

    /// How many accesses to memory a walk may make before it counts as endless; 1000 unless said otherwise.
    pub fn accesses_max(mut self, accesses: u32) -> Self {
        self.options.accesses_max = accesses;
        self
    }

    /// What it does, whatever the type of the code under test.
    fn search<'f>(&'f self) -> Questions<'f>
    where
        W: 'f,
    {
        Questions {
            factory: &self.factory,
            options: &self.options,
            reach: RefCell::new(0..u64::MAX),
        }
    }
}

/// A suite for walkers under way.
struct Questions<'f> {
    factory: &'f dyn WalkerFactory<'f>,
    options: &'f Options,
    /// Physical addresses that can be followed by the code; known when it was asked once.
    reach: RefCell<Range<u64>>,
}

impl Questions<'_> {
    /// The suite, from this seed on.
    fn run(&self, first: u64, cases: u64) -> Report {
        search::run(self, self.options, first, cases)
    }

    /// The case that these bytes are.
    fn fuzz(&self, bytes: &[u8]) -> Report {
        search::fuzz(self, self.options, bytes)
    }

    /// A test that makes the finding again, if the adapter spells what that takes.
    fn reproduction(&self, tables: &Tables, breach: &Breach) -> Reproduction {
        let memory = self.prepared(tables);
        enter(&memory);
        let test = memory.attempt(|| {
            let walker = self.factory.make(memory.clone(), root());
            standalone::test(self.options.format, &memory, &*walker, tables, breach)
        });
        leave();
        memory.retire();
        Reproduction { test: test.ok().flatten(), ..Reproduction::default() }
    }

    fn prepared(&self, tables: &Tables) -> Memory {
        prepared(self.options.format, &tables.words, self.options.hosting)
    }

    /// What the code showed of its reach: having taken pointers once it has them, though it may ask for none where
    /// it refuses an address.
    fn learn_reach(&self, memory: &Memory) {
        let seen = memory.reach();
        let mut reach = self.reach.borrow_mut();
        *reach = reach.start.max(seen.start)..reach.end.min(seen.end);
    }

    fn judge(&self, tables: &Tables, known: &BTreeSet<Key>) -> Ran {
        let memory = self.prepared(tables);
        enter(&memory);
        let mut hash = TraceHash::default();
        let mut tally = Tally::default();
        // What was done to make the tables is nobody's doing.
        let _ = memory.take_journal();
        let breach = self.first_breach(&memory, tables, known, &mut hash, &mut tally.told);
        leave();
        memory.retire();
        self.learn_reach(&memory);
        tally.calls = tables.attempts().count() as u64;
        Ran { breach, tally, digest: hash.digest(), steps: tables.steps.len() }
    }

    fn first_breach(
        &self,
        memory: &Memory,
        tables: &Tables,
        known: &BTreeSet<Key>,
        hash: &mut TraceHash,
        told: &mut Told,
    ) -> Option<Breach> {
        memory.begin(self.options.accesses_max);
        let mut walker = match memory.attempt(|| self.factory.make(memory.clone(), root())) {
            Ok(walker) => walker,
            Err(stop) => return self.stopped(&stop, totality::MAKING, known),
        };
        let mut ledger = Ledger::new(self.options.format);
        ledger.sets_marks = walker.sets_marks();
        memory.compare_all();
        let made = ledger.made(&memory.take_journal());
        let made = made.filter(|breach| !known.contains(&breach.key()));
        let breach =
            made.or_else(|| self.steps(&mut *walker, (memory, tables), &ledger, known, hash, told));
        if memory.is_given_up() {
            core::mem::forget(walker); // it was left in the middle of a call
            return breach;
        }
        // What came through pointers, in whichever call.
        memory.compare_all();
        let breach = breach.or_else(|| self.wrote(memory, &ledger, "is asked", known));
        memory.begin(self.options.accesses_max);
        guard::calls(0, &totality::DROP);
        let dropped = memory.attempt(|| drop(walker));
        breach.or_else(|| self.stopped(&dropped.err()?, totality::DROP, known))
    }

    /// What the code stored and took since that was last asked.
    fn wrote(
        &self,
        memory: &Memory,
        ledger: &Ledger<'_>,
        during: &str,
        known: &BTreeSet<Key>,
    ) -> Option<Breach> {
        let breach = ledger.asked(&memory.take_journal(), during);
        breach.filter(|breach| !known.contains(&breach.key()))
    }

    fn stopped(&self, stop: &Stop, during: &str, known: &BTreeSet<Key>) -> Option<Breach> {
        totality::stopped(stop, during, self.options.accesses_max)
            .filter(|breach| !known.contains(&breach.key()))
    }

    fn steps(
        &self,
        walker: &mut dyn Walker,
        (memory, tables): (&Memory, &Tables),
        ledger: &Ledger<'_>,
        known: &BTreeSet<Key>,
        hash: &mut TraceHash,
        seen: &mut Told,
    ) -> Option<Breach> {
        for (number, step) in (1..).zip(&tables.steps) {
            memory.begin(self.options.accesses_max);
            guard::calls(number, step);
            let attempt = match step {
                Step::Ask(attempt) if self.meets_unknown(walker, memory, attempt.virt) => continue,
                Step::Ask(attempt) => attempt,
                Step::Change(word, what) => {
                    memory.poke(address(word), word.bits);
                    if let Err(stop) = memory.attempt(|| walker.invalidate(*what)) {
                        return self.stopped(&stop, "invalidate", known);
                    }
                    if let Some(breach) = self.wrote(memory, ledger, "is told to forget", known) {
                        return Some(breach);
                    }
                    continue;
                }
            };
            let told = match memory.attempt(|| walker.translate(attempt)) {
                Ok(told) => told,
                Err(stop) => {
                    let breach = self.stopped(&stop, "translate", known);
                    if breach.is_some() || memory.is_given_up() {
                        return breach;
                    }
                    continue;
                }
            };
            told.iter().for_each(|told| seen.note(told));
            hash.absorb(attempt.virt.0, told.map_or(u64::MAX, |told| told.address.raw()));
            let format = self.options.format;
            let breach = against_the_book(format, memory, walker, attempt, told.as_ref());
            let breach = breach.filter(|breach| !known.contains(&breach.key()));
            let breach = breach.or_else(|| self.wrote(memory, ledger, "is asked", known));
            if breach.is_some() {
                return breach;
            }
        }
        None
    }

    /// Whether the walk ends at an entry for a page of a size that the walker does not know.
    fn meets_unknown(&self, walker: &dyn Walker, memory: &Memory, virt: VirtAddr) -> bool {
        let format = self.options.format;
        let mut table = root();
        for level in (2..=format.levels()).rev() {
            let bits = memory.peek(table.plus(8 * index(format, level, virt)));
            match format.decode(level, bits) {
                Decoded::Table { at, .. } => table = at,
                Decoded::Invalid => return false,
                _ => return size_at(level).is_some_and(|size| !walker.knows(size)),
            }
        }
        false
    }
}

impl Search for Questions<'_> {
    type Case = Tables;

    const STREAM: &'static str = "conformance walker";

    /// Asks once on empty tables whether it takes raw pointers.
    fn begin(&self, report: &mut Report) -> Result<(), Ended> {
        report.walker = true;
        let memory = self.prepared(&Tables::default());
        enter(&memory);
        let first = self.options.format.edges().first().copied().unwrap_or(0);
        let virt = VirtAddr(first.wrapping_add(0x1000));
        let attempt = Attempt { virt, access: Access::Read, ring: Ring::Kernel };
        let during = Cell::new(totality::MAKING);
        let asked = memory.attempt(|| {
            let mut walker = self.factory.make(memory.clone(), root());
            let declared = Declared::by_walker(&*walker, |what| {
                during.set(what);
                guard::calls(0, &what);
            });
            // What it answers is judged later, and so is how it ends.
            let _ = super::stop::caught(|| walker.translate(&attempt));
            (walker, declared)
        });
        let result = match asked {
            Ok((walker, declared)) => {
                report.declared = declared;
                guard::calls(0, &totality::DROP);
                if memory.is_given_up() {
                    core::mem::forget(walker); // it was left in the middle of a call
                    Ok(())
                } else {
                    let dropped = memory.attempt(|| drop(walker));
                    dropped.map_err(|stop| Ended { stop, during: totality::DROP })
                }
            }
            Err(stop @ Stop::Panicked(..)) => Err(Ended { stop, during: during.get() }),
            Err(_) => Ok(()),
        };
        leave();
        memory.retire();
        self.learn_reach(&memory);
        result
    }

    fn draw(&self, draw: &mut Draw<'_>, report: &Report) -> Tables {
        generate(draw, self.options.format, &self.reach.borrow(), &report.declared)
    }

    fn planned(&self, draw: &mut Draw<'_>, _: Option<u32>, report: &Report) -> Tables {
        self.draw(draw, report)
    }

    fn run(&self, tables: &Tables, known: &BTreeSet<Key>, _: &Report) -> Ran {
        self.judge(tables, known)
    }

    fn minimised(
        &self,
        tables: Tables,
        _: usize,
        key: &Key,
        known: &BTreeSet<Key>,
        _: &Report,
    ) -> Finding {
        let reach = self.reach.borrow().clone();
        let fails = |tables: &Tables| {
            if !tables.is_within(self.options.format, &reach) {
                return None;
            }
            let breach = self.judge(tables, known).breach;
            breach.filter(|breach| breach.key() == *key)
        };
        let whole = tables.clone();
        let minimal = minimise(tables, Budget { trials_max: TRIALS_MAX }, fails);
        let (tables, breach, extent, trials) = match minimal {
            Some(minimal) => (minimal.value, minimal.evidence, minimal.extent, minimal.trials),
            None => (whole, vanished(key), Extent::BudgetHit, 1),
        };
        let reproduction = self.reproduction(&tables, &breach);
        Finding {
            breach,
            case: Case::default(),
            seed: None,
            format: self.options.format.name(),
            counted: Some(story::counted(&tables)),
            extent,
            trials,
            is_given: false,
            story: story::lines(self.options.format, &tables),
            reproduction,
            test: test_name(),
        }
    }

    fn least<E>(
        &self,
        (tables, steps): (Tables, usize),
        budget: Budget,
        _: &Report,
        mut fails: impl FnMut(&Tables) -> Option<E>,
    ) -> Option<Minimal<Tables, E>> {
        let reach = self.reach.borrow().clone();
        let cut = Cut { sequence: 0, kept: if steps > 0 { steps } else { tables.steps.len() } };
        Minimiser::within(budget).cut(cut).minimise(tables, |tables| {
            if tables.is_within(self.options.format, &reach) { fails(tables) } else { None }
        })
    }

    fn exercise(&self, tables: &Tables, _: &Report) {
        // It ends at the first breach that is not known.
        let mut known = BTreeSet::new();
        while let Some(breach) = self.judge(tables, &known).breach {
            if !known.insert(breach.key()) {
                break;
            }
        }
    }

    fn until(&self, tables: &mut Tables, steps: usize) {
        tables.steps.truncate(steps);
    }

    fn told(&self, tables: &Tables) -> (Vec<String>, Case, String) {
        let lines = story::lines(self.options.format, tables);
        (lines, Case::default(), story::counted(tables))
    }
}

/// Judges one answer.
fn against_the_book(
    format: &dyn Format,
    memory: &Memory,
    walker: &dyn Walker,
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
