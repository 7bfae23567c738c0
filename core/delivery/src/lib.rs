//! What stands before an exporter: queue, batching, retry, timeout.
