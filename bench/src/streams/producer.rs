//! Adds entries: as many as are wanted at once, or at a rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use clap::Args;

use super::entries::Entry;
use super::resp::{Connection, push};
use crate::otlp::answer_commands;

/// XADDs in one write of [`fill`].
const CHUNK: u64 = 1000;

/// Adds `count` entries as fast as the server takes them.
pub fn fill(address: &str, stream: &str, count: u64) {
    let mut connection = Connection::open(address);
    let mut out = Vec::new();
    let mut waiting = 0;
    for start in (0..count).step_by(CHUNK as usize) {
        out.clear();
        let chunk = CHUNK.min(count - start);
        for number in start..start + chunk {
            add(&mut out, stream, number);
        }
        connection.send(&out);
        // One chunk is always under way.
        (0..waiting).for_each(|_| connection.skip_reply());
        waiting = chunk;
    }
    (0..waiting).for_each(|_| connection.skip_reply());
}

fn add(out: &mut Vec<u8>, stream: &str, number: u64) {
    let entry = Entry::new(number);
    let head: [&[u8]; 3] = [b"XADD", stream.as_bytes(), b"*"];
    let words: Vec<&[u8]> = head.into_iter().chain(entry.fields()).collect();
    push(out, words.into_iter());
}

#[derive(Args, Clone, Debug)]
pub struct ProduceArgs {
    #[arg(long)]
    pub address: String,
    #[arg(long)]
    pub stream: String,
    /// Entries a second.
    #[arg(long)]
    pub rate: u64,
    /// How many.
    #[arg(long)]
    pub count: u64,
}

/// The mode of the process: adds entries one by one at a rate; any line is answered by how many there are.
pub fn run(args: ProduceArgs) -> ! {
    let added = Arc::new(AtomicU64::new(0));
    let counted = added.clone();
    answer_commands("adding", move |_| counted.load(Relaxed).to_string());
    let mut connection = Connection::open(&args.address);
    let start = Instant::now();
    let mut out = Vec::new();
    for number in 0..args.count {
        let due = start + Duration::from_nanos(number * 1_000_000_000 / args.rate);
        // This is the rate, not waiting for a state.
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        out.clear();
        add(&mut out, &args.stream, number);
        connection.send(&out);
        connection.skip_reply();
        added.store(number + 1, Relaxed);
    }
    // The process ends with its standard input.
    loop {
        std::thread::park();
    }
}
