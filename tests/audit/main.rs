//! What an image allows, held against slow and plain ways to find out.

mod brute;
#[cfg(feature = "cli")]
mod command;
#[cfg(feature = "cli")]
mod files;
mod flips;
mod images;
mod large_pages;
#[cfg(feature = "cli")]
mod linux;
#[cfg(feature = "cli")]
mod mistakes;
mod reports;
#[cfg(feature = "cli")]
#[path = "../review/mod.rs"]
mod review;
#[cfg(feature = "cli")]
mod switched;
