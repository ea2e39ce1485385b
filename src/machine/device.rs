//! Devices: state machines that transfer by themselves and interrupt when done.
//!
//! A device knows bus addresses only. It reaches memory past the processors' translation, through
//! the IOMMU when that is on.

use crate::base::{Principal, Rule};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[Rule::documented(
    "devices-bypass-paging",
    "A device reaches memory past the processors' page tables.",
    "Intel VT-d specification, DMA Remapping",
)];

/// What sort of device it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum DeviceKind {
    /// Sends and receives buffers, as a network adapter does: what is sent comes back.
    Transfer,
    /// The disk's controller: a sector to or from memory.
    DiskController,
    /// A timer that interrupts once, at a time stamp that it was told: it transfers nothing.
    Timer,
}

/// What a device was told to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Command {
    /// Read memory (send, write to disk).
    FromMemory,
    /// Write memory (receive, read from disk).
    ToMemory,
}

/// Port offsets of a device's registers; a device's ports start at its number × 8.
pub mod port {
    /// The bus address of the next transfer.
    pub const ADDRESS: u16 = 0;
    /// Its length in 8-byte words.
    pub const WORDS: u16 = 1;
    /// The disk sector.
    pub const SECTOR: u16 = 2;
    /// Writing starts a transfer: 1 from memory, 2 to memory; [`RESET`](super::RESET) ends the one under way
    /// instead. Reading: 1 while busy. A timer takes the time stamp at which it interrupts, 0 for never.
    pub const COMMAND: u16 = 3;
    /// Reading: 0 when the last transfer was good, 1 when refused; clears the interrupt.
    pub const STATUS: u16 = 4;
    /// Ports of one device.
    pub const COUNT: u16 = 8;
}

/// The command that resets a device: what it was doing is forgotten, and no interrupt tells of it.
pub const RESET: u64 = 0x80;
/// Words a transfer device holds between sending and receiving.
pub const HOLD_WORDS: usize = 16;

/// One device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Device {
    /// What sort it is.
    pub kind: DeviceKind,
    /// Under which identity it transfers.
    pub principal: Principal,
    /// The vector it interrupts with.
    pub vector: u8,
    /// Register: bus address.
    pub address: u64,
    /// Register: words to transfer.
    pub words: u64,
    /// Register: sector.
    pub sector: u64,
    /// Register: the last transfer's status.
    pub status: u64,
    /// What it is doing, and the clock value at which it will be done.
    pub busy: Option<(Command, u64)>,
    /// What was sent last.
    pub held: [u64; HOLD_WORDS],
    /// Transfers completed.
    pub completions: u64,
}

impl Device {
    /// An idle device.
    #[must_use]
    pub const fn new(kind: DeviceKind, principal: Principal, vector: u8) -> Self {
        Self {
            kind,
            principal,
            vector,
            address: 0,
            words: 0,
            sector: 0,
            status: 0,
            busy: None,
            held: [0; HOLD_WORDS],
            completions: 0,
        }
    }
}
