//! The examples of RFC 7541, appendix C, and what is no block.

use super::*;
use crate::hpack::decode::{Broken, TABLE};
use crate::hpack::encode::integer;

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

fn decoded(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<(String, String)>, Broken> {
    let mut fields = Vec::new();
    decoder.decode(block, |field| {
        let name = match &field.name {
            Name::Method => ":method",
            Name::Scheme => ":scheme",
            Name::Authority => ":authority",
            Name::Path => ":path",
            Name::Status => ":status",
            Name::Header(name) => name.as_str(),
            Name::Wrong => "?",
        };
        let value = field.value.as_ref().map_or("?", |value| value.to_str().unwrap());
        fields.push((name.to_owned(), value.to_owned()));
    })?;
    Ok(fields)
}

fn check(decoder: &mut Decoder, block: &str, fields: &[(&str, &str)], size: usize) {
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    assert_eq!(decoded(decoder, &hex(block)).unwrap(), fields);
    assert_eq!(decoder.table_size(), size);
}

#[test]
fn numbers_are_written_as_in_c_1() {
    let written = |bits, number| {
        let mut out = Vec::new();
        integer(&mut out, bits, 0, number);
        out
    };
    assert_eq!(written(5, 10), [10]);
    assert_eq!(written(5, 1337), [31, 154, 10]);
    assert_eq!(written(8, 42), [42]);
}

#[test]
fn single_fields_are_read_as_in_c_2() {
    let block = "400a637573746f6d2d6b65790d637573746f6d2d686561646572";
    check(&mut Decoder::new(), block, &[("custom-key", "custom-header")], 55);
    check(&mut Decoder::new(), "040c2f73616d706c652f70617468", &[(":path", "/sample/path")], 0);
    check(&mut Decoder::new(), "100870617373776f726406736563726574", &[("password", "secret")], 0);
    check(&mut Decoder::new(), "82", &[(":method", "GET")], 0);
    let mut secret = false;
    let block = hex("100870617373776f726406736563726574");
    Decoder::new().decode(&block, |field| secret = field.value.as_ref().unwrap().is_sensitive()).unwrap();
    assert!(secret, "what is never to be indexed is never to be shown");
}

#[test]
fn requests_are_read_as_in_c_3_and_c_4() {
    for blocks in [
        [
            "828684410f7777772e6578616d706c652e636f6d",
            "828684be58086e6f2d6361636865",
            "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
        ],
        [
            "828684418cf1e3c2e5f23a6ba0ab90f4ff",
            "828684be5886a8eb10649cbf",
            "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
        ],
    ] {
        let mut decoder = Decoder::new();
        let host = (":authority", "www.example.com");
        let get = (":method", "GET");
        check(&mut decoder, blocks[0], &[get, (":scheme", "http"), (":path", "/"), host], 57);
        let cache = ("cache-control", "no-cache");
        check(&mut decoder, blocks[1], &[get, (":scheme", "http"), (":path", "/"), host, cache], 110);
        let custom = ("custom-key", "custom-value");
        let fields = [get, (":scheme", "https"), (":path", "/index.html"), host, custom];
        check(&mut decoder, blocks[2], &fields, 164);
    }
}

/// C.5 and C.6 are answers: a server reads none, so only their tables are looked at.
#[test]
fn tables_make_room_as_in_c_5_and_c_6() {
    for blocks in [
        [
            "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d",
            "4803333037c1c0bf",
            "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31",
        ],
        [
            "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
            "4883640effc1c0bf",
            "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
        ],
    ] {
        let mut decoder = Decoder::new();
        decoder.decode(&hex("3fe101"), |_| {}).unwrap(); // a table of 256 bytes, as the examples have it
        let sizes = blocks.map(|block| {
            decoder.decode(&hex(block), |_| {}).unwrap();
            decoder.table_size()
        });
        assert_eq!(sizes, [222, 222, 215]);
    }
}

#[test]
fn what_is_no_block_is_broken() {
    for (block, why) in [
        ("80", "number 0"),
        ("c6", "a number beyond the tables"),
        ("ffffffffffffff", "a number without an end"),
        ("ff8080808001", "a number of too many bytes"),
        ("3fe21f", "a table above ours"),
        ("823f00", "a table's size behind a field"),
        ("0005", "a string that is cut"),
        ("0081ff00", "a string that is not Huffman's"),
        ("40", "a field that is cut"),
    ] {
        assert_eq!(Decoder::new().decode(&hex(block), |_| {}), Err(Broken), "{why}");
    }
    Decoder::new().decode(&hex("203fe11f82"), |_| {}).unwrap(); // twice before the first field is allowed
}

#[test]
fn a_field_that_no_request_may_have_keeps_its_place_in_the_table() {
    let mut decoder = Decoder::new();
    check(&mut decoder, "4003412042016240016301 64", &[("?", "b"), ("c", "d")], 36 + 34);
    check(&mut decoder, "bebf7f000165", &[("c", "d"), ("?", "b"), ("?", "e")], 36 + 34 + 36);
}

#[test]
fn a_field_larger_than_the_table_empties_it() {
    let mut decoder = Decoder::new();
    check(&mut decoder, "4001610162", &[("a", "b")], 34);
    let mut block = hex("400161");
    integer(&mut block, 7, 0, TABLE);
    block.extend(vec![b'x'; TABLE]);
    decoder.decode(&block, |_| {}).unwrap();
    assert_eq!(decoder.table_size(), 0);
}

#[test]
fn what_is_written_is_read() {
    let mut block = Vec::new();
    field(&mut block, "grpc-message", &[b'm'; 300], false);
    field(&mut block, "x", b"secret", true);
    let fields = decoded(&mut Decoder::new(), &block).unwrap();
    assert_eq!(fields[0], ("grpc-message".to_owned(), "m".repeat(300)));
    assert_eq!(fields[1], ("x".to_owned(), "secret".to_owned()));
    for (code, bytes) in [(200, &[0x88][..]), (503, &[8, 3, b'5', b'0', b'3'])] {
        let mut out = Vec::new();
        status(&mut out, http::StatusCode::from_u16(code).unwrap());
        assert_eq!(out, bytes);
    }
}
