//! Requests, as far as the server's windows have room.

use std::sync::Arc;

use super::calls::Core;
use super::head::Head;
use crate::answer::put_block;
use crate::frame::{flag, kind, put_head};

/// While more than this waits to be written, no body goes on: what else has to be said would wait behind it.
const UNWRITTEN: usize = 1 << 20;
/// As many different heads as a client of three signals has, and one.
const HEADS: usize = 4;

impl Core {
    pub(super) fn send_head(&mut self, id: u32, head: &Arc<Head>, last: bool) {
        let age = self.encoder.age;
        let known = self.packed.iter().find(|known| known.1 == age && Arc::ptr_eq(&known.0, head));
        if let Some((.., block)) = known {
            return put_block(self.out.small(), id, block, last, self.peer.frame);
        }
        let mut block = Vec::with_capacity(256);
        self.encoder.begin(&mut block);
        for line in head.fields() {
            self.encoder.field(&mut block, &line.name, &line.value, line.secret);
        }
        put_block(self.out.small(), id, &block, last, self.peer.frame);
        if self.encoder.age == age {
            self.packed.retain(|known| known.1 == age);
            self.packed.truncate(HEADS - 1);
            self.packed.insert(0, (head.clone(), age, block.into()));
        }
    }

    /// Goes on with bodies that waited for others to be written.
    pub fn send_held(&mut self) {
        if std::mem::take(&mut self.held) {
            (0..self.streams.len()).for_each(|index| self.send_body(index));
        }
    }

    /// Sends what fits of a call's body; the rest waits for a window.
    pub(super) fn send_body(&mut self, index: usize) {
        let Some(stream) = self.streams.get_mut(index) else { return };
        while stream.left > 0 {
            if self.out.len() > UNWRITTEN {
                self.held = true;
                return;
            }
            let window = usize::try_from(stream.send.min(self.send)).unwrap_or(0);
            let length = stream.left.min(window).min(self.peer.frame);
            if length == 0 {
                return;
            }
            stream.left -= length;
            stream.send -= length as i64;
            self.send -= length as i64;
            let flags = if stream.left == 0 { flag::END_STREAM } else { 0 };
            put_head(self.out.small(), length, kind::DATA, flags, stream.id);
            let mut missing = length;
            while missing > 0
                && let Some(slice) = stream.body.front_mut()
            {
                let part = slice.split_to(missing.min(slice.len()));
                missing -= part.len();
                if slice.is_empty() {
                    stream.body.pop_front();
                }
                self.out.put(part);
            }
        }
    }
}
