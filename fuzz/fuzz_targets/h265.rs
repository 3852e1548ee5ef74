//! The fuzz target `h265`, as [`tidewire_fuzz::h265`] describes it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidewire_fuzz::h265(data));
