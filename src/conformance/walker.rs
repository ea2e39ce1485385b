//! The suite for walkers: any table bytes, any address, against the walk by the book.

use std::collections::BTreeSet;

use super::breach::{Breach, Check, Key};
use super::case::Case;
use super::checks::{totality, translation};
use super::draw::Draw;
use super::finding::Finding;
use super::format::{Decoded, Format, Reached, X86_64, index, size_at};
use super::memory::{Memory, enter, leave};
use super::report::Report;
use super::rights::Rights;
use super::stop::caught;
use super::subject::{Attempt, Walker};
use super::suite::{from_environment, test_name};
use crate::base::{Access, PhysAddr, Ring, Seed, TraceHash, VirtAddr};
use crate::minimise::{Budget, Extent, Shrink, minimise};

/// Sets of tables of a run that nobody sized.
const CASES: u64 = 2000;

/// Accesses to memory for one address at most: no walk reads more than five entries.
const ACCESSES_MAX: u32 = 1000;

const TRIALS_MAX: u32 = 600;
const FINDINGS_MAX: usize = 12;

/// Frames that become tables; the first is the root.
const TABLES: u64 = 8;

/// One entry: its level is told, since a table may be reached at several.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Word {
    table: u64,
    index: u64,
    level: u8,
    bits: u64,
}

/// Tables and what is asked of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Tables {
    pub(super) words: Vec<Word>,
    pub(super) attempts: Vec<Attempt>,
}

impl Shrink for Tables {
    fn lengths(&self) -> Vec<usize> {
        vec![self.attempts.len(), self.words.len()]
    }

    fn keeping(&self, sequence: usize, kept: &[usize]) -> Self {
        let mut form = self.clone();
        if sequence == 0 {
            form.attempts = kept.iter().filter_map(|&at| self.attempts.get(at).copied()).collect();
        } else {
            form.words = kept.iter().filter_map(|&at| self.words.get(at).copied()).collect();
        }
        form
    }

    fn simpler(&self) -> impl Iterator<Item = Self> {
        self.words.iter().enumerate().flat_map(move |(number, word)| {
            (0..64).filter(move |bit| word.bits >> bit & 1 == 1).map(move |bit| {
                let mut form = self.clone();
                if let Some(word) = form.words.get_mut(number) {
                    word.bits &= !(1 << bit);
                }
                form
            })
        })
    }
}

/// A run of the suite for walkers that is about to begin.
#[must_use = "nothing is run until `check` or `run` is called"]
pub struct WalkerSuite<F> {
    factory: F,
    format: &'static dyn Format,
    cases: u64,
    seed: u64,
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
    WalkerSuite { factory, format: X86_64::FOUR_LEVELS, cases: CASES, seed: 1 }
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
            report.tally.calls += tables.attempts.len() as u64;
            let (breach, pointers) = self.judge(&tables, &known, &mut hash);
            has_pointers |= pointers;
            let Some(breach) = breach else { continue };
            let key = breach.key();
            let finding = self.minimised(tables, &key, &known, seed);
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
        for attempt in &tables.attempts {
            memory.begin(ACCESSES_MAX);
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
            let entry_at = |at: PhysAddr| memory.peek(at);
            let mut book = format.translate(&entry_at, root(), attempt.virt);
            if walker.judges_rights() {
                let refused = book.filter(|book| !permits(book, attempt));
                if let (Some(told), Some(book)) = (&told, refused) {
                    let breach = wrongly_permitted(format, attempt, told.address, book);
                    if !known.contains(&breach.key()) {
                        return Some(breach);
                    }
                    continue;
                }
                book = book.filter(|book| permits(book, attempt));
            }
            let breach =
                translation::judge(format, &entry_at, root(), attempt.virt, told.as_ref(), book)
                    .filter(|breach| !known.contains(&breach.key()));
            if breach.is_some() {
                return breach;
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
            lines.push(format!("entry {at:#x}, written for level {}", word.level));
            let text = self.format.describe(word.level, word.bits);
            lines.push(format!("  {:#018x}  {text}", word.bits));
        }
        for attempt in &tables.attempts {
            let Attempt { virt, access, ring } = attempt;
            lines.push(format!("translate {virt}, {access:?} by {ring:?}"));
        }
        lines
    }
}

