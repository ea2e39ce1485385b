//! Counterexamples as people see them: a story, a file, a test, a command.

mod review;

use ringfence::base::Seed;
use ringfence::campaign::{Judged, Registries, Trial};
use ringfence::counterexample::case::TRIALS_MAX;
use ringfence::counterexample::{Story, minimised, test_text};
use ringfence::scenario::{Bias, Scenario, library};

use review::snapshots;

fn built_in(name: &str) -> Scenario {
    let file = library::find(name).expect("it is built in");
    Scenario::from_bytes(file.text.as_bytes()).expect("it is sound")
}

fn story(scenario: &Scenario) -> String {
    Story::of(scenario, &Registries::default()).expect("a world").to_string()
}

/// The least world in which a handle is looked up in another process's table.
fn weakened() -> Scenario {
    let mut scenario = Scenario::generate(Seed(0), &Bias::default());
    scenario.name = "wrong-table".to_owned();
    scenario.configuration.weaknesses = vec!["wrong-table".to_owned()];
    minimised(&scenario, &Registries::default(), TRIALS_MAX).expect("it violates").scenario
}

#[test]
fn a_boot_loop_is_told_boot_by_boot() {
    let _guard = snapshots();

    let story = story(&built_in("content-parser-kernel"));

    assert_eq!(story.matches("\nstopped ").count(), 3, "{story}");
    assert_eq!(story.matches("\nboots ").count(), 2, "{story}");
    insta::assert_snapshot!("story-boot-loop", story);
}

/// The least world in which a kernel that does not probe is given an address of its own.
fn unprobed() -> Scenario {
    let text = r#"format = 1
name = "unprobed"
about = "A kernel that does not probe; an application whose pointer leads into it."
weaknesses = ["no-probe"]

[[component]]
name = "asker"
home = "application"
actions = [
    { do = "create-event", slot = 7 },
    { do = "query-event", slot = 7 },
    { do = "query-event", slot = 7 },
]

[[component]]
name = "bystander"
home = "application"
actions = [{ do = "load", word = 0 }]

[[fault]]
kind = "kernel-address-as-argument"
who = "asker"
at = { point = "mode-switch", nth = 3 }
parameters = { target = "kernel/file-cache:900" }
"#;
    let start = Scenario::from_bytes(text.as_bytes()).expect("a scenario");
    minimised(&start, &Registries::default(), TRIALS_MAX).expect("it violates").scenario
}

#[test]
fn a_write_across_the_mode_line_is_told_with_its_bytes() {
    let story = story(&unprobed());

    assert!(story.contains("; before 0x"), "{story}");
    assert!(story.contains("damage crossed it into kernel mode"), "{story}");
}

/// The text that was printed for [`weakened`], compiled as it stands.
mod printed {
    include!("fixtures/printed-test.txt");

    /// Runs the test in it.
    pub(crate) fn run() {
        wrong_table_holds();
    }
}

#[test]
fn the_printed_test_compiles_and_fails_where_the_weakness_is() {
    let text = test_text::test(&weakened());

    assert_eq!(text.replace("#[test]\n", ""), include_str!("fixtures/printed-test.txt"), "{text}");
    let failed = std::panic::catch_unwind(printed::run).expect_err("the weakness is there");
    let message = failed.downcast_ref::<String>().expect("a message");
    assert!(message.contains("handles-are-private"), "{message}");
}

#[test]
fn a_printed_test_takes_any_text_and_no_plan() {
    let about = "ümlauts, \"quotes\"#, \\ and \u{1f6a7}".to_owned();
    let scenario = Scenario { about, ..built_in("standard") };

    let text = test_text::test(&scenario);

    assert!(text.contains("r##\""), "{text}");
    assert_eq!(text.contains("strikes"), !scenario.plan.is_empty());
}

#[test]
fn the_least_case_is_kept_in_a_file_and_violates_the_same_when_it_is_replayed() {
    let scenario = weakened();
    let kept = scenario.to_toml();

    let again = Scenario::from_bytes(kept.as_bytes()).expect("a scenario");
    let told = Story::of(&again, &Registries::default()).expect("a world");

    assert_eq!(told.missed, Vec::<String>::new());
    assert!(told.outcome.guarantees.contains(&"handles-are-private".to_owned()));
    assert_eq!(
        test_text::replay_line("cases/wrong-table.toml"),
        "ringfence replay cases/wrong-table.toml"
    );
}

#[test]
fn a_story_is_of_the_run_that_was_judged() {
    for builtin in library::ALL {
        let scenario = built_in(builtin.name);
        let mut trial = Trial::new(&scenario, &Registries::default()).expect("a world");
        let judged = Judged::of(&scenario, &mut trial).expect("a plan");

        let told = Story::of(&scenario, &Registries::default()).expect("a world");

        assert_eq!(told.outcome, judged.outcome, "{}", builtin.name);
        assert_eq!(told.to_string(), story(&scenario), "{}", builtin.name);
    }
}
