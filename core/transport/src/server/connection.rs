//! One connection from handshake to close.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::rt::{Read, Write};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::listener::Stream;
use super::slow::{Activity, Quiet, Watched};
use super::{Handler, ServerOptions, service};

/// A client that does not finish its TLS handshake is dropped after this.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long an idle client may take to close once it is asked to.
const GOODBYE: Duration = Duration::from_secs(5);
/// The largest HTTP/2 frame and the windows: what a body of a few MiB needs to come in few reads
/// (measured: a third of the CPU of the 16 KiB default).
const FRAME: u32 = 1 << 20;
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Of the memory for bodies, one connection's window is at most this part: what arrives before it is read is not charged.
const WINDOW_SHARE: usize = 32;

/// Windows of a stream and a connection: the best ones, or what the memory allows, but never below HTTP/2's own 64 KiB.
fn windows(options: &ServerOptions) -> (u32, u32) {
    let share = options.memory.as_ref().map_or(usize::MAX, |memory| memory.limit() / WINDOW_SHARE);
    let connection = u32::try_from(share).unwrap_or(u32::MAX).clamp(64 << 10, CONNECTION_WINDOW);
    (STREAM_WINDOW.min(connection), connection)
}

/// What grpc-go takes when the setting is 0.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Zero means that nothing was set.
fn set(time: Duration) -> Option<Duration> {
    (!time.is_zero()).then_some(time)
}

/// How far the server is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Serving,
    Draining,
    Closed,
}

/// What a connection is spoken over.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

pub(super) async fn serve<H: Handler>(
    stream: Stream,
    peer: Option<SocketAddr>,
    options: Arc<ServerOptions>,
    handler: Arc<H>,
    mut phase: watch::Receiver<Phase>,
) {
    if let Stream::Tcp(tcp) = &stream
        && let Err(error) = tcp.set_nodelay(true)
    {
        tracing::debug!(?peer, %error, "cannot set TCP_NODELAY");
    }
    let activity = Activity::new();
    let timeouts = &options.timeouts;
    let watched = timeouts.read_header.is_some() || timeouts.write.is_some();
    let io: Box<dyn Io> = match (options.tls.clone(), stream) {
        // The usual one goes without a table of functions.
        (None, Stream::Tcp(stream)) if !watched => {
            return talk(TokioIo::new(stream), peer, options, handler, phase, activity).await;
        }
        (None, stream) => stream.boxed(),
        (Some(tls), stream) => {
            let acceptor = TlsAcceptor::from(tls.get());
            let handshake = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream.boxed()));
            let stream = tokio::select! {
                stream = handshake => stream,
                _ = phase.changed() => return,
            };
            match stream {
                Ok(Ok(stream)) => Box::new(stream),
                Ok(Err(error)) => return tracing::debug!(?peer, %error, "TLS handshake failed"),
                Err(_) => return tracing::debug!(?peer, "TLS handshake took too long"),
            }
        }
    };
    let io = match watched {
        true => Box::new(Watched::new(io, activity.clone(), timeouts.write)),
        false => io,
    };
    talk(TokioIo::new(io), peer, options, handler, phase, activity).await;
}

async fn talk<H: Handler>(
    io: impl Read + Write + Unpin + Send + 'static,
    peer: Option<SocketAddr>,
    options: Arc<ServerOptions>,
    handler: Arc<H>,
    mut phase: watch::Receiver<Phase>,
    activity: Arc<Activity>,
) {
    let keepalive = &options.keepalive;
    let (stream_window, connection_window) = windows(&options);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // As in the Collector, a silent connection is not closed: clients keep theirs for minutes.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).keep_alive(options.keep_alive);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_frame_size(FRAME)
        .initial_stream_window_size(stream_window)
        .initial_connection_window_size(connection_window)
        .keep_alive_interval(set(keepalive.time))
        .keep_alive_timeout(set(keepalive.timeout).unwrap_or(PING_TIMEOUT));
    if let Some(streams) = options.max_concurrent_streams {
        builder.http2().max_concurrent_streams(streams);
    }
    let (age, grace) = (keepalive.max_connection_age, keepalive.max_connection_age_grace);
    let (age, grace) = (age.and_then(set), grace.and_then(set));
    let timeouts = options.timeouts.clone();
    let mut quiet = pin!(activity.quiet(&timeouts));
    let seen = activity.clone();
    let sender: Option<Arc<str>> = peer.map(|peer| peer.to_string().into());
    let service = service_fn(move |request| {
        let (options, handler, sender) = (options.clone(), handler.clone(), sender.clone());
        let under_way = seen.request();
        // Boxed: the HTTP stack moves the future on its way into a task of its own, and it is large.
        Box::pin(async move {
            let answer = service::answer(request, sender, &options, &*handler).await;
            drop(under_way);
            answer
        })
    });
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut limit = pin!(after(age));
    let mut draining = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(?peer, %error, "connection broke");
                }
                return;
            }
            changed = phase.changed() => {
                if changed.is_err() || *phase.borrow() == Phase::Closed {
                    return;
                }
                if !draining {
                    connection.as_mut().graceful_shutdown();
                }
            }
            why = quiet.as_mut(), if !draining => {
                tracing::debug!(?peer, ?why, "connection is closed");
                if why == Quiet::SlowHead {
                    return;
                }
                connection.as_mut().graceful_shutdown();
                draining = true;
                limit.set(after(Some(GOODBYE)));
            }
            () = limit.as_mut() => {
                if draining {
                    return;
                }
                connection.as_mut().graceful_shutdown();
                draining = true;
                limit.set(after(grace));
            }
        }
    }
}

/// Ends after a time, or never.
async fn after(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}
