//! The text form: which field may stand where, and what it may hold.
//!
//! Ranges are those of the meaning, so that whoever writes a file is told `1 to 4`, whatever keeps the number.

use super::switches::{MADE_FOR, protection_names};
use crate::faults::{Operator, point_names};
use crate::kernel::layout::PROCESS_BYTES;
use crate::kernel::loader::SECTIONS;
use crate::kernel::pools::PoolKind;
use crate::kernel::service;
use crate::world::action::{LENGTH_MAX, PRIVATE_WORDS, SLOTS_MAX};
use crate::world::preset::Preset;
use crate::world::verifier_options;

/// Steps of a run at most: minutes, not hours.
pub(super) const STEPS_MAX: u64 = 10_000_000;
/// Boots at most.
pub(super) const BOOTS_MAX: u64 = 16;
/// Words of a process's object.
pub(super) const PROCESS_WORDS: u64 = PROCESS_BYTES / 8;
/// Words of a page.
pub(super) const PAGE_WORDS: u64 = 512;
/// The highest number a fault's trigger counts to.
pub(super) const NTH_MAX: u64 = 1_000_000_000;
/// Content that a parser can be given at most: TOML's integers are signed.
pub(super) const CONTENT_MAX: u64 = i64::MAX as u64;
/// Frames of 4 KiB of a world, least and most.
pub(super) const FRAMES: (u64, u64) = (384, 1024);
/// Devices of a world at most.
const DEVICES_MAX: u64 = 16;
/// Processors of a world at most.
pub(super) const PROCESSORS_MAX: u64 = 4;
/// Page-map slots that the self-map may take, first and last: those of system space.
pub(super) const SELF_MAP_SLOTS: (u64, u64) = (256, 511);

const BYTE_MAX: u64 = u8::MAX as u64;
const SHORT_MAX: u64 = u16::MAX as u64;
const WORD_MAX: u64 = u32::MAX as u64;

