//! The physical memory that is handed to the code under test, and its hooks.
//!
//! Code that has an accessor of its own forwards it to [`Memory::load`] and [`Memory::store`]: then
//! every store is seen by itself. Code that holds raw pointers takes [`Memory::pointer`]: then what
//! it stored is found by comparison at each hook and when the operation returns, and the order of
//! stores in between is not known.

mod access;
mod books;
mod callback;
mod current;
#[cfg(all(
    any(feature = "store-trap", feature = "privileged-shim"),
    target_os = "linux",
    target_arch = "x86_64"
))]
mod host;
#[cfg(not(all(
    any(feature = "store-trap", feature = "privileged-shim"),
    target_os = "linux",
    target_arch = "x86_64"
)))]
mod hostless;
#[cfg(not(all(
    any(feature = "store-trap", feature = "privileged-shim"),
    target_os = "linux",
    target_arch = "x86_64"
)))]
use hostless as host;
mod pointer;

pub(crate) use books::{Event, StoreKind, Unread};
pub use current::current;
pub(crate) use current::{enter, leave};
pub(in crate::conformance) use host::Aborts;
pub(crate) use host::Hosting;
#[cfg(all(feature = "store-trap", target_os = "linux", target_arch = "x86_64"))]
pub use host::Observed;

use core::cell::{Cell, RefCell};
use core::fmt;
use std::rc::Rc;

use self::books::Books;
use self::callback::Callback;
use self::host::Host;
use super::fault::Fault;
use super::format::Format;
use crate::base::{FRAME_BYTES, Frame, PhysAddr, VirtAddr};

/// The physical address of the first byte: above 4 GiB, so that a truncated address shows.
const BASE: u64 = 0x1_0000_0000;
/// Frames that can become tables.
pub(crate) const POOL_FRAMES: u64 = 96;
/// Frames behind them that are mapped and never tables.
pub(crate) const DATA_FRAMES: u64 = 16;
const FRAMES: u64 = POOL_FRAMES + DATA_FRAMES;

/// Events of one access at most: an instruction may store to every word of four pages.
const ROOM_OF_ONE_ACCESS: usize = 4 * 512 + 2;
/// Events of a call at most, whatever it is allowed.
const JOURNAL_MAX: usize = 1 << 20;

/// 4 KiB, aligned as page tables are.
#[repr(C, align(4096))]
struct Words([Cell<u64>; 512]);

struct Shared {
    /// Empty where the host has them.
    frames: Box<[Words]>,
    host: Option<Host>,
    format: &'static dyn Format,
    books: RefCell<Books>,
    /// What the allocator may call.
    callback: RefCell<Option<Callback>>,
}

impl Shared {
    fn frames(&self) -> &[Words] {
        self.host.as_ref().and_then(Host::frames).unwrap_or(&self.frames)
    }
}

/// Physical memory with its frame allocator and its record of invalidations. A handle: clones are
/// the same memory.
#[derive(Clone)]
pub struct Memory(Rc<Shared>);

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({:#x}..{:#x})", BASE, BASE + self.bytes())
    }
}

/// What a processor, or all of them, were told to forget.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Invalidation {
    /// The translation of one address, and ways to tables as the format's instruction has it.
    Page(VirtAddr),
    /// The translation of one address and no ways to tables.
    LastLevel(VirtAddr),
    /// Everything of the address space but global translations.
    Space,
    /// Everything.
    All,
}

/// What a processor waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Barrier {
    /// Stores before it are seen before those after it: AArch64 DMB ISHST or stronger.
    Order,
    /// The same, and stores before it are seen by every walk from now on: AArch64 DSB ISHST.
    Stores,
    /// The same, and invalidations before it are complete: AArch64 DSB ISH or DSB SY.
    All,
}

/// What code did to the root register of the processor that it runs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(
    not(all(feature = "privileged-shim", target_os = "linux", target_arch = "x86_64")),
    allow(dead_code, reason = "without the shim nobody writes to it")
)]
pub(crate) enum Misuse {
    /// A move of this value, which has reserved bits: the processor refuses it.
    Reserved(u64),
    /// This value is left there, and names another root.
    Foreign(u64),
}

impl Memory {
    /// Memory for code that is run in this way.
    ///
    /// # Panics
    ///
    /// When the host refuses what that takes.
    pub(crate) fn hosted(
        format: &'static dyn Format,
        fault: Option<Fault>,
        hosting: Hosting,
    ) -> Self {
        super::watch::gets_on();
        let host = Host::new(hosting);
        let frame = || Words([const { Cell::new(0) }; 512]);
        let own = if host.as_ref().and_then(Host::frames).is_some() { 0 } else { FRAMES };
        let frames: Box<[Words]> = (0..own).map(|_| frame()).collect();
        let books = RefCell::new(Books::new(fault));
        let callback = RefCell::new(None);
        let memory = Self(Rc::new(Shared { frames, host, format, books, callback }));
        for number in 0..FRAMES {
            memory.spoil(number);
        }
        memory
    }

