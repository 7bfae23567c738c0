//! Consumers of a stream that die, servers that fall, keys that go.

use std::time::{Duration, Instant};

use streamgauge_harness::{Cluster, Fault, Publisher, Redis, Reply, SentinelSet, Server, Wire, poll_until};

use crate::rig::SOON;
use crate::row::Row;
use crate::scenarios::Run;
use crate::stream_rig::{DEAD_LETTER, IN_FLIGHT, STREAM, StreamRig};

pub const ALL: &[(&str, Run)] = &[
    ("kill -9 mid-batch, 5 times", killed),
    ("kill -9 between export and XACK", killed_before_the_acknowledgement),
    ("SIGTERM under load, 3 times", terminated),
    ("rolling restart of three replicas under load", rolling_restart),
    ("kill -9 of one of three replicas: the others finish its entries", replica_killed),
    ("a reload under load, 3 times", reloaded),
    ("the sink is down for longer than every retry", sink_down),
    ("one poison in 1,000", poison),
    ("CLIENT KILL of every connection, 10 times", clients_killed),
    ("Redis restarts, AOF everysec", || restarted(&["appendonly yes", "appendfsync everysec"])),
    ("Redis restarts without persistence", || restarted(&[])),
    ("Redis hangs for a while", hangs),
    ("a proxy before Redis stalls both ways and closes nothing", stalls),
    ("the same before one of two replicas: the other finishes its entries", one_stalls),
    ("Redis is out of memory for a while", out_of_memory),
    ("DEL of the key", || taken_away("DEL s")),
    ("XGROUP DESTROY", || taken_away("XGROUP DESTROY s g")),
    ("XTRIM past the group", || taken_away("XTRIM s MAXLEN 5")),
    ("a replica is promoted by the sentinels", failed_over),
    (
        "kill -9 between a dead letter in another slot and its XACK: two letters",
        killed_between_letter_and_acknowledgement,
    ),
    ("a Cluster's slot moves, and its master dies", cluster),
];

fn killed() -> Option<Row> {
    let (rig, redis) = (StreamRig::new(), Redis::start());
    rig.load(&Publisher::to([&redis]), || {
        for round in 0..5 {
            let consumer = rig.start(&redis.addr(), "one");
            rig.delivers();
            std::thread::sleep(Duration::from_millis(37 * round)); // the moment is what the test is about
            consumer.kill();
        }
    });
    let consumer = rig.start(&redis.addr(), "one");
    let row = rig.ends(&redis, 5 * IN_FLIGHT);
    consumer.terminate();
    Some(row)
}

fn killed_before_the_acknowledgement() -> Option<Row> {
    let (mut rig, redis) = (StreamRig::new(), Redis::start());
    // Nothing is acknowledged before the process dies.
    rig.ack = "interval: 1h, batch: 1000000";
    rig.load(&Publisher::to([&redis]), || rig.takes(500));
    let consumer = rig.start(&redis.addr(), "one");
    poll_until("as much is delivered as may be on its way", SOON, || {
        (rig.ledger.missing_numbers(&rig.sink).len() == rig.ledger.acked() - IN_FLIGHT).then_some(())
    });
    consumer.kill();
    rig.ack = "interval: 20ms";
    let consumer = rig.start(&redis.addr(), "one");
    let row = rig.ends(&redis, IN_FLIGHT);
    consumer.terminate();
    Some(row)
}

fn terminated() -> Option<Row> {
    let (rig, redis) = (StreamRig::new(), Redis::start());
    rig.load(&Publisher::to([&redis]), || {
        for _ in 0..3 {
            let consumer = rig.start(&redis.addr(), "one");
            rig.delivers();
            rig.takes(200);
            consumer.terminate();
        }
    });
    let consumer = rig.start(&redis.addr(), "one");
    let row = rig.ends(&redis, 0);
    consumer.terminate();
    Some(row)
}

fn rolling_restart() -> Option<Row> {
    let (rig, redis) = (StreamRig::new(), Redis::start());
    rig.load(&Publisher::to([&redis]), || {
        let mut replicas: Vec<_> = ["a", "b", "c"].map(|name| (name, rig.start(&redis.addr(), name))).into();
        for _ in 0..3 {
            let (name, oldest) = replicas.remove(0);
            rig.takes(200);
            oldest.terminate();
            replicas.push((name, rig.start(&redis.addr(), name)));
        }
        rig.takes(200);
        replicas.into_iter().for_each(|(_, replica)| replica.terminate());
    });
    let consumer = rig.start(&redis.addr(), "one");
    let row = rig.ends(&redis, 0);
    consumer.terminate();
    Some(row)
}

fn replica_killed() -> Option<Row> {
    let (rig, redis) = (StreamRig::new(), Redis::start());
    let mut left = Vec::new();
    rig.load(&Publisher::to([&redis]), || {
        let victim = rig.start(&redis.addr(), "victim");
        left.extend(["a", "b"].map(|name| rig.start(&redis.addr(), name)));
        rig.delivers();
        rig.takes(500);
        victim.kill();
        rig.takes(500);
    });
    let row = rig.ends(&redis, IN_FLIGHT);
    left.into_iter().for_each(|replica| replica.terminate());
    Some(row)
}

