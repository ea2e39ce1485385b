//! `ringfence translate`: cases in, what becomes of them out.

mod answers;
pub(super) mod arguments;
mod comparison;
mod disagreement;
mod input;
pub(super) mod mistake;

use std::io::Write;

use crate::campaign::Interrupt;
use crate::oracles::recorded::{Columns, Mistake, PLACED_BY_BITS, RecordedMachine, Row, Wanted};

use self::answers::Answers;
use self::arguments::TranslateArguments;
use self::comparison::Comparison;
use self::input::Input;
use super::ending::stopped_when_asked;
use super::{Ended, Failure};

/// No entry names a lower table above what places it, unless memory repeats below.
fn refuse_tables_out_of_reach(machine: &RecordedMachine) -> Result<(), Failure> {
    let (first, end, limit) = (machine.tables.start, machine.tables.end, 1_u64 << PLACED_BY_BITS);
    if end <= limit || machine.decode_bits <= PLACED_BY_BITS {
        return Ok(());
    }
    Err(Failure::mistake(
        format!(
            "--tables {first:x}..{end:x} goes beyond {limit:x} (2^{PLACED_BY_BITS}); a lower table is placed \
             by bits 39:12 of the entry above it, so none can be found there"
        ),
        format!(
            "end --tables at {limit:x} at most, or give --decode-bits {PLACED_BY_BITS} or fewer; data may \
             lie above"
        ),
    ))
}

/// Answers each case, or compares with what somebody saw.
pub(super) fn translate(
    arguments: &TranslateArguments,
    out: &mut impl Write,
) -> Result<Ended, Failure> {
    let machine = arguments.machine();
    for (name, cr3) in [("--cr3", machine.cr3), ("--cr3-la57", machine.cr3_la57)] {
        if is_beyond(cr3, machine.maxphyaddr) {
            return Err(Failure::mistake(
                format!(
                    "{name} {cr3:x} has bits at or above MAXPHYADDR ({}), which no CR3 can have",
                    machine.maxphyaddr
                ),
                format!("give --maxphyaddr {} or more, or another {name}", bits_of(cr3)),
            ));
        }
    }
    refuse_tables_out_of_reach(&machine)?;
    let stop = stopped_when_asked()?;
    let mut input = Input::open(arguments.file.as_deref(), stop.clone())?;
    let wanted = if arguments.expect { Wanted::Expectations } else { Wanted::Cases };
    let columns = match header(&mut input, wanted) {
        Err(_) if stop.is_raised() => return Ok(Ended::Interrupted),
        columns => columns?,
    };
    if arguments.expect {
        let mut comparison = Comparison::new(&machine, arguments.json);
        return match compared(&mut comparison, &columns, &mut input, &stop, out) {
            // A disagreement that nobody reads any more is one.
            Err(Failure::ClosedPipe) if comparison.total().disagree() > 0 => Ok(Ended::Violated),
            ended => ended,
        };
    }
    let mut answers = Answers::new(arguments.json);
    let end = loop {
        match input.advance() {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(failure) => break Err(failure),
        }
        match row(&columns, &machine, &input) {
            Ok(row) => {
                let id = &input.bytes()[row.id.clone()];
                answers.push(id, &machine.answer(&row.case));
            }
            Err(failure) => break Err(failure),
        }
        if answers.is_full() {
            answers.flush(out)?;
        }
        // Whoever asks through a pipe may wait for this answer before asking on.
        if input.is_drained() {
            answers.flush(out)?;
            out.flush()?;
        }
    };
    answers.flush(out)?;
    input.finish();
    match end {
        Ok(()) if stop.is_raised() => {
            out.flush()?;
            let _ = writeln!(
                std::io::stderr(),
                "PARTIAL: interrupted, {} answered and none after {}",
                cases(answers.count),
                if answers.count == 1 { "it" } else { "them" }
            );
            Ok(Ended::Interrupted)
        }
        Ok(()) => {
            input.warn_of_an_open_end();
            if answers.count == 0 {
                input.warn_of_no_case();
            }
            Ok(Ended::Held)
        }
        Err(failure) => Err(incomplete(failure, "answered", answers.count)),
    }
}

