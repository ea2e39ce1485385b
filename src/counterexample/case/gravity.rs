//! Which of several violations is the gravest: the one that is kept when a case is made smaller.
//!
//! In this order, of the same rank by what was seen first:
//!
//! 1. what a user's own registry adds: what it asks for comes first;
//! 2. what translates is wrong, on which everything else rests;
//! 3. user mode reaches what is the kernel's, then what is another process's, then what it may not read;
//! 4. rights are there that nobody gave;
//! 5. kernel mode does what it does not mean, or lets control or memory go wrong ways;
//! 6. others see it: the machine stops, or somebody's results differ;
//! 7. bookkeeping is wrong: something was leaked, kept or left undone.
//!
//! The names are those of `ringfence list invariants`.

use crate::campaign::experiment::{CONTAINED, SURVIVES};

/// Guarantees from the gravest to the least grave.
pub const ORDER: [&str; 31] = [
    "the-two-walkers-agree",
    "user-mode-never-reaches-system-space",
    "tables-are-out-of-user-reach",
    "private-memory-is-private",
    "user-mappings-are-granted",
    "cached-translations-are-granted",
    "freed-frames-are-forgotten",
    "dma-stays-within-grants",
    "nobody-reads-what-it-may-not",
    "handles-are-private",
    "handle-tables-are-apart",
    "rights-never-exceed-the-grant",
    "handles-come-from-somewhere",
    "mode-changes-only-at-gates",
    "kernel-mode-never-runs-on-a-user-stack",
    "kernel-mode-writes-what-it-means",
    "kernel-half-is-one",
    "user-mode-runs-without-the-kernel-mapped",
    "memory-is-handed-out-once",
    "freed-objects-are-forgotten",
    "nothing-runs-after-a-bug-check",
    SURVIVES,
    CONTAINED,
    "a-crash-is-contained",
    "a-driver-host-crash-is-contained",
    "critical-requests-end-in-time",
    "exit-closes-all-handles",
    "requests-are-conserved",
    "references-are-conserved",
    "frames-are-conserved",
    "pool-blocks-are-conserved",
];

/// The rank of a guarantee: the less, the graver.
#[must_use]
pub fn rank(guarantee: &str) -> usize {
    ORDER.iter().position(|known| *known == guarantee).map_or(0, |place| place + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::Registry;

    #[test]
    fn each_guarantee_has_its_rank_and_what_a_user_adds_comes_first() {
        let all = Registry::all();
        let mut known: Vec<&str> = all.iter().map(|invariant| invariant.name()).collect();
        known.extend([CONTAINED, SURVIVES]);
        known.sort_unstable();
        let mut ranked = ORDER.to_vec();
        ranked.sort_unstable();

        assert_eq!(ranked, known);
        assert!(rank("mine") < rank(ORDER[0]));
        assert!(rank("private-memory-is-private") < rank("frames-are-conserved"));
        assert!(rank("user-mode-never-reaches-system-space") < rank(CONTAINED));
    }
}
