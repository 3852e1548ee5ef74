//! The fuzz target `av1`, as [`tidewire_fuzz::av1`] describes it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidewire_fuzz::av1(data));
