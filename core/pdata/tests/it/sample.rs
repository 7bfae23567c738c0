//! Random requests as prost structs, and noise on the wire that must not change what they mean.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{any_value::Value, *};
use opentelemetry_proto::tonic::logs::v1::*;
use opentelemetry_proto::tonic::metrics::v1::{
    exponential_histogram_data_point::Buckets, metric::Data, summary_data_point::ValueAtQuantile, *,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::*;
use prost::Message;
use streamgauge_pdata::Signal;

/// A small generator (SplitMix64): a test's seed says everything about its request.
pub struct Gen(u64);

impl Gen {
    pub fn new(seed: u64) -> Self {
        Gen(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn many<T>(&mut self, at_most: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let n = self.below(at_most + 1);
        (0..n).map(|_| one(self)).collect()
    }

    pub fn string(&mut self) -> String {
        let n = if self.chance(3) { 200 } else { self.below(12) };
        (0..n).map(|_| ['a', 'b', '.', 'é', '\n', '"'][self.below(6)]).collect()
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.bits() as u8).collect()
    }

    fn number(&mut self) -> f64 {
        self.bits() as i32 as f64 / 8.0
    }

    fn maybe(&mut self) -> Option<f64> {
        self.chance(50).then(|| self.number())
    }

    fn any(&mut self, depth: usize) -> AnyValue {
        let kinds = if depth == 0 { 6 } else { 8 };
        let value = match self.below(kinds) {
            0 => None,
            1 => Some(Value::StringValue(self.string())),
            2 => Some(Value::BoolValue(self.chance(50))),
            3 => Some(Value::IntValue(self.bits() as i64)),
            4 => Some(Value::DoubleValue(self.number())),
            5 => Some(Value::BytesValue(self.bytes(5))),
            6 => Some(Value::ArrayValue(ArrayValue { values: self.many(3, |g| g.any(depth - 1)) })),
            _ => Some(Value::KvlistValue(KeyValueList { values: self.many(3, |g| g.pair(depth - 1)) })),
        };
        AnyValue { value }
    }

    fn pair(&mut self, depth: usize) -> KeyValue {
        let key = ["a", "b", "c", "service.name", "project.id", ""][self.below(6)].to_owned();
        let value = self.chance(90).then(|| self.any(depth));
        KeyValue { key, value, ..Default::default() }
    }

    pub fn attributes(&mut self) -> Vec<KeyValue> {
        self.many(4, |g| g.pair(2))
    }

    fn resource(&mut self) -> Option<Resource> {
        self.chance(80).then(|| Resource { attributes: self.attributes(), ..Default::default() })
    }

    fn scope(&mut self) -> Option<InstrumentationScope> {
        self.chance(80).then(|| InstrumentationScope {
            name: self.string(),
            version: self.string(),
            attributes: self.attributes(),
            ..Default::default()
        })
    }

    fn log(&mut self) -> LogRecord {
        LogRecord {
            time_unix_nano: self.bits(),
            observed_time_unix_nano: self.bits(),
            severity_number: self.below(25) as i32,
            severity_text: self.string(),
            body: self.chance(80).then(|| self.any(3)),
            attributes: self.attributes(),
            dropped_attributes_count: self.bits() as u32,
            flags: self.bits() as u32,
            trace_id: self.bytes(16),
            span_id: self.bytes(8),
            event_name: self.string(),
        }
    }

    fn span(&mut self) -> Span {
        Span {
            trace_id: self.bytes(16),
            span_id: self.bytes(8),
            trace_state: self.string(),
            parent_span_id: self.bytes(8),
            flags: self.bits() as u32,
            name: self.string(),
            kind: self.below(6) as i32,
            start_time_unix_nano: self.bits(),
            end_time_unix_nano: self.bits(),
            attributes: self.attributes(),
            dropped_attributes_count: self.bits() as u32,
            events: self.many(2, |g| span::Event {
                time_unix_nano: g.bits(),
                name: g.string(),
                attributes: g.attributes(),
                dropped_attributes_count: 0,
            }),
            dropped_events_count: self.bits() as u32,
            links: self.many(2, |g| span::Link {
                trace_id: g.bytes(16),
                span_id: g.bytes(8),
                trace_state: g.string(),
                attributes: g.attributes(),
                dropped_attributes_count: 0,
                flags: 0,
            }),
            dropped_links_count: self.bits() as u32,
            status: self.chance(50).then(|| Status { message: self.string(), code: self.below(3) as i32 }),
        }
    }

    fn number_point(&mut self) -> NumberDataPoint {
        NumberDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.bits(),
            time_unix_nano: self.bits(),
            exemplars: vec![],
            flags: self.below(2) as u32,
            value: match self.below(3) {
                0 => None,
                1 => Some(number_data_point::Value::AsDouble(self.number())),
                _ => Some(number_data_point::Value::AsInt(self.bits() as i64)),
            },
        }
    }

    fn histogram_point(&mut self) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.bits(),
            time_unix_nano: self.bits(),
            count: self.bits(),
            sum: self.maybe(),
            bucket_counts: self.many(5, Gen::bits),
            explicit_bounds: self.many(5, Gen::number),
            exemplars: vec![],
            flags: self.below(2) as u32,
            min: self.maybe(),
            max: self.maybe(),
        }
    }

    fn buckets(&mut self) -> Option<Buckets> {
        self.chance(70)
            .then(|| Buckets { offset: self.bits() as i32, bucket_counts: self.many(5, |g| g.bits() >> 20) })
    }

    fn exponential_point(&mut self) -> ExponentialHistogramDataPoint {
        ExponentialHistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.bits(),
            time_unix_nano: self.bits(),
            count: self.bits(),
            sum: self.maybe(),
            scale: self.below(30) as i32 - 10,
            zero_count: self.bits(),
            positive: self.buckets(),
            negative: self.buckets(),
            flags: self.below(2) as u32,
            exemplars: vec![],
            min: self.maybe(),
            max: self.maybe(),
            zero_threshold: self.number(),
        }
    }

    fn summary_point(&mut self) -> SummaryDataPoint {
        SummaryDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.bits(),
            time_unix_nano: self.bits(),
            count: self.bits(),
            sum: self.number(),
            quantile_values: self.many(3, |g| ValueAtQuantile { quantile: g.number(), value: g.number() }),
            flags: self.below(2) as u32,
        }
    }

    fn metric(&mut self, points: usize) -> Metric {
        let aggregation_temporality = self.below(3) as i32;
        let data = match self.below(6) {
            0 => None,
            1 => Some(Data::Gauge(Gauge { data_points: self.many(points, Gen::number_point) })),
            2 => Some(Data::Sum(Sum {
                data_points: self.many(points, Gen::number_point),
                aggregation_temporality,
                is_monotonic: self.chance(50),
            })),
            3 => Some(Data::Histogram(Histogram {
                data_points: self.many(points, Gen::histogram_point),
                aggregation_temporality,
            })),
            4 => Some(Data::ExponentialHistogram(ExponentialHistogram {
                data_points: self.many(points, Gen::exponential_point),
                aggregation_temporality,
            })),
            _ => Some(Data::Summary(Summary { data_points: self.many(points, Gen::summary_point) })),
        };
        Metric {
            name: self.string(),
            description: self.string(),
            unit: self.string(),
            metadata: self.attributes(),
            data,
        }
    }

    pub fn logs(&mut self) -> ExportLogsServiceRequest {
        let resource_logs = self.many(3, |g| ResourceLogs {
            resource: g.resource(),
            scope_logs: g.many(3, |g| ScopeLogs {
                scope: g.scope(),
                log_records: g.many(6, Gen::log),
                schema_url: g.string(),
            }),
            schema_url: g.string(),
        });
        ExportLogsServiceRequest { resource_logs }
    }

    pub fn traces(&mut self) -> ExportTraceServiceRequest {
        let resource_spans = self.many(3, |g| ResourceSpans {
            resource: g.resource(),
            scope_spans: g.many(3, |g| ScopeSpans {
                scope: g.scope(),
                spans: g.many(6, Gen::span),
                schema_url: g.string(),
            }),
            schema_url: g.string(),
        });
        ExportTraceServiceRequest { resource_spans }
    }

    pub fn metrics(&mut self) -> ExportMetricsServiceRequest {
        let resource_metrics = self.many(3, |g| ResourceMetrics {
            resource: g.resource(),
            scope_metrics: g.many(3, |g| ScopeMetrics {
                scope: g.scope(),
                metrics: g.many(5, |g| g.metric(6)),
                schema_url: g.string(),
            }),
            schema_url: g.string(),
        });
        ExportMetricsServiceRequest { resource_metrics }
    }

    /// A request of this signal, with noise on the wire half of the time.
    pub fn request(&mut self, signal: Signal) -> Vec<u8> {
        let plain = match signal {
            Signal::Traces => self.traces().encode_to_vec(),
            Signal::Metrics => self.metrics().encode_to_vec(),
            Signal::Logs => self.logs().encode_to_vec(),
        };
        if self.chance(50) { self.noisy(&plain, signal_shape(signal)) } else { plain }
    }

    /// Unknown fields of every wire type, groups among them, long encodings, and singular messages cut in two.
    pub fn noisy(&mut self, message: &[u8], shape: &Shape) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = message;
        while !rest.is_empty() {
            if self.chance(15) {
                self.unknown(&mut out);
            }
            let key = varint(&mut rest);
            match key & 7 {
                2 => {
                    let len = varint(&mut rest) as usize;
                    let (inside, after) = rest.split_at(len);
                    rest = after;
                    match shape.0.iter().find(|(number, ..)| u64::from(*number) == key >> 3) {
                        Some((_, below, mergeable)) => {
                            let inside = self.noisy(inside, below);
                            let cut = if *mergeable && self.chance(30) { boundary(self, &inside) } else { 0 };
                            if cut > 0 {
                                self.field(&mut out, key, &inside[..cut]);
                            }
                            self.field(&mut out, key, &inside[cut..]);
                        }
                        None => self.field(&mut out, key, inside),
                    }
                }
                wire => {
                    put_varint(&mut out, key);
                    let before = rest;
                    let len = match wire {
                        0 => {
                            varint(&mut rest);
                            before.len() - rest.len()
                        }
                        1 => 8,
                        _ => 4,
                    };
                    out.extend_from_slice(&before[..len]);
                    rest = &before[len..];
                }
            }
        }
        if self.chance(15) {
            self.unknown(&mut out);
        }
        out
    }

    fn field(&mut self, out: &mut Vec<u8>, key: u64, inside: &[u8]) {
        put_varint(out, key);
        if self.chance(10) {
            // A length in more bytes than it needs.
            let len = inside.len() as u64;
            out.extend([
                len as u8 | 0x80,
                (len >> 7) as u8 | 0x80,
                (len >> 14) as u8 | 0x80,
                (len >> 21) as u8,
            ]);
        } else {
            put_varint(out, inside.len() as u64);
        }
        out.extend_from_slice(inside);
    }

    fn unknown(&mut self, out: &mut Vec<u8>) {
        let number = [50u64, 63, 64, 1000, (1 << 29) - 1][self.below(5)];
        match self.below(5) {
            0 => {
                put_varint(out, number << 3);
                put_varint(out, self.bits());
            }
            1 => {
                put_varint(out, number << 3 | 1);
                out.extend(self.bytes(8));
            }
            2 => {
                put_varint(out, number << 3 | 2);
                let n = self.below(9);
                put_varint(out, n as u64);
                out.extend(self.bytes(n));
            }
            3 => {
                put_varint(out, number << 3 | 5);
                out.extend(self.bytes(4));
            }
            _ => {
                put_varint(out, number << 3 | 3);
                if self.chance(50) {
                    self.unknown(out);
                }
                put_varint(out, number << 3 | 4);
            }
        }
    }
}

