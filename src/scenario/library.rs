//! The scenarios built in, as files: a few for a start, and the incidents.

/// A scenario that comes with this crate: the name of its file without the ending, and its text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Builtin {
    /// Its name; an incident's begins with [`INCIDENTS_FOLDER`].
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// What the name of an incident begins with.
pub const INCIDENTS_FOLDER: &str = "incidents/";

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        /// Scenarios to begin with; the first is the one a campaign runs on when none is named.
        pub const ALL: &[Builtin] = &[$(Builtin {
            name: $name,
            text: include_str!(concat!("../../scenarios/", $name, ".toml")),
        }),*];
    };
}

macro_rules! incidents {
    ($($name:literal),* $(,)?) => {
        /// The incidents: `scenarios/incidents`, in the order of their numbers.
        pub const INCIDENTS: &[Builtin] = &[$(Builtin {
            name: concat!("incidents/", $name),
            text: include_str!(concat!("../../scenarios/incidents/", $name, ".toml")),
        }),*];
    };
}

macro_rules! pages {
    ($($name:literal),* $(,)?) => {
        /// Incidents that no world here can show, each a page that says why.
        pub const PAGES: &[Builtin] = &[$(Builtin {
            name: concat!("incidents/", $name),
            text: include_str!(concat!("../../scenarios/incidents/", $name, ".md")),
        }),*];
    };
}

built_in! {
    "standard",
    "content-parser-host",
    "hung-driver-host",
    "pageable-with-lock-held",
    "self-map-user-bit",
    "system-call-without-probe",
}

incidents! {
    "I01-content-parser",
    "I02-total-meltdown",
    "I03-linux-waitid",
    "I04-arbitrary-increment",
    "I04-arbitrary-write",
    "I04-double-fetch",
    "I04-insecure-resource-access",
    "I04-integer-overflow",
    "I04-memory-disclosure",
    "I04-null-dereference",
    "I04-paged-pool-overrun",
    "I04-pool-overrun",
    "I04-stack-overrun",
    "I04-stack-overrun-cookie",
    "I04-type-confusion",
    "I04-uninitialised-pool",
    "I04-uninitialised-stack",
    "I04-use-after-free",
    "I04-write-null",
    "I05-memory-driver",
    "I06-dma-without-iommu",
    "I07-rowhammer-entry",
    "I08-missed-shootdown",
    "I10-leaked-handle",
    "I11-printer-drivers",
    "I12-display-hang",
    "I13-filter-driver-pool-overrun",
    "I14-filter-at-boot",
    "I15-double-fetch",
    "I16-null-dereference",
    "I17-self-map-hardening",
    "I18-sysret",
    "I19-mov-ss",
    "I20-wrong-context-completion",
    "I21-handle-type-confusion",
    "I22-locked-page-leak",
}

pages! {
    "I09-meltdown",
}

/// Names of before, and what they stand for.
const ALIASES: &[(&str, &str)] = &[("content-parser-kernel", "incidents/I01-content-parser")];

/// What a name of something built in may mean.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Named {
    /// This scenario.
    Scenario(Builtin),
    /// This page.
    Page(Builtin),
    /// One of these incidents: their names begin so.
    Several(Vec<&'static str>),
    /// Nothing here.
    Nothing,
}

/// What has this name. An incident's may be shortened as far as to its number, and stand without its
/// folder.
#[must_use]
pub fn named(name: &str) -> Named {
    let name = ALIASES.iter().find(|(before, _)| *before == name).map_or(name, |(_, now)| now);
    if let Some(builtin) = ALL.iter().find(|builtin| builtin.name == name) {
        return Named::Scenario(*builtin);
    }
    let short = name.strip_prefix(INCIDENTS_FOLDER).unwrap_or(name);
    if !is_number(short) {
        return Named::Nothing;
    }
    let file = |builtin: &&Builtin| builtin.name[INCIDENTS_FOLDER.len()..].starts_with(short);
    let scenarios: Vec<Builtin> = INCIDENTS.iter().filter(file).copied().collect();
    let pages: Vec<Builtin> = PAGES.iter().filter(file).copied().collect();
    let full = format!("{INCIDENTS_FOLDER}{short}");
    match (scenarios.as_slice(), pages.as_slice()) {
        ([one], []) => Named::Scenario(*one),
        ([], [one]) => Named::Page(*one),
        ([], []) => Named::Nothing,
        (some, _) => match some.iter().find(|one| one.name == full) {
            Some(one) => Named::Scenario(*one),
            None => Named::Several(some.iter().map(|one| one.name).collect()),
        },
    }
}

/// Whether a name begins as an incident's does: `I` and two digits, and then nothing or a hyphen.
fn is_number(short: &str) -> bool {
    let mut bytes = short.bytes();
    bytes.next() == Some(b'I')
        && bytes.next().is_some_and(|byte| byte.is_ascii_digit())
        && bytes.next().is_some_and(|byte| byte.is_ascii_digit())
        && matches!(bytes.next(), None | Some(b'-'))
}

/// The scenario with this name; nothing for a page, or where several may be meant.
#[must_use]
pub fn find(name: &str) -> Option<Builtin> {
    match named(name) {
        Named::Scenario(builtin) => Some(builtin),
        Named::Page(_) | Named::Several(_) | Named::Nothing => None,
    }
}

/// Every name there is, for whoever looks for the nearest.
pub fn names() -> impl Iterator<Item = &'static str> + Clone {
    [ALL, INCIDENTS, PAGES].into_iter().flatten().map(|builtin| builtin.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_is_found_by_its_number_its_whole_name_and_its_name_of_before() {
        for name in ["incidents/I01", "I01", "I01-content-parser", "content-parser-kernel"] {
            let found = find(name).map(|builtin| builtin.name);

            assert_eq!(found, Some("incidents/I01-content-parser"), "{name}");
        }
    }

    #[test]
    fn what_is_no_number_is_no_incident() {
        for name in ["I", "I0", "I1", "I001", "i01", "incidents/", "incidents/I99", ""] {
            assert_eq!(named(name), Named::Nothing, "{name}");
        }
    }
}
