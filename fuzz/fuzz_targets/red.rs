//! The fuzz target `red`, as [`tidewire_fuzz::red`] describes it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidewire_fuzz::red(data));
