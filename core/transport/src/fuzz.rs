//! Fuzz targets: each takes any bytes and panics when a promise is broken.

use bytes::Bytes;

use crate::compression::Codec;
use crate::deframe::Deframer;
use crate::json;
use crate::partial::PartialSuccess;
use crate::status::Status;

/// A gRPC body must mean the same however DATA frames cut it. The first byte says where it is cut.
pub fn grpc_deframing(data: &[u8]) {
    const LIMIT: usize = 1 << 16;
    let Some((&seed, body)) = data.split_first() else { return };
    let deframe = |size: usize| {
        let mut deframer = Deframer::new(LIMIT);
        for chunk in body.chunks(size) {
            deframer.push(Bytes::copy_from_slice(chunk))?;
        }
        deframer.finish()
    };
    let whole = deframe(body.len().max(1));
    let cut = deframe(usize::from(seed % 16) + 1);
    assert_eq!(whole, cut);
    if let Ok(framed) = whole {
        assert!(framed.bytes.len() <= LIMIT);
    }
}

/// Unpacking never yields more than its limit. The first byte chooses the codec.
pub fn unpacking(data: &[u8]) {
    const LIMIT: usize = 1 << 16;
    let Some((&seed, body)) = data.split_first() else { return };
    if let Ok(plain) = Codec::ALL[usize::from(seed) % Codec::ALL.len()].unpack(body, LIMIT) {
        assert!(plain.len() <= LIMIT);
    }
}

/// A peer's answers can be any bytes.
pub fn answers(data: &[u8]) {
    let status = Status::decode(data);
    assert_eq!(Status::decode(&status.encode()).code, status.code);
    let _ = PartialSuccess::decode(data);
    if let Some(status) = json::decode_status(data) {
        let again = json::decode_status(&json::encode_status(&status));
        assert_eq!(
            again.map(|again| (again.code, again.retry_after)),
            Some((status.code, status.retry_after))
        );
    }
    let _ = json::decode_partial(data);
}
