//! What an architecture's registers and instructions do to translation, as a recorded trace names them.
//!
//! A [`Regime`] knows every processor's translation registers. It turns writes of them, invalidations
//! and barriers into [`Effect`]s in words that every architecture has.

use core::fmt;
use std::rc::Rc;

use super::{Format, WaysForgotten};
use crate::base::{PhysAddr, VirtAddr};

/// Which root register. Its number is a bit in [`Forget::slots`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Slot(pub u8);

impl Slot {
    /// This slot alone, as a mask.
    #[must_use]
    pub const fn mask(self) -> u8 {
        1 << self.0
    }
}

/// What a root register holds.
#[derive(Clone, Debug)]
pub struct Root {
    /// Which register.
    pub slot: Slot,
    /// Its name.
    pub register: &'static str,
    /// Where the table starts.
    pub at: PhysAddr,
    /// The identifier that tags what is remembered: PCID, ASID, VMID.
    pub tag: u32,
    /// How the tables below are read.
    pub format: Rc<dyn Format>,
    /// It is the same for all identifiers: everything below counts as global.
    pub is_common: bool,
    /// Another stage translates on top of this one, and remembers both together.
    pub is_combined: bool,
}

/// Which processors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whom {
    /// The one that executes the instruction.
    Own,
    /// All of them.
    All,
}

/// An invalidation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forget {
    /// Who is told.
    pub whom: Whom,
    /// Which root registers: bits by [`Slot`].
    pub slots: u8,
    /// The identifier; `None`: all of them.
    pub tag: Option<u32>,
    /// Global translations as well, whatever the identifier.
    pub globals: bool,
    /// First address and bytes; `None`: all addresses.
    pub range: Option<(VirtAddr, u64)>,
    /// Only leaves of this level.
    pub level: Option<u8>,
    /// Which ways to tables.
    pub ways: Option<WaysForgotten>,
    /// Translations that another stage made of these, and not these themselves.
    pub combined_only: bool,
    /// These themselves, and not what another stage made of them.
    pub entries_only: bool,
}

impl Forget {
    /// Everything of these slots.
    #[must_use]
    pub const fn everything(whom: Whom, slots: u8) -> Self {
        Self {
            whom,
            slots,
            tag: None,
            globals: true,
            range: None,
            level: None,
            ways: Some(WaysForgotten::All),
            combined_only: false,
            entries_only: false,
        }
    }
}

/// What a barrier waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Waits {
    /// Stores before it are seen before stores after it.
    pub orders: bool,
    /// Stores before it are seen by the walks of these from now on.
    pub shows: Option<Whom>,
    /// Invalidations that the processor issued are complete on these.
    pub completes: Option<Whom>,
}

/// What a register or an instruction does.
#[derive(Clone, Debug)]
pub enum Effect {
    /// A root is in use from now on, in place of the one before in its slot.
    Load(Root),
    /// A slot has no root from now on.
    Unload(Slot),
    /// Whether what the processor remembers from now on is global where a leaf says so. It is, until
    /// this is said.
    HeedsGlobal(bool),
    /// Somebody is told to forget.
    Forget(Forget),
    /// The processor waits.
    Wait(Waits),
    /// A value has bits set that the architecture reserves: what is wrong, and the title that says so.
    Reserved(String, &'static str),
}

/// A name or an operand that a regime doesn't know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unknown {
    /// 0: the name itself; otherwise the operand, counted from 1.
    pub operand: usize,
    /// What is wrong.
    pub what: String,
    /// What was expected.
    pub expected: &'static str,
}

impl Unknown {
    /// The name itself is unknown.
    pub(crate) fn name(kind: &str, name: &str, expected: &'static str) -> Self {
        Self { operand: 0, what: format!("no {kind} has the name {name:?}"), expected }
    }
}

/// An architecture's translation registers, for each processor, and its instructions.
pub trait Regime: fmt::Debug {
    /// The architecture.
    fn name(&self) -> &'static str;

    /// Whether invalidations count only between barriers.
    fn has_barriers(&self) -> bool;

    /// A processor writes a register.
    ///
    /// # Errors
    ///
    /// The register or the value is not known.
    fn set(
        &mut self,
        processor: u16,
        register: &str,
        value: u64,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Unknown>;

    /// A processor executes an invalidation.
    ///
    /// # Errors
    ///
    /// The instruction is not known, or has other operands.
    fn invalidate(
        &mut self,
        processor: u16,
        instruction: &str,
        operands: &[u64],
        effects: &mut Vec<Effect>,
    ) -> Result<(), Unknown>;

    /// A processor executes a barrier.
    ///
    /// # Errors
    ///
    /// The barrier is not known.
    fn barrier(&self, name: &str, kind: &str) -> Result<Waits, Unknown>;

    /// What the manual says about identifiers, by title.
    fn identifiers(&self) -> &'static str;
}

/// The regime of an architecture by its name.
#[must_use]
pub fn named(architecture: &str) -> Option<Box<dyn Regime>> {
    match architecture {
        "aarch64" => {
            Some(Box::new(super::aarch64::Registers::new(super::aarch64::Reading::Strict)))
        }
        "x86-64" => Some(Box::new(super::x86_64::Registers::default())),
        _ => None,
    }
}

/// Names that [`named`] knows.
pub const ARCHITECTURES: &str = "aarch64 or x86-64";
