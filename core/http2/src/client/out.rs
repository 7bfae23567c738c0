//! What is to be written: small things one after another in one buffer, large ones where they are, all of it in as few writes as
//! the system takes.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::AsyncWrite;

/// Below this a copy is cheaper than a slice of its own.
const COPY_BELOW: usize = 1 << 10;
/// So many slices go into one write.
const SLICES: usize = 256;
/// Room for small things that is kept, and how much of it may be behind us while there is more to write.
const KEPT: usize = 64 << 10;

#[derive(Debug, Default)]
pub(super) struct Out {
    /// Frames' heads, small frames, small bodies.
    small: Vec<u8>,
    /// What of the small things is written, and what of them stands in `pieces`.
    written: usize,
    listed: usize,
    pieces: VecDeque<Piece>,
    /// Bytes that are listed and not written.
    len: usize,
}

#[derive(Debug)]
enum Piece {
    /// So many of the small bytes.
    Small(usize),
    Large(Bytes),
}

impl Out {
    /// Where small things are put.
    pub fn small(&mut self) -> &mut Vec<u8> {
        &mut self.small
    }

    pub fn put(&mut self, bytes: Bytes) {
        if bytes.len() < COPY_BELOW {
            return self.small.extend_from_slice(&bytes);
        }
        self.list();
        self.len += bytes.len();
        self.pieces.push_back(Piece::Large(bytes));
    }

    /// The bytes that are not written.
    pub fn len(&self) -> usize {
        self.len + self.small.len() - self.listed
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives the small bytes that came last their place.
    fn list(&mut self) {
        let more = self.small.len() - self.listed;
        if more > 0 {
            self.pieces.push_back(Piece::Small(more));
            self.listed = self.small.len();
            self.len += more;
        }
    }

    /// Writes until all is written or the socket takes no more.
    pub fn poll_write(
        &mut self,
        io: &mut (impl AsyncWrite + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.list();
        while !self.pieces.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut small = self.small.get(self.written..).unwrap_or_default();
            let mut count = 0;
            for (place, piece) in slices.iter_mut().zip(&self.pieces) {
                *place = match piece {
                    Piece::Large(bytes) => IoSlice::new(bytes),
                    Piece::Small(length) => {
                        let (these, rest) = small.split_at(*length);
                        small = rest;
                        IoSlice::new(these)
                    }
                };
                count += 1;
            }
            let slices = slices.get(..count).unwrap_or_default();
            let count = match slices {
                [one] => ready!(Pin::new(&mut *io).poll_write(context, one))?,
                many => ready!(Pin::new(&mut *io).poll_write_vectored(context, many))?,
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(count);
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut count: usize) {
        self.len -= count;
        while let Some(piece) = self.pieces.front_mut() {
            let left = match piece {
                Piece::Small(length) => {
                    let now = count.min(*length);
                    *length -= now;
                    self.written += now;
                    count -= now;
                    *length
                }
                Piece::Large(bytes) => {
                    let now = count.min(bytes.len());
                    bytes.advance(now);
                    count -= now;
                    bytes.len()
                }
            };
            if left > 0 {
                break;
            }
            self.pieces.pop_front();
        }
        if self.written == self.small.len() {
            self.small.clear();
            self.small.shrink_to(KEPT);
        } else if self.written > KEPT {
            self.small.drain(..self.written);
        } else {
            return;
        }
        self.listed -= self.written;
        self.written = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so much at a time.
    struct Slow(usize, Vec<u8>);

    impl AsyncWrite for Slow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let count = self.0.min(bytes.len());
            self.1.extend_from_slice(&bytes[..count]);
            Poll::Ready(Ok(count))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let mut left = self.0;
            for slice in slices {
                let count = left.min(slice.len());
                self.1.extend_from_slice(&slice[..count]);
                left -= count;
            }
            Poll::Ready(Ok(self.0 - left))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn everything_arrives_in_order_however_little_is_taken_at_once() {
        for step in [1, 7, 4096, 5000, 70_000, usize::MAX] {
            let mut out = Out::default();
            let mut io = Slow(step, Vec::new());
            let mut wanted = Vec::new();
            for round in 0..300_usize {
                let size = [0, 3, COPY_BELOW - 1, COPY_BELOW, 5 * COPY_BELOW][round % 5];
                let bytes = Bytes::from(vec![round as u8; size]);
                wanted.extend_from_slice(&[1, 2, 3]);
                out.small().extend_from_slice(&[1, 2, 3]);
                wanted.extend_from_slice(&bytes);
                out.put(bytes);
                if round % 60 == 59 {
                    let mut context = Context::from_waker(std::task::Waker::noop());
                    assert!(out.poll_write(&mut io, &mut context).is_ready());
                    assert!(out.is_empty() && out.small.is_empty());
                }
            }
            assert!(io.1 == wanted, "{step}");
        }
    }

    #[test]
    fn what_is_written_is_not_kept_though_there_is_always_more() {
        let mut out = Out::default();
        let mut context = Context::from_waker(std::task::Waker::noop());
        for round in 0..10_000 {
            out.small().extend_from_slice(&[1; 100]);
            out.put(Bytes::from(vec![2; 2 * COPY_BELOW]));
            // Never to the end of a piece, and never all of it.
            let mut io = Full(2 * COPY_BELOW + 99 - usize::from(round == 0));
            assert!(out.poll_write(&mut io, &mut context).is_pending());
            assert!(out.small.len() < 2 * KEPT && out.len() < 20_000, "{} {}", out.small.len(), out.len());
        }
    }

    /// Takes so much and no more.
    struct Full(usize);

    impl AsyncWrite for Full {
        fn poll_write(
            self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(context, &[IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let count = self.0.min(slices.iter().map(|slice| slice.len()).sum());
            self.0 -= count;
            if count == 0 { Poll::Pending } else { Poll::Ready(Ok(count)) }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
}
