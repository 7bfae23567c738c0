//! The receivers, one folder each.
