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
    /// When the root is not in the image.
    pub fn incomplete(image: Image, controls: Controls) -> Result<Self, Incomplete> {
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
            return Self::incomplete(image.keeping(&reached), controls);
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
