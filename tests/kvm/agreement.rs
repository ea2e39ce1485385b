//! What the guest says of cases beside what walkers say of them.

use std::collections::BTreeMap;
use std::fmt;

use ringfence::oracles::kvm::Answer;
use ringfence::oracles::recorded::{
    CaseAccess, CaseAnswer, Expectation, RecordedMachine, TranslationCase,
};

/// A walker under test.
pub(crate) type Judged = fn(&RecordedMachine, &TranslationCase) -> CaseAnswer;

/// What came of a set of cases.
#[derive(Default)]
pub(crate) struct Agreement {
    pub(crate) cases: usize,
    /// Cases the guest answered.
    pub(crate) answered: usize,
    /// Of those, how many it answered with a translation.
    pub(crate) translated: usize,
    /// Cases in which a walker disagrees.
    pub(crate) disagreed: usize,
    /// The first of them, in words.
    told: Vec<String>,
    /// Cases in which the guest read before it wrote; see [`reads_first`].
    read_first: usize,
    /// Cases that were not asked, by reason.
    abstained: BTreeMap<String, usize>,
}

/// Disagreements that are told in full.
const TOLD_MAX: usize = 5;

impl Agreement {
    /// Holds each walker to what the guest says.
    pub(crate) fn of(
        machine: &RecordedMachine,
        cases: &[TranslationCase],
        answers: &[Answer],
        walkers: &[(&str, Judged)],
    ) -> Self {
        let mut agreement = Self { cases: cases.len(), ..Self::default() };
        for (case, answer) in cases.iter().zip(answers) {
            match answer {
                Answer::Observed(seen) => {
                    agreement.answered += 1;
                    agreement.translated += usize::from(seen.out == "ok");
                    agreement.hold(machine, case, seen, walkers);
                }
                Answer::Impossible(what) => {
                    agreement.answered += 1;
                    agreement.disagree(format!("{what}\n  {case:x?}"));
                }
                Answer::Abstained(why) => {
                    *agreement.abstained.entry(why.to_string()).or_default() += 1;
                }
            }
        }
        agreement
    }

    fn hold(
        &mut self,
        machine: &RecordedMachine,
        case: &TranslationCase,
        seen: &Expectation,
        walkers: &[(&str, Judged)],
    ) {
        let mut read_first = false;
        for (name, walker) in walkers {
            let answer = walker(machine, case);
            if seen.allows(machine, case, &answer) {
                continue;
            }
            if !reads_first(machine, case, seen, &answer, *walker) {
                self.disagree(format!("KVM {seen:x?}\n  {name} {answer:x?}\n  {case:x?}"));
                return;
            }
            read_first = true;
        }
        self.read_first += usize::from(read_first);
    }

    fn disagree(&mut self, what: String) {
        self.disagreed += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(what);
        }
    }
}

/// Whether all is as the walker says but that the guest set the accessed bits of a read before the
/// write faulted. KVM's instruction emulator carries out XCHG so; so do QEMU and Unicorn, and a
/// paravirtual KVM emulates what privilege level 0 does where the write is refused. Accessed bits
/// after a fault differ between implementations.
fn reads_first(
    machine: &RecordedMachine,
    case: &TranslationCase,
    seen: &Expectation,
    answer: &CaseAnswer,
    walker: Judged,
) -> bool {
    let split = TranslationCase { access: CaseAccess::ReadThenWrite, ..*case };
    let accessed = walker(machine, &split).accessed;
    case.access == CaseAccess::ReadModifyWrite
        && seen.out == "pf"
        && seen.accessed == accessed
        && seen.allows(machine, case, &CaseAnswer { accessed, ..*answer })
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cases, answered, translated, disagreed, .. } = self;
        let agreed = answered - disagreed;
        write!(f, "{cases} cases, {answered} answered ({translated} translated), {agreed} agree")?;
        if self.read_first > 0 {
            write!(
                f,
                "\n    of which {:>6}  an exchange that read before it faulted",
                self.read_first
            )?;
        }
        for (why, count) in &self.abstained {
            write!(f, "\n    left out {count:>6}  {why}")?;
        }
        for disagreement in &self.told {
            write!(f, "\n  DISAGREE {disagreement}")?;
        }
        Ok(())
    }
}
