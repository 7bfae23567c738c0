//! The processors, one folder each.

pub mod alerting;
pub mod rate;
#[cfg(test)]
mod testing;
