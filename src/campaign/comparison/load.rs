//! The common fault load of several configurations: drawn from what any of them reaches.
//!
//! A load drawn from one configuration alone would leave out what only the others have, and that one would
//! look worse for having more. So a fault is drawn from the union of all points and counts in every
//! configuration: where it can't activate, as that. As in any campaign its kind is drawn first, each as likely
//! or by its weight, and then one of the points that this kind strikes, each as likely: a kind that fits few
//! points strikes those often.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{PrincipalKind, Seed, Stream};
use crate::faults::{self, Family, Kind, Mix, Parameters};
use crate::injection::PointKind;

use super::points::{Golden, Key, Keyed};
use crate::campaign::series::ORIGINS;

/// A point of a configuration, by its place there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Place {
    configuration: usize,
    record: usize,
}

/// A fault of the load.
pub(super) struct Drawn {
    /// Its kind.
    pub(super) kind: Kind,
    /// What it is told.
    pub(super) parameters: Parameters,
    /// Where it strikes.
    pub(super) key: Key,
    /// The configuration in which it was drawn.
    pub(super) configuration: usize,
}

/// All points that any configuration reaches, each once.
pub(super) struct Load<'a> {
    all: &'a [Arc<Golden>],
    keyed: &'a Keyed,
    places: BTreeMap<(u16, PointKind), Vec<Place>>,
}

impl<'a> Load<'a> {
    /// The union.
    pub(super) fn new(all: &'a [Arc<Golden>], keyed: &'a Keyed) -> Self {
        let mut places = BTreeMap::<_, Vec<Place>>::new();
        for (configuration, keys) in keyed.keys.iter().enumerate() {
            for (record, key) in keys.iter().enumerate() {
                let Some(key) = *key else { continue };
                let is_new = (0..configuration).all(|earlier| keyed.find(earlier, key).is_none());
                if is_new {
                    let place = Place { configuration, record };
                    places.entry((key.role, key.point)).or_default().push(place);
                }
            }
        }
        Self { all, keyed, places }
    }

    /// How many points it has.
    pub(super) fn count(&self) -> u64 {
        self.places.values().map(|places| places.len() as u64).sum()
    }

    /// The fault of this number: as a campaign's of the same number, where all configurations reach what
    /// that campaign's world does. With `component` only its points are there, whatever its origin.
    pub(super) fn draw(
        &self,
        seed: Seed,
        number: u32,
        component: bool,
        kinds: &faults::Registry,
        family: Option<Family>,
        mix: Option<&Mix>,
    ) -> Option<Drawn> {
        let mut stream = seed.stream("plan", u64::from(number));
        if let Some(mix) = mix {
            let kind = mix.draw(&mut stream, kinds)?;
            let role = self.role_for(&mut stream, &kind, component)?;
            return self.drawn(&mut stream, &kind, &self.candidates(role, &kind));
        }
        let drawn = ORIGINS[stream.index(ORIGINS.len())];
        let origin: Option<PrincipalKind> = (!component).then_some(drawn);
        let is_wanted = |role: u16| {
            origin.is_none_or(|origin| self.keyed.roles.get(usize::from(role)) == Some(&origin))
        };
        let mut roles: Vec<u16> = self.places.keys().map(|(role, _)| *role).collect();
        roles.retain(|role| is_wanted(*role));
        roles.dedup();
        let &role = stream.pick(&roles)?;
        let is_there = |kind: &&Kind| {
            family.is_none_or(|family| family == kind.family)
                && kind.points.iter().any(|point| self.places.contains_key(&(role, point)))
        };
        let mut fitting: Vec<&Kind> = kinds.kinds().iter().filter(is_there).collect();
        // One that fits nowhere is drawn again, as in a campaign.
        while !fitting.is_empty() {
            let number = stream.index(fitting.len());
            let candidates = self.candidates(role, fitting[number]);
            if !candidates.is_empty() {
                return self.drawn(&mut stream, fitting[number], &candidates);
            }
            fitting.remove(number);
        }
        None
    }

    /// Whom a fault of this kind strikes, as a campaign with a mix draws it.
    fn role_for(&self, stream: &mut Stream, kind: &Kind, component: bool) -> Option<u16> {
        let is_there = |role: &u16| !self.candidates(*role, kind).is_empty();
        let mut roles: Vec<u16> = self.places.keys().map(|(role, _)| *role).collect();
        roles.dedup();
        roles.retain(is_there);
        let kind_of = |role: u16| self.keyed.roles.get(usize::from(role)).copied();
        let mut origins = ORIGINS.to_vec();
        origins.retain(|origin| roles.iter().any(|role| kind_of(*role) == Some(*origin)));
        let origin = stream.pick(&origins).copied();
        roles.retain(|role| component || kind_of(*role) == origin);
        stream.pick(&roles).copied()
    }

    /// The points in this role's code at which this kind is planned, in the order in which they were reached.
    fn candidates(&self, role: u16, kind: &Kind) -> Vec<Place> {
        let Some(&who) = self.keyed.roles.get(usize::from(role)) else { return Vec::new() };
        let points = kind.points.iter().filter_map(|point| self.places.get(&(role, point)));
        let is_for =
            |place: &&Place| kind.is_for(&self.all[place.configuration].records[place.record], who);
        let mut candidates: Vec<Place> = points.flatten().filter(is_for).copied().collect();
        candidates.sort_unstable();
        candidates
    }

    /// A fault of this kind, at one of these points.
    fn drawn(&self, stream: &mut Stream, kind: &Kind, candidates: &[Place]) -> Option<Drawn> {
        let &Place { configuration, record } = stream.pick(candidates)?;
        let parameters = self.all[configuration].parameters(stream, kind, record);
        let key = self.keyed.keys[configuration][record]?;
        Some(Drawn { kind: *kind, parameters, key, configuration })
    }
}
