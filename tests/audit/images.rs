//! Small images made up here.

use std::collections::BTreeMap;

use ringfence::audit::image::{Image, Levels, Table};
use ringfence::base::{Frame, Seed};

pub(crate) const P: u64 = 1;
pub(crate) const W: u64 = 2;
pub(crate) const U: u64 = 4;
pub(crate) const PS: u64 = 0x80;
pub(crate) const XD: u64 = 1 << 63;

/// Tables by frame number: slot and entry of what is not zero.
pub(crate) fn image(levels: Levels, root: u64, tables: &[(u64, &[(usize, u64)])]) -> Image {
    let mut held: BTreeMap<Frame, Box<Table>> = BTreeMap::new();
    for (frame, entries) in tables {
        let mut table = Box::new([0; 512]);
        for (slot, entry) in *entries {
            table[*slot] = *entry;
        }
        held.insert(Frame(*frame), table);
    }
    Image::new(root << 12, levels, held)
}

/// A kernel half with a direct map that covers the tables, a user half, an alias and pages that
/// several ways lead to.
pub(crate) fn ordinary() -> Image {
    image(
        Levels::Four,
        0x10,
        &[
            (0x10, &[(0, 0x11000 | P | W | U), (256, 0x14000 | P | W), (511, 0x14000 | P)]),
            (0x11, &[(0, 0x12000 | P | W | U), (1, 0x12000 | P | U)]),
            (0x12, &[(2, 0x13000 | P | W | U)]),
            (
                0x13,
                &[
                    (0, 0x40000 | P | U),
                    (1, 0x41000 | P | W | U | XD),
                    (2, 0x42000 | P | U | XD),
                    (3, 0x12000 | P | XD),
                    (9, 0x43000 | W | U),
                ],
            ),
            (0x14, &[(0, 0x15000 | P | W), (510, 0x15000 | P | U | XD)]),
            (0x15, &[(0, 0x16000 | P | W), (7, 0x17000 | P | W | U)]),
            (
                0x16,
                &[
                    (0x10, 0x10000 | P | W | XD),
                    (0x13, 0x13000 | P | W | XD),
                    (0x41, 0x41000 | P | W | XD),
                    (0x50, 0x50000 | P | W),
                    (0x51, 0x51000 | P),
                ],
            ),
            (0x17, &[(0, 0x52000 | P | W | U | XD), (1, 0x40000 | P | W | U)]),
        ],
    )
}

/// Pages of 2 MiB, tables that lie where a large page could start, and five levels.
pub(crate) fn large() -> Image {
    image(
        Levels::Five,
        0x200,
        &[
            (0x200, &[(0, 0x201000 | P | W | U), (511, 0x201000 | P)]),
            (0x201, &[(3, 0x202000 | P | W | U), (300, 0x202000 | P | W)]),
            (0x202, &[(0, 0x203000 | P | W | U)]),
            (
                0x203,
                &[
                    (0, 0x400000 | P | W | U),
                    (1, 0x600000 | P | W | U | PS),
                    (2, 0x200000 | P | W | PS | XD),
                    (3, 0x800000 | P | U | PS | 0x1000),
                ],
            ),
            (0x400, &[(0, 0x601000 | P | U), (5, 0x900000 | P | W | U | XD)]),
        ],
    )
}

/// A root that names itself, as some kernels have it: each table is a page too.
pub(crate) fn self_mapped() -> Image {
    image(
        Levels::Four,
        0x20,
        &[
            (
                0x20,
                &[(0, 0x21000 | P | W | U), (493, 0x20000 | P | W | XD), (500, 0x24000 | P | W)],
            ),
            (0x21, &[(0, 0x22000 | P | W | U)]),
            (0x22, &[(0, 0x23000 | P | W | U)]),
            (0x23, &[(0, 0x60000 | P | W | U), (1, 0x61000 | P | U | XD)]),
            (0x24, &[(0, 0x25000 | P | W)]),
            (0x25, &[(0, 0x26000 | P | W)]),
            (0x26, &[(0, 0x62000 | P | W | XD), (1, 0x63000 | P)]),
        ],
    )
}

/// Any tables at all: they name each other, themselves and pages, with any rights.
pub(crate) fn random(seed: u64) -> Image {
    let mut draw = Seed(seed).stream("images", 0);
    let frames: Vec<u64> = (0..5).map(|index| 0x30 + index).collect();
    let mut held: BTreeMap<Frame, Box<Table>> = BTreeMap::new();
    for &frame in &frames {
        let mut table = Box::new([0; 512]);
        for _ in 0..4 {
            let slot = [0, 1, 2, 3, 256, 511][usize::try_from(draw.below(6)).expect("small")];
            let target = 0x30 + draw.below(12);
            let flags = [P, P | W, P | U, P | W | U, P | W | U, W | U];
            let flags = flags[usize::try_from(draw.below(6)).expect("small")];
            let xd = if draw.below(3) == 0 { XD } else { 0 };
            let key = draw.below(3) << 59;
            table[slot] = target << 12 | flags | xd | key;
        }
        held.insert(Frame(frame), table);
    }
    Image::new(0x30 << 12, Levels::Four, held)
}