/// What a field holds.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// Any text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number, least and most.
    Whole(u64, u64),
    /// 64 bits, as a hexadecimal string or a number.
    Hex,
    /// The same, or a control code's name.
    Code,
    /// A signed hexadecimal string.
    SignedHex,
    /// One of some words.
    Word(fn() -> Vec<&'static str>),
    /// One of some words, each of which has a number, or a number up to this.
    Numbered(fn() -> Vec<&'static str>, u64),
    /// Any number of one thing.
    List(&'static Shape),
    /// One table of these fields.
    Table(&'static [Field]),
    /// A table of any of these fields, the first of which must be there when it must.
    Change(&'static [Field]),
    /// A table of any names, each with a whole number up to this.
    Weights(u64),
    /// A table with the fields of the action that its field `do` names.
    Action,
}

/// A field: its name, what it holds, and whether it may be left out.
#[derive(Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) must: bool,
}

/// A field that must be there.
const fn must(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, must: true }
}

/// A field that may be left out.
const fn may(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, must: false }
}

use Shape::{Change, Code, Flag, Hex, List, SignedHex, Table, Text, Whole, Word};

/// Everything at the top.
pub(super) const TOP: &[Field] = &[
    must("format", Whole(super::FORMAT as u64, super::FORMAT as u64)),
    must("name", Text),
    may("about", Text),
    may("sources", List(&Text)),
    may("published", Text),
    may("schedule", Hex),
    may("steps-max", Whole(1, STEPS_MAX)),
    may("boots-max", Whole(1, BOOTS_MAX)),
    may("weaknesses", List(&Text)),
    may("machine", Table(MACHINE)),
    may("component", List(&Table(COMPONENT))),
    may("fault", List(&Table(FAULT))),
    may("mix", Shape::Weights(crate::faults::mix::WEIGHT_MAX as u64)),
    may("expect", Table(EXPECT)),
    may("incident", Table(INCIDENT)),
    may("contrast", List(&Table(CONTRAST))),
];

const INCIDENT: &[Field] = &[
    must("what", Text),
    must("date", Text),
    may("component", Text),
    may("beside", List(&Text)),
    may("stays", Text),
    may("decided-by", Word(|| MADE_FOR.to_vec())),
    may("came-with", Word(protection_names)),
];

const CONTRAST: &[Field] = &[
    must("name", Text),
    may("source", Text),
    may("schedule", Hex),
    may("machine", Change(MACHINE)),
    may("weaknesses", List(&Text)),
    may("component", List(&Change(COMPONENT))),
    may("fault", List(&Table(FAULT))),
    may("parameters", Table(PARAMETERS)),
    must("expect", Table(EXPECT)),
];

pub(super) const MACHINE: &[Field] = &[
    may("processors", Whole(1, PROCESSORS_MAX)),
    may("frames", Whole(FRAMES.0, FRAMES.1)),
    may("smep", Flag),
    may("smap", Flag),
    may("write-protect", Flag),
    may("iommu", Flag),
    may("iommu-internal", Flag),
    may("transfer-device-internal", Flag),
    may("pcid", Flag),
    may("kva-shadow", Flag),
    may("self-map-slot", Whole(SELF_MAP_SLOTS.0, SELF_MAP_SLOTS.1)),
    may("sysret-faults-in-kernel", Flag),
    may("transfer-delay", Whole(1, SHORT_MAX)),
    // 0 is no clock; what else is too short is said where fields are taken together.
    may("clock-interval", Whole(0, WORD_MAX)),
    may("pool-checks", Flag),
    may("pool", Word(|| PoolKind::NAMES.to_vec())),
    may("preset", Word(|| Preset::ALL.map(|(name, _)| name).to_vec())),
    may("self-map-randomised", Flag),
    may("null-guard", Flag),
    may("small-user-half", Flag),
    may("early-access-codes", Flag),
    may("return-address-checked", Flag),
    may("debug-trap-checked", Flag),
    may("no-execute-pool", Flag),
    may("read-only-code", Flag),
    may("code-integrity", Flag),
    may("protected-data", Flag),
    may("integrity-checks", Whole(0, WORD_MAX)),
    may("shadow-stacks", Flag),
    may("protection-keys", Flag),
    may("pageable", Flag),
    may("dpc-timeout", Whole(0, WORD_MAX)),
    may("dpc-watchdog-period", Whole(0, WORD_MAX)),
    may("clock-watchdog", Whole(0, WORD_MAX)),
    may("host-time-out", Whole(0, WORD_MAX)),
    may("event-log", Flag),
    may("host-record", Flag),
    may("stale-buffers", Flag),
    may("verifier", List(&Word(verifier_options))),
];

const HOMES: [&str; 7] = [
    "application",
    "driver-host",
    "kernel-driver",
    "file-system",
    "shared-host",
    "shared-driver",
    "driver-manager",
];

const COMPONENT: &[Field] = &[
    must("name", Text),
    must("home", Word(|| HOMES.to_vec())),
    may("driver", Text),
    may("above", Text),
    may("critical", Flag),
    may("spawned", Flag),
    may("actions", List(&Shape::Action)),
    may("content", Whole(0, CONTENT_MAX)),
];

const FAULT: &[Field] = &[
    must("kind", Text),
    must("who", Text),
    must("at", Table(AT)),
    may("recurrence", Word(|| vec!["once", "always"])),
    may("parameters", Table(PARAMETERS)),
];

const AT: &[Field] = &[
    must("point", Word(point_names)),
    may("routine", Text),
    may("caller", Text),
    may("nth", Whole(1, NTH_MAX)),
];

const PARAMETERS: &[Field] = &[
    may("operator", Word(|| Operator::ALL.map(Operator::name).to_vec())),
    may("how", Word(|| CRASHES.to_vec())),
    may("offset", SignedHex),
    may("bit", Whole(0, 63)),
    may("bytes", Whole(0, SHORT_MAX)),
    may("index", Whole(0, SHORT_MAX)),
    may("steps", Whole(1, SHORT_MAX)),
    may("value", Hex),
    may("target", Text),
    may("process", Text),
];

const CRASHES: [&str; 5] =
    ["null-dereference", "illegal-instruction", "divide-by-zero", "stack-overflow", "abort"];

const EXPECT: &[Field] = &[
    may("class", Text),
    may("bug-check", Hex),
    may("parameter-1", Hex),
    may("parameter-2", Hex),
    may("parameter-3", Hex),
    may("parameter-4", Hex),
    may("integrity", Text),
    may("availability", Text),
    may("devices-lost", Whole(0, DEVICES_MAX)),
    may("guarantees", Word(|| vec!["held", "violated"])),
    may("violated", List(&Text)),
];

const SLOT: Field = must("slot", Whole(0, SLOTS_MAX as u64 - 1));
const VIEW: Field = must("view", Whole(0, SLOTS_MAX as u64 - 1));
const ACCESS: Field = must("access", Whole(0, BYTE_MAX));
const LENGTH: Field = must("length", Whole(0, LENGTH_MAX as u64));
const OFFSET: Field = must("offset", Whole(0, SHORT_MAX));
const PRIVATE_WORD: Field = must("word", Whole(0, PRIVATE_WORDS as u64 - 1));
const PAGE_WORD: Field = must("word", Whole(0, PAGE_WORDS - 1));
const PORT: Field = must("port", Whole(0, SHORT_MAX));
const VALUE: Field = must("value", Hex);

/// Every action, by its name, with its fields.
pub(super) const ACTIONS: &[(&str, &[Field])] = &[
    ("store", &[PRIVATE_WORD, VALUE]),
    (
        "store-process-address",
        &[PRIVATE_WORD, must("process", Text), must("field", Whole(0, PROCESS_WORDS - 1))],
    ),
    ("load", &[PRIVATE_WORD]),
    ("access", &[must("address", Hex), must("access", Word(|| vec!["read", "write", "execute"]))]),
    ("allocate", &[SLOT]),
    ("allocate-at", &[must("address", Hex), SLOT]),
    ("free", &[SLOT]),
    ("store-through", &[SLOT, PAGE_WORD, VALUE]),
    ("load-through", &[SLOT, PAGE_WORD]),
    ("open", &[must("device", Text), may("file", Whole(0, BYTE_MAX)), ACCESS, SLOT]),
    ("read", &[SLOT, OFFSET, LENGTH]),
    ("read-to", &[SLOT, OFFSET, LENGTH, must("buffer", Hex)]),
    ("write", &[SLOT, OFFSET, LENGTH, VALUE]),
    ("control", &[SLOT, must("code", Code), LENGTH, VALUE]),
    ("flush", &[SLOT]),
    ("device-event", &[SLOT]),
    ("port-in", &[PORT]),
    ("port-out", &[PORT, VALUE]),
    ("create-event", &[SLOT]),
    ("set-event", &[SLOT]),
    ("query-event", &[SLOT]),
    ("open-section", &[must("section", Whole(0, SECTIONS - 1)), ACCESS, SLOT]),
    ("map-view", &[SLOT, VIEW]),
    ("unmap-view", &[VIEW]),
    ("open-process", &[must("process", Text), ACCESS, SLOT]),
    ("duplicate", &[SLOT, must("process", Whole(0, SLOTS_MAX as u64 - 1)), ACCESS]),
    (
        "duplicate-from",
        &[
            must("source", Whole(0, SLOTS_MAX as u64 - 1)),
            SLOT,
            must("process", Whole(0, SLOTS_MAX as u64 - 1)),
            ACCESS,
            may("close", Flag),
        ],
    ),
    ("set-handle", &[SLOT, may("inherit", Flag), may("protect", Flag)]),
    ("strict-handles", &[]),
    ("take", &[VIEW, PAGE_WORD, SLOT]),
    (
        "create-process",
        &[must("process", Text), must("first", Whole(0, BYTE_MAX)), must("inherit", Flag), SLOT],
    ),
    ("create-thread", &[must("first", Whole(0, BYTE_MAX)), SLOT]),
    ("exit-thread", &[must("status", Whole(0, WORD_MAX))]),
    ("terminate-thread", &[SLOT, must("status", Whole(0, WORD_MAX))]),
    ("repeat", &[must("first", Whole(0, BYTE_MAX)), must("times", Whole(0, u16::MAX as u64))]),
    ("on-failure", &[must("first", Whole(0, BYTE_MAX))]),
    ("close", &[SLOT]),
    ("yield", &[]),
    ("wait", &[]),
    ("exit", &[must("status", Whole(0, WORD_MAX))]),
    ("terminate", &[SLOT, must("status", Whole(0, WORD_MAX))]),
    ("crash", &[must("how", Word(|| [&CRASHES[..], &["privileged-instruction"]].concat()))]),
    ("spin", &[]),
    ("load-stack-segment", &[must("call", Flag)]),
    (
        "system-call",
        &[must("service", Shape::Numbered(services, BYTE_MAX)), must("arguments", List(&Code))],
    ),
];

/// The names of system services.
fn services() -> Vec<&'static str> {
    (0..service::COUNT).filter_map(service::name).collect()
}

