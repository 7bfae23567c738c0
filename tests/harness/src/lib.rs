//! Real servers for tests: redis-server, Valkey, Prometheus, OTLP sinks.
