//! Fuzz targets: each takes any bytes and panics when a promise is broken.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{Response, Uri};
use http_body::Body as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Runtime;

use crate::frame::{HEAD, Head};
use crate::head::Collected;
use crate::hpack::Decoder;
use crate::{Answer, Body, Connection, Content, Error, Service, Settings};

/// A connection means the same however its bytes are cut, and what is said on it are whole frames. The first byte says where it is cut.
pub fn connection(data: &[u8]) {
    let Some((&seed, bytes)) = data.split_first() else { return };
    let whole = serve(bytes, bytes.len().max(1));
    let cut = serve(bytes, usize::from(seed % 64) + 1);
    assert_eq!(whole, cut);
}

/// Any block is read or refused, and never kept beyond its limit.
pub fn head(data: &[u8]) {
    const LIMIT: usize = 1 << 10;
    let mut decoder = Decoder::new();
    for block in data.chunks(64) {
        let mut collected = Collected::new(LIMIT);
        if decoder.decode(block, |field| collected.add(field)).is_err() {
            return;
        }
        if let Ok(known) = collected.request() {
            let size: usize =
                known.head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
            assert!(size <= LIMIT);
        }
    }
}

/// A request as it was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    uri: Uri,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Seen>>>);

impl Service for Recorder {
    type Future = BoxFuture<'static, Answer>;

    fn call(&self, head: Arc<Parts>, mut body: Body) -> Self::Future {
        let all = self.0.clone();
        Box::pin(async move {
            let mut bytes = Vec::new();
            while let Some(Ok(frame)) =
                std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
            {
                bytes.extend(frame.into_data().unwrap_or_default());
            }
            let fields = head.headers.iter();
            let fields = fields.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
            if body.is_end_stream() {
                let seen = Seen { uri: head.uri.clone(), fields, body: bytes };
                all.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
            }
            Response::new(Content::default()).into()
        })
    }
}

/// Reads pieces of a size, then the end; keeps what is written.
struct Script<'a> {
    input: std::slice::Chunks<'a, u8>,
    output: Vec<u8>,
}

impl AsyncRead for Script<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(piece) = self.input.next() {
            buffer.put_slice(&piece[..piece.len().min(buffer.remaining())]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script<'_> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.output.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Only its clock is used.
static RUNTIME: LazyLock<io::Result<Runtime>> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build());

/// The requests of a connection that says these bytes in pieces of this size, and why it ended.
fn serve(bytes: &[u8], size: usize) -> (Vec<Seen>, String) {
    // More than a piece is not read at once.
    const MOST: usize = 4 << 10;
    let Ok(runtime) = &*RUNTIME else { return Default::default() };
    let _entered = runtime.enter();
    let recorder = Recorder::default();
    let settings = Settings {
        frame: 1 << 20,
        stream_window: 1 << 20,
        connection_window: 1 << 20,
        streams: 10,
        header_list: 1 << 10,
        ping: None,
    };
    let mut script = Script { input: bytes.chunks(size.min(MOST)), output: Vec::new() };
    let mut connection = Connection::new(&mut script, BytesMut::new(), settings, recorder.clone());
    let mut context = Context::from_waker(Waker::noop());
    let mut ended = None;
    // A piece a poll would do; a connection that asks for more polls than that hangs.
    for _ in 0..bytes.len() + 10 {
        if let Poll::Ready(end) = connection.poll_unpin(&mut context) {
            ended = Some(end);
            break;
        }
    }
    drop(connection);
    let mut rest = &script.output[..];
    while let Some(head) = Head::read(rest) {
        assert!(rest.len() >= HEAD + head.length, "a frame that is cut");
        rest = &rest[HEAD + head.length..];
    }
    assert!(rest.is_empty(), "half a head");
    let end = match ended {
        Some(Err(Error::Client(reason, why))) => format!("{reason}: {why}"),
        Some(Ok(())) => "closed".to_owned(),
        other => panic!("it goes on without bytes, or fails: {other:?}"),
    };
    let seen = recorder.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (seen, end)
}
