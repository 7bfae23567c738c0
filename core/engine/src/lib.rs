//! Runs components: graph, lifecycle, fan-out, supervision.
