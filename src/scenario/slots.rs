//! Which handle slots an action names: a mistake in one is told with its field.

use crate::world::Action;

/// The slots an action names, with the names of their fields.
pub(super) fn slots_of(action: &Action) -> Vec<(&'static str, u8)> {
    match *action {
        Action::Allocate { slot }
        | Action::AllocateAt { slot, .. }
        | Action::Free { slot }
        | Action::StoreThrough { slot, .. }
        | Action::LoadThrough { slot, .. }
        | Action::Open { slot, .. }
        | Action::Read { slot, .. }
        | Action::Write { slot, .. }
        | Action::Control { slot, .. }
        | Action::Flush { slot }
        | Action::CreateEvent { slot }
        | Action::SetEvent { slot }
        | Action::SetHandle { slot, .. }
        | Action::Terminate { slot, .. }
        | Action::QueryEvent { slot }
        | Action::OpenSection { slot, .. }
        | Action::OpenProcess { slot, .. }
        | Action::CreateProcess { slot, .. }
        | Action::Close { slot } => vec![("slot", slot)],
        Action::MapView { slot, view } => vec![("slot", slot), ("view", view)],
        Action::UnmapView { view } => vec![("view", view)],
        Action::Duplicate { slot, process, .. } => vec![("slot", slot), ("process", process)],
        Action::DuplicateFrom { source, slot, process, .. } => {
            vec![("source", source), ("slot", slot), ("process", process)]
        }
        Action::Take { view, slot, .. } => vec![("view", view), ("slot", slot)],
        Action::Store { .. }
        | Action::Load { .. }
        | Action::Access { .. }
        | Action::PortIn { .. }
        | Action::PortOut { .. }
        | Action::StrictHandles
        | Action::Yield
        | Action::Wait
        | Action::Exit { .. }
        | Action::Crash { .. }
        | Action::Spin
        | Action::SystemCall { .. } => Vec::new(),
    }
}
