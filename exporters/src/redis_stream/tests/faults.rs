//! Servers that are slow, full, gone, or refuse some entries.

use std::time::{Duration, Instant};

use streamgauge_component::{ExportError, Exporter as _, Left};
use streamgauge_harness::poll_until;

use super::*;

#[tokio::test]
async fn of_a_request_only_the_entries_that_were_refused_are_left() {
    let redis = Redis::start();
    redis.run::<()>("SET s:1 text");
    let exporter = to(&redis, "stream: 's:{k}'\nencoding: fields");
    let mixed = request(Signal::Logs, vec![part(0..3), part(5..7)]);
    let error = exporter.export(&mixed).await.unwrap_err();
    assert!(
        matches!(&error, ExportError::Permanent { message, .. } if message.contains("WRONGTYPE")),
        "{error:?}"
    );
    let Left::Some(rest, 1) = exporter.left(Signal::Logs, &mixed.parts[0]) else { panic!("one is left") };
    assert_eq!(exporter.left(Signal::Logs, &mixed.parts[1]), Left::Nothing);
    redis.run::<()>("DEL s:1");
    exporter.export(&request(Signal::Logs, vec![rest])).await.unwrap();
    assert_eq!(values(&redis, "s:1", "body"), ["1"]);
}

#[tokio::test]
async fn what_is_retried_does_not_write_again_what_is_there() {
    let redis = Redis::start();
    redis.run::<()>("SET s:1 text");
    let exporter = to(&redis, "stream: 's:{k}'\nencoding: fields\nidempotent: false");
    let mixed = logs(0..3);
    exporter.export(&mixed).await.unwrap_err();
    redis.run::<()>("DEL s:1");
    exporter.export(&mixed).await.unwrap();
    for n in 0..3 {
        assert_eq!(redis.run::<usize>(&format!("XLEN s:{n}")), 1, "s:{n}");
    }
    exporter.export(&mixed).await.unwrap();
    assert_eq!(redis.run::<usize>("XLEN s:1"), 2, "a part that was done is new when it comes again");
}

#[tokio::test]
async fn a_server_that_is_full_or_a_replica_or_loading_is_tried_again() {
    let redis = Redis::start();
    let exporter = to(&redis, "stream: s\nencoding: fields");
    let all = logs(0..10);
    for (fault, cure, word) in [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "OOM"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "READONLY"),
    ] {
        redis.run::<()>(fault);
        let error = exporter.export(&all).await.unwrap_err();
        assert!(matches!(error, ExportError::Retryable { .. }), "{word}: {error:?}");
        redis.run::<()>(cure);
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Err(error) = exporter.export(&all).await {
            assert!(Instant::now() < deadline, "{word}: {error:?}");
        }
    }
    assert_eq!(redis.run::<usize>("XLEN s"), 20);
}

#[tokio::test]
async fn a_publish_fails_at_its_timeout_when_the_server_stalls() {
    let redis = Redis::start();
    let exporter = to(&redis, "stream: s\ntimeout: 100ms\nencoding: fields");
    exporter.export(&logs(0..1)).await.unwrap();
    redis.freeze();
    let began = Instant::now();
    let error = exporter.export(&logs(1..2)).await.unwrap_err();
    let took = began.elapsed();
    redis.thaw();
    assert!(matches!(error, ExportError::Retryable { answered: false, .. }), "{error:?}");
    assert!((Duration::from_millis(95)..Duration::from_millis(400)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn where_the_server_can_an_entry_whose_answer_was_lost_is_added_once() {
    for (server, most) in [(newest(), 60), (Server::find("redis-7.0").unwrap(), 119)] {
        let redis = server.start();
        let exporter = to(&redis, "stream: s\ntimeout: 200ms\nencoding: fields");
        exporter.export(&logs(0..1)).await.unwrap();
        let all = request(Signal::Logs, vec![part(1..30), part(30..60)]);
        redis.freeze();
        exporter.export(&all).await.unwrap_err();
        redis.thaw();
        poll_until("what was on its way is executed", Duration::from_secs(10), || {
            (redis.run::<usize>("XLEN s") > 59).then_some(())
        });
        exporter.export(&all).await.unwrap();
        let mut seen = values(&redis, "s", "body");
        assert_eq!(seen.len(), most, "{}", server.name);
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 60, "{}", server.name);
    }
}

#[tokio::test]
async fn a_connection_that_the_server_closed_meanwhile_costs_no_attempt() {
    let mut redis = Redis::start();
    let exporter = to(&redis, "stream: s\nencoding: fields");
    exporter.export(&logs(0..1)).await.unwrap();
    redis.run::<()>("CLIENT KILL TYPE normal SKIPME yes");
    exporter.export(&logs(1..2)).await.unwrap();
    assert_eq!(values(&redis, "s", "body"), ["0", "1"]);
    redis.stop();
    let error = exporter.export(&logs(2..3)).await.unwrap_err();
    assert!(matches!(error, ExportError::Retryable { answered: false, .. }), "{error:?}");
    redis.start_again();
    exporter.export(&logs(2..3)).await.unwrap();
    assert_eq!(values(&redis, "s", "body"), ["2"]);
}

#[tokio::test]
async fn connections_are_bounded_whatever_comes_at_once() {
    let redis = Redis::start();
    let exporter = to(&redis, "stream: s\nencoding: fields\nmax_connections: 3");
    let all: Vec<Request> = (0..40).map(|n| logs(n * 10..n * 10 + 10)).collect();
    let results = futures_util::future::join_all(all.iter().map(|request| exporter.export(request))).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(redis.run::<usize>("XLEN s"), 400);
    let list: String = redis.run("CLIENT LIST");
    let ours = list.lines().filter(|line| line.contains("name=streamgauge-redis_stream ")).count();
    assert!((1..=3).contains(&ours), "{list}");
}

#[tokio::test]
async fn without_permission_the_error_is_the_servers_and_final() {
    let redis = Redis::builder().user("writer on >secret ~allowed:* +@all").start();
    let exporter = to(&redis, "stream: forbidden\nusername: writer\npassword: secret\nencoding: fields");
    let error = exporter.export(&logs(0..1)).await.unwrap_err();
    assert!(
        matches!(&error, ExportError::Permanent { message, .. } if message.contains("NOPERM")),
        "{error:?}"
    );
    let wrong = to(&redis, "stream: s\nusername: writer\npassword: wrong");
    let error = wrong.export(&logs(0..1)).await.unwrap_err();
    assert!(!error.to_string().contains("wrong"), "{error}");
}
