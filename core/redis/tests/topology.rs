//! Deployments found from one address, and followed while they change.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use streamgauge_harness::{Cluster, Redis, SentinelSet, Server, poll_until_async};
use streamgauge_redis::*;
use tokio::time::Instant;

const SOON: Duration = Duration::from_secs(20);

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn deployment(endpoint: &str) -> Deployment {
    let target = Target::new(&EndpointKeys { endpoint, ..EndpointKeys::default() }).unwrap();
    let connect: Connect = Arc::new(|target| Arc::new(Monitor::new(target, None, None)));
    Deployment::new(connect(target.clone()), target, SentinelOptions::default(), true, connect)
}

/// Port, role and whether it serves, by port.
fn shape(view: &View) -> Vec<(u16, Option<Role>, bool)> {
    let port = |node: &Node| match node.address() {
        Address::Tcp(_, port) => *port,
        Address::Unix(_) => 0,
    };
    let mut shape: Vec<_> = view.nodes.iter().map(|node| (port(node), node.role, node.serves)).collect();
    shape.sort_unstable_by_key(|(port, ..)| *port);
    shape
}

fn sorted(mut shape: Vec<(u16, Option<Role>, bool)>) -> Vec<(u16, Option<Role>, bool)> {
    shape.sort_unstable_by_key(|(port, ..)| *port);
    shape
}

