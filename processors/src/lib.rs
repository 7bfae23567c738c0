//! The processors, one folder each.

pub mod actions;
pub mod alerting;
pub mod attributes;
pub mod batch;
pub mod memory_limiter;
pub mod metricsgeneration;
pub mod percentile;
pub mod project;
pub mod rate;
pub mod resource;
#[cfg(test)]
mod testing;
