//! Fault loads that were published with their numbers.
//!
//! A row is a type of fault as it is called there, with its weight there and the kind that it is here. A type
//! that no kind is modelled for has none; its weight is told, and the others are drawn in their proportions.
//!
//! Source: the injectors' own code, named with each load; which kind a type comes to is this crate's word.

/// A type of fault of a published load.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// As it is called there.
    pub name: &'static str,
    /// Its weight there.
    pub weight: u32,
    /// The kind of fault that it is here.
    pub kind: Option<&'static str>,
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
    /// Its types.
    pub rows: &'static [Row],
}

const fn row(name: &'static str, weight: u32, kind: &'static str) -> Row {
    Row { name, weight, kind: Some(kind) }
}

const fn none(name: &'static str, weight: u32) -> Row {
    Row { name, weight, kind: None }
}

/// Every published load that is known here.
pub const PUBLISHED: &[Published] = &[
    Published {
        name: "minix-random",
        about: "the set that MINIX's scripts draw from for drivers, each type as likely",
        source: "MINIX 3, commands/swifi: fault types and the random set of its scripts",
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
        name: "sego-kernel",
        about: "weights for a kernel, in hundredths",
        source: "The injector of the sego project, fault-model.c: table KERNEL",
        rows: &[
            row("UNLOCK", 15, "unreleased-lock"),
            row("IRQ", 10, "unrestored-level"),
            none("FLOAT", 10),
            row("ALLOC_SZ", 10, "under-allocation"),
            none("BLOCKING", 25),
            none("VAR", 5),
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
        rows: &[
            row("ATOMIC", 35, "missing-lock"),
            none("BLOCKING", 15),
            row("UNLOCK", 5, "unreleased-lock"),
            row("LEAK", 25, "leak"),
            row("FREE", 5, "premature-free"),
            row("INIT", 5, "uninitialised-memory"),
            row("TEXT", 10, "corrupted-code-byte"),
        ],
    },
];
