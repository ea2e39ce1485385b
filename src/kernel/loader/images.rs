//! Code, and the tables that lead to it.

use crate::base::{Principal, Structure};
use crate::kernel::layout::{
    DEVICE_OBJECT_BYTES, address, device_object, driver_object, kernel_data, switches,
};
use crate::kernel::paging::{PRESENT, WRITABLE};
use crate::kernel::{
    exception, hal, host_time_out, interrupt, keys, pool, service, transition, watchdog,
};
use crate::machine::code::STEP_BYTES;
use crate::machine::device::DeviceKind;
use crate::machine::interrupt::gate;
use crate::machine::{Trap, iommu};

use super::{Dispatch, Loader};

impl Loader<'_> {
    pub(super) fn make_tables(&mut self) {
        self.map_pages(address::SERVICE_TABLE, 1, Structure::ServiceTable, PRESENT);
        for (number, routine) in (0..).zip(service::TABLE) {
            if number >= service::ALWAYS && !self.makes_threads() {
                break;
            }
            let target = self.entry(routine);
            self.write(address::SERVICE_TABLE + number * 8, target);
        }
        let is_pageable = self.switches & switches::PAGEABLE != 0;
        let clock = match self.switches & switches::INTEGRITY_CHECKS {
            _ if is_pageable => &interrupt::KI_CLOCK_INTERRUPT_TRIMMING,
            0 => &interrupt::KI_CLOCK_INTERRUPT,
            _ => &interrupt::KI_CLOCK_INTERRUPT_CHECKING,
        };
        let is_watched = self.switches & switches::WATCHDOGS != 0;
        let transfer = match is_watched {
            false => &interrupt::KI_TRANSFER_INTERRUPT,
            true => &interrupt::KI_TRANSFER_INTERRUPT_WATCHED,
        };
        let page_fault = match is_pageable {
            false => &exception::KI_PAGE_FAULT,
            true => &exception::KI_PAGE_FAULT_PAGED,
        };
        let tick =
            is_watched.then_some((Trap::NON_MASKABLE, &watchdog::KI_WATCHDOG_TICK, 2, false));
        let debug = match self.switches & (switches::DEBUG_TRAPS | switches::DEBUG_TRAPS_CHECKED) {
            switches::DEBUG_TRAPS => Some((Trap::DEBUG, &exception::KI_DEBUG_TRAP, 0, false)),
            both if both & switches::DEBUG_TRAPS != 0 => {
                Some((Trap::DEBUG, &exception::KI_DEBUG_TRAP_CHECKED, 3, false))
            }
            _ => None,
        };
        let always = [
            (Trap::DIVIDE, &exception::KI_DIVIDE_ERROR, 0, false),
            (Trap::BREAKPOINT, &exception::KI_BREAKPOINT, 0, true),
            (Trap::INVALID_OPCODE, &exception::KI_INVALID_OPCODE, 0, false),
            (Trap::DOUBLE_FAULT, &exception::KI_DOUBLE_FAULT, 1, false),
            (Trap::NOT_PRESENT, &exception::KI_GENERAL_PROTECTION, 0, false),
            (Trap::GENERAL_PROTECTION, &exception::KI_GENERAL_PROTECTION, 0, false),
            (Trap::PAGE_FAULT, page_fault, 0, false),
            (Trap::VIRTUALIZATION, &exception::KI_SECURE_FAULT, 0, false),
            (Trap::CONTROL_PROTECTION, &exception::KI_CONTROL_PROTECTION, 0, false),
            (Trap::CLOCK, clock, 0, false),
            (Trap::TRANSFER, transfer, 0, false),
            (Trap::DISK, &interrupt::KI_DISK_INTERRUPT, 0, false),
            (Trap::INTERPROCESSOR, &interrupt::KI_INTERPROCESSOR_INTERRUPT, 0, false),
            (Trap::FAST_FAIL, &exception::KI_FAST_FAIL, 0, true),
        ];
        let has_timer = self.switches & switches::HOST_TIME_OUTS != 0;
        let timer =
            has_timer.then_some((Trap::TIMER, &host_time_out::KI_TIMER_INTERRUPT, 0, false));
        let some = tick.into_iter().chain(debug).chain(timer);
        for (vector, routine, ist, user) in always.into_iter().chain(some) {
            let target = self.entry(transition::entry_for(self.switches, routine));
            let at = address::INTERRUPT_TABLE + u64::from(vector) * 16;
            let [low, high] = gate(target, ist, user);
            self.write(at, low);
            self.write(at + 8, high);
        }
        // The IOMMU: a root page, then two pages a device.
        let root = self.physical(address::IOMMU_TABLES);
        let transfers = self.machine.devices.iter().filter(|d| d.kind != DeviceKind::Timer);
        let domains: Vec<_> = transfers.map(|device| device.principal.0).collect();
        for (device, domain) in (0..).zip(domains) {
            let table = self.physical(address::IOMMU_TABLES + 4096 * (1 + 2 * device));
            self.write(
                address::IOMMU_TABLES + device * 8,
                table | iommu::PRESENT | u64::from(domain) << hal::DOMAIN_SHIFT,
            );
        }
        self.machine.iommu.root = root;
        self.note_pool_code();
    }

    /// Notes where the pool's code begins and ends.
    fn note_pool_code(&mut self) {
        let program = self.program;
        let own = program.routines().iter().filter(|linked| pool::is_pool(linked.routine));
        let bounds = own.map(|linked| {
            let bytes = STEP_BYTES * linked.routine.steps.len() as u64;
            (linked.entry.0, linked.entry.0 + bytes)
        });
        let (start, end) =
            bounds.fold((u64::MAX, 0), |(low, high), (start, end)| (low.min(start), high.max(end)));
        self.put(address::KERNEL_DATA, kernel_data::POOL_CODE, start);
        self.put(address::KERNEL_DATA, kernel_data::POOL_CODE_END, end);
    }

    /// Maps a component's code at the image's base, read-only. It is the component's, as its acts are.
    pub fn load_kernel_image(&mut self, name: &str, base: u64) {
        let words = self.program.code_words(name);
        let pages = (words.len() as u64 * 8).div_ceil(4096);
        let writable = if self.switches & switches::CODE_WRITABLE == 0 { 0 } else { WRITABLE };
        let owner = self.program.owner(name).unwrap_or(Principal::KERNEL);
        self.map_pages_of(owner, base, pages, Structure::Code, PRESENT | writable);
        for (index, word) in words.into_iter().enumerate() {
            self.write(base + index as u64 * 8, word);
        }
    }

    /// Maps the pageable code of driver number `number`, read-only; its pages may be away.
    pub fn load_pageable_image(&mut self, number: u64, image: &str) {
        let base = address::DRIVER_CODE
            + number * address::DRIVER_STRIDE
            + address::DRIVER_PAGEABLE_OFFSET;
        self.load_kernel_image(image, base);
        let pages = (self.program.code_words(image).len() as u64 * 8).div_ceil(4096);
        self.may_be_away(base, pages);
    }

    /// Maps the section of driver number `number` that is set up once. Page tables leave it writable.
    pub fn load_section(&mut self, number: u64, principal: Principal) {
        let at =
            address::DRIVER_CODE + number * address::DRIVER_STRIDE + address::DRIVER_SECTION_OFFSET;
        let bits = self.data_bits(number);
        self.map_pages_of(principal, at, 1, Structure::DriverSection, bits);
    }

    /// What the entries of pages with a driver's data say.
    fn data_bits(&self, number: u64) -> u64 {
        match self.switches & switches::PROTECTION_KEYS {
            0 => self.driver_bits,
            _ => self.driver_bits | keys::entry_bits(number),
        }
    }

    /// Puts a user-mode image into frames that every process with this image shares.
    pub fn load_user_image(&mut self, name: &str) -> Vec<u64> {
        if let Some((_, frames)) = self.images.iter().find(|(known, _)| known == name) {
            return frames.clone();
        }
        let words = self.program.code_words(name);
        let mut frames = Vec::new();
        for page in words.chunks(512) {
            let frame = self.take_frame(Structure::Code, Principal::KERNEL);
            for (index, word) in page.iter().enumerate() {
                self.write_physical((frame << 12) + index as u64 * 8, *word);
            }
            // The image itself holds a reference, so that its frames outlive its processes.
            self.count_frame(frame);
            frames.push(frame);
        }
        self.images.push((name.to_owned(), frames.clone()));
        frames
    }

    /// Places a driver: code, data page, driver and device object. Returns the device object.
    pub fn load_driver(
        &mut self,
        number: u64,
        principal: Principal,
        image: &str,
        dispatch: &Dispatch,
        lower: u64,
    ) -> u64 {
        let base = address::DRIVER_CODE + number * address::DRIVER_STRIDE;
        self.load_kernel_image(image, base);
        let data = base + address::DRIVER_DATA_OFFSET;
        self.map_pages(data, 1, Structure::Free, self.data_bits(number));
        self.claim(data, 512, Structure::DriverData, principal);
        let driver = address::IO_OBJECTS + number * address::DRIVER_OBJECT_STRIDE;
        let device = driver + 0x40;
        self.claim(device, DEVICE_OBJECT_BYTES / 8, Structure::DeviceObject, Principal::KERNEL);
        for (field, routine) in [
            (driver_object::READ, dispatch.read),
            (driver_object::WRITE, dispatch.write),
            (driver_object::CONTROL, dispatch.control),
            (driver_object::FLUSH, dispatch.flush),
            (driver_object::ENTRY, dispatch.entry),
            (driver_object::DEFERRED, dispatch.deferred),
        ] {
            let target = routine.map_or(0, |routine| self.entry_in(image, routine));
            self.put(driver, field, target);
        }
        self.put(driver, driver_object::DATA, data);
        self.put(device, device_object::DRIVER, driver);
        self.put(device, device_object::LOWER, lower);
        self.put(device, device_object::NUMBER, number);
        self.put(device, device_object::EXTENSION, data);
        self.put(address::KERNEL_DATA + number * 8, kernel_data::DEVICES, device);
        let count = self.get(address::KERNEL_DATA, kernel_data::DEVICE_COUNT);
        self.put(address::KERNEL_DATA, kernel_data::DEVICE_COUNT, count.max(number + 1));
        device
    }
}
