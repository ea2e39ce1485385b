//! A finding as a test that needs nothing but the code under test.
//!
//! The test brings memory of its own: an array that is physical memory from the same address on, an
//! allocator that hands out the same frames in the same order, a log of what is invalidated. The adapter
//! spells how its tables are made on that and each call; what must hold in the end is the suite's, by a
//! walk that is printed too. Only what the test uses is printed, and all of it is inside one function.
//!
//! Not printed: what is seen only between two stores, and what rests on a fault other than an
//! allocation that fails. Such findings are told with the calls and the raw tables.

mod must;
mod parts;

use super::breach::Breach;
use super::fault::{Fault, FaultKind};
use super::format::Format;
use super::operation::Call;
use super::rights::Rights;
use crate::base::PhysAddr;

use must::Led;
pub(crate) use must::{Moment, Must, is_of_addresses, of};

/// Columns of a comment at most.
const COLUMNS: usize = 100;
/// Letters of a test's name at most.
const NAME_MAX: usize = 80;

/// One thing that was done in a run that is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// A call, and whether it was done.
    Call { call: Call, is_done: bool },
    /// Somebody else stores an entry of this level.
    Poke { at: PhysAddr, value: u64, level: u8 },
    /// The instance is dropped.
    Drop,
}

/// What the adapter spells.
pub(crate) struct Spelled {
    /// How the tables are made.
    pub(crate) setup: Option<String>,
    /// An expression for each step that is a call.
    pub(crate) calls: Vec<String>,
}

impl Spelled {
    /// What is spelled for these steps; `None` when one of the calls is not.
    pub(crate) fn of(
        setup: Option<String>,
        steps: &[Step],
        spell: impl Fn(&Call) -> Option<String>,
    ) -> Option<Self> {
        let calls = steps.iter().filter_map(|step| match step {
            Step::Call { call, .. } => Some(spell(call)),
            Step::Poke { .. } | Step::Drop => None,
        });
        Some(Self { setup, calls: calls.collect::<Option<_>>()? })
    }

    fn has(&self, word: &str) -> bool {
        self.setup.iter().chain(&self.calls).any(|text| text.contains(word))
    }
}

/// What a test is made of.
pub(crate) struct Plot<'a> {
    pub(crate) format: &'static dyn Format,
    pub(crate) breach: &'a Breach,
    pub(crate) fault: Option<Fault>,
    pub(crate) root: PhysAddr,
    /// What was stored before it was made.
    pub(crate) words: &'a [Step],
    pub(crate) steps: &'a [Step],
    pub(crate) must: Must,
}

