//! While user mode runs, the kernel is not mapped.
//!
//! In a world with shadow roots the root that is loaded at ring 3 maps for kernel mode the pages that
//! entries and exits need, each where the system has it, and nothing else: what is not mapped can't be
//! read, whatever a processor makes of the user bit. Each processor is looked at whenever it goes back to
//! user mode, and each shadow root whenever tables have changed. Rights are not enough to know: see
//! user-mode-never-reaches-system-space, which holds of full roots too.
//!
//! Not checked here: what a processor may remember of the kernel under another identifier; that the
//! transition pages hold no secrets.
//!
//! Source: Microsoft Security Response Center, "KVA Shadow: Mitigating Meltdown on Windows"; Linux
//! documentation, "Page Table Isolation (PTI)".

use crate::base::{EventKind, FRAME_BYTES, PhysAddr, Principal, Ring};
use crate::machine::memory::Memory;

use super::decode::{self, ENTRIES, is_for_user};
use super::{Evidence, Findings, Invariant, Kinds, Root};

pub(super) struct ShadowRoots;

const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Tables that are read of one root at most: a sound one has a few, one that is a full root hundreds.
const TABLES_MAX: usize = 256;

/// The first page below a table that kernel mode alone may use and that is no transition page where it
/// should lead: where it is, and where it leads.
fn kernel_page(
    evidence: &Evidence<'_>,
    table: u64,
    (level, base, is_open): (u32, u64, bool),
    left: &mut usize,
) -> Option<(u64, u64)> {
    let memory: &Memory = &evidence.machine.memory;
    *left = left.checked_sub(1)?;
    let shift = 12 + 9 * (level - 1);
    // The system half first: user tables that lead to each other must not use up what may be read.
    let first = if level == 4 { ENTRIES / 2 } else { 0 };
    (0..ENTRIES).map(|index| index ^ first).find_map(|index| {
        let entry = memory.read(PhysAddr::truncated(table + index * 8));
        if entry & PRESENT == 0 {
            return None;
        }
        let sign = if level == 4 && index >= ENTRIES / 2 { 0xffff_0000_0000_0000 } else { 0 };
        let virt = sign | base | index << shift;
        // What leads through a table that is closed to user mode is closed to it.
        let is_open = is_open && is_for_user(entry);
        let is_leaf = level == 1 || level < 4 && entry & LARGE != 0;
        if !is_leaf {
            return kernel_page(evidence, entry & ADDRESS, (level - 1, virt, is_open), left);
        }
        let phys = entry & ADDRESS & !((1 << shift) - 1);
        let is_small = level == 1 && evidence.map.transition_pages.contains(&virt);
        let is_meant =
            is_small && decode::locate(memory, evidence.map.system_root, virt) == Some(phys);
        (!is_open && !is_meant).then_some((virt, phys))
    })
}

fn look(evidence: &Evidence<'_>, root: Root, findings: &mut Findings) {
    let at = root.at & !(FRAME_BYTES - 1);
    if let Some((virt, phys)) = kernel_page(evidence, at, (4, 0, true), &mut { TABLES_MAX }) {
        // One page says it; a full root has hundreds.
        findings.add(Some(Principal::KERNEL), Some(root.owner), at, 0, || {
            format!(
                "the root that {} runs on in user mode maps {virt:#x}, which leads to {phys:#x}",
                evidence.authority.roster().name(root.owner),
            )
        });
    }
}

/// What a processor has loaded.
fn look_at_processor(evidence: &Evidence<'_>, number: usize, findings: &mut Findings) {
    if let Some(state) = evidence.machine.processors.get(number)
        && state.registers.ring == Ring::User
    {
        let root = Root { at: state.controls.root().raw(), owner: state.registers.context };
        look(evidence, root, findings);
    }
}

fn is_shadowed(evidence: &Evidence<'_>) -> bool {
    evidence.map.transition_pages[0] != 0
}

impl Invariant for ShadowRoots {
    fn name(&self) -> &'static str {
        "user-mode-runs-without-the-kernel-mapped"
    }

    fn sentence(&self) -> &'static str {
        "With shadow roots, the root loaded at ring 3 maps nothing of the kernel but transition pages."
    }

    fn source(&self) -> &'static str {
        "Microsoft Security Response Center, \"KVA Shadow: Mitigating Meltdown on Windows\""
    }

    fn kinds(&self) -> Kinds {
        Kinds::of(&[EventKind::ModeSwitch, EventKind::ProcessCreated]).with(Kinds::TABLE_STORE)
    }

    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        if !is_shadowed(evidence) {
            return;
        }
        let mut are_roots_new = !evidence.table_stores().is_empty();
        for event in evidence.record.events() {
            are_roots_new |= event.kind == EventKind::ProcessCreated;
            if event.kind == EventKind::ModeSwitch && event.value == 3 {
                look_at_processor(evidence, usize::from(event.processor), findings);
            }
        }
        if are_roots_new {
            for root in evidence.shadow_roots() {
                look(evidence, root, findings);
            }
        }
    }

    fn scan(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        if !is_shadowed(evidence) {
            return;
        }
        for number in 0..evidence.machine.processors.len() {
            look_at_processor(evidence, number, findings);
        }
        for root in evidence.shadow_roots() {
            look(evidence, root, findings);
        }
    }
}
