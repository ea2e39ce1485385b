//! The second level of permissions: what each frame may be used for, whatever the tables say.
//!
//! Between translation and memory, as a hypervisor's tables are: indexed by frame and not by linear
//! address, and with no instruction by which a kernel could change them (Hypervisor Top Level
//! Functional Specification, "Virtual Secure Mode"). Off unless a world switches it on. A refusal is
//! found when a translation is looked up in the tables; what is remembered of one never allows more
//! than this level does, so that the way of most accesses doesn't ask at all.
//!
//! Not modelled: a walk's own reads of table entries, and marks in them, are not checked.

use crate::base::{Access, Frame, Ring, Rule};

use super::paging::x86_64::{Rights, Walk};
use super::trap::second_level::{EXECUTE, READ, WRITE};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "second-level-by-frame",
        "A hypervisor's permissions hold for a frame however it is mapped, and no kernel changes them.",
        "Hypervisor Top Level Functional Specification, Virtual Secure Mode",
    ),
    Rule::inferred(
        "second-level-by-exception",
        "What they refuse is told to the kernel by an exception, at the access.",
        "Intel SDM volume 3C, Virtualization Exceptions",
    ),
    Rule::inferred(
        "second-level-binds-devices-through-iommu",
        "A device's write is refused by them only where the IOMMU is on: it is the hypervisor's then.",
        "Hypervisor Top Level Functional Specification, Virtual Secure Mode",
    ),
];

/// Refusals by frame; without any frame it is off.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SecondLevel {
    /// [`READ`] and [`WRITE`] for everybody, [`EXECUTE`] for kernel mode.
    refused: Vec<u8>,
}

impl SecondLevel {
    /// The level for so many frames, refusing nothing yet.
    #[must_use]
    pub fn new(frames: usize) -> Self {
        Self { refused: vec![0; frames] }
    }

    /// Whether anything is checked at all.
    #[inline(always)]
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.refused.is_empty()
    }

    /// Refuses from now on what `bits` say of a frame, see [`second_level`](super::trap::second_level);
    /// [`EXECUTE`] is refused to kernel mode only. Without effect for a frame that is not there.
    #[allow(clippy::cast_possible_truncation, reason = "three bits")]
    pub fn refuse(&mut self, frame: Frame, bits: u64) {
        if let Some(of_frame) = self.of_mut(frame) {
            *of_frame |= bits as u8;
        }
    }

    /// Allows a frame everything but what `bits` say.
    #[allow(clippy::cast_possible_truncation, reason = "three bits")]
    pub fn refuse_only(&mut self, frame: Frame, bits: u64) {
        if let Some(of_frame) = self.of_mut(frame) {
            *of_frame = bits as u8;
        }
    }

    fn of_mut(&mut self, frame: Frame) -> Option<&mut u8> {
        usize::try_from(frame.0).ok().and_then(|frame| self.refused.get_mut(frame))
    }

    fn of(&self, frame: Frame) -> u64 {
        let index = usize::try_from(frame.0).ok();
        index.and_then(|index| self.refused.get(index)).map_or(0, |bits| u64::from(*bits))
    }

    /// What of an access is refused: 0 when nothing is.
    #[must_use]
    pub fn refused(&self, frame: Frame, access: Access, ring: Ring) -> u64 {
        let asked = match (access, ring) {
            (Access::Read, _) => READ,
            (Access::Write, _) => WRITE,
            (Access::Execute, Ring::Kernel) => EXECUTE,
            (Access::Execute, Ring::User) => return 0,
        };
        self.of(frame) & asked
    }

    /// What may be remembered of a walk, so that no more is allowed by it; `None` for nothing.
    #[must_use]
    pub(super) fn narrowed(&self, walk: &Walk) -> Option<Walk> {
        let refused = self.of(walk.address.frame());
        if refused & READ != 0 {
            return None;
        }
        let mut walk = *walk;
        if refused & WRITE != 0 {
            // A write through a translation that is not dirty goes to the tables, and so to here.
            walk.leaf_is_dirty = false;
        }
        if refused & EXECUTE != 0 {
            walk.rights = Rights::from_bits(walk.rights.bits() & !Rights::EXECUTABLE.bits());
        }
        Some(walk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_frames_it_is_off_and_refuses_nothing() {
        let level = SecondLevel::default();

        assert!(!level.is_on());
        assert_eq!(level.refused(Frame(0), Access::Write, Ring::Kernel), 0);
    }

    #[test]
    fn each_refusal_is_of_one_frame_and_one_kind_of_access() {
        let accesses = [(Access::Read, READ), (Access::Write, WRITE), (Access::Execute, EXECUTE)];
        for (refused, bit) in accesses {
            let mut level = SecondLevel::new(4);
            level.refuse(Frame(2), bit);

            for frame in 0..6 {
                for (access, _) in accesses {
                    for ring in [Ring::Kernel, Ring::User] {
                        let is_refused = frame == 2
                            && access == refused
                            && (access != Access::Execute || ring == Ring::Kernel);
                        let expected = if is_refused { bit } else { 0 };
                        assert_eq!(level.refused(Frame(frame), access, ring), expected);
                    }
                }
            }
        }
    }

    #[test]
    fn what_was_refused_can_be_narrowed_to_less() {
        let mut level = SecondLevel::new(1);
        level.refuse(Frame(0), EXECUTE);
        level.refuse_only(Frame(0), WRITE);

        assert_eq!(level.refused(Frame(0), Access::Execute, Ring::Kernel), 0);
        assert_eq!(level.refused(Frame(0), Access::Write, Ring::User), WRITE);
    }
}
