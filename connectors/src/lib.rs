//! The connectors, one folder each.

pub mod forward;
pub mod routing;
