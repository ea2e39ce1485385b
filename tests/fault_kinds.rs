//! Every kind of fault strikes in a world, and the newer ones come to what their source says.

mod worlds;

use std::collections::{BTreeMap, BTreeSet};

use ringfence::base::{Event, EventKind, Principal, Seed, Witness};
use ringfence::campaign::{Registries, Series, SeriesOptions, Trial};
use ringfence::counterexample::Story;
use ringfence::faults::{At, Kind, PlannedFault, Registry, at_of, is_worth_it};
use ringfence::injection::{PointKind, PointRecord, Recurrence};
use ringfence::kernel::handle::access;
use ringfence::kernel::pools::PoolKind;
use ringfence::kernel::{service, status};
use ringfence::machine::Reg;
use ringfence::machine::device::Device;
use ringfence::outcome::{Availability, Class, Integrity, Outcome};
use ringfence::scenario::{Bias, Scenario, library};
use ringfence::world::{Action, CrashKind, World};
use worlds::{application, driver, neighbours, trial, with_editor};

/// The number of the service that is asked for a device control.
#[allow(clippy::cast_possible_truncation, reason = "a small number")]
const DEVICE_CONTROL: u8 = service::DEVICE_CONTROL as u8;

/// Strikes that one search makes at most.
const STRIKES_MAX: usize = 400;

/// The points at which a kind can strike, each named, whoever comes there.
fn places(trial: &Trial, kind: &Kind, who: Option<&str>) -> Vec<(PointRecord, String, At)> {
    let program = &trial.world.machine.program;
    let routine = |number: u16| {
        let linked = program.routines().get(usize::from(number))?;
        Some(linked.routine.name.to_owned())
    };
    let mut before = BTreeMap::<(Principal, PointKind), Vec<PointRecord>>::new();
    let mut places = Vec::new();
    for record in &trial.golden.points {
        if !kind.points.contains(record.kind) {
            continue;
        }
        let same = before.entry((record.principal, record.kind)).or_default();
        same.push(*record);
        let name = trial.roster().name(record.principal);
        // Where the kind is never planned, a search of so many strikes would find it by luck alone.
        let fits = (kind.fits)(record, trial.roster().kind(record.principal));
        if who.is_none_or(|who| who == name) && is_worth_it(record) && fits {
            places.push((*record, name.to_owned(), at_of(record, same, &routine)));
        }
    }
    places
}

/// The first outcome of a fault of this kind, in whom it may be, that is as wanted; else what it came to.
fn first(
    trial: &mut Trial,
    kind: &str,
    who: Option<&str>,
    wanted: impl Fn(&Outcome) -> bool,
) -> Result<Outcome, BTreeSet<String>> {
    let kinds = Registry::default();
    let kind = kinds.get(kind).expect("a kind");
    let places = places(trial, kind, who);
    // Places far from one another first, and all of them where there are few.
    let stride = (places.len() / 60).max(1);
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|number| (number % stride, *number));
    let mut strikes = 0;
    let mut others = BTreeSet::new();
    for number in order {
        let (record, who, at) = &places[number];
        let every = (kind.every)(record.kind, &trial.directory);
        for parameters in every.iter().step_by((every.len() / 8).max(1)) {
            let outcome = trial.run(&[PlannedFault {
                kind: kind.name.to_owned(),
                who: who.clone(),
                at: at.clone(),
                recurrence: kind.recurrence,
                parameters: parameters.clone(),
            }]);
            let outcome = outcome.expect("a fault that can be made");
            if outcome.activation.strikes > 0 {
                if wanted(&outcome) {
                    return Ok(outcome);
                }
                others.insert(format!("{:?}, {:?}", outcome.integrity, outcome.availability));
            }
            strikes += 1;
            if strikes >= STRIKES_MAX {
                return Err(others);
            }
        }
    }
    Err(others)
}

/// That it comes to this somewhere.
fn comes_to(world: &Scenario, kind: &str, who: &str, wanted: impl Fn(&Outcome) -> bool) -> Outcome {
    let found = first(&mut trial(world), kind, Some(who), wanted);
    found.unwrap_or_else(|others| panic!("{kind} of {who} comes to {others:#?} only"))
}

const fn stops_with(outcome: &Outcome, wanted: u64, first: Option<u64>) -> bool {
    match (outcome.availability, first) {
        (Availability::BugCheck { code, .. }, None) => code == wanted,
        (Availability::BugCheck { code, parameters: [found, ..] }, Some(first)) => {
            code == wanted && found == first
        }
        _ => false,
    }
}

fn deviates(outcome: &Outcome) -> bool {
    outcome.integrity >= Integrity::Deviated
}

