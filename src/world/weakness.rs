//! Weaknesses: bugs that can be planted in the kernel by name, to show that a check can fail.

use crate::kernel::layout::switches;

use super::build::BuildError;
use super::configuration::Configuration;

/// Weaknesses by name, with their bits and what they are.
pub const WEAKNESSES: &[(&str, u64, &str)] = &[
    ("no-probe", switches::NO_PROBE, "system services do not probe output buffers"),
    (
        "no-shootdown",
        switches::NO_SHOOTDOWN,
        "unmapping does not reach the other processors' caches",
    ),
    ("no-zeroing", switches::NO_ZEROING, "freed frames are handed out as they are"),
    ("no-access-check", switches::NO_ACCESS_CHECK, "handle look-up does not compare rights"),
    ("handles-leak", switches::HANDLES_LEAK, "process exit leaves handles open"),
    ("frames-leak", switches::FRAMES_LEAK, "process exit leaves frames allocated"),
    ("duplicate-widens", switches::DUPLICATE_WIDENS, "duplication grants more than the source has"),
    ("wrong-table", switches::WRONG_TABLE, "handle look-up uses another process's table"),
    ("user-bit-in-system", switches::USER_BIT_IN_SYSTEM, "the self-map entry carries the user bit"),
    (
        "shared-private-page",
        switches::SHARED_PRIVATE_PAGE,
        "a child gets its parent's private page",
    ),
    ("dma-stays", switches::DMA_STAYS, "a device's leave outlives its transfer"),
    ("early-free", switches::EARLY_FREE, "closing one handle frees an object that others hold"),
    (
        "stale-output",
        switches::STALE_OUTPUT,
        "a whole system buffer is returned whatever was produced",
    ),
    (
        "wrong-context",
        switches::WRONG_CONTEXT,
        "completion writes to the user buffer of whoever runs",
    ),
    ("runs-on", switches::RUNS_ON, "the other processors run on after a bug check"),
    ("requests-lost", switches::REQUESTS_LOST, "a lost host's requests are never completed"),
    ("kernel-half-differs", switches::KERNEL_HALF_DIFFERS, "a new process lacks a kernel entry"),
    ("on-user-stack", switches::ON_USER_STACK, "system services run on the caller's stack"),
];

/// The kernel's switches that a configuration asks for.
pub(super) fn switch_bits(configuration: &Configuration) -> Result<u64, BuildError> {
    let mut bits = if configuration.machine.pool_checks { switches::POOL_CHECKS } else { 0 };
    for name in &configuration.weaknesses {
        let (_, bit, _) = WEAKNESSES.iter().find(|(known, ..)| known == name).ok_or_else(|| {
            BuildError { component: None, what: format!("there is no weakness {name:?}") }
        })?;
        bits |= bit;
    }
    Ok(bits)
}
