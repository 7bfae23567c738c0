//! Several servers that belong together: a Sentinel set, a Cluster.

use std::time::Duration;

use crate::{Redis, Server, poll_until};

const SOON: Duration = Duration::from_secs(20);

/// A master, two replicas and three sentinels that agree on them.
pub struct SentinelSet {
    /// The three data servers; the first was the first master.
    pub servers: Vec<Redis>,
    /// The sentinels.
    pub sentinels: Vec<Redis>,
}

impl SentinelSet {
    /// The name under which the sentinels know the master.
    pub const MASTER: &str = "main";

    /// Starts everything and waits until every sentinel knows all others and both replicas. A dead master is replaced
    /// after half a second, by the last sentinel with the votes of the others: two that find it dead at once may promote
    /// one replica each, and then two masters take writes.
    pub fn start(server: &Server) -> SentinelSet {
        let master = server.start();
        let follow = format!("replicaof 127.0.0.1 {}", master.port());
        let replica = || server.builder().config(&follow).config("repl-diskless-sync-delay 0").start();
        let servers = vec![master, replica(), replica()];
        let name = SentinelSet::MASTER;
        let sentinel = |quorum: u32| {
            server
                .builder()
                .sentinel()
                .config(&format!("sentinel monitor {name} 127.0.0.1 {} {quorum}", servers[0].port()))
                .config(&format!("sentinel down-after-milliseconds {name} 500"))
                .config(&format!("sentinel failover-timeout {name} 3000"))
                .start()
        };
        // A quorum of four is never there: those vote, and do not begin.
        let sentinels = vec![sentinel(4), sentinel(4), sentinel(2)];
        let set = SentinelSet { servers, sentinels };
        poll_until("the sentinels know each other and the replicas", SOON, || {
            let all = set.sentinels.iter().all(|sentinel| {
                let text = sentinel.cli(&["info", "sentinel"]);
                text.contains("status=ok") && text.contains("slaves=2,sentinels=3")
            });
            all.then_some(())
        });
        poll_until("the replicas are in step", SOON, || {
            let up = |server: &Redis| server.info("master_link_status").as_deref() == Some("up");
            set.servers[1..].iter().all(up).then_some(())
        });
        set
    }

    /// The number of the server that the sentinels call master.
    pub fn master(&self) -> usize {
        let found = self.sentinels.iter().find_map(|sentinel| {
            let text = sentinel.cli(&["sentinel", "get-master-addr-by-name", SentinelSet::MASTER]);
            let port: u16 = text.lines().nth(1)?.parse().ok()?;
            self.servers.iter().position(|server| server.port() == port)
        });
        found.expect("a sentinel that knows the master")
    }

    /// Kills the master and waits until another server has taken its place; gives its number.
    pub fn fail_over(&mut self) -> usize {
        let old = self.master();
        self.servers[old].stop();
        self.wait_for_new_master(old)
    }

    /// Waits until another server than `old` is master, by the sentinels' word and its own.
    pub fn wait_for_new_master(&self, old: usize) -> usize {
        poll_until("another server is master", SOON, || {
            let new = self.master();
            let promoted = new != old && self.servers[new].info("role").as_deref() == Some("master");
            promoted.then_some(new)
        })
    }
}

/// Three masters, each with a replica: node `n + 3` follows node `n`.
pub struct Cluster {
    /// The nodes; the first three were the first masters.
    pub nodes: Vec<Redis>,
}

/// Slots of a cluster.
const SLOTS: usize = 16384;

impl Cluster {
    /// Starts the nodes, lets them meet and waits until each says that the cluster is well. A dead master is replaced
    /// after a second.
    pub fn start(server: &Server) -> Cluster {
        let node = || {
            server
                .builder()
                .cluster()
                .config("cluster-node-timeout 1000")
                .config("cluster-announce-ip 127.0.0.1")
                .config("repl-diskless-sync-delay 0")
                .start()
        };
        let cluster = Cluster { nodes: (0..6).map(|_| node()).collect() };
        for (n, node) in cluster.nodes.iter().enumerate() {
            let epoch = (n + 1).to_string();
            assert_eq!(node.cli(&["cluster", "set-config-epoch", &epoch]), "OK");
            let slots: Vec<_> = match n {
                0..3 => (n * SLOTS / 3..(n + 1) * SLOTS / 3).map(|slot| slot.to_string()).collect(),
                _ => continue,
            };
            let mut command = vec!["cluster", "addslots"];
            command.extend(slots.iter().map(String::as_str));
            assert_eq!(node.cli(&command), "OK");
        }
        let first = cluster.nodes[0].port().to_string();
        for node in &cluster.nodes[1..] {
            assert_eq!(node.cli(&["cluster", "meet", "127.0.0.1", &first]), "OK");
        }
        cluster
            .wait("all nodes know each other", |node| node.cli(&["cluster", "nodes"]).lines().count() == 6);
        for n in 3..6 {
            let master = cluster.id(n - 3);
            poll_until("a replica takes its master", SOON, || {
                (cluster.nodes[n].cli(&["cluster", "replicate", &master]) == "OK").then_some(())
            });
        }
        cluster.wait("the cluster is well", |node| {
            let nodes = node.cli(&["cluster", "nodes"]);
            node.cli(&["cluster", "info"]).contains("cluster_state:ok") && nodes.matches("slave").count() == 3
        });
        cluster.wait("the replicas are in step", |node| {
            node.info("role").as_deref() == Some("master")
                || node.info("master_link_status").as_deref() == Some("up")
        });
        cluster
    }

