//! Driver hosts that are late: which are ended, in whatever order things happen, and what time is enough for
//! one that does nothing wrong.

mod worlds;

use ringfence::authority::{Observations, Seen};
use ringfence::base::{Event, EventKind, Witness};
use ringfence::campaign::{Judged, Registries, Trial};
use ringfence::injection::PointKind;
use ringfence::kernel::host_time_out::START_STEPS;
use ringfence::kernel::pools::PoolKind;
use ringfence::kernel::status;
use ringfence::outcome::Availability;
use ringfence::scenario::{Scenario, Vocabulary, library};
use ringfence::world::{Action, Component, Configuration, Home, World};

use worlds::{application, built_in, driver};

/// The scenario and each of its contrasts.
fn cases(scenario: &Scenario) -> Vec<Scenario> {
    let contrasts = scenario.contrasts.iter().map(|one| one.of(scenario).expect("it is sound"));
    core::iter::once(scenario.clone()).chain(contrasts).collect()
}

#[test]
fn the_scenario_and_each_of_its_contrasts_end_as_the_file_says() {
    let mut seen_by_bystander = Vec::new();
    for case in cases(&built_in("hung-driver-host")) {
        let mut trial = Trial::new(&case, &Registries::default()).expect("its world builds");
        let judged = Judged::of(&case, &mut trial).expect("its plan is sound");

        assert_eq!(judged.missed, Vec::<String>::new(), "{:?}", case.expect);
        let bystander = trial.roster().named("bystander").expect("it is there");
        let count = |seen: &Observations| seen.of(bystander).map_or(0, Seen::count);
        let all = count(&trial.golden.observations);
        seen_by_bystander.push(count(trial.judge.authority.observations()) == all);
    }
    // In a host; in the kernel; in a host without a time-out.
    assert_eq!(seen_by_bystander, [true, false, true]);
}

/// The scenario, with so many turns that the one who ends the other gives away first, and another order.
fn with_turns(turns: usize, schedule: u64, processors: u8) -> Scenario {
    let mut scenario = built_in("hung-driver-host");
    scenario.configuration.schedule = schedule;
    scenario.configuration.machine.processors = processors;
    scenario.configuration.machine.clock_interval = 60;
    // Nobody asks for anything that is not critical.
    scenario.configuration.components[2].actions = vec![Action::Load { word: 0 }];
    let desktop = &mut scenario.configuration.components[0].actions;
    let first = desktop.iter().position(|action| *action == Action::Yield).expect("it yields");
    let last = desktop.iter().rposition(|action| *action == Action::Yield).expect("it yields");
    desktop.splice(first..=last, vec![Action::Yield; turns]);
    if let Action::CreateProcess { first, .. } = &mut desktop[0] {
        *first = u8::try_from(turns + 4).expect("few turns");
    }
    // The reader has something to do in user mode before it asks, so that it may be ended there.
    let asks = desktop.iter().position(|action| matches!(action, Action::Control { .. }));
    let asks = asks.expect("it asks");
    desktop.splice(asks..asks, vec![Action::Load { word: 1 }; 16]);
    scenario
}

#[test]
fn whenever_a_process_is_ended_it_ends_and_nobody_waits_for_its_request() {
    let (mut lost, mut refused) = (0, 0);
    for (number, turns) in (0..24).enumerate() {
        let processors = if turns % 2 == 0 { 1 } else { 2 };
        let scenario = with_turns(turns, number as u64, processors);
        let mut trial = Trial::new(&scenario, &Registries::default()).expect("its world builds");

        // Requests made by who was to end already.
        let points = trial.golden.points.iter().filter(|point| point.kind == PointKind::Complete);
        let routines = trial.world.machine.program.routines();
        let named = |number: u16| routines.get(usize::from(number)).map(|one| one.routine.name);
        let late = points.filter(|point| {
            let routines = [point.routine, point.caller].map(named);
            routines.contains(&Some("ReflectorDispatchTimed"))
        });
        refused += late.count();

        let outcome = trial.run(&scenario.plan).expect("its plan is sound");

        assert_eq!(outcome.guarantees, [""; 0], "{turns} turns: {outcome:?}");
        let is_fine = matches!(
            outcome.availability,
            Availability::HostLost { .. } | Availability::Unaffected
        );
        assert!(is_fine, "{turns} turns: {:?}", outcome.availability);
        lost += u32::from(outcome.availability != Availability::Unaffected);
    }
    assert!(lost > 4, "only {lost} hosts were ended");
    assert!(refused > 0, "nobody asked who was to end already");
}

