//! Whatever is wrong with a file or a place to write to is told once, where it is and how to mend it;
//! the exit code is 2 and nothing is left half-written.

#![cfg(feature = "cli")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const WHOLE: &str = r#"format = 1
name = "small"
schedule = "0x1"
steps-max = 1000
weaknesses = ["no-probe"]

[machine]
processors = 2
smep = true
clock-interval = 200

[[component]]
name = "editor"
home = "application"
actions = [
    { do = "open", device = "nic", access = 3, slot = 0 },
    { do = "load", word = 3 },
    { do = "system-call", service = 9, arguments = ["0x4"] },
]

[[component]]
name = "nic"
home = "kernel-driver"
driver = "transfer"

[[fault]]
kind = "wild-write"
who = "nic"
at = { point = "store", nth = 3 }
parameters = { operator = "offset", offset = "0x8" }

[expect]
class = "dormant"
bug-check = "0x50"
"#;

/// What is changed, into what, the line and column that are told, and what the message says.
type Mistake = (&'static str, &'static str, (usize, usize), &'static str);

const MISTAKES: &[Mistake] = &[
    ("name = \"small\"", "name = \"\"", (2, 8), "a scenario without a name can't be told"),
    ("name = \"small\"", "name = \" \"", (2, 8), "expected: a name, such as"),
    // Numbers: negative, too large, beyond 64 and 127 bits, fractions, other types.
    ("processors = 2", "processors = -1", (8, 14), "a whole number, 1 to 4"),
    ("processors = 2", "processors = 300", (8, 14), "a whole number, 1 to 4"),
    ("processors = 2", "processors = 99999999999999999999", (8, 14), "a whole number, 1 to 4"),
    (
        "processors = 2",
        "processors = 999999999999999999999999999999999999999999",
        (8, 14),
        "a whole number, 1 to 4",
    ),
    ("processors = 2", "processors = 2.5", (8, 14), "a number with a fraction"),
    ("processors = 2", "processors = nan", (8, 14), "a whole number, 1 to 4"),
    ("processors = 2", "processors = \"2\"", (8, 14), "leave out the quotes: 2"),
    ("processors = 2", "processors = [2]", (8, 14), "holds a list"),
    ("processors = 2", "processors = { many = 2 }", (8, 14), "holds a table"),
    ("processors = 2", "processors = 2024-01-01", (8, 14), "holds a date"),
    ("smep = true", "smep = 1", (9, 8), "true or false"),
    ("smep = true", "smep = \"true\"", (9, 8), "leave out the quotes: true"),
    ("smep = true", "smep = yes", (9, 8), "between quotes"),
    ("clock-interval = 200", "clock-interval = 20", (10, 18), "50 to 4294967295"),
    ("clock-interval = 200", "clock-interval = 5000000000", (10, 18), "0 to 4294967295"),
    ("steps-max = 1000", "steps-max = -5", (4, 13), "a whole number, 1 to 10000000"),
    ("steps-max = 1000", "steps-max = 1e3", (4, 13), "a whole number, 1 to 10000000"),
    ("steps-max = 1000", "steps-max = 100000000", (4, 13), "a whole number, 1 to 10000000"),
    ("nth = 3", "nth = -3", (29, 31), "a whole number, 1 to 1000000000"),
    ("nth = 3", "nth = 3.0", (29, 31), "a number with a fraction"),
    ("nth = 3", "nth = \"third\"", (29, 31), "holds a text"),
    // In actions, where the reader of fields no longer knows the place.
    ("slot = 0", "slot = 300", (16, 55), "a whole number, 0 to 15"),
    ("slot = 0", "slot = -1", (16, 55), "a whole number, 0 to 15"),
    ("slot = 0", "slot = \"0\"", (16, 55), "leave out the quotes: 0"),
    ("slot = 0", "slot = 0.5", (16, 55), "a whole number, 0 to 15"),
    (", slot = 0", "", (16, 5), "`slot` is missing"),
    ("slot = 0", "slto = 0", (16, 48), "did you mean `slot`?"),
    ("word = 3", "word = 70000", (17, 27), "a whole number, 0 to 127"),
    ("word = 3", "word = 3, value = \"0x1\"", (17, 30), "unknown field `value`"),
    ("do = \"load\", ", "", (17, 5), "an action without `do`"),
    ("do = \"load\"", "do = 3", (17, 12), "holds a whole number"),
    ("do = \"load\"", "do = \"laod\"", (17, 12), "did you mean `load`?"),
    ("access = 3", "access = \"write\"", (16, 45), "a whole number, 0 to 255"),
    ("service = 9", "service = 256", (18, 37), "a whole number, 0 to 255"),
    ("service = 9", "service = \"NtQueryEvnt\"", (18, 37), "did you mean `NtQueryEvent`?"),
    ("[\"0x4\"]", "\"0x4\"", (18, 52), "put it between [ and ]"),
    ("[\"0x4\"]", "[\"4\"]", (18, 53), "put 0x in front: \"0x4\""),
    ("[\"0x4\"]", "[4, -4]", (18, 56), "not negative"),
    ("[\"0x4\"]", "[\"buffers:cpy\"]", (18, 53), "did you mean `buffers:copy`?"),
    ("[\"0x4\"]", "[\"copy\"]", (18, 53), "or a driver's name and a function's: \"buffers:copy\""),
    (
        "[\"0x4\"]",
        "[\"vulnerable:pool:mendd\"]",
        (18, 53),
        "did you mean `vulnerable:pool:mended`?",
    ),
    ("[\"0x4\"]", "[\"scanner:scan\"]", (18, 53), "unknown control code `scanner:scan`"),
    // Hexadecimal strings.
    ("schedule = \"0x1\"", "schedule = \"1\"", (3, 12), "put 0x in front: \"0x1\""),
    ("schedule = \"0x1\"", "schedule = \"0xzz\"", (3, 12), "digits 0 to 9 and a to f"),
    ("schedule = \"0x1\"", "schedule = \"0x\"", (3, 12), "digits 0 to 9 and a to f"),
    ("schedule = \"0x1\"", "schedule = \"0x11112222333344445\"", (3, 12), "longer than 64 bits"),
    ("schedule = \"0x1\"", "schedule = -1", (3, 12), "not negative"),
    ("schedule = \"0x1\"", "schedule = 1.5", (3, 12), "a hexadecimal string"),
    ("schedule = \"0x1\"", "schedule = true", (3, 12), "a hexadecimal string"),
    ("offset = \"0x8\"", "offset = 8", (30, 46), "write \"0x8\""),
    ("offset = \"0x8\"", "offset = \"8\"", (30, 46), "put 0x in front"),
    ("offset = \"0x8\"", "bit = 64", (30, 43), "a whole number, 0 to 63"),
    ("bug-check = \"0x50\"", "bug-check = \"80\"", (34, 13), "put 0x in front"),
    // Names.
    ("\"no-probe\"", "\"no-prob\"", (5, 15), "did you mean `no-probe`?"),
    ("class = \"dormant\"", "class = \"dormat\"", (33, 9), "did you mean `dormant`?"),
    ("class = \"dormant\"", "violated = [\"frames\"]", (33, 13), "unknown guarantee `frames`"),
    ("class = \"dormant\"", "guarantees = \"hold\"", (33, 14), "did you mean `held`?"),
    ("\"offset\"", "\"ofset\"", (30, 27), "did you mean `offset`?"),
    (
        "driver = \"transfer\"",
        "driver = \"transfer\"\n\n[[component]]\nname = \"two\"\nhome = \"kernel-driver\"\ndriver = \"display\"",
        (26, 1),
        "at most 1",
    ),
    (
        "operator = \"offset\"",
        "target = \"kernel/ready-queeu\"",
        (30, 33),
        "did you mean `ready-queue`?",
    ),
    ("who = \"nic\"", "who = \"nci\"", (28, 7), "did you mean `nic`?"),
    ("driver = \"transfer\"", "driver = \"tranfser\"", (24, 10), "did you mean `transfer`?"),
    // Types, shapes, what is missing or there twice.
    ("name = \"small\"", "name = 3", (2, 8), "put it between quotes"),
    ("name = \"small\"\n", "", (1, 1), "`name` is missing"),
    ("name = \"small\"", "name = \"small\"\nname = \"x\"", (3, 1), "a second time"),
    ("slot = 0 }", "slot = 0, slot = 1 }", (16, 58), "a second time"),
    ("home = \"application\"\n", "", (12, 1), "`home` is missing"),
    ("home = \"application\"", "home = 3", (14, 8), "put it between quotes"),
    ("kind = \"wild-write\"\n", "", (26, 1), "`kind` is missing"),
    ("[\"no-probe\"]", "\"no-probe\"", (5, 14), "put it between [ and ]"),
    ("[machine]", "[[machine]]", (7, 1), "write [machine] with single brackets"),
    ("format = 1", "format = 1.0", (1, 10), "expected: format = 1"),
    ("format = 1", "format = 7", (1, 10), "this is format 7"),
    ("format = 1", "format = \"1\"", (1, 10), "help: leave out the quotes: 1"),
    ("format = 1", "format = \"one\"", (1, 10), "help: write format = 1"),
    ("smep = true", "weaknesses = []", (9, 1), "`weaknesses` belongs at the top level"),
    (
        "smep = true",
        "weaknes = []",
        (9, 1),
        "did you mean `weaknesses`, which belongs at the top level",
    ),
    ("steps-max = 1000", "processors = 1", (4, 1), "`processors` belongs in [machine]"),
    ("word = 3", "word = 3, weaknesses = []", (17, 30), "`weaknesses` belongs at the top level"),
    ("smep = true", "zebra = true", (9, 1), "help: leave it out"),
    // Syntax.
    ("[expect]", "[expect", (32, 8), "unclosed table"),
    ("name = \"small\"", "name = \"small", (2, 14), "invalid basic string"),
    ("name = \"small\"", "na me = \"small\"", (2, 4), "`=`"),
    ("name = \"small\"", "name = \"sm\u{0}ll\"", (2, 11), "invalid basic string"),
];

/// Words of types and of programs, not of whoever writes the file.
const NOT_FOR_USERS: &[&str] = &[
    "u8",
    "u16",
    "u32",
    "u64",
    "i64",
    "i128",
    "Some(",
    "None",
    "variant",
    "sequence",
    "invalid type",
    "invalid value",
    "literal string",
    "panicked",
    "floating point",
    "untagged",
];

fn ringfence(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    command.args(arguments).stdin(Stdio::null()).output().expect("the program starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// An empty folder of its own for one test, in the folder cargo gives tests.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("a folder for tests");
    path
}

/// Refused with one message for the user, and not a word on standard output.
fn refused(output: &Output) -> String {
    let told = stderr(output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(output.stdout.is_empty(), "{told}");
    assert_eq!(told.matches("error: ").count(), 1, "{told}");
    told
}

/// As [`refused`], in the words of whoever writes the file.
fn refused_in_words(output: &Output) -> String {
    let told = refused(output);
    for word in NOT_FOR_USERS {
        assert!(!told.contains(word), "{word}: {told}");
    }
    told
}

#[test]
fn the_scenario_that_is_spoilt_below_is_sound() {
    let file = folder("bad-input-whole").join("whole.toml");
    std::fs::write(&file, WHOLE).expect("written");

    let output = ringfence(&["explain", file.to_str().expect("a plain path")]);

    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn each_mistake_in_a_scenario_is_told_where_it_is_with_its_remedy() {
    let file = folder("bad-input-mistakes").join("spoilt.toml");
    let name = file.to_str().expect("a plain path");
    for (from, to, (line, column), wanted) in MISTAKES {
        assert!(WHOLE.contains(from), "{from}");
        std::fs::write(&file, WHOLE.replacen(from, to, 1)).expect("written");

        let told = refused_in_words(&ringfence(&["explain", name]));

        assert!(told.contains(&format!("{name}:{line}:{column}\n")), "{to}: {told}");
        assert!(told.contains(wanted), "{to}: {wanted}: {told}");
        let is_mendable = told.contains(" = help: ") || told.contains(" = expected: ");
        assert!(is_mendable, "{to}: {told}");
    }
}

#[test]
fn every_command_that_reads_a_scenario_refuses_a_spoilt_one() {
    let file = folder("bad-input-commands").join("spoilt.toml");
    std::fs::write(&file, WHOLE.replace("slot = 0", "slot = 99")).expect("written");
    let name = file.to_str().expect("a plain path");
    for arguments in [
        &["run", name][..],
        &["run", name, "--json", "--trace"],
        &["replay", name],
        &["replay", name, "--json"],
        &["explain", name, "--json"],
        &["campaign", name],
        &["campaign", name, "--json", "--seeds", "1", "--only", "3"],
        &["live-bytes", name],
    ] {
        let told = refused(&ringfence(arguments));

        assert!(told.contains(&format!("{name}:16:55\n")), "{arguments:?}: {told}");
    }
}

#[test]
fn a_case_that_is_cut_off_before_what_it_expects_is_no_case() {
    let file = folder("bad-input-cut").join("cut.toml");
    let name = file.to_str().expect("a plain path");
    let (whole, _) = WHOLE.split_once("class = ").expect("it expects a class");
    std::fs::write(&file, whole).expect("written");
    for command in ["run", "replay", "explain"] {
        let told = refused(&ringfence(&[command, name]));

        assert!(told.contains(&format!("{name}:32:1\n")), "{command}: {told}");
        assert!(told.contains("nothing is expected here"), "{command}: {told}");
        assert!(told.contains("leave `expect` out"), "{command}: {told}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_and_of_very_many_the_first() {
    let file = folder("bad-input-many").join("many.toml");
    let name = file.to_str().expect("a plain path");
    let two = WHOLE.replace("slot = 0", "slot = 99").replace("processors = 2", "processors = -2");
    let line = "    { do = \"load\", word = 999 },\n";
    let many = WHOLE.replace("actions = [\n", &format!("actions = [\n{}", line.repeat(20_000)));

    std::fs::write(&file, two).expect("written");
    let of_two = stderr(&ringfence(&["run", name]));
    std::fs::write(&file, many).expect("written");
    let of_many = stderr(&ringfence(&["run", name]));

    assert_eq!(of_two.matches("error: ").count(), 2, "{of_two}");
    assert!(of_many.ends_with("more mistakes; mend these first\n"), "{}", of_many.len());
    assert!(of_many.lines().count() < 200, "{}", of_many.len());
}

#[test]
fn files_that_are_no_scenario_at_all_are_refused() {
    let folder = folder("bad-input-files");
    let put = |name: &str, bytes: &[u8]| {
        let file = folder.join(name);
        std::fs::write(&file, bytes).expect("written");
        file.to_str().expect("a plain path").to_owned()
    };
    let utf16: Vec<u8> =
        core::iter::once(0xfeff).chain(WHOLE.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let latin: Vec<u8> = WHOLE
        .replace("small", "sm*ll")
        .bytes()
        .map(|byte| if byte == b'*' { 0xe4 } else { byte })
        .collect();
    let nested = format!("format = 1\nname = \"x\"\nabout = {}", "[".repeat(5000));
    for (name, wanted) in [
        (put("empty.toml", b""), "begin with `format = 1`"),
        (put("utf16.toml", &utf16), "save the file as UTF-8"),
        (put("latin.toml", &latin), "latin.toml:2:11"),
        (put("nested.toml", nested.as_bytes()), "nested too deeply"),
        (put("noise.toml", &[0, 1, 2, 3, 0xff]), "noise.toml:1:"),
        (put("image.toml", &[0x7f, b'E', b'L', b'F', 2, 1, 1]), "image.toml:1:"),
        (folder.join("absent.toml").display().to_string(), "can't read"),
        (folder.display().to_string(), "can't read"),
    ] {
        let told = refused_in_words(&ringfence(&["run", &name]));

        assert!(told.contains(wanted), "{name}: {told}");
    }
}

#[test]
fn a_byte_order_mark_and_the_line_ends_of_other_systems_are_no_mistake() {
    let file = folder("bad-input-marks").join("marked.toml");
    let marked = format!("\u{feff}{}", WHOLE.replace('\n', "\r\n"));
    std::fs::write(&file, marked).expect("written");

    let output = ringfence(&["explain", file.to_str().expect("a plain path")]);

    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn a_file_of_100_megabytes_is_refused_for_its_size_at_once() {
    let file = folder("bad-input-size").join("large.toml");
    // A hole: it takes no room on the disk, and reads as zeros.
    let made = std::fs::File::create(&file).and_then(|file| file.set_len(100 << 20));
    made.expect("written");

    let told = refused(&ringfence(&["run", file.to_str().expect("a plain path")]));

    assert!(told.contains("too large: a scenario has at most 1048576 bytes"), "{told}");
}

#[test]
fn ranges_and_numbers_in_arguments_are_refused_with_the_right_form() {
    for (arguments, wanted) in [
        (&["campaign", "--seeds", "10..0"][..], "as in 0..11"),
        (&["campaign", "--seeds", "5..5"], "expected FIRST..END"),
        (&["campaign", "--seeds", ".."], "expected a number"),
        (&["campaign", "--seeds", "-3..4"], "\"-3\" is not a seed; expected a number"),
        (&["campaign", "--seeds", "-1"], "\"-1\" is not a seed; expected a number"),
        (&["campaign", "--experiments", "-5"], "expected a whole number, 1 to 4294967295"),
        (&["campaign", "--jobs", "-5"], "expected a whole number, 1 to 256"),
        (&["sweep", "standard", "--only", "-5"], "expected a whole number, 0 to "),
        (&["live-bytes", "--every", "-5"], "is not a number above 0"),
        (&["campaign", "--mix", "="], "a weight of nothing"),
        (&["campaign", "--seeds", "0", "--only", "3", "--horizon", "3"], "--horizon"),
        (&["campaign", "--seeds", "1.5"], "expected a number"),
        (
            &["campaign", "--seeds", "0..99999999999999999999"],
            "seeds go from 0 to 18446744073709551615",
        ),
        (
            &["campaign", "--seeds", "18446744073709551616"],
            "seeds go from 0 to 18446744073709551615",
        ),
        (&["campaign", "--experiments", "0"], "0"),
        (&["campaign", "--experiments", "-1"], "-1"),
        (&["campaign", "--jobs", "0"], "1 to 256"),
        (&["swep", "standard"], "there is no command `swep`"),
        (&["swep", "standard"], "did you mean `sweep`?"),
        (&["campaign", "--compare", "foo=1"], "choose one of home, weakness, "),
        (&["campaign", "--jobs", "many"], "many"),
        (&["live-bytes", "--every", "0"], "is not a number above 0"),
        (&["live-bytes", "--moments", "65"], "65"),
        (&["campagn"], "campaign"),
        (&["run"], "<SCENARIO>"),
        (&["list", "fault"], "a similar value exists: 'faults'"),
        (&["list", "foo"], "[possible values: scenarios, "),
        (&["sweep", "--fault", "hnag"], "did you mean `hang`?"),
        (&["sweep", "--fault", "nope"], "`ringfence list faults` names all of them"),
        (&["run", "incidents/I99"], "name one of `ringfence list incidents`"),
        (&["run", "incidents/I99-sysert"], "did you mean `incidents/I18-sysret`?"),
        (&["run", "incidents/I7"], "did you mean `incidents/I07-rowhammer-entry`?"),
        (&["run", "i007"], "did you mean `incidents/I07-rowhammer-entry`?"),
        (&["run", "I99"], "an incident of `ringfence list incidents`"),
        (&["--no-such-option"], "--no-such-option"),
    ] {
        let told = refused(&ringfence(arguments));

        assert!(told.contains(wanted), "{arguments:?}: {wanted}: {told}");
    }
}

#[test]
fn no_name_from_a_file_or_an_argument_reaches_a_terminal_raw() {
    let folder = folder("bad-input-raw");
    let escape = "\u{1b}[31m";
    let component = folder.join("component.toml");
    let spoilt = WHOLE.replace("name = \"nic\"", "name = \"n\\u001b[31mic\"");
    assert_ne!(spoilt, WHOLE);
    std::fs::write(&component, spoilt).expect("written");
    let print = folder.join("print.txt");
    std::fs::write(&print, format!("ringfence margins 2\n{escape}\n")).expect("written");
    let [component, print] = [&component, &print].map(|path| path.to_str().expect("a plain path"));

    for arguments in [
        &["run", component][..],
        &["run", escape],
        &["run", &format!("./{escape}.toml")],
        &["campaign", "--fault", escape],
        &["campaign", "--seeds", escape],
        &["list", escape],
        &[escape, "standard"],
        &["audit", &format!("./{escape}.img")],
        &["margin", "compare", print, print],
        &["margin", "compare", &format!("{escape}.txt"), print],
    ] {
        let output = ringfence(arguments);

        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stdout.contains(&0x1b), "{arguments:?}");
        assert!(!output.stderr.contains(&0x1b), "{arguments:?}: {}", stderr(&output));
    }
}

/// A world in which everything that is told of it moves the cursor and changes colours.
const ESCAPES: &str = r#"format = 1
name = "t\u001b[31m\nu"
about = "x\u001b[31mRED\u0007 and\nmore\u009b2J"
published = "p\u001b[32m"
sources = ["s\u001b[33m"]
schedule = "0x1"
steps-max = 60000

[[component]]
name = "editor"
home = "application"
actions = [{ do = "store", word = 0, value = "0x1" }, { do = "wait" }]

[[fault]]
kind = "crash"
who = "editor"
at = { point = "step", routine = "main", nth = 6 }
parameters = { how = "divide-by-zero" }
"#;

#[test]
fn no_text_of_a_file_that_is_sound_reaches_a_terminal_raw() {
    let folder = folder("bad-input-told-raw");
    let (file, trace) = (folder.join("\u{1b}[31m.toml"), folder.join("trace"));
    std::fs::write(&file, ESCAPES).expect("written");
    std::fs::write(&trace, "\0id\u{1b}[31m\u{7}\r\n\tmap\n").expect("written");
    let incident = folder.join("incident.toml");
    let told = ESCAPES.replace(
        "\n[[component]]",
        "\n[incident]\nwhat = \"w\\u001b[31m\"\ndate = \"d\\u001b[31m\"\n\n[[component]]",
    ) + "\n[[contrast]]\nname = \"n\\u001b[31m\"\nmachine = { smap = true }\nexpect = {}\n";
    std::fs::write(&incident, told).expect("written");
    let [file, trace, incident] =
        [&file, &trace, &incident].map(|path| path.to_str().expect("a plain path"));

    for (arguments, wanted) in [
        (&["run", file][..], "t\\u{1b}[31m u: x\\u{1b}[31mRED\\u{7} and more\\u{9b}2J"),
        (&["run", "--trace", file], "p\\u{1b}[32m"),
        (&["replay", file], "t\\u{1b}[31m u: x"),
        (&["run", incident], "w\\u{1b}[31m · d\\u{1b}[31m"),
        (&["explain", file], "# t\\u{1b}[31m\\nu\n"),
        (&["explain", "--target", "trace", trace], "id\\u{1b}[31m\\u{7}\n map\n"),
        (&["campaign", file, "--seeds", "0", "--experiments", "12"], "$'"),
        (&["campaign", file, "--seeds", "0", "--only", "golden"], "t\\u{1b}[31m u (golden run)"),
        (&["sweep", file, "--fault", "crash"], "of t\\u{1b}[31m\\nu\n"),
        (&["live-bytes", file, "--every", "4096", "--moments", "1"], "t\\u{1b}[31m\\nu, before"),
        (&["campaign", "--compare", file, file, "--seeds", "0", "--experiments", "2"], "u{1b}"),
    ] {
        let output = ringfence(arguments);

        let told = String::from_utf8_lossy(&output.stdout);
        assert!(told.contains(wanted), "{arguments:?}: {wanted}: {told}{}", stderr(&output));
        for told in [&told, &*stderr(&output)] {
            let raw = |c: char| c.is_control() && c != '\n';
            assert!(!told.contains(raw), "{arguments:?}: {told:?}");
        }
    }
}

#[test]
fn what_is_nested_too_deeply_is_told_where_it_is() {
    let folder = folder("bad-input-deep");
    let file = folder.join("deep.toml");
    let key = vec!["x"; 5000].join(".");
    let table = format!("[{key}]\n");
    let list = format!("deep = {}1{}\n", "[".repeat(5000), "]".repeat(5000));
    for (deep, column) in [(format!("  {key} = 1\n"), 3), (table, 1), (list, 88)] {
        std::fs::write(&file, format!("format = 1\nname = \"deep\"\n# a.b\n{deep}"))
            .expect("written");

        let told = refused(&ringfence(&["run", file.to_str().expect("a plain path")]));

        assert!(told.contains("this is nested too deeply"), "{told}");
        assert!(told.contains(&format!("deep.toml:4:{column}")), "{told}");
    }
}

/// A world that violates a guarantee under almost any plan, so that there is something to save.
fn violating(arguments: &[&str]) -> Output {
    let folder = folder("bad-input-violating");
    let file = folder.join("weak.toml");
    let weak = WHOLE.replace("no-probe", "user-bit-in-system");
    std::fs::write(&file, weak).expect("written");
    let name = file.to_str().expect("a plain path");
    ringfence(&[&["campaign", name, "--seeds", "0..2", "--experiments", "10"], arguments].concat())
}

#[cfg(target_os = "linux")]
#[test]
fn what_can_t_be_saved_leaves_nothing_half_written() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("it is there");
    let place = folder("bad-input-save").join("in-the-way");
    std::fs::write(&place, b"").expect("written");

    let onto_a_file = violating(&["--save", place.to_str().expect("a plain path")]);
    let into_full = Command::new(env!("CARGO_BIN_EXE_ringfence"))
        .args(["campaign", "--seeds", "0..1", "--experiments", "5"])
        .stdout(full)
        .output()
        .expect("the program starts");

    let told = refused(&onto_a_file);
    assert!(
        told.contains("can't write to the folder") && told.contains("not a directory"),
        "{told}"
    );
    let told = refused(&violating(&["--save", "/dev/null"]));
    assert!(told.contains("/dev/null: not a directory"), "{told}");
    assert_eq!(std::fs::read(&place).expect("still there"), b"");
    assert_eq!(into_full.status.code(), Some(2));
    let told = stderr(&into_full);
    assert!(told.contains("can't write to standard output"), "{told}");
}

#[test]
fn a_case_whose_place_is_taken_is_named_and_the_scenario_that_is_read_is_never_written_over() {
    let place = folder("bad-input-taken");
    let _ = std::fs::remove_dir_all(&place);
    std::fs::create_dir_all(&place).expect("a folder");
    let save = ["--save", place.to_str().expect("a plain path")];
    let sorted = |place: &PathBuf| {
        let files = std::fs::read_dir(place).expect("a folder").flatten();
        let mut names: Vec<PathBuf> = files.map(|file| file.path()).collect();
        names.sort();
        names
    };
    assert_eq!(violating(&save).status.code(), Some(1));
    let cases = sorted(&place);
    let first = cases.first().expect("a case");
    let read = std::fs::read(first).expect("it is there");
    let name = first.to_str().expect("a plain path");

    let over = ringfence(&[&["campaign", name][..], &save].concat());
    assert_eq!(violating(&save).status.code(), Some(1), "its own it may replace");
    assert_eq!(sorted(&place), cases);
    // Somebody's own notes, under the name of a case.
    std::fs::write(first, "my notes\n").expect("written");
    let foreign = violating(&save);
    let told_of_it = refused(&foreign);
    assert!(told_of_it.contains(&format!("{name} has the name of a case")), "{told_of_it}");
    assert!(told_of_it.contains("give --save another folder"), "{told_of_it}");
    assert_eq!(std::fs::read(first).expect("it is there"), b"my notes\n");
    assert_eq!(sorted(&place), cases, "nothing half-written");
    std::fs::remove_file(first).and_then(|()| std::fs::create_dir(first)).expect("done");
    let taken = violating(&save);

    let told = refused(&over);
    assert!(told.contains("a case that is saved could take its place"), "{told}");
    assert!(!read.is_empty());
    assert_eq!(taken.status.code(), Some(2));
    assert!(stderr(&taken).contains(&format!("can't write {name}: ")), "{}", stderr(&taken));
    assert_eq!(sorted(&place), cases, "nothing half-written");
}

#[test]
fn an_unknown_field_hides_no_other_mistake() {
    let place = folder("bad-input-fields").join("fields.toml");
    let text = "format = 1\nname = \"fields\"\nfoo = 3\n[[component]]\nname = \"editor\"\n\
                home = \"application\"\nhue = 1\nactions = [{ do = \"load\", word = 0, byte = 1 }]\n\
                [[fault]]\nkind = \"CRASH\"\nwho = \"editr\"\nat = { point = \"step\", nth = 1 }\n";
    std::fs::write(&place, text).expect("written");

    let output = ringfence(&["run", place.to_str().expect("a plain path")]);

    assert_eq!(output.status.code(), Some(2));
    let told = stderr(&output);
    assert_eq!(told.matches("error: ").count(), 5, "{told}");
    for (what, line) in [
        ("unknown field `foo`", 3),
        ("unknown field `hue`", 7),
        ("unknown field `byte`", 8),
        ("did you mean `crash`?", 10),
        ("did you mean `editor`?", 11),
    ] {
        assert!(told.contains(what), "{what}: {told}");
        assert!(told.contains(&format!("fields.toml:{line}:")), "{line}: {told}");
    }
}
