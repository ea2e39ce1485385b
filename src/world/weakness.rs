//! Weaknesses: bugs that can be planted in kernel and machine by name, to show that a check can
//! fail.

use crate::kernel::layout::switches;
use crate::machine::flaws::Flaws;

use super::build::BuildError;
use super::configuration::Configuration;
use super::verifier;

/// Bits of the hardware's flaws.
mod flaw {
    pub(super) const STALE_TRANSLATIONS: u64 = 1 << 0;
    pub(super) const FOREIGN_TRANSLATIONS: u64 = 1 << 1;
    pub(super) const PRIVILEGE_KEPT: u64 = 1 << 2;
    pub(super) const PRESENCE_DENIED: u64 = 1 << 3;
    pub(super) const SUPERVISOR_READ: u64 = 1 << 4;
}

/// A weakness.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Weakness {
    /// Its name in scenarios.
    pub name: &'static str,
    /// What goes wrong.
    pub about: &'static str,
    /// What a world must have for it to show, where generated worlds have not; `None` where a campaign over
    /// generated worlds shows it.
    pub needs: Option<&'static str>,
    /// Of the kernel's code.
    defects: u64,
    /// Of the hardware.
    flaws: u64,
}

const fn weakness(name: &'static str, defects: u64, about: &'static str) -> Weakness {
    Weakness { name, about, needs: None, defects, flaws: 0 }
}

const fn of_hardware(name: &'static str, flaws: u64, about: &'static str) -> Weakness {
    Weakness { name, about, needs: None, defects: 0, flaws }
}

impl Weakness {
    /// The same, which generated worlds don't show.
    const fn needing(self, needs: &'static str) -> Self {
        Self { needs: Some(needs), ..self }
    }
}

