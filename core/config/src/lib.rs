//! YAML to a tree that knows file, line and column; expansion, merge, typed sections, diagnostics.
