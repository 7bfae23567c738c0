//! What a fuzzer drives; also in tests, for a bounded number of rounds.

use streamgauge_pdata::{Signal, check};

use super::{Decoder, Encoding, Fields, Format, Origin};
use crate::{Entry, StreamId};

/// Takes the bytes apart as entries and as requests: any encoding makes a well-formed request of them or says why not,
/// and what it makes can be written again.
pub fn both_ways(data: &[u8]) {
    let pieces: Vec<&[u8]> = data.split(|&byte| byte == b'|').collect();
    let names: [&[u8]; 4] = [b"body", b"data", b"event_type", b"timestamp"];
    let named = pieces.iter().zip(names.into_iter().cycle()).map(|(value, name)| (name, *value));
    let taken = pieces.chunks_exact(2).map(|pair| (pair[0], pair[1]));
    let fields: Vec<(&[u8], &[u8])> = named.chain(taken).collect();
    let entry = Entry { id: StreamId { ms: data.len() as u64, seq: u64::MAX }, fields: &fields };
    for encoding in [
        Encoding::Fields,
        Encoding::Json,
        Encoding::Text,
        Encoding::OtlpProto,
        Encoding::OtlpJson,
        Encoding::Opsconductor,
    ] {
        let format = Format::of(encoding);
        for signal in Signal::ALL.into_iter().filter(|signal| encoding.carries(*signal)) {
            let origin = Origin { stream: data, group: None, read_at: 1 };
            let mut decoder = Decoder::new(&format, signal, origin);
            let items = decoder.add(&entry, 2).unwrap_or(0);
            let (request, all) = decoder.finish();
            assert_eq!(check(signal, &request), Ok(all), "malformed bytes out of an entry");
            assert_eq!(items, all, "what was refused left items behind");
            for request in [&*request, data] {
                let total = streamgauge_pdata::count(signal, request);
                let (mut out, mut written) = (Fields::default(), 0);
                let broken = format.encode(signal, request, &mut out, &mut |message| {
                    assert!(!message.fields.is_empty(), "an entry without fields");
                    written += message.items;
                });
                assert_eq!(written + broken, total, "items lost on the way to entries");
            }
        }
    }
}
