//! The code under test, as narrow as it can be told.

use core::fmt;

use super::memory::Invalidation;
use super::rights::Rights;
use crate::base::{Access, PhysAddr, Ring, VirtAddr};
use crate::machine::paging::PageSize;

/// Something that an implementation may or may not do. What is not declared is skipped, and the
/// report lists it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Capability {
    /// [`Mapper::protect`].
    Protect,
    /// [`Mapper::query`].
    Query,
    /// Pages of 2 MiB.
    Pages2M,
    /// Pages of 1 GiB.
    Pages1G,
    /// [`Mapper::map_range`], [`Mapper::unmap_range`]; with `Protect` also the third.
    Ranges,
    /// [`Mapper::clean_up`].
    CleanUp,
    /// Dropping it frees every frame that it allocated.
    FreesOnDrop,
    /// It reports its invalidations. Otherwise its caller has to make them, and none is checked.
    Invalidates,
    /// Its allocator may have no frame: it then refuses with [`Refusal::OutOfFrames`]. With `Ranges` and `Pages1G`
    /// ranges of more than 1 GiB are mapped too, for which there are frames enough if large pages are made.
    AllocationFailure,
    /// Other processors use its tables while it works, and set accessed and dirty flags.
    HardwareMarks,
    /// Others write legal bits to entries of its tables: memory types, ignored bits.
    ForeignEntries,
    /// An accessed flag that the processor sets during an operation is there when that returns, as long as the same
    /// entry maps the page still. Counts with [`HardwareMarks`](Self::HardwareMarks). Its loss costs time and no data:
    /// code that accepts it, or clears the flag to see which pages are used, leaves this out.
    KeepsAccessed,
    /// Others make entries invalid that keep their other bits, and it takes such a page for not mapped,
    /// as the processor does. Code that documents such an entry as a page it still holds leaves this
    /// out.
    HiddenEntries,
    /// It maps over an entry that others made invalid. Code that counts a page of which bits are left as taken, and
    /// says that it is mapped already, leaves this out.
    MapsOverHidden,
    /// Any bit of its tables may be flipped; it must not crash, run forever or mistranslate.
    AlteredTables,
    /// An operation may end half-way, by a panic out of one of its hooks.
    Abandonment,
    /// Addresses of the upper half.
    UpperHalf,
    /// It reports its barriers: an invalidation then counts only between them, where the architecture
    /// wants any.
    Barriers,
    /// Pages of 4 KiB. In [`Capabilities::PLAIN`]; code that knows only larger ones leaves it out and
    /// declares those.
    Pages4K,
    /// Its allocator may call back in, about other pages, before it answers: [`Mapper::reentry`]. Code whose
    /// methods take `&mut self` all the way down can't be entered twice and leaves this out.
    Reentry,
    /// Unmapping frees the tables that it leaves without an entry. Otherwise they may stay, and whether
    /// somebody frees them is judged at [`Mapper::clean_up`], or not at all.
    UnmapFrees,
    /// Changing the rights of a page leaves its memory type and the bits of software in its entry as they are.
    /// Code whose interface sets all flags of an entry at once leaves this out.
    KeepsAttributes,
}

/// What an implementation can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capabilities(u32);

impl Capabilities {
    /// Every capability.
    pub const EVERY: [Capability; 22] = [
        Capability::Protect,
        Capability::Query,
        Capability::Pages2M,
        Capability::Pages1G,
        Capability::Ranges,
        Capability::CleanUp,
        Capability::FreesOnDrop,
        Capability::Invalidates,
        Capability::AllocationFailure,
        Capability::HardwareMarks,
        Capability::KeepsAccessed,
        Capability::ForeignEntries,
        Capability::HiddenEntries,
        Capability::MapsOverHidden,
        Capability::AlteredTables,
        Capability::Abandonment,
        Capability::UpperHalf,
        Capability::Barriers,
        Capability::Pages4K,
        Capability::Reentry,
        Capability::UnmapFrees,
        Capability::KeepsAttributes,
    ];

    /// Maps and unmaps single pages of 4 KiB, and no more.
    pub const PLAIN: Self = Self(1 << Capability::Pages4K as u8);

    /// All of them.
    #[must_use]
    pub fn all() -> Self {
        Self::EVERY.into_iter().fold(Self::PLAIN, Self::with)
    }

    /// These and one more.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | 1 << capability as u8)
    }

    /// These without one.
    #[must_use]
    pub const fn without(self, capability: Capability) -> Self {
        Self(self.0 & !(1 << capability as u8))
    }

    /// Whether it is among them.
    #[must_use]
    pub const fn has(self, capability: Capability) -> bool {
        self.0 >> capability as u8 & 1 == 1
    }
}

