//! The invariants in force, passed by value; users add their own.

use crate::authority::Authority;
use crate::base::{KernelMap, Principal};
use crate::machine::Machine;

use super::{
    End, Evidence, Invariant, Kinds, Record, Scope, Violation, after_bug_check, answered_in_time,
    blocks_conserved, cached_translations, claims, crash_contained, disclosure, dma,
    driver_host_contained, exit_closes, frames_conserved, freed_frames, freed_objects, gates,
    handle_origins, handle_tables_apart, handles_private, kernel_half, kernel_stack,
    private_memory, references_conserved, requests_conserved, rights, shadow_roots, stores_meant,
    system_space, table_reach, user_mappings, walkers,
};

/// Violations of one invariant that are kept of one run: the first tell the story. Of an offender and victim not
/// seen before there is one more.
pub const KEPT_OF_EACH: usize = 16;

/// What the invariants found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    violations: Vec<Violation>,
    clock: u64,
    asked: Option<(&'static str, Scope)>,
}

impl Findings {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything found, in order.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Forgets what was found after there were `len`.
    pub fn truncate(&mut self, len: usize) {
        self.violations.truncate(len);
    }

    /// The invariant that is being asked does not hold. The same finding about the same place is
    /// written down once; `detail` is only made then.
    ///
    /// # Panics
    ///
    /// When no invariant is being asked.
    pub fn add(
        &mut self,
        offender: Option<Principal>,
        victim: Option<Principal>,
        phys: u64,
        virt: u64,
        detail: impl FnOnce() -> String,
    ) {
        let (invariant, scope) =
            self.asked.expect("findings are added while an invariant is asked");
        let alike = self.violations.iter().filter(|known| known.invariant == invariant);
        let (mut count, mut is_known) = (0, false);
        for known in alike {
            count += 1;
            is_known |= (known.offender, known.victim) == (offender, victim);
            if (known.phys, known.virt, known.offender, known.victim)
                == (phys, virt, offender, victim)
            {
                return;
            }
        }
        // Of each pair at least one: what a world violates by itself is told apart by them.
        if count < KEPT_OF_EACH || !is_known {
            let clock = self.clock;
            let detail = detail();
            self.violations.push(Violation {
                invariant,
                scope,
                offender,
                victim,
                clock,
                phys,
                virt,
                detail,
            });
        }
    }
}

/// The invariants in force.
pub struct Registry {
    invariants: Vec<Box<dyn Invariant>>,
    /// What each of them wants to hear of.
    wanted: Vec<Kinds>,
    kinds: Kinds,
    has_others: bool,
}

impl Default for Registry {
    fn default() -> Self {
        Self::all()
    }
}

impl Registry {
    /// None at all.
    #[must_use]
    pub fn none() -> Self {
        Self { invariants: Vec::new(), wanted: Vec::new(), kinds: Kinds::NONE, has_others: false }
    }

    /// All that this crate brings.
    #[must_use]
    pub fn all() -> Self {
        let mut all = Self::none()
            .with(private_memory::PrivateMemory)
            .with(stores_meant::StoresMeant)
            .with(system_space::SystemSpace)
            .with(disclosure::Disclosures)
            .with(handles_private::HandlesPrivate)
            .with(handle_tables_apart::HandleTablesApart)
            .with(handle_origins::HandleOrigins)
            .with(exit_closes::ExitCloses)
            .with(rights::Rights)
            .with(claims::Claims)
            .with(crash_contained::CrashContained)
            .with(driver_host_contained::DriverHostContained)
            .with(after_bug_check::AfterBugCheck)
            .with(kernel_half::KernelHalf)
            .with(shadow_roots::ShadowRoots)
            .with(user_mappings::UserMappings)
            .with(cached_translations::CachedTranslations)
            .with(table_reach::TableReach)
            .with(freed_frames::FreedFrames)
            .with(freed_objects::FreedObjects)
            .with(frames_conserved::FramesConserved)
            .with(references_conserved::ReferencesConserved)
            .with(blocks_conserved::BlocksConserved)
            .with(requests_conserved::RequestsConserved)
            .with(answered_in_time::AnsweredInTime)
            .with(gates::Gates)
            .with(kernel_stack::KernelStack)
            .with(dma::Dma)
            .with(walkers::Walkers::NEW);
        all.has_others = false;
        all
    }

