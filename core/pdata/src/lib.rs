//! OTLP as bytes: walk, count, split, splice, view, build; knows nothing of acks or tasks.
