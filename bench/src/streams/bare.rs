//! The base: XREADGROUP and XACK in a loop that looks at nothing but the ids.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use clap::Args;

use super::resp::{Connection, push};
use crate::otlp::answer_commands;

#[derive(Args, Clone, Debug)]
pub struct BareArgs {
    #[arg(long)]
    pub address: String,
    #[arg(long)]
    pub stream: String,
    #[arg(long)]
    pub group: String,
    /// Entries a read.
    #[arg(long)]
    pub count: u64,
    /// Entries that may be read and not acknowledged.
    #[arg(long)]
    pub in_flight: u64,
}

/// The mode of the process: reads until nothing is left; any line is answered by how many it has acknowledged.
pub fn run(args: BareArgs) -> ! {
    let done = Arc::new(AtomicU64::new(0));
    let counted = done.clone();
    answer_commands("reading", move |_| counted.load(Relaxed).to_string());
    let mut connection = Connection::open(&args.address);
    let count = args.count.to_string();
    let read: Vec<&[u8]> =
        ["XREADGROUP", "GROUP", &args.group, "bare", "COUNT", &count, "STREAMS", &args.stream, ">"]
            .map(str::as_bytes)
            .to_vec();
    // As many reads are under way as the bound has room for.
    let ahead = (args.in_flight / args.count).max(1);
    let mut out = Vec::new();
    (0..ahead).for_each(|_| push(&mut out, read.iter().copied()));
    connection.send(&out);
    let mut ids: Vec<u8> = Vec::new();
    // What the next reply is preceded by: the answer to an XACK, from the second round on.
    let mut acked: std::collections::VecDeque<bool> = (0..ahead).map(|_| false).collect();
    while let Some(after_ack) = acked.pop_front() {
        if after_ack {
            connection.skip_reply();
        }
        ids.clear();
        let entries = connection.entries(|id| {
            ids.extend_from_slice(id);
            ids.push(b' ');
        });
        if entries == 0 {
            continue;
        }
        out.clear();
        let head: [&[u8]; 3] = [b"XACK", args.stream.as_bytes(), args.group.as_bytes()];
        let words: Vec<&[u8]> =
            head.into_iter().chain(ids.split(|byte| *byte == b' ').filter(|id| !id.is_empty())).collect();
        push(&mut out, words.into_iter());
        push(&mut out, read.iter().copied());
        connection.send(&out);
        acked.push_back(true);
        done.fetch_add(entries, Relaxed);
    }
    loop {
        std::thread::park();
    }
}
