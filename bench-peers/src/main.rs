//! Software page walks side by side, on the same tables in one run: this crate's and other people's.
//!
//! `run` beside this package says how to call it. What an address leads to is known from how the tables
//! were built, and everybody is asked for it before anybody is timed.

mod arguments;
mod floors;
mod instructions;
mod measure;
mod misses;
mod ours;
mod peers;
mod report;
mod stores;
mod subject;
mod tables;

use arguments::Task;
use measure::Effort;
use subject::Subject;
use tables::{Tables, Workload};

/// The walk, and after it what a miss costs in its place.
fn misses(tables: Tables) -> Vec<Box<dyn Subject>> {
    let mut all = vec![ours::walk_of(tables)];
    all.extend(misses::all(tables));
    all
}

/// Everybody else, in the order of the report.
fn subjects(tables: Tables) -> Vec<Box<dyn Subject>> {
    let mut all = floors::all(tables);
    all.extend(ours::all(tables));
    all.extend(stores::all(tables));
    all.extend(peers::all(tables));
    all
}

fn everybody(tables: Tables) -> Vec<Box<dyn Subject>> {
    let mut all = subjects(tables);
    all.extend(misses::all(tables));
    all
}

fn main() -> Result<(), String> {
    match arguments::task(std::env::args().skip(1))? {
        Task::Compare(effort) => compare(effort),
        Task::Names => everybody(Tables::new(Workload::ALL[0])).iter().for_each(|subject| {
            println!("{}", subject.name());
        }),
        Task::Alone { name, workload, count } => {
            let tables = Tables::new(workload);
            let mut subjects = everybody(tables);
            let subject = subjects
                .iter_mut()
                .find(|subject| subject.name() == name)
                .ok_or_else(|| format!("nobody is called {name:?}; `--names` lists them"))?;
            instructions::alone(subject.as_mut(), tables, count);
        }
    }
    Ok(())
}

fn compare(effort: Effort) {
    let (mut results, mut against_walk) = (Vec::new(), Vec::new());
    for workload in Workload::ALL {
        eprintln!("{}", workload.title());
        let tables = Tables::new(workload);
        for (subjects, results) in
            [(subjects(tables), &mut results), (misses(tables), &mut against_walk)]
        {
            let mut subjects = subjects;
            for subject in &mut subjects {
                measure::check(subject.as_mut(), tables);
            }
            results.push(measure::compare(&mut subjects, tables, effort));
        }
    }
    let count = |results: &[measure::Results], workloads| match effort {
        Effort::Quick => None,
        Effort::Full => instructions::count(results[0].names(), workloads),
    };
    let counts = count(&results, instructions::NEAR_AND_LARGE);
    report::print(&results, counts.as_deref());
    // 64 pages have one region, which is never unknown.
    let counts = count(&against_walk, instructions::CONTIGUOUS_AND_LARGE);
    report::print_misses(&against_walk, counts.as_deref());
}
