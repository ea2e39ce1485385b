//! Stories of minimal cases: what a person reads when a guarantee is violated, reviewed as snapshots.
//!
//! Each plants a weakness in a small world, lets a campaign find a violation, and tells the least
//! case that still shows it. What the kernel does, how cases are minimised and how they are told meet
//! here: whoever changes one of them looks at the text.

mod review;
mod worlds;

use ringfence::authority::Observations;
use ringfence::campaign::{Campaign, Registries};
use ringfence::counterexample::{Story, minimised};
use ringfence::faults::PlannedFault;
use ringfence::injection::{PointKind, Recurrence};
use ringfence::outcome::{Availability, Integrity};
use ringfence::scenario::{Guarantees, Scenario, library};
use ringfence::world::Action;
use ringfence::world::action::CrashKind;

use review::snapshots;

/// Runs that making one case smaller may take.
const TRIALS_MAX: u32 = 300;

/// A small world with a weakness, in which the editor does this.
fn weak(weakness: &str, name: &str, actions: Vec<Action>) -> Scenario {
    let mut world = worlds::with_editor(actions);
    world.configuration.weaknesses = vec![weakness.to_owned()];
    world.name = name.to_owned();
    world
}

/// The world with the fault of the first violation that faults of one kind show.
fn first_violation(world: Scenario, kind: &str) -> Scenario {
    let found = Campaign::on(world).with_faults([kind]).experiments(400).run_all().report;
    let example = found.violations.first().expect("the weakness shows").clone();
    Scenario { plan: vec![example.case.plan], ..example.scenario }
}

/// The least case that still shows what a scenario shows.
fn least(scenario: &Scenario) -> Scenario {
    let least = minimised(scenario, &Registries::default(), TRIALS_MAX).expect("it is violated");
    let expected = least.scenario.expect.as_ref().expect("what it shows is written down");
    assert_eq!(expected.guarantees, Some(Guarantees::Violated));
    least.scenario
}

/// The story, and below it the case as it is kept.
fn told(least: &Scenario) -> String {
    let story = Story::of(least, &Registries::default()).expect("it runs");
    assert_eq!(story.missed, Vec::<String>::new());
    format!("{story}\n{}", least.to_toml())
}

#[test]
fn a_kernel_address_as_argument_where_nothing_is_probed() {
    let _settings = snapshots();
    let world = weak("no-probe", "kernel-address-without-probe", worlds::work(0x1000));

    let least = least(&first_violation(world, "kernel-address-as-argument"));

    insta::assert_snapshot!("story-no-probe", told(&least));
}

#[test]
fn each_violated_guarantee_has_a_line_of_its_own() {
    let builtin = library::find("self-map-user-bit").expect("it is built in");
    let scenario = Scenario::from_bytes(builtin.text.as_bytes()).expect("it is sound");

    let story = Story::of(&scenario, &Registries::default()).expect("it runs");

    let text = story.to_string();
    assert!(story.outcome.guarantees.len() > 2, "{text}");
    for guarantee in &story.outcome.guarantees {
        assert!(text.contains(&format!("invariant  {guarantee}: ")), "{guarantee}:\n{text}");
    }
}

#[test]
fn a_handle_table_that_outlives_a_crashed_application() {
    let _settings = snapshots();
    let world = weak("handles-leak", "crash-that-leaves-handles-open", worlds::work(0x1000));

    // The kernel by itself is wrong: a process that ends in good order leaves its handles as well.
    let found = Campaign::on(world).with_faults(["crash"]).experiments(8).run_all().report;
    let golden = found.golden_violations.first().expect("the weakness shows without a fault");
    let least = least(&golden.scenario);

    assert_eq!(found.total.violations, 0, "no experiment is charged with it");
    insta::assert_snapshot!("story-handles-leak", told(&least));
}

#[test]
fn a_page_handed_on_with_what_was_in_it() {
    let _settings = snapshots();
    let actions = vec![
        Action::Allocate { slot: 0 },
        Action::StoreThrough { slot: 0, word: 5, value: 7 },
        Action::Free { slot: 0 },
        Action::Load { word: 0 },
    ];

    // No fault is needed: the kernel by itself is wrong.
    let least = least(&weak("no-zeroing", "page-handed-on", actions));

    insta::assert_snapshot!("story-no-zeroing", told(&least));
}

