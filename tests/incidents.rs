//! The incidents: each ends as was published, and each contrast as it says.

mod review;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ringfence::base::EventKind;
use ringfence::campaign::experiment::{CONTAINED, SURVIVES};
use ringfence::campaign::{Judged, Registries, Trial};
use ringfence::counterexample::IncidentStory;
use ringfence::counterexample::incident::Ending;
use ringfence::counterexample::recorder::Turn;
use ringfence::counterexample::story::trace;
use ringfence::faults::mix::PUBLISHED;
use ringfence::invariants;
use ringfence::outcome::{Availability, Class, Integrity};
use ringfence::scenario::library::{Builtin, INCIDENTS, PAGES};
use ringfence::scenario::{
    Contrast, Discount, Fields, MADE_FOR, Scenario, Variation, Vocabulary, switches,
};
use ringfence::world::{World, components};

/// Every name that an expectation may use.
fn vocabulary() -> Vocabulary {
    let all = invariants::Registry::all();
    let guarantees: Vec<&str> =
        all.iter().map(|one| one.name()).chain([CONTAINED, SURVIVES]).collect();
    Vocabulary::default()
        .expecting(Class::ALL.iter().map(|class| class.name()), guarantees)
        .expecting_axes(Integrity::ALL.iter().map(|one| one.name()), Availability::NAMES)
}

fn read(builtin: &Builtin, vocabulary: &Vocabulary) -> Scenario {
    let file = format!("scenarios/{}.toml", builtin.name);
    Scenario::from_toml(&file, builtin.text, vocabulary).unwrap_or_else(|errors| panic!("{errors}"))
}

