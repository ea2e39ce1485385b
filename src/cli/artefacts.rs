//! Bytes that a fuzz target stopped at, in words: files of cases, and images of page tables.

use std::io::Cursor;

use crate::audit::file::{self, Format, Loaded, Options};
use crate::audit::findings::find;
use crate::audit::space::Space;
use crate::machine::paging::x86_64::{Controls, Vendor};
use crate::oracles::recorded::fuzz_input::{Read, RecordedFile, each_record, recorded_file};
use crate::oracles::recorded::{AccessedOnFault, CaseAnswer, NamedCode, explain};

/// Examples of one finding that are told.
const EXAMPLES_MAX: usize = 3;

/// A file of cases: the command that reads it so, then each record with what becomes of it.
pub(super) fn cases_in_words(bytes: &[u8]) -> Vec<String> {
    let RecordedFile { machine, text } = recorded_file(bytes);
    let vendor = if machine.vendor == Vendor::Amd { "amd" } else { "intel" };
    let left = match machine.accessed_on_fault {
        AccessedOnFault::Unset => "unset",
        AccessedOnFault::Passed => "passed",
    };
    let mut lines = vec![format!(
        "machine   --vendor {vendor} --maxphyaddr {} --decode-bits {} --accessed-on-fault {left}",
        machine.maxphyaddr, machine.decode_bits
    )];
    each_record(&text, |record, read| {
        let record = String::from_utf8_lossy(record);
        let record = record.trim_end_matches(['\r', '\n']).escape_debug();
        let (head, then) = match read {
            Read::Header => ("header", Vec::new()),
            Read::Row(row) => {
                let answer = machine.answer(&row.case);
                let explanation = explain(&machine, &row.case, &answer);
                let mut then = vec![format!("answer    {}", answer_in_words(&answer))];
                then.extend(explanation.reasons.iter().map(|why| format!("because   {why}")));
                if let Some(seen) = &row.expectation {
                    let is_allowed = seen.allows(&machine, &row.case, &answer);
                    let agrees = if is_allowed { "the same" } else { "something else" };
                    then.push(format!("expected  {agrees}"));
                }
                ("case", then)
            }
            Read::Mistake(mistake) => {
                let told = format!("mistake   {}; expected {}", mistake.what, mistake.expected);
                ("record", vec![told])
            }
            Read::Malformed(malformed) => ("record", vec![format!("mistake   {malformed}")]),
        };
        lines.push(format!("{head:<10}{record}"));
        lines.extend(then);
    });
    lines
}

fn answer_in_words(answer: &CaseAnswer) -> String {
    let outcome = &answer.outcome;
    let code = outcome.error_code().map_or(String::new(), |code| format!(" {}", NamedCode(code)));
    let address = outcome.address().map_or(String::new(), |at| format!(" at {at:#x}"));
    format!("{}{code}{address}", outcome.name())
}

/// An image of page tables, as it is read by itself and as a raw dump whose root is its first frame.
pub(super) fn image_in_words(bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    for cr3 in [None, Some(0)] {
        lines.push(match cr3 {
            None => "read      by itself: ringfence audit FILE --incomplete".to_owned(),
            Some(_) => "read      as a dump: ringfence audit FILE --cr3 0 --incomplete".to_owned(),
        });
        let options = Options { cr3, ..Options::default() };
        match file::read(Cursor::new(bytes), &options) {
            Ok(loaded) => lines.extend(tables_in_words(loaded)),
            Err(error) => {
                lines.push(format!("refused   {error}"));
                lines.push(format!("help      {}", error.remedy));
            }
        }
    }
    lines
}

fn tables_in_words(loaded: Loaded) -> Vec<String> {
    let format = match loaded.format {
        Format::Tables => "page tables alone",
        Format::Elf => "ELF core",
        Format::Raw => "raw dump",
    };
    let packed = if loaded.is_compressed { ", zstd" } else { "" };
    let (tables, unreached) = (loaded.image.frames().len(), loaded.unreached);
    let mut lines =
        vec![format!("form      {format}{packed}; {tables} page tables, {unreached} not reached")];
    match Space::incomplete(loaded.image, Controls::default()) {
        Err(error) => lines.push(format!("refused   {error}")),
        Ok(space) => {
            let findings = find(&space);
            let mappings = match findings.mappings() {
                u64::MAX => "more mappings than can be counted".to_owned(),
                count => format!("{count} mappings"),
            };
            lines.push(format!("maps      {mappings}"));
            for finding in findings.findings.iter().filter(|finding| finding.count > 0) {
                lines.push(format!("finding   {}: {}", finding.count, finding.kind.meaning()));
                for example in finding.examples.iter().take(EXAMPLES_MAX) {
                    let (virt, at) = (example.virt, example.at.raw());
                    lines.push(format!("          {virt}, {}, entry {at:#x}", example.rights));
                }
            }
        }
    }
    lines
}
