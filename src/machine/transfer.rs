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
            if self.devices[number].kind == DeviceKind::Timer {
                self.devices[number].busy = None;
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
            device.busy = None;
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
            let verdict = self.strike_if_due(None, None, &mut operation);
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
        if !self.changed_entries.are_none() {
            self.say_what_the_iommu_reads(number as u8, bus);
        }
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
        let Some(at) = self.word_reached(number, command, bus) else {
            self.events.push(blank);
            return false;
        };
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

    /// The word of memory that a device reaches at a bus address; `None` where that is refused.
    #[allow(clippy::cast_possible_truncation, reason = "a device's number is below 8")]
    fn word_reached(&self, number: usize, command: Command, bus: u64) -> Option<PhysAddr> {
        let access = if command == Command::ToMemory { Access::Write } else { Access::Read };
        let reached = self.iommu.translate(&self.memory, number as u8, bus, access);
        // Where the IOMMU is on it is the hypervisor's, and grants no more than the second level does.
        let reached = reached.filter(|phys| {
            !self.iommu.binds(number as u8)
                || self.second_level.refused(phys.frame(), access, Ring::Kernel) == 0
        });
        reached.map(|phys| PhysAddr::truncated(phys.raw() & !7))
    }

    /// Whether anything is other without the words of a due transfer from number `first` on: one of them differs
    /// from what is where it goes, or is refused, which is then not reported.
    pub(super) fn transfer_matters(&self, operation: &Operation, first: u64) -> bool {
        let mut devices = self.devices.iter().enumerate();
        let busy = devices.find_map(|(number, device)| {
            let (command, _) = device.busy.filter(|_| device.principal == operation.principal)?;
            Some((number, command))
        });
        busy.is_some_and(|(number, command)| {
            (first..operation.value.min(SECTOR_WORDS as u64)).any(|word| {
                let bus = operation.virt.wrapping_add(word * 8);
                let at = self.word_reached(number, command, bus);
                // What is taken and what is given are in the same place of the device.
                at.is_none_or(|at| self.memory.read(at) != self.give_word(number, word))
            })
        })
    }

    /// Tells of the entries that the IOMMU reads, of those that were changed since a fault struck.
    #[cold]
    fn say_what_the_iommu_reads(&mut self, number: u8, bus: u64) {
        let read = self.iommu.read_on_the_way(&self.memory, number, bus);
        let device = self.devices[usize::from(number)].principal;
        for at in self.changed_entries.of_these(read).into_iter().flatten() {
            self.events.push(Event {
                kind: EventKind::TableLoad,
                actor: device,
                context: device,
                subject: device,
                structure: Structure::IommuTable,
                mask: 0xff,
                processor: DEVICE_PROCESSOR,
                struck: false,
                phys: at.raw(),
                virt: bus,
                value: self.memory.read(at),
                old: 0,
            });
        }
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

#[cfg(test)]
mod tests {
    use super::super::held::testing::machine;
    use super::super::iommu::{PRESENT, WRITE};
    use super::*;
    use crate::base::Principal;
    use crate::machine::paging::x86_64::ControlFlags;

    const ROOT: u64 = 0x6000;
    const TABLE: u64 = 0x7000;
    const BUFFER: u64 = 0x9000;

    /// A device whose table lets it reach [`BUFFER`].
    fn remapped() -> Machine {
        let mut machine = machine(ControlFlags::NONE);
        machine.devices = vec![Device::new(DeviceKind::Transfer, Principal(3), 0x40)];
        (machine.iommu.enabled, machine.iommu.root) = (true, ROOT);
        machine.write_physical(PhysAddr::truncated(ROOT), TABLE | PRESENT);
        machine.write_physical(entry(TABLE), BUFFER | WRITE | PRESENT);
        machine.settle();
        machine
    }

    fn entry(table: u64) -> PhysAddr {
        PhysAddr::truncated(table + BUFFER / 4096 * 8)
    }

    fn told(machine: &mut Machine) -> Vec<u64> {
        machine.events.clear();
        machine.transfer_word(0, Command::ToMemory, BUFFER, 0);
        let loads = machine.events.iter().filter(|event| event.kind == EventKind::TableLoad);
        loads.map(|event| event.phys).collect()
    }

    #[test]
    fn the_iommu_tells_of_changed_entries_that_it_reads() {
        let mut machine = remapped();
        assert_eq!(told(&mut machine), [0; 0], "nothing struck");

        machine.changed_entries.add(entry(TABLE));
        assert_eq!(told(&mut machine), [entry(TABLE).raw()]);
        machine.changed_entries.add(PhysAddr::truncated(ROOT));
        assert_eq!(told(&mut machine), [ROOT, entry(TABLE).raw()]);

        machine.write_physical(PhysAddr::truncated(ROOT), 0);
        assert_eq!(told(&mut machine), [ROOT], "it leads nowhere");
        assert_eq!(machine.events.last().map(|event| event.kind), Some(EventKind::DmaRefused));
        machine.iommu.passed_by = 1;
        assert_eq!(told(&mut machine), [0; 0], "nobody asks it");
    }

    #[test]
    fn where_the_root_leads_is_a_table_of_the_iommu_from_then_on() {
        const OTHER: u64 = 0xa000;
        let mut machine = remapped();
        let is_table =
            |machine: &Machine, at: u64| machine.tables.is_table(PhysAddr::truncated(at).frame());
        assert!(is_table(&machine, ROOT) && is_table(&machine, TABLE));
        assert!(!is_table(&machine, OTHER));

        machine.write_physical(PhysAddr::truncated(ROOT), OTHER | PRESENT);

        assert!(is_table(&machine, OTHER));
        assert!(!machine.tables.is_of_processors(PhysAddr::truncated(OTHER).frame()));
    }
}
