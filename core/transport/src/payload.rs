//! What is sent: a request in several slices; for HTTP one `Buf` over them, so that hyper makes one body frame of it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

/// For hyper, slices below this are copied together: its HTTP/2 stack gathers at most 16 slices a write, and a copy of so little
/// is cheaper than a slice there.
const CHAIN_FROM: usize = 16 << 10;

/// Bytes in several slices, read as one buffer.
#[derive(Clone, Debug, Default)]
pub struct Payload {
    slices: VecDeque<Bytes>,
    len: usize,
}

impl Payload {
    /// The concatenation of the parts.
    pub fn new(parts: impl IntoIterator<Item = Bytes>) -> Self {
        let slices: VecDeque<Bytes> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let len = slices.iter().map(Bytes::len).sum();
        Payload { slices, len }
    }

    /// The number of bytes left.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes in one piece; copied only when there are several.
    pub fn into_bytes(mut self) -> Bytes {
        if self.slices.len() == 1 {
            self.slices.remove(0).unwrap_or_default()
        } else {
            self.copy_to_bytes(self.len)
        }
    }

    /// The slices, none of them empty.
    pub(crate) fn into_slices(self) -> VecDeque<Bytes> {
        self.slices
    }

    /// Puts bytes in front.
    pub(crate) fn push_front(&mut self, bytes: Bytes) {
        self.len += bytes.len();
        self.slices.push_front(bytes);
    }

    /// The same bytes, with runs of small slices copied together.
    fn joined(self) -> Self {
        let mut slices = VecDeque::new();
        let mut run = Vec::new();
        for slice in self.slices {
            if slice.len() < CHAIN_FROM {
                run.push(slice);
            } else {
                slices.extend(join(&mut run));
                slices.push_back(slice);
            }
        }
        slices.extend(join(&mut run));
        Payload { slices, len: self.len }
    }
}

/// A run in one piece; it is empty after that.
fn join(run: &mut Vec<Bytes>) -> Option<Bytes> {
    if run.len() < 2 {
        return run.pop();
    }
    let mut joined = BytesMut::with_capacity(run.iter().map(Bytes::len).sum());
    run.drain(..).for_each(|part| joined.extend_from_slice(&part));
    Some(joined.freeze())
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        let len = bytes.len();
        Payload { slices: Some(bytes).filter(|bytes| !bytes.is_empty()).into_iter().collect(), len }
    }
}

impl Buf for Payload {
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        self.slices.front().map_or(&[], |slice| slice)
    }

    fn chunks_vectored<'a>(&'a self, out: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        for (place, slice) in out.iter_mut().zip(&self.slices) {
            *place = IoSlice::new(slice);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut count: usize) {
        self.len -= count;
        while count > 0 {
            let Some(front) = self.slices.front_mut() else { return };
            if count < front.len() {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.slices.pop_front();
        }
    }
}

/// The body of a request or answer of ours: one frame of data. It says that it is at its end as soon as the
/// frame is taken: an empty closing DATA frame counts as abuse with some peers.
#[derive(Debug)]
pub(crate) struct OneFrame(Option<Payload>);

impl OneFrame {
    pub fn new(payload: Payload) -> Self {
        OneFrame(Some(payload.joined()).filter(|payload| !payload.is_empty()))
    }
}

impl Body for OneFrame {
    type Data = Payload;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Payload>, Infallible>>> {
        Poll::Ready(self.0.take().map(|payload| Ok(Frame::data(payload))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, Payload::len) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices(payload: &Payload) -> Vec<usize> {
        payload.slices.iter().map(Bytes::len).collect()
    }

    #[test]
    fn small_parts_are_joined_for_hyper_and_large_ones_shared() {
        let large = Bytes::from(vec![1; CHAIN_FROM]);
        let small = Bytes::from_static(b"small");
        let parts = [&small, &small, &large, &Bytes::new(), &large, &small];
        let payload = Payload::new(parts.into_iter().cloned()).joined();
        assert_eq!(slices(&payload), [10, CHAIN_FROM, CHAIN_FROM, 5]);
        assert_eq!(payload.len(), 2 * CHAIN_FROM + 15);
        assert_eq!(payload.slices[1].as_ptr(), large.as_ptr());
    }

    #[test]
    fn advancing_by_any_amount_reads_the_concatenation() {
        let parts = [1, 2, 3].map(|byte| Bytes::from(vec![byte; CHAIN_FROM]));
        let whole = parts.concat();
        for step in [1000, CHAIN_FROM, CHAIN_FROM + 1] {
            let mut payload = Payload::new(parts.clone());
            payload.push_front(Bytes::from_static(b"prefix"));
            let mut read = Vec::new();
            while payload.has_remaining() {
                let mut places = [IoSlice::new(&[]); 4];
                let count = payload.chunks_vectored(&mut places);
                let chunk: Vec<u8> = places[..count].iter().flat_map(|slice| slice.to_vec()).collect();
                let step = step.min(chunk.len());
                read.extend_from_slice(&chunk[..step]);
                payload.advance(step);
            }
            assert_eq!(&read[..6], b"prefix");
            assert!(read[6..] == whole);
        }
    }

    #[test]
    fn a_body_is_at_its_end_when_its_frame_is_taken() {
        let mut body = OneFrame::new(Bytes::from_static(b"x").into());
        assert!(!body.is_end_stream());
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(matches!(Pin::new(&mut body).poll_frame(&mut context), Poll::Ready(Some(_))));
        assert!(body.is_end_stream());
        assert!(OneFrame::new(Payload::default()).is_end_stream());
    }
}
