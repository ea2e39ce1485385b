//! What an image allows, held against slow and plain ways to find out.

mod brute;
mod command;
mod files;
mod flips;
mod images;
mod large_pages;
mod linux;
mod mistakes;
mod reports;
#[path = "../review/mod.rs"]
mod review;