/// All weaknesses.
pub const WEAKNESSES: &[Weakness] = &[
    weakness("no-probe", switches::NO_PROBE, "system services do not probe output buffers"),
    weakness(
        "no-shootdown",
        switches::NO_SHOOTDOWN,
        "unmapping does not reach the other processors' caches",
    )
    .needing(
        "special pool; or pcid, and a process that gives a page back on another processor than it was used on",
    ),
    weakness("no-zeroing", switches::NO_ZEROING, "freed frames are handed out as they are"),
    weakness(
        "no-access-check",
        switches::NO_ACCESS_CHECK,
        "handle look-up does not compare rights",
    ),
    weakness("handles-leak", switches::HANDLES_LEAK, "process exit leaves handles open"),
    weakness("frames-leak", switches::FRAMES_LEAK, "process exit leaves frames allocated"),
    weakness(
        "reference-kept",
        switches::REFERENCE_KEPT,
        "closing a handle leaves its reference to the object",
    ),
    weakness(
        "root-kept",
        switches::ROOT_KEPT,
        "process exit leaves the root of its tables allocated",
    ),
    weakness(
        "buffer-kept",
        switches::BUFFER_KEPT,
        "a request's end leaves its system buffer allocated",
    ),
    weakness(
        "duplicate-widens",
        switches::DUPLICATE_WIDENS,
        "duplication grants more than the source has",
    )
    .needing("a handle that is duplicated with rights which its source lacks"),
    weakness("wrong-table", switches::WRONG_TABLE, "handle look-up uses another process's table"),
    weakness(
        "shared-handle-table",
        switches::SHARED_HANDLE_TABLE,
        "a new process gets its parent's handle table",
    ),
    weakness(
        "stray-duplicate",
        switches::STRAY_DUPLICATE,
        "a duplicate goes into another process's table than was asked",
    ),
    weakness("uncounted-handle", switches::UNCOUNTED_HANDLE, "inherited handles are not counted")
        .needing("a child that is still there at the end with what it inherited"),
    weakness(
        "user-bit-in-system",
        switches::USER_BIT_IN_SYSTEM,
        "the self-map entry carries the user bit",
    ),
    weakness(
        "shared-private-page",
        switches::SHARED_PRIVATE_PAGE,
        "a child gets its parent's private page",
    ),
    weakness("dma-stays", switches::DMA_STAYS, "a device's leave outlives its transfer"),
    weakness(
        "early-free",
        switches::EARLY_FREE,
        "closing one handle frees an object that others hold",
    ),
    weakness(
        "stale-output",
        switches::STALE_OUTPUT,
        "a whole system buffer is returned whatever was produced",
    ),
    weakness(
        "wrong-context",
        switches::WRONG_CONTEXT,
        "completion writes to the user buffer of whoever runs",
    ),
    weakness("runs-on", switches::RUNS_ON, "the other processors run on after a bug check"),
    weakness(
        "requests-lost",
        switches::REQUESTS_LOST,
        "a lost host's requests are never completed",
    ),
    weakness(
        "kernel-half-differs",
        switches::KERNEL_HALF_DIFFERS,
        "a new process lacks a kernel entry",
    ),
    weakness("on-user-stack", switches::ON_USER_STACK, "system services run on the caller's stack"),
    weakness(
        "driver-data-open",
        switches::DRIVER_DATA_OPEN,
        "drivers' data pages carry the user bit",
    ),
    weakness(
        "shadow-keeps-kernel",
        switches::SHADOW_KEEPS_KERNEL,
        "shadow roots map the kernel as full roots do",
    )
    .needing("kva-shadow"),
    weakness(
        "return-on-full-root",
        switches::RETURN_ON_FULL_ROOT,
        "the way back from a system service leaves the full root loaded",
    )
    .needing("kva-shadow"),
    weakness(
        "shadow-context-kept",
        switches::SHADOW_CONTEXT_KEPT,
        "an unmapped page is forgotten under kernel mode's identifier alone",
    )
    .needing("kva-shadow and pcid"),
    weakness(
        "deadlines-ignored",
        switches::DEADLINES_IGNORED,
        "a host that leaves a critical request unanswered is left alone",
    )
    .needing("host-time-out, and a host that leaves a cancellation unanswered"),
    weakness(
        "taken-cancelled",
        switches::TAKEN_CANCELLED,
        "a request that a host has is completed as cancelled, and again when the host answers it",
    )
    .needing("host-time-out, and an application that is ended while a host has its request"),
    weakness(
        "siblings-ignored",
        switches::SIBLINGS_IGNORED,
        "a process is taken down while another of its threads runs",
    )
    .needing("a process with two threads"),
    weakness(
        "no-type-check",
        switches::NO_TYPE_CHECK,
        "handle look-up does not compare the type of an entry's object",
    ),
    weakness(
        "kernel-handles-open",
        switches::KERNEL_HANDLES_OPEN,
        "a kernel handle leads somewhere in user mode's name too",
    )
    .needing("a driver that keeps a kernel handle, and an application that uses its value"),
    weakness(
        "no-duplicate-right",
        switches::NO_DUPLICATE_RIGHT,
        "duplication takes no right to the source and target process",
    )
    .needing("a process that duplicates by a handle which lacks the right to"),
    weakness(
        "no-terminate-right",
        switches::NO_TERMINATE_RIGHT,
        "ending a process takes no right to it",
    )
    .needing("a process that ends another by a handle which lacks the right to"),
    weakness(
        "no-control-rights",
        switches::NO_CONTROL_RIGHTS,
        "device control takes no rights, whatever its code says",
    )
    .needing("a device control whose code takes a right that the handle lacks"),
    weakness(
        "lock-unprobed",
        switches::LOCK_UNPROBED,
        "locking pages compares neither the range with the user half nor the pages' user bit",
    )
    .needing("a direct request with a buffer in the system half"),
    weakness(
        "lock-read-only",
        switches::LOCK_READ_ONLY,
        "pages that can't be written are locked to be written",
    )
    .needing("a direct request that writes to a view which is to be read only"),
    weakness(
        "lock-not-held",
        switches::LOCK_NOT_HELD,
        "locked pages are given back when their process frees them",
    )
    .needing("a thread that frees a page which is locked for a request of another"),
    weakness(
        "length-ignored",
        switches::LENGTH_IGNORED,
        "querying an event fills more of a buffer than there is",
    )
    .needing("an application that asks for an event's state with a buffer that is too short"),
    weakness(
        "allocate-anywhere",
        switches::ALLOCATE_ANYWHERE,
        "the address that memory is asked for at is not compared with the user half",
    )
    .needing("an application that asks for memory at an address in the system half"),
    weakness(
        "protection-ignored",
        switches::PROTECTION_IGNORED,
        "a protected handle is closed as any other",
    )
    .needing("a process that closes a handle which it has protected, and goes on"),
    weakness(
        "inherits-all",
        switches::INHERITS_ALL,
        "a child inherits handles that are not marked for it",
    ),
    weakness(
        "answer-overruns",
        switches::ANSWER_OVERRUNS,
        "a driver host's answer is not compared with the room for it",
    )
    .needing("a driver host that answers more than it was asked for"),
    weakness("io-ports-open", switches::IO_PORTS_OPEN, "user mode runs with the I/O privilege")
        .needing("an application that uses I/O ports"),
    of_hardware(
        "stale-translations",
        flaw::STALE_TRANSLATIONS,
        "an invalidated translation stays in the processor's cache",
    ),
    of_hardware(
        "foreign-translations",
        flaw::FOREIGN_TRANSLATIONS,
        "translations stay in the cache when another address space is loaded",
    ),
    of_hardware(
        "presence-denied",
        flaw::PRESENCE_DENIED,
        "a page fault's error code never says that the page was there",
    ),
    of_hardware(
        "supervisor-read",
        flaw::SUPERVISOR_READ,
        "a load at ring 3 gets what a page of the kernel holds that is mapped (as CVE-2017-5754)",
    ),
    of_hardware(
        "privilege-kept",
        flaw::PRIVILEGE_KEPT,
        "`sysret` leaves the processor in kernel mode",
    ),
];

