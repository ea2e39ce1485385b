//! How is it told? One format, one file.

pub mod entries;
pub mod interval;
pub mod results;
pub(crate) mod saved;
pub mod survival;
pub mod table;
