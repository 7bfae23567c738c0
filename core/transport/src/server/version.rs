//! Which version of HTTP a client speaks: its first bytes say so.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, BytesMut};
use streamgauge_http2::PREFACE;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// What is read at first.
const FIRST: usize = 16 << 10;

/// Whether HTTP/2 is spoken, and what came behind its preface; else all that came.
pub(super) async fn is_http2(io: &mut (impl AsyncRead + Unpin)) -> io::Result<(bool, BytesMut)> {
    let mut input = BytesMut::with_capacity(FIRST);
    loop {
        let known = input.len().min(PREFACE.len());
        if !PREFACE.starts_with(&input[..known]) {
            return Ok((false, input));
        }
        if known == PREFACE.len() {
            input.advance(known);
            return Ok((true, input));
        }
        if io.read_buf(&mut input).await? == 0 {
            return Ok((false, input));
        }
    }
}

/// A stream whose first bytes have been read already.
pub(super) struct Rewound<S> {
    pub first: BytesMut,
    pub stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let count = self.first.len().min(buffer.remaining());
        buffer.put_slice(&self.first.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn the_version_is_told_however_the_first_bytes_are_cut() {
        let requests = [(true, [&PREFACE[..], b"frames"].concat()), (false, b"PRIV / HTTP/1.1\r\n".to_vec())];
        for (http2, bytes) in requests {
            for cut in 0..bytes.len() {
                let (mut theirs, mut ours) = tokio::io::duplex(100);
                theirs.write_all(&bytes[..cut]).await.unwrap();
                let rest = bytes[cut..].to_vec();
                let writer = tokio::spawn(async move {
                    tokio::task::yield_now().await;
                    theirs.write_all(&rest).await.unwrap();
                    theirs
                });
                let (told, first) = is_http2(&mut ours).await.unwrap();
                assert_eq!(told, http2, "{cut}");
                drop(writer.await.unwrap());
                let mut all = Vec::new();
                Rewound { first, stream: ours }.read_to_end(&mut all).await.unwrap();
                assert_eq!(all, if http2 { b"frames".to_vec() } else { bytes.clone() });
            }
        }
    }
}
