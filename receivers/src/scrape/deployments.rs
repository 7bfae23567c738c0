//! Both receivers over whole deployments, while these change: no gap longer than two rounds, nothing twice, and no counter
//! goes backwards without a reset.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use streamgauge_harness::{Cluster, Redis, SentinelSet, Server};
use tokio::time::Instant;

use super::testing::{Point, Running};
use crate::{redis, redis_stream_metrics};

const EVERY: &str =
    "collection_interval: 100ms\ninitial_delay: 0s\nrefresh_interval: 1s\nmax_server_time: unlimited\n";

/// Everything that both receivers have told.
struct Book {
    info: Running,
    streams: Running,
    info_rounds: Vec<Vec<Point>>,
    stream_rounds: Vec<Vec<Point>>,
}

impl Book {
    async fn open(seed: &str) -> Book {
        // On a busy machine a round may be late; it is then told late, and no gap is made of it.
        let limit = if seed.contains("timeout:") { "" } else { "timeout: 5s\n" };
        let streams = format!("endpoint: {seed}\n{EVERY}{limit}");
        let info = streams.replace("refresh_interval: 1s\n", "");
        Book {
            info: Running::start(&redis::FACTORY, &info).await,
            streams: Running::start(&redis_stream_metrics::FACTORY, &streams).await,
            info_rounds: Vec::new(),
            stream_rounds: Vec::new(),
        }
    }

    fn look(&mut self) {
        self.info_rounds.extend(self.info.rounds());
        self.stream_rounds.extend(self.streams.rounds());
    }

    /// Looks on for some rounds; gives the numbers of the first round of both.
    async fn go_on(&mut self, rounds: usize) -> (usize, usize) {
        self.look();
        let at = (self.info_rounds.len(), self.stream_rounds.len());
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.info_rounds.len() < at.0 + rounds || self.stream_rounds.len() < at.1 + rounds {
            assert!(Instant::now() < deadline, "the rounds go on");
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.look();
        }
        at
    }

