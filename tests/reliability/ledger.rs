//! Numbered records: who sent which, who was told that they are safe, and which arrived how often.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message as _;
use streamgauge_harness::{OtlpSink, http};

/// Records of a request.
pub const RECORDS: u64 = 10;
/// Bytes of a record besides its number.
const FILLING: usize = 200;

/// The sender's side.
#[derive(Default)]
pub struct Ledger {
    next: AtomicU64,
    acked: Mutex<BTreeSet<u64>>,
    refused: AtomicU64,
}

/// What a scenario came to, in records.
#[derive(Debug)]
pub struct Row {
    pub name: &'static str,
    pub sent: usize,
    pub acked: usize,
    pub delivered: usize,
    pub duplicated: usize,
    pub lost: usize,
    /// How many may be duplicated: what was on its way at the crashes.
    pub most_duplicated: usize,
    /// How many may be lost, because they were counted as such.
    pub counted_lost: usize,
}

impl Ledger {
    /// Sends one request; whether it was acknowledged. What was not is never sent again.
    pub fn send(&self, url: &str) -> bool {
        let first = self.next.fetch_add(RECORDS, Ordering::Relaxed);
        let numbers = first..first + RECORDS;
        let answer =
            http::post(&format!("{url}/v1/logs"), "application/x-protobuf", &request(numbers.clone()));
        let taken = answer.is_ok_and(|answer| answer.status == 200);
        if taken {
            self.acked.lock().unwrap().extend(numbers);
        } else {
            self.refused.fetch_add(RECORDS, Ordering::Relaxed);
        }
        taken
    }

    /// So many clients send until they are told to stop, or nobody listens any more.
    pub fn load(&self, url: &str, clients: usize, stop: &AtomicBool, then: impl FnOnce()) {
        std::thread::scope(|scope| {
            for _ in 0..clients {
                scope.spawn(|| while !stop.load(Ordering::Relaxed) && self.send(url) {});
            }
            then();
            stop.store(true, Ordering::Relaxed);
        });
    }

    pub fn acked(&self) -> usize {
        self.acked.lock().unwrap().len()
    }

    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Acknowledged, and not at the sink.
    pub fn missing(&self, sink: &OtlpSink) -> usize {
        let arrived = arrived(sink);
        self.acked.lock().unwrap().iter().filter(|number| !arrived.contains_key(number)).count()
    }

    pub fn row(&self, name: &'static str, sink: &OtlpSink) -> Row {
        let arrived = arrived(sink);
        Row {
            name,
            sent: self.next.load(Ordering::Relaxed) as usize,
            acked: self.acked(),
            delivered: arrived.len(),
            duplicated: arrived.values().map(|times| times - 1).sum(),
            lost: self.missing(sink),
            most_duplicated: 0,
            counted_lost: 0,
        }
    }
}

impl Row {
    pub fn check(&self) {
        assert!(self.acked > 0, "{self:?}");
        assert_eq!(self.lost, self.counted_lost, "{self:?}");
        assert!(self.duplicated <= self.most_duplicated, "{self:?}");
    }
}

fn arrived(sink: &OtlpSink) -> BTreeMap<u64, usize> {
    let mut arrived = BTreeMap::new();
    for record in sink.log_records() {
        let Some(any_value::Value::StringValue(text)) = record.body.and_then(|body| body.value) else {
            continue;
        };
        let number = text.split(' ').next().unwrap().parse().unwrap();
        *arrived.entry(number).or_default() += 1;
    }
    arrived
}

fn request(numbers: std::ops::Range<u64>) -> Vec<u8> {
    let record = |number: u64| LogRecord {
        body: Some(AnyValue {
            value: Some(any_value::Value::StringValue(format!("{number} {}", "x".repeat(FILLING)))),
        }),
        ..LogRecord::default()
    };
    let scope_logs = vec![ScopeLogs { log_records: numbers.map(record).collect(), ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}
