//! What devices do when their time has come.

use crate::base::{Access, Event, EventKind, PhysAddr, Ring, Rule, Structure, TraceHash};
use crate::injection::{Operation, PointKind, Verdict};

use super::Machine;
use super::device::{Command, Device, DeviceKind, HOLD_WORDS};
use super::disk::SECTOR_WORDS;
use super::scene::DEVICE_PROCESSOR;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[Rule::inferred(
    "blocked-transfers-are-dropped",
    "A transfer that the IOMMU refuses is dropped and reported to the device, not to a processor.",
    "Intel VT-d specification, DMA Remapping",
)];

impl Machine {
    /// Completes the transfers that are due and interrupts `processor`, whoever runs there.
    pub fn run_devices(&mut self, processor: usize) {
        for number in 0..self.devices.len() {
            let Some((command, due)) = self.devices[number].busy else { continue };
            if due > self.clock {
                continue;
            }
            self.devices[number].busy = None;
            if self.devices[number].kind == DeviceKind::Timer {
                let vector = self.devices[number].vector;
                self.raise_interrupt(processor, vector);
                continue;
            }
            let Some(all_granted) = self.transfer(number, command) else {
                let again = self.clock + self.transfer_delay.max(1);
                self.devices[number].busy = Some((command, again));
                continue;
            };
            let refused = !all_granted;
            let device = &mut self.devices[number];
            device.status = u64::from(refused);
            device.completions += 1;
            let vector = device.vector;
            self.raise_interrupt(processor, vector);
        }
    }

    /// Whether anything is due now.
    #[inline(always)]
    #[must_use]
    pub fn devices_are_due(&self) -> bool {
        self.devices.iter().any(|device| device.busy.is_some_and(|(_, due)| due <= self.clock))
    }

    /// Whether every word was granted; `None` when the transfer is put off.
    fn transfer(&mut self, number: usize, command: Command) -> Option<bool> {
        let device = self.devices[number];
        let words = device.words.min(SECTOR_WORDS as u64);
        let mut operation = Operation {
            kind: PointKind::Dma,
            principal: device.principal,
            virt: device.address,
            value: words,
            mask: 0xff,
        };
        if self.points.reach(PointKind::Dma) {
            let verdict = self.strike_if_due(None, &mut operation);
            if matches!(verdict, Verdict::Skip | Verdict::Hang) {
                self.struck = false;
                return (verdict == Verdict::Skip).then_some(true);
            }
        }
        let words = operation.value.min(SECTOR_WORDS as u64);
        let mut all_granted = true;
        for word in 0..words {
            all_granted &=
                self.transfer_word(number, command, operation.virt.wrapping_add(word * 8), word);
        }
        self.struck = false;
        Some(all_granted)
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "a word's number is below 64, a device's below 8"
    )]
    fn transfer_word(&mut self, number: usize, command: Command, bus: u64, word: u64) -> bool {
        let device = self.devices[number];
        let access = if command == Command::ToMemory { Access::Write } else { Access::Read };
        let reached = self.iommu.translate(&self.memory, number as u8, bus, access);
        let blank = Event {
            kind: EventKind::DmaRefused,
            actor: device.principal,
            context: device.principal,
            subject: device.principal,
            structure: Structure::DmaBuffer,
            mask: 0xff,
            processor: DEVICE_PROCESSOR,
            struck: self.struck,
            phys: bus,
            virt: 0,
            value: 0,
            old: 0,
        };
        // Where the IOMMU is on it is the hypervisor's, and grants no more than the second level does.
        let reached = reached.filter(|phys| {
            !self.iommu.binds(number as u8)
                || self.second_level.refused(phys.frame(), access, Ring::Kernel) == 0
        });
        let Some(phys) = reached else {
            self.events.push(blank);
            return false;
        };
        let at = PhysAddr::truncated(phys.raw() & !7);
        let event = match command {
            Command::FromMemory => {
                let value = self.memory.read(at);
                self.take_word(number, word, value);
                Event { kind: EventKind::DmaRead, phys: at.raw(), value, ..blank }
            }
            Command::ToMemory => {
                let value = self.give_word(number, word);
                let old = self.write_physical(at, value);
                Event { kind: EventKind::DmaWrite, phys: at.raw(), value, old, ..blank }
            }
        };
        self.events.push(event);
        true
    }

    #[allow(clippy::cast_possible_truncation, reason = "a word's number is below 64")]
    fn take_word(&mut self, number: usize, word: u64, value: u64) {
        let device = &mut self.devices[number];
        match device.kind {
            DeviceKind::Transfer => device.held[word as usize % HOLD_WORDS] = value,
            DeviceKind::Timer => {}
            DeviceKind::DiskController => {
                let sector = device.sector;
                self.disk.write(sector, word as usize, value);
            }
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "a word's number is below 64")]
    fn give_word(&self, number: usize, word: u64) -> u64 {
        let device = &self.devices[number];
        match device.kind {
            DeviceKind::Transfer => device.held[word as usize % HOLD_WORDS],
            DeviceKind::Timer => 0,
            DeviceKind::DiskController => self.disk.read(device.sector, word as usize).unwrap_or(0),
        }
    }
}

impl Device {
    /// Takes its state into a fingerprint.
    pub(super) fn absorb(&self, hash: &mut TraceHash) {
        hash.absorb(self.address, self.words);
        hash.absorb(self.sector, self.status);
        let (command, due) = self.busy.map_or((0, 0), |(command, due)| (1 + command as u64, due));
        hash.absorb(command, due);
        hash.absorb(self.completions, u64::from(self.vector));
        for pair in self.held.chunks(2) {
            hash.absorb(pair[0], pair[1]);
        }
    }
}
