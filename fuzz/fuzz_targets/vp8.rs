//! The fuzz target `vp8`, as [`tidewire_fuzz::vp8`] describes it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidewire_fuzz::vp8(data));
