//! Which handle slots an action names.

use super::Action;

impl Action {
    /// The slots it names, with the names of their fields: a mistake in one is told by its field, and a
    /// simpler case has others.
    pub fn slots_mut(&mut self) -> Vec<(&'static str, &mut u8)> {
        match self {
            Self::Allocate { slot }
            | Self::AllocateAt { slot, .. }
            | Self::Free { slot }
            | Self::StoreThrough { slot, .. }
            | Self::LoadThrough { slot, .. }
            | Self::Open { slot, .. }
            | Self::Read { slot, .. }
            | Self::ReadTo { slot, .. }
            | Self::Write { slot, .. }
            | Self::Control { slot, .. }
            | Self::Flush { slot }
            | Self::DeviceEvent { slot }
            | Self::CreateEvent { slot }
            | Self::SetEvent { slot }
            | Self::SetHandle { slot, .. }
            | Self::Terminate { slot, .. }
            | Self::QueryEvent { slot }
            | Self::OpenSection { slot, .. }
            | Self::OpenProcess { slot, .. }
            | Self::CreateProcess { slot, .. }
            | Self::CreateThread { slot, .. }
            | Self::TerminateThread { slot, .. }
            | Self::Close { slot } => vec![("slot", slot)],
            Self::MapView { slot, view } => vec![("slot", slot), ("view", view)],
            Self::UnmapView { view } => vec![("view", view)],
            Self::Duplicate { slot, process, .. } => vec![("slot", slot), ("process", process)],
            Self::DuplicateFrom { source, slot, process, .. } => {
                vec![("source", source), ("slot", slot), ("process", process)]
            }
            Self::Take { view, slot, .. } => vec![("view", view), ("slot", slot)],
            Self::Store { .. }
            | Self::StoreProcessAddress { .. }
            | Self::Load { .. }
            | Self::Access { .. }
            | Self::PortIn { .. }
            | Self::PortOut { .. }
            | Self::StrictHandles
            | Self::Yield
            | Self::Wait
            | Self::Exit { .. }
            | Self::Crash { .. }
            | Self::ExitThread { .. }
            | Self::Repeat { .. }
            | Self::OnFailure { .. }
            | Self::Spin
            | Self::LoadStackSegment { .. }
            | Self::SystemCall { .. } => Vec::new(),
        }
    }
}
