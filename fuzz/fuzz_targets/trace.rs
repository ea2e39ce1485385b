//! Any bytes as a recorded trace of page-table code.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringfence_fuzz::trace::run(data));