fn reloaded() -> Option<Row> {
    let (rig, redis) = (StreamRig::new(), Redis::start());
    let consumer = rig.start(&redis.addr(), "one");
    rig.load(&Publisher::to([&redis]), || {
        for round in 0..3 {
            rig.takes(200);
            consumer.reload("count: 50", &format!("count: {}", 40 + round));
            rig.takes(200);
        }
    });
    let row = rig.ends(&redis, 0);
    consumer.terminate();
    Some(row)
}

/// Its connections are reset; each offer runs out of retries, again and again.
fn sink_down() -> Option<Row> {
    let (rig, redis) = (StreamRig::new(), Redis::start());
    let mut consumer = rig.start(&redis.addr(), "one");
    rig.load(&Publisher::to([&redis]), || {
        rig.delivers();
        rig.wire.set(Some(Fault::Reset));
        consumer.collector.wait_for_log("no more retries left", SOON);
        std::thread::sleep(Duration::from_secs(4)); // as long as eight offers with all their retries
        rig.takes(100);
    });
    rig.wire.set(None);
    let row = rig.ends(&redis, IN_FLIGHT);
    assert_eq!(redis.run::<i64>(&format!("EXISTS {DEAD_LETTER}")), 0, "a dead sink fills no dead letter");
    consumer.terminate();
    Some(row)
}

fn poison() -> Option<Row> {
    let (rig, redis) = (StreamRig::new(), Redis::start());
    rig.sink.marked("\"500 xxx", Reply::status(400));
    rig.load(&Publisher::to([&redis]), || rig.takes(1000));
    let consumer = rig.start(&redis.addr(), "one");
    let row = rig.ends(&redis, 0);
    assert_eq!((row.missing, redis.run::<i64>(&format!("XLEN {DEAD_LETTER}"))), (1, 1));
    consumer.terminate();
    Some(row)
}

fn clients_killed() -> Option<Row> {
    let (rig, redis) = (StreamRig::new(), Redis::start());
    let consumer = rig.start(&redis.addr(), "one");
    rig.load(&Publisher::to([&redis]), || {
        for _ in 0..10 {
            rig.takes(50);
            redis.run::<i64>("CLIENT KILL TYPE normal SKIPME yes");
        }
    });
    let row = rig.ends(&redis, 10 * IN_FLIGHT);
    consumer.terminate();
    Some(row)
}

fn restarted(config: &[&str]) -> Option<Row> {
    let rig = StreamRig::new();
    let mut redis = config.iter().fold(Redis::builder(), |builder, line| builder.config(line)).start();
    let consumer = rig.start(&redis.addr(), "one");
    let publisher = Publisher::to([&redis]);
    // So that something waits to be lost.
    rig.sink.always(Reply::Stall(Duration::from_millis(100)));
    rig.load(&publisher, || {
        for _ in 0..3 {
            rig.takes(200);
            redis.restart();
        }
        rig.takes(200);
        rig.sink.always(Reply::Ok);
    });
    // With AOF everysec the last second of what was read and acknowledged may be forgotten.
    let row = rig.ends(&redis, 3 * (IN_FLIGHT + 1000));
    consumer.terminate();
    Some(row)
}

fn hangs() -> Option<Row> {
    let (rig, redis) = (StreamRig::new(), Redis::start());
    let consumer = rig.start(&redis.addr(), "one");
    rig.load(&Publisher::to([&redis]), || {
        rig.takes(200);
        redis.freeze();
        std::thread::sleep(Duration::from_secs(7)); // longer than a reader waits
        redis.thaw();
        rig.moves();
        rig.takes(200);
    });
    let row = rig.ends(&redis, IN_FLIGHT);
    consumer.terminate();
    Some(row)
}

/// How long a proxy stalls: longer than a reader waits.
fn stall() -> Duration {
    let is_long = ["CHAOS_SECONDS", "UPDATE"].iter().any(|name| std::env::var_os(name).is_some());
    Duration::from_secs(if is_long { 30 } else { 8 })
}

fn stalls() -> Option<Row> {
    let (rig, redis) = (StreamRig::new(), Redis::start());
    let wire = Wire::to(&redis.addr());
    let mut consumer = rig.start(&wire.addr(), "one");
    rig.load(&Publisher::to([&redis]), || {
        rig.takes(200);
        rig.delivers();
        let until = Instant::now() + stall();
        wire.set(Some(Fault::Stall));
        consumer.collector.wait_for_log("has not answered in time", SOON);
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        wire.set(None);
        rig.moves();
        rig.takes(200);
    });
    assert!(wire.hits() > 2, "each of the receiver's connections, and those that it made meanwhile");
    let row = rig.ends(&redis, IN_FLIGHT);
    consumer.terminate();
    Some(row)
}

