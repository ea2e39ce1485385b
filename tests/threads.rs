//! Every single fault of a kind in a world where a process has two threads: it stays within that process, and any
//! number of workers finds the same.

use ringfence::campaign::Sweep;
use ringfence::scenario::Scenario;

const WORLD: &str = r#"
format = 1
name = "two-threads"
about = "A process with two threads, and one who has nothing to do with it."
steps-max = 4000

[[component]]
name = "editor"
home = "application"
actions = [
    { do = "create-event", slot = 2 },
    { do = "create-thread", first = 6, slot = 1 },
    { do = "store", word = 1, value = "0x11" },
    { do = "set-event", slot = 2 },
    { do = "load", word = 1 },
    { do = "exit", status = 3 },
    { do = "allocate", slot = 4 },
    { do = "store-through", slot = 4, word = 2, value = "0x22" },
    { do = "load-through", slot = 4, word = 2 },
    { do = "free", slot = 4 },
    { do = "repeat", first = 6, times = 0 },
]

[[component]]
name = "shell"
home = "application"
actions = [
    { do = "store", word = 2, value = "0x33" },
    { do = "allocate", slot = 1 },
    { do = "load-through", slot = 1, word = 9 },
    { do = "load", word = 2 },
]
"#;

fn sweep(kinds: &[&str], processors: u8) -> Sweep {
    let mut scenario = Scenario::from_bytes(WORLD.as_bytes()).expect("it is sound");
    scenario.configuration.machine.processors = processors;
    let kinds = kinds.iter().map(|&kind| kind.to_owned()).collect();
    Sweep { kinds, ..Sweep::of(scenario) }
}

#[test]
fn a_fault_of_user_mode_in_a_process_with_two_threads_reaches_nobody_else() {
    for processors in [1, 2] {
        let swept = sweep(&["crash", "wrong-service", "kernel-address-as-argument"], processors)
            .run(|_| {})
            .expect("it runs");

        assert_eq!(swept.golden, []);
        assert!(swept.run > 100, "{}", swept.run);
        let violations: Vec<_> = swept.violations.iter().map(|(_, case)| &case.plan).collect();
        assert!(violations.is_empty(), "{processors} processors: {violations:#?}");
    }
}

#[test]
fn any_number_of_workers_finds_the_same() {
    let digest = |workers| {
        let sweep = Sweep { workers, ..sweep(&["crash"], 2) };
        sweep.run(|_| {}).expect("it runs").digest
    };
    let one = digest(1);

    assert_eq!([digest(2), digest(7)], [one, one]);
}
