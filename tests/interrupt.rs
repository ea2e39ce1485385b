//! Ctrl-C is heeded at once, also within a long run: what there is is printed and marked partial, the
//! digest is over what has no gap, and the exit code is 130.

mod worlds;

use std::sync::atomic::{AtomicU64, Ordering};

use ringfence::campaign::{Campaign, Interrupt, Registries, Report, Sweep, TrialError};
use ringfence::counterexample::{IncidentStory, minimised};
use ringfence::invariants::{End, Evidence, Findings, Invariant, Kinds, Registry};
use ringfence::minimise::Extent;
use ringfence::scenario::Scenario;
use ringfence::world::Action;

/// Never broken; raises a flag when so many runs came to rest.
struct RaisesAfter {
    rests: AtomicU64,
    interrupt: Interrupt,
}

impl Invariant for RaisesAfter {
    fn name(&self) -> &'static str {
        "raises-after"
    }

    fn sentence(&self) -> &'static str {
        "nobody breaks it"
    }

    fn source(&self) -> &'static str {
        "this test"
    }

    fn kinds(&self) -> Kinds {
        Kinds::NONE
    }

    fn check(&self, _: &Evidence<'_>, _: &mut Findings) {}

    fn check_at_rest(&self, _: &Evidence<'_>, _: &End<'_>, _: &mut Findings) {
        if self.rests.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.interrupt.raise();
        }
    }
}

/// The same campaign, interrupted when so many runs came to rest; the golden run is the first.
fn report(experiments: u32, rests: u64) -> Report {
    let mut campaign = Campaign::on_builtin("content-parser-host").experiments(experiments);
    let interrupt = campaign.registries.interrupt.clone();
    let raises = RaisesAfter { rests: AtomicU64::new(rests), interrupt };
    campaign = campaign.held_to(Registry::all().with(raises));
    campaign.run(|_| {}).expect("a sound world")
}

#[test]
fn an_interrupted_world_counts_up_to_the_first_number_that_is_missing() {
    // The golden run and all experiments but the last two, in the order of their strikes.
    let all = report(60, u64::MAX).total.experiments;
    let cut = report(60, all - 1);
    let next = cut.cut.expect("it ends within its only world").next;

    let whole = report(next, u64::MAX);

    assert!(cut.is_partial && next > 0 && next < 60, "{next}");
    assert!(!whole.is_partial && whole.cut.is_none());
    assert_eq!((cut.digest, cut.total.experiments), (whole.digest, whole.total.experiments));
    assert_eq!(cut.total.cells, whole.total.cells);
}

#[test]
fn interrupted_before_anything_was_run_nothing_is_told_of_the_world() {
    let nothing = report(60, 1);

    assert!(nothing.is_partial);
    assert_eq!((nothing.worlds.len(), nothing.total.experiments), (0, 0));
}

#[test]
fn minimising_ends_with_the_least_found_so_far() {
    let mut start = worlds::with_editor(vec![
        Action::Allocate { slot: 0 },
        Action::StoreThrough { slot: 0, word: 5, value: 7 },
        Action::Free { slot: 0 },
    ]);
    start.configuration.weaknesses = vec!["handles-leak".to_owned()];
    let least = |rests| {
        let campaign = Campaign::on(start.clone());
        let interrupt = campaign.registries.interrupt.clone();
        let raises = RaisesAfter { rests: AtomicU64::new(rests), interrupt };
        let campaign = campaign.held_to(Registry::all().with(raises));
        minimised(&start, &campaign.registries, 1000).expect("handles leak")
    };
    let actions = |scenario: &Scenario| -> usize {
        scenario.configuration.components.iter().map(|one| one.actions.len()).sum()
    };

    let (cut, whole) = (least(30), least(u64::MAX));

    assert_eq!((cut.extent, whole.extent), (Extent::BudgetHit, Extent::OneMinimal));
    assert_eq!(cut.shown, whole.shown);
    assert!(actions(&cut.scenario) >= actions(&whole.scenario));
}