fn one_stalls() -> Option<Row> {
    let (rig, redis) = (StreamRig::new(), Redis::start());
    let wire = Wire::to(&redis.addr());
    let behind = rig.start(&wire.addr(), "behind");
    let beside = rig.start(&redis.addr(), "beside");
    rig.load(&Publisher::to([&redis]), || {
        rig.takes(200);
        rig.delivers();
        let until = Instant::now() + stall();
        wire.set(Some(Fault::Stall));
        rig.takes(200);
        poll_until("the other has taken over", SOON, || {
            redis.cli(&["xpending", STREAM, "g", "-", "+", "1", "behind"]).is_empty().then_some(())
        });
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        wire.set(None);
        rig.takes(200);
    });
    let row = rig.ends(&redis, IN_FLIGHT);
    behind.terminate();
    beside.terminate();
    Some(row)
}

fn out_of_memory() -> Option<Row> {
    let (rig, redis) = (StreamRig::new(), Redis::start());
    let consumer = rig.start(&redis.addr(), "one");
    rig.load(&Publisher::to([&redis]), || {
        rig.takes(200);
        redis.run::<()>("CONFIG SET maxmemory 1");
        let refused = rig.ledger.refused();
        poll_until("entries are refused", SOON, || (rig.ledger.refused() > refused + 100).then_some(()));
        redis.run::<()>("CONFIG SET maxmemory 0");
        rig.takes(200);
    });
    let row = rig.ends(&redis, 0);
    consumer.terminate();
    Some(row)
}

/// What is taken away before it was read is gone; nothing else is.
fn taken_away(command: &str) -> Option<Row> {
    let (rig, redis) = (StreamRig::new(), Redis::start());
    let consumer = rig.start(&redis.addr(), "one");
    rig.sink.always(Reply::Stall(Duration::from_millis(50)));
    rig.load(&Publisher::to([&redis]), || {
        for _ in 0..5 {
            rig.takes(300);
            redis.run::<i64>(command);
        }
        rig.takes(200);
        rig.sink.always(Reply::Ok);
    });
    // What is in flight when a group is destroyed is nobody's, and comes once.
    let row = rig.ends(&redis, 0);
    consumer.terminate();
    Some(row)
}

fn failed_over() -> Option<Row> {
    let mut rig = StreamRig::new();
    "    sentinel: {masters: [main]}".clone_into(&mut rig.more);
    let mut set = SentinelSet::start(&Server::find("redis-7.0")?);
    let publisher = Publisher::to(&set.servers);
    let consumer = rig.start(&set.sentinels[0].addr(), "one");
    let mut master = 0;
    rig.load(&publisher, || {
        rig.takes(500);
        rig.delivers();
        master = set.fail_over();
        rig.takes(500);
    });
    // What was acknowledged and not replicated comes again.
    let row = rig.ends(&set.servers[master], 2 * IN_FLIGHT);
    consumer.terminate();
    Some(row)
}

fn cluster() -> Option<Row> {
    let rig = StreamRig::new();
    let mut cluster = Cluster::start(&Server::find("redis-7.0")?);
    let publisher = Publisher::to(&cluster.nodes);
    let consumer = rig.start(&cluster.nodes[0].addr(), "one");
    let (slot, from) = (cluster.slot(STREAM), cluster.owner(STREAM));
    let to = (from + 1) % 3;
    rig.load(&publisher, || {
        rig.takes(300);
        cluster.begin_migration(slot, from, to);
        cluster.move_keys(slot, from, to);
        cluster.end_migration(slot, to);
        rig.takes(300);
        cluster.kill(to);
        rig.takes(300);
    });
    let owner = cluster.owner(STREAM);
    let row = rig.ends(&cluster.nodes[owner], 2 * IN_FLIGHT);
    consumer.terminate();
    Some(row)
}

fn killed_between_letter_and_acknowledgement() -> Option<Row> {
    let mut rig = StreamRig::new();
    let cluster = Cluster::start(&Server::find("redis-7.0")?);
    let owner = cluster.owner(STREAM);
    let elsewhere = (0..).map(|n| format!("dead{n}")).find(|name| cluster.owner(name) != owner).unwrap();
    let (home, away) = (&cluster.nodes[owner], &cluster.nodes[cluster.owner(&elsewhere)]);
    rig.dead_letter.clone_from(&elsewhere);
    rig.load(&Publisher::to(&cluster.nodes), || rig.takes(100));
    let poison = rig.ledger.first_acked().unwrap();
    rig.sink.marked(&format!("\"{poison} xxx"), Reply::status(400));
    home.run::<()>("ACL SETUSER default -xack");
    // Only the letter's own is refused: others would begin everything anew before a busy machine has found the poison.
    let ack = std::mem::replace(&mut rig.ack, "interval: 30s");
    let consumer = rig.start(&home.addr(), "one");
    let letters = || away.run::<i64>(&format!("XLEN {elsewhere}"));
    poll_until("the letter is written", SOON, || (letters() == 1).then_some(()));
    consumer.kill();
    rig.ack = ack;
    home.run::<()>("ACL SETUSER default +xack");
    let consumer = rig.start(&home.addr(), "one");
    poll_until("it is written again", SOON, || (letters() == 2).then_some(()));
    let row = rig.ends_with(home, away, IN_FLIGHT);
    assert_eq!((row.missing, letters()), (1, 2));
    consumer.terminate();
    Some(row)
}
