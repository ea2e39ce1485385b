//! Fault loads as mixes: kinds, models and published loads with weights.
//!
//! A mix such as `swifi=3,edfi=1` is drawn in two steps: a share by its weight, then a kind of it, each kind of
//! a model as likely and each type of a published load by its weight there. So a published load can be
//! repeated, and the kinds drawn don't depend on what a world happens to do: the kind comes first, then where
//! it strikes (Giuffrida, Kuijsten and Tanenbaum, "EDFI", PRDC 2013: a predetermined distribution, whatever the
//! workload). A kind that a world has no place for is left out there, and counted as that.
//!
//! Source: the works that models and published loads name.

mod fixed;
mod published;

use std::collections::BTreeMap;

use super::{Family, Kind, Model, Registry};
use crate::base::{Stream, nearest};

pub use fixed::Fixed;
pub use published::{PUBLISHED, Published, Row};

/// The highest weight.
pub const WEIGHT_MAX: u32 = 1_000_000;

/// Other names of models, as their descendants and the lists call them.
const ALIASES: [(&str, Model); 3] = [
    ("handles", Model::Handle),
    ("resources", Model::Resource),
    ("vulnerabilities", Model::Vulnerability),
];

/// Shares with their weights, each a kind, a model or a published load of a registry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mix {
    shares: Vec<(String, u32)>,
    /// Kinds by name, with what they weigh together, in the registry's order.
    kinds: Vec<(u64, &'static str)>,
    /// The same, apart by what is fixed of a kind.
    types: Vec<(u64, Type)>,
    /// Types of published loads whose kinds the registry has not: their names and hundredths of the load.
    missing: Vec<(String, u32)>,
}

/// What is wrong with a mix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MixMistake {
    /// The share that is wrong, where one is.
    pub share: Option<String>,
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub remedy: String,
}

impl core::fmt::Display for MixMistake {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {}", self.what, self.remedy)
    }
}

impl core::error::Error for MixMistake {}

fn mistake(share: Option<&str>, what: String, remedy: impl Into<String>) -> MixMistake {
    MixMistake { share: share.map(str::to_owned), what, remedy: remedy.into() }
}

/// A kind by name, and what is fixed of it.
type Type = (&'static str, Option<Fixed>);

/// Kinds of one share with their weights in it.
struct Members {
    kinds: Vec<(u32, Type)>,
    missing: Option<(String, u32)>,
}

/// A model by its name or another of it; a published load of that name is the load.
fn model_named(name: &str) -> Option<Model> {
    let own = Model::ALL.into_iter().find(|model| model.name() == name);
    own.or_else(|| ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, model)| *model))
}

/// Every name that a share may have but for kinds: models with their other names, and published loads.
fn names() -> Vec<&'static str> {
    let aliases = ALIASES.iter().map(|(alias, _)| *alias);
    models().map(Model::name).chain(aliases).chain(PUBLISHED.iter().map(|load| load.name)).collect()
}

/// The models that are shares: no published load has the name.
fn models() -> impl Iterator<Item = Model> {
    let is_load = |model: &Model| PUBLISHED.iter().any(|load| load.name == model.name());
    Model::ALL.into_iter().filter(move |model| !is_load(model))
}

fn members(name: &str, registry: &Registry) -> Result<Members, MixMistake> {
    if let Some(kind) = registry.get(name) {
        return Ok(Members { kinds: vec![(1, (kind.name, None))], missing: None });
    }
    if let Some(load) = PUBLISHED.iter().find(|load| load.name == name) {
        let kind_of = |row: &Row| registry.get(row.kind?).map(|kind| kind.name);
        let type_of = |row: &Row| Some((row.weight, (kind_of(row)?, row.fixed)));
        let missing = load.rows.iter().filter(|row| kind_of(row).is_none());
        let names: Vec<&str> = missing.clone().map(|row| row.name).collect();
        let weight: u32 = missing.map(|row| row.weight).sum();
        let whole: u32 = load.rows.iter().map(|row| row.weight).sum();
        let told = || (format!("{} of {}", names.join(", "), load.name), weight * 100 / whole);
        let missing = (weight > 0).then(told);
        return Ok(Members { kinds: load.rows.iter().filter_map(type_of).collect(), missing });
    }
    if let Some(model) = model_named(name) {
        let of_model = registry.kinds().iter().filter(|kind| kind.model == model);
        let kinds = of_model.map(|kind| (1, (kind.name, None))).collect();
        return Ok(Members { kinds, missing: None });
    }
    let known = names().into_iter().chain(registry.kinds().iter().map(|kind| kind.name));
    let remedy = match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("name a kind of `ringfence list faults`, or one of {}", names().join(", ")),
    };
    Err(mistake(Some(name), format!("there is no kind, model or fault load `{name}`"), remedy))
}

