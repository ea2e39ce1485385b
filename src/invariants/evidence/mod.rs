//! What an invariant may look at.

use core::cell::RefCell;

use crate::authority::{
    Authority, Disclosure, FalseClaim, Influence, Observations, Residue, TableStore, Trespass,
    Withdrawal,
};
use crate::base::{KernelMap, Principal, PrincipalSet};
use crate::machine::Machine;

use super::decode::{self, Leaf};
use super::record::Record;

/// How a run came to rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RestKind {
    /// Nothing can happen any more: no operation is half done.
    Quiescent,
    /// The machine stopped.
    Stopped,
    /// The run was ended from outside.
    Cut,
}

/// What is known at the end of a run.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// How it came to rest.
    pub rest: RestKind,
    /// What everybody saw in the golden run; `None` when this is the golden run.
    pub golden: Option<&'a Observations>,
    /// Whether the golden run stopped or was ended from outside: what was seen in it is how it begins.
    pub is_golden_cut: bool,
    /// Who could influence whom in the golden run; `None` when this is the golden run.
    pub golden_influence: Option<&'a Influence>,
    /// In whom faults struck.
    pub origins: PrincipalSet,
}

/// A page-map root that is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Root {
    /// Its physical address.
    pub at: u64,
    /// Whose it is.
    pub owner: Principal,
}

/// What an invariant may look at. It changes nothing.
pub struct Evidence<'a> {
    /// The machine as it is.
    pub machine: &'a Machine,
    /// The books.
    pub authority: &'a Authority,
    /// Where the kernel keeps things.
    pub map: &'a KernelMap,
    /// What happened.
    pub record: &'a Record,
    leaves: RefCell<Vec<(u64, Vec<Leaf>)>>,
}

impl<'a> Evidence<'a> {
    /// Evidence of the present state.
    #[must_use]
    pub fn new(
        machine: &'a Machine,
        authority: &'a Authority,
        map: &'a KernelMap,
        record: &'a Record,
    ) -> Self {
        Self { machine, authority, map, record, leaves: RefCell::new(Vec::new()) }
    }

    /// New trespasses.
    #[must_use]
    pub fn trespasses(&self) -> &'a [Trespass] {
        self.authority.trespasses().get(self.record.marks().trespasses..).unwrap_or_default()
    }

    /// New false claims.
    #[must_use]
    pub fn false_claims(&self) -> &'a [FalseClaim] {
        self.authority.false_claims().get(self.record.marks().false_claims..).unwrap_or_default()
    }

    /// New stores to page tables.
    #[must_use]
    pub fn table_stores(&self) -> &'a [TableStore] {
        self.authority.table_stores().get(self.record.marks().table_stores..).unwrap_or_default()
    }

    /// Withdrawals that have become binding.
    #[must_use]
    pub fn bound(&self) -> &'a [Withdrawal] {
        self.authority.bound().get(self.record.marks().bound..).unwrap_or_default()
    }

    /// New disclosures.
    #[must_use]
    pub fn disclosures(&self) -> &'a [Disclosure] {
        self.authority.disclosures().get(self.record.marks().disclosures..).unwrap_or_default()
    }

    /// New residues.
    #[must_use]
    pub fn residues(&self) -> &'a [Residue] {
        self.authority.residues().get(self.record.marks().residues..).unwrap_or_default()
    }

    /// The roots of processes that exist, and the system's. Not among them: shadow roots, which share the
    /// user half with these.
    #[must_use]
    pub fn roots(&self) -> Vec<Root> {
        let alive = self.authority.alive();
        let named = self.machine.roots().iter().filter(|(_, owner)| alive.contains(**owner));
        let mut roots: Vec<Root> =
            named.map(|(at, owner)| Root { at: *at, owner: *owner }).collect();
        roots.retain(|root| root.at != self.map.system_root);
        roots.push(Root { at: self.map.system_root, owner: Principal::KERNEL });
        roots
    }

    /// The shadow roots of processes that exist: what is loaded while they run in user mode.
    #[must_use]
    pub fn shadow_roots(&self) -> Vec<Root> {
        let (alive, roots) = (self.authority.alive(), self.machine.roots());
        let owned = self.machine.shadows().iter().filter_map(|(&at, full)| {
            let owner = *roots.get(full)?;
            alive.contains(owner).then_some(Root { at, owner })
        });
        owned.collect()
    }

    /// Full roots and shadow roots.
    #[must_use]
    pub fn all_roots(&self) -> Vec<Root> {
        let mut roots = self.roots();
        roots.extend(self.shadow_roots());
        roots
    }

    /// The roots of the processors that go back to user mode after mappings have changed.
    #[must_use]
    pub fn returning_roots(&self) -> Vec<Root> {
        let states = self.record.returning().iter();
        let states = states.filter_map(|&number| self.machine.processors.get(number));
        states
            .map(|state| Root { at: state.controls.root().raw(), owner: state.registers.context })
            .collect()
    }

    /// Every page that user mode may reach through a root; read once for all invariants.
    #[must_use]
    pub fn user_leaves(&self, root: u64) -> Vec<Leaf> {
        let mut known = self.leaves.borrow_mut();
        if let Some((_, leaves)) = known.iter().find(|(at, _)| *at == root) {
            return leaves.clone();
        }
        let (leaves, _) = decode::user_leaves(&self.machine.memory, root);
        known.push((root, leaves.clone()));
        leaves
    }
}
