//! The command as its user meets it: arguments in, text and exit code out.

#![cfg(feature = "cli")]

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
#[cfg(target_os = "linux")]
use std::time::Duration;

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
fn names_behind_a_comma_may_have_a_space_in_front() {
    let campaign =
        |faults| ringfence(&["campaign", "--seeds", "0", "--experiments", "5", "--fault", faults]);

    let (spaced, plain) = (campaign("crash, hang "), campaign("crash,hang"));

    assert_eq!(code(&spaced), Some(0), "{}", stderr(&spaced));
    let results = |output| {
        let text: String = stdout(output);
        let told = text.lines().filter(|line| !line.contains("--fault"));
        told.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(results(&spaced), results(&plain));
    assert!(results(&spaced).len() > 5);
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
    let text = "format = 99\nname = \"old\"\n[[component]]\nname = \"a\"\nhome = \"application\"\n\
        actions = [{ do = \"load\", word = 0 }]\n\
        [[fault]]\nkind = \"cosmic-ray\"\nwho = \"b\"\n\
        at = { point = \"store\", routine = \"MiLost\", nth = 1 }\n\
        [[fault]]\nkind = \"bit-flip\"\nwho = \"a\"\nat = { point = \"step\", nth = 1 }\n\
        parameters = { target = \"process:gone/root\", bit = 3 }\n";
    let path = file("old.toml", text.as_bytes());

    let output = ringfence(&["replay", path.to_str().expect("a plain path")]);

    assert_eq!(code(&output), Some(2));
    assert!(stderr(&output).contains("format 99"), "{}", stderr(&output));
    for lost in ["fault `cosmic-ray`", "principal `b`", "routine `MiLost`", "gone"] {
        assert!(stderr(&output).contains(lost), "{lost}: {}", stderr(&output));
    }
}

#[test]
fn a_case_of_another_format_says_which_actions_and_fields_are_gone() {
    let text = "format = 99\nname = \"old\"\ncolour = \"red\"\n[[component]]\nname = \"a\"\n\
        home = \"application\"\nactions = [{ do = \"teleport\" }, { do = \"load\", word = 0 }]\n";
    let path = file("older.toml", text.as_bytes());

    let output = ringfence(&["replay", path.to_str().expect("a plain path")]);

    assert_eq!(code(&output), Some(2));
    for lost in ["no field `colour`", "no action `teleport`"] {
        assert!(stderr(&output).contains(lost), "{lost}: {}", stderr(&output));
    }
    assert!(!stderr(&output).contains("`load`"), "{}", stderr(&output));
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
fn a_share_without_an_interval_among_others_is_explained() {
    let text = stdout(&ringfence(&["campaign", "--seeds", "0..2", "--experiments", "10"]));

    let (shares, below) = text.split_once("\nShares of what struck; ").expect("a caption");
    let mut cells = shares.lines().filter(|line| line.starts_with("  ") && line.contains('%'));
    assert!(cells.any(|line| !line.contains(['[', '('])), "{text}");
    assert!(below.contains("A share without an interval is of one world alone"), "{text}");
    let one = stdout(&ringfence(&["campaign", "--seeds", "0..1", "--experiments", "10"]));
    assert!(!one.contains("A share without an interval"), "{one}");
}

#[test]
fn a_machine_that_stops_without_a_fault_is_said_to() {
    let arguments = ["campaign", "incidents/I01", "--seeds", "0", "--experiments", "3"];

    let output = ringfence(&arguments);

    let said = "The machine stops without any fault: bug check 0x50.";
    assert!(stdout(&output).contains(said), "{}", stdout(&output));
    let unasked = "Whether it survives faults of user mode is therefore not asked there.";
    assert!(stdout(&output).contains(unasked), "{}", stdout(&output));
    let summary = summary(&["incidents/I01", "--seeds", "0", "--experiments", "3"]);
    assert_eq!(summary["stop_by_themselves"][0]["how"], "bug check 0x50");
}

#[test]
fn the_summary_counts_as_read_what_the_curve_does() {
    let output = ringfence(&["campaign", "--seeds", "0..4", "--experiments", "100", "--json"]);

    let text = stdout(&output);
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("an object a line"));
    let lines: Vec<serde_json::Value> = lines.collect();
    let all =
        lines.iter().rfind(|line| line["sleep"]["origin"].is_null() && line["sleep"].is_object());
    let curve = all.expect("a curve of all together")["sleep"]["curve"].as_array().expect("rows");
    let read: u64 = curve.iter().filter_map(|row| row["read"].as_u64()).sum();
    let summary = &lines.last().expect("a summary")["summary"];
    assert_eq!(summary["consumed"].as_u64(), Some(read));
    assert!(read > 0, "{text}");
}

#[test]
fn wild_writes_are_counted_by_operator() {
    let output = ringfence(&[
        "campaign",
        "standard",
        "--fault",
        "wild-write",
        "--seeds",
        "0..1",
        "--experiments",
        "200",
        "--json",
    ]);

    let text = stdout(&output);
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("an object a line"));
    let lines: Vec<serde_json::Value> = lines.collect();
    let summary = &lines.last().expect("a summary")["summary"];
    let writes: Vec<_> =
        lines.iter().map(|line| &line["wild_writes"]).filter(|one| one.is_object()).collect();
    let sum = |name: &str| writes.iter().filter_map(|one| one[name].as_u64()).sum::<u64>();
    assert_eq!(Some(sum("planned")), summary["experiments"].as_u64());
    assert_eq!(Some(sum("struck")), summary["activated"].as_u64());
    for one in &writes {
        let came = one["came_of_hits"].as_object().expect("classes with counts");
        let came: u64 = came.values().filter_map(serde_json::Value::as_u64).sum();
        assert_eq!(one["hit"].as_u64(), Some(came), "{one}");
        assert!(one["struck"].as_u64() >= one["hit"].as_u64(), "{one}");
    }
    let of = |operator: &str| {
        let found = writes.iter().find(|one| one["operator"] == operator);
        found.and_then(|one| one["share"].as_f64()).unwrap_or_else(|| panic!("{operator}: {text}"))
    };
    // Most of an address's bits lead where nothing is mapped; a few bytes on there mostly is something.
    assert!(of("offset") > of("bit"), "{text}");
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
fn one_run_of_a_campaign_as_objects_ends_with_a_summary_too() {
    let objects = |arguments: &[&str]| -> Vec<serde_json::Value> {
        let told = stdout(&ringfence(&[arguments, &["--json"]].concat()));
        told.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
    };
    let whole = summary(&["--seeds", "1", "--experiments", "1"]);
    let alone = objects(&["--seeds", "1", "--only", "0"]);
    let [run, last] = &alone[..] else { panic!("a run and a summary: {alone:?}") };

    assert!(run["outcome"].is_object(), "{run}");
    // A campaign of the first experiment only is this one.
    assert_eq!(last["summary"], whole);
    assert_eq!((&whole["experiments"], &whole["partial"]), (&1.into(), &false.into()), "{whole}");

    let golden = objects(&["standard", "--only", "golden"]);
    let [run, last] = &golden[..] else { panic!("a run and a summary: {golden:?}") };
    assert!(run["outcome"].is_object(), "{run}");
    let last = &last["summary"];
    assert_eq!((&last["experiments"], &last["violations"]), (&0.into(), &0.into()), "{last}");
    // No fault was asked for, and as many events were there as the trace has lines.
    assert_eq!(last["nothing_struck"], serde_json::Value::Null, "{last}");
    let trace = stdout(&ringfence(&["run", "standard", "--trace"]));
    let events = trace.lines().take_while(|line| !line.is_empty()).count();
    assert!(!trace.contains("free memory"), "nothing here is meant as free memory");
    assert_eq!(last["events"], events, "{last}");
}

#[test]
fn one_fault_of_a_sweep_as_objects_ends_with_a_summary_too() {
    let last = |arguments: &[&str]| -> (usize, serde_json::Value) {
        let told = stdout(&ringfence(&[&["sweep", "content-parser-host"], arguments].concat()));
        let lines: Vec<&str> = told.lines().collect();
        let last: serde_json::Value =
            serde_json::from_str(lines.last().expect("a line")).expect("an object");
        (lines.len(), last["summary"].clone())
    };
    let (_, whole) = last(&["--fault", "allocation-failure", "--json"]);
    let (lines, alone) = last(&["--fault", "allocation-failure", "--only", "3", "--json"]);

    let names = |summary: &serde_json::Value| -> Vec<String> {
        summary.as_object().expect("a summary").keys().cloned().collect()
    };
    assert_eq!((lines, names(&alone)), (2, names(&whole)));
    for (name, count) in [
        ("points", 1),
        ("faults", 1),
        ("run", 1),
        ("alike", 0),
        ("activated", 1),
        ("violations", 0),
    ] {
        assert_eq!(alone[name], count, "{name}: {alone}");
    }
    assert_eq!((&alone["partial"], &alone["nothing_struck"]), (&false.into(), &false.into()));
}

#[test]
fn help_says_which_options_need_another() {
    let help = stdout(&ringfence(&["campaign", "--help"]));
    let line = help.lines().find(|line| line.contains("--component <NAME>")).expect("it is there");
    let refused = ringfence(&["campaign", "standard", "--component", "nic"]);

    assert_eq!(code(&refused), Some(2));
    assert!(stderr(&refused).contains("--compare"), "{}", stderr(&refused));
    assert!(line.contains("With --compare"), "{line}");
}

#[test]
fn the_last_seed_there_is_can_be_run() {
    let last = u64::MAX.to_string();
    let small = |seeds| summary(&["standard", "--seeds", seeds, "--experiments", "2"]);

    let alone = small(&last);

    assert_eq!((&alone["seeds"], &alone["experiments"]), (&1.into(), &2.into()), "{alone}");
    assert_eq!(alone, small("18446744073709551615..18446744073709551616"));
    let two = small("18446744073709551614..18446744073709551616");
    assert_eq!((&two["seeds"], &two["experiments"]), (&2.into(), &4.into()), "{two}");
    let shown = ringfence(&["standard", "--seeds", &last, "--experiments", "2", "--only", "1"]);
    assert!(stdout(&shown).contains("outcome"), "{}", stderr(&shown));
    let two = ["--compare", "smep=off", "--seeds", &last, "--experiments", "2", "--json"];
    let compared = ringfence(&[&["campaign", "standard"][..], &two].concat());
    let lines = stdout(&compared);
    let line = lines.lines().last().unwrap_or_else(|| panic!("{}", stderr(&compared)));
    let object: serde_json::Value = serde_json::from_str(line).expect("an object a line");
    assert_eq!(object["summary"]["seeds"], 1, "{line}");
}

#[test]
fn everything_listed_has_a_name() {
    for what in [
        "scenarios",
        "incidents",
        "faults",
        "invariants",
        "weaknesses",
        "classes",
        "bug-checks",
        "rules",
        "verifier-options",
    ] {
        let output = ringfence(&["list", what, "--json"]);

        assert_eq!(code(&output), Some(0), "{}", stderr(&output));
        assert!(!output.stdout.is_empty(), "{what}");
        for line in stdout(&output).lines() {
            let object: serde_json::Value = serde_json::from_str(line).expect("an object a line");
            assert!(object["name"].is_string(), "{line}");
        }
        let told = ringfence(&["list", what]);
        assert_eq!(code(&told), Some(0));
        let wide = stdout(&told).lines().find(|line| line.chars().count() > 100).map(str::to_owned);
        assert_eq!(wide, None, "{what}");
    }
}

#[test]
fn what_is_listed_as_objects_is_plain() {
    let line = |what: &str, name: &str| -> serde_json::Value {
        let listed = stdout(&ringfence(&["list", what, "--json"]));
        let objects = listed.lines().map(|line| serde_json::from_str(line).expect("an object"));
        objects
            .into_iter()
            .find(|object: &serde_json::Value| object["name"] == name)
            .expect("it is listed")
    };

    let fault = line("faults", "wild-write");

    assert!(fault["source"].is_string() && fault["points"].is_array(), "{fault}");
    assert!(fault["parameters"].is_array() && fault["family"] == "defect", "{fault}");
    assert_eq!(fault["model"], "swifi", "{fault}");
    assert!(line("invariants", "private-memory-is-private")["source"].is_string());
}

#[test]
fn one_run_is_of_one_world_that_is_named() {
    for (arguments, wanted) in [
        (&["--only", "3"][..], "no seed is named"),
        (&["--seeds", "0..60", "--only", "3"], "--seeds 0..60 are 60"),
        (&["--compare", "smep=off", "--only", "3"], "no seed is named"),
        (&["--only", "golden"], "no seed is named"),
        (&["--seeds", "1", "--only", "200"], "no experiment 200 among 200"),
        (&["--seeds", "1", "--only", "last"], "`golden`"),
    ] {
        let output = ringfence(arguments);

        assert_eq!(code(&output), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(stderr(&output).contains(wanted), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn one_run_of_a_world_that_is_named_has_the_first_seeds_plan_where_none_is() {
    for compared in [&[][..], &["--compare", "smep=off"]] {
        let told = |seeds: &[&str]| {
            let world = ["campaign", "standard"];
            ringfence(&[&world[..], compared, seeds, &["--only", "3"]].concat())
        };

        let (none, first) = (told(&[]), told(&["--seeds", "0"]));

        assert_eq!(code(&none), Some(0), "{}", stderr(&none));
        assert!(!none.stdout.is_empty() && none.stdout == first.stdout, "{}", stdout(&none));
    }
}

/// A world that violates guarantees whatever strikes in it.
fn weak() -> PathBuf {
    let text = include_str!("../scenarios/self-map-user-bit.toml");
    file("weak-by-itself.toml", text.as_bytes())
}

#[test]
fn what_a_world_violates_by_itself_is_told_once_with_its_replay_and_charged_to_no_experiment() {
    let path = weak();
    let name = path.to_str().expect("a plain path");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("golden-cases");
    let _ = std::fs::remove_dir_all(&folder);
    let options = ["--seeds", "0..3", "--experiments", "20", "--fault", "crash"];
    let campaign = [&["campaign", name], &options[..]].concat();
    let saving = [&campaign[..], &["--save", folder.to_str().expect("a plain path")]].concat();

    let text = ringfence(&saving);
    let json = ringfence(&[&campaign[..], &["--json"]].concat());

    let told = stdout(&text);
    assert_eq!(code(&text), Some(1), "{told}");
    assert_eq!(told.matches("The golden run itself violates").count(), 1, "{told}");
    let line = format!("    ringfence campaign {name} --seeds 0 --only golden\n");
    assert_eq!(told.matches(&line).count(), 1, "{told}");
    assert!(told.find(&line) < told.find("application · struck"), "{told}");
    assert!(told.contains("guarantees violated             1\n"), "{told}");
    let objects: Vec<serde_json::Value> =
        stdout(&json).lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let golden = objects.iter().filter(|object| object["golden_violation"].is_array());
    assert_eq!(golden.count(), 1);
    let summary = &objects.last().expect("a summary")["summary"];
    assert_eq!((&summary["violations"], &summary["golden_violations"]), (&1.into(), &1.into()));

    let saved: Vec<_> = std::fs::read_dir(&folder).expect("a folder").flatten().collect();
    assert_eq!(saved.len(), 1, "{saved:?}");
    let case = saved[0].path();
    assert!(case.ends_with("golden-0.toml"), "{case:?}");
    assert_eq!(code(&ringfence(&["replay", case.to_str().expect("a plain path")])), Some(0));
    let story = ringfence(&["campaign", name, "--seeds", "0", "--only", "golden"]);
    assert_eq!(code(&story), Some(1));
    assert!(stdout(&story).contains("VIOLATED"), "{}", stdout(&story));
}

/// The files in a folder by name, and what `replay` ends with on each.
fn replayed(folder: &Path) -> Vec<(String, Option<i32>)> {
    let files = std::fs::read_dir(folder).expect("a folder").flatten();
    let replay = |file: std::fs::DirEntry| {
        let path = file.path();
        let name = file.file_name().into_string().expect("a plain name");
        (name, code(&ringfence(&["replay", path.to_str().expect("a plain path")])))
    };
    let mut all: Vec<_> = files.map(replay).collect();
    all.sort();
    all
}

/// A world whose other processor runs on when a fault of the kernel has stopped it.
const RUNS_ON: &str = "format = 1\nname = \"runs-on\"\nweaknesses = [\"runs-on\"]\n[[component]]\n\
    name = \"editor\"\nhome = \"application\"\n\
    actions = [{ do = \"open\", device = \"nic\", access = 3, slot = 0 }, { do = \"load\", word = 3 }]\n\
    [[component]]\nname = \"nic\"\nhome = \"kernel-driver\"\ndriver = \"transfer\"\n";

#[test]
fn the_one_run_that_is_asked_for_is_saved_when_it_violates_something() {
    let folder = |name: &str| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&folder);
        folder
    };
    let (swept, violated, golden, held) = (
        folder("one-of-a-sweep"),
        folder("one-of-a-campaign"),
        folder("one-golden"),
        folder("one-that-holds"),
    );
    let (weak, runs_on) = (weak(), file("runs-on.toml", RUNS_ON.as_bytes()));
    let [weak, runs_on] = [&weak, &runs_on].map(|path| path.to_str().expect("a plain path"));
    let save = |arguments: &[&str], folder: &Path| {
        let folder = folder.to_str().expect("a plain path");
        ringfence(&[arguments, &["--save", folder]].concat())
    };
    let campaign = ["campaign", runs_on, "--experiments", "40", "--seeds"];
    let objects = stdout(&ringfence(&[&campaign[..], &["0..8", "--json"]].concat()));
    let objects = objects.lines().map(|line| serde_json::from_str(line).expect("an object"));
    let found = objects
        .into_iter()
        .find(|object: &serde_json::Value| object["violation"].is_array())
        .expect("a violation");
    let [seed, number] = ["seed", "number"].map(|field| found[field].to_string());

    let codes = [
        save(&["sweep", runs_on, "--fault", "crash", "--only", "0"], &swept),
        save(&[&campaign[..], &[&*seed, "--only", &*number]].concat(), &violated),
        save(&["campaign", weak, "--only", "golden"], &golden),
        save(&["campaign", "standard", "--only", "golden"], &held),
    ];

    assert_eq!([0, 1, 2, 3].map(|one: usize| code(&codes[one])), [1, 1, 1, 0].map(Some));
    let expected = |name: String| vec![(name, Some(0))];
    assert_eq!(replayed(&swept), expected("violation-0.toml".to_owned()));
    assert_eq!(replayed(&violated), expected(format!("violation-{seed}-{number}.toml")));
    assert_eq!(replayed(&golden), expected("golden-0.toml".to_owned()));
    assert_eq!(replayed(&held), []);
    assert!(stderr(&codes[3]).contains("nothing is saved"), "{}", stderr(&codes[3]));
}

#[test]
fn the_story_of_the_system_call_without_a_probe_tells_that_the_mode_line_was_crossed() {
    let story = stdout(&ringfence(&["run", "system-call-without-probe"]));

    let from = story.find("mode line").expect("the line is told");
    let told = story[from..].split("outcome").next().expect("it ends");
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(
        told,
        "mode line damage crossed it into kernel mode, to file cache of kernel, by the hand of \
         kernel, which wrote where attacker told it to"
    );
}

#[test]
fn any_bytes_are_explained_as_an_artefact_of_a_target() {
    let path = file("artefact", &[7, 1, 2, 3, 255, 254]);
    let path = path.to_str().expect("a plain path");

    for target in ["world", "translate", "tlb", "translate-csv", "image"] {
        for more in [&[][..], &["--json"]] {
            let output = ringfence(&[&["explain", path, "--target", target], more].concat());

            assert_eq!(code(&output), Some(0), "{}", stderr(&output));
            assert!(!output.stdout.is_empty(), "{target}");
            // Nothing is told in the words of the program's own types.
            for word in ["Controls {", "Some(", "Ok(", "Err(", "ControlFlags", "VirtAddr"] {
                assert!(!stdout(&output).contains(word), "{target}: {}", stdout(&output));
            }
        }
    }
}

#[test]
fn every_fuzz_target_can_be_explained_by_its_folder() {
    let fuzz = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    for target in std::fs::read_dir(fuzz.join("fuzz_targets")).expect("the targets").flatten() {
        let name = target.path().file_stem().expect("a name").to_owned();
        let corpus = std::fs::read_dir(fuzz.join("corpus").join(&name)).expect("its corpus");
        let mut inputs: Vec<_> = corpus.flatten().map(|input| input.path()).collect();
        inputs.sort();
        for input in inputs.iter().take(3) {
            let output = ringfence(&["explain", input.to_str().expect("a plain path")]);

            // A text that is no scenario is explained by its mistakes.
            let is_text = name == "scenario_text";
            assert!(code(&output) == Some(0) || is_text, "{input:?}: {}", stderr(&output));
            assert!(!output.stdout.is_empty() || is_text, "{input:?}");
        }
    }
}

#[test]
fn bytes_that_are_no_scenario_are_refused_where_they_stop_to_be_one() {
    let path = file("noise", &[b'a', b'=', 0xff, 0xfe]);
    let path = path.to_str().expect("a plain path");

    for more in [&[][..], &["--target", "scenario-text"]] {
        let output = ringfence(&[&["explain", path], more].concat());

        assert_eq!(code(&output), Some(2));
        assert!(output.stdout.is_empty());
        assert!(stderr(&output).contains("noise:1:3"), "{}", stderr(&output));
        assert!(stderr(&output).contains("not UTF-8"), "{}", stderr(&output));
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

const HOPEFUL: &str = "format = 1\nname = \"hopeful\"\n[[component]]\nname = \"a\"\n\
    home = \"application\"\nactions = [{ do = \"load\", word = 0 }]\n";

#[test]
fn a_fault_that_no_longer_strikes_is_not_reproduced() {
    let text = format!(
        "{HOPEFUL}[[fault]]\nkind = \"crash\"\nwho = \"a\"\nat = {{ point = \"step\", nth = 999999 }}\n\
         parameters = {{ how = \"abort\" }}\n[expect]\nclass = \"not-activated\"\n"
    );
    let path = file("late.toml", text.as_bytes());
    let path = path.to_str().expect("a plain path");

    let run = ringfence(&["run", path]);
    let replay = ringfence(&["replay", path]);

    assert_eq!(code(&run), Some(0), "{}", stderr(&run));
    assert_eq!(code(&replay), Some(1), "{}", stderr(&replay));
    assert!(stdout(&replay).contains("NOT reproduced: the fault never struck"));
}

#[test]
fn what_a_bug_check_says_is_told_in_json_as_strings_which_no_reader_rounds() {
    let told = stdout(&ringfence(&["run", "I01", "--json"]));
    let told: serde_json::Value = serde_json::from_str(&told).expect("an object");
    let ending = &told["outcome"]["availability"]["boot-loop"];
    assert_eq!(ending["code"], "0x50", "{told}");
    let parameters = ending["parameters"].as_array().expect("four");
    assert!(parameters.iter().all(|one| one.as_str().is_some_and(|one| one.starts_with("0x"))));
}

#[test]
fn an_incident_whose_contrast_ends_otherwise_is_not_held_in_json_either() {
    let text = include_str!("../scenarios/incidents/I16-null-dereference.toml");
    let wrong = text.replace("class = \"host-lost\"", "class = \"boot-loop\"");
    assert_ne!(wrong, text);
    for (name, text, ends) in [("as-it-is.toml", text, 0), ("otherwise.toml", &*wrong, 1)] {
        let path = file(name, text.as_bytes());
        let run = ringfence(&["run", path.to_str().expect("a plain path"), "--json"]);
        assert_eq!(code(&run), Some(ends), "{name}: {}", stderr(&run));
        let told: serde_json::Value = serde_json::from_str(&stdout(&run)).expect("an object");
        assert_eq!(told["held"], ends == 0, "{name}");
    }
}

#[test]
fn a_fault_that_never_struck_is_no_pass_unless_that_was_expected() {
    let late = format!(
        "{HOPEFUL}[[fault]]\nkind = \"crash\"\nwho = \"a\"\nat = {{ point = \"step\", nth = 999999 }}\n\
         parameters = {{ how = \"abort\" }}\n"
    );
    let path = |name: &str, expected: &str| {
        let path = file(name, format!("{late}{expected}").as_bytes());
        path.to_str().expect("a plain path").to_owned()
    };
    for (name, expected, ends) in [
        ("idle.toml", "", 1),
        ("idle-held.toml", "[expect]\nguarantees = \"held\"\n", 1),
        ("idle-expected.toml", "[expect]\nclass = \"not-activated\"\n", 0),
    ] {
        let run = ringfence(&["run", &path(name, expected)]);
        assert_eq!(code(&run), Some(ends), "{name}: {}", stdout(&run));
        let json = stdout(&ringfence(&["run", &path(name, expected), "--json"]));
        let json: serde_json::Value = serde_json::from_str(&json).expect("an object");
        assert_eq!(json["held"], ends == 0, "{name}: {json}");
    }
}

#[test]
fn a_fault_that_never_struck_says_whether_its_point_or_its_target_was_missing() {
    let planned = |name: &str, kind: &str, nth: &str, parameters: &str| {
        let text = format!(
            "{HOPEFUL}[[fault]]\nkind = \"{kind}\"\nwho = \"a\"\n\
             at = {{ point = \"step\", nth = {nth} }}\nparameters = {{ {parameters} }}\n"
        );
        let path = file(name, text.as_bytes());
        let path = path.to_str().expect("a plain path").to_owned();
        let told = stdout(&ringfence(&["replay", &path]));
        let json = stdout(&ringfence(&["run", &path, "--json"]));
        let json: serde_json::Value = serde_json::from_str(&json).expect("an object");
        (told, json["outcome"]["activation"]["missed"][0]["why"].clone())
    };

    let (late, late_json) = planned("no-point.toml", "crash", "999999", "how = \"abort\"");
    let nowhere = "target = \"kernel/request-packet:15\", bit = 3";
    let (empty, empty_json) = planned("no-target.toml", "bit-flip", "1", nowhere);

    assert!(late.contains("and it waits for number 999999"), "{late}");
    assert_eq!(late_json["point-not-reached"]["wanted"], 999_999, "{late_json}");
    assert!(empty.contains("there was nothing to alter"), "{empty}");
    assert_eq!(empty_json, "nothing-there");
}

#[test]
fn a_file_that_expects_nothing_is_not_reproduced_and_holds() {
    let path = file("expects-nothing.toml", HOPEFUL.as_bytes());

    let replay = ringfence(&["replay", path.to_str().expect("a plain path"), "--json"]);

    assert_eq!(code(&replay), Some(0), "{}", stderr(&replay));
    let told: serde_json::Value = serde_json::from_str(&stdout(&replay)).expect("an object");
    assert!(told["reproduced"].is_null() && told["held"] == true, "{told}");
}

#[test]
fn where_no_fault_strikes_nothing_was_tried_and_that_is_no_pass() {
    let path = file("nothing-to-strike.toml", HOPEFUL.as_bytes());
    let path = path.to_str().expect("a plain path");
    for arguments in [
        &["campaign", path, "--seeds", "0"][..],
        &["campaign", path, "--seeds", "0", "--compare", "smep=off"],
        &["sweep", path],
    ] {
        let kind = ["--fault", "dma-to-wrong-frame"];
        let text = ringfence(&[arguments, &kind].concat());
        let json = ringfence(&[arguments, &kind, &["--json"]].concat());

        assert_eq!([code(&text), code(&json)], [Some(1); 2], "{arguments:?}: {}", stderr(&text));
        assert!(stdout(&text).contains("NOTHING STRUCK: "), "{arguments:?}: {}", stdout(&text));
        let last = stdout(&json).lines().last().expect("a summary").to_owned();
        let last: serde_json::Value = serde_json::from_str(&last).expect("an object");
        assert_eq!(last["summary"]["nothing_struck"], true, "{arguments:?}: {last}");
    }
    let some = summary(&["--seeds", "0", "--experiments", "5"]);
    assert_eq!(some["nothing_struck"], false, "{some}");
}

#[test]
fn a_replay_line_of_a_file_whose_name_begins_like_an_option_can_be_run() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("like-an-option");
    std::fs::create_dir_all(&folder).expect("a folder for tests");
    std::fs::write(folder.join("-w.toml"), HOPEFUL).expect("written");
    let within = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
        command.current_dir(&folder).args(arguments).output().expect("the program starts")
    };
    let campaign = ["campaign", "--seeds", "0", "--experiments", "3", "--fault", "crash"];

    let told = stdout(&within(&[&campaign[..], &["--", "-w.toml"]].concat()));

    let line = told.lines().find(|line| line.contains(" ringfence campaign")).expect("a line");
    let from = line.find("ringfence").expect("it is there") + "ringfence ".len();
    let words: Vec<&str> = line[from..].split(' ').collect();
    assert_eq!(words[1], "./-w.toml", "{line}");
    assert_eq!(code(&within(&words)), Some(0), "{line}");
}

#[test]
fn a_scenario_that_is_named_twice_is_looked_at_once() {
    let bytes = |scenarios: &[&str]| {
        let options = ["live-bytes", "--every", "4001", "--moments", "1", "--json"];
        stdout(&ringfence(&[&options[..], scenarios].concat()))
    };

    let twice = bytes(&["content-parser-host", "scenarios/content-parser-host.toml"]);

    assert_eq!(twice, bytes(&["content-parser-host"]));
}

#[test]
fn what_is_one_is_told_in_the_singular() {
    let one = ["campaign", "--seeds", "0", "--experiments", "1"];

    let generated = stdout(&ringfence(&one));
    let named = stdout(&ringfence(&[&one[..], &["standard"]].concat()));

    assert!(generated.starts_with("What one fault can reach: 1 experiment on 1 generated world\n"));
    assert!(named.starts_with("What one fault can reach: 1 experiment on standard, 1 seed\n"));
}

#[test]
fn what_can_be_listed_is_listed() {
    let listed = ringfence(&["list"]);
    let json = stdout(&ringfence(&["list", "--json"]));

    assert_eq!(code(&listed), Some(0), "{}", stderr(&listed));
    let names = json.lines().map(|line| {
        let row: serde_json::Value = serde_json::from_str(line).expect("an object");
        row["name"].as_str().expect("a name").to_owned()
    });
    let names: Vec<String> = names.collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        assert!(stdout(&listed).contains(&name), "{name}");
        assert_eq!(code(&ringfence(&["list", &name])), Some(0), "{name}");
    }
}

#[test]
fn a_world_that_was_named_is_one_world_with_however_many_seeds() {
    let named = summary(&["content-parser-host", "--seeds", "0..3", "--experiments", "2"]);
    let generated = summary(&["--seeds", "0..3", "--experiments", "1"]);

    assert_eq!((&named["worlds"], &named["seeds"]), (&1.into(), &3.into()), "{named}");
    assert_eq!((&generated["worlds"], &generated["seeds"]), (&3.into(), &3.into()), "{generated}");
}

#[test]
fn what_is_explained_names_the_row_in_which_it_is_counted() {
    let row = |name: &str, kind: &str, who: &str, at: &str| {
        let driver = "[[component]]\nname = \"nic\"\nhome = \"kernel-driver\"\n\
                      driver = \"transfer\"\n";
        let text = format!(
            "{HOPEFUL}{driver}[[fault]]\nkind = \"{kind}\"\nwho = \"{who}\"\n\
             at = {{ point = \"{at}\", nth = 1 }}\n\
             parameters = {{ target = \"process:a/private-word:0\" }}\n"
        );
        let path = file(name, text.as_bytes());
        stdout(&ringfence(&["explain", path.to_str().expect("a plain path")]))
    };

    let wild = row("row-wild.toml", "wild-write", "nic", "store");
    let flip = row("row-flip.toml", "bit-flip", "a", "step");

    assert!(wild.contains("# counted in the row: kernel-mode driver\n"), "{wild}");
    assert!(flip.contains("# counted in the row: memory itself\n"), "{flip}");
}

#[test]
fn a_case_that_still_shows_what_it_shows_is_reproduced() {
    let output = ringfence(&["replay", "system-call-without-probe"]);

    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).ends_with("replay     reproduced\n"), "{}", stdout(&output));
}

