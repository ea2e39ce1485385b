//! Which fault strikes whom, where: plain data, stored in scenarios.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Family, Kind, Parameters, Registry};
use crate::base::{Principal, PrincipalKind, Roster, Stream};
use crate::injection::{PointKind, PointRecord, Recurrence};
use crate::world::directory::Directory;

/// A fault of a plan: kind, who, trigger, parameters.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PlannedFault {
    /// Its kind, by its name in the registry.
    pub kind: String,
    /// The principal at whose injection point it strikes: a component, `kernel`, `hal`,
    /// `transfer-device` or `disk-controller`.
    pub who: String,
    /// Where it strikes.
    pub at: At,
    /// How often.
    #[serde(default)]
    pub recurrence: Recurrence,
    /// What it is told.
    #[serde(default)]
    pub parameters: Parameters,
}

/// An injection point by what is about to happen, where, and the how-manieth it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct At {
    /// What is about to happen.
    pub point: PointKind,
    /// In the routine of this name; in any when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routine: Option<String>,
    /// Called by the routine of this name; by any when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The how-manieth such point, from 1.
    #[serde(default = "one")]
    pub nth: u64,
}

const fn one() -> u64 {
    1
}

impl PlannedFault {
    /// Why it can never strike, when what it waits for never happens: only devices transfer, only
    /// they and the HAL interrupt, and devices do nothing else. With what was expected.
    #[must_use]
    pub fn is_never_reached(&self, roster: &Roster) -> Option<(String, String)> {
        let kind = roster.kind(roster.named(&self.who)?);
        let expected = match kind {
            PrincipalKind::Device => "`dma` or `interrupt` for a device",
            PrincipalKind::Hal => "any but `dma` for the HAL",
            _ => "any but `dma` and `interrupt` for whatever runs code",
        };
        (!reaches(kind, self.at.point)).then(|| {
            let what = format!("`{}` never reaches a point `{}`", self.who, self.at.point);
            (what, expected.to_owned())
        })
    }

    /// Why its kind can't strike at such a point, with the points where it can.
    #[must_use]
    pub fn is_out_of_place(&self, registry: &Registry) -> Option<(String, String)> {
        let kind = registry.get(&self.kind)?;
        (!kind.points.contains(self.at.point)).then(|| {
            let can: Vec<_> = kind.points.iter().map(PointKind::name).collect();
            (
                format!("`{}` can't strike at a point `{}`", self.kind, self.at.point),
                can.join(" or "),
            )
        })
    }

    /// Whether it strikes again and again.
    #[must_use]
    pub fn recurs(&self) -> bool {
        self.recurrence == Recurrence::Always
    }
}

/// The names of all injection points.
#[must_use]
pub fn point_names() -> Vec<&'static str> {
    PointKind::ALL.iter().map(|point| point.name()).collect()
}

/// Whether there is an injection point of this name.
#[must_use]
pub fn is_point(name: &str) -> bool {
    PointKind::named(name).is_some()
}

/// Whether principals of this kind ever come to points of this kind. An interrupt is the point of
/// whoever interrupts: a device, or the HAL for the clock and the other processors.
const fn reaches(kind: PrincipalKind, point: PointKind) -> bool {
    match point {
        PointKind::Dma => matches!(kind, PrincipalKind::Device),
        PointKind::Interrupt => matches!(kind, PrincipalKind::Device | PrincipalKind::Hal),
        _ => !matches!(kind, PrincipalKind::Device),
    }
}

/// Whether a fault can do something here: of mode switches, those into the kernel carry arguments.
#[must_use]
pub fn is_worth_it(record: &PointRecord) -> bool {
    record.kind != PointKind::ModeSwitch || record.argument >> 63 == 1
}

impl Kind {
    /// Whether it is planned at this point, which a principal of this kind reached.
    pub(crate) fn is_for(&self, record: &PointRecord, who: PrincipalKind) -> bool {
        // Kernel mode calls nobody across the mode line; its mode switches are returns of interrupts.
        let is_callers = record.kind != PointKind::ModeSwitch || who.is_process();
        self.points.contains(record.kind)
            && is_worth_it(record)
            && is_callers
            && (self.fits)(record, who)
    }

