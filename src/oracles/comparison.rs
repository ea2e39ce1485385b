//! The machine's walk beside the one by the book.

use core::fmt;

use super::by_the_book::{self, Answer, Translated};
use crate::base::PhysAddr;
use crate::machine::paging::TableMemory;
use crate::machine::paging::x86_64::{Controls, Entry, Exception, Request, Rights, Walk, walk};

/// Two walkers that do not say the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disagreement {
    /// What was asked.
    pub request: Request,
    /// On which processor.
    pub controls: Controls,
    /// What the machine's walk says.
    pub machine: Answer,
    /// What the manual says.
    pub book: Answer,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the machine and the manual disagree")?;
        writeln!(f, "request    {:?}", self.request)?;
        writeln!(f, "controls   {:?}", self.controls)?;
        writeln!(f, "machine    {:?}", self.machine)?;
        write!(f, "book       {:?}", self.book)
    }
}

/// Asks both walkers.
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
    if machine == book {
        Ok(book)
    } else {
        let (request, controls) = (*request, *controls);
        Err(Box::new(Disagreement { request, controls, machine, book }))
    }
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
        user: walk.rights.has(Rights::USER),
        writable: walk.rights.has(Rights::WRITABLE),
        executable: walk.rights.has(Rights::EXECUTABLE),
        shadow_stack: walk.rights.has(Rights::SHADOW_STACK),
        global: walk.global,
        key: u32::from(walk.key),
        dirty: walk.leaf_is_dirty,
    }
}