/// What a switch of a machine can be set to: each of its values, or the range that they are of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Values {
    /// On or off.
    Flag,
    /// One of these words.
    Words(Vec<&'static str>),
    /// Any number of these words.
    Lists(Vec<&'static str>),
    /// A whole number, from the first to the last.
    Whole(u64, u64),
}

/// Every field of `[machine]` by its name, with what it can be set to; `preset`, which stands for
/// several, among them.
#[must_use]
pub fn settings() -> Vec<(&'static str, Values)> {
    let values = |shape| match shape {
        Flag => Some(Values::Flag),
        Word(words) => Some(Values::Words(words())),
        List(Word(words)) => Some(Values::Lists(words())),
        Whole(least, most) => Some(Values::Whole(least, most)),
        _ => None,
    };
    MACHINE.iter().filter_map(|field| Some((field.name, values(field.shape)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Action;

    /// The least value of a shape, as text.
    fn least(shape: Shape) -> String {
        match shape {
            Text => "\"a\"".to_owned(),
            Flag => "true".to_owned(),
            Whole(least, _) => least.to_string(),
            Hex | Code => "\"0x0\"".to_owned(),
            SignedHex => "\"-0x1\"".to_owned(),
            Word(words) | Shape::Numbered(words, _) => format!("\"{}\"", words()[0]),
            List(_) => "[]".to_owned(),
            Table(_) | Change(_) | Shape::Weights(_) | Shape::Action => "{}".to_owned(),
        }
    }

    fn action(name: &str, fields: &[Field]) -> String {
        let line = |field: &Field| format!("{} = {}\n", field.name, least(field.shape));
        format!("do = \"{name}\"\n{}", fields.iter().map(line).collect::<String>())
    }

    #[test]
    fn every_action_listed_is_one_with_these_fields_and_there_is_no_other() {
        for (name, fields) in ACTIONS {
            let read = toml::from_str::<Action>(&action(name, fields));
            assert!(read.is_ok(), "{name}: {read:?}");
            for missing in fields.iter().filter(|field| field.must) {
                let rest = fields.iter().filter(|field| field.name != missing.name).copied();
                let rest: Vec<Field> = rest.collect();
                let read = toml::from_str::<Action>(&action(name, &rest));
                assert!(read.is_err(), "{name} without {}", missing.name);
            }
        }
        let unknown = toml::from_str::<Action>("do = \"\"").expect_err("no action");
        let known: Vec<&str> = unknown.message().split('`').skip(3).step_by(2).collect();
        let listed: Vec<&str> = ACTIONS.iter().map(|(name, _)| *name).collect();
        assert_eq!(listed, known);
    }

    #[test]
    fn every_word_listed_is_read_and_there_is_no_other() {
        use crate::faults::Parameters;
        use crate::injection::Recurrence;
        use crate::world::Home;

        fn all<T: serde::de::DeserializeOwned>(shape: Shape) {
            #[derive(serde::Deserialize)]
            struct Holder<T> {
                #[allow(dead_code, reason = "only whether it is read counts")]
                word: T,
            }
            let Word(words) = shape else { panic!("no words") };
            for word in words() {
                let text = format!("word = \"{word}\"");
                assert!(toml::from_str::<Holder<T>>(&text).is_ok(), "{word}");
            }
            let unknown = toml::from_str::<Holder<T>>("word = \"\"").err().expect("no word");
            assert_eq!(unknown.message().matches('`').count(), 2 + 2 * words().len());
        }
        let shape = |fields: &[Field], name| {
            fields.iter().find(|field| field.name == name).expect("a field").shape
        };
        all::<Home>(shape(COMPONENT, "home"));
        all::<Recurrence>(shape(FAULT, "recurrence"));
        all::<crate::faults::Operator>(shape(PARAMETERS, "operator"));
        all::<crate::faults::Crash>(shape(PARAMETERS, "how"));
        all::<super::super::Guarantees>(shape(EXPECT, "guarantees"));
        for field in PARAMETERS {
            let read = toml::from_str::<Parameters>(&format!("{} = 1.5", field.name));
            let message = read.expect_err("a wrong type").message().to_owned();
            assert!(!message.contains("unknown field"), "{message}");
        }
    }
}
