//! A plan out of bytes: each number counts through what there is, modulo how much there is.

use super::bytes::Bytes;
use crate::base::{PrincipalKind, Seed};
use crate::faults::{Family, PlannedFault, Reached, Registry, planned_at, points_of};
use crate::world::directory::Directory;
use crate::world::{Configuration, World};

/// As many defects as asked for that start in principals of the kind `who`, at points that they reach
/// without any fault. None where they reach none.
pub(super) fn plan(
    configuration: &Configuration,
    who: PrincipalKind,
    faults: u8,
    bytes: &mut Bytes<'_>,
) -> Vec<PlannedFault> {
    let mut world = World::build(configuration).expect("what is generated builds");
    world.machine.points.start_recording();
    while world.step(&mut ()).is_none() {}
    let points = world.machine.points.stop_recording();
    let reached = Reached::new(&points);
    let directory = Directory::of(configuration);
    let program = &world.machine.program;
    let routine = |number: u16| program.unambiguous_name(number);
    let registry = Registry::default();
    let defects = registry.kinds().iter().filter(|kind| kind.family == Family::Defect);
    let fitting = defects
        .map(|kind| (kind, points_of(kind, &reached, directory.roster(), who)))
        .filter(|(_, points)| !points.is_empty());
    let fitting: Vec<_> = fitting.collect();
    let one = |number: u8| {
        let (kind, place) = (usize::from(bytes.u8()), usize::from(bytes.u16()));
        let mut stream = Seed(u64::from(bytes.u8())).stream("parameters", u64::from(number));
        let (kind, places) = fitting.get(kind % fitting.len().max(1))?;
        let at = places[place % places.len()];
        Some(planned_at(&mut stream, kind, at, &points, &directory, &routine))
    };
    (0..faults).filter_map(one).collect()
}
