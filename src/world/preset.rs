//! Presets: the switches of a machine as a release of Windows has them.
//!
//! A file may say `preset = "windows-11"` in its `[machine]` and any switch beside it; what is said by
//! itself wins. Read once, when a file is read: what is written afterwards is each switch by itself.
//!
//! | switch | `windows-7` | `windows-11` | by whose word |
//! |---|---|---|---|
//! | self-map | slot 0x1ED | drawn from the seed | LeechCore's self-map addresses; Ionescu on Windows 10 1607 |
//! | page 0 | can be mapped | guarded | CVE-2011-1229; that it is closed since Windows 8 is inferred |
//! | user half | 8 TiB | 128 TiB | "Memory Limits for Windows Releases" |
//! | write in 0x50 | told as 1 | told as 2 | "Bug Check 0x50" |
//! | pool | legacy | segment | which pages describe which headers: inferred |
//! | pool memory | executable | no-execute | "No-Execute (NX) Nonpaged Pool" |
//! | address to return to | not checked | checked | MS12-042 |
//! | debug exceptions | on the stack they meet | on their own | CVE-2018-8897 |
//! | SMEP | off | on | that Windows uses it since 8 is inferred |
//! | KVA shadow | off | off | "KVA Shadow: Mitigating Meltdown on Windows": on by processor, later ones need none |
//! | SMAP | off | off | "User-mode accessors": future support, so that it is off is inferred |
//! | failures of user-mode drivers kept over a reboot | no | yes | "Using Device Pooling in UMDF Drivers": pooling is of UMDF 1.11, Windows 8 |

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::base::Rule;
use crate::kernel::pools::PoolKind;

use super::configuration::MachineConfiguration;

/// What is modelled here, by whose word.
pub const RULES: &[Rule] = &[
    Rule::documented(
        "windows-7-self-map",
        "Until Windows 10 1607 the self-map's slot is 0x1ED at every boot.",
        "Frisk, Total Meltdown?, 2018",
    ),
    Rule::inferred(
        "windows-11-self-map",
        "Since Windows 10 1607 the self-map's slot differs from boot to boot.",
        "Ionescu, blog entry 323, 2016",
    ),
    Rule::inferred(
        "null-page-guard",
        "Since Windows 8 no process can map the page at address 0.",
        "CVE-2011-1229 (the release that closed it is in no page)",
    ),
    Rule::documented(
        "user-half-by-release",
        "The user half has 8 TiB up to Windows 8 and 128 TiB since 8.1.",
        "Memory Limits for Windows Releases; Virtual Address Spaces",
    ),
    Rule::documented(
        "access-codes-by-release",
        "In 0x50 a write is 1 before Windows 10 1507 and 2 since.",
        "Bug Check 0x50: PAGE_FAULT_IN_NONPAGED_AREA",
    ),
    Rule::inferred(
        "early-execution-code",
        "In 0x50 an execution is 8 before Windows 10 1507, as in 0x0A and 0xD1.",
        "Bug Check 0x50: PAGE_FAULT_IN_NONPAGED_AREA (an earlier edition has 8 beside 0 and 1)",
    ),
    Rule::documented(
        "no-execute-pool",
        "Nonpaged pool is closed to execution since Windows 8, for drivers that ask for it.",
        "No-Execute (NX) Nonpaged Pool",
    ),
    Rule::chosen(
        "all-ask-for-no-execute-pool",
        "With `windows-11` every driver asks for such pool: all pool memory is closed to execution.",
        "No-Execute (NX) Nonpaged Pool (recommends it; drivers built for 7 go on with the other)",
    ),
    Rule::inferred(
        "smep-in-use",
        "Windows has SMEP on since 8.",
        "Bug Check 0xFC: ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY (names no release)",
    ),
    Rule::inferred(
        "kva-shadow-by-processor",
        "KVA shadow is on where the processor needs it; the presets stand for one that doesn't.",
        "KVA Shadow: Mitigating Meltdown on Windows",
    ),
    Rule::inferred(
        "smap-not-in-use",
        "Windows doesn't have SMAP on: support for it is announced.",
        "User-mode accessors (calls it future; doesn't say that it is off)",
    ),
    Rule::documented(
        "shadow-stacks-of-windows",
        "Windows has kernel shadow stacks only with memory integrity: a preset with them needs both.",
        "Microsoft Learn, Kernel Mode Hardware-enforced Stack Protection",
    ),
    Rule::chosen(
        "shadow-stacks-of-hardware",
        "Without a preset shadow stacks need no second level: the processor's page tables close them.",
        "Intel SDM volume 1, Control-flow Enforcement Technology",
    ),
    Rule::chosen(
        "code-integrity-over-writable-code",
        "Code that page tables leave writable stays closed under code integrity: that is a level below.",
        "Enabling code integrity; Hypervisor Top Level Functional Specification, Virtual Secure Mode",
    ),
    Rule::documented(
        "no-pooling-in-windows-7",
        "UMDF shares hosts since Windows 8: with `windows-7` and a driver manager no host is shared.",
        "Using Device Pooling in UMDF Drivers",
    ),
    Rule::chosen(
        "shared-service-in-windows-7",
        "Without a driver manager a shared host is a service, as a spooler is, and of any release.",
        "Printer Driver Isolation",
    ),
];

