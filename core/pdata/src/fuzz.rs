//! What every sequence of bytes must survive. Driven by a test for a second or two, and by cargo-fuzz for longer.
//!
//! A broken promise is a panic: that is what a fuzzer looks for.

use bytes::{Bytes, BytesMut};

use crate::build::AnyValue;
use crate::edit::{Edited, Editor, Headers, Record, RecordEditor, edit_records, edit_resources};
use crate::view::{Attributes, Data, LogsView, MetricsView, TracesView};
use crate::{Body, Grouper, Limit, Malformed, Signal, check, divide, json, regroup, split};

/// Walks the bytes as every signal.
pub fn walk(data: &[u8]) {
    for signal in Signal::ALL {
        if let Err(error) = check(signal, data) {
            assert!(error.offset() < data.len(), "a fault beyond the end: {error}");
            assert!(!error.to_string().is_empty());
        }
    }
}

/// Splits the bytes as every signal, by size and between resources: no item may be lost, no piece may be malformed.
pub fn split_pieces(data: &[u8]) {
    shares(data);
    let (request, seed) = (Bytes::copy_from_slice(data), data.first().copied().unwrap_or(0) as usize);
    for signal in Signal::ALL {
        for limit in [Limit::Items(seed % 7), Limit::Bytes(seed * 3)] {
            let Ok(total) = check(signal, &request) else {
                assert!(split(signal, &request, limit).is_err(), "split takes what check refuses");
                continue;
            };
            let pieces = split(signal, &request, limit).unwrap_or_default();
            assert_eq!(pieces.iter().map(|piece| piece.items).sum::<usize>(), total, "items lost");
            for piece in pieces {
                assert_eq!(check(signal, &piece.bytes), Ok(piece.items), "a malformed piece");
            }
        }
    }
}

fn shares(data: &[u8]) {
    let request = Bytes::copy_from_slice(data);
    for signal in Signal::ALL {
        let Ok(total) = check(signal, &request) else { continue };
        let mut next = 0;
        let shares = divide(signal, &request, total, |resource, places| {
            let read = resource.read().map(|resource| resource.attributes().get("a").is_ok());
            next += usize::from(read.is_ok()) + 1;
            places.push(next % 3);
        });
        let shares = shares.unwrap_or_default();
        assert_eq!(shares.iter().map(|share| share.items).sum::<usize>(), total, "items lost");
        for share in shares {
            assert_eq!(check(signal, &share.bytes), Ok(share.items), "a malformed share");
        }
    }
}

type Edit = fn(Signal, &mut Body) -> Result<Edited, Malformed>;

/// Edits and regroups the bytes as every signal: the number of items stays, and the result is well formed.
pub fn splice(data: &[u8]) {
    let request = Bytes::copy_from_slice(data);
    for signal in Signal::ALL {
        let Ok(total) = check(signal, &request) else { continue };
        let edits: [Edit; 3] = [
            |signal, body| edit_resources(signal, body, change),
            |signal, body| edit_records(signal, body, &mut Everything),
            |signal, body| regroup(signal, body, "a", "overflow", &mut Everything),
        ];
        for edit in edits {
            let mut copied = Body::from(request.clone());
            let mut alone = BytesMut::with_capacity(2 * data.len() + 1024);
            alone.extend_from_slice(data);
            let mut in_place = Body::from(alone.freeze());
            assert_eq!(edit(signal, &mut copied), edit(signal, &mut in_place));
            assert_eq!(copied, in_place, "where it is written makes a difference");
            assert_eq!(check(signal, &copied), Ok(total), "items lost by an edit");
        }
    }
}

fn change(attributes: &mut Editor<'_>) {
    let first = attributes.get("a").ok().flatten().and_then(|value| value.to_any().ok());
    attributes.remove("b");
    attributes.upsert("a", first.unwrap_or(AnyValue::Int(7)));
    attributes.insert("new", "text");
}

struct Everything;

impl Headers for Everything {}

impl RecordEditor for Everything {
    fn edit(&mut self, _: &Record<'_>, attributes: &mut Editor<'_>) {
        change(attributes);
    }
}

impl Grouper for Everything {
    fn key(&mut self, record: &Record<'_>) -> &str {
        let here = record.attributes().get("a");
        match here {
            Ok(Some(_)) => "some",
            Ok(None) => "none",
            Err(_) => "broken",
        }
    }
}

/// Reads the bytes as the JSON of every signal, and writes them as if they were its protobuf. What was read is well formed
/// and comes back the same; what was written can be read.
pub fn json_both_ways(data: &[u8]) {
    for signal in Signal::ALL {
        match json::read(signal, data) {
            Ok(bytes) => {
                let items = check(signal, &bytes);
                assert!(items.is_ok(), "malformed bytes out of JSON: {items:?}");
                let written = json::write(signal, &bytes).map(|written| (written.broken, written.json));
                let Ok((0, text)) = written else { panic!("what came from JSON cannot be written as JSON") };
                let again = json::read(signal, &text).map(|bytes| json::write(signal, &bytes));
                assert!(again.is_ok_and(|again| again.is_ok_and(|again| again.json == text)));
            }
            Err(error) => assert!(error.line > 0 && error.column > 0 && !error.to_string().is_empty()),
        }
        let Ok(items) = check(signal, data) else { continue };
        let Ok(written) = json::write(signal, data) else { panic!("write refuses what check takes") };
        assert!(written.broken <= items, "more items broken than there are");
    }
}

/// Reads everything that the views of every signal show.
pub fn views(data: &[u8]) {
    for resource in LogsView::new(data).resources().flatten() {
        read(resource.attributes());
        for record in resource.scopes().flatten().flat_map(|scope| scope.records()).flatten() {
            let _ = (record.body.to_text(), record.body.to_any());
            read(record.attributes());
        }
    }
    for resource in TracesView::new(data).resources().flatten() {
        for scope in resource.scopes().flatten() {
            read(scope.attributes());
            for span in scope.records().flatten() {
                read(span.attributes());
                span.events().flatten().for_each(|event| read(event.attributes()));
                span.links().flatten().for_each(|link| read(link.attributes()));
            }
        }
    }
    for resource in MetricsView::new(data).resources().flatten() {
        for metric in resource.scopes().flatten().flat_map(|scope| scope.records()).flatten() {
            read(metric.metadata());
            match metric.data {
                Data::Empty => {}
                Data::Gauge(points) | Data::Sum { points, .. } => {
                    points.flatten().for_each(|p| read(p.attributes()))
                }
                Data::Histogram { points, .. } => points.flatten().for_each(|point| {
                    read(point.attributes());
                    let _ = (point.bucket_counts().count(), point.explicit_bounds().count());
                }),
                Data::ExponentialHistogram { points, .. } => points.flatten().for_each(|point| {
                    read(point.attributes());
                    let _ = (point.positive.counts.count(), point.negative.counts.count());
                }),
                Data::Summary(points) => points.flatten().for_each(|point| {
                    read(point.attributes());
                    let _ = point.quantiles().count();
                }),
            }
        }
    }
}

fn read(attributes: Attributes<'_>) {
    for (_, value) in attributes.flatten() {
        let _ = (value.to_text(), value.to_any());
    }
}
