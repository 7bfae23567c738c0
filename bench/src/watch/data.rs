//! The data set, and what moves in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::streams::resp::{Connection, push};

/// Entries of a stream, and the bytes of each.
const ENTRIES: usize = 20;
const BYTES: usize = 200;
/// Keys of other types.
const KEYS: usize = 20_000;

fn command(out: &mut Vec<u8>, line: &str) {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    push(out, words.into_iter());
}

/// Sends commands and reads all replies; in pieces, so that neither side waits for the other.
pub fn run(server: &mut Connection, lines: impl Iterator<Item = String>) {
    let mut lines = lines.peekable();
    let mut bytes = Vec::new();
    while lines.peek().is_some() {
        bytes.clear();
        let mut sent = 0;
        for line in lines.by_ref().take(500) {
            command(&mut bytes, &line);
            sent += 1;
        }
        server.send(&bytes);
        (0..sent).for_each(|_| server.skip_reply());
    }
}

/// Streams with two groups of three consumers, each of which holds two entries, and plain keys.
pub fn fill(address: &str, streams: usize) {
    let mut server = Connection::open(address);
    let payload = "x".repeat(BYTES - 10);
    for n in 0..streams {
        let add = (0..ENTRIES).map(|_| format!("XADD stream:{n} * f {payload}"));
        run(&mut server, add);
        let groups = ["g0", "g1"].into_iter().flat_map(|group| {
            let read = move |consumer: &str| {
                format!("XREADGROUP GROUP {group} {consumer} COUNT 2 STREAMS stream:{n} >")
            };
            std::iter::once(format!("XGROUP CREATE stream:{n} {group} 0")).chain(["c0", "c1", "c2"].map(read))
        });
        run(&mut server, groups);
    }
    run(&mut server, (0..KEYS).map(|n| format!("SET k{n} v")));
}

/// Adds an entry to each of so many streams an interval, every time to the next ones. Ends with the value.
pub struct Mover(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Mover {
    pub fn start(address: &str, streams: usize, moving: usize, interval: Duration) -> Mover {
        let ended = Arc::new(AtomicBool::new(false));
        let (is_over, mut server) = (ended.clone(), Connection::open(address));
        let payload = "x".repeat(BYTES - 10);
        let thread = std::thread::spawn(move || {
            let mut next = 0;
            while !is_over.load(Relaxed) {
                // The length stays the same, as it does where streams are trimmed.
                let add = (0..moving)
                    .map(|n| format!("XADD stream:{} MAXLEN {ENTRIES} * f {payload}", (next + n) % streams));
                run(&mut server, add);
                next = (next + moving) % streams;
                std::thread::park_timeout(interval);
            }
        });
        Mover(ended, Some(thread))
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
        if let Some(thread) = self.1.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
