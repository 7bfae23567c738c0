//! Answers, as far as the client's windows have room.

use super::Core;
use crate::Service;
use crate::answer::{Answer, Parts, put_block, put_data};

impl<S: Service> Core<S> {
    /// Sends an answer, or the part of it that fits.
    pub(super) fn send(&mut self, slot: usize, answer: Answer) {
        let Some(stream) = self.streams.get(slot) else { return };
        self.pings.sent(); // as does each further part of it
        let parts = match answer {
            Answer::Same(same) => {
                let fits = same.data as i64 <= stream.send.min(self.send);
                if fits && !self.peer.smaller_table {
                    same.put(&mut self.out, stream.id);
                    self.send -= same.data as i64;
                    stream.sent = true;
                    return self.settle(slot);
                }
                same.parts.clone()
            }
            Answer::Composed(response) => Parts::of(*response),
        };
        let Parts { mut head, data, trailers } = parts;
        if std::mem::take(&mut self.peer.smaller_table) {
            head.insert(0, 0x20); // the table is empty from now on, as it always was
        }
        let last = data.is_empty() && trailers.is_none();
        put_block(&mut self.out, stream.id, &head, last, self.peer.frame);
        if last {
            stream.sent = true;
            return self.settle(slot);
        }
        stream.rest = Some(Parts { head: Vec::new(), data, trailers });
        self.go_on(slot);
    }

    /// Sends what fits of what is left; the rest waits for a window.
    fn go_on(&mut self, slot: usize) {
        let Some(stream) = self.streams.get(slot) else { return };
        let Some(rest) = &mut stream.rest else { return };
        let before = rest.data.len();
        let fits = usize::try_from(stream.send.min(self.send)).unwrap_or(0);
        let last = rest.trailers.is_none();
        put_data(&mut self.out, stream.id, &mut rest.data, fits, last, self.peer.frame);
        let sent = (before - rest.data.len()) as i64;
        if sent > 0 {
            self.pings.sent();
        }
        stream.send -= sent;
        self.send -= sent;
        if !rest.data.is_empty() {
            self.blocked.push(slot);
            return;
        }
        if let Some(trailers) = &rest.trailers {
            put_block(&mut self.out, stream.id, trailers, true, self.peer.frame);
        }
        stream.rest = None;
        stream.sent = true;
        self.settle(slot);
    }

    /// Windows have grown.
    pub(super) fn unblock(&mut self) {
        for slot in std::mem::take(&mut self.blocked) {
            self.go_on(slot);
        }
    }
}