/// What is run in a world until a flag is raised when so many runs have come to rest.
fn raised<T>(name: &str, rests: u64, run: impl Fn(&Scenario, &Registries) -> T) -> T {
    let campaign = Campaign::on_builtin(name);
    let raises = RaisesAfter {
        rests: AtomicU64::new(rests),
        interrupt: campaign.registries.interrupt.clone(),
    };
    let campaign = campaign.held_to(Registry::all().with(raises));
    run(campaign.scenario.as_ref().expect("it has one"), &campaign.registries)
}

#[test]
fn many_runs_each_shorter_than_a_glance_end_between_two_of_them() {
    // The incident itself and its golden run, a contrast, and one of the homes with other protections.
    for rests in [1, 3, 8, 40] {
        let told = raised("I01", rests, |scenario, registries| {
            IncidentStory::of(scenario, registries).map(|_| ())
        });

        assert_eq!(told, Err(TrialError::Interrupted), "{rests}");
    }
}

#[test]
fn a_sweep_of_a_world_shorter_than_a_glance_ends_before_its_first_fault() {
    let swept = raised("content-parser-host", 1, |scenario, registries| {
        let sweep = Sweep { registries: registries.clone(), ..Sweep::of(scenario.clone()) };
        sweep.run(|_| {}).map(|swept| swept.run)
    });

    assert_eq!(swept, Err(TrialError::Interrupted));
}

#[cfg(all(target_os = "linux", feature = "cli"))]
mod command {
    use std::io::Write as _;
    use std::path::PathBuf;
    use std::process::{Child, Command, Output, Stdio};
    use std::time::{Duration, Instant};

    use serde_json::Value;

    /// A world in which a process spins until the run is cut off: seconds a run.
    const SPINS: &str = "format = 1\nname = \"spins\"\nsteps-max = 10000000\nboots-max = 1\n\
        [machine]\nprocessors = 1\n[[component]]\nname = \"a\"\nhome = \"application\"\n\
        actions = [{ do = \"store\", word = 0, value = \"0x1\" }, { do = \"spin\" }]\n";
    /// Far less than what is interrupted would take, far more than its end.
    const PROMPT: Duration = Duration::from_secs(15);

