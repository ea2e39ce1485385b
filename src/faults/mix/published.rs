//! Fault loads that were published with their numbers.
//!
//! A row is a type of fault as it is called there, with its weight there and the kind that it is here. Of a type
//! whose kind a registry has no longer the weight is told, and the others are drawn in their proportions.
//!
//! The injectors of Rio, Nooks and MINIX descend from each other, yet each has types of its own: Rio flips bits
//! of heap and stack, which Nooks refuses for a driver; Nooks adds leaks, arguments and interrupt levels. A
//! type that is half of what two kinds are has a row for each half.
//!
//! Source: the injectors' own code or the papers, named with each load; which kind a type comes to is this
//! crate's word.

use super::Fixed;

/// A type of fault of a published load.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// As it is called there.
    pub name: &'static str,
    /// Its weight there.
    pub weight: u32,
    /// The kind of fault that it is here; `None` where a registry has it no longer.
    pub kind: Option<&'static str>,
    /// What of the kind is fixed, where it is one of what that can be.
    pub fixed: Option<Fixed>,
}

impl Row {
    /// A kind as it is.
    #[must_use]
    pub const fn of(name: &'static str, weight: u32, kind: &'static str) -> Self {
        Self { name, weight, kind: Some(kind), fixed: None }
    }

    const fn fixed(self, fixed: Fixed) -> Self {
        Self { fixed: Some(fixed), ..self }
    }
}

/// A published fault load.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Published {
    /// Its name in mixes.
    pub name: &'static str,
    /// What it was used for.
    pub about: &'static str,
    /// Where its numbers are from.
    pub source: &'static str,
    /// Errors in one trial, where that was told.
    pub errors: Option<u32>,
    /// Its types.
    pub rows: &'static [Row],
}

const fn row(name: &'static str, weight: u32, kind: &'static str) -> Row {
    Row::of(name, weight, kind)
}

const RIO: &[Row] = &[
    row("kernel text", 2, "corrupted-code-byte"),
    row("kernel heap", 2, "bit-flip"),
    // What of a stack is read back is return addresses and saved registers.
    row("kernel stack", 2, "corrupted-return-address"),
    row("destination register", 2, "corrupted-register"),
    row("source register", 2, "wild-read"),
    row("delete branch", 2, "inverted-branch"),
    row("delete instruction", 2, "dropped-step"),
    row("initialization", 2, "uninitialised-memory"),
    row("pointer", 2, "wild-write"),
    // The block that was just allocated is freed early.
    row("allocation", 2, "premature-free"),
    row("copy overrun", 2, "overrun"),
    row("off-by-one", 2, "off-by-one"),
    // The procedures that take and release locks return without doing it.
    row("synchronization, taken", 1, "missing-lock"),
    row("synchronization, released", 1, "unreleased-lock"),
];

const NOOKS: &[Row] = &[
    row("TEXT", 1, "corrupted-code-byte"),
    row("INIT", 1, "uninitialised-memory"),
    row("NOP", 1, "dropped-step"),
    row("DST", 1, "corrupted-register"),
    row("SRC", 1, "wild-read"),
    row("BRANCH", 1, "inverted-branch"),
    row("PTR", 1, "wild-write"),
    row("LOOP", 1, "repeated-step"),
    row("INTERFACE", 1, "dropped-argument"),
    row("IRQ", 1, "unrestored-level"),
    row("FREE", 1, "premature-free"),
    row("BCOPY", 1, "overrun"),
    row("SYNC", 1, "missing-lock"),
    row("ALLOC", 1, "allocation-failure"),
    row("MEM_LEAK", 1, "leak"),
    row("PANIC", 1, "crash"),
];

