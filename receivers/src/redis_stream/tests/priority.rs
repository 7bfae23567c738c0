//! Urgent streams beside a backlog, and urgent entries in one.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use streamgauge_harness::Redis;

use super::rig::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn critical_entries_pass_a_backlog_of_ten_thousand_low_ones_which_still_moves() {
    for mode in ["weighted", "strict"] {
        let redis = Redis::start();
        redis.fill("low", 10_000);
        let arrived: Arc<Mutex<Vec<(String, Instant)>>> = Arc::default();
        let into = arrived.clone();
        let yaml = format!(
            "streams: [{{name: low, priority: low}}, {{name: urgent, priority: critical}}], \
             read: {{count: 20, max_in_flight: 200, workers: 1}}, priority: {{mode: {mode}}}"
        );
        let rig = Rig::picky(&redis, &yaml, Duration::from_millis(2), move |records| {
            let now = Instant::now();
            let urgent = records.iter().filter(|r| r["redis.stream.name"] == "urgent");
            into.lock().unwrap().extend(urgent.map(|r| (r["redis.stream.entry_id"].clone(), now)));
            None
        })
        .await;
        rig.until("the backlog moves", |rig| rig.ids().len() > 100).await;
        let mut sent = Vec::new();
        let mut before = rig.ids().len();
        for _ in 0..30 {
            let id: String = redis.run("XADD urgent * a 1");
            sent.push((id, Instant::now()));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        rig.until("the urgent ones are there", |_| arrived.lock().unwrap().len() == 30).await;
        let seen = arrived.lock().unwrap().clone();
        let slowest = sent
            .iter()
            .map(|(id, at)| {
                seen.iter().find(|(other, _)| other == id).unwrap().1.saturating_duration_since(*at)
            })
            .max()
            .unwrap();
        assert!(slowest < Duration::from_millis(100), "{mode}: {slowest:?}");
        let all = rig.ids().len();
        assert!(all < 10_030, "{mode}: there is a backlog still");
        before += 30;
        assert!(all > before, "{mode}: low entries moved");
        rig.stop().await;
    }
}

/// Of one stream only what is read can be passed: here that is the whole backlog.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn critical_entries_pass_ten_thousand_low_ones_of_their_own_stream_that_are_read_and_those_still_move()
{
    for mode in ["weighted", "strict"] {
        let redis = Redis::start();
        let mut pipe = redis::pipe();
        for n in 0..10_000 {
            pipe.cmd("XADD").arg("s").arg("*").arg("p").arg("low").arg("n").arg(n).ignore();
        }
        pipe.query::<()>(&mut redis.connection()).unwrap();
        let arrived: Arc<Mutex<Vec<(String, Instant)>>> = Arc::default();
        let into = arrived.clone();
        let yaml = format!(
            "read: {{count: 20, max_in_flight: 20000, workers: 2}}, priority: {{mode: {mode}, field: p}}"
        );
        let rig = Rig::picky(&redis, &yaml, Duration::from_millis(10), move |records| {
            let now = Instant::now();
            let urgent = records.iter().filter(|r| r["p"] == "Critical");
            into.lock().unwrap().extend(urgent.map(|r| (r["redis.stream.entry_id"].clone(), now)));
            None
        })
        .await;
        rig.until("the backlog is read", |rig| rig.count("read") == 10_000).await;
        let before = rig.ids().len();
        let mut sent = Vec::new();
        for _ in 0..100 {
            let id: String = redis.run("XADD s * p Critical");
            sent.push((id, Instant::now()));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        rig.until("the urgent ones are there", |_| arrived.lock().unwrap().len() == 100).await;
        let all = rig.ids().len();
        let seen = arrived.lock().unwrap().clone();
        let took = |(id, at): &(String, Instant)| {
            seen.iter().find(|(other, _)| other == id).unwrap().1.saturating_duration_since(*at)
        };
        let mut times: Vec<_> = sent.iter().map(took).collect();
        times.sort_unstable();
        assert!(times[98] < Duration::from_millis(100), "{mode}: p99 of {times:?}");
        assert!(all < 10_100, "{mode}: there is a backlog still");
        assert!(all > before + 100, "{mode}: low entries moved");
        rig.stop().await;
    }
}
