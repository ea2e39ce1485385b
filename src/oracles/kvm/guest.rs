//! A virtual machine, its one processor and its memory; the only unsafe code of the crate.
//!
//! KVM is told an address of this process and from then on reads and writes there whatever the guest
//! does, behind the compiler's back. No safe interface can promise that the memory outlives the
//! guest, so here is one call in an `unsafe` block. Everything else (the mapping, reads and writes
//! by the host, the other ioctls) is behind safe interfaces of `vm-memory` and `kvm-ioctls`.

use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::{Kvm, VcpuFd, VmFd};
use vm_memory::{
    Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion,
    MemoryRegionAddress,
};

/// Guest memory: first byte and bytes. In between is nothing.
const REGIONS: [(u64, usize); 2] = [(0, 0x180_0000), (0x4100_0000, 0x80_0000)];

/// The machine. Nothing but its own fields keeps it running.
pub(super) struct Guest {
    // Dropped in this order: the kernel forgets the machine, and with it the addresses it was told,
    // when processor and machine are both closed; only then may the memory go.
    processor: VcpuFd,
    _machine: VmFd,
    memory: GuestMemoryMmap,
}

impl Guest {
    /// A machine whose memory is all 0.
    ///
    /// # Errors
    ///
    /// What the host refused, in words.
    pub(super) fn new(kvm: &Kvm) -> Result<Self, String> {
        let machine = kvm.create_vm().map_err(|error| format!("no virtual machine: {error}"))?;
        let ranges = REGIONS.map(|(start, bytes)| (GuestAddress(start), bytes));
        let memory: GuestMemoryMmap = GuestMemoryMmap::from_ranges(&ranges)
            .map_err(|error| format!("no memory for a guest: {error}"))?;
        for (slot, region) in (0..).zip(memory.iter()) {
            let host = region
                .get_host_address(MemoryRegionAddress(0))
                .map_err(|error| format!("no memory for a guest: {error}"))?;
            let region = kvm_userspace_memory_region {
                slot,
                flags: 0,
                guest_phys_addr: region.start_addr().0,
                memory_size: region.len(),
                userspace_addr: host as u64,
            };
            // SAFETY: `host` begins a private anonymous mapping of `memory_size` bytes that nothing
            // else in this process refers to but through `memory`, whose accesses are volatile. The
            // regions don't overlap, in the guest or in this process. `memory` is a private field
            // that is never replaced and is dropped after the processor and the machine, and
            // neither of those is ever lent out of this module.
            #[allow(unsafe_code, reason = "KVM must be told where the guest's memory is")]
            let told = unsafe { machine.set_user_memory_region(region) };
            told.map_err(|error| format!("the guest's memory was refused: {error}"))?;
        }
        let processor =
            machine.create_vcpu(0).map_err(|error| format!("no virtual processor: {error}"))?;
        Ok(Self { processor, _machine: machine, memory })
    }

    /// The processor.
    pub(super) fn processor(&mut self) -> &mut VcpuFd {
        &mut self.processor
    }

    /// Writes 64-bit words from `at` on.
    ///
    /// # Panics
    ///
    /// When there is no such memory: the addresses are ours.
    pub(super) fn write(&self, at: u64, words: &[u64]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.write_bytes(at, &bytes);
    }

    /// Writes bytes from `at` on.
    ///
    /// # Panics
    ///
    /// When there is no such memory: the addresses are ours.
    pub(super) fn write_bytes(&self, at: u64, bytes: &[u8]) {
        self.memory.write_slice(bytes, GuestAddress(at)).expect("the guest has memory there");
    }

    /// Reads 64-bit words from `at` on.
    ///
    /// # Panics
    ///
    /// When there is no such memory: the addresses are ours.
    pub(super) fn read(&self, at: u64, words: usize) -> Vec<u64> {
        let mut bytes = vec![0; 8 * words];
        self.memory.read_slice(&mut bytes, GuestAddress(at)).expect("the guest has memory there");
        let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("8 bytes"));
        bytes.chunks_exact(8).map(word).collect()
    }
}
