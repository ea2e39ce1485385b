//! What the machine makes of a file of cases, beside what somebody saw.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::json;

use crate::cli::Failure;
use crate::oracles::recorded::{Aspect, RecordedMachine, Row};
use crate::report::table::{Column, table};

use super::disagreement::Disagreement;
use super::input::Input;

/// Sets that are told apart; cases of further ones are counted together.
const SETS_MAX: usize = 1000;

/// Bytes of a set's name that tell it apart.
const SET_BYTES_MAX: usize = 64;

/// Counts over the cases of one set, or of all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    /// Cases compared.
    pub(super) cases: u64,
    agree: u64,
    /// Cases that differ in this aspect; one may differ in several.
    differ: [u64; Aspect::ALL.len()],
}

impl Counts {
    /// Cases that disagree in anything.
    pub(super) const fn disagree(self) -> u64 {
        self.cases - self.agree
    }
}

/// The comparison so far.
pub(super) struct Comparison<'a> {
    machine: &'a RecordedMachine,
    json: bool,
    sets: BTreeMap<Vec<u8>, Counts>,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(machine: &'a RecordedMachine, json: bool) -> Self {
        Self { machine, json, sets: BTreeMap::new() }
    }

    /// On which machine.
    pub(super) fn machine(&self) -> &'a RecordedMachine {
        self.machine
    }

    /// Takes in the row that was read last, and tells of it if it disagrees.
    pub(super) fn take(
        &mut self,
        row: &Row,
        input: &Input,
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        let Some(expectation) = &row.expectation else { return Ok(()) };
        let answer = self.machine.answer(&row.case);
        let agrees = expectation.allows(self.machine, &row.case, &answer);
        let set = &input.bytes()[row.set.clone()];
        let set = set.get(..SET_BYTES_MAX).unwrap_or(set);
        let counts = counts_of(&mut self.sets, set);
        counts.cases += 1;
        if agrees {
            counts.agree += 1;
            return Ok(());
        }
        let disagreement = Disagreement {
            machine: self.machine,
            row,
            expectation,
            answer: &answer,
            place: (input.name(), input.line()),
            id: &String::from_utf8_lossy(&input.bytes()[row.id.clone()]),
            set: &String::from_utf8_lossy(set),
        };
        for aspect in disagreement.aspects() {
            counts.differ[aspect as usize] += 1;
        }
        if self.json {
            writeln!(out, "{}", disagreement.json())?;
        } else {
            writeln!(out, "{}", disagreement.text())?;
        }
        Ok(())
    }

    /// The counts over all sets.
    pub(super) fn total(&self) -> Counts {
        let mut total = Counts::default();
        for counts in self.sets.values() {
            total.cases += counts.cases;
            total.agree += counts.agree;
            for (sum, count) in total.differ.iter_mut().zip(counts.differ) {
                *sum += count;
            }
        }
        total
    }

    /// Tells how many agree, set by set and in all; of a part of the file when interrupted.
    pub(super) fn sum_up(
        &self,
        file: &str,
        is_partial: bool,
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        let total = self.total();
        let name = |set: &[u8]| match String::from_utf8_lossy(set).escape_debug().to_string() {
            name if name.is_empty() => "–".to_owned(),
            name => name,
        };
        if self.json {
            for (set, counts) in &self.sets {
                writeln!(out, "{}", counted(json!({ "set": name(set) }), *counts))?;
            }
            let summary = counted(json!({ "file": file, "partial": is_partial }), total);
            writeln!(out, "{}", json!({ "summary": summary }))?;
            return Ok(());
        }
        let mut columns = vec![Column::text("set")];
        let titles = ["cases", "agree", "disagree"].into_iter();
        let titles = titles.chain(Aspect::ALL.map(Aspect::column));
        columns.extend(titles.map(Column::number));
        let row = |name: String, counts: Counts| {
            let numbers = [counts.cases, counts.agree, counts.disagree()].into_iter();
            let numbers = numbers.chain(counts.differ).map(|number| number.to_string());
            core::iter::once(name).chain(numbers).collect::<Vec<_>>()
        };
        let mut rows: Vec<_> =
            self.sets.iter().map(|(set, counts)| row(name(set), *counts)).collect();
        if self.sets.len() > 1 {
            rows.push(row("all".to_owned(), total));
        }
        write!(out, "{}", table(&columns, &rows))?;
        let (cases, agree, disagree) = (total.cases, total.agree, total.disagree());
        let partial = if is_partial { "PARTIAL: interrupted; " } else { "" };
        writeln!(out, "\n{partial}{agree} of {cases} cases agree, {disagree} disagree")?;
        Ok(())
    }
}

fn counts_of<'a>(sets: &'a mut BTreeMap<Vec<u8>, Counts>, set: &[u8]) -> &'a mut Counts {
    let is_known = sets.contains_key(set);
    let key = if is_known || sets.len() < SETS_MAX { set } else { b"(further sets)" };
    if !sets.contains_key(key) {
        sets.insert(key.to_vec(), Counts::default());
    }
    sets.get_mut(key).expect("just made sure")
}

fn counted(mut object: serde_json::Value, counts: Counts) -> serde_json::Value {
    object["cases"] = counts.cases.into();
    object["agree"] = counts.agree.into();
    object["disagree"] = counts.disagree().into();
    for (aspect, count) in Aspect::ALL.into_iter().zip(counts.differ) {
        object["differ"][aspect.column()] = count.into();
    }
    object
}
