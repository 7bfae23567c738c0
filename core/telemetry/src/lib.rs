//! The collector's own logs, metrics and traces.
