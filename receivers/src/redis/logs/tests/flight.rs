//! The flight recorder.

use streamgauge_harness::{SentinelSet, Server};

use super::events::first_round;
use super::*;

/// A member of the body, by its path.
fn member(record: &Record, path: &[&str]) -> Option<AnyValue> {
    let mut at = record.whole.clone()?;
    for name in path {
        let Some(any_value::Value::KvlistValue(list)) = at.value else { return None };
        at = list.values.into_iter().find(|pair| pair.key == *name)?.value?;
    }
    Some(at)
}

fn member_text(record: &Record, path: &[&str]) -> String {
    text(member(record, path))
}

fn reasons(telling: &Telling) -> Vec<(String, String)> {
    let records = telling.named("redis.flight_record");
    let reason = |record: &Record| {
        (record.resource["server.port"].clone(), record.get("redis.flight_record.reason").to_owned())
    };
    records.iter().map(reason).collect()
}

#[tokio::test]
async fn a_held_up_server_is_recorded_with_before_and_after_once_in_the_interval_and_without_values() {
    for server in Server::matrix() {
        let redis = server
            .builder()
            .config("slowlog-log-slower-than 100000")
            .config("latency-monitor-threshold 100")
            .start();
        let process = Process::on(&redis).await;
        let telling = process.start(&redis.url(), "logs: {flight_recorder: {latency_jump: 200ms}}\n").await;
        first_round(&redis, &telling).await;
        assert_eq!(reasons(&telling), [], "{}", server.name);
        redis.run::<()>("DEBUG SLEEP 0.250000001");
        let told = telling.until("redis.flight_record", 1).await;
        let record = &told[0];
        assert_eq!(record.get("redis.flight_record.reason"), "latency");
        assert_eq!(record.get("redis.run_id"), redis.info("run_id").unwrap());
        for half in ["before", "after"] {
            let info = member_text(record, &[half, "info"]);
            assert!(info.contains("used_memory:") && info.len() <= 24 << 10, "{half}: {info}");
            let clients = member_text(record, &[half, "clients"]);
            assert!(clients.contains("streamgauge"), "{half} on {}: {clients}", server.name);
        }
        assert!(member_text(record, &["slowlog"]).contains("DEBUG SLEEP ?"));
        assert!(member_text(record, &["latency"]).contains("command"));
        let time = |half| member_text(record, &[half, "time"]).parse::<u64>().unwrap();
        assert!(time("before") <= time("after"));
        redis.run::<()>("DEBUG SLEEP 0.250000001");
        let slow = |record: &&Record| record.get("db.query.text") == "DEBUG SLEEP ?";
        poll_until_async("the second sleep", SOON, async || {
            (telling.named("redis.slowlog.entry").iter().filter(slow).count() == 2).then_some(())
        })
        .await;
        let whole: Vec<u8> = telling.sink.received().iter().flat_map(|batch| batch.parts.concat()).collect();
        assert!(!String::from_utf8_lossy(&whole).contains("0.250000001"), "the argument");
        assert_eq!(reasons(&telling).len(), 1, "{}", server.name);
        telling.stop().await;
    }
}

#[tokio::test]
async fn refusals_for_want_of_memory_are_recorded() {
    for server in Server::matrix() {
        let redis = server.start();
        let process = Process::on(&redis).await;
        let telling = process.start(&redis.url(), "").await;
        first_round(&redis, &telling).await;
        redis.run::<()>("CONFIG SET maxmemory 1");
        let refused = redis::cmd("SET").arg("k").arg("v").query::<()>(&mut redis.connection());
        assert!(refused.unwrap_err().to_string().contains("OOM"));
        let told = telling.until("redis.flight_record", 1).await;
        assert_eq!(told[0].get("redis.flight_record.reason"), "out_of_memory", "{}", server.name);
        assert!(!member_text(&told[0], &["before", "info"]).contains("errorstat_OOM"));
        assert!(member_text(&told[0], &["after", "info"]).contains("errorstat_OOM"));
        telling.stop().await;
    }
}

#[tokio::test]
async fn a_failover_is_recorded_of_the_new_primary_and_of_the_lost_one() {
    let mut set = SentinelSet::start(&Server::find("redis-7.0").unwrap());
    let process = Process::on(&set.sentinels[2]).await;
    let telling = process.start(&set.sentinels[0].url(), "").await;
    first_round(&set.servers[1], &telling).await;
    set.fail_over();
    let told = telling.until("redis.flight_record", 2).await;
    let failover = telling.named("redis.failover").remove(0);
    telling.stop().await;
    let of = |who: &str| {
        let is =
            |record: &&Record| format!("127.0.0.1:{}", record.resource["server.port"]) == failover.get(who);
        told.iter().find(is).unwrap()
    };
    assert!(told.iter().all(|record| record.get("redis.flight_record.reason") == "failover"));
    let (to, from) = (of("redis.failover.to"), of("redis.failover.from"));
    assert!(member_text(to, &["before", "info"]).contains("role:slave"));
    assert!(member_text(to, &["after", "info"]).contains("role:master"));
    assert!(member_text(from, &["before", "info"]).contains("role:master"));
    let is_running = set
        .servers
        .iter()
        .any(|server| server.is_running() && server.addr() == failover.get("redis.failover.from"));
    assert!(is_running || member(from, &["after"]).is_none(), "it does not answer");
}