/// The least common multiple; `None` beyond 64 bits.
fn common(a: u64, b: u64) -> Option<u64> {
    let (mut greater, mut less) = (a, b);
    while less > 0 {
        (greater, less) = (less, greater % less);
    }
    (a / greater).checked_mul(b)
}

impl Mix {
    /// Reads a mix such as `swifi=3,edfi=1`; a name alone weighs 1.
    ///
    /// # Errors
    ///
    /// The first share that is none, with the name that was probably meant; or that nothing is left.
    pub fn read(text: &str, registry: &Registry) -> Result<Self, MixMistake> {
        let mut shares = Vec::new();
        for part in text.split(',').map(str::trim) {
            let (name, weight) = match part.split_once('=') {
                None => (part, 1),
                Some((name, weight)) if name.trim().is_empty() => {
                    let what = format!("a weight of nothing: `={}`", weight.trim());
                    return Err(mistake(None, what, "put a name before it, as in swifi=3"));
                }
                Some((name, weight)) => {
                    let read = weight.trim().parse::<u32>().ok();
                    let weight = read.filter(|weight| *weight <= WEIGHT_MAX).ok_or_else(|| {
                        let what = format!("`{}` is no weight of {name}", weight.trim());
                        let remedy = format!("say a whole number, 0 to {WEIGHT_MAX}");
                        mistake(Some(name), what, remedy)
                    })?;
                    (name.trim(), weight)
                }
            };
            shares.push((name.to_owned(), weight));
        }
        Self::of(shares, registry)
    }

    /// A mix of shares with their weights. A weight of 0 excludes: kinds of that share are drawn for no
    /// other share either.
    ///
    /// # Errors
    ///
    /// The first share that is none, with the name that was probably meant; or that nothing is left.
    pub fn of(
        shares: impl IntoIterator<Item = (String, u32)>,
        registry: &Registry,
    ) -> Result<Self, MixMistake> {
        let shares: Vec<(String, u32)> = shares.into_iter().collect();
        let mut all = Vec::new();
        let mut excluded = Vec::new();
        let mut missing = Vec::new();
        for (number, (name, weight)) in shares.iter().enumerate() {
            if shares[..number].iter().any(|(other, _)| other == name) {
                let what = format!("`{name}` is said twice");
                return Err(mistake(Some(name), what, "leave one of them out"));
            }
            let Members { kinds, missing: here } = members(name, registry)?;
            match *weight {
                0 => excluded.extend(kinds.into_iter().map(|(_, (kind, _))| kind)),
                weight => {
                    missing.extend(here);
                    all.push((weight, kinds));
                }
            }
        }
        for (_, kinds) in &mut all {
            kinds.retain(|(_, (kind, _))| !excluded.contains(kind));
        }
        all.retain(|(_, kinds)| !kinds.is_empty());
        if all.is_empty() {
            let remedy = "give something a weight above 0, as in swifi=1";
            return Err(mistake(None, "this mix has nothing to draw".to_owned(), remedy));
        }
        let too_fine =
            || mistake(None, "these weights can't be mixed".to_owned(), "use smaller ones");
        let whole =
            |kinds: &[(u32, Type)]| kinds.iter().map(|(weight, _)| u64::from(*weight)).sum();
        let mut unit = 1;
        for (_, kinds) in &all {
            unit = common(unit, whole(kinds)).ok_or_else(too_fine)?;
        }
        let mut sums = BTreeMap::<Type, u64>::new();
        let mut total = 0_u64;
        for (weight, kinds) in &all {
            let each =
                (unit / whole(kinds)).checked_mul(u64::from(*weight)).ok_or_else(too_fine)?;
            for &(of, kind) in kinds {
                let more = each.checked_mul(u64::from(of)).ok_or_else(too_fine)?;
                *sums.entry(kind).or_default() += more;
                total = total.checked_add(more).ok_or_else(too_fine)?;
            }
        }
        let types_of = |kind: &'static str| {
            let of_kind = sums.iter().filter(move |((name, _), _)| *name == kind);
            of_kind.map(|(&one, &weight)| (weight, one))
        };
        let types: Vec<(u64, Type)> =
            registry.kinds().iter().flat_map(|kind| types_of(kind.name)).collect();
        let mut kinds: Vec<(u64, &'static str)> = Vec::new();
        for &(weight, (kind, _)) in &types {
            match kinds.last_mut() {
                Some((sum, last)) if *last == kind => *sum += weight,
                _ => kinds.push((weight, kind)),
            }
        }
        Ok(Self { shares, kinds, types, missing })
    }

