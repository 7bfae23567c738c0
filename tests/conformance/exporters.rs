//! Exporters: whatever their peer says, every ack hears what that means, once.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use streamgauge::catalogue::entries;
use streamgauge::distribution::DISTRIBUTION;
use streamgauge_component::testkit::Source;
use streamgauge_component::{
    Accepted, BoxFuture, ComponentError, Consumer as _, Create, ExportError, Exporter, ExporterFactory,
    ExporterParts, Host, Kind, Outcome, Reason, Request, Signal,
};
use streamgauge_config::Kind as Section;
use streamgauge_delivery::{Delivery, Elsewhere};
use streamgauge_harness::{Fault, OtlpSink, Redis, Reply, Wire, poll_until_async};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::ends::{section, within};
use crate::{DEADLINE, input};

/// What a peer does with every request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Peer {
    Takes,
    Refuses,
    Busy,
    Resets,
    Silent,
}

/// What every source must hear of that. `dropped`: every item was counted as such, as in a partial success without any.
fn is_right(peer: Peer, outcome: &Outcome, dropped: bool) -> bool {
    match peer {
        Peer::Takes => *outcome == Outcome::Delivered && !dropped,
        Peer::Refuses => {
            dropped
                && matches!(
                    outcome,
                    Outcome::Delivered | Outcome::Rejected { reason: Reason::PeerRefused, .. }
                )
        }
        Peer::Busy | Peer::Resets => {
            matches!(outcome, Outcome::Retry { reason: Reason::RetriesExhausted, .. })
        }
        Peer::Silent => matches!(outcome, Outcome::Retry { reason: Reason::Stopping, .. }),
    }
}

/// A running peer, which ends when dropped.
enum Server {
    Grpc { _sink: OtlpSink, wire: Wire },
    Http(SocketAddr),
    Redis { _redis: Box<Redis>, wire: Wire },
}

impl Server {
    /// `None` for an exporter that has no peer.
    fn of(exporter: &str, peer: Peer) -> Option<Server> {
        match exporter {
            "debug" | "nop" | "prometheus" => None,
            "otlp_grpc" => {
                let sink = OtlpSink::grpc();
                sink.always(match peer {
                    Peer::Takes | Peer::Resets => Reply::Ok,
                    Peer::Refuses => Reply::status(3),
                    Peer::Busy => Reply::status(14),
                    Peer::Silent => Reply::Hold,
                });
                let wire = Wire::to(&sink.addr());
                wire.set((peer == Peer::Resets).then_some(Fault::Reset));
                Some(Server::Grpc { _sink: sink, wire })
            }
            "redis_stream" => {
                let redis = Redis::start();
                let wire = Wire::to(&redis.addr());
                match peer {
                    Peer::Takes => {}
                    // The stream's key holds something else.
                    Peer::Refuses => redis.run::<()>("SET s text"),
                    Peer::Busy => redis.run::<()>("CONFIG SET maxmemory 1"),
                    Peer::Resets => wire.set(Some(Fault::Reset)),
                    Peer::Silent => redis.freeze(),
                }
                Some(Server::Redis { _redis: Box::new(redis), wire })
            }
            _ => Some(Server::Http(http(peer))),
        }
    }

    fn url(&self) -> String {
        match self {
            Server::Grpc { wire, .. } => wire.url(),
            Server::Http(address) => format!("http://{address}"),
            Server::Redis { wire, .. } => wire.url(),
        }
    }
}

/// Answers whatever is posted to whatever path; lives as long as the test's process.
fn http(peer: Peer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream, peer));
        }
    });
    address
}

fn answer(mut stream: TcpStream, peer: Peer) -> std::io::Result<()> {
    let status = match peer {
        Peer::Takes => "200 OK",
        Peer::Refuses => "400 Bad Request",
        Peer::Busy => "503 Service Unavailable",
        // Closed with bytes unread: a reset.
        Peer::Resets => return stream.read_exact(&mut [0]),
        Peer::Silent => {
            stream.read_to_end(&mut Vec::new())?;
            return Ok(());
        }
    };
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer)?;
        seen.extend_from_slice(&buffer[..read]);
        let Some(head) = seen.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&seen[..head]).to_ascii_lowercase();
        let length = text.lines().find_map(|l| l.strip_prefix("content-length:")?.trim().parse().ok());
        if read == 0 || seen.len() >= head + 4 + length.unwrap_or(0_usize) {
            break;
        }
    }
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

/// An exporter that panics with every request in hand, as one with a bug would.
struct Panics(Arc<dyn Exporter>);

