//! Instructions of one translation: the program itself under valgrind, twice, with different numbers of
//! translations.

use std::process::Command;

use crate::subject::Subject;
use crate::tables::Tables;

/// Translations of the two runs.
const LENGTHS: [usize; 2] = [1024, 9 * 1024];

/// Numbers of workloads: with pages of 4 KiB, and of 2 MiB.
pub(crate) const NEAR_AND_LARGE: [&str; 2] = ["0", "4"];
pub(crate) const CONTIGUOUS_AND_LARGE: [&str; 2] = ["1", "4"];

/// Instructions in two workloads, for each name; `None` without valgrind.
pub(crate) fn count(names: Vec<String>, workloads: [&str; 2]) -> Option<Vec<[f64; 2]>> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("valgrind not found: instructions are not counted");
        return None;
    }
    names.iter().map(|name| count_one(name, workloads)).collect()
}

fn count_one(name: &str, workloads: [&str; 2]) -> Option<[f64; 2]> {
    eprintln!("instructions: {name}");
    let mut counts = [0.0; 2];
    for (count, workload) in counts.iter_mut().zip(workloads) {
        let [few, more] = LENGTHS.map(|length| collected(name, workload, length));
        *count = (more? - few?) / (LENGTHS[1] - LENGTHS[0]) as f64;
    }
    Some(counts)
}

/// What callgrind calls collected: instructions from start to end.
fn collected(name: &str, workload: &str, length: usize) -> Option<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().ok()?)
        .args(["--alone", name, workload, &length.to_string()])
        .output()
        .ok()?;
    let told = String::from_utf8_lossy(&output.stderr);
    let count = told.lines().find_map(|line| line.split("Collected :").nth(1))?;
    count.trim().parse().ok()
}

/// One of these runs. What is filled at the first time is full before.
pub(crate) fn alone(subject: &mut dyn Subject, tables: Tables, count: usize) {
    subject.independent(tables.virts);
    for virts in tables.virts.chunks(1024).cycle().take(count / 1024) {
        subject.independent(virts);
    }
}
