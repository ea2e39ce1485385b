//! How fast is it? Checked events and classified experiments per second on one core.
//!
//!     cargo bench --bench throughput
//!
//! Nothing is asserted. Each row is the least, the median and the most of several repetitions.
//!
//! Instructions instead of time: one of them alone under callgrind, with two numbers of runs (or of
//! experiments) to subtract the set-up:
//!
//!     cargo bench --bench throughput --no-run
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/deps/throughput-… checked 20
//!
//! (`counted`, `hashed`, `checked`, `forked` or `small`; it prints how many events there were.)

use std::time::Duration;
use std::time::Instant;

use ringfence::base::{Event, EventKind, Seed, Witness};
use ringfence::campaign::trial::Registries;
use ringfence::campaign::{Judge, Series, SeriesOptions, Trial};
use ringfence::scenario::{Scenario, library};
use ringfence::world::World;

const REPETITIONS: usize = 5;
const EXPERIMENTS: u32 = 1000;

/// A world so small that an experiment in it is a few hundred events: what forking, arming, going back
/// and classifying cost shows here, and is lost in the long experiments of `standard`.
const SMALL: &str = r#"
format = 1
name = "small"
about = "Two applications and little to do."
schedule = "0x5ea1"
steps-max = 6000
boots-max = 1

[machine]
processors = 1
frames = 384
smep = true
smap = false
write-protect = true
iommu = false
self-map-slot = 493
sysret-faults-in-kernel = true
transfer-delay = 12
clock-interval = 400
pool-checks = true

[[component]]
name = "first"
home = "application"
actions = [
    { do = "store", word = 0, value = "0x101" },
    { do = "load", word = 0 },
    { do = "load", word = 0 },
    { do = "wait" },
]

[[component]]
name = "second"
home = "application"
actions = [
    { do = "store", word = 0, value = "0x201" },
    { do = "load", word = 0 },
    { do = "wait" },
]
"#;

/// The fault whose experiments in the small world are measured: none that makes somebody spin until
/// the step budget ends.
const SMALL_FAULT: &str = "wild-write";

/// Speed before the kernel was deepened (incidents, protections, pools, handles, drivers' hosts), and after:
/// of each row the median in three rounds of this bench, of one tree and the other in turn on one machine.
/// The scenarios are the same; of the kinds of fault that are drawn in `standard` there are more now.
const DEEPENED: [(&str, u64, u64); 4] = [
    ("events, with books and trace hash", 48_402_946, 52_535_467),
    ("experiments, whole runs", 731, 770),
    ("experiments, forked before the strike", 2288, 2774),
    ("experiments in a small world, forked", 30_749, 31_242),
];

/// The commits that these are of: the last before, and the one after.
const COMMITS: (&str, &str) = ("08bfbe8", "b4817e0");

/// Prints what is recorded of the speed before the kernel was deepened.
fn deepened() {
    let (before, after) = COMMITS;
    let heading = "recorded: before the kernel was deepened, and after";
    println!("\n{heading:<52} {before:>12} {after:>12} {:>12}", "times");
    for (name, before, after) in DEEPENED {
        println!("{name:<52} {before:>12} {after:>12} {:>12.2}", after as f64 / before as f64);
    }
    println!("medians of three rounds in turn on one machine on which others were building");
}

/// Counts what a run consists of.
#[derive(Default)]
struct Counts {
    events: u64,
    calls: u64,
    requests: u64,
    /// Processes and driver hosts ended with an error's status, bug checks and resets.
    crashes: u64,
}

impl Witness for Counts {
    fn event(&mut self, event: &Event) {
        self.events += 1;
        self.calls += u64::from(event.kind == EventKind::Request);
        self.requests += u64::from(event.kind == EventKind::RequestHandover);
        let is_crash = match event.kind {
            EventKind::BugCheck | EventKind::Reset => true,
            EventKind::ProcessEnded => event.value >> 30 == 3,
            _ => false,
        };
        self.crashes += u64::from(is_crash);
    }
}

/// How long this thread was on a processor, which is what "per core" means on a machine that others
/// use too. `None` where the system does not say.
fn on_processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures the host's time")]
fn timed<R>(work: impl FnOnce() -> R) -> (Duration, R) {
    let (start, before) = (Instant::now(), on_processor());
    let result = work();
    let elapsed = start.elapsed();
    (before.zip(on_processor()).map_or(elapsed, |(before, after)| after - before), result)
}