    /// The points of a principal at which it is planned, in the order in which they were reached.
    fn candidates<'a>(
        &self,
        all: &'a Reached,
        principal: Principal,
        roster: &Roster,
    ) -> Vec<&'a PointRecord> {
        let who = roster.kind(principal);
        let points = self.points.iter().flat_map(|point| all.of(principal, point));
        let mut candidates: Vec<_> = points.filter(|record| self.is_for(record, who)).collect();
        // Of each kind of point they are in order already, which a stable sort finds out first.
        candidates.sort_by_key(|record| record.number);
        candidates
    }
}

/// The points at which a fault of this kind is planned, of all that principals of the kind `who` reached: by
/// principal, then in order.
#[must_use]
pub fn points_of<'a>(
    kind: &Kind,
    all: &'a Reached,
    roster: &Roster,
    who: PrincipalKind,
) -> Vec<&'a PointRecord> {
    let mut principals: Vec<Principal> = all.0.keys().map(|(principal, _)| *principal).collect();
    principals.dedup();
    principals.retain(|principal| roster.kind(*principal) == who);
    principals.into_iter().flat_map(|principal| kind.candidates(all, principal, roster)).collect()
}

/// Which faults a plan is drawn from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    /// Where they start; anywhere when `None`.
    pub origin: Option<PrincipalKind>,
    /// Of which family; of both when `None`.
    pub family: Option<Family>,
}

impl Wanted {
    fn fits(self, kind: &Kind) -> bool {
        self.family.is_none_or(|family| family == kind.family)
    }
}

/// A fault planned without knowing what the run reaches; it may not strike.
#[must_use]
pub fn blind(
    stream: &mut Stream,
    registry: &Registry,
    directory: &Directory,
    wanted: Wanted,
) -> Option<PlannedFault> {
    let roster = directory.roster();
    let who: Vec<Principal> = roster
        .iter()
        .filter(|(_, entry)| wanted.origin.is_none_or(|origin| origin == entry.kind))
        .map(|(principal, _)| principal)
        .collect();
    let &principal = stream.pick(&who)?;
    let who = roster.kind(principal);
    let fitting: Vec<_> = registry
        .kinds()
        .iter()
        .filter(|kind| wanted.fits(kind))
        .flat_map(|kind| kind.points.iter().map(move |point| (kind, point)))
        .filter(|(_, point)| reaches(who, *point))
        .collect();
    let &(kind, point) = stream.pick(&fitting)?;
    let nth = 1 + if who == PrincipalKind::Device { stream.below(3) } else { stream.below(60) };
    let reached = PointRecord {
        kind: point,
        principal,
        routine: 0,
        caller: 0,
        has_return_address: false,
        branches: false,
        is_missed: false,
        service: 0xff,
        level: 0,
        step: 0,
        number: 0,
        clock: 0,
        argument: 0,
    };
    let parameters = (kind.draw)(stream, &reached, directory);
    Some(PlannedFault {
        kind: kind.name.to_owned(),
        who: roster.name(principal).to_owned(),
        at: At { point, routine: None, caller: None, nth },
        recurrence: kind.recurrence,
        parameters,
    })
}

/// The points a run reached, by who and what: many plans are drawn from the points of one run.
#[derive(Clone, Debug, Default)]
pub struct Reached(BTreeMap<(Principal, PointKind), Vec<PointRecord>>);

impl Reached {
    /// Sorts the points of a run, given in order.
    #[must_use]
    pub fn new(records: &[PointRecord]) -> Self {
        let mut groups = BTreeMap::<_, Vec<PointRecord>>::new();
        for record in records {
            groups.entry((record.principal, record.kind)).or_default().push(*record);
        }
        Self(groups)
    }

    /// The points of this kind that this principal reached, in order.
    #[must_use]
    pub fn of(&self, principal: Principal, kind: PointKind) -> &[PointRecord] {
        self.0.get(&(principal, kind)).map_or(&[], Vec::as_slice)
    }
}

