//! Numbered records: who sent which, who was told that they are safe, and which arrived how often.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message as _;
use streamgauge_harness::{OtlpSink, Publisher, Telemetry, http};

use crate::row::Row;

/// Records of a request.
pub const RECORDS: u64 = 10;
/// Bytes of a record besides its number.
const FILLING: usize = 200;

/// A client's pause after a refusal.
const PAUSE: Duration = Duration::from_millis(5);

/// The sender's side.
#[derive(Default)]
pub struct Ledger {
    next: AtomicU64,
    acked: Mutex<BTreeSet<u64>>,
    refused: AtomicU64,
    last_refusal: Mutex<Option<String>>,
}

/// What became of a request.
enum Offer {
    Taken,
    Refused,
    /// No answer came.
    Unheard,
}

impl Ledger {
    /// Sends one request; whether it was acknowledged. What was not is never sent again.
    pub fn send(&self, url: &str) -> bool {
        matches!(self.offer(url), Offer::Taken)
    }

    fn offer(&self, url: &str) -> Offer {
        let numbers = self.numbers();
        let answer =
            http::post(&format!("{url}/v1/logs"), "application/x-protobuf", &request(numbers.clone()));
        let (offer, why) = match answer {
            Ok(answer) if answer.status == 200 => {
                self.acked.lock().unwrap().extend(numbers);
                return Offer::Taken;
            }
            Ok(answer) => {
                let why = String::from_utf8_lossy(&answer.body);
                (Offer::Refused, format!("{}: {why}", answer.status))
            }
            Err(error) => (Offer::Unheard, error.to_string()),
        };
        self.refused.fetch_add(RECORDS, Ordering::Relaxed);
        *self.last_refusal.lock().unwrap() = Some(why);
        offer
    }

    /// Why the last request that was not acknowledged was not, for the message of a test that failed.
    pub fn last_refusal(&self) -> Option<String> {
        self.last_refusal.lock().unwrap().clone()
    }

    /// Sends one request and does not hear what becomes of it. As long as the connection is kept the client is there: whose
    /// client has gone is dropped.
    #[must_use]
    pub fn send_unheard(&self, url: &str) -> TcpStream {
        use std::io::Write as _;
        let body = request(self.numbers());
        let host = url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        let head = format!(
            "POST /v1/logs HTTP/1.0\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        self.refused.fetch_add(RECORDS, Ordering::Relaxed);
        stream
    }

    /// Adds entries to a stream, whose body is what a record's is; whether Redis has taken all of them.
    pub fn publish(&self, to: &Publisher, stream: &str) -> bool {
        let numbers = self.numbers();
        let bodies: Vec<_> = numbers.clone().map(body).collect();
        let taken = to.add(stream, &bodies);
        match taken {
            true => self.acked.lock().unwrap().extend(numbers),
            false => drop(self.refused.fetch_add(RECORDS, Ordering::Relaxed)),
        }
        taken
    }

    /// Acknowledged and not at the sink.
    pub fn missing_numbers(&self, sink: &OtlpSink) -> Vec<u64> {
        let arrived = arrived(sink);
        self.acked.lock().unwrap().iter().copied().filter(|number| !arrived.contains_key(number)).collect()
    }

    fn numbers(&self) -> std::ops::Range<u64> {
        let first = self.next.fetch_add(RECORDS, Ordering::Relaxed);
        first..first + RECORDS
    }

    /// So many clients send until they are told to stop, or nobody listens any more, while `then` runs.
    pub fn load(&self, url: &str, clients: usize, then: impl FnOnce()) {
        let listens = || match self.offer(url) {
            Offer::Taken => true,
            Offer::Unheard => false,
            Offer::Refused => {
                std::thread::sleep(PAUSE);
                true
            }
        };
        self.load_with(clients, listens, then);
    }

    /// So many clients `send` until that is `false`, while `then` runs.
    pub fn load_with(&self, clients: usize, send: impl Fn() -> bool + Sync, then: impl FnOnce()) {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..clients {
                scope.spawn(|| {
                    let mut goes_on = true;
                    while goes_on && !stop.load(Ordering::Relaxed) {
                        goes_on = send();
                    }
                });
            }
            // Also when it fails: else the clients would go on for ever.
            let _stopping = StopWhenDropped(&stop);
            then();
        });
    }

    pub fn sent(&self) -> usize {
        self.next.load(Ordering::Relaxed) as usize
    }

    pub fn acked(&self) -> usize {
        self.acked.lock().unwrap().len()
    }

    /// The first number that was acknowledged.
    pub fn first_acked(&self) -> Option<u64> {
        self.acked.lock().unwrap().first().copied()
    }

    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Acknowledged, and not at the sink.
    pub fn missing(&self, sink: &OtlpSink) -> usize {
        let arrived = arrived(sink);
        self.acked.lock().unwrap().iter().filter(|number| !arrived.contains_key(number)).count()
    }

    /// What it came to, with what the collector itself has counted as not delivered.
    pub fn row(&self, sink: &OtlpSink, accounted: usize) -> Row {
        let arrived = arrived(sink);
        Row {
            sent: self.sent(),
            acked: self.acked(),
            delivered: arrived.len(),
            duplicated: arrived.values().map(|times| times - 1).sum(),
            missing: self.missing(sink),
            accounted,
            most_duplicated: 0,
        }
    }
}

struct StopWhenDropped<'a>(&'a AtomicBool);

impl Drop for StopWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn arrived(sink: &OtlpSink) -> BTreeMap<u64, usize> {
    let mut arrived = BTreeMap::new();
    sink.each_taken(|taken| {
        let Telemetry::Logs(logs) = taken else { return };
        let scopes = logs.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
        for record in scopes.flat_map(|scope| &scope.log_records) {
            let Some(any_value::Value::StringValue(text)) =
                record.body.as_ref().and_then(|body| body.value.as_ref())
            else {
                continue;
            };
            let number = text.split(' ').next().unwrap().parse().unwrap();
            *arrived.entry(number).or_default() += 1;
        }
    });
    arrived
}

/// What a record says.
fn body(number: u64) -> String {
    format!("{number} {}", "x".repeat(FILLING))
}

fn request(numbers: std::ops::Range<u64>) -> Vec<u8> {
    let record = |number: u64| LogRecord {
        body: Some(AnyValue { value: Some(any_value::Value::StringValue(body(number))) }),
        ..LogRecord::default()
    };
    let scope_logs = vec![ScopeLogs { log_records: numbers.map(record).collect(), ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}
