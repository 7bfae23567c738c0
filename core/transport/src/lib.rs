//! OTLP over HTTP/1, HTTP/2 and gRPC on hyper; TLS and compression.
