//! The fuzz target `allocation`, as [`tidewire_fuzz::allocation`] describes it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidewire_fuzz::allocation(data));
