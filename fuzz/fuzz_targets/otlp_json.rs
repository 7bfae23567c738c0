#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| streamgauge_pdata::fuzz::json_both_ways(data));
