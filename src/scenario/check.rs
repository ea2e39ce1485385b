//! What a scenario's fields mean taken together.

use super::form::{
    BOOTS_MAX, CONTENT_MAX, FRAMES, NTH_MAX, PAGE_WORDS, PROCESS_WORDS, PROCESSORS_MAX,
    SELF_MAP_SLOTS, STEPS_MAX,
};
use super::problem::{Problem, Problems, Step};
use super::{Scenario, Vocabulary, check_framework};
use crate::faults::Mix;
use crate::kernel::layout::{ACTIONS_MAX, address};
use crate::kernel::loader::{SECTIONS, STACKS};
use crate::world::action::{Action, LENGTH_MAX, PRIVATE_WORDS, SLOTS_MAX};
use crate::world::components::drivers;
use crate::world::configuration::{Component, Home, SELF_MAP_SLOT};
use crate::world::directory::Directory;
use crate::world::preset::{DRAWN, SLOT, SLOT_AND_DRAWN};

/// Characters of a name at most.
const NAME_MAX: usize = 40;
/// Kernel stacks that are not for processes: idle threads and the system's own.
const SYSTEM_STACKS: u64 = 5;

/// Whether a name is in no list.
pub(super) fn unknown(name: &str, known: &[String]) -> bool {
    !known.iter().any(|other| other == name)
}