/// How many bits an address takes.
const fn bits_of(address: u64) -> u32 {
    64 - address.leading_zeros()
}

/// Bits of CR3 at or above MAXPHYADDR are refused by a processor and name no table (Intel SDM volume
/// 3A, "Paging").
fn is_beyond(cr3: u64, maxphyaddr: u8) -> bool {
    bits_of(cr3) > u32::from(maxphyaddr)
}

/// The row read last, if CR3 fits its MAXPHYADDR.
fn row(columns: &Columns, machine: &RecordedMachine, input: &Input) -> Result<Row, Failure> {
    let row = columns.row(input.bytes(), input.fields());
    let row = row.map_err(|mistake| input.told(&mistake))?;
    let Some(maxphyaddr) = row.case.maxphyaddr else { return Ok(row) };
    let cr3 = machine.controls(&row.case).cr3;
    if is_beyond(cr3, maxphyaddr) {
        return Err(input.told(&Mistake {
            at: 0..input.bytes().trim_ascii_end().len(),
            what: format!("CR3 is {cr3:x}, with bits at or above this row's MAXPHYADDR"),
            expected: format!("an `mpa` from {} on", bits_of(cr3)),
            remedy: Some("or another --cr3 (--cr3-la57 with mode bit 8)".to_owned()),
        }));
    }
    Ok(row)
}

fn compared(
    comparison: &mut Comparison<'_>,
    columns: &Columns,
    input: &mut Input,
    stop: &Interrupt,
    out: &mut impl Write,
) -> Result<Ended, Failure> {
    let end = loop {
        match input.advance() {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(failure) => break Err(failure),
        }
        match row(columns, comparison.machine(), input) {
            Ok(row) => comparison.take(&row, input, out)?,
            Err(failure) => break Err(failure),
        }
    };
    input.finish();
    let total = comparison.total();
    match end {
        Ok(()) if stop.is_raised() => {
            comparison.sum_up(input.name(), true, out)?;
            Ok(Ended::Interrupted)
        }
        Ok(()) if total.cases == 0 => Err(Failure::mistake(
            format!("{} has no case: nothing was compared", input.name()),
            "give a file with at least one row below the header line",
        )),
        Ok(()) => {
            comparison.sum_up(input.name(), false, out)?;
            input.warn_of_an_open_end();
            Ok(if total.disagree() == 0 { Ended::Held } else { Ended::Violated })
        }
        Err(failure) => {
            let failure = incomplete(failure, "compared", total.cases);
            Err(match (failure, total.disagree()) {
                (Failure::Mistake(text), disagree @ 1..) => {
                    Failure::Mistake(format!("{text}; {disagree} of them disagree"))
                }
                (failure, _) => failure,
            })
        }
    }
}

fn header(input: &mut Input, wanted: Wanted) -> Result<Columns, Failure> {
    if !input.advance()? {
        return Err(Failure::mistake(
            format!("{} is empty", input.name()),
            "its first line must name the columns: id,mode,va,acc,cpl,pkru,e5,e4,e3,e2,e1",
        ));
    }
    Columns::from_header(input.bytes(), input.fields(), wanted)
        .map_err(|mistake| input.told(&mistake))
}

fn cases(count: u64) -> String {
    if count == 1 { "1 case".to_owned() } else { format!("{count} cases") }
}

/// What was done before a mistake is not the whole, and says so.
fn incomplete(failure: Failure, done: &str, count: u64) -> Failure {
    match failure {
        Failure::Mistake(text) => {
            let cases = cases(count);
            Failure::Mistake(format!(
                "{text}\n  = note: incomplete: {done} {cases} before it, none after it"
            ))
        }
        Failure::ClosedPipe => Failure::ClosedPipe,
    }
}
