//! Reads what the adapters printed and prints the matrix; compares it with what is expected.
//!
//!     matrix EXPECTED < LINES
//!
//! A line is `row CRATE VERSION ADAPTER PROFILE` followed by what `ringfence-proof` printed for it, or
//! `absent CRATE VERSION REASON`; all separated by tabs. Exit code 1 when an expectation is missed.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::process::ExitCode;

use ringfence::conformance::Check;

/// What is found when the digests of debug and release are not the same.
const PROFILES_DIFFER: &str = "profiles differ";

/// One kind of finding of one run.
#[derive(Clone, Debug)]
struct Found {
    what: String,
    cases: String,
    time: u64,
}

/// One adapter of one version in one profile.
#[derive(Clone, Default, Debug)]
struct Run {
    found: Vec<Found>,
    cases: u64,
    time: u64,
    /// Empty when it did not end by itself.
    digest: String,
}

/// Crate, version, adapter.
type Row = (String, String, String);

/// A line of the table of expectations.
struct Expected {
    name: String,
    versions: Vec<String>,
    adapters: Vec<String>,
    profile: String,
    what: String,
    is_silent: bool,
    why: String,
}

impl Expected {
    fn is_for(&self, (name, version, adapter): &Row, profile: &str) -> bool {
        let has =
            |list: &[String], item: &String| list.iter().any(|entry| entry == "*" || entry == item);
        self.name == *name
            && has(&self.versions, version)
            && has(&self.adapters, adapter)
            && (self.profile == "both" || self.profile == profile)
    }

    fn is_met_by(&self, what: &str) -> bool {
        match self.what.strip_suffix('*') {
            Some(prefix) => what.starts_with(prefix),
            None => self.what == what,
        }
    }
}

fn expectations(path: &str) -> Vec<Expected> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut expected = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [name, versions, adapters, profile, state, what, why] = columns[..] else {
            panic!("{path}:{number}: expected 7 columns separated by `|`, found {}", columns.len());
        };
        let list = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let is_silent = match state {
            "found" => false,
            "silent" => true,
            _ => panic!("{path}:{number}: expected `found` or `silent`, found {state:?}"),
        };
        expected.push(Expected {
            name: name.to_owned(),
            versions: list(versions),
            adapters: list(adapters),
            profile: profile.to_owned(),
            what: what.to_owned(),
            is_silent,
            why: why.to_owned(),
        });
    }
    expected
}

/// Runs by row and profile, and what is absent.
#[derive(Default)]
struct Seen {
    rows: Vec<Row>,
    runs: BTreeMap<(Row, String), Run>,
    absent: Vec<(String, String, String)>,
}

fn read() -> Seen {
    let mut seen = Seen::default();
    let mut current = None;
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("standard input is text");
        let columns: Vec<&str> = line.split('\t').collect();
        match columns[..] {
            ["row", name, version, adapter, profile] => {
                let row = (name.to_owned(), version.to_owned(), adapter.to_owned());
                if !seen.rows.contains(&row) {
                    seen.rows.push(row.clone());
                }
                let key = (row, profile.to_owned());
                seen.runs.insert(key.clone(), Run::default());
                current = Some(key);
            }
            ["absent", name, version, why] => {
                seen.absent.push((name.to_owned(), version.to_owned(), why.to_owned()));
            }
            ["finding", check, kind, cases, time] => {
                let found = Found {
                    what: format!("{check}: {kind}"),
                    cases: cases.to_owned(),
                    time: time.parse().unwrap_or(0),
                };
                if let Some(run) = current.as_ref().and_then(|key| seen.runs.get_mut(key)) {
                    run.found.push(found);
                }
            }
            ["run", cases, time, digest] => {
                if let Some(run) = current.as_ref().and_then(|key| seen.runs.get_mut(key)) {
                    run.cases = cases.parse().unwrap_or(0);
                    run.time = time.parse().unwrap_or(0);
                    run.digest = digest.to_owned();
                }
            }
            _ => println!("{line}"),
        }
    }
    seen
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
}

fn print_matrix(seen: &Seen) {
    let names: Vec<&str> = Check::ALL.iter().map(|check| &check.name()[..3]).collect();
    println!("{:<43}{}    debug  release  debug = release", "", names.join(" "));
    for row in &seen.rows {
        let (name, version, adapter) = row;
        let run = |profile: &str| seen.runs.get(&(row.clone(), profile.to_owned()));
        let debug = run("debug").or_else(|| run("release"));
        let cells: Vec<String> = Check::ALL
            .iter()
            .map(|check| {
                let prefix = format!("{check}: ");
                let found = debug.into_iter().flat_map(|run| &run.found);
                match found.filter(|found| found.what.starts_with(&prefix)).count() {
                    0 => "  -".to_owned(),
                    count => format!("{count:>3}"),
                }
            })
            .collect();
        let agrees = match (run("debug"), run("release")) {
            (Some(debug), Some(release)) if debug.digest == release.digest => {
                debug.digest.get(..8).unwrap_or("no end").to_owned()
            }
            (Some(_), Some(_)) => "differ".to_owned(),
            _ => "one profile run".to_owned(),
        };
        let took = |profile: &str| run(profile).map_or("-".to_owned(), |run| seconds(run.time));
        println!(
            "{:<43}{}{:>9}{:>9}  {agrees}",
            format!("{name} {version} {adapter}"),
            cells.join(" "),
            took("debug"),
            took("release")
        );
    }
    for (name, version, why) in &seen.absent {
        println!("{name} {version}: not run: {why}");
    }
}

