//! Requests as a busy service makes them: about 262 bytes a record, five attributes, no two records alike.

use bytes::Bytes;
use streamgauge_pdata::Signal;

use super::numbers::marked;

/// What a request is made of.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub signal: Signal,
    /// Items in all.
    pub records: usize,
    /// Resources that the items are spread over.
    pub groups: usize,
    /// Each resource has the attribute that the tag rows write, with another value.
    pub tagged: bool,
    /// The first record has a number, see [`super::numbers`]. Of logs alone.
    pub numbered: bool,
}

/// The attribute that the tag rows write.
pub const TAG: &str = "project.id";

/// One `Export*ServiceRequest`.
pub fn request(shape: Shape) -> Bytes {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut request = Message::default();
    let mut number = shape.numbered.then(|| marked(0));
    for group in 0..shape.groups {
        let records = shape.records * (group + 1) / shape.groups - shape.records * group / shape.groups;
        request.message(1, |resource_data| {
            resource_data.message(1, |resource| {
                attribute(resource, 1, "service.name", &format!("checkout-{group}"));
                attribute(resource, 1, "service.namespace", "shop");
                attribute(resource, 1, "host.name", "node-7.eu-west-1.example");
                if shape.tagged {
                    attribute(resource, 1, TAG, "unassigned");
                }
            });
            resource_data.message(2, |scope_data| {
                scope_data.message(1, |scope| scope.text(1, "checkout.http"));
                match shape.signal {
                    Signal::Logs => (0..records).for_each(|_| {
                        let number = number.take();
                        scope_data.message(2, |r| log(r, number, &mut random));
                    }),
                    Signal::Traces => {
                        (0..records).for_each(|_| scope_data.message(2, |r| span(r, &mut random)));
                    }
                    // Twenty points a metric: a series each.
                    Signal::Metrics => {
                        for first in (0..records).step_by(20) {
                            let points = (records - first).min(20);
                            scope_data.message(2, |metric| gauge(metric, points, &mut random));
                        }
                    }
                }
            });
        });
    }
    request.0.into()
}

const NOW: u64 = 1_790_000_000_000_000_000;

fn log(record: &mut Message, number: Option<[u8; 16]>, random: &mut Random) {
    record.fixed64(1, NOW + random.below(1 << 30));
    record.fixed64(11, NOW + random.below(1 << 30));
    record.varint(2, 9);
    record.text(3, "INFO");
    record.message(5, |body| {
        body.text(
            1,
            &format!("order {:07} was accepted for delivery by the warehouse", random.below(10_000_000)),
        );
    });
    common(record, 6, random);
    let trace_id = random.bytes::<16>();
    record.bytes(9, &number.unwrap_or(trace_id));
    record.bytes(10, &random.bytes::<8>());
}

fn span(record: &mut Message, random: &mut Random) {
    let start = NOW + random.below(1 << 30);
    record.bytes(1, &random.bytes::<16>());
    record.bytes(2, &random.bytes::<8>());
    record.text(3, &format!("shop={:016x}{:016x}", random.next(), random.next()));
    record.bytes(4, &random.bytes::<8>());
    record.text(5, "POST /cart/items");
    record.varint(6, 2);
    record.fixed64(7, start);
    record.fixed64(8, start + random.below(1 << 28));
    common(record, 9, random);
    record.message(15, |status| status.varint(3, 1));
}

fn gauge(metric: &mut Message, points: usize, random: &mut Random) {
    metric.text(1, "app.cart.size");
    metric.text(3, "{item}");
    metric.message(5, |gauge| {
        for _ in 0..points {
            gauge.message(1, |point| {
                common(point, 7, random);
                let [a, b, c, d] = std::array::from_fn(|_| random.next());
                attribute(point, 7, "shopping.cart.id", &format!("{a:016x}{b:016x}{c:016x}{d:016x}"));
                point.fixed64(2, NOW);
                point.fixed64(3, NOW + random.below(1 << 30));
                point.fixed64(4, (random.below(1 << 20) as f64).to_bits());
            });
        }
    });
}