#[test]
fn unknown_names_in_a_file_suggest_the_nearest() {
    let fault =
        |at: &str| format!("{HOPEFUL}[[fault]]\nkind = \"crash\"\nwho = \"a\"\nat = {at}\n");
    for (text, wanted) in [
        (fault("{ point = \"step\", routine = \"NtApiCal\", nth = 1 }"), "`NtApiCall`"),
        (fault("{ point = \"setp\", nth = 1 }"), "`step`"),
        (format!("{HOPEFUL}[expect]\nclass = \"hnag\"\n"), "`hang`"),
        (
            format!("{HOPEFUL}[expect]\nviolated = [\"privat-memory-is-private\"]\n"),
            "`private-memory-is-private`",
        ),
        (HOPEFUL.replace("\"load\"", "\"laod\""), "`load`"),
        (HOPEFUL.replace("home = ", "weaknesess = 1\nhome = "), "unknown field"),
        (format!("weaknesses = [\"no-prob\"]\n{HOPEFUL}"), "`no-probe`"),
    ] {
        let path = file("misspelt.toml", text.as_bytes());

        let output = ringfence(&["run", path.to_str().expect("a plain path")]);

        assert_eq!(code(&output), Some(2), "{text}");
        assert!(output.stdout.is_empty(), "{text}");
        assert!(stderr(&output).contains(wanted), "{wanted}: {}", stderr(&output));
    }
}