/// Why an operation was not done. A true reason is never a finding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// There is no such operation. False when the capability was declared.
    Unsupported,
    /// The allocator had no frame.
    OutOfFrames,
    /// Some page of the request is mapped.
    AlreadyMapped,
    /// Some page of the request is not mapped.
    NotMapped,
    /// The page is part of a larger one, or consists of smaller ones.
    OtherSize,
    /// A documented refusal of another kind, in a few words. It is counted and believed.
    Declined(&'static str),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported => f.write_str("refused: unsupported"),
            Self::OutOfFrames => f.write_str("refused: out of frames"),
            Self::AlreadyMapped => f.write_str("refused: already mapped"),
            Self::NotMapped => f.write_str("refused: not mapped"),
            Self::OtherSize => f.write_str("refused: mapped with another page size"),
            Self::Declined(why) => write!(f, "refused: {why}"),
        }
    }
}

/// What an implementation says of one address. What it does not tell is `None` and not compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// The physical address of the byte that was asked for.
    pub address: PhysAddr,
    /// The size of its page.
    pub size: Option<PageSize>,
    /// What all entries together grant; not the flags of the leaf alone. Which of them are compared
    /// says `tells_rights`.
    pub rights: Option<Rights>,
}

/// Code that maps pages.
///
/// Only `root` is needed, and `map` with `unmap` or, for code that knows regions only, `map_range` with
/// `unmap_range`; the rest is declared with [`capabilities`](Self::capabilities). Frames, and invalidations, go through the hooks of the
/// [`Memory`](super::Memory) that it was made with, before the operation returns.
pub trait Mapper {
    /// What it can do: single pages of 4 KiB, and no more, unless said otherwise.
    fn capabilities(&self) -> Capabilities {
        Capabilities::PLAIN
    }

    /// Where its root table starts. Asked once of each instance: the root stays where it is.
    fn root(&self) -> PhysAddr;

    /// Maps one page of `size`; as a region of that size unless said otherwise.
    ///
    /// # Errors
    ///
    /// A true reason why not.
    fn map(
        &mut self,
        page: VirtAddr,
        to: PhysAddr,
        size: PageSize,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.map_range(page, to, size.bytes(), rights)
    }

    /// Unmaps one page of `size`, as a region of that size unless said otherwise; returns where it led, if
    /// that is told.
    ///
    /// # Errors
    ///
    /// A true reason why not.
    fn unmap(&mut self, page: VirtAddr, size: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        self.unmap_range(page, size.bytes()).map(|()| None)
    }

    /// Gives one mapped page these rights and no others; as a region of its size unless said otherwise.
    ///
    /// # Errors
    ///
    /// A true reason why not.
    fn protect(&mut self, page: VirtAddr, size: PageSize, rights: Rights) -> Result<(), Refusal> {
        self.protect_range(page, size.bytes(), rights)
    }

    /// Where an address leads; `None` when it leads nowhere.
    ///
    /// # Errors
    ///
    /// A reason why that can't be asked.
    fn query(&mut self, virt: VirtAddr) -> Result<Option<Mapping>, Refusal> {
        let _ = virt;
        Err(Refusal::Unsupported)
    }

    /// Which rights a [`Mapping`] of [`query`](Self::query) tells about; the others are not compared.
    fn tells_rights(&self) -> Rights {
        Rights::ALL
    }

    /// Bits of an entry that the architecture leaves to software and that mean something to this code: a
    /// page to be copied when it is written to, say. Nobody else sets or flips them.
    fn own_bits(&self) -> u64 {
        0
    }

    /// Maps `bytes` from `first` on to consecutive frames from `to` on.
    ///
    /// # Errors
    ///
    /// A true reason why not; part of the request may have been done.
    fn map_range(
        &mut self,
        first: VirtAddr,
        to: PhysAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        let _ = (first, to, bytes, rights);
        Err(Refusal::Unsupported)
    }

    /// Unmaps `bytes` from `first` on.
    ///
    /// # Errors
    ///
    /// A true reason why not; part of the request may have been done.
    fn unmap_range(&mut self, first: VirtAddr, bytes: u64) -> Result<(), Refusal> {
        let _ = (first, bytes);
        Err(Refusal::Unsupported)
    }

    /// Gives `bytes` from `first` on these rights and no others.
    ///
    /// # Errors
    ///
    /// A true reason why not; part of the request may have been done.
    fn protect_range(
        &mut self,
        first: VirtAddr,
        bytes: u64,
        rights: Rights,
    ) -> Result<(), Refusal> {
        let _ = (first, bytes, rights);
        Err(Refusal::Unsupported)
    }

    /// Frees tables that translate nothing: when it is done, none is left below the root whose words are
    /// all 0. Code that keeps those of one level tolerates the finding that says so.
    ///
    /// # Errors
    ///
    /// A true reason why not.
    fn clean_up(&mut self) -> Result<(), Refusal> {
        Err(Refusal::Unsupported)
    }