#[test]
fn each_strike_is_told_with_what_it_struck() {
    let mut scenario = worlds::neighbours();
    let trial = worlds::trial(&scenario);
    let nic = worlds::named(&trial, "nic");
    let points = trial.golden.points.iter();
    let stores = points.filter(|one| one.principal == nic && one.kind == PointKind::Store);
    let places: Vec<u64> = stores.map(|one| one.argument).take(2).collect();
    assert_ne!(places[0], places[1]);
    let lost = |nth| worlds::fault("lost-store", "nic", PointKind::Store, nth, "");
    scenario.plan = vec![lost(1), lost(2)];

    let story = Story::of(&scenario, &Registries::default()).expect("it runs").to_string();

    let struck = story.lines().filter(|line| line.starts_with("struck"));
    let struck: Vec<&str> = struck.collect();
    assert_eq!(struck.len(), 2, "{story}");
    for (line, place) in struck.iter().zip(places) {
        assert!(line.contains(&format!("store to {place:#x}")), "{place:#x}:\n{story}");
    }
}

#[test]
fn an_exception_that_comes_without_the_fault_has_noticed_nothing() {
    // The editor crashes by itself, before the shell does something.
    let crash = Action::Crash { how: CrashKind::NullDereference };
    let mut scenario = worlds::with_editor(vec![Action::Store { word: 0, value: 0 }, crash]);
    scenario.plan = vec![worlds::fault("evicted-translations", "nic", PointKind::Step, 1, "")];
    let told = |scenario: &Scenario| {
        let story = Story::of(scenario, &Registries::default()).expect("it runs");
        (story.to_string(), story.picture().join("\n"), story.outcome)
    };

    let (story, picture, outcome) = told(&scenario);
    let alone = told(&Scenario { plan: Vec::new(), ..scenario.clone() });

    assert!(outcome.activation.strikes > 0 && outcome.detection.is_none(), "{story}");
    assert!(!story.contains("noticed") && !picture.contains('✗'), "{story}\n{picture}");
    assert!(alone.0.contains("noticed"), "{}", alone.0);
    scenario.plan = vec![worlds::fault("crash", "shell", PointKind::Step, 1, "how = 'abort'")];
    let (story, ..) = told(&scenario);
    let noticed: Vec<&str> = story.lines().filter(|line| line.starts_with("noticed")).collect();
    assert!(noticed.len() == 1 && noticed[0].contains("fast fail"), "{story}");
}

#[test]
fn a_device_is_in_no_mode_and_a_process_not_in_kernel_mode() {
    let flushed = Action::Flush { slot: 2 };
    let neighbours = worlds::with_editor([worlds::work(0x1000), vec![flushed]].concat());
    // One of what is not there anyway.
    let mut trial = worlds::trial(&neighbours);
    let mut lost = (1..=worlds::reached(&trial, "disk-controller", PointKind::Dma))
        .map(|nth| worlds::fault("lost-transfer", "disk-controller", PointKind::Dma, nth, ""));
    let device = lost.find(|one| {
        let outcome = trial.run(std::slice::from_ref(one)).expect("a fault that can be made");
        outcome.activation.strikes > 0
    });
    let device = device.expect("the disk changes");
    let wrong = "value = '0x4141414141414141'";
    let wrong = worlds::fault("wrong-value-stored", "editor", PointKind::Store, 1, wrong);
    let nic = worlds::fault("lost-store", "nic", PointKind::Store, 1, "");
    let cases = [
        (vec![device.clone()], "a device (disk-controller), which no mode binds"),
        (vec![nic.clone()], "kernel mode (nic), which promises little"),
        (
            vec![nic.clone(), wrong],
            "kernel mode (nic) and user mode (editor), which promises little",
        ),
        (
            vec![nic, device],
            "kernel mode (nic) and a device (disk-controller), which promises little",
        ),
    ];
    for (plan, sides) in cases {
        let scenario = Scenario { plan, ..neighbours.clone() };

        let story = Story::of(&scenario, &Registries::default()).expect("it runs").to_string();

        let words = story.split_whitespace().collect::<Vec<_>>().join(" ");
        let told = format!("mode line struck in {sides}");
        assert!(words.contains(&told), "{story}");
    }
}

