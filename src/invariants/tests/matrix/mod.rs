//! Every weakness is caught by the invariants it should be, and by no other.

mod unchecked;
mod withdrawn;
mod worlds;

use core::fmt::Write as _;
use std::collections::{BTreeMap, BTreeSet};

use self::unchecked::{
    ABOVE, ASKED, CONTROLLED, ENDED, GIVEN, KEPT, KERNELS, LENT, MARKED, SHORT, SYSTEMS, TAKEN,
    TYPES, VIEWED,
};
use self::withdrawn::{LOCKED, MIGRANT, SPECIAL};
use self::worlds::{
    ANSWERED, APART, BUSY, CLIENT, LATE, NEIGHBOURS, ONESELF, OPEN, PORTS, PRINTER, PRYING, REUSED,
    SHADOWED, STOPPED, TURNS, WAITING,
};
use super::worlds::{APPS, DRIVERS, HEIR, SIBLINGS};
use super::*;
use crate::machine::Reg;
use crate::world::WEAKNESSES;

/// A weakness in a world, and the invariants that must catch it there.
struct Case {
    weakness: &'static str,
    world: &'static str,
    /// Who goes wrong in it, with what its actions, or its content, are otherwise.
    crash: Option<(&'static str, &'static str, &'static str)>,
    /// Who never leaves a routine that it has come to, and the routine.
    hang: Option<(&'static str, &'static str)>,
    /// Whose call of a service has a wrong bit in an argument.
    flip: Option<Flip>,
    caught: &'static [&'static str],
}

/// A bit of a register that is wrong where a process calls the system for the `nth` time.
struct Flip {
    who: &'static str,
    nth: u64,
    register: Reg,
    bit: u8,
}

const fn case(
    weakness: &'static str,
    world: &'static str,
    caught: &'static [&'static str],
) -> Case {
    Case { weakness, world, crash: None, hang: None, flip: None, caught }
}

/// The host of the meter never finishes with what it works on.
const METER_HANGS: Option<(&str, &str)> = Some(("meter-host", "MeterWork"));