/// The kernel's switches and the hardware's flaws that a configuration asks for.
pub(super) fn planted(configuration: &Configuration) -> Result<(u64, Flaws), BuildError> {
    let machine = &configuration.machine;
    let mut bits = if machine.pool_checks { switches::POOL_CHECKS } else { 0 };
    for (is_on, bit) in [
        (machine.pcid, switches::CONTEXTS),
        (!machine.null_guard, switches::NULL_PAGE_OPEN),
        (machine.small_user_half, switches::SMALL_USER_HALF),
        (machine.early_access_codes, switches::EARLY_ACCESS_CODES),
        (!machine.return_address_checked, switches::RETURN_UNCHECKED),
        (!machine.no_execute_pool, switches::POOL_EXECUTABLE),
        (!machine.read_only_code, switches::CODE_WRITABLE),
        (machine.integrity_checks > 0, switches::INTEGRITY_CHECKS),
        (machine.shadow_stacks, switches::SHADOW_STACKS),
        (machine.protection_keys, switches::PROTECTION_KEYS),
        (machine.kva_shadow, switches::KVA_SHADOW),
        (machine.stale_buffers, switches::STALE_BUFFERS),
        (verifier::is_pageable(machine), switches::PAGEABLE),
        (machine.has_watchdogs(), switches::WATCHDOGS),
        (machine.host_time_out > 0, switches::HOST_TIME_OUTS),
        (configuration.loads_stack_segments(), switches::DEBUG_TRAPS),
        (
            configuration.loads_stack_segments() && machine.debug_trap_checked,
            switches::DEBUG_TRAPS_CHECKED,
        ),
    ] {
        if is_on {
            bits |= bit;
        }
    }
    let mut flawed = 0;
    for name in &configuration.weaknesses {
        let known = WEAKNESSES.iter().find(|known| known.name == name).ok_or_else(|| {
            BuildError { component: None, what: format!("there is no weakness `{name}`") }
        })?;
        bits |= known.defects;
        flawed |= known.flaws;
    }
    let flaws = Flaws {
        keeps_invalidated: flawed & flaw::STALE_TRANSLATIONS != 0,
        keeps_other_spaces: flawed & flaw::FOREIGN_TRANSLATIONS != 0,
        denies_presence: flawed & flaw::PRESENCE_DENIED != 0,
        reads_supervisor: flawed & flaw::SUPERVISOR_READ != 0,
        keeps_privilege: flawed & flaw::PRIVILEGE_KEPT != 0,
    };
    Ok((bits, flaws))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weakness_is_a_defect_of_the_kernel_or_of_the_hardware() {
        for Weakness { name, defects, flaws, .. } in WEAKNESSES {
            assert_eq!(defects & !switches::DEFECTS, 0, "{name}");
            assert_ne!(*defects != 0, *flaws != 0, "{name}");
        }
    }
}
