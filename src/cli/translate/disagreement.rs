//! One case that does not end as somebody saw it, explained.

use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use crate::base::Ring;
use crate::machine::paging::x86_64::Vendor;
use crate::oracles::recorded::explanation::{CODE_RULE, MARKS_RULE, NamedBits, entry_name};
use crate::oracles::recorded::{
    Aspect, CaseAnswer, Expectation, Explanation, LevelMask, NamedCode, RecordedMachine, Row,
    explain,
};

/// A row, and an answer that it does not allow.
pub(super) struct Disagreement<'a> {
    pub(super) machine: &'a RecordedMachine,
    pub(super) row: &'a Row,
    pub(super) expectation: &'a Expectation,
    pub(super) answer: &'a CaseAnswer,
    /// File and line.
    pub(super) place: (&'a str, u64),
    pub(super) id: &'a str,
    pub(super) set: &'a str,
}

impl Disagreement<'_> {
    /// In what they disagree.
    pub(super) fn aspects(&self) -> impl Iterator<Item = Aspect> {
        let agrees =
            |aspect| self.expectation.agrees(aspect, self.machine, &self.row.case, self.answer);
        Aspect::ALL.into_iter().filter(move |aspect| !agrees(*aspect))
    }

    fn explanation(&self) -> Explanation {
        explain(self.machine, &self.row.case, self.answer)
    }

    /// Expected and found, as they stand in the columns, codes and masks with their names.
    fn values(&self, aspect: Aspect) -> [String; 2] {
        let (seen, found) = (self.expectation, self.answer);
        let code =
            |code: Option<u32>| code.map_or("none".to_owned(), |code| NamedCode(code).to_string());
        let address =
            |address: Option<u64>| address.map_or("none".to_owned(), |at| format!("{at:x}"));
        match aspect {
            Aspect::Outcome => [seen.out.to_owned(), found.outcome.name().to_owned()],
            Aspect::Code => [code(seen.code), code(found.outcome.error_code())],
            Aspect::Address => [address(seen.address), address(found.outcome.address())],
            Aspect::Accessed => [levels(seen.accessed), levels(found.accessed)],
            Aspect::Dirtied => [levels(seen.dirtied), levels(found.dirtied)],
        }
    }

    /// The rule that decides an aspect beside the failing checks.
    const fn rule(aspect: Aspect) -> Option<&'static str> {
        match aspect {
            Aspect::Outcome | Aspect::Address => None,
            Aspect::Code => Some(CODE_RULE),
            Aspect::Accessed | Aspect::Dirtied => Some(MARKS_RULE),
        }
    }

    /// A setting of this command with which the case ends as it was seen.
    fn agrees_with(&self) -> Option<String> {
        let allows = |machine: &RecordedMachine| {
            let answer = machine.answer(&self.row.case);
            self.expectation.allows(machine, &self.row.case, &answer)
        };
        let (vendor, name) = match self.machine.vendor {
            Vendor::Intel => (Vendor::Amd, "amd"),
            Vendor::Amd => (Vendor::Intel, "intel"),
        };
        if allows(&RecordedMachine { vendor, ..self.machine.clone() }) {
            return Some(format!("--vendor {name}"));
        }
        if self.row.case.maxphyaddr.is_some() {
            return None;
        }
        let widths = (36..=52)
            .filter(|&maxphyaddr| allows(&RecordedMachine { maxphyaddr, ..self.machine.clone() }));
        let widths: Vec<u8> = widths.collect();
        match (widths.first(), widths.last()) {
            (Some(first), Some(last)) if first == last => Some(format!("--maxphyaddr {first}")),
            (Some(first), Some(last)) => Some(format!("--maxphyaddr {first} to {last}")),
            _ => None,
        }
    }

    /// For a person, lines of at most 100 columns but for long names of files.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("a string takes everything");
        text
    }

    fn write(&self, to: &mut String) -> fmt::Result {
        let (file, line) = self.place;
        let case = &self.row.case;
        write!(to, "{file}:{line}: case {}", self.id)?;
        if !self.set.is_empty() {
            write!(to, " of {}", self.set.escape_debug())?;
        }
        let ring = match case.ring {
            Ring::Kernel => "supervisor",
            Ring::User => "user",
        };
        let width = case.maxphyaddr.unwrap_or(self.machine.maxphyaddr);
        writeln!(to, " disagrees")?;
        writeln!(
            to,
            "  asked    {ring} {} of {:x}, mode {:x}, MAXPHYADDR {width}",
            case.access.name(),
            case.virt.0,
            case.mode.bits()
        )?;
        for aspect in self.aspects() {
            let [seen, found] = self.values(aspect);
            writeln!(to, "  {:<8} expected {seen}, found {found}", aspect.column())?;
            if let Some(rule) = Self::rule(aspect) {
                writeln!(to, "{:11}by {rule}", "")?;
            }
        }
        let explanation = self.explanation();
        for step in &explanation.steps {
            writeln!(
                to,
                "  {:<8} at {:x}: {:016x}  {}",
                entry_name(step.level),
                step.at.raw(),
                step.entry.0,
                NamedBits(*step)
            )?;
        }
        for reason in &explanation.reasons {
            writeln!(to, "  found    {reason}")?;
            writeln!(to, "{:11}by {}", "", reason.check.rule())?;
        }
        if explanation.reasons.is_empty() {
            writeln!(to, "  found    every check permits it")?;
        }
        if let Some(setting) = self.agrees_with() {
            writeln!(to, "  agrees   with {setting}")?;
        }
        Ok(())
    }

    /// For a program.
    pub(super) fn json(&self) -> Value {
        let hexadecimal = |value: Option<u64>| value.map(|value| format!("{value:x}"));
        let mask = |mask: LevelMask| format!("{:x}", mask.bits());
        let (seen, found, explanation) = (self.expectation, self.answer, self.explanation());
        let reasons: Vec<Value> = explanation
            .reasons
            .iter()
            .map(|reason| {
                json!({
                    "check": reason.check.failure(),
                    "level": reason.level.map(entry_name),
                    "rule": reason.check.rule(),
                })
            })
            .collect();
        let entries: Vec<Value> = explanation
            .steps
            .iter()
            .map(|step| {
                json!({
                    "level": entry_name(step.level),
                    "at": format!("{:x}", step.at.raw()),
                    "entry": format!("{:x}", step.entry.0),
                })
            })
            .collect();
        json!({
            "file": self.place.0,
            "line": self.place.1,
            "id": self.id,
            "set": self.set,
            "differ": self.aspects().map(Aspect::column).collect::<Vec<_>>(),
            "expected": {
                "out": seen.out,
                "err": hexadecimal(seen.code.map(u64::from)),
                "addr": hexadecimal(seen.address),
                "aset": mask(seen.accessed),
                "dset": mask(seen.dirtied),
            },
            "found": {
                "out": found.outcome.name(),
                "err": hexadecimal(found.outcome.error_code().map(u64::from)),
                "addr": hexadecimal(found.outcome.address()),
                "aset": mask(found.accessed),
                "dset": mask(found.dirtied),
            },
            "reasons": reasons,
            "entries": entries,
            "agrees_with": self.agrees_with(),
        })
    }
}

/// A mask with the names of its levels: `c (PDPTE PML4E)`.
fn levels(mask: LevelMask) -> String {
    const NAMES: [&str; 5] = ["PTE", "PDE", "PDPTE", "PML4E", "PML5E"];
    let set = NAMES.iter().enumerate().filter(|(number, _)| mask.bits() >> number & 1 == 1);
    let names: Vec<&str> = set.map(|(_, name)| *name).collect();
    if names.is_empty() {
        "0".to_owned()
    } else {
        format!("{:x} ({})", mask.bits(), names.join(" "))
    }
}
