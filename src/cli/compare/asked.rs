//! From the command line to comparisons.

use std::path::Path;

use crate::base::nearest;
use crate::campaign::comparison::{Comparison, Configuration, GENERATED_COMPONENT};
use crate::scenario::home::at_home;
use crate::scenario::library::Named;
use crate::scenario::{Mistake, Scenario, Variation, library};
use crate::world::components::drivers;
use crate::world::configuration::Home;

use super::super::arguments::CampaignArguments;
use super::super::campaign::{SEEDS, mix};
use super::super::{Failure, load};
use super::Asked;

/// What is to be compared: what is named, or homes and then protections.
pub(super) fn asked(
    arguments: &CampaignArguments,
    names: &[String],
) -> Result<Vec<Asked>, Failure> {
    let scenario = arguments.scenario.as_deref().map(load::scenario).transpose()?;
    let mix = mix(arguments)?;
    let filled = |comparison: Comparison| {
        let mut filled = fill(comparison, arguments, scenario.as_ref());
        filled.registries.mix.clone_from(&mix);
        filled
    };
    if !names.is_empty() {
        let mut configurations =
            names.iter().map(|name| configuration(name)).collect::<Result<Vec<_>, _>>()?;
        check_worlds(&configurations, scenario.is_some())?;
        if let [one] = &configurations[..] {
            // What it differs from is the world as it is.
            let is_of_its_own = one.world.is_some();
            if is_of_its_own && one.variation == Variation::none() {
                return Err(Failure::mistake(
                    format!("`{}` alone compares nothing", one.name),
                    "name a second configuration",
                ));
            }
            configurations.insert(0, as_it_is(one));
        }
        let mut comparison = filled(Comparison::of(configurations));
        comparison.component = component(&comparison, arguments)?;
        return Ok(vec![Asked { title: "configurations", comparisons: vec![comparison] }]);
    }
    let mut all = Vec::new();
    let homes = filled(Comparison::of_homes(""));
    match component(&homes, arguments) {
        Ok(Some(name)) if homes.is_generated() || can_move(&world_of(&homes), &name) => {
            let comparisons = vec![Comparison { component: Some(name), ..homes }];
            all.push(Asked { title: "homes", comparisons });
        }
        // Where nothing is named that could move, protections are compared all the same.
        Ok(_) => {}
        Err(_) if arguments.component.is_none() => {}
        Err(failure) => return Err(failure),
    }
    let mut comparisons: Vec<Comparison> =
        Comparison::of_protections().into_iter().map(filled).collect();
    for one in &mut comparisons {
        one.component = component(one, arguments)?;
    }
    all.push(Asked { title: "protections", comparisons });
    Ok(all)
}

/// The same without the change.
fn as_it_is(one: &Configuration) -> Configuration {
    let name = match &one.world {
        Some(_) => one.name.split('+').next().unwrap_or_default().to_owned(),
        None => Variation::none().name().to_owned(),
    };
    Configuration { name, world: one.world.clone(), variation: Variation::none() }
}

fn fill(
    comparison: Comparison,
    arguments: &CampaignArguments,
    scenario: Option<&Scenario>,
) -> Comparison {
    let seeds = arguments.seeds.unwrap_or_else(|| SEEDS.into());
    Comparison {
        scenario: scenario.cloned(),
        file: arguments.scenario.clone(),
        seeds,
        experiments: arguments.experiments,
        kinds: arguments.fault.clone(),
        workers: load::workers(arguments.jobs),
        ..comparison
    }
}

/// A configuration by its name: a scenario, a variation, or a varied scenario.
fn configuration(name: &str) -> Result<Configuration, Failure> {
    let (first, changes) = match name.split_once('+') {
        Some((first, changes)) if !Path::new(name).exists() => (first, Some(changes)),
        _ => (name, None),
    };
    let is_file = !first.contains('=') && first.contains(['/', '\\', '.']);
    let is_scenario = is_file || matches!(library::named(first), Named::Scenario(_));
    if !is_scenario {
        return match Variation::read(name) {
            Ok(variation) => Ok(variation.into()),
            Err(wrong) => Err(told(first, wrong)),
        };
    }
    let world = Some(load::scenario(first)?);
    let variation = changes.map_or_else(|| Ok(Variation::none()), Variation::read);
    let variation = variation.map_err(|wrong| told(first, wrong))?;
    Ok(Configuration { name: name.to_owned(), world, variation })
}

