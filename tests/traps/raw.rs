//! Words of tables by raw pointers, as kernels reach them.

#![allow(unsafe_code, reason = "raw pointers are what is tested")]

use std::sync::atomic::{AtomicU64, Ordering};

use ringfence::base::PhysAddr;
use ringfence::conformance::Memory;

use crate::tables::Words;

/// All physical memory, mapped at an offset.
pub(crate) struct Raw(Memory);

impl Raw {
    fn pointer(&self, at: PhysAddr) -> *mut u64 {
        self.0.pointer_to(at).cast()
    }

    fn atomic(&self, at: PhysAddr) -> &AtomicU64 {
        // SAFETY: the word is aligned and lives as long as the memory; nobody else accesses it but by the
        // processor's leave.
        unsafe { AtomicU64::from_ptr(self.pointer(at)) }
    }
}

// SAFETY of each access below: the suite's memory is valid at its pointers, or the access is trapped.
impl Words for Raw {
    fn of(memory: &Memory) -> Self {
        Self(memory.clone())
    }

    fn load(&self, at: PhysAddr) -> u64 {
        unsafe { self.pointer(at).read_volatile() }
    }

    fn store(&self, at: PhysAddr, value: u64) {
        unsafe { self.pointer(at).write_volatile(value) }
    }

    fn store_plain(&self, at: PhysAddr, value: u64) {
        unsafe { self.pointer(at).write(value) }
    }

    fn store_in_halves(&self, at: PhysAddr, value: u64) {
        let halves = self.pointer(at).cast::<u32>();
        let halves_of = [value & 0xffff_ffff, value >> 32];
        let [low, high] = halves_of.map(|half| u32::try_from(half).expect("32 bits"));
        unsafe {
            halves.write_volatile(low);
            halves.add(1).write_volatile(high);
        }
    }

    fn swap(&self, at: PhysAddr, value: u64) -> u64 {
        self.atomic(at).swap(value, Ordering::SeqCst)
    }

    fn compare_exchange(&self, at: PhysAddr, expected: u64, new: u64) -> Result<u64, u64> {
        self.atomic(at).compare_exchange(expected, new, Ordering::SeqCst, Ordering::SeqCst)
    }
}
