//! The fuzz target `dependency`, as [`tidewire_fuzz::dependency`] describes it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidewire_fuzz::dependency(data));
