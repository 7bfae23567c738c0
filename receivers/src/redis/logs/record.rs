//! A log record before it is bytes.

use bytes::Bytes;
use streamgauge_pdata::build::{AnyValue, LogsBuilder};

use crate::scrape::recorder::Resource;

const SCOPE: &str = "streamgauge/receiver/redis";

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Info,
    Warn,
    Error,
}

impl Severity {
    /// OpenTelemetry's number and text.
    fn pair(self) -> (u8, &'static str) {
        match self {
            Severity::Info => (9, "INFO"),
            Severity::Warn => (13, "WARN"),
            Severity::Error => (17, "ERROR"),
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    event: &'static str,
    severity: Severity,
    /// Nanoseconds since 1970; when it was noticed, where nobody says more.
    time: Option<u64>,
    body: AnyValue,
    attributes: Vec<(&'static str, AnyValue)>,
}

impl Record {
    pub(super) fn new(event: &'static str, severity: Severity, body: impl Into<String>) -> Record {
        Record { event, severity, time: None, body: AnyValue::Str(body.into()), attributes: Vec::new() }
    }

    /// Another body than a text.
    pub(super) fn with(mut self, body: AnyValue) -> Record {
        self.body = body;
        self
    }

    /// When it happened, in seconds since 1970.
    pub(super) fn at(self, seconds: u64) -> Record {
        self.at_millis(seconds.saturating_mul(1_000))
    }

    /// When it happened, in milliseconds since 1970.
    pub(super) fn at_millis(mut self, millis: u64) -> Record {
        self.time = Some(millis.saturating_mul(1_000_000));
        self
    }

    /// Who did it: `host:port`, or a path.
    pub(super) fn client(self, address: &str) -> Record {
        let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
        let record = self.text("client.address", host);
        // Port 0 is how a unix socket is told.
        match port.parse::<u64>() {
            Ok(port) if port > 0 => record.int("client.port", port),
            _ => record,
        }
    }

    /// Adds an attribute, unless it is empty.
    pub(super) fn text(mut self, key: &'static str, value: impl Into<String>) -> Record {
        let value = value.into();
        if !value.is_empty() {
            self.attributes.push((key, AnyValue::Str(value)));
        }
        self
    }

    pub(super) fn int(mut self, key: &'static str, value: u64) -> Record {
        self.attributes.push((key, AnyValue::Int(i64::try_from(value).unwrap_or(i64::MAX))));
        self
    }

    pub(super) fn double(mut self, key: &'static str, value: f64) -> Record {
        self.attributes.push((key, AnyValue::Double(value)));
        self
    }
}

/// The records of one server as a request, with their number.
pub(super) fn request(resource: &Resource, records: &[Record], now: u64) -> Option<(Bytes, usize)> {
    let mut request = LogsBuilder::new();
    {
        let mut of = request.resource(resource);
        let mut scope = of.scope(SCOPE, env!("CARGO_PKG_VERSION"));
        for record in records {
            let (number, text) = record.severity.pair();
            let mut open = scope.record(now);
            open.time(record.time.unwrap_or(now)).severity(number, text).event_name(record.event);
            open.body(&record.body).attributes(&record.attributes);
        }
    }
    let items = request.items();
    (items > 0).then(|| (request.finish(), items))
}
