use bytes::Bytes;
use proptest::prelude::*;
use streamgauge_pdata::build::LogsBuilder;
use streamgauge_pdata::{Limit, Piece, Signal, check, split};

use crate::decoded::{Decoded, Flat};
use crate::sample::{Gen, put_varint};

fn flat(signal: Signal, pieces: &[Piece]) -> Vec<Flat> {
    let all = pieces.iter().flat_map(|piece| Decoded::new(signal, &piece.bytes).flat());
    all.map(|record| Flat { index: 0, ..record }).collect()
}

fn cut(seed: u64, signal: Signal, limit: Limit) -> (Bytes, Vec<Piece>) {
    let request = Bytes::from(Gen::new(seed).request(signal));
    let pieces = split(signal, &request, limit).unwrap();
    for piece in &pieces {
        assert_eq!(check(signal, &piece.bytes), Ok(piece.items));
    }
    let whole = Piece { bytes: request.clone(), items: 0 };
    assert!(flat(signal, &pieces) == flat(signal, &[whole]), "the records are others");
    (request, pieces)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_split_by_items_keeps_every_record_in_order_and_fills_every_piece_but_the_last(
        seed: u64, most in 1usize..8, signal in prop::sample::select(&Signal::ALL[..])
    ) {
        let (_, pieces) = cut(seed, signal, Limit::Items(most));
        for piece in &pieces[..pieces.len() - 1] {
            prop_assert_eq!(piece.items, most);
        }
        prop_assert!(pieces[pieces.len() - 1].items <= most);
    }

    #[test]
    fn a_split_by_bytes_keeps_every_record_in_order_and_only_a_single_item_is_larger(
        seed: u64, most in 1usize..2000, signal in prop::sample::select(&Signal::ALL[..])
    ) {
        let (request, pieces) = cut(seed, signal, Limit::Bytes(most));
        for piece in &pieces {
            prop_assert!(piece.bytes.len() <= most || piece.items <= 1, "{} bytes, {} items", piece.bytes.len(), piece.items);
        }
        if request.len() <= most {
            prop_assert_eq!(&pieces[0].bytes, &request);
        }
    }
}

#[test]
fn a_request_that_fits_is_returned_as_it_is() {
    let request = Bytes::from(Gen::new(3).request(Signal::Metrics));
    let pieces = split(Signal::Metrics, &request, Limit::Items(usize::MAX)).unwrap();
    assert_eq!(pieces.len(), 1);
    assert_eq!(pieces[0].bytes.as_ptr(), request.as_ptr());
}

#[test]
fn a_piece_that_is_one_run_of_resources_shares_the_old_bytes() {
    let mut builder = LogsBuilder::new();
    for _ in 0..4 {
        builder.resource([("a", "b")]).scope("s", "").record(1);
    }
    let request = builder.finish();
    let pieces = split(Signal::Logs, &request, Limit::Items(2)).unwrap();
    assert_eq!(pieces.len(), 2);
    assert_eq!(pieces[1].bytes, request[request.len() / 2..]);
    assert_eq!(pieces[1].bytes.as_ptr(), request[request.len() / 2..].as_ptr());
}

#[test]
fn a_malformed_request_is_refused() {
    let error = split(Signal::Logs, &Bytes::from_static(&[0x0a, 9]), Limit::Items(1)).unwrap_err();
    assert_eq!(error.offset(), 1);
}

/// One ResourceLogs with a schema_url of `header` bytes and `records` empty records.
fn lopsided(header: usize, records: usize) -> Bytes {
    let nested = |tag: u8, inside: &[u8]| {
        let mut out = vec![tag];
        put_varint(&mut out, inside.len() as u64);
        out.extend_from_slice(inside);
        out
    };
    let scope = nested(0x12, &[0x12, 0].repeat(records));
    let schema = nested(0x1a, &b"x".repeat(header));
    Bytes::from(nested(0x0a, &[scope, schema].concat()))
}