/// A process with an event that it may only look at through one handle, a page that it frees, and work for
/// the transfer driver that comes back.
fn busy() -> Scenario {
    let call = |service: u64, arguments: &[u64]| {
        let service = u8::try_from(service).expect("a service");
        Action::SystemCall { service, arguments: arguments.to_vec() }
    };
    let actions = || {
        vec![
            Action::Open { device: "nic".into(), file: 0, access: 3, slot: 0 },
            Action::CreateEvent { slot: 1 },
            call(service::DUPLICATE, &[8, u64::MAX, access::READ]),
            call(service::SET_EVENT, &[12]),
            Action::SetEvent { slot: 1 },
            Action::QueryEvent { slot: 1 },
            Action::Allocate { slot: 2 },
            Action::StoreThrough { slot: 2, word: 5, value: 7 },
            Action::Free { slot: 2 },
            Action::Control { slot: 0, code: 0x22_0000, length: 64, value: 5 },
            Action::Allocate { slot: 3 },
            Action::LoadThrough { slot: 3, word: 5 },
            Action::Control { slot: 0, code: 0x22_0000, length: 64, value: 9 },
            Action::Close { slot: 1 },
        ]
    };
    let components = vec![
        application("editor", actions()),
        application("shell", actions()),
        driver("nic", ringfence::world::Home::KernelDriver, "transfer", None),
    ];
    let mut scenario = with_editor(Vec::new());
    scenario.configuration.components = components;
    scenario
}

/// The incident in which a driver fetches a length twice, when nobody changes it in between.
fn fetching() -> Scenario {
    let file = library::find("incidents/I04-double-fetch").expect("built in");
    let scenario = Scenario::from_bytes(file.text.as_bytes()).expect("sound");
    let calm = scenario.contrasts.iter().find(|one| one.name == "nobody changes the length");
    let calm = calm.expect("a contrast").of(&scenario).expect("it can be");
    Scenario { expect: None, incident: None, ..calm }
}

/// As [`busy`], and each asks once for an answer in the system half.
fn pointing() -> Scenario {
    let mut scenario = busy();
    for component in &mut scenario.configuration.components {
        if component.actions.is_empty() {
            continue;
        }
        let target = 0xffff_f800_0010_0010;
        let arguments = vec![4, 0x22_0000, 0, 0, target, 8];
        let pointing = Action::SystemCall { service: DEVICE_CONTROL, arguments };
        component.actions.insert(1, pointing);
    }
    scenario
}

#[test]
fn every_kind_strikes_somewhere() {
    let worlds = [neighbours(), busy(), fetching(), pointing()];
    let mut worlds: Vec<Trial> = worlds.iter().map(trial).collect();
    let mut idle = Vec::new();

    for kind in Registry::default().kinds() {
        if !worlds.iter_mut().any(|world| first(world, kind.name, None, |_| true).is_ok()) {
            idle.push(kind.name);
        }
    }

    assert!(idle.is_empty(), "never struck: {idle:?}");
}

#[test]
fn every_kind_strikes_in_generated_worlds() {
    let registry = Registry::default();
    let mut idle: BTreeSet<&str> = registry.kinds().iter().map(|kind| kind.name).collect();

    for seed in (0..40).map(Seed) {
        if idle.is_empty() {
            break;
        }
        let world = Scenario::generate(seed, &Bias::default());
        let kinds = idle.iter().map(|name| (*name).to_owned()).collect();
        let options = SeriesOptions { experiments: 120, seed, kinds, errors: 1, only: None };
        Series::new(&world, &options, &Registries::default())
            .expect("a world that can be built")
            .run(|_, case| {
                if case.outcome.activation.strikes > 0 {
                    idle.remove(&*case.plan.kind);
                }
            })
            .expect("faults that can be made");
    }

    assert!(idle.is_empty(), "never struck: {idle:?}");
}

#[test]
fn a_wrong_argument_result_or_value_is_a_wrong_pointer_somewhere() {
    let world = neighbours();

    comes_to(&world, "dropped-argument", "nic", |outcome| {
        matches!(outcome.availability, Availability::BugCheck { .. })
    });
    comes_to(&world, "wrong-result", "nic", |outcome| stops_with(outcome, 0xd1, None));
    comes_to(&world, "wrong-value-loaded", "nic", |outcome| stops_with(outcome, 0xd1, None));
    comes_to(&world, "wrong-value-stored", "nic", |outcome| stops_with(outcome, 0xd1, None));
}

#[test]
fn a_bound_that_is_off_by_one_or_a_copy_that_is_short_leaves_wrong_data() {
    let world = neighbours();

    comes_to(&world, "off-by-one", "files", deviates);
    comes_to(&world, "short-copy", "files", deviates);
    comes_to(&world, "wrong-completion-length", "files", deviates);
}

