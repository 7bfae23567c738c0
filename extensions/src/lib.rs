//! The extensions, one folder each.

pub mod health_check;