#[test]
fn every_command_has_examples_and_exit_codes() {
    for command in ["campaign", "run", "replay", "explain", "list", "live-bytes"] {
        let output = ringfence(&[command, "--help"]);

        assert_eq!(code(&output), Some(0), "{command}");
        let help = stdout(&output);
        assert!(help.contains("Examples:\n  ringfence ") && help.contains("Exit codes:"), "{help}");
    }
}

#[test]
fn live_bytes_are_printed_as_a_table_and_as_objects() {
    let path = file("tiny.toml", HOPEFUL.as_bytes());
    let path = path.to_str().expect("a plain path");
    let options = ["live-bytes", path, "--every", "97", "--moments", "1"];

    let text = ringfence(&[&options[..], &["--all"]].concat());
    let json = ringfence(&[&options[..], &["--json"]].concat());

    assert_eq!(code(&text), Some(0), "{}", stderr(&text));
    assert!(stdout(&text).contains("crash block: bug check parameter 4"), "{}", stdout(&text));
    assert!(stdout(&text).lines().all(|line| line.chars().count() <= 100), "{}", stdout(&text));
    let last = stdout(&json).lines().last().expect("a summary").to_owned();
    let last: serde_json::Value = serde_json::from_str(&last).expect("an object");
    assert!(last["summary"]["used"]["live"].as_u64().is_some_and(|live| live > 0), "{last}");
}

