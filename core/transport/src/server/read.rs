//! A request's body in one piece, unpacked, within its limit.

use std::fmt::Display;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, HeaderName};
use http_body_util::BodyExt as _;
use streamgauge_pdata::Body;

use crate::code::Code;
use crate::compression::{ACCEPTED, Codec, UnpackError};
use crate::deframe::{COPY_BELOW, Deframer, FrameError};
use crate::memory::{NoRoom, Room};
use crate::status::Status;

pub(super) const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// A body that comes in pieces, by either version of HTTP.
pub(super) trait Incomplete:
    http_body::Body<Data = Bytes, Error: Display + Send> + Send + Unpin + 'static
{
}
impl<B: http_body::Body<Data = Bytes, Error: Display + Send> + Send + Unpin + 'static> Incomplete for B {}

/// Why a body was not read.
#[derive(Debug)]
pub(super) enum Unread {
    TooLarge(Status),
    NoMemory(Status),
    UnknownEncoding(Status),
    Malformed(Status),
    Slow(Status),
}

impl Unread {
    pub fn status(&self) -> &Status {
        match self {
            Unread::TooLarge(status)
            | Unread::NoMemory(status)
            | Unread::UnknownEncoding(status)
            | Unread::Malformed(status)
            | Unread::Slow(status) => status,
        }
    }

    fn malformed(message: impl Into<String>) -> Self {
        Unread::Malformed(Status::new(Code::InvalidArgument, message))
    }

    pub fn slow(limit: Duration) -> Self {
        Unread::Slow(Status::new(Code::DeadlineExceeded, format!("the body did not come within {limit:?}")))
    }

    fn too_large(message: String) -> Self {
        Unread::TooLarge(Status::new(Code::ResourceExhausted, message))
    }
}

/// What a client is told to wait when there is no memory.
const NO_MEMORY_DELAY: Duration = Duration::from_secs(1);

impl From<NoRoom> for Unread {
    fn from(NoRoom(why): NoRoom) -> Self {
        let text = format!("memory_limit: {why}");
        Unread::NoMemory(Status::new(Code::ResourceExhausted, text).retry_after(NO_MEMORY_DELAY))
    }
}

/// The one message of a unary gRPC call.
pub(super) async fn grpc(
    headers: &HeaderMap,
    mut body: impl Incomplete,
    limit: usize,
    mut room: Room,
) -> Result<Body, Unread> {
    let codec = codec(headers, &GRPC_ENCODING)?;
    room.admit()?;
    let mut deframer = Deframer::new(limit);
    while let Some(chunk) = next(&mut body).await? {
        room.grow(chunk.len())?;
        deframer.push(chunk).map_err(framing)?;
    }
    let framed = deframer.finish().map_err(framing)?;
    let message = match (framed.packed, codec) {
        (false, _) => framed.bytes,
        (true, Some(codec)) => unpack(codec, &framed.bytes, limit, &mut room)?,
        (true, None) => return Err(Unread::malformed("a packed gRPC message without grpc-encoding")),
    };
    Ok(room.hold(message))
}

fn framing(error: FrameError) -> Unread {
    match error {
        FrameError::Malformed(message) => Unread::malformed(message),
        FrameError::TooLarge { size, limit } => Unread::too_large(format!(
            "received message larger than max ({size} vs. {limit} bytes): send smaller batches or raise \
             max_recv_msg_size_mib"
        )),
    }
}

/// The body of an HTTP request.
pub(super) async fn http(
    headers: &HeaderMap,
    codings: Option<&[String]>,
    mut body: impl Incomplete,
    limit: usize,
    mut room: Room,
) -> Result<Body, Unread> {
    let codec = match allowed(headers, codings).and_then(|()| codec(headers, &CONTENT_ENCODING)) {
        Ok(codec) => codec,
        Err(unread) => {
            drain(body, limit);
            return Err(unread);
        }
    };
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        drain(body, limit);
        return Err(unpacking(UnpackError::TooLarge(limit)));
    }
    if let Err(full) = room.admit() {
        drain(body, limit);
        return Err(full.into());
    }
    let mut whole = Bytes::new();
    let mut copy = BytesMut::new();
    while let Some(chunk) = next(&mut body).await? {
        if copy.len() + whole.len() + chunk.len() > limit {
            drain(body, limit);
            return Err(unpacking(UnpackError::TooLarge(limit)));
        }
        if let Err(full) = room.grow(chunk.len()) {
            drain(body, limit);
            return Err(full.into());
        }
        if copy.is_empty() && whole.is_empty() && (chunk.len() >= announced.max(COPY_BELOW)) {
            whole = chunk;
            continue;
        }
        if copy.is_empty() {
            copy.reserve(announced.max(whole.len() + chunk.len()));
            copy.extend_from_slice(&std::mem::take(&mut whole));
        }
        copy.extend_from_slice(&chunk);
    }
    let packed = if copy.is_empty() { whole } else { copy.freeze() };
    let message = match codec {
        Some(codec) => unpack(codec, &packed, limit, &mut room)?,
        None => packed,
    };
    Ok(room.hold(message))
}

/// Charged once its size is known: what is above the memory's limit until then is one body a thread.
fn unpack(codec: Codec, packed: &[u8], limit: usize, room: &mut Room) -> Result<Bytes, Unread> {
    let message = codec.unpack(packed, limit).map_err(unpacking)?;
    room.grow(message.len())?;
    Ok(message)
}

fn unpacking(error: UnpackError) -> Unread {
    match error {
        UnpackError::TooLarge(limit) => {
            Unread::too_large(format!("request body too large: the limit is {limit} bytes unpacked"))
        }
        UnpackError::Corrupt(why) => {
            Unread::malformed(format!("the body is not what its encoding says: {why}"))
        }
    }
}

fn codec(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Codec>, Unread> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = String::from_utf8_lossy(value.as_bytes());
    Codec::from_name(&text).ok_or_else(|| {
        let message = format!("unsupported {name} {text:?}, supported: {ACCEPTED}");
        Unread::UnknownEncoding(Status::new(Code::Unimplemented, message))
    })
}

/// Whether the body's coding is one of those that are configured.
fn allowed(headers: &HeaderMap, codings: Option<&[String]>) -> Result<(), Unread> {
    let Some(codings) = codings else { return Ok(()) };
    let name = headers.get(CONTENT_ENCODING).map_or("".into(), |v| String::from_utf8_lossy(v.as_bytes()));
    let name = name.trim().to_ascii_lowercase();
    if codings.contains(&name) || (name == "identity" && codings.iter().any(String::is_empty)) {
        return Ok(());
    }
    let message = format!("unsupported content-encoding {name:?}, accepted here: {}", codings.join(", "));
    Err(Unread::UnknownEncoding(Status::new(Code::Unimplemented, message)))
}

async fn next(body: &mut impl Incomplete) -> Result<Option<Bytes>, Unread> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Unread::malformed(format!("the body broke off: {error}")))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Goes on reading a refused HTTP body for a while: a socket closed over unread bytes is reset, and the
/// client would see that in place of the answer.
pub(super) fn drain(mut body: impl Incomplete, limit: usize) {
    tokio::spawn(tokio::time::timeout(Duration::from_secs(5), async move {
        let mut left = limit;
        while let Ok(Some(chunk)) = next(&mut body).await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    }));
}
