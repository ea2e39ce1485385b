//! A world changed, said in one line: `smep=off`, `home=own-host+smap=on`, `windows-7`.
//!
//! What [`Contrast`] says in a file, with the names and values of the file, for those who compare.
//!
//! ```text
//! variation = change { "+" change }
//! change    = "as-is" | PRESET | FIELD "=" VALUE | "home=" HOME | "weakness=" NAME
//! ```
//!
//! `FIELD` is one of `[machine]`; a flag is `on` or `off`, what takes several words has commas between
//! them and `none` for none. Changes apply in the order in which they stand, a preset before what is said
//! beside it.

use std::collections::BTreeMap;

use super::form::{Values, settings};
use super::home::{Moved, runs_in};
use super::{Contrast, Fields, Plain, Scenario, Vocabulary};
use crate::base::nearest;
use crate::world::WEAKNESSES;
use crate::world::configuration::{Component, Configuration, Home};
use crate::world::preset::Preset;

/// The world as it is.
pub(super) const AS_IS: &str = "as-is";
/// What decides what becomes of lost hosts.
const MANAGER: &str = "driver-manager";

/// A home by the names that are understood, the first of which is written.
const HOMES: [(&[&str], Home, bool); 4] = [
    (&["kernel", "kernel-driver"], Home::KernelDriver, false),
    // One process for all, and nobody who starts it again: the spooler before Windows 7. Who shares a host
    // that a driver manager starts again shares a service then.
    (&["service"], Home::SharedDriver, false),
    (&["shared-host", "shared-driver"], Home::SharedDriver, true),
    (&["own-host", "driver-host"], Home::DriverHost, false),
];

/// What is wrong with a text, and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub remedy: String,
}

impl core::fmt::Display for Mistake {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {}", self.what, self.remedy)
    }
}

impl core::error::Error for Mistake {}

fn mistake<T>(what: String, remedy: impl Into<String>) -> Result<T, Mistake> {
    Err(Mistake { what, remedy: remedy.into() })
}

/// What was probably meant, or all that there is.
fn meant<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(name, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("choose one of {}", known.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

/// A change of a world.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Variation {
    /// As it was said.
    name: String,
    /// Fields of `[machine]`.
    machine: Fields,
    /// Weaknesses that are planted besides.
    weaknesses: Vec<String>,
    /// Where the component under test is, and whether a driver manager is there.
    home: Option<(Home, bool)>,
}

/// A world with a variation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Varied {
    /// The world.
    pub scenario: Scenario,
    /// The component under test, as it is called there.
    pub component: Option<String>,
}

impl Varied {
    /// The process or driver in which the component's code runs.
    #[must_use]
    pub fn runs_in(&self) -> Option<&str> {
        Some(runs_in(&self.scenario.configuration, self.component.as_deref()?))
    }
}

impl Variation {
    /// The world as it is.
    #[must_use]
    pub fn none() -> Self {
        Self { name: AS_IS.to_owned(), ..Self::default() }
    }

    /// One field of `[machine]` set to a value.
    #[must_use]
    pub fn of_machine(field: &str, value: Plain) -> Self {
        let name = format!("{field}={}", in_words(&value));
        Self { name, machine: BTreeMap::from([(field.to_owned(), value)]), ..Self::default() }
    }

    /// Reads a variation.
    ///
    /// # Errors
    ///
    /// The first part that is none, with the name that was probably meant.
    pub fn read(text: &str) -> Result<Self, Mistake> {
        let mut variation = Self { name: text.to_owned(), ..Self::default() };
        for part in text.split('+') {
            variation.take(part.trim())?;
        }
        Ok(variation)
    }