macro_rules! path {
    ($($step:expr),+ $(,)?) => { vec![$(Step::from($step)),+] };
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= NAME_MAX
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

const fn is_kernel_driver(home: Home) -> bool {
    matches!(home, Home::KernelDriver | Home::FileSystem)
}

impl Scenario {
    /// Everything that is wrong with it; nothing when a world can be built and its plan armed.
    #[must_use]
    pub fn check(&self, vocabulary: &Vocabulary) -> Vec<Problem> {
        let mut problems = Problems::default();
        if self.name.trim().is_empty() {
            let problem = problems.add(path!["name"], "a scenario without a name can't be told");
            problem.expected = Some("a name, such as \"stray-store\"".to_owned());
        }
        self.check_machine(vocabulary, &mut problems);
        let components = &self.configuration.components;
        if components.is_empty() {
            problems.add(path!["name"], "a scenario needs at least one component").remedy =
                Some("add a `[[component]]`".to_owned());
        }
        self.check_counts(&mut problems);
        self.check_expectation(vocabulary, &mut problems);
        for (number, component) in components.iter().enumerate() {
            self.check_component(number, component, vocabulary, &mut problems);
        }
        // Faults are looked at in a world that can be: a roster has room for so many.
        if components.len() <= crate::base::Principal::COUNT_MAX - 4 {
            self.check_plan(vocabulary, &mut problems);
        }
        self.check_incident(&mut problems);
        self.check_mix(vocabulary, &mut problems);
        // What is wrong with the case itself is told once.
        if problems.0.is_empty() {
            self.check_contrasts(vocabulary, &mut problems);
        }
        problems.0
    }

    fn check_incident(&self, problems: &mut Problems) {
        let Some(incident) = &self.incident else { return };
        let names = || self.configuration.components.iter().map(|one| &*one.name);
        if let Some(component) = &incident.component {
            problems.known(path!["incident", "component"], "component", component, names());
        }
        for (number, beside) in incident.beside.iter().enumerate() {
            let here = path!["incident", "beside", number];
            problems.known(here, "component", beside, names());
        }
    }

    fn check_mix(&self, vocabulary: &Vocabulary, problems: &mut Problems) {
        if self.mix.is_empty() {
            return;
        }
        if let Err(wrong) = Mix::of(self.mix.clone(), &vocabulary.faults) {
            let path = wrong.share.map_or(path!["mix"], |share| path!["mix", &*share]);
            problems.add(path, wrong.what).remedy = Some(wrong.remedy);
        }
    }

    /// Each contrast can be made, and is a scenario then.
    fn check_contrasts(&self, vocabulary: &Vocabulary, problems: &mut Problems) {
        for (number, contrast) in self.contrasts.iter().enumerate() {
            let name = &contrast.name;
            let here = path!["contrast", number];
            if self.contrasts[..number].iter().any(|other| other.name == *name) {
                problems
                    .add(
                        path!["contrast", number, "name"],
                        format!("two contrasts are named `{name}`"),
                    )
                    .remedy = Some("say of each what is different".to_owned());
            }
            let changed = match contrast.of(self) {
                Ok(changed) => changed,
                Err(what) => {
                    problems.add(here, what);
                    continue;
                }
            };
            for problem in changed.check(vocabulary) {
                // What is expected, or planned, stands in the contrast; anything else comes of it.
                let is_its_own = matches!(&problem.path[..], [Step::Field(first), ..]
                    if matches!(&**first, "expect" | "fault"));
                let path =
                    if is_its_own { [here.clone(), problem.path].concat() } else { here.clone() };
                problems.0.push(Problem { path, ..problem });
            }
        }
    }

    fn check_machine(&self, vocabulary: &Vocabulary, problems: &mut Problems) {
        let world = &self.configuration;
        let machine = &world.machine;
        let at = |name: &str| path!["machine", name];
        problems.range(at("processors"), machine.processors.into(), 1, PROCESSORS_MAX);
        problems.range(at("frames"), machine.frames.into(), FRAMES.0, FRAMES.1);
        let (first, last) = SELF_MAP_SLOTS;
        problems.range(at("self-map-slot"), machine.self_map_slot.into(), first, last);
        if machine.self_map_randomised && machine.self_map_slot != SELF_MAP_SLOT {
            let problem = problems.add(at(SLOT), SLOT_AND_DRAWN);
            problem.expected =
                Some(format!("{SELF_MAP_SLOT}, the usual one, or `{DRAWN} = false`"));
        }
        let taken = [address::SYSTEM, address::POOL].map(|virt| virt >> 39 & 511);
        if taken.contains(&machine.self_map_slot.into()) {
            let what = format!("self-map slot {} is the system's own", machine.self_map_slot);
            problems.add(at("self-map-slot"), what).expected =
                Some(format!("any but {} and {}", taken[0], taken[1]));
        }
        problems.range(at("transfer-delay"), machine.transfer_delay.into(), 1, u64::from(u16::MAX));
        if machine.clock_interval != 0 {
            problems.range(
                at("clock-interval"),
                machine.clock_interval.into(),
                50,
                u64::from(u32::MAX),
            );
        }
        if machine.has_watchdogs() && machine.clock_interval == 0 {
            let what = "watchdogs count the clock's ticks, and there is no clock";
            problems.add(at("clock-interval"), what).expected =
                Some("a clock-interval of 50 or more".to_owned());
        }
        self.check_time_out(problems);
        problems.range(path!["steps-max"], world.steps_max, 1, STEPS_MAX);
        problems.range(path!["boots-max"], world.boots_max.into(), 1, BOOTS_MAX);
        let known = || vocabulary.weaknesses.iter().map(String::as_str);
        for (number, name) in world.weaknesses.iter().enumerate() {
            let here = path!["weaknesses", number];
            if problems.known(here.clone(), "weakness", name, known().collect::<Vec<_>>())
                && world.weaknesses[..number].contains(name)
            {
                problems.add(here, format!("weakness `{name}` is planted already"));
            }
        }
    }

    fn check_counts(&self, problems: &mut Problems) {
        let components = &self.configuration.components;
        let mut limit = |is: fn(&Component) -> bool, most: u64, sort: &str| {
            let mut of_sort = components.iter().enumerate().filter(|(_, component)| is(component));
            let excess = of_sort.nth(usize::try_from(most).unwrap_or(usize::MAX));
            if let Some((number, _)) = excess {
                let count = components.iter().filter(|component| is(component)).count();
                problems
                    .add(path!["component", number], format!("{count} {sort} are too many"))
                    .expected = Some(format!("at most {most}"));
            }
        };
        let most = STACKS - SYSTEM_STACKS;
        limit(|c| !is_kernel_driver(c.home), most, "processes");
        limit(|c| is_kernel_driver(c.home), address::DRIVERS_MAX, "kernel-mode drivers");
        // Each stands for a piece of hardware or of the disk of which there is one.
        limit(serves_the_device, 1, "drivers of the one transfer device");
        limit(|c| c.home == Home::FileSystem, 1, "file systems on the one disk");
        // A shared host has the content of the driver that it hosts.
        let has_content = |c: &Component| c.content.is_some() && c.home != Home::SharedHost;
        limit(has_content, 1, "parsers of the disk's one content");
        self.check_framework(problems);
    }

    fn check_component(
        &self,
        number: usize,
        component: &Component,
        vocabulary: &Vocabulary,
        problems: &mut Problems,
    ) {
        let all = &self.configuration.components;
        let at = |field: &str| path!["component", number, field];
        let name = &component.name;
        if !is_name(name) {
            problems.add(at("name"), format!("`{name}` is no name for a component")).expected =
                Some(
                    "lower-case letters, digits and hyphens, a letter first, at most 40".to_owned(),
                );
        }
        let reserved = ["kernel", "hal", "transfer-device", "disk-controller", "nobody"];
        let images = ["nt", "windows-api", "application"];
        if reserved.contains(&&**name) || images.contains(&&**name) {
            problems
                .add(at("name"), format!("`{name}` is the name of a part of every world"))
                .remedy = Some("choose another name".to_owned());
        }
        if all[..number].iter().any(|other| other.name == *name) {
            problems.add(at("name"), format!("there are two components named `{name}`")).remedy =
                Some("give each a name of its own".to_owned());
        }
        let is_application = component.home == Home::Application;
        if component.home == Home::DriverManager {
            return;
        }
        let mut only = |given: bool, field: &str, whom: &str| {
            if given {
                problems.add(at(field), format!("only {whom} has `{field}`")).remedy =
                    Some(format!("leave it out, or change the home of `{name}`"));
            }
        };
        only(is_application && component.driver.is_some(), "driver", "a driver or driver host");
        only(is_application && component.above.is_some(), "above", "a driver or driver host");
        only(is_application && component.content.is_some(), "content", "a content parser");
        only(!is_application && component.critical, "critical", "an application");
        only(!is_application && component.spawned, "spawned", "an application");
        only(!is_application && !component.actions.is_empty(), "actions", "an application");
        if is_application {
            self.check_actions(number, component, problems);
            return;
        }
        let known = if check_framework::is_host(component.home) {
            &vocabulary.hosted_drivers
        } else {
            &vocabulary.kernel_drivers
        };
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        match component.driver.as_deref() {
            Some(driver) => {
                problems.known(at("driver"), "driver", driver, known);
            }
            None => {
                problems.add(at("name"), format!("which driver is `{name}`?")).expected =
                    Some(format!("`driver`, one of {}", known.join(", ")));
            }
        }
        let parses = matches!(component.driver.as_deref(), Some("parser" | "parser-bounded"));
        if component.content.is_some() && !parses {
            problems.add(at("content"), "only parsers have content");
        }
        if let Some(content) = component.content {
            problems.range(at("content"), content, 0, CONTENT_MAX);
        }
        if component.home != Home::SharedHost {
            self.check_above(number, component, problems);
        }
    }

    fn check_above(&self, number: usize, component: &Component, problems: &mut Problems) {
        let all = &self.configuration.components;
        let at = |field: &str| path!["component", number, field];
        let name = &component.name;
        let is_host = check_framework::is_host(component.home);
        let drivers: Vec<&str> = all
            .iter()
            .filter(|other| is_kernel_driver(other.home) && other.name != *name)
            .map(|other| &*other.name)
            .collect();
        let Some(above) = component.above.as_deref() else {
            if is_host || component.driver.as_deref() == Some("filter") {
                let what = if is_host { "hands requests to" } else { "is below" };
                let problem = problems.add(at("name"), format!("which driver {what} `{name}`?"));
                problem.expected = Some(match &drivers[..] {
                    [] => "`above`, the name of another driver in kernel mode".to_owned(),
                    drivers => format!("`above`, one of {}", drivers.join(", ")),
                });
                problem.remedy =
                    drivers.is_empty().then(|| "the scenario has none: add one".to_owned());
            }
            return;
        };
        if !problems.known(at("above"), "kernel-mode driver", above, drivers) {
            return;
        }
        let below = all.iter().position(|other| other.name == above).unwrap_or(number);
        if is_host && all[below].driver.as_deref() != Some("reflector") {
            problems
                .add(at("above"), format!("`{above}` is no reflector and hands requests to nobody"))
                .remedy = Some("put the host above a driver `reflector`".to_owned());
        }
        if is_host
            && all[..number]
                .iter()
                .any(|c| check_framework::is_host(c.home) && c.above.as_deref() == Some(above))
        {
            problems.add(at("above"), format!("`{above}` has a host already"));
        }
        if !is_host && below > number {
            problems.add(at("above"), format!("`{above}` is listed after `{name}`")).remedy =
                Some("list the lower driver first: it is loaded first".to_owned());
        }
    }

    fn check_actions(&self, number: usize, component: &Component, problems: &mut Problems) {
        let all = &self.configuration.components;
        let actions = &component.actions;
        if actions.len() as u64 > ACTIONS_MAX {
            problems
                .add(
                    path!["component", number, "actions"],
                    format!("{} actions are too many", actions.len()),
                )
                .expected = Some(format!("at most {ACTIONS_MAX}"));
        }
        if component.spawned && !actions.is_empty() {
            problems
                .add(
                    path!["component", number, "actions"],
                    "a spawned process runs its creator's list",
                )
                .remedy = Some("leave the actions out, or the mark `spawned`".to_owned());
        }
        let devices: Vec<&str> =
            all.iter().filter(|c| is_kernel_driver(c.home)).map(|c| &*c.name).collect();
        let processes: Vec<&str> =
            all.iter().filter(|c| !is_kernel_driver(c.home)).map(|c| &*c.name).collect();
        let spawned: Vec<&str> = all.iter().filter(|c| c.spawned).map(|c| &*c.name).collect();
        for (index, action) in actions.iter().enumerate() {
            let at = |field: &str| path!["component", number, "actions", index, field];
            for (field, &mut slot) in action.clone().slots_mut() {
                problems.range(at(field), slot.into(), 0, u64::from(SLOTS_MAX) - 1);
            }
            match action {
                Action::Store { word, .. } | Action::Load { word } => {
                    problems.range(at("word"), u64::from(*word), 0, u64::from(PRIVATE_WORDS) - 1);
                }
                Action::StoreThrough { word, .. } | Action::LoadThrough { word, .. } => {
                    problems.range(at("word"), u64::from(*word), 0, PAGE_WORDS - 1);
                }
                Action::Read { length, .. }
                | Action::ReadTo { length, .. }
                | Action::Write { length, .. }
                | Action::Control { length, .. } => {
                    problems.range(at("length"), u64::from(*length), 0, u64::from(LENGTH_MAX));
                }
                Action::Open { device, .. } => {
                    problems.known(at("device"), "device", device, devices.clone());
                }
                Action::StoreProcessAddress { word, process, field } => {
                    problems.range(at("word"), u64::from(*word), 0, u64::from(PRIVATE_WORDS) - 1);
                    problems.range(at("field"), u64::from(*field), 0, PROCESS_WORDS - 1);
                    problems.known(at("process"), "process", process, processes.clone());
                }
                Action::OpenSection { section, .. } => {
                    problems.range(at("section"), u64::from(*section), 0, SECTIONS - 1);
                }
                Action::OpenProcess { process, .. } => {
                    problems.known(at("process"), "process", process, processes.clone());
                }
                Action::CreateProcess { process, first, .. } => {
                    problems.known(at("process"), "spawned process", process, spawned.clone());
                    problems.range(at("first"), u64::from(*first), 0, actions.len() as u64 - 1);
                }
                Action::CreateThread { first, .. }
                | Action::Repeat { first, .. }
                | Action::OnFailure { first } => {
                    problems.range(at("first"), u64::from(*first), 0, actions.len() as u64 - 1);
                }
                Action::SystemCall { arguments, .. } if arguments.len() > 6 => {
                    problems
                        .add(at("arguments"), format!("{} arguments are too many", arguments.len()))
                        .expected = Some("at most 6".to_owned());
                }
                _ => {}
            }
        }
    }

    fn check_plan(&self, vocabulary: &Vocabulary, problems: &mut Problems) {
        let directory = Directory::of(&self.configuration);
        let roster = directory.roster();
        let kinds: Vec<&str> = vocabulary.faults.kinds().iter().map(|kind| kind.name).collect();
        let names: Vec<&str> = roster.iter().map(|(_, entry)| &*entry.name).collect();
        let components = &self.configuration.components;
        let is_here = |driver: &Option<String>| {
            driver.is_none() || components.iter().any(|component| component.driver == *driver)
        };
        let routines = vocabulary.routines.iter().filter(|(driver, _)| is_here(driver));
        let routines: Vec<&str> = routines.map(|(_, routine)| &**routine).collect();
        for (number, fault) in self.plan.iter().enumerate() {
            let at = |field: &str| path!["fault", number, field];
            problems.range(path!["fault", number, "at", "nth"], fault.at.nth, 1, NTH_MAX);
            for (field, name) in [("routine", &fault.at.routine), ("caller", &fault.at.caller)] {
                if let Some(name) = name {
                    // A copy may be named with its image.
                    let name = name.split_once('!').map_or(&**name, |(_, name)| name);
                    problems.near(path!["fault", number, "at", field], "routine", name, &routines);
                }
            }
            let point = || path!["fault", number, "at", "point"];
            if problems.known(at("who"), "principal", &fault.who, names.clone())
                && let Some((what, expected)) = fault.is_never_reached(roster)
            {
                problems.add(point(), what).expected = Some(expected);
            }
            if !problems.known(at("kind"), "fault", &fault.kind, kinds.clone()) {
                // What it would aim at can be looked up all the same.
                let target = fault.parameters.target.as_ref();
                if let Some(Err(what)) = target.map(|target| directory.check(target)) {
                    problems.add(path!["fault", number, "parameters", "target"], what);
                }
                continue;
            }
            if let Some((what, expected)) = fault.is_out_of_place(&vocabulary.faults) {
                problems.add(point(), what).expected = Some(expected);
            }
            if let Err(what) = vocabulary.faults.build(&fault.kind, &fault.parameters, &directory) {
                problems.add(at("parameters"), what);
            }
        }
    }
}

/// Whether a component is a driver that the one transfer device interrupts for.
fn serves_the_device(component: &Component) -> bool {
    let drivers = drivers().kernel;
    let mut same = drivers.iter().filter(|known| component.driver.as_deref() == Some(known.name));
    is_kernel_driver(component.home) && same.any(|known| known.dispatch.deferred.is_some())
}
