//! The load generator: one request, sent again and again, at a rate or as fast as answers come.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::buf::Chain;
use bytes::{Buf as _, Bytes};
use clap::Args;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use streamgauge_pdata::Signal;
use streamgauge_transport::{Code, Status, grpc_path, http_path};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::bodies::{self, Shape};
use super::child::answer_commands;
use super::histogram::Histogram;
use super::numbers::{self, Sent};
use super::wire::{CONNECTION_WINDOW, FRAME, Packing, STREAM_WINDOW, Transport};

/// A request without an answer for so long has failed.
const TIMEOUT: Duration = Duration::from_secs(10);
/// After a failure or a refusal a sender waits, as real ones do.
const PAUSE: Duration = Duration::from_millis(50);
/// A sender that is further behind its rate forgets what it did not send.
const BEHIND: Duration = Duration::from_millis(500);

#[derive(Args, Clone, Debug)]
pub struct LoadArgs {
    #[arg(long)]
    pub to: SocketAddr,
    #[arg(long, value_parser = signal)]
    pub signal: Signal,
    #[arg(long)]
    pub transport: Transport,
    #[arg(long)]
    pub packing: Packing,
    /// Records a request.
    #[arg(long)]
    pub records: usize,
    /// Resources a request.
    #[arg(long)]
    pub groups: usize,
    #[arg(long)]
    pub tagged: bool,
    /// Records a second; without it as fast as answers come.
    #[arg(long)]
    pub rate: Option<u64>,
    /// Requests under way at once.
    #[arg(long)]
    pub in_flight: usize,
    /// Connections for gRPC; HTTP has one for each request under way.
    #[arg(long)]
    pub connections: usize,
    /// Each request has a number.
    #[arg(long)]
    pub numbered: bool,
}

fn signal(name: &str) -> Result<Signal, String> {
    Signal::ALL.into_iter().find(|s| s.name() == name).ok_or_else(|| format!("{name} is no signal"))
}

/// What the load has seen so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LoadCounts {
    /// Records that were answered with success.
    pub acked: u64,
    /// Requests refused with a code that invites another try, and a delay for it.
    pub refused_with_delay: u64,
    /// Requests refused in any other way.
    pub refused: u64,
    /// Requests that broke off or had no answer in time.
    pub failed: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// Latencies since the last `mark`, in microseconds.
    pub p50_us: f64,
    pub p99_us: f64,
}

struct Load {
    args: LoadArgs,
    body: Bytes,
    /// Where in the body the number is.
    number: Option<usize>,
    headers: http::HeaderMap,
    path: &'static str,
    /// Records a second; 0 is as fast as answers come.
    rate: AtomicU64,
    next: Mutex<Instant>,
    sent: Mutex<Sent>,
    stop: AtomicBool,
    acked: AtomicU64,
    refused_with_delay: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    in_flight: AtomicU64,
    latencies: Mutex<Histogram>,
}

/// The mode of the process.
pub async fn run(args: LoadArgs) {
    let load = Arc::new(Load::new(args));
    let commanded = load.clone();
    answer_commands("ready", move |command| commanded.answer(command));
    let mut shared = Vec::new();
    if load.args.transport == Transport::Grpc {
        for _ in 0..load.args.connections {
            shared.push(connect_grpc(load.args.to).await);
        }
    }
    let senders: Vec<_> = (0..load.args.in_flight)
        .map(|n| {
            let connection = match shared.is_empty() {
                true => None,
                false => shared[n % shared.len()].clone().map(Connection::Grpc),
            };
            tokio::spawn(load.clone().send_on(connection))
        })
        .collect();
    for sender in senders {
        sender.await.expect("a sender does not panic");
    }
    // The bench still asks what was seen; the end of its commands is the end.
    std::future::pending::<()>().await;
}

/// The part with the number, and the rest, which is the same in all.
type Body = Full<Chain<Bytes, Bytes>>;

enum Connection {
    Grpc(http2::SendRequest<Body>),
    Http(http1::SendRequest<Body>),
}

async fn connect_grpc(to: SocketAddr) -> Option<http2::SendRequest<Body>> {
    let stream = TcpStream::connect(to).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_frame_size(FRAME)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    Some(sender)
}

async fn connect_http(to: SocketAddr) -> Option<http1::SendRequest<Body>> {
    let stream = TcpStream::connect(to).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    Some(sender)
}

impl Load {
    fn new(args: LoadArgs) -> Self {
        let plain = bodies::request(Shape {
            signal: args.signal,
            records: args.records,
            groups: args.groups,
            tagged: args.tagged,
            numbered: args.numbered,
        });
        let codec = args.packing.codec();
        let packed = codec.map_or(plain.clone(), |codec| codec.pack(&plain, None).expect("pack the request"));
        let mut headers = http::HeaderMap::new();
        let mut header = |name: &'static str, value: &'static str| {
            headers.insert(name, http::HeaderValue::from_static(value));
        };
        let (path, body) = match args.transport {
            Transport::Grpc => {
                header("content-type", "application/grpc");
                header("te", "trailers");
                if codec.is_some() {
                    header("grpc-encoding", args.packing.name());
                }
                let mut framed = vec![u8::from(codec.is_some())];
                framed.extend_from_slice(&(packed.len() as u32).to_be_bytes());
                framed.extend_from_slice(&packed);
                (grpc_path(args.signal), Bytes::from(framed))
            }
            Transport::Http => {
                header("content-type", "application/x-protobuf");
                header("host", "bench");
                if codec.is_some() {
                    header("content-encoding", args.packing.name());
                }
                (http_path(args.signal), packed)
            }
        };
        Self {
            rate: AtomicU64::new(args.rate.unwrap_or(0)),
            number: if args.numbered { numbers::place(&body) } else { None },
            args,
            body,
            headers,
            path,
            next: Mutex::new(Instant::now()),
            sent: Mutex::default(),
            stop: AtomicBool::new(false),
            acked: AtomicU64::new(0),
            refused_with_delay: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            latencies: Mutex::default(),
        }
    }