/// What is wrong with a variation; it may have been meant to be a scenario.
fn told(first: &str, wrong: Mistake) -> Failure {
    let scenario = nearest(first, library::names()).filter(|_| !first.contains('='));
    let remedy = match scenario {
        Some(near) if !wrong.remedy.starts_with("did you mean") => {
            format!("did you mean `{near}`?")
        }
        _ => wrong.remedy,
    };
    Failure::mistake(wrong.what, remedy)
}

/// A world of its own can't be compared with a change of generated ones.
fn check_worlds(configurations: &[Configuration], is_named: bool) -> Result<(), Failure> {
    let own = configurations.iter().find(|one| one.world.is_some());
    let change = configurations.iter().find(|one| one.world.is_none());
    match (own, change) {
        (Some(own), Some(change)) if !is_named => Err(Failure::mistake(
            format!("`{}` is a world and `{}` a change of generated ones", own.name, change.name),
            format!("name the scenario that is changed, as in {}+{}", own.name, change.name),
        )),
        _ => Ok(()),
    }
}

/// The world that a comparison is about, the first of several.
fn world_of(comparison: &Comparison) -> Scenario {
    let own = comparison.configurations.iter().find_map(|one| one.world.clone());
    own.unwrap_or_else(|| comparison.world_of(comparison.seeds.first()))
}

/// Whether a component can live in kernel mode and in a host of its own.
fn can_move(world: &Scenario, name: &str) -> bool {
    let drivers = drivers();
    let moves = |driver: &str| {
        drivers.kernel.iter().any(|known| known.name == driver)
            && drivers.hosted.iter().any(|known| known.name == driver)
    };
    let Some(one) = world.configuration.components.iter().find(|one| one.name == name) else {
        return false;
    };
    let homes = [Home::KernelDriver, Home::DriverHost];
    homes.contains(&one.home)
        && one.driver.as_deref().is_some_and(moves)
        && homes.iter().all(|&home| at_home(&world.configuration, name, home).is_ok())
}

/// The component under test: as named or, where one moves, the one that can.
fn component(
    comparison: &Comparison,
    arguments: &CampaignArguments,
) -> Result<Option<String>, Failure> {
    let world = world_of(comparison);
    let components = &world.configuration.components;
    let names = || components.iter().map(|one| &*one.name);
    if let Some(name) = &arguments.component {
        if names().any(|known| known == name) {
            return Ok(Some(name.clone()));
        }
        let remedy = match nearest(name, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("choose one of {}", names().collect::<Vec<_>>().join(", ")),
        };
        return Err(Failure::mistake(format!("there is no component `{name}`"), remedy));
    }
    if !comparison.moves() {
        return Ok(None);
    }
    if comparison.is_generated() {
        return Ok(Some(GENERATED_COMPONENT.to_owned()));
    }
    let incident = world.incident.as_ref().and_then(|incident| incident.component.clone());
    if let Some(name) = incident.filter(|name| can_move(&world, name)) {
        return Ok(Some(name));
    }
    let movable: Vec<&str> = names().filter(|name| can_move(&world, name)).collect();
    match movable.as_slice() {
        [one] => Ok(Some((*one).to_owned())),
        [] => Err(Failure::mistake(
            format!("no driver of {} can live at another home", world.name),
            "compare switches, or a scenario with one of the drivers parser, meter, scanner, vulnerable",
        )),
        several => Err(Failure::mistake(
            "several drivers can live at another home",
            format!("name the one that is meant: --component {}", several.join(" or ")),
        )),
    }
}
