//! The scenarios built in, as files.

/// A scenario that comes with this crate: the name of its file without the ending, and its text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Builtin {
    /// Its name.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        /// Every scenario built in; the first is the one a campaign runs on when none is named.
        pub const ALL: &[Builtin] = &[$(Builtin {
            name: $name,
            text: include_str!(concat!("../../scenarios/", $name, ".toml")),
        }),*];
    };
}

built_in! {
    "standard",
    "content-parser-kernel",
    "content-parser-host",
    "self-map-user-bit",
    "system-call-without-probe",
}

/// The text of the scenario with this name.
#[must_use]
pub fn find(name: &str) -> Option<Builtin> {
    ALL.iter().copied().find(|builtin| builtin.name == name)
}
