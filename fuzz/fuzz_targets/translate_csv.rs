//! Any bytes as a file of recorded cases.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringfence_fuzz::translate_csv::run(data));
