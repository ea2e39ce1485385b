//! A handle of another type of object is used.
//!
//! A valid handle of the same process, to an object of another type: whoever names the type that it
//! wants refuses it, whoever doesn't takes one object for another.
//!
//! Source: Microsoft, "Failure to Validate Object Handles"; MITRE, "CWE-843: Access of Resource
//! Using Incompatible Type".
//!
//! Injection point: `handle-lookup`.

use super::elements::{anywhere, fault, index, indices};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};
use crate::world::directory::handles;

/// A handle of another type of object is used.
pub(super) const KIND: Kind = Kind {
    name: "mistyped-handle",
    family: Family::Defect,
    model: Model::Handle,
    points: PointKinds::of(&[PointKind::HandleLookup]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["index"],
    about: "a handle to an object of another type is used",
    source: "Microsoft, \"Failure to Validate Object Handles\"; MITRE, \"CWE-843: Access of Resource Using Incompatible Type\"",
    build: |parameters, _| {
        let index = parameters.index_below(16)?.unwrap_or(0);
        fault(&KIND, move |operation, scene| {
            let all = handles(scene);
            let asked = operation.virt & !3;
            let (_, kind) = *all.iter().find(|(handle, _)| *handle == asked)?;
            let others: Vec<u64> = all
                .into_iter()
                .filter(|(_, other)| *other != kind)
                .map(|(handle, _)| handle)
                .collect();
            operation.virt = *others.get(index % others.len().max(1))?;
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| Parameters { index: Some(index(stream, 4)), ..Parameters::default() },
    every: |_, _| indices(0..=3),
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;
    use crate::kernel::layout::{handle_entry, object_header, object_type, process};

    /// A process `editor` with an event and a file behind its handles 4 and 8.
    fn scene() -> FakeScene {
        let (block, table) = (address::POOL + 0x100, address::POOL + 0x400);
        let mut scene = FakeScene::new();
        scene.root = 0x9000;
        scene.map(address::KERNEL_DATA, 1).map(address::POOL, 2);
        scene.put(address::KERNEL_DATA + kernel_data::PROCESSES.offset + 16, block);
        scene.put(block + process::ROOT.offset, 0x9000);
        scene.put(block + process::HANDLES.offset, table);
        for (number, kind) in [(0, object_type::EVENT), (1, object_type::FILE)] {
            let object = address::POOL + 0x800 + number * 0x80;
            scene.put(table + number * 16 + handle_entry::OBJECT.offset, object);
            scene.put(object + object_header::TYPE.offset, kind);
        }
        scene
    }

    #[test]
    fn the_look_up_is_made_with_the_file() {
        let mut look_up = operation(PointKind::HandleLookup, 4, 1);

        let verdict = strike("mistyped-handle", "", &mut look_up, &mut scene());

        assert_eq!((verdict, look_up.virt), (Some(Verdict::Proceed), 8));
    }

    #[test]
    fn without_a_handle_of_another_type_the_right_one_is_used() {
        let mut look_up = operation(PointKind::HandleLookup, 12, 1);
        assert_eq!(strike("mistyped-handle", "", &mut look_up, &mut scene()), None);
    }
}
