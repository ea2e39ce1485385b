//! What the kernel fetches from its caller's memory is other when it is fetched again.
//!
//! Another thread of the caller changes the word right behind the fetch. Whoever fetches once, and
//! checks and uses what was fetched, never knows; whoever fetches again uses what nobody checked.
//!
//! Source: Jurczyk and Coldwind, "Identifying and Exploiting Windows Kernel Race Conditions via Memory
//! Access Patterns", 2013; HackSys Extreme Vulnerable Driver, "DoubleFetch".
//!
//! Injection point: `load`.

use super::elements::{each_value, fault, one_value};
use super::{Family, Kind, Model};
use crate::base::VirtAddr;
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// What the word is changed to: lengths and counts beyond every check, nothing, and an address of the
/// kernel's.
const VALUES: [u64; 5] = [0x100, 0x1000, 0xffff_ffff, 0, 0xffff_f800_0000_0000];

/// What the kernel fetches from its caller's memory is other when it is fetched again.
pub(super) const KIND: Kind = Kind {
    name: "double-fetch",
    family: Family::Defect,
    model: Model::Vulnerability,
    points: PointKinds::of(&[PointKind::Load]),
    // Only kernel mode fetches from its caller; user mode's own memory is its own.
    fits: |record, who| {
        who.is_kernel_mode() && record.argument >> 63 == 0 && record.argument.is_multiple_of(8)
    },
    recurrence: Recurrence::Once,
    parameters: &["value"],
    about: "a word of the caller's memory changes behind the kernel's fetch of it",
    source: "Jurczyk and Coldwind, \"Identifying and Exploiting Windows Kernel Race Conditions via Memory Access Patterns\", 2013; HackSys Extreme Vulnerable Driver, \"DoubleFetch\"",
    build: |parameters, _| {
        let changed = parameters.value.unwrap_or(VALUES[0]);
        fault(&KIND, move |operation, scene| {
            let is_fetch = scene.instruction_pointer() >> 63 == 1 && operation.virt >> 63 == 0;
            if !is_fetch || !operation.virt.is_multiple_of(8) {
                return None;
            }
            let at = scene.translate(VirtAddr(operation.virt))?;
            let fetched = scene.peek(at);
            if fetched == changed {
                return None;
            }
            scene.store_behind(VirtAddr(operation.virt), changed).then_some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| one_value(stream, &VALUES),
    every: |_, _| each_value(&VALUES),
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_word_changes_behind_the_fetch_and_not_before() {
        let mut scene = FakeScene::new();
        scene.rip = address::KERNEL_CODE;
        scene.map(0x50_1000, 1).put(0x50_1400, 16);
        let mut load = operation(PointKind::Load, 0x50_1400, 0);

        let verdict = strike("double-fetch", "value = '0x1000'", &mut load, &mut scene);

        assert_eq!(verdict, Some(Verdict::Proceed));
        assert_eq!(load, operation(PointKind::Load, 0x50_1400, 0));
        assert_eq!((&*scene.behind, &*scene.pokes), (&[(0x50_1400, 0x1000)][..], &[][..]));
        assert_eq!(scene.get(0x50_1400), 16);
    }

    #[test]
    fn what_user_mode_reads_and_what_is_the_kernel_s_is_left_alone() {
        let mut scene = FakeScene::new();
        scene.map(0x50_1000, 1).map(address::POOL, 1);
        let mut own = operation(PointKind::Load, 0x50_1400, 0);
        assert_eq!(strike("double-fetch", "", &mut own, &mut scene), None);

        scene.rip = address::KERNEL_CODE;
        let mut kernels = operation(PointKind::Load, address::POOL, 0);
        assert_eq!(strike("double-fetch", "", &mut kernels, &mut scene), None);
        assert_eq!(scene.behind, []);
    }
}
