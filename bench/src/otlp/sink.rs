//! The far end: takes requests, counts their records by their borders, and is as slow as it is told to be.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use streamgauge_pdata::{Signal, check};
use streamgauge_transport::{Codec, Deframer, grpc_path, http_path};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use super::child::answer_commands;
use super::wire::{CONNECTION_WINDOW, LARGEST, STREAM_WINDOW, Transport};

#[derive(Args, Clone, Debug)]
pub struct SinkArgs {
    #[arg(long)]
    pub transport: Transport,
}

/// What the sink has answered with success so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SinkCounts {
    pub records: u64,
    /// Of bodies as they came, packed or not.
    pub bytes: u64,
    pub requests: u64,
    /// Requests that were no OTLP.
    pub broken: u64,
}

/// How the sink behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Ok,
    /// Records a second.
    Slow(u64),
    Stalled,
}

impl Mode {
    fn parse(words: &str) -> Option<Mode> {
        match words.split_whitespace().collect::<Vec<_>>()[..] {
            ["ok"] => Some(Mode::Ok),
            ["stalled"] => Some(Mode::Stalled),
            ["slow", rate] => rate.parse().ok().map(Mode::Slow),
            _ => None,
        }
    }
}

struct Sink {
    transport: Transport,
    mode: watch::Sender<Mode>,
    /// In slow mode: when the next record has its turn.
    next: Mutex<Instant>,
    records: AtomicU64,
    bytes: AtomicU64,
    requests: AtomicU64,
    broken: AtomicU64,
}

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// The mode of the process.
pub async fn run(args: SinkArgs) {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("listen");
    let sink = Arc::new(Sink::new(args.transport));
    let commanded = sink.clone();
    let address = listener.local_addr().expect("know the address");
    answer_commands(&address.to_string(), move |command| commanded.command(command));
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let sink = sink.clone();
        tokio::spawn(async move {
            let io = TokioIo::new(stream);
            let service = service_fn(|request| {
                let sink = sink.clone();
                async move { Ok::<_, Infallible>(sink.take(request).await) }
            });
            // A broken connection is its client's to report. Frames are of the default size, as backends have it.
            match sink.transport {
                Transport::Http => drop(http1::Builder::new().serve_connection(io, service).await),
                Transport::Grpc => {
                    let mut builder = http2::Builder::new(TokioExecutor::new());
                    builder
                        .timer(TokioTimer::new())
                        .initial_stream_window_size(STREAM_WINDOW)
                        .initial_connection_window_size(CONNECTION_WINDOW);
                    drop(builder.serve_connection(io, service).await);
                }
            }
        });
    }
}

impl Sink {
    fn new(transport: Transport) -> Self {
        Self {
            transport,
            mode: watch::Sender::new(Mode::Ok),
            next: Mutex::new(Instant::now()),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            broken: AtomicU64::new(0),
        }
    }

    /// `mode ok|stalled|slow RATE` or `counts`; the answer is the counts.
    fn command(&self, command: &str) -> String {
        if let Some(mode) = command.strip_prefix("mode ").and_then(Mode::parse) {
            self.mode.send_replace(mode);
        }
        let counts = SinkCounts {
            records: self.records.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            requests: self.requests.load(Relaxed),
            broken: self.broken.load(Relaxed),
        };
        serde_json::to_string(&counts).expect("counts are JSON")
    }

    async fn take(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let path = match self.transport {
            Transport::Grpc => grpc_path,
            Transport::Http => http_path,
        };
        let signal = Signal::ALL.into_iter().find(|signal| path(*signal) == head.uri.path());
        let read = match signal {
            Some(signal) => self.read(signal, &head.headers, body).await,
            None => None,
        };
        let Some((records, bytes)) = read else {
            self.broken.fetch_add(1, Relaxed);
            return self.answer(false);
        };
        self.wait(records).await;
        self.records.fetch_add(records, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        self.answer(true)
    }

    /// The records and the bytes of a body.
    async fn read(&self, signal: Signal, headers: &HeaderMap, mut body: Incoming) -> Option<(u64, u64)> {
        let (message, encoding) = match self.transport {
            Transport::Grpc => {
                let mut deframer = Deframer::new(LARGEST);
                while let Some(frame) = body.frame().await {
                    if let Ok(data) = frame.ok()?.into_data() {
                        deframer.push(data).ok()?;
                    }
                }
                let framed = deframer.finish().ok()?;
                (framed.bytes, headers.get("grpc-encoding").filter(|_| framed.packed))
            }
            Transport::Http => (body.collect().await.ok()?.to_bytes(), headers.get("content-encoding")),
        };
        let bytes = message.len() as u64;
        let plain = match encoding {
            None => message,
            Some(name) => match Codec::from_name(name.to_str().ok()?)? {
                None => message,
                Some(codec) => codec.unpack(&message, LARGEST).ok()?,
            },
        };
        Some((check(signal, &plain).ok()? as u64, bytes))
    }

    /// Until the mode lets these records through.
    async fn wait(&self, records: u64) {
        let mut mode = self.mode.subscribe();
        loop {
            let now = *mode.borrow_and_update();
            match now {
                Mode::Ok => return,
                Mode::Stalled => {}
                Mode::Slow(rate) => {
                    let turn = {
                        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
                        let turn = (*next).max(Instant::now());
                        *next = turn + Duration::from_secs_f64(records as f64 / rate as f64);
                        turn
                    };
                    tokio::select! {
                        () = tokio::time::sleep_until(turn) => return,
                        _ = mode.changed() => continue,
                    }
                }
            }
            if mode.changed().await.is_err() {
                return;
            }
        }
    }

    fn answer(&self, taken: bool) -> Answer {
        let body = |bytes: &'static [u8]| Full::new(Bytes::from_static(bytes));
        let mut answer = match self.transport {
            Transport::Http => Response::new(body(b"").boxed_unsync()),
            Transport::Grpc => {
                let mut trailers = HeaderMap::with_capacity(1);
                trailers.insert("grpc-status", HeaderValue::from_static(if taken { "0" } else { "3" }));
                // An empty message behind its prefix.
                let data = body(&[0; 5]).with_trailers(std::future::ready(Some(Ok(trailers))));
                Response::new(data.boxed_unsync())
            }
        };
        let content = match self.transport {
            Transport::Http => "application/x-protobuf",
            Transport::Grpc => "application/grpc",
        };
        answer.headers_mut().insert("content-type", HeaderValue::from_static(content));
        if !taken && self.transport == Transport::Http {
            *answer.status_mut() = StatusCode::BAD_REQUEST;
        }
        answer
    }
}
