//! A scenario by its name or file.

use std::io::Read as _;
use std::path::Path;

use crate::base::nearest;
use crate::campaign::experiment::{CONTAINED, SURVIVES};
use crate::invariants;
use crate::outcome::{Availability, Class, Integrity};
use crate::scenario::library::{Builtin, INCIDENTS_FOLDER, Named};
use crate::scenario::{Scenario, ScenarioErrors, Vocabulary, library};

use super::Failure;

/// Bytes of a file that are read; a scenario is far smaller, and is refused beyond that.
const BYTES_MAX: u64 = 16 << 20;

/// Words that may have been meant where a scenario's name stands.
const COMMANDS: [&str; 9] =
    ["campaign", "sweep", "run", "replay", "explain", "list", "live-bytes", "translate", "audit"];

/// The scenario built in under this name, or in this file.
pub(super) fn scenario(name: &str) -> Result<Scenario, Failure> {
    let vocabulary = vocabulary();
    let read = match library::named(name) {
        Named::Scenario(builtin) => built_in(builtin, &vocabulary),
        Named::Page(page) => {
            return Err(Failure::mistake(
                format!("`{}` is a page and no scenario", page.name),
                format!("`ringfence run {name}` shows it: it says why no world here can"),
            ));
        }
        Named::Several(names) => {
            return Err(Failure::mistake(
                format!("`{name}` may be one of {} incidents", names.len()),
                format!("name one of {}", names.join(", ")),
            ));
        }
        Named::Nothing => Scenario::from_bytes_of(name, &bytes(name)?, &vocabulary),
    };
    read.map_err(|errors| Failure::Mistake(errors.to_string()))
}

/// A scenario that is built in.
pub(super) fn built_in(
    builtin: Builtin,
    vocabulary: &Vocabulary,
) -> Result<Scenario, ScenarioErrors> {
    Scenario::from_toml(&format!("scenarios/{}.toml", builtin.name), builtin.text, vocabulary)
}

/// Every name that a file may use.
pub(super) fn vocabulary() -> Vocabulary {
    let invariants = invariants::Registry::all();
    let names = invariants.iter().map(|invariant| invariant.name());
    let guarantees: Vec<&str> = names.chain([CONTAINED, SURVIVES]).collect();
    Vocabulary::default()
        .expecting(Class::ALL.iter().map(|class| class.name()), guarantees)
        .expecting_axes(Integrity::ALL.iter().map(|one| one.name()), Availability::NAMES)
}

/// Threads: as many as were asked for, or as there are processors.
pub(super) fn workers(jobs: Option<u16>) -> usize {
    match jobs {
        Some(jobs) => usize::from(jobs),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    }
}

/// What is in a file.
pub(super) fn bytes(name: &str) -> Result<Vec<u8>, Failure> {
    let path = Path::new(name);
    let looks_like_a_file = name.contains(['/', '\\', '.']);
    if !path.exists() && !looks_like_a_file {
        return Err(unknown(name));
    }
    let mut bytes = Vec::new();
    let read = if path.is_dir() {
        Err(std::io::Error::from(std::io::ErrorKind::IsADirectory))
    } else {
        std::fs::File::open(path).and_then(|file| file.take(BYTES_MAX).read_to_end(&mut bytes))
    };
    match read {
        Ok(_) => Ok(bytes),
        Err(error) => {
            // `standrad.toml` is probably neither a file nor `standard.toml`.
            let stem = name.strip_suffix(".toml").unwrap_or(name);
            let known = library::names();
            let remedy = match nearest_name(stem, known).filter(|_| !path.exists()) {
                Some(near) => format!("name a file that can be read; did you mean `{near}`?"),
                None if name.starts_with(INCIDENTS_FOLDER) => {
                    "name one of `ringfence list incidents`".to_owned()
                }
                None => "name a file that can be read, or a scenario of `ringfence list scenarios`"
                    .to_owned(),
            };
            Err(Failure::mistake(format!("can't read {name}: {error}"), remedy))
        }
    }
}

fn unknown(name: &str) -> Failure {
    let known = library::names().chain(COMMANDS);
    let remedy = match nearest_name(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "name a file, an incident of `ringfence list incidents`, or one of {}",
            library::ALL.iter().map(|builtin| builtin.name).collect::<Vec<_>>().join(", ")
        ),
    };
    Failure::mistake(format!("there is no scenario and no file `{name}`"), remedy)
}

/// The name that was probably meant; of an incident the number or the words may be what is right.
fn nearest_name<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let wanted = name.strip_prefix(INCIDENTS_FOLDER).unwrap_or(name);
    let words = |known: &'a str| known.strip_prefix(INCIDENTS_FOLDER)?.split_once('-');
    let by_words = || {
        let all = known.clone().into_iter().filter_map(words).map(|(_, words)| words);
        let near = nearest(wanted.split_once('-').map_or(wanted, |(_, words)| words), all)?;
        known.clone().into_iter().find(|one| words(one).is_some_and(|(_, words)| words == near))
    };
    // A number that is near is another incident's.
    let by_number = || {
        let meant = number(wanted)?;
        known.clone().into_iter().find(|one| {
            one.strip_prefix(INCIDENTS_FOLDER).and_then(number).is_some_and(|one| one == meant)
        })
    };
    let short = |one: &'a str| one.strip_prefix(INCIDENTS_FOLDER).unwrap_or(one);
    nearest(wanted, known.clone().into_iter().map(short).collect::<Vec<_>>())
        .and_then(|near| known.clone().into_iter().find(|one| short(one) == near))
        .or_else(by_words)
        .or_else(by_number)
}

/// The number of an incident, however it is written: `I07`, `i7`.
fn number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix(['I', 'i'])?;
    digits.split('-').next()?.parse().ok()
}
