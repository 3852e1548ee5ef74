//! The fuzz target `stun`, as [`tidewire_fuzz::stun`] describes it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidewire_fuzz::stun(data));
