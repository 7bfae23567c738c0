//! OTLP to Prometheus: names, labels, text format, remote write messages.