/// Waits until a process catches SIGINT: before that the signal would end it.
#[cfg(target_os = "linux")]
fn catches_interrupts(process: u32) -> bool {
    (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0");
        u64::from_str_radix(caught.trim(), 16).is_ok_and(|caught| caught & 2 != 0)
    })
}

/// The summary of a campaign that was interrupted `after` it began.
#[cfg(target_os = "linux")]
fn interrupted(after: Duration) -> serde_json::Value {
    let options = ["campaign", "--experiments", "8", "--json", "--seeds"];
    let child = Command::new(env!("CARGO_BIN_EXE_ringfence"))
        .args([&options[..], &["0..1000000", "--jobs", "2"]].concat())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    assert!(catches_interrupts(child.id()));
    std::thread::sleep(after);
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    let output = child.wait_with_output().expect("it ends");
    assert!(sent.is_ok_and(|status| status.success()));
    assert_eq!(code(&output), Some(130));
    let last = stdout(&output).lines().last().expect("a summary").to_owned();
    let partial: serde_json::Value = serde_json::from_str(&last).expect("an object");
    partial["summary"].clone()
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupted_campaign_prints_what_it_has_up_to_a_world() {
    // Time for some worlds, on a machine that has other things to do as well; a world that has begun is
    // finished in any case.
    let mut partials = (0..8).map(|times| interrupted(Duration::from_millis(500 << times)));

    let partial = &partials.find(|partial| partial["worlds"] != 0).expect("worlds by then");

    assert_eq!(partial["partial"], true, "{partial}");
    let begun = partial["worlds"].as_u64().expect("a number");
    assert!(begun > 0 && begun < 1_000_000, "{partial}");
    // The last world may not be whole; those before it are.
    let whole = |cut: u64| summary(&["--experiments", "8", "--seeds", &format!("0..{cut}")]);
    let experiments = |summary: &serde_json::Value| summary["experiments"].as_u64();
    if partial["cut"].is_null() {
        assert_eq!(whole(begun)["digest"], partial["digest"]);
        assert_eq!(experiments(&whole(begun)), experiments(partial));
    } else {
        let before = if begun == 1 { Some(0) } else { experiments(&whole(begun - 1)) };
        let more = experiments(partial).zip(before).map(|(all, before)| all - before);
        assert_eq!(partial["cut"]["seed"].as_u64(), Some(begun - 1), "{partial}");
        assert!(more.is_some_and(|more| more > 0 && more < 8), "{partial}");
    }
}

#[test]
fn a_closed_pipe_ends_it_silently() {
    let unread = |arguments: &[&str]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ringfence"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        drop(child.stdout.take());
        let mut told = String::new();
        let mut errors = child.stderr.take().expect("it was piped");
        errors.read_to_string(&mut told).expect("text");
        assert_eq!(told, "");
        child.wait().expect("it ends").code()
    };

    assert_eq!(unread(&["run", "standard", "--trace"]), Some(0));
    // What was missed is missed, whoever reads of it.
    let missed = format!("{HOPEFUL}[expect]\nclass = \"hang\"\n");
    let missed = file("missed.toml", missed.as_bytes());
    let missed = missed.to_str().expect("a plain path");
    assert_eq!(unread(&["run", missed]), Some(1));
    assert_eq!(unread(&["run", missed, "--trace"]), Some(1));
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

#[test]
fn margins_are_compared_and_a_smaller_one_ends_with_1_a_malformed_file_with_2() {
    let print = |lost: u32| {
        format!(
            "ringfence margins 2\nformat x86-64, 4 levels\ncase 1\ncall 1 unmap 4 KiB page 0x4000\n\
             after 0 margin 1 lost-invalidation {lost} abandoned-store 0 concurrent-walk 0 flipped-bit 7\n\
             end 1 cases 1 calls\n"
        )
    };
    let one = file("margin-one.txt", print(1).as_bytes());
    let two = file("margin-two.txt", print(2).as_bytes());
    let cut = file("margin-cut.txt", print(1).replace("end 1 cases 1 calls\n", "").as_bytes());
    let bad = file("margin-bad.txt", print(1).replace("margin 1", "margin 2").as_bytes());
    let compare = |before: &PathBuf, after: &PathBuf| {
        let paths = [before, after].map(|path| path.to_str().expect("a path in UTF-8"));
        ringfence(&["margin", "compare", paths[0], paths[1]])
    };

    let same = compare(&one, &one);
    let worse = compare(&one, &two);
    let better = compare(&two, &one);
    let malformed = compare(&one, &bad);
    let short = compare(&one, &cut);

    assert_eq!(
        [&same, &worse, &better, &malformed, &short].map(code),
        [Some(0), Some(1), Some(0), Some(2), Some(2)]
    );
    let told = stderr(&short);
    assert!(told.contains("margin-cut.txt:6:1") && told.contains("cut short"), "{told}");
    assert!(stdout(&worse).contains("lost-invalidation 1 -> 2"), "{}", stdout(&worse));
    let told = stderr(&malformed);
    assert!(told.contains("margin-bad.txt:5:16") && told.contains("expected: 1"), "{told}");
}

#[test]
fn a_comparison_of_margins_is_told_as_objects() {
    let print = |lost: u32, more: &str| {
        format!(
            "ringfence margins 2\nformat x86-64, 4 levels\ncase 1\ncall 1 unmap 4 KiB page 0x4000\n\
             after 0 margin 1 lost-invalidation {lost} abandoned-store 0 concurrent-walk 0 flipped-bit 7\n\
             {more}"
        )
    };
    let one = file("margin-json-one.txt", print(1, "end 1 cases 1 calls\n").as_bytes());
    let more = "call 2 unmap 4 KiB page 0x5000\n\
        after 0 margin 1 lost-invalidation 1 abandoned-store 0 concurrent-walk 0 flipped-bit 7\n\
        end 1 cases 2 calls\n";
    let two = file("margin-json-two.txt", print(2, more).as_bytes());
    let paths = [&one, &two].map(|path| path.to_str().expect("a plain path"));

    let worse = ringfence(&["margin", "compare", paths[0], paths[1], "--json"]);

    assert_eq!(code(&worse), Some(1), "{}", stderr(&worse));
    let objects: Vec<serde_json::Value> =
        stdout(&worse).lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert_eq!(objects.len(), 3, "{objects:?}");
    assert_eq!(objects[0]["smaller"], true, "{objects:?}");
    let change = objects[0]["changes"][0].as_str().expect("a line");
    assert!(change.contains("lost-invalidation 1 -> 2"), "{change}");
    assert!(objects[1]["alone"].as_str().is_some_and(|call| call.contains("only after")));
    let summary = serde_json::json!({
        "compared": 1, "smaller": 1, "changed": 1, "alone": 1, "held": false
    });
    assert_eq!(objects[2]["summary"], summary);
}

#[test]
fn a_campaign_tells_how_long_damage_sleeps() {
    let arguments = ["campaign", "--seeds", "0..2", "--experiments", "40", "--horizon", "100"];
    let text = stdout(&ringfence(&arguments));
    let json = stdout(&ringfence(&[&arguments[..], &["--json"]].concat()));

    let from = text.find("How long damage sleeps").expect("a table");
    let table = text[from..].split("\n\n").next().expect("its end");
    assert!(table.contains("With a horizon of 100 steps: "), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    let objects = json.lines().map(serde_json::from_str::<serde_json::Value>);
    let sleeps = objects.map(|object| object.expect("an object")["sleep"].clone());
    let sleeps: Vec<serde_json::Value> = sleeps.filter(serde_json::Value::is_object).collect();
    let (all, origins) = sleeps.split_last().expect("damage");
    let count = |one: &serde_json::Value| one["count"].as_u64().expect("a number");
    assert!(all["origin"].is_null() && count(all) > 0, "{all}");
    assert_eq!(origins.iter().map(count).sum::<u64>(), count(all));
    for one in &sleeps {
        let ends = ["read", "overwritten", "stopped", "run_ended"];
        let of = |row: &serde_json::Value| ends.map(|end| row[end].as_u64().expect("a count"));
        let rows = one["curve"].as_array().expect("rows");
        assert_eq!(rows.iter().flat_map(of).sum::<u64>(), count(one), "each ends once: {one}");
        let [before, after] = ["before", "after"].map(|side| of(&one["horizon"][side]));
        assert_eq!(before.iter().chain(&after).sum::<u64>(), count(one), "{one}");
    }
}

#[test]
fn a_sweep_says_that_the_machine_stops_without_any_fault() {
    // I13 is a driver that overruns a pool block by itself (bug check 0x19); I16 runs on.
    let told = |scenario, also: &[&str]| {
        let arguments = ["sweep", scenario, "--fault", "lost-store"];
        stdout(&ringfence(&[&arguments[..], also].concat()))
    };
    let said = "\nThe machine stops without any fault: bug check 0x19. So it does below.\n";
    assert!(told("incidents/I13", &[]).contains(said));
    assert!(told("incidents/I13", &["--json"]).contains(r#""stops_by_itself":"bug check 0x19""#));
    assert!(!told("incidents/I16", &[]).contains("without any fault"));
    assert!(told("incidents/I16", &["--json"]).contains(r#""stops_by_itself":null"#));
}

#[test]
fn a_sweep_tells_how_long_damage_sleeps_where_a_horizon_is_given() {
    let arguments = ["sweep", "incidents/I22", "--fault", "torn-store"];
    let told = |more: &[&str]| stdout(&ringfence(&[&arguments[..], more].concat()));

    let lines = told(&["--json", "--horizon", "20"]);

    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let all = lines
        .iter()
        .map(|line| &line["sleep"])
        .find(|one| one["origin"].is_null() && one["count"].is_u64());
    let all = all.expect("all together");
    let of = |when: &str| -> u64 {
        let ended = all["horizon"][when].as_object().expect("how they ended");
        ended.values().map(|count| count.as_u64().expect("a number")).sum()
    };
    assert_eq!(of("before") + of("after"), all["count"].as_u64().expect("a number"));
    assert!(of("before") > 0 && of("after") > 0, "{all}");
    let text = told(&["--horizon", "20"]);
    assert!(text.contains("\nWith a horizon of 20 steps: "), "{text}");
    assert!(!told(&[]).contains("How long damage sleeps"), "nobody asked");
}

#[test]
fn a_sweep_too_runs_longer_where_its_horizon_is_beyond_the_end_of_every_run() {
    let arguments = ["sweep", "incidents/I22", "--fault", "premature-free", "--json", "--horizon"];
    let longer = |horizon: &str| {
        let told = stdout(&ringfence(&[&arguments[..], &[horizon]].concat()));
        let lines = told.lines().map(|line| serde_json::from_str(line).expect("an object"));
        let mut sleeps = lines.map(|line: serde_json::Value| line["sleep"].clone());
        let all = sleeps.find(|one| one["count"].is_u64() && one["origin"].is_null());
        let all = all.expect("all together");
        (all["count"].as_u64(), all["longer"]["count"].as_u64())
    };

    let (count, beyond) = longer("1000000");

    assert!(beyond > count, "a longer list has more places to strike: {count:?} {beyond:?}");
    assert_eq!(longer("1"), (count, None));
}

#[test]
fn a_horizon_beyond_the_end_of_every_run_is_reached_by_running_longer() {
    // Enough of them that one strikes early in a longer run: how long damage sleeps depends on it.
    let arguments = ["campaign", "standard", "--seeds", "0..2", "--experiments", "60", "--horizon"];
    let told = |horizon: &str, more: &[&str]| {
        stdout(&ringfence(&[&arguments[..], &[horizon], more].concat()))
    };
    let of_all = |text: &str| {
        let lines = text.lines().map(|line| serde_json::from_str(line).expect("an object"));
        let mut sleeps = lines.map(|line: serde_json::Value| line["sleep"].clone());
        sleeps.find(|one| one["count"].is_u64() && one["origin"].is_null()).expect("all together")
    };

    let within = of_all(&told("100", &["--json"]));
    let beyond = of_all(&told("1000000", &["--json"]));

    assert!(within["longer"].is_null(), "{within}");
    let longest = |one: &serde_json::Value| one["longest"].as_u64().expect("a number");
    assert!(longest(&beyond["longer"]) > longest(&beyond), "{beyond}");
    assert_eq!(beyond["curve"], within["curve"], "the curve is that of the runs as they are");
    let text = told("1000000", &[]);
    assert!(text.contains("\nRun longer, at most "));
    // Nor is it said that a million steps were run.
    let reached = longest(&beyond["longer"]);
    let said = format!("as long either: what is said is of {reached} steps, not of 1000000.");
    assert!(text.contains(&said), "{text}");
    let reached = format!("{}", reached - 1);
    assert!(!told(&reached, &[]).contains("as long either"), "it is as long");
    // Nothing makes a run longer in which the machine stops by itself (I13: bug check 0x19).
    let stops = |scenario| {
        let arguments = ["campaign", scenario, "--seeds", "0", "--experiments", "20"];
        let told = stdout(&ringfence(&[&arguments[..], &["--horizon", "1000000"]].concat()));
        told.contains(
            "\nThe machine stops without any fault (bug check 0x19), however much there is left",
        )
    };
    assert_eq!(["incidents/I13", "incidents/I16"].map(stops), [true, false]);
}
