//! From one address to all nodes that belong together.
//!
//! - `members`: what CLUSTER SHARDS, CLUSTER NODES, SENTINEL and INFO replication say, in one form.
//! - `discover`: asks one node, or follows replication from node to node.
//! - `events`: what a sentinel publishes, so that a failover is known when it happens.
//!
//! A node is known by its address; when two addresses are one process (`localhost` and `127.0.0.1`, a name and what it
//! stands for), the one that was there first stays: nothing is watched twice.

mod discover;
mod events;
mod members;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::endpoint::{Address, Target};
use crate::error::Unreachable;
use crate::monitor::Monitor;
use events::Events;
pub use events::SENTINEL_CHANNELS;
use members::Member;
pub use members::slot;

/// Opens the connection to a node, or gives the one that is shared already.
pub type Connect = Arc<dyn Fn(Target) -> Arc<Monitor> + Send + Sync>;

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Takes writes.
    Primary,
    /// Follows a primary.
    Replica,
    /// Watches primaries.
    Sentinel,
}

impl Role {
    /// The word for attributes.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Primary => "primary",
            Role::Replica => "replica",
            Role::Sentinel => "sentinel",
        }
    }
}

/// One node of a deployment, as it is now.
#[derive(Clone, Debug)]
pub struct Node {
    /// The connection to it.
    pub monitor: Arc<Monitor>,
    /// Its id in the cluster or among the sentinels.
    pub id: Option<String>,
    /// What it does, as far as somebody has told.
    pub role: Option<Role>,
    /// The name of the primary and replicas that hold the same keys. It outlives a failover.
    pub shard: Option<String>,
    /// Whether it is the one to ask for keys.
    pub serves: bool,
    /// Other addresses that nodes call it by.
    pub aliases: Vec<Address>,
    /// The slots whose keys it has, from and to; `None` where there are no slots and it has all.
    pub slots: Option<Vec<(u16, u16)>>,
}

impl Node {
    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.monitor.target().address
    }

    /// Whether this is what is called so.
    pub fn answers_to(&self, address: &Address) -> bool {
        self.address() == address || self.aliases.contains(address)
    }

    /// Whether a key lives there.
    pub fn has(&self, key: &[u8]) -> bool {
        let Some(slots) = &self.slots else { return self.serves };
        let slot = slot(key);
        slots.iter().any(|(first, last)| (*first..=*last).contains(&slot))
    }
}

/// All nodes at one moment.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The nodes, by address; never empty.
    pub nodes: Vec<Node>,
}

impl View {
    /// The node at an address.
    pub fn at(&self, address: &Address) -> Option<&Node> {
        self.nodes.iter().find(|node| node.address() == address)
    }
}

/// The `sentinel` section.
#[derive(Clone, Debug, Default)]
pub struct SentinelOptions {
    /// The seed is a sentinel that is logged in to so, and the data nodes as the target says.
    pub login: Option<Target>,
    /// The masters to watch; all when empty.
    pub masters: Vec<String>,
}

/// A deployment behind one seed address.
pub struct Deployment {
    seed: Arc<Monitor>,
    /// The user on data nodes, wherever they are.
    target: Target,
    options: SentinelOptions,
    connect: Connect,
    /// Whether to look for more than the seed.
    follow: bool,
    state: Mutex<State>,
    /// The last view, for whoever cannot wait for the next.
    last: std::sync::Mutex<Arc<View>>,
    /// Something happened after which the view may be wrong.
    suspect: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    view: Arc<View>,
    read: Option<Instant>,
    /// Addresses that turned out to be another one's.
    aliases: HashMap<Address, Address>,
    /// The connections, and which node gave the last view.
    monitors: BTreeMap<Address, Arc<Monitor>>,
    source: Option<Address>,
    /// Node ids, and the shard that they were in first.
    shards: HashMap<String, String>,
    /// Ids of sentinels and the addresses by which we know them: a sentinel does not tell its own.
    sentinels: HashMap<String, Address>,
    events: Option<Events>,
    problem: Option<Unreachable>,
}

impl Deployment {
    /// A deployment that is not known yet. `seed` is the connection to the address that was given, `target` who to be on
    /// the servers, and `follow` is false to watch the seed alone.
    pub fn new(
        seed: Arc<Monitor>,
        target: Target,
        options: SentinelOptions,
        follow: bool,
        connect: Connect,
    ) -> Self {
        let node = Node {
            monitor: seed.clone(),
            id: None,
            role: None,
            shard: None,
            serves: true,
            aliases: Vec::new(),
            slots: None,
        };
        let view = Arc::new(View { nodes: vec![node] });
        let monitors = BTreeMap::from([(seed.target().address.clone(), seed.clone())]);
        let last = std::sync::Mutex::new(view.clone());
        let state = State { view, monitors, ..State::default() };
        let suspect = Arc::new(AtomicBool::new(false));
        Deployment { seed, target, options, connect, follow, state: Mutex::new(state), last, suspect }
    }

    /// The connection to the address that was given.
    pub fn seed(&self) -> &Arc<Monitor> {
        &self.seed
    }

    /// Says that the view may be wrong: a node did not answer, changed its role, or sent us elsewhere. The next view is
    /// asked for and not remembered.
    pub fn suspect(&self) {
        self.suspect.store(true, Ordering::Relaxed);
    }

    /// The nodes, as somebody of them told no longer than `age` ago; and when nobody could, the last ones and why.
    pub async fn view(&self, age: Duration, deadline: Instant) -> (Arc<View>, Option<Unreachable>) {
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(mut state) = timeout_at(deadline, self.state.lock()).await else {
            let late = Unreachable::new("timeout", "another receiver is still asking for the topology");
            return (last().clone(), Some(late));
        };
        let suspect = self.suspect.swap(false, Ordering::Relaxed);
        if suspect || state.read.is_none_or(|read| read.elapsed() >= age) {
            state.problem = self.read(&mut state, deadline).await.err();
            if suspect && state.problem.is_some() {
                self.suspect();
            }
            state.read = Some(Instant::now());
            *last() = state.view.clone();
        }
        (state.view.clone(), state.problem.clone())
    }
}

impl std::fmt::Debug for Deployment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Deployment({:?})", self.target)
    }
}
