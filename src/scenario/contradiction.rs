//! Settings that stand beside each other and can't both be meant.
//!
//! A machine made of single switches is hardware, and may be set as no vendor sets it: kernel code that the page
//! tables leave writable under code integrity is what an edited entry makes of it, and the second level refuses
//! the write all the same; shadow stacks without code integrity are what a processor has. What is refused is a
//! setting that says what another one denies, and, beside a `preset`, what that release doesn't have: who names a
//! release means it. What a contrast or a comparison changes of a release is a question, and no claim.

use toml::de::{DeTable, DeValue};

use super::shape::Misfit;
use crate::world::preset::{DRAWN, SLOT, SLOT_AND_DRAWN};

fn flag(table: &DeTable<'_>, name: &str) -> Option<bool> {
    table.get(name).and_then(|value| value.get_ref().as_bool())
}

fn tables<'t, 'a>(document: &'t DeTable<'a>, name: &str) -> Vec<&'t DeTable<'a>> {
    let Some(DeValue::Array(items)) = document.get(name).map(|value| value.get_ref()) else {
        return Vec::new();
    };
    items.iter().filter_map(|item| item.get_ref().as_table()).collect()
}

fn machine<'t, 'a>(table: &'t DeTable<'a>) -> Option<&'t DeTable<'a>> {
    table.get("machine").and_then(|value| value.get_ref().as_table())
}

/// Every contradiction of a document.
pub(super) fn contradictions(document: &DeTable<'_>) -> Vec<Misfit> {
    let mut found = Vec::new();
    if let Some(machine) = machine(document) {
        of_a_release(document, machine, &mut found);
    }
    let contrasts = tables(document, "contrast");
    let machines = contrasts.into_iter().chain([document]).filter_map(machine);
    found.extend(machines.filter_map(of_the_self_map));
    found
}

fn of_the_self_map(machine: &DeTable<'_>) -> Option<Misfit> {
    let (slot, _) = machine.get_key_value(SLOT)?;
    (flag(machine, DRAWN) == Some(true)).then(|| Misfit {
        bytes: slot.span(),
        what: SLOT_AND_DRAWN.to_owned(),
        expected: Some(format!("one of the two, `{SLOT}` or `{DRAWN} = true`")),
        remedy: Some(format!("leave `{SLOT}` out, or set `{DRAWN} = false`")),
        // Without it the rest can be read.
        is_field: true,
    })
}

