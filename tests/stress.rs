//! Legal disorder raises no alarm: whatever is evicted, delayed, repeated or preempted, every
//! guarantee holds and nobody but the one it happened to can tell.

use ringfence::base::Seed;
use ringfence::campaign::trial::Registries;
use ringfence::campaign::{Series, SeriesOptions};
use ringfence::faults::{Family, Kind, Model, Parameters, Registry};
use ringfence::injection::{Fault, Operation, PointKind, PointKinds, Recurrence, Scene, Verdict};
use ringfence::outcome::{Class, Integrity};
use ringfence::scenario::{Bias, Scenario};

/// Worlds, and experiments in each with every kind.
const WORLDS: u64 = 12;
const EXPERIMENTS: u32 = 12;

fn kinds() -> Vec<&'static str> {
    let all = Registry::default();
    let stress = all.kinds().iter().filter(|kind| kind.family == Family::Stress);
    stress.map(|kind| kind.name).collect()
}

/// Who takes the lock stands still in the midst of some step soon after, most often while the others wait
/// for the lock.
struct StandingStill {
    nth: u64,
}

impl Fault for StandingStill {
    fn name(&self) -> &'static str {
        STANDING_STILL.name
    }

    fn strike(&mut self, operation: &mut Operation, scene: &mut dyn Scene) -> Option<Verdict> {
        // The number of the processor that takes it.
        scene.stall(operation.value, self.nth, 60).then_some(Verdict::Proceed)
    }
}

const STANDING_STILL: Kind = Kind {
    name: "standing-still",
    family: Family::Stress,
    model: Model::Disorder,
    points: PointKinds::of(&[PointKind::Lock]),
    fits: |_, _| true,
    recurrence: Recurrence::Always,
    parameters: &["index"],
    about: "a processor stands still in the midst of a step",
    source: "this test",
    build: |parameters, _| {
        Ok(Box::new(StandingStill { nth: u64::from(parameters.index.unwrap_or(0)) }))
    },
    draw: |stream, _, _| Parameters {
        index: u16::try_from(stream.below(40)).ok(),
        ..Parameters::default()
    },
    every: |_, _| vec![Parameters::default()],
    flips_target: false,
};

/// What is wrong with stress of one kind in one world, and how often it struck.
fn alarms(seed: u64, kind: &str, experiments: u32) -> (Vec<String>, u64) {
    let scenario = Scenario::generate(Seed(seed), &Bias::default());
    let options = SeriesOptions {
        experiments,
        seed: Seed(seed),
        kinds: vec![kind.to_owned()],
        errors: 1,
        only: None,
    };
    let mut registries = Registries::default();
    registries.faults.add(STANDING_STILL);
    let series = Series::new(&scenario, &options, &registries).expect("a sound world");
    let (mut alarms, mut strikes) = (Vec::new(), 0);
    series
        .run(|_, case| {
            let outcome = &case.outcome;
            strikes += outcome.activation.strikes;
            let is_quiet = outcome.guarantees.is_empty()
                && outcome.exposures.is_empty()
                && outcome.deviated.is_empty()
                // In another order, allocations leave memory in another order, and who share a file or a word
                // find it as another left it.
                && outcome.integrity == Integrity::Untouched
                && matches!(
                    outcome.class(),
                    Class::NoEffect | Class::Latent | Class::OtherOrder | Class::NotActivated
                );
            if !is_quiet {
                alarms.push(format!(
                    "seed {seed}, experiment {}: {} {:?}\n    {:?}\n    {outcome:?}",
                    case.number,
                    outcome.class(),
                    outcome.availability,
                    case.plan
                ));
            }
        })
        .expect("faults that can be made");
    (alarms, strikes)
}

#[test]
fn stress_of_every_kind_raises_no_alarm_in_any_world() {
    let mut found = Vec::new();
    for kind in kinds().into_iter().chain([STANDING_STILL.name]) {
        let mut strikes = 0;
        for seed in 0..WORLDS {
            let (alarms, struck) = alarms(seed, kind, EXPERIMENTS);
            found.extend(alarms);
            strikes += struck;
        }
        assert!(strikes > 0, "{kind} never struck, so its silence shows nothing");
    }
    assert!(found.is_empty(), "{} alarms:\n{}", found.len(), found.join("\n"));
}

/// Worlds in which processes that share a file or a word are so close to each other that little decides who comes
/// first: in each of these some case is another order.
#[test]
fn who_comes_first_where_something_is_shared_is_nobodys_damage() {
    for (seed, kind) in [(46, "preemption"), (46, "delayed-transfer"), (141, "preemption")] {
        let (alarms, strikes) = alarms(seed, kind, 60);
        assert!(alarms.is_empty(), "{kind}: {} alarms:\n{}", alarms.len(), alarms.join("\n"));
        assert!(strikes > 0, "{kind}");
    }
}

#[test]
fn a_defect_in_the_same_worlds_does_raise_one() {
    let heard = (0..WORLDS).any(|seed| !alarms(seed, "crash", EXPERIMENTS).0.is_empty());
    assert!(heard);
}
