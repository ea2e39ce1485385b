//! The kinds of injection point.

use core::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base::Principal;

macro_rules! point_kinds {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal,)*) => {
        /// What is about to happen at an injection point.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
        #[repr(u8)]
        pub enum PointKind { $($(#[doc = $doc])* $name,)* }

        impl PointKind {
            /// Every kind, in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name in scenarios and replay lines.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The kind with this name.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.name() == name)
            }
        }

        const NAMES: &[&str] = &[$($text,)*];
    };
}

point_kinds! {
    /// A step is about to run.
    Step = "step",
    /// Memory is about to be read.
    Load = "load",
    /// Memory is about to be written.
    Store = "store",
    /// Memory is about to be written with the meaning of a page-table entry.
    TableStore = "table-store",
    /// A processor is about to drop cached translations.
    Invalidate = "invalidate",
    /// The privilege is about to change.
    ModeSwitch = "mode-switch",
    /// An allocator is about to hand out memory or a frame.
    Allocate = "allocate",
    /// An allocator is about to take memory or a frame back.
    Free = "free",
    /// A handle is about to be looked up.
    HandleLookup = "handle-lookup",
    /// A user buffer is about to be probed.
    Probe = "probe",
    /// A request packet is about to be handed to the next driver.
    Handover = "handover",
    /// An interrupt is about to be delivered.
    Interrupt = "interrupt",
    /// A device is about to transfer.
    Dma = "dma",
    /// A buffer is about to be copied: its length may be altered.
    Copy = "copy",
    /// A routine is about to be called; its arguments are in their registers.
    Call = "call",
    /// A routine is about to return; its result is in its register.
    Return = "return",
    /// The kernel's lock is about to be taken.
    Lock = "lock",
    /// The kernel's lock is about to be given back.
    Unlock = "unlock",
    /// The request level is about to change.
    Level = "level",
    /// A reference to an object is about to be counted.
    Reference = "reference",
    /// A reference to an object is about to be dropped.
    Dereference = "dereference",
    /// A request packet is about to be completed.
    Complete = "complete",
}

impl fmt::Display for PointKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for PointKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for PointKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| D::Error::unknown_variant(&name, NAMES))
    }
}

/// A set of kinds of injection point.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PointKinds(u32);

impl PointKinds {
    /// Just these.
    #[must_use]
    pub const fn of(kinds: &[PointKind]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < kinds.len() {
            bits |= 1 << kinds[i] as u32;
            i += 1;
        }
        Self(bits)
    }

    /// Whether it has this one.
    #[must_use]
    pub const fn contains(self, kind: PointKind) -> bool {
        self.0 >> kind as u32 & 1 == 1
    }

    /// Its members, in order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = PointKind> {
        PointKind::ALL.iter().copied().filter(move |&kind| self.contains(kind))
    }
}

/// An injection point that a run reached, as the golden run writes it down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PointRecord {
    /// What was about to happen.
    pub kind: PointKind,
    /// Who was about to do it.
    pub principal: Principal,
    /// In which routine, by its number in the linked program; 0xffff for a device.
    pub routine: u16,
    /// Called by which routine (0xffff when by none that the frame chain names).
    pub caller: u16,
    /// Of a step, whether a call left a return address that its routine will return through; where a gate leads
    /// and at the base of a stack none did, whoever the frame chain names.
    pub has_return_address: bool,
    /// Of a step, whether it branches: it may go on with one or another of its routine.
    pub branches: bool,
    /// Of an invalidation or a probe, whether anything is other without it: a translation that the tables no
    /// longer grant may be held still, or the buffer is refused.
    pub is_missed: bool,
    /// Of a call of a system service, its number; 0xff elsewhere.
    pub service: u8,
    /// The interrupt request level; 0 at a device.
    pub level: u8,
    /// In which step of the routine, by its place there, from 0; 0xff for a device.
    pub step: u8,
    /// The running number of the point in its run, from 0.
    pub number: u64,
    /// The running number of the step during which it was reached.
    pub clock: u64,
    /// The address or argument it was about to use.
    pub argument: u64,
}