    fn take(&mut self, part: &str) -> Result<(), Mistake> {
        let presets = Preset::ALL.map(|(name, _)| name);
        let Some((field, value)) = part.split_once('=') else {
            if part == AS_IS {
                return Ok(());
            }
            if presets.contains(&part) {
                return self.set("preset", Plain::Text(part.to_owned()));
            }
            return Err(no_change(part));
        };
        match field {
            "home" => {
                let known = HOMES.iter().find(|(names, ..)| names.contains(&value));
                let Some(&(_, home, manager)) = known else {
                    let names = HOMES.map(|(names, ..)| names[0]);
                    return mistake(format!("there is no home `{value}`"), meant(value, names));
                };
                if self.home.replace((home, manager)).is_some() {
                    return mistake("`home` is said twice".to_owned(), "leave one of them out");
                }
                Ok(())
            }
            "weakness" => {
                let known = WEAKNESSES.iter().map(|weakness| weakness.name);
                if !known.clone().any(|name| name == value) {
                    let remedy = match nearest(value, known) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "`ringfence list weaknesses` names all of them".to_owned(),
                    };
                    return mistake(format!("there is no weakness `{value}`"), remedy);
                }
                self.weaknesses.push(value.to_owned());
                Ok(())
            }
            _ => self.set(field, plain(field, value)?),
        }
    }

    fn set(&mut self, field: &str, value: Plain) -> Result<(), Mistake> {
        match self.machine.insert(field.to_owned(), value) {
            None => Ok(()),
            Some(_) => mistake(format!("`{field}` is said twice"), "leave one of them out"),
        }
    }

    /// As it was said.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the component under test is moved, or kept, at a home that is named.
    #[must_use]
    pub const fn moves(&self) -> bool {
        self.home.is_some()
    }

    /// A world with this variation. `component` is the one under test.
    ///
    /// # Errors
    ///
    /// What can't be so: a component that can't live there, or a world that can't be then.
    pub fn of(&self, world: &Scenario, component: Option<&str>) -> Result<Varied, String> {
        let weaknesses = [&*world.configuration.weaknesses, &*self.weaknesses].concat();
        let contrast = Contrast {
            machine: self.machine.clone(),
            weaknesses: Some(weaknesses),
            ..Contrast::default()
        };
        let mut scenario = contrast.of(world)?;
        scenario.expect.clone_from(&world.expect);
        let mut component = component.map(str::to_owned);
        if let Some((home, manager)) = self.home {
            let Some(name) = &component else {
                return Err("no component is named that could be at another home".to_owned());
            };
            let moved = Moved::to(&scenario.configuration, name, home)?;
            scenario.configuration = moved.world;
            component = Some(moved.component);
            if manager {
                add_manager(&mut scenario.configuration);
            } else if home == Home::SharedDriver {
                scenario.configuration.components.retain(|one| one.home != Home::DriverManager);
            }
        }
        // What was sound before is unsound by what was changed.
        let whole = Scenario { expect: None, published: None, incident: None, ..scenario.clone() };
        if let Some(problem) = whole.check(&Vocabulary::default()).into_iter().next() {
            let expected =
                problem.expected.map_or(String::new(), |wanted| format!("; expected {wanted}"));
            return Err(format!("{}{expected}", problem.what));
        }
        Ok(Varied { scenario, component })
    }
}

/// Whoever shares a host shares a driver manager: without one the first failure would be the last.
fn add_manager(world: &mut Configuration) {
    if world.components.iter().any(|one| one.home == Home::DriverManager) {
        return;
    }
    world.components.push(Component::new(MANAGER, Home::DriverManager));
}

fn no_change(part: &str) -> Mistake {
    let fields = settings();
    let with_value = ["home", "weakness"].into_iter().chain(fields.iter().map(|(name, _)| *name));
    let needs_value = with_value.clone().any(|name| name == part);
    let presets = Preset::ALL.map(|(name, _)| name);
    let known: Vec<&str> = [AS_IS].into_iter().chain(presets).chain(with_value).collect();
    let remedy = match nearest(part, known) {
        _ if needs_value => format!("say what it is, as in {part}={}", example_of(part)),
        Some(near) => format!("did you mean `{near}`?"),
        None => "say `as-is`, a preset, a scenario, or changes such as smep=off, home=own-host or \
                 smap=on+iommu=on"
            .to_owned(),
    };
    Mistake { what: format!("`{part}` is no change of a world and no scenario"), remedy }
}

