//! The fuzz target `h264`, as [`tidewire_fuzz::h264`] describes it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidewire_fuzz::h264(data));
