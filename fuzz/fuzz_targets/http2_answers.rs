#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| streamgauge_http2::fuzz::answers(data));