#[test]
fn a_flip_is_told_alike_whoever_was_about_to_act() {
    let told = |who: &str, nth: u64, target: &str| {
        let flip = format!("target = '{target}'\nbit = 3");
        let flip = worlds::fault("bit-flip", who, PointKind::Step, nth, &flip);
        let (story, words) = of_standard(vec![flip]);
        let text = story.to_string();
        let lines = text.lines().skip_while(|line| !line.starts_with("instead"));
        let own = ["by the doing of", "by the fault's doing", "struck in"];
        assert!(!own.iter().any(|one| words.contains(one)), "{text}");
        // When it was differs, and what was there then.
        let lines = lines.filter(|line| {
            let heads = ["mode line", "outcome", "integrity", "service", "guarantees"];
            heads.iter().any(|head| line.starts_with(head))
        });
        assert!(words.contains("by nobody's access") && words.contains(", by itself"), "{text}");
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let dispatch = "driver:files/write-dispatch";
    let [editor, nic, kernel] =
        [("editor", 60), ("nic", 20), ("kernel", 600)].map(|(who, nth)| told(who, nth, dispatch));
    assert_eq!(editor, nic);
    assert_eq!(editor, kernel);
    assert!(editor.join(" ").contains("outcome    dormant"), "{editor:?}");

    // A word of the shell's that nobody reads, while the shell is about to act and two others are.
    let word = "process:shell/private-word:100";
    let [editor, nic, shell] =
        [("editor", 60), ("nic", 20), ("shell", 60)].map(|(who, nth)| told(who, nth, word));
    assert_eq!(editor, nic);
    assert_eq!(editor, shell);
    assert!(editor.join(" ").contains("(another process)"), "{editor:?}");
}

/// The story of the built-in world with these faults, and its words in one line.
fn of_standard(plan: Vec<PlannedFault>) -> (Story, String) {
    let file = library::find("standard").expect("built in");
    let standard = Scenario::from_bytes(file.text.as_bytes()).expect("sound");
    let scenario = Scenario { plan, ..standard };
    let story = Story::of(&scenario, &Registries::default()).expect("it runs");
    let words = story.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    (story, words)
}

#[test]
fn of_several_who_struck_each_may_have_done_it() {
    let nic = worlds::fault("lost-store", "nic", PointKind::Store, 3, "");
    // Within a page of its own, and nobody reads it.
    let wild = "operator = 'offset'\noffset = '0x10'";
    let wild = worlds::fault("wild-write", "editor", PointKind::Store, 20, wild);
    let detected = |story: &Story| story.outcome.detection.clone().expect("it is noticed");
    let (alone, words) = of_standard(vec![nic.clone()]);
    assert_eq!(detected(&alone).did, "nic", "{words}");

    let (both, words) = of_standard(vec![nic, wild]);

    assert!(words.contains("in kernel, though editor or nic did it"), "{words}");
    assert_eq!(detected(&both).by, detected(&alone).by);
    assert_eq!(detected(&both).events, detected(&alone).events, "from the last strike on");
    assert!(words.contains("which promises little; no damage to memory crossed it"), "{words}");
}

#[test]
fn what_a_process_does_to_itself_crosses_nothing_whoever_else_is_struck() {
    let target = "target = 'driver:files/write-dispatch'";
    let device = worlds::fault("dma-to-wrong-frame", "transfer-device", PointKind::Dma, 1, target);
    let wild = "operator = 'offset'\noffset = '0x10'";
    let wild = worlds::fault("wild-write", "editor", PointKind::Store, 20, wild);

    let (_, words) = of_standard(vec![device, wild]);

    assert!(words.contains("private data of editor"), "{words}");
    let told = "user mode (editor) and a device (transfer-device), which promises little; \
                transfer-device has content of driver object of kernel";
    assert!(words.contains(told), "{words}");
}

#[test]
fn memory_that_changed_by_itself_is_nobodys_store() {
    let mut scenario = worlds::neighbours();
    let flip = "target = 'process:editor/private-word:3'\nbit = 5";
    scenario.plan = vec![worlds::fault("bit-flip", "nic", PointKind::Step, 1, flip)];

    let story = Story::of(&scenario, &Registries::default()).expect("it runs").to_string();

    let words = story.split_whitespace().collect::<Vec<_>>().join(" ");
    let told = "private-memory-is-private: private data of editor changed to 0x";
    assert!(words.contains(told) && words.contains("by itself: nobody wrote it"), "{story}");
    assert!(!words.contains("nic wrote"), "{story}");
}

#[test]
fn of_a_world_that_stops_by_itself_it_is_not_asked_whether_it_survives() {
    let mut scenario = worlds::with_editor(worlds::work(0x1000));
    let shell = &mut scenario.configuration.components[1];
    shell.critical = true;
    shell.actions = vec![Action::Crash { how: CrashKind::NullDereference }];
    scenario.plan = vec![worlds::fault("crash", "editor", PointKind::Step, 3, "")];
    let told = |scenario: &Scenario| {
        let story = Story::of(scenario, &Registries::default()).expect("it runs").to_string();
        story.split_whitespace().collect::<Vec<_>>().join(" ")
    };

    let story = told(&scenario);

    let said = "not asked the-system-survives-user-mode-faults: this world stops without a fault";
    assert!(story.contains("bug check 0xef") && story.contains(said), "{story}");
    scenario.configuration.components[1].critical = false;
    let story = told(&scenario);
    assert!(!story.contains("not asked"), "{story}");
}

#[test]
fn the_exception_that_stops_the_machine_is_told_however_many_were_handled_before() {
    let builtin = library::find("pageable-with-lock-held").expect("it is built in");
    let scenario = Scenario::from_bytes(builtin.text.as_bytes()).expect("it is sound");

    let story = Story::of(&scenario, &Registries::default()).expect("it runs");

    // Bug check 0xd1 names the address in its first parameter.
    let Availability::BugCheck { parameters: [referenced, ..], .. } = story.outcome.availability
    else {
        panic!("it stops: {story}");
    };
    let stop = story.parts().iter().position(|(head, _)| *head == "stopped").expect("it stops");
    let (head, last) = &story.parts()[stop - 1];
    assert_eq!(*head, "noticed", "{story}");
    assert!(last.contains(&format!("page fault at {referenced:#x}, ")), "{story}");
}

#[test]
fn what_is_given_without_the_fault_as_well_is_not_told_of_it() {
    let (golden, words) = of_standard(Vec::new());
    let flip = "target = 'process:shell/private-word:100'\nbit = 3";
    let flip = worlds::fault("bit-flip", "shell", PointKind::Step, 1, flip);
    let (story, _) = of_standard(vec![flip]);

    let given = |story: &Story| story.parts().iter().filter(|part| part.0 == "given").count();
    assert!(given(&golden) > 0 && words.contains("editor gave child handle"), "{golden}");
    assert_eq!(given(&story), 0, "{story}");
    assert!(story.parts().iter().any(|part| part.0 == "corrupt"), "its own is told: {story}");
}

#[test]
fn a_story_that_is_cut_says_so() {
    let every = worlds::fault("evicted-translation", "kernel", PointKind::Step, 1, "");
    let once = PlannedFault { recurrence: Recurrence::Once, ..every.clone() };
    let (short, _) = of_standard(vec![once]);
    let (long, words) = of_standard(vec![every]);

    let cut = |story: &Story| story.parts().iter().any(|part| part.0 == "cut");
    assert!(!cut(&short), "{short}");
    let strikes = long.outcome.activation.strikes;
    assert!(strikes > 4096, "{strikes}");
    let told = "turning points came after the first 4096: not told";
    assert!(cut(&long) && words.contains(told), "{long}");
}

/// The standard world with one fault: its story in one line.
fn struck(kind: &str, who: &str, at: (PointKind, &str, u64), parameters: &str) -> (Story, String) {
    let (point, routine, nth) = at;
    let mut planned = worlds::fault(kind, who, point, nth, parameters);
    planned.at.routine = Some(routine.to_owned());
    of_standard(vec![planned])
}

#[test]
fn what_a_strike_altered_is_told_before_and_after() {
    let told = |kind, who, at, parameters| struck(kind, who, at, parameters).1;

    // A result, an argument, what is read and what is stored; each with what it was.
    let result =
        told("wrong-result", "files", (PointKind::Return, "FsWriteBack", 2), "value = '0x103'");
    assert!(result.contains("; result 0x0 became 0x103 "), "{result}");
    let argument = told("dropped-argument", "service", (PointKind::Call, "main", 18), "index = 5");
    assert!(argument.contains("; argument 6 (r9) 0x20 became 0x0 "), "{argument}");
    let read =
        told("wrong-value-loaded", "files", (PointKind::Load, "FsMapData", 60), "value = '0x1'");
    assert!(read.contains("; 0x1 was read for 0x"), "{read}");
    let stored = told(
        "wrong-value-stored",
        "sensor",
        (PointKind::Store, "SensorProcess", 5),
        "value = '0x9'",
    );
    assert!(stored.contains("; value to store 0x1 became 0x9 "), "{stored}");
}

#[test]
fn how_others_results_differ_is_told() {
    let (story, words) =
        struck("wrong-result", "files", (PointKind::Return, "FsWriteBack", 2), "value = '0x103'");

    assert_eq!(story.outcome.deviated, ["service"], "{story}");
    // STATUS_PENDING for STATUS_SUCCESS, of the operation that flushes.
    let differs = ", flush: status 0x103, without the fault status 0x0 ";
    assert!(words.contains("differs service: operation 4") && words.contains(differs), "{words}");
}

#[test]
fn who_never_finished_is_told() {
    let scenario = worlds::neighbours();
    let mut trial = worlds::trial(&scenario);
    let lost = |nth| worlds::fault("unreleased-lock", "kernel", PointKind::Unlock, nth, "");
    let hangs = |nth: &u64| {
        let outcome = trial.run(&[lost(*nth)]).expect("a fault that can be made");
        outcome.availability == Availability::Hang
    };
    let nth = (40..200).find(hangs).expect("a lock that somebody needs");
    let ended = |all: &Observations, name| all.ending(worlds::named(&trial, name)).0;
    let now = trial.judge.authority.observations();
    let (waiting, done): (Vec<&str>, Vec<&str>) =
        ["editor", "shell"].into_iter().partition(|name| ended(now, name) == 0);
    assert!(!waiting.is_empty() && ended(&trial.golden.observations, waiting[0]) == 1);

    let scenario = Scenario { plan: vec![lost(nth)], ..scenario };
    let story = Story::of(&scenario, &Registries::default()).expect("it runs");

    let told = story.parts().iter().filter(|(head, _)| *head == "unfinished");
    let told: Vec<&str> = told.filter_map(|(_, what)| what.split(',').next()).collect();
    assert_eq!(told, waiting, "{done:?} ended: {story}");
}

#[test]
fn which_sector_differs_is_told() {
    // What is read at one place of the cache is written to the disk from another.
    let (story, words) =
        struck("off-by-one", "files", (PointKind::Load, "FsMapData", 60), "offset = '-0x1'");

    assert_eq!(story.outcome.integrity, Integrity::Durable, "{story}");
    let differs = "of the disk, word 25: 0xffffffffffffffff, without the fault 0x0";
    assert!(words.contains("differs sector ") && words.contains(differs), "{words}");
}

#[test]
fn what_was_left_in_a_frame_that_is_handed_out_is_disclosed() {
    let of = |weakness: Option<&str>| {
        let mut scenario =
            worlds::with_editor(vec![Action::Store { word: 0, value: 1 }, Action::Wait]);
        scenario.configuration.weaknesses = weakness.map(str::to_owned).into_iter().collect();
        scenario.configuration.machine.processors = 1;
        let shell = &mut scenario.configuration.components[1];
        shell.actions = vec![Action::Yield; 20];
        for slot in 1..8 {
            shell.actions.push(Action::Allocate { slot });
            shell.actions.push(Action::LoadThrough { slot, word: 0 });
        }
        scenario.plan = vec![worlds::fault("crash", "editor", PointKind::Step, 6, "")];
        Story::of(&scenario, &Registries::default()).expect("it runs")
    };

    let (weak, sound) = (of(Some("no-zeroing")), of(None));

    assert!(weak.outcome.disclosed > 0, "{weak}");
    let words = weak.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("shell has what editor left in its private data"), "{words}");
    assert_eq!(sound.outcome.disclosed, 0, "{sound}");
}

#[test]
fn a_frame_on_a_kernel_stack_has_one_name_in_a_story() {
    let value = "value = '0x4141414141414141'";
    let (_, words) = struck(
        "corrupted-return-address",
        "files",
        (PointKind::Step, "FsCompleteRequest", 2),
        value,
    );

    assert!(
        words.contains("corrupt step") && words.contains(": stack frame of files in "),
        "{words}"
    );
    assert!(words.contains("reads it: stack frame "), "{words}");
    assert!(words.contains("files wrote 0x4141414141414141 to stack frame, "), "{words}");
    assert!(!words.contains("kernel stack"), "{words}");
}
