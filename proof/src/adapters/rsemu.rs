//! Adapter for the crate `rsemu`: the page walk of its x86 processor.
//!
//! Its callers look whether the address is canonical first; so does the adapter, with the function that
//! they use.

use ringfence::base::PhysAddr;
use ringfence::conformance::format::X86_64;
use ringfence::conformance::{Attempt, Mapping, Memory, Report, Rights, Walker};
use ringfence::machine::paging::PageSize;
use rsemu::cpu::x86::paging::{Mode, Tables, walk};
use rsemu::cpu::x86::prot::canonical;

use crate::Plan;

struct Adapter {
    memory: Memory,
    root: PhysAddr,
}

/// `cpu::x86::paging::walk`.
pub(crate) fn run(plan: &Plan) -> Report {
    plan.walker(X86_64::FOUR_LEVELS, |memory, root| Adapter { memory, root })
}

impl Walker for Adapter {
    fn translate(&mut self, attempt: &Attempt) -> Option<Mapping> {
        if !canonical(attempt.virt.0) {
            return None;
        }
        let tables =
            Tables { mode: Mode::Ia32e, cr3: self.root.raw(), pse: true, nxe: true, wp: true };
        let mut read = |at: u64, _: u8| self.memory.load(PhysAddr::truncated(at));
        let found = walk(tables, attempt.virt.0, &mut read).ok()?;
        let rights = [
            (found.writable, Rights::WRITE),
            (found.user, Rights::USER),
            (!found.no_execute, Rights::EXECUTE),
        ]
        .into_iter()
        .filter(|(is_granted, _)| *is_granted)
        .fold(Rights::READ, |all, (_, right)| all.and(right));
        let size = match found.depth {
            4 => PageSize::Kib4,
            3 => PageSize::Mib2,
            _ => PageSize::Gib1,
        };
        let address = PhysAddr::truncated(found.phys);
        Some(Mapping { address, size: Some(size), rights: Some(rights) })
    }
}
