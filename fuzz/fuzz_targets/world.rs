//! Plans that strike user mode, in generated worlds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringfence_fuzz::world::run(data));
