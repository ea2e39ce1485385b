//! A driver at another home, with everybody else as they were.
//!
//! The name under which requests reach a driver stays where it is. In kernel mode the driver itself
//! bears it; in user mode a reflector does and a host behind it runs the driver ("Detailed View of the
//! UMDF Architecture"), so that no client has to ask for somebody else.

use crate::world::configuration::{Component, Configuration, Home};

/// The driver that hands requests to a host.
const REFLECTOR: &str = "reflector";

/// The name of the host that drivers share.
const SHARED_HOST: &str = "shared-host";

/// Under which name the driver of the component `name` runs at another home.
#[must_use]
pub fn name_at(name: &str, home: Home) -> String {
    match home {
        Home::DriverHost | Home::SharedDriver => format!("{name}-host"),
        _ => name.strip_suffix("-host").unwrap_or(name).to_owned(),
    }
}

/// The world with the driver `name` at another home: in kernel mode, in a host of its own, or in the
/// host that drivers share.
///
/// # Errors
///
/// When the component is not there, or is none that can live at both. From the shared host no driver
/// moves back.
pub fn at_home(world: &Configuration, name: &str, home: Home) -> Result<Configuration, String> {
    let Some(index) = world.components.iter().position(|one| one.name == name) else {
        return Err(format!("there is no component `{name}` to move"));
    };
    let before = &world.components[index];
    let mut moved = world.clone();
    match (before.home, home) {
        (from, to) if from == to => {}
        (Home::KernelDriver, Home::DriverHost | Home::SharedDriver) => {
            if before.above.is_some() {
                return Err(format!("`{name}` is part of a device stack in kernel mode"));
            }
            let host = Component {
                name: name_at(name, home),
                home,
                above: Some(name.to_owned()),
                ..before.clone()
            };
            moved.components[index] =
                Component { driver: Some(REFLECTOR.to_owned()), content: None, ..before.clone() };
            moved.components.insert(index + 1, host);
            let is_there = moved.components.iter().any(|one| one.home == Home::SharedHost);
            if home == Home::SharedDriver && !is_there {
                moved.components.push(Component {
                    name: SHARED_HOST.to_owned(),
                    home: Home::SharedHost,
                    ..before.clone()
                });
            }
        }
        (Home::DriverHost, Home::KernelDriver) => {
            let door = before.above.as_deref().unwrap_or_default();
            let Some(place) = moved.components.iter().position(|one| one.name == door) else {
                return Err(format!("`{name}` is behind no reflector"));
            };
            moved.components[place] = Component {
                name: door.to_owned(),
                home: Home::KernelDriver,
                above: None,
                ..before.clone()
            };
            moved.components.remove(index);
        }
        (from, to) => {
            return Err(format!(
                "`{name}` can't move from {} to {}: only drivers move, from kernel-driver \
                 to driver-host or shared-driver, and from driver-host back",
                kebab(from),
                kebab(to)
            ));
        }
    }
    Ok(moved)
}

const fn kebab(home: Home) -> &'static str {
    match home {
        Home::Application => "application",
        Home::DriverHost => "driver-host",
        Home::SharedHost => "shared-host",
        Home::SharedDriver => "shared-driver",
        Home::DriverManager => "driver-manager",
        Home::KernelDriver => "kernel-driver",
        Home::FileSystem => "file-system",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Scenario, library};

    fn world(name: &str) -> Configuration {
        let file = library::find(name).expect("built in");
        Scenario::from_bytes(file.text.as_bytes()).expect("sound").configuration
    }

    #[test]
    fn a_driver_moves_to_a_host_and_back_and_is_asked_by_the_same_name() {
        let kernel = world("content-parser-kernel");

        let hosted = at_home(&kernel, "parser", Home::DriverHost).expect("it moves");
        let again = at_home(&hosted, "parser-host", Home::KernelDriver).expect("it moves back");

        let of = |name: &str| hosted.components.iter().find(|one| one.name == name).cloned();
        let (door, host) = (of("parser").expect("a door"), of("parser-host").expect("a host"));
        assert_eq!((door.driver.as_deref(), door.content), (Some("reflector"), None));
        assert_eq!((host.driver.as_deref(), host.content), (Some("parser"), Some(20)));
        assert_eq!(again, kernel);
    }

    #[test]
    fn an_application_stays_where_it_is() {
        let kernel = world("content-parser-kernel");

        let refused = at_home(&kernel, "client", Home::KernelDriver).expect_err("refused");

        assert!(refused.contains("only drivers move"), "{refused}");
    }
}