fn example_of(field: &str) -> String {
    match field {
        "home" => return "own-host".to_owned(),
        "weakness" => {
            return WEAKNESSES
                .first()
                .map_or_else(String::new, |weakness| weakness.name.to_owned());
        }
        _ => {}
    }
    let found = settings().into_iter().find(|(name, _)| *name == field);
    match found.map(|(_, values)| values) {
        Some(Values::Words(words) | Values::Lists(words)) => words[0].to_owned(),
        Some(Values::Whole(least, _)) => least.to_string(),
        _ => "on".to_owned(),
    }
}

/// The value of a field as it is said on one line.
fn plain(field: &str, value: &str) -> Result<Plain, Mistake> {
    let fields = settings();
    let Some((_, values)) = fields.iter().find(|(name, _)| *name == field) else {
        let words = ["home", "weakness"].into_iter();
        let known: Vec<&str> = words.chain(fields.iter().map(|(name, _)| *name)).collect();
        let remedy = match nearest(field, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("choose one of {}", known.join(", ")),
        };
        return mistake(format!("there is no switch `{field}`"), remedy);
    };
    let word = |word: &str, words: &[&str]| -> Result<Plain, Mistake> {
        if words.contains(&word) {
            return Ok(Plain::Text(word.to_owned()));
        }
        mistake(format!("`{field}` is never `{word}`"), meant(word, words.iter().copied()))
    };
    match values {
        Values::Flag => match value {
            "on" | "true" => Ok(Plain::Flag(true)),
            "off" | "false" => Ok(Plain::Flag(false)),
            _ => mistake(format!("`{field}` is never `{value}`"), "say on or off"),
        },
        Values::Words(words) => word(value, words),
        Values::Lists(_) if value == "none" => Ok(Plain::List(Vec::new())),
        Values::Lists(words) => {
            let all = value.split(',').map(|one| word(one.trim(), words));
            Ok(Plain::List(all.collect::<Result<_, _>>()?))
        }
        Values::Whole(least, most) => {
            let number = value.parse::<u64>().ok().filter(|it| (*least..=*most).contains(it));
            let number = number.and_then(|number| i64::try_from(number).ok());
            number.map(Plain::Whole).map_or_else(
                || {
                    mistake(
                        format!("`{field}` is never `{value}`"),
                        format!("say a whole number, {least} to {most}"),
                    )
                },
                Ok,
            )
        }
    }
}

