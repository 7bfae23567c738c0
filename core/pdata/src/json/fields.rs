//! The one table: every message of the three signals, field by field.

use crate::signal::Signal;
use crate::wire;

/// A message.
pub(super) struct Message {
    pub fields: &'static [Field],
}

/// A field: its JSON name, its original name, its number, what it holds and how often.
pub(super) struct Field {
    pub name: &'static str,
    pub snake: &'static str,
    pub number: u32,
    pub kind: Kind,
    pub rule: Rule,
}

/// What a field holds, by protobuf's type.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    String,
    Bytes,
    /// Bytes that OTLP writes as hex: a trace id (16) or span id (8).
    Id(usize),
    Bool,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Fixed32,
    Fixed64,
    Sfixed64,
    Double,
    /// The names, in the order of their numbers from 0.
    Enum(&'static [&'static str]),
    Message(&'static Message),
}

/// How often a field is there, and whether its default says anything.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Once; the default is the same as nothing.
    Plain,
    /// Once or not at all, and 0 is not nothing.
    Optional,
    /// A member of the message's only oneof.
    OneOf,
    Repeated,
}

/// The highest number in the table.
pub(super) const MAX_NUMBER: usize = 16;

impl Kind {
    /// The wire type of one value.
    pub fn wire(self) -> u8 {
        match self {
            Kind::String | Kind::Bytes | Kind::Id(_) | Kind::Message(_) => wire::LEN,
            Kind::Fixed32 => wire::FIXED32,
            Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => wire::FIXED64,
            _ => wire::VARINT,
        }
    }
}

impl Message {
    /// The place of the field with this JSON or original name. Senders keep to an order: the search begins at `hint`.
    #[inline]
    pub fn find(&self, key: &[u8], hint: usize) -> Option<usize> {
        let is = |field: &Field| field.name.as_bytes() == key || field.snake.as_bytes() == key;
        let (before, after) = self.fields.split_at(hint.min(self.fields.len()));
        after.iter().position(is).map(|at| at + before.len()).or_else(|| before.iter().position(is))
    }
}

/// The request of a signal.
pub(super) fn request(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces => &TRACES,
        Signal::Metrics => &METRICS,
        Signal::Logs => &LOGS,
    }
}

const fn field(name: &'static str, snake: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, snake, number, kind, rule: Rule::Plain }
}

/// A field whose name is one word.
const fn word(name: &'static str, number: u32, kind: Kind) -> Field {
    field(name, name, number, kind)
}

impl Field {
    const fn optional(mut self) -> Self {
        self.rule = Rule::Optional;
        self
    }

    const fn one_of(mut self) -> Self {
        self.rule = Rule::OneOf;
        self
    }

    const fn repeated(mut self) -> Self {
        self.rule = Rule::Repeated;
        self
    }
}

const fn attributes(number: u32) -> Field {
    word("attributes", number, Kind::Message(&KEY_VALUE)).repeated()
}

const fn dropped_attributes(number: u32) -> Field {
    field("droppedAttributesCount", "dropped_attributes_count", number, Kind::Uint32)
}

const fn schema_url(number: u32) -> Field {
    field("schemaUrl", "schema_url", number, Kind::String)
}

const fn resource() -> Field {
    word("resource", 1, Kind::Message(&RESOURCE))
}

const fn scope() -> Field {
    word("scope", 1, Kind::Message(&SCOPE))
}

const fn trace_id(number: u32) -> Field {
    field("traceId", "trace_id", number, Kind::Id(16))
}

const fn span_id(number: u32) -> Field {
    field("spanId", "span_id", number, Kind::Id(8))
}

const fn trace_state(number: u32) -> Field {
    field("traceState", "trace_state", number, Kind::String)
}

const fn start_time(number: u32) -> Field {
    field("startTimeUnixNano", "start_time_unix_nano", number, Kind::Fixed64)
}

const fn time(number: u32) -> Field {
    field("timeUnixNano", "time_unix_nano", number, Kind::Fixed64)
}

const fn points(message: &'static Message) -> Field {
    field("dataPoints", "data_points", 1, Kind::Message(message)).repeated()
}

const fn temporality() -> Field {
    field("aggregationTemporality", "aggregation_temporality", 2, Kind::Enum(&TEMPORALITIES))
}

const fn exemplars(number: u32) -> Field {
    word("exemplars", number, Kind::Message(&EXEMPLAR)).repeated()
}

