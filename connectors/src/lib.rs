//! The connectors, one folder each.

pub mod forward;
