//! What watching costs a server, by its own `commandstats`: fails when a command, a call or much time is added.

use std::collections::BTreeMap;
use std::time::Duration;

use streamgauge_component::{Host, Kind};
use streamgauge_harness::{Redis, Server};
use tokio::time::Instant;

use super::testing::{Point, Running, named};
use crate::{redis, redis_stream_metrics};

const STREAMS: u64 = 100;
/// Whole rotations of the details.
const ROUNDS: u64 = 12;
/// The time that a round may take of the server's main thread: five times what it takes on an idle machine.
const MOST_MICROSECONDS: u64 = 2_500;

/// Streams with two groups of three consumers that each hold something.
fn fill(server: &Redis, streams: u64) {
    let mut pipe = ::redis::pipe();
    for n in 0..streams {
        let stream = format!("s{n}");
        for entry in 0..20 {
            pipe.cmd("XADD").arg(&stream).arg("*").arg("n").arg(entry).ignore();
        }
        for group in ["a", "b"] {
            pipe.cmd("XGROUP").arg("CREATE").arg(&stream).arg(group).arg(0).ignore();
            for consumer in ["x", "y", "z"] {
                pipe.cmd("XREADGROUP").arg("GROUP").arg(group).arg(consumer).arg("COUNT").arg(2);
                pipe.arg("STREAMS").arg(&stream).arg(">").ignore();
            }
        }
    }
    pipe.query::<()>(&mut server.connection()).unwrap();
}

/// Calls and microseconds by command.
fn stats(server: &Redis) -> BTreeMap<String, (u64, u64)> {
    let text = server.cli(&["info", "commandstats"]);
    let line = |line: &str| {
        let (name, numbers) = line.strip_prefix("cmdstat_")?.split_once(':')?;
        let number =
            |key| numbers.split(',').find_map(|pair| pair.strip_prefix(key)).unwrap().parse().unwrap();
        Some((name.to_owned(), (number("calls="), number("usec="))))
    };
    text.lines().filter_map(line).collect()
}

