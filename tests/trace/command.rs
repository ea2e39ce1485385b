//! `ringfence check` as it is run: exit codes, standard input, JSON, several traces.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

const GOOD: &str = "trace 1 aarch64\ninit 0x1000 0x3000\nset 0 ttbr0_el2 0x1000\n\
                    store 0 0x1000 0x2003 # boot.c:7\n";
const BAD: &str = "store 0 0x1000 0x3003 # boot.c:9\n";

fn check(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ringfence"))
        .arg("check")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    let mut stdin = child.stdin.take().expect("its input");
    // It may end before it has read everything.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("its output")
}

fn told(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn what_holds_is_summed_up_and_what_does_not_is_told_with_its_event() {
    let held = check(&["-"], GOOD);
    let violated = check(&["-"], &[GOOD, BAD].concat());

    assert_eq!(held.status.code(), Some(0), "{}", told(&held.stderr));
    assert!(told(&held.stdout).contains("findings   0"), "{}", told(&held.stdout));
    assert_eq!(violated.status.code(), Some(1));
    let text = told(&violated.stdout);
    for part in [
        "event      standard input:5  store 0 0x1000 0x3003 # boot.c:9",
        "finding    entries: made without break: another table takes its place",
        "because    processor 0 changes the live entry of level 0 for 0x0 in place",
        "  before   0x0000000000002003  valid · table 0x2000",
        "rule       Arm ARM (DDI 0487)",
        "findings   1",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_finding_that_nobody_reads_is_one() {
    for (trace, wanted) in [([GOOD, BAD].concat(), 1), (GOOD.to_owned(), 0)] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ringfence"))
            .args(["check", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        drop(child.stdout.take());
        let mut stdin = child.stdin.take().expect("its input");
        let _ = stdin.write_all(trace.as_bytes());
        drop(stdin);

        let output = child.wait_with_output().expect("its end");

        assert_eq!(output.status.code(), Some(wanted), "{}", told(&output.stderr));
        assert_eq!(told(&output.stderr), "");
    }
}

#[test]
fn each_finding_and_each_trace_is_an_object() {
    let output = check(&["--json", "-"], &[GOOD, BAD].concat());

    let text = told(&output.stdout);
    let objects: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(objects.len(), 2, "{text}");
    assert_eq!(objects[0]["line"], 5);
    assert_eq!(objects[0]["check"], "entries");
    assert_eq!(objects[0]["entry"]["before"], "0x2003");
    assert_eq!(objects[1]["verdict"], "violated");
    assert_eq!(objects[1]["seen"]["table_stores"], 2);
}

#[test]
fn a_mistake_is_told_with_file_line_and_column_and_ends_with_2() {
    let folder = std::env::temp_dir().join(format!("ringfence-check-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("cut.trace");
    std::fs::write(&path, [GOOD, "store 0 0x10"].concat()).expect("a file");

    let cut = check(&[path.to_str().expect("a name")], "");
    let missing = check(&["/nowhere/at/all.trace"], "");
    let nothing = check(&["-"], "trace 1 x86-64\ninit 0 4096\n");
    let empty = check(&["-"], "");
    let long = check(&["-"], &"x".repeat(100_000));
    let binary = Command::new(env!("CARGO_BIN_EXE_ringfence"))
        .args(["check", env!("CARGO_BIN_EXE_ringfence")])
        .output()
        .expect("the program");

    std::fs::remove_dir_all(&folder).expect("the folder is gone");
    for (output, part) in [
        (&cut, "cut.trace:5:13"),
        (&missing, "can't read /nowhere"),
        (&nothing, "names no root of tables"),
        (&empty, "is empty"),
        (&long, "goes on for over 64 KiB"),
        (&binary, "this is no text"),
    ] {
        let text = told(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(
            text.contains(part) && text.contains("help: ") | text.contains("expected: "),
            "{text}"
        );
    }
}

#[test]
fn a_trace_without_a_root_is_told_in_the_words_of_its_format() {
    let own = check(&["-"], "trace 1 aarch64\ninit 0 4096\n");
    let theirs = check(&["--format", "casemate", "-"], "(mem-init 0 0 1000 2000)\n");

    let (own, theirs) = (told(&own.stderr), told(&theirs.stderr));
    assert!(own.contains("`set` line"), "{own}");
    assert!(theirs.contains("`sysreg-write`") && !theirs.contains("`set`"), "{theirs}");
}

#[test]
fn several_traces_of_casemate_are_a_table_beside_its_verdicts() {
    let folder = std::env::temp_dir().join(format!("ringfence-casemate-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let start = "(mem-init 0 0 1000 2000)\n(sysreg-write 1 0 vttbr_el2 1000)\n";
    let files = [
        ("good.log", start.to_owned()),
        ("bad.log", format!("{start}(mem-write 2 0 plain 1000 0)\n! must have associated root\n")),
        ("odd.log", format!("{start}! something else\n")),
    ];
    let paths = files.each_ref().map(|(name, text)| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a file");
        path.to_str().expect("a name").to_owned()
    });
    let [good, bad, odd] = paths.each_ref().map(String::as_str);

    let output = check(&["--format", "casemate", good, bad, odd], "");

    std::fs::remove_dir_all(&folder).expect("the folder is gone");
    let text = told(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output.stderr));
    for part in [
        "good.log  held       agrees",
        "bad.log   violated   agrees   locks: a table has no lock  [must have associated root]",
        "odd.log   held       DIFFERS  [something else]",
        "3 traces, 1 violated, 1 other than recorded",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_trace_that_is_broken_takes_nothing_from_the_others() {
    let folder = std::env::temp_dir().join(format!("ringfence-broken-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let files = [
        ("good.trace", GOOD.to_owned()),
        ("cut.trace", [GOOD, BAD, "store 0 0x10"].concat()),
        ("bad.trace", [GOOD, BAD].concat()),
    ];
    let paths = files.each_ref().map(|(name, text)| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a file");
        path.to_str().expect("a name").to_owned()
    });
    let [good, cut, bad] = paths.each_ref().map(String::as_str);

    let output = check(&[good, cut, "/nowhere/at/all.trace", bad], "");
    let objects = check(&["--json", good, cut, bad], "");

    std::fs::remove_dir_all(&folder).expect("the folder is gone");
    let (text, errors) = (told(&output.stdout), told(&output.stderr));
    assert_eq!(output.status.code(), Some(2), "{errors}");
    for part in [
        "good.trace  held",
        "cut.trace   broken     entries: made without break",
        "all.trace   broken",
        "bad.trace   violated   entries: made without break",
        "4 traces, 2 violated, 2 broken",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(errors.contains("cut.trace:6:13"), "{errors}");
    assert!(errors.contains("can't read /nowhere"), "{errors}");
    let text = told(&objects.stdout);
    let objects = text.lines().map(|line| serde_json::from_str(line).expect("an object"));
    let verdicts: Vec<String> = objects
        .filter_map(|object: serde_json::Value| object["verdict"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(verdicts, ["held", "broken", "violated"], "{text}");
}

#[test]
fn a_byte_order_mark_is_read_over_in_front_and_named_elsewhere() {
    let first = check(&["-"], &["\u{feff}", GOOD].concat());
    let second = check(&["-"], &[GOOD, "\u{feff}", BAD].concat());

    assert_eq!(first.status.code(), Some(0), "{}", told(&first.stderr));
    let errors = told(&second.stderr);
    assert_eq!(second.status.code(), Some(2), "{errors}");
    assert!(errors.contains("a byte order mark (U+FEFF) stands in front"), "{errors}");
}

#[test]
fn sizes_that_go_on_behind_the_last_address_are_mistakes() {
    for event in [
        "free 0 0xfffffffffffff000 0x2000\n",
        "free 0 0x100000 0xffffffffffffffff\n",
        "allocate 0 0xfffffffffffff000 0x1001\n",
    ] {
        let output = check(&["-"], &[GOOD, event].concat());

        let errors = told(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{event}{errors}");
        assert!(errors.contains("behind the last address, 2^64 - 1"), "{event}{errors}");
    }
    let last = check(&["-"], &[GOOD, "free 0 0xfffffffffffff000 0x1000\n"].concat());
    assert_eq!(last.status.code(), Some(0), "{}", told(&last.stderr));
}
