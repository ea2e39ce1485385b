//! What a copy or fill that is about to happen would bring, for whoever asks whether it is missed.

use crate::base::{VirtAddr, bits_of};
use crate::injection::{Operation, Scene};

use super::Machine;

/// Where the bytes of a copy or fill come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// A word again and again.
    Fill(u64),
    /// The bytes from this address on.
    Copy(u64),
}

impl Machine {
    /// Whether anything is other without the bytes from number `first` on of the copy or fill that a processor is
    /// about to make: one of them differs from what is where it goes, or is refused. A fill consists of whole words.
    pub(super) fn copy_matters(
        &self,
        processor: usize,
        scene: &dyn Scene,
        operation: &Operation,
        first: u64,
    ) -> bool {
        let Some(source) = self.copying else { return operation.value > first };
        // As much as is made at most.
        let (first, bytes_max) = match source {
            Source::Fill(_) => (first & !7, 8 << 16),
            Source::Copy(_) => (first, 1 << 16),
        };
        let bytes = operation.value.min(bytes_max);
        (first..bytes).step_by(8).any(|at| {
            let here = (bytes - at).min(8);
            let mask = if here == 8 { 0xff } else { !(0xffu8 << here) };
            let target = operation.virt.wrapping_add(at);
            let wanted = match source {
                Source::Fill(value) => Some(value & bits_of(mask)),
                Source::Copy(from) => scene.held(from.wrapping_add(at), mask),
            };
            let ends = [target, target.wrapping_add(here - 1)];
            let may_store = ends.iter().all(|&end| self.may_store(processor, VirtAddr(end)));
            !may_store || wanted.is_none() || scene.held(target, mask) != wanted
        })
    }
}