    /// The physical address of its first byte.
    #[must_use]
    pub const fn base(&self) -> PhysAddr {
        PhysAddr::truncated(BASE)
    }

    /// Its size in bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        FRAMES * FRAME_BYTES
    }

    pub(crate) fn data_frame(index: u64) -> PhysAddr {
        PhysAddr::truncated(BASE + (POOL_FRAMES + index % DATA_FRAMES) * FRAME_BYTES)
    }

    /// A frame's number in this memory.
    pub(crate) fn number(frame: Frame) -> Option<usize> {
        let number = frame.0.checked_sub(BASE / FRAME_BYTES)?;
        if number < FRAMES { usize::try_from(number).ok() } else { None }
    }

    pub(crate) fn frame(number: u64) -> Frame {
        Frame(BASE / FRAME_BYTES + number)
    }

    /// What a frame holds that nobody has written: entries that look alive and lead to data, so that
    /// a table which is linked before it is cleared is seen.
    /// Few of them: each leads to more, and all of them are listed when somebody links one.
    pub(crate) fn spoilt_word(format: &dyn Format, index: u64) -> u64 {
        if index % 64 != 5 {
            return 0;
        }
        format.leaf(1, Self::data_frame(index), super::rights::Rights::ALL)
    }

    fn spoil(&self, number: u64) {
        let Some(words) = usize::try_from(number).ok().and_then(|at| self.0.frames().get(at))
        else {
            return;
        };
        for (index, word) in (0u64..).zip(&words.0) {
            word.set(Self::spoilt_word(self.0.format, index));
        }
    }

    fn cell(&self, at: PhysAddr) -> Option<&Cell<u64>> {
        if !at.raw().is_multiple_of(8) {
            return None;
        }
        let words = self.0.frames().get(Self::number(at.frame())?)?;
        words.0.get(usize::try_from(at.offset() / 8).ok()?)
    }

    /// A word, without this counting as an access. 0 outside memory.
    pub(crate) fn peek(&self, at: PhysAddr) -> u64 {
        self.cell(PhysAddr::truncated(at.raw() & !7)).map_or(0, Cell::get)
    }

    /// Writes without this counting as an access: somebody else's store between two operations.
    pub(crate) fn poke(&self, at: PhysAddr, value: u64) {
        if let Some(cell) = self.cell(at) {
            cell.set(value);
        }
        self.0.books.borrow_mut().resynchronise(at, value);
    }

    /// All words of one frame.
    #[cfg(test)]
    pub(crate) fn words(&self, frame: Frame) -> Option<[u64; 512]> {
        let words = self.0.frames().get(Self::number(frame)?)?;
        Some(core::array::from_fn(|index| words.0.get(index).map_or(0, Cell::get)))
    }
}

/// What the run does between calls.
impl Memory {
    /// A call begins: it has so many accesses.
    pub(crate) fn begin(&self, accesses: u32) {
        let mut books = self.0.books.borrow_mut();
        books.budget = accesses;
        books.ration = u64::MAX;
        if self.0.host.is_some() {
            // A signal handler must not allocate.
            let room = usize::try_from(accesses).unwrap_or(0) + ROOM_OF_ONE_ACCESS;
            let room = room.min(JOURNAL_MAX);
            let length = books.journal.len();
            books.journal.reserve_exact(room.saturating_sub(length));
        }
    }

    /// The call that has begun takes so many frames at most.
    pub(crate) fn ration(&self, frames: u64) {
        self.0.books.borrow_mut().ration = frames;
    }

    /// Whether the code has pointers whose loads nobody sees, though its stores are trapped.
    pub(crate) fn has_unseen_loads(&self) -> bool {
        self.0.host.as_ref().is_some_and(Host::has_unseen_loads)
    }

    #[cfg(all(feature = "privileged-shim", target_os = "linux", target_arch = "x86_64"))]
    fn root(&self) -> Option<PhysAddr> {
        self.0.books.borrow().root
    }

    pub(crate) fn set_root(&self, root: PhysAddr) {
        self.0.books.borrow_mut().root = Some(root);
    }

    pub(crate) fn take_journal(&self) -> Vec<Event> {
        let journal = &mut self.0.books.borrow_mut().journal;
        if self.0.host.is_none() {
            return core::mem::take(journal);
        }
        // Its room is kept.
        let taken = journal.clone();
        journal.clear();
        taken
    }

    pub(crate) fn strikes(&self) -> u32 {
        self.0.books.borrow().strikes
    }

    /// How often frames were asked for.
    pub(crate) fn allocations(&self) -> u32 {
        self.0.books.borrow().allocations
    }

    /// From now on entries may name any frame.
    pub(crate) fn alter(&self) {
        self.0.books.borrow_mut().is_altered = true;
    }
}
