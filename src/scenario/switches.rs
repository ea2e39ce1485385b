//! The switches of a machine that protect something, and both sides of each.

use super::form::{Field, MACHINE, Shape};
use super::{Fields, Plain, contrast::machine_with};
use crate::world::configuration::MachineConfiguration;

use Shape::{Flag, Whole, Word};

/// Steps between late integrity checks, where they are turned on to be tried.
const INTEGRITY_CHECKS: i64 = 500;

/// Switches made for one incident each: whether its repair is there. One that such a switch decides does
/// not count.
pub const MADE_FOR: [&str; 2] = ["return-address-checked", "debug-trap-checked"];

/// Flags that protect nothing: what a device, a processor or a release is like, what is pageable, what is
/// kept of failures, and what system buffers held before.
const TRAITS: [&str; 9] = [
    "transfer-device-internal",
    "pcid",
    "sysret-faults-in-kernel",
    "small-user-half",
    "early-access-codes",
    "pageable",
    "event-log",
    "host-record",
    "stale-buffers",
];

/// Every protection of a machine, turned the other way: each flag that is one, each other generation of
/// the pool, and late checks where there are none. A preset is no switch but several.
#[must_use]
pub fn switches(machine: &MachineConfiguration) -> Vec<(&'static str, Plain)> {
    // What a file leaves out may be on or off: a value that changes nothing is the present one.
    let is_now = |name: &str, value: &Plain| {
        let fields = Fields::from([(name.to_owned(), value.clone())]);
        machine_with(machine, &fields).is_ok_and(|same| same == *machine)
    };
    let mut turned = Vec::new();
    for field in MACHINE.iter().filter(|field| field.name != "preset") {
        let values: Vec<Plain> = match field.shape {
            Flag if TRAITS.contains(&field.name) => Vec::new(),
            Flag => [true, false].map(Plain::Flag).into(),
            Word(words) => words().into_iter().map(|word| Plain::Text(word.to_owned())).collect(),
            Whole(..) if field.name == "integrity-checks" => {
                [0, INTEGRITY_CHECKS].map(Plain::Whole).into()
            }
            _ => Vec::new(),
        };
        let others = values.into_iter().filter(|value| !is_now(field.name, value));
        turned.extend(others.map(|value| (field.name, value)));
    }
    turned
}

/// Every protection of a machine, off and on: each flag that is one, the pool of each generation beside
/// the usual one, and late integrity checks.
#[must_use]
pub fn protections() -> Vec<(&'static str, Plain, Plain)> {
    let text = |word: &str| Plain::Text(word.to_owned());
    let of_field = |field: &Field| match field.shape {
        Flag if TRAITS.contains(&field.name) => Vec::new(),
        Flag => vec![(field.name, Plain::Flag(false), Plain::Flag(true))],
        Whole(..) if field.name == "integrity-checks" => {
            vec![(field.name, Plain::Whole(0), Plain::Whole(INTEGRITY_CHECKS))]
        }
        Word(words) if field.name == "pool" => {
            let others = words().into_iter().skip(1);
            others.map(|word| (field.name, text(words()[0]), text(word))).collect()
        }
        _ => Vec::new(),
    };
    MACHINE.iter().flat_map(of_field).collect()
}

/// The fields of a machine that are protections, each once.
pub(super) fn protection_names() -> Vec<&'static str> {
    let mut names: Vec<&str> = protections().into_iter().map(|(name, ..)| name).collect();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_protects_nothing_is_no_protection() {
        let names = protection_names();

        for record in ["event-log", "host-record"] {
            assert!(!names.contains(&record), "{record} is a record of what happened");
        }
        assert!(!names.contains(&"stale-buffers"), "a weakness");
        assert!(!names.contains(&"early-access-codes"), "what a release tells");
        assert!(!names.contains(&"transfer-device-internal"), "what a device is like");
        for protection in ["smep", "iommu", "kva-shadow", "pool", "integrity-checks"] {
            assert!(names.contains(&protection), "{protection}: {names:?}");
        }
        let turned = switches(&MachineConfiguration::default());
        assert!(turned.iter().all(|(name, _)| names.contains(name)), "{turned:?}");
    }
}
