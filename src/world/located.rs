//! Whose code is at an address: user-mode images share addresses, and who runs tells them apart.

use crate::base::Principal;
use crate::machine::code::{LinkedRoutine, STEP_BYTES, Step};

use super::World;
use super::components::driver_manager;
use super::configuration::Home;

impl World {
    /// The routine and step whose code is at an address, of the image that `actor` runs. `None` where there is no
    /// code.
    #[must_use]
    pub fn code_at(&self, actor: Principal, rip: u64) -> Option<(&LinkedRoutine, &'static Step)> {
        let name = self.roster().name(actor);
        let component = self.configuration().components.iter().find(|one| one.name == name);
        let image = match component {
            Some(one)
                if matches!(one.home, Home::DriverHost | Home::SharedHost | Home::SharedDriver) =>
            {
                format!("{} host", one.driver.as_deref().unwrap_or_default())
            }
            Some(one) if one.home == Home::Application => "application".to_owned(),
            Some(one) if one.home == Home::DriverManager => driver_manager::IMAGE.to_owned(),
            _ => String::new(),
        };
        let step_in = |linked: &'_ LinkedRoutine| {
            let index = rip.checked_sub(linked.entry.0)? / STEP_BYTES;
            linked.routine.steps.get(usize::try_from(index).ok()?)
        };
        let routines = self.machine.program.routines();
        let is_own = |linked: &&LinkedRoutine| linked.owner == Some(actor) || linked.image == image;
        let own = routines.iter().filter(is_own).find_map(|one| Some((one, step_in(one)?)));
        own.or_else(|| routines.iter().find_map(|one| Some((one, step_in(one)?))))
    }
}