/// A value as it is said on one line.
fn in_words(value: &Plain) -> String {
    match value {
        Plain::Flag(true) => "on".to_owned(),
        Plain::Flag(false) => "off".to_owned(),
        Plain::Whole(number) => number.to_string(),
        Plain::Text(text) => text.clone(),
        Plain::List(items) if items.is_empty() => "none".to_owned(),
        Plain::List(items) => items.iter().map(in_words).collect::<Vec<_>>().join(","),
        Plain::Table(_) => "other".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;
    use crate::scenario::{Bias, library, protections};

    fn world(name: &str) -> Scenario {
        let file = library::find(name).expect("built in");
        Scenario::from_bytes(file.text.as_bytes()).expect("sound")
    }

    fn varied(text: &str) -> Scenario {
        let variation = Variation::read(text).expect("sound");
        variation.of(&world("content-parser-kernel"), Some("parser")).expect("it can be").scenario
    }

    #[test]
    fn a_switch_is_set_as_a_file_sets_it_and_several_are_joined() {
        let machine = |text: &str| varied(text).configuration.machine;

        let usual = world("content-parser-kernel").configuration.machine;
        assert_eq!(machine("as-is"), usual);
        assert!(!machine("smep=off").smep && machine("smep=on").smep);
        let both = machine("smap=on+iommu=on");
        assert!(both.smap && both.iommu);
        assert_eq!(machine("windows-7"), Preset::Windows7.machine());
        assert!(machine("smep=on+preset=windows-7").smep, "what is said beside a preset wins");
        assert_eq!(machine("verifier=io,security").verifier, ["io", "security"]);
        assert_eq!(machine("verifier=io, security").verifier, ["io", "security"]);
        assert_eq!(machine("integrity-checks=500").integrity_checks, 500);
        assert_eq!(varied("weakness=no-probe").configuration.weaknesses, ["no-probe"]);
    }

    #[test]
    fn every_protection_is_said_on_one_line_and_read_again() {
        for (field, off, on) in protections() {
            for value in [off, on] {
                let said = Variation::of_machine(field, value);

                assert_eq!(Variation::read(said.name()).as_ref(), Ok(&said), "{}", said.name());
            }
        }
    }

    #[test]
    fn what_protects_nothing_is_no_protection() {
        let names: Vec<&str> = protections().into_iter().map(|(field, ..)| field).collect();

        for field in ["pcid", "pageable", "sysret-faults-in-kernel"] {
            assert!(!names.contains(&field), "{field}");
            assert!(Variation::read(&format!("{field}=on")).is_ok(), "{field} can be compared");
        }
        assert!(names.contains(&"smap") && names.contains(&"integrity-checks"));
    }

    #[test]
    fn a_pool_has_a_manager_and_a_service_has_none() {
        let manager = |text: &str| {
            let components = varied(text).configuration.components;
            components.iter().any(|one| one.home == Home::DriverManager)
        };

        assert!(manager("home=shared-host"));
        assert!(!manager("home=service") && !manager("home=own-host") && !manager("home=kernel"));
    }

    #[test]
    fn a_service_has_none_either_where_the_world_has_one() {
        let bias = Bias { hosted: "meter", seeks_hosts: false, ..Bias::default() };
        let world = Scenario::generate(Seed(1), &bias);
        let at = |world: &Scenario, component: &str, home: &str| {
            let variation = Variation::read(&format!("home={home}")).expect("sound");
            variation.of(world, Some(component)).expect("it may live there")
        };
        let pooled = at(&world, "host-1", "shared-host");
        let name = pooled.component.expect("it was named");

        let service = at(&pooled.scenario, &name, "service");

        let has_manager = |scenario: &Scenario| {
            scenario.configuration.components.iter().any(|one| one.home == Home::DriverManager)
        };
        assert!(has_manager(&pooled.scenario), "what it comes from");
        assert!(!has_manager(&service.scenario), "nobody starts a service again");
    }

    #[test]
    fn the_hosted_driver_of_a_generated_world_lives_at_every_home() {
        let bias = Bias { hosted: "meter", seeks_hosts: false, ..Bias::default() };
        for seed in 0..8 {
            let world = Scenario::generate(Seed(seed), &bias);
            for home in HOMES.map(|(names, ..)| names[0]) {
                let variation = Variation::read(&format!("home={home}")).expect("sound");

                let varied = variation.of(&world, Some("host-1"));

                let varied = varied.unwrap_or_else(|what| panic!("seed {seed}, {home}: {what}"));
                crate::world::World::build(&varied.scenario.configuration)
                    .unwrap_or_else(|error| panic!("seed {seed}, {home}: {error}"));
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_what_was_meant() {
        let wrong = |text: &str| Variation::read(text).expect_err(text).to_string();

        assert!(wrong("smpe=off").contains("did you mean `smep`?"));
        assert!(wrong("smep").contains("say what it is, as in smep=on"));
        assert!(wrong("home").contains("as in home=own-host"));
        assert!(wrong("weakness").contains("as in weakness=no-probe"));
        assert!(wrong("smep=maybe").contains("say on or off"));
        assert!(wrong("home=kernal").contains("did you mean `kernel`?"));
        assert!(wrong("windows-8").contains("did you mean `windows-"));
        assert!(wrong("pool=legcay").contains("did you mean `legacy`?"));
        assert!(wrong("processors=9").contains("1 to 4"));
        assert!(wrong("smep=on+smep=off").contains("said twice"));
        assert!(wrong("verifier=oi").contains("did you mean `io`?"));
        assert!(wrong("weakness=none").contains("there is no weakness"));
        assert!(wrong("bananas").contains("home=own-host"));
    }
}
