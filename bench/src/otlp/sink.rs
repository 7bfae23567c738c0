//! The far end: takes requests, counts their records by their borders, and is as slow as it is told to be.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
use super::histogram::Histogram;
use super::numbers::{self, Arrived};
use super::wire::{CONNECTION_WINDOW, LARGEST, STREAM_WINDOW, Transport};

#[derive(Args, Clone, Debug)]
pub struct SinkArgs {
    #[arg(long)]
    pub transport: Transport,
    /// Requests have numbers, which are kept.
    #[arg(long)]
    pub numbered: bool,
    /// Records say when they were sent, see [`STAMP`].
    #[arg(long)]
    pub stamped: bool,
}

/// Before the time of sending, 19 digits of nanoseconds since 1970.
pub const STAMP: &str = "sg-sent:";

/// How long stamped records were under way.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Latency {
    pub p50_us: f64,
    pub p99_us: f64,
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
    /// Everything is refused, and may come again.
    Down,
    /// The same with RESOURCE_EXHAUSTED or 429, and no word on when to come again.
    Exhausted,
    /// Requests with a number that this divides are refused for good.
    Poison(u64),
}

impl Mode {
    fn parse(words: &str) -> Option<Mode> {
        match words.split_whitespace().collect::<Vec<_>>()[..] {
            ["ok"] => Some(Mode::Ok),
            ["stalled"] => Some(Mode::Stalled),
            ["slow", rate] => rate.parse().ok().map(Mode::Slow),
            ["down"] => Some(Mode::Down),
            ["exhausted"] => Some(Mode::Exhausted),
            ["poison", every] => every.parse().ok().map(Mode::Poison),
            _ => None,
        }
    }
}

struct Sink {
    transport: Transport,
    numbered: bool,
    /// How long records were under way, where they say when they were sent.
    latency: Option<Mutex<Histogram>>,
    mode: watch::Sender<Mode>,
    /// In slow mode: when the next record has its turn.
    next: Mutex<Instant>,
    records: AtomicU64,
    bytes: AtomicU64,
    requests: AtomicU64,
    broken: AtomicU64,
    arrived: Mutex<Arrived>,
}

/// A request that was read.
struct Taken {
    records: u64,
    bytes: u64,
    numbers: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Taken,
    Later,
    Exhausted,
    Never,
}

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// The mode of the process.
pub async fn run(args: SinkArgs) {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("listen");
    let sink = Arc::new(Sink::new(&args));
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

/// How long ago the records of a body were sent.
fn since_sent(body: &[u8]) -> impl Iterator<Item = Duration> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    memchr::memmem::find_iter(body, STAMP).filter_map(move |at| {
        let digits = body.get(at + STAMP.len()..)?.first_chunk::<19>()?;
        let sent = std::str::from_utf8(digits).ok()?.parse().ok()?;
        Some(now.saturating_sub(Duration::from_nanos(sent)))
    })
}

impl Sink {
    fn new(args: &SinkArgs) -> Self {
        Self {
            transport: args.transport,
            numbered: args.numbered,
            latency: args.stamped.then(Mutex::default),
            mode: watch::Sender::new(Mode::Ok),
            next: Mutex::new(Instant::now()),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            arrived: Mutex::default(),
        }
    }

    fn arrived(&self) -> MutexGuard<'_, Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `mode ok|stalled|slow RATE|down|exhausted|poison EVERY` or `counts`, answered by the counts; `numbers`, by what
    /// arrived; `latency`, by how long it took.
    fn command(&self, command: &str) -> String {
        if command == "numbers" {
            return serde_json::to_string(&*self.arrived()).expect("numbers are JSON");
        }
        if let ("latency", Some(latency)) = (command, &self.latency) {
            let latency = latency.lock().unwrap_or_else(PoisonError::into_inner);
            let us = |q| latency.quantile(q).as_nanos() as f64 / 1e3;
            return serde_json::to_string(&Latency { p50_us: us(0.5), p99_us: us(0.99) })
                .expect("numbers are JSON");
        }
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
        let Some(Taken { records, bytes, numbers }) = read else {
            self.broken.fetch_add(1, Relaxed);
            return self.answer(Verdict::Never);
        };
        let verdict = self.verdict(records, &numbers).await;
        if verdict == Verdict::Taken {
            self.records.fetch_add(records, Relaxed);
            self.bytes.fetch_add(bytes, Relaxed);
            self.requests.fetch_add(1, Relaxed);
            let mut arrived = self.arrived();
            for number in numbers {
                *arrived.0.entry(number).or_default() += 1;
            }
        }
        self.answer(verdict)
    }

    async fn read(&self, signal: Signal, headers: &HeaderMap, mut body: Incoming) -> Option<Taken> {
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
        if let Some(latency) = &self.latency {
            let mut latency = latency.lock().unwrap_or_else(PoisonError::into_inner);
            since_sent(&plain).for_each(|took| latency.record(took));
        }
        let numbers = if self.numbered { numbers::of(&plain) } else { Vec::new() };
        Some(Taken { records: check(signal, &plain).ok()? as u64, bytes, numbers })
    }

    /// Waits until the mode lets these records through, or refuses them.
    async fn verdict(&self, records: u64, numbers: &[u64]) -> Verdict {
        let mut mode = self.mode.subscribe();
        loop {
            let now = *mode.borrow_and_update();
            match now {
                Mode::Ok => return Verdict::Taken,
                Mode::Down => return Verdict::Later,
                Mode::Exhausted => return Verdict::Exhausted,
                Mode::Poison(every) => {
                    let poison = numbers.iter().any(|number| number % every == 0);
                    return if poison { Verdict::Never } else { Verdict::Taken };
                }
                Mode::Stalled => {}
                Mode::Slow(rate) => {
                    let turn = {
                        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
                        let turn = (*next).max(Instant::now());
                        *next = turn + Duration::from_secs_f64(records as f64 / rate as f64);
                        turn
                    };
                    tokio::select! {
                        () = tokio::time::sleep_until(turn) => return Verdict::Taken,
                        _ = mode.changed() => continue,
                    }
                }
            }
            // The other end is `self`.
            let _ = mode.changed().await;
        }
    }

    fn answer(&self, verdict: Verdict) -> Answer {
        let body = |bytes: &'static [u8]| Full::new(Bytes::from_static(bytes));
        let mut answer = match self.transport {
            Transport::Http => Response::new(body(b"").boxed_unsync()),
            Transport::Grpc => {
                let mut trailers = HeaderMap::with_capacity(1);
                let code = match verdict {
                    Verdict::Taken => "0",
                    Verdict::Later => "14",
                    Verdict::Exhausted => "8",
                    Verdict::Never => "3",
                };
                trailers.insert("grpc-status", HeaderValue::from_static(code));
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
        *answer.status_mut() = match (self.transport, verdict) {
            (Transport::Grpc, _) | (_, Verdict::Taken) => StatusCode::OK,
            (_, Verdict::Later) => StatusCode::SERVICE_UNAVAILABLE,
            (_, Verdict::Exhausted) => StatusCode::TOO_MANY_REQUESTS,
            (_, Verdict::Never) => StatusCode::BAD_REQUEST,
        };
        answer
    }
}