// common

static ANY_VALUE: Message = Message {
    fields: &[
        field("stringValue", "string_value", 1, Kind::String).one_of(),
        field("boolValue", "bool_value", 2, Kind::Bool).one_of(),
        field("intValue", "int_value", 3, Kind::Int64).one_of(),
        field("doubleValue", "double_value", 4, Kind::Double).one_of(),
        field("arrayValue", "array_value", 5, Kind::Message(&ARRAY_VALUE)).one_of(),
        field("kvlistValue", "kvlist_value", 6, Kind::Message(&KEY_VALUE_LIST)).one_of(),
        field("bytesValue", "bytes_value", 7, Kind::Bytes).one_of(),
        field("stringValueStrindex", "string_value_strindex", 8, Kind::Int32).one_of(),
    ],
};
static ARRAY_VALUE: Message = Message { fields: &[word("values", 1, Kind::Message(&ANY_VALUE)).repeated()] };
static KEY_VALUE_LIST: Message =
    Message { fields: &[word("values", 1, Kind::Message(&KEY_VALUE)).repeated()] };
static KEY_VALUE: Message = Message {
    fields: &[
        word("key", 1, Kind::String),
        word("value", 2, Kind::Message(&ANY_VALUE)),
        field("keyStrindex", "key_strindex", 3, Kind::Int32),
    ],
};
static SCOPE: Message = Message {
    fields: &[
        word("name", 1, Kind::String),
        word("version", 2, Kind::String),
        attributes(3),
        dropped_attributes(4),
    ],
};
static RESOURCE: Message = Message {
    fields: &[
        attributes(1),
        dropped_attributes(2),
        field("entityRefs", "entity_refs", 3, Kind::Message(&ENTITY_REF)).repeated(),
    ],
};
static ENTITY_REF: Message = Message {
    fields: &[
        schema_url(1),
        word("type", 2, Kind::String),
        field("idKeys", "id_keys", 3, Kind::String).repeated(),
        field("descriptionKeys", "description_keys", 4, Kind::String).repeated(),
    ],
};

// logs

static LOGS: Message = Message {
    fields: &[field("resourceLogs", "resource_logs", 1, Kind::Message(&RESOURCE_LOGS)).repeated()],
};
static RESOURCE_LOGS: Message = Message {
    fields: &[
        resource(),
        field("scopeLogs", "scope_logs", 2, Kind::Message(&SCOPE_LOGS)).repeated(),
        schema_url(3),
    ],
};
static SCOPE_LOGS: Message = Message {
    fields: &[
        scope(),
        field("logRecords", "log_records", 2, Kind::Message(&LOG_RECORD)).repeated(),
        schema_url(3),
    ],
};
static LOG_RECORD: Message = Message {
    fields: &[
        time(1),
        field("observedTimeUnixNano", "observed_time_unix_nano", 11, Kind::Fixed64),
        field("severityNumber", "severity_number", 2, Kind::Enum(&SEVERITIES)),
        field("severityText", "severity_text", 3, Kind::String),
        word("body", 5, Kind::Message(&ANY_VALUE)),
        attributes(6),
        dropped_attributes(7),
        word("flags", 8, Kind::Fixed32),
        trace_id(9),
        span_id(10),
        field("eventName", "event_name", 12, Kind::String),
    ],
};
static SEVERITIES: [&str; 25] = [
    "SEVERITY_NUMBER_UNSPECIFIED",
    "SEVERITY_NUMBER_TRACE",
    "SEVERITY_NUMBER_TRACE2",
    "SEVERITY_NUMBER_TRACE3",
    "SEVERITY_NUMBER_TRACE4",
    "SEVERITY_NUMBER_DEBUG",
    "SEVERITY_NUMBER_DEBUG2",
    "SEVERITY_NUMBER_DEBUG3",
    "SEVERITY_NUMBER_DEBUG4",
    "SEVERITY_NUMBER_INFO",
    "SEVERITY_NUMBER_INFO2",
    "SEVERITY_NUMBER_INFO3",
    "SEVERITY_NUMBER_INFO4",
    "SEVERITY_NUMBER_WARN",
    "SEVERITY_NUMBER_WARN2",
    "SEVERITY_NUMBER_WARN3",
    "SEVERITY_NUMBER_WARN4",
    "SEVERITY_NUMBER_ERROR",
    "SEVERITY_NUMBER_ERROR2",
    "SEVERITY_NUMBER_ERROR3",
    "SEVERITY_NUMBER_ERROR4",
    "SEVERITY_NUMBER_FATAL",
    "SEVERITY_NUMBER_FATAL2",
    "SEVERITY_NUMBER_FATAL3",
    "SEVERITY_NUMBER_FATAL4",
];

