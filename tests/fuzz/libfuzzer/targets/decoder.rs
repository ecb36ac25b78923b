#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wasmqtt_fuzz::decoder::run(data));
