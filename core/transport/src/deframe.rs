//! gRPC's framing of a unary request: one byte of flags, four of length, the message. DATA frames may cut it
//! anywhere, also inside the five bytes.

use bytes::{Bytes, BytesMut};

/// Bytes before each message.
pub const PREFIX: usize = 5;
/// A message below this is copied, so that it does not pin the connection's read buffer.
pub(crate) const COPY_BELOW: usize = 16 << 10;
/// A copy has room for this part of itself besides, so that it can be edited where it is. Memory that is not used costs nothing.
const EDITS: usize = 8;

/// A message as it came over the wire.
#[derive(Debug, PartialEq, Eq)]
pub struct Framed {
    /// Packed by the request's `grpc-encoding`.
    pub packed: bool,
    /// The message.
    pub bytes: Bytes,
}

/// Why a body is not one gRPC message.
#[derive(Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The prefix announces more than the limit; both in bytes.
    TooLarge {
        /// The announced size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Something else is wrong.
    Malformed(&'static str),
}

/// Collects the one message of a unary call from the chunks of its body.
#[derive(Debug)]
pub struct Deframer {
    limit: usize,
    prefix: [u8; PREFIX],
    /// How many bytes of the prefix are there.
    seen: usize,
    message: Message,
}

#[derive(Debug)]
enum Message {
    Missing,
    /// Came whole in one chunk.
    Slice(Bytes),
    Copy(BytesMut),
}

impl Deframer {
    /// A deframer that takes messages of up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, prefix: [0; PREFIX], seen: 0, message: Message::Missing }
    }

    /// Takes the next chunk.
    pub fn push(&mut self, mut chunk: Bytes) -> Result<(), FrameError> {
        if self.seen < PREFIX {
            let head = chunk.split_to(chunk.len().min(PREFIX - self.seen));
            self.prefix[self.seen..self.seen + head.len()].copy_from_slice(&head);
            self.seen += head.len();
            if self.seen < PREFIX {
                return Ok(());
            }
            if self.prefix[0] > 1 {
                return Err(FrameError::Malformed("the first byte of the gRPC message is neither 0 nor 1"));
            }
            if self.size() > self.limit {
                return Err(FrameError::TooLarge { size: self.size(), limit: self.limit });
            }
        }
        if chunk.is_empty() {
            return Ok(());
        }
        let missing = self.size() - self.len();
        if chunk.len() > missing {
            return Err(FrameError::Malformed("more than one gRPC message in the body of a unary call"));
        }
        match &mut self.message {
            Message::Missing if chunk.len() == missing && missing >= COPY_BELOW => {
                self.message = Message::Slice(chunk);
            }
            Message::Missing => {
                let mut copy = BytesMut::with_capacity(missing + missing / EDITS);
                copy.extend_from_slice(&chunk);
                self.message = Message::Copy(copy);
            }
            Message::Copy(copy) => copy.extend_from_slice(&chunk),
            // Not reached: a slice is complete, so `missing` was 0.
            Message::Slice(_) => {}
        }
        Ok(())
    }

    /// The message, when the body has ended.
    pub fn finish(self) -> Result<Framed, FrameError> {
        if self.seen < PREFIX || self.len() < self.size() {
            return Err(FrameError::Malformed("the body ends inside the gRPC message"));
        }
        let bytes = match self.message {
            Message::Missing => Bytes::new(),
            Message::Slice(bytes) => bytes,
            Message::Copy(copy) => copy.freeze(),
        };
        Ok(Framed { packed: self.prefix[0] == 1, bytes })
    }

    fn size(&self) -> usize {
        let [_, a, b, c, d] = self.prefix;
        u32::from_be_bytes([a, b, c, d]) as usize
    }

    fn len(&self) -> usize {
        match &self.message {
            Message::Missing => 0,
            Message::Slice(bytes) => bytes.len(),
            Message::Copy(copy) => copy.len(),
        }
    }
}

/// The five bytes before a message of this size; `None` when gRPC cannot say it (4 GiB and more).
pub(crate) fn prefix(packed: bool, size: usize) -> Option<[u8; PREFIX]> {
    let [a, b, c, d] = u32::try_from(size).ok()?.to_be_bytes();
    Some([u8::from(packed), a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        [&prefix(false, message.len()).unwrap()[..], message].concat()
    }

    fn deframe<'a>(limit: usize, chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<Framed, FrameError> {
        let mut deframer = Deframer::new(limit);
        for chunk in chunks {
            deframer.push(Bytes::copy_from_slice(chunk))?;
        }
        deframer.finish()
    }

    #[test]
    fn a_body_cut_at_any_two_places_is_the_same_message() {
        let body = framed(b"message");
        for first in 0..=body.len() {
            for second in first..=body.len() {
                let chunks = [&body[..first], &body[first..second], &body[second..]];
                let framed = deframe(7, chunks).unwrap();
                assert_eq!((framed.packed, &framed.bytes[..]), (false, &b"message"[..]));
            }
        }
    }

    #[test]
    fn a_large_message_in_one_chunk_is_not_copied_and_a_small_one_is() {
        for (size, shared) in [(COPY_BELOW, true), (COPY_BELOW - 1, false)] {
            let body = Bytes::from(framed(&vec![7; size]));
            let mut deframer = Deframer::new(size);
            deframer.push(body.clone()).unwrap();
            let message = deframer.finish().unwrap().bytes;
            assert_eq!(std::ptr::eq(&body[PREFIX], &message[0]), shared);
        }
    }

    #[test]
    fn a_message_above_the_limit_is_refused_before_its_body_is_read() {
        let mut deframer = Deframer::new(6);
        let refused = deframer.push(Bytes::from_static(&[0, 0, 0, 0, 7]));
        assert_eq!(refused, Err(FrameError::TooLarge { size: 7, limit: 6 }));
    }

    #[test]
    fn short_long_and_odd_bodies_are_malformed() {
        let body = framed(b"message");
        for end in 0..body.len() {
            assert!(matches!(deframe(7, [&body[..end]]), Err(FrameError::Malformed(_))), "{end}");
        }
        let two = [&body[..], &body[..]].concat();
        assert!(matches!(deframe(7, [&two[..]]), Err(FrameError::Malformed(_))));
        assert!(matches!(deframe(7, [&[2, 0, 0, 0, 0][..]]), Err(FrameError::Malformed(_))));
        assert_eq!(deframe(7, [&[0; 5][..]]).unwrap().bytes, "");
    }
}
