//! The fuzz target `rtcp`, as [`tidewire_fuzz::rtcp`] describes it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidewire_fuzz::rtcp(data));