const MINIX: &[Row] = &[
    row("TEXT", 1, "corrupted-code-byte"),
    row("STACK", 1, "corrupted-return-address"),
    row("HEAP", 1, "bit-flip"),
    row("INIT", 1, "uninitialised-memory"),
    row("NOP", 1, "dropped-step"),
    row("DST", 1, "corrupted-register"),
    row("SRC", 1, "wild-read"),
    row("BRANCH", 1, "inverted-branch"),
    row("PTR", 1, "wild-write"),
    row("LOOP", 1, "repeated-step"),
    row("INTERFACE", 1, "dropped-argument"),
    row("IRQ", 1, "unrestored-level"),
    row("FREE", 1, "premature-free"),
    row("BCOPY", 1, "overrun"),
    row("SYNC", 1, "missing-lock"),
    row("ALLOC", 1, "allocation-failure"),
    row("MEM_LEAK", 1, "leak"),
    row("PANIC", 1, "crash"),
    row("WHILE1", 1, "hang"),
    row("DEBUGGER", 1, "crash"),
];

const EDFI: &[Row] = &[
    // Operands that change places, and another operator, give another value.
    row("operand swap", 1, "wrong-value-stored"),
    row("load yields 0", 1, "wrong-value-loaded").fixed(Fixed::Zero),
    row("load yields random", 1, "wrong-value-loaded").fixed(Fixed::Random),
    row("store removed", 1, "lost-store"),
    row("branch flipped", 1, "inverted-branch"),
    // A condition that is a constant: wherever it would have been the other one, the branch goes the other way.
    row("branch stuck", 1, "inverted-branch"),
    row("loop stuck", 1, "hang"),
    row("boolean flipped", 1, "wrong-result"),
    row("pointer corrupted", 1, "wild-write"),
    // It plants a store through a null pointer in front of a block of code.
    row("pointer NULL", 1, "crash").fixed(Fixed::NullStore),
    row("index ±1", 1, "off-by-one"),
    // It adds or subtracts 1, as it does to an index.
    row("integer corrupted", 1, "off-by-one"),
    row("operator changed", 1, "wrong-value-stored"),
    row("buffer overflow", 1, "overrun"),
    row("leak", 1, "leak"),
    // It shrinks what malloc is asked for: the end of the block is somebody else's.
    row("dangling", 1, "under-allocation"),
];

const HEVD: &[Row] = &[
    // Where the caller says: what is written there, the address that was handed over, and the probe that
    // would have refused it are each one way to the same classes.
    row("ArbitraryWrite", 1, "wild-write"),
    row("WriteNULL", 1, "kernel-address-as-argument"),
    row("ArbitraryIncrement", 1, "skipped-probe"),
    row("ArbitraryReadWriteHelperNonPagedPoolNx", 1, "wild-write"),
    row("BufferOverflowStack", 1, "corrupted-return-address"),
    row("BufferOverflowStackGS", 1, "corrupted-return-address"),
    row("BufferOverflowNonPagedPool", 1, "overrun"),
    row("BufferOverflowNonPagedPoolNx", 1, "overrun"),
    row("BufferOverflowPagedPoolSession", 1, "overrun"),
    row("UseAfterFreeNonPagedPool", 1, "use-after-free"),
    row("UseAfterFreeNonPagedPoolNx", 1, "use-after-free"),
    row("IntegerOverflow", 1, "under-allocation"),
    // The word that is taken for a routine's address is the caller's.
    row("TypeConfusion", 1, "corrupted-dispatch-entry"),
    row("UninitializedMemoryStack", 1, "uninitialised-memory"),
    row("UninitializedMemoryPagedPool", 1, "uninitialised-memory"),
    // The pointer to the object is null where it is loaded.
    row("NullPointerDereference", 1, "wrong-value-loaded").fixed(Fixed::Zero),
    row("DoubleFetch", 1, "double-fetch"),
    // More is handed to the caller than the block holds.
    row("MemoryDisclosureNonPagedPool", 1, "wrong-completion-length"),
    row("MemoryDisclosureNonPagedPoolNx", 1, "wrong-completion-length"),
    row("InsecureKernelResourceAccess", 1, "skipped-rights-check"),
];