    async fn until(&mut self, what: &str, wanted: impl Fn(&Book) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !wanted(self) {
            assert!(
                Instant::now() < deadline,
                "{what}: {:?} {:?}",
                self.nodes(),
                self.lengths(self.stream_rounds.len() - 1)
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.look();
        }
    }

    /// Streams and lengths in one round.
    fn lengths(&self, round: usize) -> BTreeMap<String, f64> {
        let mut lengths = BTreeMap::new();
        for point in &self.stream_rounds[round] {
            if let (true, Some(value)) = (point.name == "redis.stream.length", point.value) {
                let before = lengths.insert(point.attribute("stream").to_owned(), value);
                assert_eq!(before, None, "{} is told twice in a round", point.attribute("stream"));
            }
        }
        lengths
    }

    /// Port, role and whether it is up, in the last round.
    fn nodes(&self) -> BTreeSet<(u16, String, bool)> {
        let mut nodes = BTreeSet::new();
        for point in self.info_rounds.last().into_iter().flatten().filter(|p| p.name == "redis.up") {
            if let Some(up) = point.value {
                let role = point.resource.get("redis.role").cloned().unwrap_or_default();
                let new = nodes.insert((point.resource["server.port"].parse().unwrap(), role, up == 1.0));
                assert!(new, "a node is told twice in a round");
            }
        }
        nodes
    }

    fn roles(&self, role: &str) -> BTreeSet<u16> {
        self.nodes().into_iter().filter(|(_, r, up)| r == role && *up).map(|(port, ..)| port).collect()
    }

    /// From this round on, no stream is missing in three rounds in a row.
    fn no_gap(&self, from: usize, streams: usize, what: &str) {
        let mut missing: HashMap<String, usize> = HashMap::new();
        for round in from..self.stream_rounds.len() {
            let lengths = self.lengths(round);
            for n in 0..streams {
                let name = format!("s{n}");
                let gap = missing.entry(name.clone()).or_default();
                *gap = if lengths.contains_key(&name) { 0 } else { *gap + 1 };
                assert!(*gap <= 2, "{what}: {name} is missing in {gap} rounds before {round} (from {from})");
            }
        }
    }

    /// In all rounds: each series has one point, and a counter that falls has a later start.
    fn is_sound(&self) {
        for rounds in [&self.info_rounds, &self.stream_rounds] {
            let mut last: HashMap<String, (f64, u64)> = HashMap::new();
            for round in rounds {
                let mut seen = BTreeSet::new();
                for point in round {
                    let series = format!("{} {:?} {:?}", point.name, point.attributes, point.resource);
                    assert!(seen.insert(series.clone()), "twice in a round: {series}");
                    // A counter is of the server, whatever it is called in a round.
                    let mut resource = point.resource.clone();
                    resource.retain(|key, _| ["server.address", "server.port"].contains(&key.as_str()));
                    let server = format!("{} {:?} {resource:?}", point.name, point.attributes);
                    if let (Some(value), "counter") = (point.value, point.kind) {
                        if let Some((before, start)) = last.get(&server) {
                            assert!(
                                value >= *before || point.start > *start,
                                "{server} fell from {before} to {value}"
                            );
                        }
                        last.insert(server, (value, point.start));
                    }
                }
            }
        }
    }

    async fn close(mut self) {
        self.look();
        self.is_sound();
        self.info.stop().await;
        self.streams.stop().await;
    }
}

/// Where the topology is told in different ways; all of the matrix are tried in `core/redis`.
fn servers() -> impl Iterator<Item = Server> {
    ["redis-7.0", "redis-8", "valkey-9.1"].into_iter().filter_map(Server::find)
}

fn ports<'a>(servers: impl IntoIterator<Item = &'a Redis>) -> BTreeSet<u16> {
    servers.into_iter().map(Redis::port).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_watched_whole_while_a_slot_moves_a_primary_steps_down_and_another_is_lost() {
    const STREAMS: usize = 30;
    for server in servers() {
        let mut cluster = Cluster::start(&server);
        for n in 0..STREAMS {
            let owner = cluster.owner(&format!("s{n}"));
            cluster.nodes[owner].fill(&format!("s{n}"), 10);
            cluster.nodes[owner].run::<()>(&format!("XGROUP CREATE s{n} g 0"));
        }
        // By a name that no node calls itself by.
        let mut book = Book::open(&format!("localhost:{}", cluster.nodes[0].port())).await;
        book.until("all is there", |book| {
            book.stream_rounds
                .last()
                .is_some_and(|_| book.lengths(book.stream_rounds.len() - 1).len() == STREAMS)
                && book.roles("primary").len() == 3
                && book.roles("replica").len() == 3
        })
        .await;
        assert_eq!(book.roles("primary"), ports(&cluster.nodes[..3]), "{}", server.name);
        let shards: BTreeSet<_> =
            book.info_rounds.last().unwrap().iter().map(|p| p.resource["redis.shard"].clone()).collect();
        assert_eq!(shards.len(), 3);
        let (_, from) = book.go_on(5).await;
        book.no_gap(from, STREAMS, "at rest");

        let (slot, source) = (cluster.slot("s0"), cluster.owner("s0"));
        let target = (source + 1) % 3;
        cluster.begin_migration(slot, source, target);
        book.go_on(5).await;
        cluster.move_keys(slot, source, target);
        book.go_on(5).await;
        cluster.end_migration(slot, target);
        book.go_on(10).await;
        book.no_gap(from, STREAMS, "while a slot moves");

        let heir = target + 3;
        assert_eq!(cluster.nodes[heir].cli(&["cluster", "failover"]), "OK");
        cluster
            .wait("the heir is primary", |_| cluster.nodes[heir].info("role").as_deref() == Some("master"));
        book.go_on(10).await;
        book.no_gap(from, STREAMS, "while a primary steps down");
        book.until("the heir is told as a primary", |book| {
            book.roles("primary").contains(&cluster.nodes[heir].port())
        })
        .await;

        // Its replica is promoted; from then on nothing is missing.
        cluster.kill(source);
        let (_, from) = book.go_on(15).await;
        book.no_gap(from, STREAMS, "after a node was lost");
        let lost = cluster.nodes[source].port();
        book.until("six nodes, and the lost one alone is down", |book| {
            let nodes = book.nodes();
            nodes.len() == 6 && nodes.iter().all(|(port, _, up)| *up == (*port != lost))
        })
        .await;

        cluster.nodes[source].start_again();
        book.until("it has come back as a replica", |book| book.roles("replica").contains(&lost)).await;
        book.go_on(5).await;
        book.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_set_is_watched_whole_through_a_real_failover() {
    for server in servers() {
        let mut set = SentinelSet::start(&server);
        for n in 0..5 {
            set.servers[0].fill(&format!("s{n}"), 10);
        }
        set.servers[0].run::<i64>("WAIT 2 5000");
        let mut book = Book::open(&format!("localhost:{}", set.sentinels[0].port())).await;
        book.until("all is there", |book| {
            book.stream_rounds.last().is_some_and(|_| book.lengths(book.stream_rounds.len() - 1).len() == 5)
                && book.roles("sentinel") == ports(&set.sentinels)
                && book.roles("primary") == ports(&set.servers[..1])
                && book.roles("replica") == ports(&set.servers[1..])
        })
        .await;
        let (_, from) = book.go_on(5).await;
        book.no_gap(from, 5, "at rest");
        set.fail_over();
        let (_, from) = book.go_on(10).await;
        book.no_gap(from, 5, server.name);
        // On a busy machine one failover may follow another.
        book.until("the new master is the primary", |book| {
            book.roles("primary") == ports([&set.servers[set.master()]])
        })
        .await;

        set.servers[0].start_again();
        book.until("the old master has come back as a replica", |book| {
            book.roles("replica").contains(&set.servers[0].port())
        })
        .await;
        book.no_gap(from, 5, server.name);
        let (_, from) = book.go_on(5).await;
        set.sentinels[0].stop();
        book.go_on(10).await;
        book.no_gap(from, 5, "without the sentinel that was the seed");
        book.until("all six are told", |book| book.nodes().len() == 6).await;
        book.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_replica_is_followed_without_anybody_who_tells() {
    let mut master = Redis::start();
    master.fill("s0", 10);
    let follow = format!("replicaof 127.0.0.1 {}", master.port());
    let replica = Redis::builder().config(&follow).config("repl-diskless-sync-delay 0").start();
    master.run::<i64>("WAIT 1 5000");
    let mut book = Book::open(&master.addr()).await;
    book.until("both are there", |book| book.roles("replica") == ports([&replica])).await;
    master.stop();
    replica.cli(&["replicaof", "no", "one"]);
    book.look();
    let from = book.stream_rounds.len();
    book.until("the promoted one is the primary", |book| book.roles("primary") == ports([&replica])).await;
    book.go_on(10).await;
    book.no_gap(from, 1, "after a promotion by hand");
    book.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hangs_costs_the_others_no_rounds() {
    let master = Redis::start();
    master.fill("s0", 10);
    let follow = format!("replicaof 127.0.0.1 {}", master.port());
    let replica = Redis::builder().config(&follow).config("repl-diskless-sync-delay 0").start();
    let mut book = Book::open(&format!("{}\ntimeout: 100ms", master.addr())).await;
    book.until("both are there", |book| book.roles("replica") == ports([&replica])).await;
    replica.freeze();
    book.until("the replica is down", |book| book.nodes().iter().any(|(_, _, up)| !up)).await;
    let begin = Instant::now();
    let (info, streams) = book.go_on(10).await;
    // A round in a hundred milliseconds, and much room for a busy machine.
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    book.no_gap(streams, 1, "beside a node that hangs");
    let up = |round: &Vec<Point>| round.iter().any(|p| p.name == "redis.up" && p.value == Some(1.0));
    assert!(book.info_rounds[info..].iter().all(up));
    replica.thaw();
    book.until("it is back", |book| book.roles("replica") == ports([&replica])).await;
    book.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_and_servers_have_passwords_of_their_own_and_masters_are_chosen_by_name() {
    let (wanted, other) =
        (Redis::builder().password("data").start(), Redis::builder().password("data").start());
    wanted.run::<String>("XADD s0 * f v");
    let watch = |name: &str, server: &Redis| format!("sentinel monitor {name} 127.0.0.1 {} 1", server.port());
    let sentinel = Redis::builder()
        .sentinel()
        .password("watch")
        .config(&watch("wanted", &wanted))
        .config("sentinel auth-pass wanted data")
        .config(&watch("other", &other))
        .config("sentinel auth-pass other data")
        .start();
    let seed =
        format!("{}\npassword: data\nsentinel: {{password: watch, masters: [wanted]}}", sentinel.addr());
    let mut book = Book::open(&seed).await;
    book.until("both are there", |book| {
        book.roles("sentinel") == ports([&sentinel]) && book.roles("primary") == ports([&wanted])
    })
    .await;
    let (_, from) = book.go_on(3).await;
    book.no_gap(from, 1, "at rest");
    book.close().await;
}

#[tokio::test]
async fn one_server_alone_is_watched_where_that_is_wanted() {
    let master = Redis::start();
    let follow = format!("replicaof 127.0.0.1 {}", master.port());
    let _replica = Redis::builder().config(&follow).start();
    let yaml = format!(
        "endpoint: {}\ncollection_interval: 50ms\ninitial_delay: 0s\ntopology: single",
        master.addr()
    );
    let receiver = Running::start(&redis::FACTORY, &yaml).await;
    for _ in 0..5 {
        let points = receiver.next().await;
        assert!(points.iter().all(|point| point.resource["server.port"] == master.port().to_string()));
    }
    receiver.stop().await;
}

/// Both receivers end ten more rounds, each within its timeout and all within three: whoever was waited for in vain is not
/// waited for again in each round. Points are no measure: without a primary there are none of streams.
async fn ends_rounds(book: &Book, timeout: Duration, what: &str) {
    let begin = Instant::now();
    let ended = || [book.info.ended(), book.streams.ended()];
    let (first, mut last) = (ended(), ended().map(|ended| (ended, begin)));
    while ended().iter().zip(first).any(|(now, first)| *now < first + 10) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        for ((before, at), now) in last.iter_mut().zip(ended()) {
            if now > *before {
                (*before, *at) = (now, Instant::now());
            }
            // Half a timeout for a busy machine.
            assert!(at.elapsed() < timeout.mul_f64(1.5), "{what}: a round lasts for {:?}", at.elapsed());
        }
        assert!(begin.elapsed() < 3 * timeout, "{what}: {first:?} to {:?} rounds", ended());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_never_answers_holds_no_round_beyond_its_timeout_and_not_each_of_them() {
    let timeout = Duration::from_secs(4);
    let seed = |address: &str| format!("{address}\ntimeout: 4s");

    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let book = Book::open(&seed(&silent.local_addr().unwrap().to_string())).await;
    ends_rounds(&book, timeout, "whoever listens has never answered").await;
    book.close().await;

    let server = Redis::start();
    server.fill("s0", 10);
    let mut book = Book::open(&seed(&server.addr())).await;
    book.until("it is there", |book| book.roles("primary") == ports([&server])).await;
    server.freeze();
    ends_rounds(&book, timeout, "the only server hangs").await;
    server.thaw();
    book.until("it is back", |book| book.roles("primary") == ports([&server])).await;
    book.close().await;

    let set = SentinelSet::start(&Server::find("redis-7.0").unwrap());
    let mut book = Book::open(&seed(&set.sentinels[0].addr())).await;
    book.until("all six are told", |book| book.nodes().len() == 6).await;
    set.servers[0].freeze();
    ends_rounds(&book, timeout, "the master of a sentinel set hangs").await;
    let new = set.wait_for_new_master(0);
    book.until("the new master is the primary", |book| book.roles("primary") == ports([&set.servers[new]]))
        .await;
    ends_rounds(&book, timeout, "the old master hangs").await;
    book.close().await;
}