/// When hosts ended, and when one of the same number asked for something again.
#[derive(Default)]
struct Starts {
    clock: u64,
    host: u8,
    ended: Option<u64>,
    ends: Vec<u64>,
    took: Vec<u64>,
}

impl Witness for Starts {
    fn event(&mut self, event: &Event) {
        match event.kind {
            EventKind::ProcessEnded if event.subject.0 == self.host => {
                self.ended = Some(self.clock);
                self.ends.push(event.value);
            }
            EventKind::Request if event.context.0 == self.host => {
                if let Some(ended) = self.ended.take() {
                    self.took.push(self.clock - ended);
                }
            }
            _ => {}
        }
    }
}

/// Hosts that crash at each request, and others who have work to do beside.
fn crashing(shared: bool, others: usize) -> Configuration {
    let ask = Action::Control { slot: 0, code: 0x22_0000, length: 8, value: 2 };
    let open = Action::Open { device: "reflector".into(), file: 0, access: 3, slot: 0 };
    let each = vec![[open, ask, Action::Close { slot: 0 }]; 3].concat();
    let client = application("client", [each, vec![Action::Wait]].concat());
    let parser = |name: &str, home, above| Component {
        content: Some(20),
        ..driver(name, home, "parser", above)
    };
    let mut components = vec![client, driver("reflector", Home::KernelDriver, "reflector", None)];
    if shared {
        components.extend([
            parser("shared", Home::SharedHost, None),
            parser("own", Home::SharedDriver, Some("reflector")),
            Component { driver: None, ..driver("manager", Home::DriverManager, "", None) },
        ]);
    } else {
        components.push(parser("host", Home::DriverHost, Some("reflector")));
    }
    components.extend((0..others).map(|n| application(&format!("busy-{n}"), vec![Action::Spin])));
    Configuration { components, steps_max: 60_000, ..Configuration::default() }
}

/// What becomes of the host there.
fn starts(configuration: &Configuration) -> Starts {
    let mut world = World::build(configuration).expect("a sound configuration");
    let mut starts = Starts { host: 4, ..Starts::default() };
    while world.step(&mut starts).is_none() {
        starts.clock = world.machine.clock;
    }
    starts
}

/// The longest start of a host there.
fn longest_start(configuration: &Configuration) -> u64 {
    starts(configuration).took.into_iter().max().expect("a start")
}

/// Machines that differ in what the start of a host takes.
fn machines() -> Vec<(&'static str, Configuration)> {
    let mut all = Vec::new();
    for shared in [false, true] {
        let base = crashing(shared, 0);
        let with = |change: &dyn Fn(&mut Configuration)| {
            let mut changed = base.clone();
            change(&mut changed);
            changed
        };
        all.extend([
            ("plain", with(&|_| {})),
            ("shadow roots", with(&|c| (c.machine.kva_shadow, c.machine.pcid) = (true, true))),
            ("shadow stacks", with(&|c| c.machine.shadow_stacks = true)),
            ("keys", with(&|c| c.machine.protection_keys = true)),
            ("legacy pool", with(&|c| c.machine.pool = PoolKind::Legacy)),
            ("segment pool", with(&|c| c.machine.pool = PoolKind::Segment)),
            ("special pool", with(&|c| c.machine.verifier = vec!["special-pool".into()])),
            ("verifier", with(&|c| c.machine.verifier = vec!["io".into(), "security".into()])),
            ("automatic checks", with(&|c| c.machine.verifier = vec!["automatic-checks".into()])),
            ("pageable", with(&|c| c.machine.pageable = true)),
            (
                "all of it",
                with(&|c| {
                    let machine = &mut c.machine;
                    (machine.kva_shadow, machine.pcid, machine.shadow_stacks) = (true, true, true);
                    (machine.protection_keys, machine.pageable) = (true, true);
                    let options = ["special-pool", "io", "security", "automatic-checks"];
                    machine.verifier = options.map(str::to_owned).to_vec();
                }),
            ),
        ]);
    }
    all
}

