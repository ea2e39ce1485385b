//! What a fault is to the machine.

use super::PointKind;
use crate::base::{Principal, VirtAddr, bits_of};

/// What is about to happen, open to alteration.
///
/// Which fields mean something depends on the kind: `virt` is the address of an access, the handle of a
/// look-up, the physical address of a transfer, the target of a mode switch, call or return, the tag of a
/// pool allocation and the address that is freed, the structure that an allocated frame will hold and the
/// number of one that is freed, the packet that is completed, the object that is referred to, the old
/// request level; `value` is what will be stored, `rax` at a mode switch, the length of a probe or copy, the
/// size of an allocation or of a frame, the tag that a pool block is freed with, the rights a look-up
/// compares, the bytes that a completion tells, the result of a routine, the new request level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Operation {
    /// What is about to happen.
    pub kind: PointKind,
    /// Who is about to do it.
    pub principal: Principal,
    /// See above.
    pub virt: u64,
    /// See above.
    pub value: u64,
    /// Which bytes of the 8-byte word an access covers.
    pub mask: u8,
}

/// What the machine does with an operation after a fault has seen it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Carry on with the operation as it now stands.
    Proceed,
    /// Leave it out. A load that is left out yields the operation's value, zero at first; an allocation
    /// fails.
    Skip,
    /// Do it twice.
    Repeat,
    /// Raise the exception with this vector instead (0 divide, 6 invalid opcode, …).
    Raise(u8),
    /// Continue at this address instead.
    Jump(u64),
    /// Stay here: the step is fetched again, a transfer is due again after its usual delay.
    Hang,
    /// Run the step, and go on with the other arm of its branch. Whatever else the step does is what the right
    /// arm does.
    OtherArm,
}

/// The machine as a fault sees it at the moment it strikes.
pub trait Scene {
    /// The 8-byte word at a physical address, without effect on anything; all ones outside memory.
    fn peek(&self, phys: u64) -> u64;
    /// Changes a physical word behind everybody's back, as a particle, a row disturbance or a
    /// stray transfer does. Counts as a strike's own store.
    fn poke(&mut self, phys: u64, value: u64);
    /// Changes a physical word as a store of the principal's own to this linear address does, in
    /// whatever address space that leads there (0 when in none). Nobody asks for rights. What user
    /// mode reaches thus beyond its own memory is changed behind everybody's back all the same.
    fn store(&mut self, virt: u64, phys: u64, value: u64);
    /// Has another thread of the process whose address space is loaded store a word, as soon as the load that is
    /// about to happen is over and with the rights that user mode has. Whether it may.
    fn store_behind(&mut self, virt: VirtAddr, value: u64) -> bool;
    /// Where the current address space maps this address, rights aside.
    fn translate(&self, virt: VirtAddr) -> Option<u64>;
    /// Whether the tables let the code that runs store to this address.
    fn may_store(&self, virt: VirtAddr) -> bool;
    /// What memory holds of the 8 bytes at a linear address, as far as `mask` covers them (bit 0 the first) and
    /// rights aside; `None` where one of those is mapped nowhere.
    fn held(&self, virt: u64, mask: u8) -> Option<u64> {
        let word = |virt: u64| self.translate(VirtAddr(virt)).map(|phys| self.peek(phys & !7));
        let (first, shift) = (virt & !7, virt % 8);
        let low = word(first)?;
        let spills = u16::from(mask) << shift >> 8 != 0;
        let high = if spills { word(first.wrapping_add(8))? << (64 - 8 * shift) } else { 0 };
        Some((low >> (8 * shift) | high) & bits_of(mask))
    }
    /// Whether anything is other without the words of the transfer that is about to happen from number `first` on:
    /// one of them differs from what is where it goes, or is refused.
    fn transfer_matters(&self, operation: &Operation, first: u64) -> bool;
    /// Whether anything is other without the bytes of the copy or fill that is about to happen from number `first`
    /// on: one of them differs from what is where it goes, or is refused.
    fn copy_matters(&self, operation: &Operation, first: u64) -> bool;
    /// Whether anything is other without the invalidation or probe that is about to happen: a translation that the
    /// tables no longer grant may be held still, or the buffer is refused. Of anything else that is about to happen,
    /// it is.
    fn is_missed(&self) -> bool;
    /// General register `number` (rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 … r15).
    fn register(&self, number: usize) -> u64;
    /// Changes general register `number`.
    fn set_register(&mut self, number: usize, value: u64);
    /// The instruction pointer.
    fn instruction_pointer(&self) -> u64;
    /// Whether the step that is about to run branches; of anything else that is about to happen, it doesn't.
    fn branches(&self) -> bool;
    /// The interrupt request level (CR8).
    fn level(&self) -> u64;
    /// Where the return address of the running routine is; `None` where no call left one: at the base of a
    /// stack, and where a gate leads.
    fn return_address_at(&self) -> Option<VirtAddr>;
    /// Bytes of physical memory.
    fn memory_bytes(&self) -> u64;
    /// The page-map root of the current address space.
    fn root(&self) -> u64;
    /// Makes the processor forget its cached translation of this page, as it may at any time.
    fn evict(&mut self, virt: VirtAddr);
    /// Makes the processor forget every cached translation, as it may at any time.
    fn evict_all(&mut self);
    /// Makes the processor use, as it may, a translation that it may still hold although the tables no
    /// longer grant it: of this page or, for `None`, of any; the one on which `drawn` falls. Returns the
    /// address that it translates; `None` when there is none.
    fn hold(&mut self, page: Option<VirtAddr>, drawn: u64) -> Option<VirtAddr>;
    /// Makes the processor load the translation of this page before anybody asks for it, as it may at
    /// any time. Whether there is one.
    fn prefetch(&mut self, virt: VirtAddr) -> bool;
    /// Makes a processor, by number, stand still for `steps` in the midst of a step: the `nth` from now, from
    /// 0, that writes what others may read. What the step writes comes when the processor goes on, as it may at
    /// any time. Whether it could be told to: there is such a processor, and none of this awaits it already.
    fn stall(&mut self, processor: u64, nth: u64, steps: u64) -> bool;
    /// Makes the interrupt with this vector pending on the processor.
    fn pend(&mut self, vector: u8);
}

/// Something that goes wrong at an injection point.
///
/// Implement it for a fault of your own: `strike` is called once the plan's trigger is met (and at
/// every later matching point when the plan says so).
pub trait Fault: Send {
    /// Its name, as in `ringfence list faults`.
    fn name(&self) -> &'static str;

    /// Alters the operation or the scene and says what becomes of the operation. `None`: it could not
    /// strike here (nothing to alter), and the activation is not counted.
    fn strike(&mut self, operation: &mut Operation, scene: &mut dyn Scene) -> Option<Verdict>;
}
