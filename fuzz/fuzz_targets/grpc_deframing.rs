#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| streamgauge_transport::fuzz::grpc_deframing(data));
