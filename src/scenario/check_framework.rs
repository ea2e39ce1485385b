//! What goes together in a framework with a shared host.

use crate::world::configuration::Home;

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

impl Scenario {
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
