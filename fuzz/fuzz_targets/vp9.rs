//! The fuzz target `vp9`, as [`tidewire_fuzz::vp9`] describes it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidewire_fuzz::vp9(data));