// traces

static TRACES: Message = Message {
    fields: &[field("resourceSpans", "resource_spans", 1, Kind::Message(&RESOURCE_SPANS)).repeated()],
};
static RESOURCE_SPANS: Message = Message {
    fields: &[
        resource(),
        field("scopeSpans", "scope_spans", 2, Kind::Message(&SCOPE_SPANS)).repeated(),
        schema_url(3),
    ],
};
static SCOPE_SPANS: Message =
    Message { fields: &[scope(), word("spans", 2, Kind::Message(&SPAN)).repeated(), schema_url(3)] };
static SPAN: Message = Message {
    fields: &[
        trace_id(1),
        span_id(2),
        trace_state(3),
        field("parentSpanId", "parent_span_id", 4, Kind::Id(8)),
        word("flags", 16, Kind::Fixed32),
        word("name", 5, Kind::String),
        word("kind", 6, Kind::Enum(&SPAN_KINDS)),
        start_time(7),
        field("endTimeUnixNano", "end_time_unix_nano", 8, Kind::Fixed64),
        attributes(9),
        dropped_attributes(10),
        word("events", 11, Kind::Message(&EVENT)).repeated(),
        field("droppedEventsCount", "dropped_events_count", 12, Kind::Uint32),
        word("links", 13, Kind::Message(&LINK)).repeated(),
        field("droppedLinksCount", "dropped_links_count", 14, Kind::Uint32),
        word("status", 15, Kind::Message(&STATUS)),
    ],
};
static EVENT: Message =
    Message { fields: &[time(1), word("name", 2, Kind::String), attributes(3), dropped_attributes(4)] };
static LINK: Message = Message {
    fields: &[
        trace_id(1),
        span_id(2),
        trace_state(3),
        attributes(4),
        dropped_attributes(5),
        word("flags", 6, Kind::Fixed32),
    ],
};
static STATUS: Message =
    Message { fields: &[word("message", 2, Kind::String), word("code", 3, Kind::Enum(&STATUS_CODES))] };
static SPAN_KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
static STATUS_CODES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

// metrics

static METRICS: Message = Message {
    fields: &[field("resourceMetrics", "resource_metrics", 1, Kind::Message(&RESOURCE_METRICS)).repeated()],
};
static RESOURCE_METRICS: Message = Message {
    fields: &[
        resource(),
        field("scopeMetrics", "scope_metrics", 2, Kind::Message(&SCOPE_METRICS)).repeated(),
        schema_url(3),
    ],
};
static SCOPE_METRICS: Message =
    Message { fields: &[scope(), word("metrics", 2, Kind::Message(&METRIC)).repeated(), schema_url(3)] };
