//! The processors, one folder each.

pub mod rate;
#[cfg(test)]
mod testing;