#[test]
fn memory_that_is_not_set_up_shows_what_was_in_it() {
    let found = comes_to(&busy(), "uninitialised-memory", "kernel", |outcome| {
        deviates(outcome) || !outcome.guarantees.is_empty()
    });

    assert!(found.activation.strikes > 0, "{found:?}");
}

#[test]
fn a_system_call_with_a_bound_or_for_another_service_is_refused_or_ends_the_caller() {
    let world = neighbours();

    comes_to(&world, "boundary-value-as-argument", "editor", |outcome| {
        outcome.availability == Availability::RequestFailed { status: status::ACCESS_VIOLATION }
    });
    comes_to(&world, "wrong-service", "editor", |outcome| {
        matches!(outcome.availability, Availability::ProcessLost { .. })
    });
}

#[test]
fn a_handle_of_another_type_is_refused_and_an_unchecked_right_is_not() {
    let world = busy();

    comes_to(&world, "mistyped-handle", "kernel", |outcome| {
        outcome.availability == Availability::RequestFailed { status: status::OBJECT_TYPE_MISMATCH }
    });
    comes_to(&world, "skipped-rights-check", "kernel", |outcome| {
        deviates(outcome)
            || outcome.availability == Availability::RequestFailed { status: status::SUCCESS }
    });
}

#[test]
fn of_a_look_up_whose_rights_are_not_compared_only_what_compares_them_is_other() {
    let mut trial = trial(&busy());
    let look_ups = worlds::reached(&trial, "kernel", PointKind::HandleLookup);
    let mut strikes = 0;
    for nth in 1..=look_ups {
        let at = PointKind::HandleLookup;
        let plan = worlds::fault("skipped-rights-check", "kernel", at, nth, "");
        let outcome = trial.run(&[plan]).expect("a fault that can be made");
        strikes += outcome.activation.strikes;
        let corruptions = trial.judge.authority.corruptions();
        let by_strike = corruptions.iter().filter(|one| one.struck).map(|one| one.words);
        let words: u64 = by_strike.sum();
        assert!(
            words <= outcome.activation.strikes,
            "look-up {nth}: the word that holds the rights"
        );
    }
    assert!(strikes > 5, "{strikes}");
}

#[test]
fn an_object_lives_as_long_as_its_references_are_counted() {
    let world = busy();
    let is_gone =
        |outcome: &Outcome| stops_with(outcome, 0x18, None) || stops_with(outcome, 0x189, None);

    comes_to(&world, "lost-reference", "kernel", is_gone);
    comes_to(&world, "repeated-dereference", "kernel", is_gone);
    comes_to(&world, "leaked-reference", "kernel", |outcome| {
        outcome.availability == Availability::Unaffected
            && outcome.integrity == Integrity::Untouched
    });
}

#[test]
fn a_packet_completed_twice_a_wrong_tag_and_an_address_within_a_block_stop_the_machine() {
    let world = neighbours();

    for who in ["nic", "files", "reflector"] {
        comes_to(&world, "repeated-completion", who, |outcome| stops_with(outcome, 0x44, None));
    }
    comes_to(&world, "wrong-tag-free", "kernel", |outcome| stops_with(outcome, 0xc2, Some(0xa)));
    comes_to(&world, "interior-free", "kernel", |outcome| stops_with(outcome, 0x19, Some(0x20)));
}

#[test]
fn a_damaged_device_pointer_does_not_complete_a_packet_once_more() {
    let mut trial = trial(&neighbours());
    // The second load there is that of the packet's device object.
    let mut plan =
        worlds::fault("wrong-value-loaded", "kernel", PointKind::Load, 2, "value = '0x1'");
    plan.at.routine = Some("IoCompleteRequest".to_owned());

    let outcome = trial.run(&[plan]).expect("a fault that can be made");

    assert_eq!(outcome.activation.strikes, 1);
    assert!(!stops_with(&outcome, 0x44, None), "{outcome:?}");
}

#[test]
fn a_lock_that_is_not_given_back_is_waited_for_for_ever() {
    comes_to(&neighbours(), "unreleased-lock", "kernel", |outcome| {
        outcome.availability == Availability::Hang
    });
}

#[test]
fn each_copy_of_a_routine_is_struck() {
    let file = library::find("incidents/I11-printer-drivers").expect("built in");
    let scenario = Scenario::from_bytes(file.text.as_bytes()).expect("sound");
    let hosted = scenario.contrasts.iter().find(|one| one.name == "each in a host of its own");
    let world = hosted.expect("a contrast").of(&scenario).expect("it can be");
    let options = SeriesOptions {
        experiments: 60,
        seed: Seed(1),
        kinds: vec!["dropped-step".to_owned()],
        errors: 1,
        only: None,
    };
    let mut struck = BTreeSet::new();

    let ran = Series::new(&world, &options, &Registries::default()).and_then(|series| {
        series.run(|_, case| {
            if case.outcome.activation.strikes > 0 && case.plan.who.starts_with("printer") {
                struck.insert((case.plan.who, case.plan.at.routine.unwrap_or_default()));
            }
        })
    });

    assert!(ran.is_ok());
    for printer in ["printer-2", "printer-3"] {
        let own = format!("{printer}!");
        let is_own =
            |(who, routine): &(String, String)| who == printer && routine.starts_with(&own);
        assert!(struck.iter().any(is_own), "{struck:?}");
    }
}

