//! A store goes to a wrong address.
//!
//! The program computes, keeps or is handed a wrong pointer and stores through it; what it meant to
//! write stays as it was. Models the pointer corruption of the fault injectors for Rio and Nooks,
//! and the overlays found in the field. Seven operators say how the pointer goes wrong; each
//! experiment's plan names the one it has, and a campaign's table counts each by itself.
//!
//! Source: Sullivan and Chillarege, "Software Defects and their Impact on System Availability",
//! FTCS 1991; Swift, Bershad and Levy, "Improving the Reliability of Commodity Operating Systems",
//! SOSP 2003.
//!
//! Injection points: `store`, `table-store`. The access goes through the processor like any other, so
//! that its rights decide; only the operator `context`, and a target without a linear address, write
//! physical memory, as a store under another page-map root does.

use super::elements::{anywhere, fault};
use super::wild::{self, Redirection};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A store goes to a wrong address.
pub(super) const KIND: Kind = Kind {
    name: "wild-write",
    family: Family::Defect,
    model: Model::Swifi,
    points: PointKinds::of(&[PointKind::Store, PointKind::TableStore]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: wild::PARAMETERS,
    about: "a store goes to a wrong address",
    source: "Sullivan and Chillarege, \"Software Defects and their Impact on System Availability\", FTCS 1991",
    build: |parameters, directory| {
        let operator = wild::check(parameters)?;
        let (parameters, directory) = (parameters.clone(), directory.clone());
        fault(&KIND, move |operation, scene| {
            match wild::redirect(operator, &parameters, &directory, operation, scene)? {
                Redirection::Linear(virt) => operation.virt = virt,
                Redirection::Physical { virt, phys } => {
                    let virt = virt.map_or(0, |virt| virt & !7);
                    scene.store(virt, phys & !7, operation.value);
                    return Some(Verdict::Skip);
                }
            }
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, at, directory| {
        wild::draw(stream, wild::may_be_elsewhere(at, directory), directory)
    },
    every: |_, directory| wild::every(directory),
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    const DATA: u64 = address::KERNEL_DATA;

    fn store(virt: u64) -> Operation {
        operation(PointKind::Store, virt, 0x77)
    }

    fn leads_to(parameters: &str, scene: &mut FakeScene) -> Option<u64> {
        let mut store = store(0x50_1010);
        let verdict = strike("wild-write", parameters, &mut store, scene)?;
        assert_eq!(verdict, Verdict::Proceed);
        Some(store.virt)
    }

    #[test]
    fn each_operator_leads_where_it_says() {
        let mut scene = FakeScene::new();
        scene.map(DATA, 1).map(0x9000, 2).map(address::POOL, 3);
        scene.put(DATA + pool_lists::FREE_64.offset, address::POOL + 16);
        scene.registers[7] = 0x50_1000;
        scene.registers[3] = 0x9000;
        // One page table that maps 0x200000 and nothing else.
        scene.root = 0x8000;
        for (table, slot, next) in [(8, 0, 9), (9, 0, 10), (10, 1, 11), (11, 0, 12)] {
            scene.memory[table * 512 + slot] = next << 12 | 7;
        }

        assert_eq!(leads_to("operator = 'offset'\noffset = '-0x10'", &mut scene), Some(0x50_1000));
        assert_eq!(leads_to("operator = 'bit'\nbit = 63", &mut scene), Some(0x50_1010 | 1 << 63));
        assert_eq!(leads_to("operator = 'stale'", &mut scene), None, "user mode has no pool");
        scene.rip = address::KERNEL_CODE;
        assert_eq!(
            leads_to("operator = 'stale'", &mut scene),
            Some(address::POOL + 16 + 0x50_1010 % 48)
        );
        assert_eq!(leads_to("operator = 'base'", &mut scene), Some(0x9010));
        assert_eq!(leads_to("operator = 'uniform'\nvalue = '0x3'", &mut scene), Some(0x20_0018));
        let target = "operator = 'target'\ntarget = 'kernel/ready-queue'";
        assert_eq!(leads_to(target, &mut scene), Some(DATA + 0x400));
        // Said without the operator it is the same, and not a near miss of the store's own place.
        assert_eq!(leads_to("target = 'kernel/ready-queue'", &mut scene), Some(DATA + 0x400));
    }

    #[test]
    fn the_wrong_context_is_another_process_at_the_same_address() {
        let mut scene = FakeScene::new();
        // Only kernel-mode code can be in the wrong context.
        scene.rip = address::KERNEL_CODE;
        scene.map(DATA, 1).map(address::POOL, 3);
        scene.put(DATA + kernel_data::PROCESSES.offset + 24, address::POOL);
        scene.put(address::POOL + 0x20, 4 << 12);
        for (table, level, next) in [(4, 3, 5), (5, 2, 6), (6, 1, 7), (7, 0, 8)] {
            let slot = usize::try_from(0x50_1010u64 >> (12 + 9 * level) & 511).expect("small");
            scene.memory[table * 512 + slot] = next << 12 | 7;
        }

        let verdict =
            strike("wild-write", "operator = 'context'", &mut store(0x50_1010), &mut scene);

        assert_eq!(verdict, Some(Verdict::Skip));
        assert_eq!((scene.stores, scene.pokes), (vec![0x50_1010], vec![(0x8010, 0x77)]));
    }

    #[test]
    fn with_nothing_to_lead_to_it_does_not_strike() {
        for operator in ["stale", "base", "context", "uniform"] {
            let parameters = format!("operator = '{operator}'");
            assert_eq!(leads_to(&parameters, &mut FakeScene::new()), None, "{operator}");
        }
        let mut load = operation(PointKind::Load, 0x1000, 0);
        assert_eq!(strike("wild-write", "", &mut load, &mut FakeScene::new()), None);
    }
}
