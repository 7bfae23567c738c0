//! The extensions, one folder each.