/// What each weakness breaks, from what it is: not from what was found.
const CASES: &[Case] = &[
    case("no-probe", APPS, &["kernel-mode-writes-what-it-means", "memory-is-handed-out-once"]),
    case("no-shootdown", MIGRANT, &["cached-translations-are-granted"]),
    // A translation of the system's half: the page of a block that was given back.
    case("no-shootdown", SPECIAL, &["cached-translations-are-granted"]),
    case("no-shootdown", LOCKED, &["cached-translations-are-granted"]),
    case("no-zeroing", HEIR, &["freed-frames-are-forgotten", "nobody-reads-what-it-may-not"]),
    Case {
        weakness: "no-zeroing",
        world: NEIGHBOURS,
        crash: Some(("editor", r#"{ do = "crash", how = "abort" }"#, r#"{ do = "wait" }"#)),
        hang: None,
        flip: None,
        caught: &[
            "a-crash-is-contained",
            "freed-frames-are-forgotten",
            "nobody-reads-what-it-may-not",
        ],
    },
    Case {
        weakness: "no-zeroing",
        world: CLIENT,
        crash: Some(("parser", "content = 20", "content = 19")),
        hang: None,
        flip: None,
        caught: &[
            "a-driver-host-crash-is-contained",
            "freed-frames-are-forgotten",
            "nobody-reads-what-it-may-not",
        ],
    },
    case("no-access-check", APPS, &["rights-never-exceed-the-grant"]),
    // What they lead to counts handles that are in no process's table any more, and the table is no
    // process's.
    case(
        "handles-leak",
        APPS,
        &["exit-closes-all-handles", "pool-blocks-are-conserved", "references-are-conserved"],
    ),
    case("frames-leak", APPS, &["frames-are-conserved"]),
    case("reference-kept", APPS, &["references-are-conserved"]),
    case("root-kept", APPS, &["frames-are-conserved"]),
    case("buffer-kept", DRIVERS, &["pool-blocks-are-conserved"]),
    case("duplicate-widens", APPS, &["rights-never-exceed-the-grant"]),
    // Of what is asked for by a pseudo-handle, the source has every right there is.
    case("duplicate-widens", ONESELF, &["rights-never-exceed-the-grant"]),
    case("wrong-table", APPS, &["handles-are-private"]),
    // Whoever shares a table has handles that nobody gave it, each entry is there twice, and the table
    // that was made for it is nobody's.
    case(
        "shared-handle-table",
        WAITING,
        &[
            "handle-tables-are-apart",
            "handles-come-from-somewhere",
            "pool-blocks-are-conserved",
            "references-are-conserved",
        ],
    ),
    // Rights to what nobody was given are rights beyond the grant.
    case("stray-duplicate", WAITING, &["handles-come-from-somewhere"]),
    case("uncounted-handle", WAITING, &["references-are-conserved"]),
    case(
        "user-bit-in-system",
        APPS,
        &[
            "kernel-half-is-one",
            "tables-are-out-of-user-reach",
            "user-mode-never-reaches-system-space",
        ],
    ),
    case(
        "shared-private-page",
        APPS,
        &["nobody-reads-what-it-may-not", "private-memory-is-private", "user-mappings-are-granted"],
    ),
    case("dma-stays", DRIVERS, &["dma-stays-within-grants"]),
    case("early-free", APPS, &["freed-objects-are-forgotten", "kernel-mode-writes-what-it-means"]),
    case("shadow-keeps-kernel", SHADOWED, &["user-mode-runs-without-the-kernel-mapped"]),
    case("return-on-full-root", SHADOWED, &["user-mode-runs-without-the-kernel-mapped"]),
    case("shadow-context-kept", SHADOWED, &["cached-translations-are-granted"]),
    case(
        "supervisor-read",
        PRYING,
        &["nobody-reads-what-it-may-not", "user-mode-never-reaches-system-space"],
    ),
    case("kernel-half-differs", APART, &["kernel-half-is-one"]),
    case(
        "on-user-stack",
        APPS,
        &["kernel-mode-never-runs-on-a-user-stack", "private-memory-is-private"],
    ),
    case("stale-output", PRINTER, &["nobody-reads-what-it-may-not"]),
    case("wrong-context", BUSY, &["private-memory-is-private"]),
    case("runs-on", STOPPED, &["nothing-runs-after-a-bug-check"]),
    case("requests-lost", CLIENT, &["requests-are-conserved"]),
    Case {
        weakness: "deadlines-ignored",
        world: LATE,
        crash: None,
        hang: METER_HANGS,
        flip: None,
        caught: &["critical-requests-end-in-time"],
    },
    // What the host answers was given back to the pool.
    case("taken-cancelled", ANSWERED, &["kernel-mode-writes-what-it-means"]),
    case(
        "driver-data-open",
        OPEN,
        &["nobody-reads-what-it-may-not", "user-mode-never-reaches-system-space"],
    ),
    // The other thread's processor still remembers what is free, and reads on.
    case(
        "siblings-ignored",
        SIBLINGS,
        &["cached-translations-are-granted", "nobody-reads-what-it-may-not"],
    ),
    // A process is no event: what is set in one is something else in the other.
    case("no-type-check", TYPES, &["kernel-mode-writes-what-it-means"]),
    case("kernel-handles-open", KERNELS, &["handles-are-private"]),
    case("no-duplicate-right", GIVEN, &["handles-come-from-somewhere"]),
    case("no-duplicate-right", TAKEN, &["handles-are-private"]),
    case("no-terminate-right", ENDED, &["rights-never-exceed-the-grant"]),
    case("no-control-rights", CONTROLLED, &["rights-never-exceed-the-grant"]),
    case(
        "lock-unprobed",
        SYSTEMS,
        &["kernel-mode-writes-what-it-means", "memory-is-handed-out-once"],
    ),
    case("lock-read-only", VIEWED, &["kernel-mode-writes-what-it-means"]),
    case("lock-not-held", LENT, &["kernel-mode-writes-what-it-means"]),
    case("length-ignored", SHORT, &["memory-is-handed-out-once", "private-memory-is-private"]),
    case("protection-ignored", KEPT, &["handles-come-from-somewhere"]),
    case("inherits-all", MARKED, &["handles-come-from-somewhere"]),
    // Sixteen bytes were asked for and eighty are answered: behind the buffer's block there is nobody's memory.
    Case {
        flip: Some(Flip { who: "sensor", nth: 3, register: Reg::R10, bit: 6 }),
        ..case("answer-overruns", ASKED, &["kernel-mode-writes-what-it-means"])
    },
    case("allocate-anywhere", ABOVE, &["frames-are-conserved"]),
    case("io-ports-open", PORTS, &["dma-stays-within-grants"]),
    // The kernel's own window is stale as well: what it clears and fills is another frame. At a process's
    // end it shows another table, whose entries don't fit their frames (0x1A, 0x403).
    case(
        "stale-translations",
        REUSED,
        &[
            "freed-frames-are-forgotten",
            "nobody-reads-what-it-may-not",
            "private-memory-is-private",
        ],
    ),
    case(
        "foreign-translations",
        TURNS,
        &["nobody-reads-what-it-may-not", "private-memory-is-private"],
    ),
    case("presence-denied", OPEN, &["the-two-walkers-agree"]),
    // Where user mode has ring 0, an exception is pushed on the user's own stack, and its handler
    // runs in what everybody was told is user mode.
    case(
        "privilege-kept",
        APART,
        &[
            "kernel-mode-never-runs-on-a-user-stack",
            "mode-changes-only-at-gates",
            "private-memory-is-private",
            "user-mode-never-reaches-system-space",
        ],
    ),
];

fn run(case: &Case, weakness: Option<&str>) -> Trial {
    let golden = case.crash.map(|(_, wrong, right)| {
        assert!(case.world.contains(wrong), "{wrong} is in the world");
        let mut golden = Trial::new(&case.world.replace(wrong, right), weakness);
        golden.run();
        golden.authority.observations().clone()
    });
    let mut trial = Trial::new(case.world, weakness);
    if let Some((who, routine)) = case.hang {
        trial.hang(who, routine);
    }
    if let Some(Flip { who, nth, register, bit }) = &case.flip {
        let parameters =
            Parameters { index: Some(*register as u16), bit: Some(*bit), ..Parameters::default() };
        let at = (PointKind::Step, *who, "NtApiCall", *nth);
        trial.arm_with("corrupted-register", &parameters, at, Recurrence::Once);
    }
    let rest = trial.run();
    let origins = match case.crash {
        Some((who, ..)) => PrincipalSet::of(trial.principal(who)),
        None => PrincipalSet::NOBODY,
    };
    trial.rests(golden.as_ref(), origins, rest);
    trial
}

#[test]
fn every_weakness_is_caught_by_the_invariants_it_should_be_and_by_no_other() {
    let mut caught: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for case in CASES {
        let trial = run(case, Some(case.weakness));
        let found = trial.found();
        assert_eq!(found, case.caught, "{}: {:#?}", case.weakness, trial.findings.violations());
        caught.entry(case.weakness).or_default().extend(found);
    }

    let known: Vec<&str> = WEAKNESSES.iter().map(|weakness| weakness.name).collect();
    assert!(known.iter().all(|name| caught.contains_key(name)), "each has a case");
    let all: Vec<&str> = Registry::all().iter().map(Invariant::name).collect();
    let found: BTreeSet<&str> = caught.values().flatten().copied().collect();
    let uncaught: Vec<&str> = all.iter().copied().filter(|name| !found.contains(name)).collect();
    assert_eq!(uncaught, [""; 0], "every invariant is seen to fail by a weakness");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("detection_matrix", table(&known, &all, &caught)));
}

#[test]
fn the_same_worlds_without_a_weakness_raise_nothing() {
    for case in CASES {
        let trial = run(case, None);
        let violations = trial.findings.violations();
        assert!(violations.is_empty(), "the world of {}: {violations:#?}", case.weakness);
    }
}

#[test]
fn what_is_global_is_forgotten_by_processors_that_run_under_other_identifiers() {
    let tagged = SPECIAL.replace("processors = 2", "processors = 2\n    pcid = true");
    for world in [&*tagged, LOCKED] {
        let mut trial = Trial::new(world, None);
        let rest = trial.run();
        trial.rests(None, PrincipalSet::NOBODY, rest);
        let violations = trial.findings.violations();
        assert!(violations.is_empty(), "{violations:#?}");
    }
}

/// A line for each weakness, a column for each invariant.
fn table(
    weaknesses: &[&str],
    invariants: &[&str],
    caught: &BTreeMap<&str, BTreeSet<&str>>,
) -> String {
    let mut text = "each weakness in the worlds chosen for it\n\n".to_owned();
    write!(text, "{:22}", "").expect("a string takes it");
    for number in 1..=invariants.len() {
        write!(text, "{number:>3}").expect("a string takes it");
    }
    for weakness in weaknesses {
        write!(text, "\n{weakness:22}").expect("a string takes it");
        for invariant in invariants {
            let mark = if caught[weakness].contains(invariant) { "x" } else { "." };
            write!(text, "{mark:>3}").expect("a string takes it");
        }
    }
    text.push('\n');
    for (index, invariant) in invariants.iter().enumerate() {
        let by = caught.values().filter(|found| found.contains(invariant)).count();
        write!(text, "\n{:>3} {invariant:42}by {by}", index + 1).expect("a string takes it");
    }
    text
}

/// As [`LATE`], with a meter of kernel mode besides, which is asked once the reader was ended.
const BESIEGED: &str = r#"
    steps-max = 16000
    [machine]
    host-time-out = 500
    [[components]]
    name = "desktop"
    home = "application"
    actions = [
        { do = "create-process", process = "reader", first = 16, inherit = false, slot = 1 },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "terminate", slot = 1, status = 1 },
        { do = "open", device = "gauge", access = 3, slot = 2 },
        { do = "control", slot = 2, code = "0x220000", length = 16, value = "0x1" },
        { do = "exit", status = 0 },
        { do = "exit", status = 0 },
        { do = "open", device = "meter", access = 3, slot = 0 },
        { do = "control", slot = 0, code = "0x220000", length = 256, value = "0x1" },
    ]
    [[components]]
    name = "reader"
    home = "application"
    spawned = true
    [[components]]
    name = "meter"
    home = "kernel-driver"
    driver = "reflector"
    [[components]]
    name = "gauge"
    home = "kernel-driver"
    driver = "meter"
    [[components]]
    name = "meter-host"
    home = "driver-host"
    driver = "meter"
    above = "meter"