#[test]
fn what_a_start_takes_is_what_the_least_time_out_is_made_of() {
    let took = machines().into_iter().map(|(name, mut configuration)| {
        configuration.machine.processors = 1;
        configuration.machine.host_time_out = 50_000;
        (longest_start(&configuration), name)
    });

    let (longest, name) = took.max().expect("machines");

    assert!((longest..=longest * 5 / 4).contains(&START_STEPS), "{longest} with {name}");
}

/// The least time-out that a scenario of this world may have, as its check tells.
fn least(configuration: &Configuration) -> u32 {
    let mut configuration = configuration.clone();
    configuration.machine.host_time_out = 1;
    let scenario = Scenario { name: "least".into(), configuration, ..Scenario::default() };
    let problems = scenario.check(&Vocabulary::default());
    assert_eq!(problems.len(), 1, "{problems:?}");
    let expected = problems[0].expected.as_deref().expect("what was expected");
    let number =
        expected.trim_start_matches("0, for no time-out, or ").trim_end_matches(" or more");
    number.parse().expect("a number")
}

#[test]
fn with_the_least_time_out_no_host_is_ended_that_does_nothing_wrong() {
    for (processors, others, shared) in
        [(1, 0, false), (1, 5, false), (1, 5, true), (2, 5, false), (2, 2, true), (4, 4, true)]
    {
        for schedule in 0..4 {
            let mut configuration = crashing(shared, others);
            configuration.schedule = schedule;
            configuration.machine.processors = processors;
            configuration.machine.host_time_out = least(&configuration);

            let ends = starts(&configuration).ends;

            let world = format!("{processors} {others} {shared} {schedule}: {ends:x?}");
            assert!(ends.len() >= 2, "{world}");
            assert!(ends.iter().all(|end| *end == status::ACCESS_VIOLATION), "{world}");
        }
    }
}

#[test]
fn with_a_time_out_that_no_start_meets_every_new_host_is_ended() {
    let mut configuration = crashing(false, 5);
    configuration.machine.processors = 1;
    configuration.machine.host_time_out = least(&configuration) / 4;

    let ends = starts(&configuration).ends;

    assert_eq!(ends[1], status::IO_TIMEOUT, "{ends:x?}");
}

#[test]
fn a_time_out_that_is_too_short_is_told_with_line_and_column() {
    let text = library::find("hung-driver-host").expect("it is built in").text;
    let short = text.replace("host-time-out = 3000", "host-time-out = 900");

    let error = Scenario::from_toml("short", &short, &Vocabulary::default()).expect_err("short");

    let told = error.to_string();
    let line = 1 + text.lines().position(|line| line.starts_with("host-time-out")).expect("it is");
    assert!(told.contains("900 steps are too few for a host to start again in"), "{told}");
    assert!(told.contains(&format!("short:{line}:")), "{told}");
    // 500 for each of two processors, and turns of 200 for four processes.
    assert!(told.contains("0, for no time-out, or 1800 or more"), "{told}");
    let exact = text.replace("host-time-out = 3000", "host-time-out = 1800");
    assert!(Scenario::from_toml("exact", &exact, &Vocabulary::default()).is_ok());
}
