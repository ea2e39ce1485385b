//! The bodies of the fuzz targets, one module each: plain functions of bytes, so that the corpus can
//! be replayed without a fuzzer. A body panics when what it states does not hold.

mod bytes;
pub mod translate;
