//! A small HTTP/1 server for people, probes and scrapers: whole bodies, few connections.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::connection::Io;
use super::slow::{Activity, Watched};
use super::{Address, Listener};
use crate::tls::ServerTls;

/// More connections than this wait.
const CONNECTIONS: usize = 64;
/// A client that does not ask within this time, or takes nothing of its answer for so long, is let go.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers requests until it is stopped or dropped, and its connections with it.
#[derive(Debug)]
pub struct Pages {
    address: Address,
    task: JoinHandle<()>,
}

impl Pages {
    /// Begins.
    pub fn serve<F, A>(listener: Listener, answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> A + Send + Sync + 'static,
        A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        Pages::serve_tls(listener, None, answer)
    }

    /// Begins; with `tls`, clients must speak it.
    pub fn serve_tls<F, A>(listener: Listener, tls: Option<Arc<ServerTls>>, answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> A + Send + Sync + 'static,
        A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        let address = listener.local_addr().clone();
        Pages { address, task: tokio::spawn(accept(listener, tls, Arc::new(answer))) }
    }

    /// Where it listens.
    pub fn local_addr(&self) -> &Address {
        &self.address
    }

    /// Closes. The socket is free when this returns, unless another has taken it over.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await; // an aborted task ends with an error that says just that
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept<F, A>(listener: Listener, tls: Option<Arc<ServerTls>>, answer: Arc<F>)
where
    F: Fn(Request<Incoming>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    while let Ok(slot) = slots.clone().acquire_owned().await {
        while connections.try_join_next().is_some() {}
        let (stream, _) = match listener.socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Most often "too many open files": the socket stays ready, so do not spin.
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (answer, tls) = (answer.clone(), tls.clone());
        connections.spawn(async move {
            let stream: Box<dyn Io> = match tls {
                None => stream.boxed(),
                Some(tls) => {
                    let acceptor = TlsAcceptor::from(tls.get());
                    match tokio::time::timeout(PATIENCE, acceptor.accept(stream.boxed())).await {
                        Ok(Ok(stream)) => Box::new(stream),
                        Ok(Err(error)) => return tracing::debug!(%error, "TLS handshake failed"),
                        Err(_) => return tracing::debug!("TLS handshake took too long"),
                    }
                }
            };
            let service = service_fn(|request| {
                let answer = answer(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let stream = Watched::new(stream, Activity::new(), Some(PATIENCE));
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
            // A client that breaks off is its own affair.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
            drop(slot);
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn clients_that_take_nothing_of_their_answers_do_not_keep_others_out_for_good() {
        // More than a socket's buffers hold, so that writing stalls.
        let page = Bytes::from(vec![b'x'; 16 << 20]);
        let pages = Pages::serve(Listener::bind("127.0.0.1:0").await.unwrap(), move |_| {
            std::future::ready(Response::new(Full::from(page.clone())))
        });
        let address = pages.local_addr().tcp().unwrap();
        let ask = async || {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            stream
        };
        let mut lazy = Vec::new();
        for _ in 0..CONNECTIONS {
            lazy.push(ask().await);
        }
        let answered = async { ask().await.read_exact(&mut [0; 15]).await };
        tokio::time::timeout(PATIENCE * 3, answered).await.expect("a free slot").unwrap();
    }
}