pub(super) fn root() -> PhysAddr {
    table(0)
}

fn table(number: u64) -> PhysAddr {
    Memory::frame(number).start()
}

fn address(word: &Word) -> PhysAddr {
    table(word.table).plus(8 * word.index)
}

/// Memory with these tables; entries may name any frame, so any load is legitimate.
pub(super) fn prepared(format: &'static dyn Format, words: &[Word]) -> Memory {
    let memory = Memory::new(format, None);
    memory.begin(ACCESSES_MAX);
    for _ in 0..TABLES {
        // Frames come in order; each is cleared.
        let _ = memory.allocate_zeroed();
    }
    memory.alter();
    for word in words {
        memory.poke(address(word), word.bits);
    }
    memory
}

/// What the architecture permits with write protection for the kernel and without SMEP and SMAP.
fn permits(book: &Reached, attempt: &Attempt) -> bool {
    let needed = match attempt.access {
        Access::Read => Rights::READ,
        Access::Write => Rights::WRITE,
        Access::Execute => Rights::EXECUTE,
    };
    book.rights.has(needed) && (attempt.ring == Ring::Kernel || book.rights.has(Rights::USER))
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

pub(super) fn generate(draw: &mut Draw<'_>, format: &dyn Format, has_pointers: bool) -> Tables {
    let mut tables = Tables::default();
    for _ in 0..1 + draw.below(3) {
        let edge = draw.pick(format.edges()).unwrap_or(0);
        let virt = VirtAddr(edge.wrapping_add(draw.below(600) << 12));
        let lowest = 1 + u8::try_from(draw.below(3)).unwrap_or(0);
        let mut number = 0;
        for level in (lowest..=format.levels()).rev() {
            let rights = Rights::from_bits(u8::try_from(draw.below(8)).unwrap_or(0));
            let below = 1 + draw.below(TABLES - 1);
            let bits = if level > lowest {
                format.table(table(below))
            } else {
                let bytes = size_at(level).map_or(4096, crate::machine::paging::PageSize::bytes);
                let page = PhysAddr::truncated(0x20_0000_0000 + draw.below(4) * bytes);
                format.leaf(level, page, rights)
            };
            let bits = altered(draw, format, level, bits, has_pointers);
            tables.words.push(Word { table: number, index: index(level, virt), level, bits });
            number = below;
        }
        for _ in 0..2 {
            let access =
                draw.pick(&[Access::Read, Access::Write, Access::Execute]).unwrap_or(Access::Read);
            let ring = draw.pick(&[Ring::Kernel, Ring::User]).unwrap_or(Ring::Kernel);
            let mut virt = virt.plus(draw.below(4096));
            if draw.one_in(8) {
                virt = VirtAddr(virt.0 ^ 1 << (47 + draw.below(17)));
            }
            tables.attempts.push(Attempt { virt, access, ring });
        }
    }
    tables
}

/// Half of the entries stay as they are; code with pointers is not led out of memory.
fn altered(
    draw: &mut Draw<'_>,
    format: &dyn Format,
    level: u8,
    bits: u64,
    has_pointers: bool,
) -> u64 {
    let changed = match draw.below(8) {
        0..=3 => return bits,
        4 | 5 => bits ^ 1 << draw.below(64),
        6 => bits ^ 1 << draw.below(13),
        _ => bits | draw.below(u64::MAX) & format.decorations(level),
    };
    const ADDRESS: u64 = ((1 << 52) - 1) & !0xfff;
    let leads_away = level > 1
        && (changed ^ bits) & ADDRESS != 0
        && !matches!(format.decode(level, changed), Decoded::Leaf { .. });
    let becomes_table = level > 1
        && matches!(format.decode(level, bits), Decoded::Leaf { .. })
        && !matches!(format.decode(level, changed), Decoded::Leaf { .. });
    if has_pointers && (leads_away || becomes_table) { bits } else { changed }
}
