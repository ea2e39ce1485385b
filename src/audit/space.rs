//! An image with all that is derived from it once: ways, permitted accesses, uses of frames.

use core::fmt;

use crate::base::PhysAddr;
use crate::machine::paging::x86_64::Controls;

use super::frames::FrameMap;
use super::image::Image;
use super::permits::Permits;
use super::protections::level_name;
use super::ways::{Missing, Way, Ways};

/// The address space of an image under given controls.
#[derive(Clone, Debug)]
pub struct Space {
    /// The tables.
    pub image: Image,
    /// The controls, with the root and levels of the image.
    pub controls: Controls,
    /// What they permit with all registers as they are.
    pub permits: Permits,
    /// What they permit whatever PKRU denies, which a process changes as it likes.
    pub at_will: Permits,
    /// Every way to every table.
    pub ways: Ways,
    /// What is known of each frame.
    pub frames: FrameMap,
}

/// Mappings that are gone through at most, each counted once however many addresses lead there: 256 GiB in
/// pages of 4 KiB. Of each up to 40 bytes are held, of pages side by side with the same rights almost
/// nothing.
pub const MAPPINGS_MAX: usize = 1 << 26;

/// Why there is nothing to audit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Incomplete {
    /// The root is not in the image.
    Root {
        /// The root table that CR3 names.
        root: PhysAddr,
    },
    /// A table that is named is not.
    Table(Missing),
    /// The tables are all there, and more than can be gone through.
    TooMany,
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root { root } => {
                write!(f, "CR3 names a root table at {:#x}, which is not in the image", root.raw())
            }
            Self::Table(Missing { frame, at, level, first }) => write!(
                f,
                "the entry at physical {:#x} names a {} table at {:#x} (for addresses from \
                 {first}), which is not in the image",
                at.raw(),
                level_name(*level),
                frame.start().raw()
            ),
            Self::TooMany => write!(
                f,
                "there are more than {MAPPINGS_MAX} mappings with a leaf entry, rights or half of \
                 address space of their own"
            ),
        }
    }
}

impl core::error::Error for Incomplete {}

impl Space {
    /// Derives everything.
    ///
    /// # Errors
    ///
    /// When the root, or a table that an entry names, is not in the image: what it allows is
    /// unknown, and a report would be of something else than the machine.
    pub fn new(image: Image, controls: Controls) -> Result<Self, Incomplete> {
        let space = Self::incomplete(image, controls)?;
        match space.ways.missing.first() {
            Some(missing) => Err(Incomplete::Table(*missing)),
            None => Ok(space),
        }
    }

    /// Derives what can be; a table that is missing is taken as if nothing were present in it.
    ///
    /// # Errors
    ///
    /// When the root is not in the image, or there are more than [`MAPPINGS_MAX`] mappings.
    pub fn incomplete(image: Image, controls: Controls) -> Result<Self, Incomplete> {
        Self::bounded(image, controls, MAPPINGS_MAX)
    }

    fn bounded(image: Image, controls: Controls, mappings_max: usize) -> Result<Self, Incomplete> {
        let controls = image.controls(controls);
        let root = controls.root();
        if image.index_of(root.frame()).is_none() {
            return Err(Incomplete::Root { root });
        }
        let (permits, at_will) = (Permits::new(&controls), Permits::at_will(&controls));
        let ways = Ways::new(&image, &controls, None);
        let reached = ways.reached(&image);
        if reached.contains(&false) {
            // What is no page table is not read, wherever a flipped entry leads.
            return Self::bounded(image.keeping(&reached), controls, mappings_max);
        }
        let found = ways.mappings(&image, &controls).map(drop);
        if found.take(mappings_max + 1).count().saturating_add(ways.missing.len()) > mappings_max {
            return Err(Incomplete::TooMany);
        }
        let frames = FrameMap::new(&image, &controls, &at_will, &ways);
        Ok(Self { image, controls, permits, at_will, ways, frames })
    }

    /// The ways to each table of the image.
    pub(super) fn ways_by_table(&self) -> Vec<Vec<Way>> {
        let mut by_table = vec![Vec::new(); self.image.frames().len()];
        for way in &self.ways.all {
            by_table[way.table].push(*way);
        }
        by_table
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::audit::image::Levels;
    use crate::base::Frame;

    #[test]
    fn more_mappings_than_are_gone_through_are_told() {
        let table = |entries: &[(usize, u64)]| {
            let mut table = Box::new([0; 512]);
            entries.iter().for_each(|&(slot, entry)| table[slot] = entry);
            table
        };
        // Three pages and a table that is not there.
        let tables = [
            (Frame(1), table(&[(0, 0x2007)])),
            (Frame(2), table(&[(0, 0x3007)])),
            (Frame(3), table(&[(0, 0x4007), (1, 0x9007)])),
            (Frame(4), table(&[(0, 0x8007), (1, 0x7007), (9, 0x6007)])),
        ];
        let image = Image::new(0x1000, Levels::Four, BTreeMap::from(tables));
        let bounded = |max| Space::bounded(image.clone(), Controls::default(), max).err();

        assert_eq!(bounded(4), None);
        assert_eq!(bounded(3), Some(Incomplete::TooMany));
    }
}
