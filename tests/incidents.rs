//! The incidents: each ends as was published, and each contrast as it says.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ringfence::campaign::experiment::{CONTAINED, SURVIVES};
use ringfence::campaign::{Judged, Registries, Trial};
use ringfence::invariants;
use ringfence::outcome::{Availability, Class, Integrity};
use ringfence::scenario::library::{Builtin, INCIDENTS, PAGES};
use ringfence::scenario::{Scenario, Vocabulary};

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

/// What of a scenario's expectation is missed.
fn missed(scenario: &Scenario) -> Vec<String> {
    let mut trial = Trial::new(scenario, &Registries::default()).expect("its world builds");
    Judged::of(scenario, &mut trial).expect("its plan can be made").missed
}

#[test]
fn every_incident_and_every_contrast_ends_as_its_file_says() {
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

    let found = each(&cases, |(name, scenario)| (name.clone(), missed(scenario)));

    let wrong: Vec<_> = found.into_iter().filter(|(_, missed)| !missed.is_empty()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
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
        assert!(year.is_some_and(|year| (1990..2030).contains(&year)), "{name}: {incident:?}");
        assert!((3..=44).contains(&incident.what.chars().count()), "{name}: {incident:?}");
        assert!(!scenario.sources.is_empty() && scenario.published.is_some(), "{name}");
        let expect = scenario.expect.as_ref().unwrap_or_else(|| panic!("{name}: no expectation"));
        assert!(expect.integrity.is_some() && expect.availability.is_some(), "{name}: {expect:?}");
        assert!(scenario.contrasts.len() >= 2, "{name}: fewer than two contrasts");
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
