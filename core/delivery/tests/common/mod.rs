//! A peer that behaves as told, and the bench that puts a delivery before it.

#![allow(dead_code, clippy::unwrap_used)] // each test file uses its part; a poisoned lock is a failed test

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use streamgauge_component::testkit::Source;
use streamgauge_component::{
    Accepted, Batch, BoxFuture, Clock, ComponentError, Consumer as _, DeliverySettings, ExportError,
    Exporter, Host, Kind, Node, Part, QueueSettings, Reason, Request, RetrySettings, Signal,
};
use streamgauge_delivery::{DeadLetter, Delivery, Elsewhere};
use tokio::sync::watch;
use tokio::time::Instant;

#[derive(Clone, Debug)]
pub enum Answer {
    Ok,
    /// Takes it after a while.
    Slow(Duration),
    /// Refuses this many items for good.
    Partial(u64),
    /// Refuses a request that holds a part with this content.
    RefuseWith(&'static str),
    PeerError,
    Busy(Option<Duration>),
    Unreachable,
    Hang,
    Panic,
    /// Panics over a request that holds a part with this content.
    PanicWith(&'static str),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub at: Duration,
    pub parts: Vec<String>,
}

/// Answers as scripted, then always the same.
pub struct Peer {
    script: Mutex<VecDeque<Answer>>,
    then: Mutex<Answer>,
    seen: Mutex<Vec<Seen>>,
    bodies: Mutex<Vec<Bytes>>,
    start: Instant,
}

impl Peer {
    pub fn new(script: impl IntoIterator<Item = Answer>, then: Answer) -> Arc<Self> {
        Arc::new(Peer {
            script: Mutex::new(script.into_iter().collect()),
            then: Mutex::new(then),
            seen: Mutex::default(),
            bodies: Mutex::default(),
            start: Instant::now(),
        })
    }

    pub fn always(answer: Answer) -> Arc<Self> {
        Peer::new([], answer)
    }

    pub fn becomes(&self, answer: Answer) {
        *self.then.lock().unwrap() = answer;
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Every part of every attempt.
    pub fn bodies(&self) -> Vec<Bytes> {
        self.bodies.lock().unwrap().clone()
    }

    /// What was in each request, parts joined by `+`.
    pub fn requests(&self) -> Vec<String> {
        self.seen().iter().map(|s| s.parts.join("+")).collect()
    }

    /// When each attempt was made, in seconds since the peer was made.
    pub fn times(&self) -> Vec<f64> {
        self.seen().iter().map(|s| s.at.as_secs_f64()).collect()
    }
}

#[async_trait]
impl Exporter for Peer {
    async fn start(&self, _: Host) -> Result<(), ComponentError> {
        Ok(())
    }

    fn export<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Accepted, ExportError>> {
        let parts: Vec<String> =
            request.parts.iter().map(|p| String::from_utf8_lossy(p).into_owned()).collect();
        self.seen.lock().unwrap().push(Seen { at: self.start.elapsed(), parts: parts.clone() });
        self.bodies.lock().unwrap().extend(request.parts.iter().cloned());
        let answer =
            self.script.lock().unwrap().pop_front().unwrap_or_else(|| self.then.lock().unwrap().clone());
        Box::pin(async move {
            match answer {
                Answer::Ok => Ok(Accepted::default()),
                Answer::Slow(wait) => {
                    tokio::time::sleep(wait).await;
                    Ok(Accepted::default())
                }
                Answer::Partial(items) => Ok(Accepted {
                    dropped: vec![(Reason::PeerRefused, items)],
                    message: Some("some".to_owned()),
                }),
                Answer::RefuseWith(bad) if parts.iter().any(|p| p == bad) => {
                    Err(ExportError::content("bad data"))
                }
                Answer::RefuseWith(_) => Ok(Accepted::default()),
                Answer::PeerError => Err(ExportError::peer("wrong password")),
                Answer::Busy(after) => Err(ExportError::busy(after, "busy")),
                Answer::Unreachable => Err(ExportError::unreachable("connection refused")),
                Answer::Hang => std::future::pending().await,
                Answer::PanicWith(bad) if parts.iter().all(|p| p != bad) => Ok(Accepted::default()),
                Answer::Panic | Answer::PanicWith(_) => panic!("the peer's client was told to panic"),
            }
        })
    }
}

/// A delivery before a peer.
pub struct Rig {
    pub delivery: Arc<Delivery>,
    pub source: Source,
    pub node: Arc<Node>,
    pub host: Host,
    pub instance: watch::Sender<Option<Arc<dyn Exporter>>>,
    pub panics: Arc<Mutex<Vec<String>>>,
}

/// One worker, no randomness: every time in a test is exact.
pub fn settings() -> DeliverySettings {
    DeliverySettings {
        retry: RetrySettings { randomization_factor: 0.0, ..RetrySettings::default() },
        queue: QueueSettings { num_consumers: 1, ..QueueSettings::default() },
        ..DeliverySettings::default()
    }
}

impl Rig {
    /// Nobody reacts to a panic.
    pub fn new(settings: DeliverySettings, peer: &Arc<Peer>) -> Rig {
        Rig::told(settings, peer, |_| None, |_| {})
    }

    /// A panic takes the instance down; it is back after `restart`.
    pub fn supervised(
        settings: DeliverySettings,
        peer: &Arc<Peer>,
        restart: Duration,
        dead_letter: impl FnOnce(&Host) -> Option<Arc<dyn DeadLetter>>,
    ) -> Rig {
        let peer = peer.clone();
        Rig::told(settings, &peer.clone(), dead_letter, move |instance| {
            instance.send_replace(None);
            let (instance, peer) = (instance.clone(), peer.clone());
            tokio::spawn(async move {
                tokio::time::sleep(restart).await;
                instance.send_replace(Some(peer));
            });
        })
    }

    /// With a dead letter.
    pub fn with_dead_letter(
        settings: DeliverySettings,
        peer: &Arc<Peer>,
        dead_letter: impl FnOnce(&Host) -> Option<Arc<dyn DeadLetter>>,
    ) -> Rig {
        Rig::told(settings, peer, dead_letter, |_| {})
    }

    fn told(
        settings: DeliverySettings,
        peer: &Arc<Peer>,
        dead_letter: impl FnOnce(&Host) -> Option<Arc<dyn DeadLetter>>,
        fell: impl Fn(&watch::Sender<Option<Arc<dyn Exporter>>>) + Send + Sync + 'static,
    ) -> Rig {
        let clock = Clock::simulated(std::time::UNIX_EPOCH);
        let host =
            Host::new(clock, Arc::default(), Arc::default()).for_component(Kind::Exporter, "otlp/test");
        let node = host.node(Signal::Logs);
        let panics = Arc::new(Mutex::new(Vec::new()));
        let heard = panics.clone();
        let peer: Arc<dyn Exporter> = peer.clone();
        let instance = watch::Sender::new(Some(peer));
        let falling = instance.clone();
        let on_panic = Arc::new(move |message: &str| {
            heard.lock().unwrap().push(message.to_owned());
            fell(&falling);
        });
        let watch = instance.subscribe();
        let delivery = Delivery::start(
            Signal::Logs,
            settings,
            watch,
            on_panic,
            host.clone(),
            node.clone(),
            Elsewhere { dead_letter: dead_letter(&host), fallback: None },
        );
        Rig { delivery, source: Source::new(), node, host, instance, panics }
    }

    /// Parts of one batch; each has ten items.
    pub fn batch(&self, parts: &[&str]) -> Batch {
        let parts: Vec<Part> =
            parts.iter().map(|p| self.source.part(Bytes::copy_from_slice(p.as_bytes()), 10)).collect();
        Batch { signal: Signal::Logs, context: self.source.context(), parts }
    }

    pub async fn send(&self, parts: &[&str]) {
        self.delivery.consume(self.batch(parts)).await;
    }

    /// A send in a task of its own, so that it can wait.
    pub fn send_beside(&self, parts: &[&str]) -> tokio::task::JoinHandle<()> {
        let (delivery, batch) = (self.delivery.clone(), self.batch(parts));
        tokio::spawn(async move { delivery.consume(batch).await })
    }

    /// Lets simulated time pass until every part is settled.
    pub async fn settled(&self) {
        let deadline = Instant::now() + Duration::from_secs(3600);
        while !self.source.all_settled() {
            assert!(Instant::now() < deadline, "unsettled after an hour: {:?}", self.source.outcomes());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// In = out + held + delivered + dropped + returned.
    pub fn assert_ledger_adds_up(&self) {
        let n = &self.node;
        let out: u64 = self.host.registry().edges().iter().map(|edge| edge.items.get()).sum();
        let sum = out + n.held_items.get() + n.delivered.get() + n.dropped.total() + n.returned.total();
        assert_eq!(sum, 10 * self.source.outcomes().len() as u64, "{n:?}");
    }

    pub fn gauge(&self, name: &str) -> u64 {
        self.gauge_or_none(name).unwrap()
    }

    pub fn gauge_or_none(&self, name: &str) -> Option<u64> {
        self.host.registry().instruments().iter().find(|i| i.name == name).map(|i| i.value.get())
    }
}
