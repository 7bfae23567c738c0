//! A batch as it stands in a log: what of its context must survive, and its parts.
//!
//! Version, signal, arrival (nanoseconds since the Unix epoch), receiver, peer, identity, `traceparent`, headers, then
//! items and length of each part; after that the parts' bytes in a row. Numbers are little-endian, texts have their length
//! before them, an absent text has the length [`ABSENT`].

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use streamgauge_pdata::Signal;

use crate::ack::Ack;
use crate::batch::{Batch, Context, Part};

const VERSION: u8 = 1;
const ABSENT: u32 = u32::MAX;

/// The pieces of a log's record: the context and the shape of the batch, then the bytes of its parts, shared. The acks are
/// not in it: whoever stores a batch settles them.
pub fn stored(batch: &Batch) -> Vec<Bytes> {
    let context = &batch.context;
    let mut head = vec![VERSION, number(batch.signal)];
    let arrival = context.arrival.duration_since(UNIX_EPOCH).unwrap_or_default();
    head.extend((arrival.as_nanos() as u64).to_le_bytes());
    text(&mut head, Some(&context.receiver));
    for optional in [&context.peer, &context.identity, &context.traceparent] {
        text(&mut head, optional.as_ref());
    }
    head.extend((context.headers.len() as u32).to_le_bytes());
    for (name, value) in &context.headers {
        text(&mut head, Some(name));
        text(&mut head, Some(value));
    }
    head.extend((batch.parts.len() as u32).to_le_bytes());
    for part in &batch.parts {
        head.extend((part.items as u64).to_le_bytes());
        head.extend((part.bytes.len() as u64).to_le_bytes());
    }
    let parts = batch.parts.iter().flat_map(|part| part.bytes.pieces().iter().cloned());
    std::iter::once(Bytes::from(head)).chain(parts).collect()
}

/// The batch in a log's record, sharing its bytes. Its parts have no source, and its senders had their answer.
///
/// # Errors
/// What is no such record, or was written by a version that knows more.
pub fn restored(record: &Bytes) -> Result<Batch, Unreadable> {
    let mut cursor = Cursor { left: record.clone() };
    let version = cursor.take(1)?[0];
    if version != VERSION {
        return Err(Unreadable(format!("it has version {version}, this collector reads version {VERSION}")));
    }
    let signal = cursor.take(1)?[0];
    let signal = Signal::ALL.into_iter().find(|known| number(*known) == signal).ok_or_else(broken)?;
    let arrival =
        UNIX_EPOCH.checked_add(Duration::from_nanos(cursor.long()?)).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut context = Context::new(cursor.text()?.ok_or_else(broken)?, arrival);
    (context.peer, context.identity, context.traceparent) = (cursor.text()?, cursor.text()?, cursor.text()?);
    context.answered = true;
    for _ in 0..cursor.word()? {
        let (name, value) = (cursor.text()?, cursor.text()?);
        context.headers.push(name.zip(value).ok_or_else(broken)?);
    }
    let mut shapes = Vec::new();
    for _ in 0..cursor.word()? {
        shapes.push((cursor.long()? as usize, cursor.long()? as usize));
    }
    let mut parts = Vec::with_capacity(shapes.len());
    for (items, len) in shapes {
        parts.push(Part { bytes: cursor.take(len)?.into(), items, ack: Ack::none() });
    }
    if !cursor.left.is_empty() {
        return Err(broken());
    }
    Ok(Batch { signal, context: Arc::new(context), parts })
}

/// Why a record is no batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(String);

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the record is no batch: {}", self.0)
    }
}

impl std::error::Error for Unreadable {}

/// What stands for a signal; it stays, whatever becomes of the enum.
fn number(signal: Signal) -> u8 {
    match signal {
        Signal::Traces => 1,
        Signal::Metrics => 2,
        Signal::Logs => 3,
    }
}

fn broken() -> Unreadable {
    Unreadable("its lengths do not fit".to_owned())
}

fn text(head: &mut Vec<u8>, text: Option<&Arc<str>>) {
    head.extend(text.map_or(ABSENT, |text| text.len() as u32).to_le_bytes());
    head.extend(text.map_or(&b""[..], |text| text.as_bytes()));
}

struct Cursor {
    left: Bytes,
}

impl Cursor {
    fn take(&mut self, len: usize) -> Result<Bytes, Unreadable> {
        if len > self.left.len() {
            return Err(broken());
        }
        Ok(self.left.split_to(len))
    }

    fn word(&mut self) -> Result<u32, Unreadable> {
        let bytes = self.take(4)?;
        bytes[..].try_into().map(u32::from_le_bytes).map_err(|_| broken())
    }

    fn long(&mut self) -> Result<u64, Unreadable> {
        let bytes = self.take(8)?;
        bytes[..].try_into().map(u64::from_le_bytes).map_err(|_| broken())
    }

    fn text(&mut self) -> Result<Option<Arc<str>>, Unreadable> {
        match self.word()? {
            ABSENT => Ok(None),
            len => {
                let bytes = self.take(len as usize)?;
                std::str::from_utf8(&bytes).map(|text| Some(text.into())).map_err(|_| broken())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Batch {
        let arrival = UNIX_EPOCH + Duration::from_nanos(1_763_737_200_123_456_789);
        let mut context = Context::new("otlp/eu", arrival);
        context.peer = Some("10.0.0.1:4317".into());
        context.traceparent = Some("".into());
        context.headers = vec![("x-tenant".into(), "ä".into()), ("x-empty".into(), "".into())];
        let part = |bytes: &'static [u8], items| Part::created(Bytes::from_static(bytes), items);
        let parts = vec![part(b"abc", 2), part(b"", 0), part(b"defgh", 1)];
        Batch { signal: Signal::Logs, context: Arc::new(context), parts }
    }

    #[test]
    fn context_and_parts_survive_and_the_senders_had_their_answer() {
        let (batch, record) = (batch(), Bytes::from(stored(&batch()).concat()));
        let back = restored(&record).unwrap();
        let expected = Context { answered: true, ..Context::clone(&batch.context) };
        assert_eq!((back.signal, &*back.context), (batch.signal, &expected));
        let parts =
            |batch: &Batch| batch.parts.iter().map(|p| (p.bytes.clone(), p.items)).collect::<Vec<_>>();
        assert_eq!(parts(&back), parts(&batch));
    }

    #[test]
    fn a_cut_or_changed_record_is_an_error_or_another_batch_and_never_a_panic() {
        let record = stored(&batch()).concat();
        for at in 0..record.len() {
            assert!(restored(&Bytes::copy_from_slice(&record[..at])).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut flipped = record.clone();
                flipped[at] ^= 1 << bit;
                let _ = restored(&flipped.into());
            }
        }
        let newer = [&[2], &record[1..]].concat();
        let error = restored(&newer.into()).err().map(|error| error.to_string());
        assert_eq!(
            error.as_deref(),
            Some("the record is no batch: it has version 2, this collector reads version 1")
        );
    }
}
