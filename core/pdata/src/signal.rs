//! The signals and their one table of field numbers: a further signal is one more row.

use std::fmt;

/// What a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Data points, inside metrics.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// All of them, in the order in which the field's documents name them.
    pub const ALL: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

    /// The name that configuration and telemetry use: `traces`, `metrics`, `logs`.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        }
    }

    /// The envelope's outermost level.
    pub(crate) fn request(self) -> &'static Level {
        match self {
            Signal::Traces => &TRACES,
            Signal::Metrics => &METRICS,
            Signal::Logs => &LOGS,
        }
    }

    /// The field that holds an item's attributes. For a data point it depends on the metric's kind: `holder` is
    /// the number of the field of Metric that it came in.
    pub(crate) fn attributes_field(self, holder: u32) -> u32 {
        match (self, holder) {
            (Signal::Traces, _) => 9,
            (Signal::Logs, _) => 6,
            (Signal::Metrics, HISTOGRAM) => 9,
            (Signal::Metrics, EXPONENTIAL_HISTOGRAM) => 1,
            (Signal::Metrics, _) => 7,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The `resource` field of ResourceX, and likewise the `scope` field of ScopeX.
pub(crate) const HEADER: u32 = 1;
/// The `attributes` field of Resource.
pub(crate) const RESOURCE_ATTRIBUTES: u32 = 1;

pub(crate) const GAUGE: u32 = 5;
pub(crate) const SUM: u32 = 7;
pub(crate) const HISTOGRAM: u32 = 9;
pub(crate) const EXPONENTIAL_HISTOGRAM: u32 = 10;
pub(crate) const SUMMARY: u32 = 11;

/// One kind of message between the request and its items. Sets of field numbers are bit masks.
pub(crate) struct Level {
    /// Fields that hold what is one level below, and what an error calls them.
    pub children: u64,
    pub child_name: &'static str,
    below: Below,
    /// Known fields that are length-delimited, and those that are varints; children are in the first.
    pub len: u64,
    pub varint: u64,
}

/// What a level's children are.
enum Below {
    Items,
    Message(&'static Level),
    /// Members of a oneof, each with its own fields: the last one's kind is all that counts.
    Kinds(&'static [(u32, Level)]),
}

impl Level {
    /// The message in the child `number`; `None` when that is an item.
    #[inline]
    pub fn below(&self, number: u32) -> Option<&'static Level> {
        match self.below {
            Below::Items => None,
            Below::Message(level) => Some(level),
            Below::Kinds(kinds) => kinds.iter().find(|(kind, _)| *kind == number).map(|(_, level)| level),
        }
    }

    /// The tag of the items, where they are the children: all levels above items have one kind of them, below 16.
    #[inline]
    pub fn item_tag(&self) -> Option<u8> {
        matches!(self.below, Below::Items)
            .then(|| (self.children.trailing_zeros() as u8) << 3 | crate::wire::LEN)
    }

    /// Whether the children are members of a oneof.
    #[inline]
    pub fn is_oneof(&self) -> bool {
        matches!(self.below, Below::Kinds(_))
    }
}

const fn bits(numbers: &[u32]) -> u64 {
    let mut mask = 0;
    let mut i = 0;
    while i < numbers.len() {
        mask |= 1 << numbers[i];
        i += 1;
    }
    mask
}

const fn request(child_name: &'static str, below: &'static Level) -> Level {
    Level { children: bits(&[1]), child_name, below: Below::Message(below), len: bits(&[1]), varint: 0 }
}

const fn envelope(child_name: &'static str, below: Below) -> Level {
    Level { children: bits(&[2]), child_name, below, len: bits(&[1, 2, 3]), varint: 0 }
}

static TRACES: Level = request("resource_spans", &RESOURCE_SPANS);
static RESOURCE_SPANS: Level = envelope("scope_spans", Below::Message(&SCOPE_SPANS));
static SCOPE_SPANS: Level = envelope("spans", Below::Items);

static LOGS: Level = request("resource_logs", &RESOURCE_LOGS);
static RESOURCE_LOGS: Level = envelope("scope_logs", Below::Message(&SCOPE_LOGS));
static SCOPE_LOGS: Level = envelope("log_records", Below::Items);

static METRICS: Level = request("resource_metrics", &RESOURCE_METRICS);
static RESOURCE_METRICS: Level = envelope("scope_metrics", Below::Message(&SCOPE_METRICS));
static SCOPE_METRICS: Level = envelope("metrics", Below::Message(&METRIC));
const DATA: u64 = bits(&[GAUGE, SUM, HISTOGRAM, EXPONENTIAL_HISTOGRAM, SUMMARY]);
static METRIC: Level = Level {
    children: DATA,
    child_name: "data",
    below: Below::Kinds(&KINDS),
    len: DATA | bits(&[1, 2, 3, 12]),
    varint: 0,
};
/// `aggregation_temporality` is 2 and `is_monotonic` 3 in the kinds that have them; in the others these numbers are
/// free for fields of any wire type.
static KINDS: [(u32, Level); 5] = [
    (GAUGE, data(&[])),
    (SUM, data(&[2, 3])),
    (HISTOGRAM, data(&[2])),
    (EXPONENTIAL_HISTOGRAM, data(&[2])),
    (SUMMARY, data(&[])),
];

const fn data(varint: &[u32]) -> Level {
    Level {
        children: bits(&[1]),
        child_name: "data_points",
        below: Below::Items,
        len: bits(&[1]),
        varint: bits(varint),
    }
}
