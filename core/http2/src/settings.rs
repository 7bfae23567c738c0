//! What each side tells the other about itself (RFC 9113, section 6.5).

use std::time::Duration;

use crate::fault::{Fault, flow, protocol};
use crate::frame::{MOST, kind, number, put};
use crate::pings::PingPolicy;

/// A window, and the largest frame, until a side says otherwise.
pub(crate) const DEFAULT_WINDOW: u32 = 65_535;
pub(crate) const DEFAULT_FRAME: usize = 16 << 10;
/// The same for what blocks are packed with.
const DEFAULT_TABLE: usize = 4096;

const HEADER_TABLE_SIZE: u16 = 1;
const ENABLE_PUSH: u16 = 2;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;
const MAX_HEADER_LIST_SIZE: u16 = 6;

/// What a server offers.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The largest frame in bytes: 16 KiB to 16 MiB.
    pub frame: u32,
    /// What a request's body may be ahead of its reader, in bytes.
    pub stream_window: u32,
    /// The same for all requests of a connection; at least 64 KiB.
    pub connection_window: u32,
    /// Requests at once.
    pub streams: u32,
    /// The largest head of a request, in bytes as HTTP/2 counts them.
    pub header_list: u32,
    /// After how much silence the client is asked whether it is there, and how long it may take to say so.
    pub ping: Option<(Duration, Duration)>,
    /// What pings of clients are taken; without it as many as all clients together may ask for anything.
    pub pings: Option<PingPolicy>,
}

impl Settings {
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let mut payload = Vec::with_capacity(24);
        for (setting, value) in [
            (MAX_CONCURRENT_STREAMS, self.streams),
            (INITIAL_WINDOW_SIZE, self.stream_window),
            (MAX_FRAME_SIZE, self.frame),
            (MAX_HEADER_LIST_SIZE, self.header_list),
        ] {
            payload.extend_from_slice(&setting.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        put(out, kind::SETTINGS, 0, 0, &payload);
    }
}

/// What a client offers: no pushes, and heads of answers that have an end. All else is as it is by default.
pub(crate) struct Offer;

impl Offer {
    /// The largest head of an answer, in bytes as HTTP/2 counts them.
    pub const HEADER_LIST: u32 = 64 << 10;

    pub fn put(out: &mut Vec<u8>) {
        let [a, b, c, d] = Offer::HEADER_LIST.to_be_bytes();
        let payload = [0, ENABLE_PUSH as u8, 0, 0, 0, 0, 0, MAX_HEADER_LIST_SIZE as u8, a, b, c, d];
        put(out, kind::SETTINGS, 0, 0, &payload);
    }
}

/// What the other side has said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// What a new stream may send.
    pub window: i64,
    /// The largest frame that it takes.
    pub frame: usize,
    /// It has made its table smaller and waits to hear that ours is, too.
    pub smaller_table: bool,
    /// How large its table may be, and the smallest that it was with the last settings.
    pub table: usize,
    pub smallest_table: usize,
    /// Requests at once.
    pub streams: usize,
}

impl Default for Peer {
    fn default() -> Self {
        Peer {
            window: DEFAULT_WINDOW.into(),
            frame: DEFAULT_FRAME,
            smaller_table: false,
            table: DEFAULT_TABLE,
            smallest_table: DEFAULT_TABLE,
            streams: usize::MAX,
        }
    }
}

impl Peer {
    /// Reads the payload of a SETTINGS frame.
    pub fn read(&mut self, payload: &[u8]) -> Result<(), Fault> {
        self.smallest_table = self.table;
        for entry in payload.chunks_exact(6) {
            let value = number(entry, 2);
            match u16::from_be_bytes([entry[0], entry[1]]) {
                HEADER_TABLE_SIZE => {
                    self.smaller_table |= (value as usize) < DEFAULT_TABLE;
                    self.table = value as usize;
                    self.smallest_table = self.smallest_table.min(self.table);
                }
                MAX_CONCURRENT_STREAMS => self.streams = value as usize,
                ENABLE_PUSH if value > 1 => {
                    return Err(protocol("ENABLE_PUSH is neither 0 nor 1"));
                }
                INITIAL_WINDOW_SIZE if value > MOST => {
                    let why = "INITIAL_WINDOW_SIZE is above 2^31-1";
                    return Err(flow(why));
                }
                INITIAL_WINDOW_SIZE => self.window = value.into(),
                MAX_FRAME_SIZE if !(1 << 14..1 << 24).contains(&value) => {
                    let why = "MAX_FRAME_SIZE is not from 2^14 to 2^24-1";
                    return Err(protocol(why));
                }
                MAX_FRAME_SIZE => self.frame = value as usize,
                _ => {}
            }
        }
        Ok(())
    }
}
