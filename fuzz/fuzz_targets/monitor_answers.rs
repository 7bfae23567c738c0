#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| streamgauge_redis::fuzz::answers(data));
