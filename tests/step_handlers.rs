//! A fault within a step, at an address that is not its beginning, is handled as one of that step.

mod worlds;

use ringfence::base::Seed;
use ringfence::campaign::{Registries, Trial};
use ringfence::injection::PointKind;
use ringfence::kernel::layout::address;
use ringfence::outcome::Availability;
use ringfence::scenario::{Bias, Scenario};
use ringfence::world::World;

use worlds::fault;

/// A call to the second word of a routine's first step, which is no code, is not made good by what that word
/// would say as code.
#[test]
fn the_second_word_of_a_step_names_no_handler() {
    let mut called = 0;
    for seed in 2000..2006 {
        let scenario = Scenario::generate(Seed(seed), &Bias::default());
        let world = World::build(&scenario.configuration).expect("generated worlds are sound");
        let routines = world.machine.program.routines();
        let entries: Vec<u64> = routines.iter().map(|linked| linked.entry.0).collect();
        let mut trial = Trial::new(&scenario, &Registries::default()).expect("a world");
        for driver in &scenario.configuration.components {
            for entry in ["read", "write", "control", "flush"] {
                let flip = format!("target = 'driver:{}/{entry}-dispatch'\nbit = 3", driver.name);
                let flip = fault("bit-flip", "kernel", PointKind::Step, 1, &flip);
                let Ok(outcome) = trial.run(&[flip]) else { continue };
                let Availability::BugCheck { parameters, .. } = outcome.availability else {
                    continue;
                };
                let of_a_driver =
                    |at: u64| (address::DRIVER_CODE..address::FILE_CACHE).contains(&at);
                for at in parameters.into_iter().filter(|at| of_a_driver(*at) && at & 15 == 8) {
                    assert!(entries.contains(&(at - 8)), "{seed} {} {entry}: {at:#x}", driver.name);
                    called += 1;
                }
            }
        }
    }
    assert!(called >= 4, "{called}");
}
