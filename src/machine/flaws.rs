//! Bugs that can be planted in the hardware, to show that a check can fail.

/// Which bugs there are; none in a sound machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flaws {
    /// INVLPG, here and on another processor's behalf, drops nothing from the cache.
    pub keeps_invalidated: bool,
    /// A load of CR3 drops nothing from the cache.
    pub keeps_other_spaces: bool,
    /// A page fault's error code says that the page was not there, whatever was wrong.
    pub denies_presence: bool,
    /// A load at ring 3 that only the user bit forbids gets what is there. On hardware such a load faults,
    /// and what it would have got is told by a covert channel (Lipp et al., "Meltdown: Reading Kernel
    /// Memory from User Space", 2018); here it is told by the load itself. Fetches and stores fault.
    pub reads_supervisor: bool,
    /// `sysret` goes back without giving up ring 0.
    pub keeps_privilege: bool,
}