fn row(name: &str, mut values: Vec<f64>) {
    values.sort_by(f64::total_cmp);
    let (least, most) = (values[0], values[values.len() - 1]);
    let median = values[values.len() / 2];
    println!("{name:<52} {least:>12.0} {median:>12.0} {most:>12.0}");
}

fn standard() -> Scenario {
    let builtin = library::find("standard").expect("it is built in");
    Scenario::from_bytes(builtin.text.as_bytes()).expect("it is sound")
}

fn small() -> (Scenario, SeriesOptions) {
    let scenario = Scenario::from_bytes(SMALL.as_bytes()).expect("it is sound");
    let kinds = vec![SMALL_FAULT.to_owned()];
    let options = SeriesOptions {
        experiments: 10 * EXPERIMENTS,
        seed: Seed(1),
        kinds,
        errors: 1,
        only: None,
    };
    (scenario, options)
}

/// One kind of work, a number of times, for callgrind. Prints the events in it.
fn alone(what: &str, count: u32) {
    let registries = Registries::default();
    let scenario = standard();
    let mut events = 0;
    if what == "forked" || what == "small" {
        let (scenario, options) = match what {
            "small" => small(),
            _ => {
                let (seed, kinds) = (Seed(1), Vec::new());
                (scenario, SeriesOptions { experiments: 0, seed, kinds, errors: 1, only: None })
            }
        };
        let options = SeriesOptions { experiments: count, ..options };
        let series = Series::new(&scenario, &options, &registries).expect("it builds");
        series
            .run(|trial, case| {
                let before = case.outcome.activation.first.unwrap_or(0);
                events += trial.judge.events().saturating_sub(before);
                std::hint::black_box(case.outcome.class());
            })
            .expect("the faults are made");
    } else {
        let mut trial = Trial::new(&scenario, &registries).expect("it builds");
        let mut counts = Counts::default();
        for _ in 0..count {
            trial.rewind();
            match what {
                "checked" => {
                    std::hint::black_box(trial.run(&[]).expect("an empty plan is made"));
                    events += trial.judge.events();
                }
                "hashed" => {
                    trial.world.run(&mut trial.judge, u64::MAX);
                    events += trial.judge.events();
                }
                _ => {
                    trial.world.run(&mut counts, u64::MAX);
                }
            }
        }
        events += counts.events;
    }
    println!("{count} {what}: {events} events");
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [what, count] = arguments.as_slice()
        && let Ok(count) = count.parse()
    {
        alone(what, count);
        return;
    }
    let scenario = standard();
    let mut world =
        World::build_with(&scenario.configuration, &ringfence::world::components::drivers())
            .expect("it builds");
    let fresh = world.checkpoint();
    let mut counts = Counts::default();
    world.run(&mut counts, u64::MAX);
    world.restore(&fresh);
    println!(
        "the world `standard`, one run: {} events, {} system calls, {} requests handed over\n",
        counts.events, counts.calls, counts.requests
    );

    let clock = if on_processor().is_some() { "on a processor" } else { "by the wall clock" };
    let heading = format!("per second {clock}, one thread");
    println!("{heading:<52} {:>12} {:>12} {:>12}", "least", "median", "most");
    let mut bare = Vec::new();
    let mut checked = Vec::new();
    let mut judge = Judge::new(world.machine.memory.words().len(), world.roster().clone());
    let start = judge.checkpoint();
    for _ in 0..REPETITIONS {
        const RUNS: u32 = 200;
        let (time, events) = timed(|| {
            let mut counts = Counts::default();
            for _ in 0..RUNS {
                world.run(&mut counts, u64::MAX);
                world.restore(&fresh);
            }
            counts.events
        });
        bare.push(events as f64 / time.as_secs_f64());
        let (time, events) = timed(|| {
            let mut events = 0;
            for _ in 0..RUNS {
                world.run(&mut judge, u64::MAX);
                events += judge.events();
                world.restore(&fresh);
                judge.restore(&start);
            }
            events
        });
        checked.push(events as f64 / time.as_secs_f64());
    }
    row("events, counted only", bare);
    row("events, with books and trace hash", checked);

    // Whole runs: every experiment from the first step to the end.
    let registries = Registries::default();
    let options = SeriesOptions {
        experiments: EXPERIMENTS,
        seed: Seed(1),
        kinds: Vec::new(),
        errors: 1,
        only: None,
    };
    let mut plans = Vec::new();
    let series = Series::new(&scenario, &options, &registries).expect("it builds");
    series.run(|_, case| plans.push(case.plan)).expect("the faults are made");
    let mut trial = Trial::new(&scenario, &registries).expect("it builds");
    let (mut whole, mut whole_events) = (Vec::new(), Vec::new());
    for _ in 0..REPETITIONS {
        let (time, events) = timed(|| {
            let mut events = 0;
            for plan in &plans {
                let outcome = trial.run(std::slice::from_ref(plan)).expect("the fault is made");
                std::hint::black_box(outcome.class());
                events += trial.judge.events();
            }
            events
        });
        whole.push(plans.len() as f64 / time.as_secs_f64());
        whole_events.push(events as f64 / time.as_secs_f64());
    }
    // Once more, to say what they consist of up to their first stop.
    let mut in_them = Counts::default();
    for plan in &plans {
        trial.rewind();
        let armed = trial.arm(0, plan).expect("the fault is made");
        trial.world.machine.points.arm(armed);
        trial.world.run(&mut in_them, u64::MAX);
    }
    row("experiments, whole runs", whole);
    row("events in them", whole_events);

    // Forked: the golden prefix is walked once, each experiment starts before its strike.
    let (mut forked, mut forked_events, mut normal) = (Vec::new(), Vec::new(), Vec::new());
    let (mut crashes, mut cases, mut after_fork) = (0u64, 0u64, 0u64);
    for _ in 0..REPETITIONS {
        (crashes, cases, after_fork) = (0, 0, 0);
        let series = Series::new(&scenario, &options, &registries).expect("it builds");
        let mut walked = 0;
        let (time, ()) = timed(|| {
            series
                .run(|trial, case| {
                    let before = case.outcome.activation.first.unwrap_or(0);
                    after_fork += trial.judge.events().saturating_sub(before);
                    walked = walked.max(before);
                    cases += 1;
                    crashes += u64::from(case.outcome.detection.is_some());
                    std::hint::black_box(case.outcome.class());
                })
                .expect("the faults are made");
        });
        let seconds = time.as_secs_f64();
        let events = (after_fork + walked) as f64;
        forked.push(cases as f64 / seconds);
        forked_events.push(events / seconds);
        normal.push(events / 200.0 / seconds);
    }
    row("experiments, forked before the strike", forked);
    row("events after the strikes", forked_events);
    row("the same as experiments of 200 events", normal);
    let (mut brief, mut brief_cases, mut brief_events) = (Vec::new(), 0u64, 0u64);
    for _ in 0..REPETITIONS {
        (brief_cases, brief_events) = (0, 0);
        let (scenario, options) = small();
        let series = Series::new(&scenario, &options, &registries).expect("it builds");
        let (time, ()) = timed(|| {
            series
                .run(|trial, case| {
                    let before = case.outcome.activation.first.unwrap_or(0);
                    brief_events += trial.judge.events().saturating_sub(before);
                    brief_cases += 1;
                    std::hint::black_box(case.outcome.class());
                })
                .expect("the faults are made");
        });
        brief.push(brief_cases as f64 / time.as_secs_f64());
    }
    row("experiments in a small world, forked", brief);
    println!(
        "\nin the small world: {brief_cases} experiments ({SMALL_FAULT}), {} events each after the strike",
        brief_events / brief_cases.max(1)
    );
    let each = |count: u64| count as f64 / plans.len().max(1) as f64;
    println!(
        "an experiment in whole, to its first stop: {:.0} events, {:.1} system calls, {:.1} requests \
         handed over, {:.2} crashes",
        each(in_them.events),
        each(in_them.calls),
        each(in_them.requests),
        each(in_them.crashes)
    );
    println!(
        "{cases} experiments; {} events each after the strike; an exception, bug check or reset in {crashes}",
        after_fork / cases.max(1)
    );
    println!("caption: both kinds are classified; \"forked\" reuses the run up to the strike");
    deepened();
}
