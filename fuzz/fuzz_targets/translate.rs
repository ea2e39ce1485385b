//! The machine's walk against the walk by the book, over arbitrary memory and registers.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringfence_fuzz::translate::run(data));
