//! The bodies of the fuzz targets, one module each: plain functions of bytes, so that the corpus can
//! be replayed without a fuzzer. A body panics when what it states does not hold.

pub mod image;
pub mod scenario_text;
pub mod tlb;
pub mod trace;
pub mod translate;
pub mod translate_csv;
pub mod world;
