//! An instance as it is made: what it declares, and what is wrong with it.

use core::cell::Cell;

use super::Setting;
use crate::base::{FRAME_BYTES, PhysAddr};
use crate::conformance::breach::{Breach, Check, INTERFACE};
use crate::conformance::checks::totality;
use crate::conformance::declared::Declared;
use crate::conformance::guard;
use crate::conformance::memory::{Memory, enter, leave};
use crate::conformance::stop::Ended;

impl Setting<'_, '_> {
    /// What the implementation declares; asked on an instance of its own.
    pub(crate) fn declared(&self) -> Result<Declared, Ended> {
        let memory = Memory::hosted(self.format, None, self.hosting);
        enter(&memory);
        memory.begin(self.accesses_max);
        let during = Cell::new(totality::MAKING);
        let said = memory.attempt(|| {
            let mapper = self.factory.make(memory.clone());
            let declared = Declared::by_mapper(&*mapper, |what| {
                during.set(what);
                guard::calls(0, &what);
            });
            (mapper, declared)
        });
        let result = match said {
            Ok((mapper, declared)) => {
                memory.begin(self.accesses_max);
                guard::calls(0, &totality::DROP);
                let dropped = memory.attempt(|| drop(mapper));
                dropped.map(|()| declared).map_err(|stop| Ended { stop, during: totality::DROP })
            }
            Err(stop) => Err(Ended { stop, during: during.get() }),
        };
        leave();
        memory.retire();
        result
    }
}

/// A root that is no frame of this memory.
pub(crate) fn root_outside(memory: &Memory, root: PhysAddr) -> Option<Breach> {
    if root.raw().is_multiple_of(FRAME_BYTES) && Memory::number(root.frame()).is_some() {
        return None;
    }
    let is_within = Memory::number(root.frame()).is_some();
    let kind = if is_within { "its root is no frame" } else { "its root is outside of memory" };
    Some(Breach {
        check: Check::Stores,
        kind: kind.to_owned(),
        what: format!(
            "says that its root is at {:#x}; tables are whole frames that `allocate` handed out, between \
             {:#x} and {:#x}",
            root.raw(),
            memory.base().raw(),
            memory.base().plus(memory.bytes()).raw()
        ),
        virt: None,
        rule: INTERFACE,
    })
}
