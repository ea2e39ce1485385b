//! The command as its user meets it: arguments in, text and exit code out.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

fn ringfence(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    command.args(arguments).output().expect("the program starts")
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// A file of its own for one test, in the folder cargo gives tests.
fn file(name: &str, text: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).expect("a folder for tests");
    path
}

/// The last line of a small campaign, which is its summary.
fn summary(arguments: &[&str]) -> serde_json::Value {
    let output = ringfence(&[&["campaign", "--json"], arguments].concat());
    let text = stdout(&output);
    let last = text.lines().last().unwrap_or_else(|| panic!("{}", stderr(&output)));
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("an object a line");
    }
    let line: serde_json::Value = serde_json::from_str(last).expect("an object");
    line["summary"].clone()
}

#[test]
fn help_has_examples_and_exit_codes() {
    let output = ringfence(&["--help"]);

    assert_eq!(code(&output), Some(0));
    for wanted in ["Examples:", "Exit codes:", "130", "campaign", "replay"] {
        assert!(stdout(&output).contains(wanted), "{wanted}");
    }
}

#[test]
fn an_unknown_scenario_suggests_the_nearest() {
    let output = ringfence(&["run", "standrad"]);

    assert_eq!(code(&output), Some(2));
    assert!(stderr(&output).contains("did you mean `standard`?"), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
}

#[test]
fn an_unknown_fault_suggests_the_nearest() {
    let output = ringfence(&["campaign", "--fault", "wild-wirte"]);

    assert_eq!(code(&output), Some(2));
    assert!(stderr(&output).contains("did you mean `wild-write`?"), "{}", stderr(&output));
}

#[test]
fn a_reversed_range_of_seeds_is_refused_with_the_right_form() {
    let output = ringfence(&["campaign", "--seeds", "10..0"]);

    assert_eq!(code(&output), Some(2));
    assert!(stderr(&output).contains("expected FIRST..END"), "{}", stderr(&output));
}

#[test]
fn a_broken_scenario_names_file_line_and_column() {
    let path = file("broken.toml", b"format = 1\nname = \"broken\"\nschedule = = 3\n");

    let output = ringfence(&["run", path.to_str().expect("a plain path")]);

    assert_eq!(code(&output), Some(2));
    assert!(stderr(&output).contains("broken.toml:3:12"), "{}", stderr(&output));
}

#[test]
fn a_case_of_another_format_says_what_no_longer_resolves() {
    let text = b"format = 99\nname = \"old\"\n[[fault]]\nkind = \"cosmic-ray\"\n";
    let path = file("old.toml", text);

    let output = ringfence(&["replay", path.to_str().expect("a plain path")]);

    assert_eq!(code(&output), Some(2));
    assert!(stderr(&output).contains("format 99"), "{}", stderr(&output));
    assert!(stderr(&output).contains("no fault `cosmic-ray`"), "{}", stderr(&output));
}

#[test]
fn a_file_that_is_not_there_and_a_folder_are_refused() {
    for name in ["./nowhere.toml", env!("CARGO_TARGET_TMPDIR")] {
        let output = ringfence(&["replay", name]);

        assert_eq!(code(&output), Some(2), "{name}");
        assert!(stderr(&output).contains("can't read"), "{}", stderr(&output));
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_before_the_work() {
    let path = file("in-the-way", b"");

    let output = ringfence(&["campaign", "--save", path.join("below").to_str().expect("a path")]);

    assert_eq!(code(&output), Some(2));
    assert!(stderr(&output).contains("can't write to the folder"), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
}

#[test]
fn the_summary_is_the_last_object() {
    let summary = summary(&["--seeds", "0..2", "--experiments", "12"]);

    assert!(summary["experiments"].as_u64().is_some_and(|count| count > 0), "{summary}");
    assert!(summary["activated"].as_u64().is_some_and(|count| count > 0), "{summary}");
    assert_eq!(summary["partial"], false);
    assert_eq!(summary["digest"].as_str().map(str::len), Some(32));
}

#[test]
fn any_number_of_workers_gives_the_same_digest() {
    let with = |jobs| summary(&["--seeds", "0..5", "--experiments", "10", "--jobs", jobs]);

    let one = with("1");

    assert_eq!(one, with("2"));
    assert_eq!(one, with("7"));
}

#[test]
fn one_experiment_of_a_campaign_is_told_as_a_story_that_fits_a_terminal() {
    let output = ringfence(&["--seeds", "1", "--only", "3"]);

    let text = stdout(&output);
    assert!(code(&output).is_some_and(|code| code < 2), "{}", stderr(&output));
    assert!(text.contains("planned") && text.contains("outcome"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert_eq!(text, stdout(&ringfence(&["--seeds", "1", "--only", "3"])));
}

#[test]
fn everything_listed_has_a_name() {
    for what in ["scenarios", "faults", "invariants", "weaknesses", "classes"] {
        let output = ringfence(&["list", what, "--json"]);

        assert_eq!(code(&output), Some(0), "{}", stderr(&output));
        assert!(!output.stdout.is_empty(), "{what}");
        for line in stdout(&output).lines() {
            let object: serde_json::Value = serde_json::from_str(line).expect("an object a line");
            assert!(object["name"].is_string(), "{line}");
        }
        assert_eq!(code(&ringfence(&["list", what])), Some(0));
    }
}

#[test]
fn any_bytes_are_explained_as_an_artefact_of_a_target() {
    let path = file("artefact", &[7, 1, 2, 3, 255, 254]);
    let path = path.to_str().expect("a plain path");

    for target in ["world", "translate", "scenario-text"] {
        let output = ringfence(&["explain", path, "--target", target]);

        assert_eq!(code(&output), Some(0), "{}", stderr(&output));
        assert!(!output.stdout.is_empty(), "{target}");
    }
}

#[test]
fn an_expectation_that_is_missed_ends_with_1() {
    let text = "format = 1\nname = \"hopeful\"\n[[component]]\nname = \"a\"\nhome = \"application\"\n\
        actions = [{ do = \"load\", word = 0 }]\n[expect]\nclass = \"boot-loop\"\n";
    let path = file("hopeful.toml", text.as_bytes());

    let output = ringfence(&["replay", path.to_str().expect("a plain path")]);

    assert_eq!(code(&output), Some(1), "{}", stderr(&output));
    assert!(stdout(&output).contains("expected the class boot-loop"), "{}", stdout(&output));
}

#[test]
fn a_closed_pipe_ends_it_silently() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ringfence"))
        .args(["run", "standard", "--trace"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());

    let mut told = String::new();
    let mut errors = child.stderr.take().expect("it was piped");
    errors.read_to_string(&mut told).expect("text");

    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert_eq!(told, "");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named() {
    for arguments in [&["list", "faults"][..], &["--help"], &["list", "classes", "--json"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("it is there");
        let output = Command::new(env!("CARGO_BIN_EXE_ringfence"))
            .args(arguments)
            .stdout(full)
            .output()
            .expect("the program starts");

        assert_eq!(code(&output), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains("can't write to standard output"), "{}", stderr(&output));
    }
}
