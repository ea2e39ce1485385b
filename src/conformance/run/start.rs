//! What is wrong with an instance as it is made.

use crate::base::{FRAME_BYTES, PhysAddr};
use crate::conformance::breach::{Breach, Check, INTERFACE};
use crate::conformance::memory::Memory;

/// A root that is no frame of this memory.
pub(crate) fn root_outside(memory: &Memory, root: PhysAddr) -> Option<Breach> {
    if root.raw().is_multiple_of(FRAME_BYTES) && Memory::number(root.frame()).is_some() {
        return None;
    }
    Some(Breach {
        check: Check::Stores,
        kind: "its root is outside of memory".to_owned(),
        what: format!(
            "says that its root is at {:#x}; tables are frames that `allocate` handed out, between {:#x} \
             and {:#x}",
            root.raw(),
            memory.base().raw(),
            memory.base().plus(memory.bytes()).raw()
        ),
        virt: None,
        rule: INTERFACE,
    })
}