    /// These and one more.
    #[must_use]
    pub fn with(mut self, invariant: impl Invariant + 'static) -> Self {
        self.kinds = self.kinds.with(invariant.kinds());
        self.wanted.push(invariant.kinds());
        self.has_others = true;
        self.invariants.push(Box::new(invariant));
        self
    }

    /// Whether there are any besides those that this crate brings, of which nobody knows what they look
    /// at in the end.
    #[must_use]
    pub fn has_others(&self) -> bool {
        self.has_others
    }

    /// Of these only those with one of these names.
    #[must_use]
    pub fn only(mut self, names: &[&str]) -> Self {
        self.invariants.retain(|invariant| names.contains(&invariant.name()));
        self.wanted = self.invariants.iter().map(|invariant| invariant.kinds()).collect();
        self.kinds = self.wanted.iter().copied().fold(Kinds::NONE, Kinds::with);
        self
    }

    /// The invariants, in order.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Invariant> {
        self.invariants.iter().map(AsRef::as_ref)
    }

    /// The invariant with this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&dyn Invariant> {
        self.iter().find(|invariant| invariant.name() == name)
    }

    /// To be called after each step, when books and record have taken note of its events: asks whom
    /// the news concerns.
    #[inline]
    pub fn after_step(
        &self,
        record: &mut Record,
        machine: &Machine,
        authority: &Authority,
        map: &KernelMap,
        findings: &mut Findings,
    ) {
        if !record.is_quiet(machine) {
            self.ask_of_news(record, machine, authority, map, findings);
        }
    }

    #[inline(never)]
    fn ask_of_news(
        &self,
        record: &mut Record,
        machine: &Machine,
        authority: &Authority,
        map: &KernelMap,
        findings: &mut Findings,
    ) {
        let kinds = record.settle(machine, authority);
        if kinds.meets(self.kinds) {
            self.ask(kinds, record, machine, authority, map, findings);
        }
        if kinds != Kinds::NONE {
            record.advance();
        }
    }

    fn ask(
        &self,
        kinds: Kinds,
        record: &Record,
        machine: &Machine,
        authority: &Authority,
        map: &KernelMap,
        findings: &mut Findings,
    ) {
        let evidence = Evidence::new(machine, authority, map, record);
        findings.clock = machine.clock;
        for (invariant, wanted) in self.invariants.iter().zip(&self.wanted) {
            if wanted.meets(kinds) {
                findings.asked = Some((invariant.name(), invariant.scope()));
                invariant.check(&evidence, findings);
            }
        }
        findings.asked = None;
    }

    /// To be called when the run has come to rest, after the last step.
    pub fn at_rest(&self, evidence: &Evidence<'_>, end: &End<'_>, findings: &mut Findings) {
        self.each(evidence, findings, |invariant, findings| {
            invariant.check_at_rest(evidence, end, findings);
        });
    }

    /// A full scan of the present state, whatever is new.
    pub fn scan(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        self.each(evidence, findings, |invariant, findings| invariant.scan(evidence, findings));
    }

    fn each(
        &self,
        evidence: &Evidence<'_>,
        findings: &mut Findings,
        mut ask: impl FnMut(&dyn Invariant, &mut Findings),
    ) {
        findings.clock = evidence.machine.clock;
        for invariant in self.iter() {
            findings.asked = Some((invariant.name(), invariant.scope()));
            ask(invariant, findings);
        }
        findings.asked = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_findings_each_pair_of_offender_and_victim_is_kept() {
        let asked = Some(("private", Scope::Always));
        let mut findings = Findings { asked, ..Findings::default() };
        let (first, second) = (Some(Principal(2)), Some(Principal(3)));
        for place in 0..100 {
            findings.add(first, second, place, 0, String::new);
        }

        findings.add(second, first, 0, 0, String::new);
        findings.add(second, first, 1, 0, String::new);

        let pairs = findings.violations().iter().map(|one| (one.offender, one.victim));
        assert_eq!(pairs.clone().filter(|pair| *pair == (first, second)).count(), KEPT_OF_EACH);
        assert_eq!(pairs.filter(|pair| *pair == (second, first)).count(), 1);
    }
}
