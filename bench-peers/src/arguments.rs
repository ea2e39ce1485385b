//! What was asked on the command line.

use crate::measure::Effort;
use crate::tables::Workload;

/// What to do.
pub(crate) enum Task {
    /// Measure everybody.
    Compare(Effort),
    /// List everybody.
    Names,
    /// Let one subject translate so often, for a tool that counts instructions.
    Alone { name: String, workload: Workload, count: usize },
}

const USAGE: &str = "\
usage: ringfence-bench-peers [--quick]
       ringfence-bench-peers --names
       ringfence-bench-peers --alone NAME WORKLOAD COUNT      (workload: 0 to 4)";

/// Reads the arguments.
pub(crate) fn task(arguments: impl Iterator<Item = String>) -> Result<Task, String> {
    let arguments: Vec<String> = arguments.collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => Ok(Task::Compare(Effort::Full)),
        ["--quick"] => Ok(Task::Compare(Effort::Quick)),
        ["--names"] => Ok(Task::Names),
        ["--alone", name, workload, count] => {
            let number: usize = workload.parse().map_err(|_| USAGE)?;
            let workload = *Workload::ALL.get(number).ok_or(USAGE)?;
            let count = count.parse().map_err(|_| USAGE)?;
            Ok(Task::Alone { name: (*name).to_owned(), workload, count })
        }
        _ => Err(USAGE.to_owned()),
    }
}
