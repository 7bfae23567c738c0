//! Requests as no well-behaved client sends them, at the door.

use std::io::{Read as _, Write as _};

use super::*;

/// A length-delimited field below number 16.
fn field(number: u8, inside: &[u8]) -> Vec<u8> {
    let length = u8::try_from(inside.len()).ok().filter(|length| *length < 128).unwrap();
    [&[number << 3 | 2, length], inside].concat()
}

/// A logs request around this resource and these records.
fn around(resource: &[u8], records: &[u8]) -> Vec<u8> {
    field(1, &[resource, &field(2, records)].concat())
}

#[tokio::test]
async fn what_is_odd_and_valid_goes_on_byte_by_byte() {
    let running = start(BOTH).await;
    let pair = field(1, &[field(1, b"k"), field(2, &field(1, b"v"))].concat());
    // Field 100 as a group that holds a group and a varint.
    let group = [0xa3, 0x06, 0x0b, 0x08, 0x05, 0x0c, 0xa4, 0x06];
    let record = field(2, &[]);
    let unknown = [group.as_slice(), &[0xa8, 0x06, 0x07], &record].concat();
    for (what, body) in [
        ("no resource", around(&[], &record)),
        ("a resource without attributes", around(&field(1, &[]), &record)),
        ("an attribute that comes twice", around(&field(1, &[pair.clone(), pair].concat()), &record)),
        ("unknown fields and groups", around(&[], &unknown)),
        ("a record broken inside", around(&[], &field(2, &[0x1a, 9]))),
        ("a record with fields of wrong types", around(&[], &field(2, &[0x08, 1, 0x15, 0, 0, 0, 0]))),
    ] {
        let answer = running.post("/v1/logs", &body).await;
        assert_eq!(answer.status, 200, "{what}: {}", Status::decode(&answer.body).message);
        let received = running.sink.take().remove(0);
        assert_eq!((received.items, &received.parts[0][..]), (1, &body[..]), "{what}");
    }
}

#[tokio::test]
async fn an_empty_request_is_taken_and_nothing_goes_on() {
    let running = start(BOTH).await;
    let empty = [vec![], field(1, &[]), around(&[], &[])];
    for body in &empty {
        assert_eq!(running.post("/v1/logs", body).await.status, 200);
        running.grpc().await.export(ExportLogsServiceRequest::decode(&body[..]).unwrap()).await.unwrap();
    }
    assert!(running.sink.received().is_empty());
}

#[tokio::test]
async fn a_hundred_thousand_records_are_one_request_by_both_protocols() {
    let running = start(BOTH).await;
    let request = logs(100_000);
    assert_eq!(running.post("/v1/logs", &request.encode_to_vec()).await.status, 200);
    running.grpc().await.export(request).await.unwrap();
    let items: Vec<usize> = running.sink.received().iter().map(|batch| batch.items).collect();
    assert_eq!(items, [100_000, 100_000]);
}

#[tokio::test]
async fn what_is_broken_above_the_records_is_refused_with_its_place() {
    let running = start(BOTH).await;
    for (body, place) in [
        (vec![0x08, 1], "the request"), // resource_logs as a varint
        (around(&[0x15, 0, 0, 0, 0], &[]), "resource_logs[0]"), // scope_logs as a fixed32
        (around(&[], &[0x12, 0, 0x10, 1]), "resource_logs[0].scope_logs[0]"), // log_records[1] as a varint
        (vec![0x0a, 0x80], "the request"), // a length that ends too early
        (field(1, &[0x12, 0x80]), "resource_logs[0]"),
        (field(1, &[0x0b]), "resource_logs[0]"), // a group without its end
        (vec![0x0a, 5, 0x12], "the request"),    // longer than the body
    ] {
        let answer = running.post("/v1/logs", &body).await;
        let message = Status::decode(&answer.body).message;
        assert_eq!(answer.status, 400, "{body:x?}");
        assert!(message.contains("malformed OTLP at byte"), "{message}");
        assert!(message.contains(&format!("in {place}:")), "{body:x?}: {message}");
    }
    assert!(running.sink.received().is_empty());
}

#[tokio::test]
async fn a_varint_cut_by_the_end_of_a_chunk_is_read_whole() {
    let running = start(BOTH).await;
    // A record of 300 bytes: its lengths are varints of two bytes.
    let body = severity_text(&"x".repeat(300)).encode_to_vec();
    assert!(body[1] & 0x80 != 0);
    let address = running.receiver.address(Protocol::Http).unwrap();
    let head = "POST /v1/logs HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\
                content-type: application/x-protobuf\r\n\r\n";
    let mut wire = head.as_bytes().to_vec();
    for chunk in [&body[..2], &body[2..5], &body[5..]] {
        wire.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        wire.chunks(7).for_each(|some| stream.write_all(some).unwrap());
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = answer.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(running.sink.received()[0].parts[0], body);
}

fn severity_text(text: &str) -> ExportLogsServiceRequest {
    let mut request = logs(1);
    request.resource_logs[0].scope_logs[0].log_records[0].severity_text = text.to_owned();
    request
}

#[tokio::test]
async fn one_record_above_the_limit_is_refused_and_the_next_request_is_taken() {
    let running = start(
        "protocols: {grpc: {endpoint: 'localhost:0', max_recv_msg_size_mib: 1}, \
         http: {endpoint: 'localhost:0', max_request_body_size: 1048576}}",
    )
    .await;
    let large = severity_text(&"x".repeat(1 << 20));
    let mut client = running.grpc().await;
    let refused = client.export(large.clone()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted, "{refused}");
    assert_eq!(running.post("/v1/logs", &large.encode_to_vec()).await.status, 413);
    client.export(logs(1)).await.unwrap();
    let counted: Vec<_> = running.host.node(Signal::Logs).refused.counts().collect();
    assert_eq!((counted, running.sink.items()), (vec![(Reason::TooLarge, 2)], 1));
}
