//! What did not get to its peer goes to the dead letter, and nothing else does.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::{Answer, Peer, Rig, settings};
use streamgauge_component::testkit::Source;
use streamgauge_component::{
    Accepted, Batch, BoxFuture, ComponentError, Consumer as _, DeliverySettings, ExportError, Exporter, Host,
    Kind, Left, Outcome, Outlet, Part, QueueSettings, Reason, Request, Signal, WhenFull,
};
use streamgauge_delivery::{Burial, DeadLetter, DeadLetterEdge, DeadLetterFile, Delivery, Elsewhere, Letter};
use streamgauge_pdata::build::LogsBuilder;
use streamgauge_pdata::json;
use streamgauge_pdata::view::LogsView;
use tokio::sync::watch;

/// Remembers letters, and does with them as told.
struct Grave {
    says: Burial,
    letters: Mutex<Vec<Letter>>,
}

impl Grave {
    fn that(says: Burial) -> Arc<Grave> {
        Arc::new(Grave { says, letters: Mutex::default() })
    }

    fn contents(&self) -> Vec<(Vec<String>, Reason, String)> {
        let letters = self.letters.lock().unwrap();
        let text = |b: &Bytes| String::from_utf8_lossy(b).into_owned();
        letters
            .iter()
            .map(|l| (l.parts.iter().map(|(b, _)| text(b)).collect(), l.reason, l.detail.to_string()))
            .collect()
    }
}

#[async_trait]
impl DeadLetter for Grave {
    async fn bury(&self, letter: &Letter) -> Burial {
        self.letters.lock().unwrap().push(letter.clone());
        self.says.clone()
    }
}

fn rig(peer: &Arc<Peer>, grave: &Arc<Grave>) -> Rig {
    Rig::with_dead_letter(settings(), peer, |_| Some(grave.clone()))
}

fn result(rig: &Rig, result: &str) -> u64 {
    let all = rig.host.registry().instruments();
    let of = |i: &&Arc<streamgauge_component::Instrument>| {
        i.name == "streamgauge.exporter.dead_letter.items"
            && i.attributes.contains(&("result", result.to_owned()))
    };
    all.iter().filter(of).map(|i| i.value.get()).sum()
}

#[tokio::test(start_paused = true)]
async fn what_the_peer_refuses_for_good_is_delivered_once_the_dead_letter_holds_it() {
    for (answer, reason, parts) in [
        (Answer::RefuseWith("bad"), Reason::PeerRefused, vec!["bad"]),
        (Answer::PanicWith("bad"), Reason::Panic, vec!["bad"]),
        (Answer::PeerError, Reason::PeerError, vec!["a", "bad", "c"]),
    ] {
        let (peer, grave) = (Peer::always(answer), Grave::that(Burial::Held));
        let rig = rig(&peer, &grave);
        rig.send(&["a", "bad", "c"]).await;
        rig.settled().await;
        assert!(rig.source.all_delivered(), "{reason}");
        let contents = grave.contents();
        assert_eq!(contents.len(), 1);
        assert_eq!((&contents[0].0[..], contents[0].1), (&parts.map_strings()[..], reason));
        assert_eq!(
            rig.node.delivered.get() as usize,
            10 * (3 - parts.len()),
            "not what is in the dead letter"
        );
        assert_eq!((rig.node.dropped.total(), rig.node.held_items.get()), (0, 0));
        assert_eq!(result(&rig, "held") as usize, 10 * parts.len());
        assert_eq!(rig.gauge("otelcol_exporter_queue_size"), 0);
    }
}

trait Strings {
    fn map_strings(&self) -> Vec<String>;
}