impl Plot<'_> {
    /// The test; `None` when what is spelled can't show the finding.
    pub(crate) fn test(&self, spelled: &Spelled) -> Option<String> {
        let failing = match self.fault {
            None => None,
            Some(Fault { kind: FaultKind::AllocationFails, nth }) => Some(nth),
            Some(_) => return None,
        };
        let is_shown = match self.must {
            Must::BeForgotten { .. } | Must::BeFreedForgotten { .. } => spelled.has("invalidate"),
            Must::BeFreed => spelled.has("free("),
            _ => true,
        };
        let setup = spelled.setup.as_ref().filter(|_| is_shown)?;
        let mut body = String::new();
        self.words.iter().for_each(|step| body.push_str(&self.stored(step)));
        body.push_str(setup.trim_matches('\n'));
        body.push('\n');
        self.steps(&spelled.calls, &mut body)?;
        let before = parts::used_by(&body, self, failing)?;
        let mut test = self.comment();
        test.push_str(&format!("#[test]\nfn {}() {{\n", name(&self.breach.kind)));
        for line in before.lines().chain(body.lines()) {
            let indent = if line.is_empty() { "" } else { "    " };
            test.push_str(&format!("{indent}{line}\n"));
        }
        test.push_str("}\n");
        Some(test)
    }

    fn comment(&self) -> String {
        let Breach { check, kind, what, rule, .. } = self.breach;
        let mut text = String::new();
        let mut paragraph = |words: &str| {
            let mut line = "///".to_owned();
            for word in words.split_whitespace() {
                if line.chars().count() + 1 + word.chars().count() > COLUMNS {
                    text.push_str(&line);
                    text.push('\n');
                    line = "///".to_owned();
                }
                line.push(' ');
                line.push_str(word);
            }
            text.push_str(&line);
            text.push('\n');
        };
        paragraph(&format!("{check}: {kind}"));
        paragraph("");
        paragraph(&format!("It {}.", shorn(what)));
        paragraph(&format!("Rule: {rule}."));
        if kind.contains("overflow") {
            paragraph("Seen where overflow is checked, as in a debug build.");
        } else if !cfg!(debug_assertions) {
            paragraph("Seen in a build without debug assertions.");
        }
        text
    }

    /// The calls, and what must hold.
    fn steps(&self, calls: &[String], body: &mut String) -> Option<()> {
        let mut calls = calls.iter();
        let last = self.steps.len().checked_sub(1);
        for (number, step) in self.steps.iter().enumerate() {
            let is_last = Some(number) == last;
            if is_last {
                body.push_str(&self.before_the_last());
            }
            let line = match *step {
                Step::Poke { .. } => self.stored(step),
                Step::Drop => "drop(tables);\n".to_owned(),
                Step::Call { call, is_done } => {
                    let spelled = calls.next()?;
                    match (&self.must, is_last, call) {
                        (Must::BeDone, true, _) => format!("assert!({spelled}.is_ok());\n"),
                        (Must::BeRefused, true, _) => format!("assert!({spelled}.is_err());\n"),
                        (Must::Answer { address }, true, _) => {
                            format!("assert_eq!({spelled}, {});\n", some(*address))
                        }
                        (_, true, _) | (_, false, Call::Query { .. }) => {
                            format!("let _ = {spelled};\n")
                        }
                        (_, false, _) if is_done => format!("assert!({spelled}.is_ok());\n"),
                        (_, false, _) => format!("assert!({spelled}.is_err());\n"),
                    }
                }
            };
            body.push_str(&line);
        }
        body.push_str(&self.must_hold());
        Some(())
    }

    /// A store of somebody else; nothing for other steps.
    fn stored(&self, step: &Step) -> String {
        let Step::Poke { at, value, level } = *step else { return String::new() };
        let text = self.format.describe(level, value);
        format!("// {text}\nset({}, {});\n", hex(at.raw()), hex(value))
    }

    /// What is asked before the last step, and forgotten.
    fn before_the_last(&self) -> String {
        match self.must {
            Must::BeForgotten { led, .. } => {
                format!("let before = {};\nforget_events();\n", self.seen(led))
            }
            Must::BeFreedForgotten { .. } => "forget_events();\n".to_owned(),
            _ => String::new(),
        }
    }

    /// Where a page leads, as far as that can be spelled.
    fn seen(&self, led: Led) -> String {
        match self.format.spelled_walk() {
            Some(_) => format!("walk(ROOT, {})", hex(led.virt.0)),
            None => format!("word({})", hex(led.entry.raw())),
        }
    }

    /// What is asserted behind the last step.
    fn must_hold(&self) -> String {
        match self.must {
            Must::Return | Must::BeDone | Must::BeRefused | Must::Answer { .. } => String::new(),
            Must::Lead { virt, address, rights: None } => format!(
                "assert_eq!(walk(ROOT, {}).map(|(at, _)| at), {});\n",
                hex(virt.0),
                some(address)
            ),
            Must::Lead { virt, address, rights: Some(rights) } => {
                let given = [Rights::WRITE, Rights::USER, Rights::EXECUTE];
                let given = given.map(|right| rights.has(right));
                let at = address.map_or(0, PhysAddr::raw);
                let virt = hex(virt.0);
                format!(
                    "// Writable, the user's, executable.\n\
                     assert_eq!(walk(ROOT, {virt}), Some(({}, {given:?})));\n",
                    hex(at)
                )
            }
            Must::Hold { at, word } => {
                format!("assert_eq!(word({}), {});\n", hex(at.raw()), hex(word))
            }
            Must::BeFreed => "assert_eq!(lent(), 0, \"frames are not freed\");\n".to_owned(),
            Must::BeForgotten { first, last, led } => {
                let (first, last) = (hex(first.0), hex(last.0));
                format!(
                    "assert!({} == before || is_forgotten({first}, {last}), \"{}\");\n",
                    self.seen(led),
                    led.virt
                )
            }
            Must::BeFreedForgotten { frame } => {
                let frame = hex(frame.raw());
                format!("assert!(is_forgotten_when_freed({frame}), \"{frame}\");\n")
            }
        }
    }
}

/// Paths of a crate's source without where this machine keeps it.
fn shorn(text: &str) -> String {
    let words = text.split_whitespace().map(|word| {
        let behind = word.split_once("/registry/src/").and_then(|(_, rest)| rest.split_once('/'));
        behind.map_or(word, |(_, path)| path)
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A number as code has it.
fn hex(number: u64) -> String {
    if number < 10 { number.to_string() } else { format!("{number:#x}") }
}

fn some(address: Option<PhysAddr>) -> String {
    address.map_or("None".to_owned(), |address| format!("Some({})", hex(address.raw())))
}

/// A name for a test: the words of the kind.
fn name(kind: &str) -> String {
    let mut name = String::new();
    for letter in kind.chars().map(|letter| letter.to_ascii_lowercase()) {
        if letter.is_ascii_alphanumeric() {
            name.push(letter);
        } else if !name.ends_with('_') {
            name.push('_');
        }
    }
    name.truncate(NAME_MAX);
    let name = name.trim_matches('_');
    if name.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
        name.to_owned()
    } else {
        format!("finding_{name}")
    }
}