#[async_trait]
impl Exporter for Panics {
    async fn start(&self, host: Host) -> Result<(), ComponentError> {
        self.0.start(host).await
    }

    fn export<'a>(&'a self, _: &'a Request) -> BoxFuture<'a, Result<Accepted, ExportError>> {
        Box::pin(async { panic!("the exporter was told to panic") })
    }

    async fn shutdown(&self) {
        self.0.shutdown().await;
    }
}

/// Runs one exporter with its own settings of queue and retries, but for the retries' length.
struct Subject {
    name: String,
    exporter: Arc<dyn Exporter>,
    delivery: Arc<Delivery>,
    node: Arc<streamgauge_component::Node>,
    source: Source,
    items: u64,
}

impl Subject {
    async fn start(factory: &ExporterFactory, signal: Signal, url: &str, panics: bool) -> Subject {
        let name = factory.description.name;
        let entry =
            entries().into_iter().find(|e| e.kind == Section::Exporter && e.about.name == name).unwrap();
        let host = Host::for_test(Kind::Exporter, name);
        let create = Create { host: host.clone(), config: section(&entry, url), signals: vec![signal] };
        let ExporterParts { mut exporter, mut delivery } = (factory.create)(create).unwrap();
        if panics {
            exporter = Arc::new(Panics(exporter));
        }
        within(name, "start", exporter.start(host.clone())).await.unwrap();
        delivery.retry.enabled = false;
        let node = host.node(signal);
        let instance: watch::Sender<Option<Arc<dyn Exporter>>> = watch::Sender::new(Some(exporter.clone()));
        let queue = Delivery::start(
            signal,
            delivery,
            instance.subscribe(),
            Arc::new(|_| {}),
            host,
            node.clone(),
            Elsewhere::default(),
        );
        queue.open();
        let name = format!("{name}, {signal}");
        let mut subject = Subject { name, exporter, delivery: queue, node, source: Source::new(), items: 0 };
        // Two requests that any peer can read.
        for (bytes, count) in input::requests(signal, &serde_json::Value::Null).into_iter().take(2) {
            subject.items += count as u64;
            let batch = subject.source.batch(signal, bytes, count);
            within(&subject.name, "consume", subject.delivery.consume(batch)).await;
        }
        subject
    }

    async fn settled(&self) {
        poll_until_async(&format!("{}: every ack", self.name), DEADLINE, async || {
            self.source.all_settled().then_some(())
        })
        .await;
    }

    /// What the sources heard, and whether every item was dropped. The ledger has every item once.
    async fn end(self) -> (Vec<Outcome>, bool) {
        let deadline = Instant::now() + Duration::from_millis(100);
        within(&self.name, "drain", self.delivery.drain(deadline)).await;
        within(&self.name, "shutdown", self.exporter.shutdown()).await;
        let node = &self.node;
        let ended = node.delivered.get() + node.dropped.total() + node.returned.total();
        assert_eq!((ended, node.held_items.get()), (self.items, 0), "{}: {node:?}", self.name);
        let settled = self.source.outcomes().into_iter();
        let outcomes =
            settled.map(|o| o.unwrap_or_else(|| panic!("{}: an ack is open", self.name))).collect();
        (outcomes, node.dropped.total() == self.items)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_exporter_tells_its_sources_what_its_peer_said() {
    for factory in DISTRIBUTION.exporters {
        for peer in [Peer::Takes, Peer::Refuses, Peer::Busy, Peer::Resets, Peer::Silent] {
            for signal in factory.description.signals {
                let server = Server::of(factory.description.name, peer);
                let peer = if server.is_some() { peer } else { Peer::Takes };
                let url = server.as_ref().map_or_else(String::new, Server::url);
                let subject = Subject::start(factory, *signal, &url, false).await;
                if peer != Peer::Silent {
                    subject.settled().await;
                }
                let name = subject.name.clone();
                let (outcomes, dropped) = subject.end().await;
                for outcome in outcomes {
                    assert!(is_right(peer, &outcome, dropped), "{name}, {peer:?}: {outcome:?}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exporter_that_panics_rejects_what_it_has_in_hand() {
    for factory in DISTRIBUTION.exporters {
        for signal in factory.description.signals {
            let subject = Subject::start(factory, *signal, crate::ends::NOBODY, true).await;
            subject.settled().await;
            let name = subject.name.clone();
            for outcome in subject.end().await.0 {
                assert!(
                    matches!(outcome, Outcome::Rejected { reason: Reason::Panic, .. }),
                    "{name}: {outcome:?}"
                );
            }
        }
    }
}