#[test]
fn a_double_fetch_is_planned_where_the_kernel_fetches_from_its_caller() {
    let world = Scenario::generate(Seed(2), &Bias::default());
    let options = SeriesOptions {
        experiments: 150,
        seed: Seed(2),
        kinds: vec!["double-fetch".to_owned()],
        errors: 1,
        only: None,
    };
    let (mut planned, mut struck) = (0, 0);

    let ran = Series::new(&world, &options, &Registries::default()).and_then(|series| {
        series.run(|_, case| {
            planned += 1;
            struck += u64::from(case.outcome.activation.strikes > 0);
        })
    });

    assert!(ran.is_ok());
    assert!(planned >= 20, "{planned}");
    assert!(struck * 10 >= planned * 8, "{struck} of {planned}");
}

#[test]
fn a_lock_that_is_taken_twice_is_waited_for_for_ever() {
    comes_to(&neighbours(), "repeated-lock", "kernel", |outcome| {
        outcome.availability == Availability::Hang
    });
}

#[test]
fn a_length_that_changes_behind_its_check_overruns_the_stack() {
    let stops = |world: &Scenario, wanted: u64| {
        let mut trial = trial(world);
        (1..=8).any(|nth| {
            let load = PointKind::Load;
            let mut planned = worlds::fault("double-fetch", "device", load, nth, "value = '0x100'");
            planned.at.routine = Some("LengthFetchedTwice".to_owned());
            let outcome = trial.run(&[planned]).expect("a fault that can be made");
            outcome.activation.strikes == 1 && stops_with(&outcome, wanted, None)
        })
    };
    assert!(stops(&fetching(), 0x1e));

    let mut checked = fetching();
    checked.configuration.machine.shadow_stacks = true;
    assert!(stops(&checked, 0x139));
}

/// The driver's first fetch of the length, changed behind it.
fn length_changed() -> PlannedFault {
    let parameters = "value = '0x100'";
    let mut planned = worlds::fault("double-fetch", "device", PointKind::Load, 1, parameters);
    planned.at.routine = Some("LengthFetchedTwice".to_owned());
    planned
}

#[test]
fn what_changes_between_two_fetches_is_the_doing_of_who_changes_it() {
    let world = Scenario { plan: vec![length_changed()], ..fetching() };

    let story = Story::of(&world, &Registries::default()).expect("it runs");

    assert!(stops_with(&story.outcome, 0x1e, None), "{story}");
    let words = story.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    for told in [
        "attacker wrote 0x100 over 0x10 at 0x580000",
        "written by attacker by the fault's doing; before 0x10, after 0x100",
        "device, working for attacker, reads it",
        "mode line struck in user mode (attacker), which must contain it",
        "in device, though attacker did it",
        "VIOLATED the-system-survives-user-mode-faults",
    ] {
        assert!(words.contains(told), "{told}: {story}");
    }
    for other in ["by itself", "memory itself", "by nobody"] {
        assert!(!words.contains(other), "{other}: {story}");
    }
    let picture = story.picture().join("\n");
    assert!(picture.contains("[ attacker ⚡") && picture.contains("[ device ✗"), "{picture}");
}

#[test]
fn a_thread_of_the_caller_changes_only_what_the_caller_may_write() {
    // The request names a word of a section instead, which is mapped with this access.
    let strikes = |access: u8| {
        let mut world = fetching();
        let its = |slot| Action::OpenSection { section: 0, access, slot };
        world.configuration.components[0].actions = vec![
            its(0),
            Action::MapView { slot: 0, view: 1 },
            Action::Open { device: "device".to_owned(), file: 0, access: 3, slot: 2 },
            Action::SystemCall {
                service: 17,
                arguments: vec![8, 0x22_003f, 0, 0, 0x5c_0000, 0x30],
            },
        ];
        let mut trial = trial(&world);
        trial.run(&[length_changed()]).expect("a fault that can be made").activation.strikes
    };

    assert_eq!((strikes(3), strikes(1)), (1, 0));
}

/// How often a fault strikes at the first steps of a routine, of those that are reached.
fn strikes_at_steps(trial: &mut Trial, kind: &str, who: &str, routine: &str) -> Vec<u64> {
    let strikes_at = |nth| {
        let mut planned = worlds::fault(kind, who, PointKind::Step, nth, "");
        planned.at.routine = Some(routine.to_owned());
        let outcome = trial.run(&[planned]).expect("a fault that can be made");
        outcome.activation.strikes
    };
    (1..=12).map(strikes_at).collect()
}