fn of_a_release(document: &DeTable<'_>, machine: &DeTable<'_>, found: &mut Vec<Misfit>) {
    let Some(preset) = machine.get("preset").and_then(|value| value.get_ref().as_str()) else {
        return;
    };
    let mut add = |bytes, what: &str, expected: &str, remedy: &str| {
        let (what, expected, remedy) = (what.to_owned(), expected.to_owned(), remedy.to_owned());
        let (expected, remedy) = (Some(expected), Some(remedy));
        found.push(Misfit { bytes, what, expected, remedy, is_field: false });
    };
    let has_integrity = flag(machine, "code-integrity") == Some(true);
    if let Some((shadows, _)) = machine.get_key_value("shadow-stacks")
        && flag(machine, "shadow-stacks") == Some(true)
        && !has_integrity
    {
        add(
            shadows.span(),
            "Windows has kernel shadow stacks only with memory integrity, and that is off",
            "`code-integrity = true` beside it",
            "set that too; or leave the preset out and set its switches, for what a processor does",
        );
    }
    let components = tables(document, "component");
    let home = |component: &DeTable<'_>| {
        let (key, home) = component.get_key_value("home")?;
        Some((key.span(), home.get_ref().as_str()?.to_owned()))
    };
    let homes = || components.iter().filter_map(|component| home(component));
    let is_managed = homes().any(|(_, home)| home == "driver-manager");
    if let Some((bytes, _)) = homes().find(|(_, home)| home == "shared-host")
        && preset == "windows-7"
        && is_managed
    {
        add(
            bytes,
            "windows-7 has a host for each device: hosts are shared since Windows 8",
            "`driver-host` for each driver, or another preset",
            "or leave the driver manager out: a shared host without one is a service",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Contrast, Fields, Scenario, ScenarioError, Vocabulary};
    use crate::world::configuration::{Configuration, MachineConfiguration};

    fn text(machine: &str, more: &str) -> String {
        format!(
            "format = 1\nname = \"a\"\n[machine]\n{machine}\n[[component]]\nname = \"one\"\n\
             home = \"application\"\n{more}"
        )
    }

    fn read(text: &str) -> Result<Configuration, Vec<ScenarioError>> {
        let read = Scenario::from_toml("a.toml", text, &Vocabulary::default());
        read.map(|scenario| scenario.configuration).map_err(|errors| errors.0)
    }

    /// What is wrong with a text, of which one thing is: where, and what.
    fn only_error(text: &str) -> ScenarioError {
        let found = read(text).expect_err("they contradict each other");
        let [error] = &*found else { panic!("{found:?}") };
        assert!(error.expected.is_some() && error.remedy.is_some(), "{error}");
        error.clone()
    }

    #[test]
    fn a_slot_that_is_named_is_not_drawn() {
        for slot in ["493", "300"] {
            let both = format!("smep = true\nself-map-slot = {slot}\nself-map-randomised = true");

            let error = only_error(&text(&both, ""));

            assert_eq!((error.line, error.column), (5, 1), "{error}");
            assert!(error.what.contains("self-map-randomised says that it is drawn"), "{error}");
            let preset = only_error(&text(&format!("preset = \"windows-11\"\n{both}"), ""));
            assert_eq!((preset.line, preset.column), (6, 1), "{preset}");
        }
    }

    #[test]
    fn a_contrast_with_both_is_told_in_the_contrast() {
        let contrast = "[[contrast]]\nname = \"b\"\nexpect = { class = \"no-effect\" }\n\
                        machine = { self-map-slot = 300, self-map-randomised = true }\n";

        let error = only_error(&text("smep = true", contrast));

        assert_eq!((error.line, error.column), (11, 13), "{error}");
    }

    #[test]
    fn either_alone_is_sound_and_what_is_written_names_one_of_them() {
        for (machine, slot, is_drawn) in [
            ("self-map-slot = 300", 300, false),
            ("self-map-slot = 300\nself-map-randomised = false", 300, false),
            ("self-map-randomised = true", 0x1ed, true),
            ("preset = \"windows-11\"", 0x1ed, true),
            ("preset = \"windows-11\"\nself-map-slot = 300", 300, false),
        ] {
            let text = text(machine, "");
            let scenario = Scenario::from_bytes(text.as_bytes()).expect("sound");

            let written = scenario.to_toml();

            let machine_is = &scenario.configuration.machine;
            assert_eq!(machine_is.self_map_slot, slot, "{machine}");
            assert_eq!(machine_is.self_map_randomised, is_drawn, "{machine}");
            let both = [SLOT, DRAWN].iter().filter(|name| written.contains(**name)).count();
            assert_eq!(both, 1, "{written}");
            assert_eq!(Scenario::from_bytes(written.as_bytes()).expect("sound"), scenario);
        }
    }

    #[test]
    fn what_a_contrast_says_of_the_self_map_takes_the_other_s_place() {
        let base = |machine: &str| Scenario::from_bytes(text(machine, "").as_bytes());
        let with = |machine: &str, change: &str| {
            let fields: Fields = toml::from_str(change).expect("fields");
            let contrast = Contrast { machine: fields, ..Contrast::default() };
            let changed = contrast.of(&base(machine).expect("sound")).expect("it can be");
            let changed = changed.configuration.machine;
            (changed.self_map_slot, changed.self_map_randomised)
        };

        assert_eq!(with("self-map-slot = 300", "self-map-randomised = true"), (0x1ed, true));
        assert_eq!(with("self-map-randomised = true", "self-map-slot = 300"), (300, false));
        assert_eq!(with("self-map-slot = 300", "smep = false"), (300, false));
    }

    #[test]
    fn a_release_with_shadow_stacks_has_code_integrity() {
        for machine in [
            "preset = \"windows-11\"\nshadow-stacks = true",
            "preset = \"windows-11\"\nshadow-stacks = true\ncode-integrity = false",
        ] {
            let error = only_error(&text(machine, ""));

            assert_eq!((error.line, error.column), (5, 1), "{error}");
            assert!(error.what.contains("only with memory integrity"), "{error}");
        }
        for machine in [
            "preset = \"windows-11\"\nshadow-stacks = true\ncode-integrity = true",
            "preset = \"windows-11\"\nshadow-stacks = false",
            "shadow-stacks = true",
        ] {
            assert!(read(&text(machine, "")).is_ok(), "{machine}");
        }
    }

    /// A framework whose host is shared; with a manager or without.
    fn pooled(preset: &str, manager: &str) -> String {
        let machine = format!("preset = \"{preset}\"");
        let drivers: String = ["a", "b"]
            .iter()
            .map(|name| {
                format!(
                    "[[component]]\nname = \"reflector-{name}\"\nhome = \"kernel-driver\"\n\
                     driver = \"reflector\"\n[[component]]\nname = \"host-{name}\"\n\
                     home = \"shared-driver\"\ndriver = \"meter\"\nabove = \"reflector-{name}\"\n"
                )
            })
            .collect();
        let host = "[[component]]\nname = \"pool\"\nhome = \"shared-host\"\ndriver = \"meter\"\n";
        text(&machine, &format!("{host}{drivers}{manager}"))
    }

    #[test]
    fn hosts_are_not_shared_in_windows_7_but_a_service_is() {
        let manager = "[[component]]\nname = \"manager\"\nhome = \"driver-manager\"\n";

        let error = only_error(&pooled("windows-7", manager));

        assert_eq!((error.line, error.column), (10, 1), "{error}");
        assert!(error.what.contains("shared since Windows 8"), "{error}");
        for (preset, manager) in [("windows-11", manager), ("windows-7", "")] {
            assert_eq!(read(&pooled(preset, manager)).err(), None, "{preset}");
        }
    }

    #[test]
    fn what_is_only_unusual_is_not_refused() {
        for machine in [
            "code-integrity = true\nread-only-code = false",
            "preset = \"windows-7\"\nsmep = true\ncode-integrity = true",
        ] {
            assert!(read(&text(machine, "")).is_ok(), "{machine}");
        }
    }

    #[test]
    fn a_library_user_is_told_too() {
        let both = "self-map-slot = 300\nself-map-randomised = true";
        assert!(toml::from_str::<MachineConfiguration>(both).is_err());
        let mut scenario = Scenario::from_bytes(text("", "").as_bytes()).expect("sound");
        let machine = &mut scenario.configuration.machine;
        (machine.self_map_slot, machine.self_map_randomised) = (300, true);

        let problems = scenario.check(&Vocabulary::default());

        assert!(problems[0].to_string().starts_with("machine.self-map-slot: "), "{problems:?}");
    }
}
