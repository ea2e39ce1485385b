//! Each invariant is seen to fail, and to be silent beside it.

mod conserved;
mod matrix;
mod planted;
mod worlds;

use crate::authority::{Authority, Observations};
use crate::base::{Event, KernelMap, Principal, PrincipalSet};
use crate::faults::{self, Parameters};
use crate::injection::{Armed, PointKind, Recurrence, Trigger};
use crate::invariants::{
    End, Evidence, Findings, Invariant, Record, Registry, RestKind, Violation,
};
use crate::world::directory::Directory;
use crate::world::{Configuration, Rest, World};

/// A world with everything that watches it.
struct Trial {
    world: World,
    map: KernelMap,
    authority: Authority,
    record: Record,
    findings: Findings,
    registry: Registry,
}

impl Trial {
    fn new(text: &str, weakness: Option<&str>) -> Self {
        let mut configuration: Configuration = toml::from_str(text).expect("a configuration");
        configuration.weaknesses.extend(weakness.map(str::to_owned));
        let world = World::build(&configuration).expect("a world");
        let map = world.kernel_map();
        let words = world.machine.memory.words().len();
        let authority = Authority::new(words, world.roster().clone());
        let (record, findings) = (Record::new(), Findings::new());
        Self { world, map, authority, record, findings, registry: Registry::all() }
    }

    /// From now on who comes to this routine stays at its first step.
    fn hang(&mut self, who: &str, routine: &str) {
        self.arm("hang", PointKind::Step, who, routine, 1, Recurrence::Always);
    }

    /// A fault strikes who comes to such a point in this routine for the `nth` time.
    fn arm(
        &mut self,
        fault: &str,
        kind: PointKind,
        who: &str,
        routine: &str,
        nth: u64,
        recurrence: Recurrence,
    ) {
        self.arm_with(fault, &Parameters::default(), (kind, who, routine, nth), recurrence);
    }

    /// The same, of a fault with parameters.
    fn arm_with(
        &mut self,
        fault: &str,
        parameters: &Parameters,
        (kind, who, routine, nth): (PointKind, &str, &str, u64),
        recurrence: Recurrence,
    ) {
        let directory = Directory::of(self.world.configuration());
        let fault = faults::Registry::default().build(fault, parameters, &directory);
        let routine = self.world.machine.program.routine_named(routine);
        let trigger = Trigger {
            kind,
            principal: self.principal(who),
            routine: Some(routine.expect("it is linked")),
            caller: None,
            nth,
        };
        let armed = Armed::new(fault.expect("a fault"), trigger, recurrence);
        self.world.machine.points.arm(armed);
    }

    /// Runs a step and asks the invariants.
    fn step(&mut self) -> Option<Rest> {
        let rest = self.world.step(&mut (&mut self.authority, &mut self.record));
        self.ask();
        rest
    }

    fn ask(&mut self) {
        self.registry.after_step(
            &mut self.record,
            &self.world.machine,
            &self.authority,
            &self.map,
            &mut self.findings,
        );
    }

    fn run(&mut self) -> Rest {
        loop {
            if let Some(rest) = self.step() {
                return rest;
            }
        }
    }

    /// As if this had happened in a step.
    fn happens(&mut self, event: &Event) {
        use crate::base::Witness as _;
        self.authority.event(event);
        self.record.event(event);
    }

    fn rests(&mut self, golden: Option<&Observations>, origins: PrincipalSet, rest: Rest) {
        let rest = match rest {
            Rest::Quiescent => RestKind::Quiescent,
            Rest::BugCheck(_) | Rest::Reset => RestKind::Stopped,
            Rest::OutOfSteps | Rest::Paused => RestKind::Cut,
        };
        let evidence = Evidence::new(&self.world.machine, &self.authority, &self.map, &self.record);
        self.registry.at_rest(
            &evidence,
            &End { rest, golden, is_golden_cut: false, golden_influence: None, origins },
            &mut self.findings,
        );
    }

    /// What a full scan of the present state finds.
    fn scanned(&self) -> Vec<&'static str> {
        let mut findings = Findings::new();
        let evidence = Evidence::new(&self.world.machine, &self.authority, &self.map, &self.record);
        self.registry.scan(&evidence, &mut findings);
        names(findings.violations())
    }

    fn principal(&self, name: &str) -> Principal {
        self.world.roster().named(name).expect("a principal of this world")
    }

    fn found(&self) -> Vec<&'static str> {
        names(self.findings.violations())
    }
}

fn names(violations: &[Violation]) -> Vec<&'static str> {
    let mut names: Vec<&str> = violations.iter().map(|violation| violation.invariant).collect();
    names.sort_unstable();
    names.dedup();
    names
}
