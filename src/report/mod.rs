//! How is it told? One format, one file.

pub mod interval;
pub mod table;
