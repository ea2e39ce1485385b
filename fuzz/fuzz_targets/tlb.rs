//! What a processor may still use, against a plain record of everything that was ever mapped.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringfence_fuzz::tlb::run(data));
