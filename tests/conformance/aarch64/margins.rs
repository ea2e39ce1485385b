//! Margins of AArch64 worked out by hand, for three tables with one page.
//!
//! They lie in the first three frames: the root of three levels at 0x1_0000_0000, then levels 2 and 3, each
//! named by entry 0 of the one before (bits 0x3). All else is 0. What a single flipped bit gives:
//!
//! * An entry that is 0: nothing. Bit 0 makes a block without its Access flag, which raises a fault, or at
//!   level 3 a reserved encoding. (On x86-64 each such entry breaches.)
//! * An entry that names a table: each of the 36 address bits names another frame. One of them names the root:
//!   that of level 1 by bit 12, that of level 2 by bit 13. Walked one or two levels off, every entry met is a
//!   page without its Access flag. The others name no table in use: 35 breach for each entry. Without bit 1 it
//!   is a block without its Access flag.
//! * The page (0x1_0006_0000, of the user, writable, never executed): 36 address bits, and bit 54, which lets
//!   the user execute it. Bit 53 would let the kernel, which may not execute what the user writes. Once it is
//!   read-only that holds no longer, so bit 53 breaches; and bit 7 would make it writable again.
//!
//! Nothing mapped: 35 + 35 = 70. Mapped: 70 + 37 = 107. Read-only while the right to write is still in the
//! books: 70 + 38 = 108, and when it is not: 109. With level 3 unlinked: 35.

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::format::AArch64;
use ringfence::conformance::margin::Margins;
use ringfence::conformance::{
    self, Barrier, Call, Capabilities, Capability, Case, Mapper, Memory, Refusal, Rights,
};
use ringfence::machine::paging::PageSize;

use crate::margins::counted;

const PAGE: VirtAddr = VirtAddr(0x4000);
const TO: PhysAddr = PhysAddr::truncated(0x1_0006_0000);
const WRITE: Rights = Rights::WRITE.and(Rights::USER);

const MAP: Call = Call::Map { page: PAGE, to: TO, size: PageSize::Kib4, rights: WRITE };
const PROTECT: Call = Call::Protect { page: PAGE, size: PageSize::Kib4, rights: Rights::USER };
const UNMAP: Call = Call::Unmap { page: PAGE, size: PageSize::Kib4 };

struct Tiny {
    memory: Memory,
    frames: [PhysAddr; 3],
    flaw: Flaw,
}

/// What is wrong with it.
#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    Nothing,
    /// It does not wait for its invalidations.
    ForgetsToWait,
    /// `protect` makes a page of the user one of the kernel, which the kernel may execute.
    TakesForTheKernel,
}

impl Tiny {
    fn new(memory: Memory, flaw: Flaw) -> Self {
        let frames = [(); 3].map(|()| memory.allocate_zeroed().expect("a frame"));
        for pair in frames.windows(2) {
            memory.store(pair[0], pair[1].raw() | 3);
        }
        Self { memory, frames, flaw }
    }

    fn set(&self, page: VirtAddr, entry: u64) {
        self.memory.store(self.frames[2].plus(8 * (page.0 >> 12)), entry);
    }

    fn forget(&self, virt: VirtAddr) {
        self.memory.barrier(Barrier::Stores);
        self.memory.invalidate_page(virt);
        if self.flaw != Flaw::ForgetsToWait {
            self.memory.barrier(Barrier::All);
        }
    }
}

/// A page of the user that the kernel doesn't execute: not global, inner shareable, Access flag set.
fn bits(rights: Rights) -> u64 {
    let read_only = if rights.has(Rights::WRITE) { 0 } else { 1 << 7 };
    let never = if rights.has(Rights::EXECUTE) { 1 << 53 } else { 3 << 53 };
    never | 1 << 11 | 1 << 10 | 3 << 8 | 1 << 6 | 3 | read_only
}

impl Mapper for Tiny {
    fn capabilities(&self) -> Capabilities {
        [Capability::Protect, Capability::CleanUp, Capability::Invalidates, Capability::Barriers]
            .into_iter()
            .fold(Capabilities::PLAIN, Capabilities::with)
    }