/// Waits for so many rounds, whose points nobody reads.
async fn rounds(receiver: &Running, count: u64) {
    let (begin, deadline) = (receiver.ended(), Instant::now() + Duration::from_secs(60));
    while receiver.ended() < begin + count {
        assert!(Instant::now() < deadline, "the rounds go on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_sends_no_more_commands_and_takes_no_more_time_than_it_did() {
    for server in Server::matrix() {
        let running = server.start();
        fill(&running, STREAMS);
        let process = Host::for_test(Kind::Receiver, "test");
        let yaml = format!(
            "endpoint: {}\ncollection_interval: 200ms\ninitial_delay: 0s\ntimeout: 5s\nmax_server_time: 50%",
            running.url()
        );
        let streams = Running::beside(&process, &redis_stream_metrics::FACTORY, &yaml).await;
        rounds(&streams, 7).await; // found, and asked for once
        running.cli(&["config", "resetstat"]);
        rounds(&streams, ROUNDS).await;
        let seen = stats(&running);
        streams.stop().await;

        let old = server.version() < (7, 0);
        // Rounds may have been under way at either end, more on a busy machine.
        let rounds = seen["xlen"].0.div_ceil(STREAMS);
        assert!(
            (ROUNDS - 1..=2 * ROUNDS).contains(&rounds),
            "{}: XLEN once a stream and round: {seen:?}",
            server.name
        );
        let per_round = |name: &str| seen.get(name).map_or(0, |(calls, _)| *calls).div_ceil(rounds);
        // Groups of all; details of a sixth.
        let details = STREAMS / 6 + 10;
        if old {
            // All groups are without a lag there, which makes XINFO STREAM worth asking.
            assert!(
                per_round("xinfo") <= 2 * STREAMS + 2 * details + STREAMS / 5,
                "{}: {seen:?}",
                server.name
            );
        } else {
            assert!(per_round("xinfo|groups") <= STREAMS + STREAMS / 10, "{}: {seen:?}", server.name);
            assert!(per_round("xinfo|stream") <= details, "{}: {seen:?}", server.name);
            assert!(per_round("xinfo|consumers") <= 2 * details, "{}: {seen:?}", server.name);
        }
        assert!(per_round("xpending") <= 2 * details, "{}: {seen:?}", server.name);
        assert!(per_round("info") <= 2 && per_round("scan") <= 1, "{}: {seen:?}", server.name);
        // Each group is counted once where the server does not know its lag, and nothing is read again while it is quiet.
        let xrange = seen.get("xrange").map_or(0, |(calls, _)| *calls);
        assert!(xrange <= if old { 2 * STREAMS } else { 0 }, "{}: {seen:?}", server.name);
        let known = ["xlen", "xinfo", "xpending", "xrange", "info", "scan", "config"];
        let first = |name: &String| name.split('|').next().unwrap_or_default().to_owned();
        assert!(seen.keys().all(|name| known.contains(&&*first(name))), "{}: {seen:?}", server.name);
        let ours = seen.iter().filter(|(name, _)| first(name) != "config");
        let time: u64 = ours.map(|(_, (_, usec))| usec).sum::<u64>() / rounds;
        assert!(time < MOST_MICROSECONDS, "{}: {time} us a round: {seen:?}", server.name);
        println!("{}: {time} us a round of {STREAMS} streams: {seen:?}", server.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_budget_holds_the_basic_set_goes_on_and_nothing_takes_a_millisecond() {
    for server in Server::matrix() {
        // Dear to watch: groups of many consumers, whose numbers move all the time.
        let running = server.builder().config("slowlog-log-slower-than 1000").start();
        fill(&running, 50);
        let mut pipe = ::redis::pipe();
        for n in 0..50 {
            for consumer in 0..200 {
                pipe.cmd("XGROUP")
                    .arg("CREATECONSUMER")
                    .arg(format!("s{n}"))
                    .arg("a")
                    .arg(format!("c{consumer}"))
                    .ignore();
            }
        }
        for consumer in 0..3000 {
            pipe.cmd("XGROUP").arg("CREATECONSUMER").arg("s0").arg("b").arg(format!("c{consumer}")).ignore();
        }
        pipe.query::<()>(&mut running.connection()).unwrap();
        let process = Host::for_test(Kind::Receiver, "test");
        let yaml = |more: &str| {
            format!(
                "endpoint: {}\ncollection_interval: 100ms\ninitial_delay: 0s\ntimeout: 5s\nmax_server_time: 0.2%\n{more}",
                running.url()
            )
        };
        running.cli(&["slowlog", "reset"]);
        let begin = Instant::now();
        let streams = Running::beside(&process, &redis_stream_metrics::FACTORY, &yaml("")).await;
        let info = Running::beside(&process, &redis::FACTORY, &yaml("")).await;
        let mut told = Vec::new();
        while told.len() < 30 {
            running.fill("s1", 1);
            running.run::<::redis::Value>("XREADGROUP GROUP a x COUNT 1 STREAMS s1 >");
            told.extend(streams.rounds());
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert!(begin.elapsed() < Duration::from_secs(60));
        }
        let lengths = |points: &[Point]| {
            named(points, "redis.stream.length").iter().filter(|p| p.value.is_some()).count()
        };
        assert!(told.iter().skip(2).all(|points| lengths(points) == 50), "{}", server.name);

        let points = info.next().await;
        let of = |metric: &str, cmd: &str| {
            named(&points, metric)
                .iter()
                .find(|point| point.attribute("cmd") == cmd)
                .and_then(|point| point.value)
                .unwrap_or(0.0)
        };
        assert!(of("redis.collector.shed", "xinfo|consumers") > 0.0, "{}", server.name);
        assert_eq!(
            (of("redis.collector.shed", "xlen"), of("redis.collector.shed", "xinfo|groups")),
            (0.0, 0.0)
        );
        assert!(of("redis.collector.commands", "xinfo|groups") >= 50.0 * 25.0);
        assert!(named(&points, "redis.collector.server_time")[0].value.unwrap() > 0.0);
        // What is not basic had what was saved for ten seconds, and no more than that besides what time has brought.
        let detail: u64 = stats(&running)
            .iter()
            .filter(|(name, _)| ["xinfo|consumers", "xinfo|stream", "xpending", "scan"].contains(&&***name))
            .map(|(_, (_, usec))| usec)
            .sum();
        let budget = 20_000.0 + begin.elapsed().as_secs_f64() * 2_000.0;
        assert!(server.version() < (7, 0) || detail > 0);
        assert!((detail as f64) < 1.5 * budget, "{}: {detail} us of {budget}", server.name);
        // A busy machine may stop the server in the midst of any command; what takes that long by itself does so again.
        let slow = running.cli(&["slowlog", "get", "100"]);
        let slow = slow.lines().filter(|line| line.eq_ignore_ascii_case("consumers")).count();
        assert!(slow <= 2, "{}: {slow} slow calls", server.name);
        streams.stop().await;
        info.stop().await;
    }
}