/// A message's fields that are messages: number, shape, and whether it is singular, so that protobuf merges it.
pub struct Shape(&'static [(u32, &'static Shape, bool)]);

pub fn signal_shape(signal: Signal) -> &'static Shape {
    static LEAF: Shape = Shape(&[]);
    static ANY: Shape = Shape(&[(5, &ARRAY, true), (6, &LIST, true)]);
    static ARRAY: Shape = Shape(&[(1, &ANY, false)]);
    static LIST: Shape = Shape(&[(1, &PAIR, false)]);
    static PAIR: Shape = Shape(&[(2, &ANY, true)]);
    static RESOURCE: Shape = Shape(&[(1, &PAIR, false)]);
    static SCOPE: Shape = Shape(&[(3, &PAIR, false)]);
    static LOG: Shape = Shape(&[(5, &ANY, true), (6, &PAIR, false)]);
    static SPAN: Shape =
        Shape(&[(9, &PAIR, false), (11, &EVENT, false), (13, &LINK, false), (15, &LEAF, true)]);
    static EVENT: Shape = Shape(&[(3, &PAIR, false)]);
    static LINK: Shape = Shape(&[(4, &PAIR, false)]);
    static NUMBER: Shape = Shape(&[(7, &PAIR, false)]);
    static HISTOGRAM: Shape = Shape(&[(9, &PAIR, false)]);
    static EXPONENTIAL: Shape = Shape(&[(1, &PAIR, false), (8, &LEAF, true), (9, &LEAF, true)]);
    static SUMMARY: Shape = Shape(&[(6, &LEAF, false), (7, &PAIR, false)]);
    static METRIC: Shape = Shape(&[
        (5, &Shape(&[(1, &NUMBER, false)]), true),
        (7, &Shape(&[(1, &NUMBER, false)]), true),
        (9, &Shape(&[(1, &HISTOGRAM, false)]), true),
        (10, &Shape(&[(1, &EXPONENTIAL, false)]), true),
        (11, &Shape(&[(1, &SUMMARY, false)]), true),
        (12, &PAIR, false),
    ]);
    static LOGS: Shape = Shape(&[(
        1,
        &Shape(&[(1, &RESOURCE, true), (2, &Shape(&[(1, &SCOPE, true), (2, &LOG, false)]), false)]),
        false,
    )]);
    static TRACES: Shape = Shape(&[(
        1,
        &Shape(&[(1, &RESOURCE, true), (2, &Shape(&[(1, &SCOPE, true), (2, &SPAN, false)]), false)]),
        false,
    )]);
    static METRICS: Shape = Shape(&[(
        1,
        &Shape(&[(1, &RESOURCE, true), (2, &Shape(&[(1, &SCOPE, true), (2, &METRIC, false)]), false)]),
        false,
    )]);
    match signal {
        Signal::Traces => &TRACES,
        Signal::Metrics => &METRICS,
        Signal::Logs => &LOGS,
    }
}

/// The start of some field of a message.
fn boundary(g: &mut Gen, message: &[u8]) -> usize {
    let mut starts = vec![];
    let mut rest = message;
    while !rest.is_empty() {
        starts.push(message.len() - rest.len());
        skip(&mut rest);
    }
    if starts.is_empty() { 0 } else { starts[g.below(starts.len())] }
}

fn skip(rest: &mut &[u8]) {
    let key = varint(rest);
    let n = match key & 7 {
        0 => {
            varint(rest);
            0
        }
        1 => 8,
        2 => varint(rest) as usize,
        3 => {
            while rest[0] & 7 != 4 || varint(&mut &rest[..]) >> 3 != key >> 3 {
                skip(rest);
            }
            varint(rest);
            0
        }
        _ => 4,
    };
    *rest = &rest[n..];
}

pub fn varint(rest: &mut &[u8]) -> u64 {
    prost::encoding::decode_varint(rest).unwrap()
}

pub fn put_varint(out: &mut Vec<u8>, value: u64) {
    prost::encoding::encode_varint(value, out);
}
