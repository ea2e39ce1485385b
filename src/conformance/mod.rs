//! Does *your* page-table code hold? A suite that it plugs into.
//!
//! ```
//! use ringfence::base::{PhysAddr, VirtAddr};
//! use ringfence::conformance::{self, Mapper, Memory, Refusal, Rights};
//! use ringfence::machine::paging::PageSize;
//!
//! /// Code under test: here it maps nothing at all, and says so.
//! struct MyTables {
//!     memory: Memory,
//!     root: PhysAddr,
//! }
//!
//! impl Mapper for MyTables {
//!     fn root(&self) -> PhysAddr {
//!         self.root
//!     }
//!     fn map(&mut self, _: VirtAddr, _: PhysAddr, _: PageSize, _: Rights) -> Result<(), Refusal> {
//!         Err(Refusal::Declined("not written yet"))
//!     }
//!     fn unmap(&mut self, _: VirtAddr, _: PageSize) -> Result<Option<PhysAddr>, Refusal> {
//!         Err(Refusal::NotMapped)
//!     }
//! }
//!
//! let suite = conformance::mapper(|memory| {
//!     let root = memory.allocate_zeroed().expect("the first frame is free");
//!     MyTables { memory, root }
//! });
//! // In a `#[test]`, `suite.check()` panics with what was found:
//! let report = suite.run();
//! assert!(report.findings()[0].to_string().contains("it mapped no page"));
//! ```
//!
//! | module | answers |
//! |---|---|
//! | [`mod@format`] | what is particular to one table format? |
//! | [`margin`] | how many single faults from a breach, store by store? |
//! | [`trace`] | does a recorded trace of page-table code hold? |
//!
//! How code of some shape plugs in:
//!
//! | your code | the adapter |
//! |---|---|
//! | reads and writes entries through an accessor or a callback | forwards it to [`Memory::load`] and [`Memory::store`]: every store is judged by itself |
//! | reads pages, or bytes | [`Memory::read`] |
//! | holds raw pointers, or an offset to all of memory | hands out [`Memory::pointer`] or [`Memory::offset`] |
//! | has static hooks, or hooks that must be `Send` | asks for the memory with [`current`] inside them |
//! | has its root, or all its tables, in statics | makes them a parameter: tables are frames of [`Memory`] |
//! | takes its tables from the global allocator | is a binary with a global allocator that serves them while your functions run |
//! | has locks or other guards of its own, and methods that take `&self` | gives a second way in, [`Mapper::reentry`]: the allocator calls back in while a frame is asked for |
//! | returns what is to be invalidated | invalidates that before its method returns |
//! | leaves invalidating to its user | does what the documentation asks of the user, or leaves out [`Capability::Invalidates`] |
//! | knows regions only | maps a page as a region of its size |
//! | knows large pages only | leaves out [`Capability::Pages4K`] and declares those |
//! | takes a physical address for a pointer | runs `Suite::identity_mapped` |
//! | reaches its tables through themselves | runs `Suite::recursive` |
//! | keeps entries of its root for itself | says which with [`reserving`](Suite::reserving) |
//! | acts on whatever page is there | asks for its size first and refuses with [`Refusal::OtherSize`] |
//! | never unmaps, never frees | refuses with [`Refusal::Declined`], leaves out [`Capability::FreesOnDrop`] |
//! | can't express some rights | declines them |
//! | sets all flags of an entry at once | leaves out [`Capability::KeepsAttributes`] |
//! | keeps entries that are not present | leaves out [`Capability::HiddenEntries`] |
//! | maps nothing where bits of an entry are left that is not present | leaves out [`Capability::MapsOverHidden`] |
//! | tells of some rights and not of others | says so in [`Walker::tells_rights`] or [`Mapper::tells_rights`] |
//! | tells the flags of the last entry alone | leaves [`Mapping::rights`] out |
//! | gives bits of entries a meaning of its own | names them in [`Walker::own_bits`] or [`Mapper::own_bits`] |
//! | sets accessed and dirty flags, as a walker | says so in [`Walker::sets_marks`] |
//! | knows pages of 4 KiB only, as a walker | says so in [`Walker::knows`] |
//! | leaves the Access flag to the processor | runs in a format that sets it: `AArch64 { sets_accessed: true, .. }` |
//! | maps over what is mapped | does so: it is done when the new page is there and nobody remembers the old one |
//! | has a frame allocator of its own over a region | is given one that [`Memory::allocate_frames`] took first |
//! | reads a file, a dump say | is given a reader: a header that the adapter makes, then [`Memory::read`] |
//! | keeps translations or tables it has read | drops them in [`Walker::invalidate`] |
//! | may crash or end the process, wait for itself, or loop without touching memory | runs [`isolated`](Suite::isolated) |
//!
//! The suite draws sequences of calls near the places where implementations go wrong, runs each on a
//! fresh instance, and judges every store, allocation, invalidation and answer against walkers by the
//! book and a flat model of pages. What it finds is minimised, told with every entry decoded, and
//! replayed from its seed. With it comes a test that reproduces it without this crate, to be sent to whoever
//! wrote the code, if the adapter spells how its tables are made ([`Mapper::spell_setup`]) and each call
//! ([`Mapper::spell`]); else the raw tables. A capability that is not declared is skipped and listed, and so is what is never
//! told and what is declined.
//!
//! Stricter than need be: an entry counts as remembered from the store that makes it valid on, whatever its accessed flag
//! says. An Intel or AMD processor remembers no translation by an entry whose flag is clear (Intel SDM volume 3A, "Caching
//! Translation Information"), so code that swaps an entry out and invalidates only if the flag was set in what it got is
//! right and is told all the same: it may read the flag first and store then, which is wrong, and is the same to a judge that
//! sees stores. Such code is run with [`tolerating`](Suite::tolerating).
//!
//! Which stores may be torn: neither architecture tears an aligned one of 8 bytes, so atomic and volatile ones are seen
//! whole. A compiler may make two of an ordinary assignment ([`Memory::store_plain`]), in either order: both half-way
//! values are judged. Where stores are trapped each instruction is judged as it is, and code that stores halves after each.
//!
//! Not looked at: whether a barrier follows a store that makes an entry valid (AArch64 DSB ISHST behind a map). Without it an
//! access by the same processor may still fault, which costs a fault and grants nothing.

