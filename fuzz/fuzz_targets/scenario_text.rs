//! Any bytes as a scenario.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringfence_fuzz::scenario_text::run(data));
