//! The machine's walk beside the one by the book.

use core::fmt;

use super::by_the_book::{self, Answer, Translated};
use crate::base::PhysAddr;
use crate::machine::paging::TableMemory;
use crate::machine::paging::x86_64::{
    Controls, Entry, Exception, Reach, Request, Rights, Walk, Walker, walk,
};

/// Two walkers that do not say the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disagreement {
    /// What was asked.
    pub request: Request,
    /// On which processor.
    pub controls: Controls,
    /// What the machine's walk says.
    pub machine: Answer,
    /// What the machine's [`Walker`] finds, which answers only where no bit is to be set.
    pub walker: Option<Reach>,
    /// What the manual says.
    pub book: Answer,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the machine and the manual disagree")?;
        writeln!(f, "request    {:?}", self.request)?;
        writeln!(f, "controls   {:?}", self.controls)?;
        writeln!(f, "machine    {:?}", self.machine)?;
        writeln!(f, "walker     {:?}", self.walker)?;
        write!(f, "book       {:?}", self.book)
    }
}

/// Asks both walkers, and the machine's other one for many addresses.
///
/// # Errors
///
/// What each says, when they disagree in anything: outcome, error code, address, page size, rights,
/// accessed and dirty bits to set.
pub fn compare(
    memory: &impl TableMemory,
    controls: &Controls,
    request: &Request,
) -> Result<Answer, Box<Disagreement>> {
    let machine = match walk(memory, controls, request) {
        Ok(walk) => Answer::Translated(translated(&walk)),
        Err(Exception::PageFault { virt, code }) => {
            assert_eq!(virt, request.virt, "CR2 is the address that was asked for");
            Answer::PageFault(code.0)
        }
        Err(Exception::GeneralProtection) => Answer::GeneralProtection,
    };
    let book = by_the_book::translate(&|at| memory.entry(at), controls, request);
    let walker = Walker::new(controls, request).reach(memory, request.virt);
    if machine == book && walker_agrees(walker, controls, request, &book) {
        Ok(book)
    } else {
        let (request, controls) = (*request, *controls);
        Err(Box::new(Disagreement { request, controls, machine, walker, book }))
    }
}

/// Whether the walker found the translation, if it exists and leaves no bit to set, or else nothing.
fn walker_agrees(
    walker: Option<Reach>,
    controls: &Controls,
    request: &Request,
    book: &Answer,
) -> bool {
    let expected = match book {
        Answer::Translated(found) if found.accessed.is_empty() && found.dirtied.is_none() => found,
        _ => return walker.is_none(),
    };
    walker.is_some_and(|reach| {
        let found = Translated {
            address: reach.page.plus(request.virt.0 % reach.size.bytes()),
            page_bytes: reach.size.bytes(),
            accessed: Vec::new(),
            dirtied: None,
            global: reach.is_global(controls),
            key: u32::from(reach.leaf.key()),
            dirty: reach.leaf.has(Entry::D),
            ..of_rights(reach.rights)
        };
        found == *expected
    })
}

fn translated(walk: &Walk) -> Translated {
    let marked = |bit: u64| {
        let with_bit = walk.marks.items().iter().filter(move |(_, bits)| bits & bit != 0);
        with_bit.map(|(at, _)| *at).collect::<Vec<PhysAddr>>()
    };
    Translated {
        address: walk.address,
        page_bytes: walk.size.bytes(),
        accessed: marked(Entry::A),
        dirtied: marked(Entry::D).last().copied(),
        global: walk.global,
        key: u32::from(walk.key),
        dirty: walk.leaf_is_dirty,
        ..of_rights(walk.rights)
    }
}

/// A translation with these rights, of nothing to nowhere.
fn of_rights(rights: Rights) -> Translated {
    Translated {
        address: PhysAddr::truncated(0),
        page_bytes: 0,
        accessed: Vec::new(),
        dirtied: None,
        user: rights.has(Rights::USER),
        writable: rights.has(Rights::WRITABLE),
        executable: rights.has(Rights::EXECUTABLE),
        shadow_stack: rights.has(Rights::SHADOW_STACK),
        global: false,
        key: 0,
        dirty: false,
    }
}
