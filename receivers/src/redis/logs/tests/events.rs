//! What happens to the servers, on every one that is here.

use streamgauge_harness::{Cluster, SentinelSet, Server};

use super::*;

/// Asks, as a user who may do little, for what he may not.
fn refused(redis: &Redis, commands: &[&str]) {
    let client = redis::Client::open(format!("redis://app:hunter2@{}", redis.addr())).unwrap();
    let mut connection = client.get_connection().unwrap();
    for command in commands {
        let mut words = command.split(' ');
        let mut cmd = redis::cmd(words.next().unwrap());
        words.for_each(|word| {
            cmd.arg(word);
        });
        assert!(cmd.query::<redis::Value>(&mut connection).is_err(), "{command} is refused");
    }
}

/// Waits until the first round is over: what comes from now on is news.
pub(super) async fn first_round(redis: &Redis, telling: &Telling) {
    redis.run::<()>("CONFIG SET hz 11");
    poll_until_async("the first round", SOON, async || {
        if telling.named("redis.config.change").is_empty() {
            let hz = if redis.cli(&["config", "get", "hz"]).contains("12") { 11 } else { 12 };
            redis.run::<()>(&format!("CONFIG SET hz {hz}"));
            return None;
        }
        Some(())
    })
    .await;
}

#[tokio::test]
async fn a_setting_that_changes_is_told_with_what_it_was_and_a_secret_never() {
    for server in Server::matrix() {
        let redis = server.start();
        let process = Process::on(&redis).await;
        let telling = process.start(&redis.url(), "").await;
        first_round(&redis, &telling).await;
        redis.run::<()>("CONFIG SET masterauth hunter2");
        redis.run::<()>("CONFIG SET maxmemory-policy allkeys-lru");
        let is_policy = |record: &&Record| record.get("redis.config.setting") == "maxmemory-policy";
        let told = poll_until_async("the change", SOON, async || {
            telling.named("redis.config.change").iter().find(is_policy).cloned()
        })
        .await;
        assert_eq!(told.get("redis.config.from"), "noeviction", "{}", server.name);
        assert_eq!(told.get("redis.config.to"), "allkeys-lru");
        assert_eq!(told.body, "maxmemory-policy is allkeys-lru now, it was noeviction");
        assert_eq!((told.severity.as_str(), told.get("redis.config.hash").len()), ("INFO", 16));
        let all = format!("{:?}", telling.records());
        assert!(!all.contains("hunter2") && !all.contains("masterauth"), "{all}");
        telling.stop().await;
    }
}

#[tokio::test]
async fn a_spike_of_the_latency_monitor_is_told_once_over_a_restart_of_the_collector() {
    for server in Server::matrix() {
        let redis = server.builder().config("latency-monitor-threshold 50").start();
        redis.run::<()>("DEBUG SLEEP 0.1");
        let sink = Sink::delivering();
        for _ in 0..2 {
            let process = Process::on(&redis).await;
            let telling = process.start_into(&sink, &redis.url(), "logs: {storage: disk}\n").await;
            telling.until("redis.latency.spike", 1).await;
            first_round(&redis, &telling).await;
            telling.stop().await;
        }
        let told =
            sink.received().iter().flat_map(|batch| records(&batch.parts.concat())).collect::<Vec<_>>();
        let spikes: Vec<_> = told.iter().filter(|record| record.event == "redis.latency.spike").collect();
        let [spike] = &spikes[..] else { panic!("{}: {spikes:?}", server.name) };
        assert_eq!(spike.get("redis.latency.event"), "command");
        let took = spike.number("redis.latency.duration");
        assert!((0.1..2.0).contains(&took), "{took}");
        assert_eq!(spike.number("redis.latency.max"), took);
    }
}

#[tokio::test]
async fn what_a_user_is_refused_is_told_by_kind_with_how_often() {
    for server in Server::matrix() {
        let redis =
            server.builder().user("app on >hunter2 ~mine:* resetchannels &mine +get +publish").start();
        let process = Process::on(&redis).await;
        let telling = process.start(&redis.url(), "logs: {storage: disk}\n").await;
        refused(&redis, &["SET mine:1 secret", "GET other", "GET other", "PUBLISH other v"]);
        let wrong = redis::Client::open(format!("redis://app:wrong@{}", redis.addr())).unwrap();
        assert!(wrong.get_connection().is_err());
        let total = |records: &[Record], reason: &str| -> f64 {
            let of = records.iter().filter(|record| record.get("redis.acl.reason") == reason);
            of.map(|record| record.number("redis.acl.count")).sum()
        };
        let wanted = [("command", 1.0), ("key", 2.0), ("channel", 1.0), ("auth", 1.0)];
        let told = poll_until_async("all refusals", SOON, async || {
            let told = telling.named("redis.acl.denied");
            // A client library may ask for more that this user may not.
            wanted.iter().all(|(reason, count)| total(&told, reason) >= *count).then_some(told)
        })
        .await;
        for (reason, count) in &wanted[1..] {
            assert_eq!(total(&told, reason), *count, "{reason} on {}", server.name);
        }
        let key = told.iter().find(|record| record.get("redis.acl.reason") == "key").unwrap();
        assert_eq!((key.get("user.name"), key.get("redis.acl.object")), ("app", "other"));
        assert_eq!((key.get("client.address"), key.get("redis.acl.context")), ("127.0.0.1", "toplevel"));
        assert_eq!(key.attributes.contains_key("redis.log.entry.id"), server.version() >= (7, 2));
        refused(&redis, &["GET other"]);
        poll_until_async("counted on", SOON, async || {
            (total(&telling.named("redis.acl.denied"), "key") == 3.0).then_some(())
        })
        .await;
        telling.stop().await;
        assert!(!format!("{:?}", sinked(&process, &redis).await).contains("hunter2"));
    }
}

