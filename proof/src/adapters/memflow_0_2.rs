//! Adapter for the crate `memflow` 0.2: `DirectTranslate` for x86-64 and AArch64, and
//! `CachedVirtualTranslate` on top of it.
//!
//! Its memory has to be `Send`, so it is asked for where it is needed. Its cache is not told of changes:
//! by default an entry is good for a second of wall time. The adapter gives it a validator that ends
//! with an invalidation instead, by the trait that is there for it.
//!
//! For AArch64 it takes 256 entries of the root of each half, so the halves are of 47 bits here; what is below
//! its second root is not asked about and leads nowhere.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use memflow_0_2::architecture::arm::aarch64;
use memflow_0_2::architecture::x86::x64;
use memflow_0_2::cglue::{CTup2, CTup3};
use memflow_0_2::error::Result;
use memflow_0_2::mem::mem_data::{PhysicalReadMemOps, PhysicalWriteMemOps};
use memflow_0_2::mem::{
    CachedVirtualTranslate, DirectTranslate, PhysicalMemory, PhysicalMemoryMetadata,
    VirtualTranslate2, VirtualTranslate3,
};
use memflow_0_2::types::cache::CacheValidator;
use memflow_0_2::types::{Address, PageType, PhysicalAddress};
use ringfence::base::PhysAddr;
use ringfence::conformance::format::aarch64::{Half, Regime};
use ringfence::conformance::format::{AArch64, X86_64};
use ringfence::conformance::{
    self, Attempt, Invalidation, Mapping, Memory, Report, Rights, Walker,
};
use ringfence::machine::paging::PageSize;

use crate::Plan;

/// Where the root of the half of AArch64 lies that is not asked about: 4 KiB of zeros, outside of memory.
const NOTHING: u64 = 0xffff_ffff_f000;

/// The memory of the run under way.
#[derive(Clone)]
struct Physical;

impl PhysicalMemory for Physical {
    fn phys_read_raw_iter(&mut self, mut data: PhysicalReadMemOps) -> Result<()> {
        for CTup3(at, virt, mut bytes) in data.inp {
            let at = at.address().to_umem();
            match at & !0xfff {
                NOTHING => bytes.fill(0),
                _ => conformance::current().read(PhysAddr::truncated(at), &mut bytes),
            }
            if let Some(out) = data.out.as_deref_mut() {
                out.call(CTup2(virt, bytes));
            }
        }
        Ok(())
    }

    fn phys_write_raw_iter(&mut self, _: PhysicalWriteMemOps) -> Result<()> {
        Ok(())
    }

    fn metadata(&self) -> PhysicalMemoryMetadata {
        PhysicalMemoryMetadata {
            max_address: Address::from((1u64 << 52) - 1),
            real_size: 1 << 52,
            readonly: true,
            ideal_batch_size: u32::MAX,
        }
    }
}

/// A slot is good until the next invalidation.
#[derive(Clone, Default)]
struct UntilInvalidated {
    now: Arc<AtomicU64>,
    slots: Vec<Option<u64>>,
}

impl CacheValidator for UntilInvalidated {
    fn allocate_slots(&mut self, slots: usize) {
        self.slots = vec![None; slots];
    }

    fn is_slot_valid(&self, slot: usize) -> bool {
        self.slots[slot] == Some(self.now.load(Ordering::Relaxed))
    }

    fn validate_slot(&mut self, slot: usize) {
        self.slots[slot] = Some(self.now.load(Ordering::Relaxed));
    }

    fn invalidate_slot(&mut self, slot: usize) {
        self.slots[slot] = None;
    }
}

struct Adapter<T, D> {
    translate: T,
    tables: D,
    tells: Rights,
    now: Arc<AtomicU64>,
}

/// Bytes that it may use for one translation.
const BUFFER: usize = 1 << 16;

/// What an entry of x86-64 says and `PageType` has a name for.
const TELLS: Rights = Rights::WRITE.and(Rights::EXECUTE);

/// `DirectTranslate`.
pub(crate) fn direct(plan: &Plan) -> Report {
    plan.walker(X86_64::FOUR_LEVELS, |_: Memory, root| Adapter {
        translate: DirectTranslate::with_capacity(BUFFER),
        tables: x64::new_translator(Address::from(root.raw())),
        tells: TELLS,
        now: Arc::default(),
    })
}

/// `DirectTranslate` below TTBR0_EL1. Of the two flags for execution it knows one, so it is not asked. That
/// the Access flag is clear is no fault where the processor sets it, and nobody tells it who does.
pub(crate) fn arm(plan: &Plan) -> Report {
    const FORMAT: &AArch64 =
        &AArch64 { sets_accessed: true, ..AArch64::new(Regime::El1, Half::Lower, 47) };
    plan.walker(FORMAT, |_: Memory, root| Adapter {
        translate: DirectTranslate::with_capacity(BUFFER),
        tables: aarch64::new_translator(Address::from(root.raw()), Address::from(NOTHING)),
        tells: Rights::WRITE,
        now: Arc::default(),
    })
}

/// `CachedVirtualTranslate`.
pub(crate) fn cached(plan: &Plan) -> Report {
    plan.walker(X86_64::FOUR_LEVELS, |_: Memory, root| {
        let validator = UntilInvalidated::default();
        let now = validator.now.clone();
        let translate = CachedVirtualTranslate::builder(DirectTranslate::with_capacity(BUFFER))
            .arch(x64::ARCH)
            .validator(validator)
            .build()
            .expect("it is complete");
        let tables = x64::new_translator(Address::from(root.raw()));
        Adapter { translate, tables, tells: TELLS, now }
    })
}

fn mapping(found: PhysicalAddress) -> Mapping {
    let size = match found.page_size() {
        0x1000 => Some(PageSize::Kib4),
        0x20_0000 => Some(PageSize::Mib2),
        0x4000_0000 => Some(PageSize::Gib1),
        _ => None,
    };
    let kind = found.page_type();
    let is_known = kind.intersects(PageType::WRITEABLE | PageType::READ_ONLY);
    let write = if kind.contains(PageType::WRITEABLE) { Rights::WRITE } else { Rights::READ };
    let execute = if kind.contains(PageType::NOEXEC) { Rights::READ } else { Rights::EXECUTE };
    let address = PhysAddr::truncated(found.address().to_umem());
    Mapping { address, size, rights: is_known.then_some(write.and(execute)) }
}

impl<T: VirtualTranslate2, D: VirtualTranslate3> Walker for Adapter<T, D> {
    fn tells_rights(&self) -> Rights {
        self.tells
    }

    fn translate(&mut self, attempt: &Attempt) -> Option<Mapping> {
        let virt = Address::from(attempt.virt.0);
        self.translate.virt_to_phys(&mut Physical, &self.tables, virt).ok().map(mapping)
    }

    fn invalidate(&mut self, _: Invalidation) {
        self.now.fetch_add(1, Ordering::Relaxed);
    }
}
