//! Peers that keep a connection without using it: how long since what, and a stream that tells.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// How long a server waits for its clients; what is `None` has no end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first byte of an HTTP/1.1 request to the end of its head.
    pub read_header: Option<Duration>,
    /// From an HTTP request's head to the end of its body.
    pub read: Option<Duration>,
    /// For an answer, once the socket takes no more of it.
    pub write: Option<Duration>,
    /// From the last answer to the next request.
    pub idle: Option<Duration>,
}

/// What a connection does.
pub(super) struct Activity(Mutex<State>);

struct State {
    under_way: usize,
    idle_since: Instant,
    /// Since when a head is on its way.
    head_since: Option<Instant>,
}

/// Why a connection has to go.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Quiet {
    Idle,
    SlowHead,
}

impl Activity {
    pub fn new() -> Arc<Self> {
        Arc::new(Activity(Mutex::new(State { under_way: 0, idle_since: Instant::now(), head_since: None })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A head is there; the request lasts until this is dropped.
    pub fn request(self: &Arc<Self>) -> UnderWay {
        let mut state = self.state();
        state.under_way += 1;
        state.head_since = None;
        UnderWay(self.clone())
    }

    /// Ends when the connection was idle, or a head on its way, for too long.
    pub async fn quiet(&self, timeouts: &Timeouts) -> Quiet {
        let Some(step) = timeouts.idle.into_iter().chain(timeouts.read_header).min() else {
            return std::future::pending().await;
        };
        loop {
            let due = {
                let state = self.state();
                match (state.under_way, state.head_since) {
                    (0, Some(since)) => timeouts.read_header.map(|limit| (since + limit, Quiet::SlowHead)),
                    (0, None) => timeouts.idle.map(|limit| (state.idle_since + limit, Quiet::Idle)),
                    _ => None,
                }
            };
            match due {
                Some((at, why)) if at <= Instant::now() => return why,
                Some((at, _)) => sleep_until(at.min(Instant::now() + step)).await,
                // Whatever begins from now on is due a step later at the earliest.
                None => sleep(step).await,
            }
        }
    }
}

pub(super) struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.under_way -= 1;
        if state.under_way == 0 {
            state.idle_since = Instant::now();
        }
    }
}

/// A stream that tells when a head begins, and fails when the peer takes nothing for too long.
pub(super) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
    /// Known with the first bytes. On HTTP/2 bytes come between requests, too: pings, windows.
    http1: Option<bool>,
    write: Option<Duration>,
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    pub fn new(stream: S, activity: Arc<Activity>, write: Option<Duration>) -> Self {
        Watched { stream, activity, http1: None, write, stuck: None }
    }

    /// Lets a write that made no progress fail once its time is over.
    fn progress<T>(&mut self, context: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let (Poll::Pending, Some(limit)) = (&done, self.write) else {
            self.stuck = None;
            return done;
        };
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(stuck.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no answer")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let came = &buffer.filled()[before..];
        if !came.is_empty() {
            let http1 = *self.http1.get_or_insert(!came.starts_with(b"PRI"));
            let mut state = self.activity.state();
            if http1 && state.under_way == 0 {
                state.head_since.get_or_insert_with(Instant::now);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.progress(context, done)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_flush(context);
        self.progress(context, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_shutdown(context);
        self.progress(context, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.progress(context, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_from_its_last_answer_on() {
        let activity = Activity::new();
        let timeouts = Timeouts { idle: Some(10 * SECOND), ..Timeouts::default() };
        let start = Instant::now();
        let request = activity.request();
        let ends = async {
            sleep(25 * SECOND).await;
            drop(request);
        };
        let (quiet, ()) = tokio::join!(activity.quiet(&timeouts), ends);
        assert_eq!((quiet, start.elapsed().as_secs()), (Quiet::Idle, 35));
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_takes_fails_after_its_time() {
        let (ours, _theirs) = tokio::io::duplex(16);
        let mut watched = Watched::new(ours, Activity::new(), Some(5 * SECOND));
        let start = Instant::now();
        let error = watched.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!((error.kind(), start.elapsed().as_secs()), (io::ErrorKind::TimedOut, 5));
    }
}
