//! Options of Driver Verifier, by the names under which a scenario switches them on.

use crate::kernel::layout::verifier;

use crate::kernel::pools::PoolKind;

use super::build::BuildError;
use super::configuration::MachineConfiguration;

/// Options by name, with their bits and what they do.
pub const VERIFIER_OPTIONS: &[(&str, u64, &str)] = &[
    // Another pool is linked in, see [`pool_of`]: the kernel reads no switch for it.
    (SPECIAL_POOL, 0, "blocks lie at the end of pages of their own"),
    ("low-resources", verifier::LOW_RESOURCES, "six in a hundred allocations fail"),
    (
        "systematic-low-resources",
        verifier::SYSTEMATIC_LOW_RESOURCES,
        "each allocation fails once, by the calls that led to it",
    ),
    (
        FORCE_IRQL_CHECKING,
        verifier::FORCE_IRQL,
        "pageable memory is trimmed whenever a driver raises the level: 0xA, 0xD1",
    ),
    (
        "automatic-checks",
        verifier::AUTOMATIC,
        "levels are looked at where they change, at spin locks, at the pool and when pages are locked: 0xC4",
    ),
    (
        "deadlock-detection",
        verifier::DEADLOCK,
        "spin locks that are taken in an order that can deadlock are found: 0xC4",
    ),
    ("pool-tracking", verifier::POOL_TRACKING, "who left pages locked is told: 0xCB for 0x76"),
    (
        "io",
        verifier::IO,
        "device objects, levels and statuses are looked at on a request's way: 0xC9",
    ),
    (
        "security",
        verifier::SECURITY,
        "user addresses passed in kernel mode's name, locks that are nowhere, and counts that revive, are found: 0xC4",
    ),
    (
        "miscellaneous",
        verifier::MISCELLANEOUS,
        "user handles in kernel mode's name, and kernel handles in user mode's, are found: 0xC4",
    ),
    (
        "dma-checking",
        verifier::DMA,
        "what is written behind a buffer during a transfer, and pages mapped or closed twice, are found: 0xE6",
    ),
    (
        "code-integrity-checks",
        verifier::CODE_INTEGRITY,
        "a driver's request for nonpaged pool is found where that can be executed (`no-execute-pool = false`): 0xC4",
    ),
    (
        "ddi-compliance-checking",
        verifier::DDI_COMPLIANCE,
        "calls at a level that their rule forbids, and spin locks taken twice or kept, are found: 0xC4",
    ),
    (
        "ddi-compliance-checking-additional",
        verifier::DDI_COMPLIANCE_ADDITIONAL,
        "spin locks that are given back though they are not held are found: 0xC4",
    ),
    // These three need I/O verification; here it comes with them.
    (
        "force-pending-io",
        verifier::FORCE_PENDING | verifier::IO,
        "half of the requests that are completed at once are told as pending, and completed later",
    ),
    (
        "invariant-mdl-checking-for-stack",
        verifier::INVARIANT_STACK | verifier::IO,
        "what a request hands over to be read is compared when it is complete: 0xC4",
    ),
    (
        "invariant-mdl-checking-for-driver",
        verifier::INVARIANT_DRIVER | verifier::IO,
        "the same, wherever it is handed on as well, and what is to be written too: 0xC4",
    ),
    (
        "kernel-synchronization-delay-fuzzing",
        verifier::DELAY_FUZZING,
        "calls take longer, seven steps in the mean, so that what runs elsewhere comes in between",
    ),
];

/// Options of Driver Verifier that are not modelled ("Driver Verifier Options"), by the names that they would have,
/// and why.
pub const UNMODELLED_OPTIONS: &[(&str, &str)] = &[
    ("irp-logging", "detects nothing: a story tells each request"),
    ("power-delay-fuzzing", "there is no power management"),
    ("port-miniport-interface-checking", "there are no miniport drivers"),
    ("vm-switch-interface-checking", "there is no virtual network switch"),
    ("additional-irql-checking", "its two rules are for routines that this kernel has not"),
    ("driver-isolation-checks", "drivers have no state outside of memory"),
    ("dif-mode", "it switches other options' plug-ins on, without a restart"),
    ("wdf-verification", "the framework of kernel-mode drivers is not modelled"),
];

/// The option that is a pool.
const SPECIAL_POOL: &str = "special-pool";

/// The option that trims pageable memory.
const FORCE_IRQL_CHECKING: &str = "force-irql-checking";

/// Whether pageable memory may be away: as the seed has it, or when a driver raises the level.
pub(super) fn is_pageable(machine: &MachineConfiguration) -> bool {
    machine.pageable || machine.verifier.iter().any(|name| name == FORCE_IRQL_CHECKING)
}

/// The pool that a machine has.
pub(super) fn pool_of(machine: &MachineConfiguration) -> PoolKind {
    let is_special = machine.verifier.iter().any(|name| name == SPECIAL_POOL);
    if is_special { PoolKind::Special } else { machine.pool }
}

/// The names of all options.
#[must_use]
pub fn verifier_options() -> Vec<&'static str> {
    VERIFIER_OPTIONS.iter().map(|(name, ..)| *name).collect()
}

/// The bits of the options with these names.
pub(super) fn bits_of(names: &[String]) -> Result<u64, BuildError> {
    names.iter().try_fold(0, |bits, name| {
        let known = VERIFIER_OPTIONS.iter().find(|(known, ..)| known == name);
        let (_, bit, _) = known.ok_or_else(|| BuildError {
            component: None,
            what: format!(
                "Driver Verifier has no option `{name}`; it has {}",
                verifier_options().join(", ")
            ),
        })?;
        Ok(bits | bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_modelled_or_not() {
        for (name, why) in UNMODELLED_OPTIONS {
            assert!(!verifier_options().contains(name), "{name}");
            assert!(bits_of(&[(*name).to_owned()]).is_err(), "{name}: {why}");
        }
    }
}
