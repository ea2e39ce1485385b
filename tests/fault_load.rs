//! Fault loads by weight: on the command line, in a scenario, in a test.

#![cfg(feature = "cli")]

use std::path::PathBuf;
use std::process::{Command, Output};

use ringfence::campaign::Campaign;
use ringfence::faults::mix::PUBLISHED;
use ringfence::faults::{Mix, Registry};
use ringfence::scenario::{Scenario, library};

fn ringfence(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    command.args(arguments).output().expect("the program starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// The built-in world with more at its end, as a file.
fn standard_with(name: &str, more: &str) -> PathBuf {
    let text = library::find("standard").expect("built in").text;
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, format!("{text}\n{more}")).expect("a folder for tests");
    path
}

#[test]
fn a_campaign_draws_by_weight_within_what_a_binomial_allows_whatever_its_world_does() {
    let campaign = Campaign::on_builtin("standard").experiments(400);

    let report = campaign.with_mix("wild-write=6,crash=3,double-free=1").run(|_| {}).expect("runs");

    // Four standard deviations of a binomial of 400.
    for (kind, weight) in [("wild-write", 0.6), ("crash", 0.3), ("double-free", 0.1)] {
        let (drawn, struck) = report.total.kinds[kind];
        let deviation = (400.0_f64 * weight * (1.0 - weight)).sqrt();
        let off = (drawn as f64 - 400.0 * weight).abs() / deviation;
        assert!(off < 4.0 && struck > 0, "{kind}: {drawn}, {struck} struck");
    }
    assert_eq!(report.total.kinds.len(), 3);
    assert_eq!(report.total.experiments, 400);
}

#[test]
fn a_kind_of_its_own_is_what_it_is_as_a_mix() {
    let campaign = || Campaign::on_builtin("standard").experiments(30).seeds(0..1);

    let report = campaign().with_mix("crash=5").run(|_| {}).expect("runs");

    let kinds: Vec<&String> = report.total.kinds.keys().collect();
    assert_eq!(kinds, ["crash"]);
    let again = campaign().with_mix("crash=5").workers(3).run(|_| {}).expect("runs");
    assert_eq!(report.digest, again.digest);
}

#[test]
fn a_scenario_has_its_fault_load_and_the_command_line_another() {
    let path = standard_with("mixed.toml", "[mix]\ndouble-free = 1\nhang = 0\nedfi = 2\n");
    let file = path.display().to_string();
    let small = ["--seeds", "0..1", "--experiments", "30"];
    let head = |arguments: &[&str]| {
        let all = [&["campaign", &file][..], arguments, &small].concat();
        stdout(&ringfence(&all))
    };

    let own = head(&[]);
    let other = head(&["--mix", "leak"]);
    let kinds = head(&["--fault", "leak"]);

    assert!(own.contains("Fault load: double-free=1,edfi=2,hang=0"), "{own}");
    assert!(
        own.lines()
            .any(|line| line.trim_start().starts_with("double-free") && line.contains("33.3%"))
    );
    assert!(other.contains("Fault load: leak=1") && other.contains("--mix leak=1"), "{other}");
    assert!(!kinds.contains("Fault load"), "{kinds}");
    let scenario = Scenario::from_bytes(&std::fs::read(&path).expect("a file")).expect("sound");
    let again = Scenario::from_bytes(scenario.to_toml().as_bytes()).expect("sound");
    assert_eq!(again, scenario);
    assert_eq!(again.mix.len(), 3);
}

#[test]
fn all_of_a_published_load_is_drawn_and_a_comparison_draws_from_it() {
    let small = ["--seeds", "0..2", "--experiments", "12"];

    let campaign = stdout(&ringfence(&[&["campaign", "--mix", "sego-fs"][..], &small].concat()));
    let compared =
        ["campaign", "--compare", "home=kernel", "home=own-host", "--mix", "minix-random"];
    let compared = stdout(&ringfence(&[&compared[..], &small].concat()));

    assert!(!campaign.contains("not modelled"), "{campaign}");
    let blocking = campaign.lines().find(|line| line.contains("wait-at-dispatch"));
    assert!(blocking.is_some_and(|line| line.contains("15.0%")), "{campaign}");
    assert!(compared.contains("Fault load: minix-random=1"), "{compared}");
    assert!(campaign.lines().chain(compared.lines()).all(|line| line.chars().count() <= 100));
}

#[test]
fn models_and_published_loads_are_listed_and_each_is_a_mix() {
    let output = ringfence(&["list", "fault-loads", "--json"]);

    let text = stdout(&output);
    let rows: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    for wanted in ["swifi", "edfi", "boundary", "handle", "resource", "minix-random", "sego-kernel"]
    {
        assert!(rows.iter().any(|row| row["name"] == wanted), "{wanted}: {text}");
    }
    for row in &rows {
        let name = row["name"].as_str().expect("a name");
        let mix = Mix::read(name, &Registry::default());
        assert_eq!(mix.is_ok(), row["kinds"] != 0, "{name}");
    }
}

#[test]
fn errors_in_a_trial_are_told_listed_and_replayed() {
    let small = ["campaign", "standard", "--mix", "nooks", "--errors", "5", "--seeds", "0..1"];
    let small = [&small[..], &["--experiments", "30"]].concat();

    let text = stdout(&ringfence(&small));
    let json = stdout(&ringfence(&[&small[..], &["--json"]].concat()));
    let listed = stdout(&ringfence(&["list", "fault-loads", "--json"]));

    assert!(text.contains("What 5 faults of one component can reach: 30 experiments"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("faults planned")), "{text}");
    assert!(
        text.contains("had no place in their component") && !text.contains("Wild writes"),
        "{text}"
    );
    let mut told = text.lines().filter(|line| !line.contains(" ringfence campaign "));
    assert!(told.all(|line| line.chars().count() <= 100), "{text}");
    let summary: serde_json::Value =
        serde_json::from_str(json.lines().last().expect("a summary")).expect("an object");
    assert_eq!(summary["summary"]["errors"], 5);
    // An experiment by itself is what it is among all of them.
    let replay = text.lines().find_map(|line| line.split("ringfence campaign ").nth(1));
    let replay = replay.expect("one of each, as a story").trim();
    let class = text.lines().find(|line| line.ends_with(replay)).expect("that line");
    let class = class.split_whitespace().next().expect("a class");
    let words: Vec<&str> = std::iter::once("campaign").chain(replay.split(' ')).collect();
    let story = stdout(&ringfence(&words));
    assert!(story.contains(&format!("\noutcome    {class}")), "{class}: {story}");
    assert!(story.lines().filter(|line| line.starts_with("planned")).count() > 1, "{story}");
    for (load, errors) in [("nooks", 5), ("minix-random", 100)] {
        let mut rows = listed.lines().map(|line| serde_json::from_str(line).expect("an object"));
        let row: serde_json::Value =
            rows.find(|row: &serde_json::Value| row["name"] == load).expect("listed");
        assert_eq!(row["errors"], errors, "{row}");
    }
}

#[test]
fn errors_that_make_no_sense_are_refused() {
    for wrong in [&["--errors", "0"][..], &["--errors", "101"], &["--errors", "2", "--compare"]] {
        let output = ringfence(&[&["campaign", "standard"][..], wrong].concat());
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn shares_are_of_what_was_asked_for_as_weights_are() {
    // Nothing is transferred in that world, so half of the load has no place.
    let mix = ["campaign", "content-parser-host", "--mix", "lost-transfer=1,crash=1"];

    let output = ringfence(&[&mix[..], &["--seeds", "0..3", "--experiments", "24"]].concat());

    let text = stdout(&output);
    let row = text.lines().find(|line| line.trim_start().starts_with("crash ")).expect("a row");
    let cells: Vec<&str> = row.split_whitespace().collect();
    // One of them is to overflow a stack that is empty still.
    assert_eq!(cells, ["crash", "50.0%", "36", "50.0%", "35"], "{text}");
    assert!(text.contains("36 more (50.0%) had no place in their world"), "{text}");
}

#[test]
fn what_is_wrong_is_told_with_what_was_meant_and_ends_with_2() {
    let misspelt = standard_with("misspelt-mix.toml", "[mix]\nswfi = 3\n");
    let negative = standard_with("negative-mix.toml", "[mix]\nswifi = -3\n");
    let [misspelt, negative] = [misspelt, negative].map(|path| path.display().to_string());
    for (arguments, wanted) in [
        (&["--mix", "swfi=3"][..], "did you mean `swifi`?"),
        (&["--mix", "swifi=three"], "0 to 1000000"),
        (&["--mix", "swifi=0"], "nothing to draw"),
        (&["--mix", "wild-wirte"], "did you mean `wild-write`?"),
        (&["--mix", "swifi", "--fault", "crash"], "--fault"),
        (&["--compare", "smep=off", "--mix", "sego-sf"], "did you mean `sego-fs`?"),
        (&[&misspelt], "did you mean `swifi`?"),
        (&[&negative], "a whole number, 0 to 1000000"),
    ] {
        let output = ringfence(&[&["campaign"], arguments].concat());

        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.contains(wanted), "{arguments:?}: {told}");
    }
    let output = ringfence(&["campaign", &misspelt]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("misspelt-mix.toml:") && told.contains("swfi = 3"), "{told}");
}

/// Which types of fault each injector has, by the words of its paper or its code: facts about them, in the
/// order told there. Where two rows are halves of one type, it is named once.
const LOADS: &[(&str, &str)] = &[
    (
        "rio",
        "kernel text, kernel heap, kernel stack, destination register, source register, delete branch, \
         delete instruction, initialization, pointer, allocation, copy overrun, off-by-one, synchronization",
    ),
    (
        "nooks",
        "TEXT, INIT, NOP, DST, SRC, BRANCH, PTR, LOOP, INTERFACE, IRQ, FREE, BCOPY, SYNC, ALLOC, MEM_LEAK, \
         PANIC",
    ),
    (
        "minix",
        "TEXT, STACK, HEAP, INIT, NOP, DST, SRC, BRANCH, PTR, LOOP, INTERFACE, IRQ, FREE, BCOPY, SYNC, \
         ALLOC, MEM_LEAK, PANIC, WHILE1, DEBUGGER",
    ),
    ("minix-random", "TEXT, NOP, SRC, DST, PTR, LOOP, INTERFACE"),
    (
        "edfi",
        "operand swap, load yields 0, load yields random, store removed, branch flipped, branch stuck, loop \
         stuck, boolean flipped, pointer corrupted, pointer NULL, index ±1, integer corrupted, operator \
         changed, buffer overflow, leak, dangling",
    ),
    (
        "hevd",
        "ArbitraryWrite, WriteNULL, ArbitraryIncrement, ArbitraryReadWriteHelperNonPagedPoolNx, \
         BufferOverflowStack, BufferOverflowStackGS, BufferOverflowNonPagedPool, \
         BufferOverflowNonPagedPoolNx, BufferOverflowPagedPoolSession, UseAfterFreeNonPagedPool, \
         UseAfterFreeNonPagedPoolNx, IntegerOverflow, TypeConfusion, UninitializedMemoryStack, \
         UninitializedMemoryPagedPool, NullPointerDereference, DoubleFetch, MemoryDisclosureNonPagedPool, \
         MemoryDisclosureNonPagedPoolNx, InsecureKernelResourceAccess",
    ),
];

#[test]
fn each_published_load_has_the_types_of_its_publication_each_as_likely() {
    for (name, types) in LOADS {
        let load = PUBLISHED.iter().find(|load| load.name == *name).expect("it is there");
        let mut weights: Vec<(&str, u32)> = Vec::new();
        for row in load.rows {
            let (called, kind) = (row.name.split(", ").next().expect("a name"), row.kind);
            let is_known = kind.is_some_and(|kind| Registry::default().get(kind).is_some());
            assert!(is_known, "{name}: {called}");
            match weights.last_mut() {
                Some((last, weight)) if *last == called => *weight += row.weight,
                _ => weights.push((called, row.weight)),
            }
        }

        let found: Vec<&str> = weights.iter().map(|(called, _)| *called).collect();

        assert_eq!(found.join(", "), *types, "{name}");
        assert!(weights.iter().all(|(_, weight)| *weight == weights[0].1), "{name}: {weights:?}");
    }
}

#[test]
fn loads_of_different_publications_are_different_and_the_allocator_fails_where_it_did_there() {
    let kinds = |name: &str| -> Vec<(u64, &str)> {
        Mix::read(name, &Registry::default()).expect("a load").kinds().to_vec()
    };
    let has = |name: &str, kind: &str| kinds(name).iter().any(|(_, known)| *known == kind);

    for (number, (name, _)) in LOADS.iter().enumerate() {
        for (other, _) in &LOADS[..number] {
            assert_ne!(kinds(name), kinds(other), "{name} and {other}");
        }
    }
    assert!(has("rio", "premature-free") && !has("rio", "allocation-failure"));
    for name in ["nooks", "minix"] {
        assert!(has(name, "allocation-failure") && has(name, "leak"), "{name}");
    }
    assert!(has("edfi", "under-allocation"));
    assert!(!has("nooks", "bit-flip") && has("minix", "bit-flip"));
}

#[test]
fn every_class_of_the_vulnerable_driver_is_told_by_an_incident() {
    let sources: String = library::INCIDENTS.iter().map(|one| one.text).collect();
    let hevd = PUBLISHED.iter().find(|load| load.name == "hevd").expect("it is there");
    assert_eq!(hevd.rows.len(), 20);

    for row in hevd.rows {
        assert!(sources.contains(&format!("\\\"{}\\\"", row.name)), "{}", row.name);
    }
}