/// A fault planned at a point that the golden run reached, so that it strikes. `routine` names a routine by its number in the linked program. `None` when no
/// fault that the bias allows fits any point.
///
/// The point is drawn by principal, then by kind of fault, then by place: whoever does much is not
/// struck more often for it, and neither is what is done often.
#[must_use]
pub fn plan_at(
    stream: &mut Stream,
    registry: &Registry,
    directory: &Directory,
    all: &Reached,
    routine: &dyn Fn(u16) -> Option<String>,
    wanted: Wanted,
) -> Option<PlannedFault> {
    let roster = directory.roster();
    let allowed =
        |principal: Principal| wanted.origin.is_none_or(|origin| origin == roster.kind(principal));
    let groups = all.0.iter();
    let reached: Vec<_> = groups
        .filter(|((principal, _), records)| allowed(*principal) && records.iter().any(is_worth_it))
        .map(|(&who_and_what, _)| who_and_what)
        .collect();
    let mut principals: Vec<_> = reached.iter().map(|(principal, _)| *principal).collect();
    principals.dedup();
    let &principal = stream.pick(&principals)?;
    let mut kinds: Vec<_> = registry
        .kinds()
        .iter()
        .filter(|kind| wanted.fits(kind))
        .filter(|kind| kind.points.iter().any(|point| reached.contains(&(principal, point))))
        .collect();
    // One that fits nowhere is drawn again: each of those that fit stays as likely, and a kind that fits in
    // few places moves no plan of the others.
    let (kind, candidates) = loop {
        if kinds.is_empty() {
            return None;
        }
        let number = stream.index(kinds.len());
        let kind = kinds[number];
        let candidates = kind.candidates(all, principal, roster);
        if !candidates.is_empty() {
            break (kind, candidates);
        }
        kinds.remove(number);
    };
    let &at = stream.pick(&candidates)?;
    Some(planned_at(stream, kind, at, all.of(principal, at.kind), directory, routine))
}

/// A fault of this kind, planned at a point that the golden run reached, so that it strikes: `None` when
/// it reached none that fits. The point is drawn by kind of principal, each of `origins` that has one as
/// likely, then by principal, then by place.
#[must_use]
pub fn plan_of(
    stream: &mut Stream,
    kind: &Kind,
    directory: &Directory,
    all: &Reached,
    routine: &dyn Fn(u16) -> Option<String>,
    origins: &[PrincipalKind],
) -> Option<PlannedFault> {
    let roster = directory.roster();
    let is_there = |principal: &Principal| {
        let (principal, who) = (*principal, roster.kind(*principal));
        let mut points = kind.points.iter().flat_map(|point| all.of(principal, point));
        points.any(|record| kind.is_for(record, who))
    };
    let mut principals: Vec<Principal> = all.0.keys().map(|(principal, _)| *principal).collect();
    principals.dedup();
    principals.retain(is_there);
    let mut fitting = origins.to_vec();
    fitting.retain(|origin| principals.iter().any(|one| roster.kind(*one) == *origin));
    let &origin = stream.pick(&fitting)?;
    principals.retain(|principal| roster.kind(*principal) == origin);
    let &principal = stream.pick(&principals)?;
    plan_in(stream, kind, directory, all, routine, principal)
}

/// As [`plan_of`], of this principal.
#[must_use]
pub fn plan_in(
    stream: &mut Stream,
    kind: &Kind,
    directory: &Directory,
    all: &Reached,
    routine: &dyn Fn(u16) -> Option<String>,
    principal: Principal,
) -> Option<PlannedFault> {
    let candidates = kind.candidates(all, principal, directory.roster());
    let &at = stream.pick(&candidates)?;
    Some(planned_at(stream, kind, at, all.of(principal, at.kind), directory, routine))
}

/// A fault of this kind at a point that a run reached: named by who, where and the how-manieth there.
/// `records` are the points reached, or those of the same principal and kind.
#[must_use]
pub fn planned_at(
    stream: &mut Stream,
    kind: &Kind,
    at: &PointRecord,
    records: &[PointRecord],
    directory: &Directory,
    routine: &dyn Fn(u16) -> Option<String>,
) -> PlannedFault {
    PlannedFault {
        kind: kind.name.to_owned(),
        who: directory.roster().name(at.principal).to_owned(),
        at: at_of(at, records, routine),
        recurrence: kind.recurrence,
        parameters: (kind.draw)(stream, at, directory),
    }
}

/// The name of a point that a run reached: by what, where and the how-manieth there it is. `records` are
/// the points reached, or those of the same principal and kind.
#[must_use]
pub fn at_of(
    at: &PointRecord,
    records: &[PointRecord],
    routine: &dyn Fn(u16) -> Option<String>,
) -> At {
    let (named, caller) = (routine(at.routine), routine(at.caller));
    let same = |record: &&PointRecord| {
        record.kind == at.kind
            && record.principal == at.principal
            && (named.is_none() || record.routine == at.routine)
            && (caller.is_none() || record.caller == at.caller)
    };
    let nth = records.iter().filter(same).take_while(|record| record.number < at.number).count()
        as u64
        + 1;
    At { point: at.kind, routine: named, caller, nth }
}