/// Known bugs: found on one version, silent on the next; returns what is missed.
fn compare(seen: &Seen, expected: &[Expected]) -> Vec<String> {
    let absent = seen.absent.iter();
    let mut missed: Vec<String> =
        absent.map(|(name, version, why)| format!("{name} {version}: not run: {why}")).collect();
    let mut known = KnownBugs::default();
    for row in &seen.rows {
        for profile in ["debug", "release"] {
            let Some(run) = seen.runs.get(&(row.clone(), profile.to_owned())) else { continue };
            let (name, version, adapter) = row;
            let place = format!("{name} {version} {adapter}, {profile}");
            if run.digest.is_empty() {
                missed.push(format!("{place}: the run did not end by itself"));
            }
            let mut whats: Vec<Found> = run.found.clone();
            let other = if profile == "debug" { "release" } else { "debug" };
            if let Some(other) = seen.runs.get(&(row.clone(), other.to_owned()))
                && other.digest != run.digest
            {
                let what = PROFILES_DIFFER.to_owned();
                whats.push(Found { what, cases: String::new(), time: 0 });
            }
            let are_compared = seen.runs.contains_key(&(row.clone(), other.to_owned()));
            for line in expected.iter().filter(|line| line.is_for(row, profile)) {
                if line.what == PROFILES_DIFFER && !are_compared {
                    continue;
                }
                let hit = whats.iter().find(|found| line.is_met_by(&found.what));
                match (hit, line.is_silent) {
                    (None, false) => missed.push(format!("{place}: not found: {}", line.what)),
                    (Some(_), true) => {
                        missed.push(format!("{place}: found, though fixed: {}", line.what))
                    }
                    _ => {}
                }
                if let Some(bug) = line.why.split_whitespace().next().filter(|word| is_bug(word)) {
                    known.note(bug, row, profile, hit, run);
                }
            }
            for found in &whats {
                let is_known = expected.iter().any(|line| {
                    !line.is_silent && line.is_for(row, profile) && line.is_met_by(&found.what)
                });
                if !is_known {
                    missed.push(format!("{place}: not expected: {}", found.what));
                }
            }
        }
    }
    known.print();
    missed
}

/// What became of a known bug in one version: the first adapter and profile to find it.
struct Told {
    bug: String,
    place: String,
    by: String,
    /// The check that found it; `None` while nobody has.
    check: Option<String>,
    cases: u64,
    time: u64,
}

/// The known bugs, in the order of the rows.
#[derive(Default)]
struct KnownBugs(Vec<Told>);

impl KnownBugs {
    fn note(&mut self, bug: &str, row: &Row, profile: &str, hit: Option<&Found>, run: &Run) {
        let (name, version, adapter) = row;
        let place = format!("{name} {version}");
        let by = format!("{adapter}, {profile}");
        let told = match hit {
            Some(found) => Told {
                bug: bug.to_owned(),
                place,
                by,
                check: found.what.split(':').next().map(str::to_owned),
                cases: found.cases.parse().unwrap_or(0),
                time: found.time,
            },
            None => {
                let (cases, time) = (run.cases, run.time);
                Told { bug: bug.to_owned(), place, by, check: None, cases, time }
            }
        };
        let before = self.0.iter_mut().find(|old| old.bug == told.bug && old.place == told.place);
        match before {
            None => self.0.push(told),
            Some(old) => match (&old.check, &told.check) {
                // Nobody has found it: all of them have looked. A bug may have several lines for one run.
                (None, None) if old.by == told.by => {}
                (None, None) => {
                    old.by = told.by;
                    old.cases += told.cases;
                    old.time += told.time;
                }
                (Some(_), None) => {}
                (None, Some(_)) => *old = told,
                (Some(_), Some(_)) if told.time < old.time => *old = told,
                (Some(_), Some(_)) => {}
            },
        }
    }

    fn print(&self) {
        println!(
            "\n{:<5}{:<28}{:<32}{:>6}{:>9}  check",
            "bug", "where", "first by", "cases", "time"
        );
        for Told { bug, place, by, check, cases, time } in &self.0 {
            let time = seconds(*time);
            match check {
                Some(check) => println!("{bug:<5}{place:<28}{by:<32}{cases:>6}{time:>9}  {check}"),
                None => println!("{bug:<5}{place:<28}{:<32}{cases:>6}{time:>9}  silent", "nobody"),
            }
        }
    }
}

/// `b01`, `27`: the names of known bugs.
fn is_bug(word: &str) -> bool {
    let digits = word.strip_prefix('b').unwrap_or(word);
    digits.starts_with(|letter: char| letter.is_ascii_digit())
}

fn main() -> ExitCode {
    let path = std::env::args().nth(1).expect("the file of expectations");
    let expected = expectations(&path);
    let seen = read();
    print_matrix(&seen);
    let missed = compare(&seen, &expected);
    if missed.is_empty() {
        println!("\nevery expectation is met");
        return ExitCode::SUCCESS;
    }
    println!("\nmissed expectations (see {path}):");
    for line in missed {
        println!("  {line}");
    }
    ExitCode::FAILURE
}