    /// A second way into the same tables, for a call that is made while one of this instance waits for a
    /// frame: another handle, as the allocator of a kernel would have it. Asked for when such a call may
    /// come, and dropped before this instance is.
    ///
    /// ```
    /// # use std::rc::Rc;
    /// # use ringfence::base::{PhysAddr, VirtAddr};
    /// # use ringfence::conformance::{Mapper, Refusal, Rights};
    /// # use ringfence::machine::paging::PageSize;
    /// # struct MyTables;
    /// # impl MyTables {
    /// #     fn root(&self) -> PhysAddr { PhysAddr::default() }
    /// #     fn map(&self, _: VirtAddr, _: PhysAddr, _: Rights) -> Result<(), Refusal> { Ok(()) }
    /// # }
    /// /// `MyTables::map` takes `&self`: it has locks of its own.
    /// struct Adapter(Rc<MyTables>);
    ///
    /// impl Mapper for Adapter {
    ///     fn reentry(&self) -> Option<Box<dyn Mapper>> {
    ///         Some(Box::new(Adapter(Rc::clone(&self.0))))
    ///     }
    ///     // … `capabilities` has `Capability::Reentry`
    /// #   fn root(&self) -> PhysAddr { self.0.root() }
    /// #   fn map(&mut self, page: VirtAddr, to: PhysAddr, _: PageSize, rights: Rights) -> Result<(), Refusal> {
    /// #       self.0.map(page, to, rights)
    /// #   }
    /// }
    /// ```
    fn reentry(&self) -> Option<Box<dyn Mapper>> {
        None
    }

    /// How the tables are made, as Rust, for a test that reproduces a finding without this crate: the text
    /// stands inside the test's function, so it may hold `use`, items and statements, and has to leave
    /// the instance behind as the variable `tables`. Only the crate under test is there, and what the
    /// test brings with it, which is what a [`Memory`](super::Memory) gives, as functions of numbers:
    ///
    /// | function | what it does |
    /// |---|---|
    /// | `allocate() -> Option<u64>`, `allocate_zeroed()` | hands out a frame, in the order of the suite |
    /// | `free(at: u64)` | takes it back |
    /// | `word(at: u64) -> u64`, `set(at: u64, value: u64)` | loads, stores |
    /// | `pointer(at: u64) -> *mut u8`, `offset() -> u64` | for code that holds raw pointers |
    /// | `invalidate(at: u64)`, `invalidate_all()` | notes an invalidation |
    ///
    /// ```text
    /// use my_tables::{Hooks, Tables};
    /// struct Test;
    /// impl Hooks for Test {
    ///     fn read(&self, at: u64) -> u64 { word(at) }
    ///     fn write(&self, at: u64, entry: u64) { set(at, entry) }
    ///     fn frame(&self) -> Option<u64> { allocate() }
    ///     fn flush(&self, page: u64) { invalidate(page) }
    /// }
    /// let mut tables = Tables::new(Test);
    /// ```
    ///
    /// A finding about invalidations, or about frames that are never freed, gets a test only if the text or
    /// a call uses `invalidate`, or `free`.
    fn spell_setup(&self) -> Option<String> {
        None
    }

    /// The call as an expression of Rust, for the same test: a question gives an `Option<u64>`, the physical
    /// address; anything else a `Result` of any types. `tables.unmap(0x1000)`, say.
    fn spell(&self, call: &super::Call) -> Option<String> {
        let _ = call;
        None
    }
}

/// What a walker is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// The address.
    pub virt: VirtAddr,
    /// What for. A walker without a notion of access ignores it.
    pub access: Access,
    /// By whom.
    pub ring: Ring,
}

/// Code that only translates.
pub trait Walker {
    /// Whether [`translate`](Self::translate) refuses accesses for want of rights. Otherwise only
    /// where an address leads is compared.
    fn judges_rights(&self) -> bool {
        false
    }

    /// Which rights a [`Mapping`] tells about; the others are not compared.
    fn tells_rights(&self) -> Rights {
        Rights::ALL
    }

    /// Whether it knows pages of 2 MiB, or of 1 GiB. Otherwise no address is asked about whose walk meets an
    /// entry that maps one, or would but for a reserved bit.
    fn knows(&self, size: PageSize) -> bool {
        let _ = size;
        true
    }

    /// Bits of an entry that mean something to this code beyond what the processor does with them: a page
    /// that is not present and is known to be in memory still, say. Nobody sets them.
    fn own_bits(&self) -> u64 {
        0
    }

    /// Whether it sets accessed and dirty flags in the entries that it meets, as a processor does. Any other store,
    /// and any frame that it takes or frees after it was made, is a finding.
    fn sets_marks(&self) -> bool {
        false
    }

    /// An entry was changed by somebody else, and everybody is told to forget: a walker that keeps
    /// translations or tables drops those. Whatever else it keeps it may go on using, as a processor
    /// does.
    fn invalidate(&mut self, what: Invalidation) {
        let _ = what;
    }

    /// How it is made, as Rust, for a test that reproduces a finding without this crate: as
    /// [`Mapper::spell_setup`]. The root is `ROOT`, whose tables are there already.
    fn spell_setup(&self) -> Option<String> {
        None
    }

    /// The question as an expression of Rust that gives an `Option<u64>`, the physical address.
    fn spell(&self, attempt: &Attempt) -> Option<String> {
        let _ = attempt;
        None
    }

    /// Where the address leads; `None` when the processor would fault.
    fn translate(&mut self, attempt: &Attempt) -> Option<Mapping>;
}