mod breach;
mod case;
mod checks;
mod child;
mod deaths;
mod declared;
mod disturb;
mod draw;
mod factory;
mod fault;
mod finding;
mod flat;
pub mod format;
mod guard;
mod isolate;
pub mod margin;
mod may_hold;
mod memory;
mod operation;
mod options;
mod permissions;
mod progress;
mod raw;
mod repetition;
mod report;
mod rights;
mod run;
mod scene;
mod search;
mod sequences;
mod standalone;
mod stop;
mod story;
mod subject;
mod suite;
mod survivor;
mod tables;
pub mod trace;
mod walker;
mod watch;

/// Cases as `proptest` strategies.
#[cfg(any(test, feature = "proptest"))]
pub mod strategies;

pub use breach::Check;
pub use case::Case;
pub use fault::{Fault, FaultKind};
pub use finding::Finding;
#[cfg(all(feature = "store-trap", target_os = "linux", target_arch = "x86_64"))]
pub use memory::Observed;
pub use memory::{Barrier, Invalidation, Memory, current};
pub use operation::{Call, Disturbance};
pub use permissions::Permissions;
pub use report::Report;
pub use rights::Rights;
pub use subject::{Attempt, Capabilities, Capability, Mapper, Mapping, Refusal, Walker};
pub use suite::{Suite, fuzz, mapper, replay};
pub use walker::{WalkerSuite, walker};