    /// Waits until every node that runs is as wanted.
    #[track_caller]
    pub fn wait(&self, what: &str, wanted: impl Fn(&Redis) -> bool) {
        poll_until(what, SOON, || self.nodes.iter().filter(|n| n.is_running()).all(&wanted).then_some(()));
    }

    /// A node's id.
    pub fn id(&self, node: usize) -> String {
        self.nodes[node].cli(&["cluster", "myid"])
    }

    /// The slot of a key.
    pub fn slot(&self, key: &str) -> u16 {
        self.any().cli(&["cluster", "keyslot", key]).parse().expect("a slot")
    }

    /// The number of the node that serves the key's slot now.
    pub fn owner(&self, key: &str) -> usize {
        let slot = self.slot(key);
        let serves = |node: &Redis| {
            node.is_running()
                && node
                    .cli(&["cluster", "nodes"])
                    .lines()
                    .any(|line| line.contains("myself,master") && owns(line, slot))
        };
        poll_until("a node serves the slot", SOON, || self.nodes.iter().position(serves))
    }

    fn any(&self) -> &Redis {
        self.nodes.iter().find(|node| node.is_running()).expect("a node that runs")
    }

    /// Adds entries to a stream, wherever it lives.
    pub fn fill(&self, stream: &str, count: usize) {
        self.nodes[self.owner(stream)].fill(stream, count);
    }

    /// Begins to move a slot: keys that are gone from the old node are answered with ASK.
    pub fn begin_migration(&self, slot: u16, from: usize, to: usize) {
        let (slot, source, target) = (slot.to_string(), self.id(from), self.id(to));
        assert_eq!(self.nodes[to].cli(&["cluster", "setslot", &slot, "importing", &source]), "OK");
        assert_eq!(self.nodes[from].cli(&["cluster", "setslot", &slot, "migrating", &target]), "OK");
    }

    /// Moves the keys of a slot.
    pub fn move_keys(&self, slot: u16, from: usize, to: usize) {
        let keys = self.nodes[from].cli(&["cluster", "getkeysinslot", &slot.to_string(), "1000"]);
        let port = self.nodes[to].port().to_string();
        for key in keys.lines().filter(|key| !key.is_empty()) {
            let moved = self.nodes[from].cli(&["migrate", "127.0.0.1", &port, key, "0", "5000"]);
            // One that has expired meanwhile is not there any more.
            assert!(["OK", "NOKEY"].contains(&&*moved), "{key}: {moved}");
        }
    }

    /// Gives the slot to its new node, and waits until all know.
    pub fn end_migration(&self, slot: u16, to: usize) {
        let (id, text) = (self.id(to), slot.to_string());
        for n in [to, 0, 1, 2] {
            self.nodes[n].cli(&["cluster", "setslot", &text, "node", &id]);
        }
        self.wait("all nodes know the slot's new owner", |node| {
            let nodes = node.cli(&["cluster", "nodes"]);
            nodes.lines().any(|line| line.starts_with(&id) && owns(line, slot))
        });
    }

    /// Kills a node. When it is a master, waits until its replica has taken its place.
    pub fn kill(&mut self, node: usize) {
        let id = self.id(node);
        let was_master = self.nodes[node].info("role").as_deref() == Some("master");
        self.nodes[node].stop();
        if was_master {
            self.wait("a replica has taken the dead master's place", |other| {
                let nodes = other.cli(&["cluster", "nodes"]);
                let lost = nodes.lines().any(|line| line.starts_with(&id) && line.contains("master,fail "));
                lost && other.cli(&["cluster", "info"]).contains("cluster_state:ok")
            });
        }
    }
}

/// Whether a line of CLUSTER NODES owns the slot.
fn owns(line: &str, slot: u16) -> bool {
    line.split_whitespace().skip(8).filter(|range| !range.starts_with('[')).any(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.parse::<u16>().expect("a slot");
        (number(first)..=number(last)).contains(&slot)
    })
}
