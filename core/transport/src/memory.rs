//! Whether there is memory for a body.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use streamgauge_pdata::Body;

/// A bound in bytes that bodies are charged to while they are in memory.
pub trait Memory: Debug + Send + Sync + 'static {
    /// Takes room for so many bytes; `false` when there is none.
    fn take(&self, bytes: usize) -> bool;

    /// Gives room back.
    fn give_back(&self, bytes: usize);

    /// Why no further body should be read now, for a person; `None` when one may come.
    fn pressure(&self) -> Option<String> {
        None
    }

    /// The bound: buffers of connections are sized by it.
    fn limit(&self) -> usize;
}

/// What one body has taken; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    memory: Option<Arc<dyn Memory>>,
    bytes: usize,
}

/// There is no memory for more, and why.
#[derive(Debug)]
pub(crate) struct NoRoom(pub String);

impl Room {
    /// Nothing yet. Without a memory there is always room.
    pub fn new(memory: Option<&Arc<dyn Memory>>) -> Self {
        Room { memory: memory.cloned(), bytes: 0 }
    }

    /// Whether a body may be read at all.
    pub fn admit(&self) -> Result<(), NoRoom> {
        self.memory.as_ref().and_then(|memory| memory.pressure()).map_or(Ok(()), |why| Err(NoRoom(why)))
    }

    /// Takes more.
    pub fn grow(&mut self, more: usize) -> Result<(), NoRoom> {
        if let Some(memory) = &self.memory {
            if !memory.take(more) {
                return Err(NoRoom("as much data is in flight as the memory limit allows".to_owned()));
            }
            self.bytes += more;
        }
        Ok(())
    }

    /// Ties what is taken to the bytes that it was taken for: it is given back with their last slice.
    pub fn hold(mut self, bytes: Bytes) -> Body {
        if self.memory.is_none() || bytes.is_empty() {
            return bytes.into();
        }
        self.shrink(bytes.len());
        Body::held(bytes, self)
    }

    fn shrink(&mut self, to: usize) {
        let over = self.bytes.saturating_sub(to);
        if let Some(memory) = &self.memory {
            memory.give_back(over);
            self.bytes -= over;
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shrink(0);
    }
}
