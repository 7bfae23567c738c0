//! The slow log and Valkey's other logs, on every server that is here.

use streamgauge_harness::Server;

use super::*;

const STORED: &str = "logs: {storage: disk}\n";

/// Run ids and ids of entries.
fn ids(records: &[Record]) -> Vec<(String, u64)> {
    let id = |record: &Record| record.get("redis.log.entry.id").parse().unwrap();
    records.iter().map(|record| (record.get("redis.run_id").to_owned(), id(record))).collect()
}

/// What the server has, the oldest first.
fn kept(server: &Redis) -> Vec<(String, u64)> {
    let entries: Vec<redis::Value> = server.run("SLOWLOG GET 10000");
    let run_id = server.info("run_id").unwrap();
    let id = |entry: &redis::Value| match entry {
        redis::Value::Array(items) => redis::from_redis_value::<u64>(items[0].clone()).unwrap(),
        other => panic!("{other:?}"),
    };
    entries.iter().rev().map(|entry| (run_id.clone(), id(entry))).collect()
}

/// A server that logs every command until it is told not to.
fn loquacious(server: &Server) -> Redis {
    server.builder().config("slowlog-log-slower-than 0").config("slowlog-max-len 5000").start()
}

fn quiet(server: &Redis) {
    server.run::<()>("CONFIG SET slowlog-log-slower-than -1");
}

fn write(server: &Redis, count: usize) {
    for n in 0..count {
        server.run::<()>(&format!("SET user:{n} hunter2"));
    }
}

#[tokio::test]
async fn every_slow_command_is_told_once_whatever_restarts_come_between() {
    for server in Server::matrix() {
        let redis = loquacious(&server);
        write(&redis, 20);
        let sink = Sink::delivering();
        for _ in 0..3 {
            // Each is a process of its own: nothing but the directory is left of the one before.
            let process = Process::on(&redis).await;
            let telling = process.start_into(&sink, &redis.url(), STORED).await;
            let so_far = telling.named("redis.slowlog.entry").len();
            write(&redis, 20);
            telling.until("redis.slowlog.entry", so_far + 20).await;
            telling.stop().await;
            write(&redis, 20);
        }
        quiet(&redis);
        let all = kept(&redis);
        let process = Process::on(&redis).await;
        let telling = process.start_into(&sink, &redis.url(), STORED).await;
        let told = telling.until("redis.slowlog.entry", all.len()).await;
        telling.stop().await;
        assert_eq!(ids(&told), all, "{}", server.name);
    }
}