"#;

/// Who is said to have broken it that a critical request is answered in time, where the meter's host hangs.
fn late_by(processors: u8, weakness: Option<&str>, others: &[(&str, &str)]) -> Vec<String> {
    let machine = format!("[machine]\nprocessors = {processors}");
    let mut trial = Trial::new(&BESIEGED.replace("[machine]", &machine), weakness);
    trial.hang("meter-host", "meter host!MeterWork");
    for (who, routine) in others {
        trial.hang(who, routine);
    }
    let rest = trial.run();
    trial.rests(None, PrincipalSet::NOBODY, rest);
    let violations = trial.findings.violations().iter();
    let late = violations.filter(|found| found.invariant == "critical-requests-end-in-time");
    let roster = trial.world.roster();
    late.map(|found| roster.name(found.offender.expect("it can be said")).to_owned()).collect()
}

#[test]
fn a_driver_that_keeps_the_kernel_from_ending_a_host_in_time_is_to_blame_and_not_the_kernel() {
    let spins = [("gauge", "gauge!MeterWork")];
    for processors in [1, 2] {
        assert_eq!(late_by(processors, None, &[]), [""; 0], "{processors}: the host is ended");
        assert_eq!(late_by(processors, None, &spins), ["gauge"], "{processors}");
        assert_eq!(late_by(processors, Some("deadlines-ignored"), &[]), ["kernel"], "{processors}");
    }
}
