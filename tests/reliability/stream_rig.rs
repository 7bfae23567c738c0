//! A stream, collectors that consume it, and a sink.

use std::collections::BTreeSet;
use std::time::Duration;

use streamgauge_harness::{Collector, OtlpSink, Publisher, Redis, Wire, free_port, poll_until};

use crate::ledger::Ledger;
use crate::rig::SOON;
use crate::row::Row;

pub const STREAM: &str = "s";
/// Where its dead letters go; in a cluster it lies in the same slot.
pub const DEAD_LETTER: &str = "{s}:dlq";
/// In which a reader moves again: five seconds, and what a busy machine takes.
const RESUMES: Duration = Duration::from_secs(8);
/// In which nothing is pending after the last entry has arrived: `claim.min_idle` and two intervals, and what a busy machine takes.
const SETTLES: Duration = Duration::from_millis(1000 + 2 * 300 + 3000);
/// Entries that a collector may have on their way.
pub const IN_FLIGHT: usize = 200;

pub struct StreamRig {
    pub sink: OtlpSink,
    /// To the sink.
    pub wire: Wire,
    pub ledger: Ledger,
    /// How it acknowledges.
    pub ack: &'static str,
    /// Where its dead letters go.
    pub dead_letter: String,
    /// More settings of the receiver.
    pub more: String,
}

/// A collector, and where its configuration is.
pub struct Consumer {
    pub collector: Collector,
    pub yaml: String,
}

impl StreamRig {
    pub fn new() -> StreamRig {
        let sink = OtlpSink::http();
        let wire = Wire::to(&sink.addr());
        let (ack, dead_letter) = ("interval: 20ms", DEAD_LETTER.to_owned());
        StreamRig { sink, wire, ledger: Ledger::default(), ack, dead_letter, more: String::new() }
    }

    pub fn yaml(&self, endpoint: &str, name: &str, health: u16) -> String {
        let (sink, ack, letters, more) = (self.wire.addr(), self.ack, &self.dead_letter, &self.more);
        format!(
            "receivers:
  redis_stream:
    endpoint: {endpoint}
    streams: [{STREAM}]
    group: {{name: g}}
    consumer: {{name: {name}, heartbeat: 300ms}}
    read: {{count: 50, block: 200ms, max_in_flight: {IN_FLIGHT}}}
    ack: {{{ack}}}
    claim: {{min_idle: 1s, interval: 300ms}}
    retry: {{max_deliveries: 20, backoff: {{initial: 50ms, max: 200ms}}}}
    discovery_interval: 1s
    dead_letter: {{stream: '{letters}'}}
    shutdown: {{drain_timeout: 2s}}
{more}
exporters:
  otlp_http:
    endpoint: 'http://{sink}'
    compression: none
    timeout: 2s
    circuit_breaker: {{enabled: false}}
    retry_on_failure: {{initial_interval: 50ms, max_interval: 100ms, max_elapsed_time: 500ms}}
    sending_queue: {{num_consumers: 4, queue_size: 1000}}
extensions:
  health_check: {{endpoint: '127.0.0.1:{health}'}}
service:
  shutdown_timeout: 2s
  extensions: [health_check]
  pipelines: {{logs: {{receivers: [redis_stream], exporters: [otlp_http]}}}}
  telemetry: {{metrics: {{level: none}}}}
"
        )
    }

    pub fn start(&self, endpoint: &str, name: &str) -> Consumer {
        let health = free_port();
        let yaml = self.yaml(endpoint, name, health);
        let mut collector = Collector::builder(env!("CARGO_BIN_EXE_streamgauge")).config(&yaml).start();
        collector.wait_for_ok(&format!("http://127.0.0.1:{health}/"), SOON);
        Consumer { collector, yaml }
    }

    /// Entries are added all the time while `then` runs; what a server does not take is let go.
    pub fn load(&self, to: &Publisher, then: impl FnOnce()) {
        let publish = || {
            self.ledger.publish(to, STREAM);
            std::thread::sleep(Duration::from_millis(3)); // some thousand entries a second, as long as the test wants
            true
        };
        self.ledger.load_with(1, publish, then);
    }

    /// Until so many more entries are in Redis.
    #[track_caller]
    pub fn takes(&self, entries: usize) {
        let before = self.ledger.acked();
        poll_until("entries are taken", SOON, || (self.ledger.acked() >= before + entries).then_some(()));
    }

    /// Until the sink has something.
    #[track_caller]
    pub fn delivers(&self) {
        let before = self.sink.requests();
        poll_until("something is delivered", SOON, || (self.sink.requests() > before).then_some(()));
    }

    /// Until something is delivered, soon after what was wrong is right again.
    #[track_caller]
    pub fn moves(&self) {
        let before = self.sink.requests();
        poll_until("the reader moves", RESUMES, || (self.sink.requests() > before).then_some(()));
    }

    /// Until everything that Redis still has has arrived, and nothing is pending: what it came to. In a cluster `redis` is
    /// the node with the stream and its dead letter.
    #[track_caller]
    pub fn ends(&self, redis: &Redis, most_duplicated: usize) -> Row {
        self.ends_with(redis, redis, most_duplicated)
    }

    /// The same where the dead letter is on another node.
    #[track_caller]
    pub fn ends_with(&self, redis: &Redis, letters: &Redis, most_duplicated: usize) -> Row {
        // What did not arrive, if all of it is gone: in no stream, or in a dead letter.
        let gone = || {
            let kept = &numbers(redis, STREAM) - &numbers(letters, &self.dead_letter);
            let missing = self.ledger.missing_numbers(&self.sink);
            missing.iter().all(|number| !kept.contains(number)).then_some(missing.len())
        };
        poll_until("all that Redis has arrives", SOON, gone);
        poll_until("nothing is pending", SETTLES, || {
            redis.cli(&["xpending", STREAM, "g"]).starts_with('0').then_some(())
        });
        // Once more: entries that are gone may have been in the collector's hand.
        let gone = poll_until("all that Redis has arrives", SOON, gone);
        Row { most_duplicated, ..self.ledger.row(&self.sink, gone) }
    }
}

fn numbers(redis: &Redis, stream: &str) -> BTreeSet<u64> {
    let entries: Vec<(String, Vec<String>)> = redis.run(&format!("XRANGE {stream} - +"));
    let number = |(_, fields): (String, Vec<String>)| {
        let at = fields.iter().position(|field| field == "body")?;
        fields.get(at + 1)?.split(' ').next()?.parse().ok()
    };
    entries.into_iter().filter_map(number).collect()
}

impl Consumer {
    pub fn kill(mut self) {
        self.collector.signal("KILL");
        assert_eq!(self.collector.exit_code(SOON), None);
    }

    pub fn terminate(self) {
        let (code, log) = self.collector.terminate(SOON);
        assert_eq!(code, Some(0), "{log}");
    }

    /// Reads its configuration again, with something replaced.
    pub fn reload(&self, from: &str, to: &str) {
        assert!(self.yaml.contains(from));
        std::fs::write(self.collector.dir().join("config-0.yaml"), self.yaml.replace(from, to)).unwrap();
        self.collector.signal("HUP");
    }
}