#[test]
fn a_return_address_is_overwritten_where_a_call_left_one_and_nowhere_else() {
    let mut trial = trial(&neighbours());
    let mut strikes =
        |who, routine| strikes_at_steps(&mut trial, "corrupted-return-address", who, routine);

    // Whoever was called returns through what the call pushed.
    for (who, routine) in
        [("editor", "NtApiCall"), ("sensor", "SensorProcess"), ("kernel", "IoCompleteRequest")]
    {
        assert_eq!(strikes(who, routine)[..4], [1; 4], "{routine}");
    }
    // At the base of a stack nobody called; where a gate leads, the frame pointer is still that of whoever
    // was interrupted or asks for a service.
    for (who, routine) in [
        ("editor", "main"),
        ("sensor", "sensor-host"),
        ("kernel", "KiSystemCall64"),
        ("kernel", "KiClockInterrupt"),
        ("kernel", "KiIdleLoop"),
    ] {
        assert_eq!(strikes(who, routine), [0; 12], "{routine}");
    }
}

#[test]
fn a_return_address_is_planned_to_be_overwritten_where_there_is_one() {
    let world = Scenario::generate(Seed(0), &Bias::default());
    let options = SeriesOptions {
        experiments: 60,
        seed: Seed(0),
        kinds: vec!["corrupted-return-address".to_owned()],
        errors: 1,
        only: None,
    };
    let mut planned = 0;

    let ran = Series::new(&world, &options, &Registries::default()).and_then(|series| {
        series.run(|_, case| {
            planned += 1;
            assert_eq!(case.outcome.activation.strikes, 1, "no return address: {:?}", case.plan);
        })
    });

    assert!(ran.is_ok());
    assert!(planned >= 40, "{planned}");
}

#[test]
fn an_abort_in_kernel_mode_says_that_it_is_one() {
    // FAST_FAIL_FATAL_APP_EXIT of winnt.h, as parameter 1 ("Bug Check 0x139").
    let world = neighbours();
    let mut trial = trial(&world);
    for point in [PointKind::Step, PointKind::Load, PointKind::Store] {
        let planned = worlds::fault("crash", "nic", point, 2, "how = 'abort'");
        let outcome = trial.run(&[planned]).expect("a fault that can be made");
        assert!(stops_with(&outcome, 0x139, Some(7)), "{outcome:?}");
    }
}

#[test]
fn an_application_that_aborts_says_so_to_the_kernel() {
    let world = with_editor(vec![Action::Crash { how: CrashKind::Abort }]);
    let mut world = World::build(&world.configuration).expect("a sound configuration");
    let entry = world.machine.program.routine_named("KiRaiseSecurityCheckFailure").expect("a gate");
    let entry = world.machine.program.routines()[usize::from(entry)].entry.0;
    let at_the_gate = |world: &World| {
        let mut all = world.machine.processors.iter().map(|processor| &processor.registers);
        all.find(|registers| registers.rip == entry).map(|registers| registers.get(Reg::Rcx))
    };

    let mut code = None;
    while code.is_none() && world.step(&mut ()).is_none() {
        code = at_the_gate(&world);
    }

    // FAST_FAIL_FATAL_APP_EXIT of winnt.h, in ecx ("__fastfail").
    assert_eq!(code, Some(7));
}

#[test]
fn a_protected_handle_is_not_closed() {
    comes_to(&busy(), "protected-handle", "editor", |outcome| {
        outcome.availability == Availability::RequestFailed { status: status::HANDLE_NOT_CLOSABLE }
    });
}

#[test]
fn a_level_that_is_not_lowered_stops_the_next_allocation() {
    let mut world = busy();
    world.configuration.machine.pool = PoolKind::Legacy;

    comes_to(&world, "unrestored-level", "kernel", |outcome| stops_with(outcome, 0xc2, None));
}

#[test]
fn a_transfer_of_a_part_gives_its_requestor_what_was_there() {
    let mut trial = trial(&busy());
    let kinds = Registry::default();
    let kind = kinds.get("short-transfer").expect("a kind");
    let places = places(&trial, kind, Some("transfer-device"));

    // Whoever has asked a device is damaged by no wrong answer of it: the influence relation says so.
    let sees_another = places.into_iter().any(|(.., at)| {
        let mut planned = worlds::fault(kind.name, "transfer-device", at.point, 1, "index = 7");
        planned.at = at;
        let outcome = trial.run(&[planned]).expect("a fault that can be made");
        outcome.activation.strikes > 0 && !worlds::sees_the_same(&trial, "editor")
    });

    assert!(sees_another);
}