    /// The shares as they were said.
    #[must_use]
    pub fn shares(&self) -> &[(String, u32)] {
        &self.shares
    }

    /// Kinds with what they weigh, in the registry's order; none weighs nothing.
    #[must_use]
    pub fn kinds(&self) -> &[(u64, &'static str)] {
        &self.kinds
    }

    /// What all kinds weigh together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.kinds.iter().map(|(weight, _)| weight).sum()
    }

    /// Types of published loads whose kinds the registry has not, with hundredths of their load.
    #[must_use]
    pub fn missing(&self) -> &[(String, u32)] {
        &self.missing
    }

    /// Draws a kind by weight, with what is fixed of it; `None` when the registry no longer has it.
    pub fn draw(&self, stream: &mut Stream, registry: &Registry) -> Option<Kind> {
        let mut left = stream.below(self.total().max(1));
        let found = self.types.iter().find(|(weight, _)| match left.checked_sub(*weight) {
            None => true,
            Some(rest) => {
                left = rest;
                false
            }
        });
        let &(_, (name, fixed)) = found?;
        let kind = registry.get(name)?;
        Some(fixed.map_or(*kind, |fixed| fixed.of(kind)))
    }
}

impl core::fmt::Display for Mix {
    /// As [`Mix::read`] reads it.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let shares = self.shares.iter().map(|(name, weight)| format!("{name}={weight}"));
        f.pad(&shares.collect::<Vec<_>>().join(","))
    }
}

/// A name that a share of a mix can have beside those of kinds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shareable {
    /// Its name.
    pub name: &'static str,
    /// Its other names.
    pub also: Vec<&'static str>,
    /// What it is.
    pub about: &'static str,
    /// Its types, those of a kind that is not registered without one.
    pub rows: Vec<Row>,
    /// Errors in one trial where it was published, if that was told.
    pub errors: Option<u32>,
    /// Where it is from.
    pub source: &'static str,
}

