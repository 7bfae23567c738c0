//! Frames about the connection itself.

use super::{Core, Leaving};
use crate::Service;
use crate::fault::{Fault, calm, flow, protocol, size};
use crate::frame::{Head, MOST, Reason, flag, kind, number, put};
use crate::stream::Stream;

/// What our pings carry: the one that asks for life, and the one that follows a goodbye.
pub(super) const ALIVE: &[u8; 8] = b"alive?..";
pub(super) const LEAVING: &[u8; 8] = b"leaving.";

impl<S: Service> Core<S> {
    pub(super) fn settings(&mut self, head: &Head, payload: &[u8]) -> Result<(), Fault> {
        if head.stream != 0 {
            return Err(protocol("SETTINGS on a stream"));
        }
        if head.has(flag::ACK) {
            return if payload.is_empty() { Ok(()) } else { Err(size("an acknowledgement with settings")) };
        }
        if !payload.len().is_multiple_of(6) {
            return Err(size("SETTINGS that are cut"));
        }
        self.spend_control()?;
        let before = self.peer.window;
        self.peer.read(payload)?;
        let change = self.peer.window - before;
        if change != 0 {
            for stream in self.streams.each() {
                grow(stream, change).ok_or(flow("a window above 2^31-1"))?;
            }
        }
        put(&mut self.out, kind::SETTINGS, flag::ACK, 0, &[]);
        self.unblock();
        Ok(())
    }

    pub(super) fn ping_came(&mut self, head: &Head, payload: &[u8]) -> Result<(), Fault> {
        if head.stream != 0 {
            return Err(protocol("PING on a stream"));
        }
        if payload.len() != 8 {
            return Err(size("a PING is 8 bytes"));
        }
        if !head.has(flag::ACK) {
            self.spend_control()?;
            if !self.pings.came(self.streams.is_empty()) {
                return Err(calm("too_many_pings")); // the words that clients of gRPC wait for
            }
            put(&mut self.out, kind::PING, flag::ACK, 0, payload);
            return Ok(());
        }
        if payload == LEAVING && self.leaving == Leaving::Announced {
            self.leaving = Leaving::Final;
            self.goaway(self.last, Reason::NO_ERROR, "");
        }
        Ok(())
    }

    pub(super) fn goaway_came(&mut self, head: &Head, payload: &[u8]) -> Result<(), Fault> {
        if head.stream != 0 {
            return Err(protocol("GOAWAY on a stream"));
        }
        if payload.len() < 8 {
            return Err(size("a GOAWAY is at least 8 bytes"));
        }
        self.spend_control()
    }

    pub(super) fn window_update(&mut self, head: &Head, payload: &[u8]) -> Result<(), Fault> {
        if payload.len() != 4 {
            return Err(size("a WINDOW_UPDATE is 4 bytes"));
        }
        self.spend_control()?;
        let more = i64::from(number(payload, 0) & MOST);
        if head.stream == 0 {
            self.send += more;
            if more == 0 {
                return Err(protocol("a WINDOW_UPDATE of nothing"));
            }
            if self.send > i64::from(MOST) {
                return Err(flow("a window above 2^31-1"));
            }
        } else if let Some(slot) = self.streams.find(head.stream) {
            if more == 0 {
                return Err(Fault::Stream(head.stream, Reason::PROTOCOL_ERROR));
            }
            let grown = self.streams.get(slot).and_then(|stream| grow(stream, more));
            grown.ok_or(Fault::Stream(head.stream, Reason::FLOW_CONTROL_ERROR))?;
        } else {
            return self.is_no_new_stream(head.stream);
        }
        self.unblock();
        Ok(())
    }

    pub(super) fn rst_stream(&mut self, head: &Head, payload: &[u8]) -> Result<(), Fault> {
        if head.stream == 0 {
            return Err(protocol("RST_STREAM without a stream"));
        }
        if payload.len() != 4 {
            return Err(size("a RST_STREAM is 4 bytes"));
        }
        match self.streams.find(head.stream) {
            Some(slot) => {
                self.close(slot, false);
                self.spend_reset()
            }
            None => {
                self.is_no_new_stream(head.stream)?;
                self.streams.settled(head.stream);
                self.spend_control()
            }
        }
    }

    /// Obsolete; only its form counts.
    pub(super) fn priority(&mut self, head: &Head, payload: &[u8]) -> Result<(), Fault> {
        if head.stream == 0 {
            return Err(protocol("PRIORITY without a stream"));
        }
        self.spend_control()?;
        if payload.len() != 5 {
            return Err(Fault::Stream(head.stream, Reason::FRAME_SIZE_ERROR));
        }
        if number(payload, 0) & MOST == head.stream {
            return Err(Fault::Stream(head.stream, Reason::PROTOCOL_ERROR));
        }
        Ok(())
    }

    /// Of a stream that is not there, only a later end can be spoken.
    pub(super) fn is_no_new_stream(&self, id: u32) -> Result<(), Fault> {
        if id > self.last || id.is_multiple_of(2) {
            return Err(protocol("a frame of a stream that nobody opened"));
        }
        Ok(())
    }
}

fn grow<F>(stream: &mut Stream<F>, more: i64) -> Option<()> {
    stream.send += more;
    (stream.send <= i64::from(MOST)).then_some(())
}
