//! What a socket has sent and nobody has read yet.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What is read at once, at first and at most; frames that are larger get what they need.
const READ: (usize, usize) = (16 << 10, 128 << 10);
/// Beyond a large frame so much more is read: it is copied when the next one is awaited.
const SLACK: usize = 16 << 10;

/// A buffer that is made as large as the frames that come.
#[derive(Debug)]
pub(crate) struct Input {
    pub bytes: BytesMut,
    /// The buffer was made for one large frame.
    large: bool,
    /// How much is read at once.
    step: usize,
}

impl Input {
    /// Begins with what was read elsewhere.
    pub fn new(bytes: BytesMut) -> Self {
        Input { bytes, large: false, step: READ.0 }
    }

    /// Reads once, with room for a frame of `need` bytes in all; how many came, 0 at the end.
    pub fn poll_fill(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        need: usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.large && self.bytes.is_empty() {
            // Its bytes are somebody else's now.
            self.bytes = BytesMut::new();
            self.large = false;
        }
        let missing = need.saturating_sub(self.bytes.len());
        if self.room() < missing.max(self.step / 4) {
            if missing > self.step {
                // What was read of it so far is copied: little, from the next one on.
                self.large = true;
                self.step = READ.0;
            }
            self.bytes.reserve(self.step.max(missing + SLACK));
        }
        let room = self.room();
        let came = ready!(pin!(io.read_buf(&mut self.bytes)).poll(context))?;
        if came == room && !self.large {
            self.step = (self.step * 2).min(READ.1);
        }
        Poll::Ready(Ok(came))
    }

    fn room(&self) -> usize {
        self.bytes.capacity() - self.bytes.len()
    }
}
