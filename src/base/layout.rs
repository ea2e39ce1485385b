//! Where a field lies in an in-memory structure.

use super::Structure;

/// A 64-bit field of an in-memory structure: its type, its offset in bytes and its name.
///
/// Kernel and components reach simulated memory through these, so that every store says which type
/// it means to write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// The structure it belongs to.
    pub structure: Structure,
    /// Bytes from the start of the structure, a multiple of 8.
    pub offset: u64,
    /// Its name in stories.
    pub name: &'static str,
}

impl Field {
    /// A field at `offset` bytes.
    ///
    /// # Panics
    ///
    /// When the offset is not a multiple of 8.
    #[must_use]
    pub const fn new(structure: Structure, offset: u64, name: &'static str) -> Self {
        assert!(offset.is_multiple_of(8), "fields are 8-byte aligned");
        Self { structure, offset, name }
    }
}