/// Every model and published load.
#[must_use]
pub fn shareable(registry: &Registry) -> Vec<Shareable> {
    let of_model = |model: Model| {
        let also = ALIASES.iter().filter(move |(_, other)| *other == model);
        let kinds = registry.kinds().iter().filter(move |kind| kind.model == model);
        let is_stress = kinds.clone().all(|kind| kind.family == Family::Stress);
        Shareable {
            name: model.name(),
            also: also.map(|(alias, _)| *alias).collect(),
            about: if is_stress { "legal disorder" } else { "a fault model, its kinds as likely" },
            rows: kinds.map(|kind| Row::of(kind.name, 1, kind.name)).collect(),
            errors: None,
            source: "each kind's own",
        }
    };
    let of_load = |load: &Published| {
        let kind = |row: &Row| row.kind.filter(|kind| registry.get(kind).is_some());
        let rows = load.rows.iter().map(|row| Row { kind: kind(row), ..*row });
        Shareable {
            name: load.name,
            also: Vec::new(),
            about: load.about,
            rows: rows.collect(),
            errors: load.errors,
            source: load.source,
        }
    };
    models().map(of_model).chain(PUBLISHED.iter().map(of_load)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;

    fn mix(text: &str) -> Mix {
        Mix::read(text, &Registry::default()).unwrap_or_else(|wrong| panic!("{wrong}"))
    }

    fn share(mix: &Mix, kind: &str) -> f64 {
        let weight = mix.kinds().iter().find(|(_, name)| *name == kind).map_or(0, |(w, _)| *w);
        weight as f64 / mix.total() as f64
    }

    #[test]
    fn every_model_alias_and_published_load_is_a_share() {
        for name in names() {
            let found =
                members(name, &Registry::default()).unwrap_or_else(|wrong| panic!("{wrong}"));

            assert!(!found.kinds.is_empty(), "{name}");
        }
        for kind in Registry::default().kinds() {
            assert_eq!(mix(kind.name).kinds().len(), 1, "{}", kind.name);
        }
    }

    #[test]
    fn a_share_is_drawn_by_its_weight_and_its_kinds_as_likely() {
        let both = mix("leak=3,swifi=1");

        let members = members("swifi", &Registry::default()).expect("a model").kinds;
        assert!((share(&both, "leak") - 0.75).abs() < 1e-12);
        for (_, (kind, _)) in &members {
            let each = 0.25 / members.len() as f64;
            assert!((share(&both, kind) - each).abs() < 1e-12, "{kind}");
        }
        assert_eq!(
            mix("crash=1,leak=1").kinds(),
            mix("leak=7, crash=7").kinds().iter().map(|(w, k)| (w / 7, *k)).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_published_load_has_its_weights() {
        let random = mix("minix-random");

        let modelled = PUBLISHED[0]
            .rows
            .iter()
            .filter(|row| row.kind.is_some_and(|kind| Registry::default().get(kind).is_some()));
        assert_eq!(random.kinds().len(), modelled.count());
        assert!((share(&random, "dropped-step") * random.kinds().len() as f64 - 1.0).abs() < 1e-12);
        let fs = mix("sego-fs");
        assert!((share(&fs, "leak") / share(&fs, "premature-free") - 5.0).abs() < 1e-12);
        for load in PUBLISHED.iter().filter(|load| load.name.starts_with("sego")) {
            assert_eq!(load.rows.iter().map(|row| row.weight).sum::<u32>(), 100, "{}", load.name);
        }
        assert!((share(&fs, "wait-at-dispatch") - 0.15).abs() < 1e-12);
        assert!((share(&mix("sego-kernel"), "wait-at-dispatch") - 0.25).abs() < 1e-12);
        assert!((share(&mix("sego-kernel"), "clobbered-registers") - 0.1).abs() < 1e-12);
    }

    #[test]
    fn a_weight_of_nothing_excludes_a_kind_from_its_model() {
        let without = mix("swifi=2,crash=0");

        assert_eq!(share(&without, "crash"), 0.0);
        assert!(share(&without, "hang") > 0.0);
        assert!(!(0..2000).any(|number| {
            let mut stream = Seed(3).stream("plan", number);
            without.draw(&mut stream, &Registry::default()).is_some_and(|it| it.name == "crash")
        }));
    }

    #[test]
    fn what_is_drawn_agrees_with_the_weights_within_what_a_binomial_allows() {
        let load = mix("swifi=3,edfi=1,double-free=2");
        let (registry, draws) = (Registry::default(), 20_000_u32);
        let mut counts = BTreeMap::<&str, u32>::new();

        for number in 0..draws {
            let mut stream = Seed(11).stream("plan", number.into());
            let kind = load.draw(&mut stream, &registry).expect("a kind");
            *counts.entry(kind.name).or_default() += 1;
        }

        // Four standard deviations of a binomial, for each of two dozen kinds.
        for (_, kind) in load.kinds() {
            let (p, n) = (share(&load, kind), f64::from(draws));
            let off = (f64::from(counts[kind]) - n * p).abs() / (n * p * (1.0 - p)).sqrt();
            assert!(off < 4.0, "{kind}: {} of {draws}, {off} deviations", counts[kind]);
        }
        assert_eq!(counts.len(), load.kinds().len());
    }

    #[test]
    fn what_is_wrong_is_told_with_what_was_meant() {
        let wrong = |text: &str| {
            let read = Mix::read(text, &Registry::default());
            read.expect_err(text).to_string()
        };

        assert!(wrong("nook=3").contains("did you mean `nooks`?"));
        assert!(wrong("wild-wirte").contains("did you mean `wild-write`?"));
        assert!(wrong("swifi=-1").contains("0 to 1000000"));
        assert!(wrong("swifi=many").contains("no weight of swifi"));
        assert!(wrong("=").contains("a weight of nothing"));
        assert!(wrong("crash,=3").contains("put a name before it"));
        assert!(wrong("swifi=1000001").contains("no weight"));
        assert!(wrong("swifi=0").contains("nothing to draw"));
        assert!(wrong("crash,crash=0").contains("said twice"));
        assert!(wrong("").contains("there is no kind"));
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        let said = "swifi=3,edfi=1,crash=0";

        assert_eq!(mix(said).to_string(), said);
    }
}
