//! What the loader reads from the disk at a boot: which devices are left out of the pool.
//!
//! The loader lays out memory as at the first boot, with one host for all devices that share it. Where the
//! record on the disk says that some of them failed in a host of their own, those are taken out before
//! anything runs, and the driver manager, who starts every host, finds a notice that they have none.
//!
//! Source: Microsoft Learn, "Using Device Pooling in UMDF Drivers".

use crate::base::{Field, PhysAddr, VirtAddr};
use crate::kernel::host::extension;
use crate::kernel::host_pool::shared;
use crate::kernel::host_record::{FAILED_ALONE, SECTOR};
use crate::kernel::layout::{address, element, kernel_data, process};
use crate::machine::Machine;

use super::components;

/// A device that shares the host at the first boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Member {
    /// The device's number.
    pub(super) number: usize,
    /// Its device object.
    pub(super) object: u64,
}

/// The devices that share the host, where failures are kept on the disk; none otherwise.
#[derive(Clone, Debug, Default)]
pub(super) struct Repool {
    /// The number of the host's process.
    pub(super) host: Option<usize>,
    pub(super) members: Vec<Member>,
}

/// Where a field of the system's is in a machine that nothing has run in since the loader.
fn at(machine: &Machine, base: u64, field: Field) -> PhysAddr {
    let virt = VirtAddr(base + field.offset);
    let at = machine.locate(0, virt).expect("the loader mapped it");
    PhysAddr::new(at).expect("it is in memory")
}

fn get(machine: &Machine, base: u64, field: Field) -> u64 {
    machine.memory.read(at(machine, base, field))
}

fn put(machine: &mut Machine, base: u64, field: Field, value: u64) {
    let at = at(machine, base, field);
    machine.memory.write(at, value);
}

const fn data(member: Member) -> u64 {
    components::reflector_data(member.number as u64)
}

impl Repool {
    /// Reads the record and lays out the pool accordingly.
    pub(super) fn boot(&self, machine: &mut Machine) {
        let Some(host) = self.host else { return };
        // What else a disk that was written to by mistake says is no device's.
        let known = self.members.iter().fold(0, |bits, member| bits | 1 << member.number);
        let failed = machine.disk.read(SECTOR, 0).unwrap_or(0) & known;
        if failed == 0 {
            return;
        }
        put(machine, address::HOST_RECORD, FAILED_ALONE, failed);
        let has_own = |member: &Member| get(machine, data(*member), shared::OWN_HOST) != 0;
        let (apart, together): (Vec<Member>, Vec<Member>) = self
            .members
            .iter()
            .partition(|member| failed >> member.number & 1 == 1 && has_own(member));
        for member in apart {
            let data = data(member);
            let own = get(machine, data, shared::OWN_HOST);
            let pattern = get(machine, data, shared::OWN_PATTERN);
            for (field, value) in [
                (shared::NEXT, 0),
                (shared::FIRST, member.object),
                (shared::IS_SHARED, 0),
                (shared::NOTICE, shared::APART),
                (extension::HOST, own),
                (extension::PATTERN, pattern),
            ] {
                put(machine, data, field, value);
            }
        }
        let first = together.first().map_or(0, |member| member.object);
        let behind = together.iter().skip(1).map(|member| member.object).chain([0]);
        for (member, next) in together.iter().zip(behind) {
            put(machine, data(*member), shared::FIRST, first);
            put(machine, data(*member), shared::NEXT, next);
        }
        let process =
            get(machine, element(address::KERNEL_DATA, host as u64), kernel_data::PROCESSES);
        put(machine, process, process::HOSTED_DEVICE, first);
    }
}