    fn spins(name: &str) -> String {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, SPINS).expect("a folder for tests");
        path.to_str().expect("a plain path").to_owned()
    }

    fn begun(arguments: &[&str]) -> Child {
        started(Command::new(env!("CARGO_BIN_EXE_ringfence")).args(arguments))
    }

    fn started(command: &mut Command) -> Child {
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        // Before the program catches them, the signals would end it.
        let catches = (0..600).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            let place = format!("/proc/{}/status", child.id());
            let status = std::fs::read_to_string(place).unwrap_or_default();
            let set = |name| {
                let set = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
                u64::from_str_radix(set.trim(), 16).unwrap_or_default()
            };
            // Hang-ups last, unless they are ignored; before them the end, and before that Ctrl-C.
            set("SigCgt:") & 1 << 14 != 0 && (set("SigCgt:") | set("SigIgn:")) & 1 != 0
        });
        assert!(catches, "{command:?}");
        child
    }

    fn send(signal: &str, child: &Child) {
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()));
    }

    fn press(child: &Child) {
        send("-INT", child);
    }

    /// What is printed when Ctrl-C is pressed this long after the start.
    #[allow(clippy::disallowed_methods, reason = "what is tested is the host's time")]
    fn interrupted(arguments: &[&str], after: Duration) -> Output {
        let child = begun(arguments);
        std::thread::sleep(after);
        press(&child);
        let pressed = Instant::now();
        let output = child.wait_with_output().expect("it ends");
        let took = pressed.elapsed();
        assert!(took < PROMPT, "{arguments:?}: {took:?}");
        assert_eq!(output.status.code(), Some(130), "{arguments:?}");
        output
    }

    fn last(output: &Output) -> Value {
        let text = String::from_utf8(output.stdout.clone()).expect("text");
        let line = text.lines().last().unwrap_or_else(|| panic!("nothing was printed"));
        serde_json::from_str(line).expect("an object")
    }

    #[test]
    fn a_campaign_of_slow_experiments_ends_within_one_of_them() {
        let file = spins("spins-campaign.toml");
        let arguments =
            ["campaign", &file, "--json", "--seeds", "0", "--fault", "wild-write", "--jobs", "2"];

        let summary = last(&interrupted(&arguments, Duration::from_secs(2)))["summary"].clone();

        assert_eq!(summary["partial"], true, "{summary}");
        assert!(summary["experiments"].as_u64().is_some_and(|count| count < 200), "{summary}");
    }

    #[test]
    fn what_is_interrupted_before_anything_struck_does_not_say_that_nothing_does() {
        let file = spins("spins-nothing.toml");
        // Long enough for the world to be built, and not for the first of its faults.
        for arguments in [
            &["sweep", &*file, "--jobs", "1"][..],
            &["campaign", &*file, "--seeds", "0", "--compare", "smep=off", "--jobs", "1"],
        ] {
            let text = interrupted(arguments, Duration::from_millis(700));
            let text = String::from_utf8(text.stdout).expect("text");

            assert!(text.contains("PARTIAL"), "{arguments:?}: {text}");
            assert!(!text.contains("NOTHING STRUCK"), "{arguments:?}: {text}");
        }
    }

    #[test]
    fn a_run_and_a_replay_end_and_say_that_they_have_no_result() {
        let file = spins("spins-run.toml");
        for command in ["run", "replay"] {
            let text = interrupted(&[command, &file], Duration::from_millis(200));
            let json = interrupted(&[command, &file, "--json"], Duration::from_millis(200));

            assert!(text.stdout.starts_with(b"PARTIAL: spins was interrupted"), "{command}");
            assert_eq!(last(&json)["partial"], true, "{command}");
        }
    }

    #[test]
    fn one_fault_under_several_configurations_has_no_result_either() {
        let file = spins("spins-pair.toml");
        let one = ["campaign", &file, "--compare", "smep=off", "--seeds", "0", "--only", "3"];

        let text = interrupted(&one, Duration::from_millis(200));
        let json = interrupted(&[&one[..], &["--json"]].concat(), Duration::from_millis(200));

        assert!(text.stdout.starts_with(b"PARTIAL: fault 3 of seed 0 was interrupted"));
        assert_eq!(last(&json)["partial"], true);
    }

    #[test]
    fn a_trace_ends_when_nobody_has_read_it_to_its_end() {
        for json in [&[][..], &["--json"]] {
            let child = begun(&[&["run", "standard", "--trace"], json].concat());
            // It stands still when the pipe is full, long before its end.
            std::thread::sleep(Duration::from_secs(3));
            press(&child);
            let output = child.wait_with_output().expect("it ends");

            assert_eq!(output.status.code(), Some(130));
            assert!(output.stdout.len() < 1 << 20, "{}", output.stdout.len());
            let text = String::from_utf8(output.stdout).expect("text");
            let end = text.lines().last().unwrap_or_default();
            let marked =
                if json.is_empty() { "PARTIAL: standard was " } else { "{\"name\":\"standard\"" };
            assert!(end.starts_with(marked), "{end}");
        }
    }

    #[test]
    fn a_map_of_live_bytes_is_of_what_was_flipped() {
        let arguments = ["live-bytes", "standard", "--every", "1", "--json"];

        let summary = last(&interrupted(&arguments, Duration::from_secs(3)))["summary"].clone();

        assert_eq!(summary["partial"], true, "{summary}");
    }

    #[test]
    fn an_audit_tells_of_the_flips_it_has_tried() {
        let image = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/linux-l4.tables.bin.zst");
        let arguments = ["audit", image, "--flip", "--json", "--jobs", "1"];

        let summary = last(&interrupted(&arguments, Duration::from_millis(100)))["summary"].clone();

        assert_eq!(summary["partial"], true, "{summary}");
    }

    #[test]
    fn a_comparison_of_page_walks_sums_up_what_it_has_compared() {
        let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/translation-recorded.csv");
        let cases = std::fs::read(cases).expect("the fixture");
        // Whoever writes to a pipe may take its time, and is not waited for.
        for json in [&[][..], &["--json"]] {
            let mut child = begun(&[&["translate", "--expect", "-"], json].concat());
            let mut pipe = child.stdin.take().expect("a pipe");
            pipe.write_all(&cases).expect("it reads");
            std::thread::sleep(Duration::from_secs(2));
            press(&child);
            let output = child.wait_with_output().expect("it ends");
            drop(pipe);

            assert_eq!(output.status.code(), Some(130));
            let text = String::from_utf8(output.stdout.clone()).expect("text");
            if json.is_empty() {
                let sum = text.lines().last().unwrap_or_default();
                assert!(sum.starts_with("PARTIAL: interrupted; "), "{sum}");
            } else {
                let summary = last(&output)["summary"].clone();
                assert_eq!(summary["partial"], true, "{summary}");
                assert!(summary["cases"].as_u64().is_some_and(|cases| cases > 0), "{summary}");
            }
        }
    }

    #[test]
    fn whoever_asks_for_the_end_has_what_there_is_as_with_ctrl_c() {
        let file = spins("spins-asked.toml");
        for signal in ["-TERM", "-HUP"] {
            for arguments in [
                &["sweep", &*file, "--jobs", "1"][..],
                &["campaign", &*file, "--seeds", "0", "--fault", "wild-write", "--jobs", "1"],
            ] {
                let child = begun(arguments);
                std::thread::sleep(Duration::from_secs(1));
                send(signal, &child);
                let output = child.wait_with_output().expect("it ends");

                assert_eq!(output.status.code(), Some(130), "{signal} {arguments:?}");
                let text = String::from_utf8(output.stdout).expect("text");
                assert!(text.contains("PARTIAL"), "{signal} {arguments:?}: {text}");
            }
        }
    }

    #[test]
    fn whoever_is_to_ignore_hang_ups_goes_on() {
        let file = spins("spins-nohup.toml");
        let command = format!("trap '' HUP; exec {} run {file}", env!("CARGO_BIN_EXE_ringfence"));
        let mut child = started(Command::new("sh").args(["-c", &command]));

        send("-HUP", &child);
        std::thread::sleep(Duration::from_millis(300));
        assert!(child.try_wait().is_ok_and(|end| end.is_none()), "it goes on");
        send("-TERM", &child);

        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(130));
        assert!(output.stdout.starts_with(b"PARTIAL: spins was interrupted"));
    }

    #[test]
    fn a_second_press_ends_it_whatever_it_does() {
        let mut child = begun(&["run", "standard", "--trace"]);
        // It stands still when the pipe is full, and nobody reads.
        std::thread::sleep(Duration::from_secs(3));

        press(&child);
        std::thread::sleep(Duration::from_millis(600));
        assert!(child.try_wait().is_ok_and(|end| end.is_none()), "it waits for whoever reads");
        press(&child);

        assert_eq!(child.wait().expect("it ends").code(), Some(130));
    }

    #[test]
    fn a_signal_that_comes_twice_at_once_is_one_press() {
        let file = spins("spins-once.toml");
        let arguments =
            ["campaign", &file, "--json", "--seeds", "0", "--fault", "wild-write", "--jobs", "2"];
        for _ in 0..5 {
            let child = begun(&arguments);
            // As `timeout` does it: to the child, and to the group that the child is in.
            let twice = format!("kill -INT {0}; kill -INT {0}", child.id());
            let sent = Command::new("sh").args(["-c", &twice]).status();
            assert!(sent.is_ok_and(|status| status.success()));
            let output = child.wait_with_output().expect("it ends");

            assert_eq!(output.status.code(), Some(130));
            assert_eq!(last(&output)["summary"]["partial"], true);
        }
    }
}
