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

/// A world in which a driver was moved, and under which names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moved {
    /// The world.
    pub world: Configuration,
    /// The component that is the driver there.
    pub component: String,
}

impl Moved {
    /// The driver `name` of a world at another home, from wherever it is: behind a reflector by way of
    /// kernel mode.
    ///
    /// # Errors
    ///
    /// As [`at_home`].
    pub fn to(world: &Configuration, name: &str, home: Home) -> Result<Self, String> {
        let before = world.components.iter().find(|one| one.name == name);
        let Some(before) = before else {
            return Err(format!("there is no component `{name}` to move"));
        };
        if before.home == home {
            return Ok(Self { world: world.clone(), component: name.to_owned() });
        }
        // In kernel mode it bears the name of the reflector that it was behind.
        let (kernel, door) = match (before.home, &before.above) {
            (Home::DriverHost, Some(door)) => {
                (at_home(world, name, Home::KernelDriver)?, door.clone())
            }
            _ => (world.clone(), name.to_owned()),
        };
        if home == Home::KernelDriver && before.home == Home::DriverHost {
            return Ok(Self { world: kernel, component: door });
        }
        let world = at_home(&kernel, &door, home)?;
        Ok(Self { world, component: name_at(&door, home) })
    }
}

/// The process or driver in which the code of a component runs: the host that drivers share, for one of
/// these; itself otherwise.
#[must_use]
pub fn runs_in<'a>(world: &'a Configuration, name: &'a str) -> &'a str {
    let is_shared = |one: &Component| one.name == name && one.home == Home::SharedDriver;
    if !world.components.iter().any(is_shared) {
        return name;
    }
    let host = world.components.iter().find(|one| one.home == Home::SharedHost);
    host.map_or(name, |host| &host.name)
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
    fn a_driver_moves_from_any_home_to_any_other_and_its_name_there_is_known() {
        let kernel = world("content-parser-kernel");
        let homes = [
            (Home::KernelDriver, "parser", "parser"),
            (Home::DriverHost, "parser-host", "parser-host"),
            (Home::SharedDriver, "parser-host", SHARED_HOST),
        ];

        for (home, name, runner) in homes {
            let moved = Moved::to(&kernel, "parser", home).expect("it moves");

            assert_eq!(moved.component, name, "{home:?}");
            assert_eq!(runs_in(&moved.world, &moved.component), runner, "{home:?}");
        }
        let hosted = at_home(&kernel, "parser", Home::DriverHost).expect("it moves");
        let shared = Moved::to(&hosted, "parser-host", Home::SharedDriver).expect("it moves");
        let direct = Moved::to(&kernel, "parser", Home::SharedDriver).expect("it moves");
        assert_eq!(shared, direct);
    }

    #[test]
    fn an_application_stays_where_it_is() {
        let kernel = world("content-parser-kernel");

        let refused = at_home(&kernel, "client", Home::KernelDriver).expect_err("refused");

        assert!(refused.contains("only drivers move"), "{refused}");
    }
}