/// A release whose switches are known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Windows 7 x64: fixed self-map, page 0 can be mapped, pool that can be executed.
    #[serde(rename = "windows-7")]
    Windows7,
    /// Windows 11: self-map from the seed, guarded page 0, pool that can't be executed.
    #[serde(rename = "windows-11")]
    Windows11,
}

impl Preset {
    /// All of them, by name.
    pub const ALL: [(&'static str, Self); 2] =
        [("windows-7", Self::Windows7), ("windows-11", Self::Windows11)];

    /// A machine with its switches.
    #[must_use]
    pub fn machine(self) -> MachineConfiguration {
        let usual = MachineConfiguration::default();
        match self {
            Self::Windows7 => MachineConfiguration {
                self_map_slot: 0x1ed,
                self_map_randomised: false,
                null_guard: false,
                small_user_half: true,
                early_access_codes: true,
                return_address_checked: false,
                debug_trap_checked: false,
                no_execute_pool: false,
                pool: PoolKind::Legacy,
                smep: false,
                smap: false,
                host_record: false,
                ..usual
            },
            Self::Windows11 => MachineConfiguration {
                self_map_randomised: true,
                null_guard: true,
                no_execute_pool: true,
                pool: PoolKind::Segment,
                smep: true,
                smap: false,
                host_record: true,
                ..usual
            },
        }
    }
}

/// The slot of the self-map.
pub(crate) const SLOT: &str = "self-map-slot";
/// Whether it is drawn from the seed.
pub(crate) const DRAWN: &str = "self-map-randomised";
/// Why they can't stand beside each other.
pub(crate) const SLOT_AND_DRAWN: &str =
    "a self-map-slot is named, and self-map-randomised says that it is drawn";

/// Leaves out of a machine's fields what those that are set now make void: a slot that is named is meant, and
/// so is that it is drawn.
pub(crate) fn set_apart(fields: &mut toml::Table, is_set: impl Fn(&str) -> bool) {
    for (one, other) in [(SLOT, DRAWN), (DRAWN, SLOT)] {
        if is_set(one) {
            fields.remove(other);
        }
    }
}

impl Serialize for MachineConfiguration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for MachineConfiguration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut given = toml::Table::deserialize(deserializer)?;
        if given.contains_key(SLOT) && given.get(DRAWN) == Some(&toml::Value::Boolean(true)) {
            return Err(D::Error::custom(SLOT_AND_DRAWN));
        }
        if let Some(preset) = given.remove("preset") {
            let preset: Preset = preset.try_into().map_err(D::Error::custom)?;
            let mut all = toml::Table::new();
            all.extend(toml::Table::try_from(preset.machine()).map_err(D::Error::custom)?);
            set_apart(&mut all, |name| given.contains_key(name));
            all.extend(given);
            given = all;
        }
        Self::deserialize(given).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> MachineConfiguration {
        toml::from_str(text).expect("it is sound")
    }

    #[test]
    fn a_preset_is_its_switches_and_what_is_said_by_itself_wins() {
        let seven = read("preset = \"windows-7\"");
        let eleven = read("preset = \"windows-11\"");
        let guarded = read("null-guard = true\npreset = \"windows-7\"\nsmep = true");
        let fixed = read("preset = \"windows-11\"\nself-map-slot = 300");

        assert_eq!(seven, Preset::Windows7.machine());
        assert_eq!(eleven, Preset::Windows11.machine());
        assert_eq!((seven.self_map_slot, seven.null_guard, seven.smep), (0x1ed, false, false));
        assert!(seven.small_user_half && seven.early_access_codes);
        assert!(!eleven.small_user_half && !eleven.early_access_codes);
        assert!(eleven.self_map_randomised && eleven.null_guard && eleven.smep && !eleven.smap);
        assert!(!seven.host_record && eleven.host_record, "hosts are pooled since Windows 8");
        assert!(guarded.null_guard && guarded.smep && !guarded.no_execute_pool);
        assert_eq!((fixed.self_map_slot, fixed.self_map_randomised), (300, false));
    }

    #[test]
    fn what_is_written_is_read_again_without_the_preset() {
        for (_, preset) in Preset::ALL {
            let machine = preset.machine();

            let text = toml::to_string(&machine).expect("it is plain");

            assert!(!text.contains("preset"), "{text}");
            assert_eq!(read(&text), machine);
        }
        assert_eq!(read(""), MachineConfiguration::default());
    }

    #[test]
    fn what_is_no_switch_and_no_preset_is_refused() {
        for text in ["preset = \"windows-3\"", "preset = 7", "speed = 3", "smep = 1"] {
            assert!(toml::from_str::<MachineConfiguration>(text).is_err(), "{text}");
        }
    }
}