impl Strings for Vec<&str> {
    fn map_strings(&self) -> Vec<String> {
        self.iter().map(|s| (*s).to_owned()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn what_runs_out_of_retries_is_buried_unless_its_source_can_send_it_again() {
    let (peer, grave) = (Peer::always(Answer::Unreachable), Grave::that(Burial::Held));
    let rig = rig(&peer, &grave);
    let gone = Arc::new(AtomicBool::new(false));
    let replayable = rig.source.part("replayable", 10);
    let let_go = rig.source.part("answered", 10);
    let let_go = Part { ack: let_go.ack.until_let_go(gone.clone()), ..let_go };
    let parts = vec![replayable, let_go, Part::created("scraped".into(), 10)];
    let batch = Batch { signal: Signal::Logs, context: rig.source.context(), parts };
    rig.delivery.consume(batch).await;
    gone.store(true, Ordering::Release); // the door has answered once the queue had it
    rig.settled().await;
    let outcomes = rig.source.outcomes();
    assert_eq!(outcomes[0].as_ref().and_then(Outcome::reason), Some(Reason::RetriesExhausted));
    assert_eq!(outcomes[1], Some(Outcome::Delivered));
    let why = "no more retries left: connection refused".to_owned();
    assert_eq!(
        grave.contents(),
        [(vec!["answered", "scraped"].map_strings(), Reason::RetriesExhausted, why)]
    );
    assert_eq!(rig.node.returned.counts().collect::<Vec<_>>(), [(Reason::RetriesExhausted, 10)]);
}

#[tokio::test(start_paused = true)]
async fn what_the_dead_letter_cannot_hold_is_counted_as_without_one() {
    let (peer, grave) = (Peer::always(Answer::PeerError), Grave::that(Burial::Refused("full".to_owned())));
    let rig = rig(&peer, &grave);
    rig.send(&["a"]).await;
    rig.settled().await;
    assert!(matches!(rig.source.outcomes()[0], Some(Outcome::Rejected { reason: Reason::PeerError, .. })));
    assert_eq!(rig.node.dropped.counts().collect::<Vec<_>>(), [(Reason::PeerError, 10)]);
    assert_eq!((result(&rig, "refused"), result(&rig, "held")), (10, 0));
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn a_stop_and_a_queue_that_drops_its_oldest_bury_nothing() {
    let (peer, grave) = (Peer::always(Answer::Hang), Grave::that(Burial::Held));
    let queue = QueueSettings { queue_size: 2, when_full: Some(WhenFull::DropOldest), ..settings().queue };
    let settings = DeliverySettings { queue, ..settings() };
    let rig = Rig::with_dead_letter(settings, &peer, |_| Some(grave.clone() as Arc<dyn DeadLetter>));
    for part in ["a", "b", "c", "d"] {
        rig.send(&[part]).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    rig.delivery.drain(tokio::time::Instant::now() + Duration::from_secs(1)).await;
    assert!(rig.source.all_settled());
    assert_eq!(grave.contents(), []);
    rig.assert_ledger_adds_up();
}

// The two kinds.

fn logs(text: &str) -> Bytes {
    let mut logs = LogsBuilder::new();
    logs.resource([("service.name", "shop")]).scope("test", "").record(1).body(text);
    logs.finish()
}

/// An exporter with a queue of its own, in the same process as the first.
fn second(host: &Host, peer: &Arc<Peer>, settings: DeliverySettings) -> (Arc<Delivery>, Outlet) {
    let host = host.for_component(Kind::Exporter, "second");
    let node = host.node(Signal::Logs);
    let peer: Arc<dyn Exporter> = peer.clone();
    let watch = watch::Sender::new(Some(peer)).subscribe();
    let told = Arc::new(|_: &str| {});
    let delivery =
        Delivery::start(Signal::Logs, settings, watch, told, host.clone(), node, Elsewhere::default());
    let edge = host.registry().edge("", "exporter/otlp/test", "exporter/second", Signal::Logs);
    (delivery.clone(), Outlet::new(edge, delivery))
}

async fn send(rig: &Rig, bytes: Bytes) {
    let part = rig.source.part(bytes, 10);
    rig.delivery.consume(Batch::of(Signal::Logs, rig.source.context(), part)).await;
}

#[tokio::test(start_paused = true)]
async fn an_exporter_as_dead_letter_gets_the_data_with_the_circumstances() {
    let (first, then) = (Peer::always(Answer::PeerError), Peer::always(Answer::Ok));
    let rig = Rig::with_dead_letter(settings(), &first, |host| {
        Some(Arc::new(DeadLetterEdge::new(second(host, &then, settings()).1)) as Arc<dyn DeadLetter>)
    });
    send(&rig, logs("hello")).await;
    rig.settled().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(rig.source.all_delivered());
    let bytes = then.bodies().remove(0);
    let view = LogsView::new(&bytes);
    let resource = view.resources().next().unwrap().unwrap();
    let attribute = |key: &str| format!("{:?}", resource.attributes().get(key).unwrap().unwrap());
    assert!(attribute("service.name").contains("shop"));
    assert!(attribute("streamgauge.dead_letter.exporter").contains("otlp/test"));
    assert!(attribute("streamgauge.dead_letter.reason").contains("peer_error"));
    assert!(attribute("streamgauge.dead_letter.detail").contains("wrong password"));
    assert_eq!(attribute("streamgauge.dead_letter.time_unix_nano"), "Int(0)");
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_without_room_holds_nobody_up_and_the_data_counts_where_it_was_refused() {
    let (first, then) = (Peer::always(Answer::PeerError), Peer::always(Answer::Hang));
    let small = QueueSettings { queue_size: 1, ..settings().queue };
    let small = DeliverySettings { queue: small, ..settings() };
    let rig = Rig::with_dead_letter(settings(), &first, |host| {
        Some(Arc::new(DeadLetterEdge::new(second(host, &then, small).1)) as Arc<dyn DeadLetter>)
    });
    let start = tokio::time::Instant::now();
    for _ in 0..3 {
        send(&rig, logs("hello")).await;
    }
    rig.settled().await;
    assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
    let outcomes = rig.source.outcomes();
    assert_eq!(outcomes[0], Some(Outcome::Delivered));
    for refused in &outcomes[1..] {
        assert_eq!(refused.as_ref().and_then(Outcome::reason), Some(Reason::PeerError));
    }
    let there = rig.host.for_component(Kind::Exporter, "second").node(Signal::Logs);
    assert_eq!(there.returned.counts().collect::<Vec<_>>(), [(Reason::QueueFull, 20)]);
    rig.assert_ledger_adds_up();
}

fn file(path: &std::path::Path, max_bytes: u64) -> impl FnOnce(&Host) -> Option<Arc<dyn DeadLetter>> {
    move |host| Some(Arc::new(DeadLetterFile::new(path.to_str().unwrap(), max_bytes, Signal::Logs, host)))
}

#[tokio::test(start_paused = true)]
async fn a_file_as_dead_letter_has_a_line_of_otlp_json_for_each_request_and_stops_at_its_quota() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dead.jsonl");
    std::fs::write(&path, "{\"resourceLogs\":[").unwrap(); // a crash cut this short
    let peer = Peer::always(Answer::PeerError);
    let rig = Rig::with_dead_letter(settings(), &peer, file(&path, 1000));
    for text in ["first", "second", "third", "fourth", "fifth", "sixth"] {
        send(&rig, logs(text)).await;
        rig.settled().await;
    }
    let held = rig.source.outcomes().iter().filter(|o| **o == Some(Outcome::Delivered)).count();
    assert!((1..6).contains(&held), "{held}");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.len() <= 1000 && text.ends_with('\n'));
    let lines: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(lines.len(), held);
    for (line, body) in lines.iter().zip(["first", "second", "third", "fourth", "fifth"]) {
        let bytes = Bytes::from(json::read(Signal::Logs, line.as_bytes()).unwrap());
        assert!(line.contains("streamgauge.dead_letter.reason") && line.contains(body), "{line}");
        assert_eq!(LogsView::new(&bytes).resources().count(), 1);
    }
    assert_eq!(rig.node.dropped.counts().collect::<Vec<_>>(), [(Reason::PeerError, 10 * (6 - held as u64))]);
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn what_json_cannot_carry_and_a_file_taken_away_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dead.jsonl");
    let peer = Peer::always(Answer::RefuseWith("no OTLP at all"));
    let rig = Rig::with_dead_letter(settings(), &peer, file(&path, 1 << 20));
    rig.send(&["no OTLP at all"]).await;
    rig.settled().await;
    let line = std::fs::read_to_string(&path).unwrap();
    assert!(line.contains("bm8gT1RMUCBhdCBhbGw=") && line.contains("peer_refused"), "{line}");
    std::fs::rename(&path, dir.path().join("taken away")).unwrap();
    rig.send(&["no OTLP at all"]).await;
    rig.settled().await;
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
    assert!(rig.source.all_delivered());
    std::fs::remove_dir_all(dir.path()).unwrap();
    rig.send(&["no OTLP at all"]).await;
    rig.settled().await;
    assert_eq!(rig.node.dropped.total(), 10);
    rig.assert_ledger_adds_up();
}

/// Takes what begins with `y`, and says of other parts that only the part behind the `:` is left.
struct Picky;

#[async_trait]
impl Exporter for Picky {
    async fn start(&self, _: Host) -> Result<(), ComponentError> {
        Ok(())
    }

    fn export<'a>(&'a self, _: &'a Request) -> BoxFuture<'a, Result<Accepted, ExportError>> {
        Box::pin(async { Err(ExportError::peer("not all")) })
    }

    fn left(&self, _: Signal, part: &Bytes) -> Left {
        match part.iter().position(|byte| *byte == b':') {
            _ if part.first() == Some(&b'y') => Left::Nothing,
            Some(at) => Left::Some(part.slice(at + 1..), 1),
            None => Left::All,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_got_there_of_a_failed_request_is_delivered_and_only_the_rest_is_a_letter() {
    let grave = Grave::that(Burial::Held);
    let host = Host::for_test(Kind::Exporter, "picky");
    let node = host.node(Signal::Logs);
    let instance: watch::Sender<Option<Arc<dyn Exporter>>> = watch::Sender::new(Some(Arc::new(Picky)));
    let queue = Delivery::start(
        Signal::Logs,
        DeliverySettings { queue: QueueSettings::disabled(), ..DeliverySettings::default() },
        instance.subscribe(),
        Arc::new(|_| {}),
        host.clone(),
        node.clone(),
        Elsewhere { dead_letter: Some(grave.clone()), fallback: None },
    );
    let source = Source::new();
    let parts = ["yes", "half:rest", "no"].map(|text| source.part(text, 3)).into();
    queue.consume(Batch { signal: Signal::Logs, context: source.context(), parts }).await;
    assert!(source.all_delivered());
    assert_eq!(grave.contents()[0].0, ["rest", "no"]);
    assert_eq!(grave.letters.lock().unwrap()[0].items(), 4);
    assert_eq!((node.delivered.get(), node.held_items.get(), node.held_bytes.get()), (5, 0, 0));
}