/// The five attributes that every record has.
fn common(record: &mut Message, field: u32, random: &mut Random) {
    attribute(record, field, "http.request.method", "POST");
    attribute(record, field, "http.route", "/cart/items");
    record.message(field, |pair| {
        pair.text(1, "http.response.status_code");
        pair.message(2, |value| value.varint(3, 200 + random.below(5)));
    });
    attribute(record, field, "user.id", &format!("u-{:06}", random.below(1_000_000)));
    attribute(record, field, "region", "eu-west-1");
}

fn attribute(into: &mut Message, field: u32, key: &str, value: &str) {
    into.message(field, |pair| {
        pair.text(1, key);
        pair.message(2, |any| any.text(1, value));
    });
}

/// A protobuf message being written. The bench writes its requests itself, so that what it measures cannot also be
/// what makes the data.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn raw(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn varint(&mut self, field: u32, value: u64) {
        self.raw(u64::from(field) << 3);
        self.raw(value);
    }

    fn fixed64(&mut self, field: u32, value: u64) {
        self.raw(u64::from(field) << 3 | 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn bytes(&mut self, field: u32, value: &[u8]) {
        self.raw(u64::from(field) << 3 | 2);
        self.raw(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    fn text(&mut self, field: u32, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    fn message(&mut self, field: u32, write: impl FnOnce(&mut Message)) {
        let mut inner = Message::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }
}

/// Xorshift: the same data in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| (self.next() >> 24) as u8)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message as _;
    use streamgauge_pdata::check;

    use super::*;

    fn shape(signal: Signal) -> Shape {
        Shape { signal, records: 1000, groups: 1, tagged: false, numbered: false }
    }

    #[test]
    fn every_signal_has_its_items_at_about_262_bytes_each() {
        for signal in Signal::ALL {
            let bytes = request(shape(signal));
            assert_eq!(check(signal, &bytes).unwrap(), 1000);
            let each = bytes.len() / 1000;
            assert!((245..=280).contains(&each), "{} has {each} bytes an item", signal.name());
        }
    }

    #[test]
    fn protobuf_reads_what_was_meant() {
        let logs = ExportLogsServiceRequest::decode(request(shape(Signal::Logs))).unwrap();
        let records = &logs.resource_logs[0].scope_logs[0].log_records;
        assert_eq!((records[0].attributes.len(), records[0].trace_id.len()), (5, 16));
        assert_ne!(records[0], records[1]);
        let traces = ExportTraceServiceRequest::decode(request(shape(Signal::Traces))).unwrap();
        let span = &traces.resource_spans[0].scope_spans[0].spans[0];
        assert!((span.kind, span.name.as_str()) == (2, "POST /cart/items"));
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
        let metrics = ExportMetricsServiceRequest::decode(request(shape(Signal::Metrics))).unwrap();
        assert_eq!(metrics.resource_metrics[0].scope_metrics[0].metrics.len(), 50);
    }

    #[test]
    fn groups_share_the_records_and_a_tagged_resource_has_the_attribute() {
        let shape = Shape { groups: 100, tagged: true, ..shape(Signal::Logs) };
        let logs = ExportLogsServiceRequest::decode(request(shape)).unwrap();
        assert_eq!(logs.resource_logs.len(), 100);
        assert!(logs.resource_logs.iter().all(|group| group.scope_logs[0].log_records.len() == 10));
        let attributes = &logs.resource_logs[99].resource.as_ref().unwrap().attributes;
        assert!(attributes.iter().any(|pair| pair.key == TAG));
    }

    #[test]
    fn a_numbered_request_differs_from_the_other_by_one_trace_id() {
        let plain = request(shape(Signal::Logs));
        let numbered = request(Shape { numbered: true, ..shape(Signal::Logs) });
        assert_eq!(super::super::numbers::of(&numbered), [0]);
        let differ = plain.iter().zip(&numbered).filter(|(a, b)| a != b).count();
        assert!(plain.len() == numbered.len() && (1..=16).contains(&differ), "{differ}");
    }
}
