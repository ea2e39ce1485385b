//! A device transfers to or from a wrong address.
//!
//! A descriptor with a wrong or stale address, or a device that does as it likes. No processor's
//! tables are asked; only an IOMMU can refuse.
//!
//! Source: Markettos et al., "Thunderclap: Exploring Vulnerabilities in Operating System IOMMU
//! Protection via DMA from Untrustworthy Peripherals", NDSS 2019.
//!
//! Injection point: `dma`.

use super::elements::{anywhere, fault, index};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};

/// A device transfers to or from a wrong address.
pub(super) const KIND: Kind = Kind {
    name: "dma-to-wrong-frame",
    family: Family::Defect,
    model: Model::Hardware,
    points: PointKinds::of(&[PointKind::Dma]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["offset", "target"],
    about: "a device transfers to or from a wrong address",
    source: "Markettos et al., \"Thunderclap: Exploring Vulnerabilities in Operating System IOMMU Protection via DMA from Untrustworthy Peripherals\", NDSS 2019",
    build: |parameters, directory| {
        let offset = parameters.offset.unwrap_or(4096);
        if offset == 0 {
            return Err("an offset of 0 is no miss; expected another".to_owned());
        }
        let (target, directory) = (parameters.target.clone(), directory.clone());
        fault(&KIND, move |operation, scene| {
            let to = match &target {
                Some(target) => directory.locate(target, scene)?.phys,
                None => operation.virt.wrapping_add_signed(offset) % scene.memory_bytes().max(1),
            };
            if to & !7 == operation.virt {
                return None;
            }
            operation.virt = to & !7;
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, directory| {
        if stream.below(3) == 0 {
            return Parameters {
                target: stream.pick(&directory.targets()).cloned(),
                ..Parameters::default()
            };
        }
        let frames = 1 + i64::from(index(stream, 256));
        let frames = if stream.word() & 1 == 0 { frames } else { -frames };
        Parameters { offset: Some(frames * 4096), ..Parameters::default() }
    },
    every: |_, directory| {
        let places = directory.targets().into_iter().map(|target| Parameters {
            target: Some(target),
            ..Parameters::default()
        });
        let frames = (1..=256).flat_map(|frames: i64| [frames * 4096, -frames * 4096]);
        let frames =
            frames.map(|bytes| Parameters { offset: Some(bytes), ..Parameters::default() });
        places.chain(frames).collect()
    },
    flips_target: false,
};

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn the_transfer_goes_elsewhere() {
        let mut scene = FakeScene::new();
        let mut transfer = operation(PointKind::Dma, 0x3000, 8);

        assert_eq!(
            strike("dma-to-wrong-frame", "", &mut transfer, &mut scene),
            Some(Verdict::Proceed)
        );
        assert_eq!(transfer.virt, 0x4000);

        strike("dma-to-wrong-frame", "target = 'physical:0x5008'", &mut transfer, &mut scene);
        assert_eq!(transfer.virt, 0x5008);
    }

    #[test]
    fn without_a_place_to_go_to_it_goes_where_it_should() {
        let mut transfer = operation(PointKind::Dma, 0x3000, 8);
        let parameters = "target = 'process:shell/private-word:0'";
        assert_eq!(
            strike("dma-to-wrong-frame", parameters, &mut transfer, &mut FakeScene::new()),
            None
        );
    }
}
