//! The receivers, one folder each.

pub mod redis;
mod scrape;
