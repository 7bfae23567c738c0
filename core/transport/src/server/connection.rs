//! One connection from handshake to close.

use std::fmt::Display;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use streamgauge_http2 as http2;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::listener::Stream;
use super::service::{self, Door, Requests};
use super::slow::{Activity, Quiet, Watched};
use super::version::{self, Rewound};
use super::{Handler, ServerOptions};

/// A client that does not finish its TLS handshake is dropped after this.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long an idle client may take to close once it is asked to.
const GOODBYE: Duration = Duration::from_secs(5);
/// The largest HTTP/2 frame and the windows: what a body of a few MiB needs to come in few reads
/// (measured: a third of the CPU of the 16 KiB default).
const FRAME: u32 = 1 << 20;
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Requests at once on a connection, where nothing is configured.
const STREAMS: u32 = 200;
/// The largest head of a request by HTTP/2.
const HEADER_LIST: u32 = 16 << 10;
/// Of the memory for bodies, one connection's window is at most this part: what arrives before it is read is not charged.
const WINDOW_SHARE: usize = 32;

/// What an HTTP/2 client is offered. Windows are the best ones, or what the memory allows, but never below HTTP/2's own 64 KiB.
fn settings(options: &ServerOptions) -> http2::Settings {
    let share = options.memory.as_ref().map_or(usize::MAX, |memory| memory.limit() / WINDOW_SHARE);
    let connection = u32::try_from(share).unwrap_or(u32::MAX).clamp(64 << 10, CONNECTION_WINDOW);
    let keepalive = &options.keepalive;
    let patience = set(keepalive.timeout).unwrap_or(PING_TIMEOUT);
    http2::Settings {
        frame: FRAME,
        stream_window: STREAM_WINDOW.min(connection),
        connection_window: connection,
        streams: options.max_concurrent_streams.unwrap_or(STREAMS),
        header_list: HEADER_LIST,
        ping: set(keepalive.time).map(|every| (every, patience)),
        pings: options.enforcement.as_ref().map(|policy| http2::PingPolicy {
            min_time: set(policy.min_time).unwrap_or(MIN_TIME),
            without_stream: policy.permit_without_stream,
        }),
    }
}

/// What grpc-go takes when the setting is 0.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// What grpc-go takes when that setting is 0.
const MIN_TIME: Duration = Duration::from_secs(5 * 60);

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
            return talk(stream, peer, options, handler, phase, activity).await;
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
    talk(io, peer, options, handler, phase, activity).await;
}

async fn talk<H: Handler>(
    mut io: impl Io,
    peer: Option<SocketAddr>,
    options: Arc<ServerOptions>,
    handler: Arc<H>,
    mut phase: watch::Receiver<Phase>,
    activity: Arc<Activity>,
) {
    let keepalive = &options.keepalive;
    let (age, grace) = (keepalive.max_connection_age, keepalive.max_connection_age_grace);
    let (age, grace) = (age.and_then(set), grace.and_then(set));
    let timeouts = options.timeouts.clone();
    let mut quiet = pin!(activity.quiet(&timeouts));
    let mut limit = pin!(after(age));
    let first = tokio::select! {
        first = version::is_http2(&mut io) => first,
        _ = phase.changed() => return,
        _ = quiet.as_mut() => return,
        () = limit.as_mut() => return,
    };
    let (is_http2, first) = match first {
        Ok(first) => first,
        Err(error) => return tracing::debug!(?peer, %error, "connection broke"),
    };
    let sender = peer.map(|peer| peer.to_string().into());
    let (keep_alive, settings) = (options.keep_alive, settings(&options));
    let door = Arc::new(Door { options, handler, peer: sender, activity: activity.clone() });
    let life = Life { peer, phase, grace };
    if is_http2 {
        let connection = pin!(http2::Connection::new(io, first, settings, Requests(door)));
        return life.attend(connection, |connection| connection.get_mut().leave(), quiet, limit).await;
    }
    let service = service_fn(move |request| service::http1(request, door.clone()));
    let mut builder = http1::Builder::new();
    // As in the Collector, a silent connection is not closed: clients keep theirs for minutes.
    builder.timer(TokioTimer::new()).header_read_timeout(None).keep_alive(keep_alive);
    let io = TokioIo::new(Rewound { first, stream: io });
    let connection = pin!(builder.serve_connection(io, service));
    life.attend(connection, http1::Connection::graceful_shutdown, quiet, limit).await;
}

/// What ends a connection beside itself.
struct Life {
    peer: Option<SocketAddr>,
    phase: watch::Receiver<Phase>,
    /// How long a client may take to close once its connection is too old.
    grace: Option<Duration>,
}

impl Life {
    /// Drives a connection to its end; `leave` has it take no further requests.
    async fn attend<C: Future<Output = Result<(), E>>, E: Display>(
        mut self,
        mut connection: Pin<&mut C>,
        leave: impl Fn(Pin<&mut C>),
        mut quiet: Pin<&mut impl Future<Output = Quiet>>,
        age: Pin<&mut impl Future<Output = ()>>,
    ) {
        let peer = self.peer;
        let mut goodbye = pin!(after(None));
        let mut age = age;
        let mut draining = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(?peer, %error, "connection broke");
                    }
                    return;
                }
                changed = self.phase.changed() => {
                    if changed.is_err() || *self.phase.borrow() == Phase::Closed {
                        return;
                    }
                    if !draining {
                        leave(connection.as_mut());
                    }
                }
                why = quiet.as_mut(), if !draining => {
                    tracing::debug!(?peer, ?why, "connection is closed");
                    if why == Quiet::SlowHead {
                        return;
                    }
                    leave(connection.as_mut());
                    draining = true;
                    goodbye.set(after(Some(GOODBYE)));
                }
                () = age.as_mut(), if !draining => {
                    leave(connection.as_mut());
                    draining = true;
                    goodbye.set(after(self.grace));
                }
                () = goodbye.as_mut(), if draining => return,
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
