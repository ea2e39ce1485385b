//! A scene for tests: some frames, a mapping, registers, nothing behind it.

use std::collections::BTreeMap;

use super::{Operation, PointKind, Scene};
use crate::base::{Principal, VirtAddr};

/// A small memory whose first frames are mapped wherever a test says.
pub(crate) struct FakeScene {
    pub(crate) memory: Vec<u64>,
    pub(crate) pages: BTreeMap<u64, u64>,
    /// Those of the mapped pages to which nothing may be stored.
    pub(crate) read_only: Vec<u64>,
    pub(crate) registers: [u64; 16],
    pub(crate) rip: u64,
    pub(crate) level: u64,
    pub(crate) branches: bool,
    /// Where the return address of the running routine is.
    pub(crate) return_address_at: Option<u64>,
    pub(crate) root: u64,
    pub(crate) evicted: Vec<u64>,
    /// Pages whose translations were withdrawn and may be held, and those made use of.
    pub(crate) withdrawn: Vec<u64>,
    pub(crate) held: Vec<u64>,
    pub(crate) prefetched: Vec<u64>,
    pub(crate) pended: Vec<u8>,
    /// Processors made to stand still: which, in the how-manieth step, for how long.
    pub(crate) stalled: Vec<(u64, u64, u64)>,
    pub(crate) pokes: Vec<(u64, u64)>,
    /// From which word of a transfer or byte of a copy on what is where it goes is what would come.
    pub(crate) same_from: u64,
    /// Whether an invalidation or probe that is left out is missed.
    pub(crate) is_missed: bool,
    /// What another thread stores behind the access: where, what.
    pub(crate) behind: Vec<(u64, u64)>,
    /// Where those went that were stores of the principal's own.
    pub(crate) stores: Vec<u64>,
}

impl FakeScene {
    /// 32 zeroed frames, nothing mapped.
    pub(crate) fn new() -> Self {
        Self {
            memory: vec![0; 32 * 512],
            pages: BTreeMap::new(),
            read_only: Vec::new(),
            registers: [0; 16],
            rip: 0,
            level: 0,
            branches: false,
            return_address_at: None,
            root: 0,
            evicted: Vec::new(),
            withdrawn: Vec::new(),
            held: Vec::new(),
            prefetched: Vec::new(),
            pended: Vec::new(),
            stalled: Vec::new(),
            pokes: Vec::new(),
            same_from: u64::MAX,
            is_missed: true,
            behind: Vec::new(),
            stores: Vec::new(),
        }
    }

    /// Maps the page of `virt` to a frame.
    pub(crate) fn map(&mut self, virt: u64, frame: u64) -> &mut Self {
        self.pages.insert(virt >> 12, frame);
        self
    }

    /// Puts a word at a mapped address.
    pub(crate) fn put(&mut self, virt: u64, value: u64) -> &mut Self {
        let phys = self.translate(VirtAddr(virt)).expect("mapped");
        self.memory[usize::try_from(phys / 8).expect("small")] = value;
        self
    }

    /// The word at a mapped address.
    pub(crate) fn get(&self, virt: u64) -> u64 {
        self.peek(self.translate(VirtAddr(virt)).expect("mapped"))
    }
}

impl Scene for FakeScene {
    fn peek(&self, phys: u64) -> u64 {
        let index = usize::try_from(phys / 8).unwrap_or(usize::MAX);
        self.memory.get(index).copied().unwrap_or(u64::MAX)
    }

    fn poke(&mut self, phys: u64, value: u64) {
        self.pokes.push((phys, value));
        let index = usize::try_from(phys / 8).unwrap_or(usize::MAX);
        if let Some(word) = self.memory.get_mut(index) {
            *word = value;
        }
    }

    fn store(&mut self, virt: u64, phys: u64, value: u64) {
        self.stores.push(virt);
        self.poke(phys, value);
    }

    fn store_behind(&mut self, virt: VirtAddr, value: u64) -> bool {
        let is_mapped = self.translate(virt).is_some();
        if is_mapped {
            self.behind.push((virt.0, value));
        }
        is_mapped
    }

    fn translate(&self, virt: VirtAddr) -> Option<u64> {
        self.pages.get(&(virt.0 >> 12)).map(|frame| (frame << 12) | (virt.0 % 4096))
    }

    fn may_store(&self, virt: VirtAddr) -> bool {
        self.translate(virt).is_some() && !self.read_only.contains(&(virt.0 >> 12))
    }

    fn transfer_matters(&self, operation: &Operation, first: u64) -> bool {
        first < operation.value.min(self.same_from)
    }

    fn copy_matters(&self, operation: &Operation, first: u64) -> bool {
        first < operation.value.min(self.same_from)
    }

    fn is_missed(&self) -> bool {
        self.is_missed
    }

    fn register(&self, number: usize) -> u64 {
        self.registers.get(number).copied().unwrap_or(0)
    }

    fn set_register(&mut self, number: usize, value: u64) {
        if let Some(register) = self.registers.get_mut(number) {
            *register = value;
        }
    }

    fn instruction_pointer(&self) -> u64 {
        self.rip
    }

    fn branches(&self) -> bool {
        self.branches
    }

    fn level(&self) -> u64 {
        self.level
    }

    fn return_address_at(&self) -> Option<VirtAddr> {
        self.return_address_at.map(VirtAddr)
    }

    fn memory_bytes(&self) -> u64 {
        self.memory.len() as u64 * 8
    }

    fn root(&self) -> u64 {
        self.root
    }

    fn evict(&mut self, virt: VirtAddr) {
        self.evicted.push(virt.0);
    }

    fn evict_all(&mut self) {
        self.evicted.push(u64::MAX);
    }

    fn hold(&mut self, page: Option<VirtAddr>, drawn: u64) -> Option<VirtAddr> {
        let serves = |at: &&u64| page.is_none_or(|virt| virt.0 & !0xfff == **at);
        let all: Vec<u64> = self.withdrawn.iter().filter(serves).copied().collect();
        let chosen = drawn.checked_rem(all.len() as u64)?;
        let at = all[usize::try_from(chosen).expect("few")];
        self.held.push(at);
        Some(VirtAddr(at))
    }

    fn prefetch(&mut self, virt: VirtAddr) -> bool {
        let is_mapped = self.translate(virt).is_some();
        if is_mapped {
            self.prefetched.push(virt.0);
        }
        is_mapped
    }

    fn stall(&mut self, processor: u64, nth: u64, steps: u64) -> bool {
        self.stalled.push((processor, nth, steps));
        true
    }

    fn pend(&mut self, vector: u8) {
        self.pended.push(vector);
    }
}

/// An operation of the kernel's.
pub(crate) const fn operation(kind: PointKind, virt: u64, value: u64) -> Operation {
    Operation { kind, principal: Principal::KERNEL, virt, value, mask: 0xff }
}