static METRIC: Message = Message {
    fields: &[
        word("name", 1, Kind::String),
        word("description", 2, Kind::String),
        word("unit", 3, Kind::String),
        word("gauge", 5, Kind::Message(&GAUGE)).one_of(),
        word("sum", 7, Kind::Message(&SUM)).one_of(),
        word("histogram", 9, Kind::Message(&HISTOGRAM)).one_of(),
        field("exponentialHistogram", "exponential_histogram", 10, Kind::Message(&EXPONENTIAL_HISTOGRAM))
            .one_of(),
        word("summary", 11, Kind::Message(&SUMMARY)).one_of(),
        word("metadata", 12, Kind::Message(&KEY_VALUE)).repeated(),
    ],
};
static GAUGE: Message = Message { fields: &[points(&NUMBER_POINT)] };
static SUM: Message = Message {
    fields: &[points(&NUMBER_POINT), temporality(), field("isMonotonic", "is_monotonic", 3, Kind::Bool)],
};
static HISTOGRAM: Message = Message { fields: &[points(&HISTOGRAM_POINT), temporality()] };
static EXPONENTIAL_HISTOGRAM: Message = Message { fields: &[points(&EXPONENTIAL_POINT), temporality()] };
static SUMMARY: Message = Message { fields: &[points(&SUMMARY_POINT)] };
static TEMPORALITIES: [&str; 3] = [
    "AGGREGATION_TEMPORALITY_UNSPECIFIED",
    "AGGREGATION_TEMPORALITY_DELTA",
    "AGGREGATION_TEMPORALITY_CUMULATIVE",
];
static NUMBER_POINT: Message = Message {
    fields: &[
        attributes(7),
        start_time(2),
        time(3),
        field("asDouble", "as_double", 4, Kind::Double).one_of(),
        field("asInt", "as_int", 6, Kind::Sfixed64).one_of(),
        exemplars(5),
        word("flags", 8, Kind::Uint32),
    ],
};
static HISTOGRAM_POINT: Message = Message {
    fields: &[
        attributes(9),
        start_time(2),
        time(3),
        word("count", 4, Kind::Fixed64),
        word("sum", 5, Kind::Double).optional(),
        field("bucketCounts", "bucket_counts", 6, Kind::Fixed64).repeated(),
        field("explicitBounds", "explicit_bounds", 7, Kind::Double).repeated(),
        exemplars(8),
        word("flags", 10, Kind::Uint32),
        word("min", 11, Kind::Double).optional(),
        word("max", 12, Kind::Double).optional(),
    ],
};
static EXPONENTIAL_POINT: Message = Message {
    fields: &[
        attributes(1),
        start_time(2),
        time(3),
        word("count", 4, Kind::Fixed64),
        word("sum", 5, Kind::Double).optional(),
        word("scale", 6, Kind::Sint32),
        field("zeroCount", "zero_count", 7, Kind::Fixed64),
        word("positive", 8, Kind::Message(&BUCKETS)),
        word("negative", 9, Kind::Message(&BUCKETS)),
        word("flags", 10, Kind::Uint32),
        exemplars(11),
        word("min", 12, Kind::Double).optional(),
        word("max", 13, Kind::Double).optional(),
        field("zeroThreshold", "zero_threshold", 14, Kind::Double),
    ],
};
static BUCKETS: Message = Message {
    fields: &[
        word("offset", 1, Kind::Sint32),
        field("bucketCounts", "bucket_counts", 2, Kind::Uint64).repeated(),
    ],
};
static SUMMARY_POINT: Message = Message {
    fields: &[
        attributes(7),
        start_time(2),
        time(3),
        word("count", 4, Kind::Fixed64),
        word("sum", 5, Kind::Double),
        field("quantileValues", "quantile_values", 6, Kind::Message(&QUANTILE)).repeated(),
        word("flags", 8, Kind::Uint32),
    ],
};
static QUANTILE: Message =
    Message { fields: &[word("quantile", 1, Kind::Double), word("value", 2, Kind::Double)] };
static EXEMPLAR: Message = Message {
    fields: &[
        field("filteredAttributes", "filtered_attributes", 7, Kind::Message(&KEY_VALUE)).repeated(),
        time(2),
        field("asDouble", "as_double", 3, Kind::Double).one_of(),
        field("asInt", "as_int", 6, Kind::Sfixed64).one_of(),
        span_id(4),
        trace_id(5),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    fn each(message: &'static Message, seen: &mut Vec<*const Message>, visit: &mut impl FnMut(&Message)) {
        if seen.contains(&std::ptr::from_ref(message)) {
            return;
        }
        seen.push(message);
        visit(message);
        for field in message.fields {
            if let Kind::Message(below) = field.kind {
                each(below, seen, visit);
            }
        }
    }

    #[test]
    fn names_agree_and_numbers_are_unique_and_within_the_limit() {
        let mut seen = Vec::new();
        for signal in Signal::ALL {
            each(request(signal), &mut seen, &mut |message| {
                let mut numbers: Vec<u32> = message.fields.iter().map(|field| field.number).collect();
                numbers.sort_unstable();
                assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
                assert!(numbers.iter().all(|&number| number as usize <= MAX_NUMBER));
                for field in message.fields {
                    let mut words = field.snake.split('_');
                    let mut camel = words.next().unwrap().to_owned();
                    for word in words {
                        camel.push_str(&word[..1].to_uppercase());
                        camel.push_str(&word[1..]);
                    }
                    assert_eq!(field.name, camel);
                }
            });
        }
        assert_eq!(seen.len(), 34);
    }
}
