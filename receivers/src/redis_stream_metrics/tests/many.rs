//! Many groups of many consumers.

use streamgauge_harness::poll_until_async;

use super::*;
use crate::scrape::poll::Rounds;

const GROUPS: usize = 100;
const CONSUMERS: usize = 500;
const PENDING: &str = "redis.stream.consumer.pending";

#[tokio::test]
async fn a_round_over_a_hundred_groups_of_five_hundred_consumers_misses_none_and_is_quick() {
    let server = Redis::start();
    server.fill("s", 1000);
    let mut pipe = redis::pipe();
    for group in 0..GROUPS {
        pipe.cmd("XGROUP").arg("CREATE").arg("s").arg(format!("g{group}")).arg(0).ignore();
        for consumer in 0..CONSUMERS {
            let words = ["CREATECONSUMER", "s", &format!("g{group}"), &format!("c{consumer}")];
            pipe.cmd("XGROUP").arg(&words).ignore();
        }
    }
    pipe.query::<()>(&mut server.connection()).unwrap();
    server.run::<redis::Value>("XREADGROUP GROUP g7 c7 COUNT 3 STREAMS s >");
    let yaml =
        "collection_interval: 1m, timeout: 20s, initial_delay: 0s, max_server_time: unlimited, streams: [s]";
    let yaml = format!("{{endpoint: '{}', {yaml}}}", server.url());
    let mut quickest = u64::MAX;
    for _ in 0..3 {
        // The first round asks for everything.
        let receiver = Running::start(&FACTORY, &yaml).await;
        let rounds = Rounds::of(&receiver.host);
        let ended = async || (rounds.ended.value.get() == 1).then_some(());
        poll_until_async("a round ends", Duration::from_secs(30), ended).await;
        quickest = quickest.min(rounds.busy.value.get());
        // A hundred of each group, and the bucket of the others.
        let points = receiver.until(|points| named(points, PENDING).len() == GROUPS * 101).await;
        let consumers = named(&points, "redis.stream.group.consumers");
        assert_eq!(consumers.iter().filter_map(|p| p.value).sum::<f64>(), (GROUPS * CONSUMERS) as f64);
        let lags = named(&points, "redis.stream.group.lag");
        assert_eq!(lags.iter().filter(|p| p.value == Some(1000.0)).count(), GROUPS - 1);
        let pending = named(&points, PENDING);
        let busiest: Vec<_> = pending.iter().filter(|p| p.value == Some(3.0)).collect();
        assert_eq!((busiest.len(), busiest[0].attribute("consumer")), (1, "c7"));
        receiver.stop().await;
    }
    // Without optimisation, and beside other tests, it may take longer.
    let limit = if cfg!(debug_assertions) { 3_000_000 } else { 1_000_000 };
    assert!(quickest < limit, "{quickest} us");
}