#[tokio::test]
async fn without_a_storage_only_what_comes_from_now_on_is_told_and_a_new_process_from_its_first_entry() {
    let mut redis = loquacious(&Server::find("redis-7.0").unwrap());
    write(&redis, 10);
    let process = Process::on(&redis).await;
    let telling = process.start(&redis.url(), "").await;
    let deadline = tokio::time::Instant::now() + SOON;
    while telling.named("redis.slowlog.entry").is_empty() {
        redis.run::<()>("SET now v");
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let first = redis.info("run_id").unwrap();
    redis.restart();
    let second = redis.info("run_id").unwrap();
    let is_second = |record: &Record| record.get("redis.run_id") == second;
    poll_until_async("the new process", SOON, async || {
        telling.named("redis.slowlog.entry").iter().any(is_second).then_some(())
    })
    .await;
    let told = telling.named("redis.slowlog.entry");
    assert!(told.iter().all(|record| !record.body.contains("user:")), "what was there before");
    let of_second: Vec<_> = ids(&told).into_iter().filter(|(run_id, _)| *run_id != first).collect();
    let wanted: Vec<_> = (0..of_second.len() as u64).map(|id| (second.clone(), id)).collect();
    assert_eq!(of_second, wanted, "from its first entry on");
    telling.stop().await;
}

#[tokio::test]
async fn entries_that_the_server_drops_unread_are_counted_exactly() {
    for server in Server::matrix() {
        let redis = loquacious(&server);
        redis.run::<()>("CONFIG SET slowlog-max-len 20");
        let process = Process::on(&redis).await;
        let sink = Sink::delivering();
        let telling = process.start_into(&sink, &redis.url(), STORED).await;
        telling.until("redis.slowlog.entry", 1).await;
        telling.stop().await;
        let before = ids(&Telling { receiver: idle(), sink: sink.clone() }.named("redis.slowlog.entry"));
        write(&redis, 100);
        quiet(&redis);
        let kept = kept(&redis);
        let telling = process.start_into(&sink, &redis.url(), STORED).await;
        let lost = telling.until("redis.log.lost", 1).await;
        let after = telling.until("redis.slowlog.entry", before.len() + kept.len()).await;
        assert_eq!(ids(&after)[before.len()..], kept, "{}", server.name);
        let gap = kept[0].1 - before.last().unwrap().1 - 1;
        assert_eq!((lost.len(), lost[0].number("redis.log.lost")), (1, gap as f64), "{}", server.name);
        assert_eq!(lost[0].severity, "ERROR");
        let counters = process.host.registry().instruments();
        let counter = counters.iter().find(|one| one.name == "streamgauge.redis.log_entries.lost").unwrap();
        assert_eq!(counter.value.get(), gap);
        telling.stop().await;
    }
}

/// A receiver that was never started.
fn idle() -> Arc<dyn Receiver> {
    let config = (FACTORY.config.read)(&Section::from_yaml("test", "endpoint: h").unwrap()).unwrap();
    let host = Host::for_test(Kind::Receiver, "idle");
    (FACTORY.create)(Create { host, config, signals: vec![Signal::Logs] }).unwrap()
}

#[tokio::test]
async fn what_comes_back_is_sent_again_and_what_was_not_delivered_is_told_by_the_next_run() {
    let redis = loquacious(&Server::find("redis-7.0").unwrap());
    write(&redis, 10);
    quiet(&redis);
    let all = kept(&redis);
    let sink = Sink::new(Behaviour::Settle(Outcome::retry_after(Reason::QueueFull, Duration::ZERO)));
    let killed = Process::on(&redis).await;
    let telling = killed.start_into(&sink, &redis.url(), STORED).await;
    telling.until("redis.slowlog.entry", 2 * all.len()).await;
    sink.behave(Behaviour::Hold);
    poll_until_async("a parcel is held", SOON, async || {
        let _ = sink.take();
        tokio::time::sleep(Duration::from_millis(50)).await;
        sink.received().is_empty().then_some(())
    })
    .await;
    // Killed: nothing settles what is held before the next process reads.
    telling.stop().await;
    drop(killed);
    let process = Process::on(&redis).await;
    let telling = process.start(&redis.url(), STORED).await;
    assert_eq!(ids(&telling.until("redis.slowlog.entry", all.len()).await), all);
    telling.stop().await;
    sink.release(&Outcome::Delivered);
}

#[tokio::test]
async fn a_record_says_who_sent_what_and_how_long_it_took_and_never_a_value() {
    for server in Server::matrix() {
        let redis = server.builder().config("slowlog-log-slower-than 100000").start();
        let process = Process::on(&redis).await;
        let telling = process.start(&redis.url(), STORED).await;
        let mut connection = redis.connection();
        redis::cmd("CLIENT").arg("SETNAME").arg("worker-7").query::<()>(&mut connection).unwrap();
        redis::cmd("DEBUG").arg("SLEEP").arg("0.2").query::<()>(&mut connection).unwrap();
        let told = telling.until("redis.slowlog.entry", 1).await;
        telling.stop().await;
        let [record] = &told[..] else { panic!("{told:?}") };
        assert_eq!(record.get("db.operation.name"), "DEBUG SLEEP");
        assert_eq!(record.get("db.query.text"), "DEBUG SLEEP ?");
        assert_eq!(record.get("redis.client.name"), "worker-7");
        assert_eq!(record.get("client.address"), "127.0.0.1");
        assert!(record.number("client.port") > 1023.0);
        let took = record.number("redis.command.duration");
        assert!((0.2..2.0).contains(&took), "{took}");
        assert!(record.body.starts_with("DEBUG SLEEP ? took 2"), "{}", record.body);
        assert_eq!(record.severity, "WARN");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!(now.abs_diff(record.time / 1_000_000_000) < 60);
        assert_eq!(record.resource["server.port"], redis.port().to_string());
        assert_eq!(record.resource["redis.role"], "primary");
    }
}

#[tokio::test]
async fn no_value_of_a_command_reaches_the_pipeline_and_no_key_when_keys_are_hashed() {
    let redis = loquacious(&Server::find("redis-7.0").unwrap());
    let process = Process::on(&redis).await;
    let telling = process.start(&redis.url(), "logs: {storage: disk, keys: hashed}\n").await;
    for command in [
        "SET sesame:1 hunter2",
        "MSET sesame:1 hunter2 sesame:2 hunter2",
        "HSET sesame:h hunter2 hunter2",
        "XADD sesame:x * hunter2 hunter2",
        "EVAL return{'hunter2'} 1 sesame:1 hunter2",
        "CONFIG SET masterauth hunter2",
    ] {
        let _ = redis.run::<redis::Value>(command);
    }
    let told = telling.until("redis.slowlog.entry", 1).await;
    assert!(!told.is_empty());
    poll_until_async("the last", SOON, async || {
        telling.records().iter().any(|record| record.body.contains("CONFIG SET")).then_some(())
    })
    .await;
    let all = telling.sink.received().iter().flat_map(|batch| batch.parts.concat()).collect::<Vec<u8>>();
    let text = String::from_utf8_lossy(&all);
    assert!(!text.contains("hunter2") && !text.contains("sesame"), "{text}");
    let prints: Vec<_> = telling
        .records()
        .iter()
        .filter(|record| record.get("db.query.summary") == "SET key ?")
        .map(|record| record.get("redis.command.fingerprint").to_owned())
        .collect();
    assert!(prints.iter().all(|print| print.len() == 16 && *print == prints[0]), "{prints:?}");
    telling.stop().await;
}

#[tokio::test]
async fn large_requests_and_replies_of_valkey_are_told_with_their_size() {
    for server in Server::matrix().iter().filter(|server| server.is_valkey()) {
        let redis = server
            .builder()
            .config("commandlog-request-larger-than 2000")
            .config("commandlog-reply-larger-than 2000")
            .start();
        redis.run::<()>(&format!("SET big {}", "v".repeat(5000)));
        redis.run::<String>("GET big");
        let process = Process::on(&redis).await;
        let telling = process.start(&redis.url(), STORED).await;
        let request = telling.until("redis.commandlog.large_request", 1).await;
        let reply = telling.until("redis.commandlog.large_reply", 1).await;
        telling.stop().await;
        assert_eq!(request[0].get("db.query.text"), "SET big ?", "{}", server.name);
        assert_eq!(reply[0].get("db.query.text"), "GET big", "{}", server.name);
        for size in [&request[0], &reply[0]].map(|record| record.number("redis.command.size")) {
            assert!((5000.0..6000.0).contains(&size), "{size}");
        }
    }
}

/// Calls and microseconds of a command since CONFIG RESETSTAT; before 7.0 those of all its subcommands.
fn spent(redis: &Redis, command: &str) -> (u64, u64) {
    let short = command.split('|').next().unwrap();
    let line = redis.info(&format!("cmdstat_{command}")).or_else(|| redis.info(&format!("cmdstat_{short}")));
    let line = line.unwrap_or_default();
    let member = |name: &str| {
        let text = line.split(',').find_map(|pair| pair.strip_prefix(name));
        text.map_or(0, |text| text.parse().unwrap())
    };
    (member("calls="), member("usec="))
}

#[tokio::test]
async fn a_round_in_which_nothing_happens_asks_for_little() {
    for server in Server::matrix() {
        let redis = server.start();
        let process = Process::on(&redis).await;
        let telling = process.start(&redis.url(), STORED).await;
        let what = format!("rounds on {}", server.name);
        poll_until_async(&what, SOON, async || (spent(&redis, "latency|latest").0 >= 3).then_some(())).await;
        redis.run::<()>("CONFIG RESETSTAT");
        let rounds = poll_until_async("rounds", SOON, async || {
            Some(spent(&redis, "latency|latest").0).filter(|rounds| *rounds >= 20)
        })
        .await;
        telling.stop().await;
        let calls = |command| spent(&redis, command).0;
        // A round may have been under way at either end. Settings are read once more: how often they were set is forgotten.
        // A server whose INFO counts slow commands is not asked for them.
        let most = if redis.info("slowlog_commands_count").is_some() { 1 } else { rounds + 2 };
        assert!(calls("slowlog|get") <= most, "{}", server.name);
        assert!(calls("latency|latest") <= rounds + 2, "{}", server.name);
        let settings = streamgauge_redis::SAFE_SETTINGS.len() as u64;
        assert!(calls("config|get") <= settings + 1, "{}: {}", server.name, calls("config|get"));
        assert!(calls("acl|log") <= 1, "{}", server.name);
        // Before 7.0 what we and this test say of ourselves counts with it.
        let clients = if server.version() >= (7, 0) { calls("client|list") } else { 0 };
        assert!(clients <= 3, "{}: {clients}", server.name);
        if server.is_valkey() {
            assert!(calls("commandlog|get") <= 2 * (rounds + 2), "{}", server.name);
        }
        let own = ["info", "slowlog|get", "latency|latest", "commandlog|get"];
        let time: u64 = own.into_iter().map(|command| spent(&redis, command).1).sum();
        // Of INFO most is this test's own.
        assert!(time / rounds < 1_000, "{}: {time} us in {rounds} rounds", server.name);
    }
}
