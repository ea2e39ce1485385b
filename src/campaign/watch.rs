//! The invariants at work: asked after each step that could have changed their answer, and at rest.

use crate::world::World;

use super::golden::Golden;
use super::judge::Judge;

/// Asks the invariants during one run and keeps what they answer.
#[derive(Default)]
pub struct Watch {
    violations: Vec<String>,
}

impl Watch {
    /// Asks those that what just happened may concern.
    #[inline]
    pub fn after_step(&mut self, _world: &World, judge: &mut Judge) {
        let _kinds = judge.take_kinds();
    }

    /// Asks everybody.
    pub fn at_rest(&mut self, _world: &World, _judge: &mut Judge) {}

    /// What was violated.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// Names of invariants violated, each once, in order.
    #[must_use]
    pub fn names(&self, _golden: &Golden) -> Vec<String> {
        Vec::new()
    }

    /// Forgets what was found.
    pub fn clear(&mut self) {
        self.violations.clear();
    }
}
