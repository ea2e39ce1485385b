//! Something is never freed.
//!
//! The call to free is missing: nothing is damaged, and in the end nothing is left.
//!
//! Source: Swift, Bershad and Levy, "Improving the Reliability of Commodity Operating Systems",
//! SOSP 2003 (memory leak); MITRE, "CWE-401: Missing Release of Memory after Effective Lifetime".
//!
//! Injection point: `free`.

use super::elements::{anywhere, fault, nothing, once};
use super::{Family, Kind, Model};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// Something is never freed.
pub(super) const KIND: Kind = Kind {
    name: "leak",
    family: Family::Defect,
    model: Model::Resource,
    points: PointKinds::of(&[PointKind::Free]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &[],
    about: "something is never freed",
    source: "Swift, Bershad and Levy, \"Improving the Reliability of Commodity Operating Systems\", SOSP 2003 (memory leak); MITRE, \"CWE-401: Missing Release of Memory after Effective Lifetime\"",
    build: |_, _| fault(&KIND, |_, _| Some(Verdict::Skip)),
    draw: nothing,
    every: once,
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn nothing_is_freed() {
        let mut operation = operation(PointKind::Free, 0x1000, 8);
        let verdict = strike("leak", "", &mut operation, &mut FakeScene::new());
        assert_eq!(verdict, Some(Verdict::Skip));
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Allocate, 0x1000, 8);
        let before = other;
        assert_eq!(strike("leak", "", &mut other, &mut FakeScene::new()), None);
        assert_eq!(other, before);
    }
}