#[test]
fn with_the_verifier_on_a_reference_to_an_object_that_has_none_stops_the_machine() {
    let mut world = busy();
    world.configuration.machine.verifier = vec!["security".to_owned()];
    // The first count of the first event: none instead of one.
    let lost = |trial: &Trial| {
        let kinds = Registry::default();
        let kind = kinds.get("wrong-value-stored").expect("a kind");
        let is_count = |at: &At| at.routine.as_deref() == Some("ObCreateObject");
        places(trial, kind, Some("kernel")).into_iter().filter(move |(.., at)| is_count(at))
    };
    let mut trial = trial(&world);

    let stops = lost(&trial).collect::<Vec<_>>().into_iter().any(|(.., at)| {
        let mut planned = worlds::fault("wrong-value-stored", "kernel", PointKind::Store, 1, "");
        planned.at = at;
        let outcome = trial.run(&[planned]).expect("a fault that can be made");
        stops_with(&outcome, 0xc4, Some(0x3f))
    });

    assert!(stops);
}

/// One who writes a secret through a system buffer, and one who asks a driver for two words of statistics; the
/// driver tells eight.
const TELLS_TOO_MUCH: &[u8] = br#"
format = 1
name = "tells-too-much"

[machine]
stale-buffers = true

[[component]]
name = "writer"
home = "application"
actions = [
    { do = "open", device = "files", file = 0, access = 3, slot = 0 },
    { do = "write", slot = 0, offset = 0, length = 64, value = "0x9000" },
]

