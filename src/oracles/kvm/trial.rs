//! A few cases whose answers are known from the manuals, asked before any other.

use crate::base::{Ring, VirtAddr};
use crate::machine::paging::x86_64::Entry;
use crate::oracles::recorded::{CaseAccess, Expectation, LevelMask, Mode, TranslationCase};

/// A case and what must be seen of it. Every entry stays as it is.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    pub(super) case: TranslationCase,
    pub(super) expected: Expectation,
}

impl Trial {
    /// A user-mode read that everything permits, with accessed and dirty bits set already.
    pub(super) fn base() -> Self {
        let case = TranslationCase {
            mode: Mode::default(),
            virt: VirtAddr(0x1234_5678_9120),
            access: CaseAccess::Read,
            ring: Ring::User,
            pkru: 0,
            pkrs: 0,
            maxphyaddr: None,
            entries: [0x123_4067, 0x60_4027, 0x60_3027, 0x60_2027, 0],
        };
        let expected = Expectation {
            out: "ok",
            code: None,
            address: Some(0x123_4120),
            accessed: LevelMask::NONE,
            dirtied: LevelMask::NONE,
        };
        Self { case, expected }
    }

    pub(super) fn with_entry(mut self, slot: usize, bits: u64) -> Self {
        self.case.entries[slot] ^= bits;
        self
    }

    pub(super) fn with_mode(mut self, bits: u16) -> Self {
        let mode = Mode::new(self.case.mode.bits() | bits);
        self.case.mode = mode.expect("bits of a mode");
        self
    }

    pub(super) fn does(mut self, access: CaseAccess, ring: Ring) -> Self {
        (self.case.access, self.case.ring) = (access, ring);
        self
    }

    pub(super) fn faults(mut self, code: u32) -> Self {
        let address = Some(self.case.virt.0);
        self.expected = Expectation { out: "pf", code: Some(code), address, ..self.expected };
        self
    }

    pub(super) fn translates(mut self, address: u64) -> Self {
        self.expected.address = Some(address);
        self
    }
}

/// What any guest must do before its answers count: each access at each privilege level, each kind
/// of refusal, a page of 2 MiB.
pub(super) fn smoke() -> Vec<Trial> {
    let base = Trial::base;
    let mut trials = Vec::new();
    for ring in [Ring::Kernel, Ring::User] {
        trials.extend(CaseAccess::ALL.map(|access| base().does(access, ring)));
    }
    let mut large = base();
    large.case.entries = [0, 0x120_00e7, 0x60_3027, 0x60_2027, 0];
    let large_address = 0x120_0000 | large.case.virt.0 & 0x1f_ffff;
    let protected = base().with_entry(0, Entry::RW).does(CaseAccess::Write, Ring::Kernel);
    let mut edge = base();
    edge.case.virt.0 |= 1 << 47;
    edge.expected = Expectation { out: "gp", code: Some(0), address: None, ..edge.expected };
    trials.extend([
        large.translates(large_address),
        base().with_entry(0, Entry::P).does(CaseAccess::Read, Ring::Kernel).faults(0),
        base().with_entry(2, Entry::P).does(CaseAccess::ReadModifyWrite, Ring::User).faults(6),
        base().with_entry(1, Entry::US).faults(5),
        base().with_entry(0, Entry::RW).does(CaseAccess::Write, Ring::User).faults(7),
        protected.clone(),
        protected.with_mode(1).faults(3),
        edge,
    ]);
    trials
}
