//! The faults of one world's load, planned in every configuration.

use std::sync::Arc;

use core::ops::Range;

use crate::base::Seed;
use crate::faults::{Family, Registry};
use crate::scenario::Scenario;
use crate::world::configuration::Configuration as World;

use super::load::Load;
use super::points::{Golden, Keyed};
use super::{Comparison, ComparisonError, Pair, Planned, Why};

/// Golden runs of the configurations of one seed's world, each made once.
#[derive(Default)]
pub(super) struct Goldens(Vec<(World, Option<String>, Arc<Golden>)>);

/// A fault of the load.
pub(super) struct Entry {
    /// Its number.
    pub(super) number: u32,
    /// What it is, in words.
    pub(super) what: String,
    /// As planned in each configuration.
    pub(super) planned: Vec<Planned>,
}

/// The load of one world, or some of it.
pub(super) struct Entries {
    /// The configurations.
    pub(super) all: Vec<Arc<Golden>>,
    /// How many points of the load each reaches.
    pub(super) points: Vec<u64>,
    /// How many points the whole load has.
    pub(super) union: u64,
    /// Its faults, in order.
    pub(super) entries: Vec<Entry>,
}

impl Comparison {
    /// Draws the faults of these numbers and plans them in every configuration.
    pub(super) fn entries(
        &self,
        seed: u64,
        numbers: Range<u32>,
        goldens: &mut Goldens,
    ) -> Result<Entries, ComparisonError> {
        let base = self.world_of(seed);
        let mut all = Vec::new();
        for one in &self.configurations {
            let wrong = |why| ComparisonError { seed, configuration: one.name.clone(), why };
            let world = one.world.as_ref().unwrap_or(&base);
            if let Some(name) = &self.component
                && !world.configuration.components.iter().any(|one| one.name == *name)
            {
                let what = format!("there is no component `{name}`");
                return Err(wrong(Why::Variation(what)));
            }
            let varied = one.variation.of(world, self.component.as_deref());
            let varied = varied.map_err(|what| wrong(Why::Variation(what)))?;
            let is_known = |(world, component, _): &&(World, Option<String>, Arc<Golden>)| {
                *world == varied.scenario.configuration && *component == varied.component
            };
            if let Some((.., golden)) = goldens.0.iter().find(is_known) {
                all.push(Arc::clone(golden));
                continue;
            }
            let (world, component) =
                (varied.scenario.configuration.clone(), varied.component.clone());
            let golden = Golden::of(varied, &self.registries);
            let golden = Arc::new(golden.map_err(|error| wrong(Why::Trial(error)))?);
            goldens.0.push((world, component, Arc::clone(&golden)));
            all.push(golden);
        }
        let keyed = Keyed::new(&all);
        let load = Load::new(&all, &keyed);
        let (kinds, family) = self.wanted();
        let mix = self.mix();
        let mut entries = Vec::new();
        for number in numbers {
            let is_of_one = self.component.is_some();
            let drawn = load.draw(Seed(seed), number, is_of_one, &kinds, family, mix.as_ref());
            let Some(drawn) = drawn else { continue };
            let place = keyed.in_words(drawn.key);
            let planned = (0..all.len()).map(|index| {
                let golden = &all[index];
                let record = keyed.find(index, drawn.key).ok_or(super::Cannot::NoSuchPoint)?;
                let from = &all[drawn.configuration];
                golden.has(from, &drawn.kind, &drawn.parameters, &self.registries.faults)?;
                Ok(golden.plan(&drawn.kind, record, drawn.parameters.clone()))
            });
            entries.push(Entry {
                number,
                what: format!("{} at {place}", drawn.kind.name),
                planned: planned.collect(),
            });
        }
        let points = (0..all.len()).map(|index| keyed.count(index)).collect();
        let union = load.count();
        Ok(Entries { all, points, union, entries })
    }

    fn wanted(&self) -> (Registry, Option<Family>) {
        let mut kinds = self.registries.faults.clone();
        if self.kinds.is_empty() {
            return (kinds, Some(Family::Defect));
        }
        kinds.retain(|kind| self.kinds.iter().any(|name| name == kind.name));
        (kinds, None)
    }

    /// The faults of these numbers in every configuration, without those of numbers for which there is
    /// none. Each is what it is among all of them.
    ///
    /// # Errors
    ///
    /// When a configuration can't be made.
    pub fn pairs(&self, seed: u64, numbers: Range<u32>) -> Result<Vec<Pair>, ComparisonError> {
        let entries = self.entries(seed, numbers, &mut Goldens::default())?;
        let Entries { all, entries, .. } = entries;
        let pairs = entries.into_iter().map(|Entry { number, what, planned }| {
            let tries = self.configurations.iter().zip(&all).zip(planned);
            let tries = tries.map(|((one, golden), planned)| {
                let world = &golden.varied.scenario;
                let of_world = |plan| Scenario {
                    name: format!("{} ({}, fault {number})", world.name, one.name),
                    plan: vec![plan],
                    expect: None,
                    published: None,
                    incident: None,
                    contrasts: Vec::new(),
                    ..world.clone()
                };
                (one.name.clone(), planned.map(of_world))
            });
            Pair { number, what, tries: tries.collect() }
        });
        Ok(pairs.collect())
    }
}
