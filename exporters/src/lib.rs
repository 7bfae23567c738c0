//! The exporters, one folder each.
