//! The fuzz target `rtp`, as [`tidewire_fuzz::rtp`] describes it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidewire_fuzz::rtp(data));
