//! A scenario by its name or file.

use std::io::Read as _;
use std::path::Path;

use crate::base::nearest;
use crate::outcome::Class;
use crate::scenario::{Scenario, Vocabulary, library};

use super::Failure;

/// Bytes of a file that are read; a scenario is far smaller, and is refused beyond that.
const BYTES_MAX: u64 = 16 << 20;

/// Words that may have been meant where a scenario's name stands.
const COMMANDS: [&str; 6] = ["campaign", "run", "replay", "explain", "list", "translate"];

/// The scenario built in under this name, or in this file.
pub(super) fn scenario(name: &str) -> Result<Scenario, Failure> {
    let vocabulary = Vocabulary::default();
    let read = if let Some(builtin) = library::find(name) {
        Scenario::from_toml(&format!("{name}.toml"), builtin.text, &vocabulary)
    } else {
        Scenario::from_bytes_of(name, &bytes(name)?, &vocabulary)
    };
    let scenario = read.map_err(|errors| Failure::Mistake(errors.to_string()))?;
    if let Some(class) = scenario.expect.as_ref().and_then(|expect| expect.class.as_deref())
        && !Class::ALL.iter().any(|known| known.name() == class)
    {
        let remedy = nearest(class, Class::ALL.iter().map(|known| known.name()))
            .map_or("`ringfence list classes` names all of them".to_owned(), |near| {
                format!("did you mean `{near}`?")
            });
        let what = format!("{name}: it expects the unknown class `{class}`");
        return Err(Failure::mistake(what, remedy));
    }
    Ok(scenario)
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
        Err(error) => Err(Failure::mistake(
            format!("can't read {name}: {error}"),
            "name a file that can be read, or a scenario of `ringfence list scenarios`",
        )),
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
