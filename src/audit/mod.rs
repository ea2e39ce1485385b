//! What does *this* image allow? Page tables taken from a real machine, walked and judged.
//!
//! | module | answers |
//! |---|---|
//! | [`image`] | which page tables are there? |
//! | `file` | how are they read from a file? (feature `image`) |
//! | [`ways`] | how is each table reached, and which pages are there? |
//! | [`permits`] | what may user mode and kernel mode do with a page? |
//! | [`frames`] | what is known of each frame? |
//! | [`space`] | all of these together |
//! | [`findings`] | what should the person responsible know? |
//! | [`listing`] | which pages are there, one by one? |
//! | [`flip`] | what does each single flipped bit give? |
//! | [`protections`] | which protections are on, and what is the machine without one? |
//! | `read_only` | does the kernel map its tables read-only, and what if not? |
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use ringfence::audit::flip::{Class, Flip, judge};
//! use ringfence::audit::image::{Image, Levels};
//! use ringfence::audit::space::Space;
//! use ringfence::base::{Frame, PhysAddr};
//! use ringfence::machine::paging::x86_64::Controls;
//!
//! // One user page at frame 8, reached through tables in frames 1 to 4.
//! let table = |entry| {
//!     let mut table = Box::new([0; 512]);
//!     table[0] = entry;
//!     table
//! };
//! let tables = [(1, 0x2007), (2, 0x3007), (3, 0x4007), (4, 0x8007)];
//! let tables: BTreeMap<_, _> =
//!     tables.map(|(frame, entry)| (Frame(frame), table(entry))).into_iter().collect();
//! let space = Space::new(Image::new(0x1000, Levels::Four, tables), Controls::default())?;
//!
//! // With bit 15 flipped the page is at frame 0, of which nothing is known.
//! let outside = judge(&space, Flip { at: PhysAddr::truncated(0x4000), bit: 15 }).unwrap();
//! assert_eq!(outside.class, Class::Outside);
//! # Ok::<(), ringfence::audit::space::Incomplete>(())
//! ```

mod edges;
#[cfg(feature = "image")]
pub mod file;
pub mod findings;
pub mod flip;
pub mod frames;
pub mod image;
pub mod listing;
pub mod permits;
pub mod protections;
mod read_only;
pub mod space;
pub mod ways;