#[test]
fn many_tiny_records_under_a_large_header_do_not_multiply_it_without_bound() {
    let request = lopsided(1 << 20, 10_000);
    for limit in [Limit::Items(1), Limit::Bytes(1000)] {
        let pieces = split(Signal::Logs, &request, limit).unwrap();
        assert_eq!(pieces.iter().map(|piece| piece.items).sum::<usize>(), 10_000);
        let total: usize = pieces.iter().map(|piece| piece.bytes.len()).sum();
        assert!(total < 70 << 20, "{total} bytes");
    }
}

#[test]
fn headers_that_were_tried_and_not_copied_do_not_count() {
    // Of each header there are three copies, well within the bound of four.
    let (header, resources) = ("x".repeat(1 << 20), 20);
    let mut builder = LogsBuilder::new();
    for _ in 0..resources {
        let mut resource = builder.resource([("header", header.as_str())]);
        for records in [2, 1] {
            let mut scope = resource.scope("s", "");
            for time in 0..records {
                scope.record(time).body("y".repeat(1000));
            }
        }
    }
    let pieces = split(Signal::Logs, &builder.finish(), Limit::Bytes(header.len() + 1500)).unwrap();
    assert_eq!(pieces.iter().map(|piece| piece.items).collect::<Vec<_>>(), [1; 3 * 20]);
}

#[test]
fn a_hundred_thousand_records_in_one_scope_are_split() {
    let request = lopsided(10, 100_000);
    let pieces = split(Signal::Logs, &request, Limit::Items(8192)).unwrap();
    assert_eq!(pieces.len(), 13);
    assert_eq!(pieces[12].items, 100_000 - 12 * 8192);
}

#[test]
fn the_members_of_a_metrics_oneof_keep_what_they_share_when_they_are_split() {
    // Sum{1 point}, Gauge{1 point}, Sum{2 points}, Sum{temporality 2, 1 point}: the last three points are live.
    let point = |n: u8| vec![0x0a, 9, 3 << 3 | 1, n, 0, 0, 0, 0, 0, 0, 0];
    let nested = |tag: u8, inside: &[u8]| [&[tag, inside.len() as u8][..], inside].concat();
    let sum = |inside: &[u8]| nested(7 << 3 | 2, inside);
    let data = [
        sum(&point(1)),
        nested(5 << 3 | 2, &point(2)),
        sum(&[point(3), point(4)].concat()),
        sum(&[vec![2 << 3, 2], point(5)].concat()),
    ];
    let request = Bytes::from(nested(0x0a, &nested(0x12, &nested(0x12, &data.concat()))));
    let whole = Piece { bytes: request.clone(), items: 3 };
    let pieces = split(Signal::Metrics, &request, Limit::Items(1)).unwrap();
    assert_eq!(pieces.len(), 3);
    assert!(flat(Signal::Metrics, &pieces) == flat(Signal::Metrics, &[whole]), "the points are others");
}

#[test]
fn unknown_fields_of_the_request_itself_count_too() {
    // Twice: resource_logs { scope_logs { log_records {} } }, and field 50 (varint 7).
    let request = Bytes::from([0x0a, 4, 0x12, 2, 0x12, 0, 0x90, 0x03, 7].repeat(2));
    let pieces = split(Signal::Logs, &request, Limit::Bytes(8)).unwrap();
    assert!(pieces.iter().all(|piece| piece.bytes.len() <= 8));
    let joined: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes.iter().copied()).collect();
    assert_eq!(joined, request);
}

#[test]
fn the_pieces_between_resources_in_a_row_are_the_request() {
    for seed in 0..200u64 {
        let mut g = crate::sample::Gen::new(seed ^ 9 << 32);
        let signal = Signal::ALL[seed as usize % 3];
        let request = Bytes::from(g.request(signal));
        let pieces = streamgauge_pdata::split_resources(signal, &request).unwrap();
        let joined: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes.iter().copied()).collect();
        let items: usize = pieces.iter().map(|piece| piece.items).sum();
        let resources = streamgauge_pdata::view::LogsView::new(&request).resources().count();
        assert_eq!(items, streamgauge_pdata::count(signal, &request));
        assert_eq!(pieces.len(), resources);
        assert!(resources == 0 || joined == *request);
    }
}