    fn root(&self) -> PhysAddr {
        self.frames[0]
    }

    fn map(
        &mut self,
        page: VirtAddr,
        to: PhysAddr,
        _: PageSize,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.set(page, to.raw() | bits(rights));
        self.memory.barrier(Barrier::Stores);
        Ok(())
    }

    fn unmap(&mut self, page: VirtAddr, _: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        self.set(page, 0);
        self.forget(page);
        Ok(None)
    }

    fn protect(&mut self, page: VirtAddr, _: PageSize, rights: Rights) -> Result<(), Refusal> {
        let bits = match self.flaw {
            Flaw::TakesForTheKernel => bits(rights) & !(1 << 53 | 1 << 6) | 1 << 54,
            _ => bits(rights),
        };
        self.set(page, TO.raw() | bits);
        self.forget(page);
        Ok(())
    }

    fn clean_up(&mut self) -> Result<(), Refusal> {
        self.memory.store(self.frames[1], 0);
        self.forget(VirtAddr(0));
        self.memory.free(self.frames[2]);
        Ok(())
    }
}

fn margins(flaw: Flaw, calls: &[Call]) -> Margins {
    let case = Case { calls: calls.to_vec(), fault: None };
    let suite = conformance::mapper(move |memory| Tiny::new(memory, flaw));
    suite.format(AArch64::THREE_LEVELS).margins_of(&case)
}

#[test]
fn margins_are_those_worked_out_by_hand() {
    let told = margins(Flaw::Nothing, &[MAP, PROTECT, UNMAP, Call::CleanUp]);

    let expected = [
        // instant, margin, lost invalidations, abandoned stores, concurrent walks, flipped bits
        "0 1 0 0 0 70", // map: with nothing mapped
        "1 1 0 0 0 107",
        "return 1 0 0 0 107",
        "0 1 0 0 0 107", // protect
        "1 1 1 1 0 108", // the processor may still write until it is told
        "return 1 0 0 0 109",
        "0 1 0 0 0 109", // unmap
        "1 1 1 1 0 70",
        "return 1 0 0 0 70",
        "0 1 0 0 0 70", // clean_up
        "1 1 1 0 0 35",
        "return 1 0 0 0 35",
    ];
    assert_eq!(counted(&told), expected, "{told}");
}

#[test]
fn a_table_freed_before_its_invalidation_is_waited_for_leaves_no_margin() {
    let told = margins(Flaw::ForgetsToWait, &[Call::CleanUp]);

    assert_eq!(told.least(), 0, "{told}");
    let line = "processor 1 may still walk 0x100002000, no table any more, for 0x0";
    assert!(told.to_string().contains(line), "{told}");
}

const EXECUTE: Rights = Rights::EXECUTE.and(Rights::USER);

/// Of a page that the user reads and executes, 36 address bits breach, bit 7 (writable) and bit 53 (the kernel
/// executes it). Bit 6 makes it a page of the kernel, which the user still executes and no longer reads: nobody
/// may do what he could not. So 70 + 38.
#[test]
fn a_page_that_only_changes_whose_it_is_grants_no_more_when_nobody_may_do_more() {
    let map = Call::Map { page: PAGE, to: TO, size: PageSize::Kib4, rights: EXECUTE };

    let told = margins(Flaw::Nothing, &[map]);

    assert_eq!(counted(&told), ["0 1 0 0 0 70", "1 1 0 0 0 108", "return 1 0 0 0 108"], "{told}");
}

/// The user executed it and the kernel does now: one bit of rights either way, and not the same access.
#[test]
fn code_of_the_user_that_the_kernel_may_execute_is_a_breach() {
    let map = Call::Map { page: PAGE, to: TO, size: PageSize::Kib4, rights: EXECUTE };
    let protect = Call::Protect { page: PAGE, size: PageSize::Kib4, rights: EXECUTE };

    let told = margins(Flaw::TakesForTheKernel, &[map, protect]);

    assert_eq!(told.least(), 0, "{told}");
    let line = "  breach: the tables lead 0x4000 to 0x100060000, r-x kernel";
    assert!(told.to_string().contains(line), "{told}");
}
