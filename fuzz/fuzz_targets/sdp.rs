//! The fuzz target `sdp`, as [`tidewire_fuzz::sdp`] describes it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidewire_fuzz::sdp(data));