[[component]]
name = "reader"
home = "application"
actions = [
    { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
    { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
    { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
    { do = "open", device = "nic", file = 0, access = 3, slot = 1 },
    { do = "read", slot = 1, offset = 0, length = 64 },
]

[[component]]
name = "files"
home = "file-system"
driver = "file-system"

[[component]]
name = "nic"
home = "kernel-driver"
driver = "transfer"

[[fault]]
kind = "wrong-completion-length"
who = "nic"
at = { point = "complete", nth = 1 }
parameters = { value = "0x40" }
"#;

#[test]
fn a_driver_that_tells_more_than_it_wrote_discloses_what_was_in_a_buffer_that_is_not_zeroed() {
    let scenario = Scenario::from_bytes(TELLS_TOO_MUCH).expect("it is sound");
    let outcome = |is_stale: bool, is_struck: bool| {
        let mut scenario = scenario.clone();
        scenario.configuration.machine.stale_buffers = is_stale;
        let plan = if is_struck { scenario.plan.clone() } else { Vec::new() };
        trial(&scenario).run(&plan).expect("a fault that can be made")
    };

    let stale = outcome(true, true);
    let zeroed = outcome(false, true);

    assert_eq!((stale.activation.strikes, zeroed.activation.strikes), (1, 1));
    assert!(stale.disclosed > 0, "{stale:?}");
    assert_eq!(zeroed.disclosed, 0);
    assert_eq!(outcome(true, false).disclosed, 0, "a driver that tells what it wrote");
}

#[test]
fn without_the_lock_one_comes_between_what_another_reads_and_what_it_writes() {
    let mut trial = trial(&neighbours());
    let kinds = Registry::default();
    let places = places(&trial, kinds.get("missing-lock").expect("a kind"), Some("kernel"));
    // What is left in another order is nothing that came between.
    let is_calm = |class| matches!(class, Class::NoEffect | Class::Latent);
    // Of the many places every eighth.
    let mut effects = |parameters: &str| {
        let (mut struck, mut effects) = (0, BTreeSet::new());
        for (number, (record, who, at)) in places.iter().enumerate().step_by(8) {
            let mut planned = worlds::fault("missing-lock", who, record.kind, 1, parameters);
            planned.at = at.clone();
            let outcome = trial.run(&[planned]).expect("a fault that can be made");
            struck += u64::from(outcome.activation.strikes > 0);
            if outcome.activation.strikes > 0 && !is_calm(outcome.class()) {
                effects.insert((number, outcome.integrity));
            }
        }
        (struck, effects)
    };

    let (struck, by_chance) = effects("");
    let (struck_again, placed) = effects("index = 0");

    assert!(struck > 100 && struck_again == struck, "{struck}, {struck_again}");
    assert!(placed.len() >= 10 * by_chance.len().max(1), "{by_chance:?}, {placed:?}");
    let is_damage = |(_, integrity): &(usize, Integrity)| *integrity >= Integrity::Consumed;
    assert!(placed.iter().any(is_damage), "{placed:?}");
}

/// Transfers of a device, and whether one into memory changed anything there.
struct Transfers {
    device: Principal,
    is_due: bool,
    has_changed: bool,
}

impl Witness for Transfers {
    fn event(&mut self, event: &Event) {
        if event.actor == self.device {
            self.is_due |= matches!(event.kind, EventKind::DmaWrite | EventKind::DmaRead);
            self.has_changed |= event.kind == EventKind::DmaWrite && event.value != event.old;
        }
    }
}

/// Whether each transfer of a device changes anything without a fault: memory, the disk, or what the device holds.
fn changes(trial: &mut Trial, device: &str) -> Vec<bool> {
    let device = worlds::named(trial, device);
    let mut all = Vec::new();
    trial.rewind();
    loop {
        let machine = &trial.world.machine;
        let held = |devices: &[Device]| devices.iter().map(|one| one.held).collect::<Vec<_>>();
        let before = (machine.disk.sectors().to_vec(), held(&machine.devices));
        let mut transfers = Transfers { device, is_due: false, has_changed: false };
        let rest = trial.world.step(&mut transfers);
        let machine = &trial.world.machine;
        if transfers.is_due {
            let after = (machine.disk.sectors().to_vec(), held(&machine.devices));
            all.push(transfers.has_changed || before != after);
        }
        if rest.is_some() {
            return all;
        }
    }
}

#[test]
fn a_transfer_of_what_is_there_already_is_not_lost() {
    let mut actions = Vec::new();
    for (device, slot) in [("nic", 0), ("files", 1)] {
        actions.extend([
            Action::Open { device: device.into(), file: 1, access: 3, slot },
            Action::Read { slot, offset: 0, length: 64 },
            Action::Write { slot, offset: 0, length: 64, value: 0x77 },
            Action::Flush { slot },
            Action::Flush { slot },
            Action::Read { slot, offset: 0, length: 64 },
        ]);
    }
    let mut trial = trial(&with_editor(actions));
    let mut seen = BTreeSet::new();
    for device in ["transfer-device", "disk-controller"] {
        let changes = changes(&mut trial, device);
        assert_eq!(changes.len() as u64, worlds::reached(&trial, device, PointKind::Dma));
        for (nth, changed) in (1..).zip(changes) {
            for (kind, parameters) in [("lost-transfer", ""), ("short-transfer", "index = 7")] {
                let plan = worlds::fault(kind, device, PointKind::Dma, nth, parameters);
                let outcome = trial.run(&[plan]).expect("a fault that can be made");
                let strikes = outcome.activation.strikes > 0;
                assert_eq!(strikes, changed, "{kind}, transfer {nth} of {device}");
            }
            seen.insert((device, changed));
        }
    }
    assert!(seen.iter().any(|(_, changed)| *changed), "{seen:?}");
    assert!(seen.iter().any(|(_, changed)| !changed), "{seen:?}");
}

/// Whether fills changed anything in a turn of the world.
#[derive(Default)]
struct Fills(Option<bool>);

impl Witness for Fills {
    fn event(&mut self, event: &Event) {
        if event.kind == EventKind::StoreRun {
            *self.0.get_or_insert_default() |= event.mask != 0;
        }
    }
}

#[test]
fn a_fill_with_what_is_there_already_is_not_missed() {
    let mut trial = trial(&neighbours());
    let mut turns = Vec::new();
    loop {
        let (mut fills, before) = (Fills::default(), trial.world.machine.clock);
        let rest = trial.world.step(&mut fills);
        turns.extend(fills.0.map(|changed| (before..=trial.world.machine.clock, changed)));
        if rest.is_some() {
            break;
        }
    }
    let kernel = worlds::named(&trial, "kernel");
    let is_copy =
        |record: &&PointRecord| (record.kind, record.principal) == (PointKind::Copy, kernel);
    let clocks = trial.golden.points.iter().filter(is_copy).map(|record| record.clock);
    let clocks: Vec<u64> = clocks.collect();

    let mut seen = BTreeSet::new();
    for (nth, clock) in (1..).zip(clocks) {
        let mut here = turns.iter().filter(|(turn, _)| turn.contains(&clock));
        let (Some((_, changed)), None) = (here.next(), here.next()) else { continue };
        let plan = worlds::fault("uninitialised-memory", "kernel", PointKind::Copy, nth, "");
        let outcome = trial.run(&[plan]).expect("a fault that can be made");
        assert_eq!(outcome.activation.strikes > 0, *changed, "fill {nth} of the kernel");
        seen.insert(*changed);
    }
    assert_eq!(seen.len(), 2, "of both sorts: {seen:?}");
}

/// Of each point of the kernel's of a kind: its argument, and whether this fault strikes there.
fn strikes_at(trial: &mut Trial, fault: &str, kind: PointKind) -> Vec<(u64, bool)> {
    let kernel = worlds::named(trial, "kernel");
    let is_it = |record: &&PointRecord| (record.kind, record.principal) == (kind, kernel);
    let points = trial.golden.points.iter().filter(is_it).map(|record| record.argument);
    let points: Vec<u64> = points.collect();
    let mut strikes = |(nth, argument)| {
        let mut plan = worlds::fault(fault, "kernel", kind, nth, "");
        plan.recurrence = Recurrence::Once;
        let outcome = trial.run(&[plan]).expect("a fault that can be made");
        (argument, outcome.activation.strikes > 0)
    };
    (1..).zip(points).map(&mut strikes).collect()
}

#[test]
fn a_probe_that_finds_nothing_wrong_is_not_missed() {
    let seen = strikes_at(&mut trial(&pointing()), "skipped-probe", PointKind::Probe);

    for (argument, strikes) in &seen {
        assert_eq!(*strikes, argument >> 47 != 0, "the probe of {argument:#x}");
    }
    assert!(seen.iter().any(|(_, strikes)| *strikes), "{seen:?}");
    assert!(seen.iter().any(|(_, strikes)| !strikes), "{seen:?}");
}

#[test]
fn an_invalidation_of_what_nobody_may_hold_is_not_lost() {
    let seen = strikes_at(&mut trial(&busy()), "lost-invalidation", PointKind::Invalidate);

    // What is new in a table was not there to be held; what is taken away may be.
    assert!(seen.iter().any(|(_, strikes)| *strikes), "{seen:?}");
    assert!(seen.iter().any(|(_, strikes)| !strikes), "{seen:?}");
}

/// The places of a kind, and of each what its strike came to.
fn struck(trial: &mut Trial, kind: &str, who: Option<&str>) -> Vec<(PointRecord, Outcome)> {
    let kinds = Registry::default();
    let kind = kinds.get(kind).expect("a kind");
    let places = places(trial, kind, who);
    let stride = (places.len() / STRIKES_MAX).max(1);
    let mut all = Vec::new();
    for (record, who, at) in places.into_iter().step_by(stride) {
        let mut planned = worlds::fault(kind.name, &who, at.point, 1, "");
        planned.at = at;
        let outcome = trial.run(&[planned]).expect("a fault that can be made");
        if outcome.activation.strikes > 0 {
            all.push((record, outcome));
        }
    }
    all
}

#[test]
fn code_that_waits_at_dispatch_level_stops_the_machine_by_whose_code_it_is() {
    let mut trial = trial(&busy());

    let of_driver = struck(&mut trial, "wait-at-dispatch", Some("nic"));
    let of_kernel = struck(&mut trial, "wait-at-dispatch", Some("kernel"));

    assert!(!of_driver.is_empty() && !of_kernel.is_empty());
    for (all, code) in [(of_driver, 0xd1), (of_kernel, 0xa)] {
        for (at, outcome) in all {
            // The address is that of the access, and nothing else is other.
            assert!(stops_with(&outcome, code, Some(at.argument)), "{outcome:?}");
            assert_eq!(outcome.integrity, Integrity::Untouched);
        }
    }
}

#[test]
fn below_dispatch_level_nobody_is_struck_for_waiting() {
    let mut trial = trial(&busy());
    let low = |record: &&PointRecord| record.kind == PointKind::Load && record.level < 2;
    let first = *trial.golden.points.iter().find(low).expect("a load");
    let who = trial.roster().name(first.principal).to_owned();
    let mut planned = worlds::fault("wait-at-dispatch", &who, PointKind::Load, 1, "");
    planned.recurrence = Recurrence::Once;

    let outcome = trial.run(&[planned]).expect("a fault that can be made");

    assert_eq!(outcome.activation.strikes, 0);
    assert_eq!(outcome.availability, Availability::Unaffected);
}

#[test]
fn user_mode_that_was_interrupted_sees_the_registers_that_the_interrupt_clobbered() {
    // Not every interrupt comes upon code that needs a register later.
    let with = |schedule| {
        let mut world = busy();
        world.configuration.schedule = schedule;
        world
    };
    let found =
        |schedule| first(&mut trial(&with(schedule)), "clobbered-registers", None, deviates);
    assert!((0..12).any(|schedule| found(schedule).is_ok()));
}

#[test]
fn an_inverted_branch_refuses_what_is_right_and_lets_pass_what_is_wrong() {
    let world = busy();
    let mut trial = trial(&world);

    let all = struck(&mut trial, "inverted-branch", None);

    assert!(all.iter().all(|(record, _)| record.branches));
    let refused =
        |outcome: &Outcome| matches!(outcome.availability, Availability::RequestFailed { .. });
    assert!(all.iter().any(|(_, outcome)| refused(outcome)), "nothing is refused");
    let of_others =
        ["kernel", "nic"].map(|who| first(&mut trial, "inverted-branch", Some(who), deviates));
    assert!(of_others.iter().any(Result::is_ok), "{of_others:?}");
}
