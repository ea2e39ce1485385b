//! Every single fault of a fixed world: each injection point of its golden run, each kind that can
//! strike there, each set of parameters.
//!
//! Faults are numbered through: by point in the order in which the run reaches them, by kind in the
//! registry's order, by parameters in the kind's order.

use core::ops::Range;
use std::collections::BTreeMap;

use crate::base::{Principal, PrincipalKind};
use crate::faults::{At, Kind, Parameters, PlannedFault, at_of, is_worth_it};
use crate::injection::{PointKind, PointRecord};

use super::super::trial::Trial;

/// The faults of one world.
pub(super) struct Space {
    kinds: Vec<Kind>,
    parameters: BTreeMap<(usize, PointKind), Vec<Parameters>>,
    points: Vec<Point>,
    total: u64,
}

/// An injection point with its faults.
pub(super) struct Point {
    /// Its record of the golden run.
    pub(super) record: PointRecord,
    /// Of which kind whoever acts there is.
    pub(super) origin: PrincipalKind,
    who: String,
    at: At,
    /// The number of its first fault.
    pub(super) first: u64,
}

/// One fault of the space.
#[derive(Clone, Copy)]
pub(super) struct Single<'a> {
    /// Its number.
    pub(super) number: u64,
    /// The kind's place among those of the space.
    pub(super) index: usize,
    /// Its kind.
    pub(super) kind: &'a Kind,
    /// What it is told.
    pub(super) parameters: &'a Parameters,
    /// Where it strikes.
    pub(super) point: &'a Point,
}

impl Single<'_> {
    /// As a plan.
    pub(super) fn plan(&self) -> PlannedFault {
        PlannedFault {
            kind: self.kind.name.to_owned(),
            who: self.point.who.clone(),
            at: self.point.at.clone(),
            recurrence: self.kind.recurrence,
            parameters: self.parameters.clone(),
        }
    }

    /// The number of the first of the flips of the same word here, when it is one that flips a bit of a
    /// word: kinds that do list the bits of a word one after the other, from 0.
    pub(super) fn first_of_word(&self) -> Option<u64> {
        let bit = self.parameters.bit.filter(|_| self.kind.flips_target)?;
        self.parameters.target.as_ref()?;
        self.number.checked_sub(u64::from(bit))
    }
}

impl Space {
    /// The space of a trial's golden run and these kinds.
    pub(super) fn new(trial: &Trial, kinds: Vec<Kind>) -> Self {
        let program = &trial.world.machine.program;
        let routine = |number: u16| program.unambiguous_name(number);
        let mut parameters = BTreeMap::new();
        for (number, kind) in kinds.iter().enumerate() {
            for point in kind.points.iter() {
                parameters.insert((number, point), (kind.every)(point, &trial.directory));
            }
        }
        let mut before = BTreeMap::<(Principal, PointKind), Vec<PointRecord>>::new();
        let mut points = Vec::new();
        let mut total = 0;
        for record in &trial.golden.points {
            // What is not worth a fault is counted by triggers all the same.
            let same = before.entry((record.principal, record.kind)).or_default();
            same.push(*record);
            if !is_worth_it(record) {
                continue;
            }
            let here: usize = (0..kinds.len())
                .filter_map(|kind| parameters.get(&(kind, record.kind)))
                .map(Vec::len)
                .sum();
            if here == 0 {
                continue;
            }
            points.push(Point {
                record: *record,
                origin: trial.roster().kind(record.principal),
                who: trial.roster().name(record.principal).to_owned(),
                at: at_of(record, same, &routine),
                first: total,
            });
            total += here as u64;
        }
        Self { kinds, parameters, points, total }
    }

    /// How many faults it has.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// Its kinds of fault.
    pub(super) fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// Its points, in order.
    pub(super) fn points(&self) -> &[Point] {
        &self.points
    }

    /// The numbers of the faults of points `points`.
    pub(super) fn numbers(&self, points: Range<usize>) -> Range<u64> {
        let first = |point: usize| self.points.get(point).map_or(self.total, |point| point.first);
        first(points.start)..first(points.end)
    }

    /// The faults at one point, in order.
    pub(super) fn at(&self, number: usize) -> impl Iterator<Item = Single<'_>> {
        let point = &self.points[number];
        let here = self.kinds.iter().enumerate().flat_map(move |(index, kind)| {
            let all = self.parameters.get(&(index, point.record.kind));
            all.map_or(&[][..], Vec::as_slice).iter().map(move |one| (index, kind, one))
        });
        here.zip(point.first..).map(move |((index, kind, parameters), number)| Single {
            number,
            index,
            kind,
            parameters,
            point,
        })
    }

    /// The fault of this number; `None` when there are not so many.
    pub(super) fn single(&self, number: u64) -> Option<Single<'_>> {
        let point = self.points.partition_point(|point| point.first <= number).checked_sub(1)?;
        self.at(point).find(|single| single.number == number)
    }
}
