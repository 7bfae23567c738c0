//! A connection without its socket: bytes in, requests to the service, bytes out.

mod control;
mod receive;
mod requests;
mod send;

use std::sync::Arc;

use bytes::BytesMut;

use crate::Service;
use crate::budget::Budget;
use crate::fault::{Fault, calm};
use crate::frame::{MOST, Reason, kind, put};
use crate::head::Known;
use crate::heads::Heads;
use crate::hpack::Decoder;
use crate::pings::Pings;
use crate::settings::{DEFAULT_WINDOW, Peer, Settings};
use crate::shared::{News, Shared};
use crate::stream::Streams;

/// While more than this waits to be written, nothing is read: a client that takes no answers asks no questions.
const UNWRITTEN: usize = 64 << 10;

/// How far a connection is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Leaving {
    No,
    /// The client was told to open no more streams; those that it had opened by then are on their way.
    Announced,
    /// It has heard it: later ones are not served.
    Final,
}

pub(crate) struct Core<S: Service> {
    service: S,
    settings: Settings,
    peer: Peer,
    decoder: Decoder,
    heads: Heads<Known>,
    block: Option<receive::Block>,
    /// The client's first frame has come.
    greeted: bool,
    pub streams: Streams<S::Future>,
    /// The last stream that the client opened.
    last: u32,
    /// Streams whose handler is not at work.
    waiting: Vec<usize>,
    /// Streams whose answers wait for a window.
    blocked: Vec<usize>,
    /// How much more the client may send, and what of it can be given back.
    receive: i64,
    freed: usize,
    /// How much more we may send.
    send: i64,
    pub out: Vec<u8>,
    /// Frames that ask nothing, in relation to requests.
    control: Budget,
    /// Requests taken back, and streams that the client broke.
    resets: Budget,
    /// Pieces of bodies that are hardly any.
    crumbs: Budget,
    pings: Pings,
    leaving: Leaving,
    pub shared: Arc<Shared>,
    news: News,
    /// There are other threads for large requests.
    parallel: bool,
}

/// Filled by time and by requests: clients ping with every answer that they measure.
const CONTROL: (u32, u32, u32) = (2000, 100, 8);
const RESETS: (u32, u32, u32) = (2000, 1000, 1);
const CRUMBS: (u32, u32) = (20_000, 2000);

impl<S: Service> Core<S> {
    pub fn new(service: S, settings: Settings, parallel: bool) -> Self {
        let mut out = Vec::with_capacity(256);
        settings.put(&mut out);
        let window = settings.connection_window.max(DEFAULT_WINDOW);
        if window > DEFAULT_WINDOW {
            put(&mut out, kind::WINDOW_UPDATE, 0, 0, &(window - DEFAULT_WINDOW).to_be_bytes());
        }
        let shared = Shared::new(window as usize / 2);
        Core {
            service,
            peer: Peer::default(),
            decoder: Decoder::new(),
            heads: Heads::default(),
            block: None,
            greeted: false,
            streams: Streams::new(shared.clone()),
            last: 0,
            waiting: Vec::new(),
            blocked: Vec::new(),
            receive: i64::from(window),
            freed: 0,
            send: i64::from(DEFAULT_WINDOW),
            out,
            control: Budget::new(CONTROL.0, CONTROL.1),
            resets: Budget::new(RESETS.0, RESETS.1),
            crumbs: Budget::new(CRUMBS.0, CRUMBS.1),
            pings: Pings::new(settings.pings),
            leaving: Leaving::No,
            shared,
            news: News::default(),
            parallel,
            settings,
        }
    }

    /// Whether nothing will come of this connection any more.
    pub fn is_over(&self) -> bool {
        self.leaving == Leaving::Final && self.streams.is_empty()
    }

    /// Serves the whole frames among the bytes. Returns how many bytes the next one has in all, as far as that is known.
    pub fn receive(&mut self, bytes: &mut BytesMut) -> Result<usize, Fault> {
        loop {
            if self.out.len() > UNWRITTEN {
                return Ok(0);
            }
            match self.frame(bytes) {
                Ok(None) => {}
                Ok(Some(length)) => return Ok(length),
                Err(Fault::Stream(id, reason)) => {
                    self.spend_reset()?;
                    self.reset(id, reason);
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Does what can be done without further bytes: handlers that can go on, and requests of which only a part has come.
    pub fn work(&mut self) {
        let mut news = std::mem::take(&mut self.news);
        self.shared.collect(&mut news);
        self.freed += news.freed;
        for slot in &news.ready {
            self.run(*slot);
        }
        for (id, answer) in news.done.drain(..) {
            if let Some(slot) = self.streams.find(id) {
                self.handled(slot, answer);
            }
        }
        self.news = news;
        for slot in std::mem::take(&mut self.waiting) {
            self.begin(slot);
        }
        self.give_back();
    }

    /// Drops all requests.
    pub fn abandon(&mut self) {
        self.streams = Streams::new(self.shared.clone());
        self.waiting.clear();
        self.blocked.clear();
    }

    /// Asks the client for no more requests.
    pub fn leave(&mut self) {
        if self.leaving == Leaving::No {
            self.leaving = Leaving::Announced;
            self.goaway(MOST, Reason::NO_ERROR, "");
            put(&mut self.out, kind::PING, 0, 0, control::LEAVING);
        }
    }

    /// Says why the connection ends.
    pub fn goaway(&mut self, last: u32, reason: Reason, why: &str) {
        let mut payload = Vec::with_capacity(8 + why.len());
        payload.extend_from_slice(&last.to_be_bytes());
        payload.extend_from_slice(&reason.0.to_be_bytes());
        payload.extend_from_slice(why.as_bytes());
        put(&mut self.out, kind::GOAWAY, 0, 0, &payload);
    }

    /// The same for what the client did.
    pub fn give_up(&mut self, reason: Reason, why: &str) {
        self.goaway(self.last, reason, why);
    }

    pub fn ping(&mut self) {
        put(&mut self.out, kind::PING, 0, 0, control::ALIVE);
    }

    fn spend_reset(&mut self) -> Result<(), Fault> {
        match self.resets.spend(1) {
            true => Ok(()),
            false => Err(calm("too many requests were reset")),
        }
    }

    fn spend_control(&mut self) -> Result<(), Fault> {
        match self.control.spend(1) {
            true => Ok(()),
            false => Err(calm("too many frames that ask nothing")),
        }
    }
}
