//! streamgauge
fn main() {}
