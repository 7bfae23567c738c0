//! Receiver `redis_stream`: what its user lacks, and what keeps it from reading.

use streamgauge_harness::{Redis, Server, free_port, poll_until};

use super::{Visit, apply};
use crate::support::{SOON, binary};

/// A receiver that reads for a group, with more of its settings, and the exporter `nop`.
fn consuming(endpoint: &str, more: &str) -> String {
    format!(
        "{{receivers: {{redis_stream: {{endpoint: '{endpoint}', {more}}}}},
         exporters: {{nop: }},
         service: {{pipelines: {{logs: {{receivers: [redis_stream], exporters: [nop]}}}}}}}}"
    )
}

#[test]
fn the_rule_that_is_printed_for_a_consumer_is_enough_on_every_server_and_nothing_is_changed() {
    for server in Server::matrix() {
        let name = server.name;
        let redis = server.builder().user("monitor on >hunter2 -@all +info").start();
        redis.fill("orders:eu", 3);
        redis.run::<()>("XGROUP CREATE orders:eu streamgauge 0");
        let user = "username: monitor, password: hunter2, streams: ['orders:*', single]";
        let yaml =
            consuming(&redis.addr(), &format!("{user}, ordering: {{enabled: true}}, ack: {{delete: true}}"));
        let (keys, changes) = (redis.cli(&["keys", "*"]), redis.info("rdb_changes_since_last_save"));
        let found = Visit::json(&yaml, &[]);
        found.fails(&["rights"]);
        let (what, rule) = found.one("fail", "rights");
        for word in ["xreadgroup", "xack", "orders:*"] {
            assert!(what.contains(word), "{name}: {what}");
        }
        for rule in [rule, found.one("note", "rights").1] {
            apply(&redis, rule);
        }
        let found = Visit::json(&yaml, &[]);
        found.fails(&[]);
        let (what, _) = found.one("ok", "rights");
        assert!(what.contains("by trying"), "{name}: {what}");
        // Who may ask is told without trying.
        redis.cli(&["acl", "setuser", "monitor", "+acl"]);
        let found = Visit::json(&yaml, &[]);
        found.fails(&[]);
        let how = if server.version() >= (7, 0) { "by ACL DRYRUN" } else { "by trying" };
        assert!(found.one("ok", "rights").0.contains(how), "{name}: {found:?}");
        // One right is missing, and it alone is in the rule.
        redis.cli(&["acl", "setuser", "monitor", "-xack"]);
        assert_eq!(Visit::json(&yaml, &[]).one("fail", "rights").1, "ACL SETUSER monitor +xack", "{name}");
        assert_eq!(redis.cli(&["keys", "*"]), keys, "{name}");
        assert_eq!(redis.info("rdb_changes_since_last_save"), changes, "{name}");
        assert!(redis.cli(&["xinfo", "consumers", "orders:eu", "streamgauge"]).is_empty(), "{name}");
    }
}

#[test]
fn what_keeps_a_consumer_from_reading_is_told_before_it_runs() {
    let redis = Redis::builder().config("maxmemory-policy allkeys-lru").config("maxmemory 100mb").start();
    redis.fill("read", 1);
    redis.run::<()>("XGROUP CREATE read streamgauge 0");
    redis.fill("other", 1);
    redis.run::<()>("XGROUP CREATE other another 0");
    redis.run::<()>("SET text v");
    redis.run::<()>("SET read:dlq v");
    let streams = "streams: [read, other, text, missing]";
    let found = Visit::json(&consuming(&redis.addr(), &format!("{streams}, group: {{create: false}}")), &[]);
    assert!(found.one("warn", "memory").0.contains("allkeys-lru"), "{found:?}");
    let (what, todo) = found.one("fail", "groups");
    assert_eq!(what, "there is no group streamgauge");
    assert!(todo.starts_with("XGROUP CREATE other streamgauge 0 MKSTREAM"), "{todo}");
    let mut failed: Vec<_> = found
        .all("fail", "streams")
        .iter()
        .map(|one| (one["target"].as_str().unwrap(), one["what"].as_str().unwrap()))
        .collect();
    failed.sort_unstable();
    let target = |stream: &str| format!("{} {stream}", redis.addr());
    let wanted = [
        (target("missing"), "there is no such stream"),
        (target("read"), "the dead letter read:dlq is a string and no stream"),
        (target("text"), "this key is no stream"),
    ];
    let wanted: Vec<_> = wanted.iter().map(|(target, what)| (target.as_str(), *what)).collect();
    assert_eq!(failed, wanted);
    // What the receiver would make is no failure.
    let found = Visit::json(&consuming(&redis.addr(), "streams: [other, missing]"), &[]);
    found.fails(&[]);
    assert_eq!(found.all("note", "groups").len() + found.all("note", "streams").len(), 2, "{found:?}");

    let password = Redis::builder().password("hunter2").start();
    Visit::json(&consuming(&password.addr(), "streams: [s], password: wrong"), &[]).fails(&["auth"]);
    let gone = format!("127.0.0.1:{}", free_port());
    Visit::json(&consuming(&gone, "streams: [s]"), &[]).fails(&["reach"]);
    let tls = Redis::builder().tls().start();
    let found = Visit::json(&consuming(&tls.tls_addr(), "streams: [s], tls: {}"), &[]);
    found.fails(&["tls"]);
    assert!(found.one("fail", "tls").1.contains("ca_file"), "{found:?}");
}

#[test]
fn a_consumer_with_the_printed_rule_alone_is_refused_nothing() {
    let redis = Redis::builder().user("monitor on >hunter2 -@all +info +client").start();
    redis.fill("orders:eu", 30);
    let yaml = consuming(&redis.addr(), "username: monitor, password: hunter2, streams: ['orders:*']");
    let found = Visit::json(&yaml, &[]);
    for rule in [found.one("fail", "rights").1, found.one("note", "rights").1] {
        apply(&redis, rule);
    }
    let refused = || redis.info("errorstat_NOPERM");
    let before = refused();
    let collector = binary().config(&yaml).start();
    poll_until("all is acknowledged", SOON, || {
        let groups = redis.cli(&["xinfo", "groups", "orders:eu"]);
        let mut lines = groups.lines();
        let mut after = |name| lines.find(|line| *line == name).and_then(|_| lines.next());
        (after("pending") == Some("0") && after("entries-read") == Some("30")).then_some(())
    });
    drop(collector);
    assert_eq!(refused(), before, "{}", redis.cli(&["acl", "log"]));
}
