//! A finding on a walker as a test that needs nothing but the code under test.
//!
//! The entries are stored, the question is asked, and the answer is compared with the walk by the book,
//! which was made here: none is printed.
//!
//! Not printed: what is told wrong besides the address, and code that keeps what it has read.

use super::tables::{Step as Asked, Tables, Word, address, root};
use crate::base::VirtAddr;
use crate::conformance::breach::{Breach, Check};
use crate::conformance::format::Format;
use crate::conformance::memory::Memory;
use crate::conformance::operation::Call;
use crate::conformance::standalone::{Must, Plot, Spelled, Step, is_of_addresses};
use crate::conformance::subject::{Attempt, Walker};

/// The test; `None` when the adapter does not spell it or a test can't look at the finding.
pub(super) fn test(
    format: &'static dyn Format,
    memory: &Memory,
    walker: &dyn Walker,
    tables: &Tables,
    breach: &Breach,
) -> Option<String> {
    let [Asked::Ask(attempt)] = tables.steps.as_slice() else { return None };
    let must = must(format, memory, walker, attempt, breach)?;
    let poke = |word: &Word| Step::Poke { at: address(word), value: word.bits, level: word.level };
    let words: Vec<Step> = tables.words.iter().map(poke).collect();
    let steps = [Step::Call { call: Call::Query { virt: attempt.virt }, is_done: true }];
    let spelled = Spelled::of(walker.spell_setup(), &steps, |_| walker.spell(attempt))?;
    let root = root();
    Plot { format, breach, fault: None, root, words: &words, steps: &steps, must }.test(&spelled)
}

fn must(
    format: &dyn Format,
    memory: &Memory,
    walker: &dyn Walker,
    attempt: &Attempt,
    breach: &Breach,
) -> Option<Must> {
    if breach.check == Check::Totality {
        return Some(Must::Return);
    }
    let VirtAddr(_) = breach.virt.filter(|_| is_of_addresses(&breach.kind))?;
    let mut book = format.translate(&|at| memory.peek(at), root(), attempt.virt);
    if walker.judges_rights() {
        book = book.filter(|book| super::permits(format, book, attempt));
    }
    Some(Must::Answer { address: book.map(|book| book.address) })
}