/// Every published load that is known here.
pub const PUBLISHED: &[Published] = &[
    Published {
        name: "minix-random",
        about: "the set that MINIX's scripts draw from for drivers, each type as likely",
        source: "MINIX 3, commands/swifi: fault types and the random set of its scripts",
        errors: Some(100),
        rows: &[
            row("TEXT", 1, "corrupted-code-byte"),
            row("NOP", 1, "dropped-step"),
            row("SRC", 1, "wild-read"),
            row("DST", 1, "corrupted-register"),
            row("PTR", 1, "wild-write"),
            row("LOOP", 1, "repeated-step"),
            row("INTERFACE", 1, "dropped-argument"),
        ],
    },
    Published {
        name: "rio",
        about: "the 13 types that crashed a kernel to try a file cache, each as likely",
        source: "Chen et al., The Rio File Cache: Surviving Operating System Crashes, ASPLOS 1996",
        errors: None,
        rows: RIO,
    },
    Published {
        name: "nooks",
        about: "the types that Nooks' injector takes for a driver, each as likely",
        source: "Swift, Bershad and Levy, SOSP 2003; the injector's own switch over its types",
        errors: Some(5),
        rows: NOOKS,
    },
    Published {
        name: "minix",
        about: "every type that MINIX's injector draws itself, each as likely",
        source: "MINIX 3, commands/swifi: swifi-user.h and fault_model.c",
        errors: None,
        rows: MINIX,
    },
    Published {
        name: "edfi",
        about: "the mistakes that EDFI plants at compile time, each as likely",
        source: "EDFI, its pass's fault types (llvm/passes/edfi/Fault.cpp); Giuffrida et al., PRDC 2013",
        errors: None,
        rows: EDFI,
    },
    Published {
        name: "hevd",
        about: "the classes of a driver made to be attacked, each as likely",
        source: "HackSys Extreme Vulnerable Driver, one file a class",
        errors: None,
        rows: HEVD,
    },
    Published {
        name: "sego-kernel",
        about: "weights for a kernel, in hundredths",
        source: "The injector of the sego project, fault-model.c: table KERNEL",
        errors: None,
        rows: &[
            row("UNLOCK", 15, "unreleased-lock"),
            row("IRQ", 10, "unrestored-level"),
            // There are no floating-point registers: general ones that nobody kept come to the same.
            row("FLOAT", 10, "clobbered-registers"),
            row("ALLOC_SZ", 10, "under-allocation"),
            row("BLOCKING", 25, "wait-at-dispatch"),
            // It makes a frame too large for its stack.
            row("VAR", 5, "crash").fixed(Fixed::StackOverflow),
            row("BCOPY", 5, "overrun"),
            row("INTRPT", 5, "unrestored-level"),
            row("FREE", 10, "premature-free"),
            row("TEXT", 5, "corrupted-code-byte"),
        ],
    },
    Published {
        name: "sego-fs",
        about: "weights for a file system, in hundredths",
        source: "The injector of the sego project, fault-model.c: table FS",
        errors: None,
        rows: &[
            row("ATOMIC", 35, "missing-lock"),
            row("BLOCKING", 15, "wait-at-dispatch"),
            row("UNLOCK", 5, "unreleased-lock"),
            row("LEAK", 25, "leak"),
            row("FREE", 5, "premature-free"),
            row("INIT", 5, "uninitialised-memory"),
            row("TEXT", 10, "corrupted-code-byte"),
        ],
    },
];

#[cfg(test)]
mod tests {
    use crate::faults::{Mix, Registry};

    #[test]
    fn a_type_whose_kind_is_no_longer_there_is_told_with_its_hundredths() {
        let mut registry = Registry::default();
        registry.retain(|kind| kind.name != "wait-at-dispatch");

        let fs = Mix::read("sego-fs", &registry).expect("a load");

        assert_eq!(fs.missing(), [("BLOCKING of sego-fs".to_owned(), 15)]);
        let leak = fs.kinds().iter().find(|(_, kind)| *kind == "leak").map(|(weight, _)| *weight);
        assert_eq!((leak, fs.total()), (Some(25), 85));
    }
}
