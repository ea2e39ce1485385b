//! The invariants at work: asked after each step that could have changed their answer, and at rest.

use std::sync::Arc;

use crate::base::KernelMap;
use crate::invariants::{End, Evidence, Findings, Registry, RestKind, Scope, Violation};
use crate::world::{Rest, World};

use super::golden::Golden;
use super::judge::Judge;

/// Asks the invariants during one run and keeps what they answer.
pub struct Watch {
    registry: Arc<Registry>,
    map: KernelMap,
    findings: Findings,
}

impl Watch {
    /// Watches a world that has not begun.
    #[must_use]
    pub fn new(registry: Arc<Registry>, world: &World) -> Self {
        Self { registry, map: world.kernel_map(), findings: Findings::new() }
    }

    /// Asks those that what just happened may concern.
    #[inline]
    pub fn after_step(&mut self, world: &World, judge: &mut Judge) {
        let Judge { authority, record, .. } = judge;
        self.registry.after_step(record, &world.machine, authority, &self.map, &mut self.findings);
    }

    /// Asks everybody, at the end of a run.
    pub fn at_rest(&mut self, world: &World, judge: &Judge, rest: Rest, golden: Option<&Golden>) {
        let evidence = Evidence::new(&world.machine, &judge.authority, &self.map, &judge.record);
        let rest = match rest {
            Rest::Quiescent => RestKind::Quiescent,
            Rest::BugCheck(_) | Rest::Reset => RestKind::Stopped,
            Rest::OutOfSteps | Rest::Paused => RestKind::Cut,
        };
        // A later boot is another run than the golden one.
        let golden = golden.filter(|_| world.boots() == 1);
        let end = End {
            rest,
            golden: golden.map(|golden| &golden.observations),
            is_golden_cut: golden.is_some_and(|golden| golden.rest != Rest::Quiescent),
            golden_influence: golden.map(|golden| &golden.influence),
            origins: judge.struck(),
        };
        self.registry.at_rest(&evidence, &end, &mut self.findings);
    }

    /// A full scan of the present state, whatever is new.
    pub fn scan(&mut self, world: &World, judge: &Judge) {
        let evidence = Evidence::new(&world.machine, &judge.authority, &self.map, &judge.record);
        self.registry.scan(&evidence, &mut self.findings);
    }

    /// Whether only invariants that this crate brings are asked.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        !self.registry.has_others()
    }

    /// What was violated, in order.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        self.findings.violations()
    }

    /// Names of the invariants violated whose scope `keeps`, each once, in order; without what is
    /// `known`: the same invariant, broken by the same and to the harm of the same, or the use of what that
    /// leaves open.
    #[must_use]
    pub fn names_beside(&self, known: &[Violation], keeps: impl Fn(Scope) -> bool) -> Vec<String> {
        let kept = self.violations().iter().filter(|violation| keeps(violation.scope));
        let new = kept.filter(|violation| !known.iter().any(|other| violation.follows_from(other)));
        let mut names: Vec<String> = new.map(|violation| violation.invariant.to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Forgets what was found.
    pub fn clear(&mut self) {
        self.findings.truncate(0);
    }
}
