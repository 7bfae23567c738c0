//! Which letters are meant.

use serde_json::{Value, json};
use streamgauge_harness::Redis;

use super::{error, json as told, text};

/// Letters of two groups, an hour apart.
fn letters(redis: &Redis) {
    for (id, group, reason, body) in [
        ("1000-0", "billing", "body", "alpha"),
        ("3601000-0", "shipping", "body", "beta"),
        ("7201000-0", "billing", "peer_refused", "gamma"),
    ] {
        let letter = ["dlq.stream", "orders", "dlq.group", group, "dlq.error.type", reason];
        redis.cli(&[&["XADD", "orders:dlq", id, "body", body][..], &letter].concat());
    }
}

#[test]
fn each_filter_takes_its_letters_and_all_of_them_must_apply() {
    let redis = Redis::start();
    letters(&redis);
    for (filter, bodies) in [
        (&[][..], &["alpha", "beta", "gamma"][..]),
        (&["--group", "billing"], &["alpha", "gamma"]),
        (&["--reason", "body"], &["alpha", "beta"]),
        (&["--source", "orders", "--group", "shipping"], &["beta"]),
        (&["--since", "3601000-0"], &["beta", "gamma"]),
        (&["--until", "3601000-0"], &["alpha"]),
        (&["--since", "1970-01-01T00:30:00Z", "--until", "1970-01-01T01:30:00Z"], &["beta"]),
        (&["--contains", "gam"], &["gamma"]),
        (&["--group", "billing", "--reason", "body"], &["alpha"]),
        (&["--group", "billing", "-n", "1"], &["alpha"]),
        (&["--source", "payments"], &[]),
    ] {
        let shown = told(&redis, &[&["dlq", "show", "orders:dlq"], filter].concat());
        let shown: Vec<&Value> =
            shown.as_array().unwrap().iter().map(|letter| &letter["fields"][0][1]).collect();
        assert_eq!(
            shown,
            bodies.iter().map(|body| json!(body)).collect::<Vec<_>>().iter().collect::<Vec<_>>(),
            "{filter:?}"
        );
        let purge = [&["dlq", "purge", "orders:dlq", "--dry-run"], filter].concat();
        assert_eq!(told(&redis, &purge)["matching"], bodies.len(), "{filter:?}");
        let exported = text(&redis, &[&["dlq", "export", "orders:dlq"], filter].concat());
        assert_eq!(exported.lines().count(), bodies.len(), "{filter:?}");
    }
    error(&redis, &["dlq", "purge", "orders:dlq", "--group", "billing"], "orders\n");
    assert_eq!(redis.run::<usize>("XLEN orders:dlq"), 3, "the name was another one");
}
