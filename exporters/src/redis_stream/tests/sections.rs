//! The section.

use streamgauge_component::{ComponentConfig as _, Create};

use super::*;
use crate::redis_stream::FACTORY;

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    for (yaml, expected) in [
        ("stream: s", "endpoint"),
        ("endpoint: h:1", "stream: must not be empty"),
        ("endpoint: h:1\nstream: 'a{b'", "no end"),
        ("endpoint: h:1\nstream: s\nencoding: xml", "xml"),
        ("endpoint: h:1\nstream: s\nshards: 0", "`shards` must be positive"),
        ("endpoint: h:1\nstream: s\nshard_by: k", "needs `shards`"),
        ("endpoint: h:1\nstream: s\nmax_len: 1\nmax_age: 1h", "only one of"),
        ("endpoint: h:1\nstream: s\ntrim: safe", "needs `max_len`"),
        ("endpoint: h:1\nstream: s\nmax_connections: 0", "must be positive"),
        ("endpoint: h:1\nstream: s\nsending_queue: {num_consumers: 0}", "`num_consumers` must be positive"),
        ("endpoint: h:1\nstream: s\nmaxlen: 1", "maxlen"),
        ("endpoint: h:1\nstream: s\nenabled: false", "go nowhere"),
        ("endpoint: h:1\nstream: s\npercentage: 30", "go nowhere"),
        ("endpoint: h:1\nstream: s\npercentage: 101\nfallback: {exporter: x}", "within 0 and 100"),
        ("endpoint: h:1\nstream: s\nfallback: {}", "must name another"),
    ] {
        let error = read(yaml).unwrap_err();
        assert!(error.contains(expected), "{yaml}: {error}");
    }
    let shown = format!("{:?}", read("endpoint: h:1\nstream: s\npassword: hunter2").unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn an_encoding_that_carries_logs_only_is_refused_for_metrics() {
    let config = Arc::new(read("endpoint: h:1\nstream: s\nencoding: fields").unwrap());
    let host = Host::for_test(Kind::Exporter, "redis_stream/x");
    let create = |signals: &[Signal]| {
        (FACTORY.create)(Create { host: host.clone(), config: config.clone(), signals: signals.to_vec() })
    };
    assert!(create(&[Signal::Logs]).is_ok());
    let error = create(&[Signal::Logs, Signal::Metrics]).err().unwrap().to_string();
    assert!(error.contains("redis_stream/x") && error.contains("otlp_proto for metrics"), "{error}");
}

#[test]
fn the_examples_of_the_readme_are_whole_sections() {
    let readme = FACTORY.description.readme;
    let examples: Vec<&str> =
        readme.split("```yaml\n").skip(1).map(|e| e.split("```").next().unwrap()).collect();
    assert!(!examples.is_empty());
    for example in examples {
        assert_eq!(read(example).unwrap().problems(), []);
    }
}
