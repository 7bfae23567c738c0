//! The floor: hyper in, hyper out, nothing looked at. What a relay of requests costs before it does any work.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use clap::Args;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client1;
use hyper::client::conn::http2 as client2;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use super::child::answer_commands;
use super::wire::{CONNECTION_WINDOW, FRAME, STREAM_WINDOW, Transport};

#[derive(Args, Clone, Debug)]
pub struct RelayArgs {
    #[arg(long)]
    pub transport: Transport,
    /// Where everything goes.
    #[arg(long)]
    pub to: SocketAddr,
}

/// The mode of the process.
pub async fn run(args: RelayArgs) {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("listen");
    let address = listener.local_addr().expect("know the address");
    answer_commands(&address.to_string(), |_| "{}".to_owned());
    match args.transport {
        Transport::Grpc => grpc(listener, args.to).await,
        Transport::Http => http(listener, args.to).await,
    }
}

/// Streams: each frame goes on as it comes, over one connection.
async fn grpc(listener: TcpListener, to: SocketAddr) {
    let mut client = client2::Builder::new(TokioExecutor::new());
    client
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let (onward, connection) =
        client.handshake::<_, Incoming>(TokioIo::new(connect(to).await)).await.expect("HTTP/2 to the sink");
    tokio::spawn(connection);
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let onward = onward.clone();
        tokio::spawn(async move {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder
                .timer(TokioTimer::new())
                .max_frame_size(FRAME)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW);
            let service = service_fn(move |request: Request<Incoming>| {
                let mut onward = onward.clone();
                async move { onward.send_request(request).await }
            });
            drop(builder.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

type Idle = Arc<Mutex<Vec<client1::SendRequest<Incoming>>>>;

/// Streams the request over a connection that is free, and hands on the answer, which is small, as one piece.
async fn http(listener: TcpListener, to: SocketAddr) {
    let idle = Idle::default();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let idle = idle.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let idle = idle.clone();
                async move { Ok::<_, Infallible>(pass(request, &idle, to).await.unwrap_or_else(bad_gateway)) }
            });
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn pass(
    request: Request<Incoming>,
    idle: &Idle,
    to: SocketAddr,
) -> hyper::Result<Response<Full<Bytes>>> {
    let free = || idle.lock().unwrap_or_else(PoisonError::into_inner);
    let waiting = free().pop();
    let mut onward = match waiting {
        Some(onward) => onward,
        None => {
            let (onward, connection) = client1::handshake(TokioIo::new(connect(to).await)).await?;
            tokio::spawn(connection);
            onward
        }
    };
    onward.ready().await?;
    let (head, body) = onward.send_request(request).await?.into_parts();
    let body = Full::new(body.collect().await?.to_bytes());
    free().push(onward);
    Ok(Response::from_parts(head, body))
}

fn bad_gateway(_: hyper::Error) -> Response<Full<Bytes>> {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}

async fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).await.expect("connect to the sink");
    stream.set_nodelay(true).expect("set TCP_NODELAY");
    stream
}
