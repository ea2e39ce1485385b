use proptest::prelude::*;

use super::*;
use crate::base::Seed;
use crate::injection::{PointKind, PointRecord};
use crate::world::directory::Directory;
use crate::world::{Action, Rest, World};

fn read(text: &str) -> Result<Scenario, ScenarioErrors> {
    Scenario::from_toml("a.toml", text, &Vocabulary::default())
}

fn errors(text: &str) -> Vec<ScenarioError> {
    read(text).expect_err("a mistake").0
}

/// A small scenario, with one line changed.
fn changed(from: &str, to: &str) -> String {
    let text = r#"format = 1
name = "small"
weaknesses = ["no-probe"]

[machine]
processors = 2

[[component]]
name = "editor"
home = "application"
actions = [
    { do = "open", device = "nic", access = 3, slot = 0 },
    { do = "load", word = 3 },
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
"#;
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

#[test]
fn every_scenario_built_in_is_read_and_its_world_is_built() {
    for builtin in library::ALL.iter().chain(library::INCIDENTS) {
        let file = format!("scenarios/{}.toml", builtin.name);
        let scenario = Scenario::from_toml(&file, builtin.text, &Vocabulary::default())
            .unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(Some(&*scenario.name), builtin.name.rsplit('/').next());
        World::build(&scenario.configuration).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(read(&scenario.to_toml()), Ok(scenario));
    }
    assert!(library::find("standard").is_some());
    assert!(library::find("nonesuch").is_none());
}

#[test]
fn a_mistake_is_told_like_a_compiler_tells_it() {
    let error = &errors(&changed("driver = \"transfer\"", "driver = \"trasnfer\""))[0];

    assert_eq!((error.line, error.column), (19, 10));
    let told = error.to_string();
    assert!(told.starts_with("error: unknown driver `trasnfer`\n  --> a.toml:19:10\n"), "{told}");
    assert!(told.contains("19 | driver = \"trasnfer\"\n   |          ^^^^^^^^^^\n"), "{told}");
    assert!(told.ends_with("= help: did you mean `transfer`?"), "{told}");
}

#[test]
fn each_mistake_is_found_where_it_is() {
    let cases: &[(&str, &str, usize, &str)] = &[
        ("format = 1", "format = 2", 1, "this is format 2; this version reads format 1"),
        ("format = 1\n", "", 1, "the format is missing"),
        ("format = 1", "format = ", 1, ""),
        ("processors = 2", "procesors = 2", 6, "unknown field `procesors`"),
        ("processors = 2", "processors = 9", 6, "processors 9 is out of range"),
        ("processors = 2", "self-map-slot = 496", 6, "the system's own"),
        ("processors = 2", "frames = 10", 6, "frames 10 is out of range"),
        ("[\"no-probe\"]", "[\"no-prob\"]", 3, "unknown weakness `no-prob`"),
        ("\"editor\"", "\"nic\"", 17, "two components named `nic`"),
        ("\"editor\"", "\"Editor\"", 9, "no name for a component"),
        ("\"editor\"", "\"kernel\"", 9, "part of every world"),
        ("\"application\"", "\"aplication\"", 10, "unknown home `aplication`"),
        ("slot = 0", "slot = 16", 12, "slot 16 is out of range"),
        ("slot = 0", "slt = 0", 12, "unknown field `slt`"),
        ("word = 3", "word = 128", 13, "word 128 is out of range"),
        ("device = \"nic\"", "device = \"nicc\"", 12, "unknown device `nicc`"),
        ("driver = \"transfer\"", "", 17, "which driver is `nic`?"),
        ("driver = \"transfer\"", "driver = \"filter\"", 17, "which driver is below `nic`?"),
        ("driver = \"transfer\"", "driver = \"transfer\"\nabove = \"nicc\"", 20, ""),
        ("\"wild-write\"", "\"wild-wirte\"", 22, "unknown fault `wild-wirte`"),
        ("who = \"nic\"", "who = \"nick\"", 23, "unknown principal `nick`"),
        ("who = \"nic\"", "who = \"transfer-device\"", 24, "never reaches a point `store`"),
        ("point = \"store\"", "point = \"interrupt\"", 24, "never reaches a point `interrupt`"),
        ("point = \"store\"", "point = \"stor\"", 24, "unknown point `stor`"),
        ("point = \"store\"", "point = \"load\"", 24, "can't strike at a point `load`"),
        ("nth = 3", "nth = 0", 24, "nth 0 is out of range"),
        ("offset = \"0x8\"", "offset = \"8\"", 25, "hexadecimal"),
        ("offset = \"0x8\"", "bytes = 8", 25, "takes no parameter `bytes`"),
    ];
    for (from, to, line, what) in cases {
        let found = errors(&changed(from, to));
        let hit = found.iter().any(|error| error.line == *line && error.what.contains(what));
        // A component that is renamed is missed elsewhere; what counts is that the mistake is told.
        let told = ScenarioErrors(found, 0).to_string();
        assert!(hit || to.contains("nicc\"") && told.contains("nicc"), "{to}:\n{told}");
    }
}

#[test]
fn where_there_is_no_driver_to_name_it_is_said_that_there_is_none() {
    let error = &errors(&changed("driver = \"transfer\"", "driver = \"filter\""))[0];

    let told = error.to_string();
    assert!(told.contains("`above`, the name of another driver in kernel mode"), "{told}");
    assert!(told.contains("the scenario has none: add one"), "{told}");
}

#[test]
fn all_mistakes_of_meaning_are_told_at_once() {
    let text = changed("slot = 0", "slot = 99").replace("word = 3", "word = 999");
    assert_eq!(errors(&text).len(), 2);
}

#[test]
fn another_format_says_what_no_longer_resolves() {
    let text =
        changed("format = 1", "format = 7\nmood = \"blue\"").replace("wild-write", "tame-write");

    let error = &errors(&text)[0];

    let remedy = error.remedy.as_deref().unwrap_or_default();
    assert!(remedy.contains("field `mood`") && remedy.contains("fault `tame-write`"), "{remedy}");
    assert!(!remedy.contains("transfer"), "{remedy}");
}

#[test]
fn another_format_says_all_that_no_longer_resolves() {
    let (operator, target) =
        ("operator = \"offset\", offset = \"0x8\"", "driver:gone/read-dispatch");
    let of_old = changed("format = 1", "format = 7").replace("who = \"nic\"", "who = \"ncx\"");
    let aimed = format!("operator = \"target\", target = \"{target}\"");
    let of_old = of_old.replace(operator, &aimed);
    assert!(of_old.contains(target), "{of_old}");
    let remedy = |text: &str| errors(text)[0].remedy.clone().unwrap_or_default();

    let kind = remedy(&of_old.replace("wild-write", "tame-write"));
    let point = remedy(&of_old.replace("point = \"store\"", "point = \"stroe\""));

    for (lost, told) in [(&kind, "fault `tame-write`"), (&point, "injection point `stroe`")] {
        assert!(lost.contains(told) && lost.contains("`ncx`"), "{lost}");
        assert!(lost.contains("gone"), "{lost}");
    }
    assert!(
        errors(&changed("format = 1", "format = 99999999999999999999"))[0]
            .what
            .contains("this is format 99999999999999999999")
    );
}

#[test]
fn a_world_that_cannot_be_is_refused() {
    let none = "format = 1\nname = \"empty\"\n";
    assert!(errors(none)[0].what.contains("at least one component"));

    let mut many = none.to_owned();
    for number in 0..70 {
        many += &format!("[[component]]\nname = \"a-{number}\"\nhome = \"application\"\n");
    }
    assert!(errors(&many)[0].what.contains("70 processes are too many"));
}

#[test]
fn bytes_that_are_no_text_are_told_as_well() {
    let error = &Scenario::from_bytes(b"format = 1\nname = \"\xff\"").expect_err("no text").0[0];
    assert_eq!((error.line, error.column), (2, 9));
    assert!(error.what.contains("0xff is not UTF-8"));

    assert!(Scenario::from_bytes(&vec![b'#'; 2 << 20]).is_err());
}

#[test]
fn a_seed_means_the_same_scenario_every_time_and_another_seed_another() {
    let bias = Bias { faults: 2, ..Bias::default() };
    let generate = |seed| Scenario::generate(Seed(seed), &bias).to_toml();

    assert_eq!(generate(7), generate(7));
    assert_ne!(generate(7), generate(8));
}

#[test]
fn a_fault_more_in_the_plan_changes_nothing_but_the_plan() {
    let with = |faults| Scenario::generate(Seed(3), &Bias { faults, ..Bias::default() });

    assert_eq!(with(0).configuration, with(5).configuration);
    assert_eq!(with(1).plan[..], with(5).plan[..1]);
}

#[test]
fn what_is_generated_is_read_after_it_was_opened() {
    let scenario = Scenario::generate(Seed(1), &Bias::default());
    for component in &scenario.configuration.components {
        let opened =
            component.actions.iter().position(|action| matches!(action, Action::Open { .. }));
        let used =
            component.actions.iter().position(|action| matches!(action, Action::Write { .. }));
        assert!(used.is_none() || opened < used, "{}", component.name);
    }
}

#[test]
fn every_generated_world_is_built_and_comes_to_rest_without_a_bug_check() {
    for seed in 0..40 {
        let scenario = Scenario::generate(Seed(seed), &Bias::default());
        assert_eq!(scenario.check(&Vocabulary::default()), [], "seed {seed}");
        let mut world = World::build(&scenario.configuration)
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let rest = world.run(&mut (), u64::MAX);
        assert_eq!(rest, Rest::Quiescent, "seed {seed}");
    }
}

#[test]
fn the_scenarios_built_in_end_as_published() {
    let rest = |name: &str| {
        let builtin = library::find(name).expect("built in");
        let scenario = Scenario::from_bytes(builtin.text.as_bytes()).expect("read");
        let mut world = World::build(&scenario.configuration).expect("built");
        world.run(&mut (), u64::MAX)
    };

    assert_eq!(rest("content-parser-kernel"), Rest::BugCheck(0x50));
    assert_eq!(rest("pageable-with-lock-held"), Rest::BugCheck(0xd1));
    for quiet in
        ["standard", "content-parser-host", "self-map-user-bit", "system-call-without-probe"]
    {
        assert_eq!(rest(quiet), Rest::Quiescent, "{quiet}");
    }
}

#[test]
fn an_interrupt_is_the_point_of_who_interrupts() {
    for (who, fits) in
        [("transfer-device", true), ("disk-controller", true), ("hal", true), ("nic", false)]
    {
        let text = changed("who = \"nic\"", &format!("who = \"{who}\""))
            .replace("wild-write", "lost-interrupt")
            .replace("point = \"store\"", "point = \"interrupt\"");
        let text = text.lines().filter(|line| !line.starts_with("parameters"));

        let found = read(&text.collect::<Vec<_>>().join("\n"));

        assert_eq!(found.is_ok(), fits, "{who}: {found:?}");
    }
}

#[test]
fn a_fault_planned_at_a_recorded_point_counts_the_points_before_it() {
    let scenario = Scenario::generate(Seed(2), &Bias::default());
    let directory = Directory::of(&scenario.configuration);
    let nic = directory.roster().named("nic").expect("every generated world has it");
    let record = |number, routine| PointRecord {
        kind: PointKind::Store,
        principal: nic,
        routine,
        caller: 9,
        has_return_address: false,
        branches: false,
        is_missed: false,
        service: 0xff,
        level: 0,
        step: 0,
        number,
        clock: number,
        argument: 0x1000,
    };
    let records = [record(0, 1), record(1, 2), record(2, 1), record(3, 1)];
    let registry = crate::faults::Registry::default();
    let kind = registry.get("wild-write").expect("a kind");
    let name = |routine| Some(format!("routine-{routine}"));

    let planned = crate::faults::planned_at(
        &mut Seed(1).stream("plan", 0),
        kind,
        &records[3],
        &records,
        &directory,
        &name,
    );

    assert_eq!((planned.who.as_str(), planned.at.nth), ("nic", 3));
    assert_eq!(planned.at.routine.as_deref(), Some("routine-1"));
    assert!(planned.is_out_of_place(&registry).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_scenario_survives_its_text_form(scenario in strategies::scenarios(4)) {
        let text = scenario.to_toml();
        let again = read(&text);
        prop_assert_eq!(again.as_ref(), Ok(&scenario), "{}", text);
        prop_assert_eq!(again.expect("read").to_toml(), text);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Err(errors) = Scenario::from_bytes(&bytes) {
            prop_assert!(!errors.to_string().is_empty());
        }
    }

    #[test]
    fn a_scenario_with_bytes_changed_never_panics(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = changed("small", "small").into_bytes();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Err(errors) = Scenario::from_bytes(&bytes) {
            prop_assert!(!errors.to_string().is_empty());
        }
    }
}
