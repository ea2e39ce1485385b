//! Code that ends badly at each unmapping, as it is told to.

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::{self, Mapper, Memory, Refusal, Rights, Suite};
use ringfence::machine::paging::PageSize;

/// Code that does `end` at each unmapping.
pub(crate) struct Fatal {
    memory: Memory,
    root: PhysAddr,
    end: fn(&Memory),
}

impl Mapper for Fatal {
    fn root(&self) -> PhysAddr {
        self.root
    }

    fn map(&mut self, _: VirtAddr, _: PhysAddr, _: PageSize, _: Rights) -> Result<(), Refusal> {
        Err(Refusal::Declined("never"))
    }

    fn unmap(&mut self, _: VirtAddr, _: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        (self.end)(&self.memory);
        Err(Refusal::NotMapped)
    }
}

pub(crate) fn fatal(end: fn(&Memory)) -> Suite<impl Fn(Memory) -> Fatal> {
    conformance::mapper(move |memory: Memory| Fatal {
        root: memory.allocate_zeroed().expect("a frame"),
        memory,
        end,
    })
}
