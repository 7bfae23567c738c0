//! The connectors, one folder each.