async fn until(deployment: &Deployment, what: &str, wanted: impl Fn(&View) -> bool) -> Arc<View> {
    poll_until_async(what, SOON, async || {
        let (view, _) = deployment.view(Duration::ZERO, soon()).await;
        wanted(&view).then_some(view)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_found_from_any_of_its_nodes_and_none_is_there_twice() {
    for server in Server::matrix() {
        let mut cluster = Cluster::start(&server);
        let port = |n: usize| cluster.nodes[n].port();
        let primary = |n| (port(n), Some(Role::Primary), true);
        let replica = |n| (port(n), Some(Role::Replica), false);
        let all = sorted(vec![primary(0), primary(1), primary(2), replica(3), replica(4), replica(5)]);
        for seed in [format!("localhost:{}", port(0)), cluster.nodes[4].addr()] {
            let (view, problem) = deployment(&seed).view(SOON, soon()).await;
            assert_eq!((shape(&view), problem), (all.clone(), None), "{} from {seed}", server.name);
        }
        let deployment = deployment(&format!("localhost:{}", port(0)));
        let (view, _) = deployment.view(SOON, soon()).await;
        for n in 0..3 {
            let shard = |n: usize| {
                let node =
                    view.nodes.iter().find(|node| node.id.as_deref() == Some(&*cluster.id(n))).unwrap();
                node.shard.clone().unwrap()
            };
            assert_eq!(shard(n), shard(n + 3));
        }
        for key in ["orders", "payments", "{a}b"] {
            let owners: Vec<_> = view.nodes.iter().filter(|node| node.has(key.as_bytes())).collect();
            assert_eq!(owners.len(), 1);
            assert_eq!(owners[0].id.as_deref(), Some(&*cluster.id(cluster.owner(key))));
        }
        let before = view.nodes.iter().find(|node| node.id == Some(cluster.id(3))).unwrap().shard.clone();
        let heir = cluster.nodes[3].port();
        cluster.kill(0);
        let view = until(&deployment, "the replica serves", |view| {
            shape(view).contains(&(heir, Some(Role::Primary), true))
        })
        .await;
        let node = view.nodes.iter().find(|node| node.id == Some(cluster.id(3))).unwrap();
        assert_eq!(node.shard, before, "a shard keeps its name");
        assert_eq!(view.nodes.iter().filter(|node| node.serves).count(), 3);
        assert_eq!(view.nodes.len(), 6, "the dead node is still one of them: {:?}", shape(&view));
    }
}

/// Waits until the view has the master that the sentinels have: on a busy machine one failover may follow another. Nothing
/// but an event makes this view old.
async fn follows(deployment: &Deployment, set: &SentinelSet) -> Arc<View> {
    poll_until_async("the new primary is seen", SOON, async || {
        let (view, _) = deployment.view(Duration::from_secs(3600), soon()).await;
        let master = set.master();
        let port = set.servers[master].port();
        (master != 0 && shape(&view).contains(&(port, Some(Role::Primary), true))).then_some(view)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_knows_everything_and_its_failover_is_followed() {
    for server in Server::matrix() {
        let mut set = SentinelSet::start(&server);
        let seed = format!("localhost:{}", set.sentinels[0].port());
        let deployment = deployment(&seed);
        let (view, problem) = deployment.view(SOON, soon()).await;
        let data = |role, n: usize| (set.servers[n].port(), Some(role), role == Role::Primary);
        let mut all: Vec<_> = set.sentinels.iter().map(|s| (s.port(), Some(Role::Sentinel), false)).collect();
        all.extend([data(Role::Primary, 0), data(Role::Replica, 1), data(Role::Replica, 2)]);
        assert_eq!((shape(&view), problem), (sorted(all), None), "{}", server.name);
        assert!(
            view.nodes
                .iter()
                .all(|node| node.role == Some(Role::Sentinel) || node.shard.as_deref() == Some("main"))
        );

        set.fail_over();
        let view = follows(&deployment, &set).await;
        assert_eq!(view.nodes.iter().filter(|node| node.serves).count(), 1);
        assert_eq!(view.nodes.len(), 6);

        set.sentinels[0].stop();
        deployment.suspect();
        let (view, problem) = deployment.view(Duration::from_secs(3600), soon()).await;
        assert_eq!((view.nodes.len(), problem), (6, None), "another sentinel answers: {:?}", shape(&view));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_ends_is_made_again_and_a_failover_meanwhile_is_seen_when_it_is() {
    let server = Server::matrix().into_iter().find(|server| server.version() >= (7, 0)).unwrap();
    let mut set = SentinelSet::start(&server);
    let deployment = deployment(&set.sentinels[0].addr());
    let listeners = |set: &SentinelSet| {
        set.sentinels[0].cli(&["client", "list", "type", "pubsub"]).matches("sub=9").count()
    };
    deployment.view(SOON, soon()).await;
    poll_until_async("it listens", SOON, async || (listeners(&set) == 1).then_some(())).await;
    // What is published from here on, nobody hears for at least a quarter of a second.
    set.sentinels[0].cli(&["client", "kill", "type", "pubsub"]);
    set.fail_over();
    follows(&deployment, &set).await;
    poll_until_async("it listens again", SOON, async || (listeners(&set) == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_found_from_either_end_and_a_promotion_is_followed() {
    for server in Server::matrix() {
        let mut master = server.start();
        let follow = |of: &Redis| {
            server
                .builder()
                .config(&format!("replicaof 127.0.0.1 {}", of.port()))
                .config("repl-diskless-sync-delay 0")
                .start()
        };
        let (one, two) = (follow(&master), follow(&master));
        let primary = |r: &Redis| (r.port(), Some(Role::Primary), true);
        let replica = |r: &Redis| (r.port(), Some(Role::Replica), false);
        let all = sorted(vec![primary(&master), replica(&one), replica(&two)]);
        let from_master = deployment(&format!("localhost:{}", master.port()));
        let from_replica = deployment(&one.addr());
        for deployment in [&from_master, &from_replica] {
            until(deployment, "all three are there once", |view| shape(view) == all).await;
        }
        master.stop();
        let (view, _) = from_master.view(Duration::ZERO, soon()).await;
        assert!(
            view.nodes.iter().any(|node| node.serves && node.role == Some(Role::Primary)),
            "nobody has taken over"
        );
        one.cli(&["replicaof", "no", "one"]);
        two.cli(&["replicaof", "127.0.0.1", &one.port().to_string()]);
        let promoted = (one.port(), Some(Role::Primary), true);
        let view =
            until(&from_master, "the promoted one serves", |view| shape(view).contains(&promoted)).await;
        assert_eq!(view.nodes.iter().filter(|node| node.serves).count(), 1);
    }
}

#[tokio::test]
async fn a_seed_that_does_not_answer_is_a_deployment_of_itself() {
    let mut server = Redis::start();
    let endpoint = server.addr();
    server.stop();
    let deployment = deployment(&endpoint);
    let (view, problem) = deployment.view(SOON, soon()).await;
    assert_eq!((view.nodes.len(), problem.unwrap().stage), (1, "connect"));
    server.start_again();
    until(&deployment, "its role is known", |view| view.nodes[0].role == Some(Role::Primary)).await;
}
