//! Where a kind of fault comes from: the fault models of the literature.
//!
//! A published fault load is a mix of one or two of them; a kind that several know has the first.
//!
//! Source: the works that each model names.

/// The published fault model, or the sort of list, that a kind is taken from; where several know it, the
/// first of these.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Model {
    /// Software-implemented fault injection into running kernels, from Rio by way of Nooks to MINIX: what a
    /// damaged instruction comes to (Chen et al., ASPLOS 1996; Swift, Bershad and Levy, SOSP 2003).
    Swifi,
    /// The mistakes of programmers that EDFI plants at compile time (Giuffrida, Kuijsten and Tanenbaum, "EDFI:
    /// A Dependable Fault Injection Tool for Dependability Benchmarking Experiments", PRDC 2013).
    Edfi,
    /// Software failure modes of interfaces, messages and timing, as LLFI lists them (Lu et al., "LLFI: An
    /// Intermediate Code-Level Fault Injection Tool for Hardware Faults", QRS 2015, and its software faults).
    Llfi,
    /// Exceptional values for the parameters of system calls (Koopman and DeVale, IEEE TSE 2000).
    Boundary,
    /// Mistakes with handles and with the objects that they lead to.
    Handle,
    /// Memory that isn't given, isn't given back, or is given back wrongly.
    Resource,
    /// Classes of vulnerabilities in drivers (HackSys Extreme Vulnerable Driver).
    Vulnerability,
    /// Processors, memory and devices that don't do as they were told.
    Hardware,
    /// What hardware may do at any time.
    Disorder,
}

impl Model {
    /// Every model.
    pub const ALL: [Self; 9] = [
        Self::Swifi,
        Self::Edfi,
        Self::Llfi,
        Self::Boundary,
        Self::Handle,
        Self::Resource,
        Self::Vulnerability,
        Self::Hardware,
        Self::Disorder,
    ];

    /// Its name in lists.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Swifi => "swifi",
            Self::Edfi => "edfi",
            Self::Llfi => "llfi",
            Self::Boundary => "boundary",
            Self::Handle => "handle",
            Self::Resource => "resource",
            Self::Vulnerability => "vulnerability",
            Self::Hardware => "hardware",
            Self::Disorder => "disorder",
        }
    }
}