/// What each of some things comes to, in their order; the work is spread over two threads.
fn each<T: Sync, R: Send>(things: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let number = next.fetch_add(1, Ordering::Relaxed)
                    && let Some(thing) = things.get(number)
                {
                    let result = work(thing);
                    done.lock().expect("nobody panicked").push((number, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("nobody panicked");
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Every incident and every contrast, with its name.
fn cases() -> Vec<(String, Scenario)> {
    let vocabulary = vocabulary();
    let mut cases = Vec::new();
    for builtin in INCIDENTS {
        let scenario = read(builtin, &vocabulary);
        for contrast in &scenario.contrasts {
            let changed = contrast.of(&scenario).expect("it was checked when it was read");
            cases.push((format!("{}, {}", builtin.name, contrast.name), changed));
        }
        cases.push((builtin.name.to_owned(), scenario));
    }
    cases
}

/// What of a scenario's expectation is missed.
fn missed(scenario: &Scenario) -> Vec<String> {
    let mut trial = Trial::new(scenario, &Registries::default()).expect("its world builds");
    Judged::of(scenario, &mut trial).expect("its plan can be made").missed
}

#[test]
fn every_incident_and_every_contrast_ends_as_its_file_says() {
    let cases = cases();

    let found = each(&cases, |(name, scenario)| (name.clone(), missed(scenario)));

    let wrong: Vec<_> = found.into_iter().filter(|(_, missed)| !missed.is_empty()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn where_service_is_unaffected_nobody_dies_as_in_the_golden_run() {
    // What ends as it does without the fault is no loss that the fault brought, and would hide one.
    let mut cases = cases();
    let is_unaffected = |scenario: &Scenario| {
        let expect = scenario.expect.as_ref();
        expect.and_then(|it| it.availability.as_deref()) == Some("unaffected")
    };
    cases.retain(|(_, scenario)| is_unaffected(scenario));

    let dead = each(&cases, |(name, scenario)| {
        let mut trial = Trial::new(scenario, &Registries::default()).expect("its world builds");
        let traced = trace(&mut trial, &scenario.plan, false).expect("its plan can be made");
        let is_loss = |turn: &&Turn| {
            turn.event.kind == EventKind::ProcessEnded && turn.event.value >= 0xc000_0000
        };
        traced.turns.iter().find(is_loss).map(|turn| (name.clone(), turn.event.value))
    });

    let dead: Vec<_> = dead.into_iter().flatten().collect();
    assert!(dead.is_empty(), "{dead:x?}");
}

#[test]
fn an_incident_says_when_what_by_whose_word_and_what_to_expect() {
    let vocabulary = vocabulary();
    for builtin in INCIDENTS {
        let scenario = read(builtin, &vocabulary);

        let name = builtin.name;
        assert_eq!(Some(&*scenario.name), name.strip_prefix("incidents/"), "{name}");
        let incident = scenario.incident.as_ref().unwrap_or_else(|| panic!("{name}: no incident"));
        let year = incident.date.get(..4).and_then(|year| year.parse::<u16>().ok());
        // A class of mistakes was published on no day; its account says that it is one.
        let published = scenario.published.as_deref().unwrap_or_default();
        let is_class = published.starts_with("A class");
        assert_eq!(is_class, incident.date == "a class", "{name}: {incident:?}");
        let is_year = year.is_some_and(|year| (1990..2030).contains(&year));
        assert!(is_class || is_year, "{name}: {incident:?}");
        assert!((3..=44).contains(&incident.what.chars().count()), "{name}: {incident:?}");
        assert!(!scenario.sources.is_empty() && scenario.published.is_some(), "{name}");
        let expect = scenario.expect.as_ref().unwrap_or_else(|| panic!("{name}: no expectation"));
        assert!(expect.integrity.is_some() && expect.availability.is_some(), "{name}: {expect:?}");
        let documented = scenario.contrasts.iter().filter(|one| one.is_documented(&scenario));
        let documented = documented.count();
        assert!(
            documented >= 2,
            "{name}: {documented} documented contrasts, the rest are controls"
        );
        // What a host is for says nothing of this incident: that page alone would do for each of them.
        let says_nothing_of_it = |source: &str| {
            ["\"How UMDF Handles Driver Failures\"", "\"Advantages of UMDF\" (isolation)"]
                .iter()
                .any(|page| source == format!("Microsoft Learn, {page}"))
        };
        let own = scenario.contrasts.iter().filter(|one| one.is_documented(&scenario));
        let own = own.filter_map(|one| one.source.as_deref());
        let own = own.filter(|source| !says_nothing_of_it(source)).count();
        assert!(own >= 2, "{name}: {own} contrasts by an account of its own");
        for contrast in &scenario.contrasts {
            let expect = &contrast.expect;
            let is_whole = expect.integrity.is_some() && expect.availability.is_some();
            assert!(is_whole, "{name}, {}: {expect:?}", contrast.name);
        }
    }
}

#[test]
fn no_switch_made_for_an_incident_decides_it_but_where_the_file_says_so() {
    let vocabulary = vocabulary();
    let scenarios: Vec<Scenario> = INCIDENTS.iter().map(|one| read(one, &vocabulary)).collect();
    let ended = |scenario: &Scenario| {
        let mut trial = Trial::new(scenario, &Registries::default()).expect("its world builds");
        Ending::of(&Judged::of(scenario, &mut trial).expect("its plan can be made").outcome)
    };

    let deciding = each(&scenarios, |scenario| {
        let before = ended(scenario);
        let turned = switches(&scenario.configuration.machine).into_iter();
        let turned = turned.filter(|(switch, _)| MADE_FOR.contains(switch));
        let decides = turned.filter(|(switch, to)| {
            let machine = Fields::from([((*switch).to_owned(), to.clone())]);
            let other = Contrast { machine, ..Contrast::default() }.of(scenario).expect("a flag");
            !ended(&other).is_like(before)
        });
        decides.map(|(switch, _)| switch.to_owned()).collect::<Vec<_>>()
    });

    for (scenario, deciding) in scenarios.iter().zip(&deciding) {
        let said: Vec<String> =
            scenario.incident.iter().filter_map(|one| one.decided_by.clone()).collect();
        assert_eq!(&said, deciding, "{}: what decides it", scenario.name);
        let planted = &scenario.configuration.weaknesses;
        assert!(planted.is_empty(), "{}: {planted:?} were made for it", scenario.name);
    }
    let counting = scenarios.iter().filter(|one| one.discount().is_none());
    let numbers: BTreeSet<&str> = counting.map(|one| &one.name[..3]).collect();
    assert_eq!(numbers.len(), 19, "{numbers:?}");
}

/// A user's file is held to the same: what ends otherwise than its account says is no evidence, nor is a control.
#[test]
fn an_incident_counts_with_two_contrasts_that_end_as_published() {
    let builtin = INCIDENTS.iter().find(|one| one.name.contains("I13")).expect("it is there");
    let whole = read(builtin, &vocabulary());
    let told = |scenario: &Scenario| {
        let story = IncidentStory::of(scenario, &Registries::default()).expect("its world builds");
        (story.discount.clone(), story.to_string())
    };
    let with = |change: &dyn Fn(&mut Vec<Contrast>)| {
        let mut scenario = whole.clone();
        change(&mut scenario.contrasts);
        scenario
    };
    let one = with(&|all| all.truncate(1));
    let control = with(&|all| {
        all.truncate(2);
        all[0].source = None;
    });
    let mistaken = with(&|all| {
        all.truncate(2);
        all[1].expect.bug_check = Some(0xd5);
    });

    let (discount, text) = told(&one);

    assert_eq!(whole.discount(), None);
    assert_eq!(one.discount(), Some(Discount::Contrasts(1)));
    assert_eq!(discount, Some(Discount::Contrasts(1)));
    let said = "Doesn't count: of 2 contrasts that end as published it has only 1.";
    assert!(text.contains(said), "{text}");
    assert_eq!(control.discount(), Some(Discount::Contrasts(1)));
    // Whether a contrast ends as its account says is known when it was run.
    assert_eq!(mistaken.discount(), None);
    assert_eq!(told(&mistaken).0, Some(Discount::Contrasts(1)));
}

/// Nothing else of the two outcomes says how many lost their host together.
#[test]
fn how_many_devices_lose_their_host_is_part_of_what_is_expected() {
    let builtin = INCIDENTS.iter().find(|one| one.name.contains("I11")).expect("it is there");
    let scenario = read(builtin, &vocabulary());
    let in_a_host = |name: &str| {
        let contrast = scenario.contrasts.iter().find(|one| one.name == name).expect("a contrast");
        contrast.of(&scenario).expect("it can be")
    };
    let (mut shared, alone) =
        (in_a_host("in a shared host"), in_a_host("each in a host of its own"));

    assert_eq!((missed(&shared), missed(&alone)), (vec![], vec![]));
    shared.expect = alone.expect;

    assert_eq!(missed(&shared), ["expected 1 device to lose a host, found 2"]);
}

/// What stands beside an incident is the same content in a user-mode host, whether a contrast has it there or not.
#[test]
fn a_component_that_can_move_is_told_in_a_host_beside_it() {
    let builtin = INCIDENTS.iter().find(|one| one.name.contains("I13")).expect("it is there");
    let mut scenario = read(builtin, &vocabulary());
    let moves = |one: &Contrast| one.component.iter().any(|fields| fields.contains_key("home"));
    scenario.contrasts.retain(|one| !moves(one));

    let story = IncidentStory::of(&scenario, &Registries::default()).expect("its world builds");

    let (name, other) = story.other.expect("something stands beside it");
    assert_eq!(name, "in a host of its own");
    let service = other.parts().iter().find(|(head, _)| *head == "service");
    assert!(service.is_some_and(|(_, what)| what.contains("host was lost")), "{service:?}");
}

#[test]
fn every_table_has_each_home_of_the_component_or_says_why_not() {
    let vocabulary = vocabulary();
    let drivers = components::drivers();
    let has_twin = |driver: &str| drivers.hosted.iter().any(|hosted| hosted.name == driver);
    for builtin in INCIDENTS {
        let scenario = read(builtin, &vocabulary);
        let incident = scenario.incident.clone().unwrap_or_default();
        let name = builtin.name;

        let Some(component) = &incident.component else {
            assert!(incident.stays.is_some(), "{name}: nothing moves, and nobody says why");
            continue;
        };
        let world = &scenario.configuration;
        let found = world.components.iter().find(|one| one.name == *component).expect("checked");
        let is_movable = found.driver.as_deref().is_some_and(has_twin);
        let homes = ["home=kernel", "home=service", "home=shared-host", "home=own-host"];
        let builds = homes.map(|home| {
            let variation = Variation::read(home).expect("a home");
            variation
                .of(&scenario, Some(component))
                .is_ok_and(|varied| World::build(&varied.scenario.configuration).is_ok())
        });
        // What stays although its driver has a twin is asked in a way that no host is, and says how that
        // request ends there.
        let is_asked_elsewhere = scenario
            .contrasts
            .iter()
            .any(|one| one.name.starts_with("asked of a user-mode driver"));
        match &incident.stays {
            None => assert_eq!(builds, [true; 4], "{name}: a home that it has and can't have"),
            Some(_) => assert!(!is_movable || is_asked_elsewhere, "{name}: it could move"),
        }
    }
}

#[test]
fn every_file_of_the_folder_is_built_in_and_named_by_its_number() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/incidents");

    let files = fs::read_dir(folder).expect("the folder").map(|entry| {
        let name = entry.expect("an entry").file_name();
        name.into_string().expect("plain names")
    });

    let files: BTreeSet<String> = files.collect();
    for file in &files {
        let (stem, ending) = file.rsplit_once('.').expect("an ending");
        let (number, words) = stem.split_once('-').expect("a hyphen behind the number");
        let digits = number.strip_prefix('I').unwrap_or_default();
        assert!(digits.len() == 2 && (1..=22).contains(&digits.parse().unwrap_or(0)), "{file}");
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(!words.is_empty() && words.chars().all(is_word), "{file}");
        assert!(matches!(ending, "toml" | "md"), "{file}");
    }
    let tomls = INCIDENTS.iter().map(|one| format!("{}.toml", &one.name["incidents/".len()..]));
    let pages = PAGES.iter().map(|one| format!("{}.md", &one.name["incidents/".len()..]));
    assert_eq!(files, tomls.chain(pages).collect::<BTreeSet<_>>());
    let names: Vec<&str> = INCIDENTS.iter().map(|one| one.name).collect();
    assert!(names.is_sorted(), "{names:?}");
}

#[test]
fn a_mistake_in_a_contrast_is_told_with_its_place() {
    let text = INCIDENTS[0].text;
    for (from, to, what) in [
        ("content = 19", "contnet = 19", "unknown field `contnet`"),
        ("\"driver-host\" }]", "\"drive-host\" }]", "unknown home `drive-host`"),
        ("name = \"content within", "nmae = \"content within", "unknown field `nmae`"),
        (
            "name = \"parser\", content = 19",
            "name = \"praser\", content = 19",
            "no component `praser`",
        ),
        ("class = \"no-effect\"", "class = \"no-efect\"", "unknown class `no-efect`"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");

        let errors = Scenario::from_toml("a.toml", &changed, &vocabulary()).expect_err("a mistake");

        let told = errors.to_string();
        assert!(told.contains(what), "{told}");
        let line = changed.lines().position(|line| line.contains(to)).expect("it is there") + 1;
        let is_placed = told.contains(&format!("a.toml:{line}:"));
        let is_above = (1..5).any(|up| told.contains(&format!("a.toml:{}:", line - up)));
        assert!(is_placed || is_above, "{told}");
    }
}

/// A story without what any change of the kernel moves: steps, events, addresses.
fn masked(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut words: Vec<String> = Vec::new();
        for word in line.split(' ') {
            let digits = word.trim_start_matches("0x").trim_end_matches([',', ':', ';', ')']);
            let is_long = word.starts_with("0x") && digits.len() > 4;
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let follows = |what: &str| words.last().is_some_and(|last| last == what);
            let is_counted = is_number && (follows("step") || follows("after"));
            // A status is none, sign-extended or not.
            let is_said = ["c0000", "ffffffffc0000", "41414"];
            let is_address = is_long && !is_said.iter().any(|start| digits.starts_with(start));
            let is_place = word.starts_with("0x") && (follows("frame") || follows("byte"));
            if is_counted || is_address || is_place {
                let end: String = word.chars().rev().take_while(|c| ",:;)".contains(*c)).collect();
                words.push(format!("…{}", end.chars().rev().collect::<String>()));
            } else {
                words.push(word.to_owned());
            }
        }
        lines.push(words.join(" "));
    }
    lines.join("\n")
}

/// Heads of which a story has one at least: the access or the operation at which it went wrong.
const DECISIVE: [&str; 8] =
    ["instead", "corrupt", "disclosed", "noticed", "given", "ends", "locked", "hangs"];
/// Incidents in which no byte changed hands and nothing faulted: what their timeline must have.
const TOLD: [(&str, &str, &str); 5] = [
    ("I04-insecure-resource-access", "ends", "device was about to end service"),
    ("I10-leaked-handle", "given", "service gave client handle 0x8 to process service"),
    ("I10-leaked-handle", "ends", "client was about to end service, by its handle 0x8"),
    // Five are allowed: the sixth stops the machine ("TDR Registry Keys").
    ("I12-display-hang", "hangs", "the adapter of display did not finish in time, hang 6"),
    ("I22-locked-page-leak", "locked", "buffers locked 1 page of client, and nobody unlocks it"),
];

#[test]
fn each_incident_is_told_as_it_was_reviewed() {
    let vocabulary = vocabulary();
    let scenarios: Vec<Scenario> = INCIDENTS.iter().map(|one| read(one, &vocabulary)).collect();

    let told = each(&scenarios, |scenario| {
        IncidentStory::of(scenario, &Registries::default()).expect("its world builds")
    });

    let _settings = review::snapshots();
    for (scenario, story) in scenarios.iter().zip(&told) {
        let wide =
            story.to_string().lines().find(|line| line.chars().count() > 100).map(str::to_owned);
        assert_eq!(wide, None, "{}", scenario.name);
        assert_eq!(story.missed().collect::<Vec<_>>(), Vec::<String>::new(), "{}", scenario.name);
        let parts: Vec<&str> = story.story.parts().iter().map(|(head, _)| *head).collect();
        let is_told = ["mode line", "outcome", "service"].iter().all(|one| parts.contains(one));
        assert!(is_told && story.other.is_some(), "{}: {parts:?}", scenario.name);
        let is_decided = DECISIVE.iter().any(|head| parts.contains(head));
        assert!(is_decided, "{}: where it went wrong: {parts:?}", scenario.name);
        for (name, head, what) in TOLD.iter().filter(|one| one.0 == scenario.name) {
            let mut those = story.story.parts().iter().filter(|one| one.0 == *head);
            assert!(those.any(|one| one.1.contains(what)), "{name}: {head} {what}");
        }
        // A contrast that has a home's name is that home's column.
        for contrast in &story.contrasts {
            let home = match &*contrast.name {
                "all in the spooler" => "service",
                "in a shared host" => "shared host",
                "in a host of its own" | "each in a host of its own" => "own host",
                _ => continue,
            };
            let column = story.containment.homes.iter().find(|one| one.name == home);
            let there = column.and_then(|one| one.endings.own());
            let is_like = there.is_some_and(|there| there.is_like(contrast.ending));
            assert!(is_like, "{}, {}: {there:?}", scenario.name, contrast.name);
        }
        let name = format!("incident-{}", scenario.name);
        insta::assert_snapshot!(name, masked(&story.reviewed()));
    }
}

/// The page with one line for each incident.
fn page() -> String {
    let vocabulary = vocabulary();
    let mut text = String::from(
        "# Incidents\n\n\
         One row for each file of `scenarios/incidents`: what happened, how it ended by published account,\n\
         what the model gives, and what it gives with one thing changed: contrasts end otherwise, as published;\n\
         controls have no account to be held against. `ringfence run incidents/I01` tells\n\
         one of them, with what would have contained it at each home of the component; `cargo test --test\n\
         incidents` runs them all, holds every cell and this table. One that a switch made for it decides\n\
         shows how it happened and doesn't count: the model was made to do it. Nor does one count of which fewer\n\
         than two contrasts end as published.\n\n\
         A switch was made for an incident when it takes out a check that the published mistake consists in: a\n\
         weakness (`ringfence list weaknesses`, planted in none of these), `return-address-checked` and\n\
         `debug-trap-checked`. Settings that machines and systems of the time differed in (presets, vendors,\n\
         protections, pools, homes), and drivers that make the mistake themselves, are none.\n\n\
         | incident | date | what | published | the model: data, service | contrasts | controls |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let mut rows: Vec<(&str, String)> = Vec::new();
    for builtin in INCIDENTS {
        let scenario = read(builtin, &vocabulary);
        let incident = scenario.incident.clone().unwrap_or_default();
        let ended = |scenario: &Scenario| {
            let expect = scenario.expect.clone().unwrap_or_default();
            let code = expect.bug_check.map_or(String::new(), |code| format!(" {code:#x}"));
            let integrity = expect.integrity.unwrap_or_default();
            let devices = expect.devices_lost.map_or(String::new(), |lost| {
                format!(" ({lost} device{})", if lost == 1 { "" } else { "s" })
            });
            format!("{integrity}, {}{code}{devices}", expect.availability.unwrap_or_default())
        };
        let [contrasts, controls] = [true, false].map(|is_documented| {
            let those = scenario.contrasts.iter();
            let those = those.filter(|one| one.is_documented(&scenario) == is_documented);
            let told = those.map(|one| {
                let changed = one.of(&scenario).expect("it was checked when it was read");
                format!("{}: {}", one.name, ended(&changed))
            });
            told.collect::<Vec<_>>().join("; ")
        });
        let mut row = String::new();
        let number = scenario.name.split('-').next().unwrap_or_default();
        let _ = writeln!(
            row,
            "| [{number}](../scenarios/{}.toml) | {} | {} | {} | {} | {contrasts} | {controls} |",
            builtin.name,
            incident.date,
            match &incident.decided_by {
                None => incident.what.clone(),
                Some(switch) => format!("{} (doesn't count: `{switch}`)", incident.what),
            },
            scenario.published.clone().unwrap_or_default(),
            ended(&scenario),
        );
        rows.push((builtin.name, row));
    }
    for page in PAGES {
        let title = page.text.lines().next().unwrap_or_default().trim_start_matches("# ");
        let parts: Vec<&str> = title.split(" · ").collect();
        let [number, what, date] = parts.as_slice() else { panic!("{title}") };
        let row = format!(
            "| [{number}](../scenarios/{}.md) | {date} | {what} | | a page that says why it can't be modelled | | |\n",
            page.name
        );
        rows.push((page.name, row));
    }
    rows.sort();
    text.extend(rows.into_iter().map(|(_, row)| row));
    text.push_str(
        "\n## The classes of HEVD\n\n\
         The HackSys Extreme Vulnerable Driver has a source file for each of twenty classes. Where each is here:\n\n\
         | class | here | as |\n|---|---|---|\n",
    );
    for (class, file, difference) in HEVD {
        let _ = writeln!(
            text,
            "| {class} | [{file}](../scenarios/incidents/{file}.toml) | {difference} |"
        );
    }
    text
}

/// The contrast of an incident that is the class in pool that can be executed.
const EXECUTABLE: &str = "its contrast \"in pool memory that can be executed\"";

/// The classes of HEVD by its source files, and the incident each is in.
const HEVD: &[(&str, &str, &str)] = &[
    ("ArbitraryIncrement", "I04-arbitrary-increment", ""),
    (
        "ArbitraryReadWriteHelperNonPagedPoolNx",
        "I04-arbitrary-write",
        "the write alone: its address is told, and not read out of a block of the pool",
    ),
    ("ArbitraryWrite", "I04-arbitrary-write", ""),
    ("BufferOverflowNonPagedPool", "I04-pool-overrun", EXECUTABLE),
    ("BufferOverflowNonPagedPoolNx", "I04-pool-overrun", ""),
    (
        "BufferOverflowPagedPoolSession",
        "I04-paged-pool-overrun",
        "in the paged pool, of which no session has its own",
    ),
    ("BufferOverflowStack", "I04-stack-overrun", ""),
    ("BufferOverflowStackGS", "I04-stack-overrun-cookie", ""),
    ("DoubleFetch", "I04-double-fetch", ""),
    (
        "InsecureKernelResourceAccess",
        "I04-insecure-resource-access",
        "a process that anybody ends, in the place of a log file",
    ),
    ("IntegerOverflow", "I04-integer-overflow", ""),
    ("MemoryDisclosureNonPagedPool", "I04-memory-disclosure", EXECUTABLE),
    ("MemoryDisclosureNonPagedPoolNx", "I04-memory-disclosure", ""),
    ("NullPointerDereference", "I04-null-dereference", ""),
    ("TypeConfusion", "I04-type-confusion", ""),
    ("UninitializedMemoryPagedPool", "I04-uninitialised-pool", "a block of nonpaged pool"),
    ("UninitializedMemoryStack", "I04-uninitialised-stack", ""),
    ("UseAfterFreeNonPagedPool", "I04-use-after-free", EXECUTABLE),
    ("UseAfterFreeNonPagedPoolNx", "I04-use-after-free", ""),
    ("WriteNULL", "I04-write-null", ""),
];

/// Each class of the published load has its incident, and each of those incidents is of a class.
#[test]
fn every_class_of_hevd_has_an_incident() {
    let load = PUBLISHED.iter().find(|load| load.name == "hevd").expect("it is published");
    let mut classes: Vec<&str> = load.rows.iter().map(|row| row.name).collect();
    classes.sort_unstable();
    assert_eq!(classes, HEVD.iter().map(|(class, ..)| *class).collect::<Vec<_>>());
    let files: BTreeSet<&str> = HEVD.iter().map(|(_, file, _)| *file).collect();
    let found = INCIDENTS.iter().filter_map(|one| one.name.strip_prefix("incidents/"));
    let found: BTreeSet<&str> = found.filter(|name| name.starts_with("I04")).collect();
    assert_eq!(files, found);
}

#[test]
fn the_page_of_incidents_is_that_of_the_files() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/incidents.md");

    let wanted = page();

    if std::env::var_os("RINGFENCE_WRITE_DOCS").is_some() {
        fs::write(path, &wanted).expect("it can be written");
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(found, wanted, "write it anew with RINGFENCE_WRITE_DOCS=1");
}

#[test]
fn every_bit_of_the_entry_that_rowhammer_flips_is_tried() {
    let is_it = |file: &&Builtin| file.name == "incidents/I07-rowhammer-entry";
    let file = INCIDENTS.iter().find(is_it).expect("built in");
    let scenario = Scenario::from_bytes(file.text.as_bytes()).expect("sound");
    let contrasts = scenario.contrasts.iter().map(|one| one.of(&scenario).expect("it can be"));
    let all: Vec<Scenario> = contrasts.chain([scenario.clone()]).collect();

    let flipped = all.iter().filter_map(|one| one.plan.first()?.parameters.bit);
    let mut bits: Vec<u8> = flipped.collect();
    bits.sort_unstable();

    assert_eq!(bits, (0..64).collect::<Vec<u8>>());
}
