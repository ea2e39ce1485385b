//! Tables that were taken out of use, or put under other limits, and that some processor may still walk as before.

use super::checker::Checker;
use crate::base::{FRAME_BYTES, Frame, PhysAddr, VirtAddr};
use crate::conformance::checks::invalidation;
use crate::conformance::flat::Place;
use crate::conformance::may_hold::{Space, Stamp, overwritten};
use crate::conformance::tables::{Leaf, leaves_in};

impl Checker {
    /// What an entry translated was in use until now, where its table may still be walked.
    pub(super) fn overwrite(&mut self, at: PhysAddr, [old, new]: [u64; 2]) {
        let (spaces, told, now) = (&self.spaces, &self.told, self.now);
        self.may_hold.overwrite(at.frame(), now, &|space, way| {
            if told.contains(&(space, *way)) {
                return None;
            }
            overwritten(&*spaces.get(space)?.format, way, at, [old, new])
        });
    }

    /// Pages that are still to be reached by ways that were withdrawn by stores which `is_meant` holds of: all, or
    /// those that lead to a range of frames, both ends included.
    pub(super) fn judge_behind(
        &mut self,
        occasion: &str,
        is_meant: &dyn Fn(Stamp) -> bool,
        frames: Option<(Frame, Frame)>,
    ) {
        let ways = self.may_hold.ways.iter().filter(|(space, way)| {
            is_meant(way.stored) && !self.told.contains(&(*space, way.what))
        });
        let found = { ways }.find_map(|(space, way)| {
            let format = &*self.spaces.get(space)?.format;
            let word_at = |at| self.books.word(at);
            let mut leaves = leaves_in(format, &way.what, &word_at);
            let (leaf, virt, now) = leaves.find_map(|leaf| {
                let (virt, bytes) = first_of(&leaf, frames)?;
                let (virt, now) = self.first_ungranted(space, &leaf, virt, bytes)?;
                Some((leaf, virt, now))
            })?;
            let breach = invalidation::reachable(format, occasion, way, &leaf, virt.page(), now);
            Some(((space, way.what), breach, way.stored, format.name()))
        });
        let Some((way, breach, since, name)) = found else { return };
        self.told.insert(way);
        self.report(breach, None, Some(since), Some(name));
    }

    /// The first page from `virt` on, of so many bytes, that the tables do not grant as `leaf` does.
    fn first_ungranted(
        &self,
        space: Space,
        leaf: &Leaf,
        mut virt: VirtAddr,
        bytes: u64,
    ) -> Option<(VirtAddr, Option<Place>)> {
        let first = virt;
        while virt.0.wrapping_sub(first.0) < bytes {
            if let Some(now) = self.ungranted(space, leaf, virt) {
                return Some((virt, now));
            }
            virt = self.behind_page(space, virt)?;
        }
        None
    }
}

/// The part of a leaf that leads to a range of frames: its first address and its bytes.
fn first_of(leaf: &Leaf, frames: Option<(Frame, Frame)>) -> Option<(VirtAddr, u64)> {
    let Some((first, last)) = frames else { return Some((leaf.first, leaf.size.bytes())) };
    let start = leaf.page.frame();
    let end = Frame(start.0 + leaf.size.frames() - 1);
    let (from, to) = (first.max(start), last.min(end));
    let bytes = (to.0 + 1).checked_sub(from.0).filter(|frames| *frames > 0)? * FRAME_BYTES;
    Some((leaf.first.plus((from.0 - start.0) * FRAME_BYTES), bytes))
}
