//! A scenario by its name or file.

use std::io::Read as _;
use std::path::Path;

use crate::base::nearest;
use crate::campaign::experiment::{CONTAINED, SURVIVES};
use crate::invariants;
use crate::outcome::Class;
use crate::scenario::{Scenario, Vocabulary, library};

use super::Failure;

/// Bytes of a file that are read; a scenario is far smaller, and is refused beyond that.
const BYTES_MAX: u64 = 16 << 20;

/// Words that may have been meant where a scenario's name stands.
const COMMANDS: [&str; 8] =
    ["campaign", "run", "replay", "explain", "list", "live-bytes", "translate", "audit"];

/// The scenario built in under this name, or in this file.
pub(super) fn scenario(name: &str) -> Result<Scenario, Failure> {
    let vocabulary = vocabulary();
    let read = if let Some(builtin) = library::find(name) {
        Scenario::from_toml(&format!("{name}.toml"), builtin.text, &vocabulary)
    } else {
        Scenario::from_bytes_of(name, &bytes(name)?, &vocabulary)
    };
    read.map_err(|errors| Failure::Mistake(errors.to_string()))
}

/// Every name that a file may use.
fn vocabulary() -> Vocabulary {
    let invariants = invariants::Registry::all();
    let names = invariants.iter().map(|invariant| invariant.name());
    let guarantees: Vec<&str> = names.chain([CONTAINED, SURVIVES]).collect();
    Vocabulary::default().expecting(Class::ALL.iter().map(|class| class.name()), guarantees)
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
            let known = library::ALL.iter().map(|builtin| builtin.name);
            let remedy = match nearest(stem, known).filter(|_| !path.exists()) {
                Some(near) => format!("name a file that can be read; did you mean `{near}`?"),
                None => "name a file that can be read, or a scenario of `ringfence list scenarios`"
                    .to_owned(),
            };
            Err(Failure::mistake(format!("can't read {name}: {error}"), remedy))
        }
    }
}

fn unknown(name: &str) -> Failure {
    let known = library::ALL.iter().map(|builtin| builtin.name).chain(COMMANDS);
    let remedy = match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "name a file, or one of {}",
            library::ALL.iter().map(|builtin| builtin.name).collect::<Vec<_>>().join(", ")
        ),
    };
    Failure::mistake(format!("there is no scenario and no file `{name}`"), remedy)
}