    /// `mark`, `stop`, `rate RECORDS_A_SECOND` or `counts`, answered by the counts; `numbers`, by what was sent.
    fn answer(&self, command: &str) -> String {
        if command == "numbers" {
            return serde_json::to_string(&*self.sent()).expect("numbers are JSON");
        }
        let mut latencies = self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        match command {
            "mark" => *latencies = Histogram::default(),
            "stop" => self.stop.store(true, Relaxed),
            _ => {
                if let Some(rate) = command.strip_prefix("rate ").and_then(|rate| rate.parse().ok()) {
                    self.rate.store(rate, Relaxed);
                }
            }
        }
        let micros = |q| latencies.quantile(q).as_nanos() as f64 / 1e3;
        let counts = LoadCounts {
            acked: self.acked.load(Relaxed),
            refused_with_delay: self.refused_with_delay.load(Relaxed),
            refused: self.refused.load(Relaxed),
            failed: self.failed.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            p50_us: micros(0.5),
            p99_us: micros(0.99),
        };
        serde_json::to_string(&counts).expect("counts are JSON")
    }

    async fn send_on(self: Arc<Self>, mut connection: Option<Connection>) {
        loop {
            let from = self.turn().await;
            if self.stop.load(Relaxed) {
                return;
            }
            self.in_flight.fetch_add(1, Relaxed);
            let (number, body) = self.body();
            let answer = tokio::time::timeout(TIMEOUT, self.send(&mut connection, body)).await;
            let counter = match answer {
                Ok(Some(Answer::Taken)) => {
                    self.latencies.lock().unwrap_or_else(PoisonError::into_inner).record(from.elapsed());
                    self.acked.fetch_add(self.args.records as u64, Relaxed);
                    self.sent().acked.extend(number);
                    self.in_flight.fetch_sub(1, Relaxed);
                    continue;
                }
                Ok(Some(Answer::Refused { with_delay: true })) => &self.refused_with_delay,
                Ok(Some(Answer::Refused { with_delay: false })) => &self.refused,
                Ok(None) | Err(_) => {
                    connection = None;
                    &self.failed
                }
            };
            counter.fetch_add(1, Relaxed);
            self.in_flight.fetch_sub(1, Relaxed);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits for this sender's turn. Gives the time that the latency counts from: when the request was due, if nobody
    /// was free then; else now, so that the coarseness of timers is not taken for latency.
    async fn turn(&self) -> Instant {
        let rate = self.rate.load(Relaxed);
        if rate == 0 {
            return Instant::now();
        }
        let due = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let due = Instant::now().checked_sub(BEHIND).map_or(*next, |oldest| oldest.max(*next));
            *next = due + Duration::from_secs_f64(self.args.records as f64 / rate as f64);
            due
        };
        if due <= Instant::now() {
            return due;
        }
        tokio::time::sleep_until(due).await;
        Instant::now()
    }

    /// The next request and, if it has one, its number.
    fn body(&self) -> (Option<u64>, Body) {
        let Some(at) = self.number else {
            return (None, Full::new(Bytes::new().chain(self.body.clone())));
        };
        let number = {
            let mut sent = self.sent();
            sent.next += 1;
            sent.next - 1
        };
        let head = [&self.body[..at], &number.to_be_bytes()].concat();
        let rest = self.body.slice(head.len()..);
        (Some(number), Full::new(Bytes::from(head).chain(rest)))
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` when the connection broke.
    async fn send(&self, connection: &mut Option<Connection>, body: Body) -> Option<Answer> {
        if connection.is_none() {
            *connection = Some(match self.args.transport {
                Transport::Grpc => Connection::Grpc(connect_grpc(self.args.to).await?),
                Transport::Http => Connection::Http(connect_http(self.args.to).await?),
            });
        }
        let request = |uri: String| {
            let mut request = http::Request::post(uri).body(body).ok()?;
            *request.headers_mut() = self.headers.clone();
            Some(request)
        };
        match connection.as_mut()? {
            Connection::Grpc(sender) => {
                let request = request(format!("http://{}{}", self.args.to, self.path))?;
                let response = sender.send_request(request).await.ok()?;
                grpc_answer(response).await
            }
            Connection::Http(sender) => {
                sender.ready().await.ok()?;
                let response = sender.send_request(request(self.path.to_owned())?).await.ok()?;
                let answer = match response.status().as_u16() {
                    200 => Answer::Taken,
                    429 | 503 => {
                        Answer::Refused { with_delay: response.headers().contains_key("retry-after") }
                    }
                    _ => Answer::Refused { with_delay: false },
                };
                response.into_body().collect().await.ok()?;
                Some(answer)
            }
        }
    }
}

enum Answer {
    Taken,
    Refused { with_delay: bool },
}

async fn grpc_answer(response: http::Response<Incoming>) -> Option<Answer> {
    let (head, mut body) = response.into_parts();
    let mut status = Status::from_trailers(&head.headers);
    while let Some(frame) = body.frame().await {
        let frame = frame.ok()?;
        status = frame.trailers_ref().and_then(Status::from_trailers).or(status);
    }
    let status = status?;
    Some(match status.code {
        Code::Ok => Answer::Taken,
        Code::Unavailable | Code::ResourceExhausted => {
            Answer::Refused { with_delay: status.retry_after.is_some() }
        }
        _ => Answer::Refused { with_delay: false },
    })
}
