//! A load comes from a wrong address.
//!
//! The twin of the wild write: nothing is damaged at once, but a wrong value is used from here on,
//! or something is disclosed, or the access itself is refused.
//!
//! Source: Swift, Bershad and Levy, "Improving the Reliability of Commodity Operating Systems", SOSP
//! 2003 (source and pointer faults of the injector).
//!
//! Injection point: `load`.

use super::elements::{anywhere, fault};
use super::wild::{self, Redirection};
use super::{Family, Kind, Model, Operator};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A load comes from a wrong address.
pub(super) const KIND: Kind = Kind {
    name: "wild-read",
    family: Family::Defect,
    model: Model::Swifi,
    points: PointKinds::of(&[PointKind::Load]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: wild::PARAMETERS,
    about: "a load comes from a wrong address",
    source: "Swift, Bershad and Levy, \"Improving the Reliability of Commodity Operating Systems\", SOSP 2003",
    build: |parameters, directory| {
        let operator = wild::check(parameters)?;
        if operator == Operator::Context {
            return Err(
                "a load under another root is not modelled; expected another operator".to_owned()
            );
        }
        let (parameters, directory) = (parameters.clone(), directory.clone());
        fault(&KIND, move |operation, scene| {
            match wild::redirect(operator, &parameters, &directory, operation, scene)? {
                Redirection::Linear(virt) => operation.virt = virt,
                Redirection::Physical { .. } => return None,
            }
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, directory| wild::draw(stream, false, directory),
    every: |_, directory| {
        let all = wild::every(directory).into_iter();
        all.filter(|one| one.operator != Some(Operator::Context)).collect()
    },
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_load_comes_from_elsewhere() {
        let mut load = operation(PointKind::Load, 0x1000, 0);

        let verdict = strike("wild-read", "offset = '0x20'", &mut load, &mut FakeScene::new());

        assert_eq!((verdict, load.virt), (Some(Verdict::Proceed), 0x1020));
    }

    #[test]
    fn a_store_is_none_of_its_business() {
        let mut store = operation(PointKind::Store, 0x1000, 0);
        assert_eq!(strike("wild-read", "", &mut store, &mut FakeScene::new()), None);
        assert_eq!(store.virt, 0x1000);
    }
}
