//! What was about to happen where a fault struck, in words.

use crate::injection::PointKind;

/// What was about to happen at a point of this kind, with the address or argument that it was about to use.
pub(super) fn about_to(kind: PointKind, argument: u64) -> String {
    // What it is without its argument, and the word that leads to it.
    let (what, with) = match kind {
        PointKind::Step => ("run", ""),
        PointKind::Load => ("load", " from"),
        PointKind::Store => ("store", " to"),
        PointKind::TableStore => ("store a table entry", " to"),
        PointKind::Invalidate => ("invalidate", ""),
        PointKind::ModeSwitch => ("switch modes", " to"),
        // What for: a structure, or a pool's tag.
        PointKind::Allocate => ("allocate", " for"),
        PointKind::Free => ("free", ""),
        PointKind::HandleLookup => ("look up a handle,", ""),
        PointKind::Probe => ("probe", ""),
        PointKind::Handover => ("hand over a packet,", ""),
        PointKind::Interrupt => ("interrupt", " with vector"),
        PointKind::Dma => ("transfer", " at bus address"),
        PointKind::Copy => ("copy", " at"),
        PointKind::Call => ("call", ""),
        PointKind::Return => ("return", " to"),
        PointKind::Lock => ("take the lock", " at"),
        PointKind::Unlock => ("give back the lock", " at"),
        PointKind::Level => ("change the level", " from"),
        PointKind::Reference => ("count a reference", " to"),
        PointKind::Dereference => ("drop a reference", " to"),
        PointKind::Complete => ("complete a packet,", ""),
    };
    match argument {
        0 => what.trim_end_matches(',').to_owned(),
        argument => format!("{what}{with} {argument:#x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::about_to;
    use crate::injection::PointKind;

    #[test]
    fn what_it_is_about_to_use_is_told_where_there_is_something() {
        assert_eq!(about_to(PointKind::Load, 0x1000), "load from 0x1000");
        assert_eq!(about_to(PointKind::HandleLookup, 4), "look up a handle, 0x4");
        assert_eq!(about_to(PointKind::HandleLookup, 0), "look up a handle");
        assert_eq!(about_to(PointKind::Unlock, 0), "give back the lock");
    }
}
