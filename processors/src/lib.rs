//! The processors, one folder each.

pub mod alerting;
pub mod percentile;
pub mod rate;
#[cfg(test)]
mod testing;
