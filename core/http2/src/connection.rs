//! A connection with its socket and its clock.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::time::{Sleep, sleep};

use crate::Service;
use crate::alive::{Alive, Silent};
use crate::core::Core;
use crate::fault::Fault;
use crate::frame::Reason;
use crate::input::Input;
use crate::settings::Settings;

/// Room for answers that is kept.
const OUT: usize = 64 << 10;
/// How long a client that is told why it has to go may take to hear it.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Why a connection ended before its time.
#[derive(Debug)]
pub enum Error {
    /// The socket failed.
    Io(io::Error),
    /// The client broke the protocol, or asked for too much.
    Client(Reason, &'static str),
    /// It did not answer a ping.
    Silent,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Io(error) => error.fmt(f),
            Error::Client(reason, why) => write!(f, "{reason}: {why}"),
            Error::Silent => f.write_str("the client does not answer pings"),
        }
    }
}

impl std::error::Error for Error {}

/// A connection whose preface has come. It ends when the client closes, or after [`Connection::leave`] when all answers are out.
pub struct Connection<I, S: Service> {
    io: I,
    core: Core<S>,
    input: Input,
    /// How many bytes the next frame has, as far as is known; 0 while there may be whole ones.
    need: usize,
    /// What of the core's output is written.
    written: usize,
    flushed: bool,
    alive: Option<Alive>,
    end: Option<End>,
}

/// A connection that is about to end.
#[derive(Debug)]
struct End {
    error: Option<Error>,
    limit: Pin<Box<Sleep>>,
    shut: bool,
}

/// What the socket had.
enum Came {
    Bytes,
    Nothing,
    End,
}

impl<I: AsyncRead + AsyncWrite + Unpin, S: Service> Connection<I, S> {
    /// A connection over this stream; `input` is what came behind the preface.
    pub fn new(io: I, input: BytesMut, settings: Settings, service: S) -> Self {
        let parallel = Handle::try_current().is_ok_and(|runtime| runtime.metrics().num_workers() > 1);
        let alive = settings.ping.map(Alive::new);
        Connection {
            io,
            core: Core::new(service, settings, parallel),
            input: Input::new(input),
            need: 0,
            written: 0,
            flushed: true,
            alive,
            end: None,
        }
    }

    /// Asks the client to send no further requests; those that are under way are answered.
    pub fn leave(&mut self) {
        self.core.leave();
    }

    fn poll_serve(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while self.end.is_none() {
            match self.core.receive(&mut self.input.bytes) {
                Ok(need) => self.need = need,
                Err(Fault::Connection(reason, why)) => {
                    self.core.give_up(reason, why);
                    self.finish(Some(Error::Client(reason, why)));
                    continue;
                }
                Err(Fault::Stream(..)) => {} // ended there
            }
            self.core.work();
            self.poll_write(context).map_err(Error::Io)?;
            if self.core.is_over() {
                self.finish(None);
                continue;
            }
            match self.poll_read(context).map_err(Error::Io)? {
                Came::Bytes => continue,
                Came::End => return Poll::Ready(Ok(())),
                Came::Nothing => {}
            }
            if !self.poll_alive(context)? && self.core.shared.sleep(context.waker()) {
                return Poll::Pending;
            }
        }
        self.poll_end(context)
    }

    fn is_written(&self) -> bool {
        self.core.out.is_empty()
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while let Some(rest) = self.core.out.get(self.written..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut self.io).poll_write(context, rest)? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => self.written += count,
                Poll::Pending => return Ok(()),
            }
            self.flushed = false;
        }
        self.core.out.clear();
        self.core.out.shrink_to(OUT);
        self.written = 0;
        if !self.flushed {
            self.flushed = Pin::new(&mut self.io).poll_flush(context)?.is_ready();
        }
        Ok(())
    }

    /// Reads what there is.
    fn poll_read(&mut self, context: &mut Context<'_>) -> io::Result<Came> {
        if self.need == 0 {
            // Frames are left; they wait for the answers to be taken.
            return Ok(if self.is_written() { Came::Bytes } else { Came::Nothing });
        }
        let came = match self.input.poll_fill(&mut self.io, self.need, context) {
            Poll::Ready(came) => came?,
            Poll::Pending => return Ok(Came::Nothing),
        };
        if came == 0 {
            return Ok(Came::End);
        }
        if let Some(alive) = &mut self.alive {
            alive.heard();
        }
        Ok(Came::Bytes)
    }

    /// Asks a client that has been silent whether it is there; `true` when there is a question to send.
    fn poll_alive(&mut self, context: &mut Context<'_>) -> Result<bool, Error> {
        let Some(alive) = &mut self.alive else { return Ok(false) };
        let ask = alive.poll(true, context).map_err(|Silent| Error::Silent)?;
        if ask {
            self.core.ping();
        }
        Ok(ask)
    }

    fn finish(&mut self, error: Option<Error>) {
        self.core.abandon();
        self.input.bytes.clear();
        self.end = Some(End { error, limit: Box::pin(sleep(LAST_WORD)), shut: false });
    }

    /// Writes the last words and closes. A client that did something wrong is listened to until it closes, too, for a moment: a
    /// socket closed over unread bytes is reset, and it would never hear what it did.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let closed = self.poll_close(context);
        let Some(end) = &mut self.end else { return Poll::Ready(Ok(())) };
        if closed.is_pending() && end.limit.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(end.error.take().map_or(Ok(()), Err))
    }

    fn poll_close(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write(context)?;
        let Some(end) = &mut self.end else { return Poll::Ready(Ok(())) };
        if !end.shut {
            if !self.core.out.is_empty() {
                return Poll::Pending;
            }
            ready!(Pin::new(&mut self.io).poll_shutdown(context))?;
            end.shut = true;
        }
        while end.error.is_some() {
            self.input.bytes.clear();
            if ready!(self.input.poll_fill(&mut self.io, 0, context))? == 0 {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin, S: Service> Future for Connection<I, S> {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.get_mut().poll_serve(context)
    }
}
