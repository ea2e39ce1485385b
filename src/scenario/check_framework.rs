//! What goes together in a framework with a shared host.

use crate::kernel::host_time_out::START_STEPS;
use crate::world::configuration::{Configuration, Home};

use super::Scenario;
use super::problem::{Problems, Step};

/// Where a field of a component stands.
fn at(number: usize, field: &str) -> Vec<Step> {
    vec![Step::from("component"), Step::from(number), Step::from(field)]
}

/// Whether a user-mode driver lives there.
pub(super) const fn is_host(home: Home) -> bool {
    matches!(home, Home::DriverHost | Home::SharedHost | Home::SharedDriver)
}

/// The least time-out that every host meets which does nothing wrong, where a clock takes the processor from
/// who has had it long enough: its start, on a processor that gets its turn among the others, and before it, or
/// before the manager that decides about it too, a turn of the clock for every other process that may be ready.
/// What a driver takes for its own work is not in it.
pub(super) fn least_time_out(world: &Configuration) -> u64 {
    let machine = &world.machine;
    let is_process = |home| !matches!(home, Home::KernelDriver | Home::FileSystem);
    let homes = || world.components.iter().map(|one| one.home);
    let processes = homes().filter(|&home| is_process(home) && home != Home::SharedDriver).count();
    let hands = if homes().any(|home| home == Home::DriverManager) { 2 } else { 1 };
    let others = (processes as u64).saturating_sub(hands);
    START_STEPS * u64::from(machine.processors) + hands * others * u64::from(machine.clock_interval)
}

impl Scenario {
    /// Hosts that do nothing wrong meet their time-out.
    pub(super) fn check_time_out(&self, problems: &mut Problems) {
        let (world, least) = (&self.configuration, least_time_out(&self.configuration));
        let given = u64::from(world.machine.host_time_out);
        if given == 0 || given >= least || !world.components.iter().any(|one| is_host(one.home)) {
            return;
        }
        let path = vec![Step::from("machine"), Step::from("host-time-out")];
        let problem =
            problems.add(path, format!("{given} steps are too few for a host to start again in"));
        problem.expected = Some(format!("0, for no time-out, or {least} or more"));
        problem.remedy = Some(format!(
            "{START_STEPS} for each processor, and turns of {} for the other processes",
            world.machine.clock_interval
        ));
    }

    /// A shared host has drivers, and they are its own kind; a shared driver has a host.
    pub(super) fn check_framework(&self, problems: &mut Problems) {
        let all = &self.configuration.components;
        for (home, what) in
            [(Home::SharedHost, "shared hosts"), (Home::DriverManager, "driver managers")]
        {
            let mut those = all.iter().enumerate().filter(|(_, c)| c.home == home);
            if let Some((number, _)) = those.nth(1) {
                problems.add(at(number, "home"), format!("too many {what}")).expected =
                    Some("at most 1".to_owned());
            }
        }
        let host = all.iter().position(|c| c.home == Home::SharedHost);
        let mut drivers = all.iter().enumerate().filter(|(_, c)| c.home == Home::SharedDriver);
        match host {
            Some(number) if drivers.clone().next().is_none() => {
                let name = &all[number].name;
                problems
                    .add(
                        at(number, "home"),
                        format!("nobody's driver is in the shared host `{name}`"),
                    )
                    .remedy = Some("give a driver the home `shared-driver`".to_owned());
            }
            Some(host) => {
                for (number, driver) in drivers {
                    if driver.driver.is_some() && driver.driver != all[host].driver {
                        problems
                            .add(
                                at(number, "driver"),
                                format!("the shared host `{}` runs another driver", all[host].name),
                            )
                            .expected =
                            all[host].driver.clone().map(|driver| format!("`{driver}`"));
                    }
                }
            }
            None => {
                if let Some((number, driver)) = drivers.next() {
                    problems
                        .add(
                            at(number, "home"),
                            format!("`{}` shares a host that is not there", driver.name),
                        )
                        .remedy = Some("add a component at home `shared-host`".to_owned());
                }
            }
        }
    }
}
