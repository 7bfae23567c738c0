//! A connection with its socket and its clock.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::calls::Core;
use super::receive::ALIVE;
use super::{Ask, Client, ClientSettings, Handle, Shared};
use crate::alive::{Alive, Silent};
use crate::fault::Fault;
use crate::frame::{Reason, kind, put};
use crate::input::Input;

/// How long a server may take to hear that the connection ends.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Does the work of a connection.
pub struct Driver<I> {
    io: I,
    core: Core,
    input: Input,
    /// How many bytes the next frame has, as far as is known.
    need: usize,
    flushed: bool,
    alive: Option<Alive>,
    shared: Arc<Shared>,
    asks: Vec<Ask>,
    taken_back: Vec<u64>,
    /// No more calls come.
    left: bool,
}

impl Client {
    /// A client over this stream, on which nothing was said yet, and what has to run for it.
    pub fn new<I: AsyncRead + AsyncWrite + Unpin>(io: I, settings: ClientSettings) -> (Client, Driver<I>) {
        let shared = Arc::<Shared>::default();
        let driver = Driver {
            io,
            core: Core::new(settings, shared.clone()),
            input: Input::new(BytesMut::new()),
            need: 0,
            flushed: true,
            alive: settings.ping.map(Alive::new),
            shared: shared.clone(),
            asks: Vec::new(),
            taken_back: Vec::new(),
            left: false,
        };
        (Client(Arc::new(Handle(shared))), driver)
    }
}

/// How a connection ends.
enum End {
    /// Nobody needs it any more.
    Over,
    /// It broke, or the server did something wrong.
    Broken(String),
}

impl<I: AsyncRead + AsyncWrite + Unpin> Driver<I> {
    /// Serves calls until nobody makes any, the server ends the connection, or it breaks.
    ///
    /// # Errors
    /// Why it broke.
    pub async fn run(mut self) -> Result<(), String> {
        let end = poll_fn(|context| self.poll_serve(context)).await;
        let why = match &end {
            End::Over => "the connection is over",
            End::Broken(why) => why,
        };
        self.shared.close(why);
        self.core.fail(why);
        let last = async {
            poll_fn(|context| self.core.out.poll_write(&mut self.io, context)).await?;
            self.io.shutdown().await
        };
        let _heard = timeout(LAST_WORD, last).await;
        match end {
            End::Over => Ok(()),
            End::Broken(why) => Err(why),
        }
    }

    fn poll_serve(&mut self, context: &mut Context<'_>) -> Poll<End> {
        loop {
            // What has come is read first: a call is not sent on a connection that has ended.
            if let Err(end) = self.read(context) {
                return Poll::Ready(end);
            }
            self.take_calls();
            if let Err(error) = self.write(context) {
                return Poll::Ready(End::Broken(error.to_string()));
            }
            if self.core.is_idle() && (self.left || self.core.goodbye.is_some()) {
                self.goodbye(Reason::NO_ERROR, "");
                return Poll::Ready(End::Over);
            }
            match self.poll_alive(context) {
                Ok(true) => continue,
                Ok(false) => {}
                Err(Silent) => {
                    return Poll::Ready(End::Broken("the server does not answer pings".into()));
                }
            }
            if self.shared.sleep(context.waker(), self.left) {
                return Poll::Pending;
            }
        }
    }

    fn read(&mut self, context: &mut Context<'_>) -> Result<(), End> {
        loop {
            match self.core.receive(&mut self.input.bytes) {
                Ok(need) => self.need = need,
                Err(Fault::Stream(..)) => {} // ended there
                Err(Fault::Connection(reason, why)) => {
                    self.goodbye(reason, why);
                    return Err(End::Broken(format!("the server broke the protocol: {reason}: {why}")));
                }
            }
            match self.input.poll_fill(&mut self.io, self.need, context) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(End::Broken("the server closed the connection".into())),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Err(End::Broken(error.to_string())),
            }
            if let Some(alive) = &mut self.alive {
                alive.heard();
            }
        }
    }

    fn take_calls(&mut self) {
        self.left = self.shared.collect(&mut self.asks, &mut self.taken_back);
        for ask in self.asks.drain(..).filter(|ask| !self.taken_back.contains(&ask.ticket)) {
            self.core.ask(ask);
        }
        for ticket in self.taken_back.drain(..) {
            self.core.take_back(ticket);
        }
    }

    fn write(&mut self, context: &mut Context<'_>) -> std::io::Result<()> {
        while !self.core.out.is_empty() {
            self.flushed = false;
            if self.core.out.poll_write(&mut self.io, context)?.is_pending() {
                return Ok(());
            }
            self.core.asked = 0;
            self.core.send_held();
        }
        if !self.flushed {
            self.flushed = Pin::new(&mut self.io).poll_flush(context)?.is_ready();
        }
        Ok(())
    }

    fn poll_alive(&mut self, context: &mut Context<'_>) -> Result<bool, Silent> {
        let Some(alive) = &mut self.alive else { return Ok(false) };
        let ask = alive.poll(self.core.settings.ping_idle || !self.core.is_idle(), context)?;
        if ask {
            put(self.core.out.small(), kind::PING, 0, 0, ALIVE);
        }
        Ok(ask)
    }

    /// Says why the connection ends. The server opens no streams.
    fn goodbye(&mut self, reason: Reason, why: &str) {
        let mut payload = vec![0; 4];
        payload.extend_from_slice(&reason.0.to_be_bytes());
        payload.extend_from_slice(why.as_bytes());
        put(self.core.out.small(), kind::GOAWAY, 0, 0, &payload);
    }
}

impl<I> Drop for Driver<I> {
    fn drop(&mut self) {
        self.shared.close("the connection is gone");
    }
}
