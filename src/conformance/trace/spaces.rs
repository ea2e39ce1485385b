//! Address spaces: roots with their identifiers, and which processors may hold something of them.

use std::rc::Rc;

use crate::base::PhysAddr;
use crate::conformance::format::Format;
use crate::conformance::format::regime::{Root, Slot};
use crate::conformance::may_hold::{Processors, Space};

/// One root with its identifier.
pub(super) struct AddressSpace {
    pub(super) slot: Slot,
    pub(super) register: &'static str,
    pub(super) root: PhysAddr,
    pub(super) tag: u32,
    pub(super) format: Rc<dyn Format>,
    pub(super) is_common: bool,
    pub(super) is_combined: bool,
    /// Who has it in a register.
    pub(super) loaded: Processors,
    /// Who may remember something of it.
    pub(super) active: Processors,
    /// Its root was given back: it can't be loaded any more, but its identifier can.
    pub(super) is_retired: bool,
    /// Something of it could be remembered at some time: an entry was valid.
    pub(super) had_entries: bool,
}

#[derive(Default)]
pub(super) struct Spaces(Vec<Option<AddressSpace>>);

impl Spaces {
    pub(super) fn get(&self, space: Space) -> Option<&AddressSpace> {
        self.0.get(usize::try_from(space).ok()?)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, space: Space) -> Option<&mut AddressSpace> {
        self.0.get_mut(usize::try_from(space).ok()?)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Space, &AddressSpace)> {
        (0..).zip(&self.0).filter_map(|(space, held)| Some((space, held.as_ref()?)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Space, &mut AddressSpace)> {
        (0..).zip(&mut self.0).filter_map(|(space, held)| Some((space, held.as_mut()?)))
    }

    /// The one that a root register names.
    pub(super) fn named(&self, root: &Root) -> Option<Space> {
        self.iter()
            .find(|(_, space)| {
                !space.is_retired
                    && space.slot == root.slot
                    && space.root == root.at
                    && space.tag == root.tag
            })
            .map(|(space, _)| space)
    }

    /// Those, not retired, whose root is this frame.
    pub(super) fn rooted_at(&self, root: PhysAddr) -> Vec<Space> {
        self.iter()
            .filter(|(_, space)| !space.is_retired && space.root == root)
            .map(|(space, _)| space)
            .collect()
    }

    /// What a processor has in a slot.
    pub(super) fn current(&self, slot: Slot, processor: u16) -> Option<Space> {
        self.iter()
            .find(|(_, space)| space.slot == slot && space.loaded.has(processor))
            .map(|(space, _)| space)
    }

    pub(super) fn add(&mut self, root: &Root) -> Space {
        let space = AddressSpace {
            slot: root.slot,
            register: root.register,
            root: root.at,
            tag: root.tag,
            format: Rc::clone(&root.format),
            is_common: root.is_common,
            is_combined: root.is_combined,
            loaded: Processors::NONE,
            active: Processors::NONE,
            is_retired: false,
            had_entries: false,
        };
        let free = self.0.iter().position(Option::is_none).unwrap_or(self.0.len());
        if free == self.0.len() {
            self.0.push(Some(space));
        } else if let Some(slot) = self.0.get_mut(free) {
            *slot = Some(space);
        }
        Space::try_from(free).unwrap_or(Space::MAX)
    }

    /// Forgets one that nobody can hold anything of.
    pub(super) fn remove(&mut self, space: Space) {
        if let Some(slot) = usize::try_from(space).ok().and_then(|at| self.0.get_mut(at)) {
            *slot = None;
        }
    }
}
