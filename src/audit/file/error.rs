//! Why a file is no image.

use core::fmt;
use std::io;

use super::unpacked::Damage;

/// What is wrong with a file, where that shows, and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileError {
    /// The byte at which it shows, where there is one.
    pub offset: Option<u64>,
    /// The byte is one of what the file holds when it is unpacked.
    pub is_unpacked: bool,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl FileError {
    pub(super) fn at(offset: u64, what: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self { offset: Some(offset), ..Self::anywhere(what, remedy) }
    }

    pub(super) fn anywhere(what: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        let (what, remedy) = (what.to_string(), remedy.to_string());
        Self { offset: None, is_unpacked: false, what, remedy }
    }

    pub(super) fn reading(offset: u64, error: &io::Error) -> Self {
        let damage = error.get_ref().and_then(|inner| inner.downcast_ref::<Damage>());
        if let Some(&damage) = damage {
            return Self::of_damage(damage);
        }
        let remedy = "the file is damaged, or can't be read to its end; copy it again";
        Self::at(offset, format!("it can't be read: {error}"), remedy)
    }

    /// Packed data that can't be unpacked.
    pub(super) fn of_damage(damage: Damage) -> Self {
        Self::anywhere(damage, damage.remedy())
    }

    pub(super) fn of_unpacked(self) -> Self {
        Self { is_unpacked: true, ..self }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(offset) = self.offset {
            let unpacked = if self.is_unpacked { " (unpacked)" } else { "" };
            write!(f, "at byte {offset}{unpacked}: ")?;
        }
        f.write_str(&self.what)
    }
}

impl core::error::Error for FileError {}
