//! The processors, one folder each.