/// What another run of the same process tells: nothing of what was told.
async fn sinked(process: &Process, redis: &Redis) -> Vec<Record> {
    let telling = process.start(&redis.url(), "logs: {storage: disk}\n").await;
    first_round(redis, &telling).await;
    let told = telling.records();
    telling.stop().await;
    assert!(told.iter().all(|record| record.event != "redis.acl.denied"), "{told:?}");
    told
}

#[tokio::test]
async fn a_restart_and_another_role_are_told() {
    let mut redis = Redis::start();
    let other = Redis::start();
    let process = Process::on(&other).await;
    let telling = process.start(&redis.url(), "topology: single\n").await;
    first_round(&redis, &telling).await;
    let before = redis.info("run_id").unwrap();
    redis.restart();
    let restart = telling.until("redis.restart", 1).await;
    assert_eq!(restart[0].get("redis.run_id.before"), before);
    assert_eq!(restart[0].get("redis.run_id"), redis.info("run_id").unwrap());
    redis.run::<()>(&format!("REPLICAOF 127.0.0.1 {}", other.port()));
    let role = telling.until("redis.role.change", 1).await;
    assert_eq!((role[0].get("redis.role.from"), role[0].get("redis.role.to")), ("primary", "replica"));
    assert_eq!(role[0].resource["redis.role"], "replica");
    telling.stop().await;
}

#[tokio::test]
async fn a_failover_under_a_sentinel_is_told_once_with_who_was_and_who_is() {
    for name in ["redis-7.0", "valkey-9.1"] {
        let Some(server) = Server::find(name) else { continue };
        let mut set = SentinelSet::start(&server);
        let process = Process::on(&set.sentinels[2]).await;
        let telling = process.start(&set.sentinels[0].url(), "").await;
        first_round(&set.servers[1], &telling).await;
        set.fail_over();
        // On a busy machine the sentinels may change their mind once more.
        let told = poll_until_async("the failover", SOON, async || {
            let master = set.servers[set.master()].addr();
            let told = telling.named("redis.failover");
            told.last().is_some_and(|last| last.get("redis.failover.to") == master).then_some(told)
        })
        .await;
        for record in &told {
            assert_eq!((record.get("redis.shard"), record.severity.as_str()), (SentinelSet::MASTER, "ERROR"));
            let port = format!("127.0.0.1:{}", record.resource["server.port"]);
            assert_eq!(port, record.get("redis.failover.to"));
        }
        for pair in told.windows(2) {
            assert_eq!(pair[0].get("redis.failover.to"), pair[1].get("redis.failover.from"), "each once");
        }
        let to = told[0].get("redis.failover.to");
        let roles = telling.until("redis.role.change", 1).await;
        let is_promoted = |record: &Record| {
            format!("127.0.0.1:{}", record.resource["server.port"]) == to
                && record.get("redis.role.to") == "primary"
        };
        assert!(roles.iter().any(is_promoted), "{roles:?}");
        telling.stop().await;
    }
}

#[tokio::test]
async fn a_user_with_exactly_the_documented_rule_is_refused_nothing() {
    let rule = FACTORY.description.readme.lines().find(|line| line.starts_with("-@all ")).unwrap();
    for server in Server::matrix() {
        let words = rule.split(' ').filter(|word| {
            server.version() >= (7, 2) || !["+client|setinfo", "+client|no-touch"].contains(word)
        });
        let mut words: Vec<_> = words.collect();
        words.extend((server.is_valkey() && server.version() >= (8, 1)).then_some("+commandlog|get"));
        let redis = server
            .builder()
            .user(&format!("monitor on >hunter2 {}", words.join(" ")))
            .config("slowlog-log-slower-than 50000")
            .config("latency-monitor-threshold 50")
            .start();
        let process = Process::on(&redis).await;
        let user = "username: monitor\npassword: hunter2\ntopology: single\nlogs: {storage: disk}\n";
        let telling = process.start(&redis.url(), user).await;
        first_round(&redis, &telling).await;
        redis.run::<()>("DEBUG SLEEP 0.1");
        telling.until("redis.slowlog.entry", 1).await;
        telling.until("redis.latency.spike", 1).await;
        telling.stop().await;
        assert_eq!(redis.info("errorstat_NOPERM"), None, "{}", server.name);
        let log: Vec<redis::Value> = redis.run("ACL LOG");
        assert!(log.is_empty(), "{}: {log:?}", server.name);
    }
}

#[tokio::test]
async fn a_replica_that_takes_over_a_shard_of_a_cluster_is_a_failover_of_that_shard() {
    let cluster = &mut Cluster::start(&Server::find("redis-7.0").unwrap());
    let state = Redis::start();
    let process = Process::on(&state).await;
    let telling = process.start(&cluster.nodes[1].url(), "").await;
    first_round(&cluster.nodes[2], &telling).await;
    let shard = cluster.id(0);
    let (from, to) = (cluster.nodes[0].addr(), cluster.nodes[3].addr());
    cluster.kill(0);
    let told = telling.until("redis.failover", 1).await;
    telling.stop().await;
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].get("redis.failover.from"), told[0].get("redis.failover.to")), (&*from, &*to));
    assert_eq!((told[0].get("redis.shard"), &told[0].resource["redis.shard"]), (&*shard, &shard));
}
