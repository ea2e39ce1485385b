//! `ringfence audit` as its user meets it.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use crate::files::tables_alone;
use crate::images;

pub(crate) fn audit(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    command.arg("audit").args(arguments).output().expect("the program starts")
}

pub(crate) fn stdout(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).expect("text")
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

pub(crate) fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, bytes).expect("a folder for tests");
    path
}

pub(crate) fn image(name: &str) -> String {
    file(name, &tables_alone(&images::ordinary())).to_str().expect("a plain path").to_owned()
}

#[test]
fn the_report_fits_a_terminal_and_has_every_part() {
    let text = stdout(&audit(&[&image("report.img"), "--flip", "--all"]));

    for wanted in [
        "writable and executable",
        "Every single-bit flip",
        "Isolation margin",
        "replay: ringfence audit",
    ] {
        assert!(text.contains(wanted), "{wanted}");
    }
    let mut prose = text.lines().filter(|line| !line.contains("ringfence audit"));
    assert!(prose.all(|line| line.chars().count() <= 100), "{text}");
}

#[test]
fn pages_are_listed_as_csv() {
    let text = stdout(&audit(&[&image("list.img"), "--list"]));

    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("va,pa,flags"));
    assert_eq!(lines.next(), Some("400000,40000,-------U-"));
}

#[test]
fn any_number_of_workers_prints_the_same() {
    let image = image("jobs.img");
    let with = |jobs| stdout(&audit(&[&image, "--flip", "--all", "--jobs", jobs]));

    let one = with("1");

    assert_eq!(one, with("2"));
    assert_eq!(one, with("7"));
}

#[test]
fn each_witness_is_confirmed_by_its_replay() {
    let image = image("witnesses.img");
    let witnesses = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("witnesses.csv");
    let place = witnesses.to_str().expect("a plain path");

    let text = stdout(&audit(&[&image, "--flip", "--json", "--witnesses", place]));
    let last: Value = serde_json::from_str(text.lines().last().expect("lines")).expect("JSON");
    let csv = std::fs::read_to_string(&witnesses).expect("it was written");

    let rows: Vec<Vec<&str>> = csv.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let classes = &last["summary"]["classes"];
    for class in ["table-write", "kernel-write", "kernel-read", "other-mapping", "wider-right"] {
        let of_class: Vec<&Vec<&str>> = rows.iter().filter(|row| row[4] == class).collect();
        assert_eq!(classes[class].as_u64(), Some(of_class.len() as u64), "{class}");
        for row in of_class.iter().take(2) {
            let flip = format!("{}:{}", row[0], row[1]);
            let one = stdout(&audit(&[&image, "--json", "--flip-one", &flip]));
            let one: Value = serde_json::from_str(&one).expect("JSON");
            assert_eq!(one["flip"]["class"], class, "{flip}");
            assert_eq!(one["flip"]["va"], row[5], "{flip}");
            assert!(row[12].ends_with(&format!(" --flip-one {flip}\"")), "{row:?}");
            assert!(stdout(&audit(&[&image, "--flip-one", &flip])).contains("The walk for"));
        }
    }
    assert!(last["summary"]["breaches"].as_u64().is_some_and(|count| count > 0));
}

#[test]
fn mistakes_are_told_with_a_remedy() {
    let good = image("good.img");
    let bytes = std::fs::read(&good).expect("it is there");
    let cut = file("cut.img", &bytes[..5000]);
    let cut = cut.to_str().expect("a plain path");
    let folder = env!("CARGO_TARGET_TMPDIR");
    let cases: [(&[&str], &str); 10] = [
        (&[cut], "at byte 4144: the file ends within frame 1"),
        (&["./nowhere.img"], "can't read"),
        (&[folder], "can't read"),
        (&[&good, "--off", "smpa"], "did you mean `smap`?"),
        (&[&good, "--on", "smap", "--off", "smap"], "both --on and --off"),
        (&[&good, "--flip-one", "0x12345:1"], "a multiple of 8"),
        (&[&good, "--flip-one", "0x8888:1"], "no page table"),
        (&[&good, "--cr3", "0x999000"], "not in the image"),
        (&[&good, "--flip", "--witnesses", "/nowhere/at/all.csv"], "can't write"),
        // What is there and no file stays what it is.
        (&[&good, "--flip", "--witnesses", folder], "it is there and no file"),
    ];
    for (arguments, wanted) in cases {
        let output = audit(arguments);

        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(wanted), "{arguments:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}
