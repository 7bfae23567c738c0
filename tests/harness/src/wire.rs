//! What stands between a client and a server: it passes everything on, or does what broken peers and networks do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

/// What a [`Wire`] does instead of passing on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Resets a connection as soon as something comes.
    Reset,
    /// Closes its sending side as soon as something comes; goes on reading and never answers.
    HalfClose,
    /// Answers with bytes that are no HTTP of any version.
    Garbage,
    /// Passes on what comes, and resets the connection instead of giving the server's first answer.
    LoseAnswer,
    /// Holds everything both ways and closes nothing: connections that are open stay so, new ones are made and get no answer.
    /// Afterwards they go on where they were.
    Stall,
}

/// A wire to a server, on a free loopback port; cut when dropped.
pub struct Wire {
    address: SocketAddr,
    fault: watch::Sender<Option<Fault>>,
    hits: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Wire {
    /// A wire to `host:port` that passes everything on.
    pub fn to(server: &str) -> Wire {
        let server: SocketAddr = server.parse().expect("an address");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a non-blocking socket");
        let address = listener.local_addr().expect("a bound socket");
        let (fault, hits) = (watch::Sender::new(None), Arc::new(AtomicUsize::new(0)));
        let (stop, stopped) = oneshot::channel::<()>();
        let (faults, counts) = (fault.subscribe(), hits.clone());
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a socket");
                tokio::select! {
                    () = serve(listener, server, faults, counts) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        Wire { address, fault, hits, stop: Some(stop), thread: Some(thread) }
    }

    /// `127.0.0.1:port`.
    pub fn addr(&self) -> String {
        self.address.to_string()
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on every connection has this fault, and none with `None`. When that changes, those that are open are reset,
    /// but for [`Fault::Stall`], which they outlive.
    pub fn set(&self, fault: Option<Fault>) {
        self.fault.send_if_modified(|present| std::mem::replace(present, fault) != fault);
    }

    /// How many connections have met a fault.
    pub fn hits(&self) -> usize {
        self.hits.load(Ordering::Relaxed)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(
    listener: TcpListener,
    server: SocketAddr,
    faults: watch::Receiver<Option<Fault>>,
    hits: Arc<AtomicUsize>,
) {
    loop {
        let (mut client, _) = listener.accept().await.expect("accept a connection");
        let (mut faults, hits) = (faults.clone(), hits.clone());
        let fault = *faults.borrow_and_update();
        tokio::spawn(async move {
            // Whoever goes away mid-way is no failure of the wire.
            match fault {
                None | Some(Fault::Stall) => {
                    let broken = wait(faults.clone(), |fault| !matches!(fault, None | Some(Fault::Stall)));
                    tokio::select! {
                        _ = forward(&mut client, server, &faults, &hits) => {}
                        () = broken => reset(&client),
                    }
                }
                Some(fault) => tokio::select! {
                    _ = connection(&mut client, server, fault, &hits) => {}
                    _ = faults.changed() => reset(&client),
                },
            }
        });
    }
}

async fn wait(mut faults: watch::Receiver<Option<Fault>>, until: impl Fn(Option<Fault>) -> bool) {
    let _ = faults.wait_for(|fault| until(*fault)).await; // without a sender the wire is cut
}

/// Passes on both ways, but while there is a stall.
async fn forward(
    client: &mut TcpStream,
    server: SocketAddr,
    faults: &watch::Receiver<Option<Fault>>,
    hits: &AtomicUsize,
) -> std::io::Result<()> {
    let hit = || {
        hits.fetch_add(1, Ordering::Relaxed);
    };
    if *faults.borrow() == Some(Fault::Stall) {
        hit();
        wait(faults.clone(), |fault| fault != Some(Fault::Stall)).await;
    }
    let mut server = TcpStream::connect(server).await?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::try_join!(
        one_way(from_client, to_server, faults, hit),
        one_way(from_server, to_client, faults, || {})
    )?;
    Ok(())
}

async fn one_way(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    faults: &watch::Receiver<Option<Fault>>,
    stalled: impl Fn(),
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = tokio::select! {
            biased;
            () = wait(faults.clone(), |fault| fault == Some(Fault::Stall)) => {
                stalled();
                wait(faults.clone(), |fault| fault != Some(Fault::Stall)).await;
                continue;
            }
            read = from.read(&mut buffer) => read?,
        };
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}

async fn connection(
    client: &mut TcpStream,
    server: SocketAddr,
    fault: Fault,
    hits: &AtomicUsize,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let read = client.read(&mut buffer).await?;
    if read == 0 {
        return Ok(());
    }
    hits.fetch_add(1, Ordering::Relaxed);
    match fault {
        Fault::Reset => reset(client),
        Fault::HalfClose => {
            client.shutdown().await?;
            while client.read(&mut buffer).await? > 0 {}
        }
        Fault::Garbage => client.write_all(&[0x9c; 200]).await?,
        Fault::LoseAnswer => {
            let mut server = TcpStream::connect(server).await?;
            server.write_all(&buffer[..read]).await?;
            let mut answer = [0; 1];
            loop {
                tokio::select! {
                    more = client.read(&mut buffer) => match more? {
                        0 => break,
                        more => server.write_all(&buffer[..more]).await?,
                    },
                    _ = server.read(&mut answer) => break,
                }
            }
            reset(client);
        }
        Fault::Stall => {} // it has no end of its own: `forward`
    }
    Ok(())
}

/// The other side sees a reset once this one is dropped.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger(); // of a connection that has gone
}
