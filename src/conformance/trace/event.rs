//! What a line of a trace says.

use core::ops::Range;

/// One line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event<'a> {
    /// Who did it. 0 for what nobody does: memory as the trace finds it.
    pub processor: u16,
    /// What was done.
    pub action: Action<'a>,
    /// Where in the line its words are: the event itself, then its operands.
    pub words: Vec<Range<usize>>,
}

/// What was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action<'a> {
    /// The first line: which architecture.
    Begin {
        /// Its name.
        architecture: &'a str,
    },
    /// Memory holds zeros from now on and may become tables.
    Initialise {
        /// The first byte.
        at: u64,
        /// How many.
        bytes: u64,
    },
    /// A word that memory holds when the trace begins: nobody stored it.
    Word {
        /// Where.
        at: u64,
        /// What it holds.
        value: u64,
    },
    /// A store of 8 bytes.
    Store {
        /// Where.
        at: u64,
        /// What.
        value: u64,
        /// Every store before it is seen first.
        is_release: bool,
    },
    /// Stores that write one byte to all of a range.
    Fill {
        /// The first byte.
        at: u64,
        /// How many.
        bytes: u64,
        /// What is written to each.
        byte: u8,
    },
    /// A load of 8 bytes, and what was found.
    Load {
        /// Where.
        at: u64,
        /// What was found.
        value: u64,
    },
    /// A barrier.
    Barrier {
        /// The instruction.
        name: &'a str,
        /// Its option, or nothing.
        kind: &'a str,
    },
    /// An invalidation.
    Invalidate {
        /// The instruction, or its operation.
        name: &'a str,
        /// Its operands.
        operands: Vec<u64>,
    },
    /// A translation register is written.
    Set {
        /// Its name, in small letters.
        register: &'a str,
        /// The value.
        value: u64,
    },
    /// From now on the tables below a root are written under a lock.
    Guard {
        /// The root.
        root: u64,
        /// The lock.
        lock: u64,
    },
    /// From now on one processor alone writes a word, without any lock.
    Own {
        /// The word.
        at: u64,
        /// The processor.
        processor: u64,
    },
    /// A lock is taken.
    Lock {
        /// The lock.
        lock: u64,
        /// It may be held already, by the same processor.
        is_nested: bool,
    },
    /// A lock is given back.
    Unlock {
        /// The lock.
        lock: u64,
    },
    /// Frames are no longer tables of their owner, who keeps them.
    Release {
        /// The first byte.
        at: u64,
    },
    /// Frames are given back to the allocator.
    Free {
        /// The first byte.
        at: u64,
        /// How many.
        bytes: u64,
    },
    /// Frames have a new owner.
    Allocate {
        /// The first byte.
        at: u64,
        /// How many.
        bytes: u64,
    },
    /// The operation of this processor has returned.
    Done,
    /// What another monitor said of the trace so far.
    Verdict {
        /// Its words.
        text: &'a str,
    },
    /// Something that concerns no rule here.
    Nothing,
}

/// Something in a trace that can't be read. Total: any bytes give events or one of these.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// Where in its line.
    pub at: Range<usize>,
    /// What is wrong.
    pub what: String,
    /// What was expected.
    pub expected: String,
    /// What to do about it, where that is known.
    pub remedy: Option<String>,
}

impl Mistake {
    pub(super) fn new(
        at: Range<usize>,
        what: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self { at, what: what.into(), expected: expected.into(), remedy: None }
    }

    pub(super) fn help(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}
